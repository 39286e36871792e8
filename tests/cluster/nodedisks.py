"""Disks and folders of a node, prepared on this machine: the nodes of our own cluster are this machine."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.kubectl import Object
from tests.cluster.kubernetes.command import ClusterError, run

#: The smallest that mkfs.xfs takes is 300 MiB; the file is sparse.
DISK = "320M"


@dataclass(frozen=True, slots=True)
class NodeDisks:
    """Makes loop devices and mounts below one folder.

    Attributes:
        folder: Everything that is made here is below it.
    """

    folder: Path

    def device(self, name: str, fstype: str) -> str:
        """A device with a file system on it."""
        image = self.folder / f"{name}.img"
        run("truncate", f"--size={DISK}", image)
        run(f"mkfs.{fstype}", "-q", image)
        return run("losetup", "--find", "--show", image).strip()

    def mounted(self, name: str, fstype: str) -> Path:
        """A file system of its own, mounted on the node by the node."""
        point = self.directory(name)
        run("mount", self.device(name, fstype), point)
        return point

    def directory(self, name: str) -> Path:
        """A folder of the node's disk."""
        path = self.folder / name
        path.mkdir()
        return path

    def unmount(self, point: Path) -> None:
        """What a node does that lost its disk: the mount point is left, an empty folder."""
        run("umount", point)


@contextmanager
def node_disks(folder: Path) -> Iterator[NodeDisks]:
    """Takes everything back at the end."""
    folder.mkdir(parents=True)
    try:
        yield NodeDisks(folder)
    finally:
        for point in folder.iterdir():
            with suppress(ClusterError):
                run("umount", "--quiet", point)
        for image in folder.glob("*.img"):
            for device in run("losetup", "--noheadings", "--output=NAME", f"--associated={image}").split():
                run("losetup", "--detach", device)
        shutil.rmtree(folder)


def local_volume(name: str, namespace: str, source: Object) -> list[Object]:
    """A PersistentVolume on node1 with a claim bound to it; the volume's name is the namespace's, so it is never used twice."""
    node1 = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["node1"]}]}
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": "of-the-node"}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": namespace},
        "spec": {
            **common,
            **source,
            "capacity": {"storage": "64Mi"},
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": namespace, "name": name},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [node1]}},
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {**common, "volumeName": namespace, "resources": {"requests": {"storage": "64Mi"}}},
    }
    return [volume, claim]
