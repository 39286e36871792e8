"""k8s/backup/, offline: image, privileges, volume and exit statuses are those of the program and the gate."""

import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # kubernetes-validate brings it
import pytest
import yaml

from guard import __version__
from guard.backup.__main__ import parser
from guard.backup.result import Result
from guard.backup.retention import Policy
from guard.outcome import RETRYABLE, Outcome

MANIFESTS = Path(__file__).parents[2] / "k8s"
BACKUP = MANIFESTS / "backup"
#: The containers that run restic, each with what it is asked to do.
PROGRAMS = ("backup.yaml", "jobs/init.yaml", "jobs/restore.yaml", "drill.yaml")
IMAGES = (*PROGRAMS, "jobs/restic.yaml")
Object = dict[str, Any]

_NAMES = {"type": "object", "additionalProperties": {"type": "string"}}
#: What the CustomResourceDefinitions of the external snapshotter allow, as far as it is used here.
SNAPSHOT_SCHEMAS: dict[str, Object] = {
    "VolumeSnapshotClass": {
        "properties": {
            "driver": {"type": "string"},
            "deletionPolicy": {"enum": ["Delete", "Retain"]},
            "parameters": _NAMES,
        },
        "required": ["driver", "deletionPolicy"],
    },
    "VolumeSnapshot": {
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "volumeSnapshotClassName": {"type": "string"},
                    "source": {
                        "type": "object",
                        "properties": {
                            "persistentVolumeClaimName": {"type": "string"},
                            "volumeSnapshotContentName": {"type": "string"},
                        },
                        "minProperties": 1,
                        "maxProperties": 1,
                        "additionalProperties": False,
                    },
                },
                "required": ["source"],
                "additionalProperties": False,
            }
        },
        "required": ["spec"],
    },
}


def objects(name: str) -> list[Object]:
    return [one for one in yaml.safe_load_all((BACKUP / name).read_text()) if one]


def job_of(one: Object) -> Object:
    spec: Object = one["spec"]
    return spec["jobTemplate"]["spec"] if one["kind"] == "CronJob" else spec


def pod_of(name: str) -> Object:
    (one,) = objects(name)
    pod: Object = one["spec"] if one["kind"] == "Pod" else job_of(one)["template"]["spec"]
    return pod


def container_of(name: str) -> Object:
    (container,) = pod_of(name)["containers"]
    found: Object = container
    return found


