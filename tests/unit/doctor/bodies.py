"""Objects of a cluster in a few words each, right unless told otherwise, and what the doctor says of them."""

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guard.doctor.command import Options, run
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.loading import load as objects_of
from guard.doctor.source.document import DuplicateKey, ReadError
from guard.doctor.source.reader import read

Body = dict[str, Any]
PATH = "/app/skills"
ASKED = re.compile(r"# --path (\S+)")
CLAIM = "claude-skills-storage"


def mount(path: str = PATH, volume: str = "skills", **more: Any) -> Body:
    return {"name": volume, "mountPath": path, **more}


def volume(claim: str = CLAIM, name: str = "skills") -> Body:
    return {"name": name, "persistentVolumeClaim": {"claimName": claim}}


def env(**values: str) -> list[Body]:
    return [{"name": name, "value": value} for name, value in values.items()]


def gate(name: str = "gate", **more: Any) -> Body:
    image = "ghcr.io/uengine-oss/volume-guard:1.0"
    right = {"image": image, "args": ["check"], "env": env(GUARD_VOLUME="v"), "volumeMounts": [mount()]}
    return {"name": name, **right, **more}


def app(**more: Any) -> Body:
    return {"name": "app", "image": "example/claude-skills:1", "volumeMounts": [mount()], **more}


def pod_spec(**more: Any) -> Body:
    """The application behind its gate, on the claim."""
    return {"initContainers": [gate()], "containers": [app()], "volumes": [volume()], **more}


def bare(**more: Any) -> Body:
    """A pod without volume and gate."""
    return {"containers": [app(volumeMounts=[])], **more}


def made(kind: str, name: str, spec: Body, status: Body | None = None, **metadata: Any) -> Body:
    known = {"name": name, "namespace": "dev", "uid": f"u-{kind}-{name}", **metadata}
    return {"apiVersion": "v1", "kind": kind, "metadata": known, "spec": spec, "status": status or {}}


def deployment(pod: Body | None = None, name: str = "claude-skills", status: Body | None = None, **spec: Any) -> Body:
    right = {"replicas": 1, "strategy": {"type": "Recreate"}, "template": {"spec": pod_spec() if pod is None else pod}}
    return made("Deployment", name, {**right, **spec}, status)


def job(pod: Body, name: str, condition: str = "", **metadata: Any) -> Body:
    """A Job; with a condition, such as Complete, one that has ended."""
    status = {"conditions": [{"type": condition, "status": "True"}]} if condition else {}
    return made("Job", name, {"template": {"spec": {"restartPolicy": "Never", **pod}}}, status, **metadata)


