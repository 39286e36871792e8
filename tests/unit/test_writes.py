"""Writes in `.volume-guard/`: whole after a failure or a kill at any call, and only beside what was judged."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from guard.probe import documents, mounts, progress
from guard.probe.writes import Accept, Adopt, Conflict, MountRef, Release, WriteHold, WriteLedger, Written
from guard.volume import hold, ledger, marker
from guard.volume.hold import Hold
from guard.volume.ledger import Ledger, Reference
from guard.volume.marker import Marker
from guard.volume.observation import GUARD_FOLDER, ProbeFault

AT = "2026-11-24T18:27:01Z"
ID = "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11"
OTHER_ID = "7f9a7d0c-1111-4222-8333-444455556666"
MARKER = Marker("mine", ID, AT)
NEW = Ledger(ID, 1, Reference(1, AT), AT)
HOLD = Hold("me", AT, "why", 1)
OTHER = {
    documents.MARKER: marker.FORMAT.render(Marker("other", OTHER_ID, AT)),
    documents.LEDGER: ledger.FORMAT.render(Ledger(OTHER_ID, 3, Reference(5, AT), AT)),
}
MINE = {documents.MARKER: marker.FORMAT.render(MARKER), documents.LEDGER: ledger.FORMAT.render(NEW)}
HELD = {**MINE, documents.HOLD: hold.FORMAT.render(HOLD)}

_Request = Adopt | Accept | Release | WriteHold | WriteLedger


class Volume:
    """A folder that is taken for a volume."""

    def __init__(self, path: Path) -> None:
        self.path = path
        root = os.open(path, os.O_RDONLY)
        self.ref = MountRef(str(path), mounts.mount_id(root), os.fstat(root).st_ino)
        os.close(root)

    def put(self, texts: dict[str, bytes]) -> None:
        (self.path / GUARD_FOLDER).mkdir(exist_ok=True)
        for name, text in texts.items():
            (self.path / GUARD_FOLDER / name).write_bytes(text)

    def found(self) -> dict[str, bytes]:
        folder = self.path / GUARD_FOLDER
        return {one.name: one.read_bytes() for one in folder.iterdir()} if folder.exists() else {}

    def adopt(self, replacing: str | None = None, continues: str | None = None) -> Adopt:
        return Adopt(self.ref, MARKER, NEW, replacing, continues)

    def accept(self) -> Accept:
        return Accept(self.ref, NEW, ID)

    def release(self) -> Release:
        return Release(self.ref, NEW, ID, HOLD)

    def write_hold(self, *, over: bool = False) -> WriteHold:
        return WriteHold(self.ref, HOLD, over)

    def write_ledger(self, generation: int = 1, *, despite_stale_hold: bool = False) -> WriteLedger:
        return WriteLedger(self.ref, replace(NEW, generation=generation), generation, despite_stale_hold)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


def run(request: _Request) -> Written | Conflict | ProbeFault:
    return request.run(lambda _: None)


class Killed(BaseException):
    """The process ended here: nothing it would have done later happens."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> "Calls":
    found = Calls()
    monkeypatch.setattr(documents, "call", found)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a real one takes its time
    return found


