"""VG110, VG111, VG113 and VG114: what hides a mount, splits it or empties it. Pure."""

import re
from collections.abc import Iterator

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.guard_containers import applications
from guard.doctor.objects.workload import Container, Mount, Workload, below, covers
from guard.doctor.rules.shell import emptied
from guard.doctor.source.tree import text, texts

_VOLUMES = "https://kubernetes.io/docs/concepts/storage/volumes/"

SAME_PATH = Rule(
    "VG110", "two-mounts-at-one-path", Severity.ERROR,
    "Two volumes are mounted at one path of one container.",
    "The API server refuses equal mountPaths; written differently (a slash at the end) both pass, and one hides the other.",
    "Keep one volumeMount for each path.",
    "https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#volumes-1",
)  # fmt: skip
MOUNTED_OVER = Rule(
    "VG111", "mounted-over", Severity.WARNING,
    "Another volume is mounted below the guarded path.",
    "It hides what the volume has at that place, and what is written there goes to the other volume: into an emptyDir "
    "it is lost with the pod.",
    "Mount the other volume outside the guarded path, or let the application use a subfolder of the claim.",
    _VOLUMES + "#using-subpath",
)  # fmt: skip
SUB_PATH_PER_POD = Rule(
    "VG113", "subpath-per-pod", Severity.ERROR,
    "The subfolder of the volume at the guarded path is named after the pod.",
    "subPathExpr with the pod's name or uid gives each new pod a new, empty folder; the old data stays beside it, unseen.",
    "Use a fixed subPath, or a StatefulSet, whose pods keep their names.",
    _VOLUMES + "#using-subpath-expanded-environment",
)  # fmt: skip
DELETES_AT_START = Rule(
    "VG114", "start-deletes-data", Severity.ERROR,
    "A container deletes everything in the volume whenever it starts.",
    "It runs at every restart and every new pod: the volume is reset by its own pod.",
    "Remove the command, or seed only what is missing (test for a file of yours first).",
    "https://kubernetes.io/docs/concepts/workloads/pods/init-containers/",
)  # fmt: skip

_PER_POD = re.compile(r"\$\(([A-Za-z0-9_]+)\)")


def _same_path(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.workloads:
        for container in workload.pod.all_containers:
            seen: dict[str, Mount] = {}
            for mount in container.mounts:
                first = seen.setdefault(mount.path, mount)
                if first is not mount:
                    message = f"container {container.name} mounts {first.volume} and {mount.volume} at {mount.path}"
                    yield Finding(
                        message,
                        workload.object.place(*mount.at),
                        workload.object,
                        also=(workload.object.place(*first.at),),
                    )


def _mounted_over(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.guarded:
        path = index.path_of(workload)
        for container in applications(workload):
            held = container.mount_at(path)
            for mount in container.mounts:
                volume = workload.pod.volumes.get(mount.volume)
                if not held or volume is None or volume.is_given or volume.outlasts_pod or mount.volume == held.volume:
                    continue  # a volume of its own below the path is meant, and kept
                if below(mount.path, path):
                    kind = volume.kind or "emptyDir"
                    message = f"{mount.path} in container {container.name} is volume {mount.volume} ({kind}), mounted over a part of {held.volume}"
                    yield Finding(message, workload.object.place(*mount.at), workload.object)


def _sub_path_per_pod(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.guarded:
        path = index.path_of(workload)
        if workload.object.kind == "StatefulSet":
            continue
        for container in applications(workload):
            for mount in (one for one in workload.pod.claim_mounts(container) if covers(one.path, path)):
                names = _PER_POD.findall(mount.sub_path_expr)
                if any(_is_per_pod(workload, container, name) for name in names):
                    message = f"{mount.path} in container {container.name} is the folder {mount.sub_path_expr} of claim {workload.pod.volumes[mount.volume].claim}: a new one for each pod"
                    yield Finding(message, workload.object.place(*mount.at, "subPathExpr"), workload.object)


def _is_per_pod(workload: Workload, container: Container, name: str) -> bool:
    env = workload.object.get(*container.at, "env")
    for entry in env if isinstance(env, list) else ():
        if text(entry, "name") == name:
            return text(entry, "valueFrom", "fieldRef", "fieldPath") in {
                "metadata.name",
                "metadata.uid",
                "status.podIP",
            }
    return False


def _deletes_at_start(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.workloads:
        if workload.runs_to_end:
            continue
        for container in workload.pod.all_containers:
            lost = _emptied(workload, container)
            for mount in workload.pod.claim_mounts(container):
                if any(covers(path, mount.path) for path in lost) and _holds_data(index, workload, mount):
                    message = f"container {container.name} deletes all of {mount.path} (claim {workload.pod.volumes[mount.volume].claim or mount.volume}) when it starts"
                    yield Finding(message, workload.object.place(*container.at, "command"), workload.object)


def _holds_data(index: ObjectIndex, workload: Workload, mount: Mount) -> bool:
    """Whether a mount is of a whole volume, or of the subfolder in which the application keeps its data."""
    kept = (container.mount_at(index.path_of(workload)) for container in applications(workload))
    folders = {(one.volume, one.sub_path, one.sub_path_expr) for one in kept if one is not None}
    return not (mount.sub_path or mount.sub_path_expr) or (mount.volume, mount.sub_path, mount.sub_path_expr) in folders


def _emptied(workload: Workload, container: Container) -> set[str]:
    folder = workload.object.text(*container.at, "workingDir")
    return {
        path
        for words in (container.words, _post_start(workload, container))
        for path in emptied(" ".join(words), folder, container.env)
    }


def _post_start(workload: Workload, container: Container) -> tuple[str, ...]:
    return texts(workload.object.body, *container.at, "lifecycle", "postStart", "exec", "command")


CHECKS = (
    (SAME_PATH, _same_path),
    (MOUNTED_OVER, _mounted_over),
    (SUB_PATH_PER_POD, _sub_path_per_pod),
    (DELETES_AT_START, _deletes_at_start),
)
