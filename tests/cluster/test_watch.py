"""The watcher as a native sidecar beside the application: its order, what it says of a wipe, and its silence."""

import json
import time
from collections.abc import Callable
from datetime import datetime

import pytest

from tests.cluster import objects, observing
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.waiting import wait_until

#: A wipe that is over is reported after GUARD_SETTLE. How soon is a figure at the end of the run, not a verdict: two cores
#: start other pods meanwhile.
SOON = 60.0
#: How long the application updates its skills in the test of silence.
CHURN = 60
ALARMS = {"WARNING", "ERROR", "CRITICAL"}


@pytest.fixture
def application(kubectl: Kubectl, adopted_claim: Object) -> str:
    """The name of the pod of k8s/deployment.yaml on an adopted claim, with its watcher at work."""
    kubectl.apply(objects.deployment(adopted_claim, wait="0s"))
    name: str = observing.wait_application(kubectl)["metadata"]["name"]
    observing.wait_event(kubectl, name, objects.WATCHER, "watch.started")
    return name


def _inside(kubectl: Kubectl, pod: str, *command: str) -> None:
    done = kubectl.execute(pod, objects.APPLICATION, *command)
    assert done.returncode == 0, done.stderr


def _wipe(kubectl: Kubectl, pod: str) -> float:
    """Removes everything that `rm -rf PATH/*` removes; when it was over."""
    _inside(kubectl, pod, "sh", "-c", f"rm -rf {objects.PATH}/*")
    return time.time()


def _reset(kubectl: Kubectl, pod: str) -> float:
    """Removes everything, and fills the volume with as many default files; when it was over."""
    defaults = "for file in $(seq 100); do echo default > $file; done"
    _inside(
        kubectl,
        pod,
        "sh",
        "-c",
        f"rm -rf {objects.PATH}/*; mkdir {objects.PATH}/defaults; cd {objects.PATH}/defaults; {defaults}",
    )
    return time.time()


def test_the_watcher_starts_before_the_application_ends_after_it_and_with_status_0(
    kubectl: Kubectl, adopted_claim: Object
) -> None:
    deployment = objects.deployment(adopted_claim, wait="0s")
    template = deployment["spec"]["template"]
    # What has ended stays to be read until the finalizer is taken off.
    template["metadata"]["finalizers"] = ["volume-guard/read"]
    template["spec"]["terminationGracePeriodSeconds"] = 20
    (application,) = template["spec"]["containers"]
    application["lifecycle"] = {"preStop": {"exec": {"command": ["sleep", "3"]}}}
    kubectl.apply(deployment)
    pod = observing.wait_application(kubectl)
    name = pod["metadata"]["name"]
    assert _moment(pod, objects.WATCHER, "running", "startedAt") <= _moment(
        pod, objects.APPLICATION, "running", "startedAt"
    )

    kubectl("delete", "deployment", "claude-skills", "--wait=false")

    def ended() -> Object | None:
        seen = kubectl.get("pod", name)
        states = [observing.container_status(seen, one)["state"] for one in (objects.WATCHER, objects.APPLICATION)]
        return seen if all("terminated" in state for state in states) else None

    try:
        last = wait_until("the end of both containers", ended, observing.START)
    finally:
        kubectl("patch", "pod", name, "--type=merge", f"--patch={json.dumps({'metadata': {'finalizers': None}})}")
    assert observing.container_status(last, objects.WATCHER)["state"]["terminated"]["exitCode"] == 0
    assert _moment(last, objects.WATCHER, "terminated", "finishedAt") >= _moment(
        last, objects.APPLICATION, "terminated", "finishedAt"
    )


