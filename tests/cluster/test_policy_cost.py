"""What the policies' expressions cost, counted by the API server's own code: far from its limits, whatever is applied."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.cluster import objects, policies
from tests.cluster.conftest import LAYOUT, Cluster, say
from tests.cluster.kubectl import Object
from tests.cluster.kubernetes.build import policy_cost

#: Share of each limit that must never be used: a policy over its budget is an error, and an error is a refusal.
SHARE = 0.1
#: The versions in which the kinds became stable: no function that came later may be used.
SINCE = {"ValidatingAdmissionPolicy": "1.30", "MutatingAdmissionPolicy": "1.36"}
#: The largest pod that anybody is likely to write.
CONTAINERS, MOUNTS, VOLUMES = 40, 40, 100


@pytest.fixture(scope="module")
def program(cluster: Cluster) -> Path:
    """Counts costs, with the API server's own code."""
    if not cluster.own:
        pytest.skip("counts with the code of our own cluster's API server")
    return policy_cost(LAYOUT, say)


@pytest.fixture(scope="module")
def found(cluster: Cluster) -> dict[str, Object]:
    """Every policy of k8s/policy, by name."""
    plain = [path.read_text() for folder in (policies.INJECT, policies.KEEP) for path in sorted(folder.glob("*.yaml"))]
    texts = [cluster.kubectl("kustomize", str(policies.REQUIRE)), *plain]
    loaded = [one for text in texts for one in yaml.safe_load_all(text)]
    return {one["metadata"]["name"]: one for one in loaded if one["kind"].endswith("Policy")}


@dataclass(frozen=True, slots=True)
class Case:
    """An object that a policy judges, and what it was before; None: there is none, or was none."""

    name: str
    policy: str
    given: Callable[[], Object | None]
    before: Callable[[], Object | None] = lambda: None
    params: Callable[[], Object | None] = lambda: _parameters("false")


def _of_the_project() -> Object:
    return objects.manifest("deployment.yaml")


def _largest() -> Object:
    """The project's Deployment with as much in it as could ever be: every container with a mount of every kind."""
    deployment = _of_the_project()
    spec = deployment["spec"]["template"]["spec"]
    spec["volumes"] += [{"name": f"volume-{n}", "emptyDir": {}} for n in range(VOLUMES)]
    mounts = [{"name": f"volume-{n}", "mountPath": f"/var/lib/some/long/path/{n}/"} for n in range(MOUNTS)]
    spec["containers"][0]["volumeMounts"] += mounts
    others = [{"name": f"container-{n}", "image": "one:1", "volumeMounts": mounts} for n in range(CONTAINERS)]
    spec["containers"] += others
    sidecars = [{**one, "name": f"init-{one['name']}", "restartPolicy": "Always"} for one in others]
    spec["initContainers"] = [*sidecars, *spec["initContainers"]]
    return deployment


def _pod(deployment: Object) -> Object:
    template = deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    metadata = {"name": "claude-skills", "namespace": "dev", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _bare(pod: Object) -> Object:
    """Without the guard, which is then injected."""
    pod["spec"]["initContainers"] = pod["spec"]["initContainers"][:-2]
    return pod


def _parameters(inject: str) -> Object:
    parameters = policies.parameters(inject=inject)
    parameters["metadata"]["namespace"] = "dev"
    return parameters


def _claim() -> Object:
    claim = objects.claim("claude-skills-storage", "standard-rwo")
    claim["metadata"] |= {"namespace": "dev", "uid": "1"}
    return claim


def _namespace() -> Object:
    labels = {policies.PROTECTED: "true"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "dev", "uid": "1", "labels": labels}}


def _class() -> Object:
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "standard-rwo"}}


def _none() -> None:
    """Deleted, or without parameters."""


def _labelled(one: Object) -> Object:
    """The same with the label on its pods."""
    one.get("spec", {}).get("template", one)["metadata"]["labels"][policies.INJECTED] = "claude-skills-dev"
    return one


def _injecting() -> Object:
    return _parameters("true")


CASES = (
    Case("the-project-s-deployment", "volume-guard-require", _of_the_project),
    Case("the-largest-deployment", "volume-guard-require", _largest),
    # The comparison of the two is the dearest where they are equal.
    Case("the-largest-deployment-as-it-was", "volume-guard-tolerate", _largest, _largest),
    Case("the-project-s-pod", "volume-guard-inject", lambda: _bare(_pod(_of_the_project())), params=_injecting),
    Case("the-largest-pod", "volume-guard-inject", lambda: _bare(_pod(_largest())), params=_injecting),
    Case(
        "the-largest-pod-with-the-label",
        "volume-guard-inject",
        lambda: _labelled(_bare(_pod(_largest()))),
        params=_none,
    ),
    Case("the-largest-deployment-with-the-label", "volume-guard-label", lambda: _labelled(_largest()), params=_none),
    Case("the-largest-pod-with-the-label", "volume-guard-label", lambda: _labelled(_pod(_largest())), params=_none),
    Case("a-deleted-claim", "volume-guard-keep-claim", _none, _claim),
    Case("a-deleted-namespace", "volume-guard-keep-namespace", _none, _namespace, _none),
    Case("new-parameters", "volume-guard-keep-parameters", _injecting, params=_none),
    Case("a-new-claim", "volume-guard-reclaim", _claim, params=_class),
)


def test_every_policy_is_counted(found: dict[str, Object]) -> None:
    assert {case.policy for case in CASES} == set(found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.policy}-on-{case.name}")
def test_the_expressions_compile_in_the_first_version_that_has_the_policies_and_stay_far_below_the_limits(
    case: Case, program: Path, found: dict[str, Object], figure: Callable[[str], None]
) -> None:
    policy = found[case.policy]
    question = {
        "policy": policy,
        "params": case.params(),
        "object": case.given(),
        "oldObject": case.before(),
        "since": SINCE[policy["kind"]],
    }
    done = subprocess.run([program], input=json.dumps(question), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)

    assert answer["expressions"] > 0
    shares = []
    for kind, what in (
        ("conditions", "conditions"),
        ("expressions", "all the rest"),
        ("dearest", "dearest expression"),
    ):
        spent, limit = answer[kind], answer[f"{kind}Limit"]
        assert spent < SHARE * limit, kind
        shares.append(f"{what} {spent} of {limit} ({spent / limit:.2%})")
    figure(f"{case.policy} on {case.name}: {', '.join(shares)}")
