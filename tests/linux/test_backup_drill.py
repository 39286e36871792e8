"""Restore drills with real restic: a good snapshot passes, a bad or an old one is found."""

import pytest

from tests.linux.backups import Backups, restic_after
from tests.linux.sandbox import Ended

pytestmark = [pytest.mark.mounts, pytest.mark.root]


def drill(backups: Backups, *flags: str, **settings: str) -> Ended:
    backups.sandbox.sh("rm -rf $W/scratch; mkdir $W/scratch")
    return backups.module("drill", f"--into={backups.sandbox.work}/scratch", *flags, **settings)


def test_a_drill_restores_the_last_good_snapshot_compares_it_and_reports_how_long_it_took(backups: Backups) -> None:
    backups.sandbox.sh(
        "ln -s pdf $P/acme/link; mkfifo $P/acme/fifo; touch \"$P/acme/$(printf 'bad\\377name')\"; mkdir $P/acme/empty"
    )
    assert backups.night().status == 0
    done = drill(backups)
    assert (done.status, done.last["event"], done.last["files"]) == (0, "backup.drilled", 123), done.stderr
    assert done.last["restore_seconds"] >= 0


def test_a_drill_takes_the_last_good_snapshot_whoever_made_one_of_a_wiped_volume(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("rm -rf $P/*")
    backups.restic("backup", "-q", "--host=skills", "--exclude=$P/.volume-guard", "$P")
    done = drill(backups)
    assert (done.status, done.last["files"]) == (0, 120), done.stderr


def test_a_drill_names_the_files_that_are_missing_or_cut_whatever_else_is_there(backups: Backups) -> None:
    assert backups.night().status == 0
    into = f"{backups.sandbox.work}/scratch"
    damage = f"rm {into}/acme/pdf/7; : > {into}/beta/xlsx/9; touch {into}/acme/pdf/other {into}/beta/xlsx/other"
    # restic restores, and something takes a file away before the comparison lists.
    found = drill(backups, PATH=restic_after(backups, "ls", damage))
    assert (found.status, found.last["result"]) == (57, "drill-differs")
    assert "2 of 120 files that were compared differ" in found.last["message"]
    assert "acme/pdf/7 is missing" in found.last["message"]
    assert "beta/xlsx/9 has 0 bytes, listed are 12" in found.last["message"]


def test_a_drill_finds_data_that_is_gone_from_the_repository(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("rm -rf $W/cache; rm -f $(find $W/repository/data -type f)")
    found = drill(backups)
    assert (found.status, found.last["result"]) == (57, "drill-differs")


def test_a_drill_finds_that_no_good_backup_was_made_for_too_long(backups: Backups) -> None:
    backups.archive_at(-3)
    backups.archive_at(-1)
    backups.restic("tag", "-q", "--set=incomplete", "latest")
    found = drill(backups, "--max-age=2d")
    assert (found.status, found.last["result"]) == (58, "backup-stale")


def test_a_drill_finds_a_snapshot_of_a_clock_that_was_ahead(backups: Backups) -> None:
    backups.archive_at(+30)
    found = drill(backups)
    assert (found.status, found.last["result"]) == (58, "backup-stale")
    assert "in the future" in found.last["message"]


def test_a_drill_that_has_no_room_is_tried_again_and_calls_no_backup_bad(backups: Backups) -> None:
    backups.sandbox.sh("head -c 3M /dev/urandom > $P/acme/large")
    assert backups.night().status == 0
    backups.sandbox.sh("mkdir $W/small; mount -t tmpfs -o size=1m none $W/small")
    full = backups.module("drill", f"--into={backups.sandbox.work}/small")
    backups.sandbox.sh("umount $W/small")
    assert (full.status, full.last["result"]) == (54, "engine-failed")
    assert "no space left" in full.last["message"]


def test_a_drill_without_a_good_snapshot_fails(backups: Backups) -> None:
    assert drill(backups).status == 59
    backups.archive_at(-1)
    backups.restic("tag", "-q", "--set=incomplete", "latest")
    incomplete = drill(backups)
    assert (incomplete.status, incomplete.last["result"]) == (59, "snapshot-absent")


def test_a_drill_never_restores_over_files(backups: Backups) -> None:
    backups.sandbox.sh("touch $W/scratch/mine")
    for into in ("scratch", "scratch/mine", "scratch/absent"):
        refused = backups.module("drill", f"--into={backups.sandbox.work}/{into}")
        assert (refused.status, refused.last["result"]) == (2, "usage")
