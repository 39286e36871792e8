"""One Kubernetes object: a view of a foreign tree that never trusts a shape. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from guard.doctor.source.document import Place, Side
from guard.doctor.source.tree import dig, line_of, mapping, mappings, text, texts

PVC = "PersistentVolumeClaim"
_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_DEFAULT_MARKS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


@dataclass(frozen=True, eq=False)
class K8sObject:
    """One object."""

    body: Mapping[str, Any]
    source: str  # the file in which it is written
    line: int | None  # on which it starts; None if lines are not known
    side: Side

    @cached_property
    def kind(self) -> str:
        """Its kind: `Deployment`."""
        return self.text("kind")

    @cached_property
    def name(self) -> str:
        """Its name; a generateName if it has none yet."""
        return self.text("metadata", "name") or self.text("metadata", "generateName")

    @cached_property
    def namespace(self) -> str:
        """Its namespace; empty for cluster-scoped objects and for files that leave it to kubectl."""
        return self.text("metadata", "namespace")

    @property
    def kubectl_namespace(self) -> str:
        """The namespace for a command; a word in capitals if the file leaves it to kubectl."""
        return self.namespace or "NAMESPACE"

    @property
    def kubectl_name(self) -> str:
        """How kubectl names it: `statefulset/db -n dev`."""
        return f"{self.kind.lower()}/{self.name} -n {self.kubectl_namespace}"

    @property
    def full_name(self) -> str:
        """`dev/claude-skills`, or the name alone."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def group(self) -> str:
        """Its API group."""
        return self.text("apiVersion").partition("/")[0]

    @cached_property
    def uid(self) -> str:
        """What distinguishes objects of one name: empty in files."""
        return self.text("metadata", "uid")

    @property
    def is_live(self) -> bool:
        """Whether the cluster has it; otherwise somebody means to apply it."""
        return self.side is Side.LIVE

    @property
    def labels(self) -> Mapping[str, Any]:
        """Its own labels, not those of its pods."""
        return mapping(self.body, "metadata", "labels")

    @property
    def annotations(self) -> Mapping[str, Any]:
        """Its own annotations, not those of its pods."""
        return mapping(self.body, "metadata", "annotations")

    @cached_property
    def controller(self) -> tuple[str, str]:
        """Kind and name of the controller that made it; empty if none did."""
        for reference in self.mappings("metadata", "ownerReferences"):
            if reference.get("controller") is True:
                return text(reference, "kind"), text(reference, "name")
        return "", ""

    @cached_property
    def deployment(self) -> tuple[str, str]:
        """Kind and name of the Deployment behind a pod: its ReplicaSet is named <deployment>-<pod-template-hash>."""
        kind, name = self.controller
        suffix = "-" + (text(self.labels, "pod-template-hash") or "?")
        return ("Deployment", name.removesuffix(suffix)) if kind == "ReplicaSet" and name.endswith(suffix) else ("", "")

    @property
    def author(self) -> tuple[str, str]:
        """Kind and name of what made it, as somebody wrote that: the Deployment, else the controller; empty if none did."""
        return self.deployment if self.deployment[0] else self.controller

    @property
    def subject(self) -> "K8sObject":
        """The object that a finding about it is about."""
        return self

    @cached_property
    def class_name(self) -> str | None:
        """The class that a claim or a volume names, also by the old annotation; None if it leaves the class open."""
        named = self.get("spec", "storageClassName")
        return named if isinstance(named, str) else text(self.annotations, _BETA_CLASS) or None

    @property
    def leaves_class_open(self) -> bool:
        """Whether a claim names neither a class nor a volume; an empty class is one: of volumes made by hand."""
        is_read = isinstance(self.get("spec"), dict)
        return is_read and self.class_name is None and not self.text("spec", "volumeName")

    @property
    def is_default_class(self) -> bool:
        """Whether a StorageClass is the default one."""
        return any(text(self.annotations, mark) == "true" for mark in _DEFAULT_MARKS)

    @cached_property
    def access_modes(self) -> frozenset[str]:
        """The access modes of a claim or a volume."""
        return frozenset(self.texts("spec", "accessModes"))

    @property
    def phase(self) -> str:
        """What the cluster reports of its state."""
        return self.text("status", "phase")

    def place(self, *path: str | int) -> Place:
        """Returns where `path` of this object is written, or the deepest part of it that exists."""
        return Place(self.source, line_of(self.body, path) or self.line)

    def get(self, *path: str | int) -> Any:
        """Returns what lies at `path`; None if there is nothing."""
        return dig(self.body, *path)

    def text(self, *path: str | int) -> str:
        """Returns the string at `path`; empty if there is none."""
        return text(self.body, *path)

    def texts(self, *path: str | int) -> tuple[str, ...]:
        """Returns the strings of the list at `path`."""
        return texts(self.body, *path)

    def mappings(self, *path: str | int) -> Iterator[Mapping[str, Any]]:
        """Yields the mappings of the list at `path`."""
        return mappings(self.body, *path)

    def __str__(self) -> str:
        return f"{self.kind} {self.full_name}"


def scale_target(scaler: K8sObject) -> tuple[str, str]:
    """Returns kind and name of what an autoscaler scales, in its own namespace."""
    return scaler.text("spec", "scaleTargetRef", "kind"), scaler.text("spec", "scaleTargetRef", "name")


def same_namespace(one: str, other: str) -> bool:
    """Whether two objects can be in one namespace: a file may leave it to kubectl."""
    return one == other or not one or not other
