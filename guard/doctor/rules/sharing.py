"""VG221 to VG225: one disk, and how many pods on which nodes want it. Pure."""

from collections import defaultdict
from collections.abc import Iterator

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject, same_namespace, scale_target
from guard.doctor.objects.workload import Workload
from guard.doctor.rules.advice import reference
from guard.doctor.rules.spot import Exposure, exposure
from guard.doctor.source.tree import texts, whole
from guard.doctor.storage import access_modes

_MODES = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes"

ROLLING_UPDATE = Rule(
    "VG221", "rolling-update-of-one-disk", Severity.WARNING,
    "A Deployment with a ReadWriteOnce volume is updated by RollingUpdate.",
    "RollingUpdate (the default) starts the new pod before the old one ends. On another node the new pod waits for the disk "
    "that the old one holds, and the old one waits for the new one; on the same node both write at once.",
    "spec.strategy.type: Recreate, and remove spec.strategy.rollingUpdate: the API server refuses the two together.",
    "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#recreate-deployment",
    "kube-linter (no-rolling-update-strategy) and kube-score (deployment-strategy) want RollingUpdate: right for stateless "
    "pods, not for one disk.",
)  # fmt: skip
REPLICAS = Rule(
    "VG222", "replicas-share-one-disk", Severity.ERROR,
    "Several replicas share one ReadWriteOnce claim.",
    "Only pods on the disk's node can mount it: the others wait in ContainerCreating forever, or all are on one node and "
    "write over each other.",
    "replicas: 1; or a ReadWriteMany class (NFS, Filestore); or a StatefulSet with volumeClaimTemplates, if each may have its own data.",
    _MODES,
    "kube-linter (minimum-three-replicas) and kube-score (deployment-replicas) want more replicas: right for stateless "
    "pods, not for one disk.",
)  # fmt: skip
SPOT = Rule(
    "VG223", "one-disk-on-spot-nodes", Severity.WARNING,
    "A pod with a ReadWriteOnce volume runs on spot nodes.",
    "A spot node is stopped within seconds whenever the provider needs it. The disk must be detached from the dead node "
    "first, so each stop is minutes without the volume, and a write can be cut off in the middle.",
    "Remove the spot node selector and keep the pod off spot nodes: nodeAffinity cloud.google.com/gke-spot DoesNotExist.",
    "https://cloud.google.com/kubernetes-engine/docs/concepts/spot-vms",
)  # fmt: skip
ONE_POD = Rule(
    "VG224", "one-pod-volume-shared", Severity.ERROR,
    "A ReadWriteOncePod claim is used by more than one workload.",
    "ReadWriteOncePod lets one single pod of the cluster mount it. A backup job beside the running application stays "
    "Pending, so no backup is ever made.",
    "Use ReadWriteOnce (with podAffinity for the job), or back up inside the application's pod or by VolumeSnapshots.",
    _MODES,
)  # fmt: skip
AUTOSCALED = Rule(
    "VG225", "autoscaled-over-one-disk", Severity.WARNING,
    "An autoscaler may give a workload with a ReadWriteOnce claim more than one replica.",
    "At the first peak a second pod starts that cannot mount the disk, or writes beside the first one.",
    "maxReplicas: 1, or remove the HorizontalPodAutoscaler.",
    _MODES,
)  # fmt: skip


def _is_one_disk(claim: K8sObject) -> bool:
    modes = set(texts(claim.body, "spec", "accessModes"))
    return bool(modes) and modes <= {"ReadWriteOnce", "ReadWriteOncePod"}


def _one_disk_users(index: ObjectIndex, *kinds: str) -> Iterator[tuple[Workload, K8sObject]]:
    for user, claim in index.claimants:
        if user.object.kind in kinds and _is_one_disk(claim):
            yield user, claim


def _rolling_update(index: ObjectIndex) -> Iterator[Verdict]:
    claims: dict[int, tuple[Workload, list[str]]] = {}
    for user, claim in _one_disk_users(index, "Deployment"):
        claims.setdefault(id(user), (user, []))[1].append(claim.name)
    for user, names in claims.values():
        strategy = user.object.text("spec", "strategy", "type")
        if strategy == "Recreate" or user.replicas == 0 or _ends_the_old_pod_first(user):
            continue
        strategy_text = "strategy RollingUpdate" if strategy else "no strategy, which means RollingUpdate"
        patch = '{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}'
        yield Finding(
            f"{strategy_text}, with ReadWriteOnce claim {', '.join(dict.fromkeys(names))}",
            user.object.place("spec", "strategy", "type"),
            user.object,
            fix="spec.strategy: {type: Recreate}, without rollingUpdate, which the API server refuses beside it. In the cluster: "
            f"kubectl patch {reference(user.object)} --type merge -p '{patch}'",
        )


def _ends_the_old_pod_first(user: Workload) -> bool:
    """Whether a rolling update makes room before it starts a pod: the disk then comes free by itself."""
    return user.object.text("spec", "strategy", "rollingUpdate", "maxSurge") in {"0", "0%"}


def _replicas(index: ObjectIndex) -> Iterator[Verdict]:
    for user, claim in _one_disk_users(index, "Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"):
        if user.replicas > 1:
            message = f"{user.replicas} replicas share ReadWriteOnce claim {claim.name}"
            yield Finding(message, user.object.place("spec", "replicas"), user.object)


def _spot(index: ObjectIndex) -> Iterator[Verdict]:
    for user in index.workloads:
        one_disk = [
            name
            for name, volume in user.pod.volumes.items()
            if set(access_modes(index, user, volume)) & {"ReadWriteOnce", "ReadWriteOncePod"}
        ]
        if user.runs_to_end or not one_disk:
            continue
        found, why, at = exposure(user, index)
        if found is Exposure.YES:
            yield Finding(f"{why}; volume {one_disk[0]} is ReadWriteOnce", user.object.place(*at), user.object)


def _one_pod(index: ObjectIndex) -> Iterator[Verdict]:
    for claim in index.of("PersistentVolumeClaim"):
        if "ReadWriteOncePod" not in texts(claim.body, "spec", "accessModes"):
            continue
        users = {str(user.object): user for user in index.workloads_with(claim)}
        if len(users) > 1:
            place = claim.place("spec", "accessModes")
            yield Finding(f"ReadWriteOncePod, used by {', '.join(sorted(users))}", place, claim)


def _autoscaled(index: ObjectIndex) -> Iterator[Verdict]:
    users: dict[tuple[str, str], list[tuple[Workload, K8sObject]]] = defaultdict(list)
    for user, claim in _one_disk_users(index, "Deployment", "StatefulSet"):
        users[user.object.kind, user.object.name].append((user, claim))
    for scaler in index.of("HorizontalPodAutoscaler"):
        kind, name = scale_target(scaler)
        most = whole(scaler.body, "spec", "maxReplicas") or 0
        claims = [
            claim.name
            for user, claim in users.get((kind, name), ())
            if same_namespace(user.object.namespace, scaler.namespace)
        ]
        if claims and most > 1:
            message = f"maxReplicas {most} for {kind} {name}, which mounts ReadWriteOnce claim {claims[0]}"
            yield Finding(message, scaler.place("spec", "maxReplicas"), scaler)


CHECKS = (
    (ROLLING_UPDATE, _rolling_update),
    (REPLICAS, _replicas),
    (SPOT, _spot),
    (ONE_POD, _one_pod),
    (AUTOSCALED, _autoscaled),
)
