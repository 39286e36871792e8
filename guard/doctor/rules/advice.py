"""Parts of a fix with real names filled in. Pure."""

from guard.doctor.objects.guard_containers import applications
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.workload import Workload


def namespace(obj: K8sObject) -> str:
    """The namespace for a command; a word in capitals if the file leaves it to kubectl."""
    return obj.kubectl_namespace


def reference(obj: K8sObject) -> str:
    """An object as kubectl names it: `statefulset/db -n dev`."""
    return f"{obj.kind.lower()}/{obj.name} -n {obj.kubectl_namespace}"


def save_first(workload: Workload, path: str, container: str = "") -> str:
    """What to do before a new pod starts on another volume: the old one's data goes with it."""
    container = container or next((one.name for one in applications(workload)), "CONTAINER")
    return (
        f"Save the running pod's data first: kubectl cp {workload.kubectl_namespace}/POD:{path} ./saved -c {container}."
    )
