"""The watcher on real mounts: every loss is said, with its event, severity and fields, and as one incident."""

import json
import shutil

import pytest

from tests.linux.sandbox import Sandbox
from tests.linux.watching import OPERATION, armed, wait_until, watching

pytestmark = [pytest.mark.mounts, pytest.mark.usefixtures("watcher_uid")]

RESTORE = "cp -a $W/copy/. $P"
#: A look that is under way keeps the mount busy for a moment.
UNMOUNT = "until umount $P 2>/dev/null; do sleep 0.05; done"


@pytest.fixture
def volume_of_ten(adopted: Sandbox) -> Sandbox:
    """An adopted volume of ten files, with a copy of all of it beside it."""
    adopted.sh("cp -a $P $W/copy")
    return adopted


@pytest.mark.parametrize(
    "wipe",
    [
        "rm -rf $P/*",
        "find $P -mindepth 1 -not -path '*/.volume-guard*' -delete",
        "mkdir $W/empty; rsync -a --delete --exclude .volume-guard $W/empty/ $P/",
        "mv $P/tenant $W/elsewhere",
        "for file in $P/*/*/*; do rm $file; sleep 0.4; done",
    ],
    ids=["rm", "find", "rsync", "moved-away", "one-by-one"],
)
def test_everything_removed_is_a_wipe_until_it_is_restored(volume_of_ten: Sandbox, wipe: str) -> None:
    if "rsync" in wipe and not shutil.which("rsync"):
        pytest.skip("rsync is not installed")
    with armed(volume_of_ten, GUARD_SETTLE="2s") as watcher:
        volume_of_ten.sh(wipe)
        wiped = watcher.wait_for("volume.wiped")
        assert wiped["severity"] == "CRITICAL"
        assert (wiped["before"], wiped["after"], wiped["lost_files"]) == (10, 0, 10)
        assert wiped["entries"] == {"tenant/docx": [6, 0], "tenant/pdf": [4, 0]}
        assert wiped["first_sign"] < wiped["settled"] <= wiped["time"]
        assert wiped["tripwire"] in {"events", "look"}
        volume_of_ten.sh(RESTORE)
        recovered = watcher.wait_for("volume.recovered")
        assert recovered["severity"] == "NOTICE"
        assert recovered["lasted_seconds"] > 0
        assert recovered[OPERATION]["id"] == wiped[OPERATION]["id"]
        assert recovered[OPERATION]["last"]
        assert watcher.events.count("volume.wiped") == 1


def test_a_wipe_that_takes_the_marker_too_is_one_incident_and_never_writes_one(volume_of_ten: Sandbox) -> None:
    with armed(volume_of_ten) as watcher:
        volume_of_ten.sh("find $P -mindepth 1 -delete")
        missing = watcher.wait_for("marker.missing")
        wiped = watcher.wait_for("volume.wiped")
        assert missing["severity"] == "ERROR"
        assert missing[OPERATION]["id"] == wiped[OPERATION]["id"]
        assert sorted([missing[OPERATION]["first"], wiped[OPERATION]["first"]]) == [False, True]
        assert watcher.stop() == 0
    assert volume_of_ten.sh("ls -A $P") == ""


def test_all_files_truncated_is_a_wipe(volume_of_ten: Sandbox) -> None:
    volume_of_ten.sh("for file in $P/*/*/*; do head -c 20000 /dev/zero >$file; done")
    volume_of_ten.guard("accept")
    with armed(volume_of_ten) as watcher:
        volume_of_ten.sh("for file in $P/*/*/*; do : >$file; done")
        wiped = watcher.wait_for("volume.wiped")
        assert (wiped["before"], wiped["after"], wiped["lost_files"]) == (10, 10, 10)
        volume_of_ten.sh("for file in $P/*/*/*; do head -c 20000 /dev/zero >$file; done")
        watcher.wait_for("volume.recovered")


def test_meant_deletions_never_add_up_also_across_restarts(volume_of_ten: Sandbox) -> None:
    with armed(volume_of_ten) as watcher:
        volume_of_ten.sh("rm $P/tenant/docx/[1-5]")
        shrunk = watcher.wait_for("volume.shrunk")
        assert shrunk["severity"] == "WARNING"
        assert shrunk["entries"] == {"tenant/docx": [6, 1]}
        assert watcher.stop() == 0
    with armed(volume_of_ten) as watcher:
        volume_of_ten.sh("rm $P/tenant/pdf/*")
        shrunk = watcher.wait_for("volume.shrunk")
        assert (shrunk["before"], shrunk["after"]) == (5, 1)
        volume_of_ten.sh("rm -rf $P/tenant")
        assert watcher.wait_for("volume.wiped")["before"] == 1


