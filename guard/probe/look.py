"""One look: every fact about a path, by descriptor and without following links below it. Prober only."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar, cast

from guard.probe import documents, mounts, progress
from guard.volume import hold, kinds, ledger, marker
from guard.volume.json_document import DocumentError, Format, FutureSchemaError
from guard.volume.marker import Marker
from guard.volume.mountinfo import Mount
from guard.volume.observation import GUARD_FOLDER, Identity, InvalidDocument, Look, Space, Writing

_Document = TypeVar("_Document")

#: For opening what may be anything: no link is followed, no FIFO is waited for, no terminal is taken.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY

_ABSENT = {
    errno.ENOENT: "no such path",
    errno.ENOTDIR: "not a directory",
    errno.ELOOP: "links that lead nowhere",
    errno.ENAMETOOLONG: "a name too long to exist",
}
_FILE_TYPES = {
    stat.S_IFREG: "a file",
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
}


@contextmanager
def opened(path: str, flags: int, folder: int | None = None, shown: str = "") -> Iterator[int]:
    """Opens a file or folder of the volume while a block runs; `shown` is its path in a fault."""
    progress.step(f"opening {shown or path}")
    descriptor = progress.call(os.open, path, flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def opened_root(path: str) -> AbstractContextManager[int]:
    """Opens the guarded directory for reading while a block runs; links in the path itself are resolved."""
    return opened(path, os.O_RDONLY | os.O_DIRECTORY)


def look(path: str, report: Callable[[Look], None], *, writes_for: str | None) -> Look:
    """Collects the facts, the harmless ones first; the documents are parsed where the look arrives, after its pickling.

    Args:
        path: Absolute.
        report: Gets what is known so far before anything that may block: the report of a hung volume needs it. Again
            where the calls take long: that is progress.
        writes_for: Try a write in `.volume-guard/` if the marker has this name: another volume is left alone.
    """
    facts: dict[str, Any] = {"path": path, "identity": identity()}
    try:
        with opened(path, os.O_PATH | os.O_DIRECTORY) as pinned:
            _add_mount_facts(facts, pinned)
            report(Look(**facts))
            if facts["mount"] is not None:
                with progress.reporting(lambda: report(Look(**facts))):
                    _add_volume_facts(facts, pinned, writes_for)
    except OSError as error:
        if error.errno in _ABSENT and "mount" not in facts:
            facts |= {"absent": True, "found_instead": _ABSENT[error.errno], **_nearest_mount(path)}
        else:
            facts["fault"] = progress.fault(error)
    return Look(**facts)


def identity() -> Identity:
    """Returns who looks: the effective user and its groups."""
    return Identity(os.geteuid(), os.getegid(), tuple(sorted(os.getgroups())))


def _nearest_mount(path: str) -> dict[str, object]:
    """The mount of the nearest existing parent: whether something can still be mounted at the path."""
    while path != "/":
        path = os.path.dirname(path)
        try:
            with opened(path, os.O_PATH) as descriptor:
                mount, table = mounts.in_force(descriptor)
                return {"mount": mount, "overlay_root": kinds.has_overlay_root(table)}
        except OSError:
            continue
    return {}


def _add_mount_facts(facts: dict[str, Any], pinned: int) -> None:
    progress.step(f"reading {mounts.MOUNTINFO}")
    facts["mount"] = None  # the path is there: what is missing from here on is /proc
    real_path = os.readlink(f"/proc/self/fd/{pinned}")
    mount, table = mounts.in_force(pinned)
    facts |= {"real_path": real_path, "mount": mount, "container": kinds.container_name(table)}
    if mount is None:
        quoted = f"; unreadable lines: {table.malformed[:3]}" if table.malformed else ""
        progress.step(f"finding its mount ID in {mounts.MOUNTINFO}{quoted}")
        facts["fault"] = progress.fault(OSError(errno.ENODATA, ""))
        return
    if mount.is_deleted:
        facts["real_path"] = real_path = real_path.removesuffix(" (deleted)")
    facts["is_mount_point"] = mount.mount_point == real_path and not mount.is_deleted
    facts["overlay_root"] = kinds.has_overlay_root(table)
    facts["kind"], facts["kind_reason"] = kinds.classify(mount, table)
    facts["nested"] = tuple(sorted(table.below(mount, real_path)))
    facts["read_only"] = _read_only(mount)


def _read_only(mount: Mount) -> str:
    if "ro" in mount.options:
        return "the mount is read-only (readOnly of the volumeMount)"
    if mount.fstype == "autofs":
        return "autofs only mounts what is asked for below it, and holds no files of its own"
    options = mount.super_options.split(",")
    if "ro" in options:
        return "the file system is mounted read-only (readOnly of the claim, or an error of the disk)"
    # ext4 with errors=remount-ro, from Linux 6.15: neither `ro` nor statvfs shows it, only this option and EROFS.
    return "the file system turned itself off for writing (emergency_ro)" if "emergency_ro" in options else ""


def _add_volume_facts(facts: dict[str, Any], pinned: int, writes_for: str | None) -> None:
    path = facts["path"]
    with opened(".", os.O_RDONLY | os.O_DIRECTORY, pinned, path) as root:
        progress.step(f"stat of {path}")
        facts["root_inode"] = progress.call(os.fstat, root).st_ino
        progress.step(f"statvfs of {path}")
        space = progress.call(os.fstatvfs, root)
        facts["space"] = Space(
            size=space.f_blocks * space.f_frsize,
            available=space.f_bavail * space.f_frsize,
            inodes=space.f_files,
            free_inodes=space.f_favail,
            used_inodes=space.f_files - space.f_ffree,
            fsid=space.f_fsid,
        )
        if space.f_flag & os.ST_RDONLY and not facts["read_only"]:
            facts["read_only"] = "statvfs reports read-only"
        # One name must be read before a folder counts as readable: a dead server answers stat from its cache.
        progress.step(f"listing {path}")
        with progress.call(os.scandir, root) as names:
            progress.call(next, names, None)
        facts |= _read_documents(root)
        # A marker without a ledger lies on a file system without rename, where a file that was tried would stay.
        if writes_for is not None and facts.get("ledger") is not None and not facts["read_only"]:
            found = _parsed(facts["marker"])
            if isinstance(found, Marker) and found.volume == writes_for:
                _try_writing(facts, root)


def _read_documents(root: int) -> dict[str, "_DocumentText | InvalidDocument | None"]:
    """Reads marker, hold and ledger below an open root, as far as there are any."""
    progress.step(f"stat of {GUARD_FOLDER}")
    try:
        found = progress.call(os.stat, GUARD_FOLDER, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        return {}
    if not stat.S_ISDIR(found.st_mode):
        return {"marker": InvalidDocument(f"{GUARD_FOLDER} is {_type_of(found)} instead of a directory", "")}
    with opened(GUARD_FOLDER, _READ | os.O_DIRECTORY, root) as folder:
        if mounts.mount_id(folder) != mounts.mount_id(root):
            return {"marker": InvalidDocument(f"another file system is mounted over {GUARD_FOLDER}", "")}
        return {
            "marker": _read_text(folder, marker.FORMAT),
            # Before the ledger: a release writes that first, and what it accepted must not be judged by what it replaced.
            "hold": _read_text(folder, hold.FORMAT),
            "ledger": _read_text(folder, ledger.FORMAT),
        }


@dataclass(frozen=True)
class _DocumentText:
    """A document as it was read. A look takes it to the parent as this text, and there it arrives parsed."""

    kind: Format[Any]
    text: bytes

    def __reduce__(self) -> tuple[Any, ...]:
        return _parse, (self.kind, self.text)


@lru_cache(maxsize=3)  # a watcher reads the same ones at every look
def _parse(kind: Format[Any], text: bytes) -> Any:
    try:
        return kind.parse(text)
    except DocumentError as error:
        return InvalidDocument(str(error), sha256(text), future=isinstance(error, FutureSchemaError))


def _parsed(found: _DocumentText | InvalidDocument | None) -> Any:
    return _parse(found.kind, found.text) if isinstance(found, _DocumentText) else found


def read_document(folder: int, kind: Format[_Document]) -> _Document | InvalidDocument | None:
    """Reads a document in an open `.volume-guard/`; None where there is none."""
    return cast("_Document | InvalidDocument | None", _parsed(_read_text(folder, kind)))


def _read_text(folder: int, kind: Format[Any]) -> _DocumentText | InvalidDocument | None:
    name, shown = kind.name, f"{GUARD_FOLDER}/{kind.name}"
    progress.step(f"stat of {shown}")
    try:
        found = progress.call(os.stat, name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return _not_regular(name, found)
    try:
        with opened(name, _READ, folder, shown) as descriptor:
            found = progress.call(os.fstat, descriptor)
            if not stat.S_ISREG(found.st_mode):
                return _not_regular(name, found)
            if mounts.mount_id(descriptor) != mounts.mount_id(folder):
                return InvalidDocument("another file system is mounted over it", "")
            progress.step(f"reading {shown}")
            return _DocumentText(kind, _read_at_most(descriptor, kind.limit + 1))
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENXIO}:  # removed or replaced since it was looked at
            return None
        raise


def _read_at_most(descriptor: int, room: int) -> bytes:
    chunks = []
    while room and (chunk := progress.call(os.read, descriptor, room)):
        chunks.append(chunk)
        room -= len(chunk)
    return b"".join(chunks)


def sha256(text: bytes) -> str:
    """Returns the SHA-256 of a broken document, in hex digits."""
    # OpenSSL takes more memory than all else here, and a broken document is rare.
    import hashlib  # noqa: PLC0415

    return hashlib.sha256(text).hexdigest()


def _not_regular(name: str, found: os.stat_result) -> InvalidDocument:
    what = _type_of(found)
    return InvalidDocument(f"{what} instead of a regular file", sha256(f"{what} {name} {found.st_ino}".encode()))


def _type_of(found: os.stat_result) -> str:
    return _FILE_TYPES.get(stat.S_IFMT(found.st_mode), "a device or socket")


def _try_writing(facts: dict[str, Any], root: int) -> None:
    progress.step(f"writing in {GUARD_FOLDER}", writing=True)
    try:
        facts["writing"] = Writing.WORKS if documents.try_writing(root) else Writing.NOT_TRIED
    except FileNotFoundError:
        return  # the folder was removed since the marker was read: the next look finds it so
    except OSError as error:
        fault = progress.fault(error)
        if fault.read_only:
            facts["read_only"] = "a write gave EROFS"
        elif fault.full:
            facts["writing"] = Writing.FULL
        elif fault.denied:
            facts["writing"] = Writing.DENIED
        else:
            raise
