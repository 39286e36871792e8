"""One backup: archive, compare, check, and only then tag and forget. The gate has passed in this very container.

It is asked once more, by the environment alone: before it, `guard check --enforce=false` can have been run, or flags that
never reach this program.

Killed anywhere, nothing is lost: what is not archived is archived by the next try, a snapshot that is not tagged is judged
by the next run, and nothing is forgotten before all the rest has succeeded.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from guard.backup import retention
from guard.backup.events import BackupEvent, EventLog
from guard.backup.gate import GateRefused, Guard
from guard.backup.judgement import Judge
from guard.backup.restic import Restic
from guard.backup.result import Failed, Result
from guard.backup.retention import Policy
from guard.backup.snapshot import Snapshot
from guard.messages import ENTRIES
from guard.outcome import Outcome, Severity
from guard.volume.loss import Loss, Verdict


@dataclass(frozen=True)
class ArchiveJob:
    """One run of the backup.

    Attributes:
        path: GUARD_PATH; links in it are resolved.
        policy: How long snapshots stay.
        parts: The data is read back in so many shares, one a day.
        settle: Seconds after which a snapshot that lost the data is made again: an update of the application can take
            everything away for a moment.
        today: The day in UTC.
        guard: Runs the guard's commands.
        restic: The repository.
        judge: Judges snapshots.
        pause: Waits for so many seconds.
        emit: Receives the log lines.
    """

    path: str
    policy: Policy
    parts: int
    settle: float
    today: date
    guard: Guard
    restic: Restic
    judge: Judge
    pause: Callable[[float], None]
    emit: EventLog

    def run(self) -> str:
        """Makes one backup; returns what became of it, as a sentence.

        Raises:
            Failed: It is not a complete backup of a volume that kept its data.
            GateRefused: The gate would not pass: nothing was archived.
            Stopped: A signal asked for the end.
        """
        part = retention.share(self.today, self.parts)
        files = self._check_gate()
        # restic would archive a link itself, and compares paths as they are written.
        path = os.path.realpath(self.path)
        self.restic.remove_stale_locks()
        try:
            new, wiped = self._archive(path, files)
            if wiped:
                self.pause(self.settle)
                new, wiped = self._archive(path, files)
        except Failed as failed:
            raise self._cause(failed, part) from None
        self.restic.check(part)
        self.emit(BackupEvent.CHECKED, f"The repository is whole, and share {part} of its data was read back.", share=part)
        if wiped:
            raise Failed(Result.SNAPSHOT_WIPED, wiped)
        return self._finish(new, path)

    def _check_gate(self) -> int:
        """Asks the gate again; returns how many files there are, as far as it knows. The gate before has reported the pass."""
        result = self.guard("check", "--wait=0s", "--writable=false", "--enforce=true", "--", "true", least=Severity.ERROR)
        if result.status != Outcome.OK.status:
            raise GateRefused.by(result)
        line = result.line
        return int(line.get("files") or line.get("files_at_least") or line.get("reference_files") or 0)

    def _cause(self, failed: Failed, part: str) -> Failed:
        """What really ended the archiving: a damaged repository can look like files that can't be read, or like anything."""
        if failed.result in {Result.ARCHIVE_INCOMPLETE, Result.ENGINE_FAILED}:
            return self.restic.damage(part) or failed
        return failed

    def _archive(self, path: str, files: int) -> tuple[Snapshot, str]:
        """Archives and compares; returns the snapshot, and what it lost where that is its data."""
        summary = self.restic.archive(path)
        snapshots = self.restic.snapshots()
        new = retention.by_prefix(snapshots, str(summary["snapshot_id"]))
        if new is None:
            raise Failed(Result.ENGINE_FAILED, f"snapshot {summary['snapshot_id']} is not in the list after it was made")
        self.emit(
            BackupEvent.ARCHIVED,
            f"{path} is archived as snapshot {new.short}: {summary.get('total_files_processed')} files, "
            f"{summary.get('total_bytes_processed')} bytes, of which {summary.get('data_added_packed')} were added to the "
            "repository.",
            snapshot=new.snapshot_id,
            files_new=summary.get("files_new"),
            files_changed=summary.get("files_changed"),
            bytes=summary.get("total_bytes_processed"),
            bytes_added=summary.get("data_added_packed"),
            seconds=summary.get("total_duration"),
        )
        return self._compare(path, files, snapshots, new)

    def _compare(self, path: str, files: int, snapshots: tuple[Snapshot, ...], new: Snapshot) -> tuple[Snapshot, str]:
        last = self.judge.last_good([snapshot for snapshot in snapshots if snapshot != new])
        loss = self.judge.find_loss(last, new)
        good = last.snapshot
        if loss.verdict is Verdict.WIPED:
            # At once: whatever comes next, no restore takes it by itself.
            new = self.restic.set_tag(new, retention.WIPED)
            found = f"snapshot {new.short} lost the data{f' of {good.shown}' if good else ''}: {_lost(loss)}"
            message = f"{found}. It is tagged {retention.WIPED}, evicts no good snapshot, and is not restored by itself."
            self.emit(BackupEvent.WIPED, message[:1].upper() + message[1:], **_fields(loss))
            return new, found
        if files and loss.after == 0:
            new = self.restic.set_tag(new, retention.INCOMPLETE)
            found = f"{path} had {files} files when the gate checked it, and snapshot {new.short} has none"
            raise Failed(Result.ARCHIVE_INCOMPLETE, f"{found}: it is tagged {retention.INCOMPLETE}")
        compared = good.shown if good else "none: there is no good one before it"
        if loss.verdict is Verdict.SHRUNK:
            message = f"Snapshot {new.short} lost a part of {compared}: {_lost(loss)}. It is good all the same."
            self.emit(BackupEvent.COMPARED, message, severity=Severity.WARNING, **_fields(loss))
        else:
            self.emit(BackupEvent.COMPARED, f"Snapshot {new.short} kept the data, compared with {compared}.")
        return new, ""

    def _finish(self, new: Snapshot, path: str) -> str:
        try:
            new = self.restic.set_tag(new, retention.GOOD)
            removed = self.restic.forget(self.policy, path)
        except Failed as failed:
            if failed.result is not Result.REPOSITORY_LOCKED:
                raise
            # The backup is made and checked: a lock that a killed pod left costs one night's tidying, no more.
            self.emit(BackupEvent.POSTPONED, f"Tagging and forgetting are left to the next run: {failed.found}.", last=True)
            return f"{path} is archived as snapshot {new.short} and checked; the repository is locked, nothing was forgotten."
        forgotten = f"{removed} snapshots are forgotten by the policy ({' '.join(self.policy.argv())})"
        self.emit(BackupEvent.FORGOTTEN, f"{forgotten}.", forgotten=removed, last=True)
        return f"{path} is archived as snapshot {new.short} and checked; {forgotten}."


def _lost(loss: Loss) -> str:
    """What was lost, as a clause."""
    if loss.min_files:
        return f"{loss.after} files are left, fewer than GUARD_MIN_FILES={loss.min_files}"
    others = ", other files took their place" if loss.replaced else ""
    return f"{loss.known_lost} of {loss.known} files that were checked are gone{others} ({loss.before} files, now {loss.after})"


def _fields(loss: Loss) -> dict[str, Any]:
    return {
        "files": loss.after,
        "files_before": loss.before,
        "known": loss.known,
        "known_lost": loss.known_lost,
        "replaced": loss.replaced,
        "entries": {entry.name: [entry.before, entry.after] for entry in loss.entries[:ENTRIES]},
    }
