"""The watcher's sentences, and the fields of its lines. Pure; when they are logged is decided elsewhere."""

from typing import Any

from guard.advice.case import entries_lost, who_looked
from guard.advice.table import advise
from guard.event import Event
from guard.fields import ENTRIES, facts
from guard.messages import nested_mounts
from guard.outcome import Outcome
from guard.pod import PodInfo
from guard.report.text import truncate
from guard.volume.hold import Hold
from guard.volume.ledger import Ledger, LedgerIncident
from guard.volume.loss import Loss
from guard.volume.observation import FileCount, InvalidDocument, Look, ProbeFault, Space
from guard.volume.verdict import Expectation, Inspection, judge
from guard.watch.conditions import ConditionFailure
from guard.watch.content import ContentTracker, Judged, Returned
from guard.watch.tripwire_supervisor import FOLDERS

_NO_PROBER = (
    "The volume itself can be fine. Too few processes, descriptors or too little memory are left to the pod or its user: find "
    "what uses them, or raise the limit. The watcher tries again at every check."
)
_RESTORE = "1. Stop what deletes or resets the files. 2. Restore them from a backup. Only if what is there now is right: guard accept."


def started(expected: Expectation, look: Look | None, content: ContentTracker) -> tuple[str, dict[str, Any]]:
    """Returns the sentence and the fields of the watch's start: what is watched, and what is known of it."""
    count, reference = content.count, content.reference
    parts, fields = [f"Watching {expected.path}"], dict[str, Any]()
    if look is not None:
        inspection = Inspection(look, None, count, judge(expected, look))
        fields |= facts(inspection)
        if look.mount is not None:
            parts.append(f"{look.kind.value}, {look.mount.fstype}, {look.mount.device}")
        parts += [advise(expected, look, one, PodInfo()).found for one in inspection.judgement.findings]
        parts += nested_mounts(look)
    if count is not None:
        parts.append(f"{count.files} files")
    if reference is None or not reference.files:
        parts.append("nothing is protected yet")
    fields["folders"] = count.folders if count else None
    fields["tripwire"] = bool(count and count.folders <= FOLDERS)
    if count and count.folders > FOLDERS:
        parts.append(f"no tripwire above {FOLDERS} folders: periodic checks only")
    return ", ".join(parts) + ".", fields


def lost(path: str, loss: Loss) -> str:
    """Returns what is lost, as a sentence part."""
    if loss.min_files:
        return f"{path} holds {loss.after} files, fewer than GUARD_MIN_FILES={loss.min_files}"
    text = (
        f"{path} lost {loss.known_lost} of the {loss.known} known files that were checked (it had {loss.before} files"
    )
    text += f", {loss.after} are there now)" if loss.after is not None else ")"
    named = entries_lost(loss)
    return text + (f": {named}" if named else "")


def wiped(path: str, loss: Loss) -> ConditionFailure:
    """Returns the failure of a wipe."""
    found = lost(path, loss)
    if loss.replaced:
        found += "; other files took their place, which does not end the incident"
    if loss.min_files:
        remedy = "Restore the files from a backup. Only if so few files are right: lower GUARD_MIN_FILES."
        return ConditionFailure(Event.VOLUME_WIPED, found, f"at least {loss.min_files} files", remedy)
    return ConditionFailure(Event.VOLUME_WIPED, found, "the files that were known", _RESTORE)


def incident_open(path: str, incident: LedgerIncident) -> ConditionFailure:
    """Returns the failure of a loss that the ledger tells of."""
    found = f"{path} has an open incident since {incident.since}: {truncate(incident.reason, 512)}"
    return ConditionFailure(Event.VOLUME_WIPED, found, "the files that were known before it", _RESTORE)


def loss_fields(judged: Judged) -> dict[str, Any]:
    """Returns what is lost and since when, as fields."""
    loss = judged.loss
    return {
        "before": loss.before,
        "after": loss.after,
        "lost_files": loss.lost,
        "replaced": loss.replaced,
        "checked": loss.checked,
        "kept": loss.kept,
        "known": loss.known,
        "known_lost": loss.known_lost,
        "entries": {entry.name: [entry.before, entry.after] for entry in loss.entries[:ENTRIES]},
        "first_sign": judged.first_sign,
        "settled": judged.settled.text,
        "tripwire": judged.trigger.value,
    }


def shrunk(path: str, loss: Loss) -> str:
    """Returns the sentence of a shrink."""
    then = "If this was intended, nothing needs to be done. If not, stop what deletes the files, and restore them."
    return f"{lost(path, loss)}. {then}"


def back(path: str, returned: Returned) -> str:
    """Returns what is back, as the beginning of a sentence."""
    return f"The files of {path} are back ({returned.kept} of {returned.checked} that were checked)"


