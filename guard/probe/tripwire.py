"""The tripwire: watchdog on every folder that is counted, whose events only show that something changed. Prober only.

Events never decide: one that is lost, late or flooded costs time, never truth.
"""

import errno
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress

from watchdog.observers.api import EventQueue, ObservedWatch
from watchdog.observers.inotify import InotifyEmitter, InotifyWatchGroup
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, InotifyFD, Mask
from watchdog.observers.inotify_move_event_grouper import GroupedInotifyEvent, PathedInotifyEvent

from guard.probe import look, mounts, progress
from guard.volume.ignore import Ignore
from guard.volume.observation import FOLDERS, TripwireState

#: So many events within a second are a storm: following it would cost more than counting after it.
STORM = 64
_STORM_SECONDS = 1.0
#: What the eventfd gets for a storm; for a removal it gets 1.
STORM_TOKEN = 1 << 32
#: What it carries for a move within the tree; below that is the number of removals.
MOVED_TOKEN = 1 << 16
#: With all its events watchdog wakes at every file that the application opens.
_MASK = Mask(
    InotifyConstants.IN_CREATE | InotifyConstants.IN_DELETE | InotifyConstants.IN_DELETE_SELF | InotifyConstants.IN_MOVE
)
_WATCH_LIMIT = "/proc/sys/fs/inotify/max_user_watches"

# The prober has no standard error, and watchdog complains of a thread that is stopped in a flood.
logging.getLogger("watchdog").addHandler(logging.NullHandler())
logging.getLogger("watchdog").propagate = False


def arm(
    path: str, wake: int, ignore: tuple[str, ...], report: Callable[[int], None]
) -> tuple["Tripwire | None", TripwireState]:
    """Arms a tripwire; reports the number of watched folders as progress. Returns it, None if there is none, and its state."""
    try:
        tripwire = Tripwire(path, wake, Ignore(ignore))
    except OSError as error:
        return None, TripwireState(blind=_reason(error))
    try:
        with progress.reporting(lambda: report(tripwire.watches)):
            tripwire.start()
    except (OSError, RuntimeError) as error:  # RuntimeError: no thread can be started
        tripwire.disarm()
        return None, TripwireState(blind=_reason(error) if isinstance(error, OSError) else str(error))
    return tripwire, tripwire.state()


class Tripwire:
    """One emitter on one directory. Never armed twice: watchdog loops on a large tree if one is used again.

    Args:
        path: The guarded path.
        wake: An eventfd of the parent: gets 1 for a removal, MOVED_TOKEN for a move, STORM_TOKEN for a storm.
        ignore: What is no data.
    """

    def __init__(self, path: str, wake: int, ignore: Ignore) -> None:
        self._path = path
        real_path = progress.call(os.path.realpath, path)  # of a link inotify would watch the link
        with look.opened(real_path, os.O_PATH | os.O_DIRECTORY) as root:
            self._root = _identity(os.fstat(root))
            nested = mounts.nested(root)

        def is_data(relative: str) -> bool:
            return relative not in nested and not ignore.ignores(relative)

        self._inotify = InotifyFD()
        self._counter = _Counter(wake, self._inotify.stop)
        self._emitter = _Emitter(real_path, self._inotify, is_data, self._counter)

    def start(self) -> None:
        """Watches every folder. OSError: the root can't be watched. RuntimeError: no thread can be started."""
        self._inotify.start()
        self._emitter.start()

    @property
    def watches(self) -> int:
        """How many folders it watches."""
        return self._emitter.group.watches if self._emitter.group else 0

    def state(self) -> TripwireState:
        """Returns whether it would still notice: cheap, and without a write to the volume."""
        stirred = self._counter.stirred()
        if self._counter.storm:
            return TripwireState(tripped=True, stirred=True)
        fault = self._fault()
        blind = fault or (self._emitter.group.incomplete if self._emitter.group else "")
        return TripwireState(armed=not fault, blind=blind, stirred=stirred, watches=self.watches)

    def _fault(self) -> str:
        if not (self._inotify.is_alive() and self._emitter.is_alive()):
            return "a thread of the tripwire is dead"
        try:
            found = progress.call(os.stat, self._path)
        except OSError as error:
            return f"its root can't be checked: {errno.errorcode.get(error.errno or 0, 'an error')}"
        if _identity(found) != self._root:
            return "its root was moved or replaced"
        group = self._emitter.group
        if group is None or not group.watches_root:
            return "its root carries no watch any more"
        return group.incomplete if group.is_outgrown else ""

    def disarm(self) -> None:
        """Ends its threads, as far as they can be ended."""
        for thread in (self._emitter, self._inotify):
            if thread.is_alive():
                thread.stop()
                thread.join(1.0)
        if self._inotify.ident is None:  # never started: nobody else closes what it opened
            self._inotify._is_reading = False  # noqa: SLF001
            self._inotify.close()


