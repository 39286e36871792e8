"""A night that is killed or meets a damaged repository, on a real cluster: nothing that was kept is lost."""

from collections.abc import Iterator

import pytest

from tests.cluster import backups
from tests.cluster.conftest import Cluster, namespace
from tests.cluster.kubectl import Kubectl


@pytest.fixture(scope="module")
def backed_up(cluster: Cluster) -> Iterator[Kubectl]:
    """An application with one backup; every run reads all data back."""
    with namespace(cluster, "backup") as kubectl:
        backups.prepare(cluster, kubectl)
        night = backups.manifest("backup", cluster)
        kubectl.apply(backups.with_words(night, "--settle=0s", "--read-parts=1"))
        assert backups.run(kubectl, backups.BACKUP, "before").condition == "Complete"
        yield kubectl


@pytest.mark.parametrize("stage", ["volume.ok", "backup.archived", "backup.compared", "backup.checked"])
def test_a_run_that_is_killed_at_any_stage_is_made_up_for_by_the_next_pod(
    stage: str, cluster: Cluster, backed_up: Kubectl
) -> None:
    before = backups.snapshots(backed_up)
    job = f"killed-after-{stage.replace('.', '-')}"

    backups.start(backed_up, backups.BACKUP, job)
    backups.kill_after(cluster, backed_up, job, stage)
    ended = backups.wait_end(backed_up, job)

    assert (ended.condition, ended.statuses) == ("Complete", (137, 0)), ended.lines
    assert ended.events()[:-1] == backups.NIGHT[:-1]
    assert ended.events()[-1] in {"backup.forgotten", "backup.postponed"}
    kept = backups.snapshots(backed_up)
    assert kept[: len(before)] == before
    assert {tag for one in kept for tag in one.get("tags", ())} <= {"good"}
    backups.tools(backed_up, "restic check --no-lock --read-data")


def test_a_damaged_repository_fails_the_night_at_once_and_nothing_is_forgotten(backed_up: Kubectl) -> None:
    before = backups.snapshots(backed_up)
    backups.tools(
        backed_up,
        "pack=$(find /repository/data -type f -size +1k | head -n 1); chmod u+w $pack; "
        "printf 'rust rust rust' | dd of=$pack bs=1 seek=40 conv=notrunc 2>/dev/null; "
        # A lock that a killed run left would make the check's word uncertain.
        "restic unlock --remove-all",
    )
    ended = backups.run(backed_up, backups.BACKUP, "damaged")
    assert (ended.condition, ended.reason, ended.statuses) == ("Failed", "PodFailurePolicy", (53,))
    assert ended.message.startswith("repository-damaged")
    assert "backup.forgotten" not in ended.events()
    assert backups.snapshots(backed_up)[: len(before)] == before
