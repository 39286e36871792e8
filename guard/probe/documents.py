"""Writes in `.volume-guard/`: durably, in one way, and nothing anywhere else. Prober only."""

import errno
import fcntl
import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from guard.probe import mounts, progress
from guard.probe.progress import call
from guard.volume import hold, ledger, marker
from guard.volume.observation import GUARD_FOLDER

MARKER, LEDGER, HOLD = marker.FORMAT.name, ledger.FORMAT.name, hold.FORMAT.name

#: Group-writable: adoption often runs as root, the watcher as the application's uid, and both share the fsGroup.
_FOLDER_MODE = 0o775
_FILE_MODE = 0o664
_SET_GROUP_ID = 0o2000

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_EXISTING = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_NEW = _EXISTING | os.O_CREAT | os.O_EXCL
_TEMPORARY = ".tmp"
#: With the pid in the names of temporary files: where none can be removed, each process leaves one, not one for each write.
_RUN = os.urandom(8).hex()
#: Seconds after which a temporary file belongs to nobody any more: a write takes far less.
_ABANDONED = 3600
#: Names that are listed, and temporary files whose age is read, at each write: whoever can write here can make a million.
_LISTED, _SWEPT = 10_000, 100
#: Names under which a document can be kept; somebody made all of them where none is free.
_KEPT = 1000
#: Seconds to wait for another command on the same volume. Whoever may read the folder can lock it, so no lock is waited
#: for longer: it only makes collisions rare, and what each write is made beside is checked all the same.
_LOCK_PATIENCE = 2.0
_LOCK_PAUSE = 0.05

#: File systems that lack a call (hard links, modes that the mount sets, names that can't be changed, folders that can't
#: be synced) answer with one of these.
_UNSUPPORTED = frozenset({errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})


@contextmanager
def guard_folder(root: int) -> Iterator[int]:
    """Opens `.volume-guard/` below an open root while a block runs, locked where the file system has locks."""
    progress.step(f"opening {GUARD_FOLDER}", writing=True)
    folder = call(os.open, GUARD_FOLDER, _FOLDER, dir_fd=root)
    try:
        if mounts.mount_id(folder) != mounts.mount_id(root):
            raise OSError(errno.EXDEV, f"another file system is mounted over {GUARD_FOLDER}")
        _lock(folder)
        yield folder
    finally:
        os.close(folder)  # and with it the lock


def _lock(folder: int) -> None:
    until = time.monotonic() + _LOCK_PATIENCE
    while time.monotonic() < until:
        try:
            call(fcntl.flock, folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE)
        except OSError:  # NFS locks no directory, some FUSE file systems lock nothing
            return
        else:
            return


def make_folder(root: int) -> None:
    """Makes `.volume-guard/` below an open root, if there is none."""
    progress.step(f"making {GUARD_FOLDER}", writing=True)
    try:
        call(os.mkdir, GUARD_FOLDER, _FOLDER_MODE, dir_fd=root)
    except FileExistsError:
        return
    # The umask is an accident of the image; a set-group-ID bit from the parent (fsGroup) must stay.
    folder = call(os.open, GUARD_FOLDER, _FOLDER, dir_fd=root)
    try:
        _set_mode(folder, _FOLDER_MODE | (os.fstat(folder).st_mode & _SET_GROUP_ID))
    finally:
        os.close(folder)
    _sync_folder(root)


def renames(root: int) -> bool:
    """Returns whether names can be changed here. Ledger and hold are only written where they can.

    It is tried on `.volume-guard/` itself, whatever lies in it: without rename and unlink both a file made for it would stay.
    """
    away = _temporary_name(GUARD_FOLDER)
    try:
        call(os.rename, GUARD_FOLDER, away, src_dir_fd=root, dst_dir_fd=root)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return False
        raise
    call(os.rename, away, GUARD_FOLDER, src_dir_fd=root, dst_dir_fd=root)
    return True


def write(folder: int, name: str, text: bytes, *, keep_as: str | None = None) -> str | None:
    """Writes a document so that after a crash, or an error, either the old or the new one is there, whole.

    Args:
        folder: `.volume-guard/`.
        name: The document.
        text: Its text.
        keep_as: The digest or ID that the old one is kept under; None to replace it.

    Returns:
        What the old one is called now; None if none was kept.
    """
    with staged(folder, name, text) as temporary:
        return commit(folder, temporary, name, keep_as)


