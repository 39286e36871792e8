"""Opens /proc: the mount in force at an open descriptor. What the lines mean is for `mountinfo` and `kinds`."""

import os

from guard.volume import mountinfo
from guard.volume.mountinfo import Mount, MountTable

MOUNTINFO = "/proc/self/mountinfo"

#: Kernels before 5.8 can drop entries while the table changes: the table is read again so many times.
_ATTEMPTS = 5


def table() -> MountTable:
    """All mounts of this process."""
    return mountinfo.parse(os.fsdecode(_read_all(MOUNTINFO)))


def in_force(descriptor: int) -> tuple[Mount | None, MountTable]:
    """Returns the mount that a descriptor lies on, by mount ID: over-mounts and their order cannot mislead it.

    None where the table, which is returned too, does not list the ID. A descriptor with O_PATH is enough, and does not
    touch the volume.
    """
    wanted = mount_id(descriptor)
    for _ in range(_ATTEMPTS):
        mounts = table()
        mount = mounts.by_id(wanted)
        if mount:
            break
    return mount, mounts


def mount_id(descriptor: int) -> int:
    """The mount ID of a descriptor: `mnt_id` in proc_pid_fdinfo(5); without it (gVisor), of its path; -1 without both."""
    for line in _read_all(f"/proc/self/fdinfo/{descriptor}").split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"mnt_id":
            return int(value)
    found = table().in_force_at(os.readlink(f"/proc/self/fd/{descriptor}"))
    return found.mount_id if found else -1


def nested(descriptor: int) -> frozenset[str]:
    """Returns where other mounts lie below an open directory, relative to it."""
    mount, mounts = in_force(descriptor)
    return mounts.below(mount, os.readlink(f"/proc/self/fd/{descriptor}")) if mount else frozenset()


def _read_all(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.readall()
