"""Which volume and class a claim has, or gets. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache

from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject, same_namespace
from guard.doctor.source.tree import text, texts


def class_of(claim: K8sObject) -> str:
    """Returns the class that a claim names, also by the old annotation."""
    return claim.text("spec", "storageClassName") or text(claim.annotations, "volume.beta.kubernetes.io/storage-class")


def volume_of(index: ObjectIndex, claim: K8sObject) -> K8sObject | None:
    """Returns the volume of a claim: the one that it names, that names it, or the one free volume of its class."""
    other = index.counterpart(claim)
    name = claim.text("spec", "volumeName") or (other.text("spec", "volumeName") if other else "")
    if name:
        return index.find("PersistentVolume", "", name, claim.side)
    reserved = reserved_for(index, claim)
    if reserved:
        return reserved[0]
    modes, is_open = set(texts(claim.body, "spec", "accessModes")), claim.text("status", "phase") in {"", "Pending"}
    free = [
        volume
        for volume in _volumes(index).get(("", class_of(claim)), ())
        if is_open and modes <= set(texts(volume.body, "spec", "accessModes"))
    ]
    return free[0] if len(free) == 1 else None


def reserved_for(index: ObjectIndex, claim: K8sObject) -> list[K8sObject]:
    """Returns the volumes whose claimRef names a claim, whatever uid it has."""
    volumes = _volumes(index).get(("claim", claim.name), ())
    return [one for one in volumes if same_namespace(one.text("spec", "claimRef", "namespace"), claim.namespace)]


@lru_cache(maxsize=1)
def _volumes(index: ObjectIndex) -> Mapping[tuple[str, str], Sequence[K8sObject]]:
    """All volumes by the name of the claim in their claimRef; those that have none by their class."""
    groups: dict[tuple[str, str], list[K8sObject]] = defaultdict(list)
    for volume in index.of("PersistentVolume"):
        is_free = not volume.get("spec", "claimRef")
        key = ("", class_of(volume)) if is_free else ("claim", volume.text("spec", "claimRef", "name"))
        groups[key].append(volume)
    return groups
