"""The backup with real restic, on a real disk: every night as it may go, and a restore that is stopped anywhere."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import restic
from tests.linux.sandbox import Ended, Sandbox, until

pytestmark = [pytest.mark.mounts, pytest.mark.root]
ARCHIVE = ("check", "--", sys.executable, "-m", "guard.backup", "archive", "--settle=0s", "--lock-wait=1s")
MODULE = (sys.executable, "-m", "guard.backup")


@dataclass
class Backups:
    """A volume with data, and a repository beside it."""

    sandbox: Sandbox

    def night(self, *flags: str, **settings: str) -> Ended:
        """One run of the backup, behind the gate."""
        return self.sandbox.guard(*ARCHIVE, *flags, **settings)

    def module(self, *words: str, **settings: str) -> Ended:
        """The program without the gate."""
        return self.sandbox.run([*MODULE, *words, "--lock-wait=1s"], **settings)

    def restic(self, *words: str) -> str:
        return self.sandbox.sh(f"restic {' '.join(words)}", **self.sandbox.defaults)

    def snapshots(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.restic("snapshots", "--json", "--no-lock"))
        return found

    def tags(self) -> list[str]:
        return [",".join(one.get("tags") or ()) for one in self.snapshots()]

    def background(self, *words: str, **settings: str) -> subprocess.Popen[bytes]:
        """Starts a command that is to be stopped before its end."""
        environment = self.sandbox.environment(settings)
        return self.sandbox.start(
            list(words), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def files(self) -> int:
        return int(self.sandbox.sh("find $P -mindepth 2 -type f -not -path '*/.volume-guard/*' | wc -l"))


@pytest.fixture(scope="session")
def program() -> Path:
    found = restic.find()
    if found is None:
        pytest.skip("no restic 0.18 or newer: `python -m tests.restic` fetches it")
    return found


@pytest.fixture
def backups(sandbox: Sandbox, ext4_image: str, program: Path) -> Iterator[Backups]:
    """An adopted ext4 disk with 120 files of three skills, and a new repository."""
    shutil.copy(ext4_image, f"{sandbox.work}/disk")
    sandbox.defaults |= {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "RESTIC_REPOSITORY": f"{sandbox.work}/repository",
        "RESTIC_PASSWORD": "correct horse",
        "RESTIC_CACHE_DIR": f"{sandbox.work}/cache",
    }
    sandbox.sh("""mount -o loop $W/disk $P; mkdir $W/scratch $P/acme $P/beta
        for skill in acme/pdf acme/docx beta/xlsx; do mkdir $P/$skill
            for file in $(seq 40); do echo $skill $file > $P/$skill/$file; done; done""")
    made = Backups(sandbox)
    assert sandbox.guard("adopt").status == 0
    assert made.module("init").status == 0
    yield made
    sandbox.sh("umount $P")


def test_a_week_of_nights_archives_compares_checks_and_forgets_by_the_policy(backups: Backups) -> None:
    # Nights of the past, as restic dates them: only the policy decides which of them stay.
    for day in range(10, 27, 2):
        backups.restic("backup", "-q", "--host=skills", f"--time='2026-09-{day} 03:30:00'", "$P")
    assert len(backups.snapshots()) == 9

    done = backups.night("--keep-within=1d", "--keep-last=3")

    assert done.status == 0, done.stderr
    assert done.events() == [
        "volume.ok", "backup.archived", "backup.compared", "backup.checked", "backup.forgotten",
    ]  # fmt: skip
    assert done.last["forgotten"] == 7
    assert [one["time"][:10] for one in backups.snapshots()][:2] == ["2026-09-24", "2026-09-26"]
    assert len(backups.snapshots()) == 3
    assert done.termination.startswith("ok: ")


def test_what_is_archived_is_the_data_and_nothing_of_the_guard_s(backups: Backups) -> None:
    backups.sandbox.sh("mkdir -p $P/lost+found $P/acme/lost+found; touch $P/lost+found/1 $P/acme/lost+found/kept")
    assert backups.night().status == 0
    listed = backups.restic("ls", "latest").split()
    assert backups.sandbox.path + "/acme/lost+found/kept" in listed
    assert not [name for name in listed if ".volume-guard" in name or name.startswith(f"{backups.sandbox.path}/lost")]


def test_a_wiped_volume_is_neither_archived_nor_anything_forgotten_night_after_night(backups: Backups) -> None:
    assert backups.night().status == 0
    before = backups.snapshots()
    backups.sandbox.sh("rm -rf $P/acme $P/beta")

    for _ in range(2):
        refused = backups.night("--keep-within=1h", "--keep-last=1")
        assert (refused.status, refused.last["outcome"]) == (30, "data-lost")

    assert backups.snapshots() == before


@pytest.mark.parametrize(
    ("damage", "status"),
    [("umount $P", 10), ("mount -t tmpfs none $P", 11), ("rm $P/.volume-guard/marker.json", 20)],
    ids=["not-mounted", "memory", "unmarked"],
)
def test_the_gate_s_own_exit_status_is_kept(damage: str, status: int, backups: Backups) -> None:
    backups.sandbox.sh(damage)
    refused = backups.night()
    if status == 10:
        backups.sandbox.sh("mount -o loop $W/disk $P")
    elif status == 11:
        backups.sandbox.sh("umount $P")
    assert (refused.status, backups.snapshots()) == (status, [])


def test_a_wipe_between_gate_and_archive_pins_the_snapshot_before_and_forgets_nothing(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("rm -rf $P/acme $P/beta")

    # Without the gate: what it would be if the files went right after it had passed.
    raced = backups.module("archive", "--settle=0s", "--keep-within=1h", "--keep-last=1")

    assert (raced.status, raced.last["result"]) == (56, "snapshot-shrunk")
    assert "what to do:" in raced.termination
    assert "backup.forgotten" not in raced.events()
    assert backups.tags() == ["pinned", "shrunk", "shrunk"]

    # And if someone accepts the empty volume: the nights go on, and what is pinned stays.
    assert backups.sandbox.guard("accept").status == 0
    backups.restic("backup", "-q", "--host=skills", "--time='2027-09-10 03:30:00'", "--exclude=$P/.volume-guard", "$P")
    later = backups.night("--keep-within=1h", "--keep-last=1")
    assert later.status == 0, later.stderr
    assert backups.tags()[0] == "pinned"


def test_an_update_that_takes_all_away_for_a_moment_is_archived_anew_and_is_no_alarm(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("mkdir $W/aside; mv $P/acme $P/beta $W/aside")
    run = backups.background(*MODULE, "archive", "--settle=20s")
    until(lambda: len(backups.snapshots()) == 2 and "shrunk" in backups.tags()[1], 30)
    backups.sandbox.sh("mv $W/aside/* $P")

    assert run.wait(60) == 0

    assert backups.tags() == ["", "shrunk", ""]


def test_a_gate_that_is_told_to_let_everything_pass_is_no_gate_for_a_backup(backups: Backups) -> None:
    backups.sandbox.sh("rm -rf $P/acme $P/beta")
    refused = backups.night(GUARD_ENFORCE="false")
    assert (refused.status, refused.last["result"]) == (2, "usage")
    assert backups.snapshots() == []


@pytest.mark.parametrize("flags", [("--keep-within=30s",), ("--keep-last=0",), ("--settle=x",), ("--keep=1",)])
def test_arguments_that_mean_nothing_end_the_run_before_anything_is_archived(
    flags: tuple[str, ...], backups: Backups
) -> None:
    refused = backups.night(*flags)
    assert (refused.status, refused.last["result"]) == (2, "usage")
    assert refused.termination.startswith("usage")
    assert backups.snapshots() == []


def test_a_repository_is_made_by_init_alone_and_never_over_a_missing_one(backups: Backups) -> None:
    assert backups.module("init").last["message"].startswith("The repository is there already")
    backups.sandbox.sh("mv $W/repository $W/elsewhere; mkdir $W/repository")
    missing = backups.night()
    assert (missing.status, missing.last["result"]) == (50, "repository-missing")
    assert backups.sandbox.sh("ls -A $W/repository") == ""


def test_a_wrong_password_is_told_apart_and_changes_nothing(backups: Backups) -> None:
    refused = backups.night(RESTIC_PASSWORD="wrong")
    assert (refused.status, refused.last["result"]) == (52, "password-wrong")


@pytest.mark.parametrize("cache", ["kept", "gone"])
def test_a_damaged_repository_is_found_by_the_check_and_nothing_is_forgotten(cache: str, backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("""for pack in $(find $W/repository/data -type f); do chmod u+w $pack
        printf 'rust rust rust' | dd of=$pack bs=1 seek=40 conv=notrunc status=none; done""")
    if cache == "gone":  # as in each new pod: the folders of the last snapshot come from the damaged repository
        backups.sandbox.sh("rm -rf $W/cache")

    found = backups.night("--read-parts=1", "--keep-within=1h", "--keep-last=1")

    assert (found.status, found.last["result"]) == (53, "repository-damaged"), found.stderr
    assert "backup.forgotten" not in found.events()
    assert len(backups.snapshots()) == 2


def test_a_full_repository_fails_says_so_and_keeps_every_good_snapshot(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("""mv $W/repository $W/small; mkdir $W/repository; mount -t tmpfs -o size=1m none $W/repository
        cp -a $W/small/. $W/repository; head -c 3M /dev/urandom > $P/acme/large""")
    before = backups.snapshots()

    full = backups.night()

    assert (full.status, full.last["result"]) == (54, "engine-failed")
    assert "no space left" in full.last["message"]
    assert backups.snapshots() == before
    backups.sandbox.sh("mount -o remount,size=64m $W/repository")
    again = backups.night()
    backups.sandbox.sh("umount $W/repository; rmdir $W/repository; mv $W/small $W/repository")
    assert again.status == 0, again.stderr


def test_files_that_cannot_be_read_make_the_night_incomplete_and_nothing_is_forgotten(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("chmod 0000 $P/beta/xlsx/7")
    # Root without its capabilities, as in the pod: it reads what its mode allows.
    words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *backups.sandbox.command(*ARCHIVE)]
    partial = backups.sandbox.run(words)
    assert (partial.status, partial.last["result"]) == (55, "archive-incomplete")
    assert "xlsx/7" in partial.last["message"]
    assert "backup.forgotten" not in partial.events()


def test_a_lock_that_a_killed_pod_left_postpones_only_the_forgetting(backups: Backups) -> None:
    killed_pod(backups)
    done = backups.night()
    assert done.status == 0, done.stderr
    assert [event for event in done.events() if event != "backup.engine"] == [
        "volume.ok", "backup.archived", "backup.compared", "backup.checked", "backup.postponed",
    ]  # fmt: skip


def killed_pod(backups: Backups) -> None:
    """Leaves the lock of a backup that another host's kernel killed."""
    backups.sandbox.sh("mkdir $W/other; head -c 30M /dev/urandom > $W/other/large")
    script = "hostname pod-before; exec restic backup -q --limit-upload 2000 $0"
    run = backups.background("unshare", "--uts", "sh", "-c", script, f"{backups.sandbox.work}/other")
    until(lambda: locks(backups), 20)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert locks(backups)


