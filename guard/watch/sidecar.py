"""`guard watch`: one poll loop for the prober, the tripwires, signals, clients and deadlines. It decides nothing.

At rest nothing happens here between two cheap looks.
"""

import errno
import os
import random
import select
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from guard.event import Event, EventRecord
from guard.outcome import Severity
from guard.probe import mounts
from guard.probe.look import identity
from guard.probe.writes import MountRef, WriteLedger, Written
from guard.report.line_queue import LineQueue
from guard.report.log import Log
from guard.stop_signal import StopSignal, milliseconds
from guard.volume.mountinfo import Mount, MountTable
from guard.volume.observation import FileCount, Look, ProbeFault
from guard.watch.endpoints import Endpoints
from guard.watch.errands import Arm, Peek, TakeStock
from guard.watch.link import Answered, Died, Link, Overdue
from guard.watch.options import Options
from guard.watch.pages import Pages
from guard.watch.sightings import Glimpse, Moment, Stock
from guard.watch.tripwire import STORM_TOKEN
from guard.watch.vigil import Vigil, Wants

#: Looks of many watchers spread by so much of their interval.
_SPREAD = 0.05
#: Seconds that the last ledger may take at the end, and that the last lines may wait for their reader.
_LAST_WRITE = 0.5
_LAST_LINES = 0.2
#: Seconds before a prober is asked again that met a bug, or that ended twice within so many seconds.
_AFTER_A_BUG = 5.0
_DIES_AGAIN = 60.0
#: Seconds after which the reference gives way to a smaller baseline.
_WINDOW = 604800.0


