"""VG221 to VG225 and VG227 to VG230: one disk and the pods that want it, and what the cluster reports of a volume. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from guard.doctor.finding import Answer, Finding, Severity, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.lookup import grouped
from guard.doctor.objects.k8s_object import PVC, K8sObject, same_namespace, scale_target
from guard.doctor.objects.workload import Workload
from guard.doctor.rules.placement import HOSTNAME, exposure
from guard.doctor.source.document import Side
from guard.doctor.source.tree import mapping, mappings, text, texts, whole
from guard.doctor.storage import access_modes

_MODES = "concepts/storage/persistent-volumes/#access-modes"
_ONE_DISK = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})
#: Disks named in the pod itself, which one node can write to.
_INLINE_DISKS = frozenset({"gcePersistentDisk", "awsElasticBlockStore", "azureDisk", "cinder", "vsphereVolume"})
_HEALTH = "concepts/storage/volume-health-monitoring/"
#: What an event's message holds, and what to do.
_EVENTS: Mapping[str, str] = {
    r"Multi-Attach error": "Find the pod that holds the volume: kubectl get pods -A -o wide. In an update: spec.strategy.type: Recreate. "
    "On a node that is down for good: kubectl taint nodes NODE node.kubernetes.io/out-of-service=nodeshutdown:NoExecute.",
    r"volume node affinity conflict|find available persistent volumes to bind|no available volume zone": "See where the volume is "
    "(kubectl get pv -o yaml: spec.nodeAffinity) and let the pod run there: its node selector, a node in that zone, or the node "
    "itself that is gone. Do not delete the claim.",
    r"MountVolume|Unable to attach or mount volumes|AttachVolume\.Attach failed": "The message names the cause at the node or in the "
    "storage system. Do not delete the claim.",
}
#: Names in a sentence.
_NAMES = 5
#: Kinds whose events count.
_ABOUT = frozenset({"Pod", PVC})
#: Characters of an event in a message.
_SHOWN = 240
_SERIOUS = frozenset({"DataLoss", "Inaccessible"})
_VSPHERE = "volumehealth.storage.kubernetes.io/messages"
#: The volumes that an event names: by the pod's names, but a claim's by its PersistentVolume.
_NAMED_VOLUMES = re.compile(r"(?:for volume \"|unmounted volumes=\[)([^\"\]]+)")


def _one_disk_users(index: ObjectIndex, *kinds: str) -> Iterator[tuple[Workload, str]]:
    """Yields workloads of these kinds with each disk that the pods of one node alone can write to, as a sentence part."""
    for user, claim in index.claimants:
        if user.kind in kinds and claim.access_modes and claim.access_modes <= _ONE_DISK:
            yield user, f"ReadWriteOnce claim {claim.name}"
    for user in index.workloads:
        for volume in user.volumes.values() if user.kind in kinds else ():
            if volume.kind in _INLINE_DISKS and not mapping(volume.body, volume.kind).get("readOnly"):
                yield user, f"the disk of volume {volume.name} ({volume.kind})"


@rule("VG221", Severity.WARNING, "concepts/workloads/controllers/deployment/#recreate-deployment")
def rolling_update_of_one_disk(index: ObjectIndex) -> Iterator[Verdict]:
    """A Deployment with a ReadWriteOnce volume is updated by RollingUpdate.

    Why: RollingUpdate (the default) starts the new pod before the old one ends. On another node the new pod waits for
    the disk that the old one holds, and the old one waits for the new one; on the same node both write at once.
    Fix: spec.strategy.type: Recreate, and remove spec.strategy.rollingUpdate: the API server refuses the two together.
    Other advice: kube-linter (no-rolling-update-strategy) and kube-score (deployment-strategy) want RollingUpdate:
    right for stateless pods, not for one disk.
    """
    patch = '{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}'
    for user, disks in grouped(_one_disk_users(index, "Deployment")).items():
        strategy = user.text("spec", "strategy", "type")
        # Without a surge it makes room before it starts a pod: the disk then comes free by itself.
        makes_room = user.text("spec", "strategy", "rollingUpdate", "maxSurge") in {"0", "0%"}
        if strategy == "Recreate" or user.replicas == 0 or makes_room:
            continue
        what = "strategy RollingUpdate" if strategy else "no strategy, which means RollingUpdate"
        fix = (
            "spec.strategy: {type: Recreate}, without rollingUpdate, which the API server refuses beside it. In the cluster: "
            f"kubectl patch {user.kubectl_name} --type merge -p '{patch}'"
        )
        yield finding(f"{what}, with {' and '.join(dict.fromkeys(disks))}", user, "spec", "strategy", "type", fix=fix)


@rule("VG222", Severity.ERROR, _MODES)
def replicas_share_one_disk(index: ObjectIndex) -> Iterator[Verdict]:
    """Several replicas share one ReadWriteOnce claim.

    Why: Only pods on the disk's node can mount it: the others wait in ContainerCreating forever, or all are on one node
    and write over each other.
    Fix: replicas: 1; or a ReadWriteMany class (NFS, Filestore); or a StatefulSet with volumeClaimTemplates, if each may
    have its own data.
    Other advice: kube-linter (minimum-three-replicas) and kube-score (deployment-replicas) want more replicas: right
    for stateless pods, not for one disk.
    """
    for user, disk in _one_disk_users(index, "Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"):
        if user.replicas > 1:
            yield finding(f"{user.replicas} replicas share {disk}", user, "spec", "replicas")


@rule("VG223", Severity.WARNING, "https://cloud.google.com/kubernetes-engine/docs/concepts/spot-vms")
def one_disk_on_spot_nodes(index: ObjectIndex) -> Iterator[Verdict]:
    """A pod with a ReadWriteOnce volume runs on spot nodes.

    Why: A spot node is stopped within seconds whenever the provider needs it. The disk must be detached from the dead
    node first, so each stop is minutes without the volume, and a write can be cut off in the middle.
    Fix: Remove the spot node selector and keep the pod off spot nodes: nodeAffinity cloud.google.com/gke-spot
    DoesNotExist.
    """
    for user in index.workloads:
        volumes = user.volumes.values()
        one_disk = next((one.name for one in volumes if access_modes(index, one) & _ONE_DISK), None)
        if user.runs_to_end or one_disk is None:
            continue
        found, why, at = exposure(user, index)
        if found is Answer.YES:
            yield finding(f"{why}; volume {one_disk} is ReadWriteOnce", user, *at)


@rule("VG224", Severity.ERROR, _MODES)
def one_pod_volume_shared(index: ObjectIndex) -> Iterator[Verdict]:
    """A ReadWriteOncePod claim is used by more than one workload.

    Why: ReadWriteOncePod lets one single pod of the cluster mount it. A backup job beside the running application stays
    Pending, so no backup is ever made.
    Fix: Use ReadWriteOnce (with podAffinity for the job), or back up inside the application's pod or by
    VolumeSnapshots.
    """
    for claim in index.of(PVC):
        users = set(map(str, index.workloads_with(claim))) if "ReadWriteOncePod" in claim.access_modes else ()
        if len(users) > 1:
            yield finding(f"ReadWriteOncePod, used by {', '.join(sorted(users))}", claim, "spec", "accessModes")


@rule("VG225", Severity.WARNING, _MODES)
def autoscaled_over_one_disk(index: ObjectIndex) -> Iterator[Verdict]:
    """An autoscaler may give a workload with a ReadWriteOnce claim more than one replica.

    Why: At the first peak a second pod starts that cannot mount the disk, or writes beside the first one.
    Fix: maxReplicas: 1, or remove the HorizontalPodAutoscaler.
    """
    pairs = _one_disk_users(index, "Deployment", "StatefulSet")
    users = grouped(((user.kind, user.name), (user, disk)) for user, disk in pairs)
    for scaler in index.of("HorizontalPodAutoscaler"):
        kind, name = scale_target(scaler)
        most = whole(scaler.body, "spec", "maxReplicas") or 0
        own = ((user, disk) for user, disk in users.get((kind, name), ()) if most > 1)
        disk = next((disk for user, disk in own if same_namespace(user.namespace, scaler.namespace)), "")
        if disk:
            message = f"maxReplicas {most} for {kind} {name}, which mounts {disk}"
            yield finding(message, scaler, "spec", "maxReplicas")


@rule("VG227", Severity.ERROR, "concepts/storage/persistent-volumes/#access-modes")
def volume_not_attached(index: ObjectIndex) -> Iterator[Verdict]:
    """An event reports that the pod does not get its volume.

    Why: Multi-Attach: another node still holds the disk. Volume node affinity conflict: the pod may not run where the
    volume is. The data is where it was; the pod waits.
    Fix: Find the pod that holds the volume, and let the pod run where the volume is. Never delete the claim for this.
    """
    seen: set[tuple[str, str]] = set()
    given = {kind for kind in _ABOUT if any(index.live(kind))}
    for note in index.events:
        kind, namespace, name = note.about
        sign, fix = next(((sign, fix) for sign, fix in _EVENTS.items() if re.search(sign, note.message)), ("", ""))
        if not sign or kind not in _ABOUT or note.event.text("type") == "Normal":
            continue
        about = index.find(kind, namespace, name, Side.LIVE)
        if about is None and kind in given:
            continue  # it is gone
        if isinstance(about, Workload) and (_runs(about) or _is_of_settings(about, note.message)):
            continue
        key = (" ".join(about.author) if about is not None and about.author[1] else name), sign
        if key not in seen:
            seen.add(key)
            message = f"{note.reason or 'event'} of {kind} {name}: {' '.join(note.message.split())[:_SHOWN]}"
            yield Finding(message, note.event.place(), about or note.event, fix=fix)


def _runs(pod: K8sObject) -> bool:
    states = [text(one, "ready") for one in pod.mappings("status", "containerStatuses")]
    return pod.phase in {"Succeeded", "Failed"} or (bool(states) and set(states) == {"true"})


def _conditions(index: ObjectIndex) -> Iterator[tuple[bool, Finding]]:
    """Yields a finding for each adverse condition, with whether it is a serious one."""
    for claim in index.of(PVC):
        for one in claim.mappings("status", "healthStatus", "healthConditions"):
            yield _condition(claim, "healthStatus", f"claim {claim.name}", one)
        if text(claim.annotations, _VSPHERE) == "inaccessible":
            message = f"claim {claim.name} is reported Inaccessible (annotation {_VSPHERE})"
            yield True, finding(message, claim, "metadata", "annotations")
    for pod in index.of("Pod"):
        for health in pod.mappings("status", "volumeHealth"):
            for one in mappings(health, "healthConditions"):
                yield _condition(pod, "volumeHealth", f"volume {text(health, 'name')} of the pod", one)


@rule("VG228", Severity.ERROR, _HEALTH)
def volume_unhealthy(index: ObjectIndex) -> Iterator[Verdict]:
    """The storage reports that the volume lost data or cannot be reached.

    Why: The CSI driver's health report (Kubernetes 1.37 and later: status.healthStatus of the claim,
    status.volumeHealth of the pod) is about the disk itself: a claim can be Bound and mounted all the same.
    Fix: Stop what writes to it (scale to 0), set the volume to Retain, and look at the storage system before any
    restart.
    """
    return (found for is_serious, found in _conditions(index) if is_serious)


@rule("VG230", Severity.WARNING, _HEALTH)
def volume_degraded(index: ObjectIndex) -> Iterator[Verdict]:
    """The storage reports that the volume works with reduced capability.

    Why: A replica, a path or a disk below it is gone: the next fault can cost the data.
    Fix: Look at the storage system, and take a backup now.
    """
    for note in index.events:
        if note.reason == "VolumeConditionAbnormal":
            kind, _, name = note.about
            yield finding(f"event of {kind} {name}: {note.message[:_SHOWN]}", note.event)
    yield from (found for is_serious, found in _conditions(index) if not is_serious)


@rule("VG229", Severity.ERROR, "concepts/storage/volumes/#local")
def node_of_volume_gone(index: ObjectIndex) -> Iterator[Verdict]:
    """The volume is on a node, or in a zone, that the cluster no longer has.

    Why: A local volume is bound to its node by nodeAffinity, a disk to its zone. Without it the pods stay Pending
    (volume node affinity conflict); a local volume's data is on that node's disk alone.
    Fix: Bring the node back under its name, or add a node in that zone; else restore a backup into a new claim. Delete
    neither claim nor volume before the data is safe.
    """
    nodes = index.live("Node")
    known = {HOSTNAME, *(key for node in nodes for key in node.labels)}
    names = ", ".join(sorted(node.name for node in nodes)[:_NAMES])
    for volume in index.live("PersistentVolume") if nodes else ():
        terms = volume.mappings("spec", "nodeAffinity", "required", "nodeSelectorTerms")
        gone = [_missing(nodes, _place(term), known) for term in terms]
        if gone and all(gone) and volume.phase not in {"Available", "Released"}:
            claim = volume.text("spec", "claimRef", "name") or "none"
            message = f"volume {volume.name} (claim {claim}) is on {gone[0]}; the cluster has {names}"
            yield finding(message, volume, "spec", "nodeAffinity")


def _condition(obj: K8sObject, field: str, what: str, condition: Mapping[str, Any]) -> tuple[bool, Finding]:
    status = text(condition, "status")
    reason = ": ".join(filter(None, (text(condition, "reason"), text(condition, "message")[:_SHOWN])))
    return status in _SERIOUS, finding(f"{what} is reported {status} ({reason})", obj, "status", field)


def _place(term: Mapping[str, Any]) -> Mapping[str, frozenset[str]]:
    """Returns the node labels of a term of a volume's nodeAffinity, with the values that it allows."""
    expressions = (one for one in mappings(term, "matchExpressions") if text(one, "operator") == "In")
    return {text(one, "key"): frozenset(texts(one, "values")) for one in expressions}


def _missing(nodes: Sequence[K8sObject], place: Mapping[str, frozenset[str]], known: set[str]) -> str:
    """Returns the node or zone of a place that no node given is in; empty if one is, or if no node has such a label."""
    left = list(nodes)
    for key, values in place.items():
        if key in known:
            left = [node for node in left if {text(node.labels, key), node.name if key == HOSTNAME else ""} & values]
        if not left:
            name = key.rpartition("/")[2]
            other = "node" if key == HOSTNAME else key
            what = next((word for word in ("zone", "region", "node") if word in name), other)
            return f"{what} {', '.join(sorted(values))}"
    return ""


def _is_of_settings(pod: Workload, report: str) -> bool:
    """Whether all volumes that an event names only bring settings or secrets to the pod."""
    names = [name for found in _NAMED_VOLUMES.findall(report) for name in found.split()]
    volumes = [pod.volumes.get(name) for name in names]
    return bool(volumes) and all(volume is not None and volume.is_given for volume in volumes)