def commit(folder: int, temporary: str, name: str, keep_as: str | None) -> str | None:
    """Gives a staged document its name, as `write` does."""
    kept = keep(folder, name, keep_as) if keep_as else None
    call(os.rename, temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    return kept


def commit_exclusive(folder: int, temporary: str, name: str) -> None:
    """Gives a staged document its name, which no other may have: of two at once one wins, the other gets FileExistsError."""
    try:
        call(os.link, temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        # Without hard links two at once can both win; in place it could be left empty by a kill, which is worse.
        if _is_there(folder, name):
            raise FileExistsError(errno.EEXIST, name) from None
        call(os.rename, temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def create_in_place(folder: int, name: str, text: bytes) -> None:
    """Writes a document on a file system without rename: only where there is none, or one that a kill left empty."""
    try:
        _write_file(folder, name, text)
    except FileExistsError:
        if call(os.stat, name, dir_fd=folder, follow_symlinks=False).st_size:
            raise
        _write_file(folder, name, text, flags=_EXISTING)
    _sync_folder(folder)


@contextmanager
def staged(folder: int, name: str, text: bytes) -> Iterator[str]:
    """Writes a document under a temporary name, durably, which is given its own in the block, and durable after it."""
    temporary = _temporary_name(name)
    progress.step(f"removing {GUARD_FOLDER}/{temporary}", writing=True)
    if not _is_removed(folder, temporary):
        raise OSError(errno.EPERM, "no name can be removed here")
    try:
        _write_file(folder, temporary, text)
        _sweep(folder, temporary)
        yield temporary
    finally:
        with suppress(OSError):
            _is_removed(folder, temporary)
    _sync_folder(folder)


def _temporary_name(name: str) -> str:
    return f".{name}.{_RUN}-{os.getpid()}{_TEMPORARY}"


def _write_file(folder: int, name: str, text: bytes, *, flags: int = _NEW, durable: bool = True) -> None:
    progress.step(f"writing {GUARD_FOLDER}/{name}", writing=True)
    descriptor = call(os.open, name, flags, _FILE_MODE, dir_fd=folder)
    try:
        try:
            _set_mode(descriptor, _FILE_MODE)
            rest = memoryview(text)
            while rest:
                rest = rest[call(os.write, descriptor, rest) :]
            if durable:
                call(os.fsync, descriptor)
        finally:
            call(os.close, descriptor)  # servers may write, and fail, here
    except OSError:
        with suppress(OSError):
            _is_removed(folder, name)
        raise


def _set_mode(descriptor: int, mode: int) -> None:
    try:
        call(os.fchmod, descriptor, mode)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def _sync_folder(folder: int) -> None:
    # What was written has its name already, and is done: a disk that fails here fails the next look.
    with suppress(OSError):
        call(os.fsync, folder)


def _sweep(folder: int, newest: str) -> None:
    """Removes temporary files that a killed guard left behind: by the age that the newest gives them, on the server's clock."""
    with suppress(OSError):
        before = call(os.stat, newest, dir_fd=folder, follow_symlinks=False).st_mtime - _ABANDONED
        with call(os.scandir, folder) as entries:
            names = (entry.name for entry in iter(lambda: call(next, entries, None), None))
            listed = itertools.islice(names, _LISTED)
            temporary = (name for name in listed if name.startswith(".") and name.endswith(_TEMPORARY))
            for name in itertools.islice(temporary, _SWEPT):
                if call(os.stat, name, dir_fd=folder, follow_symlinks=False).st_mtime < before:
                    call(os.unlink, name, dir_fd=folder)


def keep(folder: int, name: str, digest: str) -> str | None:
    """Keeps a document under another name, beside its own where there are hard links; returns it, None if there is none."""
    progress.step(f"renaming {GUARD_FOLDER}/{name}", writing=True)
    stem, _, suffix = name.rpartition(".")
    names = (f"{stem}.{digest}{f'-{number}' if number > 1 else ''}.{suffix}" for number in range(1, _KEPT))
    kept = next((other for other in names if not _is_there(folder, other)), None)
    if kept is None:
        raise OSError(errno.EEXIST, "every name it can be kept under is taken")
    try:
        call(os.link, name, kept, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError:
        call(os.rename, name, kept, src_dir_fd=folder, dst_dir_fd=folder)
    return kept


def remove(folder: int, name: str) -> None:
    """Removes a document durably; one that is gone already is no error."""
    progress.step(f"removing {GUARD_FOLDER}/{name}", writing=True)
    with suppress(FileNotFoundError):
        call(os.unlink, name, dir_fd=folder)
    _sync_folder(folder)


def _is_there(folder: int, name: str) -> bool:
    try:
        call(os.stat, name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def try_writing(root: int) -> bool:
    """Writes and removes a byte in `.volume-guard/`, which must exist.

    Returns:
        Whether it was tried: not where an earlier file can't be removed, since another would stay as well.
    """
    name = f".probe-{os.geteuid()}{_TEMPORARY}"
    folder = call(os.open, GUARD_FOLDER, _FOLDER, dir_fd=root)
    try:
        if not _is_removed(folder, name):
            return False
        with suppress(FileExistsError):  # another guard's, at this moment
            _write_file(folder, name, b"?", durable=False)
            _is_removed(folder, name)
    finally:
        os.close(folder)
    return True


def _is_removed(folder: int, name: str) -> bool:
    try:
        call(os.unlink, name, dir_fd=folder)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in _UNSUPPORTED - {errno.EACCES}:  # chattr +a, or a file system without unlink
            return False
        raise
    return True
