"""The watcher's sentences, and the fields of its lines. Pure; when they are logged is decided elsewhere.

In a template, {path} is the guarded path.
"""

from typing import Any

from guard.advice.case import holder
from guard.advice.table import advise
from guard.event import Event
from guard.fields import facts, loss_facts
from guard.messages import concerns, nested_mounts
from guard.outcome import Outcome
from guard.report.text import truncate
from guard.volume.cause import Cause
from guard.volume.hold import Hold
from guard.volume.ledger import Ledger, LedgerIncident, Reference
from guard.volume.loss import Loss
from guard.volume.observation import FOLDERS, FileCount, InvalidDocument, Look, ProbeFault
from guard.volume.verdict import Concern, Finding, Inspection, Judgement, judge
from guard.watch.conditions import ConditionFailure, failure_of
from guard.watch.config import WatchConfig

RIGHT_AGAIN = "{path} is right again"
ACCEPTED = "The content of {path} was accepted"
RELEASED = "{path} is no longer held."
BLIND = "The tripwire of {path} is incomplete: {why}. Periodic checks continue, and it is armed again when possible."

_NO_PROBER = (
    "The volume itself can be fine. Too few processes, descriptors or too little memory are left to the pod or its user: find "
    "what uses them, or raise the limit. The watcher tries again at every check."
)
_REMEDIES = {
    Concern.SHRUNK: "If this was intended, nothing needs to be done. If not, stop what deletes the files, and restore them.",
    Concern.NO_SPACE: "Free space, enlarge the volume, or raise the quota.",
    Concern.NO_INODES: "Remove files that are not needed, or use a file system with more inodes.",
    Concern.UNREADABLE: "They count as they were last seen. Give this uid permission to read and enter them.",
    Concern.HIDDEN: "The files there are not lost.",
}


def started(
    config: WatchConfig, look: Look | None, count: FileCount | None, reference: Reference | None
) -> tuple[str, dict[str, Any]]:
    """Returns the sentence and the fields of the watch's start: what is watched, and what is known of it."""
    expected = config.expected
    parts, fields = [f"Watching {expected.path}"], dict[str, Any]()
    if look is not None:
        inspection = Inspection(look, None, count, judge(expected, look))
        fields |= facts(inspection)
        if look.mount is not None:
            parts.append(f"{look.kind.value}, {look.mount.fstype}, {look.mount.device}")
        parts += [advise(expected, look, one, config.pod).found for one in inspection.judgement.findings]
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


def wiped(config: WatchConfig, look: Look, loss: Loss, count: FileCount | None) -> ConditionFailure:
    """Returns the failure of a wipe, in the words of the gate that will refuse the next start."""
    cause = Cause.TOO_FEW_FILES if loss.min_files else Cause.FILES_LOST
    advice = advise(config.expected, look, Finding(Outcome.DATA_LOST, cause, loss=loss), config.pod, count)
    return failure_of(advice, Event.VOLUME_WIPED)


def incident_open(config: WatchConfig, look: Look, incident: LedgerIncident) -> ConditionFailure:
    """Returns the failure of a loss that the ledger tells of."""
    found = f"{look.path} has an open incident since {incident.since}: {truncate(incident.reason, 512)}"
    remedy = (
        "1. Stop what deletes or resets the files. 2. Restore them from a backup. Only if what is there now is right: "
        f"{config.pod.guard('accept', look.container)}."
    )
    return ConditionFailure(Event.VOLUME_WIPED, found, "the files that were known before it", remedy)


def loss_fields(loss: Loss) -> dict[str, Any]:
    """Returns what is lost, as fields."""
    return {**loss_facts(loss), "after": loss.after, "checked": loss.checked, "kept": loss.kept}


def back(path: str, kept: int, checked: int) -> str:
    """Returns what is back, as the beginning of a sentence."""
    return f"The files of {path} are back ({kept} of {checked} that were checked)"


def held(config: WatchConfig, look: Look, hold: Hold | InvalidDocument) -> str:
    """Returns the sentence of announced work, which ends with the line that ends it."""
    release = config.pod.guard("release", look.container)
    return f"{look.path} is held {holder(hold)}. Only if the work is done and the files are right: {release}"


def hold_stale(config: WatchConfig, look: Look) -> str:
    """Returns the sentence of a hold that came out of an archive."""
    return (
        f"A hold of an older generation appeared on {look.path}: it probably comes out of an archive that contained "
        ".volume-guard/. It is not obeyed. Check the files; only if they are right, remove it with: "
        f"{config.pod.guard('release', look.container)}"
    )


def ledger_invalid(path: str, reason: str, *, future: bool) -> str:
    """Returns the sentence of a ledger that can't be used; `future` where a newer guard wrote it."""
    then = "a new ledger is written; the old one is kept beside it."
    if future:
        then = "the ledger is left to the newer guard: use its version in all pods of this volume."
    return f"The ledger of {path} is not used: {truncate(reason, 512)}. What this watcher knows is kept, and {then}"


def ledger_stale(path: str, ledger: Ledger) -> str:
    """Returns the sentence of a ledger that went back."""
    return (
        f"The ledger of {path} went back to {ledger.written} (generation {ledger.generation}): it probably comes out of an "
        "archive that contained .volume-guard/. It is not used, and is overwritten. Check the files, and leave .volume-guard/ "
        "out of archives."
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


def concern(look: Look, found: Concern, count: FileCount | None = None, loss: Loss | None = None) -> str:
    """Returns the gate's clause of what a volume must be reported with, as a sentence, and what to do."""
    (clause,) = concerns(Inspection(look, None, count, Judgement((), loss, (found,))))
    return f"{clause[0].upper()}{clause[1:]}. {_REMEDIES[found]}"
