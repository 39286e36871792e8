"""A claim gets its marker: by kubectl exec into the waiting gate, by the Job, and while the application runs already."""

import pytest

from tests.cluster import objects, observing
from tests.cluster.conftest import Cluster
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.waiting import wait_until

GATE_ALONE = (objects.WATCHER,)


def job(name: str, claim: str) -> Object:
    """A Job of k8s/jobs on another claim."""
    made = objects.manifest(f"jobs/{name}.yaml")
    del made["metadata"]["namespace"]
    made["spec"]["template"]["spec"]["volumes"] = [{"name": objects.POD_VOLUME, **objects.of_claim(claim)}]
    return made


def run_job(kubectl: Kubectl, made: Object) -> list[Object]:
    """Runs a Job anew until it is complete; the guard's log lines."""
    name = made["metadata"]["name"]
    kubectl("delete", "job", name, "--ignore-not-found")
    kubectl.apply(made)
    observing.wait_complete(kubectl, name)
    (pod,) = kubectl.every("pods", labelSelector=f"job-name={name}")
    return kubectl.events(pod["metadata"]["name"], "volume-guard")


def test_a_gate_on_a_new_claim_waits_says_the_line_that_adopts_it_and_that_line_starts_the_application(
    kubectl: Kubectl, new_claim: Object
) -> None:
    kubectl.apply(objects.deployment(new_claim, without=GATE_ALONE, wait="10m"))
    pod = observing.wait_gate(kubectl)["metadata"]["name"]
    waiting = observing.wait_event(kubectl, pod, objects.GATE, "volume.waiting")
    line = f"kubectl exec -n {kubectl.namespace} {pod} -c {objects.GATE} -- guard adopt"
    assert waiting["outcome"] == "marker-missing"
    assert line in waiting["message"]
    assert waiting["remedy"] == [line]
    assert observing.never_started(kubectl.get("pod", pod), objects.APPLICATION)

    adopted = kubectl.attempt(*line.split()[1:])

    # The container of a gate that ends takes along what still runs in it: 137.
    assert adopted.returncode == 0, adopted.stderr
    observing.wait_ready(kubectl, pod)
    assert kubectl.events(pod, objects.GATE)[-1]["event"] == "volume.ok"


def test_the_adoption_job_starts_the_application_and_changes_nothing_when_it_runs_again(
    kubectl: Kubectl, new_claim: Object
) -> None:
    kubectl.apply(objects.deployment(new_claim, without=GATE_ALONE, wait="10m"))
    observing.wait_gate(kubectl)

    first = run_job(kubectl, job("adopt", "new"))
    assert [line["event"] for line in first] == ["volume.adopted"]
    pod = observing.wait_application(kubectl)["metadata"]["name"]

    marker = kubectl.execute(pod, objects.APPLICATION, "cat", f"{objects.PATH}/.volume-guard/marker.json").stdout
    again = run_job(kubectl, job("adopt", "new"))
    assert (
        marker == kubectl.execute(pod, objects.APPLICATION, "cat", f"{objects.PATH}/.volume-guard/marker.json").stdout
    )
    assert ["nothing was written" in line["message"] for line in again] == [True]


