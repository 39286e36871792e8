"""Joins claims with their volumes, classes and templates, on both sides: who is bound to what, or would be. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.workload import Volume, Workload
from guard.doctor.source.document import Place, Side
from guard.doctor.source.tree import text, texts

_PVC = "PersistentVolumeClaim"
_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_DEFAULT_MARKS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


@dataclass(frozen=True, slots=True)
class ReclaimPolicy:
    """What happens to a volume when its claim goes.

    Attributes:
        name: Delete, Retain or Recycle.
        source: The volume or the class that says so.
        place: Where.
        is_written: Whether it is written there, or the default.
    """

    name: str
    source: K8sObject
    place: Place
    is_written: bool


def class_name(claim: K8sObject) -> str | None:
    """Returns the class that a claim or a volume names, also by the old annotation; None if it leaves the class open."""
    named = claim.get("spec", "storageClassName")
    return named if isinstance(named, str) else text(claim.annotations, _BETA_CLASS) or None


def is_default(storage_class: K8sObject) -> bool:
    """Whether a class is the default one."""
    return any(text(storage_class.annotations, mark) == "true" for mark in _DEFAULT_MARKS)


def leaves_class_open(claim: K8sObject) -> bool:
    """Whether a claim names neither a class nor a volume; an empty class is one: of volumes made by hand."""
    is_read = isinstance(claim.get("spec"), dict)
    return is_read and class_name(claim) is None and not claim.text("spec", "volumeName")


def class_of(index: ObjectIndex, claim: K8sObject) -> K8sObject | None:
    """Returns the StorageClass of a claim, the default one if it names none; None if it was not given."""
    name = class_name(claim)
    if name is not None:
        return index.find("StorageClass", "", name, Side.LIVE) if name else None
    defaults = [storage_class for storage_class in index.of("StorageClass") if is_default(storage_class)]
    return defaults[0] if len({storage_class.name for storage_class in defaults}) == 1 else None


def volume_of(index: ObjectIndex, claim: K8sObject) -> K8sObject | None:
    """Returns the volume of a claim: the one it names, or that names it, or the only one that could be bound to it."""
    sides = [side for side in (claim, index.counterpart(claim)) if side is not None]
    names = [name for side in sides if (name := side.text("spec", "volumeName"))]
    for name in names:
        if volume := index.find("PersistentVolume", "", name, Side.LIVE):
            return volume
    if names:
        return None
    reserved = [volume for side in sides for volume in _reserved(index).get((side.namespace, side.name), ())]
    mine = [
        volume for volume in reserved if volume.text("spec", "claimRef", "uid") in {"", *(side.uid for side in sides)}
    ]
    if mine or is_bound(index, claim):
        return next(iter(mine), None)
    return _fitting(index, class_name(claim) or "", frozenset(texts(claim.body, "spec", "accessModes")))


def reserved_for(index: ObjectIndex, claim: K8sObject) -> Sequence[K8sObject]:
    """Returns the volumes whose claimRef has a claim's name, whatever uid it has."""
    return _reserved(index).get((claim.namespace, claim.name), ())


def is_bound(index: ObjectIndex, claim: K8sObject) -> bool:
    """Whether a claim has its volume, by its own status or that of its other side: classes no longer matter to it."""
    return any(side.text("status", "phase") == "Bound" for side in (claim, index.counterpart(claim)) if side)


def reclaim_policy(index: ObjectIndex, claim: K8sObject) -> ReclaimPolicy | None:
    """Returns what happens to a claim's volume when the claim goes; None if neither volume nor class was given."""
    volume = volume_of(index, claim)
    if volume is not None:
        named = volume.text("spec", "persistentVolumeReclaimPolicy")
        # A volume that was made by hand is kept; one that a class made has its policy written.
        place = volume.place("spec", "persistentVolumeReclaimPolicy")
        return ReclaimPolicy(named or "Retain", volume, place, bool(named))
    storage_class = class_of(index, claim)
    if storage_class is None:
        return None
    named = storage_class.text("reclaimPolicy")
    return ReclaimPolicy(named or "Delete", storage_class, storage_class.place("reclaimPolicy"), bool(named))


def access_modes(index: ObjectIndex, workload: Workload, volume: Volume) -> tuple[str, ...]:
    """Returns the access modes of a volume of a workload: of its claim, or of the template that makes it."""
    claim = index.claim(workload, volume.claim) if volume.claim else template_of(workload, volume.name)
    return texts(claim.body, "spec", "accessModes") if claim else ()


def template_of(workload: Workload, name: str) -> K8sObject | None:
    """Returns the volumeClaimTemplate of a name."""
    return next((template for _, template in workload.templates if template.name == name), None)


def claims_of(index: ObjectIndex, workload: Workload) -> Iterator[tuple[Volume, K8sObject]]:
    """Yields the volumes of a workload that are claims, each with its claim, or those made from its template, if given."""
    for volume in workload.pod.volumes.values():
        if not volume.is_persistent:
            continue
        names = (volume.claim,) if volume.claim else index.made_from(workload, volume.name)
        for name in names:
            if claim := index.claim(workload, name):
                yield volume, claim


@lru_cache(maxsize=1)
def _reserved(index: ObjectIndex) -> Mapping[tuple[str, str], Sequence[K8sObject]]:
    """Volumes by the claim for which they are reserved, or to which they are bound."""
    by_claim: dict[tuple[str, str], list[K8sObject]] = defaultdict(list)
    for volume in index.of("PersistentVolume"):
        name, namespace = volume.text("spec", "claimRef", "name"), volume.text("spec", "claimRef", "namespace")
        if name:
            by_claim[namespace, name].append(volume)
            by_claim["", name].append(volume)
    return by_claim


@lru_cache(maxsize=1)
def _free(index: ObjectIndex) -> Mapping[str, Sequence[K8sObject]]:
    """Volumes that wait for a claim, by their class."""
    by_class: dict[str, list[K8sObject]] = defaultdict(list)
    for volume in index.of("PersistentVolume"):
        if not volume.text("spec", "claimRef", "name") and volume.text("status", "phase") in {"", "Available"}:
            by_class[class_name(volume) or ""].append(volume)
    return by_class


@lru_cache(maxsize=256)
def _fitting(index: ObjectIndex, storage_class: str, modes: frozenset[str]) -> K8sObject | None:
    """Returns the only free volume of a class that has all of the modes; sizes and labels are left to the cluster."""
    offered = ((volume, texts(volume.body, "spec", "accessModes")) for volume in _free(index).get(storage_class, ()))
    fitting = {volume.name: volume for volume, own in offered if not own or modes <= set(own)}
    return next(iter(fitting.values())) if len(fitting) == 1 else None
