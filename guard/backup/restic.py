"""restic, 0.18 or newer: the command lines, what they print, and what their exit statuses mean. Decides nothing.

Repository and password come by restic's own variables (RESTIC_REPOSITORY, RESTIC_PASSWORD_FILE, and a bucket's).
Needed of it: exit statuses 10, 11 and 12 (0.17), JSON of check (0.18), `--retry-lock`, `snapshot:folder`, and that a
file which vanishes while it is archived is no error (0.18), since the application goes on.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from guard.backup import process
from guard.backup.events import BackupEvent, EventLog
from guard.backup.result import Failed, Result, of_engine
from guard.backup.retention import INCOMPLETE, Policy
from guard.backup.snapshot import ListingError, Node, Snapshot, parse_json, parse_node, parse_snapshots
from guard.stop_signal import StopSignal
from guard.volume.ignore import AT_THE_TOP

#: restic's own status for "some files could not be read; the snapshot is there".
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
        complaints: The last things that it complained of, for a person.
    """

    status: int
    complaints: str


class Restic:
    """restic on the repository of one volume.

    Args:
        stop_signal: Ends what runs.
        volume: GUARD_VOLUME: the snapshots' host, whichever pod makes them.
        emit: Receives what restic complains of.
        lock_wait: How long restic waits for another's lock, in its notation.
    """

    def __init__(self, stop_signal: StopSignal, volume: str, emit: EventLog, lock_wait: str = "2m") -> None:
        self._stop_signal = stop_signal
        self._volume = volume
        self._emit = emit
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
        """Returns the volume's snapshots, the oldest first."""
        lines: list[bytes] = []
        argv = ("snapshots", "--json", "--no-lock", f"--host={self._volume}")
        self._must("listing the snapshots", *argv, on_line=lines.append)
        try:
            return parse_snapshots(b"\n".join(lines))
        except ListingError as error:
            raise Failed(Result.ENGINE_FAILED, str(error)) from None

    def archive(self, path: str) -> dict[str, Any]:
        """Archives a folder, never across a mount; returns restic's summary, with `snapshot_id`.

        Raises:
            Failed: Nothing was archived, or not all: restic has made a snapshot then, which is tagged as incomplete.
        """
        summary: dict[str, Any] = {}
        excludes = (f"--exclude={_literal(path.rstrip('/'))}{pattern}" for pattern in AT_THE_TOP)
        argv = ("backup", "--json", "--quiet", "--one-file-system", f"--host={self._volume}", *excludes, path)
        ran = self._run(*argv, on_line=_keep("summary", summary))
        if ran.status == _INCOMPLETE:
            tagged = self._tag_incomplete(str(summary["snapshot_id"])) if "snapshot_id" in summary else ""
            raise Failed(Result.ARCHIVE_INCOMPLETE, f"{path} could not be read in full{tagged}: {ran.complaints}")
        if ran.status != 0 or "snapshot_id" not in summary:
            raise self._failed(ran, f"archiving {path}")
        return summary

    def each_node(self, snapshot: Snapshot, on_node: Callable[[Node], None]) -> None:
        """Calls back with every name that a snapshot lists, one at a time: a listing can be larger than memory."""

        def on_line(line: bytes) -> None:
            node = parse_node(line, snapshot.path)
            if node is not None:
                on_node(node)

        argv = ("ls", "--json", "--no-lock", snapshot.snapshot_id)
        self._must(f"listing snapshot {snapshot.short}", *argv, on_line=on_line)

    def check(self, part: str) -> None:
        """Checks the repository's structure and reads a share of the data back.

        Without the lock where another has it: a prune that runs meanwhile can then look like damage, so what is found
        that way is not called damage.

        Raises:
            Failed: Damaged; or what was found means nothing, and a later try shows more.
        """
        argv = ("check", "--json", f"--read-data-subset={part}")
        summary: dict[str, Any] = {}
        ran = self._run(*argv, on_line=_keep("summary", summary))
        if ran.status == _LOCKED:
            unlocked = self._run(*argv, "--no-lock")
            if unlocked.status != 0:
                raise Failed(
                    Result.REPOSITORY_LOCKED, f"the check found errors beside another's work: {unlocked.complaints}"
                )
        elif ran.status != 0 and summary.get("num_errors"):
            raise Failed(Result.REPOSITORY_DAMAGED, f"the check of share {part} found errors: {ran.complaints}")
        elif ran.status != 0:
            raise self._failed(ran, "checking the repository")

    def damage(self, part: str) -> Failed | None:
        """Returns what a check finds damaged; None where it finds nothing, or could not be made.

        Args:
            part: As for `check`.
        """
        try:
            self.check(part)
        except Failed as failed:
            return failed if failed.result is Result.REPOSITORY_DAMAGED else None
        return None

    def set_tag(self, snapshot: Snapshot, tag: str) -> Snapshot:
        """Tags a snapshot, in place of the tags that it has; returns it with its new ID."""
        return replace(snapshot, snapshot_id=self._set_tag(snapshot.snapshot_id, tag), tags=frozenset({tag}))

    def forget(self, policy: Policy, path: str) -> int:
        """Forgets by the policy and prunes; returns how many snapshots went.

        Raises:
            Failed: REPOSITORY_LOCKED where another has the lock: nothing was forgotten.
        """
        removed: list[int] = []

        def on_line(line: bytes) -> None:
            groups = _parsed(line)
            if isinstance(groups, list):
                removed.extend(len(group.get("remove") or ()) for group in groups if isinstance(group, dict))

        argv = ("forget", "--json", "--prune", f"--host={self._volume}", f"--path={path}", *policy.argv())
        self._must("forgetting old snapshots", *argv, on_line=on_line)
        return sum(removed)

    def restore(self, snapshot: Snapshot, target: str) -> dict[str, Any]:
        """Restores what a snapshot holds of the volume and reads it back; returns restic's summary.

        Files that are as the snapshot has them are left alone, so a second try goes on where the first ended. What the
        snapshot has not is left alone too, and `.volume-guard` in any case.
        """
        summary: dict[str, Any] = {}
        excludes = (f"--exclude={pattern}" for pattern in AT_THE_TOP)
        source = f"{snapshot.snapshot_id}:{snapshot.path}"
        argv = ("restore", "--json", "--verify", f"--target={target}", *excludes, source)
        self._must(f"restoring snapshot {snapshot.short} to {target}", *argv, on_line=_keep("summary", summary))
        return summary

    def _set_tag(self, snapshot_id: str, tag: str) -> str:
        changed: dict[str, Any] = {}
        argv = ("tag", "--json", f"--set={tag}", snapshot_id)
        self._must(f"restic tag --set {tag} {snapshot_id[:8]}", *argv, on_line=_keep("changed", changed))
        return str(changed.get("new_snapshot_id") or snapshot_id)

    def _tag_incomplete(self, snapshot_id: str) -> str:
        """Tags what an archive left that is not complete; returns a clause for the sentence that reports it."""
        try:
            return f" (snapshot {self._set_tag(snapshot_id, INCOMPLETE)[:8]} is tagged {INCOMPLETE})"
        except Failed as failed:
            # Untagged, this snapshot is judged as a complete one.
            return f" ({failed.found}. Do it by hand: restic tag --set {INCOMPLETE} {snapshot_id[:8]})"

    def _must(self, doing: str, *argv: str, on_line: process.OnLine | None = None) -> None:
        ran = self._run(*argv, on_line=on_line)
        if ran.status != 0:
            raise self._failed(ran, doing)

    def _run(self, *argv: str, on_line: process.OnLine | None = None) -> Ran:
        complaints: deque[str] = deque(maxlen=_QUOTED_LINES)

        def complain(text: str) -> None:
            if text:
                complaints.append(text)
                self._emit(BackupEvent.ENGINE, f"restic {argv[0]}: {text}")

        def out(line: bytes) -> None:
            if text := _complaint(line):
                complain(text)
            elif on_line is not None:
                on_line(line)

        def err(line: bytes) -> None:
            complain(_complaint(line) or _quoted(line.decode("utf-8", "replace")))

        try:
            status = process.run(("restic", *argv, self._lock_wait), self._stop_signal, out=out, err=err)
        except OSError as error:
            raise Failed(Result.USAGE, f"restic can't be started: {error.strerror}") from None
        except (ListingError, process.LineTooLongError) as error:
            raise Failed(Result.ENGINE_FAILED, f"restic {argv[0]}: {error}") from None
        return Ran(status, "; ".join(complaints) or f"restic ended with status {status}")

    @staticmethod
    def _failed(ran: Ran, doing: str) -> Failed:
        return Failed(of_engine(ran.status), f"{doing} failed (restic's status {ran.status}): {ran.complaints}")


def _parsed(line: bytes) -> Any:
    """JSON; None for a line that is none."""
    try:
        return parse_json(line)
    except ListingError:
        return None


def _keep(kind: str, message: dict[str, Any]) -> process.OnLine:
    """Keeps the texts and numbers of the last message of a kind."""

    def on_line(line: bytes) -> None:
        row = _parsed(line)
        if isinstance(row, dict) and row.get("message_type") == kind:
            message.clear()
            message.update({key: value for key, value in row.items() if isinstance(value, str | int | float)})

    return on_line


def _complaint(line: bytes) -> str:
    """What an `error` or `exit_error` message complains of; empty for any other line."""
    if b'"error"' not in line and b'"exit_error"' not in line:
        return ""
    row = _parsed(line)
    if not isinstance(row, dict) or row.get("message_type") not in {"error", "exit_error"}:
        return ""
    cause = row.get("error")
    return _quoted(str(cause.get("message") if isinstance(cause, dict) else row.get("message")))


def _quoted(text: str) -> str:
    return " ".join(text.split())[:_QUOTED]


def _literal(path: str) -> str:
    r"""A path as a pattern that means itself: * ? [ \ are restic's."""
    return "".join(f"\\{letter}" if letter in "*?[\\" else letter for letter in path)
