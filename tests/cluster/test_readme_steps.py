"""The README's five minutes, followed to the letter: observe, adopt, enforce, on an application that already has data."""

from tests.cluster import images, objects, observing
from tests.cluster.conftest import Cluster
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.waiting import wait_until
from tests.unit.readme_deployment import deployment


def test_who_follows_the_readme_observes_adopts_and_enforces_without_losing_the_application(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    used = objects.of_claim("used")
    kubectl.apply(
        objects.claim("used", cluster.storage_class),
        objects.task("before", used, objects.upload("acme", "reports", 30)),
    )
    observing.wait_succeeded(kubectl, "before")
    deployed = deployment("used", images.APPLICATION)

    kubectl.apply(deployed)
    observed = observing.wait_application(kubectl)["metadata"]["name"]
    said = observing.wait_event(kubectl, observed, objects.GATE, "volume.refused")
    assert said["outcome"] == "marker-missing"
    observing.wait_event(kubectl, observed, objects.WATCHER, "marker.missing")

    adopted = kubectl("exec", observed, f"--container={objects.WATCHER}", "--", "guard", "adopt")
    assert adopted == ""
    assert kubectl.execute(observed, objects.WATCHER, "guard", "check", "--wait", "0").returncode == 0
    recovered = observing.wait_event(kubectl, observed, objects.WATCHER, "volume.recovered")
    assert recovered["reference_files"] == 30

    gate, watcher = deployed["spec"]["template"]["spec"]["initContainers"]
    for container in (gate, watcher):
        container["env"] = [entry for entry in container["env"] if entry["name"] != "GUARD_ENFORCE"]
    kubectl.apply(deployed)

    def enforced() -> Object | None:
        pods = [pod for pod in observing.application_pods(kubectl) if pod["metadata"]["name"] != observed]
        return pods[0] if len(pods) == 1 else None

    wait_until("the pod of the next rollout", enforced, observing.START)
    passed = observing.wait_application(kubectl)["metadata"]["name"]
    said = observing.wait_event(kubectl, passed, objects.GATE, "volume.ok")
    assert (said["files"], said["last_pod"]) == (30, observed)
