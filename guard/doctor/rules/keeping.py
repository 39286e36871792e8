"""VG112 and VG115 to VG117: where a program keeps its data, against what is mounted there. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.configured_paths import DataPath, set_paths
from guard.doctor.objects.guard_containers import applications
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.known_images import Keeps, KnownImage, known_image
from guard.doctor.objects.names import shared
from guard.doctor.objects.workload import Container, Mount, Volume, Workload, below, covers
from guard.doctor.source.tree import dig, mapping, mappings, text

_STORAGE = "https://kubernetes.io/docs/tasks/configure-pod-container/configure-persistent-volume-storage/"

IMAGE_VOLUME = Rule(
    "VG112", "image-volume-hides-mount", Severity.ERROR,
    "The image keeps its data where the claim is not mounted.",
    "The claim stays empty, and the data is lost with the container. Where the folder is a VOLUME of the image, container "
    "runtimes put an anonymous folder there unless a volume is mounted exactly there: a claim mounted above it is hidden. "
    "postgres keeps its data elsewhere from version 18 on.",
    "Mount the claim at the path where the program keeps its data, or point the program to the mount by its own setting (PGDATA).",
    "https://docs.docker.com/reference/dockerfile/#volume",
)  # fmt: skip
BESIDE_CLAIM = Rule(
    "VG115", "data-path-on-passing-volume", Severity.ERROR,
    "The container mounts a claim, but keeps its data on a volume that is lost with the pod.",
    "The path of the data is an emptyDir or another volume that is made for each pod; the claim beside it stays empty.",
    "Mount the claim at the data path in place of the other volume. Copy the data out of the running pod first: the change "
    "starts a new pod.",
    "https://kubernetes.io/docs/concepts/storage/volumes/#emptydir",
)  # fmt: skip
NOT_KEPT = Rule(
    "VG116", "data-not-kept", Severity.WARNING,
    "A program that keeps data has no volume that lasts.",
    "A database, or an application with data of its own, writes into the container's layer or an emptyDir: a new pod, an "
    "update or a node drain starts it empty.",
    "Create a claim and mount it at the data path. Copy the data out of the running pod first: the change starts a new pod. Where "
    "the data may be lost (a test, a cache), ignore this by annotation.",
    _STORAGE,
)  # fmt: skip
READ_ONLY = Rule(
    "VG117", "read-only-at-data-path", Severity.ERROR,
    "The volume is mounted read-only where the program keeps its data.",
    "The program cannot write: it does not start, or it keeps its data elsewhere, in the container's layer.",
    "Remove readOnly from the volumeMount and from the volume.",
    _STORAGE,
)  # fmt: skip

#: Volume fields of volumes that are made for each pod. An empty field is an emptyDir.
PASSING = frozenset(
    {"", "emptyDir", "configMap", "downwardAPI", "secret", "projected", "image", "ephemeral", "gitRepo"}
)
#: Words of a cache that was told to keep its data.
_ASKED = re.compile(r"--(?:appendonly[= ]yes|save[= ]\"?[1-9])")
#: Programs that start the server of an image whose command was changed; an entrypoint script does too.
_SERVERS = frozenset({
    "postgres", "mysqld", "mariadbd", "mongod", "redis-server", "valkey-server", "influxd", "prometheus", "grafana-server", "grafana",
    "minio", "rabbitmq-server", "etcd", "clickhouse-server", "apache2-foreground", "gitea", "forgejo", "n8n", "node", "java", "ghost",
})  # fmt: skip
_ENTRYPOINT = re.compile(r"entrypoint|(?:^|/)(?:run|start|init)(?:\.sh)?$")
_COMMAND_WORD = re.compile(r"(?:^|[;&|\n(]|\bexec|\bthen|\bdo)\s*([^\s;&|()]+)")
#: Variables with which an application keeps its data in another database.
_ELSEWHERE = re.compile(r"(?:GF_DATABASE_(?:TYPE|URL|HOST)|DB_TYPE|DATABASE_URL)$")


class _State(Enum):
    KEPT = "kept"
    PASSING = "passing"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class _Place:
    """A data path of a container, and what is mounted there."""

    data: DataPath
    image: KnownImage | None
    state: _State
    mount: Mount | None
    volume: Volume | None


def data_places(index: ObjectIndex, workload: Workload, container: Container) -> Iterator[_Place]:
    """The data paths of a container: those that it is told, or else its image's."""
    told = set_paths(container, configurations(index, workload, container))
    image = known_image(container.image) if _serves(container) else None
    if told:
        for data in told:
            yield _place(workload, container, data, None)
    elif image is not None and not _points_elsewhere(workload, container):
        places = [
            _place(workload, container, DataPath(path, f"image {container.image}", "image"), image)
            for path in image.paths
        ]
        yield next((place for place in places if place.state is not _State.NOTHING), places[-1])