class Sidecar:
    """Watches until it is told to stop.

    Args:
        options: What was asked for.
        link: The way to the prober.
        wake: The eventfd that its tripwire writes to.
        interrupt: The signals.
    """

    def __init__(self, options: Options, link: Link, wake: int, interrupt: StopSignal) -> None:
        self._options = options
        self._link = link
        self._wake = wake
        self._interrupt = interrupt
        self._backlog = LineQueue(2)
        self._log = Log(options.log_format, options.log_level, self._backlog.put)
        self._poll = select.poll()
        jitter = random.uniform(1.0, 1.1)  # noqa: S311 - to spread work, not to keep a secret
        run = os.urandom(8).hex()
        self._vigil = Vigil(_moment(), options.expected, options.settle, _WINDOW, options.where, run, jitter)
        self._pages = Pages(self._vigil, options)
        self._endpoints = Endpoints(options.listen, self._pages.table(), self._poll)
        self._mount_table = os.open(mounts.MOUNTINFO, os.O_RDONLY)
        self._around: tuple[Mount, ...] = ()  # at the last look
        self._below = _below(mounts.table(), self._real_path())
        self._look_at = time.monotonic()
        self._not_before = 0.0
        self._died_at = float("-inf")
        self._replies: int | None = None

    def run(self) -> None:
        """Watches until a signal asks for the end; writes the ledger and says so then."""
        self._poll.register(self._mount_table, select.POLLPRI | select.POLLERR)
        self._poll.register(self._interrupt.descriptor, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        while self._interrupt.status is None:
            moment = _moment()
            self._hear(moment)
            self._send(moment)
            self._follow_link()
            self._serve(moment.at)
            self._say()
            for descriptor, _ in self._poll.poll(self._timeout(_moment().at)):
                self._ready(descriptor)
        self._stop()

    # The loop's parts.

    def _ready(self, descriptor: int) -> None:
        moment = _moment()
        if descriptor == self._mount_table:
            self._mounts_changed(moment)
        elif descriptor == self._wake:
            told = os.eventfd_read(self._wake)
            self._vigil.tripped(moment, storm=told >= STORM_TOKEN)
        elif descriptor == self._backlog.descriptor:
            self._backlog.flush()
        elif self._endpoints.owns(descriptor):
            self._endpoints.serve(descriptor, moment.at)

    def _timeout(self, now: float) -> float:
        dues = [self._link.deadline, self._endpoints.due()]
        if not self._link.busy:
            wants = self._wants(now)
            waits = [self._look_at, wants.look, wants.count, wants.arm, wants.write]
            dues += [max(due, self._not_before) for due in waits if due is not None]
        soonest = min(due for due in dues if due is not None)
        # poll counts whole milliseconds, and must not wake too early.
        return milliseconds(max(0.0, soonest - now) + 0.001)

    def _hear(self, moment: Moment) -> None:
        heard = self._link.hear(moment.at)
        progressed = self._link.progressed_at
        if progressed is not None and isinstance(self._link.errand, TakeStock | Arm):
            self._pages.completed(progressed)  # a tree that takes long to count is no dead watcher
        if isinstance(heard, Answered):
            self._answered(moment, heard)
        elif isinstance(heard, Died):
            self._died(moment, heard)
        late = self._link.overdue(moment.at)
        if late is not None:
            self._overdue(moment, late)

    def _follow_link(self) -> None:
        # At once: a client's connection may get the number next.
        before, self._replies = self._replies, self._link.replies
        if before == self._replies:
            return
        if before is not None:
            with suppress(KeyError):
                self._poll.unregister(before)
        if self._replies is not None:
            self._poll.register(self._replies, select.POLLIN)

    def _send(self, moment: Moment) -> None:
        if self._link.busy or moment.at < self._not_before:
            return
        self._link.reap()
        wants, path = self._wants(moment.at), self._options.expected.path
        if min(self._look_at, wants.look or self._look_at) <= moment.at:
            self._around = self._mounts_around()
            self._ask_for_a_look(moment)
        elif _is_due(wants.count, moment) and not _is_due(wants.arm, moment):
            self._link.ask(TakeStock(path, self._vigil.order()), moment.at)
        elif _is_due(wants.arm, moment):
            self._link.ask(Arm(path, self._vigil.order(), self._wake), moment.at)
        elif _is_due(wants.write, moment):
            self._write_ledger(moment)

    def _ask_for_a_look(self, moment: Moment) -> None:
        path = self._options.expected.path
        try:
            self._link.ask(Peek(path), moment.at)
        except OSError as error:
            self._take_look_time(moment)
            code = errno.errorcode.get(error.errno or 0, "an error")
            self._vigil.unprobed(moment, self._vigil.look or Look(path, identity()), code)

    def _wants(self, now: float) -> Wants:
        wants = self._vigil.wants(now)
        # While probers are stuck in the kernel no more are put at risk, and while none can be started nothing else is
        # possible: a look tells that it is over.
        return Wants(look=wants.look) if self._link.crowded or self._link.replies is None else wants

    def _serve(self, now: float) -> None:
        self._endpoints.expire(now)
        refused = self._endpoints.listen(now)
        if refused:
            host, port = self._options.listen or ("", 0)
            self._tell(
                f"Nobody can ask for /livez or /metrics: {host}:{port} can't be opened: {refused}. "
                "The watch goes on, and the port is tried again; GUARD_LISTEN names another."
            )

    def _say(self) -> None:
        for happening in self._vigil.incident.said():
            self._pages.happened(happening)
            self._log.say(happening)
        if self._backlog.waiting:
            self._poll.register(self._backlog.descriptor, select.POLLOUT)
        else:
            with suppress(KeyError):
                self._poll.unregister(self._backlog.descriptor)

    # What came of errands.

    def _answered(self, moment: Moment, heard: Answered) -> None:
        request, value = heard.request, heard.value
        if isinstance(request, Peek):
            self._looked(moment, value)
        elif isinstance(request, WriteLedger):
            self._wrote(moment, value)
        elif isinstance(value, Stock):
            self._pages.completed(moment.at)
            self._vigil.counted(moment, value)

    def _looked(self, moment: Moment, glimpse: Glimpse) -> None:
        self._take_look_time(moment)
        self._vigil.looked(moment, glimpse)

    def _take_look_time(self, moment: Moment) -> None:
        self._pages.looked(moment)
        spread = random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 - to spread work, not to keep a secret
        self._look_at = moment.at + self._options.interval * spread

    def _overdue(self, moment: Moment, late: Overdue) -> None:
        self._pages.completed(moment.at)  # it is known that the volume does not answer
        if late.lost:
            self._vigil.wiring.moved(moment.at)
        if isinstance(late.request, Peek):
            look = late.told if isinstance(late.told, Look) else Look(self._options.expected.path, identity())
            self._looked(moment, Glimpse(replace(look, fault=ProbeFault(0, "being looked at"))))
        elif isinstance(late.request, WriteLedger):
            self._vigil.wrote(moment, None, ProbeFault(0, "writing the ledger"))
            self._look_at = moment.at
        elif isinstance(late.request, Arm):
            # The count alone may well get through: it says so of every thousand names.
            self._vigil.unarmed(moment, f"arming it made no progress for {self._options.expected.probe_timeout:g} s")
            self._look_at = moment.at
        else:
            seen = f" after {late.told} names" if isinstance(late.told, int) else ""
            census = FileCount(0, fault=ProbeFault(0, f"being counted{seen}"))
            self._vigil.counted(moment, Stock(census, None, self._options.expected.probe_timeout))

    def _died(self, moment: Moment, heard: Died) -> None:
        again = heard.traceback or moment.at - self._died_at < _DIES_AGAIN
        self._not_before = moment.at + (_AFTER_A_BUG if again else 0.0)
        self._look_at = self._died_at = moment.at
        self._vigil.blind(moment, heard.how, heard.traceback)

    def _wrote(self, moment: Moment, value: object) -> None:
        written = value.ledger if isinstance(value, Written) else None
        self._vigil.wrote(moment, written, value if isinstance(value, ProbeFault) else None)

    def _write_ledger(self, moment: Moment) -> bool:
        ledger, look, keeper = self._vigil.ledger(moment), self._vigil.look, self._vigil.keeper
        if ledger is None or look is None or look.mount is None or keeper is None:
            return False
        seen = MountRef(look.path, look.mount.mount_id, look.root_inode)
        self._link.ask(WriteLedger(seen, ledger, keeper.replaces), moment.at)
        return True

    # The mount table.

    def _mounts_changed(self, moment: Moment) -> None:
        table, path = mounts.table(), self._real_path()
        below = _below(table, path)
        if below != self._below:
            self._below = below
            self._vigil.mounted_below(moment)
        if table.around(path) == self._around:
            return  # somebody else's mounts
        self._look_at = moment.at
        if self._link.busy:
            # A count can take minutes, a write may hang: it is given up, and what the mount is now is said at once.
            self._link.drop()
            self._follow_link()
            self._vigil.wiring.moved(moment.at)

    def _mounts_around(self) -> tuple[Mount, ...]:
        return mounts.table().around(self._real_path())

    def _real_path(self) -> str:
        look = self._vigil.look
        return (look.real_path if look else "") or self._options.expected.path

    # The end.

    def _stop(self) -> None:
        moment = _moment()
        kept = self._last_ledger(moment)
        files = self._vigil.census.files if self._vigil.census else None
        message = f"Stopped watching {self._options.expected.path}"
        message += "; the ledger is written." if kept else "; the ledger stays as it was."
        fields = {"path": self._options.expected.path, "files": files, **self._options.where.fields()}
        self._vigil.incident.stop(EventRecord(Event.WATCH_STOPPED, message, Severity.INFO, fields))
        self._say()
        self._backlog.flush(_LAST_LINES)
        self._endpoints.close()
        self._link.close()

    def _last_ledger(self, moment: Moment) -> bool:
        if self._link.busy and not isinstance(self._link.errand, WriteLedger):
            if self._vigil.ledger(moment) is None:
                return False
            self._link.drop()
        if self._link.replies is None or (not self._link.busy and not self._write_ledger(moment)):
            return False
        until = moment.at + _LAST_WRITE
        poll = select.poll()
        poll.register(self._link.replies, select.POLLIN)
        while (now := _moment()).at < until:
            heard = self._link.hear(now.at)
            if heard is not None:
                return isinstance(heard, Answered) and isinstance(heard.value, Written)
            poll.poll((until - now.at) * 1000)
        return False

    def _tell(self, message: str) -> None:
        fields = {"path": self._options.expected.path, **self._options.where.fields()}
        self._vigil.incident.tell(EventRecord(Event.WATCH_STARTED, message, Severity.INFO, fields))


def _is_due(due: float | None, moment: Moment) -> bool:
    return due is not None and due <= moment.at


def _below(table: MountTable, path: str) -> frozenset[str]:
    mount = table.in_force_at(path)
    return table.below(mount, path) if mount else frozenset()


def _moment() -> Moment:
    return Moment(time.monotonic(), datetime.now(UTC))
