"""What runs pods: containers, volumes and mounts as the rules see them. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from guard.doctor.objects.guard_container import GuardContainer, Part
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.names import word_set
from guard.doctor.objects.paths import covers, filled_in, mount_path
from guard.doctor.source.document import Place, Side
from guard.doctor.source.tree import Path, dig, mapping, mappings, numbered, text, texts, whole

#: The label of a pod into which the admission policies put the guard of its only claim (k8s/policy/inject).
INJECT = "volume-guard/inject"
#: The end of a claim's name that a StatefulSet made: <template>-<statefulset>-<ordinal>.
ORDINAL = re.compile(r"-[0-9]+$")
_CLAIM_TEMPLATES: Path = ("spec", "volumeClaimTemplates")
_RUN_TO_END = frozenset({"Job", "CronJob"})
_TEMPLATE: Path = ("spec", "template", "spec")
#: Where the pod's spec lies in the kinds of Kubernetes that run pods.
POD_PATHS: Mapping[str, Path] = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"), _TEMPLATE
    ),
}
#: The kind of a volume that a StatefulSet makes from one of its volumeClaimTemplates.
TEMPLATE = "volumeClaimTemplate"
#: Volume fields of volumes that are made for each pod.
PASSING = word_set("emptyDir configMap downwardAPI secret projected image ephemeral gitRepo")
#: Volume fields that name a server or a disk, which is there before and after the pod.
_INLINE = word_set(
    "nfs iscsi fc rbd cephfs glusterfs gcePersistentDisk awsElasticBlockStore azureDisk azureFile csi flexVolume "
    "vsphereVolume cinder portworxVolume quobyte scaleIO storageos photonPersistentDisk"
)
#: Volume fields that hold what the cluster put there.
_GIVEN = word_set("configMap downwardAPI secret projected image")
#: CSI drivers that hand secrets into a pod.
_SECRETS = re.compile(r"secret|spiffe|cert", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class PodPart:
    """A part of a workload's object."""

    workload: "Workload"
    body: Mapping[str, Any]
    at: Path  # where it is written

    @property
    def subject(self) -> K8sObject:
        """The object that a finding about it is about."""
        return self.workload

    def place(self, *path: str | int) -> Place:
        """Returns where `path` of it is written."""
        return self.workload.place(*self.at, *path)

    def text(self, *path: str | int) -> str:
        """Returns the string at `path`; empty if there is none."""
        return text(self.body, *path)


@dataclass(frozen=True, eq=False)
class Volume(PodPart):
    """One volume of a pod."""

    name: str
    kind: str  # its field, such as `persistentVolumeClaim`; a volume without one is an emptyDir
    claim: str  # the claim that it names; empty for one made from a template

    @property
    def claim_name(self) -> str:
        """The claim that it names, or else the template of its claim."""
        return self.claim or self.name

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
        return self.kind in _GIVEN or bool(_SECRETS.search(self.text("csi", "driver")))


@dataclass(frozen=True, eq=False)
class Mount(PodPart):
    """One volumeMount."""

    container: "Container"
    volume_name: str
    path: str  # normalised, so `/app/skills/` and `/app/skills` are equal
    sub_path: str
    sub_path_expr: str

    @property
    def volume(self) -> Volume | None:
        """Its volume; None if the pod has none of that name."""
        return self.workload.volumes.get(self.volume_name)

    @property
    def is_read_only(self) -> bool:
        """Whether nothing can be written through it."""
        volume = self.volume
        return self.body.get("readOnly") is True or (
            volume is not None and dig(volume.body, volume.kind, "readOnly") is True
        )

    @property
    def claim_name(self) -> str:
        """The claim that it leads to, or else the template of that claim or the volume."""
        return self.volume.claim_name if self.volume else self.volume_name


