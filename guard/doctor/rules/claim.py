"""VG201 to VG204: claims that are missing, stuck, without a volume or unused. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from guard.doctor.finding import Finding, Rule, Severity, Unknown, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.names import shared
from guard.doctor.objects.workload import Workload
from guard.doctor.source.document import Side
from guard.doctor.source.tree import mappings, text, whole

_PVC = "PersistentVolumeClaim"
_VOLUMES = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/"

MISSING = Rule(
    "VG201", "claim-missing", Severity.ERROR,
    "A pod names a claim that does not exist.",
    "The pod cannot start. It waits in Pending until the claim is there; a claim belongs to one namespace.",
    "Create the claim, or correct claimName or the namespace.",
    _VOLUMES + "#claims-as-volumes",
)  # fmt: skip
PENDING = Rule(
    "VG202", "claim-pending", Severity.ERROR,
    "The claim waits for a volume.",
    "Its pods cannot start. The reason is in its events: no class, no capacity, a wrong access mode or zone, or a class "
    "that waits for the first pod (WaitForFirstConsumer) while that pod itself cannot be scheduled.",
    "kubectl describe pvc NAME, and remove the reason; never delete the claim to try again when it once held data.",
    _VOLUMES + "#binding",
)  # fmt: skip
LOST = Rule(
    "VG203", "claim-lost", Severity.ERROR,
    "The claim's volume is gone.",
    "The PersistentVolume that the claim was bound to no longer exists, so the claim can never be mounted again.",
    "Look for the disk at the provider before anything else; bind it again by a PersistentVolume that you write yourself.",
    _VOLUMES + "#binding",
)  # fmt: skip
UNUSED = Rule(
    "VG204", "claim-unused", Severity.WARNING,
    "No workload and no pod uses the claim.",
    "A claim that was made for an application and is mounted by nobody is how a missing volume shows: Bound, healthy, empty.",
    "Mount it where it is meant. Do not delete it before you looked at what it holds.",
    _VOLUMES + "#claims-as-volumes",
    "Tools for unused resources suggest to delete such a claim; with reclaimPolicy Delete the disk goes with it.",
)  # fmt: skip
#: Names in a sentence.
_NAMES = 3
#: How alike (difflib's ratio) a missing claim and one that nobody uses are when one is a slip of the other.
_ALIKE = 0.85
#: Unused claims of a namespace that are compared.
_CANDIDATES = 20
#: The reason of a claim's event that is no fault, and the mode of its class: it makes the volume for the first pod.
_WAITS_FOR_POD = "WaitForFirstConsumer"


def _missing(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.workloads:
        for volume in workload.pod.volumes.values():
            if volume.claim and not index.named(_PVC, workload.object.namespace, volume.claim):
                yield _absent(index, workload, volume.claim, (*volume.at, "persistentVolumeClaim", "claimName"))


def _absent(index: ObjectIndex, workload: Workload, name: str, at: tuple[str | int, ...]) -> Verdict:
    place = workload.object.place(*at)
    elsewhere = index.every(_PVC, name)
    near = index.claims_in.get(workload.object.namespace, ())
    unused = index.unused_in.get(workload.object.namespace, ())[:_CANDIDATES]
    notes = _not_found_notes(index, workload, name)
    if notes:
        return Finding(f"claim {name} does not exist: {notes[-1]}", place, workload.object)
    if elsewhere:
        there = ", ".join(sorted({claim.namespace for claim in elsewhere}))
        return Finding(
            f"claim {name} is in namespace {there}, the pod in {workload.object.namespace}", place, workload.object
        )
    alike = get_close_matches(name, [claim.name for claim in unused], 1, _ALIKE)
    if alike:
        return Finding(
            f"claim {name} is not among the claims given; {alike[0]} is",
            place,
            workload.object,
            fix=f"claimName: {alike[0]}",
        )
    if workload.object.side is Side.LIVE and not _runs(workload) and any(claim.side is Side.LIVE for claim in near):
        names = ", ".join(sorted({claim.name for claim in near})[:5])
        return Finding(
            f"claim {name} is not in namespace {workload.object.namespace}, which has {names}", place, workload.object
        )
    return Unknown(
        f"claim {name} was not given", f"kubectl get pvc {name} -n {workload.object.namespace or 'NAMESPACE'} -o yaml"
    )


def _not_found_notes(index: ObjectIndex, workload: Workload, name: str) -> list[str]:
    """What the events about a workload's pods report about a claim that does not exist; for a pod that runs this is past."""
    pods = [pod.object for pod in (workload, *index.pods_of(workload)) if pod.object.kind == "Pod" and not _runs(pod)]
    events = [event for pod in pods for event in index.events_about("Pod", pod.namespace, pod.name)]
    return [event.message for event in events if f'"{name}" not found' in event.message]


def _runs(workload: Workload) -> bool:
    """Whether its pods run: then their claims exist, and only some of the namespace's claims were given."""
    ready = (whole(workload.object.body, "status", field) for field in ("readyReplicas", "numberReady"))
    return workload.object.text("status", "phase") == "Running" or any(ready)


