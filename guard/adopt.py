"""`guard adopt`, `accept`, `hold` and `release`: the only commands that change what a volume says of itself."""

import errno
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from guard.event import Event, EventRecord
from guard.messages import CommandResult, EventSink, PodInfo, facts, refusal
from guard.outcome import Outcome
from guard.probe.inspector import Inspector, NoProgress
from guard.probe.writes import Accept, Adopt, Conflict, MountRef, Release, WriteHold, Written, name_of
from guard.report.text import truncate
from guard.volume.hold import REASON_LIMIT, Hold
from guard.volume.json_document import NAME_LIMIT
from guard.volume.ledger import Ledger
from guard.volume.loss import new_reference
from guard.volume.marker import Marker
from guard.volume.observation import FileCount, InvalidDocument, ProbeFault
from guard.volume.verdict import Inspection, judge, usable_ledger

#: Another command may be faster, and what it wrote is then judged.
_ATTEMPTS = 3


@dataclass(frozen=True)
class MarkerCommands:
    """Everything these commands share.

    Attributes:
        examiner: Looks and judges.
        where: This pod.
        say: Takes the happenings.
    """

    examiner: Inspector
    where: PodInfo
    say: EventSink

    def adopt(self, replacing: str | None) -> CommandResult:
        """Writes the marker and the first ledger on a real, unmarked volume.

        Args:
            replacing: The ID of a foreign marker, or the start of a broken one's SHA-256, that may be set aside.
        """
        return self._attempt(lambda: self._adopt(replacing))

    def accept(self) -> CommandResult:
        """What is there now is right: new reference, next generation."""
        return self._attempt(self._accept)

    def hold(self, reason: str, *, over: bool) -> CommandResult:
        """Announces work on the volume: in place of whatever hold stands, or keeping it."""
        return self._attempt(lambda: self._hold(reason, over=over))

    def release(self) -> CommandResult:
        """Ends the announced work and accepts what is there."""
        return self._attempt(self._release)

    def _attempt(self, command: Callable[[], CommandResult | None]) -> CommandResult:
        for _ in range(_ATTEMPTS):
            ending = command()
            if ending is not None:
                return ending
        examination = self.examiner.examine()
        fault = ProbeFault(errno.EAGAIN, "writing what another command changed each time", writing=True)
        return self._refused(self._rejudged(examination, fault))

    def _adopt(self, replacing: str | None) -> CommandResult | None:
        examination = _without(self.examiner.examine(), Outcome.HELD)
        outcome = examination.judgement.outcome
        standing = examination.look.marker
        # Behind the right marker, whether the data is there and can be written is the gate's question.
        if outcome in {Outcome.OK, *_BLOCKING}:
            return self._done(Event.VOLUME_ADOPTED, examination, "is adopted already; nothing was written", {})
        named = _replaced(standing, replacing) if outcome in _REPLACEABLE else None
        if outcome is not Outcome.MARKER_MISSING and named is None:
            return self._refused(examination)
        for blocking in _BLOCKING:
            if _has(examination, blocking):
                return self._refused(_only(examination, blocking))
        census = self.examiner.count_all(examination)
        if census.fault:
            return self._refused(self._rejudged(examination, census.fault))
        marker = Marker(self.examiner.expected.volume, str(uuid.uuid4()), _now())
        # Beside a foreign marker it is another volume's; beside a broken one it is this one's.
        last = None if isinstance(standing, Marker) else usable_ledger(examination.look)
        ledger = self._ledger(marker.marker_id, census, last)
        if last and last.reference.files > ledger.reference.files:
            ledger = replace(ledger, reference=last.reference)  # smaller, but no wipe: it stays a shrunk volume
        written = self._write(Adopt(_seen(examination), marker, ledger, named, last.marker_id if last else None))
        if isinstance(written, ProbeFault):
            return self._refused(self._rejudged(examination, written))
        if written is None:
            return None
        what = f'is now "{marker.volume}" with {census.files} files'
        fields = {"volume": marker.volume, "marker_id": marker.marker_id, **_kept(written)}
        counted = replace(examination, census=census)
        return self._done(Event.VOLUME_ADOPTED, counted, what, {**fields, **_recorded(ledger)})

    def _accept(self) -> CommandResult | None:
        examination = _without(self.examiner.examine(), Outcome.HELD, Outcome.DATA_LOST)
        outcome, last = examination.judgement.outcome, usable_ledger(examination.look)
        if outcome in _UNMARKED and last is not None:
            # What a wipe took or broke the marker of: accepted first, adopted then.
            if _has(examination, Outcome.READ_ONLY):
                return self._refused(_only(examination, Outcome.READ_ONLY))
            marker = examination.look.marker
            still = "has no marker (guard adopt)"
            if isinstance(marker, InvalidDocument):
                still = f"has a broken marker (guard adopt --replace {marker.digest})"
            done = f"is accepted as it is; it still {still}"
            return self._renew(examination, Event.VOLUME_ACCEPTED, done)
        if outcome is not Outcome.OK:
            return self._refused(examination)
        return self._renew(examination, Event.VOLUME_ACCEPTED, "is accepted as it is")

    def _release(self) -> CommandResult | None:
        examination = _without(self.examiner.examine(), Outcome.HELD, Outcome.DATA_LOST)
        if examination.judgement.outcome is not Outcome.OK:
            return self._refused(examination)
        held = examination.look.hold
        if held is None:
            return self._done(Event.VOLUME_RELEASED, examination, "was not held; nothing was written", {})
        done = "is released and accepted as it is"
        return self._renew(examination, Event.VOLUME_RELEASED, done, lambda accept: Release(accept, held))

    def _renew(
        self,
        examination: Inspection,
        event: Event,
        done: str,
        request: Callable[[Accept], Accept | Release] = lambda accept: accept,
    ) -> CommandResult | None:
        look, last = examination.look, usable_ledger(examination.look)
        census = self.examiner.count_all(examination)
        if census.fault:
            return self._refused(self._rejudged(examination, census.fault))
        marker_id = look.marker.marker_id if isinstance(look.marker, Marker) else (last.marker_id if last else "")
        ledger = self._ledger(marker_id, census, last)
        written = self._write(request(Accept(_seen(examination), ledger, name_of(look.marker))))
        if isinstance(written, ProbeFault):
            return self._refused(self._rejudged(examination, written))
        if written is None:
            return None
        assert written.ledger is not None
        before = last.reference.files if last else None
        message = f"{done}: {ledger.reference.files} files are the new reference"
        message += f" (before: {before})" if before is not None else ""
        message += f", generation {written.ledger.generation}"
        fields = {"reference_before": before, **_kept(written), **_recorded(written.ledger)}
        return self._done(event, replace(examination, census=census), message, fields)

    def _hold(self, reason: str, *, over: bool) -> CommandResult | None:
        examination = _without(self.examiner.examine(), Outcome.DATA_LOST, Outcome.MARKER_MISSING)
        if over:
            examination = _without(examination, Outcome.HELD)
        if examination.judgement.outcome is Outcome.HELD:
            what = f"is held already, {_holder(examination.look.hold)}; nothing was written"
            return self._done(Event.VOLUME_HELD, examination, what, {})
        if examination.judgement.outcome is not Outcome.OK:
            return self._refused(examination)
        by = self.where.pod or f"{os.uname().nodename} (uid {os.geteuid()})"
        hold = Hold(by[:NAME_LIMIT], _now(), reason[:REASON_LIMIT])
        written = self._write(WriteHold(_seen(examination), hold, over))
        if isinstance(written, ProbeFault):
            return self._refused(self._rejudged(examination, written))
        if written is None:
            return None
        fields = {"held_by": hold.by, "held_since": hold.since, "hold_reason": hold.reason, **_kept(written)}
        standing = examination.look.hold
        before = f" (before: {_holder(standing)})" if standing is not None else ""
        what = f"is held: {truncate(hold.reason)}{before}. End it with: guard release"
        return self._done(Event.VOLUME_HELD, examination, what, fields)

    def _write(self, request: Adopt | Accept | Release | WriteHold) -> Written | ProbeFault | None:
        """Has it written; None where another command was faster."""
        try:
            answer: Written | Conflict | ProbeFault = self.examiner.ask(request)
        except NoProgress:
            return ProbeFault(0, "being written")
        return None if isinstance(answer, Conflict) else answer

    def _ledger(self, marker_id: str, census: FileCount, last: Ledger | None) -> Ledger:
        now = _now()
        return Ledger(
            marker_id=marker_id,
            generation=last.generation + 1 if last else 1,
            reference=new_reference(last.reference if last else None, census, now),
            files=census.files,
            written=now,
            pod=self.where.pod,
            node=self.where.node,
        )

    def _rejudged(self, examination: Inspection, fault: ProbeFault) -> Inspection:
        look = replace(examination.look, fault=fault)
        if fault.read_only:
            look = replace(examination.look, read_only=f"{fault.code} while {fault.doing}")
        return Inspection(look, examination.census, judge(self.examiner.expected, look))

    def _done(self, event: Event, examination: Inspection, what: str, fields: dict[str, Any]) -> CommandResult:
        message = f"{examination.look.path} {what}."
        told = {**facts(examination), **fields, **self.where.fields()}
        operation = os.urandom(8).hex()
        self.say(EventRecord(event, message, event.severity, told, operation, first=True, last=True))
        return CommandResult(Outcome.OK, f"ok: {message}\n")

    def _refused(self, examination: Inspection) -> CommandResult:
        said, ending = refusal(_to_be_written(examination), self.where, os.urandom(8).hex(), first=True)
        self.say(said)
        return ending