def settings_of(container: Object) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def application() -> Object:
    (deployment,) = (one for one in yaml.safe_load_all((MANIFESTS / "deployment.yaml").read_text()) if one)
    pod: Object = deployment["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize("name", IMAGES)
def test_a_backup_container_is_of_this_version_and_has_no_privilege(name: str) -> None:
    container, pod = container_of(name), pod_of(name)
    assert container["image"].endswith(f"/volume-guard-backup:{__version__}")
    assert container["securityContext"] == application()["initContainers"][0]["securityContext"]
    assert "cpu" not in container["resources"]["limits"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["restartPolicy"] == "Never"
    secrets = [one for one in pod["volumes"] if "secret" in one]
    assert [one["secret"]["defaultMode"] for one in secrets] == [0o400]
    assert "RESTIC_PASSWORD" not in settings_of(container), "the password is a file, not a variable"


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_program_takes_the_arguments_of_its_manifest(name: str) -> None:
    container = container_of(name)
    words = [*container.get("command", ()), *container["args"]]
    given = words[words.index("guard.backup") + 1 :]
    wanted = parser().parse_args(given)
    if wanted.command == "archive":
        assert words[:2] == ["check", "--"], "the gate is in the same container: it judges the mount that is archived"
        Policy(wanted.keep_within, wanted.keep_last)


@pytest.mark.parametrize("name", ["backup.yaml", "jobs/restore.yaml"])
def test_backup_and_restore_work_on_the_application_s_volume_at_its_path_by_its_name(name: str) -> None:
    gate = application()["initContainers"][0]
    container = container_of(name)
    wanted, found = settings_of(gate), settings_of(container)
    for setting in ("GUARD_VOLUME", "GUARD_PATH", "GUARD_KINDS"):
        assert found[setting] == wanted[setting]
    (mount,) = (one for one in container["volumeMounts"] if one["name"] == "skills-storage")
    assert mount == {**gate["volumeMounts"][0], **({"readOnly": True} if name == "backup.yaml" else {})}
    assert application()["volumes"][0] in pod_of(name)["volumes"]


@pytest.mark.parametrize("name", IMAGES)
def test_every_container_of_the_backup_opens_the_same_repository(name: str) -> None:
    container, wanted = container_of(name), container_of("backup.yaml")
    for setting in ("RESTIC_REPOSITORY", "RESTIC_PASSWORD_FILE"):
        assert settings_of(container)[setting] == settings_of(wanted)[setting]
    for volume in ("repository", "password", "temporary"):
        (mount,), (same,) = (
            [one for one in box["volumeMounts"] if one["name"] == volume] for box in (container, wanted)
        )
        assert mount == same
        (source,), (same,) = (
            [one for one in pod_of(each)["volumes"] if one["name"] == volume] for each in (name, "backup.yaml")
        )
        assert source == same


def test_the_backup_s_gate_enforces_and_follows_the_disk() -> None:
    settings, pod = settings_of(container_of("backup.yaml")), pod_of("backup.yaml")
    assert (settings["GUARD_ENFORCE"], settings["GUARD_WRITABLE"], settings["GUARD_WAIT"]) == ("true", "false", "0s")
    (term,) = pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    (deployment,) = (one for one in yaml.safe_load_all((MANIFESTS / "deployment.yaml").read_text()) if one)
    assert term["labelSelector"] == deployment["spec"]["selector"]


@pytest.mark.parametrize("name", ["backup.yaml", "drill.yaml", "snapshots/snapshots.yaml"])
def test_a_schedule_has_a_time_zone_a_deadline_and_never_two_at_once(name: str) -> None:
    (cron,) = (one for one in objects(name) if one["kind"] == "CronJob")
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    assert cron["spec"]["timeZone"]
    assert cron["spec"]["startingDeadlineSeconds"] > 0
    assert job_of(cron)["activeDeadlineSeconds"] > 0


#: Every Job beside the application; a pod in which a person works for hours stays off spot nodes (VG223).
BESIDE = sorted(
    str(path.relative_to(MANIFESTS))
    for path in (*MANIFESTS.glob("jobs/*.yaml"), *BACKUP.rglob("*.yaml"))
    if path.name not in {"mover.yaml", "restic.yaml", "repository.yaml", "claim.yaml", "class.yaml", "volsync.yaml"}
)


@pytest.mark.parametrize("name", BESIDE)
def test_what_works_beside_the_application_may_run_where_it_may_and_waits_for_the_disk_no_longer_than_so(
    name: str,
) -> None:
    found = [one for one in yaml.safe_load_all((MANIFESTS / name).read_text()) if one]
    (one,) = (one for one in found if one["kind"] in {"CronJob", "Job"})
    pod = job_of(one)["template"]["spec"]
    assert job_of(one)["activeDeadlineSeconds"] > 0
    assert pod["tolerations"] == pod_of("backup.yaml")["tolerations"]
    spot = yaml.safe_load((MANIFESTS / "kustomize/overlays/gke-spot/spot.yaml").read_text())
    assert pod["tolerations"] == spot["spec"]["template"]["spec"]["tolerations"]


@pytest.mark.parametrize("name", ["backup.yaml", "jobs/restore.yaml", "drill.yaml", "snapshots/snapshots.yaml"])
def test_a_job_fails_at_once_on_exactly_what_another_try_cannot_change(name: str) -> None:
    (one,) = (one for one in objects(name) if one["kind"] in {"CronJob", "Job"})
    job = job_of(one)
    fail, ignore = job["podFailurePolicy"]["rules"]
    final = {outcome.status for outcome in Outcome if 2 <= outcome.status < 40 and outcome not in RETRYABLE}
    final |= {Outcome.MARKER_MISSING.status, Outcome.DATA_LOST.status}  # repaired by a person, not by another try
    results = {result.status for result in Result if result is not Result.OK and not result.value.again}
    pod = job["template"]["spec"]
    guarded = name != "drill.yaml"
    program = name != "snapshots/snapshots.yaml"
    assert set(fail["onExitCodes"]["values"]) == (final if guarded else set()) | (results if program else set())
    assert fail["action"] == "FailJob"
    names = [box["name"] for box in [*pod.get("initContainers", ()), *pod["containers"]]]
    assert fail["onExitCodes"]["containerName"] == names[0]
    assert ignore == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def test_no_status_of_the_backup_is_one_of_the_guard_s() -> None:
    theirs = {outcome.status for outcome in Outcome}
    own = [result.status for result in Result if result not in {Result.OK, Result.USAGE}]
    assert not theirs & set(own)
    assert len(set(own)) == len(own)
    assert max(own) < 126


def test_the_page_lists_every_status_with_its_name() -> None:
    page = (BACKUP / "README.md").read_text()
    listed = dict(re.findall(r"^\| (\d+) \| ([a-z-]+) \|", page, re.MULTILINE))
    assert listed == {str(result.status): result.label for result in Result if result.status >= 50}


def test_nothing_that_the_page_tells_to_wait_for_is_waited_for_without_end_or_used_before_it_is_there() -> None:
    lines = [line.strip() for line in (BACKUP / "README.md").read_text().splitlines() if line.startswith("    kubectl")]
    assert all("--timeout=" in line for line in lines if line.startswith("kubectl wait"))
    first = next(number for number, line in enumerate(lines) if line.startswith("kubectl exec"))
    assert "--for=condition=Ready" in lines[first - 1]


def test_the_snapshots_follow_the_gate_and_only_one_container_has_the_token() -> None:
    (cron,) = (one for one in objects("snapshots/snapshots.yaml") if one["kind"] == "CronJob")
    pod = job_of(cron)["template"]["spec"]
    (gate,) = pod["initContainers"]
    (snapshot,) = pod["containers"]
    assert gate["args"] == ["check"]
    assert settings_of(gate)["GUARD_ENFORCE"] == "true"
    assert pod["automountServiceAccountToken"] is False
    assert [box["name"] for box in (gate, snapshot) if any(one["name"] == "token" for one in box["volumeMounts"])] == [
        "snapshot"
    ]
    (role,) = (one for one in objects("snapshots/snapshots.yaml") if one["kind"] == "Role")
    assert [(rule["resources"], rule["verbs"]) for rule in role["rules"]] == [(["volumesnapshots"], ["create"])]


def test_the_snapshot_objects_are_what_the_snapshotter_takes() -> None:
    (config,) = (one for one in objects("snapshots/snapshots.yaml") if one["kind"] == "ConfigMap")
    made = yaml.safe_load(config["data"]["snapshot.yaml"])
    classes = objects("snapshots/class.yaml")
    assert [made["kind"], *(one["kind"] for one in classes)] == ["VolumeSnapshot", "VolumeSnapshotClass"]
    for one in (made, *classes):
        schema = SNAPSHOT_SCHEMAS[one["kind"]]
        known = {"apiVersion": {"const": "snapshot.storage.k8s.io/v1"}, "kind": {}, "metadata": {"type": "object"}}
        jsonschema.validate(
            one, {**schema, "properties": {**known, **schema["properties"]}, "additionalProperties": False}
        )
    assert made["spec"]["volumeSnapshotClassName"] == classes[0]["metadata"]["name"]
    assert made["spec"]["source"]["persistentVolumeClaimName"] == "claude-skills-storage"
