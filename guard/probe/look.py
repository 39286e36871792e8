"""One look: every fact about a path, by descriptor and without following links below it. Runs in the prober only."""

import errno
import os
import stat
from collections.abc import Callable
from typing import TypeVar

from guard.probe import documents, mounts, progress
from guard.volume import hold, kinds, ledger, marker
from guard.volume.json_document import DocumentError, FutureSchemaError
from guard.volume.marker import Marker
from guard.volume.mountinfo import Mount
from guard.volume.observation import GUARD_FOLDER, Identity, InvalidDocument, Look, ProbeFault, Space, Writing

_Document = TypeVar("_Document")

#: For opening what may be anything: no link is followed, no FIFO is waited for, no terminal is taken.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY

_ABSENT = {
    errno.ENOENT: "no such path",
    errno.ENOTDIR: "not a directory",
    errno.ELOOP: "links that lead nowhere",
    errno.ENAMETOOLONG: "a name too long to exist",
}


class Unreachable(Exception):  # noqa: N818 - named as its outcome
    """A call on the path failed; carries the fault."""

    def __init__(self, fault: ProbeFault) -> None:
        super().__init__(fault)
        self.fault = fault


def open_root(path: str) -> int:
    """Opens the guarded directory for reading; links in the path itself are resolved.

    Raises:
        OSError: As open(2).
    """
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    progress.made()
    return root


def look(path: str, said: Callable[[Look], None], *, writes_for: str | None) -> Look:
    """Collects the facts, the harmless ones first.

    Args:
        path: Absolute.
        said: Is told what is known so far before anything that may block: the report of a hung volume needs it. Again
            where the calls take long: that is progress.
        writes_for: Try a write in `.volume-guard/` where the marker carries this name: another volume is left alone.
    """
    facts: dict[str, object] = {"path": path, "identity": identity()}
    try:
        pinned = os.open(path, os.O_PATH | os.O_DIRECTORY)
    except OSError as error:
        if error.errno in _ABSENT:
            instead = _ABSENT[error.errno]
            return Look(**facts, absent=True, found_instead=instead, **_nearest_mount(path))  # type: ignore[arg-type]
        return Look(**facts, fault=ProbeFault(error.errno or 0, f"opening {path}"))  # type: ignore[arg-type]
    try:
        facts |= _mount_facts(pinned)
        said(Look(**facts))  # type: ignore[arg-type]
        try:
            with progress.told(lambda: said(Look(**facts))):  # type: ignore[arg-type]
                facts |= _volume_facts(pinned, facts, writes_for=writes_for)
        except Unreachable as error:
            facts["fault"] = error.fault
    finally:
        os.close(pinned)
    return Look(**facts)  # type: ignore[arg-type]


def identity() -> Identity:
    """Who looks: the effective user and its groups."""
    return Identity(os.geteuid(), os.getegid(), tuple(sorted(os.getgroups())))


def _nearest_mount(path: str) -> dict[str, object]:
    """The mount of the nearest existing parent: tells whether something can still be mounted at the path."""
    while path != "/":
        path = os.path.dirname(path)
        try:
            descriptor = os.open(path, os.O_PATH)
        except OSError:
            continue
        try:
            mount, table = mounts.in_force(descriptor)
            return {"mount": mount, "overlay_root": kinds.has_overlay_root(table)}
        finally:
            os.close(descriptor)
    return {}


def _mount_facts(pinned: int) -> dict[str, object]:
    real_path = os.readlink(f"/proc/self/fd/{pinned}")
    mount, table = mounts.in_force(pinned)
    facts: dict[str, object] = {"real_path": real_path, "mount": mount, "container": kinds.container_name(table)}
    if mount is None:
        quoted = f"; unreadable lines: {table.malformed[:3]}" if table.malformed else ""
        facts["fault"] = ProbeFault(errno.ENODATA, f"finding its mount ID in {mounts.MOUNTINFO}{quoted}")
        return facts
    if mount.is_deleted:
        facts["real_path"] = real_path = real_path.removesuffix(" (deleted)")
    facts["is_mount_point"] = mount.mount_point == real_path and not mount.is_deleted
    facts["overlay_root"] = kinds.has_overlay_root(table)
    facts["kind"], facts["kind_reason"] = kinds.classify(mount, table)
    facts["read_only"] = _read_only(mount)
    return facts


def _read_only(mount: Mount) -> str:
    if "ro" in mount.options:
        return "the mount is read-only (readOnly of the volumeMount)"
    if mount.fstype == "autofs":
        return "autofs only mounts what is asked for below it, and holds no files of its own"
    options = mount.super_options.split(",")
    if "ro" in options:
        return "the file system is mounted read-only (readOnly of the claim, or an error of the disk)"
    # ext4 with errors=remount-ro, from Linux 6.15: neither `ro` nor statvfs tells, only this option and EROFS.
    return "the file system turned itself off for writing (emergency_ro)" if "emergency_ro" in options else ""


