"""k8s/backup/others: a tar by hand and VolSync's mover, behind the gate. What was wiped or came empty becomes no backup."""

import copy
from functools import partial

import pytest
import yaml

from tests.cluster import images, objects, observing, policies
from tests.cluster.conftest import Cluster
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.waiting import wait_until

pytestmark = pytest.mark.usefixtures("admission_policies")

OTHERS = objects.MANIFESTS / "backup" / "others"
ARCHIVES, DATA = "skills-backup-storage", "claude-skills-storage"
#: What VolSync's mover has beside the data.
CACHE = {"name": "cache", **objects.of_claim(ARCHIVES)}


def _tar_job(name: str, claim: str) -> Object:
    """A Job of the CronJob, with images that are to be had here, wherever its disk is."""
    job = copy.deepcopy(objects.manifest("backup/others/tar.yaml")["spec"]["jobTemplate"])
    spec = job["spec"]["template"]["spec"]
    del spec["affinity"]
    spec["containers"][0]["image"] = images.APPLICATION
    for volume in spec["volumes"]:
        if volume["persistentVolumeClaim"]["claimName"] == DATA:
            volume["persistentVolumeClaim"]["claimName"] = claim
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, **job}


def _mover(parameters: Object, labels: dict[str, str]) -> Object:
    """A pod as VolSync's mover is, as far as the gate is concerned; it lists the data."""
    data = parameters["data"]
    mounts = [{"name": "data", "mountPath": data["path"]}, {"name": "cache", "mountPath": "/cache"}]
    container = {
        "name": data["containers"],
        "image": images.APPLICATION,
        "command": ["ls", "/data"],
        "volumeMounts": mounts,
    }
    volumes = [{"name": "data", **objects.of_claim(data["claim"])}, CACHE]
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container], "volumes": volumes}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "mover", "labels": labels}, "spec": spec}


def _failed(kubectl: Kubectl, job: str) -> bool:
    conditions = kubectl.get("job", job).get("status", {}).get("conditions", [])
    return any((one["type"], one["status"]) == ("Failed", "True") for one in conditions)


def test_others_back_up_what_the_gate_passes_and_neither_a_wiped_claim_nor_one_that_came_empty(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    parameters, source = yaml.safe_load_all((OTHERS / "volsync.yaml").read_text())
    del parameters["metadata"]["namespace"]
    archives = {
        "name": "archives",
        "image": images.APPLICATION,
        "command": ["sh", "-c", "tar -tzf /app/skills/*.gz; ls /app/skills"],
    }
    fill = (objects.upload("acme", "reports", 20), objects.upload("beta", "letters", 20), objects.guard("adopt"))
    claims = [objects.claim(name, cluster.storage_class) for name in (DATA, ARCHIVES, "arrived-empty")]
    kubectl.apply(*claims, objects.task("adoption", objects.of_claim(DATA), *fill))
    observing.wait_succeeded(kubectl, "adoption")

    kubectl.apply(_tar_job("good", DATA))
    observing.wait_complete(kubectl, "good")
    wipe = objects.shell("wipe", f"rm -rf {objects.PATH}/acme {objects.PATH}/beta")
    kubectl.apply(objects.task("wipe", objects.of_claim(DATA), wipe))
    observing.wait_succeeded(kubectl, "wipe")
    kubectl.apply(_tar_job("wiped", DATA), _tar_job("empty", "arrived-empty"))
    with policies.protected(kubectl, parameters):
        kubectl.apply(_mover(parameters, source["spec"]["restic"]["moverPodLabels"]))
        assert observing.ending(kubectl, "mover", objects.GATE).status == 30
        assert observing.never_started(kubectl.get("pod", "mover"), "restic")
    for job, status in (("wiped", 30), ("empty", 20)):
        wait_until(f"{job} failed", partial(_failed, kubectl, job), observing.START)
        (pod,) = kubectl.every("pods", labelSelector=f"job-name={job}")
        assert observing.container_status(pod, "volume-guard")["state"]["terminated"]["exitCode"] == status
    kubectl.apply(objects.task("archives", objects.of_claim(ARCHIVES), archives))
    observing.wait_succeeded(kubectl, "archives")

    listed = kubectl.log("archives", "archives").split()
    assert len([name for name in listed if name.endswith(".tar.gz")]) == 1
    assert "./acme/reports/SKILL.md" in listed
    assert not [name for name in listed if ".volume-guard" in name or name.endswith(".part")]
