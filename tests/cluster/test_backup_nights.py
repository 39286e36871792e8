"""A week of nightly backups on a real cluster; then the wipe, and everything else that a night can meet."""

from collections.abc import Callable, Iterator

import pytest

from tests.cluster import backups, objects, observing
from tests.cluster.conftest import Cluster, namespace
from tests.cluster.kubectl import Kubectl, Object


@pytest.fixture(scope="module")
def week(cluster: Cluster) -> Iterator[Kubectl]:
    """An application whose backups were made for a week."""
    with namespace(cluster, "backup-week") as kubectl:
        backups.prepare(cluster, kubectl)
        for night in range(1, 8):
            pod = observing.wait_application(kubectl)["metadata"]["name"]
            words = ("python", "/app/skills.py", "upload", "acme", f"night-{night}", "10")
            uploaded = kubectl.execute(pod, objects.APPLICATION, *words)
            assert uploaded.returncode == 0, uploaded.stderr
            ended = backups.run(kubectl, backups.BACKUP, f"night-{night}")
            assert (ended.condition, ended.statuses, ended.events()) == ("Complete", (0,), backups.NIGHT)
            assert ended.lines[1]["files_new"] == (110 if night == 1 else 10)
        yield kubectl


def test_each_night_leaves_a_snapshot_and_the_gate_s_numbers_are_in_the_same_log(week: Kubectl) -> None:
    files = [one["summary"]["total_files_processed"] for one in backups.snapshots(week)]
    assert files == [110, 120, 130, 140, 150, 160, 170]
    assert {one["hostname"] for one in backups.snapshots(week)} == {objects.VOLUME}


def test_a_wrong_volume_fails_at_once_and_one_that_cannot_be_reached_is_tried_again(
    week: Kubectl, cluster: Cluster
) -> None:
    before = backups.snapshots(week)
    wrong = single_job(cluster, "wrong", lambda box: objects.set_environment(box, {"volume": "claude-skills-prod"}))
    ended = backups.run_job(week, wrong)
    assert (ended.condition, ended.reason, ended.statuses) == ("Failed", "PodFailurePolicy", (21,))
    assert ended.message.startswith("volume-guard refused this start (exit 21, marker-mismatch)")

    # A uid that may not enter the volume's root: what EACCES means to any network file system's client, too.
    backups.tools(week, f"chmod 0700 {objects.PATH}")
    other = {"runAsUser": 12345, "runAsGroup": 12345, "runAsNonRoot": True}
    unreachable = single_job(cluster, "unreachable", lambda box: box["securityContext"].update(other))
    ended = backups.run_job(week, unreachable)
    assert (ended.condition, ended.reason, ended.statuses) == ("Failed", "BackoffLimitExceeded", (15, 15))
    backups.tools(week, f"chmod 0755 {objects.PATH}")
    assert backups.snapshots(week) == before


def test_two_runs_at_once_both_archive_and_leave_the_repository_whole(week: Kubectl) -> None:
    before = len(backups.snapshots(week))
    for name in ("one", "other"):
        backups.start(week, backups.BACKUP, name)
    for name in ("one", "other"):
        ended = backups.wait_end(week, name)
        assert ended.condition == "Complete", ended.lines
    assert len(backups.snapshots(week)) == before + 2
    backups.tools(week, "restic check --no-lock --read-data")


def test_a_full_repository_fails_the_night_and_keeps_every_snapshot_until_there_is_room(week: Kubectl) -> None:
    before = backups.snapshots(week)
    backups.tools(
        week,
        "dd if=/dev/zero of=/repository/filler bs=1M 2>/dev/null || true; head -c 300K /dev/urandom > /app/skills/acme/large",
    )
    ended = backups.run(week, backups.BACKUP, "full")
    assert (ended.condition, ended.reason) == ("Failed", "BackoffLimitExceeded")
    assert set(ended.statuses) == {54}
    assert "no space left on device" in ended.message
    assert backups.snapshots(week) == before
    backups.tools(week, "rm /repository/filler")
    assert backups.run(week, backups.BACKUP, "room-again").condition == "Complete"


def test_after_a_wipe_every_run_is_refused_and_every_good_snapshot_stays(week: Kubectl) -> None:
    before = backups.snapshots(week)
    backups.wipe(week)
    for night in range(1, 4):
        ended = backups.run(week, backups.BACKUP, f"wiped-{night}")
        assert (ended.condition, ended.reason, ended.statuses) == ("Failed", "PodFailurePolicy", (30,))
        assert ended.events() == ["volume.refused"]
        assert ended.message.startswith("volume-guard refused this start (exit 30, data-lost)")
    assert backups.snapshots(week) == before


def single_job(cluster: Cluster, name: str, change: Callable[[Object], None]) -> Object:
    """One night as a Job that is tried twice, with another container."""
    night = backups.with_words(backups.manifest("backup", cluster), "--settle=0s")
    spec = backups.job_of(night)
    spec["backoffLimit"] = 1
    change(spec["template"]["spec"]["containers"][0])
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}
