"""The facts that a look collects about a path, never opinions. Pure values; they travel from the prober to the judgement."""

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from guard.volume.hold import Hold
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger
from guard.volume.marker import Marker
from guard.volume.mountinfo import Mount
from guard.volume.sample import FileCheck, SampledFile

#: The folder of the guard on the volume.
GUARD_FOLDER = ".volume-guard"
#: Above so many folders there is no tripwire: arming and following it would cost more than looking.
FOLDERS = 10_000
#: So many hex digits of a SHA-256 tell a broken document from every other, and can be typed.
DIGITS = 12
#: The SHA-256 of an empty file.
NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@dataclass(frozen=True)
class InvalidDocument:
    """A document on the volume that is there but is not what it should be.

    Attributes:
        reason: What is wrong with it, as a clause.
        sha256: The SHA-256 of what was read, in hex digits; empty where nothing could be.
        future: A newer guard wrote it, with a schema that this one does not know.
    """

    reason: str
    sha256: str
    future: bool = False

    @property
    def digest(self) -> str:
        """How it is named, by the guard and by a person who replaces it."""
        return self.sha256[:DIGITS]


#: No progress, and what a lost disk, server or daemon gives: the mount is what is wrong, also where a write meets it first.
_NO_ANSWER = frozenset(
    {0, errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.ENOTCONN, errno.ECONNABORTED, errno.ECONNRESET,
     errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.EREMOTEIO, errno.ESHUTDOWN}
)  # fmt: skip


@dataclass(frozen=True)
class ProbeFault:
    """A system call on the path that failed.

    Attributes:
        number: The errno; 0 for no progress in time.
        doing: What was tried, as a clause.
        writing: It was a write in `.volume-guard/`, and the volume had been read before.
    """

    number: int
    doing: str
    writing: bool = False

    @property
    def code(self) -> str:
        """The errno's name, as in the man pages."""
        return errno.errorcode.get(self.number, f"errno {self.number}") if self.number else "no progress"

    @property
    def read_only(self) -> bool:
        """Whether the file system refuses every write."""
        return self.number == errno.EROFS

    @property
    def full(self) -> bool:
        """Whether space or quota is what is missing. A full disk is not read-only."""
        return self.number in {errno.ENOSPC, errno.EDQUOT}

    @property
    def denied(self) -> bool:
        """Whether permission is what is missing. EACCES is not absence."""
        return self.number in {errno.EACCES, errno.EPERM}

    @property
    def in_place(self) -> bool:
        """Whether a write failed on a volume that answers: what is in the way lies there, and a new pod would meet it too."""
        return self.writing and self.number not in _NO_ANSWER


@dataclass(frozen=True)
class Space:
    """The result of statvfs.

    Attributes:
        size: Bytes of the file system.
        available: Bytes that this uid may still use.
        inodes: Inodes of the file system; 0 where it does not count them.
        free_inodes: Inodes that this uid may still use.
        used_inodes: Inodes in use.
        fsid: The file system's ID: tells one superblock from another where device numbers are reused.
    """

    size: int
    available: int
    inodes: int
    free_inodes: int
    used_inodes: int
    fsid: int

    @property
    def full(self) -> str:
        """What there is none of, "space" or "inodes"; empty where there is some of both."""
        if not self.available and self.size:
            return "space"
        return "inodes" if not self.free_inodes and self.inodes else ""


class Writing(Enum):
    """What became of trying a write, where writing is required."""

    NOT_TRIED = "not tried"
    WORKS = "works"
    FULL = "full"
    DENIED = "denied"


@dataclass(frozen=True)
class Identity:
    """Who looked, for messages about permission: effective user and group, supplementary groups (fsGroup is one of them)."""

    uid: int
    gid: int
    groups: tuple[int, ...]


@dataclass(frozen=True)
class Look:
    """Everything one look found, as far as it came.

    Attributes:
        path: The path that was asked for.
        identity: Who looked.
        real_path: The path with links resolved; empty where it could not be opened.
        absent: The path does not exist, or is not a directory; then `found_instead` says which.
        found_instead: What was there instead of a directory.
        fault: The call that failed; what comes after it was not looked at.
        mount: The mount in force at the path (of its nearest existing parent where it is absent).
        is_mount_point: The path is the root of that mount, and the folder behind it was not deleted.
        overlay_root: `/` is an overlay: in a container whose mounts were all made when it started.
        kind: The kind of that mount.
        kind_reason: The fact that tells the kind.
        container: This container's name in its pod, where it can be read.
        root_inode: Inode of the directory; with the mount, tells a moved or replaced root.
        space: The result of statvfs.
        nested: Where other mounts lie below the path, relative to it: what they hide can't be seen, and is never counted.
        read_only: The fact that tells that nothing can be written, as a clause; empty where none does.
        writing: What became of trying a write.
        marker: The marker; None where there is none.
        ledger: The ledger; None where there is none.
        hold: The hold; None where there is none.
    """

    path: str
    identity: Identity
    real_path: str = ""
    absent: bool = False
    found_instead: str = ""
    fault: ProbeFault | None = None
    mount: Mount | None = None
    is_mount_point: bool = False
    overlay_root: bool = False
    kind: Kind = Kind.UNKNOWN
    kind_reason: str = ""
    container: str | None = None
    root_inode: int = 0
    space: Space | None = None
    nested: tuple[str, ...] = ()
    read_only: str = ""
    writing: Writing = Writing.NOT_TRIED
    marker: Marker | InvalidDocument | None = None
    ledger: Ledger | InvalidDocument | None = None
    hold: Hold | InvalidDocument | None = None


