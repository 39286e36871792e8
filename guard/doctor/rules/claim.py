"""VG201 to VG206, VG213 and VG214: claims that are missing, stuck, unused, replaced or about to go. Pure."""

from collections.abc import Iterator
from difflib import get_close_matches

from guard.doctor.inventory import Inventory
from guard.doctor.kube import Kube, Side, Workload
from guard.doctor.ownership import owner_of
from guard.doctor.rule import Finding, Rule, Severity, Unknown, Verdict
from guard.doctor.tree import mappings, text, texts, whole

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
    "Its pods cannot start. The reason stands in its events: no class, no capacity, a wrong access mode or zone, or a class "
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
REPLACED = Rule(
    "VG205", "claim-replaced", Severity.ERROR,
    "The claim was deleted and made again: what it held is on the old volume.",
    "A volume remembers the uid of its claim. A new claim of the same name is another claim and gets another, empty volume.",
    "Set the old volume to Retain, remove its claimRef.uid and bind the claim to it by volumeName; never delete the old volume.",
    _VOLUMES + "#reclaiming",
    "k8sgpt wants Released volumes cleaned up: that would delete the only copy here.",
)  # fmt: skip
BEING_DELETED = Rule(
    "VG206", "claim-being-deleted", Severity.ERROR,
    "The claim is already deleted and lives on only until its last pod stops.",
    "kubernetes.io/pvc-protection holds it while a pod uses it. At the next restart the claim goes, and with reclaimPolicy "
    "Delete the disk.",
    "Before any restart: set the volume to Retain (kubectl patch pv NAME -p '{\"spec\":{\"persistentVolumeReclaimPolicy\":"
    "\"Retain\"}}') and take a backup.",
    _VOLUMES + "#storage-object-in-use-protection",
)  # fmt: skip
RETENTION = Rule(
    "VG213", "statefulset-deletes-claims", Severity.WARNING,
    "The StatefulSet deletes its claims.",
    "persistentVolumeClaimRetentionPolicy Delete removes claims when the StatefulSet is deleted (whenDeleted) or scaled down "
    "(whenScaled), and by the class' reclaimPolicy the disks.",
    "Use Retain for both, which is the default.",
    "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention",
)  # fmt: skip
PRUNABLE = Rule(
    "VG214", "claim-can-be-pruned", Severity.WARNING,
    "The tool that owns the claim may delete it.",
    "Renaming or removing it in the source, or uninstalling, deletes the claim in the cluster: a rename in a chart is a new, "
    "empty claim.",
    "Protect it: Helm helm.sh/resource-policy: keep; Argo CD argocd.argoproj.io/sync-options: Prune=false,Delete=false; "
    "Flux kustomize.toolkit.fluxcd.io/prune: disabled.",
    "https://helm.sh/docs/howto/charts_tips_and_tricks/#tell-helm-not-to-uninstall-a-resource",
)  # fmt: skip

#: Names in a sentence.
_NAMES = 3
#: How alike (difflib's ratio) a missing claim and one that nobody uses are when one is a slip of the other.
_ALIKE = 0.85
#: Unused claims of a namespace that are compared.
_CANDIDATES = 20
#: The reason of a claim's event that is no fault, and the mode of its class: it makes the volume for the first pod.
_WAITS_FOR_POD = "WaitForFirstConsumer"


def _missing(inventory: Inventory) -> Iterator[Verdict]:
    for found in inventory.workloads:
        for volume in found.pod.volumes.values():
            if volume.claim and not inventory.named(_PVC, found.kube.namespace, volume.claim):
                yield _absent(inventory, found, volume.claim, (*volume.at, "persistentVolumeClaim", "claimName"))


