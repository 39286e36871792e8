"""Nights of the backup with real restic, on a real disk: every one as it may go."""

import signal

import pytest

from tests.linux.backups import ARCHIVE, MODULE, Backups, killed_pod, locks, restic_after, slow_restic
from tests.linux.sandbox import Ended, until

pytestmark = [pytest.mark.mounts, pytest.mark.root]


def test_a_week_of_nights_archives_compares_checks_and_forgets_by_the_policy(backups: Backups) -> None:
    # Nights of the past, as restic dates them: only the policy decides which of them stay.
    for days in range(20, 2, -2):
        backups.archive_at(-days)
    nights = [one["time"] for one in backups.snapshots()]
    assert len(nights) == 9

    done = backups.night("--keep-within=1d", "--keep-last=3")

    assert done.status == 0, done.stderr
    assert done.events() == [
        "volume.ok", "backup.archived", "backup.compared", "backup.checked", "backup.forgotten",
    ]  # fmt: skip
    assert done.last["forgotten"] == 7
    kept = [one["time"] for one in backups.snapshots()]
    assert (len(kept), kept[:2]) == (3, nights[-2:])
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


#: What a volume that was reset has in the place of its data: as many files, under other names.
DEFAULTS = (
    "for n in $(seq 140); do mkdir -p {path}/default-$((n % 3)); echo default > {path}/default-$((n % 3))/$n; done"
)


@pytest.mark.parametrize("reset", ["", DEFAULTS], ids=["emptied", "reset-to-defaults"])
def test_a_loss_between_gate_and_archive_is_no_good_snapshot_evicts_none_and_is_not_restored_by_itself(
    reset: str, backups: Backups
) -> None:
    assert backups.night().status == 0
    volume = backups.sandbox.path
    wiping = restic_after(backups, "backup", f"rm -rf {volume}/acme {volume}/beta; {reset.format(path=volume)}")

    raced = backups.night("--keep-within=1h", "--keep-last=1", PATH=wiping)

    assert (raced.status, raced.last["result"]) == (56, "snapshot-wiped")
    assert "what to do:" in raced.termination
    assert "backup.forgotten" not in raced.events()
    assert backups.tags() == ["good", "wiped", "wiped"]
    good, _, wiped = (one["short_id"] for one in backups.snapshots())
    assert f"snapshot {wiped} lost the data (compared with the last good one, {good} of" in raced.last["message"]
    lost = next(line for line in raced.lines if line["event"] == "backup.wiped")
    assert (lost["known_lost"], lost["known"], lost["before"]) == (120, 120, 120)
    assert lost["replaced"] is bool(reset)
    assert set(lost["entries"]) == {"acme", "beta"}

    restored = backups.module("restore")
    assert restored.status == 0, restored.stderr
    assert f"restored from snapshot {good}" in restored.termination
    assert backups.sandbox.sh("cat $P/acme/pdf/7") == "acme/pdf 7\n"


def test_a_loss_that_was_meant_is_accepted_by_a_tag_and_is_what_the_next_night_is_compared_with(
    backups: Backups,
) -> None:
    assert backups.night().status == 0
    volume = backups.sandbox.path
    raced = backups.night(PATH=restic_after(backups, "backup", f"mkdir -p {volume}/new; touch {volume}/new/1; rm -rf {volume}/acme {volume}/beta"))  # fmt: skip
    assert raced.status == 56
    # Whoever accepts it on the volume has not accepted it for the backups.
    assert backups.sandbox.guard("accept").status == 0
    assert backups.night().status == 56
    backups.restic("tag", "-q", "--set=good", "latest")

    accepted = backups.night()

    assert accepted.status == 0, accepted.stderr
    assert backups.tags() == ["good", *["wiped"] * 3, "good", "good"]


def test_a_loss_on_the_first_night_is_no_good_snapshot(backups: Backups) -> None:
    volume = backups.sandbox.path
    wiping = restic_after(backups, "backup", f"rm -rf {volume}/acme {volume}/beta")
    raced = backups.night(PATH=wiping)
    assert (raced.status, raced.last["result"]) == (56, "snapshot-wiped")
    assert "120 files before, 0 now" in raced.last["message"]
    assert backups.tags() == ["wiped", "wiped"]


