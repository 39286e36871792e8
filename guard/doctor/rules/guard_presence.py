"""VG501 to VG508: is there a guard, is it the first, does it look at the right volume. Pure."""

import re
from collections.abc import Iterator, Mapping

from guard.doctor.finding import Severity, Unknown, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.lookup import grouped
from guard.doctor.objects.guard_containers import (
    Part,
    applications,
    enforces,
    gates_pod,
    guarded_path,
    has_volume_name,
    injected_path,
    knows_the_guard,
    mounts_at,
    part,
    volume_name,
    wraps_application,
)
from guard.doctor.objects.guard_mounts import folder_of, looks_at_nothing, looks_elsewhere
from guard.doctor.objects.k8s_object import K8sObject, same_namespace
from guard.doctor.objects.workload import Container, Workload, below

_INIT = "https://kubernetes.io/docs/concepts/workloads/pods/init-containers/"
_SIDECAR = "https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/"


#: Programs and files that tell a mount or content from a folder that is merely there.
_LOOKS_FURTHER = re.compile(r"\b(?:mountpoint|findmnt|cmp|sha256sum)\b|/proc/(?:self/|1/)?mount|\bls\s+-[a-zA-Z]*A")
_TESTS = re.compile(r"(?:\[{1,2}|\btest)\s+(?:!\s+)?-([a-zA-Z])\s+[\"']?(/[^\s\"'\];]*)")
#: The label by which the policies' bindings find their parameters (k8s/policy/parameters.yaml).
PARAMETERS = "volume-guard/parameters"


@rule("VG501", Severity.WARNING, _INIT)
def guard_missing(index: ObjectIndex) -> Iterator[Verdict]:
    """No gate stands before the application.

    Kubernetes starts a pod on an empty folder, another volume or a wiped one without a word; the application then
    makes itself at home there.

    Fix: Add `guard check` as the first init container, with the application's mount and GUARD_VOLUME.
    """
    for workload in index.guarded:
        # A volume comes first; a policy puts the guard into the pods, not into their template.
        is_mounted = mounts_at(workload, index.path_of(workload))
        if _gates(workload) or injected_path(workload) or not index.is_sure(workload) or not is_mounted:
            continue
        pods = index.pods_of(workload)
        if pods and all(map(_gates, pods)):
            continue
        app = next(filter(knows_the_guard, applications(workload)), None)
        if app is not None:
            yield Unknown(
                f"container {app.name} of {workload} sets GUARD_VOLUME; whether its image starts with the guard is open",
                f"kubectl logs {workload.kubectl_name} -c {app.name}",
            )
        elif not pods and asks_for_injection(index, workload):
            yield Unknown(
                f"the policies' parameters have the guard injected into the pods of {workload}, and none of them was given",
                f"kubectl get pod -n {workload.kubectl_namespace} -o yaml",
            )
        else:
            yield finding("no init container runs `guard check`", workload, *workload.pod_at)


@rule("VG502", Severity.WARNING, _INIT)
def guard_not_first(index: ObjectIndex) -> Iterator[Verdict]:
    """Another init container runs before the gate.

    It may write into, or seed, a volume that the gate would have refused.

    Fix: Order: gate, watcher, then the application's own init containers. A kustomize patch puts its own in front.
    """
    for workload in index.guarded:
        for number, container in enumerate(workload.inits):
            before = ", ".join(other.name for other in workload.inits[:number] if part(other) is None)
            if before and part(container) is Part.GATE:
                yield finding(f"{before} runs before gate {container.name}", container)


@rule("VG503", Severity.ERROR, _INIT)
def guard_elsewhere(index: ObjectIndex) -> Iterator[Verdict]:
    """The guard looks at another volume or path than the application uses.

    It passes on a healthy volume that is not the application's, or blocks every start.

    Fix: Mount the application's volume in the guard's container, with the application's subPath or without one, and
    set GUARD_PATH to that mountPath.
    """
    for workload in index.guarded:
        path = index.path_of(workload)
        for container in (*_gates(workload), *_watchers(workload)):
            wraps = wraps_application(container)
            if wraps and guarded_path(container) == path:
                continue  # volume-not-mounted and mount-path-mismatch report it
            problem = looks_at_nothing(container) if wraps else looks_elsewhere(workload, container, path)
            if problem:
                yield finding(problem, container)


