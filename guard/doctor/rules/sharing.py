"""VG221 to VG225: one disk, and how many pods on which nodes want it. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import K8S_DOCS, Answer, Severity, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.lookup import grouped
from guard.doctor.objects.k8s_object import PVC, K8sObject, same_namespace, scale_target
from guard.doctor.objects.workload import Workload
from guard.doctor.rules.placement import exposure
from guard.doctor.source.tree import whole
from guard.doctor.storage import access_modes

_MODES = K8S_DOCS + "concepts/storage/persistent-volumes/#access-modes"
_ONE_DISK = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})


def _one_disk_users(index: ObjectIndex, *kinds: str) -> Iterator[tuple[Workload, K8sObject]]:
    for user, claim in index.claimants:
        if user.kind in kinds and claim.access_modes and claim.access_modes <= _ONE_DISK:
            yield user, claim


@rule("VG221", Severity.WARNING, K8S_DOCS + "concepts/workloads/controllers/deployment/#recreate-deployment")
def rolling_update_of_one_disk(index: ObjectIndex) -> Iterator[Verdict]:
    """A Deployment with a ReadWriteOnce volume is updated by RollingUpdate.

    Why: RollingUpdate (the default) starts the new pod before the old one ends. On another node the new pod waits for
    the disk that the old one holds, and the old one waits for the new one; on the same node both write at once.
    Fix: spec.strategy.type: Recreate, and remove spec.strategy.rollingUpdate: the API server refuses the two together.
    Other advice: kube-linter (no-rolling-update-strategy) and kube-score (deployment-strategy) want RollingUpdate:
    right for stateless pods, not for one disk.
    """
    patch = '{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}'
    for user, claims in grouped(_one_disk_users(index, "Deployment")).items():
        strategy = user.text("spec", "strategy", "type")
        # Without a surge it makes room before it starts a pod: the disk then comes free by itself.
        makes_room = user.text("spec", "strategy", "rollingUpdate", "maxSurge") in {"0", "0%"}
        if strategy == "Recreate" or user.replicas == 0 or makes_room:
            continue
        what = "strategy RollingUpdate" if strategy else "no strategy, which means RollingUpdate"
        names = ", ".join(dict.fromkeys(claim.name for claim in claims))
        fix = (
            "spec.strategy: {type: Recreate}, without rollingUpdate, which the API server refuses beside it. In the cluster: "
            f"kubectl patch {user.kubectl_name} --type merge -p '{patch}'"
        )
        yield finding(f"{what}, with ReadWriteOnce claim {names}", user, "spec", "strategy", "type", fix=fix)


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
    for user, claim in _one_disk_users(index, "Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"):
        if user.replicas > 1:
            message = f"{user.replicas} replicas share ReadWriteOnce claim {claim.name}"
            yield finding(message, user, "spec", "replicas")


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
    users = grouped(((user.kind, user.name), (user, claim)) for user, claim in pairs)
    for scaler in index.of("HorizontalPodAutoscaler"):
        kind, name = scale_target(scaler)
        most = whole(scaler.body, "spec", "maxReplicas") or 0
        own = ((user, claim) for user, claim in users.get((kind, name), ()) if most > 1)
        claim = next((claim for user, claim in own if same_namespace(user.namespace, scaler.namespace)), None)
        if claim is not None:
            message = f"maxReplicas {most} for {kind} {name}, which mounts ReadWriteOnce claim {claim.name}"
            yield finding(message, scaler, "spec", "maxReplicas")