def test_what_was_moved_or_copied_with_its_times_is_not_lost(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("mv $P/acme $P/gamma; cp -a $P/beta $P/delta; rm -rf $P/beta")
    assert backups.sandbox.guard("accept").status == 0
    moved = backups.night()
    assert moved.status == 0, moved.stderr
    assert backups.tags() == ["good", "good"]


def test_what_is_ignored_is_archived_and_is_no_data(backups: Backups) -> None:
    ignoring = {"GUARD_IGNORE": "cache/**"}
    backups.sandbox.sh("mkdir $P/cache; touch $P/cache/$(seq -s ' '$P/cache/ 300)")
    assert backups.night(**ignoring).status == 0
    assert f"{backups.sandbox.path}/cache/7" in backups.restic("ls", "latest").split()
    volume = backups.sandbox.path
    gone = backups.night(PATH=restic_after(backups, "backup", f"rm -rf {volume}/acme {volume}/beta"), **ignoring)
    assert gone.status == 56
    (good, _, _) = backups.snapshots()
    backups.sandbox.sh("rm -rf $P/cache")
    assert f"restored from snapshot {good['short_id']}" in backups.module("restore", **ignoring).termination
    backups.sandbox.sh("rm -rf $P/cache")
    kept = backups.night(**ignoring)
    assert kept.status == 0, kept.stderr
    compared = next(line for line in kept.lines if line["event"] == "backup.compared")
    assert "kept the data" in compared["message"]


def test_a_part_that_was_lost_is_reported_and_the_night_is_good(backups: Backups) -> None:
    assert backups.night().status == 0
    volume = backups.sandbox.path
    shrunk = backups.night(PATH=restic_after(backups, "backup", f"rm -rf {volume}/acme"))
    assert (shrunk.status, backups.tags()) == (0, ["good", "good"])
    compared = next(line for line in shrunk.lines if line["event"] == "backup.compared")
    assert (compared["severity"], compared["entries"]) == ("WARNING", {"acme": [80, 0]})


def test_a_volume_of_links_alone_is_not_an_empty_one(backups: Backups) -> None:
    backups.sandbox.sh("rm -rf $P/*; ln -s /elsewhere $P/link")
    assert backups.sandbox.guard("accept").status == 0
    night = backups.night()
    assert night.status == 0, night.stderr


@pytest.mark.parametrize("written", ["{work}/link", "{work}/above/skills", "{path}/"], ids=["link", "above", "slash"])
def test_a_path_is_archived_compared_forgotten_and_restored_as_what_it_leads_to(written: str, backups: Backups) -> None:
    backups.sandbox.sh("ln -s $P $W/link; ln -s $W/app $W/above")
    path = written.format(work=backups.sandbox.work, path=backups.sandbox.path)
    backups.archive_at(-3)
    night = backups.night("--keep-within=1h", "--keep-last=1", GUARD_PATH=path)
    assert (night.status, night.last["forgotten"]) == (0, 1), night.stderr
    assert f"{backups.sandbox.path}/acme/pdf/7" in backups.restic("ls", "latest").split()

    backups.sandbox.sh("rm -rf $P/acme $P/beta")
    restored = backups.module("restore", GUARD_PATH=path)
    assert restored.status == 0, restored.stderr
    assert backups.files() == 120
    assert backups.sandbox.sh("readlink $W/link").strip() == backups.sandbox.path


def test_an_update_that_takes_all_away_for_a_moment_is_archived_again_and_is_no_alarm(backups: Backups) -> None:
    assert backups.night().status == 0
    volume, aside = backups.sandbox.path, f"{backups.sandbox.work}/aside"
    once = restic_after(
        backups, "backup", f"[ -e {aside} ] || {{ mkdir {aside}; mv {volume}/acme {volume}/beta {aside}; }}"
    )
    run = backups.background(*MODULE, "archive", "--settle=20s", PATH=once)
    until(lambda: len(backups.snapshots()) == 2 and backups.tags()[1] == "wiped", 30)
    backups.sandbox.sh("mv $W/aside/* $P")

    assert run.wait(60) == 0

    assert backups.tags() == ["good", "wiped", "good"]


def test_a_gate_that_is_told_to_let_everything_pass_is_no_gate_for_a_backup(backups: Backups) -> None:
    backups.sandbox.sh("rm -rf $P/acme $P/beta")
    refused = backups.night(GUARD_ENFORCE="false")
    assert (refused.status, refused.last["result"]) == (2, "usage")
    assert backups.snapshots() == []


def test_whatever_stood_before_it_the_program_archives_nothing_of_a_volume_that_the_gate_refuses(
    backups: Backups,
) -> None:
    assert backups.night().status == 0
    before = backups.snapshots()
    backups.sandbox.sh("rm -rf $P/acme $P/beta")

    waived = backups.sandbox.guard("check", "--enforce=false", *ARCHIVE[1:])
    alone = backups.module("archive")

    for refused in (waived, alone):
        assert (refused.status, refused.last["outcome"]) == (30, "data-lost")
        assert refused.termination.startswith("volume-guard refused this start (exit 30, data-lost)")
    assert backups.snapshots() == before


def test_a_gate_that_a_flag_sent_to_another_path_is_no_gate_for_a_backup(backups: Backups) -> None:
    backups.sandbox.sh("umount $P; mkdir $W/mounted; mount -o loop $W/disk $W/mounted")
    refused = backups.sandbox.guard("check", f"--path={backups.sandbox.work}/mounted", *ARCHIVE[1:])
    backups.sandbox.sh("umount $W/mounted; mount -o loop $W/disk $P")
    assert (refused.status, refused.last["outcome"]) == (10, "not-mounted")
    assert backups.snapshots() == []


@pytest.mark.parametrize(
    "flags", [("--keep-within=30s",), ("--keep-last=0",), ("--settle=x",), ("--keep=1",), ("--read-parts=257",)]
)
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
    made = backups.module("init")
    assert (made.status, made.last["message"]) == (0, "The repository is made.")
    assert backups.night().status == 0


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
    partial = unprivileged_night(backups)
    assert (partial.status, partial.last["result"]) == (55, "archive-incomplete")
    assert "xlsx/7" in partial.last["message"]
    assert "is tagged incomplete" in partial.last["message"]
    assert "backup.forgotten" not in partial.events()


def unprivileged_night(backups: Backups) -> Ended:
    """Root without its capabilities, as in the pod: it reads what its mode allows."""
    words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *backups.sandbox.command(*ARCHIVE)]
    return backups.sandbox.run(words)


