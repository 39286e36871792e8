"""Words for a judgement: the sentence of a refusal, the text of a termination message, the fields of a line."""

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from guard.event import Event, EventRecord
from guard.outcome import Outcome, Severity
from guard.report.text import printable, truncate
from guard.volume.hold import Hold
from guard.volume.ledger import Ledger
from guard.volume.loss import Loss, Verdict
from guard.volume.marker import Marker
from guard.volume.observation import FileCount, Identity, InvalidDocument, Look, ProbeFault
from guard.volume.timestamp import lasted, seconds_of
from guard.volume.verdict import Inspection, ledger_warning, usable_ledger

#: Entries that are named in a line, and in a sentence.
ENTRIES = 20
_LARGEST = 4
#: Seconds after which a ledger shows that no watcher runs: one writes it at least every 15 minutes.
UNWATCHED = 16 * 60

NEVER_SEEN = "This watcher has not seen its volume yet."
MARKER_GONE = (
    "A marker that disappears is often a wipe: look at the files before you adopt. If they are gone, restore them from a "
    "backup. Only if the files are right: guard adopt."
)
MARKER_SWAPPED = "Its marker was exchanged: find out who wrote it. If another volume's archive was unpacked here, restore the right one."
CHECK_REPLACED = (
    "Check claimName in the applied object, and the node's mount. Only if this volume is meant to be here from now on: "
    "guard accept."
)


@dataclass(frozen=True)
class PodInfo:
    """Where this guard runs, from the downward API; None where it is not told."""

    pod: str | None = None
    node: str | None = None
    namespace: str | None = None

    def fields(self) -> dict[str, Any]:
        """For every log line."""
        return {"pod": self.pod, "node": self.node, "namespace": self.namespace}


@dataclass(frozen=True)
class CommandResult:
    """How a command ended.

    Attributes:
        outcome: The outcome.
        message: The termination message.
    """

    outcome: Outcome
    message: str


#: Takes happenings: the log, and whoever else listens.
EventSink = Callable[[EventRecord], None]


def refusal(
    inspection: Inspection, pod: PodInfo, now: datetime, *, enforced: bool = True, warnings: tuple[str, ...] = ()
) -> tuple[EventRecord, CommandResult]:
    """Returns a refusal for the log and for `kubectl describe pod`.

    Args:
        inspection: What was judged.
        pod: This pod.
        now: The time.
        enforced: Whether the application does not start; otherwise the guard only observes.
        warnings: What the settings gave reason to report, as clauses.
    """
    commands, outcome = remedies(inspection, pod), inspection.judgement.outcome
    message = sentence(inspection) + advice(commands)
    unwatched = _unwatched(inspection, now)
    if unwatched and outcome is Outcome.DATA_LOST:
        message = f"{message} {unwatched[0].upper()}{unwatched[1:]}."
    fields = judged(inspection, pod)
    severity = outcome.severity
    if not enforced:
        severity = Severity.WARNING
        message = f"Observe only: the application starts anyway. With enforcement this pod would not start. {message}"
        fields |= {"enforced": False}
    if warnings:
        message += f" Also, {'; '.join(warnings)}."
        fields |= {"warnings": list(warnings)}
    record = EventRecord(Event.VOLUME_REFUSED, message, severity, fields, last=True)
    return record, CommandResult(outcome, termination(inspection, commands))


def waiting(inspection: Inspection, pod: PodInfo, now: datetime, left: float) -> EventRecord:
    """Returns the line of a gate that waits for the volume to recover."""
    del now
    message = f"Waiting up to {left:.0f} s: {sentence(inspection)}{advice(remedies(inspection, pod))}"
    return EventRecord(Event.VOLUME_WAITING, message, Severity.INFO, judged(inspection, pod))


def ledger_invalid(inspection: Inspection, pod: PodInfo, operation: str, *, first: bool) -> EventRecord | None:
    """Returns the line of a ledger that can't be used; None where there is none or it can."""
    broken, path = ledger_warning(inspection.look), inspection.look.path
    if not broken:
        return None
    message = (
        f"The ledger of {path} is not used: {truncate(broken, 512)}. What the volume held before is not known, so only "
        "GUARD_MIN_FILES protects it until the watcher or guard accept writes a new ledger."
    )
    fields = {"path": path, "reason": broken, **pod.fields()}
    return EventRecord(Event.LEDGER_INVALID, message, Event.LEDGER_INVALID.severity, fields, operation, first=first)


