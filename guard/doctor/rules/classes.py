"""VG207 to VG212, VG216, VG217 and VG226: storage classes, what happens to a volume with its claim, who else uses it. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Finding, Severity, Unknown, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import PVC, K8sObject
from guard.doctor.objects.workload import ClaimTemplate
from guard.doctor.rules.backups import backups_of
from guard.doctor.rules.claim_loss import rescue
from guard.doctor.rules.placement import follows_another_pod, is_bound_to_one_node
from guard.doctor.source.document import Side
from guard.doctor.storage import is_bound, reclaim_policy

_CLASSES = "concepts/storage/storage-classes/"
#: The annotation of a volume that a provisioner made.
_MADE_BY = "pv.kubernetes.io/provisioned-by"
_VOLUMES = "concepts/storage/persistent-volumes/"


@rule("VG207", Severity.WARNING, _VOLUMES + "#class-1")
def no_storage_class(index: ObjectIndex) -> Iterator[Verdict]:
    """The claim names no storage class.

    Why: It then gets the cluster's default class, which differs between clusters and changes with them; with no default
    it stays Pending. What the volume is, and whether it is deleted with its claim, is then left to chance.
    Fix: Name the class: storageClassName (on GKE standard-rwo or premium-rwo), best one of your own with reclaimPolicy
    Retain.
    """
    where = "" if index.live("StorageClass") else " kubectl get storageclass"
    for claim in (*index.of(PVC), *index.templates):
        if claim.leaves_class_open:
            yield finding(f"{_class_field(claim)} is not set", claim, "spec", fix=no_storage_class.fix + where)


@rule("VG208", Severity.ERROR, _CLASSES)
def storage_class_missing(index: ObjectIndex) -> Iterator[Verdict]:
    """The claim names a storage class that the cluster does not have.

    Why: No volume is made; the claim stays Pending, and so does its pod.
    Fix: kubectl get storageclass; name one of them, or create this one. A bound claim's class cannot be changed.
    """
    existing = {obj.name for obj in index.of("StorageClass")}
    known = existing | {obj.class_name for obj in index.of("PersistentVolume")}
    for claim in _unbound(index):
        name = claim.class_name
        if not name or name in known:
            continue
        if index.live("StorageClass"):
            message = f"{_class_field(claim)}: {name} does not exist; the cluster has {', '.join(sorted(existing))}"
            yield finding(message, claim, "spec", "storageClassName")
        else:
            command = f"kubectl get storageclass {name} -o yaml"
            yield Unknown(f"no StorageClass given, so whether {name} exists is open", command)


def _unbound(index: ObjectIndex) -> Iterator[K8sObject]:
    """Yields claims, and templates of claims, that need their class."""
    yield from (claim for claim in index.of(PVC) if not is_bound(index, claim))
    for template in index.templates:
        made = (index.claim(template.workload, name) for name in index.made_from(template.workload, template.name))
        if not any(claim is not None and is_bound(index, claim) for claim in made):
            yield template


@rule("VG209", Severity.WARNING, _CLASSES + "#default-storageclass")
def two_default_classes(index: ObjectIndex) -> Iterator[Verdict]:
    """Several storage classes are marked as the default.

    Why: A claim without a class gets the one that was created last (before Kubernetes 1.26 it was refused): which disk
    that is, and whether it survives its claim, depends on when it was created.
    Fix: Keep one default: set the annotation storageclass.kubernetes.io/is-default-class to "false" on the others.
    """
    for side in Side:
        defaults = [obj for obj in index.of("StorageClass") if obj.side is side and obj.is_default_class]
        if len({obj.name for obj in defaults}) > 1:
            message = f"default classes: {', '.join(obj.name for obj in defaults)}"
            yield finding(message, defaults[0], also=(obj.place() for obj in defaults[1:]))


@rule("VG210", Severity.ERROR, _CLASSES + "#default-storageclass")
def no_default_class(index: ObjectIndex) -> Iterator[Verdict]:
    """The claim names no storage class, and the cluster has no default one.

    Why: The claim stays Pending until a default class appears.
    Fix: Name a class in the claim (storageClassName).
    """
    # A volume made by hand that waits for a claim without a class is as good as a class.
    free = (one for one in index.of("PersistentVolume") if one.phase in {"", "Available"})
    is_open = all(one.text("spec", "storageClassName") for one in free)
    if not is_open or any(kind.is_default_class for kind in index.of("StorageClass")):
        return
    names = ", ".join(obj.name for obj in index.live("StorageClass"))
    for claim in index.of(PVC):
        if not claim.leaves_class_open or is_bound(index, claim):
            continue
        if names:
            yield finding(f"no storageClassName, and none of the classes {names} is the default", claim, "spec")
        else:
            yield Unknown("no StorageClass given, so whether one is the default is open", "kubectl get storageclass")


@rule("VG211", Severity.WARNING, "tasks/administer-cluster/change-pv-reclaim-policy/")
def reclaim_delete(index: ObjectIndex) -> Iterator[Verdict]:
    """The disk is deleted together with its claim, and no backup is among the objects given.

    Why: reclaimPolicy Delete is the default of dynamic provisioning: a deleted, renamed or pruned claim takes the only
    copy with it. A runbook that recreates the claim deletes the data.
    Fix: kubectl patch pv NAME -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}' for what exists; a class with
    Retain for what comes.
    """
    claims = (claim for claim in index.claims_to_keep if claim.is_live or not index.counterpart(claim))
    templates = (
        template
        for workload in index.guarded
        for template in workload.templates
        if not index.made_from(workload, template.name)
    )
    for claim in (*(claim for claim in claims if not backups_of(index, claim)), *templates):
        what = f"claim {claim.name}" if claim.kind == PVC else f"{claim.kind} {claim.name}"
        policy = reclaim_policy(index, claim)
        if policy is None:
            name = f"{claim.class_name} " if claim.class_name else ""
            yield Unknown(
                f"no StorageClass and no volume of {what} given, so its reclaimPolicy is open",
                f"kubectl get storageclass {name}-o yaml; kubectl get pv -o yaml",
            )
        elif policy.name == "Delete" and policy.source.kind == "PersistentVolume":
            message = f"volume {policy.source.name} of claim {claim.full_name} has reclaimPolicy Delete"
            fix = reclaim_delete.fix.replace("NAME", policy.source.name)
            yield finding(message, policy.source, "spec", "persistentVolumeReclaimPolicy", fix=fix, about=(claim,))
        elif policy.name == "Delete":
            written = "reclaimPolicy Delete" if policy.is_written else "no reclaimPolicy, which means Delete"
            message = f"class {policy.source.name} of {what} has {written}"
            yield Finding(message, policy.source.place("reclaimPolicy"), claim.subject, about=(claim,))


@rule("VG212", Severity.WARNING, _VOLUMES + "#retain")
def released_volume(index: ObjectIndex) -> Iterator[Verdict]:
    """A volume without a claim still holds what a claim once had.

    Why: Released means: the claim is gone, the data is not. It is not bound again by itself, so a new claim starts
    empty beside it.
    Fix: Never delete it before you looked at it. To use it again: set it to Retain, remove its whole spec.claimRef,
    then make a claim with volumeName set to it.
    Other advice: k8sgpt reports that a Released volume "should be cleaned up". It can be the only copy.
    """
    for volume in index.of("PersistentVolume"):
        namespace, name = (volume.text("spec", "claimRef", field) for field in ("namespace", "name"))
        maker = volume.annotations.get(_MADE_BY)
        if volume.phase in {"Released", "Failed"}:
            if any(claim.uid for claim in index.named(PVC, namespace, name)):
                continue  # claim-replaced reports it, with the claim
            policy = volume.text("spec", "persistentVolumeReclaimPolicy")
            last = f"last claim {namespace}/{name}, reclaimPolicy {policy}"
            message = f"phase {volume.phase}, {last}: it may hold the data"
        elif volume.phase == "Available" and maker and not volume.get("spec", "claimRef"):
            # Somebody removed the claimRef: a provisioner makes no volume without a claim.
            message = f"phase Available without a claimRef, though {maker} made it for a claim: it can hold the data"
        else:
            continue
        yield finding(message, volume, "status", "phase", fix=rescue(volume, name))


def _class_field(claim: K8sObject) -> str:
    is_template = isinstance(claim, ClaimTemplate)
    return f"storageClassName of {claim.kind} {claim.name}" if is_template else "spec.storageClassName"


@rule("VG216", Severity.WARNING, _VOLUMES + "#recycle")
def reclaim_recycle(index: ObjectIndex) -> Iterator[Verdict]:
    """The volume is emptied when its claim is deleted (reclaimPolicy Recycle).

    Why: Recycle runs rm -rf on the volume and offers it to the next claim. The policy is deprecated; the volume looks
    Available and healthy, and is empty.
    Fix: kubectl patch pv NAME -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'
    """
    for volume in index.of("PersistentVolume"):
        if volume.text("spec", "persistentVolumeReclaimPolicy") == "Recycle":
            claim = volume.text("spec", "claimRef", "name")
            message = f"volume {volume.name}{f' of claim {claim}' if claim else ''} has reclaimPolicy Recycle"
            fix = reclaim_recycle.fix.replace("NAME", volume.name)
            yield finding(message, volume, "spec", "persistentVolumeReclaimPolicy", fix=fix)
    for kind in index.of("StorageClass"):
        if kind.text("reclaimPolicy") == "Recycle":
            message = f"class {kind.name} has reclaimPolicy Recycle"
            yield finding(message, kind, "reclaimPolicy", fix="reclaimPolicy: Retain")


@rule("VG217", Severity.WARNING, _VOLUMES + "#reserving-a-persistentvolume")
def volume_name_without_class(index: ObjectIndex) -> Iterator[Verdict]:
    """The claim names its volume, but no storage class.

    Why: Where the cluster has a default class, the API server writes it into the claim. It then differs from the class
    of the volume, and the claim stays Pending.
    Fix: Write the volume's class into the claim; for a volume without one: storageClassName: "".
    """
    defaults = {kind.name for kind in index.of("StorageClass") if kind.is_default_class}
    for claim in index.of(PVC):
        name = claim.text("spec", "volumeName")
        if not name or claim.class_name is not None or is_bound(index, claim):
            continue
        volumes = index.named("PersistentVolume", "", name)
        its = (volumes[0].class_name or "") if volumes else None
        if (index.live("StorageClass") and not defaults and not its) or (its and its in defaults):
            continue
        what = "" if its is None else f", whose class is {its}" if its else ", which has no class"
        message = f"volumeName {name}{what}, and no storageClassName"
        fix = "" if its is None else f"storageClassName: {its or chr(34) * 2}"
        yield finding(message, claim, "spec", "volumeName", fix=fix)


@rule("VG226", Severity.WARNING, _VOLUMES + "#access-modes")
def one_disk_in_several_workloads(index: ObjectIndex) -> Iterator[Verdict]:
    """A ReadWriteOnce claim is used by several workloads, or by a DaemonSet.

    Why: The disk is attached to one node: pods on other nodes wait in ContainerCreating (Multi-Attach error). Where
    they happen to be on one node, they write beside each other.
    Fix: Give each workload its own claim, use a ReadWriteMany class (NFS, Filestore), or bind the pods to one node by
    podAffinity (topologyKey kubernetes.io/hostname).
    """
    for claim in index.of(PVC):
        if claim.access_modes != {"ReadWriteOnce"}:
            continue
        steady = (user for user in index.workloads_with(claim) if user.kind != "Pod" and not user.runs_to_end)
        users = {str(user): user for user in steady if user.replicas}
        free = [user for user in users.values() if not is_bound_to_one_node(user)]
        spread = any(user.kind == "DaemonSet" for user in free)
        if spread or len([user for user in free if not follows_another_pod(user)]) > 1:
            what = "DaemonSet, a pod on each node" if spread and len(users) == 1 else f"{len(users)} workloads"
            message = f"ReadWriteOnce, used by {', '.join(sorted(users))} ({what})"
            yield finding(message, claim, "spec", "accessModes", also=(user.place() for user in users.values()))
