"""Every sentence of the gate and the commands: log lines and termination messages. Pure; what causes mean is in `advice`."""

import errno
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from guard.advice.case import Advice, entries_lost, holder, named, who_looked
from guard.advice.table import advise
from guard.event import Event, EventRecord
from guard.fields import facts
from guard.outcome import Outcome, Severity
from guard.pod import PodInfo
from guard.report.text import truncate
from guard.volume.hold import Hold
from guard.volume.ledger import UNWATCHED, Ledger
from guard.volume.marker import Marker
from guard.volume.observation import FileCount, Look, ProbeFault
from guard.volume.timestamp import lasted, seconds_of
from guard.volume.verdict import Concern, Expectation, Inspection, hidden_by, ledger_warning, usable_ledger

#: Bytes of a termination message that the kubelet keeps, and the longest line of one, in characters.
_TERMINATION_LIMIT = 4096
_LINE_LIMIT = 700
#: `kubectl describe pod` prints the fields of a container six columns in: what follows the first line is deeper.
_INDENT = " " * 8

#: What a watcher advises; {adopt} and {accept} are lines that can be pasted.
NEVER_SEEN = "This watcher has not seen its volume yet."
MARKER_GONE = (
    "A marker that disappears is often a wipe: check the files before you adopt. If they are gone, restore them from a "
    "backup. Only if the files are right: {adopt}."
)
MARKER_SWAPPED = "Its marker was exchanged: find out who wrote it. If another volume's archive was unpacked here, restore the right one."
CHECK_REPLACED = (
    "Stop the application: it writes to another volume. Check claimName in the applied object, and the node's mount. Only if "
    "this volume is meant to be here from now on: {accept}, or {adopt} where it has no marker."
)
_OBSERVE_ONLY = "observe only: the application starts anyway. With enforcement this pod would not start"


@dataclass(frozen=True)
class CommandResult:
    """How a command ended.

    Attributes:
        outcome: The outcome.
        message: The termination message.
    """

    outcome: Outcome
    message: str


#: Receives log lines.
EventSink = Callable[[EventRecord], None]


