"""VG501 to VG510: is there a guard, is it the first, does it check the right volume, can it be dropped. Pure."""

import re
from collections.abc import Iterator

from guard.doctor.finding import Severity, Unknown, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.lookup import grouped
from guard.doctor.objects.guard_container import Part
from guard.doctor.objects.guard_mounts import folder_of, looks_at_nothing, looks_elsewhere
from guard.doctor.objects.k8s_object import K8sObject, same_namespace
from guard.doctor.objects.paths import below
from guard.doctor.objects.workload import POD_PATHS, Workload
from guard.doctor.source.tree import text, texts

_INIT = "concepts/workloads/pods/init-containers/"
_SIDECAR = "concepts/workloads/pods/sidecar-containers/"


#: Programs and files that distinguish a mount or content from a folder that is merely there.
_LOOKS_FURTHER = re.compile(r"\b(?:mountpoint|findmnt|cmp|sha256sum)\b|/proc/(?:self/|1/)?mount|\bls\s+-[a-zA-Z]*A")
_TESTS = re.compile(r"(?:\[{1,2}|\btest)\s+(?:!\s+)?-([a-zA-Z])\s+[\"']?(/[^\s\"'\];]*)")
#: The label by which the policies' bindings find their parameters (k8s/policy/parameters.yaml).
PARAMETERS = "volume-guard/parameters"
_REFERENCE = "reference/access-authn-authz/validating-admission-policy/"
_POLICIES = "ValidatingAdmissionPolicy"
_BINDINGS = "ValidatingAdmissionPolicyBinding"
#: As resourceRules name the kinds that run pods.
_RUN_PODS = frozenset(f"{kind.lower()}s" for kind in POD_PATHS)