def test_the_guard_is_added_to_a_running_application_with_data_and_removed_again(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    kubectl.apply(objects.claim("used", cluster.storage_class))
    used = objects.of_claim("used")
    unguarded = objects.deployment(used, without=(objects.GATE, objects.WATCHER))
    kubectl.apply(unguarded)
    before = observing.wait_application(kubectl)["metadata"]["name"]
    for skill in ("reports", "letters"):
        uploaded = kubectl.execute(
            before, objects.APPLICATION, "python", "/app/skills.py", "upload", "acme", skill, "25"
        )
        assert uploaded.returncode == 0, uploaded.stderr

    # Observe: the gate says what it would refuse, and the application starts.
    kubectl.apply(objects.deployment(used, without=GATE_ALONE, enforce="false", wait="0s"))
    observing_pod = _replacement(kubectl, before)
    (said,) = kubectl.events(observing_pod, objects.GATE)
    assert (said["event"], said["outcome"]) == ("volume.refused", "marker-missing")

    # Adopt, beside the running application.
    adopted = run_job(kubectl, job("adopt", "used"))
    assert [(line["event"], line["files"]) for line in adopted] == [("volume.adopted", 50)]

    # Enforce: the pass says that everything is there.
    kubectl.apply(objects.deployment(used, without=GATE_ALONE, enforce="true", wait="0s"))
    enforcing_pod = _replacement(kubectl, observing_pod)
    (passed,) = kubectl.events(enforcing_pod, objects.GATE)
    assert (passed["event"], passed["files"], passed["reference_files"]) == ("volume.ok", 50, 50)

    # And removed: only its folder is left.
    kubectl.apply(unguarded)
    last = _replacement(kubectl, enforcing_pod)
    assert observing.container_status(kubectl.get("pod", last), objects.GATE) == {}


def test_accepting_by_the_job_or_by_kubectl_exec_starts_an_application_whose_loss_was_meant(
    kubectl: Kubectl, adopted_claim: Object
) -> None:
    wiped = objects.task("wipe", adopted_claim, objects.shell("wipe", f"rm -rf {objects.PATH}/*"))
    kubectl.apply(wiped)
    observing.wait_succeeded(kubectl, "wipe")
    kubectl.apply(objects.deployment(adopted_claim, without=GATE_ALONE, wait="10m"))
    pod = observing.wait_gate(kubectl)["metadata"]["name"]
    waiting = observing.wait_event(kubectl, pod, objects.GATE, "volume.waiting")
    assert (waiting["outcome"], waiting["files"], waiting["reference_files"]) == ("data-lost", 0, 100)

    accepted = kubectl.execute(pod, objects.GATE, "guard", "accept")
    assert accepted.returncode == 0, accepted.stderr
    observing.wait_ready(kubectl, pod)

    assert [line["event"] for line in run_job(kubectl, job("accept", "adopted"))] == ["volume.accepted"]


@pytest.mark.parametrize(("status", "retried"), [(21, False), (15, True)], ids=["wrong-volume", "unreachable"])
def test_the_check_job_fails_at_once_on_a_wrong_volume_and_tries_again_on_an_unreachable_one(
    status: int, *, retried: bool, kubectl: Kubectl, adopted_claim: Object
) -> None:
    made = job("check", "adopted")
    made["spec"]["backoffLimit"] = 1
    container = made["spec"]["template"]["spec"]["containers"][0]
    if retried:
        # A uid that may not enter the volume's root: what EACCES means to any network file system's client, too.
        kubectl.apply(objects.task("close", adopted_claim, objects.shell("close", f"chmod 0700 {objects.PATH}")))
        observing.wait_succeeded(kubectl, "close")
        container["securityContext"].update(runAsUser=12345, runAsGroup=12345, runAsNonRoot=True)
    else:
        objects.set_environment(container, {"volume": "claude-skills-prod"})
    kubectl.apply(made)

    def failed() -> Object | None:
        conditions = kubectl.get("job", "volume-guard-check").get("status", {}).get("conditions", [])
        return next((one for one in conditions if one["type"] == "Failed" and one["status"] == "True"), None)

    reason = wait_until("the Job's failure", failed, observing.START)["reason"]
    pods = kubectl.every("pods", labelSelector="job-name=volume-guard-check")
    endings = [observing.ending(kubectl, pod["metadata"]["name"], "volume-guard").status for pod in pods]
    if retried:
        assert (reason, endings) == ("BackoffLimitExceeded", [status, status])
    else:
        assert (reason, endings) == ("PodFailurePolicy", [status])


def _replacement(kubectl: Kubectl, before: str) -> str:
    """The name of the Ready pod that has replaced another."""

    def look() -> str | None:
        name: str = observing.wait_application(kubectl)["metadata"]["name"]
        return name if name != before else None

    return wait_until("the rollout", look, observing.START)
