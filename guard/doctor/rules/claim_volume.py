"""Which volume and class a claim has, or gets. Pure."""

from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject, same_namespace
from guard.doctor.source.tree import text, texts


def class_of(claim: K8sObject) -> str:
    """Returns the class that a claim names, also by the old annotation."""
    return claim.text("spec", "storageClassName") or text(claim.annotations, "volume.beta.kubernetes.io/storage-class")


def volume_of(index: ObjectIndex, claim: K8sObject) -> K8sObject | None:
    """The volume of a claim: the one that it names, that names it, or the one free volume of its class."""
    other = index.counterpart(claim)
    name = claim.text("spec", "volumeName") or (other.text("spec", "volumeName") if other else "")
    if name:
        return index.find("PersistentVolume", "", name, claim.side)
    volumes = list(index.of("PersistentVolume"))
    for volume in volumes:
        reference = volume.text("spec", "claimRef", "name"), volume.text("spec", "claimRef", "namespace")
        if reference[0] == claim.name and same_namespace(reference[1], claim.namespace):
            return volume
    kind, modes = class_of(claim), set(texts(claim.body, "spec", "accessModes"))
    free = [
        volume
        for volume in volumes
        if not volume.get("spec", "claimRef")
        and volume.text("spec", "storageClassName") == kind
        and modes <= set(texts(volume.body, "spec", "accessModes"))
        and claim.text("status", "phase") in {"", "Pending"}
    ]
    return free[0] if len(free) == 1 else None