@rule("VG501", Severity.WARNING, _INIT)
def guard_missing(index: ObjectIndex) -> Iterator[Verdict]:
    """No gate is in front of the application.

    Why: Kubernetes starts a pod on an empty folder, another volume or a wiped one without a word; the application then
    makes itself at home there.
    Fix: Add `guard check` as the first init container, with the application's mount and GUARD_VOLUME.
    """
    for workload in index.guarded:
        # A volume comes first; a policy puts the guard into the pods, not into their template.
        is_mounted = workload.mounts_at(index.path_of(workload))
        if workload.gates or workload.injected_path or not index.is_sure(workload) or not is_mounted:
            continue
        pods = index.pods_of(workload)
        if pods and all(pod.gates for pod in pods):
            continue
        app = next((app for app in workload.applications if app.knows_the_guard), None)
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

    Why: It may write into, or seed, a volume that the gate would have refused.
    Fix: Order: gate, watcher, then the application's own init containers. A kustomize patch puts its own in front.
    """
    for workload in index.guarded:
        for number, container in enumerate(workload.inits):
            before = ", ".join(other.name for other in workload.inits[:number] if other.part is None)
            if before and container.part is Part.GATE:
                yield finding(f"{before} runs before gate {container.name}", container)


@rule("VG503", Severity.ERROR, _INIT)
def guard_elsewhere(index: ObjectIndex) -> Iterator[Verdict]:
    """The guard looks at another volume or path than the application uses.

    Why: It passes on a healthy volume that is not the application's, or blocks every start.
    Fix: Mount the application's volume in the guard's container, with the application's subPath or without one, and set
    GUARD_PATH to that mountPath.
    """
    for workload in index.guarded:
        path = index.path_of(workload)
        for container in (*workload.gates, *workload.watchers):
            wraps = container.wraps_application
            if wraps and container.guarded_path == path:
                continue  # volume-not-mounted and mount-path-mismatch report it
            problem = looks_at_nothing(container) if wraps else looks_elsewhere(workload, container, path)
            if problem:
                yield finding(problem, container)


@rule("VG504", Severity.ERROR, "tasks/inject-data-application/define-environment-variable-container/")
def guard_volume_name(index: ObjectIndex) -> Iterator[Verdict]:
    """The guard's containers do not agree on the volume's name, or have none.

    Why: The marker on the volume carries one name: with another, or without GUARD_VOLUME, the gate blocks every start.
    Fix: Use the name that `guard adopt` wrote, in every container of the guard that looks at this claim.
    """
    names: dict[tuple[str, str, str], tuple[str, Workload]] = {}
    for workload in index.workloads:
        containers = [container for container in workload.all_containers if container.part]
        for container in containers:
            if not container.has_guard_volume and container.part is not Part.COMMAND:
                yield finding(f"container {container.name} has no GUARD_VOLUME: it ends with status 2", container)
        named = ((folder_of(container), container) for container in containers if container.guard_volume)
        for folder, here in grouped((folder, one) for folder, one in named if folder).items():
            name = here[0].guard_volume
            first, other = names.setdefault((workload.namespace, *folder), (name, workload))
            if len({container.guard_volume for container in here}) > 1:
                listed = ", ".join(f"{container.name}: {container.guard_volume}" for container in here)
                message = f"the guard's containers expect different volumes ({listed})"
                yield finding(message, workload, *workload.pod_at)
            elif folder[0].startswith("claim ") and first != name:
                there = f'in {other} ({other.side.value}) it expects "{first}"'
                message = f'the guard expects volume "{name}" on {folder[0]}, {there}'
                yield finding(message, here[0], also=(other.place(),))


@rule("VG505", Severity.INFO, _INIT)
def guard_only_observes(index: ObjectIndex) -> Iterator[Verdict]:
    """The gate reports, but lets every pod start (GUARD_ENFORCE=false).

    Why: Right for the first week; after that a refused volume is only a line in a log.
    Fix: Remove GUARD_ENFORCE once the reports are quiet.
    """
    for gate in (gate for workload in index.guarded for gate in workload.gates):
        if not gate.enforces:
            yield finding(f"gate {gate.name} has GUARD_ENFORCE=false", gate, "env")


@rule("VG506", Severity.ERROR, _SIDECAR)
def gate_as_sidecar(index: ObjectIndex) -> Iterator[Verdict]:
    """The gate does not hold the pod back: it is a sidecar, or an ordinary container.

    Why: Only an init container that ends gates what comes after it. With restartPolicy Always it is started again and
    again beside the application.
    Fix: Put it into initContainers, without restartPolicy.
    """
    for gate in (gate for workload in index.workloads if not workload.runs_to_end for gate in workload.gates):
        if not gate.gates_pod:
            sidecar = "is an init container with restartPolicy Always"
            what = sidecar if gate.is_sidecar else "is among the ordinary containers"
            yield finding(f"gate {gate.name} {what}", gate)


@rule("VG507", Severity.ERROR, _SIDECAR)
def watcher_as_init_container(index: ObjectIndex) -> Iterator[Verdict]:
    """The watcher is an init container without restartPolicy: Always.

    Why: It never ends, so the application never starts.
    Fix: restartPolicy: Always in the init container makes it a native sidecar (Kubernetes 1.29 and later; stable since
    1.33).
    """
    for watcher in (watcher for workload in index.workloads for watcher in workload.watchers):
        if watcher.is_init and not watcher.is_sidecar:
            yield finding(f"watcher {watcher.name} has no restartPolicy: Always", watcher)


@rule("VG508", Severity.WARNING, _INIT)
def check_proves_nothing(index: ObjectIndex) -> Iterator[Verdict]:
    """An init container tests whether the folder is there, which is always so.

    Why: The kubelet and the runtime create the mount path: `[ -d PATH ]` passes with no volume, an emptyDir, the wrong
    volume and a wiped one.
    Fix: Replace it by `guard check`, which looks at the mount, the marker and the content.
    """
    for workload in index.workloads:
        paths = {index.path_of(workload), *(mount.path for app in workload.applications for mount in app.mounts)}
        for container in () if workload.gates else workload.inits:
            script = " ".join(container.words)
            tests = [(option, path.rstrip("/")) for option, path in _TESTS.findall(script)]
            for path in sorted({path for option, path in tests if option in "derwxs"} & paths):
                if not _LOOKS_FURTHER.search(script) and not any(below(other, path) for _, other in tests):
                    yield finding(f"init container {container.name} tests only that {path} exists", container)


def asks_for_injection(index: ObjectIndex, workload: Workload) -> bool:
    """Whether parameters of the policies that were given have the guard injected into this workload's pods."""
    for obj in index.of("ConfigMap"):
        is_on = obj.labels.get(PARAMETERS) == "true" and obj.text("data", "inject") == "true"
        if is_on and same_namespace(obj.namespace, workload.namespace):
            # LABEL=VALUE, several with commas: all must hold
            pairs = [pair.partition("=") for pair in obj.text("data", "application").split(",")]
            if all(key and workload.pod_labels.get(key) == value for key, _, value in pairs):
                return True
    return False


