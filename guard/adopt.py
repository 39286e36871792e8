"""`guard adopt`, `accept`, `hold` and `release`: the only commands that change what a volume declares about itself."""

import errno
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from guard import clock
from guard.event import Event, EventRecord
from guard.fields import facts
from guard.messages import CommandResult, EventSink, Messages
from guard.outcome import Outcome, Severity
from guard.probe.inspector import Inspector
from guard.probe.requests import PinRequest
from guard.probe.writes import Accept, Adopt, Conflict, MountRef, Release, WriteHold, WriteLedger, Written, name_of
from guard.volume.cause import Cause
from guard.volume.hold import REASON_LIMIT, Hold
from guard.volume.json_document import NAME_LIMIT
from guard.volume.ledger import Ledger
from guard.volume.marker import Marker
from guard.volume.observation import NOTHING, FileCount, InvalidDocument, ProbeFault, is_same_mount
from guard.volume.reference import declared_reference
from guard.volume.verdict import Inspection, judge, usable_ledger

#: Another command can be faster, and what it wrote is then judged.
_ATTEMPTS = 3


@dataclass(frozen=True)
class MarkerCommands:
    """Everything these commands share.

    Attributes:
        inspector: Inspects the volume.
        messages: Makes the log lines.
        emit: Receives the log lines.
    """

    inspector: Inspector
    messages: Messages
    emit: EventSink

    def adopt(self, replacing: str | None) -> CommandResult:
        """Writes the marker and the first ledger on a real, unmarked volume.

        Args:
            replacing: The ID of a foreign marker, or the start of a broken one's SHA-256, that can be replaced.
        """
        return self._attempt(lambda: self._adopt(replacing))

    def accept(self) -> CommandResult:
        """Declares that what is there now is right: new reference, next generation."""
        return self._attempt(self._accept)

    def hold(self, reason: str, *, over: bool) -> CommandResult:
        """Announces work on the volume: in place of whatever hold is set, or keeping it."""
        return self._attempt(lambda: self._hold(reason, over=over))

    def release(self) -> CommandResult:
        """Ends the announced work and accepts what is there."""
        return self._attempt(self._release)

    def _attempt(self, command: Callable[[], CommandResult | None]) -> CommandResult:
        for _ in range(_ATTEMPTS):
            self.inspector.ask(PinRequest(self.inspector.expected.path))
            result = command()
            if result is not None:
                return result
        fault = ProbeFault(errno.EAGAIN, "writing what another command changed each time", writing=True)
        return self._failed(self.inspector.inspect(), fault)

    def _adopt(self, replacing: str | None) -> CommandResult | None:
        inspection = _without(self.inspector.inspect(), Outcome.HELD)
        outcome, marker = inspection.judgement.outcome, inspection.look.marker
        if isinstance(marker, Marker) and outcome in {Outcome.OK, *_BLOCKING}:
            return self._adopted_already(inspection, marker)
        if _was_interrupted(inspection):
            replacing = NOTHING
        named = _replaced(marker, replacing) if outcome in _REPLACEABLE else None
        if outcome is not Outcome.MARKER_MISSING and named is None:
            return self._refused(inspection)
        for blocking in _BLOCKING:
            if _has(inspection, blocking):
                return self._refused(_only(inspection, blocking))
        # Beside a foreign marker the ledger is another volume's; beside a broken one, or none, it is this one's.
        last = None if isinstance(marker, Marker) else usable_ledger(inspection.look)
        new = Marker(self.inspector.expected.volume, str(uuid.uuid4()), clock.now().text)

        def request(mount: MountRef, ledger: Ledger) -> Adopt:
            return Adopt(mount, new, ledger, named, last.marker_id if last else None)

        return self._declare(inspection, Event.VOLUME_ADOPTED, new.marker_id, last, request)

    def _adopted_already(self, inspection: Inspection, marker: Marker) -> CommandResult | None:
        """Behind the right marker, whether the data is there and can be written is the gate's question."""
        look = inspection.look
        if look.ledger is None and look.hold is None and not look.read_only:

            def request(mount: MountRef, ledger: Ledger) -> WriteLedger:
                return WriteLedger(mount, ledger, ledger.generation)

            return self._declare(inspection, Event.VOLUME_ADOPTED, marker.marker_id, None, request)
        lost = _has(inspection, Outcome.DATA_LOST)
        message = self.messages.adopted_already(inspection)
        return self._done(Event.VOLUME_ADOPTED, inspection, message, {}, Severity.WARNING if lost else None)

    def _accept(self) -> CommandResult | None:
        inspection = _without(self.inspector.inspect(), Outcome.HELD, Outcome.DATA_LOST)
        outcome, last = inspection.judgement.outcome, usable_ledger(inspection.look)
        # A loss can have taken the marker too: what is left is accepted first, and adopted then.
        unmarked = outcome in _UNMARKED and last is not None
        if unmarked and _has(inspection, Outcome.READ_ONLY):
            return self._refused(_only(inspection, Outcome.READ_ONLY))
        if outcome is not Outcome.OK and not unmarked:
            return self._refused(inspection)
        return self._renew(inspection, Event.VOLUME_ACCEPTED, Accept)

    def _release(self) -> CommandResult | None:
        inspection = _without(self.inspector.inspect(), Outcome.HELD, Outcome.DATA_LOST)
        if inspection.judgement.outcome is not Outcome.OK:
            return self._refused(inspection)
        hold = inspection.look.hold
        if hold is None:
            message = f"{inspection.look.path} was not held; nothing was written."
            return self._done(Event.VOLUME_RELEASED, inspection, message, {})
        return self._renew(
            inspection, Event.VOLUME_RELEASED, lambda mount, ledger, beside: Release(mount, ledger, beside, hold)
        )

    def _renew(
        self, inspection: Inspection, event: Event, request: Callable[[MountRef, Ledger, str | None], Accept]
    ) -> CommandResult | None:
        marker, last = inspection.look.marker, usable_ledger(inspection.look)
        if _is_marker_only(inspection):
            return self._failed(inspection, _NO_RENAME)
        marker_id = marker.marker_id if isinstance(marker, Marker) else (last.marker_id if last else "")
        return self._declare(
            inspection, event, marker_id, last, lambda mount, ledger: request(mount, ledger, name_of(marker))
        )

    def _declare(
        self,
        inspection: Inspection,
        event: Event,
        marker_id: str,
        last: Ledger | None,
        request: Callable[[MountRef, Ledger], Adopt | Accept | WriteLedger],
    ) -> CommandResult | None:
        """Counts, and writes what was counted as the reference, nowhere but where it was counted."""
        look, count = inspection.look, self.inspector.count_all()
        if count.fault:
            return self._failed(inspection, count.fault)
        if not is_same_mount(look, count):
            return None
        ledger = self._ledger(marker_id, count, last)
        written = self._write(request(MountRef(look.path, count.mount_id, count.root_inode), ledger))
        if isinstance(written, ProbeFault):
            return self._failed(inspection, written)
        if written is None:
            return None
        recorded = written.ledger
        fields: dict[str, Any] = {
            "volume": self.inspector.expected.volume,
            "marker_id": marker_id,
            "files": count.files,
            "set_aside": ", ".join(written.set_aside) or None,
            "reference_before": last.reference.files if last else None,
            "reference_files": recorded.reference.files if recorded else None,
            "generation": recorded.generation if recorded else None,
        }
        message = self.messages.declared(event, inspection, count, last, written.ledger)
        return self._done(event, replace(inspection, count=count), message, fields)

    def _hold(self, reason: str, *, over: bool) -> CommandResult | None:
        inspection = _without(self.inspector.inspect(), Outcome.DATA_LOST, Outcome.MARKER_MISSING)
        look = inspection.look
        if over:
            inspection = _without(inspection, Outcome.HELD)
        if inspection.judgement.outcome is Outcome.HELD:
            message = self.messages.held_already(look)
            return self._done(Event.VOLUME_HELD, inspection, message, {}, Severity.WARNING)
        if inspection.judgement.outcome is not Outcome.OK:
            return self._refused(inspection)
        if _is_marker_only(inspection):
            return self._failed(inspection, _NO_RENAME)
        by = self.messages.pod.pod or f"{os.uname().nodename} (uid {os.geteuid()})"
        hold = Hold(by[:NAME_LIMIT], clock.now().text, reason[:REASON_LIMIT])
        assert look.mount is not None
        written = self._write(WriteHold(MountRef(look.path, look.mount.mount_id, look.root_inode), hold, over))
        if isinstance(written, ProbeFault):
            return self._failed(inspection, written)
        if written is None:
            return None
        set_aside = ", ".join(written.set_aside) or None
        fields = {"held_by": hold.by, "held_since": hold.since, "hold_reason": hold.reason, "set_aside": set_aside}
        return self._done(Event.VOLUME_HELD, inspection, self.messages.held(look, hold), fields)

    def _write(self, request: Adopt | Accept | WriteLedger | WriteHold) -> Written | ProbeFault | None:
        """Has it written; None where another command was faster."""
        answer: Written | Conflict | ProbeFault = self.inspector.ask(request)
        return None if isinstance(answer, Conflict) else answer

    def _ledger(self, marker_id: str, count: FileCount, last: Ledger | None) -> Ledger:
        now = clock.now()
        return Ledger(
            marker_id=marker_id,
            generation=last.generation + 1 if last else 1,
            reference=declared_reference(count, now),
            written=now.text,
            pod=self.messages.pod.pod,
            node=self.messages.pod.node,
        )

    def _failed(self, inspection: Inspection, fault: ProbeFault) -> CommandResult:
        look = replace(inspection.look, fault=fault)
        if fault.read_only:
            look = replace(inspection.look, read_only=f"{fault.code} while {fault.doing}")
        failed = replace(inspection, look=look, judgement=judge(self.inspector.expected, look))
        # What else holds, such as the missing marker of an adoption, is what the command was there for.
        return self._refused(_only(failed, Outcome.READ_ONLY if fault.read_only else Outcome.UNREACHABLE))

    def _done(
        self,
        event: Event,
        inspection: Inspection,
        message: str,
        fields: dict[str, Any],
        severity: Severity | None = None,
    ) -> CommandResult:
        all_fields = {**facts(inspection), **fields, **self.messages.pod.fields()}
        operation = clock.run_id()
        self.emit(EventRecord(event, message, severity or event.severity, all_fields, operation, first=True, last=True))
        return CommandResult(Outcome.OK, f"ok: {message}\n")

    def _refused(self, inspection: Inspection) -> CommandResult:
        record, result = self.messages.refusal(_to_be_written(inspection), clock.now().wall)
        self.emit(replace(record, operation=clock.run_id(), first=True))
        return result