@dataclass(frozen=True, eq=False)
class Container(GuardContainer, PodPart):
    """One container."""

    name: str

    @cached_property
    def mounts(self) -> tuple[Mount, ...]:
        """Its volumeMounts."""
        return tuple(
            Mount(
                self.workload,
                item,
                (*self.at, "volumeMounts", index),
                container=self,
                volume_name=text(item, "name"),
                path=mount_path(text(item, "mountPath")),
                sub_path=text(item, "subPath"),
                sub_path_expr=text(item, "subPathExpr"),
            )
            for index, item in numbered(self.body, "volumeMounts")
        )

    @property
    def devices(self) -> set[str]:
        """Its raw block devices, by the names of their volumes."""
        return {text(device, "name") for device in mappings(self.body, "volumeDevices")}

    @cached_property
    def claim_mounts(self) -> tuple[Mount, ...]:
        """The mounts that lead to a claim."""
        return tuple(mount for mount in self.mounts if mount.volume and mount.volume.is_persistent)

    def mount_at(self, path: str) -> Mount | None:
        """Returns the mount in force at `path`: the deepest at it or above it."""
        over = [mount for mount in self.mounts if covers(mount.path, path)]
        return max(over, key=lambda mount: len(mount.path), default=None)

    def volume_at(self, path: str) -> Volume | None:
        """Returns the volume in force at `path`."""
        mount = self.mount_at(path)
        return mount.volume if mount else None

    def points_at(self, path: str) -> bool:
        """Whether it mounts something at the path or below it, or has a variable with such a value."""
        paths = (*(mount.path for mount in self.mounts), *self.env.values())
        return any(covers(path, one) for one in paths)


@dataclass(frozen=True, eq=False)
class ClaimTemplate(PodPart, K8sObject):
    """A volumeClaimTemplate of a StatefulSet, as the claim that it is."""

    @cached_property
    def kind(self) -> str:
        """The field in which it is written: it is no object of the cluster."""
        return TEMPLATE


