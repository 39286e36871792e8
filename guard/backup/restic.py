"""restic, 0.18 or newer: the command lines, what they print, and what their exit statuses mean. Decides nothing.

Repository and password come by restic's own variables (RESTIC_REPOSITORY, RESTIC_PASSWORD_FILE, and a bucket's).
Needed of it: exit statuses 10, 11 and 12 (0.17), JSON of check (0.18), `--retry-lock`, `snapshot:folder`, and that a
file which vanishes while it is archived is no error (0.18), since the application goes on.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from guard.backup import process
from guard.backup.result import BackupEvent, Failed, Result, of_engine
from guard.backup.retention import INCOMPLETE, Policy
from guard.backup.say import Voice
from guard.backup.snapshot import ListingError, Node, Snapshot, Tree, parse_node, parse_snapshots
from guard.stop_signal import StopSignal
from guard.volume.observation import NOT_DATA, FileCount

#: restic's own word for "some files could not be read; the snapshot is there".
_INCOMPLETE = 3
_LOCKED = 11
#: Lines of restic's standard error that a message quotes, and characters of each.
_QUOTED_LINES = 6
_QUOTED = 300


@dataclass(frozen=True)
class Ran:
    """How restic ended.

    Attributes:
        status: Its exit status.
        words: The last things that it said, for a person.
    """

    status: int
    words: str


class Restic:
    """restic on the repository of one volume.

    Args:
        interrupt: Ends what runs.
        volume: GUARD_VOLUME: the snapshots' host, whichever pod makes them.
        say: Takes what restic complains of.
        lock_wait: How long restic waits for another's lock, in its notation.
    """

    def __init__(self, interrupt: StopSignal, volume: str, say: Voice, lock_wait: str = "2m") -> None:
        self._interrupt = interrupt
        self._volume = volume
        self._say = say
        self._lock_wait = f"--retry-lock={lock_wait}"

    def init(self) -> bool:
        """Makes the repository; False where there is one already that opens with the password."""
        opened = self._run("cat", "config")
        if opened.status == 0:
            return False
        if of_engine(opened.status) is not Result.REPOSITORY_MISSING:
            raise self._failed(opened, "opening the repository")
        self._must("making the repository", "init")
        return True

    def remove_stale_locks(self) -> None:
        """Removes locks that restic counts as stale: those older than 30 minutes, of processes that are gone."""
        self._must("opening the repository", "unlock")

    def snapshots(self) -> tuple[Snapshot, ...]:
        """The volume's snapshots, the oldest first."""
        lines: list[bytes] = []
        self._must(
            "listing the snapshots", "snapshots", "--json", "--no-lock", f"--host={self._volume}", take=lines.append
        )
        try:
            return parse_snapshots(b"\n".join(lines).decode("utf-8", "replace"))
        except ListingError as error:
            raise Failed(Result.ENGINE_FAILED, str(error)) from None

    def archive(self, path: str) -> dict[str, Any]:
        """Archives a folder, never across a mount; what restic says of it, with `snapshot_id`.

        Raises:
            Failed: Nothing was archived, or not all: restic has made a snapshot then, which is tagged as incomplete.
        """
        summary: dict[str, Any] = {}
        left_out = (f"--exclude={_literal(path.rstrip('/') + '/' + name)}" for name in sorted(NOT_DATA))
        words = ("backup", "--json", "--quiet", "--one-file-system", f"--host={self._volume}", *left_out, path)
        ran = self._run(*words, take=_taking("summary", summary))
        if ran.status == _INCOMPLETE:
            left = self._left(str(summary.get("snapshot_id") or ""))
            raise Failed(Result.ARCHIVE_INCOMPLETE, f"{path} could not be read in full{left}: {ran.words}")
        if ran.status != 0 or "snapshot_id" not in summary:
            raise self._failed(ran, f"archiving {path}")
        return summary

    def tree(self, snapshot: Snapshot) -> Tree:
        """Counts what a snapshot lists."""
        tree = Tree()
        self.each_node(snapshot, tree.add)
        return tree

    def census(self, snapshot: Snapshot) -> FileCount:
        """The same as the gate counts a volume."""
        return self.tree(snapshot).census()

    def each_node(self, snapshot: Snapshot, take: Callable[[Node], None]) -> None:
        """Gives every name that a snapshot lists, one at a time: a listing can be larger than memory."""

        def read(line: bytes) -> None:
            node = parse_node(line, snapshot.path)
            if node is not None:
                take(node)

        try:
            self._must(
                f"listing snapshot {snapshot.short}", "ls", "--json", "--no-lock", snapshot.snapshot_id, take=read
            )
        except ListingError as error:
            raise Failed(Result.ENGINE_FAILED, str(error)) from None

    def check(self, part: str) -> None:
        """Checks the repository's structure and reads a share of the data back.

        Without the lock where another has it: a prune that runs meanwhile can then look like damage, so what is found
        that way is not called damage.

        Raises:
            Failed: Damaged; or what was found means nothing, and a later try will tell.
        """
        words = ("check", "--json", f"--read-data-subset={part}")
        found: dict[str, Any] = {}
        ran = self._run(*words, take=_taking("summary", found))
        if ran.status == _LOCKED:
            unlocked = self._run(*words, "--no-lock")
            if unlocked.status != 0:
                raise Failed(
                    Result.REPOSITORY_LOCKED, f"the check found errors beside another's work: {unlocked.words}"
                )
        elif ran.status != 0 and found.get("num_errors"):
            raise Failed(Result.REPOSITORY_DAMAGED, f"the check of share {part} found errors: {ran.words}")
        elif ran.status != 0:
            raise self._failed(ran, "checking the repository")

    def damage(self, part: str) -> Failed | None:
        """What a check finds damaged; None where it finds nothing, or could not be made.

        Args:
            part: As for `check`.
        """
        try:
            self.check(part)
        except Failed as found:
            return found if found.result is Result.REPOSITORY_DAMAGED else None
        return None

    def tag(self, snapshot: Snapshot, *tags: str) -> Snapshot:
        """Adds tags, all at once; the snapshot as it is called from then on."""
        called = self._tag(snapshot.snapshot_id, f"--add={','.join(tags)}")
        return replace(snapshot, snapshot_id=called, tags=snapshot.tags.union(tags))

    def untag(self, snapshot: Snapshot, tag: str) -> Snapshot:
        """Removes a tag; the snapshot as it is called from then on."""
        return replace(
            snapshot, snapshot_id=self._tag(snapshot.snapshot_id, f"--remove={tag}"), tags=snapshot.tags - {tag}
        )

    def forget(self, policy: Policy, path: str) -> int:
        """Forgets by the policy and prunes; how many snapshots went.

        Raises:
            Failed: REPOSITORY_LOCKED where another has the lock: nothing was forgotten.
        """
        removed: list[int] = []

        def read(line: bytes) -> None:
            removed.extend(len(group.get("remove") or ()) for group in _array(line))

        words = ("forget", "--json", "--prune", f"--host={self._volume}", f"--path={path}", *policy.words())
        self._must("forgetting old snapshots", *words, take=read)
        return sum(removed)

    def restore(self, snapshot: Snapshot, target: str) -> dict[str, Any]:
        """Restores what a snapshot holds of the volume and reads it back; what restic says of it.

        Files that are as the snapshot has them are left alone, so a second try goes on where the first ended. What the
        snapshot has not is left alone too, and `.volume-guard` in any case.
        """
        summary: dict[str, Any] = {}
        left_out = (f"--exclude=/{_literal(name)}" for name in sorted(NOT_DATA))
        source = f"{snapshot.snapshot_id}:{snapshot.path}"
        words = ("restore", "--json", "--verify", f"--target={target}", *left_out, source)
        self._must(f"restoring snapshot {snapshot.short} to {target}", *words, take=_taking("summary", summary))
        return summary

    def _tag(self, snapshot_id: str, change: str) -> str:
        """Changes the tags; what the snapshot is called from then on."""
        changed: dict[str, Any] = {}
        doing = f"restic tag {change} {snapshot_id[:8]}"
        self._must(doing, "tag", "--json", change, snapshot_id, take=_taking("changed", changed))
        return str(changed.get("new_snapshot_id") or snapshot_id)

    def _left(self, snapshot_id: str) -> str:
        """Tags what an archive left that is not whole; a clause for the sentence that says so."""
        if not snapshot_id:
            return ""
        try:
            return f" (snapshot {self._tag(snapshot_id, f'--add={INCOMPLETE}')[:8]} is tagged {INCOMPLETE})"
        except Failed as failed:
            # The files are what matters; but untagged, this snapshot passes for a whole one.
            by_hand = f"restic tag --add {INCOMPLETE} {snapshot_id[:8]}"
            return f" (and its snapshot is not tagged so: {failed.found}. Do it by hand: {by_hand})"

    def _must(self, doing: str, *words: str, take: process.Take | None = None) -> None:
        ran = self._run(*words, take=take)
        if ran.status != 0:
            raise self._failed(ran, doing)

    def _run(self, *words: str, take: process.Take | None = None) -> Ran:
        last: deque[str] = deque(maxlen=_QUOTED_LINES)

        def complain(said: str) -> None:
            if said:
                last.append(said)
                self._say(BackupEvent.ENGINE, f"restic {words[0]}: {said}")

        def out(line: bytes) -> None:
            if said := _complaint(line):
                complain(said)
            elif take is not None:
                take(line)

        def err(line: bytes) -> None:
            complain(_complaint(line) or " ".join(line.decode("utf-8", "replace").split())[:_QUOTED])

        try:
            status = process.run(("restic", *words, self._lock_wait), self._interrupt, out=out, err=err)
        except OSError as error:
            raise Failed(Result.USAGE, f"restic can't be started: {error.strerror}") from None
        return Ran(status, "; ".join(last) or f"restic ended with status {status}")

    @staticmethod
    def _failed(ran: Ran, doing: str) -> Failed:
        return Failed(of_engine(ran.status), f"{doing} failed (restic's status {ran.status}): {ran.words}")


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _array(line: bytes) -> Iterator[dict[str, Any]]:
    try:
        found = json.loads(line)
    except ValueError:
        return
    if isinstance(found, list):
        yield from (one for one in found if isinstance(one, dict))


def _taking(kind: str, into: dict[str, Any]) -> process.Take:
    """Keeps the last message of a kind."""

    def read(line: bytes) -> None:
        found = _object(line)
        if found.get("message_type") == kind:
            into.clear()
            into.update(found)

    return read


def _complaint(line: bytes) -> str:
    """What an `error` or `exit_error` message says; empty for any other line."""
    if b'"error"' not in line and b'"exit_error"' not in line:
        return ""
    found = _object(line)
    if found.get("message_type") not in {"error", "exit_error"}:
        return ""
    cause = found.get("error")
    message = cause.get("message") if isinstance(cause, dict) else found.get("message")
    return " ".join(str(message).split())[:_QUOTED]


def _literal(path: str) -> str:
    r"""A path as a pattern that means itself: * ? [ \ are restic's."""
    return "".join(f"\\{letter}" if letter in "*?[\\" else letter for letter in path)
