"""VG201 to VG204: claims that are missing, stuck, without a volume or unused. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache

from guard.doctor.finding import Finding, Severity, Unknown, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.lookup import grouped
from guard.doctor.objects.k8s_object import PVC, K8sObject
from guard.doctor.objects.names import shared
from guard.doctor.objects.workload import Volume, Workload
from guard.doctor.source.tree import text, whole

_VOLUMES = "concepts/storage/persistent-volumes/"

#: Names in a sentence.
_NAMES = 3
#: How alike (difflib's ratio) a missing claim and one that nobody uses are when one is a slip of the other.
_ALIKE = 0.85
#: Unused claims of a namespace that are compared.
_CANDIDATES = 20
#: The reason of a claim's event that is no fault, and the mode of its class: it makes the volume for the first pod.
_WAITS_FOR_POD = "WaitForFirstConsumer"


@rule("VG201", Severity.ERROR, _VOLUMES + "#claims-as-volumes")
def claim_missing(index: ObjectIndex) -> Iterator[Verdict]:
    """A pod names a claim that does not exist.

    Why: The pod cannot start. It waits in Pending until the claim is there; a claim belongs to one namespace.
    Fix: Create the claim, or correct claimName or the namespace.
    """
    for workload in index.workloads:
        for volume in workload.volumes.values():
            if volume.claim and not index.named(PVC, workload.namespace, volume.claim):
                yield _absent(index, volume)


def _absent(index: ObjectIndex, volume: Volume) -> Verdict:
    workload, name = volume.workload, volume.claim
    elsewhere = index.named(PVC, "", name)
    near = index.claims_in.get(workload.namespace, ())
    unused = index.unused_in.get(workload.namespace, ())[:_CANDIDATES]
    alike = get_close_matches(name, [claim.name for claim in unused], 1, _ALIKE)
    fix = ""
    if notes := _not_found_notes(index, workload, name):
        message = f"claim {name} does not exist: {notes[-1]}"
    elif elsewhere:
        there = ", ".join(sorted({claim.namespace for claim in elsewhere}))
        message = f"claim {name} is in namespace {there}, the pod in {workload.namespace}"
    elif alike:
        message, fix = f"claim {name} is not among the claims given; {alike[0]} is", f"claimName: {alike[0]}"
    elif workload.is_live and not _runs(workload) and any(claim.is_live for claim in near):
        names = ", ".join(sorted({claim.name for claim in near})[:5])
        message = f"claim {name} is not in namespace {workload.namespace}, which has {names}"
    else:
        command = f"kubectl get pvc {name} -n {workload.kubectl_namespace} -o yaml"
        return Unknown(f"claim {name} was not given", command)
    return finding(message, volume, "persistentVolumeClaim", "claimName", fix=fix)


def _not_found_notes(index: ObjectIndex, workload: Workload, name: str) -> list[str]:
    """Returns what events about a workload's pods report about a claim that does not exist; for a pod that runs this is past."""
    pods = (pod for pod in (workload, *index.pods_of(workload)) if pod.kind == "Pod" and not _runs(pod))
    notes = (note.message for pod in pods for note in index.events_about(pod))
    return [message for message in notes if f'"{name}" not found' in message]


def _runs(workload: Workload) -> bool:
    """Whether its pods run: then their claims exist, and only some of the namespace's claims were given."""
    ready = (whole(workload.body, "status", field) for field in ("readyReplicas", "numberReady"))
    return workload.phase == "Running" or any(ready)


@rule("VG202", Severity.ERROR, _VOLUMES + "#binding")
def claim_pending(index: ObjectIndex) -> Iterator[Verdict]:
    """The claim waits for a volume.

    Why: Its pods cannot start. The reason is in its events: no class, no capacity, a wrong access mode or zone, or a
    class that waits for the first pod (WaitForFirstConsumer) while that pod itself cannot be scheduled.
    Fix: kubectl describe pvc NAME, and remove the reason; never delete the claim to try again when it once held data.
    """
    for claim in index.live(PVC):
        if claim.phase != "Pending":
            continue
        notes = index.events_about(claim)
        telling = [note for note in notes if note.reason != _WAITS_FOR_POD] or list(notes)
        command = f"kubectl describe pvc {claim.name} -n {claim.namespace} (Events)"
        # Pods that should run today: not of what ended, is suspended or scaled to nothing, or waits for its hour.
        steady = (user for user in index.users_of(claim) if user.kind != "CronJob" and not user.is_past)
        if not any(user.replicas > 0 and not user.is_suspended for user in steady):
            kinds = index.named("StorageClass", "", claim.text("spec", "storageClassName"))
            waits = any(kind.text("volumeBindingMode") == _WAITS_FOR_POD for kind in kinds)
            if telling:
                waits = telling[-1].reason == _WAITS_FOR_POD
            elif not kinds:
                yield Unknown(f"claim {claim.name} is Pending; no event and no StorageClass given shows why", command)
            if waits or not (telling or kinds):
                continue  # nothing is wrong with it: no pod asks for it yet
        reason = f"{telling[-1].reason}: {telling[-1].message}" if telling else "no event given shows why"
        yield finding(f"phase Pending ({reason})", claim, "status", "phase", fix="" if telling else command)


