"""What is left where a write fails half-way: all as it was. Which errors a disk gives is in tests/linux."""

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard.probe import documents
from guard.probe.writes import Accept, Adopt, Conflict, MountRef, Release, WriteHold, WriteLedger, Written
from guard.volume import hold, ledger, marker
from guard.volume.hold import Hold
from guard.volume.ledger import Ledger, Reference
from guard.volume.marker import Marker
from guard.volume.observation import GUARD_FOLDER

AT = "2026-11-24T18:27:01Z"
ID = "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11"
OTHER_ID = "7f9a7d0c-1111-4222-8333-444455556666"
SEEN = MountRef("/app/skills", 1, 2)
STANDING = {
    documents.MARKER: marker.render(Marker("other", OTHER_ID, AT)),
    documents.LEDGER: ledger.render(Ledger(OTHER_ID, 3, Reference(5, {}, 0, AT), 5, AT)),
}
NEW = Ledger(ID, 1, Reference(1, {}, 0, AT), 1, AT)
HOLD = Hold("me", AT, "why")
FIRST = Adopt(SEEN, Marker("mine", ID, AT), NEW, None, None)
REPLACING = Adopt(SEEN, Marker("mine", ID, AT), NEW, OTHER_ID, None)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def put(path: Path, documents: dict[str, bytes]) -> None:
    for name, text in documents.items():
        (path / name).write_bytes(text)


def found(path: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in path.iterdir()}


@pytest.mark.parametrize("step", ["link", "rename-1", "rename-2", "rename-3"])
@pytest.mark.parametrize("adopting", [FIRST, REPLACING], ids=["first", "replacing"])
def test_an_adoption_that_fails_at_any_step_leaves_all_as_it_was(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch, step: str, adopting: Adopt
) -> None:
    before = STANDING if adopting is REPLACING else {}
    put(tmp_path, before)
    call, _, place = step.partition("-")
    left = [int(place or 1)]
    real = getattr(os, call)

    def fail(*names: str, **how: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "full")
        real(*names, **how)

    monkeypatch.setattr(os, call, fail)
    try:
        adopting._write(folder)
    except OSError:
        assert found(tmp_path) == before
    else:
        assert left[0] > 0, "the failure was swallowed"
        assert {documents.MARKER, documents.LEDGER} <= set(found(tmp_path))


def test_a_replaced_marker_and_its_ledger_are_kept_by_name(tmp_path: Path, folder: int) -> None:
    put(tmp_path, STANDING)
    REPLACING._write(folder)
    kept = {
        f"marker.{OTHER_ID}.json": STANDING[documents.MARKER],
        f"ledger.{OTHER_ID}.json": STANDING[documents.LEDGER],
    }
    assert kept.items() <= found(tmp_path).items()


def test_a_marker_that_came_or_went_since_the_look_is_judged_again(tmp_path: Path, folder: int) -> None:
    assert REPLACING._write(folder) == Conflict()
    put(tmp_path, STANDING)
    assert FIRST._write(folder) == Conflict()
    assert found(tmp_path) == STANDING


@pytest.mark.parametrize("writing", [Accept(SEEN, NEW, ID), WriteLedger(SEEN, NEW, 0)], ids=["accept", "keep"])
def test_a_ledger_of_another_marker_stays_where_the_new_one_cannot_be_written(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch, writing: Accept | WriteLedger
) -> None:
    before = {documents.MARKER: marker.render(Marker("mine", ID, AT)), documents.LEDGER: STANDING[documents.LEDGER]}
    put(tmp_path, before)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="full"):
        writing._write(folder)
    assert found(tmp_path) == before


@pytest.mark.parametrize("writing", [Accept(SEEN, NEW, ID), WriteLedger(SEEN, NEW, 0)], ids=["accept", "keep"])
def test_a_ledger_of_another_marker_is_kept_beside_the_new_one(
    tmp_path: Path, folder: int, writing: Accept | WriteLedger
) -> None:
    put(
        tmp_path,
        {documents.MARKER: marker.render(Marker("mine", ID, AT)), documents.LEDGER: STANDING[documents.LEDGER]},
    )
    writing._write(folder)
    assert found(tmp_path)[f"ledger.{OTHER_ID}.json"] == STANDING[documents.LEDGER]