@dataclass(frozen=True)
class Messages:
    """What the gate and the commands report of one volume.

    Attributes:
        expected: What the settings ask of the volume.
        pod: This pod.
    """

    expected: Expectation
    pod: PodInfo

    def refusal(
        self,
        inspection: Inspection,
        now: datetime,
        refused: str = "this command",
        *,
        enforced: bool = True,
        warnings: tuple[str, ...] = (),
    ) -> tuple[EventRecord, CommandResult]:
        """Returns a refusal for the log and for `kubectl describe pod`.

        Args:
            inspection: What was judged.
            now: The time.
            refused: What is refused.
            enforced: Whether it really is; otherwise the guard only observes.
            warnings: What the settings gave reason to report, as clauses.
        """
        advices = self._advice(inspection)
        outcome, unwatched = advices[0].outcome, _unwatched(inspection, now)
        extra = [unwatched] if unwatched and outcome is Outcome.DATA_LOST else []
        extra += warnings
        message = _sentence(advices, extra)
        fields = self._fields(inspection, advices)
        if not enforced:
            message = f"{_OBSERVE_ONLY}. {message}"
            fields |= {"enforced": False}
            extra.append(_OBSERVE_ONLY)
        if warnings:
            fields |= {"warnings": list(warnings)}
        severity = outcome.severity if enforced else Severity.WARNING
        record = EventRecord(Event.VOLUME_REFUSED, message, severity, fields, last=True)
        verb = "refused" if enforced else "would refuse"
        first = f"volume-guard {verb} {refused} (exit {outcome.status}, {outcome.label}): {advices[0].headline}."
        return record, CommandResult(outcome, termination(first, _lines(inspection.look, advices, extra), outcome))

    def waiting(self, inspection: Inspection, left: float) -> EventRecord:
        """Returns the line of a gate that waits for the volume to recover."""
        advices = self._advice(inspection)
        message = f"Waiting up to {left:.0f} s: {_sentence(advices, [])}"
        return EventRecord(Event.VOLUME_WAITING, message, Severity.INFO, self._fields(inspection, advices))

    def ledger_invalid(self, look: Look) -> EventRecord | None:
        """Returns the line of a ledger that can't be used; None where there is none or it can."""
        broken = ledger_warning(look)
        if not broken:
            return None
        accept = self.pod.guard("accept", look.container)
        message = (
            f"The ledger of {truncate(look.path)} is not used: {truncate(broken, 512)}. What the volume held before is not "
            f"known: check the files. Only GUARD_MIN_FILES protects it until a new ledger is written, by the watcher or by {accept}"
        )
        fields = {"path": look.path, "reason": broken, **self.pod.fields()}
        return EventRecord(Event.LEDGER_INVALID, message, Event.LEDGER_INVALID.severity, fields)

    def passed(self, inspection: Inspection, now: datetime, warnings: tuple[str, ...]) -> EventRecord:
        """Returns the line that answers "did my data survive the restart?"."""
        ledger = usable_ledger(inspection.look)
        fields = {**facts(inspection), **self.pod.fields(), "outcome": Outcome.OK.label, "status": Outcome.OK.status}
        parts = [_content(inspection)]
        if ledger is None or not ledger.reference.files:
            parts.append("nothing is protected yet: files are protected as soon as they are counted")
        if ledger is not None:
            seen = f"last seen {ledger.written} by {truncate(ledger.pod or 'a guard')}"
            seen += f" on {truncate(ledger.node)}" if ledger.node else ""
            if ledger.node and self.pod.node:
                fields["node_changed"] = ledger.node != self.pod.node
                seen += f", now on {truncate(self.pod.node)}" if fields["node_changed"] else ", the same node"
            parts.append(seen)
        unwatched = _unwatched(inspection, now)
        parts += [unwatched] if unwatched else []
        parts += nested_mounts(inspection.look)
        all_warnings = [*concerns(inspection), *warnings]
        if all_warnings:
            fields["warnings"] = all_warnings
        severity = Severity.WARNING if all_warnings else Severity.INFO
        return EventRecord(Event.VOLUME_OK, "; ".join([*parts, *all_warnings]) + ".", severity, fields, last=True)

    def adopted_already(self, inspection: Inspection) -> str:
        """Returns the sentence of a volume that `adopt` leaves as it is."""
        path, outcome = truncate(inspection.look.path), inspection.judgement.outcome
        done = f"{path} is adopted already; nothing was written."
        if outcome is Outcome.OK:
            return done
        return (
            f"{done} But guard check refuses it with exit {outcome.status}: {_sentence(self._advice(inspection), [])}"
        )

    def declared(
        self, event: Event, inspection: Inspection, count: FileCount, last: Ledger | None, written: Ledger | None
    ) -> str:
        """Returns the sentence of a content that was declared right.

        Args:
            event: Adopted, accepted or released.
            inspection: What was judged.
            count: What was counted.
            last: The ledger before; None if there was none.
            written: The new one; None where the file system holds only a marker.
        """
        look, marker, volume = inspection.look, inspection.look.marker, self.expected.volume
        done = {
            Event.VOLUME_ADOPTED: f'is now "{truncate(volume)}" with {count.files} files',
            Event.VOLUME_ACCEPTED: "is accepted as it is",
            Event.VOLUME_RELEASED: "is released and accepted as it is",
        }[event]
        if event is Event.VOLUME_ADOPTED and isinstance(marker, Marker) and marker.volume == volume:
            done = f"was adopted already; its ledger was missing and is written, with {count.files} files"
        if written is None:
            done += "; this file system can't rename files, so it holds a marker and no ledger, and losses are not seen"
        elif event is not Event.VOLUME_ADOPTED:
            before = f" (before: {last.reference.files})" if last else ""
            done += f": {count.files} files are the new reference{before}, generation {written.generation}"
        rest = ""
        if event is Event.VOLUME_ACCEPTED and not isinstance(marker, Marker):
            command = "adopt" if marker is None else f"adopt --replace {marker.digest}"
            state = "missing" if marker is None else "broken"
            rest = f" Its marker is still {state}: {self.pod.guard(command, look.container)}"
        return f"{truncate(look.path)} {done}.{rest}"

    def held_already(self, look: Look) -> str:
        """Returns the sentence of a hold that is not replaced."""
        instead = self.pod.guard("hold --over REASON", look.container)
        return (
            f"{truncate(look.path)} is held already, {holder(look.hold)}. Nothing was written, and your reason was not "
            f"recorded. To replace that hold: {instead}"
        )

    def held(self, look: Look, hold: Hold) -> str:
        """Returns the sentence of a hold that was written."""
        before = f" It replaces the hold {holder(look.hold)}." if look.hold is not None else ""
        release = self.pod.guard("release", look.container)
        return f'{truncate(look.path)} is held: "{truncate(hold.reason)}".{before} The gate refuses until it ends: {release}'

    def _advice(self, inspection: Inspection) -> tuple[Advice, ...]:
        findings = inspection.judgement.findings
        return tuple(advise(self.expected, inspection.look, one, self.pod, inspection.count) for one in findings)

    def _fields(self, inspection: Inspection, advices: tuple[Advice, ...]) -> dict[str, Any]:
        first, *rest = advices
        return {
            **facts(inspection),
            **self.pod.fields(),
            "outcome": first.outcome.label,
            "status": first.outcome.status,
            "also": [other.outcome.label for other in rest] or None,
            "remedy": list(first.commands) or None,
        }


def _sentence(advices: tuple[Advice, ...], extra: list[str]) -> str:
    """A refusal in one line: outcome, what was found, what was expected, what to do."""
    first, *rest = advices
    parts = [f"{first.outcome.label}: {first.found}, expected {first.expected}."]
    parts += [f"{clause[0].upper()}{clause[1:]}." for clause in extra]
    parts.append(first.in_one_line)
    if rest:
        parts.append(f"Also: {', '.join(other.outcome.label for other in rest)}.")
    return " ".join(parts)