def passed(inspection: Inspection, pod: PodInfo, now: datetime, warnings: tuple[str, ...]) -> EventRecord:
    """Returns the line that answers "did my data survive the restart?"."""
    look, count, loss = inspection.look, inspection.count, inspection.judgement.loss
    assert look.mount is not None
    ledger = usable_ledger(look)
    parts = [
        f'{look.path} is "{truncate(inspection.volume)}" ({look.kind.value}, {look.mount.fstype}, {look.mount.device})'
    ]
    fields = {**facts(inspection), **pod.fields(), "outcome": Outcome.OK.label, "status": Outcome.OK.status}
    if count is not None and count.exact:
        parts[0] += f" with {count.files} files"
    elif ledger is not None:
        parts[0] += f" with {ledger.reference.files} files at the last count, {ledger.reference.counted}"
    if loss is not None and loss.checked:
        parts.append(f"{loss.kept} of {loss.checked} known files that were checked are there")
    if ledger is None or not ledger.reference.files:
        parts.append("nothing is protected yet: files are protected once they are there and counted")
    if ledger is not None:
        seen = f"last seen {ledger.written} by {truncate(ledger.pod or 'a guard')}"
        if ledger.node:
            seen += f" on {truncate(ledger.node)}"
        if ledger.node and pod.node:
            fields["node_changed"] = ledger.node != pod.node
            seen += f", now on {truncate(pod.node)}" if fields["node_changed"] else ", the same node"
        parts.append(seen)
        unwatched = _unwatched(inspection, now)
        parts += [unwatched] if unwatched else []
    parts += nested_mounts(look)
    every = [*inspection.judgement.warnings, *warnings]
    if loss is not None and inspection.judgement.shrunk:
        named = entries_lost(loss)
        after = f", {loss.after} are there now" if loss.after is not None else ""
        shrink = f"{loss.known_lost} of {loss.known} known files are gone (it had {loss.before} files{after})"
        every.insert(0, shrink + (f": {named}" if named else ""))
    if every:
        fields["warnings"] = every
    severity = Severity.WARNING if every else Severity.INFO
    return EventRecord(Event.VOLUME_OK, "; ".join([*parts, *every]) + ".", severity, fields, last=True)


def _unwatched(inspection: Inspection, now: datetime) -> str:
    """That no watcher saw the volume for some time, as a clause; empty where one did."""
    ledger = usable_ledger(inspection.look)
    age = now.timestamp() - seconds_of(ledger.written) if ledger else 0.0
    return f"no watcher saw this volume for {lasted(age)}" if age > UNWATCHED else ""


def ledger_not_renewed(fault: ProbeFault) -> tuple[str, ...]:
    """Returns why a gate could not renew the ledger, as a clause; nothing where it is reported otherwise or never works."""
    if fault.full or fault.number == errno.ENOSYS:
        return ()
    return (f"its ledger could not be renewed: {fault.code} while {fault.doing}",)


def adopted_already(inspection: Inspection) -> str:
    """Returns the sentence of a volume that `adopt` leaves as it is."""
    path, outcome = inspection.look.path, inspection.judgement.outcome
    done = f"{path} is adopted already; nothing was written."
    if outcome is Outcome.OK:
        return done
    return f"{done} But guard check refuses it (exit {outcome.status}): {sentence(inspection)}"


def declared(
    event: Event, inspection: Inspection, count: FileCount, last: Ledger | None, written: Ledger | None, volume: str
) -> str:
    """Returns the sentence of a content that was declared right.

    Args:
        event: Adopted, accepted or released.
        inspection: What was judged.
        count: What was counted.
        last: The ledger before; None if there was none.
        written: The new one; None where the file system holds only a marker.
        volume: The name of the volume.
    """
    marker = inspection.look.marker
    done = {
        Event.VOLUME_ADOPTED: f'is now "{truncate(volume)}" with {count.files} files',
        Event.VOLUME_ACCEPTED: "is accepted as it is",
        Event.VOLUME_RELEASED: "is released and accepted as it is",
    }[event]
    if event is Event.VOLUME_ACCEPTED and isinstance(marker, InvalidDocument):
        done += f"; its marker is still broken (guard adopt --replace {marker.digest})"
    elif event is Event.VOLUME_ACCEPTED and marker is None:
        done += "; it still has no marker (guard adopt)"
    if event is Event.VOLUME_ADOPTED and isinstance(marker, Marker) and marker.volume == volume:
        done = f"was adopted already; its ledger was missing and is written, with {count.files} files"
    if written is None:
        done += "; this file system can't rename files, so it holds a marker and no ledger, and losses are not seen"
    elif event is not Event.VOLUME_ADOPTED:
        before = f" (before: {last.reference.files})" if last else ""
        done += f": {count.files} files are the new reference{before}, generation {written.generation}"
    return f"{inspection.look.path} {done}."