def locks(backups: Backups) -> list[str]:
    """The locks that are written in full: until then restic calls them otherwise."""
    return [name for name in backups.sandbox.sh("ls $W/repository/locks").split() if len(name) == 64]


def test_a_backup_that_is_told_to_stop_stops_restic_leaves_no_lock_and_the_next_one_goes_on(backups: Backups) -> None:
    backups.sandbox.sh("head -c 4M /dev/urandom > $P/acme/large")
    slow = slow_restic(backups, "backup", "--limit-upload=200")
    run = backups.background(*backups.sandbox.command(*ARCHIVE), PATH=slow)
    until(lambda: locks(backups), 30)
    run.send_signal(signal.SIGTERM)

    assert run.wait(30) == 143

    assert locks(backups) == []
    assert backups.snapshots() == []
    assert backups.night().status == 0


def slow_restic(backups: Backups, command: str, limit: str) -> str:
    """A PATH with a restic that moves its data slowly: the same program, one flag more."""
    path = backups.sandbox.defaults["PATH"]
    script = Path(backups.sandbox.work) / "slow" / "restic"
    script.parent.mkdir()
    added = f'case $1 in {command}) set -- "$@" {limit} ;; esac'
    script.write_text(f'#!/bin/sh\n{added}\nexec {shutil.which("restic", path=path)} "$@"\n')
    script.chmod(0o755)
    return f"{script.parent}:{path}"