def _pending(index: ObjectIndex) -> Iterator[Verdict]:
    for claim in index.live(_PVC):
        if claim.text("status", "phase") != "Pending":
            continue
        notes = index.events_about(_PVC, claim.namespace, claim.name)
        telling = [event for event in notes if event.reason != _WAITS_FOR_POD] or list(notes)
        if not any(user.wants_pods_now for user in index.users_of(claim)):
            waits = telling[-1].reason == _WAITS_FOR_POD if telling else _class_waits_for_pod(index, claim)
            if waits is None:
                command = f"kubectl describe pvc {claim.name} -n {claim.namespace} (Events)"
                yield Unknown(f"claim {claim.name} is Pending; no event and no StorageClass given shows why", command)
            if waits is not False:
                continue  # nothing is wrong with it: no pod asks for it yet
        reason = f"{telling[-1].reason}: {telling[-1].message}" if telling else "no event given shows why"
        yield Finding(
            f"phase Pending ({reason})",
            claim.place("status", "phase"),
            claim,
            fix="" if telling else f"kubectl describe pvc {claim.name} -n {claim.namespace} (Events)",
        )


def _class_waits_for_pod(index: ObjectIndex, claim: K8sObject) -> bool | None:
    """Whether its class makes the volume for the first pod; None where the class was not given."""
    kinds = index.named("StorageClass", "", claim.text("spec", "storageClassName"))
    return any(kind.text("volumeBindingMode") == _WAITS_FOR_POD for kind in kinds) if kinds else None


def _lost(index: ObjectIndex) -> Iterator[Verdict]:
    for claim in index.live(_PVC):
        if claim.text("status", "phase") == "Lost":
            volume = claim.text("spec", "volumeName")
            yield Finding(f"phase Lost: its volume {volume} no longer exists", claim.place("status", "phase"), claim)


def _unused(index: ObjectIndex) -> Iterator[Verdict]:
    meant = {id(claim) for _, claim in index.guarded_claims}
    jobs = index.live("CronJob") or index.live("Job")
    for claim in index.unused_claims:
        near = _neighbours(index, claim)
        reported = _unused_condition(claim)
        if reported is not None:
            if text(reported, "status") == "True":
                since = text(reported, "lastTransitionTime")
                place = claim.place("status", "conditions")
                yield Finding(
                    f"the cluster reports that no pod uses it (condition Unused{f' since {since}' if since else ''})",
                    place,
                    claim,
                )
            continue
        if not near:
            yield Unknown(
                f"no workload of {f'namespace {claim.namespace}' if claim.namespace else 'its namespace'} given, so whether {claim.name} is used is open",
                f"kubectl describe pvc {claim.name} -n {claim.namespace or 'NAMESPACE'} (Used By)",
            )
            continue
        if index.counterpart(claim) is not None and claim.side is Side.FILE:
            continue  # reported for the cluster's own
        if claim.side is Side.LIVE and not jobs and id(claim) not in meant:
            yield Unknown(
                f"no CronJob and no Job of the cluster given, so whether one uses {claim.name} is open",
                f"kubectl get cronjob,job -n {claim.namespace or 'NAMESPACE'} -o yaml",
            )
            continue
        asked = ", ".join(sorted(set(map(str, near[:_NAMES])))) + (", ..." if len(near) > _NAMES else "")
        message = f"no workload or pod given uses this claim (looked at {asked}){_taken_over(index, claim)}"
        yield Finding(message, claim.place(), claim)


def _taken_over(index: ObjectIndex, claim: K8sObject) -> str:
    """A younger claim of a like name that a workload uses: the data can still be in the old one."""
    for user, other in _claimants(index).get(claim.namespace, ())[:_CANDIDATES]:
        later = other.text("metadata", "creationTimestamp") > claim.text("metadata", "creationTimestamp") > ""
        if later and shared(claim.name, other.name):
            return f": {user.object} uses claim {other.name}, which was created later: its earlier data can be here"
    return ""


@lru_cache(maxsize=1)
def _claimants(index: ObjectIndex) -> Mapping[str, Sequence[tuple[Workload, K8sObject]]]:
    groups: dict[str, list[tuple[Workload, K8sObject]]] = defaultdict(list)
    for user, claim in index.claimants:
        groups[claim.namespace].append((user, claim))
    return groups


def _unused_condition(claim: K8sObject) -> Mapping[str, Any] | None:
    """What Kubernetes 1.36 and later reports of a claim's use; a pod that is Pending counts as use."""
    conditions = (one for _, one in mappings(claim.body, "status", "conditions"))
    return next((one for one in conditions if text(one, "type") == "Unused"), None)


def _neighbours(index: ObjectIndex, claim: K8sObject) -> Sequence[K8sObject]:
    """What could use a claim: the workloads of its namespace; all where its file names none."""
    if claim.namespace:
        return index.workloads_in.get(claim.namespace, ())
    return [workload.object for workload in index.workloads[: _NAMES + 1]]


CHECKS = (
    (MISSING, _missing),
    (PENDING, _pending),
    (LOST, _lost),
    (UNUSED, _unused),
)
