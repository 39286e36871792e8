"""Snapshots as restic lists them in JSON, and the tree of one as a count of the volume. Pure: text in, values out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from guard.volume.observation import NOT_DATA, FileCount


class ListingError(ValueError):
    """What restic printed is not what its documentation says, as a clause for a person."""


@dataclass(frozen=True)
class Snapshot:
    """One line of `restic snapshots --json`.

    Attributes:
        snapshot_id: Changes when a tag is added: the name of this moment.
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
        """As restic shows it."""
        return self.snapshot_id[:8]

    @property
    def shown(self) -> str:
        """For a sentence."""
        return f"{self.short} of {self.time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def parse_snapshots(text: str) -> tuple[Snapshot, ...]:
    """Reads `restic snapshots --json`; the oldest first. One of several folders is not a volume's, and left out.

    Raises:
        ListingError: Anything else.
    """
    try:
        found = json.loads(text)
        snapshots = [_snapshot(one) for one in found if len(one["paths"]) == 1]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ListingError(f"the list of snapshots can't be read: {error!r} in {text[:200]!r}") from None
    return tuple(sorted(snapshots, key=lambda one: (one.time, one.snapshot_id)))


def _snapshot(one: Mapping[str, Any]) -> Snapshot:
    time = datetime.fromisoformat(one["time"])
    (path,) = one["paths"]
    return Snapshot(
        snapshot_id=str(one["id"]),
        time=time if time.tzinfo else time.replace(tzinfo=UTC),
        path=str(path),
        tree=str(one["tree"]),
        tags=frozenset(str(tag) for tag in one.get("tags") or ()),
    )


@dataclass(frozen=True)
class Node:
    """One name below the archived folder.

    Attributes:
        path: Relative to the archived folder. Names that are not UTF-8 carry U+FFFD: restic's JSON has them so.
        kind: restic's word: dir, file, symlink, fifo and so on.
        size: Bytes; 0 where it is not a file.
    """

    path: str
    kind: str
    size: int

    @property
    def exact(self) -> bool:
        """Whether the path is the one on the disk."""
        return "\ufffd" not in self.path


def parse_node(line: bytes, root: str) -> Node | None:
    """Reads one line of `restic ls --json`; None for what is not below the archived folder, or not data.

    Args:
        line: A JSON object.
        root: The archived folder, absolute.

    Raises:
        ListingError: Not a line of a listing.
    """
    try:
        found = json.loads(line)
        if (found.get("message_type") or found.get("struct_type")) != "node":
            return None
        path, kind, size = str(found["path"]), str(found["type"]), int(found.get("size") or 0)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ListingError(f"a line of the listing can't be read: {error!r} in {line[:200]!r}") from None
    prefix = root.rstrip("/") + "/"
    if not path.startswith(prefix):
        return None
    relative = path.removeprefix(prefix)
    return None if relative.partition("/")[0] in NOT_DATA else Node(relative, kind, size)


@dataclass
class Tree:
    """Counts a listing, name by name, as the guard counts a volume.

    Attributes:
        files: Names that are not directories.
        empty: Files of size 0.
        bytes: Sum of sizes.
        folders: Files at any depth below each folder, by path.
    """

    files: int = 0
    empty: int = 0
    bytes: int = 0
    folders: dict[str, int] = field(default_factory=dict)

    def add(self, node: Node) -> None:
        """Counts one name."""
        if node.kind == "dir":
            self.folders.setdefault(node.path, 0)
            return
        self.files += 1
        self.bytes += node.size
        self.empty += node.kind == "file" and node.size == 0
        above = node.path.rpartition("/")[0]
        while above:
            self.folders[above] = self.folders.get(above, 0) + 1
            above = above.rpartition("/")[0]

    def census(self) -> FileCount:
        """The count as gate and watcher have it; every folder's own is there, so any reference can be judged by it."""
        return FileCount(
            files=self.files,
            entries=self.folders,
            depth=self._depth(),
            empty=self.empty,
            bytes=self.bytes,
            folders=len(self.folders),
        )

    def _depth(self) -> int:
        """The first depth with at least two folders, counted from 1; 0 where there is none (see `census.py`)."""
        level = [path for path in self.folders if "/" not in path]
        depth = 1
        while len(level) == 1:
            (only,) = level
            level = [path for path in self.folders if path.rpartition("/")[0] == only]
            depth += 1
        return depth if level else 0
