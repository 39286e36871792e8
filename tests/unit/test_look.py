"""What a look reads, and in which order: options of the mount, and the guard's documents."""

import errno
import os
import pickle
from pathlib import Path

import pytest

from guard.probe import documents, look
from guard.probe.look import _read_only
from guard.volume import hold, ledger, marker
from guard.volume.hold import Hold
from guard.volume.ledger import Ledger, Reference
from guard.volume.marker import Marker
from guard.volume.mountinfo import parse_line
from guard.volume.observation import ProbeFault, Writing

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
    before, after = (Ledger("m", number, Reference(number, at), at) for number in (1, 2))
    folder = tmp_path / ".volume-guard"
    folder.mkdir()
    (folder / documents.LEDGER).write_bytes(ledger.FORMAT.render(before))
    (folder / documents.HOLD).write_bytes(hold.FORMAT.render(Hold("p", at, "a migration")))
    read = os.read

    def released_after_the_first(descriptor: int, size: int) -> bytes:
        text = read(descriptor, size)
        is_document = os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(folder))
        if is_document and (folder / documents.HOLD).exists():
            (folder / documents.LEDGER).write_bytes(ledger.FORMAT.render(after))
            (folder / documents.HOLD).unlink()
        return text

    monkeypatch.setattr(os, "read", released_after_the_first)
    found = pickle.loads(pickle.dumps(look.look(str(tmp_path), lambda _: None, writes_for=None)))
    assert isinstance(found.hold, Hold)
    assert found.ledger == after


def test_what_was_found_before_a_call_failed_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EBADMSG, "damaged")

    monkeypatch.setattr(os, "scandir", fail)
    found = look.look(str(tmp_path), lambda _: None, writes_for=None)
    assert found.fault == ProbeFault(errno.EBADMSG, f"listing {tmp_path}")
    assert found.root_inode == tmp_path.stat().st_ino
    assert found.space is not None
    assert found.space.size >= found.space.available > 0


@pytest.mark.parametrize("ledgers", [0, 1], ids=["a marker alone", "a marker with its ledger"])
def test_writing_is_tried_beside_a_ledger_only(tmp_path: Path, ledgers: int) -> None:
    at, marker_id = "2026-11-24T18:27:01Z", "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11"
    folder = tmp_path / ".volume-guard"
    folder.mkdir()
    (folder / documents.MARKER).write_bytes(marker.FORMAT.render(Marker("mine", marker_id, at)))
    if ledgers:
        (folder / documents.LEDGER).write_bytes(ledger.FORMAT.render(Ledger(marker_id, 1, Reference(1, at), at)))
    found = look.look(str(tmp_path), lambda _: None, writes_for="mine")
    assert found.writing is (Writing.WORKS if ledgers else Writing.NOT_TRIED)


def test_a_ledger_that_did_not_change_arrives_as_the_one_that_arrived_before(tmp_path: Path) -> None:
    at = "2026-11-24T18:27:01Z"
    (tmp_path / ".volume-guard").mkdir()
    stored = tmp_path / ".volume-guard" / documents.LEDGER
    stored.write_bytes(ledger.FORMAT.render(Ledger("m", 1, Reference(1, at), at)))
    first, second = (
        pickle.loads(pickle.dumps(look.look(str(tmp_path), lambda _: None, writes_for=None))) for _ in "12"
    )
    assert first.ledger is second.ledger
    stored.write_bytes(ledger.FORMAT.render(Ledger("m", 2, Reference(1, at), at)))
    third = pickle.loads(pickle.dumps(look.look(str(tmp_path), lambda _: None, writes_for=None)))
    assert third.ledger.generation == 2
