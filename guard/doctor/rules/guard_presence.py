"""VG501 to VG508: is there a guard, is it the first, does it look at the right volume. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterator

from guard.doctor.finding import Finding, Rule, Severity, Unknown, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.guard_containers import (
    Part,
    applications,
    enforces,
    guarded_path,
    has_volume_name,
    knows_the_guard,
    part,
    volume_name,
    wraps_application,
)
from guard.doctor.objects.guard_mounts import folder_of, looks_at_nothing, looks_elsewhere
from guard.doctor.objects.workload import Container, Workload, below
from guard.doctor.rules.parameters import asks_for_injection

_INIT = "https://kubernetes.io/docs/concepts/workloads/pods/init-containers/"
_SIDECAR = "https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/"

MISSING = Rule(
    "VG501", "guard-missing", Severity.WARNING,
    "No gate stands before the application.",
    "Kubernetes starts a pod on an empty folder, another volume or a wiped one without a word; the application then makes "
    "itself at home there.",
    "Add `guard check` as the first init container, with the application's mount and GUARD_VOLUME.",
    _INIT,
)  # fmt: skip
NOT_FIRST = Rule(
    "VG502", "guard-not-first", Severity.WARNING,
    "Another init container runs before the gate.",
    "It may write into, or seed, a volume that the gate would have refused.",
    "Order: gate, watcher, then the application's own init containers. A kustomize patch puts its own in front.",
    _INIT,
)  # fmt: skip
ELSEWHERE = Rule(
    "VG503", "guard-elsewhere", Severity.ERROR,
    "The guard looks at another volume or path than the application uses.",
    "It passes on a healthy volume that is not the application's, or blocks every start.",
    "Mount the application's volume in the guard's container, with the application's subPath or without one, and set "
    "GUARD_PATH to that mountPath.",
    _INIT,
)  # fmt: skip
NAME = Rule(
    "VG504", "guard-volume-name", Severity.ERROR,
    "The guard's containers do not agree on the volume's name, or have none.",
    "The marker on the volume carries one name: with another, or without GUARD_VOLUME, the gate blocks every start.",
    "Use the name that `guard adopt` wrote, in every container of the guard that looks at this claim.",
    "https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/",
)  # fmt: skip
OBSERVES = Rule(
    "VG505", "guard-only-observes", Severity.INFO,
    "The gate reports, but lets every pod start (GUARD_ENFORCE=false).",
    "Right for the first week; after that a refused volume is only a line in a log.",
    "Remove GUARD_ENFORCE once the reports are quiet.",
    _INIT,
)  # fmt: skip
GATE_RUNS_ON = Rule(
    "VG506", "gate-as-sidecar", Severity.ERROR,
    "The gate does not hold the pod back: it is a sidecar, or an ordinary container.",
    "Only an init container that ends gates what comes after it. With restartPolicy Always it is started again and again "
    "beside the application.",
    "Put it into initContainers, without restartPolicy.",
    _SIDECAR,
)  # fmt: skip
WATCHER_BLOCKS = Rule(
    "VG507", "watcher-as-init-container", Severity.ERROR,
    "The watcher is an init container without restartPolicy: Always.",
    "It never ends, so the application never starts.",
    "restartPolicy: Always in the init container makes it a native sidecar (Kubernetes 1.29 and later; stable since 1.33).",
    _SIDECAR,
)  # fmt: skip
PROVES_NOTHING = Rule(
    "VG508", "check-proves-nothing", Severity.WARNING,
    "An init container tests whether the folder is there, which is always so.",
    "The kubelet and the runtime create the mount path: `[ -d PATH ]` passes with no volume, an emptyDir, the wrong volume "
    "and a wiped one.",
    "Replace it by `guard check`, which looks at the mount, the marker and the content.",
    _INIT,
)  # fmt: skip

#: Programs and files that tell a mount or content from a folder that is merely there.
_LOOKS_FURTHER = re.compile(r"\b(?:mountpoint|findmnt|cmp|sha256sum)\b|/proc/(?:self/|1/)?mount|\bls\s+-[a-zA-Z]*A")
_TESTS = re.compile(r"(?:\[{1,2}|\btest)\s+(?:!\s+)?-([a-zA-Z])\s+[\"']?(/[^\s\"'\];]*)")


def _guard_containers(workload: Workload, wanted: Part) -> list[Container]:
    return [container for container in workload.pod.all_containers if part(container) is wanted]


def _is_init(workload: Workload, container: Container) -> bool:
    return container in workload.pod.inits


def _missing(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.guarded:
        if _guard_containers(workload, Part.GATE) or not index.is_sure(workload):
            continue
        path = index.path_of(workload)
        if not any(workload.pod.volume_at(app, path) for app in applications(workload)):
            continue  # a volume comes first
        pods = index.pods_of(workload)
        if pods and all(_guard_containers(pod, Part.GATE) for pod in pods):
            continue  # an admission policy puts it into the pods, not into their template
        told = next(filter(knows_the_guard, applications(workload)), None)
        if told is not None:
            yield Unknown(
                f"container {told.name} of {workload.object} sets GUARD_VOLUME; whether its image starts with the guard is open",
                f"kubectl logs {workload.object.kind.lower()}/{workload.object.name} -n {workload.object.namespace or 'NAMESPACE'} -c {told.name}",
            )
            continue
        if asks_for_injection(index, workload) and not pods:
            yield Unknown(
                f"the policies' parameters have the guard injected into the pods of {workload.object}, and none of them was given",
                f"kubectl get pod -n {workload.object.namespace or 'NAMESPACE'} -o yaml",
            )
        else:
            yield Finding(
                "no init container runs `guard check`", workload.object.place(*workload.pod.at), workload.object
            )


def _not_first(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.guarded:
        for number, container in enumerate(workload.pod.inits):
            if part(container) is not Part.GATE:
                continue
            before = [other.name for other in workload.pod.inits[:number] if part(other) is None]
            if before:
                yield Finding(
                    f"{', '.join(before)} runs before gate {container.name}",
                    workload.object.place(*container.at),
                    workload.object,
                )


def _elsewhere(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.guarded:
        path = index.path_of(workload)
        for container in (*_guard_containers(workload, Part.GATE), *_guard_containers(workload, Part.WATCHER)):
            wraps = wraps_application(container)
            if wraps and guarded_path(container) == path:
                continue  # volume-not-mounted and mount-path-mismatch say it
            problem = looks_at_nothing(container) if wraps else looks_elsewhere(workload, container, path)
            if problem:
                yield Finding(problem, workload.object.place(*container.at), workload.object)


def _name(index: ObjectIndex) -> Iterator[Verdict]:
    names: dict[tuple[str, tuple[str, str]], tuple[str, Workload]] = {}
    for workload in index.workloads:
        containers = [container for container in workload.pod.all_containers if part(container)]
        for container in containers:
            if not has_volume_name(container) and part(container) is not Part.COMMAND:
                yield Finding(
                    f"container {container.name} has no GUARD_VOLUME: it ends with status 2",
                    workload.object.place(*container.at),
                    workload.object,
                )
        folders: dict[tuple[str, str], list[Container]] = defaultdict(list)
        for container in containers:
            folder = folder_of(workload, container)
            if folder and volume_name(container):
                folders[folder].append(container)
        for folder, here in folders.items():
            if len({volume_name(container) for container in here}) > 1:
                listed = ", ".join(f"{container.name}: {volume_name(container)}" for container in here)
                yield Finding(
                    f"the guard's containers expect different volumes ({listed})",
                    workload.object.place(*workload.pod.at),
                    workload.object,
                )
            elif folder[0].startswith("claim "):
                yield from _against_others(names, workload, folder, here[0])


def _against_others(
    names: dict[tuple[str, tuple[str, str]], tuple[str, Workload]],
    workload: Workload,
    folder: tuple[str, str],
    container: Container,
) -> Iterator[Verdict]:
    name = volume_name(container)
    first, other = names.setdefault((workload.object.namespace, folder), (name, workload))
    if first != name:
        message = f'the guard expects volume "{name}" on {folder[0]}, in {other.object} ({other.object.side.value}) it expects "{first}"'
        yield Finding(message, workload.object.place(*container.at), workload.object, also=(other.object.place(),))


def _observes(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.guarded:
        for container in _guard_containers(workload, Part.GATE):
            if not enforces(container):
                yield Finding(
                    f"gate {container.name} has GUARD_ENFORCE=false",
                    workload.object.place(*container.at, "env"),
                    workload.object,
                )


def _gate_runs_on(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.workloads:
        if workload.runs_to_end:
            continue
        for container in _guard_containers(workload, Part.GATE):
            if wraps_application(container) or (_is_init(workload, container) and not container.sidecar):
                continue
            what = (
                "is an init container with restartPolicy Always"
                if container.sidecar
                else "stands among the ordinary containers"
            )
            yield Finding(f"gate {container.name} {what}", workload.object.place(*container.at), workload.object)


def _watcher_blocks(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.workloads:
        for container in _guard_containers(workload, Part.WATCHER):
            if _is_init(workload, container) and not container.sidecar:
                yield Finding(
                    f"watcher {container.name} has no restartPolicy: Always",
                    workload.object.place(*container.at),
                    workload.object,
                )


def _proves_nothing(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.workloads:
        if _guard_containers(workload, Part.GATE):
            continue
        paths = {index.path_of(workload), *(mount.path for app in applications(workload) for mount in app.mounts)}
        for container in workload.pod.inits:
            script = " ".join(container.words)
            tests = [(option, path.rstrip("/")) for option, path in _TESTS.findall(script)]
            for path in sorted({path for option, path in tests if option in "derwxs"} & paths):
                if _LOOKS_FURTHER.search(script) or any(below(other, path) for _, other in tests):
                    continue
                yield Finding(
                    f"init container {container.name} tests only that {path} exists",
                    workload.object.place(*container.at),
                    workload.object,
                )


CHECKS = (
    (MISSING, _missing),
    (NOT_FIRST, _not_first),
    (ELSEWHERE, _elsewhere),
    (NAME, _name),
    (OBSERVES, _observes),
    (GATE_RUNS_ON, _gate_runs_on),
    (WATCHER_BLOCKS, _watcher_blocks),
    (PROVES_NOTHING, _proves_nothing),
)
