"""VG509 and VG510: can the guard and the volume be dropped by whoever applies another manifest. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Severity, Unknown, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.guard_containers import Part, part
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.workload import POD_PATHS
from guard.doctor.source.tree import text, texts

_REFERENCE = "https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/"


_POLICIES = "ValidatingAdmissionPolicy"
_BINDINGS = "ValidatingAdmissionPolicyBinding"
#: As resourceRules name the kinds that run pods.
_RUN_PODS = frozenset(f"{kind.lower()}s" for kind in POD_PATHS)


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

    Whoever applies another manifest drops the volume and the guard together, and nothing objects.

    Fix: Apply the guard's ValidatingAdmissionPolicy and its binding (k8s/policy).
    """
    is_gated = any(part(container) is Part.GATE for one in index.guarded for container in one.all_containers)
    if _policies(index) or not is_gated:
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

    A ValidatingAdmissionPolicy without a binding does nothing; a binding without Deny only warns or writes an audit
    entry.

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