def right_again(path: str) -> str:
    """Returns that everything is right, as the beginning of a sentence."""
    return f"{path} is right again"


def accepted(path: str) -> str:
    """Returns that somebody declared the content right, as a sentence without its end."""
    return f"The content of {path} was accepted"


def held(path: str, hold: Hold | InvalidDocument, *, again: bool) -> str:
    """Returns the sentence of announced work."""
    still = "still " if again else ""
    if isinstance(hold, InvalidDocument):
        message = f"{path} is {still}held, and its hold can't be read: {hold.reason}."
    else:
        message = f'{path} is {still}held by {truncate(hold.by)} since {hold.since}: "{truncate(hold.reason)}".'
    return f"{message} Only if the work is done and the files are right: guard release"


def released(path: str) -> str:
    """Returns the sentence of work that is over."""
    return f"{path} is no longer held."


def ledger_invalid(path: str, reason: str) -> str:
    """Returns the sentence of a ledger that can't be used."""
    return (
        f"The ledger of {path} is not used: {truncate(reason, 512)}. What this watcher knows is kept, and a new ledger is "
        "written; the old one is kept beside it."
    )


def ledger_stale(path: str, ledger: Ledger) -> str:
    """Returns the sentence of a ledger that went back."""
    return (
        f"The ledger of {path} went back to {ledger.written} (generation {ledger.generation}): it probably comes out of an "
        "archive that contained .volume-guard/. It is not used, and is overwritten. Check the files, and leave .volume-guard/ "
        "out of archives."
    )


def hold_stale(path: str) -> str:
    """Returns the sentence of a hold that went back."""
    return (
        f"A hold of an older generation appeared on {path}: it probably comes out of an archive that contained "
        ".volume-guard/. It is not obeyed. Check the files; only if they are right, remove it with: guard release"
    )


def unwritable(path: str, fault: ProbeFault) -> str:
    """Returns the sentence of a ledger that stays as it was."""
    return (
        f"The ledger of {path} can't be written: {fault.code} while {fault.doing}. The volume is still watched, but the gate will "
        "compare with what was last recorded. Check free space, quota and permission."
    )


def read_only(path: str, fault: ProbeFault) -> ConditionFailure:
    """Returns the failure of a volume that refuses a write."""
    found = f"{path} can't be written: {fault.code} while {fault.doing}"
    return ConditionFailure(Event.VOLUME_READ_ONLY, found, "a writable volume", Outcome.READ_ONLY.value.remedy)


def no_probe(path: str, code: str) -> ConditionFailure:
    """Returns the failure of a look that nobody can make."""
    found = f"{path} cannot be checked: {code} while starting the process that checks it"
    return ConditionFailure(Event.VOLUME_UNREACHABLE, found, "a check", _NO_PROBER)


def full(path: str, space: Space) -> str:
    """Returns the sentence of a full volume."""
    if space.full == "inodes":
        return (
            f"{path} has no free inodes ({space.inodes} are used), though {space.available} bytes are free: no new file can be "
            "created. Remove files that are not needed, or use a file system with more inodes."
        )
    return f"{path} is full: none of {space.size} bytes is free. Writes fail or cut files. Free space, or enlarge the volume."


def no_room(path: str) -> str:
    """Returns the sentence of a volume whose space or quota is used up, as a write tells."""
    return f"{path} is full: a write failed for lack of space or quota. Free space, enlarge the volume, or raise the quota."


def blind(path: str, why: str) -> str:
    """Returns the sentence of a tripwire that sees nothing, or not all."""
    return (
        f"The tripwire of {path} is incomplete: {why}. Periodic checks continue, and it is armed again when possible."
    )


def unreadable(path: str, count: FileCount, look: Look | None) -> str:
    """Returns the sentence of entries that this uid can't read."""
    names = ", ".join(map(truncate, count.unreadable[:3]))
    who = f" by {who_looked(look.identity)}" if look else ""
    return (
        f"{count.unreadable_entries} of {count.entry_count} entries of {path} cannot be read{who} ({names}): they count as "
        "they were last seen, and a loss in them is not noticed. Give this uid permission to read and enter them."
    )


def hidden(path: str, by: tuple[str, ...]) -> str:
    """Returns the sentence of files that other mounts hide."""
    names = ", ".join(map(truncate, by[:ENTRIES]))
    verb = "is" if len(by) == 1 else "are"
    return (
        f"{names} {verb} hidden by mounts below {path}: the files there are not lost, but cannot be seen. Unmount "
        "what is mounted there."
    )


def holder(hold: Hold | InvalidDocument | None) -> dict[str, object]:
    """Returns who holds, as fields; none where nobody does or it can't be read."""
    if not isinstance(hold, Hold):
        return {}
    return {"held_by": hold.by, "held_since": hold.since, "hold_reason": hold.reason}
