"""VG108 and VG109: data on the disk of a node. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import K8S_DOCS, Severity, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import PVC, K8sObject
from guard.doctor.objects.names import word_set
from guard.doctor.rules.placement import is_bound_to_one_node
from guard.doctor.storage import class_of, volume_of

_VOLUMES = K8S_DOCS + "concepts/storage/volumes/"


#: Provisioners that make folders or disks of the node, and names under which they install their classes.
_PROVISIONERS = word_set(
    "rancher.io/local-path k8s.io/minikube-hostpath docker.io/hostpath microk8s.io/hostpath openebs.io/local "
    "kubevirt.io/hostpath-provisioner kubevirt.io.hostpath-provisioner hostpath.csi.k8s.io local.csi.openebs.io "
    "topolvm.io topolvm.cybozu.com zfs.csi.openebs.io local.storage.kubernetes.io lvm.csi.metal-stack.io cluster.local/local-path-provisioner"
)
_CLASSES = word_set("local-path microk8s-hostpath openebs-hostpath hostpath")


@rule("VG108", Severity.ERROR, _VOLUMES + "#hostpath")
def hostpath_at_path(index: ObjectIndex) -> Iterator[Verdict]:
    """The data lies in a folder of whichever node the pod runs on.

    Why: On another node the folder is another one, usually empty: the volume looks reset after a move, an upgrade of
    the node pool or a spot stop, and is gone with the node.
    Fix: Use a persistentVolumeClaim. If the node is meant, pin the pod to it (nodeSelector or required nodeAffinity
    kubernetes.io/hostname).
    """
    for workload in index.guarded:
        if workload.kind == "DaemonSet" or is_bound_to_one_node(workload):
            continue
        path = index.path_of(workload)
        for volume in dict.fromkeys(container.volume_at(path) for container in workload.applications_at(path)):
            if volume and volume.kind == "hostPath":
                where = f"{volume.text('hostPath', 'path')} of whichever node the pod runs on"
                message = f"{path} is the folder {where} (volume {volume.name}, hostPath)"
                yield finding(message, volume, is_guess=not index.is_sure(workload))


@rule("VG109", Severity.WARNING, K8S_DOCS + "concepts/storage/persistent-volumes/#types-of-persistent-volumes")
def volume_on_node_disk(index: ObjectIndex) -> Iterator[Verdict]:
    """The claim's data is on the disk of a node.

    Why: A hostPath volume without nodeAffinity follows the pod to any node, where the folder is another one, usually
    empty. A class such as local-path binds the pod to the node: the data is gone with the node, and the pod cannot run
    elsewhere.
    Fix: Use a class of networked disks, or copy the data off the node regularly. A hostPath volume needs nodeAffinity
    at least.
    """
    claimed: dict[K8sObject, str] = {}
    for claim in index.of(PVC):
        volume = volume_of(index, claim)
        if volume is not None and _follows_pod(volume):
            claimed[volume] = claim.name
            continue
        users = [user for user in index.workloads_with(claim) if not user.runs_to_end]
        if what := _of_class(index, claim) if users else "":
            yield finding(f"{what} (claim {claim.name} of {users[0]})", claim, "spec", "storageClassName")
    for volume in index.of("PersistentVolume"):
        name = claimed.get(volume) or volume.text("spec", "claimRef", "name")
        if name and _follows_pod(volume):
            where = f"{volume.text('spec', 'hostPath', 'path')} of whichever node the pod runs on"
            message = f"claim {name} is the folder {where} (volume {volume.name}, hostPath)"
            yield finding(message, volume, "spec", "hostPath")
    for template in index.templates:
        what = "" if index.made_from(template.workload, template.name) else _of_class(index, template)
        if what:
            yield finding(f"{what} ({template})", template, "spec")


def _follows_pod(volume: K8sObject) -> bool:
    """Whether a volume is a folder of the node, of whichever."""
    return bool(volume.get("spec", "hostPath")) and not volume.get("spec", "nodeAffinity")


def _of_class(index: ObjectIndex, claim: K8sObject) -> str:
    """How a claim's class keeps its volumes on a node; empty if it does not, or was not given and has no telling name."""
    kind = class_of(index, claim)
    name, provisioner = (kind.name, kind.text("provisioner")) if kind else (claim.class_name or "", "")
    if provisioner in _PROVISIONERS or (kind is None and name in _CLASSES):
        by = f" ({provisioner})" if provisioner else ""
        return f"class {name}{by} keeps the volume on the disk of the node on which the pod first ran"
    return ""