def _policies(index: ObjectIndex) -> list[K8sObject]:
    """Returns the guard's policies that judge pods, or what makes them: not those that keep claims and parameters."""
    policies = []
    for obj in index.of(_POLICIES):
        lines = (text(one, "expression") + text(one, "message") for one in obj.mappings("spec", "validations"))
        is_ours = any("volume-guard" in line or "GUARD_" in line for line in (obj.name, str(obj.labels), *lines))
        rules = list(obj.mappings("spec", "matchConstraints", "resourceRules"))
        resources = {resource.lower() for rule in rules for resource in texts(rule, "resources")}
        if is_ours and (not rules or "*" in resources or resources & _RUN_PODS):
            policies.append(obj)
    return policies


@rule("VG509", Severity.WARNING, _REFERENCE)
def policy_absent(index: ObjectIndex) -> Iterator[Verdict]:
    """No admission policy keeps the guard and the volume in the pod.

    Why: Whoever applies another manifest drops the volume and the guard together, and nothing objects.
    Fix: Apply the guard's ValidatingAdmissionPolicy and its binding (k8s/policy).
    """
    if _policies(index) or not any(workload.gates for workload in index.guarded):
        return
    live = [workload for workload in index.guarded if workload.is_live]
    if live and index.live(_POLICIES):
        names = ", ".join(obj.name for obj in index.live(_POLICIES)[:3])
        yield finding(f"none of the policies given ({names}) is about the guard in pods", live[0])
    else:
        command = f"kubectl get {_POLICIES.lower()},{_BINDINGS.lower()} -o yaml"
        yield Unknown("no admission policy of the guard given", command)


@rule("VG510", Severity.WARNING, _REFERENCE)
def policy_does_not_deny(index: ObjectIndex) -> Iterator[Verdict]:
    """The guard's admission policy refuses nothing.

    Why: A ValidatingAdmissionPolicy without a binding does nothing; a binding without Deny only warns or writes an
    audit entry.
    Fix: Add a ValidatingAdmissionPolicyBinding with validationActions: [Deny] (k8s/policy/require/deny).
    """
    policies = _policies(index)
    bindings = [
        (binding, binding.texts("spec", "validationActions"))
        for policy in policies
        for binding in index.of(_BINDINGS)
        if binding.text("spec", "policyName") == policy.name
    ]
    # One that denies is enough: beside it is, on purpose, one that only warns of what was wrong before.
    if not policies or any("Deny" in actions for _, actions in bindings):
        return
    first = policies[0]
    own = [(one, actions) for one, actions in bindings if one.text("spec", "policyName") == first.name]
    if own:
        listed = ", ".join(sorted({action for _, actions in own for action in actions})) or "none"
        message = f"binding {own[0][0].name} has validationActions {listed}, not Deny"
        yield finding(message, own[0][0], "spec", "validationActions")
    elif any(index.of(_BINDINGS)) or not first.is_live:
        yield finding("no binding given names this policy", first)
    else:
        yield Unknown(f"no binding of policy {first.name} given", f"kubectl get {_BINDINGS.lower()} -o yaml")
