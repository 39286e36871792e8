"""A right disk in a bad state: read-only in each of its forms, or full."""

import os

import pytest

from tests.linux.sandbox import Sandbox

pytestmark = [pytest.mark.mounts, pytest.mark.root]

READ_ONLY = {
    "the mount alone": "mount -o loop $W/disk $P; mount -o remount,bind,ro $P",
    "the file system alone": "mount -o loop $W/disk $P; mount -o remount,ro $P; mount -o remount,bind,rw $P",
}


def _is_refused_unless_reading_is_enough(sandbox: Sandbox) -> None:
    refused = sandbox.guard("check")
    assert refused.status == 14, refused.stderr
    assert "cannot be written" in refused.termination
    assert sandbox.guard("check", GUARD_WRITABLE="false").status == 0


@pytest.mark.parametrize("script", READ_ONLY.values(), ids=READ_ONLY)
def test_a_read_only_volume_is_refused_unless_reading_is_enough(adopted_disk: Sandbox, script: str) -> None:
    adopted_disk.sh(script)
    _is_refused_unless_reading_is_enough(adopted_disk)


def test_a_disk_that_turned_itself_off_for_writing_is_refused_too(adopted_disk: Sandbox) -> None:
    device = adopted_disk.sh("mount -o loop,errors=remount-ro $W/disk $P; findmnt -no SOURCE $P").strip()
    trigger = f"/sys/fs/ext4/{os.path.basename(device)}/trigger_fs_error"
    if not os.access(trigger, os.W_OK):
        pytest.skip("this kernel lets no test report an error of a disk")
    adopted_disk.sh(f"echo test >{trigger}")
    _is_refused_unless_reading_is_enough(adopted_disk)


def test_nothing_is_adopted_on_a_read_only_volume(disk: Sandbox) -> None:
    disk.sh("mount -o loop,ro $W/disk $P")
    refused = disk.guard("adopt")
    assert refused.status == 14
    # That reading is enough, which the gate's words offer, is no way out for a command that writes.
    assert "GUARD_WRITABLE" not in refused.termination
    assert disk.sh("ls -A $P").split() == ["lost+found"]


#: A file system keeps blocks back for its own books, so it is filled in ever smaller pieces, until not a byte goes in.
_FILL = """
mount -o loop $W/disk $P
for size in 1M 4k; do ! dd if=/dev/zero of=$P/fill bs=$size oflag=append conv=notrunc; sync -f $P; done
piece=0
while echo more >$P/fill.$piece; do piece=$((piece + 1)); sync -f $P; done
"""


def test_a_full_disk_passes_with_a_warning(adopted_disk: Sandbox) -> None:
    adopted_disk.sh(_FILL)
    ended = adopted_disk.guard("check")
    assert (ended.status, ended.last["severity"]) == (0, "WARNING"), ended.stderr
    assert "is full" in ended.last["message"]


def test_a_disk_that_is_full_cannot_be_adopted_and_keeps_no_half_written_document(disk: Sandbox) -> None:
    disk.sh(_FILL)
    ended = disk.guard("adopt")
    assert ended.status == 15
    assert "the disk is full: " in ended.termination.splitlines()[0]
    assert "ENOSPC" in ended.termination
    assert "delete" not in ended.termination
    assert disk.sh("find $P/.volume-guard -type f 2>/dev/null || true") == ""
