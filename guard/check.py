"""`guard check`, the gate: inspects the volume until it is right or the waiting is over, and reports which."""

import time
from dataclasses import dataclass, replace

from guard import clock
from guard.messages import CommandResult, EventSink, Messages, ledger_not_renewed
from guard.outcome import Outcome
from guard.probe.inspector import Inspector
from guard.probe.writes import MountRef, WriteLedger
from guard.volume.ledger import Ledger
from guard.volume.loss import states_of
from guard.volume.marker import Marker
from guard.volume.observation import FileCount, ProbeFault
from guard.volume.reference import new_reference
from guard.volume.timestamp import Timestamp
from guard.volume.verdict import Inspection, usable_ledger

#: Seconds between two inspections while waiting: soon enough for whoever just ran `guard adopt`, and at most this share
#: of the time is spent inspecting a tree that takes long to count.
_PAUSE = 1.0
_LONGEST_PAUSE = 5.0
_BUSY_SHARE = 5
#: What fixed it can run in this very container, by `kubectl exec`, and would end with it: time to write and report the
#: rest.
_SETTLING = 0.5


@dataclass(frozen=True)
class Gate:
    """One run of the gate.

    Attributes:
        inspector: Inspects the volume.
        wait: GUARD_WAIT, in seconds.
        enforce: GUARD_ENFORCE; where it is off, nothing is waited for, and the application starts anyway.
        messages: Makes the log lines.
        emit: Receives the log lines.
        warnings: What the settings gave reason to report, as clauses.
    """

    inspector: Inspector
    wait: float
    enforce: bool
    messages: Messages
    emit: EventSink
    warnings: tuple[str, ...] = ()

    def run(self) -> CommandResult:
        """Inspects the volume, again and again where it can recover.

        Raises:
            Stopped: A signal asked for the end while waiting.
            ProberFailed: A bug, or the prober was killed.
        """
        operation = clock.run_id()
        inspection, first = self._wait(operation)
        broken = self.messages.ledger_invalid(inspection.look)
        if broken is not None:
            self.emit(replace(broken, operation=operation, first=first))
            first = False
        now = clock.now()
        if inspection.judgement.outcome is Outcome.OK:
            warnings = (*self._renew(inspection, now), *self.warnings)
            record = self.messages.passed(inspection, now.wall, warnings)
            result = CommandResult(Outcome.OK, f"ok: {record.message}\n")
        else:
            record, result = self.messages.refusal(
                inspection, now.wall, "this start", enforced=self.enforce, warnings=self.warnings
            )
        self.emit(replace(record, operation=operation, first=first))
        return result

    def _wait(self, operation: str) -> tuple[Inspection, bool]:
        """Returns the last inspection, and whether nothing was reported before it."""
        until = time.monotonic() + (self.wait if self.enforce else 0.0)
        has_settled = False
        waited_for: set[Outcome] = set()
        while True:
            began = time.monotonic()
            inspection = self.inspector.inspect()
            judgement, now = inspection.judgement, time.monotonic()
            if judgement.outcome is Outcome.OK:
                if has_settled or not waited_for:
                    break
                has_settled = True
                self.inspector.pause(_SETTLING)
                continue
            has_settled = False
            if not judgement.may_recover(inspection.look) or now >= until:
                break
            if judgement.outcome not in waited_for:  # once for each: what fixes the one does not fix the other
                record = self.messages.waiting(inspection, until - now)
                self.emit(replace(record, operation=operation, first=not waited_for))
                waited_for.add(judgement.outcome)
            pause = min(_LONGEST_PAUSE, max(_PAUSE, _BUSY_SHARE * (now - began)))
            self.inspector.pause(min(pause, until - now))
        return inspection, not waited_for

    def _renew(self, inspection: Inspection, now: Timestamp) -> tuple[str, ...]:
        """Writes the ledger where no watcher does and the count was exact; returns why that failed, as a clause."""
        look, count, last = inspection.look, inspection.count, usable_ledger(inspection.look)
        if count is None or not count.is_whole or not self.inspector.expected.writable or look.read_only:
            return ()
        if not isinstance(look.marker, Marker) or (look.ledger is not None and last is None):
            return ()
        if last and (last.incident or _is_current(last, count, now.wall.timestamp())):
            return ()
        reference, checks = last.reference if last else None, inspection.checked.checks if inspection.checked else {}
        rule = self.inspector.expected.loss
        states = states_of(rule, reference.sample, checks, count.elsewhere) if reference else {}
        generation = last.generation if last else 1
        ledger = Ledger(
            marker_id=look.marker.marker_id,
            generation=generation,
            reference=new_reference(reference, count, now, states),
            written=now.text,
            pod=self.messages.pod.pod,
            node=self.messages.pod.node,
        )
        mount = MountRef(look.path, count.mount_id, count.root_inode)
        written = self.inspector.ask(WriteLedger(mount, ledger, generation))
        return ledger_not_renewed(written) if isinstance(written, ProbeFault) else ()


def _is_current(ledger: Ledger, count: FileCount, now: float) -> bool:
    """Whether a ledger needs no renewal yet: a watcher writes it, or nothing came or went since."""
    # A watcher writes what it counted earlier; adopt, accept, release and a gate write what they just counted.
    is_watched = ledger.written != ledger.reference.counted
    is_empty = ledger.reference.files == count.files == 0
    return (is_watched or is_empty) and ledger.is_young(now)
