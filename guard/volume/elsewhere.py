"""Lost files that are on the volume under another name: moved, hard-linked or copied in time. Pure."""

from collections import defaultdict
from collections.abc import Iterable

from guard.volume.paths import as_bytes
from guard.volume.sample import SampledFile

#: Inodes of a listing that stand for an unknown one (FUSE_UNKNOWN_INO).
UNKNOWN_INODES = frozenset({0, 0xFFFFFFFF})


class Elsewhere:
    """Lost files, and which of them were found so far.

    Args:
        lost: The files.
        copied_after: A copy came (ctime) after this ...
        copied_before: ... and before this, both in seconds since 1970.
        known: Paths of files that were there before: they are themselves, and copies of none.
    """

    def __init__(
        self,
        lost: Iterable[SampledFile],
        copied_after: float,
        copied_before: float,
        known: frozenset[str] = frozenset(),
    ) -> None:
        self.found: set[str] = set()
        self._known = known
        self._between = copied_after, copied_before
        self._by_inode = defaultdict(list)
        self._names: set[bytes] = set()
        # By name and size with mtime and parent, with mtime, with parent: a copy is taken for the lost file most like it.
        self._copied: dict[tuple[object, ...], list[str]] = defaultdict(list)
        for file in lost:
            self._by_inode[file.inode].append(file)
            parent, name = _parent_and_name(file.path)
            self._names.add(as_bytes(name))
            for mtime, folder in ((file.mtime, parent), (file.mtime, None), (None, parent)):
                self._copied[name, file.size, mtime, folder].append(file.path)

    def is_worth_reading(self, name: bytes, inode: int) -> bool:
        """Returns whether a file of this name and inode, as a folder lists them, can be one of the lost ones."""
        return inode in self._by_inode or name in self._names or inode in UNKNOWN_INODES

    def on_file(self, path: str, inode: int, size: int, mtime: int, ctime: float) -> None:
        """Handles a file of the volume: it is one lost file, or all the names of the same lost inode."""
        same = [file for file in self._by_inode.get(inode, ()) if (file.size, file.mtime) == (size, mtime)]
        if same:
            self.found.update(file.path for file in same if file.path != path)
            return
        after, before = self._between
        if not after <= ctime <= before or path in self._known:
            return
        parent, name = _parent_and_name(path)
        for key in ((name, size, mtime, parent), (name, size, mtime, None), (name, size, None, parent)):
            lost = self._copied.get(key)
            while lost:
                candidate = lost.pop()
                if candidate not in self.found and candidate != path:
                    self.found.add(candidate)
                    return


def _parent_and_name(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder.rpartition("/")[2], name
