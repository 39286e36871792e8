"""What a look can say: facts about a path, never opinions. Pure values; they travel from the prober to the judgement."""

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from guard.volume.hold import Hold
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger
from guard.volume.marker import Marker
from guard.volume.mountinfo import Mount

#: The folder of the guard on the volume.
GUARD_FOLDER = ".volume-guard"
#: Names at the top of a volume that are not data: the guard's own folder, and where fsck puts what it finds.
NOT_DATA = frozenset({GUARD_FOLDER, "lost+found"})

#: So many hex digits of a SHA-256 tell a broken document from every other, and can be typed.
DIGITS = 12


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
    """What statvfs says, in the file system's own units.

    Attributes:
        used_blocks: Blocks in use.
        used_inodes: Inodes in use; 0 where the file system does not count them.
        fsid: The file system's ID: tells one superblock from another where device numbers are reused.
    """

    used_blocks: int
    used_inodes: int
    fsid: int


class Writing(Enum):
    """What became of trying a write, where writing is required."""

    NOT_TRIED = "not tried"
    WORKS = "works"
    FULL = "full"
    DENIED = "denied"


@dataclass(frozen=True)
class Identity:
    """Who looked, for messages about permission.

    Attributes:
        uid: Effective user.
        gid: Effective group.
        groups: Supplementary groups (fsGroup is one of them).
    """

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
        space: What statvfs says.
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
    read_only: str = ""
    writing: Writing = Writing.NOT_TRIED
    marker: Marker | InvalidDocument | None = None
    ledger: Ledger | InvalidDocument | None = None
    hold: Hold | InvalidDocument | None = None


@dataclass(frozen=True)
class CountOptions:
    """What to count.

    Attributes:
        entries: Entries of the reference whose counts are wanted, whatever the tree looks like now.
        enough: Stop above this many files; None counts them all.
        sizes: Read sizes too: one stat a file.
        inodes: Name the inode of every folder.
    """

    entries: frozenset[str] = frozenset()
    enough: int | None = None
    sizes: bool = False
    inodes: bool = False


@dataclass(frozen=True)
class FileCount:
    """What one count found. Never `.volume-guard`, a top-level `lost+found`, or anything on another mount.

    Attributes:
        files: Names that are not directories.
        exact: False where the count stopped early: then there are at least so many.
        entries: Files of each entry, and of each entry of the reference that was asked for, wherever it lies.
        depth: How many levels down the entries lie now; 0 where there are none. Those of the reference may lie elsewhere.
        empty: Files of size 0; None where sizes were not read.
        bytes: Sum of sizes; None where sizes were not read.
        folders: Directories, the root not counted.
        unreadable: Folders that could not be read, by path relative to the volume. What can't be read is not lost.
        more_unreadable: So many more could not be read that are not named: each lies in an entry that has one already.
        inodes: Inodes of the folders that were opened, where they were asked for.
        fault: The call that failed; the figures are then worth nothing.
        mount_id: Of the directory that was counted: the same as the look's, or the mount changed in between.
        root_inode: Likewise.
    """

    files: int
    exact: bool = True
    entries: Mapping[str, int] = field(default_factory=dict)
    depth: int = 0
    empty: int | None = None
    bytes: int | None = None
    folders: int = 0
    unreadable: tuple[str, ...] = ()
    more_unreadable: int = 0
    inodes: frozenset[int] = frozenset()
    fault: ProbeFault | None = None
    mount_id: int = 0
    root_inode: int = 0

    @property
    def unreadable_folders(self) -> int:
        """How many folders could not be read, named or not."""
        return len(self.unreadable) + self.more_unreadable
