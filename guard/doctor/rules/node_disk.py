"""VG108 and VG109: data on the disk of a node. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.guard_containers import application
from guard.doctor.rules.placement import is_bound_to_one_node
from guard.doctor.source.tree import mapping

_VOLUMES = "https://kubernetes.io/docs/concepts/storage/volumes/"

HOST_PATH = Rule(
    "VG108", "hostpath-at-path", Severity.ERROR,
    "The data lies in a folder of whichever node the pod runs on.",
    "On another node the folder is another one, usually empty: the volume looks reset after a move, an upgrade of the "
    "node pool or a spot stop, and is gone with the node.",
    "Use a persistentVolumeClaim. If the node is meant, pin the pod to it (nodeSelector or required nodeAffinity kubernetes.io/hostname).",
    _VOLUMES + "#hostpath",
)  # fmt: skip
NODE_LOCAL = Rule(
    "VG109", "volume-on-node-disk", Severity.WARNING,
    "The claim is bound to a hostPath volume that does not say on which node.",
    "A PersistentVolume of type hostPath without nodeAffinity follows the pod to any node, where the folder is another one.",
    "Use a class of networked disks, or a local volume with nodeAffinity.",
    "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#types-of-persistent-volumes",
)  # fmt: skip


def _host_path(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.guarded:
        if workload.object.kind == "DaemonSet" or is_bound_to_one_node(workload):
            continue
        path = index.path_of(workload)
        volumes = {
            volume.name: volume
            for container in application(workload, path)
            if (volume := workload.pod.volume_at(container, path))
        }
        for volume in volumes.values():
            if volume.kind == "hostPath":
                folder = mapping(volume.body, "hostPath").get("path")
                message = (
                    f"{path} is the folder {folder} of whichever node the pod runs on (volume {volume.name}, hostPath)"
                )
                is_guess = not index.is_sure(workload)
                yield Finding(message, workload.object.place(*volume.at), workload.object, is_guess=is_guess)


def _node_local(index: ObjectIndex) -> Iterator[Verdict]:
    for volume in index.of("PersistentVolume"):
        claim = volume.text("spec", "claimRef", "name")
        if volume.get("spec", "hostPath") and not volume.get("spec", "nodeAffinity") and claim:
            message = f"claim {claim} lies in the node folder {volume.text('spec', 'hostPath', 'path')}, on no node in particular"
            yield Finding(message, volume.place("spec", "hostPath"), volume)


CHECKS = (
    (HOST_PATH, _host_path),
    (NODE_LOCAL, _node_local),
)