class Calls:
    """Counts the calls of a write; at one of them it fails, or is killed."""

    def __init__(self) -> None:
        self.made = 0
        self.fails_at = 0
        self.killed_at = 0
        self.error = errno.EIO

    def __call__(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self.made += 1
        if self.killed_at and self.made >= self.killed_at:
            raise Killed
        if self.made == self.fails_at:
            raise OSError(self.error, "failed")
        return progress.call(function, *arguments, **named)


#: A write, what is there before, and what is there after it.
WRITES: dict[str, tuple[Callable[[Volume], _Request], dict[str, bytes], set[str]]] = {
    "adopt": (lambda volume: volume.adopt(), {}, {documents.MARKER, documents.LEDGER}),
    "adopt, replacing": (lambda volume: volume.adopt(OTHER_ID), OTHER, {documents.MARKER, documents.LEDGER}),
    "accept": (lambda volume: volume.accept(), MINE, {documents.LEDGER}),
    "hold": (lambda volume: volume.write_hold(), MINE, {documents.HOLD}),
    "hold over": (lambda volume: volume.write_hold(over=True), HELD, {documents.HOLD}),
    "release": (lambda volume: volume.release(), HELD, {documents.LEDGER}),
    "ledger": (lambda volume: volume.write_ledger(), MINE, {documents.LEDGER}),
}
PARSERS: dict[str, Callable[[bytes], object]] = {
    documents.MARKER: marker.FORMAT.parse,
    documents.LEDGER: ledger.FORMAT.parse,
    documents.HOLD: hold.FORMAT.parse,
}


def each_call(tmp_path: Path, calls: Calls, name: str) -> Iterator[tuple[int, Volume, _Request]]:
    """The number of each call of a write, and the write on a new volume."""
    make, before, _ = WRITES[name]
    number, last = 0, 0
    while number <= last:
        (tmp_path / str(number)).mkdir()
        volume = Volume(tmp_path / str(number))
        if before:
            volume.put(before)
        calls.made = calls.fails_at = calls.killed_at = 0
        if number:
            yield number, volume, make(volume)
        else:
            assert isinstance(run(make(volume)), Written)
            last = calls.made
        number += 1
    assert number > 5


@pytest.mark.parametrize("name", WRITES)
def test_killed_at_any_call_every_document_is_whole_and_the_same_command_works_again(
    tmp_path: Path, calls: Calls, name: str
) -> None:
    make, before, after = WRITES[name]
    for number, volume, request in each_call(tmp_path, calls, name):
        calls.killed_at = number
        with pytest.raises(Killed):
            run(request)
        found = volume.found()
        for document, parse in PARSERS.items():
            if document in found:
                parse(found[document])
        if name.startswith("adopt") and found.get(documents.MARKER) == marker.FORMAT.render(MARKER):
            assert found.get(documents.LEDGER) == ledger.FORMAT.render(NEW), "the marker is the commit"
        if documents.MARKER in before:
            assert any(text == before[documents.MARKER] for text in found.values()), "nothing is given up"
        calls.killed_at = 0
        again = run(make(volume))
        if isinstance(again, Conflict):  # it was done already
            assert after <= set(volume.found())
        else:
            assert isinstance(again, Written), again
            assert after <= set(volume.found())


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EPERM])
@pytest.mark.parametrize("name", WRITES)
def test_a_call_that_fails_ends_as_a_fault_with_every_document_whole_or_as_done(
    tmp_path: Path, calls: Calls, name: str, error: int
) -> None:
    _, before, after = WRITES[name]
    for number, volume, request in each_call(tmp_path, calls, name):
        calls.fails_at, calls.error = number, error
        outcome = run(request)
        found = volume.found()
        for document, parse in PARSERS.items():
            if document in found:
                parse(found[document])
        assert isinstance(outcome, ProbeFault | Written)
        if isinstance(outcome, Written):
            assert after <= set(found)
        else:
            assert outcome.number == error
            assert outcome.writing
            assert set(before) <= {name for name in found if name in PARSERS} or name == "release"


def test_what_was_given_its_name_is_done_though_the_folder_cannot_be_synced(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "no folders")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    for request in (volume.adopt(), volume.write_hold(), volume.release(), volume.accept()):
        assert isinstance(run(request), Written)
    assert set(volume.found()) == {documents.MARKER, documents.LEDGER}


