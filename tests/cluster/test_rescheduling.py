"""A pod moves to the other node with its disk: what the gate's pass says, and why the strategy is Recreate."""

import json
from collections.abc import Iterator

import pytest

from tests.cluster import objects, observing
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.waiting import wait_until


@pytest.fixture
def node_of_its_own(kubectl: Kubectl) -> Iterator[None]:
    """Opens every node again at the end."""
    yield
    for node in kubectl.every("nodes"):
        kubectl("uncordon", node["metadata"]["name"])


@pytest.mark.usefixtures("node_of_its_own")
def test_the_pass_on_the_second_node_says_what_survived_and_that_the_node_changed(
    kubectl: Kubectl, adopted_claim: Object
) -> None:
    kubectl.apply(objects.deployment(adopted_claim, without=(objects.WATCHER,), wait="0s"))
    first = observing.wait_application(kubectl)
    first_node = first["spec"]["nodeName"]
    # The gate writes no ledger, and the watcher is left out: whoever accepts was the last to see the volume.
    kubectl.apply(_accept(adopted_claim, first_node))
    observing.wait_succeeded(kubectl, "accept")

    kubectl("cordon", first_node)
    kubectl("delete", "pod", first["metadata"]["name"], "--wait=false")
    second = wait_until("the pod on the other node", lambda: _elsewhere(kubectl, first_node), observing.START)

    passed = kubectl.events(second["metadata"]["name"], objects.GATE)[-1]
    assert passed["event"] == "volume.ok"
    assert (passed["files"], passed["reference_files"]) == (100, 100)
    assert (passed["last_pod"], passed["last_node"]) == ("accept", first_node)
    assert (passed["node"], passed["node_changed"]) == (second["spec"]["nodeName"], True)


@pytest.mark.usefixtures("node_of_its_own")
def test_a_rolling_update_across_nodes_waits_for_a_disk_that_the_old_pod_holds_and_recreate_does_not(
    kubectl: Kubectl, adopted_claim: Object
) -> None:
    rolling = objects.deployment(adopted_claim, without=(objects.WATCHER,), wait="0s")
    rolling["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    kubectl.apply(rolling)
    old = observing.wait_application(kubectl)
    kubectl("cordon", old["spec"]["nodeName"])
    kubectl("rollout", "restart", "deployment/claude-skills")

    name = old["metadata"]["name"]
    refused = wait_until("the refused attachment", lambda: _attachment_refused(kubectl, name), observing.START)
    states = {pod["metadata"]["name"]: pod["status"]["phase"] for pod in observing.application_pods(kubectl)}
    assert states == {name: "Running", refused["involvedObject"]["name"]: "Pending"}

    recreated = objects.deployment(adopted_claim, without=(objects.WATCHER,), wait="0s")
    recreated["spec"]["strategy"] = {"type": "Recreate", "rollingUpdate": None}
    kubectl("patch", "deployment", "claude-skills", f"--patch={json.dumps({'spec': recreated['spec']})}")
    moved = wait_until(
        "the pod on the other node", lambda: _elsewhere(kubectl, old["spec"]["nodeName"]), observing.START
    )
    assert kubectl.events(moved["metadata"]["name"], objects.GATE)[-1]["files"] == 100


def _elsewhere(kubectl: Kubectl, node: str) -> Object | None:
    pod = observing.wait_application(kubectl)
    return pod if pod["spec"]["nodeName"] != node else None


def _attachment_refused(kubectl: Kubectl, old: str) -> Object | None:
    """The event of a pod that waits for the disk; the old one may have waited too, for the pod that adopted."""
    events = kubectl.every("events", fieldSelector="reason=FailedAttachVolume")
    return next((event for event in events if event["involvedObject"]["name"] != old), None)


def _accept(volume: Object, node: str) -> Object:
    container = objects.guard("accept")
    container["env"] += [
        {"name": "GUARD_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "GUARD_NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]
    task = objects.task("accept", volume, container)
    task["spec"]["nodeName"] = node
    return task