def cron_job(pod: Body, name: str) -> Body:
    spec = {"schedule": "0 2 * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    return made("CronJob", name, spec)


def pod_of(body: Body, phase: str, suffix: str = "x", **more: Any) -> Body:
    """A pod of a Deployment."""
    name = f"{body['metadata']['name']}-7d9f"
    owner = {"kind": "ReplicaSet", "name": name, "controller": True}
    metadata = {"labels": {"pod-template-hash": "7d9f"}, "ownerReferences": [owner]}
    return made("Pod", f"{name}-{suffix}", {**body["spec"]["template"]["spec"], **more}, {"phase": phase}, **metadata)


def claim(name: str = CLAIM, phase: str = "Bound", *, mode: str = "ReadWriteOnce", **metadata: Any) -> Body:
    spec = {"accessModes": [mode], "storageClassName": "standard-rwo"}
    bound = {"volumeName": f"pv-{name}"} if phase == "Bound" else {}
    return made("PersistentVolumeClaim", name, {**spec, **bound}, {"phase": phase}, **metadata)


def storage_class(**more: Any) -> Body:
    metadata = {"name": "standard-rwo", "uid": "s"}
    return {"kind": "StorageClass", "metadata": metadata, "reclaimPolicy": "Retain", **more}


def persistent_volume(of: str = CLAIM, policy: str = "Retain") -> Body:
    metadata = {"name": f"pv-{of}", "uid": "pv"}
    spec = {"persistentVolumeReclaimPolicy": policy, "claimRef": {"namespace": "dev", "name": of}}
    return {"kind": "PersistentVolume", "metadata": metadata, "spec": spec, "status": {"phase": "Bound"}}


def stateful_set(*templates: Body, pod: Body | None = None, name: str = "skills") -> Body:
    right = {
        "containers": [app(volumeMounts=[mount(volume="data")])],
        "initContainers": [gate(volumeMounts=[mount(volume="data")])],
    }
    spec = {"replicas": 1, "template": {"spec": right if pod is None else pod}, "volumeClaimTemplates": [*templates]}
    return made("StatefulSet", name, spec)


def template(name: str = "data", storage_class: str | None = "standard-rwo", **annotations: str) -> Body:
    spec = {"accessModes": ["ReadWriteOnce"]} | ({} if storage_class is None else {"storageClassName": storage_class})
    return {"metadata": {"name": name, "annotations": annotations}, "spec": spec}


def event(about: Body, reason: str, message: str) -> Body:
    name = about["metadata"]["name"]
    subject = {"kind": about["kind"], "namespace": "dev", "name": name}
    metadata = {"name": f"{name}.1", "namespace": "dev", "uid": "e"}
    return {"kind": "Event", "metadata": metadata, "involvedObject": subject, "reason": reason, "message": message}


def as_file(body: Body) -> Body:
    """The same as its author wrote it."""
    return {**body, "metadata": {key: value for key, value in body["metadata"].items() if key != "uid"}, "status": {}}


def diagnosed(*bodies: Body, logs: tuple[Path, ...] = ()) -> Body:
    options = Options(("-",), logs=tuple(map(str, logs)), output="json")
    _, said = run(options, io.BytesIO(json.dumps(bodies).encode()))
    found: Body = json.loads(said)
    return found


def ignored(*bodies: Body) -> list[str]:
    return _names(diagnosed(*bodies)["ignored"])


def findings(*bodies: Body) -> list[str]:
    """What the doctor finds: `VG101 claude-skills`."""
    return _names(diagnosed(*bodies)["findings"])


def _names(found: list[Body]) -> list[str]:
    return [f"{one['rule']} {obj['name']}" for one in found for obj in (one["object"], *one["alike"])]


def unknown(*bodies: Body) -> set[str]:
    return {one["rule"] for one in diagnosed(*bodies)["unknown"]}


def answers(*bodies: Body, logs: tuple[Path, ...] = ()) -> dict[str, str]:
    """The checklist of the only guarded workload."""
    (checklist,) = diagnosed(*bodies, logs=logs)["checklist"]
    return {item["id"]: item["answer"] for item in checklist["items"]}


@dataclass(frozen=True)
class Loaded:
    """What was read: objects, and what could not be."""

    objects: list[K8sObject]
    errors: list[ReadError]
    skipped: list[str]
    duplicate_keys: list[tuple[DuplicateKey, str, K8sObject | None]]


def load(files: tuple[str, ...], live: tuple[str, ...] = (), stdin: bytes = b"") -> Loaded:
    given = read(files, live, io.BytesIO(stdin))
    loaded = objects_of(given.documents)
    return Loaded(loaded.objects, given.errors, [*given.skipped, *loaded.skipped], loaded.duplicate_keys)


def index_of(*files: Path) -> ObjectIndex:
    """Objects of files, with the path that the first line of one asks for (`# --path /data`)."""
    loaded = load(tuple(map(str, files)))
    asked = [ASKED.match(file.read_text()) for file in files if file.is_file()]
    path = next((match[1] for match in asked if match), "")
    return ObjectIndex(tuple(loaded.objects), path, tuple(loaded.duplicate_keys), tuple(loaded.errors))