def test_a_reset_to_defaults_is_reported_blocks_the_restart_and_is_over_once_accepted(
    kubectl: Kubectl, application: str, figure: Callable[[str], None]
) -> None:
    over = _reset(kubectl, application)
    wiped = observing.wait_event(kubectl, application, objects.WATCHER, "volume.wiped", SOON)
    assert wiped["severity"] == "CRITICAL"
    assert (wiped["before"], wiped["after"], wiped["replaced"]) == (100, 100, True)
    assert "volume.recovered" not in [line["event"] for line in kubectl.events(application, objects.WATCHER)]
    figure(
        f"wipe told {datetime.fromisoformat(wiped['time']).timestamp() - over:.1f} s after `kubectl exec rm` was over"
    )

    kubectl("delete", "pod", application, "--wait=false")

    def blocked() -> Object | None:
        pods = [pod for pod in observing.application_pods(kubectl) if pod["metadata"]["name"] != application]
        return pods[0] if len(pods) == 1 else None

    new = wait_until("the next pod", blocked, observing.START)["metadata"]["name"]
    assert observing.ending(kubectl, new, objects.GATE).status == 30
    assert observing.never_started(kubectl.get("pod", new), objects.APPLICATION)

    accept = objects.task("accept", objects.of_claim("adopted"), objects.guard("accept"))
    # The refused pod holds the disk on its node: elsewhere this one would wait for it.
    accept["spec"]["nodeName"] = kubectl.get("pod", new)["spec"]["nodeName"]
    kubectl.apply(accept)
    observing.wait_succeeded(kubectl, "accept")
    observing.wait_application(kubectl)


def test_a_volume_that_is_restored_is_said_to_be_and_the_restart_passes(kubectl: Kubectl, application: str) -> None:
    _inside(kubectl, application, "cp", "-a", objects.PATH, "/var/tmp/copy")
    _wipe(kubectl, application)
    wiped = observing.wait_event(kubectl, application, objects.WATCHER, "volume.wiped", SOON)
    _inside(kubectl, application, "sh", "-c", f"cp -a /var/tmp/copy/* {objects.PATH}")
    recovered = observing.wait_event(kubectl, application, objects.WATCHER, "volume.recovered", SOON)
    operation = "logging.googleapis.com/operation"
    assert recovered[operation]["id"] == wiped[operation]["id"]

    kubectl("delete", "pod", application)

    new = observing.wait_application(kubectl)["metadata"]["name"]
    (passed,) = kubectl.events(new, objects.GATE)
    assert (passed["event"], passed["files"], passed["last_pod"]) == ("volume.ok", 100, application)


def test_the_application_s_own_updates_for_a_minute_raise_no_alarm(kubectl: Kubectl, application: str) -> None:
    before = time.time()
    done = kubectl.execute(application, objects.APPLICATION, "python", "/app/skills.py", "churn", str(CHURN))
    assert done.returncode == 0, done.stderr
    assert time.time() - before >= CHURN
    assert int(done.stdout) > CHURN, "less than an upload a second is no load"

    lines = kubectl.events(application, objects.WATCHER)
    assert lines
    assert [line for line in lines if line["severity"] in ALARMS] == []


def test_the_sidecar_at_rest_holds_no_more_memory_than_it_requests(
    kubectl: Kubectl, application: str, figure: Callable[[str], None]
) -> None:
    pod = kubectl.get("pod", application)
    (watcher,) = [one for one in pod["spec"]["initContainers"] if one["name"] == objects.WATCHER]
    requested = int(watcher["resources"]["requests"]["memory"].removesuffix("Mi"))

    def seen() -> int | None:
        summary = json.loads(kubectl("get", "--raw", f"/api/v1/nodes/{pod['spec']['nodeName']}/proxy/stats/summary"))
        for one in summary["pods"]:
            for container in one.get("containers", []) if one["podRef"]["name"] == application else []:
                if container["name"] == objects.WATCHER and container.get("memory", {}).get("workingSetBytes"):
                    return int(container["memory"]["workingSetBytes"]) >> 20
        return None

    held = wait_until("the kubelet's figure", seen, 60)
    figure(f"sidecar at rest as the kubelet sees it: {held} MiB; requested: {requested} MiB")
    assert held <= requested


def _moment(pod: Object, container: str, state: str, field: str) -> datetime:
    moment: str = observing.container_status(pod, container)["state"][state][field]
    return datetime.fromisoformat(moment)