def test_a_wiped_volume_is_restored_and_the_gate_passes_with_the_numbers_of_before(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("rm -rf $P/*")
    assert backups.sandbox.guard("check").status == 30

    restored = backups.module("restore")

    assert restored.status == 0, restored.stderr
    passed = backups.sandbox.guard("check")
    assert (passed.status, passed.last["files"], passed.last["reference_files"]) == (0, 120, 120)
    assert backups.sandbox.sh("cat $P/acme/pdf/7") == "acme/pdf 7\n"


def test_a_volume_that_has_its_data_is_left_alone_unless_an_older_state_is_asked_for(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("echo newer > $P/acme/pdf/7; echo new > $P/acme/pdf/new")

    refused = backups.module("restore")

    assert (refused.status, refused.last["result"]) == (60, "volume-whole")
    assert backups.sandbox.sh("cat $P/acme/pdf/7") == "newer\n"
    assert backups.sandbox.guard("check").status == 0
    assert backups.module("restore", "--over-data").status == 0
    assert backups.sandbox.sh("cat $P/acme/pdf/7 $P/acme/pdf/new") == "acme/pdf 7\nnew\n"


def test_a_volume_whose_marker_went_with_the_data_is_restored_and_adopted(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("rm -rf $P/* $P/.volume-guard/marker.json")
    assert backups.module("restore").status == 0
    passed = backups.sandbox.guard("check")
    assert (passed.status, passed.last["files"], passed.last["reference_files"]) == (0, 120, 120)


def test_a_new_and_empty_volume_is_held_adopted_and_restored(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("umount $P; mkfs.ext4 -q -F $W/disk; mount -o loop $W/disk $P")
    assert backups.sandbox.guard("check").status == 20
    assert backups.module("restore").status == 0
    assert backups.sandbox.guard("check").last["files"] == 120


def test_an_unmarked_volume_with_files_on_it_is_not_written_on(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("umount $P; mkfs.ext4 -q -F $W/disk; mount -o loop $W/disk $P; touch $P/someone-s-thesis")
    refused = backups.module("restore")
    assert refused.status == 20
    assert "may be another disk" in refused.last["message"]
    assert "may be another disk" in refused.termination
    assert backups.sandbox.sh("ls -A $P").split() == ["lost+found", "someone-s-thesis"]


@pytest.mark.parametrize(
    ("damage", "mend", "status"),
    [("umount $P", "mount -o loop $W/disk $P", 10), ("mount -o remount,ro $P", "mount -o remount,rw $P", 14)],
    ids=["not-mounted", "read-only"],
)
def test_a_target_that_is_not_the_volume_keeps_the_gate_s_status_and_is_not_written_on(
    damage: str, mend: str, status: int, backups: Backups
) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh(damage)
    refused = backups.module("restore")
    backups.sandbox.sh(mend)
    assert refused.status == status
    assert "backup.restored" not in refused.events()


def test_another_volume_s_marker_stops_the_restore(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh('sed -i \'s/"skills"/"other"/\' $P/.volume-guard/marker.json')
    refused = backups.module("restore")
    assert (refused.status, refused.last["outcome"]) == (21, "marker-mismatch")
    assert refused.termination.startswith("marker-mismatch")


@pytest.mark.parametrize("killing", [signal.SIGKILL, signal.SIGTERM])
def test_a_restore_that_is_stopped_leaves_the_gate_at_held_and_run_again_it_completes(
    killing: signal.Signals, backups: Backups
) -> None:
    backups.sandbox.sh("head -c 5M /dev/urandom > $P/acme/large")
    assert backups.sandbox.guard("accept").status == 0
    assert backups.night().status == 0
    backups.sandbox.sh("rm -rf $P/*")
    slow = slow_restic(backups, "restore", "--limit-download=500")
    run = backups.background(*MODULE, "restore", PATH=slow)
    until(lambda: backups.files() > 0, 30)

    os.killpg(run.pid, killing)
    run.wait(30)

    held = backups.sandbox.guard("check")
    assert (held.status, held.last["outcome"]) == (23, "held")
    again = backups.module("restore")
    assert again.status == 0, again.stderr
    assert backups.sandbox.guard("check").last["files"] == 121


def test_a_snapshot_of_a_wiped_volume_is_not_taken_by_itself_and_never_released(backups: Backups) -> None:
    assert backups.night().status == 0
    good = backups.snapshots()[0]["short_id"]
    backups.sandbox.sh("rm -rf $P/*")
    backups.restic("backup", "-q", "--host=skills", "--exclude=$P/.volume-guard", "$P")
    wiped = backups.snapshots()[1]["short_id"]

    wrong = backups.module("restore", f"--snapshot={wiped}")

    assert wrong.status == 30
    assert "stays held" in wrong.termination
    assert backups.sandbox.guard("check").status == 23
    right = backups.module("restore")
    assert right.status == 0, right.stderr
    assert good in right.termination
    assert backups.files() == 120


def test_a_snapshot_that_is_not_there_is_said_before_anything_is_held(backups: Backups) -> None:
    absent = backups.module("restore", "--snapshot=ffffffff")
    assert (absent.status, absent.last["result"]) == (59, "snapshot-absent")
    assert backups.sandbox.guard("check").status == 0


def drill(backups: Backups, *flags: str, **settings: str) -> Ended:
    backups.sandbox.sh("rm -rf $W/scratch; mkdir $W/scratch")
    return backups.module("drill", f"--into={backups.sandbox.work}/scratch", *flags, **settings)


def test_a_drill_restores_the_newest_snapshot_compares_it_and_says_how_long_it_took(backups: Backups) -> None:
    backups.sandbox.sh(
        "ln -s pdf $P/acme/link; mkfifo $P/acme/fifo; touch \"$P/acme/$(printf 'bad\\377name')\"; mkdir $P/acme/empty"
    )
    assert backups.night().status == 0
    done = drill(backups)
    assert (done.status, done.last["event"], done.last["files"]) == (0, "backup.drilled", 123), done.stderr
    assert done.last["restore_seconds"] >= 0


def test_a_drill_finds_a_snapshot_of_a_wiped_volume_whoever_made_it(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("rm -rf $P/*")
    backups.restic("backup", "-q", "--host=skills", "--exclude=$P/.volume-guard", "$P")
    found = drill(backups)
    assert (found.status, found.last["result"]) == (56, "snapshot-shrunk")


def test_a_drill_finds_data_that_is_gone_from_the_repository(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("rm -rf $W/cache; rm -f $(find $W/repository/data -type f)")
    found = drill(backups)
    assert (found.status, found.last["result"]) == (57, "drill-differs")


def test_a_drill_finds_that_no_backup_was_made_for_too_long(backups: Backups) -> None:
    backups.restic("backup", "-q", "--host=skills", "--time='2026-01-10 03:30:00'", "$P")
    found = drill(backups, "--max-age=2d")
    assert (found.status, found.last["result"]) == (58, "backup-stale")


def test_a_drill_without_any_snapshot_or_with_too_few_files_fails(backups: Backups) -> None:
    assert drill(backups).status == 59
    assert backups.night().status == 0
    assert drill(backups, GUARD_MIN_FILES="121").status == 56


def test_a_drill_never_restores_over_files(backups: Backups) -> None:
    backups.sandbox.sh("touch $W/scratch/mine")
    refused = backups.module("drill", f"--into={backups.sandbox.work}/scratch")
    assert (refused.status, refused.last["result"]) == (2, "usage")
