"""The reference of a snapshot: its sample, chosen from restic's listing as a count chooses it from a volume. Pure."""

import heapq
from dataclasses import dataclass, field

from guard.backup.snapshot import Node, Snapshot, nanoseconds
from guard.volume import sample
from guard.volume.ignore import Ignore
from guard.volume.ledger import Reference
from guard.volume.sample import BY_ENTRY, CANDIDATES, Part, SampledFile, path_hash
from guard.volume.timestamp import rfc3339

#: Folders whose figures are kept at once; above, only those with the smallest hashes.
_FOLDERS = 4 * BY_ENTRY


@dataclass
class _Smallest:
    """The files with the smallest hashes, as a heap with the largest of them on top."""

    room: int
    heap: list[tuple[int, str, int, Node]] = field(default_factory=list)

    def add(self, number: int, node: Node) -> None:
        row = (-number, node.path, id(node), node)
        if len(self.heap) < self.room:
            heapq.heappush(self.heap, row)
        elif row > self.heap[0]:
            heapq.heapreplace(self.heap, row)

    def files(self) -> list[SampledFile]:
        return [_sampled(row[-1]) for row in sorted(self.heap, reverse=True)]


@dataclass
class _Folder:
    """What is kept of an entry, or of a folder that may turn out to lie in one."""

    smallest: _Smallest
    files: int = 0


class SnapshotSampler:
    """Chooses the sample of a snapshot from its listing, in bounded memory.

    restic lists depth first, a folder before what is in it. Where the entries lie is known at the end only: as long as a
    level has one folder, its sub-folders pass for entries, and become one entry as soon as a second folder comes.

    Args:
        ignore: What is no data.
    """

    def __init__(self, ignore: Ignore) -> None:
        self._ignore = ignore
        self._files = self._depth = 0
        self._on_level: dict[int, int] = {}  # how many folders
        self._everywhere = _Smallest(CANDIDATES)
        self._folders: dict[str, _Folder] = {}

    def on_node(self, node: Node) -> None:
        """Takes in the next name of the listing."""
        if self._ignore.ignores(node.path):
            return
        if node.kind == "dir":
            self._on_folder(node.path.count("/") + 1)
            return
        self._files += 1
        number = path_hash(node.path)
        self._everywhere.add(number, node)
        folder = self._folder(node.path.rpartition("/")[0])
        folder.files += 1
        folder.smallest.add(number, node)

    def reference(self, snapshot: Snapshot) -> Reference:
        """Returns the reference, at the end of the listing: every file of a good snapshot is known."""
        by_entry = {path: folder for path, folder in self._folders.items() if self._is_entry(path)}
        chosen = heapq.nsmallest(BY_ENTRY, by_entry, key=path_hash)
        files = sample.choose(self._everywhere.files(), {path: by_entry[path].smallest.files() for path in chosen})
        return Reference(
            files=self._files,
            counted=rfc3339(snapshot.time),
            sample=sample.declared(files),
            depth=self._depth,
            entry_count=self._on_level.get(self._depth, 0),
            entries={path: folder.files for path, folder in by_entry.items()},
        )

    def _on_folder(self, level: int) -> None:
        self._on_level[level] = self._on_level.get(level, 0) + 1
        if self._on_level[level] != 2 or 0 < self._depth <= level:  # noqa: PLR2004 - two folders make entries
            return
        self._depth = level
        folders, self._folders = self._folders, {}
        for path, folder in folders.items():
            merged = self._folder(path)
            merged.files += folder.files
            for number, _, _, node in folder.smallest.heap:
                merged.smallest.add(-number, node)

    def _folder(self, path: str) -> _Folder:
        """Returns the figures of the entry that a folder lies in; of the folder itself where it lies in none."""
        path = "/".join(path.split("/")[: self._depth or None])
        if path not in self._folders:
            if len(self._folders) == _FOLDERS:
                kept = heapq.nsmallest(BY_ENTRY, self._folders, key=path_hash)
                self._folders = {name: self._folders[name] for name in kept}
            room = -(-BY_ENTRY // max(1, self._on_level.get(self._depth, 0)))
            self._folders[path] = _Folder(_Smallest(room))
        return self._folders[path]

    def _is_entry(self, path: str) -> bool:
        return bool(path) and path.count("/") + 1 == self._depth


def _sampled(node: Node) -> SampledFile:
    return SampledFile(node.path, node.size, nanoseconds(node.modified), node.inode, 0, Part.HASH)
