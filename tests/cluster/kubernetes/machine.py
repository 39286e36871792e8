"""What a node takes of the machine: mounts, cgroups, a bridge. Made here, and all of it taken away here."""

import functools
from pathlib import Path

from tests.cluster.kubernetes.command import attempt, run
from tests.cluster.kubernetes.layout import Node
from tests.cluster.waiting import wait_until

CGROUPS = Path("/sys/fs/cgroup")


def prepare(node: Node) -> None:
    """Gives the node its bridge, its shared mount and its cgroup."""
    if attempt("ip", "link", "show", node.bridge).returncode != 0:
        run("ip", "link", "add", node.bridge, "type", "bridge")
        run("ip", "address", "add", f"{node.address}/24", "dev", node.bridge)
        run("ip", "link", "set", node.bridge, "up")
    # Volumes that the kubelet mounts must reach the containers: a mount that is shared, which the root's may not be.
    if not mounted_below(node.kubelet):
        run("mount", "--bind", node.kubelet, node.kubelet)
        run("mount", "--make-rshared", node.kubelet)
    # A kubelet ends what it does not know below its root: each needs one of its own.
    for hierarchy in _hierarchies():
        (hierarchy / node.name).mkdir(exist_ok=True)


def clear(node: Node) -> None:
    """Takes it all back, and what the pods left mounted."""
    _unmount_below(node.folder)
    if attempt("ip", "link", "show", node.bridge).returncode == 0:
        run("ip", "link", "delete", node.bridge)
    for hierarchy in _hierarchies():
        top = hierarchy / node.name
        if top.exists():
            wait_until(f"no process in {top}", functools.partial(_removed, top), 10)


def _removed(top: Path) -> bool:
    """Removes cgroups, children first; False while one still holds a process that is ending."""
    try:
        for cgroup in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
            cgroup.rmdir()
        top.rmdir()
    except OSError:
        return False
    return True


def clear_disks(state: Path) -> None:
    """Unmounts and detaches every disk whose image is below the state folder, those of tests that were killed, too."""
    _unmount_below(state)
    for line in run("losetup", "--list", "--noheadings", "--output=NAME,BACK-FILE").splitlines():
        device, image = line.split(maxsplit=1)
        if image.startswith(f"{state}/"):
            run("losetup", "--detach", device)


def _unmount_below(folder: Path) -> None:
    for point in reversed(mounted_below(folder)):
        if attempt("umount", point).returncode != 0:
            run("umount", "--lazy", point)


def mounted_below(folder: Path) -> list[str]:
    """The mount points at or below a folder, parents first (proc(5), /proc/pid/mountinfo: the fifth field)."""
    points = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted(point for point in points if f"{point}/".startswith(f"{folder}/"))


def _hierarchies() -> list[Path]:
    """The one of cgroup v2, or every controller's of v1."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [folder for folder in CGROUPS.iterdir() if folder.is_dir() and not folder.is_symlink()]
