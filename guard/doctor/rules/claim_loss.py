"""VG205, VG206, VG213 and VG214: claims that were replaced, or are about to go. Pure."""

from collections.abc import Iterator
from functools import lru_cache

from guard.doctor.finding import K8S_DOCS, Severity, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import PVC, K8sObject
from guard.doctor.objects.ownership import owner_of
from guard.doctor.objects.workload import ORDINAL
from guard.doctor.source.tree import text

_VOLUMES = K8S_DOCS + "concepts/storage/persistent-volumes/"


@rule("VG205", Severity.ERROR, _VOLUMES + "#reclaiming")
def claim_replaced(index: ObjectIndex) -> Iterator[Verdict]:
    """The claim was deleted and made again: what it held is on the old volume.

    Why: A volume remembers the uid of its claim. A new claim of the same name is another claim and gets another, empty
    volume.
    Fix: Set the old volume to Retain, then remove its whole claimRef (its name alone still reserves it) and bind it to
    a claim of another name by volumeName; never delete the old volume.
    Other advice: k8sgpt wants Released volumes cleaned up: that would delete the only copy here.
    """
    for volume in index.of("PersistentVolume"):
        namespace, name, uid = (volume.text("spec", "claimRef", field) for field in ("namespace", "name", "uid"))
        for claim in index.named(PVC, namespace, name) if uid else ():
            if claim.uid and claim.uid != uid:
                message = (
                    f"volume {volume.name} ({volume.phase or 'phase unknown'}) was bound to an earlier claim of this name "
                    f"(uid {uid}); today's claim has uid {claim.uid} and volume "
                    f"{claim.text('spec', 'volumeName') or 'none yet'}"
                )
                also = (volume.place("spec", "claimRef"),)
                yield finding(message, claim, "metadata", "uid", fix=rescue(volume, name), also=also)


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


@rule("VG206", Severity.ERROR, _VOLUMES + "#storage-object-in-use-protection")
def claim_being_deleted(index: ObjectIndex) -> Iterator[Verdict]:
    """The claim is already deleted and lives on only until its last pod stops.

    Why: kubernetes.io/pvc-protection holds it while a pod uses it. At the next restart the claim goes, and with
    reclaimPolicy Delete the disk.
    Fix: Before any restart: set the volume to Retain (kubectl patch pv NAME -p
    '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}') and take a backup.
    """
    for claim in index.of(PVC):
        if when := claim.text("metadata", "deletionTimestamp"):
            yield finding(f"deleted at {when}, kept only by its finalizers until its pods stop", claim, "metadata")


@rule(
    "VG213", Severity.WARNING, K8S_DOCS + "concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention"
)
def statefulset_deletes_claims(index: ObjectIndex) -> Iterator[Verdict]:
    """The StatefulSet deletes its claims.

    Why: persistentVolumeClaimRetentionPolicy Delete removes claims when the StatefulSet is deleted (whenDeleted) or
    scaled down (whenScaled), and by the class' reclaimPolicy the disks.
    Fix: Use Retain for both, which is the default.
    """
    for obj in index.of("StatefulSet"):
        for when in ("whenDeleted", "whenScaled"):
            way = ("spec", "persistentVolumeClaimRetentionPolicy", when)
            if obj.text(*way) == "Delete":
                yield finding(f"{'.'.join(way[1:])} is Delete", obj, *way)


@rule(
    "VG214",
    Severity.WARNING,
    "https://helm.sh/docs/howto/charts_tips_and_tricks/#tell-helm-not-to-uninstall-a-resource",
)
def claim_can_be_pruned(index: ObjectIndex) -> Iterator[Verdict]:
    """The tool that owns the claim may delete it.

    Why: Renaming or removing it in the source, or uninstalling, deletes the claim in the cluster: a rename in a chart
    is a new, empty claim.
    Fix: Protect it: Helm helm.sh/resource-policy: keep; Argo CD argocd.argoproj.io/sync-options:
    Prune=false,Delete=false; Flux kustomize.toolkit.fluxcd.io/prune: disabled.
    """
    for claim in index.claims_to_keep:
        owner = owner_of(claim)
        if owner is None or is_protected(claim, owner.tool) or not claim.is_live or is_dropped(index, claim):
            continue
        if owner.tool == "Helm" and _is_made(claim):
            continue
        message = f"{owner.tool} {owner.unit} owns this claim and nothing keeps it from deleting it"
        yield finding(message, claim, "metadata")
    for template in index.templates:
        owner = owner_of(template)
        if owner is not None and owner.tool == "Argo CD" and not is_protected(template, owner.tool):
            message = (
                f"volumeClaimTemplate {template.name} carries the mark of Argo CD's {owner.unit} ({owner.mark}): its "
                "claims look like objects of the Application that the source does not have, and are pruned"
            )
            fix = (
                "Remove the mark from the template's metadata, or add argocd.argoproj.io/sync-options: "
                "Prune=false,Delete=false."
            )
            yield finding(message, template, "metadata", fix=fix)


def is_dropped(index: ObjectIndex, claim: K8sObject) -> bool:
    """Whether the files have other objects of a claim's owner, but not the claim: upgrade-removes-claim reports it.

    A Helm release of the same name in another namespace is another owner.
    """
    owner = owner_of(claim)
    if owner is None or index.counterpart(claim) is not None or _is_made(claim):
        return False
    return not _rendered(index).isdisjoint((owner.tool, owner.unit, near) for near in ("", claim.namespace))


@lru_cache(maxsize=1)
def _rendered(index: ObjectIndex) -> frozenset[tuple[str, str, str]]:
    """Tool, unit and, of Helm, the namespace of every owner of which the files have an object."""
    return frozenset(
        (owner.tool, owner.unit, obj.namespace if owner.tool == "Helm" else "")
        for obj in index.objects
        if (not obj.is_live or index.counterpart(obj)) and (owner := owner_of(obj))
    )


def is_protected(claim: K8sObject, tool: str) -> bool:
    """Whether an annotation keeps the tool from deleting a claim; of other tools than these we know none."""
    is_kept = text(claim.annotations, "helm.sh/resource-policy") == "keep"
    if tool == "Argo CD":
        options = text(claim.annotations, "argocd.argoproj.io/sync-options").replace(" ", "").split(",")
        return not {"Prune=false", "Prune=confirm"}.isdisjoint(options)
    if tool == "Flux":
        return is_kept or text(claim.annotations, "kustomize.toolkit.fluxcd.io/prune") == "disabled"
    return is_kept or tool != "Helm"


def _is_made(claim: K8sObject) -> bool:
    """Whether a StatefulSet made a claim, which can copy its labels to it."""
    return bool(ORDINAL.search(claim.name)) and not text(claim.annotations, "meta.helm.sh/release-name")