def _absent(inventory: Inventory, found: Workload, name: str, at: tuple[str | int, ...]) -> Verdict:
    place = found.kube.place(*at)
    elsewhere = inventory.every(_PVC, name)
    near = inventory.claims_in.get(found.kube.namespace, ())
    unused = inventory.unused_in.get(found.kube.namespace, ())[:_CANDIDATES]
    said = _said_not_found(inventory, found, name)
    if said:
        return Finding(f"claim {name} does not exist: {said[-1]}", place, found.kube)
    if elsewhere:
        there = ", ".join(sorted({claim.namespace for claim in elsewhere}))
        return Finding(f"claim {name} is in namespace {there}, the pod in {found.kube.namespace}", place, found.kube)
    alike = get_close_matches(name, [claim.name for claim in unused], 1, _ALIKE)
    if alike:
        return Finding(
            f"claim {name} is not among the claims given; {alike[0]} is",
            place,
            found.kube,
            fix=f"claimName: {alike[0]}",
        )
    if found.kube.side is Side.LIVE and not _runs(found) and any(claim.side is Side.LIVE for claim in near):
        names = ", ".join(sorted({claim.name for claim in near})[:5])
        return Finding(f"claim {name} is not in namespace {found.kube.namespace}, which has {names}", place, found.kube)
    return Unknown(
        f"claim {name} was not given", f"kubectl get pvc {name} -n {found.kube.namespace or 'NAMESPACE'} -o yaml"
    )


def _said_not_found(inventory: Inventory, found: Workload, name: str) -> list[str]:
    """What the events about a workload's pods say of a claim that does not exist; of a pod that runs it is no longer so."""
    pods = [pod.kube for pod in (found, *inventory.pods_of(found)) if pod.kube.kind == "Pod" and not _runs(pod)]
    events = [event for pod in pods for event in inventory.events_about("Pod", pod.namespace, pod.name)]
    return [event.message for event in events if f'"{name}" not found' in event.message]


def _runs(found: Workload) -> bool:
    """Whether its pods run: then their claims exist, and only some of the namespace's claims were given."""
    ready = (whole(found.kube.body, "status", field) for field in ("readyReplicas", "numberReady"))
    return found.kube.text("status", "phase") == "Running" or any(ready)


def _pending(inventory: Inventory) -> Iterator[Verdict]:
    for claim in inventory.live(_PVC):
        if claim.text("status", "phase") != "Pending":
            continue
        said = inventory.events_about(_PVC, claim.namespace, claim.name)
        telling = [event for event in said if event.reason != _WAITS_FOR_POD] or list(said)
        if not any(user.wants_pods_now for user in inventory.users_of(claim)):
            waits = telling[-1].reason == _WAITS_FOR_POD if telling else _class_waits_for_pod(inventory, claim)
            if waits is None:
                command = f"kubectl describe pvc {claim.name} -n {claim.namespace} (Events)"
                yield Unknown(f"claim {claim.name} is Pending; no event and no StorageClass given says why", command)
            if waits is not False:
                continue  # nothing is wrong with it: no pod asks for it yet
        reason = f"{telling[-1].reason}: {telling[-1].message}" if telling else "no event given says why"
        yield Finding(
            f"phase Pending ({reason})",
            claim.place("status", "phase"),
            claim,
            fix="" if telling else f"kubectl describe pvc {claim.name} -n {claim.namespace} (Events)",
        )


def _class_waits_for_pod(inventory: Inventory, claim: Kube) -> bool | None:
    """Whether its class makes the volume for the first pod; None where the class was not given."""
    kinds = inventory.named("StorageClass", "", claim.text("spec", "storageClassName"))
    return any(kind.text("volumeBindingMode") == _WAITS_FOR_POD for kind in kinds) if kinds else None


def _lost(inventory: Inventory) -> Iterator[Verdict]:
    for claim in inventory.live(_PVC):
        if claim.text("status", "phase") == "Lost":
            volume = claim.text("spec", "volumeName")
            yield Finding(f"phase Lost: its volume {volume} no longer exists", claim.place("status", "phase"), claim)


def _unused(inventory: Inventory) -> Iterator[Verdict]:
    meant = {id(claim) for _, claim in inventory.guarded_claims}
    jobs = inventory.live("CronJob") or inventory.live("Job")
    for claim in inventory.unused_claims:
        near = _neighbours(inventory, claim)
        if not near:
            yield Unknown(
                f"no workload of namespace {claim.namespace or 'of the claim'} given, so whether {claim.name} is used is open",
                f"kubectl describe pvc {claim.name} -n {claim.namespace or 'NAMESPACE'} (Used By)",
            )
            continue
        if inventory.counterpart(claim) is not None and claim.side is Side.FILE:
            continue  # said for the cluster's own
        if claim.side is Side.LIVE and not jobs and id(claim) not in meant:
            yield Unknown(
                f"no CronJob and no Job of the cluster given, so whether one uses {claim.name} is open",
                f"kubectl get cronjob,job -n {claim.namespace or 'NAMESPACE'} -o yaml",
            )
            continue
        asked = ", ".join(sorted(set(map(str, near[:_NAMES])))) + (", ..." if len(near) > _NAMES else "")
        yield Finding(f"no workload or pod given uses this claim (looked at {asked})", claim.place(), claim)