def test_a_reset_to_defaults_is_a_wipe_that_other_files_do_not_end(volume_of_ten: Sandbox) -> None:
    with armed(volume_of_ten) as watcher:
        volume_of_ten.sh(
            "rm -rf $P/tenant; mkdir -p $P/lib $P/core; cd $P/lib; touch 1 2 3 4 5 6; cd $P/core; touch 1 2 3 4"
        )
        assert watcher.wait_for("volume.wiped")["replaced"]
        watcher.listen_for(3)
        assert watcher.events == ["watch.started", "volume.wiped"]
        assert watcher.stop() == 0
    assert volume_of_ten.guard("check").status == 30
    with watching(volume_of_ten) as watcher:
        watcher.wait_for("volume.wiped")
        assert watcher.events == ["watch.started", "volume.wiped"]


def test_a_watcher_that_starts_below_the_reference_starts_in_that_incident(volume_of_ten: Sandbox) -> None:
    volume_of_ten.sh("rm -rf $P/tenant")
    with watching(volume_of_ten) as watcher:
        wiped = watcher.wait_for("volume.wiped")
        assert watcher.events == ["watch.started", "volume.wiped"]
        assert wiped["tripwire"] == "start"
        volume_of_ten.sh(RESTORE)
        watcher.wait_for("volume.recovered")


@pytest.mark.parametrize(
    ("change", "event", "severity"),
    [
        ("rm $P/.volume-guard/marker.json", "marker.missing", "ERROR"),
        ("sed -i s/skills/other/ $P/.volume-guard/marker.json", "marker.changed", "ERROR"),
        ("echo '{' >$P/.volume-guard/marker.json", "marker.invalid", "ERROR"),
    ],
)
def test_a_marker_that_is_gone_or_another_is_said_and_its_return_too(
    volume_of_ten: Sandbox, change: str, event: str, severity: str
) -> None:
    with armed(volume_of_ten) as watcher:
        volume_of_ten.sh(change)
        said = watcher.wait_for(event)
        assert said["severity"] == severity
        volume_of_ten.sh("cp $W/copy/.volume-guard/marker.json $P/.volume-guard/")
        recovered = watcher.wait_for("volume.recovered")
        assert recovered[OPERATION]["id"] == said[OPERATION]["id"]
        assert watcher.events == ["watch.started", event, "volume.recovered"]


@pytest.mark.root
@pytest.mark.parametrize("unmount", [UNMOUNT, "umount --lazy $P"], ids=["umount", "lazy"])
def test_an_unmount_is_said_at_once_and_the_same_disk_mounted_again_is_recovery(
    adopted_disk: Sandbox, unmount: str
) -> None:
    adopted_disk.sh("mount -o loop $W/disk $P")
    adopted_disk.give_volume()
    with armed(adopted_disk, GUARD_INTERVAL="60s") as watcher:
        adopted_disk.sh(unmount)
        unmounted = watcher.wait_for("volume.unmounted", 2)
        assert unmounted["severity"] == "CRITICAL"
        assert "is a plain directory of" in unmounted["found"]
        adopted_disk.sh("mount -o loop $W/disk $P")
        recovered = watcher.wait_for("volume.recovered", 2)
        assert recovered[OPERATION]["id"] == unmounted[OPERATION]["id"]
        watcher.listen_for(3)
        assert watcher.events == ["watch.started", "volume.unmounted", "volume.recovered"]


def test_another_mount_on_top_is_another_volume_until_it_is_gone(volume_of_ten: Sandbox) -> None:
    with armed(volume_of_ten, GUARD_INTERVAL="60s") as watcher:
        volume_of_ten.sh("mount -t tmpfs other $P")
        replaced = watcher.wait_for("volume.replaced", 2)
        assert replaced["severity"] == "CRITICAL"
        volume_of_ten.sh(UNMOUNT)
        recovered = watcher.wait_for("volume.recovered", 2)
        assert recovered[OPERATION]["id"] == replaced[OPERATION]["id"]
        watcher.listen_for(3)
        assert watcher.events == ["watch.started", "volume.replaced", "volume.recovered"]


def test_a_mount_on_top_of_a_parent_hides_the_volume(volume_of_ten: Sandbox) -> None:
    with armed(volume_of_ten, GUARD_INTERVAL="60s") as watcher:
        volume_of_ten.sh("mount -t tmpfs other $W/app")
        watcher.wait_for("volume.unmounted", 2)
        volume_of_ten.sh("umount $W/app")
        watcher.wait_for("volume.recovered", 2)