@rule("VG203", Severity.ERROR, _VOLUMES + "#binding")
def claim_lost(index: ObjectIndex) -> Iterator[Verdict]:
    """The claim's volume is gone.

    Why: The PersistentVolume that the claim was bound to no longer exists, so the claim can never be mounted again.
    Fix: Look for the disk at the provider before anything else; bind it again by a PersistentVolume that you write
    yourself.
    """
    for claim in index.live(PVC):
        if claim.phase == "Lost":
            volume = claim.text("spec", "volumeName")
            yield Finding(f"phase Lost: its volume {volume} no longer exists", claim.place("status", "phase"), claim)


@rule("VG204", Severity.WARNING, _VOLUMES + "#claims-as-volumes")
def claim_unused(index: ObjectIndex) -> Iterator[Verdict]:
    """No workload and no pod uses the claim.

    Why: A claim that was made for an application and is mounted by nobody is how a missing volume shows: Bound,
    healthy, empty.
    Fix: Mount it where it is meant. Do not delete it before you checked what it holds.
    Other advice: Tools for unused resources suggest to delete such a claim; with reclaimPolicy Delete the disk is
    lost with it.
    """
    meant = set(index.claims_to_keep)
    jobs = index.live("CronJob") or index.live("Job")
    for claim in index.unused_claims:
        # a claim whose file names no namespace can be any workload's
        near = index.workloads_in.get(claim.namespace, ()) if claim.namespace else index.workloads[: _NAMES + 1]
        reported = next((one for one in claim.mappings("status", "conditions") if text(one, "type") == "Unused"), None)
        if reported is not None:  # by Kubernetes 1.36 and later, for which a pod that is Pending counts as use
            if text(reported, "status") == "True":
                since = f" since {text(reported, 'lastTransitionTime')}".removesuffix(" since ")
                message = f"the cluster reports that no pod uses it (condition Unused{since})"
                yield finding(message, claim, "status", "conditions")
        elif not near:
            where = f"namespace {claim.namespace}" if claim.namespace else "its namespace"
            yield Unknown(
                f"no workload of {where} given, so whether {claim.name} is used is open",
                f"kubectl describe pvc {claim.name} -n {claim.kubectl_namespace} (Used By)",
            )
        elif index.counterpart(claim) is not None and not claim.is_live:
            continue  # reported for the cluster's own
        elif claim.is_live and not jobs and claim not in meant:
            yield Unknown(
                f"no CronJob and no Job of the cluster given, so whether one uses {claim.name} is open",
                f"kubectl get cronjob,job -n {claim.kubectl_namespace} -o yaml",
            )
        else:
            asked = ", ".join(sorted(set(map(str, near[:_NAMES])))) + (", ..." if len(near) > _NAMES else "")
            message = f"no workload or pod given uses this claim (looked at {asked}){_taken_over(index, claim)}"
            yield finding(message, claim)


def _taken_over(index: ObjectIndex, claim: K8sObject) -> str:
    """Returns a younger claim of a like name that a workload uses: the data can still be in the old one."""
    for user, other in _claimants(index).get(claim.namespace, ())[:_CANDIDATES]:
        later = other.text("metadata", "creationTimestamp") > claim.text("metadata", "creationTimestamp") > ""
        if later and shared(claim.name, other.name):
            return f": {user} uses claim {other.name}, which was created later: its earlier data can be here"
    return ""


@lru_cache(maxsize=1)
def _claimants(index: ObjectIndex) -> Mapping[str, Sequence[tuple[Workload, K8sObject]]]:
    return grouped((claim.namespace, (user, claim)) for user, claim in index.claimants)
