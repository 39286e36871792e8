"""`kubectl apply -f k8s/` and the Jobs, word for word as users run them; the first user's Deployment, and what follows it."""

import json
import re
from collections.abc import Iterator

import pytest
import yaml

from tests.cluster import images, objects, observing
from tests.cluster.conftest import Cluster
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.waiting import wait_until

DRY_RUN = ("--dry-run=server", "--filename=-", "--output=json")


@pytest.fixture
def dev(cluster: Cluster) -> Iterator[Kubectl]:
    """kubectl on namespace dev, where the class that the claim names exists."""
    if not cluster.own:
        pytest.skip("makes namespace dev and a StorageClass: not in a cluster that is not ours")
    loop = cluster.kubectl.get("storageclass", "loop")
    cluster.kubectl.apply({**loop, "metadata": {"name": "standard-rwo"}})
    bound = cluster.kubectl.within("dev")
    bound("create", "namespace", "dev")
    yield bound
    bound("delete", "namespace", "dev", "--timeout=180s")
    bound("delete", "storageclass", "standard-rwo")


def test_the_plain_files_give_an_application_that_waits_for_its_adoption_and_then_runs(dev: Kubectl) -> None:
    dev("apply", f"--filename={objects.MANIFESTS}")
    observing.wait_gate(dev)

    dev("apply", f"--filename={objects.MANIFESTS}/jobs/adopt.yaml")

    # Its own probe asks for the first time after 30 s.
    pod = wait_until("the application started", lambda: _started(dev), observing.START)
    name = pod["metadata"]["name"]
    (passed,) = [line for line in dev.events(name, objects.GATE) if line["event"] == "volume.ok"]
    assert (passed["volume"], passed["kind"], passed["namespace"]) == (objects.VOLUME, "block", "dev")
    observing.wait_event(dev, name, objects.WATCHER, "watch.started")
    assert observing.container_status(dev.get("pod", name), objects.WATCHER)["restartCount"] == 0

    dev("apply", f"--filename={objects.MANIFESTS}/jobs/check.yaml", f"--filename={objects.MANIFESTS}/jobs/accept.yaml")
    for job in ("volume-guard-adopt", "volume-guard-check", "volume-guard-accept"):
        observing.wait_complete(dev, job)


def _started(kubectl: Kubectl) -> Object | None:
    (pod,) = observing.application_pods(kubectl)
    return pod if observing.container_status(pod, objects.APPLICATION).get("started") else None


def test_the_first_user_s_deployment_becomes_ours_and_nothing_of_it_is_left_that_led_to_the_loss(
    kubectl: Kubectl,
) -> None:
    theirs = yaml.safe_load((images.APPLICATION_SOURCES / "theirs.yaml").read_text())
    theirs["spec"]["replicas"] = 0
    ours = objects.manifest("deployment.yaml")
    del ours["metadata"]["namespace"]
    page = (objects.MANIFESTS / "README.md").read_text()
    (patch,) = re.findall(r"`kubectl patch deployment claude-skills -n dev --type=json -p '(.+)'`", page)

    kubectl("apply", "--filename=-", stdin=objects.as_json(theirs))
    by_client = json.loads(kubectl("apply", *DRY_RUN, stdin=objects.as_json(ours)))
    kubectl("delete", "deployment", "claude-skills")

    # As Argo CD does: the defaults that the API server has filled in are nobody's, and stay.
    by_argo = ("apply", "--server-side", "--field-manager=argocd-controller")
    kubectl(*by_argo, "--filename=-", stdin=objects.as_json(theirs))
    refused = kubectl.attempt(*by_argo, *DRY_RUN, stdin=objects.as_json(ours))
    assert "spec.strategy.rollingUpdate: Forbidden" in refused.stderr
    kubectl("patch", "deployment", "claude-skills", "--type=json", f"--patch={patch}")
    by_server = json.loads(kubectl(*by_argo, "--force-conflicts", *DRY_RUN, stdin=objects.as_json(ours)))

    for stored in (by_client, by_server):
        assert stored["spec"]["strategy"] == {"type": "Recreate"}
        _assert_ours(theirs["spec"]["template"]["spec"], stored["spec"]["template"]["spec"])


def _assert_ours(theirs: Object, pod: Object) -> None:
    """Fails unless a pod of theirs has become one of ours."""
    assert [container["name"] for container in pod["initContainers"]] == [objects.GATE, objects.WATCHER]
    assert "nodeSelector" not in pod
    assert [one["key"] for one in pod["tolerations"]] == ["kubernetes.io/arch"]
    before, after = theirs["containers"][0], pod["containers"][0]
    assert after["volumeMounts"] == before["volumeMounts"]
    assert after["env"] == before["env"]
    for probe in ("readinessProbe", "livenessProbe"):
        assert after[probe].items() >= {"initialDelaySeconds": before[probe]["initialDelaySeconds"]}.items()
        assert after[probe]["periodSeconds"] == before[probe]["periodSeconds"]