_REPLACEABLE = frozenset({Outcome.MARKER_MISMATCH, Outcome.MARKER_INVALID})
#: Where a ledger can stand without its marker.
_UNMARKED = frozenset({Outcome.MARKER_MISSING, Outcome.MARKER_INVALID})
#: A wipe is not laundered, and nothing is written on what refuses every write.
_BLOCKING = (Outcome.READ_ONLY, Outcome.DATA_LOST)
_MAKE_WRITABLE = (
    "Run it where the volume is mounted writable, or check the disk (a file system turns read-only after errors: dmesg on "
    "the node)."
)
#: The shortest start of a broken marker's SHA-256 that names it.
_SHORTEST_PREFIX = 6


def _to_be_written(examination: Inspection) -> Inspection:
    """The examination for a command that writes: reading is never enough for it."""
    findings = tuple(
        replace(one, instead=_MAKE_WRITABLE) if one.outcome is Outcome.READ_ONLY else one
        for one in examination.judgement.findings
    )
    return replace(examination, judgement=replace(examination.judgement, findings=findings))


def _seen(examination: Inspection) -> MountRef:
    """What was judged, for a write that must not go anywhere else."""
    look = examination.look
    assert look.mount is not None
    return MountRef(look.path, look.mount.mount_id, look.root_inode)


