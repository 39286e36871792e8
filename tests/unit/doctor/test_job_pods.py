"""Pods of Jobs: a dump may list pods and no jobs, and such a pod is never the application."""

import copy
import io
import json
from pathlib import Path
from typing import Any

import pytest

from guard.doctor.command import Options, run
from guard.doctor.finding import Severity
from tests.unit.doctor.bodies import load

K8S = Path(__file__).parents[3] / "k8s"
BACKUP = K8S / "backup"
APPLICATION = (K8S / "deployment.yaml", K8S / "pvc.yaml", BACKUP / "repository.yaml", BACKUP / "backup.yaml")
OWN = sorted((*(K8S / "jobs").glob("*.yaml"), *(BACKUP / "jobs").glob("*.yaml")))
JOBS = [file for file in OWN if "kind: Job" in file.read_text()]


def bodies_of(*files: Path) -> list[dict[str, Any]]:
    loaded = load(tuple(map(str, files)))
    return [copy.deepcopy(dict(kube.body)) for kube in loaded.objects]


def live(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "metadata": {**body["metadata"], "uid": f"u-{body['metadata']['name']}"}}


def pod_of(job: dict[str, Any], phase: str) -> dict[str, Any]:
    name = job["metadata"]["name"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": "j", "controller": True}
    metadata = {"name": f"{name}-x2x4z", "namespace": "dev", "ownerReferences": [owner]}
    return live(
        {"kind": "Pod", "metadata": metadata, "spec": job["spec"]["template"]["spec"], "status": {"phase": phase}}
    )


def found(*bodies: dict[str, Any]) -> list[str]:
    _, said = run(Options(("-",), output="json"), io.BytesIO(json.dumps(bodies).encode()))
    return [f"{one['rule']}: {one['message']}" for one in json.loads(said)["findings"]]


@pytest.mark.parametrize("phase", ["Pending", "Running"])
@pytest.mark.parametrize("file", JOBS, ids=lambda file: file.stem)
def test_a_pod_of_this_projects_jobs_without_its_job_gives_no_finding(file: Path, phase: str) -> None:
    (job,) = (body for body in bodies_of(file) if body["kind"] == "Job")
    assert found(*map(live, bodies_of(*APPLICATION)), pod_of(job, phase)) == []


def test_a_jobs_pod_that_empties_the_volume_first_is_judged_as_its_job_is() -> None:
    mount = {"name": "v", "mountPath": "/app/skills"}
    box = {"name": "a", "image": "a", "command": ["sh", "-c", "rm -rf /app/skills/*"], "volumeMounts": [mount]}
    spec = {"containers": [box], "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}
    job = {"kind": "Job", "metadata": {"name": "restore", "namespace": "dev"}, "spec": {"template": {"spec": spec}}}
    assert found(pod_of(job, "Running")) == found(live(job)) == []


def test_the_claim_that_a_jobs_pod_waits_for_is_still_looked_for() -> None:
    spec = {"containers": [], "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "gone"}}]}
    job = {"metadata": {"name": "backup"}, "spec": {"template": {"spec": spec}}}
    about = {"kind": "Pod", "namespace": "dev", "name": "backup-x2x4z"}
    event = {
        "kind": "Event",
        "metadata": {"name": "e", "uid": "e"},
        "involvedObject": about,
        "message": 'claim "gone" not found',
    }
    assert found(pod_of(job, "Pending"), event)[0].startswith("VG201: claim gone does not exist")


def test_a_workload_of_the_guards_containers_alone_is_no_application() -> None:
    box = {
        "name": "guard",
        "image": "volume-guard:1",
        "args": ["watch"],
        "env": [{"name": "GUARD_VOLUME", "value": "v"}],
    }
    spec = {"template": {"spec": {"containers": [box]}}}
    deployment = {"kind": "Deployment", "metadata": {"name": "guard", "namespace": "dev"}, "spec": spec}
    _, said = run(Options(("-",), output="json"), io.BytesIO(json.dumps([live(deployment)]).encode()))
    assert {one["rule"] for one in json.loads(said)["findings"] if one["severity"] == Severity.ERROR.value} == set()
    assert json.loads(said)["checklist"] == []


def test_beside_the_guards_containers_alone_a_single_workload_is_not_taken_for_the_application() -> None:
    bodies = [live(body) for body in bodies_of(BACKUP / "jobs" / "mover.yaml", BACKUP / "jobs" / "restic.yaml")]
    _, said = run(Options(("-",), output="json"), io.BytesIO(json.dumps(bodies).encode()))
    assert json.loads(said)["checklist"] == []