def test_however_often_files_cannot_be_read_a_restore_takes_the_last_good_snapshot(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("chmod 0000 $P/acme")
    for _ in range(5):
        assert unprivileged_night(backups).status == 55
    assert backups.tags() == ["good"] + ["incomplete"] * 5

    # The drill restores the last good one too.
    backups.sandbox.sh("rm -rf $W/scratch/*")
    drilled = backups.module("drill", f"--into={backups.sandbox.work}/scratch")
    assert (drilled.status, drilled.last["files"]) == (0, 120), drilled.stderr
    backups.sandbox.sh("rm -rf $P/*")
    restored = backups.module("restore")
    assert restored.status == 0, restored.stderr
    assert backups.files() == 120


def test_an_incomplete_snapshot_that_cannot_be_tagged_is_said_with_the_line_that_tags_it(backups: Backups) -> None:
    backups.sandbox.sh("chmod 0000 $P/beta/xlsx/7")
    killed_pod(backups)
    partial = unprivileged_night(backups)
    assert partial.status == 55
    (short,) = (one["short_id"] for one in backups.snapshots())
    assert f"restic tag --set incomplete {short}" in partial.last["message"]


def test_a_lock_that_a_killed_pod_left_postpones_only_the_tag_and_the_forgetting(backups: Backups) -> None:
    killed_pod(backups)
    done = backups.night()
    assert done.status == 0, done.stderr
    assert [event for event in done.events() if event != "backup.engine"] == [
        "volume.ok", "backup.archived", "backup.compared", "backup.checked", "backup.postponed",
    ]  # fmt: skip
    # Nobody has tagged it: it is judged by whoever needs the last good one.
    assert backups.tags() == [""]
    assert backups.module("restore", "--over-data").status == 0


def test_a_snapshot_that_no_run_has_judged_is_judged_by_the_next_one(backups: Backups) -> None:
    assert backups.night().status == 0
    volume = backups.sandbox.path
    backups.restic("backup", "-q", "--host=skills", "--exclude=$P/acme", "--exclude=$P/beta", "$P")
    raced = backups.night(PATH=restic_after(backups, "backup", f"rm -rf {volume}/acme {volume}/beta"))
    assert (raced.status, backups.tags()) == (56, ["good", "", "wiped", "wiped"])


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