def _neighbours(inventory: Inventory, claim: Kube) -> tuple[Kube, ...]:
    """What could use a claim: the workloads of its namespace; all where its file names none."""
    if claim.namespace:
        return inventory.workloads_in.get(claim.namespace, ())
    return tuple(found.kube for found in inventory.workloads)


def _replaced(inventory: Inventory) -> Iterator[Verdict]:
    for volume in inventory.of("PersistentVolume"):
        namespace, name, uid = (volume.text("spec", "claimRef", field) for field in ("namespace", "name", "uid"))
        for claim in inventory.named(_PVC, namespace, name) if uid else ():
            if claim.uid and claim.uid != uid:
                now = claim.text("spec", "volumeName") or "none yet"
                yield Finding(
                    f"volume {volume.name} ({volume.text('status', 'phase') or 'phase unknown'}) was bound to an earlier claim of this name "
                    f"(uid {uid}); today's claim has uid {claim.uid} and volume {now}",
                    claim.place("metadata", "uid"),
                    claim,
                    fix=f'Keep {volume.name}: kubectl patch pv {volume.name} -p \'{{"spec":{{"persistentVolumeReclaimPolicy":"Retain"}}}}\'. '
                    "Then bind it again: remove its spec.claimRef.uid and resourceVersion, and make a claim with this volumeName.",
                    also=(volume.place("spec", "claimRef"),),
                )


def _being_deleted(inventory: Inventory) -> Iterator[Verdict]:
    for claim in inventory.of(_PVC):
        when = claim.text("metadata", "deletionTimestamp")
        if when:
            yield Finding(
                f"deleted at {when}, kept only by its finalizers until its pods stop", claim.place("metadata"), claim
            )


def _retention(inventory: Inventory) -> Iterator[Verdict]:
    for kube in inventory.of("StatefulSet"):
        for when in ("whenDeleted", "whenScaled"):
            if kube.text("spec", "persistentVolumeClaimRetentionPolicy", when) == "Delete":
                place = kube.place("spec", "persistentVolumeClaimRetentionPolicy", when)
                yield Finding(f"persistentVolumeClaimRetentionPolicy.{when} is Delete", place, kube)


def _prunable(inventory: Inventory) -> Iterator[Verdict]:
    for claim in dict.fromkeys(claim for _, claim in inventory.guarded_claims):
        owner = owner_of(claim)
        if owner is None or is_protected(claim, owner.tool) or claim.side is Side.FILE:
            continue
        yield Finding(
            f"{owner.tool} {owner.unit} owns this claim and nothing keeps it from deleting it",
            claim.place("metadata"),
            claim,
        )


def is_protected(claim: Kube, tool: str) -> bool:
    """Whether an annotation keeps the tool from deleting a claim."""
    if tool == "Helm":
        return text(claim.annotations, "helm.sh/resource-policy") == "keep"
    if tool == "Argo CD":
        options = text(claim.annotations, "argocd.argoproj.io/sync-options").replace(" ", "").split(",")
        return "Prune=false" in options or "Prune=confirm" in options
    if tool == "Flux":
        return text(claim.annotations, "kustomize.toolkit.fluxcd.io/prune") == "disabled" or (
            text(claim.annotations, "helm.sh/resource-policy") == "keep"
        )
    return True  # of other tools we know no such mark


def access_modes(inventory: Inventory, user: Workload, volume: str) -> tuple[str, ...]:
    """The access modes of a volume of a workload: of its claim, or of the template that makes it."""
    found = user.pod.volumes[volume]
    if found.claim:
        claim = inventory.claim(user, found.claim)
        return texts(claim.body, "spec", "accessModes") if claim else ()
    for _, template in mappings(user.kube.body, "spec", "volumeClaimTemplates"):
        if text(template, "metadata", "name") == volume:
            return texts(template, "spec", "accessModes")
    return ()


CHECKS = (
    (MISSING, _missing),
    (PENDING, _pending),
    (LOST, _lost),
    (UNUSED, _unused),
    (REPLACED, _replaced),
    (BEING_DELETED, _being_deleted),
    (RETENTION, _retention),
    (PRUNABLE, _prunable),
)
