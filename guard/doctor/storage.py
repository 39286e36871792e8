"""Joins claims with their volumes and classes, on both sides: who is bound to what, or would be. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from guard.doctor.index import ObjectIndex
from guard.doctor.lookup import grouped
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.workload import Volume
from guard.doctor.source.document import Side
from guard.doctor.source.tree import mapping, text

_PV = "PersistentVolume"
_POLICY = ("spec", "persistentVolumeReclaimPolicy")


@dataclass(frozen=True, slots=True)
class ReclaimPolicy:
    """What happens to a volume when its claim is deleted."""

    name: str  # Delete, Retain or Recycle
    source: K8sObject  # the volume or the class that has it
    is_written: bool  # whether it is written there, or the default


def class_of(index: ObjectIndex, claim: K8sObject) -> K8sObject | None:
    """Returns the StorageClass of a claim, the default one if it names none; None if it was not given."""
    name = claim.class_name
    if name is not None:
        return index.find("StorageClass", "", name, Side.LIVE) if name else None
    defaults = [storage_class for storage_class in index.of("StorageClass") if storage_class.is_default_class]
    return defaults[0] if len({storage_class.name for storage_class in defaults}) == 1 else None


def volume_of(index: ObjectIndex, claim: K8sObject) -> K8sObject | None:
    """Returns the volume of a claim: the one it names, or that names it, or the only one that could be bound to it."""
    sides = [side for side in (claim, index.counterpart(claim)) if side is not None]
    names = [name for side in sides if (name := side.text("spec", "volumeName"))]
    if names:
        return next((volume for name in names if (volume := index.find(_PV, "", name, Side.LIVE))), None)
    uids = {"", *(side.uid for side in sides)}
    reserved = (volume for side in sides for volume in reserved_for(index, side))
    mine = next((volume for volume in reserved if volume.text("spec", "claimRef", "uid") in uids), None)
    if mine or is_bound(index, claim):
        return mine
    return _fitting(index, claim.class_name or "", claim.access_modes)


def reserved_for(index: ObjectIndex, claim: K8sObject) -> Sequence[K8sObject]:
    """Returns the volumes whose claimRef has a claim's name, whatever uid it has."""
    return _reserved(index).get((claim.namespace, claim.name), ())


def is_bound(index: ObjectIndex, claim: K8sObject) -> bool:
    """Whether a claim has its volume, by its own status or that of its other side: classes no longer matter to it."""
    return any(side.phase == "Bound" for side in (claim, index.counterpart(claim)) if side)


def reclaim_policy(index: ObjectIndex, claim: K8sObject) -> ReclaimPolicy | None:
    """Returns what happens to a claim's volume when the claim is deleted; None if neither volume nor class was given."""
    volume = volume_of(index, claim)
    if volume is not None:
        # A volume that was made by hand is kept; one that a class made has its policy written.
        return ReclaimPolicy(volume.text(*_POLICY) or "Retain", volume, is_written=True)
    storage_class = class_of(index, claim)
    named = storage_class.text("reclaimPolicy") if storage_class else ""
    return ReclaimPolicy(named or "Delete", storage_class, bool(named)) if storage_class else None


def access_modes(index: ObjectIndex, volume: Volume) -> frozenset[str]:
    """Returns the access modes of a volume of a workload: of its claim, or of the template that makes it."""
    workload = volume.workload
    templates = (template for template in workload.templates if template.name == volume.name)
    claim = index.claim(workload, volume.claim) if volume.claim else next(templates, None)
    return claim.access_modes if claim else frozenset()


@lru_cache(maxsize=1)
def _reserved(index: ObjectIndex) -> Mapping[tuple[str, str], Sequence[K8sObject]]:
    """Volumes by the claim for which they are reserved, or to which they are bound; its file may name no namespace."""
    claims = ((volume, mapping(volume.body, "spec", "claimRef")) for volume in index.of(_PV))
    named = ((volume, text(claim, "namespace"), text(claim, "name")) for volume, claim in claims if text(claim, "name"))
    return grouped(((space, name), volume) for volume, namespace, name in named for space in {namespace, ""})


@lru_cache(maxsize=1)
def _free(index: ObjectIndex) -> Mapping[str, Sequence[K8sObject]]:
    """Volumes that wait for a claim, by their class."""
    waiting = (volume for volume in index.of(_PV) if volume.phase in {"", "Available"})
    return grouped((one.class_name or "", one) for one in waiting if not one.text("spec", "claimRef", "name"))


@lru_cache(maxsize=256)
def _fitting(index: ObjectIndex, storage_class: str, modes: frozenset[str]) -> K8sObject | None:
    """Returns the only free volume of a class that has all of the modes; sizes and labels are left to the cluster."""
    free = _free(index).get(storage_class, ())
    fitting = {volume.name: volume for volume in free if not volume.access_modes or modes <= volume.access_modes}
    return next(iter(fitting.values())) if len(fitting) == 1 else None