def _place(workload: Workload, container: Container, data: DataPath, image: KnownImage | None) -> _Place:
    mount = container.mount_at(data.path)
    if mount is not None and image is not None and image.is_volume and mount.path != data.path:
        mount = None  # the runtime mounts an anonymous folder over it
    volume = workload.pod.volumes.get(mount.volume) if mount else None
    parts = any(below(one.path, data.path) and _lasts(workload, one) for one in container.mounts)
    if mount is None:
        state = _State.KEPT if parts else _State.NOTHING
    else:
        state = _State.PASSING if volume and volume.kind in PASSING and not parts else _State.KEPT
    return _Place(data, image, state, mount, volume)


def _lasts(workload: Workload, mount: Mount) -> bool:
    volume = workload.pod.volumes.get(mount.volume)
    return volume is not None and volume.kind not in PASSING


def _serves(container: Container) -> bool:
    """Whether a container runs its image's server: not a client of it, such as pg_dump."""
    words = container.words
    first = words[0].rpartition("/")[2] if words else ""
    if not words or first.startswith("-") or first in _SERVERS or _ENTRYPOINT.search(first):
        return True
    if not first.endswith("sh"):
        return "server" in first
    commands = [word.rpartition("/")[2] for word in _COMMAND_WORD.findall("\n".join(words[1:]))]
    return any(word in _SERVERS or _ENTRYPOINT.search(word) for word in commands)


def _points_elsewhere(workload: Workload, container: Container) -> bool:
    """Whether a variable or argument names a path on a mount, so that the image's own path may not be in use."""
    named = [*container.env.values(), *(piece for word in container.words for piece in re.split(r"[=\s]", word))]
    paths = [value for value in named if value.startswith("/")]
    return any(covers(mount.path, path) for mount in workload.pod.claim_mounts(container) for path in paths)


def configurations(index: ObjectIndex, workload: Workload, container: Container) -> Mapping[str, str]:
    """The texts of the ConfigMaps given that a container mounts or reads as variables, by how to name each."""
    body = mapping(workload.object.body, *container.at)
    texts: dict[str, str] = {}
    for mount in container.mounts:
        volume = workload.pod.volumes.get(mount.volume)
        name = text(volume.body, "configMap", "name") if volume else ""
        for key, content in _data(index, workload, name).items():
            if isinstance(content, str) and (not mount.sub_path or mount.sub_path == key):
                texts[f"{key} of ConfigMap {name}"] = content
    for _, source in mappings(body, "envFrom"):
        name = text(source, "configMapRef", "name")
        lines = [f"{key}: {value}" for key, value in _data(index, workload, name).items()]
        texts[f"ConfigMap {name}"] = "\n".join(lines)
    for _, entry in mappings(body, "env"):
        reference = mapping(entry, "valueFrom", "configMapKeyRef")
        value = dig(_data(index, workload, text(reference, "name")), text(reference, "key"))
        if isinstance(value, str):
            texts[f"ConfigMap {text(reference, 'name')}"] = f"{text(entry, 'name')}: {value}"
    return texts


def _data(index: ObjectIndex, workload: Workload, name: str) -> Mapping[str, object]:
    obj = index.find("ConfigMap", workload.object.namespace, name, workload.object.side) if name else None
    return mapping(obj.body, "data") if obj else {}


def _places(index: ObjectIndex) -> Iterator[tuple[Workload, Container, _Place]]:
    for workload in index.workloads:
        if workload.runs_to_end or workload.replicas == 0:
            continue
        for container in applications(workload):
            for place in data_places(index, workload, container):
                yield workload, container, place


