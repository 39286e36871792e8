"""A restore: hold, judge the target, restore and read back, judge again, release.

From the hold to the release the gate refuses with `held`. Whatever ends a restore in between, the hold stays, and the
same restore run again goes on where the first ended. Only a volume that the gate would pass is released. A hold that a
restore has not set says nothing about what is on the volume: it is judged as if it were not held.
"""

import os
from dataclasses import dataclass

from guard.backup import process, retention
from guard.backup.gate import Guard, Refused, Said
from guard.backup.restic import Restic
from guard.backup.result import BackupEvent, Failed, Result
from guard.backup.say import Voice
from guard.backup.snapshot import Snapshot
from guard.outcome import Outcome
from guard.report import termination
from guard.report.text import truncate
from guard.stop_signal import StopSignal
from guard.volume.hold import RESTORE
from guard.volume.loss import LossRule
from guard.volume.observation import NOT_DATA


@dataclass(frozen=True)
class Restore:
    """One restore.

    Attributes:
        path: GUARD_PATH.
        snapshot: The start of a snapshot's ID, or `latest`: the newest that kept the data.
        over_data: Also over a volume that has its data: its newer files would be replaced by older ones.
        rule: The rule of loss.
        guard: Runs the guard's commands.
        restic: The repository.
        interrupt: Ends what runs.
        say: Takes what happened.
        termination_log: GUARD_TERMINATION_LOG: what stands there while the volume is held.
    """

    path: str
    snapshot: str
    over_data: bool
    rule: LossRule
    guard: Guard
    restic: Restic
    interrupt: StopSignal
    say: Voice
    termination_log: str

    def run(self) -> str:
        """Restores; what became of it, as a sentence.

        Raises:
            Failed: restic could not do its part; the volume stays held.
            Refused: The target is not one to restore to, or is not right afterwards.
            Interrupted: A signal asked for the end; the volume stays held.
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
            raise Refused.by(early)
        # A link that is named as the target is replaced by a folder beside the volume.
        restored = self.restic.restore(chosen, os.path.realpath(self.path))
        self._make_durable()
        self.say(
            BackupEvent.RESTORED,
            f"Snapshot {chosen.short} is restored to {self.path} and read back: {restored.get('total_files', 0)} names, "
            f"{restored.get('total_bytes', 0)} bytes.",
            snapshot=chosen.snapshot_id,
            bytes=restored.get("total_bytes", 0),
        )
        self._must(self.guard("adopt"))
        self._judge_restored(chosen)
        released = self.guard("release")
        self._must(released)
        return f"{self.path} is restored from snapshot {chosen.short}. {released.message}"

    def _chosen(self) -> Snapshot:
        snapshots = self.restic.snapshots()
        latest = self.snapshot == "latest"
        chosen = (
            retention.newest_whole(self.rule, snapshots, self.restic.census)
            if latest
            else retention.named(snapshots, self.snapshot)
        )
        if chosen is None:
            what = (
                "a whole snapshot that kept its data"
                if latest
                else f"exactly one snapshot whose ID begins with {self.snapshot}"
            )
            raise Failed(Result.SNAPSHOT_ABSENT, f"looked for {what}, found {len(snapshots)} snapshots of the volume")
        return chosen

    def _judge_target(self) -> None:
        """A restore writes only on a real volume that is this one, or on one that is new and empty."""
        seen = self.guard("check", "--wait=0s", "--writable=true", "--enforce=true")
        if not seen.only(Outcome.OK, Outcome.HELD, Outcome.DATA_LOST, Outcome.MARKER_MISSING):
            raise Refused.by(seen)
        if _interrupted(seen) or seen.has(Outcome.DATA_LOST) or not (names := self._names()):
            return
        if seen.has(Outcome.MARKER_MISSING):
            found = f"{self.path} has no marker and is not empty ({truncate(', '.join(names))}): it may be another disk"
            remedy = "Nothing was written. If it is the right volume, adopt it first: k8s/jobs/adopt.yaml"
            raise Refused(seen.status, f"{Outcome.MARKER_MISSING.label}: {found}. {remedy}.")
        if not self.over_data:
            # A restore that somebody's sync applied must not take the day's work back, nor what a migration left behind.
            held = ", though held (its line is above)" if seen.has(Outcome.HELD) else ""
            found = f"{self.path} is the right volume and has its data{held}: {truncate(', '.join(names))}"
            raise Failed(Result.VOLUME_WHOLE, found)

    def _judge_restored(self, chosen: Snapshot) -> None:
        """Released is only what the gate would then pass: a snapshot of a wiped volume stays held."""
        seen = self.guard("check", "--wait=0s", "--writable=true", "--enforce=true")
        if seen.only(Outcome.HELD, Outcome.DATA_LOST) and seen.has(Outcome.DATA_LOST):
            found = f"with snapshot {chosen.shown} {self.path} still has lost its data (its line is above)"
            remedy = "It stays held. Restore an older snapshot, by its ID; if this is what there is: guard release"
            raise Refused(Outcome.DATA_LOST.status, f"{Outcome.DATA_LOST.label}: {found}. {remedy}.")
        if not seen.only(Outcome.HELD):
            raise Refused.by(seen)

    def _names(self) -> list[str]:
        return sorted(name for name in os.listdir(self.path) if name not in NOT_DATA)

    def _make_durable(self) -> None:
        """What was restored must be on the disk before the hold goes: restic doesn't fsync."""
        problems: list[bytes] = []
        status = process.run(("sync", "-f", self.path), self.interrupt, out=problems.append, err=problems.append)
        if status != 0:
            raise Failed(
                Result.ENGINE_FAILED, f"sync -f {self.path}: {b'; '.join(problems).decode('utf-8', 'replace')}"
            )

    @staticmethod
    def _must(said: Said) -> None:
        if said.status != Outcome.OK.status:
            raise Refused.by(said)


def _interrupted(seen: Said) -> bool:
    """Whether the volume is held by a restore that has not come to its end."""
    return seen.has(Outcome.HELD) and str(seen.line.get("hold_reason", "")).startswith(RESTORE)
