"""VG104 and VG105: the application's own idea of where its data lies, against its mounts. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Severity, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.data_paths import PathSetting, path_settings
from guard.doctor.objects.guard_containers import applications
from guard.doctor.objects.workload import Workload, covers
from guard.doctor.rules.data_places import State, data_places


@rule(
    "VG104",
    Severity.ERROR,
    "https://kubernetes.io/docs/tasks/configure-pod-container/configure-persistent-volume-storage/",
)
def environment_path_not_covered(index: ObjectIndex) -> Iterator[Verdict]:
    """A variable, an argument or a ConfigMap makes the application keep its data where no volume is mounted.

    The application follows its setting, not the mount: the volume stays empty and the data is lost with the
    container. The most frequent cause of volumes that "reset".

    Fix: Make the setting and the mountPath equal: change one of the two. Save the running pod's data first (kubectl
    cp): the change starts a new pod.
    """
    yield from _configured(index)
    for workload, setting in _uncovered(index):
        path = index.path_of(workload)
        if workload in index.guarded and covers(path, setting.path):
            if not any(app.mount_at(path) for app in applications(workload)):
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
        if place.image is not None or place.state is not State.NOTHING or not mounts:
            continue
        if workload in index.guarded and covers(index.path_of(workload), data.path):
            continue  # volume-not-mounted or mount-path-mismatch reports it
        where = f"the claim is mounted at {mounts[0].path}"
        message = f"{data.source} in container {place.container.name} is covered by no mount; {where}"
        fix = f"{place.save} Then make the two equal: mountPath: {data.path}, or the setting below {mounts[0].path}."
        yield finding(message, place.container, data.field, fix=fix)


@rule(
    "VG105",
    Severity.WARNING,
    "https://kubernetes.io/docs/tasks/configure-pod-container/configure-persistent-volume-storage/",
)
def data_path_outside_mounts(index: ObjectIndex) -> Iterator[Verdict]:
    """A container mounts a claim, but a variable names another path for data, which no volume covers.

    If the application writes there what should last, it is lost with the container.

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
