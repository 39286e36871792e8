"""Finds the objects that were given, by kind, name, namespace and side, and the ConfigMaps that a container reads. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from typing import Generic, TypeVar

from guard.doctor.objects.data_paths import DataPath, set_paths
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.workload import Container, Workload
from guard.doctor.source.document import Side
from guard.doctor.source.tree import mapping, mappings, text

_K = TypeVar("_K")
_V = TypeVar("_V")
_O = TypeVar("_O", bound=K8sObject)


@dataclass(frozen=True, eq=False)
class ObjectLookup:
    """Objects by what they are called."""

    objects: tuple[K8sObject, ...]  # in the order given

    @cached_property
    def runners(self) -> tuple[Workload, ...]:
        """Everything that runs pods."""
        return tuple(obj for obj in self.objects if isinstance(obj, Workload))

    @cached_property
    def by_kind(self) -> Mapping[str, Sequence[K8sObject]]:
        """Objects of each kind."""
        return grouped((obj.kind, obj) for obj in self.objects)

    @cached_property
    def custom_kinds(self) -> frozenset[str]:
        """Kinds that are not Kubernetes' own: what runs the pods may be behind them."""
        return frozenset(
            kind
            for kind, members in self.by_kind.items()
            if "." in (group := members[0].group) and not group.endswith(".k8s.io")
        )

    def of(self, *kinds: str) -> Iterator[K8sObject]:
        """Yields objects of the kinds."""
        for kind in kinds:
            yield from self.by_kind.get(kind, ())

    def live(self, kind: str) -> tuple[K8sObject, ...]:
        """Returns objects of a kind that the cluster has."""
        return tuple(obj for obj in self.of(kind) if obj.is_live)

    @cached_property
    def _by_name(self) -> "ByNamespace[tuple[str, str], K8sObject]":
        return ByNamespace(((obj.kind, obj.name), obj) for obj in self.objects)

    def named(self, kind: str, namespace: str, name: str) -> tuple[K8sObject, ...]:
        """Returns objects of that name on both sides, in any namespace if none is given; one without a namespace may be in any."""
        return self._by_name.within((kind, name), namespace)

    def find(self, kind: str, namespace: str, name: str, side: Side) -> K8sObject | None:
        """Returns the object of that name, of `side` first; of the other side if that has none."""
        alike = self.named(kind, namespace, name)
        return next((obj for obj in alike if obj.side is side), alike[0] if alike else None)

    def config_map(self, obj: K8sObject, name: str) -> Mapping[str, object]:
        """Returns what a ConfigMap beside an object holds; empty if it was not given."""
        found = self.find("ConfigMap", obj.namespace, name, obj.side) if name else None
        return mapping(found.body, "data") if found else {}

    def counterpart(self, obj: K8sObject) -> K8sObject | None:
        """Returns the same object on the other side."""
        alike = self.named(obj.kind, obj.namespace, obj.name)
        return next((other for other in alike if other.side is not obj.side), None)

    def other_side(self, workload: Workload) -> Workload | None:
        """Returns the same workload on the other side."""
        other = self.counterpart(workload)
        return other if isinstance(other, Workload) else None

    def events_about(self, obj: K8sObject) -> Sequence["EventNote"]:
        """Returns what the given events report about an object, in the order given."""
        return self._events.get((obj.kind, obj.namespace, obj.name), ())

    @cached_property
    def events(self) -> Sequence["EventNote"]:
        """What the given events report, in the order given."""
        return [_note(event) for event in self.of("Event")]

    @cached_property
    def _events(self) -> Mapping[tuple[str, str, str], Sequence["EventNote"]]:
        return grouped((note.about, note) for note in self.events)


@dataclass(frozen=True, slots=True)
class EventNote:
    """What an event reports."""

    event: K8sObject
    about: tuple[str, str, str]  # kind, namespace and name
    reason: str
    message: str


def _note(event: K8sObject) -> EventNote:
    field = "involvedObject" if event.get("involvedObject") else "regarding"  # v1, events.k8s.io/v1
    about = event.text(field, "kind"), event.text(field, "namespace"), event.text(field, "name")
    return EventNote(event, about, event.text("reason"), event.text("message") or event.text("note"))


def grouped(pairs: Iterable[tuple[_K, _V]]) -> Mapping[_K, Sequence[_V]]:
    """Returns members by key, in order."""
    groups: dict[_K, list[_V]] = defaultdict(list)
    for key, member in pairs:
        groups[key].append(member)
    return groups


class ByNamespace(Generic[_K, _O]):
    """Objects by a key and by namespace."""

    def __init__(self, pairs: Iterable[tuple[_K, _O]]) -> None:
        self._groups = {key: grouped((obj.namespace, obj) for obj in alike) for key, alike in grouped(pairs).items()}

    def within(self, key: _K, namespace: str) -> tuple[_O, ...]:
        """Returns the objects of a key that can be in a namespace: a file may leave its own to kubectl."""
        groups = self._groups.get(key, {})
        if not namespace:
            return tuple(chain.from_iterable(groups.values()))
        return (*groups.get(namespace, ()), *groups.get("", ()))


@lru_cache(maxsize=4096)
def data_paths(lookup: ObjectLookup, container: Container) -> tuple[DataPath, ...]:
    """Returns the data paths that a container has by settings which mean nothing else."""
    return set_paths(container, configurations(lookup, container))


@lru_cache(maxsize=4096)
def configurations(lookup: ObjectLookup, container: Container) -> Mapping[str, str]:
    """Returns the texts of the ConfigMaps given that a container mounts or reads as variables, by how to name each."""
    texts: dict[str, str] = {}
    if "ConfigMap" not in lookup.by_kind:
        return texts
    for mount in container.mounts:
        volume = mount.volume.body if mount.volume else {}
        for source in (volume, *mappings(volume, "projected", "sources")):
            name = text(source, "configMap", "name")
            for key, content in lookup.config_map(container.workload, name).items():
                if isinstance(content, str) and (not mount.sub_path or mount.sub_path == key):
                    texts[f"{key} of ConfigMap {name}"] = content
    for source in mappings(container.body, "envFrom"):
        name = text(source, "configMapRef", "name")
        lines = [f"{key}: {value}" for key, value in lookup.config_map(container.workload, name).items()]
        texts[f"ConfigMap {name}"] = "\n".join(lines)
    for entry in mappings(container.body, "env"):
        reference = mapping(entry, "valueFrom", "configMapKeyRef")
        name = text(reference, "name")
        value = lookup.config_map(container.workload, name).get(text(reference, "key"))
        if isinstance(value, str):
            texts[f"ConfigMap {name}"] = f"{text(entry, 'name')}: {value}"
    return texts
