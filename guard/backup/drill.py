"""A restore drill: the last good snapshot into an empty folder, and its sampled files compared with what it lists."""

import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from guard.backup import retention
from guard.backup.events import BackupEvent, EventLog
from guard.backup.judgement import Judge
from guard.backup.restic import Restic
from guard.backup.result import Failed, Result
from guard.backup.snapshot import Snapshot
from guard.volume.ignore import Ignore
from guard.volume.sample import SampledFile

#: Differences that are named; more are counted.
_NAMED = 10


@dataclass(frozen=True)
class Drill:
    """One drill.

    Attributes:
        into: An empty folder with room for the data.
        max_age: How old the last good snapshot can be.
        now: The time.
        restic: The repository.
        judge: Judges snapshots.
        emit: Receives the log lines.
    """

    into: str
    max_age: timedelta
    now: datetime
    restic: Restic
    judge: Judge
    emit: EventLog

    def run(self) -> str:
        """Restores and compares; returns what became of it, as a sentence.

        Raises:
            Failed: There is no good snapshot that restores as it is listed and is new enough.
            Stopped: A signal asked for the end.
        """
        if [name for name in os.listdir(self.into) if not Ignore().ignores(name)]:
            raise Failed(Result.USAGE, f"{self.into} is not empty: a drill restores into an empty folder")
        self.restic.remove_stale_locks()
        good = self.judge.last_good(self.restic.snapshots()).snapshot
        if good is None:
            raise Failed(Result.SNAPSHOT_ABSENT, "the repository has no good snapshot of the volume")
        began = time.monotonic()
        try:
            self.restic.restore(good, self.into)
        except Failed as failed:
            raise self._cause(failed) from None
        seconds = round(time.monotonic() - began, 1)
        reference = self.judge.reference(good)
        self._compare(good, reference.sample)
        if stale := retention.stale(good, self.now, self.max_age):
            raise Failed(Result.BACKUP_STALE, f"the last good snapshot, {good.shown}, is {stale}")
        compared = f"{len(reference.sample)} of {reference.files} files were compared"
        message = f"Snapshot {good.shown} restores in {seconds} s as it is listed: {compared}."
        fields = {"snapshot": good.snapshot_id, "files": reference.files, "restore_seconds": seconds}
        self.emit(BackupEvent.DRILLED, message, fields, last=True)
        return message

    def _compare(self, good: Snapshot, sample: Sequence[SampledFile]) -> None:
        wrong = [f"{file.path} {found}" for file in sample if (found := self._difference(file))]
        if wrong:
            named = "; ".join(wrong[:_NAMED])
            found = f"{len(wrong)} of {len(sample)} files that were compared differ: {named}"
            raise Failed(Result.DRILL_DIFFERS, f"snapshot {good.short} restored to {self.into}: {found}")

    def _difference(self, file: SampledFile) -> str:
        """What is wrong with a restored file; empty where nothing is, or restic's JSON does not have its name."""
        if "\ufffd" in file.path:
            return ""
        try:
            found = os.lstat(os.path.join(self.into, file.path))
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be checked: {error.strerror}"
        if stat.S_ISREG(found.st_mode) and found.st_size != file.size:  # the size of a link is not listed
            return f"has {found.st_size} bytes, listed are {file.size}"
        return "is a folder" if stat.S_ISDIR(found.st_mode) else ""

    def _cause(self, failed: Failed) -> Failed:
        """What really ended the restoring: damaged data, or a scratch disk, a network, a right that was missing."""
        if failed.result is Result.ENGINE_FAILED:
            damage = self.restic.damage("1/1")
            if damage is not None:
                return Failed(Result.DRILL_DIFFERS, f"{failed.found}; {damage.found}")
        return failed
