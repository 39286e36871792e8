"""k8s/backup on the test cluster: what is applied, one run of it, what it left. Decides nothing."""

import json
import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import objects, observing
from tests.cluster.conftest import Cluster
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.waiting import wait_until

BACKUP, DRILL, INIT, RESTORE = (
    "claude-skills-backup",
    "claude-skills-restore-drill",
    "claude-skills-backup-init",
    "claude-skills-restore",
)
DATA, REPOSITORY, SECRET = "claude-skills-storage", "claude-skills-backup", "claude-skills-backup"
TOOLS = "tools"
#: What a good night says, in order.
NIGHT = ["volume.ok", "backup.archived", "backup.compared", "backup.checked", "backup.forgotten"]
#: A run starts a pod, and restic derives its key a dozen times: seconds each, on two cores that do everything else too.
RUN = 240.0


@dataclass(frozen=True, slots=True)
class Run:
    """How a Job ended.

    Attributes:
        condition: Complete or Failed.
        reason: Of the condition.
        statuses: The exit status of each of its pods, the oldest first; 137 where it was killed.
        lines: The log lines of its last pod.
        message: The termination message of its last pod.
    """

    condition: str
    reason: str
    statuses: tuple[int, ...]
    lines: list[Object]
    message: str

    def events(self) -> list[str]:
        """What its lines are about, less what restic says."""
        return [line["event"] for line in self.lines if line["event"] != "backup.engine"]

    @property
    def last(self) -> Object:
        """The line that says how it ended."""
        return self.lines[-1]


def manifest(name: str, cluster: Cluster) -> Object:
    """A manifest of k8s/backup for a namespace of the test's own; a CronJob runs only when a test says so."""
    loaded: Object = yaml.safe_load((objects.MANIFESTS / "backup" / f"{name}.yaml").read_text())
    del loaded["metadata"]["namespace"]
    if loaded["kind"] == "CronJob":
        loaded["spec"]["suspend"] = True
    for volume in pod_of(loaded)["volumes"]:
        if "ephemeral" in volume:
            template = volume["ephemeral"]["volumeClaimTemplate"]["spec"]
            template["storageClassName"] = cluster.storage_class
            template["resources"]["requests"]["storage"] = "64Mi"
    if name in {"backup", "jobs/restore", "drill"}:
        pod_of(loaded)["containers"][0]["args"].append("--lock-wait=1s")
    return loaded


def job_of(one: Object) -> Object:
    """The Job's spec in a Job or CronJob."""
    spec: Object = one["spec"]
    return spec["jobTemplate"]["spec"] if one["kind"] == "CronJob" else spec


def pod_of(one: Object) -> Object:
    """The pod's spec in a Job or CronJob."""
    spec: Object = job_of(one)["template"]["spec"]
    return spec


def with_words(one: Object, *words: str) -> Object:
    """The same with more arguments for the program."""
    pod_of(one)["containers"][0]["args"] += words
    return one


def prepare_application(cluster: Cluster, kubectl: Kubectl) -> None:
    """The application on an adopted claim."""
    kubectl.apply(
        objects.claim(DATA, cluster.storage_class),
        objects.task(
            "adoption", objects.of_claim(DATA),
            objects.upload("acme", "reports", 40), objects.upload("beta", "letters", 60), objects.guard("adopt"),
        ),
    )  # fmt: skip
    observing.wait_succeeded(kubectl, "adoption")
    kubectl("delete", "pod", "adoption", "--wait=false")
    kubectl.apply(objects.deployment(objects.of_claim(DATA), without=(objects.WATCHER,), wait="10m"))
    observing.wait_application(kubectl)


def prepare(cluster: Cluster, kubectl: Kubectl) -> None:
    """The application, a repository made as k8s/backup/README.md says, and a pod with tools."""
    prepare_application(cluster, kubectl)
    kubectl("create", "secret", "generic", SECRET, "--from-literal=RESTIC_PASSWORD=correct horse battery staple")
    kubectl.apply(objects.claim(REPOSITORY, cluster.storage_class), manifest("jobs/init", cluster))
    assert wait_end(kubectl, INIT).condition == "Complete"
    kubectl.apply(_tools(manifest("backup", cluster)))
    observing.wait_ready(kubectl, TOOLS)
    kubectl.apply(with_words(manifest("backup", cluster), "--settle=0s"), manifest("drill", cluster))


