"""Counts files: names that are not directories and not ignored, by descriptor, never across a mount, in bounded memory.

On the same walk it chooses the sample, and finds lost files elsewhere. Prober only.
"""

import errno
import os
import stat
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, groupby, islice
from operator import itemgetter

from guard.probe import mounts, progress
from guard.probe.files import ABSENT, DENIED, Folders
from guard.volume import sample
from guard.volume.elsewhere import UNKNOWN_INODES, Elsewhere
from guard.volume.ignore import FolderIgnore, Ignore
from guard.volume.mountinfo import Mount, MountTable
from guard.volume.observation import CountOptions, FileCount, ProbeFault
from guard.volume.paths import PATH_LIMIT
from guard.volume.sample import Part, SampledFile
from guard.volume.sampler import Row, Sampler, join

#: File systems where a directory with two links has no sub-directory (its own `.` and its name): the leaves of the tree
#: need no look at each name's type. Elsewhere (btrfs, overlay, FUSE) the link count says nothing.
_COUNTS_LINKS = frozenset({"ext2", "ext3", "ext4", "xfs", "tmpfs"})
#: Links of a directory without sub-directories: its name, and its own `.`.
_LEAF_LINKS = 2
#: The largest such leaf that is listed in one call, in bytes of directory (some 8,000 names): bounds memory, and the time
#: without progress to 64 blocks of a local disk.
_LEAF_BYTES = 256 * 1024
#: Names of other directories that are read at once: where a file system lists no types, each of them is asked for.
_BLOCK = 64
#: How often a count is made where mounts below come or go meanwhile.
_ATTEMPTS = 3
#: How often a folder is listed again where a sub-directory is not there any more, and so many of them are remembered.
_LISTED_AGAIN, _VANISHED = 3, 1000
#: Unreadable folders that are named.
_UNREADABLE_NAMED = 100
#: Levels that are followed: each holds two descriptors, and up to _BLOCK names of its sub-directories.
_LEVELS = 1024
#: Where fsck puts what it finds, and so many names of it are counted.
_LOST_AND_FOUND, _LOST_AND_FOUND_NAMES = b"lost+found", 10_000

#: The folder is there and cannot be read by this uid (or holds more levels than descriptors are allowed).
_UNREADABLE = DENIED | {errno.EMFILE, errno.ENFILE}
#: Files that are gone or out of sight when their sizes are read: they were counted, and are not sampled.
_NOT_SEEN = ABSENT | DENIED
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK


class _Enough(Exception):  # noqa: N818 - not an error
    """The count can stop: there are more files than were asked for."""


def count(root: int, options: CountOptions, on_progress: Callable[[int], None]) -> FileCount:
    """Counts the tree below an open directory; once more where a mount below it came or went meanwhile.

    A walk can bring a mount about: NFS and CIFS mount what is exported below a folder when it is entered.

    Args:
        root: The directory; it stays open.
        options: What to count, and what to look for.
        on_progress: Is called with the number of names seen, as often as calls on the volume take long.
    """
    for _ in range(_ATTEMPTS):
        walk = _Walk(root, options)
        with progress.told(lambda walk=walk: on_progress(walk.files + walk.folders)):  # type: ignore[misc]
            found = walk.count()
        if found.fault or walk.nested == _nested(root, *mounts.in_force(root)):
            return found
    changing = ProbeFault(errno.EAGAIN, "counting beside mounts that come and go all the time")
    return replace(found, files=0, entries={}, sample=(), fault=changing)


def _nested(root: int, mount: Mount | None, table: MountTable) -> frozenset[str]:
    """Where other mounts lie below an open directory, relative to it."""
    return table.below(mount, os.readlink(f"/proc/self/fd/{root}")) if mount else frozenset()


