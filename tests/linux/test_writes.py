"""Writes in `.volume-guard/` on real file systems: without rename, full, append-only, mounted over, killed at any time."""

import errno
import os
import random
import time
from collections.abc import Iterator

import pytest

from guard.probe.requests import CountRequest, LookRequest, PinRequest
from guard.probe.writes import Accept, Adopt, Conflict, MountRef, Release, WriteHold, WriteLedger, Written
from guard.volume.hold import Hold
from guard.volume.ledger import Ledger, Reference
from guard.volume.marker import Marker
from guard.volume.observation import CountOptions, InvalidDocument, ProbeFault, Writing
from tests.linux import probing
from tests.linux.probing import Shell, look, mount_ref, run
from tests.linux.sandbox import Sandbox
from tests.linux.serving import MARKS, served

pytestmark = MARKS

AT = "2026-11-24T18:27:01Z"
ID = "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11"
MARKER = Marker("skills", ID, AT)
LEDGER = Ledger(ID, 1, Reference(1, AT), AT)
HOLD = Hold("me", AT, "a migration")
_EMPTY_MARKER = "; : >$P/.volume-guard/marker.json"


def names(sandbox: Sandbox) -> list[str]:
    return sandbox.sh("ls -A $P/.volume-guard").split()


@pytest.fixture
def adopted(disk: Sandbox) -> Iterator[Sandbox]:
    """A small ext4 disk with a marker and a ledger."""
    disk.sh("mount -o loop $W/disk $P")
    assert run(disk, Adopt(mount_ref(disk), MARKER, LEDGER)) == [Written(LEDGER)]
    assert names(disk) == ["ledger.json", "marker.json"]
    yield disk
    disk.sh("umount -R $P")


@pytest.mark.parametrize("mode", ["bucket", "bucket-unlink"])
def test_without_rename_the_marker_is_adopted_alone_and_nothing_is_left_behind(sandbox: Sandbox, mode: str) -> None:
    with served(sandbox, mode):
        adopt = Adopt(mount_ref(sandbox), MARKER, LEDGER)
        assert run(sandbox, adopt, adopt) == [Written(), Conflict()]
        for _ in range(3):
            found = look(sandbox, "skills")
            assert (found.marker, found.ledger, found.writing) == (MARKER, None, Writing.NOT_TRIED)
        (fault,) = run(sandbox, WriteLedger(adopt.mount, LEDGER, 1))
        assert isinstance(fault, ProbeFault)
        assert (fault.number, fault.in_place) == (errno.ENOSYS, True)
        assert names(sandbox) == ["marker.json"]
        assert sandbox.sh("ls -A $P").split() == [".volume-guard"]


@pytest.mark.parametrize("mode", ["bucket", "bucket-unlink"])
def test_an_adoption_that_was_killed_with_its_marker_still_empty_is_completed(sandbox: Sandbox, mode: str) -> None:
    with served(sandbox, mode):
        sandbox.sh("mkdir $P/.volume-guard; : >$P/.volume-guard/marker.json")
        assert sandbox.guard("check").status == 22
        assert sandbox.guard("adopt").status == 0
        assert names(sandbox) == ["marker.json"]
        assert sandbox.guard("check").status == 0


@pytest.mark.parametrize("mode", ["bucket", "bucket-unlink"])
@pytest.mark.parametrize(
    ("name", "marker", "status"),
    [("README", "", 0), ("README", _EMPTY_MARKER, 0), ("ledger.json", "", 0), ("hold.json", _EMPTY_MARKER, 23)],
    ids=["no marker", "an empty marker", "a foreign ledger", "a foreign hold"],
)
def test_without_rename_strange_names_in_the_guard_s_folder_are_left_as_they_are(
    sandbox: Sandbox, mode: str, name: str, marker: str, status: int
) -> None:
    with served(sandbox, mode):
        sandbox.sh(f"mkdir -p $P/.volume-guard/folder; echo why >$P/.volume-guard/{name}{marker}")
        assert sandbox.guard("adopt").status == 0
        assert names(sandbox) == sorted([name, "folder", "marker.json"])
        assert sandbox.sh(f"ls -A $P; cat $P/.volume-guard/{name}").split() == [".volume-guard", "why"]
        assert sandbox.guard("check").status == status


def test_a_server_that_dies_while_it_is_counted_is_a_fault(sandbox: Sandbox) -> None:
    with served(sandbox, "slow") as server:
        counting = probing.start(sandbox, CountRequest(sandbox.path, CountOptions()), LookRequest(sandbox.path, None))
        time.sleep(1.0)  # of some 18 s that the count takes
        server.kill()
        counted, looked = probing.end(counting)
        for fault in (counted.fault, looked.look.fault):
            assert fault.code in {"ENOTCONN", "ECONNABORTED"}
            assert not fault.in_place


def test_what_is_mounted_over_the_guard_s_folder_is_no_document_and_is_not_written(adopted: Sandbox) -> None:
    ref = mount_ref(adopted)
    adopted.sh("cp -a $P/.volume-guard $W/copy; mount -t tmpfs over $P/.volume-guard; cp -a $W/copy/. $P/.volume-guard")
    found = look(adopted)
    assert found.nested == (".volume-guard",)
    assert found.marker == InvalidDocument("another file system is mounted over .volume-guard", "")
    for fault in run(adopted, Accept(ref, LEDGER, ID), WriteLedger(ref, LEDGER, 9), WriteHold(ref, HOLD, over=True)):
        assert fault.code == "EXDEV"


