"""Kubernetes objects as the rules see them: typed views of foreign trees, which never trust a shape. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from posixpath import normpath
from typing import Any

from guard.doctor.rule import Place
from guard.doctor.tree import Path, dig, line_of, mapping, mappings, text, texts, whole

#: The kind of a volume that a StatefulSet makes from one of its volumeClaimTemplates.
TEMPLATE = "volumeClaimTemplate"
#: The end of a claim's name that a StatefulSet made: <template>-<statefulset>-<ordinal>.
ORDINAL = re.compile(r"-[0-9]+$")
_CLAIM_TEMPLATES: Path = ("spec", "volumeClaimTemplates")
_BY_KUBELET = re.compile(r"\$\(([^()$\s]+)\)")
#: Characters of a variable: one that doubles the one before it must not grow without end.
_LONGEST = 4096
_RUN_TO_END = frozenset({"Job", "CronJob"})
_ENDED = frozenset({"Succeeded", "Failed"})


class Side(Enum):
    """Where an object was found: what somebody means to apply, or what the cluster has."""

    FILE = "file"
    LIVE = "live"


@dataclass(frozen=True, eq=False)
class Kube:
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


@dataclass(frozen=True, slots=True)
class Mount:
    """One volumeMount; `path` is normalised, so `/app/skills/` and `/app/skills` are equal."""

    volume: str
    path: str
    sub_path: str
    sub_path_expr: str
    read_only: bool
    at: Path


@dataclass(frozen=True, slots=True)
class Container:
    """One container.

    Attributes:
        name: Its name.
        image: Its image.
        words: Command and args in one row.
        env: Its variables, those of others in them filled in; an empty value is one that is not known (valueFrom).
        env_from: Whether further variables come from elsewhere (envFrom).
        mounts: Its volumeMounts.
        sidecar: Whether it is an init container that runs on.
        init: Whether it is an init container.
        at: Where it stands.
    """

    name: str
    image: str
    words: tuple[str, ...]
    env: Mapping[str, str]
    env_from: bool
    mounts: tuple[Mount, ...]
    sidecar: bool
    init: bool
    at: Path

    def mount_at(self, path: str) -> Mount | None:
        """The mount in force at `path`: the deepest at it or above it."""
        over = [mount for mount in self.mounts if covers(mount.path, path)]
        return max(over, key=lambda mount: len(mount.path), default=None)


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume of a pod; `kind` is its field, such as `persistentVolumeClaim`; empty where it says none (emptyDir)."""

    name: str
    kind: str
    claim: str
    body: Mapping[str, Any]
    at: Path

    @property
    def lasts(self) -> bool:
        """Whether it is a claim's, written or made from a StatefulSet's template."""
        return bool(self.claim) or self.kind == TEMPLATE


@dataclass(frozen=True, slots=True)
class PodSpec:
    """What a pod runs and mounts, and where it may run."""

    containers: tuple[Container, ...]
    inits: tuple[Container, ...]
    volumes: Mapping[str, Volume]
    body: Mapping[str, Any]
    at: Path

    @property
    def all_containers(self) -> tuple[Container, ...]:
        """Init containers first, as they start."""
        return (*self.inits, *self.containers)

    def volume_at(self, container: Container, path: str) -> Volume | None:
        """The volume in force at `path` of a container."""
        mount = container.mount_at(path)
        return self.volumes.get(mount.volume) if mount else None

    def claim_mounts(self, container: Container) -> list[Mount]:
        """The mounts of a container that lead to a claim."""
        found = ((mount, self.volumes.get(mount.volume)) for mount in container.mounts)
        return [mount for mount, volume in found if volume and volume.lasts]


@dataclass(frozen=True, eq=False)
class Workload:
    """An object that runs pods."""

    kube: Kube
    pod: PodSpec

    @property
    def replicas(self) -> int:
        """How many pods it wants: 1 unless said otherwise."""
        found = whole(self.kube.body, "spec", "replicas")
        return 1 if found is None else found

    @cached_property
    def runs_to_end(self) -> bool:
        """Whether its pods end by themselves: a job's, whether the Job itself was given or not, and a pod that is not to start again."""
        if self.kube.kind != "Pod":
            return self.kube.kind in _RUN_TO_END
        return self.kube.controller[0] in _RUN_TO_END or text(self.pod.body, "restartPolicy") in {"Never", "OnFailure"}

    @cached_property
    def is_past(self) -> bool:
        """Whether no pod of it will run again: an ended pod, a finished job, an earlier revision kept for a roll-back.

        A finished Job that a CronJob made stands for that one, which starts the next.
        """
        if self.kube.kind == "Pod":
            return self.kube.text("status", "phase") in _ENDED
        if self.kube.kind == "Job":
            conditions = [
                one for _, one in mappings(self.kube.body, "status", "conditions") if text(one, "status") == "True"
            ]
            finished = any(text(one, "type") in {"Complete", "Failed"} for one in conditions)
            return finished and self.kube.controller[0] != "CronJob"
        return self.kube.kind == "ReplicaSet" and self.replicas == 0

    @property
    def wants_pods_now(self) -> bool:
        """Whether pods of it should run today: not where it ended, is suspended or scaled to nothing, or waits for its hour."""
        waits = self.kube.kind == "CronJob" or self.kube.get("spec", "suspend") is True
        return not waits and not self.is_past and self.replicas > 0

    @cached_property
    def claims(self) -> tuple[str, ...]:
        """Names of the claims that its pods use, without those that a StatefulSet makes from templates."""
        return tuple(volume.claim for volume in self.pod.volumes.values() if volume.claim)

    @cached_property
    def claim_templates(self) -> tuple[str, ...]:
        """Names of a StatefulSet's volumeClaimTemplates; each is a volume of its pods too."""
        return tuple(template.name for _, template in self.templates)

    @cached_property
    def templates(self) -> tuple[tuple[Path, Kube], ...]:
        """A StatefulSet's volumeClaimTemplates, as the claims that they are; each with where it stands."""
        bodies = mappings(self.kube.body, *_CLAIM_TEMPLATES)
        return tuple(
            ((*_CLAIM_TEMPLATES, index), Kube(body, self.kube.source, self.kube.line, self.kube.side))
            for index, body in bodies
        )


