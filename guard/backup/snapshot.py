"""Snapshots and their files as restic prints them in JSON. Pure: text in, values out."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from guard.volume.paths import is_below

_EPOCH = datetime.fromtimestamp(0, UTC)


class ListingError(ValueError):
    """What is wrong with restic's output, as a clause for a person."""


def parse_json(text: bytes) -> Any:
    """Reads JSON that restic printed.

    Raises:
        ListingError: Not JSON, nested too deep, or with a number that is not finite or too long.
    """
    try:
        return _DECODER.decode(text.decode())
    except (ValueError, RecursionError) as error:
        raise ListingError(f"restic's output cannot be read: {type(error).__name__} in {text[:200]!r}") from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of a volume.

    Attributes:
        snapshot_id: Changes when its tags change.
        time: When the archive was begun.
        path: The folder that was archived.
        tree: The same for two snapshots with the same content.
        tags: Its tags.
    """

    snapshot_id: str
    time: datetime
    path: str
    tree: str
    tags: frozenset[str] = frozenset()

    @property
    def short(self) -> str:
        """The ID as restic shows it."""
        return self.snapshot_id[:8]

    @property
    def shown(self) -> str:
        """ID and time, for a sentence."""
        return f"{self.short} of {self.time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def parse_snapshots(text: bytes) -> tuple[Snapshot, ...]:
    """Reads `restic snapshots --json`; the oldest first. A snapshot of several folders is not a volume's, and left out.

    Raises:
        ListingError: The text is something else.
    """
    try:
        snapshots = [_snapshot(row) for row in parse_json(text) if len(row["paths"]) == 1]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ListingError(f"the list of snapshots cannot be read: {error!r} in {text[:200]!r}") from None
    return tuple(sorted(snapshots, key=lambda snapshot: (snapshot.time, snapshot.snapshot_id)))


def _snapshot(row: Mapping[str, Any]) -> Snapshot:
    time = datetime.fromisoformat(row["time"])
    (path,) = row["paths"]
    return Snapshot(
        snapshot_id=str(row["id"]),
        time=time if time.tzinfo else time.replace(tzinfo=UTC),
        path=str(path),
        tree=str(row["tree"]),
        tags=frozenset(str(tag) for tag in row.get("tags") or ()),
    )


@dataclass(frozen=True, slots=True)
class Node:
    """One name below the archived folder.

    Attributes:
        path: Relative to the archived folder. In names that are not UTF-8, restic's JSON has U+FFFD.
        kind: restic's word: dir, file, symlink, fifo and so on.
        size: In bytes; 0 where it is not a file.
        inode: Its number; 0 where restic knows none.
        modified: The mtime, RFC 3339.
        changed: The ctime, RFC 3339.
    """

    path: str
    kind: str
    size: int = 0
    inode: int = 0
    modified: str = ""
    changed: str = ""


def parse_node(line: bytes, root: str) -> Node | None:
    """Reads one line of `restic ls --json`; None for what is not below the archived folder.

    Args:
        line: A JSON object.
        root: The archived folder, absolute.

    Raises:
        ListingError: Not a line of a listing.
    """
    try:
        row = parse_json(line)
        if (row.get("message_type") or row.get("struct_type")) != "node":
            return None
        path, prefix = str(row["path"]), root.rstrip("/") + "/"
        if not path.startswith(prefix):
            return None
        node = Node(
            path=path.removeprefix(prefix),
            kind=str(row["type"]),
            size=_number(row, "size"),
            inode=_number(row, "inode"),
            modified=str(row.get("mtime", "")),
            changed=str(row.get("ctime", "")),
        )
    except (KeyError, AttributeError, TypeError) as error:
        raise ListingError(f"a line of the listing cannot be read: {error!r} in {line[:200]!r}") from None
    if not is_below(node.path):
        raise ListingError(f"a path of the listing does not lie on the volume: {node.path[:200]!r}")
    return node


def _number(row: Mapping[str, Any], key: str) -> int:
    number = row.get(key, 0)
    if type(number) is not int or not 0 <= number < 1 << 64:
        raise ListingError(f'"{key}" of a line of the listing is not a number of 64 bits: {str(number)[:200]}')
    return number


def nanoseconds(text: str) -> int:
    """Returns a time of a listing in nanoseconds since 1970, with the precision of a microsecond.

    Raises:
        ListingError: It is no time.
    """
    try:
        return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1) * 1000
    except (ValueError, TypeError):
        raise ListingError(f"a time of the listing cannot be read: {text[:200]!r}") from None
