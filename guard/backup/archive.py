"""One backup: archive, compare, check, and only then tag and forget. The gate has passed in this very container.

It is asked once more, by the environment alone: before it, `guard check --enforce=false` can have been run, or flags that
never reach this program.

Killed anywhere, nothing is lost: what is not archived is archived by the next try, a snapshot that is not tagged is judged
by the next run, and nothing is forgotten before all the rest has succeeded.
"""

import os
import select
from dataclasses import dataclass, replace

from guard.backup import retention
from guard.backup.events import BackupEvent, EventLog
from guard.backup.gate import GateRefused, Guard
from guard.backup.judgement import Judge
from guard.backup.restic import Restic
from guard.backup.result import Failed, Result
from guard.backup.retention import Policy
from guard.backup.snapshot import Snapshot
from guard.fields import loss_facts
from guard.outcome import Outcome, Severity
from guard.stop_signal import StopSignal, milliseconds
from guard.volume.loss import Loss, Verdict


@dataclass(frozen=True)
class ArchiveJob:
    """One run of the backup.

    Attributes:
        path: GUARD_PATH; links in it are resolved.
        part: The share of the data that is read back, as n/t.
        settle: Seconds after which a snapshot that lost the data is made again: an update of the application can take
            everything away for a moment.
        policy: How long snapshots stay.
        guard: Runs the guard's commands.
        restic: The repository.
        judge: Judges snapshots.
        stop_signal: Ends the waiting.
        emit: Receives the log lines.
    """

    path: str
    part: str
    settle: float
    policy: Policy
    guard: Guard
    restic: Restic
    judge: Judge
    stop_signal: StopSignal
    emit: EventLog

    def run(self) -> str:
        """Makes one backup; returns what became of it, as a sentence.

        Raises:
            Failed: It is not a complete backup of a volume that kept its data.
            GateRefused: The gate would not pass: nothing was archived.
            Stopped: A signal asked for the end.
        """
        files = self._check_gate()
        # restic would archive a link itself, and compares paths as they are written.
        path = os.path.realpath(self.path)
        self.restic.remove_stale_locks()
        try:
            new, wiped = self._archive(path, files)
            if wiped:
                self._pause()
                new, wiped = self._archive(path, files, new)
        except Failed as failed:
            raise self._cause(failed) from None
        self.restic.check(self.part)
        checked = f"The repository is whole, and share {self.part} of its data was read back."
        self.emit(BackupEvent.CHECKED, checked, {"share": self.part})
        if wiped:
            raise Failed(Result.SNAPSHOT_WIPED, wiped)
        return self._finish(new, path)

    def _check_gate(self) -> int:
        """Asks the gate again; returns how many files there are, as far as it knows. The gate before has reported the pass."""
        result = self.guard(
            "check", "--wait=0s", "--writable=false", "--enforce=true", "--", "true", least=Severity.ERROR
        )
        if result.status != Outcome.OK.status:
            raise GateRefused.by(result)
        line = result.line
        return int(line.get("files") or line.get("files_at_least") or line.get("reference_files") or 0)

    def _pause(self) -> None:
        poll = select.poll()
        poll.register(self.stop_signal.descriptor, select.POLLIN)
        poll.poll(milliseconds(self.settle))
        self.stop_signal.check()

    def _cause(self, failed: Failed) -> Failed:
        """What really ended the archiving: a damaged repository can look like files that can't be read, or like anything."""
        if failed.result in {Result.ARCHIVE_INCOMPLETE, Result.ENGINE_FAILED}:
            return self.restic.damage(self.part) or failed
        return failed

    def _archive(self, path: str, files: int, passing: Snapshot | None = None) -> tuple[Snapshot, str]:
        """Archives and compares, as if there were no snapshot `passing`; returns the new one, and how it lost the data."""
        summary = self.restic.archive(path)
        snapshots = self.restic.snapshots()
        new = retention.by_prefix(snapshots, str(summary["snapshot_id"]))
        if new is None:
            raise Failed(
                Result.ENGINE_FAILED, f"snapshot {summary['snapshot_id']} is not in the list after it was made"
            )
        total, added = summary.get("total_bytes_processed"), summary.get("data_added_packed")
        self.emit(
            BackupEvent.ARCHIVED,
            f"{path} is archived as snapshot {new.short}: {summary.get('total_files_processed')} files, {total} bytes, of "
            f"which {added} were added to the repository.",
            {"snapshot": new.snapshot_id, "files_new": summary.get("files_new"), "bytes": total, "bytes_added": added},
        )
        last = self.judge.last_good([snapshot for snapshot in snapshots if snapshot not in {new, passing}])
        loss = self.judge.find_loss(last, new)
        if files and loss.after == 0:  # also on the first night
            loss = replace(loss, verdict=Verdict.WIPED, before=max(loss.before, files))
        return self._report(new, loss, f"the last good one, {last.snapshot.shown}" if last.snapshot else "none")

    def _report(self, new: Snapshot, loss: Loss, compared: str) -> tuple[Snapshot, str]:
        found = f"{loss.before} files before, {loss.after} now; {loss.known_lost} of {loss.known} that were compared are gone"
        if loss.replaced:
            found += ", other files took their place"
        if loss.min_files:
            found = f"{loss.after} files are fewer than GUARD_MIN_FILES={loss.min_files}"
        fields = {"files": loss.after, **loss_facts(loss)}
        if loss.verdict is Verdict.WIPED:
            # At once: whatever comes next, no restore takes it by itself.
            new = self.restic.set_tag(new, retention.WIPED)
            wiped = f"snapshot {new.short} lost the data (compared with {compared}): {found}"
            tagged = f"It is tagged {retention.WIPED}, evicts no good one, and is not restored by itself."
            self.emit(BackupEvent.WIPED, f"S{wiped[1:]}. {tagged}", fields)
            return new, wiped
        if loss.verdict is Verdict.SHRUNK:
            message = f"Snapshot {new.short} is good, but lost a part (compared with {compared}): {found}."
            self.emit(BackupEvent.COMPARED, message, fields, severity=Severity.WARNING)
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
            self.emit(
                BackupEvent.POSTPONED, f"Tagging and forgetting are left to the next run: {failed.found}.", last=True
            )
            return f"{path} is archived as snapshot {new.short} and checked; the repository is locked, nothing was forgotten."
        forgotten = f"{removed} snapshots are forgotten by the policy ({' '.join(self.policy.argv())})"
        self.emit(BackupEvent.FORGOTTEN, f"{forgotten}.", {"forgotten": removed}, last=True)
        return f"{path} is archived as snapshot {new.short} and checked; {forgotten}."
