"""`kubectl apply -f k8s/` and the Jobs, word for word as users run them, in namespace dev."""

from collections.abc import Iterator

import pytest

from tests.cluster import objects, observing
from tests.cluster.conftest import Cluster
from tests.cluster.kubectl import Kubectl


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
    bound("delete", "namespace", "dev", "--timeout=90s")
    bound("delete", "storageclass", "standard-rwo")


def test_the_plain_files_give_an_application_that_waits_for_its_adoption_and_then_runs(dev: Kubectl) -> None:
    dev("apply", f"--filename={objects.MANIFESTS}")
    observing.wait_gate(dev)

    dev("apply", f"--filename={objects.MANIFESTS}/jobs/adopt.yaml")

    pod = observing.wait_application(dev)
    name = pod["metadata"]["name"]
    (passed,) = [line for line in dev.events(name, objects.GATE) if line["event"] == "volume.ok"]
    assert (passed["volume"], passed["kind"], passed["namespace"]) == (objects.VOLUME, "block", "dev")
    observing.wait_event(dev, name, objects.WATCHER, "watch.started")
    assert observing.container_status(dev.get("pod", name), objects.WATCHER)["restartCount"] == 0

    dev("apply", f"--filename={objects.MANIFESTS}/jobs/check.yaml", f"--filename={objects.MANIFESTS}/jobs/accept.yaml")
    for job in ("volume-guard-adopt", "volume-guard-check", "volume-guard-accept"):
        observing.wait_complete(dev, job)
