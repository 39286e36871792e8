"""The incident's application as manifests have it that know nothing of the guard. Nothing is applied here."""

from tests.cluster import images, objects
from tests.cluster.kubectl import Object

LABELS = {"app": "claude-skills"}
#: An init container of the application's own.
OWN = {"name": "migrate", "image": images.APPLICATION, "command": ["true"]}


def pod_spec(volume: Object | None, *own: Object) -> Object:
    """Its pod, with the init containers given and no others."""
    spec: Object = objects.deployment(volume, without=(objects.GATE, objects.WATCHER))["spec"]["template"]["spec"]
    spec["initContainers"] = list(own)
    return spec


def pod(spec: Object, **annotations: str) -> Object:
    """A pod of its own."""
    metadata = {"name": "claude-skills", "labels": LABELS, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _ends(spec: Object) -> Object:
    """The same for a Job: it looks at its skills, and ends."""
    (application,) = spec["containers"]
    for probe in ("readinessProbe", "livenessProbe"):
        del application[probe]
    application["command"] = ["ls", objects.PATH]
    return {**spec, "restartPolicy": "Never"}


def _template(spec: Object) -> Object:
    return {"metadata": {"labels": LABELS}, "spec": spec}


def workload(kind: str, spec: Object) -> Object:
    """A workload of a kind; those that run to an end list their skills."""
    serving: Object = {"selector": {"matchLabels": LABELS}, "template": _template(spec)}
    own: Object
    match kind:
        case "Deployment":
            group, own = "apps/v1", {**serving, "strategy": {"type": "Recreate"}}
        case "StatefulSet":
            group, own = "apps/v1", {**serving, "serviceName": "claude-skills"}
        case "Job":
            group, own = "batch/v1", {"template": _template(_ends(spec))}
        case _:
            job = {"spec": {"template": _template(_ends(spec))}}
            group, own = "batch/v1", {"schedule": "0 3 * * *", "suspend": True, "jobTemplate": job}
    return {"apiVersion": group, "kind": kind, "metadata": {"name": "claude-skills"}, "spec": own}


def init_names(one: Object) -> list[str]:
    """The init containers of a pod, as they start."""
    return [container["name"] for container in one["spec"].get("initContainers", [])]
