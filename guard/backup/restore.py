"""A restore: hold, judge the target, restore and read back, judge again, release.

From the hold to the release the gate refuses with `held`. Whatever ends a restore in between, the hold stays, and the
same restore run again goes on where the first ended. Only a volume that the gate would pass is released. A hold that no
restore has set means nothing for what is on the volume: it is judged as if it were not held.
"""

import os
from dataclasses import dataclass

from guard.backup import process, retention
from guard.backup.events import BackupEvent, EventLog
from guard.backup.gate import GateRefused, Guard, GuardResult
from guard.backup.judgement import Judge
from guard.backup.restic import Restic
from guard.backup.result import Failed, Result
from guard.backup.snapshot import Snapshot
from guard.outcome import Outcome
from guard.report import termination
from guard.report.text import truncate
from guard.stop_signal import StopSignal
from guard.volume.hold import RESTORE
from guard.volume.ignore import Ignore


@dataclass(frozen=True)
class Restore:
    """One restore.

    Attributes:
        path: GUARD_PATH.
        snapshot: The start of a snapshot's ID, or `latest`: the last good one.
        over_data: Also over a volume that has its data: its newer files would be replaced by older ones.
        guard: Runs the guard's commands.
        restic: The repository.
        judge: Judges snapshots.
        stop_signal: Ends what runs.
        emit: Receives the log lines.
        termination_log: GUARD_TERMINATION_LOG.
    """

    path: str
    snapshot: str
    over_data: bool
    guard: Guard
    restic: Restic
    judge: Judge
    stop_signal: StopSignal
    emit: EventLog
    termination_log: str

    def run(self) -> str:
        """Restores; returns what became of it, as a sentence.

        Raises:
            Failed: restic could not do its part; the volume stays held.
            GateRefused: The target is not one to restore to, or is not right afterwards.
            Stopped: A signal asked for the end; the volume stays held.
        """
        self.restic.remove_stale_locks()
        chosen = self._chosen()
        self._judge_target()
        # Whoever held it before: run again, this restore must know its own half-restored volume.
        self._must(self.guard("hold", "--over", f"{RESTORE} {chosen.shown}"))
        under_way = f"{RESTORE} {chosen.shown} is under way; the volume is held until it has run to its end"
        termination.write(self.termination_log, f"{under_way}\n")
        # A new claim becomes the volume before anything is on it: held, and not without a marker, is then what the gate
        # says of a restore that was interrupted. Where a ledger is left of before the wipe it can be adopted only later.
        early = self.guard("adopt")
        if early.status not in {Outcome.OK.status, Outcome.DATA_LOST.status}:
            raise GateRefused.by(early)
        # A link that is named as the target is replaced by a folder beside the volume.
        restored = self.restic.restore(chosen, os.path.realpath(self.path))
        self._make_durable()
        self.emit(
            BackupEvent.RESTORED,
            f"Snapshot {chosen.short} is restored to {self.path} and read back: {restored.get('total_files', 0)} names, "
            f"{restored.get('total_bytes', 0)} bytes.",
            {"snapshot": chosen.snapshot_id, "bytes": restored.get("total_bytes", 0)},
        )
        self._must(self.guard("adopt"))
        self._judge_restored(chosen)
        released = self.guard("release")
        self._must(released)
        return f"{self.path} is restored from snapshot {chosen.short}. {released.message}"

    def _chosen(self) -> Snapshot:
        snapshots = self.restic.snapshots()
        if self.snapshot == "latest":
            wanted, chosen = "a good snapshot", self.judge.last_good(snapshots).snapshot
        else:
            wanted = f"exactly one snapshot whose ID begins with {self.snapshot}"
            chosen = retention.by_prefix(snapshots, self.snapshot)
        if chosen is None:
            found = f"looked for {wanted}, found {len(snapshots)} snapshots of the volume"
            raise Failed(Result.SNAPSHOT_ABSENT, found)
        return chosen

    def _judge_target(self) -> None:
        """A restore writes only on a real volume that is this one, or on one that is new and empty."""
        result = self.guard("check", "--wait=0s", "--writable=true", "--enforce=true")
        if not result.has_only(Outcome.OK, Outcome.HELD, Outcome.DATA_LOST, Outcome.MARKER_MISSING):
            raise GateRefused.by(result)
        if _is_interrupted(result) or result.has(Outcome.DATA_LOST) or not (names := self._names()):
            return
        if result.has(Outcome.MARKER_MISSING):
            found = f"{self.path} has no marker and is not empty ({truncate(', '.join(names))}): it may be another disk"
            remedy = "Nothing was written. If it is the right volume, adopt it first: k8s/jobs/adopt.yaml"
            raise GateRefused(result.status, f"{Outcome.MARKER_MISSING.label}: {found}. {remedy}.")
        if not self.over_data:
            # A restore that somebody's sync applied must not take the day's work back, nor what a migration left behind.
            held = ", though held (its line is above)" if result.has(Outcome.HELD) else ""
            found = f"{self.path} is the right volume and has its data{held}: {truncate(', '.join(names))}"
            raise Failed(Result.VOLUME_WHOLE, found)

    def _judge_restored(self, chosen: Snapshot) -> None:
        """Released is only what the gate would then pass: a snapshot of a wiped volume stays held."""
        result = self.guard("check", "--wait=0s", "--writable=true", "--enforce=true")
        if result.has_only(Outcome.HELD, Outcome.DATA_LOST) and result.has(Outcome.DATA_LOST):
            found = f"with snapshot {chosen.shown} {self.path} still has lost its data (its line is above)"
            remedy = "It stays held. Restore an older snapshot, by its ID; if this is what there is: guard release"
            raise GateRefused(Outcome.DATA_LOST.status, f"{Outcome.DATA_LOST.label}: {found}. {remedy}.")
        if not result.has_only(Outcome.HELD):
            raise GateRefused.by(result)

    def _names(self) -> list[str]:
        return sorted(name for name in os.listdir(self.path) if not Ignore().ignores(name))

    def _make_durable(self) -> None:
        """What was restored must be on the disk before the hold goes: restic doesn't fsync."""
        problems: list[bytes] = []
        status = process.run(("sync", "-f", self.path), self.stop_signal, out=problems.append, err=problems.append)
        if status != 0:
            raise Failed(
                Result.ENGINE_FAILED, f"sync -f {self.path}: {b'; '.join(problems).decode('utf-8', 'replace')}"
            )

    @staticmethod
    def _must(result: GuardResult) -> None:
        if result.status != Outcome.OK.status:
            raise GateRefused.by(result)


def _is_interrupted(result: GuardResult) -> bool:
    """Whether the volume is held by a restore that has not come to its end."""
    return result.has(Outcome.HELD) and str(result.line.get("hold_reason", "")).startswith(RESTORE)