_TEMPLATE: Path = ("spec", "template", "spec")
#: Where the pod's spec lies in each kind that runs pods.
POD_PATHS: Mapping[str, Path] = {
    "Pod": ("spec",),
    "Deployment": _TEMPLATE,
    "StatefulSet": _TEMPLATE,
    "DaemonSet": _TEMPLATE,
    "ReplicaSet": _TEMPLATE,
    "ReplicationController": _TEMPLATE,
    "Job": _TEMPLATE,
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}


def workload(kube: Kube) -> Workload | None:
    """The object as a workload; None where its kind runs no pods."""
    at = POD_PATHS.get(kube.kind)
    return None if at is None else _runner(kube, at)


def foreign_workload(kube: Kube) -> Workload | None:
    """An object of another kind that holds a pod's template (an Argo Rollout): it is not judged, but uses its claims."""
    holds_one = kube.kind not in POD_PATHS and isinstance(kube.get(*_TEMPLATE, "containers"), list)
    return _runner(kube, _TEMPLATE) if holds_one else None


def _runner(kube: Kube, at: Path) -> Workload:
    pod = _pod(mapping(kube.body, *at), at)
    found = Workload(kube, pod)
    if found.claim_templates:
        made = {name: Volume(name, TEMPLATE, "", {}, _CLAIM_TEMPLATES) for name in found.claim_templates}
        pod = PodSpec(pod.containers, pod.inits, {**pod.volumes, **made}, pod.body, at)
        found = Workload(kube, pod)
    return found


def covers(mount_path: str, path: str) -> bool:
    """Whether a mount at `mount_path` holds `path`: at it, or above it."""
    return path == mount_path or path.startswith(mount_path.rstrip("/") + "/")


def scale_target(scaler: Kube) -> tuple[str, str]:
    """Kind and name of what an autoscaler scales, in its own namespace."""
    return scaler.text("spec", "scaleTargetRef", "kind"), scaler.text("spec", "scaleTargetRef", "name")


def same_namespace(one: str, other: str) -> bool:
    """Whether two objects can be in one namespace: a file may leave it to kubectl."""
    return one == other or not one or not other


def below(inner: str, outer: str) -> bool:
    """Whether `inner` lies strictly below `outer`."""
    return inner != outer and covers(outer, inner)


def clean_path(path: str) -> str:
    """A path without doubled or trailing slashes, `.` and `..`; empty stays empty."""
    return normpath("/" + path.lstrip("/")) if path.startswith("/") else path


def _absolute(path: str) -> str:
    """A mountPath as the kubelet takes it: `app/skills` is `/app/skills`."""
    return path if not path or path.startswith("/") else f"/{path}"


def _pod(body: Mapping[str, Any], at: Path) -> PodSpec:
    return PodSpec(
        containers=tuple(_containers(body, "containers", at)),
        inits=tuple(_containers(body, "initContainers", at)),
        volumes={volume.name: volume for volume in _volumes(body, at)},
        body=body,
        at=at,
    )


def _volumes(body: Mapping[str, Any], at: Path) -> Iterator[Volume]:
    for index, item in mappings(body, "volumes"):
        kind = next((key for key, value in item.items() if key != "name" and value is not None), "")
        claim = text(item, "persistentVolumeClaim", "claimName")
        yield Volume(text(item, "name"), kind, claim, item, (*at, "volumes", index))


def _containers(body: Mapping[str, Any], field: str, at: Path) -> Iterator[Container]:
    for index, item in mappings(body, field):
        here = (*at, field, index)
        init = field == "initContainers"
        yield Container(
            name=text(item, "name"),
            image=text(item, "image"),
            words=(*texts(item, "command"), *texts(item, "args")),
            env=_variables(item),
            env_from=bool(item.get("envFrom")),
            mounts=tuple(_mounts(item, here)),
            sidecar=init and text(item, "restartPolicy") == "Always",
            init=init,
            at=here,
        )


def _variables(body: Mapping[str, Any]) -> dict[str, str]:
    known: dict[str, str] = {}
    for _, entry in mappings(body, "env"):
        known[text(entry, "name")] = filled_in(text(entry, "value"), known)
    return known


def filled_in(value: str, known: Mapping[str, str]) -> str:
    """A text with `$(X)` as the kubelet fills it in; what is not known stays as it is written."""
    if len(value) > _LONGEST:
        return value
    filled = _BY_KUBELET.sub(lambda match: known.get(match[1]) or match[0], value)
    return filled if len(filled) <= _LONGEST else value


def _mounts(body: Mapping[str, Any], at: Path) -> Iterator[Mount]:
    for index, item in mappings(body, "volumeMounts"):
        yield Mount(
            volume=text(item, "name"),
            path=clean_path(_absolute(text(item, "mountPath"))),
            sub_path=text(item, "subPath"),
            sub_path_expr=text(item, "subPathExpr"),
            read_only=dig(item, "readOnly") is True,
            at=(*at, "volumeMounts", index),
        )
