"""What a look reads, and in which order: options of the mount, and the guard's documents."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guard.probe import documents, look
from guard.probe.look import _read_only
from guard.volume import hold, ledger
from guard.volume.hold import Hold
from guard.volume.ledger import Ledger, Reference
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
    "a map of automatic mounts": ("1 0 0:9 / /app/skills rw - autofs /etc/auto.cvmfs rw,fd=5,indirect", "autofs"),
    "an error of the disk": ("1 0 7:1 / /app/skills rw - ext4 /dev/loop1 rw,emergency_ro", "emergency_ro"),
}


@pytest.mark.parametrize("line", WRITABLE.values(), ids=WRITABLE.keys())
def test_a_mount_without_a_read_only_option_can_be_written(line: str) -> None:
    assert _read_only(parse_line(line)) == ""


@pytest.mark.parametrize(("line", "words"), READ_ONLY.values(), ids=READ_ONLY.keys())
def test_a_read_only_option_is_found_and_named(line: str, words: str) -> None:
    assert words in _read_only(parse_line(line))


def test_a_release_in_the_middle_of_a_look_shows_no_ended_hold_beside_the_ledger_from_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = "2026-11-24T18:27:01Z"
    before, after = (Ledger("m", number, Reference(number, {}, 0, at), 1, at) for number in (1, 2))
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    folder = documents.open_folder(root)
    documents.replace(folder, documents.LEDGER, ledger.render(before))
    documents.replace(folder, documents.HOLD, hold.render(Hold("p", at, "a migration")))
    read = look.document

    def released_after_the_first(where: int, name: str, limit: int, parse: Callable[[bytes], Any]) -> Any:
        found = read(where, name, limit, parse)
        if name in {documents.HOLD, documents.LEDGER} and documents.HOLD in os.listdir(where):
            documents.replace(where, documents.LEDGER, ledger.render(after))
            documents.remove(where, documents.HOLD)
        return found

    monkeypatch.setattr(look, "document", released_after_the_first)
    found = look._documents(root, str(tmp_path))
    os.close(folder)
    os.close(root)
    assert isinstance(found["hold"], Hold)
    assert found["ledger"] == after