@dataclass(slots=True)
class _Folder:
    """One directory on the way down.

    Attributes:
        descriptor: Open for reading.
        path: Relative to the root; None where it is longer than paths can be: then its files are counted, never sampled.
        ignore: What is no data in it.
        files_before: How many files were counted before it.
        listing: The rest of its names; None where it was read to its end.
        waiting: Sub-directories that were read and not entered yet, with their inodes.
        vanished: Inodes of those that were gone, or something else, when they were to be entered.
        instead: Inodes that were entered in their place: no other name of theirs is entered again.
        listed_again: How often it was listed again to find those that vanished.
        types_hidden: It can be listed but not entered, and was named for that.
    """

    descriptor: int
    path: bytes | None
    ignore: FolderIgnore
    files_before: int
    listing: "os._ScandirIterator[bytes] | None" = None
    waiting: list[tuple[bytes, int]] = field(default_factory=list)
    vanished: set[int] = field(default_factory=set)
    instead: set[int] = field(default_factory=set)
    listed_again: int = 0
    types_hidden: bool = False

    @property
    def listable(self) -> bytes:
        """A path to list it by: names come as bytes, which a listing by descriptor does not give."""
        return b"/proc/self/fd/%d" % self.descriptor

    def on_vanished(self, inode: int) -> None:
        if inode not in UNKNOWN_INODES and len(self.vanished) < _VANISHED and self.listed_again < _LISTED_AGAIN:
            self.vanished.add(inode)

    def close(self) -> None:
        if self.listing:
            self.listing.close()
        os.close(self.descriptor)


