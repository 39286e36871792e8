"""Words for a judgement: the sentence of a refusal, the text of a termination message, the fields of a line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from guard.event import Event, EventRecord
from guard.outcome import Outcome
from guard.report.text import printable, truncate
from guard.volume.loss import Loss, Verdict
from guard.volume.marker import Marker
from guard.volume.observation import Identity, InvalidDocument, Look
from guard.volume.verdict import Inspection, usable_ledger

#: Entries that are named in a line, and in a sentence.
ENTRIES = 20
_LARGEST = 4

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
    examination: Inspection, where: PodInfo, operation: str, *, first: bool
) -> tuple[EventRecord, CommandResult]:
    """A refusal for the log and for `kubectl describe pod`.

    Args:
        examination: What was judged.
        where: This pod.
        operation: The run that this line belongs to.
        first: Whether nothing was said before it.
    """
    commands = remedies(examination, where)
    message = sentence(examination) + advice(commands)
    outcome = examination.judgement.outcome
    said = EventRecord(
        Event.VOLUME_REFUSED, message, outcome.severity, judged(examination, where), operation, first=first, last=True
    )
    return said, CommandResult(outcome, termination(examination, commands))


def judged(examination: Inspection, where: PodInfo) -> dict[str, Any]:
    """The fields of a line about a volume that is not right."""
    outcomes = [finding.outcome for finding in examination.judgement.findings]
    return {
        **facts(examination),
        **where.fields(),
        "outcome": outcomes[0].label,
        "status": outcomes[0].status,
        "also": [outcome.label for outcome in outcomes[1:]] or None,
        "remedy": list(remedies(examination, where)) or None,
    }


def sentence(examination: Inspection) -> str:
    """A refusal in one line: outcome, what was found, what was expected, what to do."""
    finding = examination.judgement.findings[0]
    parts = [f"{finding.outcome.label}: {finding.found}, expected {finding.expected.removeprefix('expected ')}."]
    parts.append(finding.remedy)
    if finding.hint:
        parts.append(finding.hint)
    rest = [other.outcome.label for other in examination.judgement.findings[1:]]
    if rest:
        parts.append(f"Also: {', '.join(rest)}.")
    return " ".join(parts)


def termination(examination: Inspection, commands: tuple[str, ...]) -> str:
    """A refusal as `kubectl describe pod` shows it.

    Args:
        examination: What was judged.
        commands: Lines that a person can run to mend it.
    """
    finding = examination.judgement.findings[0]
    look = examination.look
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
    lines += [f"also: {other.outcome.label}: {other.found}" for other in examination.judgement.findings[1:]]
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


def remedies(examination: Inspection, where: PodInfo) -> tuple[str, ...]:
    """The exact lines that would mend it, in their order, to be run from outside the pod; empty where none would."""
    outcome = examination.judgement.outcome
    pod = where.pod or "POD"
    namespace = f"-n {where.namespace} " if where.namespace else ""
    container = f"-c {examination.look.container} " if examination.look.container else ""
    commands = () if examination.look.read_only else _commands(examination)
    if commands:
        return tuple(f"kubectl exec {namespace}{pod} {container}-- guard {command}" for command in commands)
    fault = examination.look.fault
    answers = fault is not None and (fault.in_place or fault.denied)
    if outcome is Outcome.NODE_DISK or (outcome is Outcome.UNREACHABLE and not answers):
        # Never for what dies with the pod: an application that runs beside a guard that only observes has its data there.
        return (f"kubectl delete pod {namespace}{pod}",)
    return ()


def _commands(examination: Inspection) -> tuple[str, ...]:
    judgement, marker = examination.judgement, examination.look.marker
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


def facts(examination: Inspection) -> Mapping[str, Any]:
    """What a line says of a volume: which one, on what, how much, and when it was last seen."""
    look, count, loss = examination.look, examination.count, examination.judgement.loss
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