def _volume_facts(pinned: int, known: dict[str, object], *, writes_for: str | None) -> dict[str, object]:
    path = known["path"]
    if known.get("fault"):
        return {}
    with _Opened(".", os.O_RDONLY | os.O_DIRECTORY, pinned, f"opening {path}") as root:
        facts: dict[str, object] = {"root_inode": _call(lambda: os.fstat(root).st_ino, f"stat of {path}")}
        space = _call(lambda: os.fstatvfs(root), f"statvfs of {path}")
        facts["space"] = Space(space.f_blocks - space.f_bfree, space.f_files - space.f_ffree, space.f_fsid)
        if space.f_flag & os.ST_RDONLY and not known["read_only"]:
            facts["read_only"] = "statvfs says read-only"
        # One name must be read before a folder counts as readable: a dead server answers stat from its cache.
        _call(lambda: _first_name(root), f"listing {path}")
        facts |= _documents(root, f"{path}/{GUARD_FOLDER}")
        found = facts.get("marker")
        ours = isinstance(found, Marker) and found.volume == writes_for
        if ours and not known["read_only"] and not facts.get("read_only"):
            facts |= _try_writing(root)
    return facts


def _first_name(root: int) -> None:
    with os.scandir(root) as names:
        progress.made()
        next(names, None)


def _documents(root: int, folder_path: str) -> dict[str, object]:
    try:
        found = os.stat(GUARD_FOLDER, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Unreachable(ProbeFault(error.errno or 0, f"stat of {folder_path}")) from None
    progress.made()
    if not stat.S_ISDIR(found.st_mode):
        return {"marker": InvalidDocument(f"unreadable: {GUARD_FOLDER} is {_what(found)} instead of a directory", "")}
    with _Opened(GUARD_FOLDER, _READ | os.O_DIRECTORY, root, f"opening {folder_path}") as folder:
        return {
            "marker": document(folder, documents.MARKER, marker.LIMIT, marker.parse),
            # Before the ledger: a release writes that first, and what it accepted must not be judged by what it replaced.
            "hold": document(folder, documents.HOLD, hold.LIMIT, hold.parse),
            "ledger": document(folder, documents.LEDGER, ledger.LIMIT, ledger.parse),
        }


def document(
    folder: int, name: str, limit: int, parse: Callable[[bytes], _Document]
) -> _Document | InvalidDocument | None:
    """Reads one document of the guard; None where there is none.

    Raises:
        Unreachable: It is there, and cannot be read.
    """
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreachable(ProbeFault(error.errno or 0, f"stat of {GUARD_FOLDER}/{name}")) from None
    finally:
        progress.made()
    if not stat.S_ISREG(found.st_mode):
        return _not_regular(found, name)
    text = readdocument(folder, name, limit)
    if text is None:
        return None
    try:
        return parse(text)
    except DocumentError as error:
        return InvalidDocument(str(error), sha256(text), future=isinstance(error, FutureSchemaError))


def readdocument(folder: int, name: str, limit: int) -> bytes | None:
    """Reads at most limit + 1 bytes of a regular file; None where it is gone or no longer one.

    Raises:
        Unreachable: It is there, and cannot be read.
    """
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENXIO}:
            return None
        raise Unreachable(ProbeFault(error.errno or 0, f"opening {GUARD_FOLDER}/{name}")) from None
    progress.made()
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return _call(lambda: _read_at_most(descriptor, limit + 1), f"reading {GUARD_FOLDER}/{name}")
    finally:
        os.close(descriptor)


def _read_at_most(descriptor: int, room: int) -> bytes:
    chunks = []
    while room and (chunk := os.read(descriptor, room)):
        progress.made()
        chunks.append(chunk)
        room -= len(chunk)
    return b"".join(chunks)


def sha256(text: bytes) -> str:
    """The SHA-256 of a broken document, in hex digits."""
    # OpenSSL takes more memory than all else here, and a broken document is rare.
    import hashlib  # noqa: PLC0415

    return hashlib.sha256(text).hexdigest()


def _not_regular(found: os.stat_result, name: str) -> InvalidDocument:
    kind = _what(found)
    return InvalidDocument(f"{kind} instead of a regular file", sha256(f"{kind} {name} {found.st_ino}".encode()))


def _what(found: os.stat_result) -> str:
    kinds_of_file = {
        stat.S_IFREG: "a file",
        stat.S_IFLNK: "a link",
        stat.S_IFDIR: "a directory",
        stat.S_IFIFO: "a FIFO",
    }
    return kinds_of_file.get(stat.S_IFMT(found.st_mode), "a device or socket")


def _try_writing(root: int) -> dict[str, object]:
    try:
        documents.try_writing(root)
    except FileNotFoundError:
        return {}  # the folder went away since the marker was read: the next look will say so
    except OSError as error:
        if error.errno == errno.EROFS:
            return {"read_only": "a write gave EROFS"}
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return {"writing": Writing.FULL}
        if error.errno in {errno.EACCES, errno.EPERM}:
            return {"writing": Writing.DENIED}
        raise Unreachable(ProbeFault(error.errno or 0, f"writing in {GUARD_FOLDER}", writing=True)) from None
    return {"writing": Writing.WORKS}


_Result = TypeVar("_Result")


def _call(call: Callable[[], _Result], doing: str) -> _Result:
    try:
        return call()
    except OSError as error:
        raise Unreachable(ProbeFault(error.errno or 0, doing)) from None
    finally:
        progress.made()


class _Opened:
    """A descriptor for the length of a block, opened below another one."""

    def __init__(self, name: str, flags: int, folder: int, doing: str) -> None:
        self.descriptor = _call(lambda: os.open(name, flags, dir_fd=folder), doing)

    def __enter__(self) -> int:
        return self.descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)