_REPLACEABLE = frozenset({Outcome.MARKER_MISMATCH, Outcome.MARKER_INVALID})
#: Where a ledger can exist without its marker.
_UNMARKED = frozenset({Outcome.MARKER_MISSING, Outcome.MARKER_INVALID})
#: A wipe is not laundered, and nothing is written on what refuses every write.
_NO_RENAME = ProbeFault(errno.ENOSYS, "renaming .volume-guard/ledger.json", writing=True)
_BLOCKING = (Outcome.READ_ONLY, Outcome.DATA_LOST)
#: The shortest start of a broken marker's SHA-256 that names it.
_SHORTEST_PREFIX = 6


def _to_be_written(inspection: Inspection) -> Inspection:
    """The inspection for a command that writes: reading is never enough for it."""
    findings = tuple(
        replace(one, cause=Cause.READ_ONLY_FOR_COMMAND) if one.cause is Cause.READ_ONLY else one
        for one in inspection.judgement.findings
    )
    return replace(inspection, judgement=replace(inspection.judgement, findings=findings))


def _is_marker_only(inspection: Inspection) -> bool:
    """Whether the file system has no rename, as far as a marker without a ledger shows it: nothing else is kept there."""
    look = inspection.look
    return look.mount is not None and look.mount.is_fuse and isinstance(look.marker, Marker) and look.ledger is None


