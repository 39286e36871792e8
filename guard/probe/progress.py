"""The door to the volume: every call on it goes through here. Prober only, which does one thing at a time.

A call that comes back is progress, however slow; one that fails is a fault of the step that was being taken.
"""

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from guard.volume.observation import ProbeFault

#: Seconds between two reports to the parent where calls take long; where they don't, it gets none.
EVERY = 0.1

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@dataclass
class _Current:
    doing: str = ""
    writing: bool = False
    report: Callable[[], None] | None = None
    reported_at: float = 0.0


_current = _Current()


@contextmanager
def reporting(report: Callable[[], None]) -> Iterator[None]:
    """Reports progress to the parent while a block runs."""
    before, _current.report, _current.reported_at = _current.report, report, time.monotonic()
    try:
        yield
    finally:
        _current.report = before


def step(doing: str, *, writing: bool = False) -> None:
    """Names what the next calls do, as a clause: `listing /app/skills`."""
    _current.doing, _current.writing = doing, writing


def call(function: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
    """Makes one call on the volume."""
    try:
        return function(*arguments, **named)
    finally:
        tick()


def tick() -> None:
    """Counts calls that came back: for code that makes many before it reports."""
    if _current.report is not None and time.monotonic() - _current.reported_at >= EVERY:
        _current.report()
        _current.reported_at = time.monotonic()


def fault(error: OSError) -> ProbeFault:
    """Returns the fault that a failed call is, of the step that was being taken."""
    return ProbeFault(error.errno or errno.EIO, _current.doing, _current.writing)