def test_files_below_mounts_on_top_of_folders_are_hidden_and_not_lost(volume_of_ten: Sandbox) -> None:
    with armed(volume_of_ten) as watcher:
        volume_of_ten.sh("mount -t tmpfs other $P/tenant/pdf; mount -t tmpfs other $P/tenant/docx")
        wait_until(
            lambda: watcher.read(0.1) and any("tenant/docx" in line.get("hidden_by", ()) for line in watcher.lines)
        )
        watcher.listen_for(3)
        assert set(watcher.events) == {"watch.started", "watch.blind"}
        volume_of_ten.sh("umount $P/tenant/pdf; umount $P/tenant/docx; rm -rf $P/tenant")
        watcher.wait_for("volume.wiped")


@pytest.mark.root
@pytest.mark.parametrize("mkfs", ["mkfs.ext4 -q", "mkfs.xfs -q -f"])
def test_a_new_file_system_in_its_place_is_another_volume(adopted_disk: Sandbox, mkfs: str, xfs_image: str) -> None:
    if "xfs" in mkfs:
        adopted_disk.sh("cp $IMAGE $W/disk", IMAGE=xfs_image)
        adopted_disk.sh("mount -o loop $W/disk $P; mkdir $P/skill; touch $P/skill/1")
        assert adopted_disk.guard("adopt").status == 0
    else:
        adopted_disk.sh("mount -o loop $W/disk $P")
    adopted_disk.give_volume()
    with armed(adopted_disk) as watcher:
        adopted_disk.sh(f"{UNMOUNT}; {mkfs} $W/disk; mount -o loop $W/disk $P")
        watcher.wait_for("volume.replaced")
        watcher.listen_for(3)
        assert "volume.recovered" not in watcher.events
        assert watcher.stop() == 0
    assert adopted_disk.sh("ls -A $P").split() in (["lost+found"], [])


@pytest.mark.root
def test_the_disk_of_another_volume_in_its_place_is_another_volume(adopted_disk: Sandbox, ext4_image: str) -> None:
    adopted_disk.sh("mount -o loop $W/disk $P")
    adopted_disk.give_volume()
    with armed(adopted_disk) as watcher:
        adopted_disk.sh("cp $IMAGE $W/other; mount -o loop $W/other $P", IMAGE=ext4_image)
        assert adopted_disk.guard("adopt", GUARD_VOLUME="others").status == 0
        assert watcher.wait_for("volume.replaced")["severity"] == "CRITICAL"


@pytest.mark.root
def test_a_clone_that_is_accepted_and_a_new_file_system_that_is_adopted_are_the_volume_from_then_on(
    adopted_disk: Sandbox,
) -> None:
    adopted_disk.sh("cp $W/disk $W/clone; e2fsck -fp $W/clone; tune2fs -U random $W/clone; mount -o loop $W/disk $P")
    adopted_disk.give_volume()
    with armed(adopted_disk) as watcher:
        adopted_disk.sh(f"{UNMOUNT}; mount -o loop $W/clone $P")
        adopted_disk.give_volume()
        replaced = watcher.wait_for("volume.replaced")
        assert "guard accept" in replaced["remedy"]
        watcher.listen_for(3)
        assert watcher.events[-1] == "volume.replaced"
        assert adopted_disk.guard("accept").status == 0
        accepted = watcher.wait_for("volume.accepted")
        assert accepted[OPERATION]["id"] == replaced[OPERATION]["id"]
        assert accepted[OPERATION]["last"]
        wait_until(lambda: watcher.shows("tripwire_armed", 1) and watcher.shows("volume_healthy", 1))
        adopted_disk.sh("rm -rf $P/tenant")
        assert watcher.wait_for("volume.wiped")["severity"] == "CRITICAL"

        seen = len(watcher.lines)
        adopted_disk.sh(f"{UNMOUNT}; mkfs.ext4 -q $W/disk; mount -o loop $W/disk $P")
        watcher.wait_for("volume.replaced", after=seen)
        assert adopted_disk.guard("adopt").status == 0
        adopted_disk.give_volume()
        watcher.wait_for("volume.accepted", after=seen)
        adopted_disk.sh("mkdir $P/tenant; cd $P/tenant; seq 20 | xargs touch")
        assert adopted_disk.guard("accept").status == 0
        wait_until(lambda: watcher.shows("reference_files", 20))
        seen = len(watcher.lines)
        adopted_disk.sh("rm -rf $P/tenant")
        assert watcher.wait_for("volume.wiped", after=seen)["before"] == 20