def _was_interrupted(inspection: Inspection) -> bool:
    """Whether an adoption was killed where a file system without rename has the marker alone, written in place."""
    look, marker = inspection.look, inspection.look.marker
    if inspection.judgement.outcome is not Outcome.MARKER_INVALID or look.mount is None or not look.mount.is_fuse:
        return False
    return isinstance(marker, InvalidDocument) and marker.sha256 == NOTHING and look.ledger is None


def _replaced(standing: Marker | InvalidDocument | None, replacing: str | None) -> str | None:
    """Returns what can be set aside, by its full name; None where `--replace` names something else."""
    if replacing is None or standing is None:
        return None
    if isinstance(standing, Marker):
        return standing.marker_id if replacing.lower() == standing.marker_id.lower() else None
    named = len(replacing) >= _SHORTEST_PREFIX and standing.sha256.startswith(replacing.lower())
    return standing.digest if named else None


def _has(inspection: Inspection, outcome: Outcome) -> bool:
    return any(one.outcome is outcome for one in inspection.judgement.findings)


def _only(inspection: Inspection, outcome: Outcome) -> Inspection:
    """Returns the inspection with this outcome first: it is what prevents this command."""
    findings = inspection.judgement.findings
    first = tuple(one for one in findings if one.outcome is outcome)
    rest = tuple(one for one in findings if one.outcome is not outcome)
    return replace(inspection, judgement=replace(inspection.judgement, findings=first + rest))


def _without(inspection: Inspection, *waived: Outcome) -> Inspection:
    """The inspection without the outcomes that a command is there to end, or does not mind."""
    kept = tuple(one for one in inspection.judgement.findings if one.outcome not in waived)
    return replace(inspection, judgement=replace(inspection.judgement, findings=kept))
