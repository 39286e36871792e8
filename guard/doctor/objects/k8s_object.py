"""One Kubernetes object: a view of a foreign tree that never trusts a shape. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from guard.doctor.source.document import Place, Side
from guard.doctor.source.tree import dig, line_of, mapping, mappings, text


@dataclass(frozen=True, eq=False)
class K8sObject:
    """One object.

    Attributes:
        body: The tree.
        source: The file it stands in.
        line: The line on which it starts; None where lines are not known.
        side: File or cluster.
    """

    body: Mapping[str, Any]
    source: str
    line: int | None
    side: Side

    @cached_property
    def kind(self) -> str:
        """Its kind: `Deployment`."""
        return text(self.body, "kind")

    @cached_property
    def name(self) -> str:
        """Its name; a generateName where it has none yet."""
        return text(self.body, "metadata", "name") or text(self.body, "metadata", "generateName")

    @cached_property
    def namespace(self) -> str:
        """Its namespace; empty for cluster-scoped objects and for files that leave it to kubectl."""
        return text(self.body, "metadata", "namespace")

    @cached_property
    def uid(self) -> str:
        """What tells an object from another of the same name: empty in files."""
        return text(self.body, "metadata", "uid")

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
        """Kind and name of the controller that made it; empty where none did."""
        for _, reference in mappings(self.body, "metadata", "ownerReferences"):
            if reference.get("controller") is True:
                return text(reference, "kind"), text(reference, "name")
        return "", ""

    @cached_property
    def deployment(self) -> tuple[str, str]:
        """Kind and name of the Deployment behind a pod: its ReplicaSet is named <deployment>-<pod-template-hash>."""
        kind, name = self.controller
        suffix = "-" + (text(self.labels, "pod-template-hash") or "?")
        if kind == "ReplicaSet" and name.endswith(suffix):
            return "Deployment", name.removesuffix(suffix)
        return "", ""

    @property
    def author(self) -> tuple[str, str]:
        """Kind and name of what made it, as somebody wrote that: the Deployment, else the controller; empty where none did."""
        return self.deployment if self.deployment[0] else self.controller

    @property
    def full_name(self) -> str:
        """`dev/claude-skills`, or the name alone."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def place(self, *path: str | int) -> Place:
        """Where `path` of this object stands, or the deepest part of it that exists."""
        return Place(self.source, line_of(self.body, path) or self.line)

    def get(self, *path: str | int) -> Any:
        """What lies at `path`; None where there is nothing."""
        return dig(self.body, *path)

    def text(self, *path: str | int) -> str:
        """The string at `path`; empty where there is none."""
        return text(self.body, *path)

    def __str__(self) -> str:
        return f"{self.kind} {self.full_name}"


def scale_target(scaler: K8sObject) -> tuple[str, str]:
    """Kind and name of what an autoscaler scales, in its own namespace."""
    return scaler.text("spec", "scaleTargetRef", "kind"), scaler.text("spec", "scaleTargetRef", "name")


def same_namespace(one: str, other: str) -> bool:
    """Whether two objects can be in one namespace: a file may leave it to kubectl."""
    return one == other or not one or not other
