"""VG108 and VG109: data on the disk of a node. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.guard_containers import application
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.rules.placement import is_bound_to_one_node
from guard.doctor.source.tree import mapping
from guard.doctor.storage import class_name, class_of, volume_of

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
    "topolvm.io", "topolvm.cybozu.com", "zfs.csi.openebs.io", "local.storage.kubernetes.io", "lvm.csi.metal-stack.io",
    "cluster.local/local-path-provisioner",
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
    claimed: dict[int, str] = {}
    for claim in index.of("PersistentVolumeClaim"):
        volume = volume_of(index, claim)
        if volume is not None and _follows_pod(volume):
            claimed[id(volume)] = claim.name
            continue
        users = [user.object for user in index.workloads_with(claim) if not user.runs_to_end]
        what = _of_class(index, claim) if users else ""
        if what:
            place = claim.place("spec", "storageClassName")
            yield Finding(f"{what} (claim {claim.name} of {users[0]})", place, claim)
    for volume in index.of("PersistentVolume"):
        name = claimed.get(id(volume)) or volume.text("spec", "claimRef", "name")
        if name and _follows_pod(volume):
            folder = volume.text("spec", "hostPath", "path")
            message = f"claim {name} is the folder {folder} of whichever node the pod runs on (volume {volume.name}, hostPath)"
            yield Finding(message, volume.place("spec", "hostPath"), volume)
    for workload in index.workloads:
        for at, template in workload.templates:
            what = "" if index.made_from(workload, template.name) else _of_class(index, template)
            if what:
                message, place = f"{what} (volumeClaimTemplate {template.name})", workload.object.place(*at, "spec")
                yield Finding(message, place, workload.object, about=(template,))


def _follows_pod(volume: K8sObject) -> bool:
    """Whether a volume is a folder of the node, of whichever."""
    return bool(volume.get("spec", "hostPath")) and not volume.get("spec", "nodeAffinity")


def _of_class(index: ObjectIndex, claim: K8sObject) -> str:
    """How a claim's class keeps its volumes on a node; empty if it does not, or was not given and has no telling name."""
    kind = class_of(index, claim)
    name, provisioner = (kind.name, kind.text("provisioner")) if kind else (class_name(claim) or "", "")
    if provisioner in _PROVISIONERS or (kind is None and name in _CLASSES):
        by = f" ({provisioner})" if provisioner else ""
        return f"class {name}{by} keeps the volume on the disk of the node on which the pod first ran"
    return ""


CHECKS = (
    (HOST_PATH, _host_path),
    (NODE_LOCAL, _node_local),
)
