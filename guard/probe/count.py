"""The count: names that are not directories, by descriptor, never across a mount, in bounded memory. Prober only."""

import errno
import os
import stat
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from guard.probe import mounts
from guard.probe.progress import EVERY
from guard.volume.mountinfo import Mount, MountTable
from guard.volume.observation import NOT_DATA, CountOptions, FileCount, ProbeFault
from guard.volume.paths import holds_any, lineage

#: File systems where a directory with two links has no sub-directory (its own `.` and its name): the leaves of the tree
#: need no look at each name's type. Elsewhere (btrfs, overlay, FUSE) the link count says nothing.
_COUNTS_LINKS = frozenset({"ext2", "ext3", "ext4", "xfs", "tmpfs"})
#: The largest such leaf that is listed in one call, in bytes of directory (some 2,000 names): bounds memory, and the time
#: without progress to 16 blocks of a local disk.
_LEAF_BYTES = 64 * 1024
#: Links of a directory without sub-directories: its name, and its own `.`.
_LEAF_LINKS = 2
#: Names that are counted at once: where a file system lists no types, each of them is asked for.
_BLOCK = 100
#: The parent hears of progress at least every so many names.
PROGRESS = 1000
#: How often a count is made where mounts below come or go meanwhile.
_ATTEMPTS = 3
#: Unreadable folders that are named, whatever they tell; above, only those of an entry that has none named yet.
_UNREADABLE_LIMIT = 1000

#: The folder went away or became something else while it was being counted.
_RACED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
#: The folder is there and cannot be read by this uid (or holds more levels than descriptors are allowed).
_UNREADABLE = frozenset({errno.EACCES, errno.EPERM, errno.ENOKEY, errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG})


@dataclass
class _Tally:
    files: int = 0
    empty: int = 0
    bytes: int = 0
    folders: int = 0
    entries: dict[str, int] = field(default_factory=dict)
    depth: int = 0
    unreadable: list[str] = field(default_factory=list)
    more_unreadable: int = 0
    inodes: set[int] = field(default_factory=set)


class _Enough(Exception):  # noqa: N818 - not an error
    """The count can stop: what is there is enough."""


def count(root: int, order: CountOptions, progress: Callable[[int], None]) -> FileCount:
    """Counts the tree below an open directory; once more where a mount below it came or went meanwhile.

    A walk can bring a mount about: NFS and CIFS mount what is exported below a folder when it is entered.

    Args:
        root: The directory; it stays open.
        order: What to count.
        progress: Is told the number of names seen, at least every PROGRESS of them.
    """
    for _ in range(_ATTEMPTS):
        walk = _Walk(root, order, progress)
        found = walk.census()
        if walk.foreign == _foreign(root, *mounts.in_force(root)):
            return found
    changing = ProbeFault(errno.EAGAIN, "counting beside mounts that come and go all the time")
    return replace(found, files=0, entries={}, fault=changing)


def _foreign(root: int, mount: Mount | None, table: MountTable) -> frozenset[str]:
    """Where other mounts lie below an open directory, relative to it."""
    return table.below(mount, os.readlink(f"/proc/self/fd/{root}")) if mount else frozenset()


