"""VG501 to VG508: is there a guard, is it the first, does it look at the right volume. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterator

from guard.doctor.guards import (
    Part,
    enforces,
    guarded_path,
    has_volume_name,
    knows_the_guard,
    part,
    volume_name,
    wraps_application,
)
from guard.doctor.inventory import Inventory, applications
from guard.doctor.kube import Container, Workload, below
from guard.doctor.rule import Finding, Rule, Severity, Unknown, Verdict
from guard.doctor.rules.parameters import asks_for_injection
from guard.doctor.rules.sight import folder_of, looks_at_nothing, looks_elsewhere

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


def _boxes(found: Workload, wanted: Part) -> list[Container]:
    return [box for box in found.pod.all_containers if part(box) is wanted]


def _is_init(found: Workload, box: Container) -> bool:
    return box in found.pod.inits


def _missing(inventory: Inventory) -> Iterator[Verdict]:
    for found in inventory.guarded:
        if _boxes(found, Part.GATE) or inventory.assumed:
            continue
        pods = inventory.pods_of(found)
        if pods and all(_boxes(pod, Part.GATE) for pod in pods):
            continue  # an admission policy puts it into the pods, not into their template
        told = next(filter(knows_the_guard, applications(found)), None)
        if told is not None:
            yield Unknown(
                f"container {told.name} of {found.kube} sets GUARD_VOLUME; whether its image starts with the guard is open",
                f"kubectl logs {found.kube.kind.lower()}/{found.kube.name} -n {found.kube.namespace or 'NAMESPACE'} -c {told.name}",
            )
            continue
        if asks_for_injection(inventory, found) and not pods:
            yield Unknown(
                f"the policies' parameters have the guard injected into the pods of {found.kube}, and none of them was given",
                f"kubectl get pod -n {found.kube.namespace or 'NAMESPACE'} -o yaml",
            )
        else:
            yield Finding("no init container runs `guard check`", found.kube.place(*found.pod.at), found.kube)


def _not_first(inventory: Inventory) -> Iterator[Verdict]:
    for found in inventory.guarded:
        for index, box in enumerate(found.pod.inits):
            if part(box) is not Part.GATE:
                continue
            before = [other.name for other in found.pod.inits[:index] if part(other) is None]
            if before:
                yield Finding(f"{', '.join(before)} runs before gate {box.name}", found.kube.place(*box.at), found.kube)


def _elsewhere(inventory: Inventory) -> Iterator[Verdict]:
    for found in inventory.guarded:
        path = inventory.path_of(found)
        for box in (*_boxes(found, Part.GATE), *_boxes(found, Part.WATCHER)):
            wraps = wraps_application(box)
            if wraps and guarded_path(box) == path:
                continue  # volume-not-mounted and mount-path-mismatch say it
            problem = looks_at_nothing(box) if wraps else looks_elsewhere(found, box, path)
            if problem:
                yield Finding(problem, found.kube.place(*box.at), found.kube)


def _name(inventory: Inventory) -> Iterator[Verdict]:
    names: dict[tuple[str, tuple[str, str]], tuple[str, Workload]] = {}
    for found in inventory.workloads:
        boxes = [box for box in found.pod.all_containers if part(box)]
        for box in boxes:
            if not has_volume_name(box) and part(box) is not Part.COMMAND:
                yield Finding(
                    f"container {box.name} has no GUARD_VOLUME: it ends with status 2",
                    found.kube.place(*box.at),
                    found.kube,
                )
        folders: dict[tuple[str, str], list[Container]] = defaultdict(list)
        for box in boxes:
            folder = folder_of(found, box)
            if folder and volume_name(box):
                folders[folder].append(box)
        for folder, here in folders.items():
            if len({volume_name(box) for box in here}) > 1:
                listed = ", ".join(f"{box.name}: {volume_name(box)}" for box in here)
                yield Finding(
                    f"the guard's containers expect different volumes ({listed})",
                    found.kube.place(*found.pod.at),
                    found.kube,
                )
            elif folder[0].startswith("claim "):
                yield from _against_others(names, found, folder, here[0])


def _against_others(
    names: dict[tuple[str, tuple[str, str]], tuple[str, Workload]],
    found: Workload,
    folder: tuple[str, str],
    box: Container,
) -> Iterator[Verdict]:
    name = volume_name(box)
    first, other = names.setdefault((found.kube.namespace, folder), (name, found))
    if first != name:
        message = f'the guard expects volume "{name}" on {folder[0]}, in {other.kube} ({other.kube.side.value}) it expects "{first}"'
        yield Finding(message, found.kube.place(*box.at), found.kube, also=(other.kube.place(),))


def _observes(inventory: Inventory) -> Iterator[Verdict]:
    for found in inventory.guarded:
        for box in _boxes(found, Part.GATE):
            if not enforces(box):
                yield Finding(f"gate {box.name} has GUARD_ENFORCE=false", found.kube.place(*box.at, "env"), found.kube)


def _gate_runs_on(inventory: Inventory) -> Iterator[Verdict]:
    for found in inventory.workloads:
        if found.runs_to_end:
            continue
        for box in _boxes(found, Part.GATE):
            if wraps_application(box) or (_is_init(found, box) and not box.sidecar):
                continue
            what = (
                "is an init container with restartPolicy Always"
                if box.sidecar
                else "stands among the ordinary containers"
            )
            yield Finding(f"gate {box.name} {what}", found.kube.place(*box.at), found.kube)


def _watcher_blocks(inventory: Inventory) -> Iterator[Verdict]:
    for found in inventory.workloads:
        for box in _boxes(found, Part.WATCHER):
            if _is_init(found, box) and not box.sidecar:
                yield Finding(f"watcher {box.name} has no restartPolicy: Always", found.kube.place(*box.at), found.kube)


def _proves_nothing(inventory: Inventory) -> Iterator[Verdict]:
    for found in inventory.workloads:
        if _boxes(found, Part.GATE):
            continue
        paths = {inventory.path_of(found), *(mount.path for app in applications(found) for mount in app.mounts)}
        for box in found.pod.inits:
            script = " ".join(box.words)
            tests = [(option, path.rstrip("/")) for option, path in _TESTS.findall(script)]
            for path in sorted({path for option, path in tests if option in "derwxs"} & paths):
                if _LOOKS_FURTHER.search(script) or any(below(other, path) for _, other in tests):
                    continue
                yield Finding(
                    f"init container {box.name} tests only that {path} exists", found.kube.place(*box.at), found.kube
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
