"""Where each container keeps its data, by its settings, its ConfigMaps or its image, and what is mounted there. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from guard.doctor.configuration import configurations
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.configured_paths import DataPath, set_paths
from guard.doctor.objects.guard_containers import applications
from guard.doctor.objects.images import KnownImage, known_image
from guard.doctor.objects.workload import Container, Mount, Volume, Workload, below, covers
from guard.doctor.rules.advice import save_first
from guard.doctor.source.document import Place
from guard.doctor.source.tree import Path, mapping, mappings, text

#: Volume fields of volumes that are made for each pod. An empty field is an emptyDir.
PASSING = frozenset(
    {"", "emptyDir", "configMap", "downwardAPI", "secret", "projected", "image", "ephemeral", "gitRepo"}
)
#: Programs that start the server of an image whose command was changed; an entrypoint script does too.
_SERVERS = frozenset({
    "postgres", "mysqld", "mariadbd", "mongod", "redis-server", "valkey-server", "influxd", "prometheus", "grafana-server", "grafana",
    "minio", "rabbitmq-server", "etcd", "clickhouse-server", "apache2-foreground", "gitea", "forgejo", "n8n", "node", "java", "ghost",
})  # fmt: skip
_ENTRYPOINT = re.compile(r"entrypoint|(?:^|/)(?:run|start|init)(?:\.sh)?$")
_COMMAND_WORD = re.compile(r"(?:^|[;&|\n(]|\bexec|\bthen|\bdo)\s*([^\s;&|()]+)")
#: Images of databases for which there is a tool that dumps them.
_DUMPED = re.compile(r"postg|pg|mysql|mariadb|mongo|percona|timescale|citus")


class State(Enum):
    """What is mounted at a data path."""

    KEPT = "kept"
    PASSING = "passing"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class DataPlace:
    """A data path of a container, and what is mounted there.

    Attributes:
        workload: Whose container it is.
        container: The container.
        data: The path, and what names it.
        image: The image that keeps data there, or whose VOLUME hides the mount; else None, where a setting names the path.
        state: What is mounted there.
        mount: The mount in force.
        volume: Its volume.
        missing: A ConfigMap with variables of the container that was not given: it can name another path.
    """

    workload: Workload
    container: Container
    data: DataPath
    image: KnownImage | None
    state: State
    mount: Mount | None
    volume: Volume | None
    missing: str

    @property
    def claim_mounts(self) -> list[Mount]:
        """The container's mounts that lead to a claim."""
        return self.workload.pod.claim_mounts(self.container)

    @property
    def save(self) -> str:
        """What to do before a new pod starts."""
        copy = save_first(self.workload, self.data.path, self.container.name)
        is_database = self.image is not None and _DUMPED.search(self.image.name)
        return (
            f"{copy} A dump (pg_dumpall, mysqldump, mongodump) is the safe copy of a running database."
            if is_database
            else copy
        )

    def at(self, path: Path) -> Place:
        """Returns where `path` of the workload is written."""
        return self.workload.object.place(*path)


@lru_cache(maxsize=1)
def data_places(index: ObjectIndex) -> tuple[DataPlace, ...]:
    """Returns where each container of each workload that runs on keeps its data."""
    serving = (workload for workload in index.workloads if not workload.runs_to_end and workload.replicas > 0)
    return tuple(
        place
        for workload in serving
        for container in applications(workload)
        for place in _places(index, workload, container)
    )


def _places(index: ObjectIndex, workload: Workload, container: Container) -> Iterator[DataPlace]:
    """Yields the data paths of a container: those that its settings name, or else its image's."""
    named = set_paths(container, configurations(index, workload, container))
    image = known_image(container.image) if _serves(container) and not _names_hosts(container) else None
    if named:
        ones: dict[object, DataPlace] = {}
        for data in named:
            mount = container.mount_at(data.path)
            is_hidden = image is not None and covers(image.mount, data.path) and _hides(image, mount)
            place = _place(workload, container, data, image if is_hidden else None, "")
            ones.setdefault(place.mount or data.path, place)  # folders of one mount share its fate
        yield from ones.values()
    elif image is not None and not _points_elsewhere(workload, container):
        missing = _missing(index, workload, container)
        places = [
            _place(workload, container, DataPath(path, f"image {container.image}", "image"), image, missing)
            for path in image.paths
        ]
        yield next((place for place in places if place.state is not State.NOTHING), places[-1])


def _place(
    workload: Workload, container: Container, data: DataPath, image: KnownImage | None, missing: str
) -> DataPlace:
    mount = container.mount_at(data.path)
    if image is not None and _hides(image, mount):
        mount = None
    volume = workload.pod.volumes.get(mount.volume) if mount else None
    parts = (image is None or image.has_parts) and any(
        below(one.path, data.path) and _lasts(workload, one) for one in container.mounts
    )
    if mount is None:
        state = State.KEPT if parts else State.NOTHING
    else:
        state = State.PASSING if volume and volume.kind in PASSING and not parts else State.KEPT
    return DataPlace(workload, container, data, image, state, mount, volume, missing)


def _hides(image: KnownImage, mount: Mount | None) -> bool:
    """Whether the runtime mounts an anonymous folder over what is mounted: the image's VOLUME below it."""
    return mount is not None and image.is_volume and below(image.mount, mount.path)


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


def _names_hosts(container: Container) -> bool:
    """Whether it is a minio of several hosts, whose folders are parts of addresses."""
    return "server" in container.words and any("://" in word for word in container.words)


def _points_elsewhere(workload: Workload, container: Container) -> bool:
    """Whether a variable or argument names a path on a mount, so that the image's own path may not be in use."""
    named = [*container.env.values(), *(piece for word in container.words for piece in re.split(r"[=\s]", word))]
    paths = [value for value in named if value.startswith("/")]
    return any(covers(mount.path, path) for mount in workload.pod.claim_mounts(container) for path in paths)


def _missing(index: ObjectIndex, workload: Workload, container: Container) -> str:
    for _, source in mappings(mapping(workload.object.body, *container.at), "envFrom"):
        name = text(source, "configMapRef", "name")
        if name and not index.named("ConfigMap", workload.object.namespace, name):
            return name
    return ""
