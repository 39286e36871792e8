"""Reads the text of /proc/self/mountinfo. Pure: whoever opens the file lives in `mounts`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: A comma inside the value of an option stays escaped: it does not separate options.
_COMMA = r"\054"
_ESCAPE = re.compile(r"\\([0-3][0-7]{2})")


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


@dataclass(frozen=True)
class MountTable:
    """All mounts of a mount namespace, in the kernel's order.

    Attributes:
        mounts: The lines that could be read.
        malformed: The lines that could not, as they stood. One foreign line must not hide the others.
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
            if (mount.mount_point.rstrip("/") + "/").startswith(below)
            or below.startswith(mount.mount_point.rstrip("/") + "/")
        )

    def below(self, directory: str) -> tuple[str, ...]:
        """Mount points strictly below a directory, relative to it."""
        prefix = directory.rstrip("/") + "/"
        points = (mount.mount_point for mount in self.mounts)
        return tuple(point[len(prefix) :] for point in points if point.startswith(prefix) and point != prefix)


class MountinfoError(ValueError):
    """A line is not in the format of proc_pid_mountinfo(5); the message quotes it."""


def unescape(field: str) -> str:
    r"""Undoes the kernel's octal escapes: `\040` space, `\011` tab, `\012` newline, `\134` backslash, `\043` #."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), field) if "\\" in field else field


def parse_line(line: str) -> Mount:
    """Reads one line.

    Raises:
        MountinfoError: The line has too few fields, or an ID is not a number.
    """
    # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    # (1)(2)(3)  (4)   (5)   (6)        (7)     (8)(9)  (10)      (11)
    # (7) zero or more optional fields; (8) a lone hyphen ends them; (10) may be empty: two spaces in a row.
    # Paths escape their spaces, so splitting on single spaces is exact, and a hyphen before (7) is a path.
    fields = line.split(" ")
    try:
        separator = fields.index("-", 6)
        fstype, source, *super_options = fields[separator + 1 :]
        mount_id, parent_id = int(fields[0]), int(fields[1])
    except ValueError:
        raise MountinfoError(f"not a line of mountinfo: {line!r}") from None
    return Mount(
        mount_id=mount_id,
        parent_id=parent_id,
        device=fields[2],
        root=unescape(fields[3]),
        mount_point=unescape(fields[4]),
        options=tuple(fields[5].split(",")),
        propagation=tuple(fields[6:separator]),
        fstype=unescape(fstype),
        source=unescape(source),
        super_options=unescape(" ".join(super_options).replace(_COMMA, r"\134054")),
    )


def parse(text: str) -> MountTable:
    """Reads a whole table. Never raises: what cannot be read stands in `malformed`."""
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
