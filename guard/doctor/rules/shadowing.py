"""VG108 to VG111, VG113 and VG114: data on the disk of a node, and what hides a mount, splits it or empties it. Pure."""

import re
from collections.abc import Iterator

from guard.doctor.finding import Severity, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import PVC, K8sObject
from guard.doctor.objects.names import word_set
from guard.doctor.objects.paths import below, covers
from guard.doctor.objects.workload import Container, Mount
from guard.doctor.rules.deleting import scripts
from guard.doctor.rules.placement import is_bound_to_one_node
from guard.doctor.source.tree import mappings, text
from guard.doctor.storage import class_of, volume_of

_VOLUMES = "concepts/storage/volumes/"

_PER_POD = re.compile(r"\$\(([A-Za-z0-9_]+)\)")
#: Provisioners that make folders or disks of the node, and names under which they install their classes.
_PROVISIONERS = word_set(
    "rancher.io/local-path k8s.io/minikube-hostpath docker.io/hostpath microk8s.io/hostpath openebs.io/local "
    "kubevirt.io/hostpath-provisioner kubevirt.io.hostpath-provisioner hostpath.csi.k8s.io local.csi.openebs.io "
    "topolvm.io topolvm.cybozu.com zfs.csi.openebs.io local.storage.kubernetes.io lvm.csi.metal-stack.io "
    "cluster.local/local-path-provisioner"
)
_CLASSES = word_set("local-path microk8s-hostpath openebs-hostpath hostpath")


@rule("VG110", Severity.ERROR, "reference/kubernetes-api/workload-resources/pod-v1/#volumes-1")
def two_mounts_at_one_path(index: ObjectIndex) -> Iterator[Verdict]:
    """Two volumes are mounted at one path of one container.

    Why: The API server refuses equal mountPaths; written differently (a slash at the end) both pass, and one hides the
    other.
    Fix: Keep one volumeMount for each path.
    """
    for workload in index.workloads:
        for container in workload.all_containers:
            seen: dict[str, Mount] = {}
            for mount in container.mounts:
                first = seen.setdefault(mount.path, mount)
                if first is not mount:
                    both = f"{first.volume_name} and {mount.volume_name}"
                    message = f"container {container.name} mounts {both} at {mount.path}"
                    yield finding(message, mount, also=(first.place(),))


@rule("VG111", Severity.WARNING, _VOLUMES + "#using-subpath")
def mounted_over(index: ObjectIndex) -> Iterator[Verdict]:
    """Another volume is mounted below the guarded path.

    Why: It hides what the volume has at that place, and what is written there is on the other volume: into an
    emptyDir it is lost with the pod.
    Fix: Mount the other volume outside the guarded path, or let the application use a subfolder of the claim.
    """
    for workload in index.guarded:
        path = index.path_of(workload)
        for container in workload.applications:
            held = container.mount_at(path)
            for mount in container.mounts:
                volume = mount.volume
                if not held or volume is None or volume.is_given or volume.outlasts_pod:
                    continue  # settings hide no data, and a volume of its own below the path is meant, and kept
                if below(mount.path, path) and mount.volume_name != held.volume_name:
                    what = f"volume {volume.name} ({volume.kind}), mounted over a part of {held.volume_name}"
                    yield finding(f"{mount.path} in container {container.name} is {what}", mount)


@rule("VG113", Severity.ERROR, _VOLUMES + "#using-subpath-expanded-environment")
def subpath_per_pod(index: ObjectIndex) -> Iterator[Verdict]:
    """The subfolder of the volume at the guarded path is named after the pod.

    Why: subPathExpr with the pod's name or uid gives each new pod a new, empty folder; the old data stays beside it,
    unseen.
    Fix: Use a fixed subPath, or a StatefulSet, whose pods keep their names.
    """
    for workload in index.guarded:
        path = index.path_of(workload)
        for mount in () if workload.kind == "StatefulSet" else workload.claim_mounts:
            names = _PER_POD.findall(mount.sub_path_expr) if covers(mount.path, path) else ()
            if any(_is_per_pod(mount.container, name) for name in names):
                where = f"{mount.path} in container {mount.container.name}"
                claim = mount.volume.claim if mount.volume else ""
                message = f"{where} is the folder {mount.sub_path_expr} of claim {claim}: a new one for each pod"
                yield finding(message, mount, "subPathExpr")


def _is_per_pod(container: Container, name: str) -> bool:
    entry = next((one for one in mappings(container.body, "env") if text(one, "name") == name), None)
    return text(entry, "valueFrom", "fieldRef", "fieldPath") in {"metadata.name", "metadata.uid", "status.podIP"}


@rule("VG114", Severity.ERROR, "concepts/workloads/pods/init-containers/")
def start_deletes_data(index: ObjectIndex) -> Iterator[Verdict]:
    """A container deletes everything in the volume whenever it starts.

    Why: It runs at every restart and every new pod: the volume is reset by its own pod.
    Fix: Remove the command, or seed only what is missing (test for a file of yours first).
    """
    for container in (one for workload in index.workloads for one in workload.all_containers):
        lost = {path for script in scripts(index, container) if script.is_start for path in script.deletes}
        for mount in container.claim_mounts:
            if any(covers(path, mount.path) for path in lost) and _holds_data(index, mount):
                what = f"all of {mount.path} (claim {mount.claim_name}) when it starts"
                yield finding(f"container {container.name} deletes {what}", container, "command")


def _holds_data(index: ObjectIndex, mount: Mount) -> bool:
    """Whether a mount is of a whole volume, or of the subfolder in which the application keeps its data."""
    path = index.path_of(mount.workload)
    kept = (container.mount_at(path) for container in mount.workload.applications)
    folders = {(one.volume_name, one.sub_path, one.sub_path_expr) for one in kept if one is not None}
    is_whole = not (mount.sub_path or mount.sub_path_expr)
    return is_whole or (mount.volume_name, mount.sub_path, mount.sub_path_expr) in folders


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


@rule("VG109", Severity.WARNING, "concepts/storage/persistent-volumes/#types-of-persistent-volumes")
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