@pytest.mark.parametrize("error", [errno.EINVAL, errno.EIO])
def test_a_document_that_cannot_be_synced_is_not_written(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuse(_: int) -> None:
        raise OSError(error, "no files")

    monkeypatch.setattr(os, "fsync", refuse)
    fault = run(volume.adopt())
    assert isinstance(fault, ProbeFault)
    assert (fault.number, volume.found()) == (error, {})


def test_where_a_file_system_has_no_hard_links_the_documents_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    for name, (make, before, after) in WRITES.items():
        (tmp_path / name).mkdir()
        volume = Volume(tmp_path / name)
        if before:
            volume.put(before)
        assert isinstance(run(make(volume)), Written)
        assert after <= set(volume.found())


def test_without_hard_links_a_marker_that_came_meanwhile_is_not_replaced(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_was_faster(*_: object, **__: object) -> None:
        volume.put(OTHER)
        raise OSError(errno.EOPNOTSUPP, "no links here")

    monkeypatch.setattr(os, "link", another_was_faster)
    assert run(volume.adopt()) == Conflict()
    assert volume.found()[documents.MARKER] == OTHER[documents.MARKER]


@pytest.mark.parametrize("error", [errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_a_mount_sets_the_modes_the_documents_are_written(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(error, "the mount sets the modes")

    monkeypatch.setattr(os, "fchmod", refuse)
    assert isinstance(run(volume.adopt()), Written)


def test_a_replaced_marker_and_its_ledger_are_kept_by_name(volume: Volume) -> None:
    volume.put(OTHER)
    kept = (f"marker.{OTHER_ID}.json", f"ledger.{OTHER_ID}.json")
    assert run(volume.adopt(OTHER_ID)) == Written(NEW, kept)
    found = volume.found()
    assert [found[name] for name in kept] == [OTHER[documents.MARKER], OTHER[documents.LEDGER]]
    assert {name: found[name] for name in MINE} == MINE


@pytest.mark.parametrize("text", [b"broken", OTHER[documents.LEDGER]], ids=["broken", "of another marker"])
def test_a_ledger_that_is_not_continued_is_kept_beside_the_new_one_each_time(volume: Volume, text: bytes) -> None:
    for times in (1, 2, 3):
        volume.put({**MINE, documents.LEDGER: text})
        written = run(volume.accept() if times % 2 else volume.write_ledger())
        assert isinstance(written, Written)
        assert [volume.found()[name] for name in written.set_aside] == [text]
        assert list(volume.found().values()).count(text) == times


def test_a_folder_where_the_hold_should_be_is_kept_too(volume: Volume) -> None:
    volume.put(MINE)
    (volume.path / GUARD_FOLDER / documents.HOLD / "inside").mkdir(parents=True)
    written = run(volume.write_hold(over=True))
    assert isinstance(written, Written)
    assert (volume.path / GUARD_FOLDER / written.set_aside[0] / "inside").is_dir()
    assert (volume.path / GUARD_FOLDER / documents.HOLD).read_bytes() == hold.FORMAT.render(HOLD)


def test_a_marker_that_came_or_went_since_the_look_is_judged_again(volume: Volume) -> None:
    assert run(volume.adopt(OTHER_ID)) == Conflict()
    volume.put(OTHER)
    assert run(volume.adopt()) == Conflict()
    assert volume.found() == OTHER


#: What may have happened since a hold of the right volume was judged.
MEANWHILE: dict[str, dict[str, bytes | None]] = {
    "another hold": {documents.HOLD: hold.FORMAT.render(Hold("another", AT, "a restore"))},
    "a broken hold": {documents.HOLD: b"broken"},
    "no hold": {documents.HOLD: None},
    "another marker": {documents.MARKER: marker.FORMAT.render(Marker("mine", OTHER_ID, AT))},
    "a broken marker": {documents.MARKER: b"broken"},
    "no marker": {documents.MARKER: None},
}


@pytest.mark.parametrize("changes", MEANWHILE.values(), ids=MEANWHILE)
@pytest.mark.parametrize("releasing", [True, False], ids=["release", "accept"])
def test_what_changed_since_it_was_judged_is_neither_released_nor_accepted(
    volume: Volume, changes: dict[str, bytes | None], *, releasing: bool
) -> None:
    volume.put(HELD)
    for name, text in changes.items():
        (volume.path / GUARD_FOLDER / name).unlink()
        volume.put({name: text} if text is not None else {})
    before = volume.found()
    if not releasing and documents.MARKER not in changes:
        assert isinstance(run(volume.accept()), Written), "accept leaves a hold to the gate"
    else:
        assert run(volume.release() if releasing else volume.accept()) == Conflict()
        assert volume.found() == before


def test_nothing_is_written_where_another_mount_was_counted(volume: Volume) -> None:
    volume.put(HELD)
    before = volume.found()
    requests: list[_Request] = [volume.accept(), volume.release(), volume.write_hold(over=True), volume.write_ledger()]
    for elsewhere in (replace(volume.ref, mount_id=-7), replace(volume.ref, root_inode=7)):
        for request in requests:
            assert run(replace(request, mount=elsewhere)) == Conflict()
    assert volume.found() == before


def test_accept_raises_the_generation_and_a_hold_has_that_of_the_ledger(volume: Volume) -> None:
    volume.put({**MINE, documents.LEDGER: ledger.FORMAT.render(replace(NEW, generation=7))})
    accepted = run(volume.accept())
    assert isinstance(accepted, Written)
    assert accepted.ledger == replace(NEW, generation=8)
    run(volume.write_hold())
    assert hold.FORMAT.parse(volume.found()[documents.HOLD]).generation == 8


def test_the_watcher_writes_over_no_later_ledger_and_not_during_a_hold_but_a_stale_one(volume: Volume) -> None:
    volume.put({**MINE, documents.LEDGER: ledger.FORMAT.render(replace(NEW, generation=3))})
    assert run(volume.write_ledger(2)) == Conflict()
    assert isinstance(run(volume.write_ledger(3)), Written)
    volume.put({documents.HOLD: hold.FORMAT.render(replace(HOLD, generation=3))})
    assert run(volume.write_ledger(3)) == Conflict()
    assert run(volume.write_ledger(3, despite_stale_hold=True)) == Conflict()
    volume.put({documents.HOLD: hold.FORMAT.render(replace(HOLD, generation=2))})
    assert run(volume.write_ledger(3)) == Conflict()
    assert isinstance(run(volume.write_ledger(3, despite_stale_hold=True)), Written)
    volume.put({documents.HOLD: b"broken"})
    assert run(volume.write_ledger(3, despite_stale_hold=True)) == Conflict()


@pytest.mark.parametrize(
    "texts", [{}, {documents.LEDGER: MINE[documents.LEDGER]}, OTHER], ids=["none", "no marker", "another"]
)
def test_the_watcher_writes_only_beside_its_marker(volume: Volume, texts: dict[str, bytes]) -> None:
    volume.put(texts)
    assert run(volume.write_ledger()) == Conflict()
    assert volume.found() == texts


def test_a_reader_s_lock_delays_accept_and_does_not_refuse_it(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_LOCK_PATIENCE", 0.2)
    volume.put(MINE)
    reader = os.open(volume.path / GUARD_FOLDER, os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    assert isinstance(run(volume.accept()), Written)
    os.close(reader)


@pytest.mark.parametrize("behind", [7200, -7200], ids=["behind", "ahead"])
def test_what_a_killed_guard_left_is_removed_an_hour_later_by_the_server_s_clock(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, behind: int
) -> None:
    volume.put({".marker.json.0a.tmp": b"", ".ledger.json.0b.tmp": b""})
    folder, now = volume.path / GUARD_FOLDER, time.time()
    os.utime(folder / ".marker.json.0a.tmp", (now - 7200,) * 2)
    os.utime(folder / ".ledger.json.0b.tmp", (now - 600,) * 2)
    monkeypatch.setattr(time, "time", lambda: now + behind)
    assert isinstance(run(volume.adopt()), Written)
    assert set(volume.found()) == {documents.MARKER, documents.LEDGER, ".ledger.json.0b.tmp"}


def test_where_no_name_can_be_changed_one_file_is_left_not_one_for_each_write(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume.put(MINE)

    def refuse(name: str, *_: object, **named: int) -> None:
        os.stat(name, dir_fd=named.get("dir_fd", named.get("src_dir_fd")))
        raise OSError(errno.EPERM, "append only")

    with monkeypatch.context() as append_only:
        append_only.setattr(os, "unlink", refuse)
        append_only.setattr(os, "rename", refuse)
        for _ in range(5):
            fault = run(volume.write_ledger())
            assert isinstance(fault, ProbeFault)
            assert (fault.code, fault.in_place) == ("EPERM", True)
        assert len(volume.found()) == 3
    assert isinstance(run(volume.write_ledger()), Written)
    assert volume.found() == MINE


def test_writing_is_not_tried_again_where_the_file_of_the_last_time_stayed(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume.put(MINE)
    root = os.open(volume.path, os.O_RDONLY)

    def refuse(name: str, *, dir_fd: int) -> None:
        os.stat(name, dir_fd=dir_fd)
        raise OSError(errno.EPERM, "append only")

    assert documents.try_writing(root)
    assert volume.found() == MINE
    with monkeypatch.context() as append_only:
        append_only.setattr(os, "unlink", refuse)
        documents.try_writing(root)
        left = set(volume.found())
        assert len(left) == 3
        for _ in range(3):
            assert not documents.try_writing(root)
        assert set(volume.found()) == left
    assert documents.try_writing(root)
    assert volume.found() == MINE
    os.close(root)
