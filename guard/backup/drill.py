"""A restore drill: the last good snapshot into an empty folder, compared file by file with what it lists."""

import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from guard.backup import retention
from guard.backup.events import BackupEvent, EventLog
from guard.backup.judgement import Judge
from guard.backup.restic import Restic
from guard.backup.result import Failed, Result
from guard.backup.snapshot import Node, Snapshot
from guard.volume.ignore import Ignore

#: Not restored, even where somebody has archived it.
_NEVER_DATA = Ignore()
#: Differences that are named; more are counted.
_NAMED = 10
_KINDS: Mapping[str, Callable[[int], bool]] = {
    "dir": stat.S_ISDIR,
    "file": stat.S_ISREG,
    "symlink": stat.S_ISLNK,
    "fifo": stat.S_ISFIFO,
}


@dataclass
class _Comparison:
    """The restored tree against the listing.

    Attributes:
        into: Where it was restored to.
        names: Names that the snapshot lists.
        files: Those that are not directories.
        differing: The first that differ, each with what is wrong.
        differences: How many differ.
    """

    into: str
    names: int = 0
    files: int = 0
    differing: list[str] = field(default_factory=list)
    differences: int = 0

    def on_node(self, node: Node) -> None:
        if _NEVER_DATA.ignores(node.path):
            return
        self.names += 1
        self.files += node.kind != "dir"
        wrong = self._wrong(node) if node.is_exact else ""
        if wrong:
            self.differences += 1
            if len(self.differing) < _NAMED:
                self.differing.append(f"{node.path} {wrong}")

    def _wrong(self, node: Node) -> str:
        try:
            restored = os.lstat(os.path.join(self.into, node.path))
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be checked: {error.strerror}"
        if node.kind in _KINDS and not _KINDS[node.kind](restored.st_mode):
            return f"is no {node.kind}"
        if node.kind == "file" and restored.st_size != node.size:
            return f"has {restored.st_size} bytes, listed are {node.size}"
        return ""


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
        if [name for name in os.listdir(self.into) if not _NEVER_DATA.ignores(name)]:
            raise Failed(Result.USAGE, f"{self.into} is not empty: a drill restores into an empty folder")
        self.restic.remove_stale_locks()
        snapshots = self.restic.snapshots()
        good = self.judge.last_good(snapshots).snapshot
        if good is None:
            found = f"the repository has {len(snapshots)} snapshots of the volume, and none that is good"
            raise Failed(Result.SNAPSHOT_ABSENT, found)
        began = time.monotonic()
        files = self._restore(good)
        seconds = round(time.monotonic() - began, 1)
        if stale := retention.stale(good, self.now, self.max_age):
            raise Failed(Result.BACKUP_STALE, f"the last good snapshot, {good.shown}, is {stale}")
        message = f"Snapshot {good.shown} restores in {seconds} s as it is listed: {files} files."
        fields = {"snapshot": good.snapshot_id, "files": files, "restore_seconds": seconds}
        self.emit(BackupEvent.DRILLED, message, last=True, **fields)
        return message

    def _restore(self, good: Snapshot) -> int:
        """Restores and compares; returns the number of files."""
        try:
            self.restic.restore(good, self.into)
        except Failed as failed:
            raise self._cause(failed) from None
        comparison = _Comparison(self.into)
        self.restic.each_node(good, comparison.on_node)
        if comparison.differences:
            found = f"{comparison.differences} of {comparison.names} names differ: {'; '.join(comparison.differing)}"
            raise Failed(Result.DRILL_DIFFERS, f"snapshot {good.short} restored to {self.into}: {found}")
        return comparison.files

    def _cause(self, failed: Failed) -> Failed:
        """What really ended the restoring: damaged data, or a scratch disk, a network, a right that was missing."""
        if failed.result is Result.ENGINE_FAILED:
            damage = self.restic.damage("1/1")
            if damage is not None:
                return Failed(Result.DRILL_DIFFERS, f"{failed.found}; {damage.found}")
        return failed