@dataclass(frozen=True)
class CountOptions:
    """What to count, and what to look for on the way.

    Attributes:
        ignore: GUARD_IGNORE: patterns of paths that are no data.
        entries: Entries of the reference whose files are wanted, wherever the entries lie now.
        lost: Files of the sample that are not at their paths, to be found elsewhere.
        copied_after: A file of the same name is a copy of a lost one only if it came (ctime) after this ...
        copied_before: ... and before this, both in seconds since 1970: what comes after the loss brings nothing back.
        known: Paths of files that were there before the loss: they are copies of none.
        enough: Stop above this many files; None counts them all.
        unsampled: Where there are so many files, nothing came or went: no sample is chosen, for which sizes are read.
    """

    ignore: tuple[str, ...] = ()
    entries: frozenset[str] = frozenset()
    lost: tuple[SampledFile, ...] = ()
    copied_after: float = 0.0
    copied_before: float = 0.0
    known: frozenset[str] = frozenset()
    enough: int | None = None
    unsampled: int | None = None


@dataclass(frozen=True)
class FileCount:
    """What one count found: names that are not directories and not ignored, never on another mount.

    Attributes:
        files: How many; at least so many where it stopped early.
        exact: False where it stopped early.
        sample: Chosen from all files, not merged with the last one; empty where none was needed.
        depth: How many levels down the entries lie; 0 where there are none.
        entry_count: How many entries there are.
        entries: Files of each entry that the sample has files of, and of those that were asked for.
        elsewhere: Paths of those lost files that were found under another name.
        folders: Directories, the root not counted.
        unreadable: Folders that could not be read, by path relative to the volume; the first of them.
        unreadable_folders: How many there are.
        unreadable_entries: How many entries could not be read at all.
        in_lost_and_found: Names in `lost+found`, where fsck puts what it finds.
        fault: The call that failed; the figures are then worth nothing.
        mount_id: Of the directory that was counted, with root_inode: the look's, or the mount changed in between.
        seconds: How long it took.
    """

    files: int
    exact: bool = True
    sample: tuple[SampledFile, ...] = ()
    depth: int = 0
    entry_count: int = 0
    entries: Mapping[str, int] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()
    folders: int = 0
    unreadable: tuple[str, ...] = ()
    unreadable_folders: int = 0
    unreadable_entries: int = 0
    in_lost_and_found: int = 0
    fault: ProbeFault | None = None
    mount_id: int = 0
    root_inode: int = 0
    seconds: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether a reference can be made of it: every file was counted, and a sample chosen."""
        return self.exact and bool(self.sample or not self.files)


@dataclass(frozen=True)
class FilesChecked:
    """What a check of sampled files found.

    Attributes:
        checks: By path; files that were not checked any more are missing (a server that gave up, or enough were kept).
        fault: The call that failed, other than for what a file can be: absent, unreadable or hidden.
        mount_id: Of the directory below which they were looked for, with root_inode.
    """

    checks: Mapping[str, FileCheck] = field(default_factory=dict)
    fault: ProbeFault | None = None
    mount_id: int = 0
    root_inode: int = 0


@dataclass(frozen=True)
class TripwireState:
    """How the tripwire is.

    Attributes:
        armed: It is up, on the directory that is in force, with living threads.
        blind: Why part or all of the tree is not watched, as a clause; empty where all of it is.
        tripped: A storm of events took it down: no blindness.
        stirred: Names were created, moved or removed since this was last asked.
        watches: Folders that it watches.
    """

    armed: bool = False
    blind: str = ""
    tripped: bool = False
    stirred: bool = False
    watches: int = 0


@dataclass(frozen=True)
class LookResult:
    """A look, and the sampled files that it was asked to check: None where it did not come that far."""

    look: Look
    checked: FilesChecked | None = None
    tripwire: TripwireState = field(default_factory=TripwireState)


def is_same_mount(look: Look, part: FilesChecked | FileCount) -> bool:
    """Returns whether files were checked or counted on the mount that was looked at."""
    mount_id = look.mount.mount_id if look.mount else None
    return (part.mount_id, part.root_inode) == (mount_id, look.root_inode)
