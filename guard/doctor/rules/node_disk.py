"""VG108 and VG109: data on the disk of a node. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.guard_containers import application
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.rules.placement import is_bound_to_one_node
from guard.doctor.source.tree import mapping
from guard.doctor.storage import class_name, volume_of

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
    "The claim's data is on the disk of a node.",
    "A hostPath volume without nodeAffinity follows the pod to any node, where the folder is another one, usually empty. A class "
    "such as local-path binds the pod to the node: the data is gone with the node, and the pod cannot run elsewhere.",
    "Use a class of networked disks, or copy the data off the node regularly. A hostPath volume needs nodeAffinity at least.",
    "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#types-of-persistent-volumes",
)  # fmt: skip

#: Provisioners that make folders or disks of the node, and names under which they install their classes.
_PROVISIONERS = frozenset({
    "rancher.io/local-path", "k8s.io/minikube-hostpath", "docker.io/hostpath", "microk8s.io/hostpath", "openebs.io/local",
    "kubevirt.io/hostpath-provisioner", "kubevirt.io.hostpath-provisioner", "hostpath.csi.k8s.io", "local.csi.openebs.io",
    "topolvm.io", "topolvm.cybozu.com", "zfs.csi.openebs.io", "local.storage.kubernetes.io",
})  # fmt: skip
_CLASSES = frozenset({"local-path", "microk8s-hostpath", "openebs-hostpath", "hostpath"})


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
    seen: set[int] = set()
    for claim in index.of("PersistentVolumeClaim"):
        volume = volume_of(index, claim)
        if volume is not None:
            seen.add(id(volume))
            yield from _on_any_node(volume, claim.name)
        if volume is None or not (volume.get("spec", "hostPath") or volume.get("spec", "local")):
            users = [user for user in index.workloads_with(claim) if not user.runs_to_end]
            what = _of_class(index, claim, class_name(claim) or "") if users else ""
            if what:
                yield Finding(
                    f"{what} (claim {claim.name} of {users[0].object})", claim.place("spec", "storageClassName"), claim
                )
    for volume in index.of("PersistentVolume"):
        if id(volume) not in seen:
            yield from _on_any_node(volume, volume.text("spec", "claimRef", "name"))
    for workload in index.workloads:
        for at, template in workload.templates:
            what = (
                _of_class(index, workload.object, class_name(template) or "")
                if not index.made_from(workload, template.name)
                else ""
            )
            if what:
                place = workload.object.place(*at, "spec", "storageClassName")
                yield Finding(
                    f"{what} (volumeClaimTemplate {template.name})", place, workload.object, about=(template,)
                )


def _on_any_node(volume: K8sObject, claim: str) -> Iterator[Finding]:
    if volume.get("spec", "hostPath") and not volume.get("spec", "nodeAffinity") and claim:
        folder = volume.text("spec", "hostPath", "path")
        message = (
            f"claim {claim} is the folder {folder} of whichever node the pod runs on (volume {volume.name}, hostPath)"
        )
        yield Finding(message, volume.place("spec", "hostPath"), volume)


def _of_class(index: ObjectIndex, obj: K8sObject, name: str) -> str:
    """How a class keeps its volumes on a node; empty if it does not, or was not given and has no telling name."""
    kind = index.find("StorageClass", "", name, obj.side) if name else None
    provisioner = kind.text("provisioner") if kind else ""
    if provisioner in _PROVISIONERS or (kind is None and name in _CLASSES):
        return f"class {name}{f' ({provisioner})' if provisioner else ''} keeps the volume on the disk of the node on which the pod first ran"
    return ""


CHECKS = (
    (HOST_PATH, _host_path),
    (NODE_LOCAL, _node_local),
)
