"""`guard watch`: one poll loop for prober, tripwire, signals, clients and deadlines. It carries, it decides nothing.

At rest nothing happens here between two looks.
"""

import errno
import os
import random
import select
import time
from collections.abc import Iterator
from typing import Any

from guard import clock
from guard.probe import mounts
from guard.probe.client import Completed, ProbeClient, TimedOut
from guard.probe.look import identity
from guard.probe.process import Crashed, Request
from guard.probe.requests import ArmRequest, CountRequest, LookRequest
from guard.probe.tripwire import MOVED_TOKEN, STORM_TOKEN
from guard.probe.writes import MountRef, WriteLedger, Written
from guard.report.line_queue import LineQueue
from guard.report.log import Log
from guard.stop_signal import StopSignal, milliseconds
from guard.volume.ledger import Ledger
from guard.volume.mountinfo import Mount
from guard.volume.observation import Look, ProbeFault
from guard.volume.timestamp import Timestamp
from guard.watch.config import WatchConfig
from guard.watch.http_server import HttpServer
from guard.watch.status import StatusPages
from guard.watch.watcher import Action, NextRequest, Watcher

#: Seconds that the last ledger may take at the end, and that the last lines may wait for their reader.
_LAST_WRITE = 0.5
_LAST_LINES = 0.2
#: Seconds before a prober is asked again that met a bug, or that ended twice within so many seconds.
_AFTER_A_BUG = 5.0
_DIES_AGAIN = 60.0
#: Reading the mount table may take this share of the time: somebody else's mounts may come and go by the hundred.
_MOUNTS_SHARE = 0.02


