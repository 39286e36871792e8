"""Looks at the volume and judges it, for the gate and the commands: what is asked of the prober follows from what it found.

The path is never opened here. A healthy volume costs a look and 64 files of its sample, whatever its size.
"""

import errno
import os
import select
import time
from dataclasses import replace
from typing import Any

from guard.probe import mounts
from guard.probe.client import ProbeClient, ask
from guard.probe.process import TimedRequest
from guard.probe.requests import CheckRequest, CountRequest, LookRequest
from guard.stop_signal import StopSignal, milliseconds
from guard.volume.ledger import Ledger
from guard.volume.loss import State, states_of
from guard.volume.observation import CountOptions, FileCount, FilesChecked, Look, ProbeFault, is_same_mount
from guard.volume.reference import search_options, without_ignored
from guard.volume.timestamp import seconds_of
from guard.volume.verdict import Expectation, Inspection, is_content_relevant, judge, judge_content, usable_ledger

#: Below so many files by the ledger a count takes milliseconds, and tells the exact number.
_COUNTED = 10_000
#: So many files of the sample, in random order, show that a volume is healthy.
_ENOUGH = 64
#: How often a look is repeated where the mount changes before its files are checked or counted.
_ATTEMPTS = 3


class Inspector:
    """Inspects one path as often as it is asked to.

    Args:
        expected: What the settings ask of the volume.
        client: The way to the prober.
        stop_signal: The signals.
    """

    def __init__(self, expected: Expectation, client: ProbeClient, stop_signal: StopSignal) -> None:
        self.expected = expected
        self._client = client
        self._stop_signal = stop_signal
        self._mount_table: int | None = None

    def inspect(self) -> Inspection:
        """Looks, checks files of the sample, counts where that can change the verdict or is cheap, and judges.

        Raises:
            Stopped: A signal asked for the end.
            ProberFailed: A bug, or the prober was killed.
        """
        expected = self.expected
        for _ in range(_ATTEMPTS):
            look = self._look()
            if not is_content_relevant(expected, look):
                return Inspection(look, None, None, judge(expected, look))
            checked, count = self._inspect_content(look, usable_ledger(look))
            if all(part is None or part.fault or is_same_mount(look, part) for part in (checked, count)):
                return Inspection(look, checked, count, judge(expected, look, checked, count))
        look = replace(look, fault=ProbeFault(errno.EAGAIN, "checking a mount that changes all the time"))
        return Inspection(look, None, None, judge(expected, look))

    def count_all(self) -> FileCount:
        """Counts everything, whatever the verdict, as `inspect`: for a command that writes a new reference."""
        return self._count(CountOptions(self.expected.ignore))

    def ask(self, request: TimedRequest) -> Any:
        """Has the prober do something, as `inspect`; where it makes no progress in time, its `on_timeout` is returned."""
        return ask(self._client, request, self._stop_signal)

    def pause(self, seconds: float) -> None:
        """Waits until the mount table changes, at most so many seconds, or a signal raises Stopped."""
        if self._mount_table is None:
            self._mount_table = os.open(mounts.MOUNTINFO, os.O_RDONLY)
        poll = select.poll()
        poll.register(self._mount_table, select.POLLPRI | select.POLLERR)
        poll.register(self._stop_signal.descriptor, select.POLLIN)
        poll.poll(milliseconds(seconds))
        self._stop_signal.check()

    def close(self) -> None:
        """Ends the prober: waits for one that is idle, leaves one that is stuck."""
        if self._mount_table is not None:
            os.close(self._mount_table)
        self._client.close()

    def _look(self) -> Look:
        expected = self.expected
        look: Look = self.ask(LookRequest(expected.path, expected.volume if expected.writable else None)).look
        if not isinstance(look.ledger, Ledger):
            return look
        return replace(
            look, ledger=replace(look.ledger, reference=without_ignored(look.ledger.reference, expected.ignore))
        )

    def _inspect_content(self, look: Look, ledger: Ledger | None) -> tuple[FilesChecked | None, FileCount | None]:
        checked = self._check(ledger) if ledger else None
        if checked and checked.fault:
            return checked, None
        options = self._count_options(look, ledger, checked)
        return checked, self._count(options) if options else None

    def _check(self, ledger: Ledger) -> FilesChecked:
        sample = tuple(sorted(ledger.reference.sample, key=lambda _: os.urandom(4)))
        enough = None if ledger.incident else _ENOUGH
        checked: FilesChecked = self.ask(CheckRequest(self.expected.path, sample, self.expected.loss, enough))
        return checked

    def _count_options(self, look: Look, ledger: Ledger | None, checked: FilesChecked | None) -> CountOptions | None:
        """What is to be counted; None where no count is needed."""
        ignore, rule = self.expected.ignore, self.expected.loss
        if ledger is None or checked is None:
            return CountOptions(ignore)
        reference, entries = ledger.reference, frozenset(ledger.reference.entries)
        loss = judge_content(self.expected, look, checked, None)
        assert loss is not None
        if loss.may_be_one or ledger.incident:
            states = states_of(rule, reference.sample, checked.checks)
            lost = [path for path, state in states.items() if state is State.LOST]
            first_sign = seconds_of(ledger.incident.since if ledger.incident else ledger.written)
            return search_options(ignore, reference, lost, first_sign)
        if reference.files < _COUNTED:
            # A ledger that somebody just wrote, of as many files, all there, needs no new sample: no size is read for one.
            is_new = loss.kept == loss.checked and ledger.is_young(time.time())
            return CountOptions(ignore, entries, unsampled=reference.files if is_new else None)
        return CountOptions(ignore, enough=rule.min_files) if rule.min_files else None

    def _count(self, options: CountOptions) -> FileCount:
        count: FileCount = self.ask(CountRequest(self.expected.path, options))
        return count