def _holder(held: Hold | InvalidDocument | None) -> str:
    """Whose hold stands, and since when."""
    return f"by {truncate(held.by)} since {held.since}" if isinstance(held, Hold) else "by a hold that can't be read"


def _replaced(standing: Marker | InvalidDocument | None, replacing: str | None) -> str | None:
    """What may be set aside, by its full name; None where `--replace` does not name what stands there."""
    if replacing is None or standing is None:
        return None
    if isinstance(standing, Marker):
        return standing.marker_id if replacing.lower() == standing.marker_id.lower() else None
    named = len(replacing) >= _SHORTEST_PREFIX and standing.sha256.startswith(replacing.lower())
    return standing.digest if named else None


def _has(examination: Inspection, outcome: Outcome) -> bool:
    return any(one.outcome is outcome for one in examination.judgement.findings)


def _only(examination: Inspection, outcome: Outcome) -> Inspection:
    """The examination with this outcome first: it is what stands in the way of this command."""
    findings = examination.judgement.findings
    first = tuple(one for one in findings if one.outcome is outcome)
    rest = tuple(one for one in findings if one.outcome is not outcome)
    return replace(examination, judgement=replace(examination.judgement, findings=first + rest))


def _without(examination: Inspection, *waived: Outcome) -> Inspection:
    """The examination without the outcomes that a command is there to end, or does not mind."""
    kept = tuple(one for one in examination.judgement.findings if one.outcome not in waived)
    return replace(examination, judgement=replace(examination.judgement, findings=kept))


def _kept(written: Written) -> dict[str, Any]:
    return {"set_aside": ", ".join(written.set_aside) or None}


def _recorded(ledger: Ledger) -> dict[str, Any]:
    return {"reference_files": ledger.reference.files, "generation": ledger.generation}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
