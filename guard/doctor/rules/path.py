"""VG104 and VG105: the application's own idea of where its data lies, against its mounts. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.data_paths import PathSetting, path_settings
from guard.doctor.objects.guard_containers import applications
from guard.doctor.objects.workload import Workload, covers
from guard.doctor.rules.data_places import State, data_places

ENVIRONMENT_PATH = Rule(
    "VG104", "environment-path-not-covered", Severity.ERROR,
    "A variable, an argument or a ConfigMap makes the application keep its data where no volume is mounted.",
    "The application follows its setting, not the mount: the volume stays empty and the data is lost with the container. "
    'The most frequent cause of volumes that "reset".',
    "Make the setting and the mountPath equal: change one of the two. Save the running pod's data first (kubectl cp): the change "
    "starts a new pod.",
    "https://kubernetes.io/docs/tasks/configure-pod-container/configure-persistent-volume-storage/",
)  # fmt: skip
DATA_PATH = Rule(
    "VG105", "data-path-outside-mounts", Severity.WARNING,
    "A container mounts a claim, but a variable names another path for data, which no volume covers.",
    "If the application writes there what should last, it is lost with the container.",
    "Mount the claim at that path, or point the variable below the mount. Only scratch: ignore it by annotation.",
    "https://kubernetes.io/docs/tasks/configure-pod-container/configure-persistent-volume-storage/",
)  # fmt: skip


def _environment_path(index: ObjectIndex) -> Iterator[Verdict]:
    yield from _configured(index)
    known = _configured_paths(index)
    for workload, setting in _uncovered(index):
        if (id(workload), setting.container.name, setting.path) in known:
            continue
        path = index.path_of(workload)
        if workload in index.guarded and covers(path, setting.path):
            if not any(app.mount_at(path) for app in applications(workload)):
                continue  # volume-not-mounted or mount-path-mismatch reports it
            message = f"{setting}, where this container mounts nothing"
        elif setting.is_about_claim(workload):
            mount = workload.pod.claim_mounts(setting.container)[0]
            message = f"{setting} is covered by no mount; the volume is mounted at {mount.path}"
        else:
            continue
        yield Finding(message, workload.object.place(*setting.at), workload.object)


def _configured(index: ObjectIndex) -> Iterator[Verdict]:
    """Settings that mean the data and nothing else, such as PGDATA and --storage.tsdb.path."""
    for place in data_places(index):
        workload, data = place.workload, place.data
        if place.image is not None or place.state is not State.NOTHING or not place.claim_mounts:
            continue
        if workload in index.guarded and covers(index.path_of(workload), data.path):
            continue  # volume-not-mounted or mount-path-mismatch reports it
        mount = place.claim_mounts[0]
        message = f"{data.source} in container {place.container.name} is covered by no mount; the claim is mounted at {mount.path}"
        fix = f"{place.save} Then make the two equal: mountPath: {data.path}, or the setting below {mount.path}."
        yield Finding(message, place.at((*place.container.at, data.field)), workload.object, fix=fix)


def _configured_paths(index: ObjectIndex) -> set[tuple[int, str, str]]:
    return {
        (id(place.workload), place.container.name, place.data.path)
        for place in data_places(index)
        if place.image is None
    }


def _data_path(index: ObjectIndex) -> Iterator[Verdict]:
    known = _configured_paths(index)
    for workload, setting in _uncovered(index):
        if (id(workload), setting.container.name, setting.path) in known:
            continue
        mounts = workload.pod.claim_mounts(setting.container)
        guarded = workload in index.guarded and covers(index.path_of(workload), setting.path)
        if mounts and not guarded and setting.is_for_data and not setting.is_about_claim(workload):
            message = f"{setting} is covered by no mount; its claim is mounted at {mounts[0].path}"
            yield Finding(message, workload.object.place(*setting.at), workload.object)


def _uncovered(index: ObjectIndex) -> Iterator[tuple[Workload, PathSetting]]:
    """Yields paths of no mount, in every workload's application containers."""
    for workload in index.workloads:
        for setting in path_settings(workload):
            mounts = setting.container.mounts
            if setting.container.mount_at(setting.path) is None and not any(
                covers(setting.path, mount.path) for mount in mounts
            ):
                yield workload, setting


CHECKS = (
    (ENVIRONMENT_PATH, _environment_path),
    (DATA_PATH, _data_path),
)
