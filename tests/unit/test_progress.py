"""Time without progress: of a volume that answers slowly, call after call, no request may count as hung."""

import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guard.probe import documents, look, mounts, progress
from guard.probe.writes import Accept, Adopt, MountRef, Release, WriteHold, WriteLedger, Written
from guard.volume import hold, ledger, marker
from guard.volume.hold import Hold
from guard.volume.ledger import Ledger, Reference
from guard.volume.marker import Marker
from guard.volume.observation import GUARD_FOLDER, Look

AT = "2026-11-24T18:27:01Z"
ID = "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11"
LEDGER = Ledger(ID, 1, Reference(1, AT), AT)
MARKER = Marker("mine", ID, AT)
HOLD = Hold("me", AT, "why", 1)
#: Calls that a server answers, each in its time. A descriptor's own, such as fstat, are answered by the kernel's cache.
CALLS = ("open", "stat", "fstatvfs", "scandir", "read", "write", "fsync", "fchmod", "mkdir", "link", "rename", "unlink")


@pytest.fixture
def mount(tmp_path: Path) -> MountRef:
    """A volume with a marker and a ledger."""
    (tmp_path / GUARD_FOLDER).mkdir()
    (tmp_path / GUARD_FOLDER / documents.MARKER).write_bytes(marker.FORMAT.render(MARKER))
    (tmp_path / GUARD_FOLDER / documents.LEDGER).write_bytes(ledger.FORMAT.render(LEDGER))
    root = os.open(tmp_path, os.O_RDONLY)
    found = MountRef(str(tmp_path), mounts.mount_id(root), os.fstat(root).st_ino)
    os.close(root)
    return found


@pytest.fixture
def silences(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many calls on the volume came back each time before anything was reported; the last item grows."""
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


def test_a_look_whose_calls_take_long_reports_after_each_what_it_knows(mount: MountRef, silences: list[int]) -> None:
    reported: list[Look] = []

    def report(found: Look) -> None:
        reported.append(found)
        silences.append(0)

    found = look.look(mount.path, report, writes_for="mine")
    assert pickle.loads(pickle.dumps(found)).marker == MARKER
    assert found.writing.value == "works"
    assert {one.mount for one in reported} == {found.mount}
    assert len(silences) > 8
    assert max(silences) == 1


def test_a_look_that_is_answered_at_once_reports_once_what_it_knows(mount: MountRef) -> None:
    reported: list[Look] = []
    look.look(mount.path, reported.append, writes_for="mine")
    assert len(reported) == 1


WRITES: dict[str, Callable[[MountRef], Adopt | Accept | WriteLedger | WriteHold | Release]] = {
    "adopt": lambda mount: Adopt(mount, Marker("mine", AT, AT), LEDGER, ID),
    "accept": lambda mount: Accept(mount, LEDGER, ID),
    "ledger": lambda mount: WriteLedger(mount, LEDGER, 1),
    "hold": lambda mount: WriteHold(mount, HOLD, over=False),
    "hold over": lambda mount: WriteHold(mount, HOLD, over=True),
    "release": lambda mount: Release(mount, LEDGER, ID, HOLD),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_whose_calls_take_long_reports_after_each(
    mount: MountRef,
    silences: list[int],
    write: Callable[[MountRef], Adopt | Accept | WriteLedger | WriteHold | Release],
) -> None:
    request = write(mount)
    if isinstance(request, Release):
        (Path(mount.path) / GUARD_FOLDER / documents.HOLD).write_bytes(hold.FORMAT.render(HOLD))
    done = request.run(lambda _: silences.append(0))
    assert isinstance(done, Written)
    assert len(silences) > 8
    assert max(silences) == 1


def test_thousands_of_temporary_files_that_answer_slowly_are_progress_and_soon_over(
    mount: MountRef, silences: list[int]
) -> None:
    for number in range(2000):
        (Path(mount.path) / GUARD_FOLDER / f".probe-{number}.tmp").touch()
    silences[:] = [0]
    assert isinstance(Accept(mount, LEDGER, ID).run(lambda _: silences.append(0)), Written)
    assert len(silences) < 200
    assert max(silences) == 1


def test_a_failed_call_is_a_fault_of_the_step_that_was_taken() -> None:
    progress.step("reading a file")
    with pytest.raises(OSError, match="No such file") as failed:
        progress.call(os.stat, "/no/such/path")
    fault = progress.fault(failed.value)
    assert (fault.code, fault.doing, fault.writing) == ("ENOENT", "reading a file", False)


def test_a_report_within_another_gives_the_outer_one_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    reported: list[str] = []
    with progress.reporting(lambda: reported.append("outer")):
        with progress.reporting(lambda: reported.append("inner")):
            progress.tick()
        progress.tick()
    progress.tick()
    assert reported == ["inner", "outer"]
