"""Which kind of volume a mount is: one written table of file system types, roots and devices. Pure."""

from collections.abc import Iterable
from enum import Enum

from guard.report.text import truncate
from guard.volume.mountinfo import Mount, MountTable


class Kind(Enum):
    """The kinds that GUARD_KINDS lists."""

    BLOCK = "block"
    NETWORK = "network"
    FUSE = "fuse"
    NODE_DISK = "node-disk"
    MEMORY = "memory"
    EMPTY_DIR = "empty-dir"
    CONFIG = "config"
    OVERLAY = "overlay"
    UNKNOWN = "unknown"


#: Kinds that die with the pod.
EPHEMERAL_KINDS = frozenset({Kind.MEMORY, Kind.EMPTY_DIR, Kind.CONFIG, Kind.OVERLAY})

#: File systems on a device of their own.
_BLOCK = frozenset(
    {
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "zfs",
        "f2fs",
        "jfs",
        "nilfs2",
        "bcachefs",
        "reiserfs",
        "ocfs2",
        "gfs2",
        "vfat",
        "exfat",
        "ntfs",
        "ntfs3",
        "hfsplus",
        "squashfs",
        "erofs",
        "iso9660",
        "udf",
    }
)
#: File systems of a server.
_NETWORK = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ceph",
        "lustre",
        "9p",
        "afs",
        "gpfs",
        "beegfs",
        "beegfs_nodev",
        "glusterfs",
        "orangefs",
        "pvfs2",
        "panfs",
        "wekafs",
        "coda",
    }
)
#: Root file systems of containers, and what image volumes look like.
_OVERLAY = frozenset({"overlay", "overlayfs", "aufs", "unionfs", "fuse.fuse-overlayfs", "fuse-overlayfs"})
_MEMORY = frozenset({"tmpfs", "ramfs", "hugetlbfs"})

#: The kubelet's folders for volumes that it fills itself (pkg/volume/*, `kubernetes.io~<plugin>` in a mount's root).
_CONFIG_FOLDERS = frozenset(
    {"kubernetes.io~configmap", "kubernetes.io~secret", "kubernetes.io~projected", "kubernetes.io~downward-api"}
)
_EMPTY_DIR_FOLDER = "kubernetes.io~empty-dir"

#: Files that the kubelet binds into every container from its own folder, so from the node's disk.
_NODE_FILES = ("/etc/hosts", "/dev/termination-log")

#: How this container's name is found: .../pods/<uid>/containers/<name>/<hash> is the root of its termination log.
_TERMINATION_LOG = "/dev/termination-log"


def node_devices(table: MountTable) -> frozenset[str]:
    """Devices (`major:minor`) of the node's own disk: of the kubelet's files, and of the disk that holds `/`."""
    return frozenset(mount.device for point in (*_NODE_FILES, "/") for mount in table.at(point))


def classify(mount: Mount, table: MountTable) -> tuple[Kind, str]:
    """The kind of a mount, and the fact that tells it, as a clause.

    Args:
        mount: The mount in force at the guarded path.
        table: All mounts of the same mount namespace; tells the node's own disk.
    """
    folders = mount.root.split("/")
    if _EMPTY_DIR_FOLDER in folders:
        return Kind.EMPTY_DIR, f"its root {truncate(mount.root)} is an emptyDir"
    if not _CONFIG_FOLDERS.isdisjoint(folders):
        return Kind.CONFIG, f"its root {truncate(mount.root)} is filled by the kubelet"
    if mount.fstype in _MEMORY:
        return Kind.MEMORY, f"{mount.fstype} is memory"
    if mount.fstype in _OVERLAY:
        return Kind.OVERLAY, f"{mount.fstype} is a container's or an image's file system"
    if _sandboxed(mount):
        return (
            Kind.UNKNOWN,
            f"{mount.fstype} of source {truncate(mount.source) or 'nothing'} tells nothing (a sandboxed runtime?)",
        )
    if mount.device in node_devices(table):
        return Kind.NODE_DISK, f"device {mount.device} is the node's own disk (folder {truncate(mount.root)})"
    if _kubelet_folder(folders):
        return (
            Kind.NODE_DISK,
            f"its root {truncate(mount.root)} is the kubelet's own folder: nothing was mounted there on the node",
        )
    if mount.fstype in {"fuse", "fuseblk"} or mount.fstype.startswith("fuse."):
        return Kind.FUSE, f"{mount.fstype} of {truncate(mount.source) or 'no source'}"
    return _by_type(mount)


def _by_type(mount: Mount) -> tuple[Kind, str]:
    if mount.fstype in _BLOCK:
        return Kind.BLOCK, f"{mount.fstype} on its own device {mount.device}"
    if mount.fstype in _NETWORK:
        return Kind.NETWORK, f"{mount.fstype} of {truncate(mount.source)}"
    return Kind.UNKNOWN, f"file system type {mount.fstype} is in no table"


def _sandboxed(mount: Mount) -> bool:
    # gVisor shows every mount as of source `none`, Kata shares folders over virtiofs (9p before): what lies behind, the
    # node's disk or a volume, cannot be told from inside.
    if mount.fstype == "virtiofs" or (mount.fstype == "9p" and "trans=virtio" in mount.super_options):
        return True
    return mount.source in {"", "none"} and mount.fstype in _BLOCK | _NETWORK


def _kubelet_folder(folders: Iterable[str]) -> bool:
    return any(folder.startswith("kubernetes.io~") for folder in folders)


def container_name(table: MountTable) -> str | None:
    """This container's name in its pod, read from where its termination log lies on the node; None elsewhere."""
    for mount in table.at(_TERMINATION_LOG):
        folders = mount.root.split("/")
        if len(folders) > 2 and folders[-3] == "containers":  # noqa: PLR2004 - .../containers/<name>/<hash>
            return folders[-2]
    return None
