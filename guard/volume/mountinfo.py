"""Reads the text of /proc/self/mountinfo. Pure: whoever opens the file lives in `mounts`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from guard.volume.paths import lineage

#: A comma inside the value of an option stays escaped: it does not separate options.
_COMMA = r"\054"
_ESCAPE = re.compile(r"\\([0-3][0-7]{2})")
_NUMBER = re.compile("[0-9]{1,20}")
_DEVICE = re.compile("[0-9]{1,20}:[0-9]{1,20}")


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo, unescaped.

    Attributes:
        mount_id: The kernel's ID of the mount; reused after an unmount.
        parent_id: The mount it is attached to.
        device: `major:minor` of the superblock.
        root: The directory of the file system that is the root of this mount.
        mount_point: Where it is attached, as seen by this process.
        options: Options of this mount alone (field 6): a read-only volumeMount shows here.
        propagation: The optional fields: `shared:N`, `master:N`, `propagate_from:N`, `unbindable`.
        fstype: File system type, with its subtype (`fuse.gcsfuse`).
        source: The device, server or bucket; may be empty.
        super_options: Options of the superblock, as one string, separated by commas.
    """

    mount_id: int
    parent_id: int
    device: str
    root: str
    mount_point: str
    options: tuple[str, ...]
    propagation: tuple[str, ...]
    fstype: str
    source: str
    super_options: str

    @property
    def receives_propagation(self) -> bool:
        """Whether a mount made elsewhere can still appear below this one (mount_namespaces(7))."""
        return any(tag.startswith(("shared:", "master:")) for tag in self.propagation)

    @property
    def is_fuse(self) -> bool:
        """Whether a FUSE file system, which may lack rename, is mounted."""
        return self.fstype.partition(".")[0] == "fuse"

    @property
    def is_deleted(self) -> bool:
        """Whether this is a bind mount of a folder that was deleted, also where one of the same name was made since."""
        return self.root.endswith("//deleted")


@dataclass(frozen=True)
class MountTable:
    """All mounts of a mount namespace, in the kernel's order.

    Attributes:
        mounts: The lines that could be read.
        malformed: The lines that could not, unchanged. One foreign line must not hide the others.
    """

    mounts: tuple[Mount, ...]
    malformed: tuple[str, ...] = ()

    def by_id(self, mount_id: int) -> Mount | None:
        """The mount with this ID, or None."""
        return next((mount for mount in self.mounts if mount.mount_id == mount_id), None)

    def at(self, mount_point: str) -> Iterator[Mount]:
        """Every mount attached at exactly this path, the oldest first."""
        return (mount for mount in self.mounts if mount.mount_point == mount_point)

    def around(self, path: str) -> tuple[Mount, ...]:
        """The mounts that decide what lies at a path: those on it, above it and below it."""
        below = path.rstrip("/") + "/"
        return tuple(
            mount
            for mount in self.mounts
            if (mount.mount_point.rstrip("/") + "/").startswith(below) or _leads_to(mount, path)
        )

    def in_force_at(self, path: str) -> Mount | None:
        """The mount that an absolute path without links leads to: from mount to mount, as the kernel goes down a path.

        None where the table does not tell. A descriptor tells more surely: see `mounts.in_force`.
        """
        known = {mount.mount_id for mount in self.mounts}
        on_the_way = [mount for mount in self.mounts if _leads_to(mount, path)]
        # The parent of the first is not in the table; gVisor names the first itself.
        first = [mount for mount in on_the_way if mount.parent_id not in known or mount.parent_id == mount.mount_id]
        found, following = None, max(reversed(first), key=_length, default=None)
        while following is not None:
            found = following
            on_the_way.remove(found)
            onwards = [mount for mount in on_the_way if mount.parent_id == found.mount_id]
            following = min(onwards, key=_length, default=None)
        return found

    def below(self, mount: Mount, directory: str) -> frozenset[str]:
        """Where other mounts are met strictly below a directory of a mount, relative to it.

        Mounts below an older mount at the same path are met by nobody, and neither is one that a later mount hides.
        """
        prefix = directory.rstrip("/") + "/"
        children: dict[int, list[Mount]] = {}
        for one in self.mounts:
            if one.mount_point.startswith(prefix) and one.mount_point != prefix:
                children.setdefault(one.parent_id, []).append(one)
        reached = [mount]
        for parent in reached:  # it grows as they are met
            met = children.pop(parent.mount_id, [])
            points = {one.mount_point for one in met}
            reached += [one for one in met if points.isdisjoint([*lineage(one.mount_point)][1:])]
        return frozenset(one.mount_point[len(prefix) :] for one in reached[1:])


def _leads_to(mount: Mount, path: str) -> bool:
    return (path.rstrip("/") + "/").startswith(mount.mount_point.rstrip("/") + "/")


def _length(mount: Mount) -> int:
    return len(mount.mount_point)


class MountinfoError(ValueError):
    """A line is not in the format of proc_pid_mountinfo(5); the message quotes it."""


def unescape(field: str) -> str:
    r"""Undoes the kernel's octal escapes: `\040` space, `\011` tab, `\012` newline, `\134` backslash, `\043` #."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), field) if "\\" in field else field


def parse_line(line: str) -> Mount:
    """Reads one line.

    Raises:
        MountinfoError: The line has too few fields, or an ID or a device is not a number.
    """
    # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    # (1)(2)(3)  (4)   (5)   (6)        (7)     (8)(9)  (10)      (11)
    # (1) mount ID                                  (7) propagation: zero or more fields
    # (2) parent ID                                 (8) a lone hyphen: ends (7)
    # (3) device, major:minor                       (9) file system type
    # (4) root of the mount in its file system      (10) source: may be empty, then two spaces stand in a row
    # (5) mount point                               (11) options of the superblock
    # (6) options of this mount
    # Paths escape their spaces, so splitting on single spaces is exact, and a hyphen before (7) is a path.
    fields = line.split(" ")
    try:
        separator = fields.index("-", 6)
        mount_id, parent_id, device, root, mount_point, options, *propagation = fields[:separator]
        fstype, source, super_options, *rest = fields[separator + 1 :]
    except ValueError:
        raise MountinfoError(f"not a line of mountinfo: {line!r}") from None
    if not (_NUMBER.fullmatch(mount_id) and _NUMBER.fullmatch(parent_id) and _DEVICE.fullmatch(device)):
        raise MountinfoError(f"not a line of mountinfo, an ID is no number: {line!r}")
    return Mount(
        mount_id=int(mount_id),
        parent_id=int(parent_id),
        device=device,
        root=unescape(root),
        mount_point=unescape(mount_point),
        options=tuple(options.split(",")),
        propagation=tuple(propagation),
        fstype=unescape(fstype),
        source=unescape(source),
        # Some file systems write a space into their options.
        super_options=unescape(" ".join([super_options, *rest]).replace(_COMMA, r"\134054")),
    )


@lru_cache(maxsize=1)  # a table is read often, and rarely changes
def parse(text: str) -> MountTable:
    """Reads a whole table. Never raises: what cannot be read is kept in `malformed`."""
    mounts: list[Mount] = []
    malformed: list[str] = []
    for line in text.split("\n"):
        if not line:
            continue
        try:
            mounts.append(parse_line(line))
        except MountinfoError:
            malformed.append(line)
    return MountTable(tuple(mounts), tuple(malformed))
