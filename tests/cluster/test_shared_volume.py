"""One ReadWriteMany volume in pods on two nodes: each watcher reports for itself, and all name the same incident."""

from collections.abc import Iterator

import pytest

from tests.cluster import objects, observing
from tests.cluster.conftest import LAYOUT, Cluster
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.nodedisks import local_volume, node_disks

OPERATION = "logging.googleapis.com/operation"
#: Both nodes are two cores, which start other pods meanwhile.
SOON = 60.0


@pytest.fixture
def shared(cluster: Cluster, kubectl: Kubectl) -> Iterator[Object]:
    """A claim of a disk that both nodes have mounted, as they have a server's export."""
    if not cluster.own:
        pytest.skip("prepares a disk for both nodes: only where the cluster's nodes are this machine")
    with node_disks(LAYOUT.state / "node-disks" / kubectl.namespace) as disks:
        volume, claim = local_volume(
            "shared", kubectl.namespace, {"hostPath": {"path": str(disks.mounted("disk", "ext4"))}}
        )
        del volume["spec"]["nodeAffinity"]
        for one in (volume, claim):
            one["spec"]["accessModes"] = ["ReadWriteMany"]
        fill = (objects.upload("acme", "reports", 40), objects.upload("beta", "letters", 60), objects.guard("adopt"))
        kubectl.apply(volume, claim, objects.task("adoption", objects.of_claim("shared"), *fill))
        observing.wait_succeeded(kubectl, "adoption")
        yield objects.of_claim("shared")
        kubectl("delete", "deployments,pods", "--all", "--timeout=180s")
        kubectl("delete", "pvc", "--all", "--timeout=180s")
        kubectl("delete", "pv", kubectl.namespace, "--timeout=180s")


def test_the_watchers_of_two_pods_on_one_volume_name_one_incident_and_both_see_its_end(
    shared: Object, kubectl: Kubectl
) -> None:
    nodes = [node["metadata"]["name"] for node in kubectl.every("nodes")][:2]
    for node in nodes:
        kubectl.apply(_on(node, shared))
    pods = [observing.wait_application(kubectl, app=node)["metadata"]["name"] for node in nodes]
    for pod in pods:
        observing.wait_event(kubectl, pod, objects.WATCHER, "watch.started")

    done = kubectl.execute(
        pods[0], objects.APPLICATION, "sh", "-c", f"cp -a {objects.PATH} /var/tmp/copy && rm -rf {objects.PATH}/*"
    )
    assert done.returncode == 0, done.stderr
    wiped = [observing.wait_event(kubectl, pod, objects.WATCHER, "volume.wiped", SOON) for pod in pods]

    assert [(one["pod"], one["node"]) for one in wiped] == list(zip(pods, nodes, strict=True))
    assert {one["severity"] for one in wiped} == {"CRITICAL"}
    # Who is slower reads of it in the ledger, which has no count.
    assert {(one["before"], one["after"]) for one in wiped if "after" in one} == {(100, 0)}
    (incident,) = {one[OPERATION]["id"] for one in wiped}

    done = kubectl.execute(pods[0], objects.APPLICATION, "sh", "-c", f"cp -a /var/tmp/copy/* {objects.PATH}")
    assert done.returncode == 0, done.stderr
    ends = [observing.wait_event(kubectl, pod, objects.WATCHER, "volume.recovered", SOON) for pod in pods]
    assert {one[OPERATION]["id"] for one in ends} == {incident}


def _on(node: str, volume: Object) -> Object:
    """The Deployment of k8s/deployment.yaml by the node's name, on that node."""
    deployment = objects.deployment(volume, wait="0s")
    labels = {"app": node}
    deployment["metadata"] = {"name": node}
    deployment["spec"]["selector"] = {"matchLabels": labels}
    deployment["spec"]["template"]["metadata"]["labels"] = labels
    deployment["spec"]["template"]["spec"] |= {"nodeName": node, "affinity": {}}
    return deployment