@pytest.mark.parametrize("document", ["marker", "ledger"])
def test_a_file_that_is_mounted_over_a_document_is_none(adopted: Sandbox, document: str) -> None:
    adopted.sh(f"cp $P/.volume-guard/{document}.json $W/over; mount --bind $W/over $P/.volume-guard/{document}.json")
    found = getattr(look(adopted), document)
    assert found == InvalidDocument("another file system is mounted over it", "")


@pytest.mark.parametrize("attribute", ["a", "i"])
def test_where_a_name_can_only_be_added_one_file_is_left_at_most(adopted: Sandbox, attribute: str) -> None:
    adopted.sh(f"chattr +{attribute} $P/.volume-guard")
    try:
        tried = [look(adopted, "skills").writing for _ in range(4)]
        assert len(names(adopted)) <= 3
    finally:
        adopted.sh(f"chattr -{attribute} $P/.volume-guard")
    assert tried == ([Writing.WORKS, *[Writing.NOT_TRIED] * 3] if attribute == "a" else [Writing.DENIED] * 4)
    assert look(adopted, "skills").writing is Writing.WORKS
    assert names(adopted) == ["ledger.json", "marker.json"]


#: A file system keeps blocks back for its own books, so it is filled in ever smaller pieces, until not a byte goes in.
_FILL = """
for size in 1M 4k; do ! dd if=/dev/zero of=$P/fill bs=$size oflag=append conv=notrunc; sync -f $P; done
piece=0
while echo more >$P/fill.$piece; do piece=$((piece + 1)); sync -f $P; done
"""
_FILL_INODES = "piece=0; while true >$P/fill.$piece; do piece=$((piece + 1)); done"


@pytest.mark.parametrize("fill", [_FILL, _FILL_INODES], ids=["space", "inodes"])
def test_a_full_disk_is_said_to_be_full_its_documents_stay_and_a_little_room_is_enough(
    adopted: Sandbox, fill: str
) -> None:
    ref = mount_ref(adopted)
    adopted.sh(fill)
    before = adopted.sh("cat $P/.volume-guard/*")
    assert look(adopted, "skills").writing is Writing.FULL
    for fault in run(adopted, Accept(ref, LEDGER, ID), WriteHold(ref, HOLD, over=False), WriteLedger(ref, LEDGER, 9)):
        assert isinstance(fault, ProbeFault)
        assert fault.full
        assert fault.in_place
    assert adopted.sh("cat $P/.volume-guard/*") == before
    assert names(adopted) == ["ledger.json", "marker.json"]
    adopted.sh("rm $P/fill.0 $P/fill.1; [ ! -e $P/fill ] || truncate -s -16k $P/fill; sync -f $P")
    written = run(adopted, WriteHold(ref, HOLD, over=False), Accept(ref, LEDGER, ID))
    assert all(isinstance(one, Written) for one in written), written


def test_what_was_judged_is_not_taken_for_a_mount_that_the_kernel_gives_the_same_number(disk: Sandbox) -> None:
    disk.sh("cp $W/disk $W/other; mount -o loop $W/disk $P")
    adopt = Adopt(mount_ref(disk), MARKER, LEDGER)
    flip = Shell(f"! umount {disk.path} && umount -l {disk.path} && mount -o loop {disk.work}/other {disk.path}")
    assert run(disk, PinRequest(disk.path), flip, adopt) == [None, 0, Conflict()]
    assert disk.sh("ls -A $P").split() == ["lost+found"]
    disk.sh("umount $P")


def test_killed_at_any_time_the_documents_are_whole_and_the_next_command_works(adopted: Sandbox) -> None:
    ref = mount_ref(adopted)
    held = Hold("me", AT, "a migration", 0)
    requests = (Accept(ref, LEDGER, ID), WriteHold(ref, held, over=True), WriteLedger(ref, LEDGER, 1 << 40))
    generation = 0
    for _ in range(4):
        writing = probing.start(adopted, *requests, times=2000)
        until = time.monotonic() + 10
        while time.monotonic() < until and "hold.json" not in names(adopted):
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.05))
        writing.kill()
        writing.wait()
        assert writing.stdout is not None
        writing.stdout.close()
        found = look(adopted)
        assert found.marker == MARKER
        assert isinstance(found.ledger, Ledger)
        assert found.ledger.generation >= generation
        generation = found.ledger.generation
    assert isinstance(found.hold, Hold)
    (released,) = run(adopted, Release(ref, LEDGER, ID, found.hold))
    assert isinstance(released, Written)
    assert released.ledger is not None
    assert released.ledger.generation > generation > 1
    assert look(adopted).hold is None


def test_an_adoption_killed_at_any_time_is_not_adopted_or_complete(disk: Sandbox) -> None:
    disk.sh("mount -o loop $W/disk $P")
    ref: MountRef = mount_ref(disk)
    for _ in range(4):
        disk.sh("rm -rf $P/.volume-guard")
        adopting = probing.start(disk, Adopt(ref, MARKER, LEDGER))
        folder = f"/proc/{adopting.pid}/root{disk.path}/.volume-guard"
        while adopting.poll() is None and not os.path.exists(folder):
            time.sleep(0.0005)
        time.sleep(random.choice([0, 0.0005, 0.002, 0.02]))
        adopting.kill()
        adopting.wait()
        assert adopting.stdout is not None
        adopting.stdout.close()
        found = look(disk)
        assert found.ledger is None or found.ledger == LEDGER
        assert found.marker in {None, MARKER}
        if found.marker:
            assert found.ledger == LEDGER, "the marker is the commit"
        else:
            assert isinstance(run(disk, Adopt(ref, MARKER, LEDGER, continues=ID))[0], Written)
    disk.sh("umount $P")
