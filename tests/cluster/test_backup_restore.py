"""Restores and drills on a real cluster: the application comes back with the numbers of before, or the gate says held."""

from collections.abc import Iterator

import pytest

from tests.cluster import backups, objects, observing
from tests.cluster.conftest import Cluster, namespace
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.waiting import wait_until


@pytest.fixture(scope="module")
def backed_up(cluster: Cluster) -> Iterator[Kubectl]:
    """An application with one backup of 100 files."""
    with namespace(cluster, "restore") as kubectl:
        backups.prepare(cluster, kubectl)
        assert backups.run(kubectl, backups.BACKUP, "night").condition == "Complete"
        yield kubectl


def wiped(kubectl: Kubectl) -> str:
    """Wipes the volume and replaces the application's pod, whose gate then waits; the pod's name."""
    backups.wipe(kubectl)
    before = {pod["metadata"]["name"] for pod in observing.application_pods(kubectl)}
    kubectl("rollout", "restart", "deployment/claude-skills")

    def waiting() -> str | None:
        pods = observing.application_pods(kubectl)
        names: list[str] = [pod["metadata"]["name"] for pod in pods]
        return (
            names[0]
            if len(names) == 1 and names[0] not in before and said(kubectl, names[0], "volume.waiting")
            else None
        )

    pod = wait_until("a gate that waits", waiting, observing.START)
    assert said(kubectl, pod, "volume.waiting")[0]["outcome"] == "data-lost"
    return pod


def said(kubectl: Kubectl, pod: str, event: str) -> list[Object]:
    return [line for line in kubectl.events(pod, objects.GATE) if line["event"] == event]


def test_after_a_restore_the_waiting_application_starts_and_the_gate_has_the_numbers_of_before(
    backed_up: Kubectl, cluster: Cluster
) -> None:
    pod = wiped(backed_up)

    ended = backups.run_job(backed_up, backups.manifest("jobs/restore", cluster))

    assert (ended.condition, ended.statuses) == ("Complete", (0,)), ended.lines
    assert ended.message.startswith("ok: /app/skills is restored from snapshot")
    observing.wait_ready(backed_up, pod)
    (passed,) = said(backed_up, pod, "volume.ok")
    assert (passed["files"], passed["reference_files"]) == (100, 100)


@pytest.mark.parametrize("stage", ["volume.held", "backup.restored"])
def test_a_restore_that_is_killed_leaves_the_gate_at_held_and_run_again_it_completes(
    stage: str, backed_up: Kubectl, cluster: Cluster
) -> None:
    pod = wiped(backed_up)
    restore = backups.manifest("jobs/restore", cluster)
    restore["spec"]["backoffLimit"] = 0
    backed_up("delete", "job", backups.RESTORE, "--ignore-not-found")
    backed_up.apply(restore)
    backups.kill_after(cluster, backed_up, backups.RESTORE, stage)
    killed = backups.wait_end(backed_up, backups.RESTORE)
    assert (killed.condition, killed.statuses) == ("Failed", (137,)), killed.lines

    looked = backed_up.execute(pod, objects.GATE, "guard", "check", "--wait=0s")
    assert (looked.returncode, '"outcome": "held"' in looked.stderr) == (23, True), looked.stderr
    assert observing.never_started(backed_up.get("pod", pod), objects.APPLICATION)

    ended = backups.run_job(backed_up, backups.manifest("jobs/restore", cluster))
    assert (ended.condition, ended.statuses) == ("Complete", (0,)), ended.lines
    observing.wait_ready(backed_up, pod)
    assert said(backed_up, pod, "volume.ok")[0]["files"] == 100


def test_a_restore_that_is_applied_by_mistake_leaves_a_volume_alone_that_has_its_data(
    backed_up: Kubectl, cluster: Cluster
) -> None:
    ended = backups.run_job(backed_up, backups.manifest("jobs/restore", cluster))
    assert (ended.reason, ended.statuses) == ("PodFailurePolicy", (60,))
    assert ended.message.startswith("volume-whole")
    assert "hold.json" not in backups.tools(backed_up, f"ls -A {objects.PATH}/.volume-guard")

    # Held by somebody else it has its data all the same: the old claim of a migration stays held.
    backups.tools(backed_up, "guard hold 'moved to another class'")
    held = backups.run_job(backed_up, backups.manifest("jobs/restore", cluster))
    assert (held.reason, held.statuses) == ("PodFailurePolicy", (60,))
    assert "moved to another class" in backups.tools(backed_up, f"cat {objects.PATH}/.volume-guard/hold.json")
    backups.tools(backed_up, "guard release")


def test_while_the_volume_is_held_no_backup_is_made(backed_up: Kubectl, cluster: Cluster) -> None:
    before = backups.snapshots(backed_up)
    backups.tools(backed_up, "guard hold 'moving to another class'")
    night = backups.manifest("backup", cluster)
    spec = backups.job_of(night)
    spec["backoffLimit"] = 0
    ended = backups.run_job(
        backed_up, {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "held"}, "spec": spec}
    )
    backups.tools(backed_up, "guard release")
    assert (ended.statuses, ended.last["hold_reason"]) == ((23,), "moving to another class")
    assert backups.snapshots(backed_up) == before


def test_the_restore_is_refused_on_another_volume(backed_up: Kubectl, cluster: Cluster) -> None:
    restore = backups.manifest("jobs/restore", cluster)
    objects.set_environment(backups.pod_of(restore)["containers"][0], {"volume": "claude-skills-prod"})
    ended = backups.run_job(backed_up, restore)
    # No snapshot has this name either; the repository is asked first, and nothing was held.
    assert (ended.reason, ended.statuses) == ("PodFailurePolicy", (59,))
    assert "hold.json" not in backups.tools(backed_up, f"ls -A {objects.PATH}/.volume-guard")


def test_a_drill_takes_the_last_good_snapshot_and_catches_one_that_does_not_restore(backed_up: Kubectl) -> None:
    good = backups.run(backed_up, backups.DRILL, "drill-good")
    assert (good.condition, good.last["event"], good.last["files"]) == ("Complete", "backup.drilled", 100), good.lines

    # Made by somebody without a gate, of an empty folder.
    backups.tools(backed_up, f"restic backup -q --host {objects.VOLUME} --exclude '{objects.PATH}/*' {objects.PATH}")
    passed_over = backups.run(backed_up, backups.DRILL, "drill-passed-over")
    assert (passed_over.condition, passed_over.last["files"]) == ("Complete", 100), passed_over.lines

    backups.tools(backed_up, "restic forget -q latest; rm -f $(find /repository/data -type f)")
    gone = backups.run(backed_up, backups.DRILL, "drill-gone")
    assert (gone.reason, gone.statuses) == ("PodFailurePolicy", (57,)), gone.lines
    assert gone.message.startswith("drill-differs")