class WatchLoop:
    """Watches until it is told to stop.

    Args:
        config: What was asked for.
        client: The way to the prober.
        wake: The eventfd that its tripwire writes to.
        stop_signal: The signals.
    """

    def __init__(self, config: WatchConfig, client: ProbeClient, wake: int, stop_signal: StopSignal) -> None:
        self._config = config
        self._client = client
        self._wake = wake
        self._stop_signal = stop_signal
        self._queue = LineQueue(2)
        self._log = Log(config.log_format, config.log_level, self._queue.put)
        jitter = random.uniform(1.0, 1.1)  # noqa: S311 - to spread work, not to keep a secret
        self._watcher = Watcher(clock.now(), config, clock.run_id(), random.getrandbits(32), jitter)
        self._pages = StatusPages(self._watcher, config)
        self._server = HttpServer(config.listen, self._pages.table())
        self._mounts = _MountWatch()
        self._not_before = 0.0
        self._crashed_at = float("-inf")

    def run(self) -> None:
        """Watches until a signal asks for the end; then writes the ledger and logs the end."""
        while self._stop_signal.status is None:
            now = clock.now()
            self._receive(now)
            self._on_mounts(now)
            self._send(now)
            self._serve(now.at)
            self._write_lines()
            poll = select.poll()
            for descriptor, events in self._interests():
                poll.register(descriptor, events)
            for descriptor, _ in poll.poll(self._timeout(clock.now())):
                self._on_ready(descriptor)
        self._stop()

    # The loop's parts.

    def _interests(self) -> Iterator[tuple[int, int]]:
        """What is waited for, collected each time: a client's connection may get the number of a prober's that is gone."""
        yield self._stop_signal.descriptor, select.POLLIN
        yield self._wake, select.POLLIN
        if self._mounts.due is None:
            yield self._mounts.descriptor, select.POLLPRI | select.POLLERR
        if self._client.replies is not None:
            yield self._client.replies, select.POLLIN
        if self._queue.waiting:
            yield self._queue.descriptor, select.POLLOUT
        yield from self._server.interests()

    def _on_ready(self, descriptor: int) -> None:
        now = clock.now()
        if descriptor == self._mounts.descriptor:
            self._mounts.on_change(now.at)
        elif descriptor == self._wake:
            events = os.eventfd_read(self._wake)
            self._watcher.on_events(now, removed=events % MOVED_TOKEN > 0, storm=events >= STORM_TOKEN)
        elif descriptor == self._queue.descriptor:
            self._queue.flush()
        elif self._server.owns(descriptor):
            self._server.serve(descriptor, now.at)

    def _timeout(self, now: Timestamp) -> float:
        dues = [self._client.deadline, self._server.due(), self._mounts.due]
        if not self._client.is_busy:
            dues.append(max(self._not_before, self._next_request(now).at))
        soonest = min(due for due in dues if due is not None)
        # poll counts whole milliseconds, and must not wake too early.
        return milliseconds(max(0.0, soonest - now.at) + 0.001)

    def _serve(self, now: float) -> None:
        self._server.expire(now)
        refused = self._server.listen(now)
        if refused is not None:
            host, port = self._config.listen or ("", 0)
            self._pages.on_listening(f"{host}:{port}", refused)

    def _write_lines(self) -> None:
        for record in self._watcher.incident.drain():
            self._pages.on_record(record)
            self._log.emit(record)

    # Requests.

    def _next_request(self, now: Timestamp) -> NextRequest:
        # While probers are stuck no more are put at risk; a look tells that it is over.
        return self._watcher.next_request(now, looks_only=self._client.at_capacity or self._client.replies is None)

    def _send(self, now: Timestamp) -> None:
        if self._client.is_busy or now.at < self._not_before:
            return
        self._client.reap()
        request = self._next_request(now)
        if request.at > now.at:
            return
        path, expected = self._config.expected.path, self._config.expected
        if request.action is Action.LOOK:
            self._send_look(now, LookRequest(path, None, request.files, expected.loss))
        elif request.action is Action.ARM:
            self._client.send(ArmRequest(path, self._wake, expected.ignore), now.at)
        elif request.action is Action.COUNT:
            assert request.options is not None
            self._client.send(CountRequest(path, request.options), now.at)
        else:
            assert request.ledger is not None
            self._send_write(now, request.ledger)

    def _send_look(self, now: Timestamp, request: LookRequest) -> None:
        self._mounts.on_look(self._real_path())
        try:
            self._client.send(request, now.at)
        except OSError as error:
            self._pages.on_look(now)
            code = errno.errorcode.get(error.errno or 0, "an error")
            self._watcher.on_no_probe(now, self._watcher.look or Look(request.path, identity()), code)

    def _send_write(self, now: Timestamp, ledger: Ledger) -> None:
        look, documents = self._watcher.look, self._watcher.documents
        assert look is not None
        assert look.mount is not None
        where = MountRef(look.path, look.mount.mount_id, look.root_inode)
        self._client.send(WriteLedger(where, ledger, documents.replaces, documents.stale_hold), now.at)

    # Answers.

    def _receive(self, now: Timestamp) -> None:
        progressed = self._client.progressed_at
        answer = self._client.poll(now.at)
        if progressed is not None and isinstance(self._client.request, CountRequest | ArmRequest):
            self._pages.on_completed(progressed)  # a tree that takes long to count is no dead watcher
        if isinstance(answer, Completed):
            self._on_answer(now, answer.request, answer.value)
        elif isinstance(answer, TimedOut):
            if answer.lost:
                self._watcher.on_probe_lost(now)
            late: Any = answer.request
            if not isinstance(late, LookRequest):
                self._watcher.on_mount_change(now)  # a look tells whether the volume answers
            self._on_answer(now, late, late.on_timeout(answer.partial))
        elif isinstance(answer, Crashed):
            self._on_crash(now, answer)

    def _on_answer(self, now: Timestamp, request: Request, value: Any) -> None:
        self._pages.on_completed(now.at)  # also where it is known only that the volume does not answer
        if isinstance(request, LookRequest):
            self._pages.on_look(now)
            self._watcher.on_look(now, value)
        elif isinstance(request, CountRequest):
            self._watcher.on_count(now, value)
        elif isinstance(request, ArmRequest):
            self._watcher.on_armed(now, value)
        else:
            written = value.ledger if isinstance(value, Written) else None
            self._watcher.on_ledger_write(now, written, value if isinstance(value, ProbeFault) else None)

    def _on_crash(self, now: Timestamp, crash: Crashed) -> None:
        again = crash.traceback or now.at - self._crashed_at < _DIES_AGAIN
        self._not_before = now.at + (_AFTER_A_BUG if again else 0.0)
        self._crashed_at = now.at
        self._watcher.on_probe_exit(now, crash.how, crash.traceback)

    # The mount table.

    def _on_mounts(self, now: Timestamp) -> None:
        around, below = self._mounts.read(now.at, self._real_path())
        if below:
            self._watcher.on_submount_change(now)
        if around:
            self._watcher.on_mount_change(now)
            if self._client.is_busy:
                # A count can take minutes, a write may hang: it is given up, and what the mount is now is reported at once.
                self._client.cancel()
                self._watcher.on_probe_lost(now)

    def _real_path(self) -> str:
        look = self._watcher.look
        return (look.real_path if look else "") or self._config.expected.path

    # The end.

    def _stop(self) -> None:
        self._watcher.stop(is_written=self._write_last_ledger(clock.now()))
        self._write_lines()
        self._queue.flush(_LAST_LINES)
        self._server.close()
        self._client.close()

    def _write_last_ledger(self, now: Timestamp) -> bool:
        ledger = self._watcher.ledger_to_write(now)
        if self._client.is_busy and not isinstance(self._client.request, WriteLedger):
            if ledger is None:
                return False
            self._client.cancel()
        if self._client.replies is None or (ledger is None and not self._client.is_busy):
            return False
        if not self._client.is_busy:
            assert ledger is not None
            self._send_write(now, ledger)
        poll = select.poll()
        poll.register(self._client.replies, select.POLLIN)
        while (time_left := now.at + _LAST_WRITE - time.monotonic()) > 0:
            answer = self._client.poll(time.monotonic())
            if answer is not None:
                return isinstance(answer, Completed) and isinstance(answer.value, Written)
            poll.poll(milliseconds(time_left))
        return False


