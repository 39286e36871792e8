"""`guard watch`: one poll loop for prober, tripwire, signals, clients and deadlines. It carries, it decides nothing.

At rest nothing happens here between two looks.
"""

import errno
import os
import random
import select
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from guard.event import Event
from guard.outcome import Severity
from guard.probe import mounts
from guard.probe.client import Completed, ProbeClient, TimedOut
from guard.probe.look import identity
from guard.probe.process import Crashed
from guard.probe.requests import ArmRequest, CountRequest, LookRequest
from guard.probe.tripwire import MOVED_TOKEN, STORM_TOKEN
from guard.probe.writes import MountRef, WriteLedger, Written
from guard.report.line_queue import LineQueue
from guard.report.log import Log
from guard.stop_signal import StopSignal, milliseconds
from guard.volume.ledger import Ledger
from guard.volume.mountinfo import Mount, MountTable
from guard.volume.observation import FileCount, Look, LookResult, ProbeFault
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
        self._poll = select.poll()
        jitter = random.uniform(1.0, 1.1)  # noqa: S311 - to spread work, not to keep a secret
        self._watcher = Watcher(_now(), config, os.urandom(8).hex(), random.getrandbits(32), jitter)
        self._pages = StatusPages(self._watcher, config)
        self._server = HttpServer(config.listen, self._pages.table(), self._poll)
        self._mounts = _MountWatch(self._poll)
        self._not_before = 0.0
        self._crashed_at = float("-inf")
        self._replies: int | None = None

    def run(self) -> None:
        """Watches until a signal asks for the end; then writes the ledger and logs the end."""
        self._poll.register(self._stop_signal.descriptor, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        while self._stop_signal.status is None:
            now = _now()
            self._receive(now)
            self._on_mounts(now)
            self._send(now)
            self._follow_client()
            self._serve(now.at)
            self._write_lines()
            for descriptor, _ in self._poll.poll(self._timeout(_now())):
                self._on_ready(descriptor)
        self._stop()

    # The loop's parts.

    def _on_ready(self, descriptor: int) -> None:
        now = _now()
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

    def _follow_client(self) -> None:
        # At once: a client's connection may get the number next.
        before, self._replies = self._replies, self._client.replies
        if before == self._replies:
            return
        if before is not None:
            with suppress(KeyError):
                self._poll.unregister(before)
        if self._replies is not None:
            self._poll.register(self._replies, select.POLLIN)

    def _serve(self, now: float) -> None:
        self._server.expire(now)
        refused = self._server.listen(now)
        if refused is not None:
            host, port = self._config.listen or ("", 0)
            fields = {"address": f"{host}:{port}", "reason": refused or None}
            message, severity = f"Listening on {host}:{port} for /livez, /readyz and /metrics.", Severity.INFO
            if refused:
                severity = Severity.WARNING
                message = (
                    f"Nobody can ask for /livez or /metrics: {host}:{port} can't be opened: {refused}. The watch continues, "
                    "and the port is tried again. GUARD_LISTEN sets another one."
                )
            self._watcher.incident.emit(Event.WATCH_LISTENING, message, fields, severity=severity)

    def _write_lines(self) -> None:
        for record in self._watcher.incident.drain():
            self._pages.on_record(record)
            self._log.say(record)
        if self._queue.waiting:
            self._poll.register(self._queue.descriptor, select.POLLOUT)
        else:
            with suppress(KeyError):
                self._poll.unregister(self._queue.descriptor)

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
            self._send_write(now, request.ledger, request.replaces, over_hold=request.over_hold)

    def _send_look(self, now: Timestamp, request: LookRequest) -> None:
        self._mounts.on_look(self._real_path())
        try:
            self._client.send(request, now.at)
        except OSError as error:
            self._pages.on_look(now)
            code = errno.errorcode.get(error.errno or 0, "an error")
            self._watcher.on_no_probe(now, self._watcher.look or Look(request.path, identity()), code)

    def _send_write(self, now: Timestamp, ledger: Ledger, replaces: int, *, over_hold: bool) -> None:
        look = self._watcher.look
        assert look is not None
        assert look.mount is not None
        where = MountRef(look.path, look.mount.mount_id, look.root_inode)
        self._client.send(WriteLedger(where, ledger, replaces, over_hold), now.at)

    # Answers.

    def _receive(self, now: Timestamp) -> None:
        progressed = self._client.progressed_at
        answer = self._client.poll(now.at)
        if progressed is not None and isinstance(self._client.request, CountRequest | ArmRequest):
            self._pages.on_completed(progressed)  # a tree that takes long to count is no dead watcher
        if isinstance(answer, Completed):
            self._on_completed(now, answer)
        elif isinstance(answer, TimedOut):
            self._on_timeout(now, answer)
        elif isinstance(answer, Crashed):
            self._on_crash(now, answer)

    def _on_completed(self, now: Timestamp, answer: Completed) -> None:
        request, value = answer.request, answer.value
        self._pages.on_completed(now.at)
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

    def _on_timeout(self, now: Timestamp, late: TimedOut) -> None:
        self._pages.on_completed(now.at)  # it is known that the volume does not answer
        path = self._config.expected.path
        if late.lost:
            self._watcher.on_probe_lost(now)
        if isinstance(late.request, LookRequest):
            look = late.partial if isinstance(late.partial, Look) else Look(path, identity())
            self._pages.on_look(now)
            self._watcher.on_look(now, LookResult(replace(look, fault=ProbeFault(0, "being looked at"))))
        elif isinstance(late.request, ArmRequest):
            why = f"arming it made no progress for {self._config.expected.probe_timeout:g} s"
            self._watcher.on_arm_timeout(now, why)
            self._watcher.on_mount_change(now)  # a look tells whether the volume answers
        elif isinstance(late.request, CountRequest):
            seen = f" after {late.partial} names" if isinstance(late.partial, int) else ""
            self._watcher.on_count(now, FileCount(0, fault=ProbeFault(0, f"being counted{seen}")))
        else:
            self._watcher.on_ledger_write(now, None, ProbeFault(0, "writing the ledger"))
            self._watcher.on_mount_change(now)

    def _on_crash(self, now: Timestamp, crash: Crashed) -> None:
        again = crash.traceback or now.at - self._crashed_at < _DIES_AGAIN
        self._not_before = now.at + (_AFTER_A_BUG if again else 0.0)
        self._crashed_at = now.at
        self._watcher.on_probe_exit(now, crash.how, crash.traceback)

    # The mount table.

    def _on_mounts(self, now: Timestamp) -> None:
        change = self._mounts.read(now.at, self._real_path())
        if change.below:
            self._watcher.on_submount_change(now)
        if change.around:
            self._watcher.on_mount_change(now)
            if self._client.is_busy:
                # A count can take minutes, a write may hang: it is given up, and what the mount is now is reported at once.
                self._client.cancel()
                self._follow_client()
                self._watcher.on_probe_lost(now)

    def _real_path(self) -> str:
        look = self._watcher.look
        return (look.real_path if look else "") or self._config.expected.path

    # The end.

    def _stop(self) -> None:
        now = _now()
        path = self._config.expected.path
        written = self._write_last_ledger(now)
        ledger = "the ledger is written" if written else "the ledger stays as it was"
        self._watcher.stop(f"Stopped watching {path}; {ledger}.")
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
            self._send_write(now, ledger, ledger.generation, over_hold=False)
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

    def __init__(self, poll: select.poll) -> None:
        self.descriptor = os.open(mounts.MOUNTINFO, os.O_RDONLY)
        self.due: float | None = None
        self._poll = poll
        self._path = ""
        self._around: tuple[Mount, ...] | None = None  # at the last look
        self._below: frozenset[str] | None = None
        self._pause_until = 0.0
        poll.register(self.descriptor, select.POLLPRI | select.POLLERR)

    def on_change(self, now: float) -> None:
        """Handles that the table changed: it is read at once, or when the last reading is paid for."""
        self._poll.unregister(self.descriptor)
        self.due = max(now, self._pause_until)

    def read(self, now: float, path: str) -> "_MountChange":
        """Reads the table if it is due; what changed."""
        if self.due is None or now < self.due:
            return _MountChange()
        self.due = None
        self._poll.register(self.descriptor, select.POLLPRI | select.POLLERR)
        began = time.process_time()
        table = mounts.table()
        around, below = table.around(path), _below(table, path)
        self._pause_until = now + (time.process_time() - began) / _MOUNTS_SHARE
        change = _MountChange(around != self._around, below != self._below)
        self._around, self._below = around, below
        return change

    def on_look(self, path: str) -> None:
        """Handles that a look is sent: it sees the mounts as they are now."""
        if path == self._path:
            return  # what changed since is read when it is due
        table, self._path = mounts.table(), path
        self._around, self._below = table.around(path), _below(table, path)


class _MountChange:
    """What changed in the mount table: on the way to the path, and below it."""

    def __init__(self, around: bool = False, below: bool = False) -> None:
        self.around, self.below = around, below


def _below(table: MountTable, path: str) -> frozenset[str]:
    mount = table.in_force_at(path)
    return table.below(mount, path) if mount else frozenset()


def _now() -> Timestamp:
    return Timestamp(time.monotonic(), datetime.now(UTC))