class _Walk:
    """One walk through the tree, depth first, with one open directory a level."""

    def __init__(self, root: int, options: CountOptions) -> None:
        self.root = root
        self.options = options
        mount, table = mounts.in_force(root)
        self.mount_id = mount.mount_id if mount else -1
        self.nested = _nested(root, mount, table)
        self.hidden: dict[bytes, set[bytes]] = defaultdict(set)  # by folder, the names that mounts lie on
        for path in self.nested:
            above, _, name = _bytes(path).rpartition(b"/")
            self.hidden[above].add(name)
        self.counts_links = not options.lost and mount is not None and mount.fstype in _COUNTS_LINKS
        self.elsewhere = Elsewhere(options.lost, options.copied_after, options.copied_before)
        self.wanted = {_bytes(entry): 0 for entry in options.entries}  # their files
        self.sampler = Sampler(self.wanted)
        self.way: list[_Folder] = []
        self.at = b""  # the folder that a failing call is about
        self.undecided = True  # every folder on the way down to here is an only child: entries may lie below
        self.files = self.folders = self.entries = self.in_lost_and_found = 0
        self.unreadable: list[str] = []
        self.unreadable_folders = self.unreadable_entries = 0

    def count(self) -> FileCount:
        """Walks, and returns what was found; a folder that can't be read for another reason than permission is a fault."""
        began = time.monotonic()
        root_inode = 0
        exact, fault = True, None
        sampled: tuple[SampledFile, ...] = ()
        try:
            root_inode = os.fstat(self.root).st_ino
            self._walk()
            sampled = self._sample()
        except _Enough:
            exact = False
        except OSError as error:
            fault = ProbeFault(error.errno or 0, f"counting {_text(self.at)}" if self.at else "counting its files")
        finally:
            for folder in self.way:
                folder.close()
        of_sample = {self.sampler.entry_of(_bytes(file.path).rpartition(b"/")[0]) for file in sampled}
        entries = self.sampler.files_of(of_sample) | (self.wanted if exact else {})
        return FileCount(
            files=self.files,
            exact=exact,
            sample=sampled,
            depth=self.sampler.depth,
            entry_count=self.entries,
            entries={_text(entry): files for entry, files in entries.items()},
            elsewhere=frozenset(self.elsewhere.found),
            folders=self.folders,
            unreadable=tuple(self.unreadable),
            unreadable_folders=self.unreadable_folders,
            unreadable_entries=self.unreadable_entries,
            in_lost_and_found=self.in_lost_and_found,
            fault=fault,
            mount_id=self.mount_id,
            root_inode=root_inode,
            seconds=time.monotonic() - began,
        )

    def _walk(self) -> None:
        top = _Folder(os.dup(self.root), b"", Ignore(self.options.ignore).top, 0)
        self._enter(top, os.fstat(self.root))
        while self.way:
            folder = self.way[-1]
            if folder.listing and len(folder.waiting) < (2 if self.undecided else 1):
                self._read(folder, folder.listing)
            elif folder.waiting:
                if self.undecided and len(folder.waiting) > 1:
                    self.undecided, self.sampler.depth = False, len(self.way)
                self._descend(folder, *folder.waiting.pop())
            elif folder.vanished:
                self._list_again(folder)
            else:
                self.undecided = False
                self._leave()

    def _descend(self, parent: _Folder, name: bytes, inode: int) -> None:
        path = None if parent.path is None else join(parent.path, name)
        if path is not None and len(path) < PATH_LIMIT:
            self.at = path
        else:
            path = None
        is_entry = len(self.way) == self.sampler.depth
        descriptor = None
        try:
            if len(self.way) < _LEVELS:
                descriptor = os.open(name, _OPEN, dir_fd=parent.descriptor)
        except OSError as error:
            if error.errno in ABSENT:
                parent.on_vanished(inode)
                return
            if error.errno not in _UNREADABLE:
                raise
        finally:
            progress.made()
        self.folders += 1
        self.entries += is_entry
        if descriptor is None:
            self.unreadable_entries += is_entry
            self._on_unreadable()
            return
        if is_entry:
            self.sampler.enter(self.at, self.entries + len(parent.waiting))
        found = os.fstat(descriptor)
        if self.counts_links and found.st_ino != inode:
            parent.instead.add(found.st_ino)
            parent.on_vanished(inode)
        self._enter(_Folder(descriptor, path, parent.ignore.below(_text(name)), self.files), found)

    def _enter(self, folder: _Folder, found: os.stat_result) -> None:
        self.way.append(folder)
        try:
            if self.counts_links and found.st_nlink == _LEAF_LINKS and found.st_size <= _LEAF_BYTES:
                self._add(folder, os.listdir(folder.listable))
            else:
                folder.listing = os.scandir(folder.listable)
        except OSError as error:
            if error.errno not in _UNREADABLE or len(self.way) == 1:
                raise
            self._on_unreadable()
        finally:
            progress.made()

    def _leave(self) -> None:
        folder = self.way.pop()
        folder.close()
        if folder.path is None:
            return
        files = self.files - folder.files_before
        if self.way and len(self.way) == self.sampler.depth:
            self.sampler.leave(folder.path, files)
        if folder.path in self.wanted:
            self.wanted[folder.path] = files

    def _on_unreadable(self) -> None:
        self.unreadable_folders += 1
        if len(self.unreadable) < _UNREADABLE_NAMED:
            self.unreadable.append(_text(self.at))

    def _read(self, folder: _Folder, listing: "os._ScandirIterator[bytes]") -> None:
        """Reads the next names of a folder: counts the files among them, and keeps the sub-directories."""
        if folder.path is not None:
            self.at = folder.path
        block = [*islice(listing, _BLOCK)]
        progress.made()
        if not block:
            listing.close()
            folder.listing = None
            return
        files: list[os.DirEntry[bytes]] = []
        for entry in block:
            if not self._is_folder(folder, entry):
                files.append(entry)
            elif self._is_data(folder, entry.name):
                folder.waiting.append((entry.name, entry.inode()))
        data = self._add(folder, [entry.name for entry in files])
        if self.options.lost and folder.path is not None:
            self._find_lost(folder, folder.path, {*data}, files)

    def _find_lost(
        self, folder: _Folder, path: bytes, data: Collection[bytes], files: Sequence[os.DirEntry[bytes]]
    ) -> None:
        for entry in files:
            name = entry.name
            if name in data and self.elsewhere.is_worth_reading(name, entry.inode()):
                found = _lstat(folder.descriptor, name)
                if found:
                    inode, size, mtime, ctime = found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime
                    self.elsewhere.on_file(_text(join(path, name)), inode, size, mtime, ctime)

    def _is_folder(self, folder: _Folder, entry: os.DirEntry[bytes]) -> bool:
        try:
            return entry.is_dir(follow_symlinks=False)
        except OSError as error:
            # A file system that lists no types, and a folder that may be listed but not entered: what lies below its
            # names can't be known. Each counts as a file.
            if error.errno not in _UNREADABLE or len(self.way) == 1:
                raise
            if not folder.types_hidden:
                folder.types_hidden = True
                self._on_unreadable()
            return False

    def _is_data(self, folder: _Folder, name: bytes) -> bool:
        """Whether a sub-directory is to be entered."""
        if folder.ignore.ignores(_text(name)):
            if name == _LOST_AND_FOUND and len(self.way) == 1:
                self._count_lost_and_found(folder)
            return False
        return name not in self._hidden(folder)

    def _hidden(self, folder: _Folder) -> Collection[bytes]:
        return self.hidden.get(folder.path, ()) if folder.path is not None else ()

    def _add(self, folder: _Folder, names: Sequence[bytes]) -> Sequence[bytes]:
        """Counts files of a folder; returns those that are data."""
        names = folder.ignore.data(names)
        if hidden := self._hidden(folder):
            names = [name for name in names if name not in hidden]
        self.files += len(names)
        if folder.path is not None:
            self.sampler.add(folder.path, names)
        if self.options.enough is not None and self.files > self.options.enough:
            raise _Enough
        return names

    def _list_again(self, folder: _Folder) -> None:
        """Finds sub-directories that were renamed since they were listed: by their inodes, under names of today."""
        vanished = folder.vanished - folder.instead
        folder.vanished = set()
        folder.listed_again += 1
        with os.scandir(folder.listable) as names:
            for entry in names:
                progress.made()
                if entry.inode() in vanished and entry.is_dir(follow_symlinks=False):
                    vanished.remove(entry.inode())
                    if self._is_data(folder, entry.name):
                        folder.waiting.append((entry.name, entry.inode()))

    def _count_lost_and_found(self, folder: _Folder) -> None:
        with suppress(OSError):
            found = os.open(_LOST_AND_FOUND, _OPEN, dir_fd=folder.descriptor)
            try:
                with os.scandir(found) as names:
                    self.in_lost_and_found = sum(1 for _ in islice(names, _LOST_AND_FOUND_NAMES))
            finally:
                os.close(found)
        progress.made()

    def _sample(self) -> tuple[SampledFile, ...]:
        """Reads the sizes of the files that the sample can be chosen from, folder by folder, and chooses."""
        by_hash, by_entry = self.sampler.by_hash(), self.sampler.by_entry()
        folder_of = itemgetter(2)
        rows = sorted({*by_hash, *chain.from_iterable(by_entry.values())}, key=folder_of)
        files: dict[Row, SampledFile] = {}
        with Folders(self.root) as folders:
            for folder, names in groupby(rows, key=folder_of):
                self.at = folder
                try:
                    descriptor = folders.open(folder)
                except OSError as error:
                    if error.errno not in _NOT_SEEN:
                        raise
                    continue
                above = _text(folder) + "/" if folder else ""
                for row in names:
                    if found := _lstat(descriptor, row[1]):
                        files[row] = _sampled(above + _text(row[1]), found)
        return sample.choose(
            [files[row] for row in by_hash if row in files],
            {_text(entry): [files[row] for row in kept if row in files] for entry, kept in by_entry.items()},
        )


def _sampled(path: str, found: os.stat_result) -> SampledFile:
    return SampledFile(path, found.st_size, found.st_mtime_ns, found.st_ino, int(found.st_ctime), Part.HASH)


def _lstat(folder: int, name: bytes) -> os.stat_result | None:
    """What a file is; None where it is gone, a directory now, or hidden from this uid."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NOT_SEEN:
            raise
        return None
    finally:
        progress.made()
    return None if stat.S_ISDIR(found.st_mode) else found


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
