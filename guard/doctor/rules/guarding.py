"""VG501 to VG510: is there a guard, is it the first, does it look at the right volume, can it be dropped. Pure."""

import re
from collections.abc import Iterator

from guard.doctor.guards import Part, enforces, guarded_path, part, volume_name, wraps_application
from guard.doctor.inventory import Inventory, applications
from guard.doctor.kube import Container, Kube, Side, Workload
from guard.doctor.rule import Finding, Rule, Severity, Unknown, Verdict
from guard.doctor.tree import Path, mapping, text, texts

_INIT = "https://kubernetes.io/docs/concepts/workloads/pods/init-containers/"
_SIDECAR = "https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/"
_POLICY = "https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/"

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
    "Give the guard's container the same volumeMount as the application's (or the volume's root), and the same path.",
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
POLICY = Rule(
    "VG509", "policy-absent", Severity.WARNING,
    "No admission policy keeps the guard and the volume in the pod.",
    "Whoever applies another manifest drops the volume and the guard together, and nothing objects.",
    "Apply the guard's ValidatingAdmissionPolicy and its binding.",
    _POLICY,
)  # fmt: skip
POLICY_IDLE = Rule(
    "VG510", "policy-does-not-deny", Severity.WARNING,
    "The guard's admission policy refuses nothing.",
    "A ValidatingAdmissionPolicy without a binding does nothing; a binding without Deny only warns or writes an audit entry.",
    "Add a ValidatingAdmissionPolicyBinding with validationActions: [Deny].",
    _POLICY,
)  # fmt: skip

_TESTS_FOLDER = re.compile(r"(?:\[{1,2}|\btest)\s+(?:!\s+)?-[derwxs]\s+[\"']?(/[^\s\"'\];]*)")
_POLICIES = "ValidatingAdmissionPolicy"
_BINDINGS = "ValidatingAdmissionPolicyBinding"


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
        if _asks_for_injection(found) and not pods:
            yield Unknown(
                f"{found.kube} asks by label for the guard, and none of its pods was given",
                f"kubectl get pod -n {found.kube.namespace or 'NAMESPACE'} -o yaml",
            )
        else:
            yield Finding("no init container runs `guard check`", found.kube.place(*found.pod.at), found.kube)


def _asks_for_injection(found: Workload) -> bool:
    """Whether the pods carry a label of this project, by which a mutating policy may add the guard to them."""
    labels = mapping(found.kube.body, *found.pod.at[:-1], "metadata", "labels")
    return any(label.startswith("volume-guard") for label in labels)


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
        for box in (*_boxes(found, Part.GATE), *_boxes(found, Part.WATCHER)):
            problem = "" if wraps_application(box) else _looks_elsewhere(found, box)
            if problem:
                yield Finding(problem, found.kube.place(*box.at), found.kube)


def _looks_elsewhere(found: Workload, box: Container) -> str:
    path = guarded_path(box)
    if not path:
        return ""  # set by reference: not to be known from here
    own = box.mount_at(path)
    if own is None:
        return f"container {box.name} looks at {path}, where it mounts nothing: it refuses every start"
    apps = applications(found)
    at_path = [(app, mount) for app in apps if (mount := app.mount_at(path))]
    if not at_path:
        paths = ", ".join(mount.path for app in apps for mount in app.mounts if mount.volume == own.volume) or "nowhere"
        return f"container {box.name} looks at {path}, the application mounts volume {own.volume} at {paths}"
    for app, mount in at_path:
        if mount.volume != own.volume:
            return f"container {box.name} looks at volume {own.volume}, container {app.name} uses volume {mount.volume} at {path}"
        if own.sub_path and own.sub_path != mount.sub_path:
            return f"container {box.name} looks at subPath {own.sub_path} of {own.volume}, container {app.name} uses subPath {mount.sub_path or '(its root)'}"
    return ""


def _name(inventory: Inventory) -> Iterator[Verdict]:
    names: dict[tuple[str, str], tuple[str, Workload]] = {}
    for found in inventory.workloads:
        boxes = [box for box in found.pod.all_containers if part(box)]
        said = {box.name: volume_name(box) for box in boxes}
        for box in boxes:
            if (
                "GUARD_VOLUME" not in box.env
                and not said[box.name]
                and not found.kube.get(*box.at, "envFrom")
                and part(box) is not Part.COMMAND
            ):
                yield Finding(
                    f"container {box.name} has no GUARD_VOLUME: it ends with status 2",
                    found.kube.place(*box.at),
                    found.kube,
                )
        different = sorted({name for name in said.values() if name})
        if len(different) > 1:
            listed = ", ".join(f"{box}: {name}" for box, name in said.items() if name)
            yield Finding(
                f"the guard's containers expect different volumes ({listed})",
                found.kube.place(*found.pod.at),
                found.kube,
            )
        elif different:
            yield from _against_others(names, found, boxes, different[0])


