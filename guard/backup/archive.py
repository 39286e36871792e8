"""One night's backup: archive, compare, check, and only then forget. The gate has passed in this very container.

It is asked once more, by the environment alone: before it may have stood `guard check --enforce=false`, or flags that
never reach this program.

Killed anywhere, nothing is lost: what is not archived is archived by the next try, a snapshot that was not compared is
compared by the next run, and nothing is forgotten before all the rest has succeeded.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

from guard.backup import retention
from guard.backup.gate import Guard, Refused
from guard.backup.restic import Restic
from guard.backup.result import BackupEvent, Failed, Result
from guard.backup.retention import Policy, Shrunk
from guard.backup.say import Voice
from guard.backup.snapshot import Snapshot
from guard.outcome import Outcome, Severity
from guard.volume.loss import LossRule


@dataclass(frozen=True)
class Night:
    """What one night needs to know.

    Attributes:
        path: GUARD_PATH; links in it are resolved.
        rule: The rule of loss.
        policy: How long snapshots stay.
        parts: The data is read back in so many shares, one a day.
        settle: Seconds after which a snapshot that lost the data is taken anew: an update of the application can take
            everything away for a moment.
        today: The day in UTC.
    """

    path: str
    rule: LossRule
    policy: Policy
    parts: int
    settle: float
    today: date


def run(night: Night, guard: Guard, restic: Restic, pause: Callable[[float], None], say: Voice) -> str:
    """Makes one backup; what became of it, as a sentence.

    Raises:
        Failed: Anything but a whole backup of a volume that kept its data.
        Refused: The gate would not pass: nothing was archived.
        Interrupted: A signal asked for the end.
    """
    part = retention.share(night.today, night.parts)
    files = _judge(guard)
    # restic would archive a link itself, and compares paths as they are written.
    night = replace(night, path=os.path.realpath(night.path))
    restic.remove_stale_locks()
    try:
        new, lost = _archive(night, files, restic, say)
        if lost is not None:
            pause(night.settle)
            new, lost = _archive(night, files, restic, say)
        if lost is not None:
            lost = _pin(restic, lost, say)
    except Failed as failed:
        raise _cause(failed, restic, part) from None
    restic.check(part)
    say(BackupEvent.CHECKED, f"The repository is whole, and share {part} of its data was read back.", share=part)
    if lost is not None:
        new = restic.untag(new, retention.UNREPORTED)
        found = (
            f"snapshot {new.short} has {lost.loss.after} files where {lost.before.shown} has {lost.loss.before}: "
            f"{lost.loss.reason}"
        )
        raise Failed(Result.SNAPSHOT_SHRUNK, found)
    kept = _forget(night, restic, say)
    return f"{night.path} is archived as snapshot {new.short} and checked; {kept}."


def _judge(guard: Guard) -> int:
    """Asks the gate again; how many files it counted, at least. A pass is not said: the gate before has said it."""
    seen = guard("check", "--wait=0s", "--writable=false", "--enforce=true", "--", "true", least=Severity.ERROR)
    if seen.status != Outcome.OK.status:
        raise Refused.by(seen)
    return int(seen.line.get("files") or seen.line.get("files_at_least") or 0)


def _cause(failed: Failed, restic: Restic, part: str) -> Failed:
    """What really ended the archiving: a damaged repository can look like files that can't be read, or like anything."""
    if failed.result in {Result.ARCHIVE_INCOMPLETE, Result.ENGINE_FAILED}:
        return restic.damage(part) or failed
    return failed


def _archive(night: Night, files: int, restic: Restic, say: Voice) -> tuple[Snapshot, Shrunk | None]:
    """Archives and compares; with the files that the gate has just counted, too, of which some must be there."""
    told = restic.archive(night.path)
    snapshots = restic.snapshots()
    new = retention.named(snapshots, str(told["snapshot_id"]))
    if new is None:
        raise Failed(Result.ENGINE_FAILED, f"snapshot {told['snapshot_id']} is not in the list after it was made")
    say(
        BackupEvent.ARCHIVED,
        f"{night.path} is archived as snapshot {new.short}: {told.get('total_files_processed')} files, "
        f"{told.get('total_bytes_processed')} bytes, of which {told.get('data_added_packed')} were added to the repository.",
        snapshot=new.snapshot_id,
        files_new=told.get("files_new"),
        files_changed=told.get("files_changed"),
        bytes=told.get("total_bytes_processed"),
        bytes_added=told.get("data_added_packed"),
        seconds=told.get("total_duration"),
    )

    lost = retention.shrunk(night.rule, snapshots, new, restic.census)
    if lost is None:
        if files and not told.get("total_files_processed") and not restic.census(new).files:
            new = restic.tag(new, retention.INCOMPLETE)
            found = f"{night.path} had {files} files when the gate counted them, and snapshot {new.short} has none"
            raise Failed(Result.ARCHIVE_INCOMPLETE, f"{found}: it is tagged {retention.INCOMPLETE}")
        count = len(retention.compared(snapshots, new))
        against = f"the last {count} before it" if count else "none: there is none before it"
        say(BackupEvent.COMPARED, f"Snapshot {new.short} kept the data, compared with {against}.", compared=count)
    else:
        # At once: whatever comes next, no restore takes it for a good one.
        new = restic.tag(new, retention.SHRUNK, retention.UNREPORTED)
    return new, lost


def _pin(restic: Restic, lost: Shrunk, say: Voice) -> Shrunk:
    pinned = restic.tag(lost.before, retention.PINNED)
    say(
        BackupEvent.PINNED,
        f"The new snapshot lost the data of {pinned.shown} ({lost.loss.before} files, now {lost.loss.after}): the "
        f"older one is tagged {retention.PINNED} and stays until the tag is removed, the new one is tagged {retention.SHRUNK}.",
        files=lost.loss.after,
        files_before=lost.loss.before,
        entries={entry.name: [entry.before, entry.after] for entry in lost.loss.entries},
    )
    return replace(lost, before=pinned)


def _forget(night: Night, restic: Restic, say: Voice) -> str:
    try:
        removed = restic.forget(night.policy, night.path)
    except Failed as failed:
        if failed.result is not Result.REPOSITORY_LOCKED:
            raise
        # The backup is made and checked: a lock that a killed pod left costs one night's tidying, no more.
        say(BackupEvent.POSTPONED, f"Nothing was forgotten tonight: {failed.found}.", last=True)
        return "forgetting is postponed, the repository is locked"
    message = f"{removed} snapshots are forgotten by the policy ({' '.join(night.policy.words())})"
    say(BackupEvent.FORGOTTEN, f"{message}.", forgotten=removed, last=True)
    return message
