"""The alerts on what kube-state-metrics says: the real one, of a real cluster, in a real Prometheus."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.cluster import images, objects, observing
from tests.cluster.conftest import LAYOUT, Cluster, adopt, namespace
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.state import kube_state_metrics
from tests.cluster.waiting import wait_until
from tests.monitoring.alerts import EXPRESSIONS
from tests.monitoring.server import Prometheus, Target
from tests.monitoring.wrapping import RULES

#: A change reaches the API server, kube-state-metrics and Prometheus one after the other.
SOON = 60.0


@dataclass(frozen=True, slots=True)
class Stage:
    """What was set up, and who tells of it."""

    kubectl: Kubectl
    prometheus: Prometheus

    def told(self, alert: str) -> list[Mapping[str, str]]:
        """The labels of what the alert's expression holds for, in this namespace."""
        samples = self.prometheus.query(EXPRESSIONS[alert])
        return [one.labels for one in samples if one.labels.get("namespace") == self.kubectl.namespace]

    def names(self, alert: str, label: str) -> set[str]:
        return {labels[label] for labels in self.told(alert)}


@pytest.fixture(scope="module")
def stage(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A guarded application, and beside it all that the alerts are for."""
    folder = tmp_path_factory.mktemp("prometheus")
    with namespace(cluster, "alerts") as kubectl:
        volume = adopt(cluster, kubectl)
        kubectl("delete", "pod", "adoption", "--wait=true")
        kubectl.apply(objects.deployment(volume, wait="0s"))
        application = observing.wait_application(kubectl)
        _set_up(cluster, kubectl)
        with (
            kube_state_metrics(LAYOUT, kubectl, folder) as state,
            Prometheus(folder, [state, _watcher(application)], RULES) as prometheus,
        ):
            wait_until("kube-state-metrics", lambda: prometheus.query("kube_pod_owner"), SOON)
            yield Stage(kubectl, prometheus)


def _watcher(pod: Object) -> Target:
    """What the PodMonitor finds: the port named guard of the pod."""
    labels = {"namespace": pod["metadata"]["namespace"], "pod": pod["metadata"]["name"], "container": objects.WATCHER}
    return Target("dev/volume-guard", f"{pod['status']['podIP']}:9808", labels)


def _set_up(cluster: Cluster, kubectl: Kubectl) -> None:
    kubectl.apply(
        objects.pod("refused", None),
        _with_watcher(objects.pod("unheard", {"emptyDir": {}}, kinds="any", enforce="false")),
        *_idle(cluster),
        _with_ephemeral_volume(cluster),
        _cron_job("failing-backup", "false"),
        _cron_job("working-backup", "true"),
        _cron_job("suspended-backup", "true", suspend=True),
        _cron_job("failing-restore-drill", "false"),
        _cron_job("failing-report", "false"),
    )
    for name in ("failing-backup", "working-backup", "failing-restore-drill", "failing-report"):
        kubectl("create", "job", f"{name}-1", f"--from=cronjob/{name}")
    observing.wait_succeeded(kubectl, "idle")
    kubectl("delete", "pod", "idle", "--wait=true")
    observing.ending(kubectl, "refused", objects.GATE)
    for name in ("unheard", "scratch"):
        observing.wait_ready(kubectl, name)


def _with_watcher(pod: Object) -> Object:
    (watcher,) = [
        one
        for one in objects.deployment({"emptyDir": {}})["spec"]["template"]["spec"]["initContainers"]
        if one["name"] == objects.WATCHER
    ]
    objects.set_environment(watcher, {"kinds": "any"})
    pod["spec"]["initContainers"].append(watcher)
    return pod


def _idle(cluster: Cluster) -> list[Object]:
    """A claim that was mounted once, so that it is bound, by a pod that ends."""
    return [
        objects.claim("idle", cluster.storage_class),
        objects.task("idle", objects.of_claim("idle"), objects.shell("touch", "true")),
    ]


def _with_ephemeral_volume(cluster: Cluster) -> Object:
    template = {"spec": objects.claim("x", cluster.storage_class)["spec"]}
    pod = objects.task(
        "scratch", {"ephemeral": {"volumeClaimTemplate": template}}, objects.shell("wait", "exec sleep 3600")
    )
    (volume,), (container,) = pod["spec"]["volumes"], pod["spec"]["containers"]
    volume["name"] = container["volumeMounts"][0]["name"] = "scratch"
    return pod


def _cron_job(name: str, command: str, *, suspend: bool = False) -> Object:
    """Once a year: its runs are started by hand."""
    pod = {
        "restartPolicy": "Never",
        "containers": [{"name": "run", "image": images.APPLICATION, "command": [command]}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name},
        "spec": {
            "schedule": "0 0 1 1 *",
            "suspend": suspend,
            "jobTemplate": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}},
        },
    }


def _soon(look: Callable[[], object], expected: object) -> None:
    wait_until(f"{expected}", lambda: look() == expected, SOON)


def test_a_pod_that_its_gate_refuses_is_told_and_no_other(stage: Stage) -> None:
    _soon(lambda: stage.names("VolumeGuardGateRefusing", "pod"), {"refused"})


def test_a_claim_that_no_pod_mounts_is_told_an_ephemeral_one_is_not(stage: Stage) -> None:
    _soon(lambda: stage.names("VolumeGuardClaimUnmounted", "persistentvolumeclaim"), {"idle"})
    claims = {one["metadata"]["name"] for one in stage.kubectl.every("persistentvolumeclaims")}
    assert claims == {"adopted", "idle", "scratch-scratch"}


def test_a_running_pod_whose_watcher_is_not_scraped_is_told_and_no_other(stage: Stage) -> None:
    _soon(lambda: stage.names("VolumeGuardWatcherAbsent", "pod"), {"unheard"})


def test_the_scraped_watcher_has_nothing_to_tell(stage: Stage) -> None:
    healthy = stage.prometheus.query("volume_guard_volume_healthy")
    assert [one.value for one in healthy] == [1]
    watched = ("Wiped", "Unmounted", "Replaced", "Marker", "Unreachable", "ReadOnly", "Shrunk")
    assert [stage.told(f"VolumeGuard{name}") for name in watched] == [[]] * len(watched)


def test_a_backup_whose_newest_run_failed_is_told_and_no_other(stage: Stage) -> None:
    _soon(lambda: stage.names("VolumeGuardBackupRefused", "cronjob"), {"failing-backup"})


def test_a_drill_that_failed_is_told(stage: Stage) -> None:
    _soon(lambda: stage.names("VolumeGuardDrillFailed", "cronjob"), {"failing-restore-drill"})


def test_young_backups_are_not_too_old(stage: Stage) -> None:
    _soon(lambda: len(stage.prometheus.query("kube_cronjob_status_last_successful_time")), 1)
    assert stage.told("VolumeGuardBackupTooOld") == []


def test_a_period_is_known_of_each_backup_but_the_suspended(stage: Stage) -> None:
    """What VolumeGuardBackupTooOld compares with: without it the alert would be silent for ever."""
    scheduled = stage.prometheus.query("kube_cronjob_next_schedule_time")
    suspended = stage.prometheus.query("kube_cronjob_spec_suspend == 1")
    assert {one.labels["cronjob"] for one in scheduled} >= {"failing-backup", "working-backup"}
    assert {one.labels["cronjob"] for one in suspended} == {"suspended-backup"}
    assert "suspended-backup" not in {one.labels["cronjob"] for one in scheduled}


def test_a_held_volume_keeps_a_pod_waiting_and_is_told_as_held(stage: Stage) -> None:
    kubectl = stage.kubectl
    pod = observing.application_pods(kubectl)[0]["metadata"]["name"]
    done = kubectl.execute(pod, objects.WATCHER, "guard", "hold", "a restore")
    assert done.returncode == 0, done.stderr
    _soon(lambda: stage.names("VolumeGuardHeldTooLong", "pod"), {pod})
    kubectl("delete", "pod", pod, "--wait=true")

    def waiting() -> set[str]:
        return {one["metadata"]["name"] for one in observing.application_pods(kubectl)} & stage.names(
            "VolumeGuardHeldTooLong", "pod"
        )

    wait_until("the next pod held by its gate", waiting, 2 * SOON)
    assert stage.names("VolumeGuardGateRefusing", "pod") == {"refused"}
