"""What a snapshot's listing has: its files, chosen for a sample as a count chooses them from a volume. Pure."""

import heapq
from collections.abc import Collection
from dataclasses import dataclass, field

from guard.backup.snapshot import Node, Snapshot, nanoseconds
from guard.volume import sample
from guard.volume.ignore import Ignore
from guard.volume.ledger import Reference
from guard.volume.sample import BY_ENTRY, CANDIDATES, FileCheck, Part, Presence, SampledFile, path_hash
from guard.volume.timestamp import rfc3339

#: Folders whose figures are kept at once; above, only those with the smallest hashes.
_FOLDERS = 4 * BY_ENTRY


@dataclass
class _Group:
    """Counts files, and keeps those with the smallest hashes: in a heap, the largest of them on top."""

    room: int
    files: int = 0
    heap: list[tuple[int, str, int, Node]] = field(default_factory=list)

    def add(self, number: int, node: Node) -> None:
        self.files += 1
        self.keep((-number, node.path, id(node), node))

    def keep(self, row: tuple[int, str, int, Node]) -> None:
        if len(self.heap) < self.room:
            heapq.heappush(self.heap, row)
        elif row > self.heap[0]:
            heapq.heapreplace(self.heap, row)

    def sampled(self) -> list[SampledFile]:
        nodes = (row[-1] for row in sorted(self.heap, reverse=True))
        return [SampledFile(one.path, one.size, nanoseconds(one.modified), one.inode, 0, Part.HASH) for one in nodes]


class Listing:
    """Reads the listing of a snapshot, in bounded memory.

    restic lists depth first, a folder before what is in it. Where the entries lie is known at the end only: as long as a
    level has one folder, its sub-folders pass for entries, and become one entry as soon as a second folder comes.

    Args:
        ignore: What is no data.
        wanted: Paths that are looked for.

    Attributes:
        checks: What lies at those paths.
    """

    def __init__(self, ignore: Ignore, wanted: Collection[str] = ()) -> None:
        self.checks = dict.fromkeys(wanted, FileCheck(Presence.ABSENT))
        self._ignore = ignore
        self._depth = 0
        self._on_level: dict[int, int] = {}  # how many folders
        self._all = _Group(CANDIDATES)
        self._groups: dict[str, _Group] = {}  # by entry, or by folder where that lies in none

    @property
    def files(self) -> int:
        """Files that are data."""
        return self._all.files

    def on_node(self, node: Node) -> None:
        """Counts the next name."""
        if self._ignore.ignores(node.path):
            return
        if node.kind == "dir":
            self._on_folder(node.path.count("/") + 1)
            return
        number = path_hash(node.path)
        self._all.add(number, node)
        self._group(node.path.rpartition("/")[0]).add(number, node)
        if node.path in self.checks:
            self.checks[node.path] = FileCheck(Presence.PRESENT, node.size)

    def reference(self, snapshot: Snapshot) -> Reference:
        """Returns the reference, at the end of the listing: every file of a good snapshot is known."""
        entries = {path: group for path, group in self._groups.items() if path and path.count("/") + 1 == self._depth}
        chosen = heapq.nsmallest(BY_ENTRY, entries, key=path_hash)
        files = sample.choose(self._all.sampled(), {path: entries[path].sampled() for path in chosen})
        return Reference(
            files=self.files,
            counted=rfc3339(snapshot.time),
            sample=sample.declared(files),
            depth=self._depth,
            entry_count=self._on_level.get(self._depth, 0),
            entries={path: group.files for path, group in entries.items()},
        )

    def _on_folder(self, level: int) -> None:
        self._on_level[level] = self._on_level.get(level, 0) + 1
        if self._on_level[level] == 2 and not 0 < self._depth <= level:  # noqa: PLR2004 - two folders make entries
            self._depth = level
            groups, self._groups = self._groups, {}
            for path, group in groups.items():
                merged = self._group(path)
                merged.files += group.files
                for row in group.heap:
                    merged.keep(row)

    def _group(self, folder: str) -> _Group:
        path = "/".join(folder.split("/")[: self._depth or None])
        if path not in self._groups:
            if len(self._groups) == _FOLDERS:
                kept = heapq.nsmallest(BY_ENTRY, self._groups, key=path_hash)
                self._groups = {name: self._groups[name] for name in kept}
            self._groups[path] = _Group(BY_ENTRY)
        return self._groups[path]
