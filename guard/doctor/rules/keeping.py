"""VG112 and VG115 to VG117: where a program keeps its data, against what is mounted there. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from guard.doctor.data_paths import DataPath, set_paths
from guard.doctor.inventory import Inventory, applications
from guard.doctor.known_images import Keeps, KnownImage, known_image
from guard.doctor.kube import Container, Kube, Mount, Volume, Workload, below, covers
from guard.doctor.rule import Finding, Rule, Severity, Verdict
from guard.doctor.rules.words import shared
from guard.doctor.tree import dig, mapping, mappings, text

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


def data_places(inventory: Inventory, found: Workload, box: Container) -> Iterator[_Place]:
    """The data paths of a container: those that it is told, or else its image's."""
    told = set_paths(box, configurations(inventory, found, box))
    image = known_image(box.image) if _serves(box) else None
    if told:
        for data in told:
            yield _place(found, box, data, None)
    elif image is not None and not _points_elsewhere(found, box):
        places = [_place(found, box, DataPath(path, f"image {box.image}", "image"), image) for path in image.paths]
        yield next((place for place in places if place.state is not _State.NOTHING), places[-1])


def _place(found: Workload, box: Container, data: DataPath, image: KnownImage | None) -> _Place:
    mount = box.mount_at(data.path)
    if mount is not None and image is not None and image.is_volume and mount.path != data.path:
        mount = None  # the runtime mounts an anonymous folder over it
    volume = found.pod.volumes.get(mount.volume) if mount else None
    parts = any(below(one.path, data.path) and _lasts(found, one) for one in box.mounts)
    if mount is None:
        state = _State.KEPT if parts else _State.NOTHING
    else:
        state = _State.PASSING if volume and volume.kind in PASSING and not parts else _State.KEPT
    return _Place(data, image, state, mount, volume)


def _lasts(found: Workload, mount: Mount) -> bool:
    volume = found.pod.volumes.get(mount.volume)
    return volume is not None and volume.kind not in PASSING


def _serves(box: Container) -> bool:
    """Whether a container runs its image's server: not a client of it, such as pg_dump."""
    words = box.words
    first = words[0].rpartition("/")[2] if words else ""
    if not words or first.startswith("-") or first in _SERVERS or _ENTRYPOINT.search(first):
        return True
    if not first.endswith("sh"):
        return "server" in first
    commands = [word.rpartition("/")[2] for word in _COMMAND_WORD.findall("\n".join(words[1:]))]
    return any(word in _SERVERS or _ENTRYPOINT.search(word) for word in commands)


def _points_elsewhere(found: Workload, box: Container) -> bool:
    """Whether a variable or argument names a path on a mount, so that the image's own path may not be in use."""
    named = [*box.env.values(), *(piece for word in box.words for piece in re.split(r"[=\s]", word))]
    paths = [value for value in named if value.startswith("/")]
    return any(covers(mount.path, path) for mount in found.pod.claim_mounts(box) for path in paths)


def configurations(inventory: Inventory, found: Workload, box: Container) -> Mapping[str, str]:
    """The texts of the ConfigMaps given that a container mounts or reads as variables, by how to name each."""
    body = mapping(found.kube.body, *box.at)
    texts: dict[str, str] = {}
    for mount in box.mounts:
        volume = found.pod.volumes.get(mount.volume)
        name = text(volume.body, "configMap", "name") if volume else ""
        for key, content in _data(inventory, found, name).items():
            if isinstance(content, str) and (not mount.sub_path or mount.sub_path == key):
                texts[f"{key} of ConfigMap {name}"] = content
    for _, source in mappings(body, "envFrom"):
        name = text(source, "configMapRef", "name")
        lines = [f"{key}: {value}" for key, value in _data(inventory, found, name).items()]
        texts[f"ConfigMap {name}"] = "\n".join(lines)
    for _, entry in mappings(body, "env"):
        reference = mapping(entry, "valueFrom", "configMapKeyRef")
        value = dig(_data(inventory, found, text(reference, "name")), text(reference, "key"))
        if isinstance(value, str):
            texts[f"ConfigMap {text(reference, 'name')}"] = f"{text(entry, 'name')}: {value}"
    return texts


def _data(inventory: Inventory, found: Workload, name: str) -> Mapping[str, object]:
    kube = inventory.find("ConfigMap", found.kube.namespace, name, found.kube.side) if name else None
    return mapping(kube.body, "data") if kube else {}


