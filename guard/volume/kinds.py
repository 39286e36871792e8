"""Which kind of volume a mount is: one written table of file system types, roots and devices. Pure."""

import re
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
    {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "nilfs2", "bcachefs", "reiserfs", "vxfs", "acfs",
     "gfs", "gfs2", "ocfs2", "scoutfs", "vfat", "exfat", "ntfs", "ntfs3", "hfsplus", "squashfs", "erofs", "iso9660", "udf"}
)  # fmt: skip
#: File systems of a server, and what the host of a virtual machine shares with it. autofs mounts what is on a server.
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "lustre", "9p", "afs", "gpfs", "beegfs", "beegfs_nodev", "glusterfs",
     "orangefs", "pvfs2", "panfs", "wekafs", "coda", "cvfs", "dpc", "dtfs", "yrfs", "autofs",
     "virtiofs", "vboxsf", "vmhgfs", "prl_fs"}
)  # fmt: skip
#: What FUSE file systems are called: `fuse.juicefs`, and the fork of a cloud, `alifuse.aliyun-alinas-efc`.
_FUSE = re.compile(r"fuse|fuseblk|(?:ali)?fuse\..+")
#: Folders of the machine that Docker Desktop or WSL runs on.
_DEVELOPERS_DISK = frozenset({"fakeowner", "drvfs"})
#: Root file systems of containers, and what image volumes look like.
_OVERLAY = frozenset({"overlay", "overlayfs", "aufs", "unionfs", "fuse.fuse-overlayfs", "fuse-overlayfs"})
_MEMORY = frozenset({"tmpfs", "ramfs", "hugetlbfs"})

#: The kubelet's folders for volumes that it fills itself (pkg/volume/*, `kubernetes.io~<plugin>` in a mount's root).
_CONFIG_FOLDERS = frozenset(
    {"kubernetes.io~configmap", "kubernetes.io~secret", "kubernetes.io~projected", "kubernetes.io~downward-api"}
)
_EMPTY_DIR_FOLDER = "kubernetes.io~empty-dir"
#: The kubelet's folders on which it mounts volumes: .../pods/<uid>/volumes/<vendor>~<plugin>, .../plugins/kubernetes.io.
_KUBELET_FOLDER = re.compile(
    r"(?:^|/)(?:kubernetes\.io~[^/]*|pods/[^/]+/volumes/[^/]+~[^/]+|plugins/kubernetes\.io)(?:/|$)"
)

#: Where runtimes keep a folder that they make for a VOLUME of an image. Its root is that folder itself.
_IMAGE_VOLUME = re.compile(
    r"(?:^|/)(?:"
    r"(?:io\.containerd\.[^/]+/containers/[^/]+|containers/[0-9a-f]{64})/volumes/[^/]+"  # containerd
    r"|[0-9a-f]{64}/_data"  # docker, podman and nerdctl, without a name: a volume with a name lasts
    r"|[a-z0-9]+-containers/[^/]+/userdata/mounts/[^/]+"  # CRI-O, `image_volumes = "bind"`: overlay-containers
    r")\Z"
)
#: Where containerd keeps the layers of images.
_IMAGE_LAYER = re.compile(r"(?:^|/)io\.containerd\.snapshotter\.v1\.[^/]+/")

_TERMINATION_LOG = "/dev/termination-log"
#: Roots of the files that the kubelet (without Kubernetes: Docker, Podman) binds into each container from the node's disk.
#: A volumeMount with a subPath can put any other file in their place.
_NODE_FILES = {
    "/etc/hosts": re.compile(
        r".*/etc-hosts|(?:.*/docker(?:/.*)?)?/containers/[^/]+/hosts|.*/containers/[0-9a-f]{64}/hosts"
        r"|.*-containers/[0-9a-f]{64}/userdata/hosts"
    ),
    _TERMINATION_LOG: re.compile(
        r"(?:.*/pods/[^/]+|/[0-9a-f-]{32,36})/containers/(?P<container>[^/]+)/[^/]+"  # the last: the kubelet's own hash
    ),
}


def node_devices(table: MountTable) -> frozenset[str]:
    """Devices (`major:minor`) of the node's own disk: of the kubelet's files, and of the disk that holds `/`."""
    return frozenset(mount.device for mount in (*_node_files(table), *table.at("/")))


def has_overlay_root(table: MountTable) -> bool:
    """Whether `/` is an overlay, as in most containers: nobody mounts there once the container runs."""
    return any(mount.fstype in _OVERLAY for mount in table.at("/"))


def classify(mount: Mount, table: MountTable) -> tuple[Kind, str]:
    """Returns the kind of a mount, and the fact that shows it, as a clause.

    Args:
        mount: The mount in force at the guarded path.
        table: All mounts of the same mount namespace; tells the node's own disk.
    """
    return _short_lived(mount) or _of_the_machine(mount, table) or _by_type(mount)


