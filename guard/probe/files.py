"""Checks sampled files at their paths: one lstat for each, by descriptor, no link followed below the root. Prober only."""

import errno
import os
import stat
from collections.abc import Collection, Iterable
from contextlib import closing

from guard.probe import mounts, progress
from guard.volume.loss import LossRule, is_kept
from guard.volume.observation import FilesChecked
from guard.volume.paths import as_bytes, is_below, join, lineage
from guard.volume.sample import FileCheck, Presence, SampledFile

#: What is asked for is not there, or a folder of its path is none.
ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
#: It may be there, and this uid may not see it.
DENIED = frozenset({errno.EACCES, errno.EPERM, errno.ENOKEY})

#: One for all: a lost tree has hundreds of them, and each would travel to the parent by itself.
_ABSENT = FileCheck(Presence.ABSENT)
#: Folders that stay open: files of one folder are asked for one after another, or share what lies above it.
_OPEN_FOLDERS = 64


class Folders:
    """Folders below an open directory, opened as they are needed, component by component; the latest stay open."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._open: dict[bytes, int] = {}  # the latest last

    def close(self) -> None:
        """Closes all of them."""
        for descriptor in self._open.values():
            os.close(descriptor)

    def open(self, folder: bytes) -> int:
        """Returns a descriptor (O_PATH) of a folder, by its path relative to the root; good until the next call."""
        above, missing = folder, []
        while above and above not in self._open:
            above, _, name = above.rpartition(b"/")
            missing.append(name)
        descriptor = self._root
        if above:  # used now: the last to be closed
            descriptor = self._open[above] = self._open.pop(above)
        for name in reversed(missing):
            above = join(above, name)
            try:
                descriptor = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            finally:
                progress.tick()
            self._open[above] = descriptor
            if len(self._open) > _OPEN_FOLDERS:
                os.close(self._open.pop(next(iter(self._open))))
        return descriptor


def check_files(
    root: int, files: Iterable[SampledFile], nested: Collection[str], rule: LossRule, enough: int | None = None
) -> FilesChecked:
    """Checks sampled files below an open root, in their order; a path that leaves the volume has no file.

    What mounts hide, which lie at `nested`, is not asked for. After `enough` files that are all kept it ends. OSError: a
    call failed other than for what a file can be, in the folder that the step names.
    """
    checks: dict[str, FileCheck] = {}
    kept = 0
    with closing(Folders(root)) as folders:
        for file in files:
            try:
                check = checks[file.path] = _check(folders, file.path, nested)
            except OSError:
                folder = file.path.rpartition("/")[0]
                progress.step(f"checking the files of {folder}" if folder else "checking its files")
                raise
            kept += is_kept(rule, file, check)
            if kept == len(checks) == enough:
                break
    return FilesChecked(checks, mount_id=mounts.mount_id(root), root_inode=os.fstat(root).st_ino)


def _check(folders: Folders, path: str, nested: Collection[str]) -> FileCheck:
    if not is_below(path):
        return _ABSENT
    if nested and any(one in nested for one in lineage(path)):
        return FileCheck(Presence.HIDDEN)
    try:
        folder, _, name = as_bytes(path).rpartition(b"/")
        found = os.stat(name, dir_fd=folders.open(folder), follow_symlinks=False)
    except OSError as error:
        if error.errno in ABSENT:
            return _ABSENT
        if error.errno in DENIED:
            return FileCheck(Presence.UNREADABLE)
        raise
    finally:
        progress.tick()
    if stat.S_ISDIR(found.st_mode):
        return _ABSENT
    return FileCheck(Presence.PRESENT, found.st_size)