def _tools(backup: Object) -> Object:
    """A pod beside the application, placed and privileged as the backup, in which a test asks restic, wipes and damages."""
    spec = pod_of(backup)
    container = spec["containers"][0]
    container |= {"name": TOOLS, "command": ["sleep", "infinity"], "args": []}
    for mount in container["volumeMounts"]:
        mount.pop("readOnly", None)
    spec |= {"terminationGracePeriodSeconds": 1, "restartPolicy": "Always"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": TOOLS}, "spec": spec}


def tools(kubectl: Kubectl, script: str) -> str:
    """Runs shell lines in the pod with tools; stops at the first that fails."""
    done = kubectl.execute(TOOLS, TOOLS, "sh", "-euc", script)
    assert done.returncode == 0, f"{script}: {done.stderr}"
    return done.stdout


def snapshots(kubectl: Kubectl) -> list[dict[str, Any]]:
    """What the repository has, the oldest first."""
    found: list[dict[str, Any]] = json.loads(tools(kubectl, "restic snapshots --json --no-lock"))
    return sorted(found, key=lambda one: one["time"])


def start(kubectl: Kubectl, cronjob: str, name: str) -> None:
    """Starts one run of a CronJob, as a person does."""
    kubectl("create", "job", f"--from=cronjob/{cronjob}", name)


def run(kubectl: Kubectl, cronjob: str, name: str) -> Run:
    """One run of a CronJob to its end."""
    start(kubectl, cronjob, name)
    return wait_end(kubectl, name)


def run_job(kubectl: Kubectl, job: Object) -> Run:
    """Runs a Job again, to its end."""
    name = job["metadata"]["name"]
    kubectl("delete", "job", name, "--ignore-not-found")
    kubectl.apply(job)
    return wait_end(kubectl, name)


def wait_end(kubectl: Kubectl, job: str) -> Run:
    """Waits for a Job's end."""

    def look() -> Object | None:
        conditions = kubectl.get("job", job).get("status", {}).get("conditions", [])
        ended = (one for one in conditions if one["type"] in {"Complete", "Failed"} and one["status"] == "True")
        return next(ended, None)

    condition = wait_until(f"the end of Job {job}", look, RUN)
    pods = pods_of(kubectl, job)
    container = pods[-1]["spec"]["containers"][0]["name"]
    endings = [observing.ending(kubectl, pod["metadata"]["name"], container) for pod in pods]
    lines = kubectl.events(pods[-1]["metadata"]["name"], container)
    statuses = tuple(ending.status for ending in endings)
    return Run(condition["type"], condition.get("reason", ""), statuses, lines, endings[-1].message)


def pods_of(kubectl: Kubectl, job: str) -> list[Object]:
    """A Job's pods, the oldest first."""
    pods = kubectl.every("pods", labelSelector=f"job-name={job}")
    return sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def kill_after(cluster: Cluster, kubectl: Kubectl, job: str, event: str) -> None:
    """Kills all programs of a Job's first pod once it has said something, as a node that dies does.

    Nothing in the pod can put its things in order. Its log is followed: what comes after the line may take a second only.
    """
    if not cluster.own:
        pytest.skip("kills processes of the node: only where the cluster's nodes are this machine")

    def running() -> Object | None:
        found = pods_of(kubectl, job)
        return found[0] if found and found[0]["status"]["phase"] != "Pending" else None

    pod = wait_until(f"the first pod of Job {job}", running, RUN)["metadata"]
    follow = (kubectl.program, f"--namespace={kubectl.namespace}", "logs", "--follow", pod["name"])
    with subprocess.Popen(follow, env=kubectl.environment, stdout=subprocess.PIPE, text=True) as log:
        assert log.stdout is not None
        said = next((line for line in log.stdout if f'"event": "{event}"' in line), None)
        _kill_processes(pod["uid"])
    assert said is not None, f"the pod ended without {event}"


def _kill_processes(uid: str) -> None:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if uid in (process / "cgroup").read_text() and b"/pause" not in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


def files_of(kubectl: Kubectl) -> int:
    """Files of the application's volume."""
    return int(tools(kubectl, f"find {objects.PATH} -mindepth 2 -type f -not -path '*/.volume-guard/*' | wc -l"))


def wipe(kubectl: Kubectl) -> None:
    """The application's data goes, as by rm -rf /app/skills/*."""
    tools(kubectl, f"rm -rf {objects.PATH}/*")