@pytest.mark.parametrize("adopting", [FIRST, REPLACING], ids=["first", "replacing"])
def test_where_a_file_system_has_no_links_the_documents_are_the_same(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch, adopting: Adopt
) -> None:
    put(tmp_path, STANDING if adopting is REPLACING else {})

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    adopting._write(folder)
    new = {documents.MARKER: marker.render(adopting.marker), documents.LEDGER: ledger.render(NEW)}
    assert new.items() <= found(tmp_path).items()


@pytest.mark.parametrize("refusal", [errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_a_file_system_has_one_mode_for_all_the_guard_s_folder_is_made_and_written(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(refusal, "the mount sets the modes")

    monkeypatch.setattr(os, "fchmod", refuse)
    made = documents.open_folder(folder)
    FIRST._write(made)
    os.close(made)
    assert set(found(tmp_path / GUARD_FOLDER)) == {documents.MARKER, documents.LEDGER}


@pytest.mark.parametrize("behind", [7200, -7200], ids=["behind", "ahead"])
@pytest.mark.parametrize("adopting", [FIRST, REPLACING], ids=["first", "replacing"])
def test_a_server_whose_clock_is_hours_off_is_adopted(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch, adopting: Adopt, behind: int
) -> None:
    put(tmp_path, STANDING if adopting is REPLACING else {})
    here = time.time() + behind
    monkeypatch.setattr(time, "time", lambda: here)
    adopting._write(folder)
    assert {documents.MARKER, documents.LEDGER} <= set(found(tmp_path))


def test_what_a_killed_guard_left_is_removed_an_hour_later(tmp_path: Path, folder: int) -> None:
    for name, age in ((".marker.json.0a.tmp", 7200), (".ledger.json.0b.tmp", 600)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    FIRST._write(folder)
    assert set(found(tmp_path)) == {documents.MARKER, documents.LEDGER, ".ledger.json.0b.tmp"}


@pytest.mark.parametrize(
    ("refusal", "folders_only"),
    [(errno.EINVAL, True), (errno.EBADF, True), (errno.EOPNOTSUPP, True), (errno.EIO, False)],
)
def test_where_a_file_system_syncs_no_folder_what_was_written_is_written(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch, refusal: int, *, folders_only: bool
) -> None:
    whole = os.fsync

    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(refusal, "no folders")
        whole(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    with contextlib.nullcontext() if folders_only else pytest.raises(OSError, match="no folders"):
        made = documents.open_folder(folder)
        FIRST._write(made)
        WriteHold(SEEN, HOLD, over=False)._write(made)
        Release(Accept(SEEN, NEW, ID), HOLD)._write(made)
        os.close(made)
        assert set(found(tmp_path / GUARD_FOLDER)) == {documents.MARKER, documents.LEDGER}


@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.EIO])
def test_a_document_that_cannot_be_synced_is_not_written(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    def refuse(_: int) -> None:
        raise OSError(refusal, "no files")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="no files"):
        FIRST._write(folder)
    assert found(tmp_path) == {}


#: What may have happened since a hold of the right volume was judged.
MEANWHILE = {
    "another hold": {documents.HOLD: hold.render(Hold("another", AT, "a restore"))},
    "a broken hold": {documents.HOLD: b"broken"},
    "no hold": {documents.HOLD: None},
    "another marker": {documents.MARKER: marker.render(Marker("mine", OTHER_ID, AT))},
    "a broken marker": {documents.MARKER: b"broken"},
    "no marker": {documents.MARKER: None},
}
RELEASING = Release(Accept(SEEN, NEW, ID), HOLD)


@pytest.mark.parametrize("changes", MEANWHILE.values(), ids=MEANWHILE)
@pytest.mark.parametrize("writing", [RELEASING, RELEASING.accept], ids=["release", "accept"])
def test_what_changed_since_it_was_judged_is_neither_released_nor_accepted(
    tmp_path: Path, folder: int, writing: Release | Accept, changes: dict[str, bytes | None]
) -> None:
    put(tmp_path, {documents.MARKER: marker.render(Marker("mine", ID, AT)), documents.HOLD: hold.render(HOLD)})
    for name, text in changes.items():
        (tmp_path / name).unlink()
        put(tmp_path, {name: text} if text is not None else {})
    before = found(tmp_path)
    if isinstance(writing, Accept) and documents.MARKER not in changes:
        assert isinstance(writing._write(folder), Written), "a hold is the gate's affair"
    else:
        assert writing._write(folder) == Conflict()
        assert found(tmp_path) == before
