"""VG207 to VG212: storage classes, and what happens to a volume when its claim goes. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from guard.doctor.finding import Finding, Rule, Severity, Unknown, Verdict
from guard.doctor.index import ObjectIndex, unique
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.workload import Workload
from guard.doctor.rules.backups import backups_of
from guard.doctor.rules.claim_loss import rescue
from guard.doctor.source.document import Side
from guard.doctor.source.tree import Path
from guard.doctor.storage import ReclaimPolicy, class_name, is_bound, is_default, leaves_class_open, reclaim_policy

_PVC = "PersistentVolumeClaim"
_CLASSES = "https://kubernetes.io/docs/concepts/storage/storage-classes/"
_VOLUMES = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/"
#: The annotation of a volume that a provisioner made.
_MADE_BY = "pv.kubernetes.io/provisioned-by"

NO_CLASS = Rule(
    "VG207", "no-storage-class", Severity.WARNING,
    "The claim names no storage class.",
    "It then gets the cluster's default class, which differs between clusters and changes with them; with no default it "
    "stays Pending. What the volume is, and whether it is deleted with its claim, is then left to chance.",
    "Name the class: storageClassName (on GKE standard-rwo or premium-rwo), best one of your own with reclaimPolicy Retain.",
    _VOLUMES + "#class-1",
)  # fmt: skip
CLASS_MISSING = Rule(
    "VG208", "storage-class-missing", Severity.ERROR,
    "The claim names a storage class that the cluster does not have.",
    "No volume is made; the claim stays Pending, and so does its pod.",
    "kubectl get storageclass; name one of them, or create this one. A bound claim's class cannot be changed.",
    _CLASSES,
)  # fmt: skip
TWO_DEFAULTS = Rule(
    "VG209", "two-default-classes", Severity.WARNING,
    "Several storage classes are marked as the default.",
    "A claim without a class gets the one that was created last (before Kubernetes 1.26 it was refused): which disk that "
    "is, and whether it survives its claim, depends on when it was created.",
    'Keep one default: set the annotation storageclass.kubernetes.io/is-default-class to "false" on the others.',
    _CLASSES + "#default-storageclass",
)  # fmt: skip
NO_DEFAULT = Rule(
    "VG210", "no-default-class", Severity.ERROR,
    "The claim names no storage class, and the cluster has no default one.",
    "The claim stays Pending until a default class appears.",
    "Name a class in the claim (storageClassName).",
    _CLASSES + "#default-storageclass",
)  # fmt: skip
RECLAIM_DELETE = Rule(
    "VG211", "reclaim-delete", Severity.WARNING,
    "The disk is deleted together with its claim, and no backup is among the objects given.",
    "reclaimPolicy Delete is the default of dynamic provisioning: a deleted, renamed or pruned claim takes the only copy "
    "with it. A runbook that recreates the claim deletes the data.",
    "kubectl patch pv NAME -p '{\"spec\":{\"persistentVolumeReclaimPolicy\":\"Retain\"}}' for what exists; a class with Retain for what comes.",
    "https://kubernetes.io/docs/tasks/administer-cluster/change-pv-reclaim-policy/",
)  # fmt: skip
RELEASED = Rule(
    "VG212", "released-volume", Severity.WARNING,
    "A volume without a claim still holds what a claim once had.",
    "Released means: the claim is gone, the data is not. It is not bound again by itself, so a new claim starts empty beside it.",
    "Never delete it before you looked at it. To use it again: set it to Retain, remove its whole spec.claimRef, then make a claim "
    "with volumeName set to it.",
    _VOLUMES + "#retain",
    'k8sgpt reports that a Released volume "should be cleaned up". It can be the only copy.',
)  # fmt: skip


def _no_class(index: ObjectIndex) -> Iterator[Verdict]:
    where = "kubectl get storageclass" if not index.live("StorageClass") else ""
    fix = f"{NO_CLASS.fix} {where}".strip()
    for claim in index.of(_PVC):
        if leaves_class_open(claim):
            yield Finding("spec.storageClassName is not set", claim.place("spec"), claim, fix=fix)
    for workload, at, template in _templates(index):
        if leaves_class_open(template):
            message = f"storageClassName of volumeClaimTemplate {template.name} is not set"
            yield Finding(message, workload.object.place(*at, "spec"), workload.object, fix=fix, about=(template,))


def _templates(index: ObjectIndex) -> Iterator[tuple[Workload, Path, K8sObject]]:
    """The volumeClaimTemplates of each StatefulSet, with where they stand."""
    for workload in index.workloads:
        for at, template in workload.templates:
            yield workload, at, template


def _class_missing(index: ObjectIndex) -> Iterator[Verdict]:
    existing = {obj.name for obj in index.of("StorageClass")}
    by_hand = {class_name(obj) for obj in index.of("PersistentVolume")}
    for claim, what in _unbound(index):
        name = class_name(claim)
        if not name or name in existing or name in by_hand:
            continue
        if index.live("StorageClass"):
            message = f"{what.message} {name} does not exist; the cluster has {', '.join(sorted(existing))}"
            yield replace(what, message=message)
        else:
            yield Unknown(
                f"no StorageClass given, so whether {name} exists is open", f"kubectl get storageclass {name} -o yaml"
            )


def _unbound(index: ObjectIndex) -> Iterator[tuple[K8sObject, Finding]]:
    """Claims, and templates of claims, that need their class; each with its place and how a sentence about it begins."""
    for claim in index.of(_PVC):
        if not is_bound(index, claim):
            yield claim, Finding("storageClassName", claim.place("spec", "storageClassName"), claim)
    for workload, at, template in _templates(index):
        made = [index.claim(workload, name) for name in index.made_from(workload, template.name)]
        if not any(claim is not None and is_bound(index, claim) for claim in made):
            what = f"storageClassName of volumeClaimTemplate {template.name}:"
            place = workload.object.place(*at, "spec", "storageClassName")
            yield template, Finding(what, place, workload.object, about=(template,))


def _two_defaults(index: ObjectIndex) -> Iterator[Verdict]:
    for side in Side:
        defaults = [obj for obj in index.of("StorageClass") if obj.side is side and is_default(obj)]
        if len({obj.name for obj in defaults}) > 1:
            names = ", ".join(obj.name for obj in defaults)
            yield Finding(
                f"default classes: {names}",
                defaults[0].place(),
                defaults[0],
                also=tuple(obj.place() for obj in defaults[1:]),
            )


def _no_default(index: ObjectIndex) -> Iterator[Verdict]:
    classes = index.live("StorageClass")
    if any(map(is_default, index.of("StorageClass"))) or any(map(_is_free, index.of("PersistentVolume"))):
        return
    for claim in index.of(_PVC):
        if not leaves_class_open(claim) or is_bound(index, claim):
            continue
        if classes:
            names = ", ".join(obj.name for obj in classes)
            yield Finding(
                f"no storageClassName, and none of the classes {names} is the default", claim.place("spec"), claim
            )
        else:
            yield Unknown("no StorageClass given, so whether one is the default is open", "kubectl get storageclass")


def _is_free(volume: K8sObject) -> bool:
    """Whether a volume made by hand waits for a claim that names no class."""
    return not volume.text("spec", "storageClassName") and volume.text("status", "phase") in {"", "Available"}


def _reclaim_delete(index: ObjectIndex) -> Iterator[Verdict]:
    for claim in unique(claim for _, claim in index.guarded_claims):
        if backups_of(index, claim) or (claim.side is Side.FILE and index.counterpart(claim)):
            continue
        policy = reclaim_policy(index, claim)
        if policy is not None and policy.source.kind == "PersistentVolume":
            if policy.name == "Delete":
                message = f"volume {policy.source.name} of claim {claim.full_name} has reclaimPolicy Delete"
                fix = RECLAIM_DELETE.fix.replace("NAME", policy.source.name)
                yield Finding(message, policy.place, policy.source, fix=fix, about=(claim,))
        else:
            yield from _class_deletes(policy, claim, claim, f"claim {claim.name}")
    for workload in index.guarded:
        for _, template in workload.templates:
            if not index.made_from(workload, template.name):
                policy = reclaim_policy(index, template)
                yield from _class_deletes(policy, template, workload.object, f"volumeClaimTemplate {template.name}")


def _class_deletes(policy: ReclaimPolicy | None, claim: K8sObject, subject: K8sObject, what: str) -> Iterator[Verdict]:
    if policy is None:
        name = class_name(claim) or ""
        yield Unknown(
            f"no StorageClass and no volume of {what} given, so its reclaimPolicy is open",
            f"kubectl get storageclass {name} -o yaml; kubectl get pv -o yaml".replace("  ", " "),
        )
    elif policy.name == "Delete":
        written = "reclaimPolicy Delete" if policy.is_written else "no reclaimPolicy, which means Delete"
        yield Finding(f"class {policy.source.name} of {what} has {written}", policy.place, subject, about=(claim,))


def _released(index: ObjectIndex) -> Iterator[Verdict]:
    for volume in index.of("PersistentVolume"):
        if volume.text("status", "phase") not in {"Released", "Failed"}:
            if _was_made_for_a_claim(volume):
                message = f"phase Available without a claimRef, though {volume.annotations.get(_MADE_BY)} made it for a claim: it can hold the data"
                yield Finding(message, volume.place("status", "phase"), volume, fix=rescue(volume, ""))
            continue
        namespace, name = volume.text("spec", "claimRef", "namespace"), volume.text("spec", "claimRef", "name")
        if any(claim.uid for claim in index.named(_PVC, namespace, name)):
            continue  # claim-replaced reports it, with the claim
        policy = volume.text("spec", "persistentVolumeReclaimPolicy")
        message = f"phase {volume.text('status', 'phase')}, last claim {namespace}/{name}, reclaimPolicy {policy}: it may hold the data"
        yield Finding(message, volume.place("status", "phase"), volume, fix=rescue(volume, name))


def _was_made_for_a_claim(volume: K8sObject) -> bool:
    """Whether somebody removed the claimRef of a volume that a provisioner made: none is made without a claim."""
    is_free = volume.text("status", "phase") == "Available" and not volume.get("spec", "claimRef")
    return is_free and bool(volume.annotations.get(_MADE_BY))


CHECKS = (
    (NO_CLASS, _no_class),
    (CLASS_MISSING, _class_missing),
    (TWO_DEFAULTS, _two_defaults),
    (NO_DEFAULT, _no_default),
    (RECLAIM_DELETE, _reclaim_delete),
    (RELEASED, _released),
)