def _against_others(
    names: dict[tuple[str, str], tuple[str, Workload]], found: Workload, boxes: list[Container], name: str
) -> Iterator[Verdict]:
    volumes = [found.pod.volume_at(box, guarded_path(box)) for box in boxes if guarded_path(box)]
    for claim in dict.fromkeys(volume.claim for volume in volumes if volume and volume.claim):
        first, other = names.setdefault((found.kube.namespace, claim), (name, found))
        if first != name:
            message = f'the guard expects volume "{name}" on claim {claim}, in {other.kube} ({other.kube.side.value}) it expects "{first}"'
            yield Finding(message, found.kube.place(*boxes[0].at), found.kube, also=(other.kube.place(),))


def _observes(inventory: Inventory) -> Iterator[Verdict]:
    for found in inventory.guarded:
        for box in _boxes(found, Part.GATE):
            if not enforces(box):
                yield Finding(f"gate {box.name} has GUARD_ENFORCE=false", found.kube.place(*box.at, "env"), found.kube)


def _gate_runs_on(inventory: Inventory) -> Iterator[Verdict]:
    for found in inventory.workloads:
        if found.kube.kind in {"Job", "CronJob"}:
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
            tested = {path.rstrip("/") for path in _TESTS_FOLDER.findall(" ".join(box.words))}
            for path in sorted(tested & paths):
                yield Finding(
                    f"init container {box.name} tests only that {path} exists", found.kube.place(*box.at), found.kube
                )


def _policies(inventory: Inventory) -> list[Kube]:
    """The guard's own policies: by name, label or what their expressions look for."""
    found = inventory.of(_POLICIES)
    return [
        kube
        for kube in found
        if "volume-guard" in kube.name or "volume-guard" in str(kube.labels) or _mentions_guard(kube)
    ]


def _mentions_guard(kube: Kube) -> bool:
    validations = kube.get("spec", "validations")
    said = (
        [text(rule, "expression") + text(rule, "message") for rule in validations]
        if isinstance(validations, list)
        else []
    )
    return any("volume-guard" in line or "GUARD_" in line for line in said)


def _policy(inventory: Inventory) -> Iterator[Verdict]:
    live = [found for found in inventory.guarded if found.kube.side is Side.LIVE]
    if (
        _policies(inventory)
        or not inventory.guarded
        or not any(_boxes(found, Part.GATE) for found in inventory.guarded)
    ):
        return
    if live and inventory.live(_POLICIES):
        names = ", ".join(kube.name for kube in inventory.live(_POLICIES)[:3])
        yield Finding(f"none of the policies given ({names}) is about the guard", live[0].kube.place(), live[0].kube)
    else:
        yield Unknown(
            "no admission policy of the guard given", f"kubectl get {_POLICIES.lower()},{_BINDINGS.lower()} -o yaml"
        )


def _policy_idle(inventory: Inventory) -> Iterator[Verdict]:
    for policy in _policies(inventory):
        bindings = [kube for kube in inventory.of(_BINDINGS) if kube.text("spec", "policyName") == policy.name]
        actions = {action for kube in bindings for action in texts(kube.body, "spec", "validationActions")}
        if "Deny" in actions:
            continue
        if bindings:
            at: Path = ("spec", "validationActions")
            listed = ", ".join(sorted(actions)) or "none"
            yield Finding(
                f"binding {bindings[0].name} has validationActions {listed}, not Deny",
                bindings[0].place(*at),
                bindings[0],
            )
        elif any(inventory.of(_BINDINGS)) or policy.side is Side.FILE:
            yield Finding("no binding given names this policy", policy.place(), policy)
        else:
            yield Unknown(f"no binding of policy {policy.name} given", f"kubectl get {_BINDINGS.lower()} -o yaml")


CHECKS = (
    (MISSING, _missing),
    (NOT_FIRST, _not_first),
    (ELSEWHERE, _elsewhere),
    (NAME, _name),
    (OBSERVES, _observes),
    (GATE_RUNS_ON, _gate_runs_on),
    (WATCHER_BLOCKS, _watcher_blocks),
    (PROVES_NOTHING, _proves_nothing),
    (POLICY, _policy),
    (POLICY_IDLE, _policy_idle),
)
