"""The objects that the tests apply, made from the manifests in k8s/. Nothing is applied here."""

import copy
import json
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import images
from tests.cluster.kubectl import Object

MANIFESTS = Path(__file__).parents[2] / "k8s"
GATE, WATCHER, APPLICATION = "volume-guard-gate", "volume-guard-watch", "claude-skills"
PATH = "/app/skills"
VOLUME = "claude-skills-dev"
#: Its name in spec.volumes.
POD_VOLUME = "skills-storage"


def manifest(name: str) -> Object:
    """A manifest that holds one object."""
    loaded: Object = yaml.safe_load((MANIFESTS / name).read_text())
    return loaded


def as_json(one: Object) -> str:
    """An object as kubectl reads it from standard input."""
    return json.dumps(one)


def claim(name: str, storage_class: str | None, mode: str = "ReadWriteOnce") -> Object:
    """A claim of the class; of the cluster's default class where None."""
    spec: Object = {"accessModes": [mode], "resources": {"requests": {"storage": "64Mi"}}}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def of_claim(name: str, **more: Any) -> Object:
    """A pod's volume that is a claim's."""
    return {"persistentVolumeClaim": {"claimName": name, **more}}


def deployment(volume: Object | None, *, without: tuple[str, ...] = (), **settings: str) -> Object:
    """k8s/deployment.yaml with another volume, less the named guard containers, and with settings for the gate.

    Args:
        volume: The source in spec.volumes; None leaves volume and mounts out, as the incident's Deployment did.
        without: Names of init containers that are left out.
        settings: GUARD_ settings of the gate, by the part of their name after it, in lower case.
    """
    deployed = manifest("deployment.yaml")
    del deployed["metadata"]["namespace"]
    spec = deployed["spec"]["template"]["spec"]
    spec["terminationGracePeriodSeconds"] = 5
    spec["containers"][0]["readinessProbe"] |= {"initialDelaySeconds": 0, "periodSeconds": 1}
    spec["initContainers"] = [one for one in spec["initContainers"] if one["name"] not in without]
    spec["volumes"] = [] if volume is None else [{"name": POD_VOLUME, **volume}]
    for container in [*spec["initContainers"], *spec["containers"]]:
        if volume is None:
            container["volumeMounts"] = []
        if container["name"] == GATE:
            set_environment(container, settings)
    return deployed


def pod(name: str, volume: Object | None, *, mount: Object | None = None, **settings: str) -> Object:
    """The pod of k8s/deployment.yaml with the gate alone; its gate doesn't wait unless told to.

    Args:
        name: The pod's name.
        volume: As for `deployment`.
        mount: More fields of the volumeMounts, or others.
        settings: As for `deployment`.
    """
    spec = deployment(volume, without=(WATCHER,), **{"wait": "0s", **settings})["spec"]["template"]["spec"]
    spec["terminationGracePeriodSeconds"] = 1
    for container in [*spec["initContainers"], *spec["containers"]]:
        for mounted in container["volumeMounts"]:
            mounted.update(mount or {})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def guarding_itself(name: str, volume: Object | None) -> Object:
    """The pod of k8s/deployment.yaml whose application's image brings the guard, and nothing before it."""
    itself = pod(name, volume)
    itself["spec"]["initContainers"] = []
    (application,) = itself["spec"]["containers"]
    application["image"] = images.GUARDED_APPLICATION
    set_environment(application, {"volume": VOLUME, "wait": "0s"})
    return itself


def with_directory_check(pod_or_deployment: Object) -> Object:
    """The same with the team's own check in the gate's place."""
    checked = copy.deepcopy(pod_or_deployment)
    (gate,) = [one for one in _spec(checked)["initContainers"] if one["name"] == GATE]
    mounts = gate["volumeMounts"]
    gate.clear()
    gate.update(
        name="verify-volume", image=images.APPLICATION, command=["sh", "-c", f"[ -d {PATH} ]"], volumeMounts=mounts
    )
    return checked


def task(name: str, volume: Object, *containers: Object) -> Object:
    """A pod that runs containers one after the other, each with the volume, and ends."""
    mounts = [{"name": POD_VOLUME, "mountPath": PATH}]
    *first, last = [{**container, "volumeMounts": mounts} for container in containers]
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "volumes": [{"name": POD_VOLUME, **volume}],
        "initContainers": first,
        "containers": [last],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def upload(tenant: str, skill: str, files: int) -> Object:
    """A container in which the application stores a skill."""
    name = f"upload-{tenant}-{skill}"
    return {"name": name, "image": images.APPLICATION, "args": ["upload", tenant, skill, str(files)]}


def shell(name: str, script: str) -> Object:
    """A container that runs a script as root."""
    return {"name": name, "image": images.APPLICATION, "command": ["sh", "-c", script]}


def guard(command: str, volume: str = VOLUME) -> Object:
    """A container that runs a command of the guard, as root: the application's uid."""
    return {
        "name": f"guard-{command}",
        "image": images.GUARD,
        "args": [command],
        "env": [{"name": "GUARD_VOLUME", "value": volume}],
        "securityContext": {"runAsUser": 0, "runAsGroup": 0},
    }


def set_environment(container: Object, settings: dict[str, str]) -> None:
    """Sets GUARD_ variables of a container."""
    environment = {entry["name"]: entry for entry in container.get("env", [])}
    for name, value in settings.items():
        variable = f"GUARD_{name.upper()}"
        environment[variable] = {"name": variable, "value": value}
    container["env"] = list(environment.values())


def _spec(pod_or_deployment: Object) -> Object:
    spec: Object = pod_or_deployment["spec"]
    return spec["template"]["spec"] if pod_or_deployment["kind"] == "Deployment" else spec
