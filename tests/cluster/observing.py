"""What became of pods: reads the API server's objects, waits for what is expected, decides nothing."""

from dataclasses import dataclass

from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.waiting import wait_until

#: A pod that starts takes one or two seconds; its disk has to be made, attached and mounted first; two cores do it all,
#: for several tests at a time, one of which may have closed a node.
START = 180.0


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a container ended: its exit status and its termination message."""

    status: int
    message: str


def container_status(pod: Object, container: str) -> Object:
    """A container's part of a pod's status; empty before the kubelet has seen the pod."""
    status = pod["status"]
    for one in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        if one["name"] == container:
            found: Object = one
            return found
    return {}


def ending(kubectl: Kubectl, pod: str, container: str, seconds: float = START) -> CommandResult:
    """How a container ended, now or the last time."""

    def look() -> CommandResult | None:
        status = container_status(kubectl.get("pod", pod), container)
        for state in (status.get("state", {}), status.get("lastState", {})):
            if "terminated" in state:
                return CommandResult(state["terminated"]["exitCode"], state["terminated"].get("message", ""))
        return None

    return wait_until(f"the end of {container} in {pod}", look, seconds)


def wait_ready(kubectl: Kubectl, pod: str, seconds: float = START) -> Object:
    """Waits until a pod is Ready, and returns it."""
    return wait_until(f"pod {pod} Ready", lambda: _if_ready(kubectl.get("pod", pod)), seconds)


def wait_application(kubectl: Kubectl, seconds: float = START, app: str = "claude-skills") -> Object:
    """Waits until the Deployment's pod is Ready, alone, and returns it."""

    def look() -> Object | None:
        pods = application_pods(kubectl, app)
        return _if_ready(pods[0]) if len(pods) == 1 else None

    return wait_until(f"one Ready pod of {app}", look, seconds)


def wait_gate(kubectl: Kubectl, seconds: float = START, app: str = "claude-skills") -> Object:
    """Waits until the gate of the Deployment's only pod runs, and returns the pod."""

    def look() -> Object | None:
        pods = application_pods(kubectl, app)
        running = len(pods) == 1 and "running" in container_status(pods[0], "volume-guard-gate").get("state", {})
        return pods[0] if running else None

    return wait_until(f"a pod of {app} whose gate runs", look, seconds)


def application_pods(kubectl: Kubectl, app: str = "claude-skills") -> list[Object]:
    """The Deployment's pods."""
    return kubectl.every("pods", labelSelector=f"app={app}")


def wait_succeeded(kubectl: Kubectl, pod: str, seconds: float = START) -> None:
    """Waits until a pod that runs to its end has; a pod that fails is told with its containers' states."""

    def look() -> bool:
        seen = kubectl.get("pod", pod)["status"]
        assert seen["phase"] != "Failed", (seen.get("initContainerStatuses"), seen.get("containerStatuses"))
        return bool(seen["phase"] == "Succeeded")

    wait_until(f"pod {pod} Succeeded", look, seconds)


def wait_complete(kubectl: Kubectl, job: str, seconds: float = START) -> None:
    """Waits until a Job is complete."""
    wait_until(f"Job {job} complete", lambda: kubectl.get("job", job).get("status", {}).get("succeeded"), seconds)


def wait_event(kubectl: Kubectl, pod: str, container: str, event: str, seconds: float = START) -> Object:
    """Waits for the guard's first log line of this event: a container that has just restarted has none yet."""

    def look() -> Object | None:
        return next((line for line in kubectl.events(pod, container) if line["event"] == event), None)

    return wait_until(f"{event} in the log of {container} in {pod}", look, seconds)


def never_started(pod: Object, container: str) -> bool:
    """Whether a container has not started once in this pod."""
    status = container_status(pod, container)
    return (
        not status.get("started")
        and status["restartCount"] == 0
        and "lastState" in status
        and not status["lastState"]
        and status["state"].get("waiting", {}).get("reason") == "PodInitializing"
    )


def _if_ready(pod: Object) -> Object | None:
    conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
    leaving = "deletionTimestamp" in pod["metadata"]
    return pod if conditions.get("Ready") == "True" and not leaving else None
