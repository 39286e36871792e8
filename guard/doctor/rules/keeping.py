"""VG104, VG105, VG112 and VG115 to VG117: where a program keeps its data, against what is mounted there. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

from guard.doctor.finding import Severity, Unknown, Verdict, finding, rule, save_first
from guard.doctor.index import ObjectIndex
from guard.doctor.lookup import data_paths
from guard.doctor.objects.data_paths import DataPath, PathSetting, path_settings
from guard.doctor.objects.images import KnownImage, known_image
from guard.doctor.objects.names import word_set
from guard.doctor.objects.paths import below, covers
from guard.doctor.objects.workload import PASSING, Container, Mount, Volume, Workload
from guard.doctor.source.tree import mappings, text

_STORAGE = "tasks/configure-pod-container/configure-persistent-volume-storage/"


#: Words by which a cache keeps its data.
_ASKED = re.compile(r"--(?:appendonly[= ]yes|save[= ]\"?[1-9])")
#: Variables with which an application keeps its data in another database.
_ELSEWHERE = re.compile(r"(?:GF_DATABASE_(?:TYPE|URL|HOST)|DB_TYPE|DATABASE_URL)$")
#: Programs that start the server of an image whose command was changed; an entrypoint script does too.
_SERVERS = word_set(
    "postgres mysqld mariadbd mongod redis-server valkey-server influxd prometheus grafana-server grafana minio "
    "rabbitmq-server etcd clickhouse-server apache2-foreground gitea forgejo n8n node java ghost"
)
#: Images of databases for which there is a tool that dumps them.
_DUMPED = re.compile(r"postg|pg|mysql|mariadb|mongo|percona|timescale|citus")
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


@rule("VG112", Severity.ERROR, "https://docs.docker.com/reference/dockerfile/#volume")
def image_volume_hides_mount(index: ObjectIndex) -> Iterator[Verdict]:
    """The image keeps its data where the claim is not mounted.

    Why: The claim stays empty, and the data is lost with the container. Where the folder is a VOLUME of the image,
    container runtimes put an anonymous folder there unless a volume is mounted exactly there: a claim mounted above it
    is hidden. postgres keeps its data elsewhere from version 18 on.
    Fix: Mount the claim at the path where the program keeps its data, or point the program to the mount by its own
    setting (PGDATA).
    """
    for place in data_places(index):
        image, container, mounts = place.image, place.container, place.container.claim_mounts
        if place.state is not State.NOTHING or image is None or not mounts or _keeps_elsewhere(place):
            continue
        above = container.mount_at(place.data.path)
        if above is not None and above not in mounts:
            continue  # the data is on another volume
        if place.missing:
            yield Unknown(
                f"ConfigMap {place.missing} of {place.workload}, which can move the data of {container.image}, was not given",
                f"kubectl get configmap {place.missing} -n {place.workload.kubectl_namespace} -o yaml",
            )
            continue
        mount = above or mounts[0]
        named = f"image {container.image}{' (no version tag: the newest version)' if image.is_newest else ''}"
        message = (
            f"the VOLUME {image.mount} of {named} hides the claim mounted above it at {mount.path}"
            if above
            else f"{named} keeps its data in {' or '.join(image.paths)}; the claim is mounted at {mount.path}, which "
            "stays empty"
        )
        fix = f"{place.save} Then mountPath: {image.mount}"
        yield finding(message, mount, fix=fix, is_guess=image.is_newest or not keeps(place))


@rule("VG115", Severity.ERROR, "concepts/storage/volumes/#emptydir")
def data_path_on_passing_volume(index: ObjectIndex) -> Iterator[Verdict]:
    """The container mounts a claim, but keeps its data on a volume that is lost with the pod.

    Why: The path of the data is an emptyDir or another volume that is made for each pod; the claim beside it stays
    empty.
    Fix: Mount the claim at the data path in place of the other volume. Copy the data out of the running pod first: the
    change starts a new pod.
    """
    for place in data_places(index):
        volume, path, claims = place.volume, place.data.path, place.container.claim_mounts
        if place.state is not State.PASSING or volume is None or not claims:
            continue
        message = (
            f"{path} in container {place.container.name} ({place.data.source}) is volume {volume.name} ({volume.kind}), "
            f"new and empty for each pod; claim {claims[0].claim_name} is mounted at {claims[0].path}"
        )
        fix = f"{place.save} Then mount volume {claims[0].volume_name} at {path} in place of {volume.name}."
        yield finding(message, volume, fix=fix)


@rule("VG116", Severity.WARNING, _STORAGE)
def data_not_kept(index: ObjectIndex) -> Iterator[Verdict]:
    """A program that keeps data has no volume that lasts.

    Why: A database, or an application with data of its own, writes into the container's layer or an emptyDir: a new
    pod, an update or a node drain starts it empty.
    Fix: Create a claim and mount it at the data path. Copy the data out of the running pod first: the change starts a
    new pod. Where the data may be lost (a test, a cache), ignore this by annotation.
    """
    for place in data_places(index):
        if place.state is State.KEPT or place.container.claim_mounts or not keeps(place):
            continue
        volume = place.volume
        where = f"on volume {volume.name} ({volume.kind})" if volume else "on no volume"
        unused = index.unused_like(place.workload.namespace, place.workload.name)
        claim = unused[0] if len(unused) == 1 else "CLAIM"
        hint = f". Claim {claim} is used by nothing" if len(unused) == 1 else ""
        path = place.mount.path if place.mount else place.image.mount if place.image else place.data.path
        yield finding(
            f"{place}, {where}{hint}",
            volume or place.container,
            fix=f"{place.save} Then mount a claim there: persistentVolumeClaim: {{claimName: {claim}}}, mountPath: {path}",
        )


def keeps(place: DataPlace) -> bool:
    """Whether a program keeps data without doubt: a setting names the place, or its image always does."""
    if place.image is None or _keeps_elsewhere(place):
        return place.image is None
    return place.image.keeps_always or bool(_ASKED.search(" ".join(place.container.words)))


def _keeps_elsewhere(place: DataPlace) -> bool:
    """Whether a variable points the application to another database."""
    return any(map(_ELSEWHERE.match, place.container.env))


@rule("VG117", Severity.ERROR, _STORAGE)
def read_only_at_data_path(index: ObjectIndex) -> Iterator[Verdict]:
    """The volume is mounted read-only where the program keeps its data.

    Why: The program cannot write: it does not start, or it keeps its data elsewhere, in the container's layer.
    Fix: Remove readOnly from the volumeMount and from the volume.
    """
    for place in data_places(index):
        volume, mount = place.volume, place.mount
        if place.state is not State.KEPT or volume is None or mount is None or not volume.is_persistent:
            continue
        claim = index.claim(place.workload, volume.claim) if volume.claim else None
        if mount.is_read_only or (claim and claim.access_modes == {"ReadOnlyMany"}):
            yield finding(f"{place}, mounted read-only", mount)


@rule("VG104", Severity.ERROR, "tasks/configure-pod-container/configure-persistent-volume-storage/")
def environment_path_not_covered(index: ObjectIndex) -> Iterator[Verdict]:
    """A variable, an argument or a ConfigMap makes the application keep its data where no volume is mounted.

    Why: The application follows its setting, not the mount: the volume stays empty and the data is lost with the
    container. The most frequent cause of volumes that "reset".
    Fix: Make the setting and the mountPath equal: change one of the two. Save the running pod's data first (kubectl
    cp): the change starts a new pod.
    """
    yield from _configured(index)
    for workload, setting in _uncovered(index):
        path = index.path_of(workload)
        if workload in index.guarded and covers(path, setting.path):
            if not any(app.mount_at(path) for app in workload.applications):
                continue  # volume-not-mounted or mount-path-mismatch reports it
            message = f"{setting}, where this container mounts nothing"
        elif setting.is_about_claim:
            mount = setting.container.claim_mounts[0]
            message = f"{setting} is covered by no mount; the volume is mounted at {mount.path}"
        else:
            continue
        yield finding(message, setting.container, "env")


def _configured(index: ObjectIndex) -> Iterator[Verdict]:
    """Yields findings of settings that mean the data and nothing else, such as PGDATA and --storage.tsdb.path."""
    for place in data_places(index):
        workload, data, mounts = place.workload, place.data, place.container.claim_mounts
        if data.is_quoted and mounts:
            what = "the quotes are part of the value, so it is a path below the program's working folder, on no volume"
            fix = f"Copy what is there out of the pod, then remove the quotes: {data.path}"
            yield finding(
                f"{data.source} in container {place.container.name}: {what}", place.container, data.field, fix=fix
            )
            continue
        if place.image is not None or place.state is not State.NOTHING or not mounts:
            continue
        if workload in index.guarded and covers(index.path_of(workload), data.path):
            continue  # volume-not-mounted or mount-path-mismatch reports it
        where = f"the claim is mounted at {mounts[0].path}"
        message = f"{data.source} in container {place.container.name} is covered by no mount; {where}"
        fix = f"{place.save} Then make the two equal: mountPath: {data.path}, or the setting below {mounts[0].path}."
        yield finding(message, place.container, data.field, fix=fix)


@rule("VG105", Severity.WARNING, "tasks/configure-pod-container/configure-persistent-volume-storage/")
def data_path_outside_mounts(index: ObjectIndex) -> Iterator[Verdict]:
    """A container mounts a claim, but a variable names another path for data, which no volume covers.

    Why: If the application writes there what should last, it is lost with the container.
    Fix: Mount the claim at that path, or point the variable below the mount. Only scratch: ignore it by annotation.
    """
    for workload, setting in _uncovered(index):
        mounts = setting.container.claim_mounts
        is_guarded = workload in index.guarded and covers(index.path_of(workload), setting.path)
        if mounts and not is_guarded and setting.is_for_data and not setting.is_about_claim:
            message = f"{setting} is covered by no mount; its claim is mounted at {mounts[0].path}"
            yield finding(message, setting.container, "env")


def _uncovered(index: ObjectIndex) -> Iterator[tuple[Workload, PathSetting]]:
    """Yields paths of no mount in the application's variables, but those whose variable means the data and nothing else."""
    known = {(place.container, place.data.path) for place in data_places(index) if place.image is None}
    for workload in index.workloads:
        for setting in path_settings(workload):
            container, path = setting.container, setting.path
            is_covered = container.mount_at(path) or any(covers(path, mount.path) for mount in container.mounts)
            if not is_covered and (container, path) not in known:
                yield workload, setting


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
