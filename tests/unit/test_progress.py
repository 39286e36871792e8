"""Time without progress: of a volume that answers slowly, call after call, no request may count as hung."""

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from guard.probe import count, documents, look, mounts
from guard.probe.requests import Count
from guard.probe.writes import Accept, Adopt, MountRef, Release, WriteHold, WriteLedger, Written
from guard.volume import hold, ledger, marker
from guard.volume.hold import Hold
from guard.volume.ledger import Ledger, Reference
from guard.volume.marker import Marker
from guard.volume.observation import GUARD_FOLDER, CountOptions, Look

AT = "2026-11-24T18:27:01Z"
ID = "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11"
LEDGER = Ledger(ID, 1, Reference(1, {}, 0, AT), 1, AT)
MARKER = Marker("mine", ID, AT)
HOLD = Hold("me", AT, "why")
#: Calls that a server answers, each in its time. A descriptor's own, such as fstat, are answered by the kernel's cache.
CALLS = ("open", "stat", "fstatvfs", "scandir", "read", "write", "fsync", "fchmod", "mkdir", "link", "rename", "unlink")


@pytest.fixture
def seen(tmp_path: Path) -> MountRef:
    """A volume with a marker and a ledger."""
    (tmp_path / GUARD_FOLDER).mkdir()
    (tmp_path / GUARD_FOLDER / documents.MARKER).write_bytes(marker.render(MARKER))
    (tmp_path / GUARD_FOLDER / documents.LEDGER).write_bytes(ledger.render(LEDGER))
    root = look.open_root(str(tmp_path))
    found = MountRef(str(tmp_path), mounts.mount_id(root), os.fstat(root).st_ino)
    os.close(root)
    return found


@pytest.fixture
def silences(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many calls on the volume came back each time before anything was said; the last item grows."""
    found = [0]
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def slow(call: Callable[..., Any]) -> Callable[..., Any]:
        def answer(first: Any, *others: Any, **named: Any) -> Any:
            path = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(first)
            if not path.startswith("/proc/"):
                found[-1] += 1
                clock[0] += 1
            return call(first, *others, **named)

        return answer

    for name in CALLS:
        monkeypatch.setattr(os, name, slow(getattr(os, name)))
    return found


def test_a_look_whose_calls_take_long_says_after_each_what_it_knows(seen: MountRef, silences: list[int]) -> None:
    told: list[Look] = []

    def said(found: Look) -> None:
        told.append(found)
        silences.append(0)

    found = look.look(seen.path, said, writes_for="mine")
    assert found.marker == MARKER
    assert found.writing.value == "works"
    assert {one.mount for one in told} == {found.mount}
    assert len(silences) > 8
    assert max(silences) == 1


def test_a_look_that_is_answered_at_once_says_once_what_it_knows(seen: MountRef) -> None:
    told: list[Look] = []
    look.look(seen.path, told.append, writes_for="mine")
    assert len(told) == 1


WRITES: dict[str, Callable[[MountRef], Adopt | Accept | WriteLedger | WriteHold | Release]] = {
    "adopt": lambda seen: Adopt(seen, Marker("mine", AT, AT), LEDGER, ID, None),
    "accept": lambda seen: Accept(seen, LEDGER, ID),
    "keep": lambda seen: WriteLedger(seen, LEDGER, 1),
    "hold": lambda seen: WriteHold(seen, HOLD, over=False),
    "hold over": lambda seen: WriteHold(seen, HOLD, over=True),
    "release": lambda seen: Release(Accept(seen, LEDGER, ID), HOLD),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_whose_calls_take_long_says_so_after_each(
    seen: MountRef, silences: list[int], write: Callable[[MountRef], Adopt | Accept | WriteLedger | WriteHold | Release]
) -> None:
    request = write(seen)
    if isinstance(request, Release):
        (Path(seen.path) / GUARD_FOLDER / documents.HOLD).write_bytes(hold.render(HOLD))
    done = request.run(lambda _: silences.append(0))
    assert isinstance(done, Written)
    assert len(silences) > 8
    assert max(silences) == 1


def test_a_folder_of_a_thousand_names_whose_types_take_long_is_no_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, told = [0.0], [0.0]

    class Untyped:
        """A name of a file system that lists no types: each is asked for."""

        name = "file"

        def is_dir(self, *, follow_symlinks: bool) -> bool:
            clock[0] += 0.09
            return follow_symlinks

    class Listed(list[Untyped]):
        """As os.scandir gives it, to be closed."""

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(os, "scandir", lambda _: Listed(Untyped() for _ in range(1000)))
    root = look.open_root(str(tmp_path))
    found = count.count(root, CountOptions(), lambda _: told.append(clock[0]))
    os.close(root)
    assert found.files == 1000
    assert max(after - before for before, after in itertools.pairwise([*told, clock[0]])) < 10


@pytest.mark.parametrize("levels", [1, 50])
def test_a_count_whose_calls_take_long_says_so_after_each(tmp_path: Path, silences: list[int], levels: int) -> None:
    deepest = tmp_path.joinpath(*["a"] * levels)
    deepest.mkdir(parents=True)
    for name in ("b", "c", "d/e"):
        (deepest / name).mkdir(parents=True)
        (deepest / name / "file").touch()
    silences[:] = [0]
    found = Count(str(tmp_path), CountOptions()).run(lambda _: silences.append(0))
    assert (found.files, found.folders) == (3, levels + 4)
    assert len(silences) > found.folders
    assert max(silences) == 1
