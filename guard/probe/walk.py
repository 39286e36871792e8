"""Walks through a tree: depth first, by descriptor, never across a mount or a link, in bounded memory. Prober only."""

import errno
import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from guard.probe import mounts, progress
from guard.probe.files import ABSENT, DENIED
from guard.volume.elsewhere import UNKNOWN_INODES
from guard.volume.ignore import FolderIgnore, Ignore
from guard.volume.paths import PATH_LIMIT, as_bytes, as_text, join

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
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(slots=True)
class Folder:
    """One directory on the way down.

    Attributes:
        descriptor: Open for reading.
        path: Relative to the root; None where it is longer than paths can be.
        ignore: What is no data in it.
        files_before: How many files were counted before it.
        listing: The rest of its names; None where it was read to its end.
        waiting: Sub-directories that were read and not entered yet, with their inodes.
        vanished: Inodes of those that were gone, or something else, when they were to be entered.
        instead: Inodes that were entered in their place: no other name of theirs is entered again.
        listed_again: How often it was listed again to find those that vanished.
        without_types: It can be listed but not entered, and was named for that.
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
    without_types: bool = False

    @property
    def listable(self) -> bytes:
        """A path to list it by: names come as bytes, which a listing by descriptor does not give."""
        return b"/proc/self/fd/%d" % self.descriptor

    def on_vanished(self, inode: int) -> None:
        """Remembers a sub-directory that has to be found under another name."""
        if inode not in UNKNOWN_INODES and len(self.vanished) < _VANISHED and self.listed_again < _LISTED_AGAIN:
            self.vanished.add(inode)

    def close(self) -> None:
        """Closes what is open."""
        if self.listing:
            self.listing.close()
        os.close(self.descriptor)


class Walk:
    """One walk, with one open directory a level; whoever walks says what becomes of the files.

    Attributes:
        files: Names that are not directories and not ignored, so far.
        folders: Directories, the root not counted.
        depth: How many levels down the entries lie; 0 where there are none, or none were met yet.
        entries: How many entries were met.
        unreadable: The first of the folders that could not be read.
        unreadable_folders: How many there are.
        unreadable_entries: How many of them are entries.
        in_lost_and_found: Names in `lost+found`.
        at: The folder that a failing call is about.
    """

    def __init__(self, root: int, ignore: Ignore, *, by_entry: bool) -> None:
        """Prepares a walk; `by_entry`: files are wanted as their folder lists them, with their inodes, not as names alone."""
        self.root = root
        mount, _ = mounts.in_force(root)
        self.mount_id = mount.mount_id if mount else -1
        self.nested = mounts.nested(root)
        self.files = self.folders = self.depth = self.entries = 0
        self.unreadable: list[str] = []
        self.unreadable_folders = self.unreadable_entries = self.in_lost_and_found = 0
        self.at = b""
        self._ignore = ignore
        self._counts_links = not by_entry and mount is not None and mount.fstype in _COUNTS_LINKS
        self._hidden: dict[bytes, set[bytes]] = defaultdict(set)  # by folder, the names that mounts lie on
        for path in self.nested:
            above, _, name = as_bytes(path).rpartition(b"/")
            self._hidden[above].add(name)
        self._way: list[Folder] = []
        self._undecided = True  # every folder on the way down to here is an only child: entries may lie below

    def on_files(self, folder: Folder, names: Sequence[bytes], listed: Sequence[os.DirEntry[bytes]]) -> None:
        """Handles files of one folder: those that are data, and all that were listed with them."""

    def on_entry(self, path: bytes, entries: int) -> None:
        """Begins an entry; so many are known so far, this one included."""

    def on_left(self, path: bytes, files: int, *, is_entry: bool) -> None:
        """Ends a folder, with so many files in it and below."""

    def run(self) -> None:
        """Walks. OSError: a directory, `at`, could not be read for another reason than permission."""
        try:
            self._enter(Folder(os.dup(self.root), b"", self._ignore.top, 0), os.fstat(self.root))
            while self._way:
                folder = self._way[-1]
                if folder.listing and len(folder.waiting) < (2 if self._undecided else 1):
                    self._read(folder, folder.listing)
                elif folder.waiting:
                    if self._undecided and len(folder.waiting) > 1:
                        self._undecided, self.depth = False, len(self._way)
                    self._descend(folder, *folder.waiting.pop())
                elif folder.vanished:
                    self._list_again(folder)
                else:
                    self._undecided = False
                    self._leave()
        finally:
            for folder in self._way:
                folder.close()

    def _descend(self, parent: Folder, name: bytes, inode: int) -> None:
        path = None if parent.path is None else join(parent.path, name)
        if path is not None and len(path) < PATH_LIMIT:
            self.at = path
        else:
            path = None
        is_entry = len(self._way) == self.depth
        descriptor = None
        try:
            if len(self._way) < _LEVELS:
                descriptor = os.open(name, _OPEN, dir_fd=parent.descriptor)
        except OSError as error:
            if error.errno in ABSENT:
                parent.on_vanished(inode)
                return
            if error.errno not in _UNREADABLE:
                raise
        finally:
            progress.tick()
        self.folders += 1
        self.entries += is_entry
        if descriptor is None:
            self.unreadable_entries += is_entry
            self._on_unreadable()
            return
        found = os.fstat(descriptor)
        if self._counts_links and found.st_ino != inode:
            parent.instead.add(found.st_ino)
            parent.on_vanished(inode)
        if is_entry:
            self.on_entry(self.at, self.entries + len(parent.waiting))
        self._enter(Folder(descriptor, path, parent.ignore.below(as_text(name)), self.files), found)

    def _enter(self, folder: Folder, found: os.stat_result) -> None:
        self._way.append(folder)
        try:
            if self._counts_links and found.st_nlink == _LEAF_LINKS and found.st_size <= _LEAF_BYTES:
                self._add(folder, os.listdir(folder.listable), ())
            else:
                folder.listing = os.scandir(folder.listable)
        except OSError as error:
            if error.errno not in _UNREADABLE or len(self._way) == 1:
                raise
            self._on_unreadable()
        finally:
            progress.tick()

    def _leave(self) -> None:
        folder = self._way.pop()
        folder.close()
        if folder.path is not None:
            is_entry = 0 < len(self._way) == self.depth
            self.on_left(folder.path, self.files - folder.files_before, is_entry=is_entry)

    def _on_unreadable(self) -> None:
        self.unreadable_folders += 1
        if len(self.unreadable) < _UNREADABLE_NAMED:
            self.unreadable.append(as_text(self.at))

    def _read(self, folder: Folder, listing: "os._ScandirIterator[bytes]") -> None:
        """Reads the next names of a folder: counts the files among them, and keeps the sub-directories."""
        if folder.path is not None:
            self.at = folder.path
        block = [*islice(listing, _BLOCK)]
        progress.tick()
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
        self._add(folder, [entry.name for entry in files], files)

    def _add(self, folder: Folder, names: Sequence[bytes], listed: Sequence[os.DirEntry[bytes]]) -> None:
        names = folder.ignore.data(names)
        if hidden := self._hidden_in(folder):
            names = [name for name in names if name not in hidden]
        self.files += len(names)
        self.on_files(folder, names, listed)

    def _is_folder(self, folder: Folder, entry: os.DirEntry[bytes]) -> bool:
        try:
            return entry.is_dir(follow_symlinks=False)
        except OSError as error:
            # A file system that lists no types, and a folder that may be listed but not entered: what lies below its
            # names can't be known. Each counts as a file.
            if error.errno not in _UNREADABLE or len(self._way) == 1:
                raise
            if not folder.without_types:
                folder.without_types = True
                self._on_unreadable()
            return False

    def _is_data(self, folder: Folder, name: bytes) -> bool:
        """Whether a sub-directory must be entered."""
        if folder.ignore.ignores(as_text(name)):
            if name == _LOST_AND_FOUND and len(self._way) == 1:
                self._count_lost_and_found(folder)
            return False
        return name not in self._hidden_in(folder)

    def _hidden_in(self, folder: Folder) -> Collection[bytes]:
        return self._hidden.get(folder.path, ()) if folder.path is not None else ()

    def _list_again(self, folder: Folder) -> None:
        """Finds sub-directories that were renamed since they were listed: by their inodes, under their new names."""
        vanished, folder.vanished = folder.vanished - folder.instead, set()
        folder.listed_again += 1
        with os.scandir(folder.listable) as names:
            for entry in names:
                progress.tick()
                if entry.inode() in vanished and entry.is_dir(follow_symlinks=False):
                    vanished.remove(entry.inode())
                    if self._is_data(folder, entry.name):
                        folder.waiting.append((entry.name, entry.inode()))

    def _count_lost_and_found(self, folder: Folder) -> None:
        with suppress(OSError):
            found = os.open(_LOST_AND_FOUND, _OPEN, dir_fd=folder.descriptor)
            try:
                with os.scandir(found) as names:
                    self.in_lost_and_found = sum(1 for _ in islice(names, _LOST_AND_FOUND_NAMES))
            finally:
                os.close(found)
        progress.tick()
