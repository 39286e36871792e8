"""Sentences and fields of the watcher's lines. Pure; when they are said is decided elsewhere."""

from typing import Any

from guard.event import Event, EventRecord
from guard.messages import PodInfo, facts
from guard.outcome import Severity
from guard.report.text import truncate
from guard.volume.hold import Hold
from guard.volume.ledger import Reference
from guard.volume.loss import Loss
from guard.volume.observation import FileCount, InvalidDocument, Look, ProbeFault
from guard.volume.verdict import Expectation, Inspection, judge
from guard.watch.settling import Settled
from guard.watch.sightings import Moment
from guard.watch.wiring import FOLDERS

#: Entries that are named in a line.
_ENTRIES = 20
#: Entries that are named in a sentence.
_LARGEST = 3
_NO_TRIPWIRE = f"no tripwire above {FOLDERS} folders: looks and counts alone"


def started(
    expected: Expectation, where: PodInfo, look: Look | None, census: FileCount | None, reference: Reference | None
) -> EventRecord:
    """The watch begins: what is watched, and what is known of it."""
    fields: dict[str, Any] = {"path": expected.path}
    told = [f"Watching {expected.path}"]
    if look is not None:
        examination = Inspection(look, census, judge(expected, look, census))
        fields |= facts(examination)
        if look.mount is not None:
            told.append(f"{look.kind.value}, {look.mount.fstype}, {look.mount.device}")
        if examination.judgement.findings:
            told.append("; ".join(finding.found for finding in examination.judgement.findings))
    if census is not None:
        told.append(f"{census.files} files")
    told.append(f"the reference has {reference.files}" if reference and reference.files else "no baseline yet")
    fields |= {"folders": census.folders if census else None, **where.fields()}
    fields["tripwire"] = bool(census and census.folders <= FOLDERS)
    if census and census.folders > FOLDERS:
        told.append(_NO_TRIPWIRE)
    return EventRecord(Event.WATCH_STARTED, ", ".join(told) + ".", Severity.INFO, fields)


def outgrown(path: str, folders: int) -> str:
    """The watch goes on without a tripwire."""
    return f"{path} has grown to {folders} folders, {_NO_TRIPWIRE}."


def lost(path: str, loss: Loss) -> str:
    """What is lost, as a sentence part."""
    largest = ", ".join(f"{truncate(entry.name)} {entry.before} to {entry.after}" for entry in loss.entries[:_LARGEST])
    emptied = loss.lost - max(0, loss.before - loss.after)
    text = f"{path} holds {loss.found}"
    text += f", {emptied} of them emptied" if emptied > 0 else ""
    return f"{text}: {loss.reason}" + (f" ({largest})" if largest else "")


def losses(loss: Loss, moment: Moment, settled: Settled) -> dict[str, Any]:
    """What is lost and since when, as fields."""
    return {
        "before": loss.before,
        "after": loss.after,
        "lost_files": loss.lost,
        "entries": {entry.name: [entry.before, entry.after] for entry in loss.entries[:_ENTRIES]},
        "first_sign": settled.since.text,
        "settled": moment.text,
        "tripwire": settled.sign.value,
    }


def shrunk(path: str, loss: Loss) -> str:
    """Part of the data is gone, and it may be meant."""
    return f"{lost(path, loss)}. If that is meant, nothing is to be done; the gate says it at every start."


def held(path: str, hold: Hold | InvalidDocument, *, again: bool) -> str:
    """Announced work on the volume."""
    still = "still " if again else ""
    if isinstance(hold, InvalidDocument):
        message = f"{path} is {still}held, and its hold can't be read: {hold.reason}."
    else:
        message = f'{path} is {still}held by {truncate(hold.by)} since {hold.since}: "{truncate(hold.reason)}".'
    return f"{message} End it with: guard release"


def released(path: str) -> str:
    """The work is over."""
    return f"{path} is not held any more."


def ledger_invalid(path: str, reason: str) -> str:
    """The ledger says nothing that can be used."""
    return (
        f"The ledger of {path} is not used: {truncate(reason, 512)}. "
        "Only GUARD_MIN_FILES counts beside what was known before."
    )


def unwritable(path: str, fault: ProbeFault) -> str:
    """The ledger stays as it was."""
    return (
        f"The ledger of {path} can't be written: {fault.code} while {fault.doing}. It is watched all the same, but the "
        "gate will compare with what was last recorded."
    )


def blind(path: str, why: str) -> str:
    """Removals may go unnoticed until the next look."""
    return f"The tripwire of {path} is blind: {why}. Looks and counts carry on, and it is healed when possible."


def holder(hold: Hold | InvalidDocument | None) -> dict[str, Any]:
    """Who holds, as fields; none where nobody does or it can't be read."""
    if not isinstance(hold, Hold):
        return {}
    return {"held_by": hold.by, "held_since": hold.since, "hold_reason": hold.reason}