def _holder(hold: Hold | InvalidDocument) -> str:
    if isinstance(hold, InvalidDocument):
        return f"by a hold that can't be read ({hold.reason})"
    return f'by {truncate(hold.by)} since {hold.since}: "{truncate(hold.reason)}"'


def held_already(look: Look) -> str:
    """Returns the sentence of a hold that is not replaced."""
    assert look.hold is not None
    return (
        f"{look.path} is held already, {_holder(look.hold)}. Nothing was written, your reason neither. To replace that "
        "hold: guard hold --over REASON"
    )


def held(look: Look, hold: Hold) -> str:
    """Returns the sentence of a hold that was written."""
    before = f" This replaces the hold {_holder(look.hold)}." if look.hold is not None else ""
    return f'{look.path} is held: "{truncate(hold.reason)}".{before} The gate refuses until: guard release'


def judged(inspection: Inspection, where: PodInfo) -> dict[str, Any]:
    """The fields of a line about a volume that is not right."""
    outcomes = [finding.outcome for finding in inspection.judgement.findings]
    return {
        **facts(inspection),
        **where.fields(),
        "outcome": outcomes[0].label,
        "status": outcomes[0].status,
        "also": [outcome.label for outcome in outcomes[1:]] or None,
        "remedy": list(remedies(inspection, where)) or None,
    }


def sentence(inspection: Inspection) -> str:
    """A refusal in one line: outcome, what was found, what was expected, what to do."""
    finding = inspection.judgement.findings[0]
    parts = [f"{finding.outcome.label}: {finding.found}, expected {finding.expected.removeprefix('expected ')}."]
    parts.append(finding.remedy)
    if finding.hint:
        parts.append(finding.hint)
    rest = [other.outcome.label for other in inspection.judgement.findings[1:]]
    if rest:
        parts.append(f"Also: {', '.join(rest)}.")
    return " ".join(parts)


def termination(inspection: Inspection, commands: tuple[str, ...]) -> str:
    """A refusal as `kubectl describe pod` shows it.

    Args:
        inspection: What was judged.
        commands: Lines that a person can run to mend it.
    """
    finding = inspection.judgement.findings[0]
    look = inspection.look
    lines = [
        finding.outcome.label,
        f"looked at: {look.path}{_mount(look)}",
        f"found: {finding.found}",
        f"expected: {finding.expected.removeprefix('expected ')}",
        f"what to do: {finding.remedy}",
    ]
    if finding.hint:
        lines.append(finding.hint)
    lines += [f"  {command}" for command in commands]
    lines += [f"also: {other.outcome.label}: {other.found}" for other in inspection.judgement.findings[1:]]
    lines.append(more(finding.outcome))
    return "\n".join(printable(line) for line in lines) + "\n"


def more(outcome: Outcome) -> str:
    """Where to read on, with a shell and without: the last line of a termination message."""
    return f"more: guard explain {outcome.label}, or {outcome.runbook}"


def _mount(look: Look) -> str:
    mount = look.mount
    if mount is None:
        return ""
    return f" ({look.kind.value}, {mount.fstype}, device {mount.device}, mounted at {mount.mount_point})"


def advice(commands: tuple[str, ...]) -> str:
    """Lines to be run one after the other, behind the sentences that say when they are right; empty for none.

    They are called by what they do, not by what they are good for: whether that is right, the reader has to judge.
    """
    if not commands:
        return ""
    doing = ", then ".join(command.rpartition(" -- ")[2] for command in commands)
    aim = f"run {doing}" if " -- " in commands[0] else "delete the pod"
    return f" To {aim}: {', then: '.join(commands)}"