class _Walk:
    """One walk through the tree, depth first, with one open directory a level."""

    def __init__(self, root: int, order: CountOptions, progress: Callable[[int], None]) -> None:
        self.root = root
        self.order = order
        self.progress = progress
        self.tally = _Tally()
        self.entry = ""  # the one that is being counted; empty above the entries
        self.obscured: set[str] = set()  # entries, of now and of the reference, with an unreadable folder that is named
        self.skipped = ""  # the last folder that could not be read
        self.told = 0
        self.told_at = time.monotonic()
        mount, table = mounts.in_force(root)
        self.mount_id = mount.mount_id if mount else -1
        self.foreign = _foreign(root, mount, table)
        self.counts_links = not order.sizes and mount is not None and mount.fstype in _COUNTS_LINKS

    def census(self) -> FileCount:
        """Walks, and says what was found; a directory that could not be read for another reason than permission too."""
        tally, order = self.tally, self.order
        exact, fault = True, None
        try:
            self.run()
        except _Enough:
            exact = False
        except OSError as error:
            fault = ProbeFault(error.errno or 0, "counting its files")
        return FileCount(
            files=tally.files,
            exact=exact,
            entries=tally.entries,
            depth=tally.depth,
            empty=tally.empty if order.sizes else None,
            bytes=tally.bytes if order.sizes else None,
            folders=tally.folders,
            unreadable=tuple(tally.unreadable),
            more_unreadable=tally.more_unreadable,
            inodes=frozenset(tally.inodes),
            fault=fault,
            mount_id=self.mount_id,
            root_inode=os.fstat(self.root).st_ino,
        )

    def run(self) -> None:
        """Finds the depth of the entries, then counts below each of them.

        Raises:
            _Enough: There are more files than were asked for.
            OSError: A directory could not be read for another reason than permission.
        """
        # An entry is a folder at the first depth that has at least two: down from the root through only children.
        folder, path = os.dup(self.root), ""
        chain: list[tuple[str, int]] = []  # the only children, each with the files counted before it
        try:
            while len(names := list(self._names(folder, path))) == 1:
                path = _join(path, names[0])
                chain.append((path, self.tally.files))
                below = self._open(folder, names[0], path)
                if below is None:
                    break
                os.close(folder)
                folder = below
            else:
                self.tally.depth = len(chain) + 1 if names else 0
                for name in names:
                    self._count_entry(folder, name, _join(path, name))
        finally:
            os.close(folder)
        for only_child, before in chain:
            self._record(only_child, before)

    def _count_entry(self, parent: int, name: str, path: str) -> None:
        before = self.tally.files
        self.entry = path
        stack: list[tuple[int, str, int, Generator[str, None, None]]] = []
        self._enter(stack, parent, name, path)
        try:
            while stack:
                folder, here, start, names = stack[-1]
                child = next(names, None)
                if child is not None:
                    self._enter(stack, folder, child, _join(here, child))
                    continue
                stack.pop()
                os.close(folder)
                self._record(here, start)
        finally:
            for folder, _, _, names in stack:
                names.close()
                os.close(folder)
        self.tally.entries[path] = self.tally.files - before

    def _enter(
        self, stack: list[tuple[int, str, int, Generator[str, None, None]]], parent: int, name: str, path: str
    ) -> None:
        folder = self._open(parent, name, path)
        if folder is not None:
            stack.append((folder, path, self.tally.files, self._names(folder, path)))

    def _record(self, path: str, before: int) -> None:
        if path in self.order.entries:
            self.tally.entries[path] = self.tally.files - before

    def _open(self, parent: int, name: str, path: str) -> int | None:
        self.tally.folders += 1
        try:
            folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
        except OSError as error:
            self._skip(error, path)
            return None
        finally:
            self._tell()
        if self.order.inodes:
            self.tally.inodes.add(os.fstat(folder).st_ino)
        return folder

    def _skip(self, error: OSError, path: str) -> None:
        if error.errno in _RACED:
            return
        if error.errno not in _UNREADABLE:
            raise error
        self.skipped = path
        entries = {self.entry, *(above for above in lineage(path) if above in self.order.entries)}
        tells = not entries <= self.obscured or holds_any(path, self._wanted)
        if tells or len(self.tally.unreadable) < _UNREADABLE_LIMIT:
            self.tally.unreadable.append(path)
            self.obscured |= entries
        else:
            self.tally.more_unreadable += 1

    @cached_property
    def _wanted(self) -> Sequence[str]:
        return sorted(self.order.entries)

    def _names(self, folder: int, path: str) -> Generator[str, None, None]:
        """Counts the files of one directory, and gives its sub-directories as it meets them."""
        if self.counts_links and path:
            found = os.fstat(folder)
            if found.st_nlink == _LEAF_LINKS and found.st_size <= _LEAF_BYTES:
                self._add(len(os.listdir(folder)))
                return
        try:
            names = os.scandir(folder)
        except OSError as error:  # opened, but its descriptor could not be doubled
            self._skip(error, path)
            return
        self._tell()
        files = seen = 0
        with names:
            for entry in names:
                seen += 1
                if self._is_folder(entry, path):
                    below = _join(path, entry.name)
                    if below not in self.foreign and (path or entry.name not in NOT_DATA):
                        yield entry.name
                elif path or entry.name not in NOT_DATA:
                    files += 1
                    if self.order.sizes:
                        self._weigh(entry)
                if seen >= _BLOCK:
                    self._add(files)
                    files = seen = 0
        self._add(files)

    def _is_folder(self, entry: os.DirEntry[str], path: str) -> bool:
        try:
            return entry.is_dir(follow_symlinks=False)
        except OSError as error:
            # A file system that lists no types, and a folder that may be listed but not entered: what lies below its
            # names can't be told, so it keeps its last count.
            if not path or error.errno not in _UNREADABLE:
                raise
            if self.skipped != path:
                self._skip(error, path)
            return False

    def _weigh(self, entry: os.DirEntry[str]) -> None:
        self._tell()
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError as error:
            # A folder that may be listed but not entered shows its names: each counts as a file that is not empty.
            if error.errno not in _RACED | _UNREADABLE:
                raise
            return
        self.tally.bytes += found.st_size
        self.tally.empty += stat.S_ISREG(found.st_mode) and found.st_size == 0

    def _add(self, files: int) -> None:
        """Called at least once a directory and every so many names."""
        self.tally.files += files
        self._tell()
        if self.order.enough is not None and self.tally.files > self.order.enough:
            raise _Enough

    def _tell(self) -> None:
        """Says that the count moves: after so many names, or, on a slow file system, after so long."""
        seen, now = self.tally.files + self.tally.folders, time.monotonic()
        if seen - self.told >= PROGRESS or now - self.told_at >= EVERY:
            self.told, self.told_at = seen, now
            self.progress(seen)


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
