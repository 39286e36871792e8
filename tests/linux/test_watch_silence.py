"""The watcher never cries wolf: ordinary life on a volume, told by nothing but what is true."""

import pytest

from tests.linux.sandbox import Sandbox
from tests.linux.watching import armed, watching

pytestmark = [pytest.mark.mounts, pytest.mark.usefixtures("watcher_uid")]

#: Longer than an interval and settling, so that what would be said is said.
LATER = 4.0


@pytest.fixture
def application(adopted: Sandbox) -> Sandbox:
    """An adopted volume of ten files in two skills, and a new version of each of them beside it."""
    adopted.sh("cp -a $P/tenant $W/new; for file in $W/new/*/*; do echo new >$file; done")
    return adopted


@pytest.mark.parametrize(
    "life",
    [
        "for i in $(seq 20); do rm -rf $P/tenant/pdf; cp -a $W/new/pdf $P/tenant/; sleep 0.1; done",
        "for i in $(seq 5); do rm -rf $P/tenant; cp -a $W/new $P/tenant; sleep 0.3; done",
        "cd $W/new; rm -rf $P/tenant; for f in */*; do mkdir -p $P/tenant/${f%/*}; cp $f $P/tenant/$f; sleep 0.5; done",
        "for s in pdf docx; do rm -rf $P/tenant/$s; sleep 0.6; cp -a $W/new/$s $P/tenant/$s; sleep 0.6; done",
        "for i in $(seq 300); do echo $i >$P/tenant/pdf/.1.tmp; mv $P/tenant/pdf/.1.tmp $P/tenant/pdf/1; done",
        "for i in $(seq 300); do cat $P/tenant/*/* >/dev/null; done",
        "mkdir $P/more; for i in $(seq 300); do echo $i >$P/more/$i; done",
        "for i in $(seq 5); do mkdir -p $P/tmp/a/b; for j in $(seq 200); do echo $j >$P/tmp/a/b/$j; done; rm -rf $P/tmp; done",
        "for i in $(seq 100); do echo $i >>$P/db-journal; echo $i >>$P/db; rm $P/db-journal; done",
        "for i in $(seq 20); do head -c 100000 /dev/zero >$P/log; mv $P/log $P/log.1; : >$P/log; done",
        "mkdir $P/lost+found; touch $P/lost+found/found; rm -rf $P/lost+found",
        "touch $P/.volume-guard/.x.tmp; rm $P/.volume-guard/.x.tmp",
    ],
    ids=[
        "one-skill-updated", "all-updated", "all-updated-slowly", "skill-by-skill", "atomic-rewrites", "reading", "growth",
        "temporary-trees", "database", "logs", "lost+found", "guard-folder",
    ],
)  # fmt: skip
def test_nothing_is_said_of_ordinary_life(application: Sandbox, life: str) -> None:
    with armed(application) as watcher:
        application.sh(life)
        watcher.listen_for(LATER)
        assert watcher.events == ["watch.started"], watcher.lines
        assert watcher.stop() == 0


def test_one_of_two_skills_deleted_is_shrunk_and_no_more(application: Sandbox) -> None:
    with armed(application) as watcher:
        application.sh("rm -rf $P/tenant/docx")
        shrunk = watcher.wait_for("volume.shrunk")
        assert (shrunk["before"], shrunk["after"], shrunk["entries"]) == (10, 4, {"tenant/docx": [6, 0]})
        watcher.listen_for(LATER)
        assert watcher.events == ["watch.started", "volume.shrunk"]


def test_a_full_disk_is_reported_once_and_no_loss(application: Sandbox) -> None:
    application.sh("mount -o remount,size=1m $P")
    with armed(application) as watcher:
        application.sh("dd if=/dev/zero of=$P/large bs=64k 2>/dev/null || true; rm $P/tenant/pdf/1")
        watcher.listen_for(LATER)
        assert watcher.stop() == 0
        assert [line["event"] for line in watcher.alarms()] == ["volume.full"]


@pytest.mark.root
def test_an_expansion_of_the_volume_is_ordinary_life(sandbox: Sandbox, xfs_image: str) -> None:
    sandbox.sh("cp $IMAGE $W/disk; mount -o loop $W/disk $P; mkdir $P/skill; touch $P/skill/1", IMAGE=xfs_image)
    assert sandbox.guard("adopt").status == 0
    sandbox.give_volume()
    with armed(sandbox) as watcher:
        sandbox.sh("device=$(findmnt -n -o SOURCE $P); truncate -s 400M $W/disk; losetup -c $device; xfs_growfs $P")
        watcher.listen_for(LATER)
        assert watcher.events == ["watch.started"]


def test_the_watchers_own_writes_wake_nothing(application: Sandbox) -> None:
    with armed(application) as watcher:
        for _ in range(3):
            assert application.guard("hold", "a test").status == 0
            assert application.guard("release").status == 0
        watcher.listen_for(LATER)
        assert {line["severity"] for line in watcher.lines} == {"INFO"}


def test_a_mount_elsewhere_is_not_looked_at(application: Sandbox) -> None:
    with armed(application, GUARD_INTERVAL="60s") as watcher:
        before = _switches(watcher.process.pid)
        for _ in range(20):
            application.sh("mkdir -p $W/elsewhere; mount -t tmpfs other $W/elsewhere; umount $W/elsewhere")
        watcher.listen_for(1)
        assert watcher.events == ["watch.started"]
        assert _switches(watcher.process.pid) > before, "it was woken, and went back to sleep"


def _switches(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return sum(int(line.split()[1]) for line in status if line.startswith("voluntary_ctxt_switches"))


def test_a_watcher_whose_wall_clock_is_wrong_is_not_misled(application: Sandbox) -> None:
    """The ledger was written in the future: its age is no reason to give it up."""
    application.sh('sed -i \'s/"written": "20/"written": "29/\' $P/.volume-guard/ledger.json')
    with watching(application) as watcher:
        watcher.listen_for(LATER)
        assert watcher.events == ["watch.started"]
