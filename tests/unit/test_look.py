"""Which options of a mount mean that nothing can be written: a word among options, never a part of one."""

import pytest

from guard.volume.look import _read_only
from guard.volume.mountinfo import parse_line

WRITABLE = {
    "a plain disk": "1 0 7:1 / /app/skills rw,relatime - ext4 /dev/loop1 rw",
    "a disk that would turn read-only after errors": "1 0 7:1 / /app/skills rw - ext4 /dev/loop1 rw,errors=remount-ro",
    "a value that says ro": "1 0 0:9 / /app/skills rw - overlay overlay rw,lowerdir=/ro",
    "a comma inside a value": r"1 0 0:9 / /app/skills rw - overlay overlay rw,lowerdir=/a\054ro\054b,upperdir=/u",
    "a comma before emergency_ro inside a value": r"1 0 0:9 / /app/skills rw - fuse.x y rw,name=a\054emergency_ro",
}

READ_ONLY = {
    "readOnly of the volumeMount": ("1 0 7:1 / /app/skills ro,relatime - ext4 /dev/loop1 rw", "volumeMount"),
    "readOnly of the claim": ("1 0 7:1 / /app/skills rw - ext4 /dev/loop1 ro,errors=remount-ro", "claim"),
    "an error of the disk": ("1 0 7:1 / /app/skills rw - ext4 /dev/loop1 rw,emergency_ro", "emergency_ro"),
}


@pytest.mark.parametrize("line", WRITABLE.values(), ids=WRITABLE.keys())
def test_a_mount_without_a_read_only_option_can_be_written(line: str) -> None:
    assert _read_only(parse_line(line)) == ""


@pytest.mark.parametrize(("line", "words"), READ_ONLY.values(), ids=READ_ONLY.keys())
def test_a_read_only_option_is_found_and_named(line: str, words: str) -> None:
    assert words in _read_only(parse_line(line))
