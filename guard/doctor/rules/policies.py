"""VG509 and VG510: can the guard and the volume be dropped by whoever applies another manifest. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Finding, Rule, Severity, Unknown, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.guard_containers import Part, part
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.workload import POD_PATHS
from guard.doctor.source.document import Side
from guard.doctor.source.tree import Path, mappings, text, texts

_REFERENCE = "https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/"

ABSENT = Rule(
    "VG509", "policy-absent", Severity.WARNING,
    "No admission policy keeps the guard and the volume in the pod.",
    "Whoever applies another manifest drops the volume and the guard together, and nothing objects.",
    "Apply the guard's ValidatingAdmissionPolicy and its binding (k8s/policy).",
    _REFERENCE,
)  # fmt: skip
IDLE = Rule(
    "VG510", "policy-does-not-deny", Severity.WARNING,
    "The guard's admission policy refuses nothing.",
    "A ValidatingAdmissionPolicy without a binding does nothing; a binding without Deny only warns or writes an audit entry.",
    "Add a ValidatingAdmissionPolicyBinding with validationActions: [Deny] (k8s/policy/require/deny).",
    _REFERENCE,
)  # fmt: skip

_POLICIES = "ValidatingAdmissionPolicy"
_BINDINGS = "ValidatingAdmissionPolicyBinding"
#: As resourceRules write the kinds that run pods.
_RUN_PODS = frozenset(f"{kind.lower()}s" for kind in POD_PATHS)


def _policies(index: ObjectIndex) -> list[K8sObject]:
    """The guard's policies that judge pods, or what makes them: not those that keep claims and parameters."""
    return [obj for obj in index.of(_POLICIES) if _is_the_guard_s(obj) and _judges_pods(obj)]


def _is_the_guard_s(obj: K8sObject) -> bool:
    """By name, label, or what its expressions look for."""
    said = (text(rule, "expression") + text(rule, "message") for _, rule in mappings(obj.body, "spec", "validations"))
    return (
        "volume-guard" in obj.name
        or "volume-guard" in str(obj.labels)
        or any("volume-guard" in line or "GUARD_" in line for line in said)
    )


def _judges_pods(obj: K8sObject) -> bool:
    rules = [rule for _, rule in mappings(obj.body, "spec", "matchConstraints", "resourceRules")]
    resources = {resource.lower() for rule in rules for resource in texts(rule, "resources")}
    return not rules or "*" in resources or bool(resources & _RUN_PODS)


def _absent(index: ObjectIndex) -> Iterator[Verdict]:
    gated = any(part(container) is Part.GATE for workload in index.guarded for container in workload.pod.all_containers)
    if _policies(index) or not gated:
        return
    live = [workload for workload in index.guarded if workload.object.side is Side.LIVE]
    if live and index.live(_POLICIES):
        names = ", ".join(obj.name for obj in index.live(_POLICIES)[:3])
        yield Finding(
            f"none of the policies given ({names}) is about the guard in pods", live[0].object.place(), live[0].object
        )
    else:
        yield Unknown(
            "no admission policy of the guard given", f"kubectl get {_POLICIES.lower()},{_BINDINGS.lower()} -o yaml"
        )


def _idle(index: ObjectIndex) -> Iterator[Verdict]:
    policies = _policies(index)
    bound = {
        policy: [obj for obj in index.of(_BINDINGS) if obj.text("spec", "policyName") == policy.name]
        for policy in policies
    }
    # One that denies is enough: beside it stands, on purpose, one that only warns of what was wrong before.
    if any("Deny" in _actions(binding) for bindings in bound.values() for binding in bindings):
        return
    for policy, bindings in list(bound.items())[:1]:
        if bindings:
            at: Path = ("spec", "validationActions")
            listed = ", ".join(sorted({action for binding in bindings for action in _actions(binding)})) or "none"
            yield Finding(
                f"binding {bindings[0].name} has validationActions {listed}, not Deny",
                bindings[0].place(*at),
                bindings[0],
            )
        elif any(index.of(_BINDINGS)) or policy.side is Side.FILE:
            yield Finding("no binding given names this policy", policy.place(), policy)
        else:
            yield Unknown(f"no binding of policy {policy.name} given", f"kubectl get {_BINDINGS.lower()} -o yaml")


def _actions(binding: K8sObject) -> tuple[str, ...]:
    return texts(binding.body, "spec", "validationActions")


CHECKS = (
    (ABSENT, _absent),
    (IDLE, _idle),
)
