"""Finds the Kubernetes objects in documents: lists are opened, what is no object is left out. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.workload import k8s_object
from guard.doctor.source.document import MAX_NOTES, Document, DuplicateKey, Place, Side
from guard.doctor.source.tree import LinedList, dig, text

#: Lists in Lists that are opened: kubectl writes none.
MAX_LISTS = 3
#: Objects of one side, kind, namespace and name that are kept: applied one after the other, the last one is in force.
MAX_ALIKE = 20


@dataclass(slots=True)
class Loaded:
    """What documents hold."""

    objects: list[K8sObject] = field(default_factory=list)
    #: Each with its source and the object in which it is set, if any.
    duplicate_keys: list[tuple[DuplicateKey, str, K8sObject | None]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # what was left out on purpose, as sentences
    understood: int = 0  # objects, and lists without any
    _alike: Counter[tuple[Side, str, str, str]] = field(default_factory=Counter)
    _others: Counter[str] = field(default_factory=Counter)

    def skip(self, place: Place, what: str) -> None:
        """Notes what is left out; of many alike in one source only the first."""
        self._others[f"{place.source} {what}"] += 1
        if self._others[f"{place.source} {what}"] <= MAX_NOTES:
            self.skipped.append(f"{place} is {what}")

    def add(self, obj: K8sObject) -> None:
        """Adds an object; of many of one name only the first."""
        self.understood += 1
        identity = obj.side, obj.kind, obj.namespace, obj.name
        self._alike[identity] += 1
        if self._alike[identity] <= MAX_ALIKE:
            self.objects.append(obj)
        elif self._alike[identity] == MAX_ALIKE + 1:
            self.skipped.append(f"{obj} is given more than {MAX_ALIKE} times: the first {MAX_ALIKE} are read")


def load(documents: Iterable[tuple[Document, str, Side | None]]) -> Loaded:
    """Returns the objects of documents; an object with a uid is the cluster's if its document's side was not given."""
    loaded = Loaded()
    for document, source, side in documents:
        before = len(loaded.objects)
        _load(loaded, document.root, document.item_lines, Place(source, document.line), side)
        added = loaded.objects[before:]
        for key in document.duplicate_keys:
            holder = next((obj for obj in reversed(added) if (obj.line or 0) <= key.last), None)
            loaded.duplicate_keys.append((key, source, holder))
    return loaded


def _load(loaded: Loaded, node: Any, lines: tuple[int, ...], place: Place, side: Side | None, depth: int = 0) -> None:
    """Loads an object, the items of a List, the objects of an OpenShift Template, or the members of a bare array."""
    items = _items(node)
    if items is not None and depth <= MAX_LISTS:
        own = tuple(items.lines) if isinstance(items, LinedList) else lines
        kind = text(node, "kind").removesuffix("List")
        if not items and not depth:
            loaded.understood += 1
            loaded.skip(place, "a list without objects: kubectl get found none")
        for index, item in enumerate(items):
            if kind and kind != "Template" and isinstance(item, dict) and not item.get("kind"):
                item["kind"] = kind  # the items of a typed list (PodList) carry no kind of their own
            _load(loaded, item, (), Place(place.source, own[index]) if index < len(own) else place, side, depth + 1)
    elif items is not None or not isinstance(node, dict) or not text(node, "kind"):
        if node is not None:
            loaded.skip(place, f"{_shape(node)}, not a Kubernetes object")
    elif text(node, "apiVersion").startswith("kustomize.config.k8s.io"):
        loaded.understood += 1
        loaded.skip(place, "a kustomization: render it with kubectl kustomize")
    else:
        own_side = side or (Side.LIVE if text(node, "metadata", "uid") else Side.FILE)
        loaded.add(k8s_object(node, place.source, place.line, own_side))


def _items(node: Any) -> list[Any] | None:
    if isinstance(node, list):
        return node
    kind = text(node, "kind")
    items = dig(node, "objects" if kind == "Template" else "items")
    return items if kind.endswith(("List", "Template")) and isinstance(items, list) else None


def _shape(node: Any) -> str:
    if _items(node) is not None:
        return "a list in lists in lists"
    return "a mapping without a kind" if isinstance(node, dict) else "a single value"