class _WatchGroup(InotifyWatchGroup):
    """watchdog's watches, but only of folders that are counted, and no more than FOLDERS."""

    def __init__(self, inotify: InotifyFD, path: bytes, is_data: Callable[[str], bool], counter: "_Counter") -> None:
        self._is_data = is_data
        self._counter = counter
        self._is_arming = True
        self.is_outgrown = False
        self.incomplete = ""
        super().__init__(inotify, path, event_mask=_MASK, is_recursive=True)

    def relative(self, path: bytes) -> str:
        return os.fsdecode(path[len(self.path) :].lstrip(b"/"))

    @property
    def watches(self) -> int:
        return len(self._active_callbacks_by_watch)

    @property
    def watches_root(self) -> bool:
        return self.path in self._active_callbacks_by_path

    def _add_all_callbacks(self, path: bytes) -> None:
        # Later, folders that are new are added from watchdog's thread, and progress belongs to the prober's own.
        is_arming, self._is_arming = self._is_arming, False
        folders = [path]
        while folders:
            folder = folders.pop()
            if folder != self.path and not self._is_data(self.relative(folder)):
                continue
            if self.watches >= FOLDERS:
                self.incomplete, self.is_outgrown = f"it has more than {FOLDERS} folders", True
                return
            self._add_callback(folder)
            if folder in self._active_callbacks_by_path:
                with suppress(OSError), os.scandir(folder) as entries:  # what can't be listed has a watch all the same
                    folders += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
            if is_arming:
                progress.tick()

    def _add_callback(self, path: bytes) -> None:
        try:
            watch = self._inotify_fd.add_callback(path, self.event_mask, self._callback, self._id)
            if watch < 0:  # watchdog raises no EACCES
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            if path == self.path:
                raise
            if error.errno not in {errno.ENOENT, errno.ENOTDIR}:  # removed meanwhile
                self.incomplete = _reason(error, self.relative(path))
            return
        self._active_callbacks_by_path[path] = watch
        self._active_callbacks_by_watch[watch] = path

    def on_queue_overflow(self) -> None:
        """Handles a flood: watchdog would add every watch again, and be flooded again."""
        self._counter.on_storm()

    def _recursive_simulate(self, src_path: bytes) -> list[InotifyEvent]:
        # What lies in a folder that is new: the folder's own event is enough.
        del src_path
        return []


class _Emitter(InotifyEmitter):
    """watchdog's emitter, with such watches, whose events are only counted."""

    def __init__(self, path: str, inotify: InotifyFD, is_data: Callable[[str], bool], counter: "_Counter") -> None:
        super().__init__(EventQueue(), ObservedWatch(path, recursive=True), inotify_fd=inotify)
        self._is_data = is_data
        self._counter = counter
        self.group: _WatchGroup | None = None

    def on_thread_start(self) -> None:
        path = os.fsencode(self.watch.path)
        self.group = self._inotify = _WatchGroup(self._inotify_fd, path, self._is_data, self._counter)

    def build_and_queue_event(self, event: GroupedInotifyEvent, *, full_events: bool = False) -> None:
        del full_events
        if not isinstance(event, PathedInotifyEvent):
            source, target = (self._is_data_at(end.path) for end in event)
            self._counter.on_event(goes=source, comes=target)
        elif event.ev.is_delete or event.ev.is_moved_from:
            self._counter.on_event(goes=self._is_data_at(event.path), comes=False)
        elif event.ev.is_create or event.ev.is_moved_to:
            self._counter.on_event(goes=False, comes=self._is_data_at(event.path))

    def _is_data_at(self, path: bytes) -> bool:
        assert self.group is not None
        return self._is_data(self.group.relative(path))


class _Counter:
    """Counts events; never looks at a file, never raises (that would kill watchdog's thread)."""

    def __init__(self, wake: int, take_down: Callable[[], None]) -> None:
        self.storm = False
        self._wake = wake
        # From watchdog's own thread: closing inotify stops the flood at its source; the rest ends with `disarm`.
        self._take_down = take_down
        self._stirred = False
        self._since = 0.0
        self._events = 0

    def stirred(self) -> bool:
        """Returns whether anything was counted since this was last asked."""
        stirred, self._stirred = self._stirred, False
        return stirred

    def on_event(self, *, goes: bool, comes: bool) -> None:
        """Counts one event: data that goes, that comes, or that is moved; neither of what is no data."""
        if self.storm:
            return
        now = time.monotonic()
        if now - self._since >= _STORM_SECONDS:
            self._since, self._events = now, 0
        self._events += 1
        if self._events >= STORM:  # of ignored names too: they cost as much
            self.on_storm()
            return
        self._stirred |= goes or comes
        if goes:
            # A move within the tree is a sign of a change, but no name that goes.
            self._signal(MOVED_TOKEN if comes else 1)

    def on_storm(self) -> None:
        """Ends the watching."""
        self.storm = True
        self._signal(STORM_TOKEN)
        self._take_down()

    def _signal(self, value: int) -> None:
        with suppress(OSError):  # full: the parent has been woken often enough
            os.eventfd_write(self._wake, value)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _reason(error: OSError, folder: str = "") -> str:
    if error.errno == errno.EMFILE:
        return "no inotify instance is left to this user (fs.inotify.max_user_instances)"
    if error.errno == errno.ENOSPC:
        return f"no inotify watch is left to this user (fs.inotify.max_user_watches is {_watch_limit()})"
    what = f"folder {folder}" if folder else "its root"
    return f"{what} can't be watched: {errno.errorcode.get(error.errno or 0, str(error))}"


def _watch_limit() -> str:
    try:
        with open(_WATCH_LIMIT, encoding="ascii") as limit:
            return limit.read().strip()
    except OSError:
        return "unknown"
