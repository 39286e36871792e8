"""The Helm chart in a real cluster: installed over the plain policies, tested, upgraded, taken out; and somebody's chart with it."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import chart
from tests.cluster import objects, observing, policies
from tests.cluster.conftest import LAYOUT, Cluster, say
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.kubernetes import build
from tests.cluster.waiting import wait_until

pytestmark = pytest.mark.usefixtures("admission_policies")

SOMEBODYS = Path(__file__).parent / "chart"
LABEL = objects.MANIFESTS / "helm" / "examples" / "label.yaml"
OURS = "app.kubernetes.io/name=volume-guard"


@dataclass(frozen=True, slots=True)
class Helm:
    """Helm in a namespace of the cluster."""

    program: Path
    kubectl: Kubectl

    def __call__(self, *words: str | Path) -> str:
        done = subprocess.run(
            [self.program, f"--namespace={self.kubectl.namespace}", *words],
            check=False, capture_output=True, text=True, timeout=180, env=self.kubectl.environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def helm(cluster: Cluster, kubectl: Kubectl) -> Iterator[Helm]:
    """Helm; the plain policies are there again at the end."""
    cluster.kubectl.apply(*_another_binding())
    try:
        yield Helm(build.helm(LAYOUT, say), kubectl)
    finally:
        for folder in (policies.REQUIRE, policies.INJECT, policies.KEEP):
            policies.apply(cluster.kubectl, folder)
        with policies.protected(kubectl, policies.parameters(inject="true")):
            for one in _another_binding():
                cluster.kubectl("delete", one["kind"], one["metadata"]["name"])


def _another_binding() -> list[Object]:
    """Keeps the API server from forgetting ConfigMaps as parameters while the chart is out: see `admission_policies`.

    Both kinds of policy share one watch, which ends with the bindings of the kind that began it.
    """
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["bindings"]}
    common: Object = {
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConstraints": {"resourceRules": [rule]},
        "failurePolicy": "Ignore",
        "matchConditions": [{"name": "never", "expression": "false"}],
    }
    patch = {
        "patchType": "JSONPatch",
        "jsonPatch": {"expression": "[JSONPatch{op: 'test', path: '/kind', value: 'Never'}]"},
    }
    bound = {
        "policyName": "zz-another",
        "paramRef": {"selector": {"matchLabels": {"none": "none"}}, "parameterNotFoundAction": "Allow"},
    }
    specs: dict[str, Object] = {
        "ValidatingAdmissionPolicy": {**common, "validations": [{"expression": "true"}]},
        "ValidatingAdmissionPolicyBinding": {**bound, "validationActions": ["Audit"]},
        "MutatingAdmissionPolicy": {**common, "reinvocationPolicy": "Never", "mutations": [patch]},
        "MutatingAdmissionPolicyBinding": bound,
    }
    version = "admissionregistration.k8s.io/v1"
    return [
        {"apiVersion": version, "kind": kind, "metadata": {"name": "zz-another"}, "spec": spec}
        for kind, spec in specs.items()
    ]


def test_the_chart_is_installed_tested_upgraded_and_taken_out_and_guards_what_comes_as_somebody_s_chart(
    cluster: Cluster, kubectl: Kubectl, helm: Helm
) -> None:
    own = ("volume-guard", chart.CHART)
    helm(
        "install",
        *own,
        "--take-ownership",
        "--server-side=false",
        f"--set=test.storageClassName={cluster.storage_class}",
    )
    kubectl("label", "namespace", kubectl.namespace, f"{policies.PROTECTED}=true")
    try:
        assert _actions(cluster) == ["Warn", "Audit"]
        claim = f"--set=persistence.enabled=true,persistence.storageClass={cluster.storage_class}"
        helm("install", "orders", SOMEBODYS, f"--values={LABEL}", claim)

        helm("test", "volume-guard", "--timeout=120s")
        events = kubectl.every("events", fieldSelector="involvedObject.name=volume-guard-test")
        assert f"spec.initContainers{{{objects.GATE}}}" in {one["involvedObject"].get("fieldPath") for one in events}

        pod = observing.wait_gate(kubectl, app="orders")["metadata"]["name"]
        assert kubectl.execute(pod, objects.GATE, "guard", "adopt").returncode == 0
        guarded = observing.wait_application(kubectl, app="orders")
        passed = observing.wait_event(kubectl, pod, objects.GATE, "volume.ok")
        assert (passed["volume"], passed["path"]) == ("orders-data", "/var/lib/orders")

        application = (
            f"name=orders,namespace={kubectl.namespace},labels.app=orders,containers={{orders}},claim=orders-data"
        )
        helm(
            "upgrade", *own, "--reuse-values", "--set=require=deny",
            f"--set=applications[0].{application.replace(',', ',applications[0].')},applications[0].path=/var/lib/orders",
        )  # fmt: skip
        assert _actions(cluster) == ["Deny", "Audit"]
        without = wait_until("the claim kept", lambda: _refused_claim(kubectl), policies.IN_FORCE)
        assert "holds the data of a protected application (ConfigMap volume-guard-orders)" in without

        helm("uninstall", "volume-guard")
        left = cluster.kubectl(
            "get", "validatingadmissionpolicies,mutatingadmissionpolicies", f"--selector={OURS}", "--output=name"
        )
        assert left == ""
        assert kubectl.get("configmap", "volume-guard-orders")["data"]["path"] == "/var/lib/orders"
        assert observing.wait_application(kubectl, app="orders")["metadata"]["uid"] == guarded["metadata"]["uid"]
    finally:
        kubectl("label", "namespace", kubectl.namespace, f"{policies.PROTECTED}-")


def _actions(cluster: Cluster) -> list[str]:
    found = cluster.kubectl.get("validatingadmissionpolicybinding", "volume-guard-require")
    actions: list[str] = found["spec"]["validationActions"]
    return actions


def _refused_claim(kubectl: Kubectl) -> str:
    done = kubectl.attempt("delete", "pvc", "orders-data", "--dry-run=server")
    return done.stderr if done.returncode != 0 else ""
