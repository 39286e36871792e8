"""Opens /proc: the mount in force at an open descriptor. What the lines mean is for `mountinfo` and `kinds`."""

import os

from guard.volume import mountinfo
from guard.volume.mountinfo import Mount, MountTable

MOUNTINFO = "/proc/self/mountinfo"

#: Kernels before 5.8 can drop entries while the table changes: the table is read again so many times.
_ATTEMPTS = 5


def table() -> MountTable:
    """All mounts of this process.

    Raises:
        OSError: /proc is not mounted.
    """
    return mountinfo.parse(os.fsdecode(_read_all(MOUNTINFO)))


def in_force(descriptor: int) -> tuple[Mount | None, MountTable]:
    """The mount that a descriptor lies on, by mount ID: over-mounts and their order cannot mislead it.

    Args:
        descriptor: Open on the path; O_PATH is enough, and does not touch the volume.

    Returns:
        The mount, None where the table does not list its ID; and the table it was found in.

    Raises:
        OSError: /proc is not mounted.
    """
    wanted = mount_id(descriptor)
    for _ in range(_ATTEMPTS):
        mounts = table()
        mount = mounts.by_id(wanted)
        if mount:
            break
    return mount, mounts


def mount_id(descriptor: int) -> int:
    """The mount ID of a descriptor: `mnt_id` in proc_pid_fdinfo(5); where that is not shown (gVisor), found by its path.

    -1 where neither does.

    Raises:
        OSError: /proc is not mounted.
    """
    for line in _read_all(f"/proc/self/fdinfo/{descriptor}").split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"mnt_id":
            return int(value)
    found = table().in_force_at(os.readlink(f"/proc/self/fd/{descriptor}"))
    return found.mount_id if found else -1


def nested(descriptor: int) -> frozenset[str]:
    """Returns where other mounts lie below an open directory, relative to it.

    Raises:
        OSError: /proc is not mounted.
    """
    mount, mounts = in_force(descriptor)
    return mounts.below(mount, os.readlink(f"/proc/self/fd/{descriptor}")) if mount else frozenset()


def _read_all(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        chunks = []
        while chunk := os.read(descriptor, 1 << 16):
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        os.close(descriptor)
