"""A restore drill: the newest whole snapshot into an empty folder, compared name by name with what it lists."""

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from guard.backup import retention
from guard.backup.restic import Restic
from guard.backup.result import BackupEvent, Failed, Result
from guard.backup.say import Voice
from guard.backup.snapshot import Node, Snapshot
from guard.volume.loss import LossRule
from guard.volume.observation import NOT_DATA

#: Differences that are named; more are counted.
_NAMED = 10
_KINDS: Mapping[str, Callable[[int], bool]] = {
    "dir": stat.S_ISDIR,
    "file": stat.S_ISREG,
    "symlink": stat.S_ISLNK,
    "fifo": stat.S_ISFIFO,
}


@dataclass(frozen=True)
class Drill:
    """What a drill needs to know.

    Attributes:
        into: An empty folder with room for the data.
        rule: The rule of loss.
        max_age: How old the newest snapshot may be.
        now: The time.
    """

    into: str
    rule: LossRule
    max_age: timedelta
    now: datetime


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

    def take(self, node: Node) -> None:
        """Compares one name."""
        self.names += 1
        self.files += node.kind != "dir"
        if node.exact:
            self._note(node.path, self._wrong(node))

    def count(self) -> None:
        """Compares how many names there are: what was restored and never listed shows here."""
        restored = sum(1 for _ in _names_below(self.into))
        if restored != self.names:
            self._note("in all", f"{restored} names, listed are {self.names}")

    def _wrong(self, node: Node) -> str:
        try:
            found = os.lstat(os.path.join(self.into, node.path))
        except OSError as error:
            return str(error.strerror)
        if node.kind in _KINDS and not _KINDS[node.kind](found.st_mode):
            return f"is no {node.kind}"
        if node.kind == "file" and found.st_size != node.size:
            return f"has {found.st_size} bytes, listed are {node.size}"
        return ""

    def _note(self, name: str, wrong: str) -> None:
        if wrong:
            self.differences += 1
            if len(self.differing) < _NAMED:
                self.differing.append(f"{name}: {wrong}")


def _names_below(into: str) -> Iterator[str]:
    for folder, folders, files in os.walk(into):
        if folder == into:
            folders[:] = [name for name in folders if name not in NOT_DATA]
            files = [name for name in files if name not in NOT_DATA]  # noqa: PLW2901 - the same list, less what is no data
        yield from folders
        yield from files


def run(drill: Drill, restic: Restic, say: Voice) -> str:
    """Drills; what became of it, as a sentence.

    Raises:
        Failed: There is no newest snapshot that restores as it is listed, has kept the data, and is new enough.
        Interrupted: A signal asked for the end.
    """
    if [name for name in os.listdir(drill.into) if name not in NOT_DATA]:
        raise Failed(Result.USAGE, f"{drill.into} is not empty: a drill restores into an empty folder")
    restic.remove_stale_locks()
    listed = restic.snapshots()
    snapshots = retention.whole(listed)
    if not snapshots:
        found = f"and {len(listed)} that are tagged {retention.INCOMPLETE}" if listed else "at all"
        raise Failed(Result.SNAPSHOT_ABSENT, f"the repository has no whole snapshot of the volume {found}")
    newest = snapshots[-1]
    began = time.monotonic()
    comparison = _restored(drill, restic, newest)
    seconds = round(time.monotonic() - began, 1)
    _judge(drill, restic, snapshots, newest, comparison.files)
    message = f"Snapshot {newest.shown} restores in {seconds} s as it is listed: {comparison.files} files"
    say(
        BackupEvent.DRILLED,
        f"{message}.",
        snapshot=newest.snapshot_id,
        files=comparison.files,
        restore_seconds=seconds,
        last=True,
    )
    return f"{message}."


def _restored(drill: Drill, restic: Restic, newest: Snapshot) -> _Comparison:
    try:
        restic.restore(newest, drill.into)
    except Failed as failed:
        raise _cause(failed, restic) from None
    comparison = _Comparison(drill.into)
    restic.each_node(newest, comparison.take)
    comparison.count()
    if comparison.differences:
        found = f"{comparison.differences} of {comparison.names} names differ: {'; '.join(comparison.differing)}"
        raise Failed(Result.DRILL_DIFFERS, f"snapshot {newest.short} restored to {drill.into}: {found}")
    return comparison


def _cause(failed: Failed, restic: Restic) -> Failed:
    """What really ended the restoring: data that is damaged, or a scratch disk, a network, a right that was missing."""
    if failed.result is Result.ENGINE_FAILED:
        damage = restic.damage("1/1")
        if damage is not None:
            return Failed(Result.DRILL_DIFFERS, f"{failed.found}; {damage.found}")
    return failed


def _judge(drill: Drill, restic: Restic, snapshots: tuple[Snapshot, ...], newest: Snapshot, files: int) -> None:
    if retention.SHRUNK in newest.tags:
        raise Failed(Result.SNAPSHOT_SHRUNK, f"the newest snapshot, {newest.shown}, is tagged {retention.SHRUNK}")
    if files < drill.rule.min_files:
        found = (
            f"the newest snapshot, {newest.shown}, has {files} files, fewer than GUARD_MIN_FILES={drill.rule.min_files}"
        )
        raise Failed(Result.SNAPSHOT_SHRUNK, found)
    lost = retention.shrunk(drill.rule, snapshots, newest, restic.census)
    if lost is not None:
        found = (
            f"the newest snapshot, {newest.shown}, has {lost.loss.after} files, {lost.before.short} before it has "
            f"{lost.loss.before}: {lost.loss.reason}"
        )
        raise Failed(Result.SNAPSHOT_SHRUNK, found)
    if stale := retention.stale(newest, drill.now, drill.max_age):
        raise Failed(Result.BACKUP_STALE, f"the newest snapshot, {newest.shown}, is {stale}")
