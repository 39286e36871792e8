"""The tripwire: watchdog on the whole tree, in the prober, whose events say only that something changed.

Events never decide: one that is lost, late or flooded costs time, never truth.
"""

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import InotifyFD

from guard.volume.observation import NOT_DATA
from guard.watch.sightings import TripwireState

#: So many events within a second are a storm: following it would cost more than counting after it.
STORM = 64
_STORM_SECONDS = 1.0
#: What the eventfd carries beside the number of removals: a storm.
STORM_TOKEN = 1 << 32
#: Without this filter watchdog wakes at every file that the application opens.
_FILTER: list[type[FileSystemEvent]] = [
    FileDeletedEvent, DirDeletedEvent, FileMovedEvent, DirMovedEvent, FileCreatedEvent, DirCreatedEvent,
]  # fmt: skip
_CREATED = frozenset({"created"})
#: Seconds between two looks at how far the arming is.
_PROGRESS_SECONDS = 0.25
#: The share of a core that says that it moves.
_WORKING = 0.2
_WATCH_LIMIT = "/proc/sys/fs/inotify/max_user_watches"

# The prober has no standard error, and watchdog complains of a thread that is stopped in a flood.
logging.getLogger("watchdog").addHandler(logging.NullHandler())
logging.getLogger("watchdog").propagate = False


class Tripwire:
    """One observer on one directory. Never armed twice: watchdog loops on a large tree if its observer is reused.

    Args:
        path: The guarded path.
        wake: An eventfd of the parent: gets 1 for a removal, STORM_TOKEN for a storm.
    """

    def __init__(self, path: str, wake: int) -> None:
        self._path = path
        self._real_path = os.path.realpath(path)  # of a link inotify would watch the link
        found = os.stat(self._real_path)
        self._root = (found.st_dev, found.st_ino)
        self._counter = _Counter(self._real_path, wake, self._take_down)
        before = frozenset(_inotify_descriptors())
        self._inotify = InotifyFD()
        self._descriptor = next(iter(frozenset(_inotify_descriptors()) - before), -1)
        self._shows_root = True
        self._observer = BaseObserver(InotifyEmitter, inotify_fd=self._inotify)

    def arm(self, said: Callable[[int], None]) -> None:
        """Watches every folder; says how many are watched whenever there are more.

        Raises:
            OSError: The root cannot be watched.
        """
        self._observer.schedule(self._counter, self._real_path, recursive=True, event_filter=_FILTER)
        failed: list[BaseException] = []

        def start() -> None:
            try:
                self._inotify.start()
                self._observer.start()
            except BaseException as error:  # noqa: BLE001 - told to the thread that waits
                failed.append(error)

        # It walks the tree with no word of how far it is: a thread of its own, and the watches tell.
        arming = threading.Thread(target=start, daemon=True)
        arming.start()
        watches, spent = 0, time.process_time()
        while arming.is_alive():
            arming.join(_PROGRESS_SECONDS)
            now, working = len(self.watched()), time.process_time() - spent
            # One large folder takes long and adds no watch; whoever is stuck in the kernel takes no CPU.
            if now > watches or working > _WORKING * _PROGRESS_SECONDS:
                watches, spent = now, time.process_time()
                said(watches)
        if failed:
            raise failed[0]
        self._shows_root = self._root[1] in self.watched()

    def watched(self) -> frozenset[int]:
        """Inodes that carry a watch, from proc_pid_fdinfo(5)."""
        return frozenset(_inodes(self._descriptor))

    @property
    def tripped(self) -> bool:
        """Whether a storm took it down."""
        return self._counter.storm

    def state(self) -> TripwireState:
        """Whether it would still notice: cheap, and without a write to the volume."""
        stirred = self._counter.stirred()
        if self._counter.storm:
            return TripwireState(tripped=True, stirred=True)
        return TripwireState(armed=not (reason := self._fault()), blind=reason, stirred=stirred)

    def _fault(self) -> str:
        emitters = self._observer.emitters
        if not (self._inotify.is_alive() and self._observer.is_alive() and emitters):
            return "a thread of the tripwire is dead"
        if not all(emitter.is_alive() for emitter in emitters):
            return "a thread of the tripwire is dead"
        try:
            found = os.stat(self._path)
        except OSError as error:
            return f"its root can't be looked at: {errno.errorcode.get(error.errno or 0, 'an error')}"
        if (found.st_dev, found.st_ino) != self._root:
            return "its root was moved or replaced"
        if self._shows_root and found.st_ino not in self.watched():
            return "its root carries no watch any more"
        return ""

    def disarm(self) -> None:
        """Ends its threads, as far as they can be ended."""
        for thread in (self._observer, self._inotify):
            if thread.is_alive():
                thread.stop()
                thread.join(1.0)

    def _take_down(self) -> None:
        # From watchdog's own thread: closing inotify stops the flood at its source; the rest ends with `disarm`.
        self._inotify.stop()


class _Counter(FileSystemEventHandler):
    """Counts events; never looks at a file, never raises (that would kill watchdog's thread)."""

    def __init__(self, path: str, wake: int, take_down: Callable[[], None]) -> None:
        self.storm = False
        self._not_data = tuple(f"{path.rstrip('/')}/{name}" for name in NOT_DATA)
        self._wake = wake
        self._take_down = take_down
        self._stirred = False
        self._since = 0.0
        self._events = 0

    def stirred(self) -> bool:
        """Whether anything was counted since this was last asked."""
        stirred, self._stirred = self._stirred, False
        return stirred

    def dispatch(self, event: FileSystemEvent) -> None:
        """Takes one event."""
        if self.storm or self._is_ours(event.src_path):
            return
        self._stirred = True
        now = time.monotonic()
        if now - self._since >= _STORM_SECONDS:
            self._since, self._events = now, 0
        self._events += 1
        if self._events >= STORM:
            self.storm = True
            self._tell(STORM_TOKEN)
            self._take_down()
        elif event.event_type not in _CREATED:
            self._tell(1)

    def _is_ours(self, path: bytes | str) -> bool:
        text = os.fsdecode(path)
        return any(text == name or text.startswith(name + "/") for name in self._not_data)

    def _tell(self, value: int) -> None:
        with suppress(OSError):  # full: the parent has been told often enough
            os.eventfd_write(self._wake, value)


def _inotify_descriptors() -> Iterator[int]:
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}") == "anon_inode:inotify":
                yield int(name)
        except OSError:
            continue  # the listing's own descriptor


def _inodes(descriptor: int) -> Iterator[int]:
    # inotify wd:1 ino:2d2 sdev:fe00001 mask:3c8 ignored_mask:0 fhandle-bytes:8 ...
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", "rb") as lines:
            for line in lines:
                if line.startswith(b"inotify "):
                    yield int(line.partition(b" ino:")[2].partition(b" ")[0], 16)
    except OSError:
        return


def watch_limit() -> str:
    """fs.inotify.max_user_watches, for a message."""
    try:
        with open(_WATCH_LIMIT, encoding="ascii") as limit:
            return limit.read().strip()
    except OSError:
        return "unknown"
