"""VG104 and VG105: the application's own idea of where its data lies, against its mounts. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.data_paths import PathSetting, path_settings
from guard.doctor.objects.guard_containers import applications
from guard.doctor.objects.workload import Workload, covers

ENVIRONMENT_PATH = Rule(
    "VG104", "environment-path-not-covered", Severity.ERROR,
    "A variable tells the application to keep its data where no volume is mounted.",
    "The application follows its variable, not the mount: the volume stays empty and the data dies with the container. "
    'The most frequent cause of volumes that "reset".',
    "Make the variable and the mountPath equal: change one of the two.",
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
    for workload, setting in _uncovered(index):
        path = index.path_of(workload)
        if workload in index.guarded and covers(path, setting.path):
            if not any(app.mount_at(path) for app in applications(workload)):
                continue  # volume-not-mounted or mount-path-mismatch says it
            message = f"{setting}, where this container mounts nothing"
        elif setting.is_about_claim(workload):
            mount = workload.pod.claim_mounts(setting.container)[0]
            message = f"{setting} is covered by no mount; the volume is mounted at {mount.path}"
        else:
            continue
        yield Finding(message, workload.object.place(*setting.at), workload.object)


def _data_path(index: ObjectIndex) -> Iterator[Verdict]:
    for workload, setting in _uncovered(index):
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