def _short_lived(mount: Mount) -> tuple[Kind, str] | None:
    root = truncate(mount.root)
    folders = mount.root.split("/")
    if _EMPTY_DIR_FOLDER in folders:
        return Kind.EMPTY_DIR, f"its root {root} is an emptyDir"
    if not _CONFIG_FOLDERS.isdisjoint(folders):
        return Kind.CONFIG, f"its root {root} is filled by the kubelet"
    if mount.fstype in _MEMORY:
        return Kind.MEMORY, f"{mount.fstype} is memory"
    if mount.fstype in _OVERLAY:
        return Kind.OVERLAY, f"{mount.fstype} is a container's or an image's file system"
    # As short-lived as the container's overlay, of which an image's VOLUME is a part: an emptyDir would outlive it.
    if _IMAGE_VOLUME.search(mount.root):
        made = "is a folder that the runtime made for a VOLUME of the image: it is lost with the container"
        return Kind.OVERLAY, f"its root {root} {made}"
    if _IMAGE_LAYER.search(mount.root) or (mount.fstype == "erofs" and _IMAGE_LAYER.search(mount.source)):
        return Kind.OVERLAY, f"{root} of {truncate(mount.source)} is a layer of an image"
    return None


def _of_the_machine(mount: Mount, table: MountTable) -> tuple[Kind, str] | None:
    root, source = truncate(mount.root), truncate(mount.source) or "no source"
    if _is_developers_disk(mount):
        return Kind.NODE_DISK, f"{mount.fstype} of {source} is a folder of the machine that this node runs on"
    if _is_sandboxed(mount, table):
        return Kind.UNKNOWN, f"{mount.fstype} of {source} does not identify the volume (a sandboxed runtime?)"
    # A server can hold the node's root and a claim, on one device: then the device tells nothing.
    if mount.device in node_devices(table) and mount.fstype not in _NETWORK:
        return Kind.NODE_DISK, f"device {mount.device} is the node's own disk (folder {root})"
    if _KUBELET_FOLDER.search(mount.root):
        return Kind.NODE_DISK, f"its root {root} is the kubelet's own folder: nothing was mounted there on the node"
    return None


def _by_type(mount: Mount) -> tuple[Kind, str]:
    if _FUSE.fullmatch(mount.fstype):
        return Kind.FUSE, f"{mount.fstype} of {truncate(mount.source) or 'no source'}"
    if mount.fstype in _NETWORK:
        return Kind.NETWORK, f"{mount.fstype} of {truncate(mount.source)}"
    if mount.fstype not in _BLOCK:
        return Kind.UNKNOWN, f"file system type {mount.fstype} is in no table"
    if _has_no_source(mount):
        return Kind.UNKNOWN, f"{mount.fstype} has no source device, so its kind is unknown"
    return Kind.BLOCK, f"{mount.fstype} on its own device {mount.device}"


def _is_developers_disk(mount: Mount) -> bool:
    # WSL shows C: as 9p with `aname=drvfs;path=C:\;uid=1000`, or as virtiofs of source drvfs, drvfsC0, drvfsaC0.
    if mount.fstype in _DEVELOPERS_DISK or (mount.fstype == "virtiofs" and mount.source.startswith("drvfs")):
        return True
    return mount.fstype == "9p" and "aname=drvfs" in re.split("[,;]", mount.super_options)


def _is_sandboxed(mount: Mount, table: MountTable) -> bool:
    # gVisor shows every mount as of source `none`, Kata shares folders over virtiofs (9p before): what lies behind, the
    # node's disk or a volume, cannot be told from inside. Both do so with the container's own files too.
    own = [
        one
        for point, root in _NODE_FILES.items()
        for one in table.at(point)
        # gVisor shows the root `/`, Kata ID-NAME. Another one is of a volumeMount with a subPath.
        if one.root == "/" or one.root.endswith(f"-{point.rpartition('/')[2]}") or root.fullmatch(one.root)
    ]
    return _is_handed_in(mount) and any(
        _is_handed_in(one) and _has_no_source(one) == _has_no_source(mount) for one in (*table.at("/"), *own)
    )


def _is_handed_in(mount: Mount) -> bool:
    over_virtio = mount.fstype == "virtiofs" or (
        mount.fstype == "9p" and "trans=virtio" in mount.super_options.split(",")
    )
    return over_virtio or _has_no_source(mount)


def _has_no_source(mount: Mount) -> bool:
    return mount.source in {"", "none"}


def _node_files(table: MountTable) -> list[Mount]:
    return [mount for point, root in _NODE_FILES.items() for mount in table.at(point) if root.fullmatch(mount.root)]


def container_name(table: MountTable) -> str | None:
    """This container's name in its pod, read from where its termination log lies on the node; None elsewhere."""
    for mount in table.at(_TERMINATION_LOG):
        log = _NODE_FILES[_TERMINATION_LOG].fullmatch(mount.root)
        if log:
            return log["container"]
    return None
