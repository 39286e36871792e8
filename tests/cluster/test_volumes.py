"""What the gate says of each kind of volume that a kubelet can mount, in real containers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.cluster import images, objects, observing
from tests.cluster.conftest import LAYOUT, Cluster, adopt, namespace
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.nodedisks import NodeDisks, local_volume, node_disks


@dataclass(frozen=True, slots=True)
class Case:
    """A volume, how it is mounted, and the outcome.

    Attributes:
        name: Shown by pytest.
        volume: The source in spec.volumes.
        status: The gate's exit status.
        mount: More fields of the volumeMount.
    """

    name: str
    volume: Object
    status: int
    mount: Object = field(default_factory=dict)


CONFIGURED = {"name": "configured", "items": [{"key": "SKILL.md", "path": "SKILL.md"}]}
CLAIM = objects.of_claim("adopted")
CASES = (
    Case("empty-dir-on-disk", {"emptyDir": {}}, 11),
    Case("empty-dir-in-memory", {"emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}, 11),
    Case("config-map", {"configMap": CONFIGURED}, 11),
    Case("secret", {"secret": {"secretName": "configured"}}, 11),
    Case("projected", {"projected": {"sources": [{"configMap": CONFIGURED}]}}, 11),
    Case("image-volume", {"image": {"reference": images.CONTENT, "pullPolicy": "Never"}}, 11),
    Case("host-path", {"hostPath": {"path": "/var/tmp", "type": "Directory"}}, 12),
    Case("claim", CLAIM, 0),
    Case("claim-sub-path-without-marker", CLAIM, 20, {"subPath": "acme"}),
    Case("claim-mounted-read-only", CLAIM, 14, {"readOnly": True}),
    Case("read-only-claim", objects.of_claim("adopted", readOnly=True), 14),
)


@pytest.fixture(scope="module")
def prepared(cluster: Cluster) -> Iterator[Kubectl]:
    """kubectl on a namespace with an adopted claim and configuration to mount: none of the cases writes on them."""
    configured = {"metadata": {"name": "configured"}, "apiVersion": "v1"}
    with namespace(cluster, "volumes") as kubectl:
        kubectl.apply(
            {**configured, "kind": "ConfigMap", "data": {"SKILL.md": "hello"}},
            {**configured, "kind": "Secret", "stringData": {"SKILL.md": "hello"}},
        )
        adopt(cluster, kubectl)
        yield kubectl


def _gate_status(kubectl: Kubectl, pod: Object) -> int:
    """Runs a pod's gate where the claim is attached: two pods on two nodes would wait for each other's disk."""
    pod["spec"]["nodeName"] = kubectl.get("pod", "adoption")["spec"]["nodeName"]
    name = pod["metadata"]["name"]
    kubectl.apply(pod)
    status = observing.ending(kubectl, name, objects.GATE).status
    kubectl("delete", "pod", name, "--wait=false")
    return status


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_gate_tells_what_is_mounted(case: Case, prepared: Kubectl) -> None:
    assert _gate_status(prepared, objects.pod(case.name, case.volume, mount=case.mount)) == case.status


def test_a_gate_that_needs_only_to_read_passes_a_read_only_claim(prepared: Kubectl) -> None:
    assert _gate_status(prepared, objects.pod("reading", CLAIM, mount={"readOnly": True}, writable="false")) == 0


@pytest.fixture
def disks(cluster: Cluster, kubectl: Kubectl) -> Iterator[NodeDisks]:
    if not cluster.own:
        pytest.skip("prepares a disk on the node: only where the cluster's nodes are this machine")
    with node_disks(LAYOUT.state / "node-disks" / kubectl.namespace) as made:
        yield made
        # The kubelet must have let go of a device before it can be taken away.
        kubectl("delete", "pods", "--all", "--timeout=180s")
        kubectl("delete", "pvc", "--all", "--timeout=180s")
        kubectl("delete", "pv", kubectl.namespace, "--timeout=180s")


def _mounted_by_the_node(disks: NodeDisks, fstype: str) -> Object:
    return {"local": {"path": str(disks.mounted("disk", fstype))}}


def _mounted_by_the_kubelet(disks: NodeDisks, fstype: str) -> Object:
    return {"local": {"path": disks.device("disk", fstype), "fsType": fstype}}


@pytest.mark.parametrize("fstype", ["ext4", "xfs"])
@pytest.mark.parametrize("source", [_mounted_by_the_node, _mounted_by_the_kubelet], ids=lambda make: make.__name__[1:])
def test_a_claim_on_a_device_of_its_own_passes_once_adopted(
    source: Callable[[NodeDisks, str], Object], fstype: str, disks: NodeDisks, kubectl: Kubectl
) -> None:
    kubectl.apply(*local_volume("local", kubectl.namespace, source(disks, fstype)))
    volume = objects.of_claim("local")
    kubectl.apply(objects.task("adoption", volume, objects.upload("acme", "reports", 10), objects.guard("adopt")))
    observing.wait_succeeded(kubectl, "adoption")
    kubectl.apply(objects.pod("guarded", volume))

    assert observing.ending(kubectl, "guarded", objects.GATE).status == 0
    (passed,) = kubectl.events("guarded", objects.GATE)
    assert (passed["kind"], passed["fstype"], passed["files"]) == ("block", fstype, 10)


def test_a_device_that_is_not_mounted_on_the_node_is_refused_though_the_claim_is_bound_and_no_event_says_so(
    disks: NodeDisks, kubectl: Kubectl
) -> None:
    point = disks.mounted("disk", "ext4")
    kubectl.apply(*local_volume("local", kubectl.namespace, {"local": {"path": str(point)}}))
    volume = objects.of_claim("local")
    kubectl.apply(objects.task("adoption", volume, objects.upload("acme", "reports", 10), objects.guard("adopt")))
    observing.wait_succeeded(kubectl, "adoption")
    kubectl("delete", "pod", "adoption")
    disks.unmount(point)

    kubectl.apply(objects.pod("guarded", volume))

    assert observing.ending(kubectl, "guarded", objects.GATE).status == 12
    assert kubectl.get("pvc", "local")["status"]["phase"] == "Bound"
    reasons = {event["reason"] for event in kubectl.every("events", fieldSelector="involvedObject.name=guarded")}
    assert not {reason for reason in reasons if "Mount" in reason or "Volume" in reason}


def test_a_folder_of_the_node_s_disk_passes_only_where_node_disk_is_allowed(disks: NodeDisks, kubectl: Kubectl) -> None:
    kubectl.apply(*local_volume("local", kubectl.namespace, {"local": {"path": str(disks.directory("folder"))}}))
    volume = objects.of_claim("local")
    adopting = objects.guard("adopt")
    objects.set_environment(adopting, {"kinds": "node-disk"})
    kubectl.apply(objects.task("adoption", volume, adopting))
    observing.wait_succeeded(kubectl, "adoption")

    kubectl.apply(objects.pod("refused", volume), objects.pod("allowed", volume, kinds="block,node-disk"))

    assert observing.ending(kubectl, "refused", objects.GATE).status == 12
    assert observing.ending(kubectl, "allowed", objects.GATE).status == 0