def _image_volume(index: ObjectIndex) -> Iterator[Verdict]:
    for workload, container, place in _places(index):
        mounts = workload.pod.claim_mounts(container)
        if place.state is not _State.NOTHING or place.image is None or not mounts:
            continue
        data, image = place.data.path, place.image
        above = container.mount_at(data)
        if above is not None and above not in mounts:
            continue  # the data is on another volume
        mount = above or mounts[0]
        named = f"image {container.image}" + (" (the newest version: it has no version tag)" if image.is_newest else "")
        if above is not None:
            message = f"the VOLUME {data} of {named} hides the claim mounted above it at {mount.path}"
        else:
            message = (
                f"{named} keeps its data in {data}; the claim is mounted at {mount.path}, where nothing is written"
            )
        fix = f"mountPath: {image.mount}{_CARE}"
        yield Finding(message, workload.object.place(*mount.at), workload.object, fix=fix)


_CARE = ". Copy the data out of the running pod first (kubectl cp): the change starts a new pod"


def _beside_claim(index: ObjectIndex) -> Iterator[Verdict]:
    for workload, container, place in _places(index):
        mounts = workload.pod.claim_mounts(container)
        if place.state is _State.PASSING and place.volume is not None and mounts:
            kind, at = place.volume.kind or "emptyDir", place.data.path
            claim = workload.pod.volumes[mounts[0].volume]
            message = (
                f"{place.data.said_by} in container {container.name}: {at} is volume {place.volume.name} ({kind}), new and empty for "
                f"each pod; claim {claim.claim or claim.name} is mounted at {mounts[0].path}"
            )
            fix = f"mount volume {claim.name} at {at} in place of {place.volume.name}{_CARE}"
            yield Finding(message, workload.object.place(*place.volume.at), workload.object, fix=fix)


def _not_kept(index: ObjectIndex) -> Iterator[Verdict]:
    for workload, container, place in _places(index):
        if place.state is _State.KEPT or workload.pod.claim_mounts(container) or not _keeps(container, place.image):
            continue
        at = place.data.path
        where = f"volume {place.volume.name} ({place.volume.kind or 'emptyDir'})" if place.volume else "no volume"
        unused = [one.name for one in index.unused_in.get(workload.object.namespace, ()) if _is_for(one, workload)]
        hint = f"; claim {unused[0]} is used by nothing" if len(unused) == 1 else ""
        message = f"{place.data.said_by} in container {container.name} keeps data in {at}, which is {where}{hint}"
        claim = unused[0] if len(unused) == 1 else "CLAIM"
        target = place.image.mount if place.image else at
        fix = f"volumes: - name: data, persistentVolumeClaim: claimName: {claim}; volumeMounts: - name: data, mountPath: {target}{_CARE}"
        spot = place.volume.at if place.volume else container.at
        yield Finding(message, workload.object.place(*spot), workload.object, fix=fix)


def _is_for(claim: K8sObject, workload: Workload) -> bool:
    return bool(shared(claim.name, workload.object.name))


def _keeps(container: Container, image: KnownImage | None) -> bool:
    """Whether it keeps data without doubt: told where, or an image that always does."""
    if image is None:
        return True
    if any(map(_ELSEWHERE.match, container.env)):
        return False
    return image.keeps is Keeps.ALWAYS or bool(_ASKED.search(" ".join(container.words)))


def _read_only(index: ObjectIndex) -> Iterator[Verdict]:
    for workload, container, place in _places(index):
        volume, mount = place.volume, place.mount
        if place.state is not _State.KEPT or volume is None or mount is None or not volume.is_persistent:
            continue
        if mount.read_only or dig(volume.body, volume.kind, "readOnly") is True:
            message = f"{place.data.said_by} in container {container.name} keeps data in {place.data.path}, which is mounted read-only"
            yield Finding(message, workload.object.place(*mount.at), workload.object)


CHECKS = (
    (IMAGE_VOLUME, _image_volume),
    (BESIDE_CLAIM, _beside_claim),
    (NOT_KEPT, _not_kept),
    (READ_ONLY, _read_only),
)
