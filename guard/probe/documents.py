"""Writes in `.volume-guard/`: durably, in one way, and nothing anywhere else. Runs in the prober only."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from guard.probe import progress
from guard.volume.observation import GUARD_FOLDER

MARKER = "marker.json"
LEDGER = "ledger.json"
HOLD = "hold.json"

#: Group-writable: adoption often runs as root, the watcher as the application's uid, and both share the fsGroup.
_FOLDER_MODE = 0o775
_FILE_MODE = 0o664

_TEMPORARY = ".tmp"
#: Seconds after which a temporary file belongs to nobody any more: a write takes far less.
_ABANDONED = 3600
#: Seconds to wait for another command on the same volume.
_LOCK_PATIENCE = 5.0

#: File systems without hard links answer with one of these.
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL, errno.EACCES})

#: File systems with one mode for all, which the mount sets (SMB), answer with one of these.
_NO_MODES = frozenset({errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS})

#: File systems that sync no folder, whose names are durable or not by themselves, answer with one of these.
_NO_SYNC = frozenset({errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP})


def open_folder(root: int) -> int:
    """Opens `.volume-guard/` below an open root, making it where it is missing.

    Raises:
        OSError: As mkdir(2) and open(2); ELOOP or ENOTDIR where the name is a link or a file.
    """
    try:
        os.mkdir(GUARD_FOLDER, _FOLDER_MODE, dir_fd=root)
    except FileExistsError:
        progress.made()
        return open_standing(root)
    progress.made()
    made = open_standing(root)
    # The umask is the image's accident; a set-group-ID bit from the parent (fsGroup) must stay.
    _set_mode(made, _FOLDER_MODE | (os.fstat(made).st_mode & 0o2000))
    sync_folder(root)
    return made


def open_standing(root: int) -> int:
    """Opens `.volume-guard/` below an open root; never makes it.

    Raises:
        OSError: As open(2); ENOENT where there is none.
    """
    folder = os.open(GUARD_FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=root)
    progress.made()
    return folder


@contextmanager
def locked(folder: int) -> Iterator[None]:
    """One command at a time on a volume, where the file system has locks; elsewhere exclusive creation must do.

    Raises:
        BlockingIOError: Another command has held the lock for too long.
    """
    until = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise
            progress.made()
            time.sleep(0.05)
            continue
        except OSError:
            pass  # NFS locks no directory, some FUSE file systems lock nothing
        break
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_UN)


@contextmanager
def prepared(folder: int, name: str, text: bytes) -> Iterator[str]:
    """A document under a temporary name, durable already: what space is missing for fails before anything was changed.

    Raises:
        OSError: Nothing was changed.
    """
    temporary = _write_temporary(folder, name, text)
    try:
        yield temporary
    finally:
        discard(folder, temporary)


def replace(folder: int, name: str, text: bytes, keep_as: str | None = None) -> str | None:
    """Writes a document so that after a crash either the old or the new one is there, whole.

    Args:
        folder: `.volume-guard/`.
        name: The document.
        text: Its text.
        keep_as: The digest or ID that the old one is kept under; None to replace it.

    Returns:
        What the old one is called now; None where none was kept.

    Raises:
        OSError: Nothing was changed.
    """
    with prepared(folder, name, text) as temporary:
        kept = settle(folder, temporary, name, keep_as)
    sync_folder(folder)
    return kept


def settle(folder: int, temporary: str, name: str, keep_as: str | None) -> str | None:
    """Gives a prepared document its name, as `replace` does; the caller syncs the folder.

    Raises:
        OSError: Nothing was changed.
    """
    kept = set_aside(folder, name, keep_as) if keep_as else None
    try:
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        if kept:
            put_back(folder, kept, name)
        raise
    progress.made()
    return kept


def create(folder: int, name: str, text: bytes) -> None:
    """Writes a document that must not exist yet: of two at once one wins.

    Raises:
        FileExistsError: The other one won.
        OSError: Nothing was changed.
    """
    with prepared(folder, name, text) as temporary:
        settle_new(folder, temporary, name, text)
    sync_folder(folder)


def settle_new(folder: int, temporary: str, name: str, text: bytes) -> None:
    """Gives a prepared document its name, which nothing may have yet; the caller syncs the folder.

    Raises:
        FileExistsError: Another one has it.
        OSError: Nothing was changed.
    """
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        progress.made()
        _write_new(folder, name, text)
    progress.made()


def set_aside(folder: int, name: str, digest: str) -> str | None:
    """Moves a document out of the way of a new one and keeps it; the name it has now, None where there was none.

    The caller syncs the folder.

    Raises:
        OSError: As rename(2).
    """
    stem, _, suffix = name.rpartition(".")
    kept = f"{stem}.{digest}.{suffix}"
    copies = 1
    while _is_there(folder, kept):  # what was set aside before stays
        copies += 1
        kept = f"{stem}.{digest}-{copies}.{suffix}"
    try:
        os.rename(name, kept, src_dir_fd=folder, dst_dir_fd=folder)
    except FileNotFoundError:
        return None
    progress.made()
    return kept


def put_back(folder: int, kept: str, name: str) -> None:
    """Undoes `set_aside`, as far as that can be done."""
    with suppress(OSError):
        os.rename(kept, name, src_dir_fd=folder, dst_dir_fd=folder)


def remove(folder: int, name: str) -> None:
    """Removes a document durably; one that is gone already is no error.

    Raises:
        OSError: As unlink(2).
    """
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    progress.made()
    sync_folder(folder)


def sync_folder(folder: int) -> None:
    """Makes the names in a folder durable, as far as the file system can.

    Raises:
        OSError: As fsync(2).
    """
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    progress.made()


def try_writing(root: int) -> None:
    """Writes and removes a byte in `.volume-guard/`, which must exist.

    Raises:
        OSError: EROFS, ENOSPC, EDQUOT, EACCES and others say why writing fails.
    """
    folder = open_standing(root)
    try:
        name = _temporary_name("probe")
        _write_new(folder, name, b"?", durable=False)
        os.unlink(name, dir_fd=folder)
        progress.made()
    finally:
        os.close(folder)


def _write_temporary(folder: int, name: str, text: bytes) -> str:
    temporary = _temporary_name(name)
    _write_new(folder, temporary, text)
    _sweep(folder, temporary)
    return temporary


def _temporary_name(name: str) -> str:
    return f".{name}.{os.urandom(8).hex()}{_TEMPORARY}"


def _write_new(folder: int, name: str, text: bytes, *, durable: bool = True) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _FILE_MODE, dir_fd=folder)
    progress.made()
    try:
        _set_mode(descriptor, _FILE_MODE)
        rest = memoryview(text)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
            progress.made()
        if durable:
            os.fsync(descriptor)
            progress.made()
    except OSError:
        discard(folder, name)
        raise
    finally:
        os.close(descriptor)


def _set_mode(descriptor: int, mode: int) -> None:
    try:
        os.fchmod(descriptor, mode)
    except OSError as error:
        if error.errno not in _NO_MODES:
            raise
    progress.made()


def _is_there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    finally:
        progress.made()
    return True


def discard(folder: int, name: str) -> None:
    """Removes a document that was never to be one, as far as that can be done: a temporary one, or one of `settle_new`."""
    with suppress(OSError):
        os.unlink(name, dir_fd=folder)
    progress.made()


def _sweep(folder: int, newest: str) -> None:
    """Removes temporary files that a killed guard left behind: by the age that the newest gives them, on the server's clock."""
    with suppress(OSError), os.scandir(folder) as names:
        progress.made()
        before = os.stat(newest, dir_fd=folder, follow_symlinks=False).st_mtime - _ABANDONED
        progress.made()
        for entry in names:
            temporary = entry.name.startswith(".") and entry.name.endswith(_TEMPORARY)
            if temporary and entry.stat(follow_symlinks=False).st_mtime < before:
                discard(folder, entry.name)
