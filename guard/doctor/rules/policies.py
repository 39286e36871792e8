"""VG509 and VG510: can the guard and the volume be dropped by whoever applies another manifest. Pure."""

from collections.abc import Iterator

from guard.doctor.guards import Part, part
from guard.doctor.inventory import Inventory
from guard.doctor.kube import POD_PATHS, Kube, Side
from guard.doctor.rule import Finding, Rule, Severity, Unknown, Verdict
from guard.doctor.tree import Path, mappings, text, texts

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


def _policies(inventory: Inventory) -> list[Kube]:
    """The guard's policies that judge pods, or what makes them: not those that keep claims and parameters."""
    return [kube for kube in inventory.of(_POLICIES) if _is_the_guard_s(kube) and _judges_pods(kube)]


def _is_the_guard_s(kube: Kube) -> bool:
    """By name, label, or what its expressions look for."""
    said = (text(rule, "expression") + text(rule, "message") for _, rule in mappings(kube.body, "spec", "validations"))
    return (
        "volume-guard" in kube.name
        or "volume-guard" in str(kube.labels)
        or any("volume-guard" in line or "GUARD_" in line for line in said)
    )


def _judges_pods(kube: Kube) -> bool:
    rules = [rule for _, rule in mappings(kube.body, "spec", "matchConstraints", "resourceRules")]
    resources = {resource.lower() for rule in rules for resource in texts(rule, "resources")}
    return not rules or "*" in resources or bool(resources & _RUN_PODS)


def _absent(inventory: Inventory) -> Iterator[Verdict]:
    gated = any(part(box) is Part.GATE for found in inventory.guarded for box in found.pod.all_containers)
    if _policies(inventory) or not gated:
        return
    live = [found for found in inventory.guarded if found.kube.side is Side.LIVE]
    if live and inventory.live(_POLICIES):
        names = ", ".join(kube.name for kube in inventory.live(_POLICIES)[:3])
        yield Finding(
            f"none of the policies given ({names}) is about the guard in pods", live[0].kube.place(), live[0].kube
        )
    else:
        yield Unknown(
            "no admission policy of the guard given", f"kubectl get {_POLICIES.lower()},{_BINDINGS.lower()} -o yaml"
        )


def _idle(inventory: Inventory) -> Iterator[Verdict]:
    policies = _policies(inventory)
    bound = {
        policy: [kube for kube in inventory.of(_BINDINGS) if kube.text("spec", "policyName") == policy.name]
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
        elif any(inventory.of(_BINDINGS)) or policy.side is Side.FILE:
            yield Finding("no binding given names this policy", policy.place(), policy)
        else:
            yield Unknown(f"no binding of policy {policy.name} given", f"kubectl get {_BINDINGS.lower()} -o yaml")


def _actions(binding: Kube) -> tuple[str, ...]:
    return texts(binding.body, "spec", "validationActions")


CHECKS = (
    (ABSENT, _absent),
    (IDLE, _idle),
)