@dataclass(frozen=True, eq=False)
class Workload(K8sObject):
    """An object that runs pods."""

    @property
    def pod_at(self) -> Path:
        """Where the pod's spec is written."""
        return POD_PATHS.get(self.kind, _TEMPLATE)

    @cached_property
    def pod(self) -> Mapping[str, Any]:
        """The pod's spec."""
        return mapping(self.body, *self.pod_at)

    @property
    def pod_labels(self) -> Mapping[str, Any]:
        """The labels of its pods."""
        return mapping(self.body, *self.pod_at[:-1], "metadata", "labels")

    @cached_property
    def inits(self) -> tuple[Container, ...]:
        """Its init containers."""
        return tuple(self._containers("initContainers"))

    @cached_property
    def containers(self) -> tuple[Container, ...]:
        """Its containers, without init containers."""
        return tuple(self._containers("containers"))

    @cached_property
    def all_containers(self) -> tuple[Container, ...]:
        """Init containers first, as they start."""
        return (*self.inits, *self.containers)

    @cached_property
    def volumes(self) -> Mapping[str, Volume]:
        """The volumes of its pods, those made from a StatefulSet's templates among them."""
        volumes: dict[str, Volume] = {}
        for index, body in numbered(self.pod, "volumes"):
            name, claim = text(body, "name"), text(body, "persistentVolumeClaim", "claimName")
            kind = next((key for key, value in body.items() if key != "name" and value is not None), "emptyDir")
            volumes[name] = Volume(self, body, (*self.pod_at, "volumes", index), name, kind, claim)
        made = {one.name: Volume(self, {}, _CLAIM_TEMPLATES, one.name, TEMPLATE, "") for one in self.templates}
        return {**volumes, **made}

    @cached_property
    def applications(self) -> tuple[Container, ...]:
        """The containers in which the application may run."""
        return tuple(container for container in self.containers if container.is_application)

    def applications_at(self, path: str) -> tuple[Container, ...]:
        """Returns the containers that have to do with a path: they show it, or else mount a claim above it; all if none does."""
        return (
            tuple(container for container in self.applications if container.points_at(path))
            or tuple(one for one in self.applications if one.mount_at(path) in one.claim_mounts)
            or self.applications
        )

    def mounts_at(self, path: str) -> bool:
        """Whether an application container has a volume at a path."""
        return any(container.volume_at(path) for container in self.applications)

    @cached_property
    def claim_mounts(self) -> tuple[Mount, ...]:
        """The application's mounts that lead to a claim."""
        return tuple(mount for container in self.applications for mount in container.claim_mounts)

    @cached_property
    def gates(self) -> tuple[Container, ...]:
        """The containers that run `guard check`."""
        return tuple(container for container in self.all_containers if container.part is Part.GATE)

    @cached_property
    def watchers(self) -> tuple[Container, ...]:
        """The containers that run `guard watch`."""
        return tuple(container for container in self.all_containers if container.part is Part.WATCHER)

    @property
    def injected_path(self) -> str:
        """The path that a guard injected by the pod's label checks: the first mount of its only claim; else empty."""
        claims = [volume for volume in self.volumes.values() if volume.is_persistent]
        mounts = (mount for container in self.containers for mount in container.claim_mounts)
        is_asked = self.pod_labels.get(INJECT) and len(claims) == 1
        return next((mount.path for mount in mounts if is_asked), "")

    def _containers(self, field: str) -> Iterator[Container]:
        is_init = field == "initContainers"
        for index, item in numbered(self.pod, field):
            yield Container(
                workload=self,
                body=item,
                at=(*self.pod_at, field, index),
                name=text(item, "name"),
                image=text(item, "image"),
                words=(*texts(item, "command"), *texts(item, "args")),
                env=_variables(item),
                has_env_from=bool(item.get("envFrom")),
                is_sidecar=is_init and text(item, "restartPolicy") == "Always",
                is_init=is_init,
            )

    @property
    def replicas(self) -> int:
        """How many pods it wants: 1 unless set otherwise."""
        found = whole(self.body, "spec", "replicas")
        return 1 if found is None else found

    @property
    def is_suspended(self) -> bool:
        """Whether it starts no pod by its own word."""
        return self.get("spec", "suspend") is True

    @cached_property
    def runs_to_end(self) -> bool:
        """Whether its pods end by themselves: a job's, whether the Job itself was given or not, and a pod that is not to start again."""
        if self.kind != "Pod":
            return self.kind in _RUN_TO_END
        return self.controller[0] in _RUN_TO_END or text(self.pod, "restartPolicy") in {"Never", "OnFailure"}

    @cached_property
    def is_past(self) -> bool:
        """Whether no pod of it will run again: an ended pod, a finished job, an earlier revision kept for a roll-back.

        A finished Job that a CronJob made counts as that one, which starts the next.
        """
        if self.kind == "Pod":
            return self.phase in {"Succeeded", "Failed"}
        if self.kind == "Job":
            conditions = (one for one in self.mappings("status", "conditions") if text(one, "status") == "True")
            return self.controller[0] != "CronJob" and any(
                text(one, "type") in {"Complete", "Failed"} for one in conditions
            )
        return self.kind == "ReplicaSet" and self.replicas == 0

    @cached_property
    def has_raw_device_only(self) -> bool:
        """Whether its volumes that last are attached as raw block devices, and none is mounted: it has no path to judge."""
        names = set().union(*(container.devices for container in self.containers))
        is_attached = any(volume.name in names for volume in self.volumes.values() if volume.is_persistent)
        return is_attached and not any(container.claim_mounts for container in self.containers)

    @cached_property
    def unmounted(self) -> tuple[Volume, ...]:
        """Its volumes that last and that no container gets, mounted or as raw block devices."""
        taken = set().union(*(container.devices for container in self.all_containers))
        taken |= {mount.volume_name for container in self.all_containers for mount in container.mounts}
        return tuple(volume for volume in self.volumes.values() if volume.is_persistent and volume.name not in taken)

    @cached_property
    def claims(self) -> tuple[str, ...]:
        """Names of the claims that its pods use, without those that a StatefulSet makes from templates."""
        return tuple(volume.claim for volume in self.volumes.values() if volume.claim)

    @cached_property
    def claim_templates(self) -> tuple[str, ...]:
        """Names of a StatefulSet's volumeClaimTemplates; each is a volume of its pods too."""
        return tuple(template.name for template in self.templates)

    @cached_property
    def templates(self) -> tuple[ClaimTemplate, ...]:
        """A StatefulSet's volumeClaimTemplates."""
        return tuple(
            ClaimTemplate(body, self.source, self.line, self.side, workload=self, at=(*_CLAIM_TEMPLATES, index))
            for index, body in numbered(self.body, *_CLAIM_TEMPLATES)
        )

    def first_claim(self, template: str) -> str:
        """Returns the name of the claim that a StatefulSet makes from a template for its first pod."""
        return f"{template}-{self.name}-{whole(self.body, 'spec', 'ordinals', 'start') or 0}"

    @property
    def written_as(self) -> tuple[str, str]:
        """Kind and name of what somebody wrote: of a pod whose controller was not given, the controller's."""
        return self.author if self.author[1] else (self.kind, self.name)


def k8s_object(body: Mapping[str, Any], source: str, line: int | None, side: Side) -> K8sObject:
    """Returns an object, as a workload if it runs pods: any kind that holds a pod's template (Rollout) is one."""
    runs_pods = text(body, "kind") in POD_PATHS or isinstance(dig(body, *_TEMPLATE, "containers"), list)
    return (Workload if runs_pods else K8sObject)(body, source, line, side)


def _variables(body: Mapping[str, Any]) -> dict[str, str]:
    known: dict[str, str] = {}
    for entry in mappings(body, "env"):
        known[text(entry, "name")] = filled_in(text(entry, "value"), known)
    return known