class _MountWatch:
    """The mount table of this process, read when it changed, and not too often.

    Attributes:
        descriptor: For poll.
        due: When it is to be read again, on the monotonic clock; None while nothing changed.
    """

    def __init__(self) -> None:
        self.descriptor = os.open(mounts.MOUNTINFO, os.O_RDONLY)
        self.due: float | None = None
        self._path = ""
        self._around: tuple[Mount, ...] = ()  # when it was last read
        self._below: frozenset[str] = frozenset()
        self._pause_until = 0.0

    def on_change(self, now: float) -> None:
        """Handles that the table changed: it is read at once, or when the last reading is paid for."""
        self.due = max(now, self._pause_until)

    def read(self, now: float, path: str) -> tuple[bool, bool]:
        """Reads the table if it is due; whether mounts at, above or below the path changed, and whether those below it did."""
        if self.due is None or now < self.due:
            return False, False
        self.due = None
        began = time.process_time()
        (around, below), (self._around, self._below) = (self._around, self._below), _mounts_of(path)
        self._pause_until = now + (time.process_time() - began) / _MOUNTS_SHARE
        return around != self._around, below != self._below

    def on_look(self, path: str) -> None:
        """Handles that a look is sent: it sees the mounts as they are now."""
        if path != self._path:  # otherwise what changed since is read when it is due
            self._path, (self._around, self._below) = path, _mounts_of(path)


def _mounts_of(path: str) -> tuple[tuple[Mount, ...], frozenset[str]]:
    """The mounts on the way to a path, and those below it."""
    table = mounts.table()
    mount = table.in_force_at(path)
    return table.around(path), table.below(mount, path) if mount else frozenset()
