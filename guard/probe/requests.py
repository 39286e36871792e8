"""What a prober can be asked, but for writes: a look, a check of files, a count, a tripwire. Values that run there.

Here is the prober's border: a call on the volume that fails becomes the fault of a result, never an exception.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from guard.probe import count, files, look, mounts, progress
from guard.volume.loss import LossRule
from guard.volume.observation import (
    CountOptions,
    FileCount,
    FilesChecked,
    Look,
    LookResult,
    ProbeFault,
    TripwireState,
)
from guard.volume.sample import SampledFile

if TYPE_CHECKING:
    from guard.probe.tripwire import Tripwire

#: The tripwire of this prober: at most one.
_tripwire: "Tripwire | None" = None


@dataclass(frozen=True)
class LookRequest:
    """A look at a path, at some of its files and at the tripwire.

    Attributes:
        path: Absolute, as in every request.
        writes_for: The name in the marker of a volume on which a write may be tried; None for none.
        files: Sampled files to check.
        rule: How much of its size a file can lose and still be kept.
    """

    path: str
    writes_for: str | None
    files: tuple[SampledFile, ...] = ()
    rule: LossRule = field(default_factory=LossRule)

    def run(self, report: Callable[[Any], None]) -> LookResult:
        """Looks; reports the look as far as it came before anything that may block."""
        found = look.look(self.path, report, writes_for=self.writes_for)
        checked = None
        if found.mount is not None and not found.absent and not found.fault:
            check = CheckRequest(self.path, self.files, self.rule)
            checked = check.run(lambda _: report(found)) if self.files else FilesChecked()
        return LookResult(found, checked, _check_tripwire())

    def on_timeout(self, partial: Any) -> LookResult:
        """Returns the look as far as it came."""
        seen = partial if isinstance(partial, Look) else Look(self.path, look.identity())
        return LookResult(replace(seen, fault=ProbeFault(0, "being checked")))


def _check_tripwire() -> TripwireState:
    """Its state; one that would notice nothing, or is outgrown, is taken down: its own threads cannot do that."""
    global _tripwire  # noqa: PLW0603 - a request is a value: what stays in the prober needs a place
    state = _tripwire.state() if _tripwire else TripwireState()
    if _tripwire and not state.armed:
        _tripwire.disarm()
        _tripwire = None
    return state


@dataclass(frozen=True)
class PinRequest:
    """Keeps the directory open until the prober ends, for a command that writes what it judged and counted.

    The kernel gives the ID of a mount to another one as soon as nothing holds the first: then a write could not tell them
    apart.
    """

    path: str

    def run(self, report: Callable[[Any], None]) -> None:
        """Opens it, if it can be: otherwise the look that follows reports why not."""
        del report
        with suppress(OSError):
            os.open(self.path, os.O_PATH | os.O_DIRECTORY)

    def on_timeout(self, partial: Any) -> None:
        """Leaves it to the look that follows."""


@dataclass(frozen=True)
class CheckRequest:
    """A check of sampled files below a path.

    Attributes:
        files: The files, in the order in which they are checked.
        rule: How much of its size a file can lose and still be kept.
        enough: Stop after so many files if all of them are kept; None checks all.
    """

    path: str
    files: tuple[SampledFile, ...]
    rule: LossRule
    enough: int | None = None

    def run(self, report: Callable[[Any], None]) -> FilesChecked:
        """Checks the files."""
        try:
            with progress.reporting(lambda: report(0)), look.opened_root(self.path) as root:
                progress.step("checking its files")
                return files.check_files(root, self.files, mounts.nested(root), rule=self.rule, enough=self.enough)
        except OSError as error:
            return FilesChecked(fault=progress.fault(error))

    def on_timeout(self, partial: Any) -> FilesChecked:
        """Returns that the files could not be checked."""
        del partial
        return FilesChecked(fault=ProbeFault(0, "having its files checked"))


@dataclass(frozen=True)
class CountRequest:
    """A count below a path."""

    path: str
    options: CountOptions

    def run(self, report: Callable[[Any], None]) -> FileCount:
        """Counts; reports how many names it has seen."""
        began = time.monotonic()
        try:
            with progress.reporting(lambda: report(0)), look.opened_root(self.path) as root:
                progress.step("counting its files")
                found = count.count(root, self.options, report)
        except OSError as error:
            found = FileCount(0, fault=progress.fault(error))
        return replace(found, seconds=time.monotonic() - began)

    def on_timeout(self, partial: Any) -> FileCount:
        """Returns how far it came."""
        seen = f" after {partial} names" if isinstance(partial, int) and partial else ""
        return FileCount(0, fault=ProbeFault(0, f"being counted{seen}"))


@dataclass(frozen=True)
class ArmRequest:
    """A new tripwire in place of the one that there may be; it writes to the parent's eventfd `wake`."""

    path: str
    wake: int
    ignore: tuple[str, ...] = ()

    def run(self, report: Callable[[Any], None]) -> TripwireState:
        """Arms it; reports how many folders it watches."""
        from guard.probe import tripwire  # noqa: PLC0415 - only the watcher loads watchdog

        global _tripwire
        if _tripwire is not None:
            _tripwire.disarm()
        _tripwire, state = tripwire.arm(self.path, self.wake, self.ignore, report)
        return _check_tripwire() if _tripwire else state

    def on_timeout(self, partial: Any) -> TripwireState:
        """Returns that there is none."""
        del partial
        return TripwireState(blind="arming it made no progress in time")
