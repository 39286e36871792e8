"""volume-guard-inject: gate and watcher in the pods of every kind of workload, and in no manifest; the gate gates there."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.cluster import objects, observing, policies, unguarded
from tests.cluster.conftest import Cluster
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.unguarded import OWN

pytestmark = pytest.mark.usefixtures("admission_policies")


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "Job", "CronJob"])
def test_the_pods_of_a_workload_start_behind_the_gate_and_its_manifest_has_none(
    kind: str, kubectl: Kubectl, adopted_claim: Object
) -> None:
    with policies.protected(kubectl, policies.parameters(claim="adopted", inject="true")):
        applied = unguarded.workload(kind, unguarded.pod_spec(adopted_claim, OWN))
        kubectl.apply(applied)
        if kind == "CronJob":
            kubectl("create", "job", "by-hand", "--from=cronjob/claude-skills")

        pod = _started(kubectl, kind)

        assert unguarded.init_names(pod) == [objects.GATE, objects.WATCHER, OWN["name"]]
        (passed,) = [
            line for line in kubectl.events(pod["metadata"]["name"], objects.GATE) if line["event"] == "volume.ok"
        ]
        assert (passed["volume"], passed["files"]) == (objects.VOLUME, 100)
        # What a GitOps tool compares: nothing of the guard in the workload, and nothing to change.
        drift = kubectl.attempt("diff", "--filename=-", stdin=objects.as_json(applied))
        assert (drift.returncode, drift.stdout) == (0, "")
        assert "volume-guard" not in json.dumps(kubectl.get(kind, "claude-skills")["spec"])


def _started(kubectl: Kubectl, kind: str) -> Object:
    """The workload's pod, once its application runs or has run."""
    if kind in {"Deployment", "StatefulSet"}:
        return observing.wait_application(kubectl)
    observing.wait_complete(kubectl, "claude-skills" if kind == "Job" else "by-hand")
    (pod,) = observing.application_pods(kubectl)
    return pod


def test_the_injected_watcher_watches_beside_the_application(kubectl: Kubectl, adopted_claim: Object) -> None:
    with policies.protected(kubectl, policies.parameters(claim="adopted", inject="true")):
        kubectl.apply(unguarded.workload("Deployment", unguarded.pod_spec(adopted_claim)))
        name = observing.wait_application(kubectl)["metadata"]["name"]
        observing.wait_event(kubectl, name, objects.WATCHER, "watch.started")
        tenants = [f"{objects.PATH}/acme", f"{objects.PATH}/beta"]
        assert kubectl.execute(name, objects.APPLICATION, "rm", "-rf", *tenants).returncode == 0
        observing.wait_event(kubectl, name, objects.WATCHER, "volume.wiped")


@dataclass(frozen=True, slots=True)
class Refused:
    """A volume that the injected gate must not let the application start on."""

    name: str
    volume: Callable[[Cluster, Kubectl], Object | None]
    status: int


def _never_adopted(cluster: Cluster, kubectl: Kubectl) -> Object:
    kubectl.apply(objects.claim("new", cluster.storage_class))
    return objects.of_claim("new")


REFUSED = (
    Refused("no-volume", lambda _cluster, _kubectl: None, 13),
    Refused("empty-dir", lambda _cluster, _kubectl: {"emptyDir": {}}, 11),
    Refused("never-adopted", _never_adopted, 20),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_the_injected_gate_judges_what_the_application_mounts(
    case: Refused, cluster: Cluster, kubectl: Kubectl
) -> None:
    # The glass is broken, so that volume-guard-require lets the pod come as far as its gate.
    glass = {"volume-guard/break-glass": "to see the gate at work"}
    with policies.protected(kubectl, policies.parameters(inject="true", watch="false", GUARD_WAIT="0s")):
        spec = {**unguarded.pod_spec(case.volume(cluster, kubectl)), "restartPolicy": "Never"}
        pod = unguarded.pod(spec, **glass)
        done = kubectl.attempt("apply", "--filename=-", stdin=objects.as_json(pod))
        assert done.returncode == 0, done.stderr

        ended = observing.ending(kubectl, "claude-skills", objects.GATE)

        assert ended.status == case.status
        assert observing.never_started(kubectl.get("pod", "claude-skills"), objects.APPLICATION)
