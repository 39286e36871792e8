"""Counts files: names that are not directories and not ignored. On the same walk it chooses the sample, and finds lost files.

Prober only.
"""

import errno
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import chain, groupby
from operator import itemgetter

from guard.probe import mounts, progress
from guard.probe.files import ABSENT, DENIED, Folders
from guard.probe.walk import Folder, Walk
from guard.volume import sample
from guard.volume.elsewhere import Elsewhere
from guard.volume.ignore import Ignore
from guard.volume.observation import CountOptions, FileCount
from guard.volume.paths import as_bytes, as_text, join
from guard.volume.sample import Part, SampledFile
from guard.volume.sampler import Row, Sampler

#: How often a count is made where mounts below come or go meanwhile.
_ATTEMPTS = 3
#: Files that are gone or out of sight when their sizes are read: they were counted, and are not sampled.
_NOT_SEEN = ABSENT | DENIED


class _Enough(Exception):  # noqa: N818 - not an error
    """The count can stop: there are more files than were asked for."""


def count(root: int, options: CountOptions, on_progress: Callable[[int], None]) -> FileCount:
    """Counts the tree below an open directory; once more where a mount below it came or went meanwhile.

    A walk can bring a mount about: NFS and CIFS mount what is exported below a folder when it is entered.

    Where the calls take long, the number of names seen is progress. OSError: a folder, which the step names, can't be read
    for another reason than permission.
    """
    for _ in range(_ATTEMPTS):
        walk = _Count(root, options)
        with progress.reporting(lambda walk=walk: on_progress(walk.files + walk.folders)):  # type: ignore[misc]
            found = walk.count()
        if walk.nested == mounts.nested(root):
            return found
    progress.step("counting beside mounts that come and go all the time")
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


class _Count(Walk):
    def __init__(self, root: int, options: CountOptions) -> None:
        super().__init__(root, Ignore(options.ignore), by_entry=bool(options.lost))
        self.options = options
        self.wanted = {as_bytes(entry): 0 for entry in options.entries}  # their files
        self.sampler = Sampler(self.wanted)
        self.elsewhere = Elsewhere(options.lost, options.copied_after, options.copied_before, options.known)

    def count(self) -> FileCount:
        """Walks, and returns what was found."""
        exact = True
        sampled: tuple[SampledFile, ...] = ()
        try:
            root_inode = os.fstat(self.root).st_ino
            self.run()
            sampled = () if self.files == self.options.unsampled else self._sample()
        except _Enough:
            exact = False
        except OSError:
            progress.step(f"counting {as_text(self.at)}" if self.at else "counting its files")
            raise
        folders = {as_bytes(file.path).rpartition(b"/")[0] for file in sampled}
        entries = self.sampler.files_in({self.sampler.entry_of(folder, self.depth) for folder in folders})
        entries |= self.wanted if exact else {}
        return FileCount(
            files=self.files,
            exact=exact,
            sample=sampled,
            depth=self.depth,
            entry_count=self.entries,
            entries={as_text(entry): files for entry, files in entries.items()},
            elsewhere=frozenset(self.elsewhere.found),
            folders=self.folders,
            unreadable=tuple(self.unreadable),
            unreadable_folders=self.unreadable_folders,
            unreadable_entries=self.unreadable_entries,
            in_lost_and_found=self.in_lost_and_found,
            mount_id=self.mount_id,
            root_inode=root_inode,
        )

    def on_files(self, folder: Folder, names: Sequence[bytes], listed: Sequence[os.DirEntry[bytes]]) -> None:
        """Samples the files of a folder, and looks for lost ones among them."""
        if folder.path is not None:
            self.sampler.add(folder.path, names)
            if self.options.lost:
                self._find_lost(folder.descriptor, folder.path, names, listed)
        if self.options.enough is not None and self.files > self.options.enough:
            raise _Enough

    def on_entry(self, path: bytes, entries: int) -> None:
        """Begins an entry."""
        self.sampler.enter(path, entries)

    def on_left(self, path: bytes, files: int, *, is_entry: bool) -> None:
        """Keeps the number of files of an entry."""
        if is_entry:
            self.sampler.leave(path, files, self.depth)
        if path in self.wanted:
            self.wanted[path] = files

    def _find_lost(
        self, descriptor: int, path: bytes, names: Sequence[bytes], listed: Sequence[os.DirEntry[bytes]]
    ) -> None:
        data = {*names}
        for entry in listed:
            name = entry.name
            if name in data and self.elsewhere.is_worth_reading(name, entry.inode()):
                found = _lstat(descriptor, name)
                if found:
                    inode, size, mtime, ctime = found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime
                    self.elsewhere.on_file(as_text(join(path, name)), inode, size, mtime, ctime)

    def _sample(self) -> tuple[SampledFile, ...]:
        """Reads the sizes of the files that the sample can be chosen from, folder by folder, and chooses."""
        by_hash, by_entry = self.sampler.by_hash(), self.sampler.by_entry(self.depth)
        folder_of = itemgetter(2)
        rows = sorted({*by_hash, *chain.from_iterable(by_entry.values())}, key=folder_of)
        files: dict[Row, SampledFile] = {}
        with closing(Folders(self.root)) as folders:
            for folder, names in groupby(rows, key=folder_of):
                self.at = folder
                try:
                    descriptor = folders.open(folder)
                except OSError as error:
                    if error.errno not in _NOT_SEEN:
                        raise
                    continue
                above = as_text(folder) + "/" if folder else ""
                for row in names:
                    if found := _lstat(descriptor, row[1]):
                        files[row] = _sampled(above + as_text(row[1]), found)
        return sample.choose(
            [files[row] for row in by_hash if row in files],
            {as_text(entry): [files[row] for row in kept if row in files] for entry, kept in by_entry.items()},
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
        progress.tick()
    return None if stat.S_ISDIR(found.st_mode) else found
