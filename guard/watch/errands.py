"""What the watcher asks of the prober: a glimpse, a stock-taking, a tripwire. Values that travel there and run there."""

import errno
import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from guard.probe import count, look, progress
from guard.report.text import truncate
from guard.volume.observation import CountOptions, FileCount, ProbeFault, Space
from guard.watch.sightings import Glimpse, Stock, TripwireState
from guard.watch.tripwire import Tripwire, watch_limit

#: Seconds for watchdog's threads to add the watches of folders that were just made.
_CATCH_UP = 0.3
#: Folders that carry no watch and are told to the parent: one is enough to arm anew.
_TOLD = 100
#: The tripwire of this process: the parent has none, a prober one at most.
_standing: Tripwire | None = None


@dataclass(frozen=True)
class Peek:
    """A cheap look at a path, and at the tripwire."""

    path: str

    def run(self, said: Callable[[Any], None]) -> Glimpse:
        """Looks, without a write; says the look as far as it came before anything that may block."""
        found = look.look(self.path, said, writes_for=None)
        return Glimpse(found, _standing.state() if _standing else TripwireState())


@dataclass(frozen=True)
class TakeStock:
    """A full count below a path."""

    path: str
    order: CountOptions

    def run(self, said: Callable[[Any], None]) -> Stock:
        """Counts, and compares the folders with those that carry a watch; says how many names it has seen."""
        began = time.monotonic()
        wire = _standing if _standing is not None and not _standing.tripped else None
        space, found = _count(self.path, replace(self.order, inodes=wire is not None), said)
        unwatched = _unwatched(wire, found) if wire is not None and not found.fault else frozenset[int | str]()
        found = replace(found, inodes=frozenset())
        return Stock(found, space, time.monotonic() - began, unwatched=unwatched)


@dataclass(frozen=True)
class Arm:
    """A new tripwire first, a full count after: what changes in between trips it or is counted.

    Attributes:
        path: The guarded path.
        order: What to count.
        wake: The parent's eventfd.
    """

    path: str
    order: CountOptions
    wake: int

    def run(self, said: Callable[[Any], None]) -> Stock:
        """Arms, counts, and compares the folders of the count with those that carry a watch."""
        global _standing  # noqa: PLW0603 - a request is a value: what stays in the prober needs a place
        began = time.monotonic()
        if _standing is not None:
            _standing.disarm()
            _standing = None
        reason = ""
        try:
            _standing = Tripwire(self.path, self.wake)
            _standing.arm(said)
        except OSError as error:
            reason = _why(error)
            if _standing is not None:
                _standing.disarm()
                _standing = None
        order = replace(self.order, inodes=True)
        space, found = _count(self.path, order, said)
        if (
            _standing is not None
            and not found.fault
            and (reason := _uncovered(_standing, found))
            and not found.unreadable
        ):
            # A folder may have come or gone meanwhile: what has no watch must still be there, and still have none.
            time.sleep(_CATCH_UP)
            _, again = _count(self.path, order, said)
            reason = (
                _uncovered(_standing, replace(again, inodes=again.inodes & found.inodes)) if not again.fault else ""
            )
        state = _standing.state() if _standing else TripwireState()
        state = replace(state, blind=state.blind or reason)
        return Stock(replace(found, inodes=frozenset()), space, time.monotonic() - began, state)


def _count(path: str, order: CountOptions, said: Callable[[Any], None]) -> tuple[Space | None, FileCount]:
    try:
        with progress.told(lambda: said(0)):
            root = look.open_root(path)
    except OSError as error:
        return None, FileCount(0, fault=ProbeFault(error.errno or 0, f"opening {path}"))
    try:
        found = os.fstatvfs(root)
        space = Space(found.f_blocks - found.f_bfree, found.f_files - found.f_ffree, found.f_fsid)
        return space, count.count(root, order, said)
    except OSError as error:
        return None, FileCount(0, fault=ProbeFault(error.errno or 0, f"statvfs of {path}"))
    finally:
        os.close(root)


def _why(error: OSError) -> str:
    if error.errno == errno.EMFILE:
        return "no inotify instance is left to this user (fs.inotify.max_user_instances)"
    if error.errno == errno.ENOSPC:
        return f"no inotify watch is left to this user (fs.inotify.max_user_watches is {watch_limit()})"
    return f"its root can't be watched: {errno.errorcode.get(error.errno or 0, str(error))}"


def _uncovered(wire: Tripwire, found: FileCount) -> str:
    """Why a folder of the count carries no watch; empty where every one does."""
    if found.unreadable:
        names = ", ".join(map(truncate, found.unreadable[:3]))
        return f"{found.unreadable_folders} folders can't be read: {names}"
    missing = len(_without_watch(wire, found))
    if missing > 0:
        return f"{missing} of {found.folders} folders carry no watch (fs.inotify.max_user_watches is {watch_limit()})"
    return ""


def _unwatched(wire: Tripwire, found: FileCount) -> frozenset[int | str]:
    """What a later count is compared with: the first of them, in an order that does not change."""
    return frozenset([*sorted(found.unreadable)[:_TOLD], *sorted(_without_watch(wire, found))[:_TOLD]])


def _without_watch(wire: Tripwire, found: FileCount) -> Collection[int]:
    """Folders of the count without a watch: their inodes, or, where those say nothing, so many numbers."""
    watched = wire.watched()
    # overlay and some FUSE file systems show other inodes here than to inotify: there only the numbers can be compared.
    if found.root_inode in watched or (found.inodes and found.inodes <= watched):
        return (found.inodes | {found.root_inode}) - watched
    return range(found.folders + 1 - len(watched))
