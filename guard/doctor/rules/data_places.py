"""Where each container keeps its data, by its settings, its ConfigMaps or its image, and what is mounted there. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

from guard.doctor.configuration import data_paths
from guard.doctor.finding import save_first
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.configured_paths import DataPath
from guard.doctor.objects.images import KnownImage, known_image
from guard.doctor.objects.names import word_set
from guard.doctor.objects.paths import below, covers
from guard.doctor.objects.workload import PASSING, Container, Mount, Volume, Workload
from guard.doctor.source.tree import mappings, text

#: Programs that start the server of an image whose command was changed; an entrypoint script does too.
_SERVERS = word_set(
    "postgres mysqld mariadbd mongod redis-server valkey-server influxd prometheus grafana-server grafana minio "
    "rabbitmq-server etcd clickhouse-server apache2-foreground gitea forgejo n8n node java ghost"
)
_ENTRYPOINT = re.compile(r"entrypoint|(?:^|/)(?:run|start|init)(?:\.sh)?$")
_COMMAND_WORD = re.compile(r"(?:^|[;&|\n(]|\bexec|\bthen|\bdo)\s*([^\s;&|()]+)")


class State(Enum):
    """What is mounted at a data path."""

    KEPT = "kept"
    PASSING = "passing"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class DataPlace:
    """A data path of a container, and what is mounted there."""

    container: Container
    data: DataPath  # the path, and what names it
    image: KnownImage | None  # that keeps data there, or whose VOLUME hides the mount; else a setting names the path
    state: State
    mount: Mount | None  # in force there
    missing: str = ""  # a ConfigMap with variables of the container that was not given: it can name another path

    @property
    def workload(self) -> Workload:
        """Whose container it is."""
        return self.container.workload

    @property
    def volume(self) -> Volume | None:
        """The volume that is mounted there."""
        return self.mount.volume if self.mount else None

    @property
    def save(self) -> str:
        """What to do before a new pod starts."""
        copy = save_first(self.workload, self.data.path, self.container.name)
        dump = " A dump (pg_dumpall, mysqldump, mongodump) is the safe copy of a running database."
        return copy + dump if self.image is not None and _DUMPED.search(self.image.name) else copy

    def __str__(self) -> str:
        return f"container {self.container.name} keeps its data in {self.data.path} ({self.data.source})"


#: Images of databases for which there is a tool that dumps them.
_DUMPED = re.compile(r"postg|pg|mysql|mariadb|mongo|percona|timescale|citus")


@lru_cache(maxsize=1)
def data_places(index: ObjectIndex) -> tuple[DataPlace, ...]:
    """Returns where each container of each workload that runs on keeps its data."""
    serving = (workload for workload in index.workloads if not workload.runs_to_end and workload.replicas > 0)
    containers = (container for workload in serving for container in workload.applications)
    return tuple(place for container in containers for place in _places(index, container))


def _places(index: ObjectIndex, container: Container) -> Iterator[DataPlace]:
    """Yields the data paths of a container: those that its settings name, or else its image's."""
    named = data_paths(index, container)
    image = known_image(container.image) if _serves(container) and not _names_hosts(container) else None
    if named:
        places: dict[object, DataPlace] = {}
        for data in named:
            mount = container.mount_at(data.path)
            is_hidden = image is not None and covers(image.mount, data.path) and _hides(image, mount)
            place = _place(container, data, image if is_hidden else None)
            places.setdefault(place.mount or data.path, place)  # folders of one mount share its fate
        yield from places.values()
    elif image is not None and not _points_elsewhere(container):
        missing = _missing(index, container)
        paths = (DataPath(path, f"image {container.image}", "image") for path in image.paths)
        ones = [replace(_place(container, data, image), missing=missing) for data in paths]
        yield next((place for place in ones if place.state is not State.NOTHING), ones[-1])


def _place(container: Container, data: DataPath, image: KnownImage | None) -> DataPlace:
    mount = container.mount_at(data.path)
    if image is not None and _hides(image, mount):
        mount = None
    below_it = (one for one in container.mounts if below(one.path, data.path))
    has_parts = (image is None or image.has_parts) and any(
        one.volume is not None and one.volume.kind not in PASSING for one in below_it
    )
    state = State.KEPT
    if not has_parts and mount is None:
        state = State.NOTHING
    elif not has_parts and mount and mount.volume and mount.volume.kind in PASSING:
        state = State.PASSING
    return DataPlace(container, data, image, state, mount)


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


def _points_elsewhere(container: Container) -> bool:
    """Whether a variable or argument names a path on a mount, so that the image's own path may not be in use."""
    named = [*container.env.values(), *(piece for word in container.words for piece in re.split(r"[=\s]", word))]
    paths = [value for value in named if value.startswith("/")]
    return any(covers(mount.path, path) for mount in container.claim_mounts for path in paths)


def _missing(index: ObjectIndex, container: Container) -> str:
    for source in mappings(container.body, "envFrom"):
        name = text(source, "configMapRef", "name")
        if name and not index.named("ConfigMap", container.workload.namespace, name):
            return name
    return ""


def _hides(image: KnownImage, mount: Mount | None) -> bool:
    """Whether the runtime mounts an anonymous folder over what is mounted: the image's VOLUME below it."""
    return mount is not None and image.is_volume and below(image.mount, mount.path)