def _places(inventory: Inventory) -> Iterator[tuple[Workload, Container, _Place]]:
    for found in inventory.workloads:
        if found.runs_to_end or found.replicas == 0:
            continue
        for box in applications(found):
            for place in data_places(inventory, found, box):
                yield found, box, place


def _image_volume(inventory: Inventory) -> Iterator[Verdict]:
    for found, box, place in _places(inventory):
        mounts = found.pod.claim_mounts(box)
        if place.state is not _State.NOTHING or place.image is None or not mounts:
            continue
        data, image = place.data.path, place.image
        above = box.mount_at(data)
        if above is not None and above not in mounts:
            continue  # the data is on another volume
        mount = above or mounts[0]
        named = f"image {box.image}" + (" (the newest version: it has no version tag)" if image.is_newest else "")
        if above is not None:
            message = f"the VOLUME {data} of {named} hides the claim mounted above it at {mount.path}"
        else:
            message = (
                f"{named} keeps its data in {data}; the claim is mounted at {mount.path}, where nothing is written"
            )
        fix = f"mountPath: {image.mount}{_CARE}"
        yield Finding(message, found.kube.place(*mount.at), found.kube, fix=fix)


_CARE = ". Copy the data out of the running pod first (kubectl cp): the change starts a new pod"


def _beside_claim(inventory: Inventory) -> Iterator[Verdict]:
    for found, box, place in _places(inventory):
        mounts = found.pod.claim_mounts(box)
        if place.state is _State.PASSING and place.volume is not None and mounts:
            kind, at = place.volume.kind or "emptyDir", place.data.path
            claim = found.pod.volumes[mounts[0].volume]
            message = (
                f"{place.data.said_by} in container {box.name}: {at} is volume {place.volume.name} ({kind}), new and empty for "
                f"each pod; claim {claim.claim or claim.name} is mounted at {mounts[0].path}"
            )
            fix = f"mount volume {claim.name} at {at} in place of {place.volume.name}{_CARE}"
            yield Finding(message, found.kube.place(*place.volume.at), found.kube, fix=fix)


def _not_kept(inventory: Inventory) -> Iterator[Verdict]:
    for found, box, place in _places(inventory):
        if place.state is _State.KEPT or found.pod.claim_mounts(box) or not _keeps(box, place.image):
            continue
        at = place.data.path
        where = f"volume {place.volume.name} ({place.volume.kind or 'emptyDir'})" if place.volume else "no volume"
        unused = [one.name for one in inventory.unused_in.get(found.kube.namespace, ()) if _is_for(one, found)]
        hint = f"; claim {unused[0]} is used by nothing" if len(unused) == 1 else ""
        message = f"{place.data.said_by} in container {box.name} keeps data in {at}, which is {where}{hint}"
        claim = unused[0] if len(unused) == 1 else "CLAIM"
        target = place.image.mount if place.image else at
        fix = f"volumes: - name: data, persistentVolumeClaim: claimName: {claim}; volumeMounts: - name: data, mountPath: {target}{_CARE}"
        spot = place.volume.at if place.volume else box.at
        yield Finding(message, found.kube.place(*spot), found.kube, fix=fix)


def _is_for(claim: Kube, found: Workload) -> bool:
    return bool(shared(claim.name, found.kube.name))


def _keeps(box: Container, image: KnownImage | None) -> bool:
    """Whether it keeps data without doubt: told where, or an image that always does."""
    if image is None:
        return True
    if any(map(_ELSEWHERE.match, box.env)):
        return False
    return image.keeps is Keeps.ALWAYS or bool(_ASKED.search(" ".join(box.words)))


def _read_only(inventory: Inventory) -> Iterator[Verdict]:
    for found, box, place in _places(inventory):
        volume, mount = place.volume, place.mount
        if place.state is not _State.KEPT or volume is None or mount is None or not volume.lasts:
            continue
        if mount.read_only or dig(volume.body, volume.kind, "readOnly") is True:
            message = f"{place.data.said_by} in container {box.name} keeps data in {place.data.path}, which is mounted read-only"
            yield Finding(message, found.kube.place(*mount.at), found.kube)


CHECKS = (
    (IMAGE_VOLUME, _image_volume),
    (BESIDE_CLAIM, _beside_claim),
    (NOT_KEPT, _not_kept),
    (READ_ONLY, _read_only),
)
