"""VG205, VG206, VG213 and VG214: claims that were replaced, or are about to go. Pure."""

from collections.abc import Iterator
from functools import lru_cache

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.ownership import owner_of
from guard.doctor.objects.workload import ORDINAL
from guard.doctor.source.document import Side
from guard.doctor.source.tree import text

_PVC = "PersistentVolumeClaim"
_VOLUMES = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/"

REPLACED = Rule(
    "VG205", "claim-replaced", Severity.ERROR,
    "The claim was deleted and made again: what it held is on the old volume.",
    "A volume remembers the uid of its claim. A new claim of the same name is another claim and gets another, empty volume.",
    "Set the old volume to Retain, then remove its whole claimRef (its name alone still reserves it) and bind it to a claim of "
    "another name by volumeName; never delete the old volume.",
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


def _replaced(index: ObjectIndex) -> Iterator[Verdict]:
    for volume in index.of("PersistentVolume"):
        namespace, name, uid = (volume.text("spec", "claimRef", field) for field in ("namespace", "name", "uid"))
        for claim in index.named(_PVC, namespace, name) if uid else ():
            if claim.uid and claim.uid != uid:
                now = claim.text("spec", "volumeName") or "none yet"
                yield Finding(
                    f"volume {volume.name} ({volume.text('status', 'phase') or 'phase unknown'}) was bound to an earlier claim of this name "
                    f"(uid {uid}); today's claim has uid {claim.uid} and volume {now}",
                    claim.place("metadata", "uid"),
                    claim,
                    fix=rescue(volume, name),
                    also=(volume.place("spec", "claimRef"),),
                )


def rescue(volume: K8sObject, claim: str) -> str:
    """How a volume that lost its claim is bound to a new one, under another name: nothing that runs is touched."""
    keep = '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'
    free = '[{"op":"remove","path":"/spec/claimRef"}]'
    kind = volume.text("spec", "storageClassName") or '""'
    return (
        f"Keep it first: kubectl patch pv {volume.name} -p '{keep}'. Then free it: kubectl patch pv {volume.name} --type json -p "
        f"'{free}' (the whole claimRef: its name alone reserves the volume for {claim or 'the old claim'}). Make claim {claim or 'data'}-old "
        f"with volumeName: {volume.name} and storageClassName: {kind}, look at it in a pod of its own, and only then let the workload use it."
    )


def _being_deleted(index: ObjectIndex) -> Iterator[Verdict]:
    for claim in index.of(_PVC):
        when = claim.text("metadata", "deletionTimestamp")
        if when:
            yield Finding(
                f"deleted at {when}, kept only by its finalizers until its pods stop", claim.place("metadata"), claim
            )


def _retention(index: ObjectIndex) -> Iterator[Verdict]:
    for obj in index.of("StatefulSet"):
        for when in ("whenDeleted", "whenScaled"):
            if obj.text("spec", "persistentVolumeClaimRetentionPolicy", when) == "Delete":
                place = obj.place("spec", "persistentVolumeClaimRetentionPolicy", when)
                yield Finding(f"persistentVolumeClaimRetentionPolicy.{when} is Delete", place, obj)


def _prunable(index: ObjectIndex) -> Iterator[Verdict]:
    for claim in dict.fromkeys(claim for _, claim in index.guarded_claims):
        owner = owner_of(claim)
        if owner is None or is_protected(claim, owner.tool) or claim.side is Side.FILE or is_dropped(index, claim):
            continue
        if owner.tool == "Helm" and _is_made(claim):
            continue
        message = f"{owner.tool} {owner.unit} owns this claim and nothing keeps it from deleting it"
        yield Finding(message, claim.place("metadata"), claim)
    for workload in index.workloads:
        for at, template in workload.templates:
            owner = owner_of(template)
            if owner is not None and owner.tool == "Argo CD" and not is_protected(template, owner.tool):
                message = (
                    f"volumeClaimTemplate {template.name} carries the mark of Argo CD's {owner.unit} ({owner.mark}): its claims look like "
                    "objects of the Application that the source does not have, and are pruned"
                )
                fix = "Remove the mark from the template's metadata, or add argocd.argoproj.io/sync-options: Prune=false,Delete=false."
                yield Finding(message, workload.object.place(*at, "metadata"), workload.object, fix, about=(template,))


def is_dropped(index: ObjectIndex, claim: K8sObject) -> bool:
    """Whether the files have other objects of a claim's owner, but not the claim: upgrade-removes-claim reports it.

    A Helm release of the same name in another namespace is another owner.
    """
    owner = owner_of(claim)
    if owner is None or index.counterpart(claim) is not None:
        return False
    if _is_made(claim):
        return False
    return not _rendered(index).isdisjoint((owner.tool, owner.unit, near) for near in ("", claim.namespace))


def _is_made(claim: K8sObject) -> bool:
    """Whether a StatefulSet made a claim, which can copy its labels to it."""
    return bool(ORDINAL.search(claim.name)) and not text(claim.annotations, "meta.helm.sh/release-name")


@lru_cache(maxsize=1)
def _rendered(index: ObjectIndex) -> frozenset[tuple[str, str, str]]:
    """Tool, unit and, of Helm, the namespace of every owner of which the files have an object."""
    return frozenset(
        (owner.tool, owner.unit, obj.namespace if owner.tool == "Helm" else "")
        for obj in index.objects
        if (obj.side is Side.FILE or index.counterpart(obj)) and (owner := owner_of(obj))
    )


def is_protected(claim: K8sObject, tool: str) -> bool:
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


CHECKS = (
    (REPLACED, _replaced),
    (BEING_DELETED, _being_deleted),
    (RETENTION, _retention),
    (PRUNABLE, _prunable),
)
