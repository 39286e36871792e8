"""What runs pods: containers, volumes and mounts as the rules see them. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from posixpath import normpath
from typing import Any

from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.source.tree import Path, dig, mapping, mappings, text, texts, whole

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
#: Volume fields that name a server or a disk, which is there before and after the pod.
_INLINE = frozenset({
    "nfs", "iscsi", "fc", "rbd", "cephfs", "glusterfs", "gcePersistentDisk", "awsElasticBlockStore", "azureDisk", "azureFile",
    "csi", "flexVolume", "vsphereVolume", "cinder", "portworxVolume", "quobyte", "scaleIO", "storageos", "photonPersistentDisk",
})  # fmt: skip
#: Volume fields that hold what the cluster put there.
_GIVEN = frozenset({"configMap", "downwardAPI", "secret", "projected", "image"})
#: CSI drivers that hand secrets into a pod.
_SECRETS = re.compile(r"secret|spiffe|cert", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mount:
    """One volumeMount; `path` is normalised, so `/app/skills/` and `/app/skills` are equal."""

    volume: str
    path: str
    sub_path: str
    sub_path_expr: str
    read_only: bool
    at: Path


@dataclass(frozen=True, eq=False)
class Container:
    """One container.

    Attributes:
        name: Its name.
        image: Its image.
        words: Command and args in one row.
        env: Its variables, those of others in them filled in; an empty value is one that is not known (valueFrom).
        env_from: Whether further variables come from elsewhere (envFrom).
        mounts: Its volumeMounts.
        devices: Its volumeDevices, by the names of their volumes: raw block devices.
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
    devices: tuple[str, ...]
    sidecar: bool
    init: bool
    at: Path

    @property
    def volume_names(self) -> frozenset[str]:
        """The volumes that it gets, mounted or as raw block devices."""
        return frozenset({*self.devices, *(mount.volume for mount in self.mounts)})

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
    def is_persistent(self) -> bool:
        """Whether it is a claim's, written or made from a StatefulSet's template."""
        return bool(self.claim) or self.kind == TEMPLATE

    @property
    def outlasts_pod(self) -> bool:
        """Whether its content is still there for the next pod: a claim's, or that of a server or disk named in the pod."""
        return self.is_persistent or (self.kind in _INLINE and not self.is_given)

    @property
    def is_given(self) -> bool:
        """Whether it holds what the cluster put there and the application never wrote: settings, secrets, certificates."""
        return self.kind in _GIVEN or bool(_SECRETS.search(text(self.body, "csi", "driver")))


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
        return [mount for mount, volume in found if volume and volume.is_persistent]


@dataclass(frozen=True, eq=False)
class Workload:
    """An object that runs pods."""

    object: K8sObject
    pod: PodSpec

    @property
    def replicas(self) -> int:
        """How many pods it wants: 1 unless said otherwise."""
        found = whole(self.object.body, "spec", "replicas")
        return 1 if found is None else found

    @cached_property
    def runs_to_end(self) -> bool:
        """Whether its pods end by themselves: a job's, whether the Job itself was given or not, and a pod that is not to start again."""
        if self.object.kind != "Pod":
            return self.object.kind in _RUN_TO_END
        return self.object.controller[0] in _RUN_TO_END or text(self.pod.body, "restartPolicy") in {
            "Never",
            "OnFailure",
        }

    @cached_property
    def is_past(self) -> bool:
        """Whether no pod of it will run again: an ended pod, a finished job, an earlier revision kept for a roll-back.

        A finished Job that a CronJob made stands for that one, which starts the next.
        """
        if self.object.kind == "Pod":
            return self.object.text("status", "phase") in _ENDED
        if self.object.kind == "Job":
            conditions = [
                one for _, one in mappings(self.object.body, "status", "conditions") if text(one, "status") == "True"
            ]
            finished = any(text(one, "type") in {"Complete", "Failed"} for one in conditions)
            return finished and self.object.controller[0] != "CronJob"
        return self.object.kind == "ReplicaSet" and self.replicas == 0

    @property
    def wants_pods_now(self) -> bool:
        """Whether pods of it should run today: not where it ended, is suspended or scaled to nothing, or waits for its hour."""
        waits = self.object.kind == "CronJob" or self.object.get("spec", "suspend") is True
        return not waits and not self.is_past and self.replicas > 0

    @cached_property
    def has_raw_device_only(self) -> bool:
        """Whether its volumes that last are attached as raw block devices, and none is mounted: it has no path to judge."""
        names = {name for container in self.pod.containers for name in container.devices}
        attached = any(name in names for name, volume in self.pod.volumes.items() if volume.is_persistent)
        return attached and not any(map(self.pod.claim_mounts, self.pod.containers))

    @cached_property
    def claims(self) -> tuple[str, ...]:
        """Names of the claims that its pods use, without those that a StatefulSet makes from templates."""
        return tuple(volume.claim for volume in self.pod.volumes.values() if volume.claim)

    @cached_property
    def claim_templates(self) -> tuple[str, ...]:
        """Names of a StatefulSet's volumeClaimTemplates; each is a volume of its pods too."""
        return tuple(template.name for _, template in self.templates)

    @cached_property
    def templates(self) -> tuple[tuple[Path, K8sObject], ...]:
        """A StatefulSet's volumeClaimTemplates, as the claims that they are; each with where it stands."""
        bodies = mappings(self.object.body, *_CLAIM_TEMPLATES)
        return tuple(
            ((*_CLAIM_TEMPLATES, index), K8sObject(body, self.object.source, self.object.line, self.object.side))
            for index, body in bodies
        )


_TEMPLATE: Path = ("spec", "template", "spec")
#: Where the pod's spec lies in the kinds of Kubernetes that run pods.
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


def as_workload(obj: K8sObject) -> Workload | None:
    """Returns the object as a workload: any kind that holds a pod's template (Rollout, DeploymentConfig) is one."""
    at = POD_PATHS.get(obj.kind)
    if at is None and isinstance(obj.get(*_TEMPLATE, "containers"), list):
        at = _TEMPLATE
    if at is None:
        return None
    pod = _pod(mapping(obj.body, *at), at)
    names = (text(body, "metadata", "name") for _, body in mappings(obj.body, *_CLAIM_TEMPLATES))
    made = {name: Volume(name, TEMPLATE, "", {}, _CLAIM_TEMPLATES) for name in names}
    return Workload(obj, replace(pod, volumes={**pod.volumes, **made}) if made else pod)


def covers(mount_path: str, path: str) -> bool:
    """Whether a mount at `mount_path` holds `path`: at it, or above it."""
    return path == mount_path or path.startswith(mount_path.rstrip("/") + "/")


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
            devices=tuple(text(device, "name") for _, device in mappings(item, "volumeDevices")),
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