def remedies(inspection: Inspection, where: PodInfo) -> tuple[str, ...]:
    """The exact lines that would mend it, in their order, to be run from outside the pod; empty where none would."""
    outcome = inspection.judgement.outcome
    pod = where.pod or "POD"
    namespace = f"-n {where.namespace} " if where.namespace else ""
    container = f"-c {inspection.look.container} " if inspection.look.container else ""
    commands = () if inspection.look.read_only else _commands(inspection)
    if commands:
        return tuple(f"kubectl exec {namespace}{pod} {container}-- guard {command}" for command in commands)
    fault = inspection.look.fault
    answers = fault is not None and (fault.in_place or fault.denied)
    if outcome is Outcome.NODE_DISK or (outcome is Outcome.UNREACHABLE and not answers):
        # Never for what dies with the pod: an application that runs beside a guard that only observes has its data there.
        return (f"kubectl delete pod {namespace}{pod}",)
    return ()


def _commands(inspection: Inspection) -> tuple[str, ...]:
    judgement, marker = inspection.judgement, inspection.look.marker
    outcome, outcomes = judgement.outcome, {finding.outcome for finding in judgement.findings}
    if outcome is Outcome.HELD:
        return ("release",)
    lost = judgement.loss is not None and judgement.loss.acceptable
    accepted = ("accept",) if lost else ()
    if outcome is Outcome.DATA_LOST and not lost:
        return ()
    if outcome in {Outcome.MARKER_MISSING, Outcome.DATA_LOST} and Outcome.MARKER_MISSING in outcomes:
        return (*accepted, "adopt")
    if lost and isinstance(marker, InvalidDocument) and outcome is Outcome.DATA_LOST:
        return (*accepted, f"adopt --replace {marker.digest}")
    return accepted if outcome is Outcome.DATA_LOST else ()


def entries_lost(loss: Loss) -> str:
    """Returns the entries that lost most, as a clause; empty where none did."""
    return ", ".join(f"{truncate(one.name)} {one.before} to {one.after}" for one in loss.entries[:_LARGEST])


def nested_mounts(look: Look) -> list[str]:
    """Returns that other mounts lie below the path, as a clause; an empty list where none do."""
    if not look.nested:
        return []
    names = ", ".join(map(truncate, look.nested[:_LARGEST]))
    more = f" and {len(look.nested) - _LARGEST} more" if len(look.nested) > _LARGEST else ""
    return [f"other mounts below it are not counted: {names}{more}"]


def who_looked(identity: Identity) -> str:
    """Returns the user that looked, for messages about permission."""
    groups = ",".join(map(str, identity.groups)) or "none"
    return f"uid {identity.uid}, gid {identity.gid}, groups {groups}"


def facts(inspection: Inspection) -> Mapping[str, Any]:
    """What a line says of a volume: which one, on what, how much, and when it was last seen."""
    look, count, loss = inspection.look, inspection.count, inspection.judgement.loss
    found: dict[str, Any] = {"path": look.path}
    if isinstance(look.marker, Marker):
        found |= {"volume": look.marker.volume, "marker_id": look.marker.marker_id}
    if look.mount is not None:
        mount = look.mount
        found |= {
            "kind": look.kind.value,
            "device": mount.device,
            "fstype": mount.fstype,
            "source": mount.source or None,
        }
    if look.nested:
        found["nested_mounts"] = list(look.nested[:ENTRIES])
    if count is not None and not count.fault:
        found["files" if count.exact else "files_at_least"] = count.files
        if count.unreadable:
            found |= {"unreadable": list(count.unreadable[:ENTRIES]), "unreadable_folders": count.unreadable_folders}
    ledger = usable_ledger(look)
    if ledger:
        found |= {
            "reference_files": ledger.reference.files,
            "generation": ledger.generation,
            "last_seen": ledger.written,
            "last_pod": ledger.pod,
            "last_node": ledger.node,
        }
    if loss and loss.checked:
        found |= {"checked": loss.checked, "kept": loss.kept}
    if loss and loss.verdict is not Verdict.KEPT:
        found |= {
            "before": loss.before,
            "known": loss.known,
            "known_lost": loss.known_lost,
            "replaced": loss.replaced,
            "entries": {entry.name: [entry.before, entry.after] for entry in loss.entries[:ENTRIES]},
        }
    if ledger and ledger.incident:
        found |= {"incident": ledger.incident.incident_id, "incident_since": ledger.incident.since}
    if look.hold is not None and not isinstance(look.hold, InvalidDocument):
        found |= {"held_by": look.hold.by, "held_since": look.hold.since, "hold_reason": look.hold.reason}
    return found