def test_the_root_renamed_with_its_parent_is_unmounted(volume_of_ten: Sandbox) -> None:
    with armed(volume_of_ten) as watcher:
        volume_of_ten.sh("mv $W/app $W/moved")
        assert "no such path" in watcher.wait_for("volume.unmounted")["found"]
        volume_of_ten.sh("mv $W/moved $W/app")
        watcher.wait_for("volume.recovered")


def test_the_root_of_a_sub_path_removed_from_outside_is_unmounted(volume_of_ten: Sandbox) -> None:
    volume_of_ten.sh("mkdir $W/whole; mount -t tmpfs whole $W/whole; cp -a $P $W/whole/sub; umount $P")
    volume_of_ten.sh("mount --bind $W/whole/sub $P")
    with armed(volume_of_ten) as watcher:
        volume_of_ten.sh("rm -rf $W/whole/sub")
        assert "deleted on the node" in watcher.wait_for("volume.unmounted")["found"]


@pytest.mark.parametrize(
    ("off", "on", "tells"),
    [
        ("mount -o remount,bind,ro $P", "mount -o remount,bind,rw $P", "the mount is read-only"),
        ("mount -o remount,ro $P", "mount -o remount,rw $P", "read-only"),
    ],
    ids=["the-mount", "the-file-system"],
)
def test_a_volume_that_turns_read_only_is_said_at_once_and_its_return_too(
    volume_of_ten: Sandbox, off: str, on: str, tells: str
) -> None:
    with armed(volume_of_ten, GUARD_INTERVAL="60s") as watcher:
        volume_of_ten.sh(off)
        said = watcher.wait_for("volume.read-only", 2)
        assert said["severity"] == "CRITICAL"
        assert tells in said["found"]
        volume_of_ten.sh(on)
        watcher.wait_for("volume.recovered", 2)


@pytest.mark.root
def test_a_file_system_that_turned_itself_off_for_writing_is_read_only(adopted_disk: Sandbox) -> None:
    adopted_disk.sh("mount -o loop,errors=remount-ro $W/disk $P")
    adopted_disk.give_volume()
    device = adopted_disk.sh("findmnt -n -o SOURCE $P").strip().removeprefix("/dev/")
    with armed(adopted_disk) as watcher:
        try:
            adopted_disk.sh(f"echo 1 >/sys/fs/ext4/{device}/trigger_fs_error")
        except AssertionError:
            pytest.skip("this kernel has no trigger_fs_error")
        watcher.wait_for("volume.read-only")


def test_many_watchers_of_a_volume_give_an_incident_the_same_id(volume_of_ten: Sandbox) -> None:
    with armed(volume_of_ten, GUARD_POD="one") as one, armed(volume_of_ten, GUARD_POD="two") as two:
        for _ in range(2):
            before = len(one.lines), len(two.lines)
            volume_of_ten.sh("rm -rf $P/tenant")
            wiped = [watcher.wait_for("volume.wiped", after=at) for watcher, at in zip((one, two), before, strict=True)]
            assert wiped[0][OPERATION]["id"] == wiped[1][OPERATION]["id"]
            assert {line["pod"] for line in wiped} == {"one", "two"}
            volume_of_ten.sh(RESTORE)
            for watcher, at in zip((one, two), before, strict=True):
                watcher.wait_for("volume.recovered", after=at)
        ids = [line[OPERATION]["id"] for line in one.lines if line["event"] == "volume.wiped"]
        assert len(set(ids)) == 2, "each incident has an ID of its own"


def test_accepting_what_is_there_ends_the_incident(volume_of_ten: Sandbox) -> None:
    with armed(volume_of_ten) as watcher:
        volume_of_ten.sh("rm -rf $P/tenant")
        wiped = watcher.wait_for("volume.wiped")
        assert volume_of_ten.guard("accept").status == 0
        accepted = watcher.wait_for("volume.accepted")
        assert accepted["severity"] == "NOTICE"
        assert accepted[OPERATION]["id"] == wiped[OPERATION]["id"]
        assert accepted[OPERATION]["last"]
        watcher.listen_for(3)
        assert "volume.recovered" not in watcher.events
        assert watcher.stop() == 0
        started, *_, stopped = watcher.lines
        assert started[OPERATION] == {**stopped[OPERATION], "first": True, "last": False}
        assert (stopped[OPERATION]["first"], stopped[OPERATION]["last"]) == (False, True)
    ledger = json.loads(volume_of_ten.sh("cat $P/.volume-guard/ledger.json"))
    assert (ledger["generation"], ledger["reference"]["files"]) == (2, 0)
