"""Restores with real restic: the gate passes with the numbers of before, or says held."""

import os
import signal

import pytest

from tests.linux.backups import MODULE, Backups, slow_restic
from tests.linux.sandbox import until

pytestmark = [pytest.mark.mounts, pytest.mark.root]


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
    ("damage", "repair", "status"),
    [("umount $P", "mount -o loop $W/disk $P", 10), ("mount -o remount,ro $P", "mount -o remount,rw $P", 14)],
    ids=["not-mounted", "read-only"],
)
def test_a_target_that_is_not_the_volume_keeps_the_gate_s_status_and_is_not_written_on(
    damage: str, repair: str, status: int, backups: Backups
) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh(damage)
    refused = backups.module("restore")
    backups.sandbox.sh(repair)
    assert refused.status == status
    assert "backup.restored" not in refused.events()


def test_another_volume_s_marker_stops_the_restore(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh('sed -i \'s/"skills"/"other"/\' $P/.volume-guard/marker.json')
    refused = backups.module("restore")
    assert (refused.status, refused.last["outcome"]) == (21, "marker-mismatch")
    assert refused.termination.startswith("volume-guard refused this start (exit 21, marker-mismatch)")


def test_a_hold_that_no_restore_has_set_does_not_open_a_volume_that_has_its_data(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("echo newer > $P/acme/pdf/7")
    assert backups.sandbox.guard("hold", "moved to claude-skills-storage-2").status == 0

    refused = backups.module("restore")

    assert (refused.status, refused.last["result"]) == (60, "volume-whole")
    assert backups.sandbox.sh("cat $P/acme/pdf/7") == "newer\n"
    assert backups.sandbox.guard("check").last["hold_reason"] == "moved to claude-skills-storage-2"
    assert backups.module("restore", "--over-data").status == 0
    assert backups.sandbox.sh("cat $P/acme/pdf/7") == "acme/pdf 7\n"
    assert backups.sandbox.guard("check").status == 0


def test_a_hold_that_cannot_be_read_does_not_open_a_volume_that_has_its_data(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("echo '{' > $P/.volume-guard/hold.json; echo newer > $P/acme/pdf/7")
    assert backups.module("restore").status == 60
    assert backups.sandbox.sh("cat $P/acme/pdf/7") == "newer\n"


def test_a_held_unmarked_volume_with_files_on_it_is_not_written_on(backups: Backups) -> None:
    assert backups.night().status == 0
    backups.sandbox.sh("umount $P; mkfs.ext4 -q -F $W/disk; mount -o loop $W/disk $P; touch $P/someone-s-thesis")
    assert backups.sandbox.guard("hold", "copying").status == 0
    refused = backups.module("restore")
    assert refused.status == 20
    assert "may be another disk" in refused.last["message"]
    assert backups.sandbox.sh("ls -A $P $P/.volume-guard").count("marker.json") == 0
    assert backups.sandbox.guard("check").last["hold_reason"] == "copying"


@pytest.mark.parametrize("target", ["wiped", "new"])
def test_a_lost_or_empty_volume_that_a_person_holds_is_restored_and_released_even_if_stopped_on_the_way(
    target: str, backups: Backups
) -> None:
    backups.sandbox.sh("head -c 5M /dev/urandom > $P/acme/large")
    assert backups.sandbox.guard("accept").status == 0
    assert backups.night().status == 0
    if target == "wiped":
        backups.sandbox.sh("rm -rf $P/*")
    else:
        backups.sandbox.sh("umount $P; mkfs.ext4 -q -F $W/disk; mount -o loop $W/disk $P")
    assert backups.sandbox.guard("hold", "I am restoring this").status == 0
    slow = slow_restic(backups, "restore", "--limit-download=500")
    run = backups.background(*MODULE, "restore", PATH=slow)
    # So much that it would pass for a volume that has its data.
    until(lambda: backups.files() > 60, 30)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(30)
    held = backups.sandbox.guard("check")
    assert held.status == 23
    assert held.last["hold_reason"].startswith("restore of snapshot")

    again = backups.module("restore")

    assert again.status == 0, again.stderr
    passed = backups.sandbox.guard("check")
    assert (passed.status, passed.last["files"]) == (0, 121)


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

    with open(backups.sandbox.termination_log, encoding="utf-8") as said:
        assert "is under way; the volume is held until it has run to its end" in said.read()
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
