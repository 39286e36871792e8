"""Why an outcome holds: a closed set, from which every message follows. Pure."""

import errno
from enum import Enum

from guard.volume.kinds import Kind
from guard.volume.observation import Look, ProbeFault


class Cause(Enum):
    """Why an outcome holds, as far as it changes what to do: found, expected and steps follow from it (`messages`)."""

    ABSENT = "the path is absent or no directory"
    NO_PROGRESS = "no call came back in time"
    SERVER_GONE = "the server or daemon does not answer"
    DEVICE_GONE = "the device is gone"
    DAMAGED = "the file system is damaged"
    DENIED = "permission is denied"
    DENIED_TO_ROOT = "permission is denied to root"
    NO_RENAME = "the file system has no rename"
    NO_SPACE = "a write found no space"
    NO_INODES = "a write found no inode"
    LIMITED = "the guard has too few descriptors or too little memory"
    BUSY = "another command writes"
    CHANGING = "mounts come and go"
    IN_THE_WAY = "something in the guard's folder prevents a write"
    NO_MOUNT = "the mount table does not list the mount"
    OTHER_ERROR = "another error"
    SOURCE_DELETED = "the folder behind the bind mount was deleted"
    PLAIN_DIRECTORY = "nothing is mounted"
    INSIDE_VOLUME = "a folder inside a mounted volume"
    EPHEMERAL = "the mount ends with the pod"
    NODE_DISK = "the node's own disk"
    KIND = "the kind is not listed"
    MARKER_BROKEN = "the marker is broken"
    MARKER_FUTURE = "a newer guard wrote the marker"
    MARKER_BLOCKED = "the guard's folder cannot be read"
    UNMARKED = "no marker, no ledger"
    MARKER_GONE = "no marker beside a ledger"
    OTHER_MARKER = "another volume's marker"
    HELD = "somebody works on it"
    RESTORING = "a restore is going on or was interrupted"
    READ_ONLY = "nothing can be written"
    READ_ONLY_FOR_COMMAND = "nothing can be written, and the command has to write"
    FILES_LOST = "known files are lost"
    TOO_FEW_FILES = "fewer files than GUARD_MIN_FILES"


_BY_ERRNO = {
    0: Cause.NO_PROGRESS,
    errno.EBADMSG: Cause.DAMAGED,
    errno.EUCLEAN: Cause.DAMAGED,
    errno.ENXIO: Cause.DEVICE_GONE,
    errno.ENODEV: Cause.DEVICE_GONE,
    errno.EMFILE: Cause.LIMITED,
    errno.ENFILE: Cause.LIMITED,
    errno.ENOMEM: Cause.LIMITED,
} | dict.fromkeys(
    (errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.ECONNABORTED,
     errno.ECONNRESET, errno.EREMOTEIO, errno.ESHUTDOWN, errno.EKEYEXPIRED, errno.EKEYREJECTED, errno.ENOKEY),
    Cause.SERVER_GONE,
)  # fmt: skip
_NO_RENAME = frozenset({errno.ENOSYS, errno.EOPNOTSUPP})


def cause_of_fault(look: Look, fault: ProbeFault) -> Cause:
    """Returns why a call on the volume failed."""
    if fault.number in _BY_ERRNO:
        return _BY_ERRNO[fault.number]
    if fault.number == errno.EIO:
        return Cause.SERVER_GONE if look.kind in {Kind.NETWORK, Kind.FUSE} else Cause.DAMAGED
    if fault.full:
        return Cause.NO_INODES if look.space and look.space.full == "inodes" else Cause.NO_SPACE
    if fault.denied:
        return Cause.DENIED if look.identity.uid else Cause.DENIED_TO_ROOT
    if fault.writing and fault.number in _NO_RENAME:
        return Cause.NO_RENAME
    if fault.number == errno.EAGAIN:
        return Cause.BUSY if fault.writing else Cause.CHANGING
    if look.mount is None:
        return Cause.NO_MOUNT
    return Cause.IN_THE_WAY if fault.in_place else Cause.OTHER_ERROR