@rule(
    "VG504",
    Severity.ERROR,
    "https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/",
)
def guard_volume_name(index: ObjectIndex) -> Iterator[Verdict]:
    """The guard's containers do not agree on the volume's name, or have none.

    The marker on the volume carries one name: with another, or without GUARD_VOLUME, the gate blocks every start.

    Fix: Use the name that `guard adopt` wrote, in every container of the guard that looks at this claim.
    """
    names: dict[tuple[str, str, str], tuple[str, Workload]] = {}
    for workload in index.workloads:
        containers = [container for container in workload.all_containers if part(container)]
        for container in containers:
            if not has_volume_name(container) and part(container) is not Part.COMMAND:
                yield finding(f"container {container.name} has no GUARD_VOLUME: it ends with status 2", container)
        named = ((folder_of(container), container) for container in containers if volume_name(container))
        for folder, here in grouped((folder, one) for folder, one in named if folder).items():
            name = volume_name(here[0])
            first, other = names.setdefault((workload.namespace, *folder), (name, workload))
            if len({volume_name(container) for container in here}) > 1:
                listed = ", ".join(f"{container.name}: {volume_name(container)}" for container in here)
                message = f"the guard's containers expect different volumes ({listed})"
                yield finding(message, workload, *workload.pod_at)
            elif folder[0].startswith("claim ") and first != name:
                there = f'in {other} ({other.side.value}) it expects "{first}"'
                message = f'the guard expects volume "{name}" on {folder[0]}, {there}'
                yield finding(message, here[0], also=(other.place(),))


@rule("VG505", Severity.INFO, _INIT)
def guard_only_observes(index: ObjectIndex) -> Iterator[Verdict]:
    """The gate reports, but lets every pod start (GUARD_ENFORCE=false).

    Right for the first week; after that a refused volume is only a line in a log.

    Fix: Remove GUARD_ENFORCE once the reports are quiet.
    """
    for gate in (gate for workload in index.guarded for gate in _gates(workload)):
        if not enforces(gate):
            yield finding(f"gate {gate.name} has GUARD_ENFORCE=false", gate, "env")


@rule("VG506", Severity.ERROR, _SIDECAR)
def gate_as_sidecar(index: ObjectIndex) -> Iterator[Verdict]:
    """The gate does not hold the pod back: it is a sidecar, or an ordinary container.

    Only an init container that ends gates what comes after it. With restartPolicy Always it is started again and
    again beside the application.

    Fix: Put it into initContainers, without restartPolicy.
    """
    for gate in (gate for workload in index.workloads if not workload.runs_to_end for gate in _gates(workload)):
        if not gates_pod(gate):
            sidecar = "is an init container with restartPolicy Always"
            what = sidecar if gate.is_sidecar else "stands among the ordinary containers"
            yield finding(f"gate {gate.name} {what}", gate)


@rule("VG507", Severity.ERROR, _SIDECAR)
def watcher_as_init_container(index: ObjectIndex) -> Iterator[Verdict]:
    """The watcher is an init container without restartPolicy: Always.

    It never ends, so the application never starts.

    Fix: restartPolicy: Always in the init container makes it a native sidecar (Kubernetes 1.29 and later; stable
    since 1.33).
    """
    for watcher in (watcher for workload in index.workloads for watcher in _watchers(workload)):
        if watcher.is_init and not watcher.is_sidecar:
            yield finding(f"watcher {watcher.name} has no restartPolicy: Always", watcher)


@rule("VG508", Severity.WARNING, _INIT)
def check_proves_nothing(index: ObjectIndex) -> Iterator[Verdict]:
    """An init container tests whether the folder is there, which is always so.

    The kubelet and the runtime create the mount path: `[ -d PATH ]` passes with no volume, an emptyDir, the wrong
    volume and a wiped one.

    Fix: Replace it by `guard check`, which looks at the mount, the marker and the content.
    """
    for workload in index.workloads:
        paths = {index.path_of(workload), *(mount.path for app in applications(workload) for mount in app.mounts)}
        for container in () if _gates(workload) else workload.inits:
            script = " ".join(container.words)
            tests = [(option, path.rstrip("/")) for option, path in _TESTS.findall(script)]
            for path in sorted({path for option, path in tests if option in "derwxs"} & paths):
                if not _LOOKS_FURTHER.search(script) and not any(below(other, path) for _, other in tests):
                    yield finding(f"init container {container.name} tests only that {path} exists", container)


def _gates(workload: Workload) -> list[Container]:
    return [container for container in workload.all_containers if part(container) is Part.GATE]


def _watchers(workload: Workload) -> list[Container]:
    return [container for container in workload.all_containers if part(container) is Part.WATCHER]


def asks_for_injection(index: ObjectIndex, workload: Workload) -> bool:
    """Whether parameters of the policies that were given have the guard injected into this workload's pods."""
    return any(
        same_namespace(obj.namespace, workload.namespace) and _selects(obj, workload.pod_labels)
        for obj in index.of("ConfigMap")
        if obj.labels.get(PARAMETERS) == "true" and obj.text("data", "inject") == "true"
    )


def _selects(parameters: K8sObject, labels: Mapping[str, object]) -> bool:
    """Whether `application` (LABEL=VALUE, several with commas) holds of these labels."""
    pairs = [pair.partition("=") for pair in parameters.text("data", "application").split(",")]
    return all(key and labels.get(key) == value for key, _, value in pairs)
