"""Wait, look, judge, for every command: drives a prober against its deadline and judges what it finds.

The path is never opened here. A prober that makes no progress is left behind, and one replacement waits in its place.
"""

import errno
import os
import select
import time
from dataclasses import replace
from typing import Any

from guard.probe import mounts
from guard.probe.look import identity
from guard.probe.process import Answer, Exited, Failure, Prober, Progress, Request
from guard.probe.requests import Count, LookAt
from guard.stop_signal import StopSignal, milliseconds
from guard.volume.loss import needed
from guard.volume.observation import CountOptions, FileCount, Look, ProbeFault
from guard.volume.verdict import Expectation, Inspection, judge, reference_of, worth_counting

#: Up to so many files a look's count is exact; above, it stops as soon as enough is there.
EXACT_FILES = 100_000
#: How often a look is repeated where the mount changes while it is counted.
_ATTEMPTS = 3


class ProberFailed(Exception):  # noqa: N818 - named for what happened
    """The prober raised what it should not, or died: a bug, or a kill from outside. Says which."""


class NoProgress(Exception):  # noqa: N818 - named for what happened
    """The prober said nothing for the whole deadline.

    Attributes:
        told: The last thing it said of the request; None if nothing.
    """

    def __init__(self, told: Any) -> None:
        super().__init__(told)
        self.told = told


class Inspector:
    """Looks at one path as often as it is asked to."""

    def __init__(self, expected: Expectation, prober: Prober, interrupt: StopSignal) -> None:
        self.expected = expected
        self._prober = prober
        self._interrupt = interrupt
        self._pending: Request | None = None
        self._replaced = False
        self._mount_table: int | None = None

    def examine(self) -> Inspection:
        """Looks, counts until enough is there where the count can matter, and judges.

        Raises:
            Interrupted: A signal asked for the end.
            ProberFailed: A bug, or the prober was killed.
        """
        for attempt in range(_ATTEMPTS):
            look = self._look()
            census = self._count(look) if worth_counting(self.expected, look) else None
            changed = census is not None and not census.fault and not _same(look, census)
            if not changed or attempt == _ATTEMPTS - 1:
                break
        if changed:
            look = replace(look, fault=ProbeFault(errno.EAGAIN, "looking at a mount that changes all the time"))
            census = None
        return Inspection(look, census, judge(self.expected, look, census))

    def count_all(self, examination: Inspection) -> FileCount:
        """Counts everything, sizes too, whatever the judgement: for a command that writes a new reference.

        Raises:
            Interrupted: A signal asked for the end.
            ProberFailed: A bug, or the prober was killed.
        """
        reference = reference_of(examination.look)
        return self._ordered(CountOptions(frozenset(reference.entries) if reference else frozenset(), sizes=True))

    def ask(self, request: Request) -> Any:
        """Has the prober do something; its deadline is time without progress.

        Raises:
            NoProgress: The deadline passed; the prober is left behind.
            Interrupted: A signal asked for the end.
            ProberFailed: A bug, or the prober was killed.
        """
        if self._pending is not None and not self._replaced:
            self._prober.abandon()
            self._prober = Prober()
            self._replaced = True
            self._pending = None
        if self._pending is not None:
            # At most one replacement waits: the volume is back when it answers what it was asked then.
            asked, answer = self._pending, self._await_answer()
            if asked == request:
                return answer
        self._pending = request
        try:
            self._prober.ask(request)
        except BrokenPipeError:
            raise ProberFailed(self._last_words()) from None
        return self._await_answer()

    def pause(self, seconds: float) -> None:
        """Waits until the mount table changes, at most so many seconds.

        Raises:
            Interrupted: A signal asked for the end.
        """
        if self._mount_table is None:
            self._mount_table = os.open(mounts.MOUNTINFO, os.O_RDONLY)
        poll = select.poll()
        poll.register(self._mount_table, select.POLLPRI | select.POLLERR)
        poll.register(self._interrupt.descriptor, select.POLLIN)
        poll.poll(milliseconds(seconds))
        self._interrupt.check()

    def close(self) -> None:
        """Ends the prober: waits for one that is idle, leaves one that is stuck."""
        if self._mount_table is not None:
            os.close(self._mount_table)
        if self._pending is not None:
            self._prober.abandon()
        else:
            self._prober.close()

    def _look(self) -> Look:
        request = LookAt(self.expected.path, self.expected.volume if self.expected.writable else None)
        try:
            look: Look = self.ask(request)
        except NoProgress as hung:
            return self._without_progress(hung.told)
        return look

    def _without_progress(self, told: Any) -> Look:
        doing = "being looked at"
        if isinstance(told, Look):
            return replace(told, fault=ProbeFault(0, doing))
        return Look(self.expected.path, identity=identity(), fault=ProbeFault(0, doing))

    def _count(self, look: Look) -> FileCount:
        reference = reference_of(look)
        enough = max(EXACT_FILES, needed(self.expected.loss, reference))
        return self._ordered(CountOptions(frozenset(reference.entries) if reference else frozenset(), enough))

    def _ordered(self, order: CountOptions) -> FileCount:
        try:
            census: FileCount = self.ask(Count(self.expected.path, order))
        except NoProgress as hung:
            seen = f" after {hung.told} names" if isinstance(hung.told, int) else ""
            return FileCount(0, fault=ProbeFault(0, f"being counted{seen}"))
        return census

    def _await_answer(self) -> Any:
        told: Any = None
        deadline = time.monotonic() + self.expected.probe_timeout
        poll = select.poll()
        poll.register(self._prober.replies, select.POLLIN)
        poll.register(self._interrupt.descriptor, select.POLLIN)
        while True:
            message = self._prober.take()
            if isinstance(message, Answer):
                self._pending = None
                return message.value
            if isinstance(message, Progress):
                told = message.what
                deadline = time.monotonic() + self.expected.probe_timeout
                continue
            if isinstance(message, Failure):
                raise ProberFailed(message.traceback)
            if isinstance(message, Exited):
                raise ProberFailed(f"the prober {message.how}")
            self._interrupt.check()
            left = deadline - time.monotonic()
            if left <= 0:
                raise NoProgress(told)
            poll.poll(milliseconds(left))

    def _last_words(self) -> str:
        message = self._prober.take()
        return f"the prober {message.how}" if isinstance(message, Exited) else "the prober closed its pipe"


def _same(look: Look, census: FileCount) -> bool:
    mount_id = look.mount.mount_id if look.mount else None
    return (census.mount_id, census.root_inode) == (mount_id, look.root_inode)