def _lines(look: Look, advices: tuple[Advice, ...], extra: list[str]) -> list[str]:
    """A refusal as lines below the first."""
    first, *rest = advices
    mount = look.mount
    where = ""
    if mount is not None:
        where = f" ({look.kind.value}, {mount.fstype}, device {mount.device}, mounted at {truncate(mount.mount_point)})"
    return [
        f"checked: {truncate(look.path)}{where}",
        f"found: {first.found}",
        f"expected: {first.expected}",
        *(f"note: {clause}" for clause in extra),
        *(f"{number}. {step}" for number, step in enumerate(first.steps, start=1)),
        *(f"also: {other.outcome.label}: {other.headline}" for other in rest),
    ]


def termination(first: str, lines: Sequence[str], outcome: Outcome) -> str:
    """Returns a termination message: a line that stands alone, what follows indented, the runbook's address last.

    Args:
        first: The first line.
        lines: What follows, the least important last.
        outcome: Whose runbook it is.
    """
    below = [f"{_INDENT}{truncate(line, _LINE_LIMIT)}" for line in lines]
    last = f"{_INDENT}more: guard explain {outcome.label}, or {outcome.runbook}"
    while True:
        text = "\n".join([truncate(first, _LINE_LIMIT), *below, last, ""])
        if len(text.encode("utf-8", "backslashreplace")) <= _TERMINATION_LIMIT:
            return text
        below.pop()


def _unwatched(inspection: Inspection, now: datetime) -> str:
    """That no watcher saw the volume for some time, as a clause; empty where one did."""
    ledger = usable_ledger(inspection.look)
    age = now.timestamp() - seconds_of(ledger.written) if ledger else 0.0
    return f"no watcher saw this volume for {lasted(age)}" if age > UNWATCHED else ""


def _content(inspection: Inspection) -> str:
    """Which volume it is, how many files it has, and how much of the sample is there."""
    look, count, loss = inspection.look, inspection.count, inspection.judgement.loss
    assert look.mount is not None
    ledger = usable_ledger(look)
    text = f'{truncate(look.path)} is "{truncate(inspection.volume)}"'
    text += f" ({look.kind.value}, {look.mount.fstype}, {look.mount.device})"
    if count is not None and count.exact:
        text += f" with {count.files} {'readable ' if count.unreadable_folders else ''}files"
    elif ledger is not None:
        text += f" with {ledger.reference.files} files at the last count ({ledger.reference.counted})"
    if loss is not None and loss.checked:
        text += f"; {loss.kept} of {loss.checked} known files that were checked are there"
    return text


def concerns(inspection: Inspection) -> list[str]:
    """Returns what a pass must be reported with, as clauses."""
    return [clause for concern in inspection.judgement.concerns for clause in _concern(concern, inspection)]


def _concern(concern: Concern, inspection: Inspection) -> Iterator[str]:
    look, loss, path = inspection.look, inspection.judgement.loss, truncate(inspection.look.path)
    if concern is Concern.SHRUNK:
        assert loss is not None
        after = f", {loss.after} are there now" if loss.after is not None else ""
        largest = entries_lost(loss)
        yield f"{loss.known_lost} of {loss.known} known files are gone (it had {loss.before} files{after})" + (
            f": {largest}" if largest else ""
        )
    elif concern is Concern.NO_SPACE:
        yield f"{path} is full: no space or quota is left, and writes fail or cut files"
    elif concern is Concern.NO_INODES:
        used = look.space.used_inodes if look.space else 0
        yield f"{path} has no free inodes ({used} are used): no new file can be created, though space is free"
    elif concern is Concern.UNTRIED:
        yield f"{who_looked(look.identity)} cannot write in {path}/.volume-guard: whether the volume is writable is not known"
    elif concern is Concern.UNREADABLE:
        yield _unreadable(inspection)
    else:
        yield f"known files are hidden by mounts at {named(hidden_by(look))}: unmount them"


def _unreadable(inspection: Inspection) -> str:
    count, who = inspection.count, f"by uid {inspection.look.identity.uid}"
    if count is not None and count.unreadable_entries:
        what = f"{count.unreadable_entries} of {count.entry_count} entries cannot be read {who}"
    elif count is not None and count.unreadable_folders:
        what = f"{count.unreadable_folders} folders cannot be read {who}"
    else:
        return f"some known files cannot be read {who}: a loss of them is not noticed"
    return f"{what} ({named(tuple(sorted(count.unreadable)))}): a loss in them is not noticed"


def nested_mounts(look: Look) -> list[str]:
    """Returns that other mounts lie below the path, as a clause; an empty list where none do."""
    return [f"other mounts below it are not counted: {named(look.nested)}"] if look.nested else []


def ledger_not_renewed(fault: ProbeFault) -> tuple[str, ...]:
    """Returns why a gate could not renew the ledger, as a clause; nothing where it is reported otherwise or never works."""
    if fault.full or fault.denied or fault.number == errno.ENOSYS:
        return ()
    return (f"its ledger could not be renewed: {fault.code} while {fault.doing}",)
