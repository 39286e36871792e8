"""An application that is not root, in a namespace that enforces Pod Security "restricted": gate and all, by k8s/README.md."""

from tests.cluster import objects, observing
from tests.cluster.kubectl import Kubectl, Object

#: The application's uid and gid, which the guard takes.
USER = 1000


def _of_user(deployment: Object) -> Object:
    """The deployment as the README's table has it for an application with a uid of its own."""
    pod = deployment["spec"]["template"]["spec"]
    (gate,) = pod["initContainers"]
    pod["securityContext"] = {"fsGroup": USER}
    for container in (gate, *pod["containers"]):
        user = {"runAsUser": USER, "runAsGroup": USER, "runAsNonRoot": True}
        container["securityContext"] = {**gate["securityContext"], **user}
    return deployment


def test_gate_and_application_as_one_uid_adopt_and_pass_where_restricted_is_enforced(
    kubectl: Kubectl, new_claim: Object
) -> None:
    kubectl("label", "namespace", kubectl.namespace, "pod-security.kubernetes.io/enforce=restricted")
    kubectl.apply(_of_user(objects.deployment(new_claim, without=(objects.WATCHER,), wait="10m")))
    pod = observing.wait_gate(kubectl)["metadata"]["name"]

    adopted = kubectl.execute(pod, objects.GATE, "guard", "adopt")

    assert adopted.returncode == 0, adopted.stderr
    observing.wait_ready(kubectl, pod)
    assert kubectl.events(pod, objects.GATE)[-1]["event"] == "volume.ok"


def test_the_incident_s_root_application_and_its_guard_meet_baseline(kubectl: Kubectl, adopted_claim: Object) -> None:
    kubectl("label", "namespace", kubectl.namespace, "pod-security.kubernetes.io/enforce=baseline")
    kubectl.apply(objects.deployment(adopted_claim, without=(objects.WATCHER,), wait="0s"))

    observing.wait_application(kubectl)
