"""Claims: what backs them up, their classes, and the annotations on them."""

from typing import Any

import pytest

from tests.unit.doctor.bodies import (
    CLAIM,
    Body,
    as_file,
    bare,
    claim,
    cron_job,
    deployment,
    findings,
    ignored,
    persistent_volume,
    stateful_set,
    storage_class,
    template,
    unknown,
    volume,
)

VELERO = "velero.io/v1"
REASON = {"volume-guard/ignore-VG211": "snapshots at the provider"}


class TestBackupSchedules:
    def schedule(self, version: str, kind: str = "Schedule", namespace: str = "backups", **spec: Any) -> Body:
        metadata = {"name": "nightly", "namespace": namespace, "uid": "n"}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}

    def is_backed_up(self, schedule: Body) -> bool:
        found = findings(deployment(), claim(), persistent_volume(policy="Delete"), schedule)
        return found != [f"VG211 pv-{CLAIM}"]

    @pytest.mark.parametrize(
        "template",
        [{}, {"includedNamespaces": ["*"]}, {"includedNamespaces": ["prod", "dev"]}, {"excludedNamespaces": ["prod"]}],
    )
    def test_a_schedule_of_velero_backs_up_the_namespaces_that_it_takes(self, template: Body) -> None:
        assert self.is_backed_up(self.schedule(VELERO, template=template))

    @pytest.mark.parametrize(
        "spec",
        [
            {"template": {"includedNamespaces": ["prod"]}},
            {"template": {"includedNamespaces": ["*"], "excludedNamespaces": ["dev"]}},
            {"paused": True},
        ],
    )
    def test_one_that_is_paused_or_for_others_does_not(self, spec: Body) -> None:
        assert not self.is_backed_up(self.schedule(VELERO, **spec))

    @pytest.mark.parametrize("kind", ["Schedule", "BackupPlan", "RecurringJob"])
    def test_a_kind_of_that_name_in_another_group_is_no_backup(self, kind: str) -> None:
        assert not self.is_backed_up(self.schedule("chaos-mesh.org/v1alpha1", kind, type="PodChaos"))

    def test_other_tools_schedules_are_known_by_their_groups(self) -> None:
        assert self.is_backed_up(self.schedule("longhorn.io/v1beta2", "RecurringJob"))
        assert self.is_backed_up(self.schedule("triliovault.trilio.io/v1", "BackupPlan"))
        assert self.is_backed_up(self.schedule("k8up.io/v1", namespace="dev"))
        assert not self.is_backed_up(self.schedule("k8up.io/v1"))


class TestUnused:
    BACKUP = claim("claude-skills-backup")
    RIGHT = (deployment(), claim())

    def test_where_no_job_was_given_a_claim_that_only_a_job_may_use_is_open(self) -> None:
        assert findings(*self.RIGHT, self.BACKUP) == []
        assert "VG204" in unknown(*self.RIGHT, self.BACKUP)

    def test_where_jobs_were_given_it_is_unused(self) -> None:
        other = cron_job(bare(), "report")
        assert "VG204 claude-skills-backup" in findings(*self.RIGHT, self.BACKUP, other)
        user = cron_job(bare(volumes=[volume("claude-skills-backup")]), "backup")
        assert "VG204 claude-skills-backup" not in findings(*self.RIGHT, self.BACKUP, user)

    def test_the_claim_that_is_meant_for_a_workload_is_unused_in_any_case(self) -> None:
        assert findings(deployment(bare()), claim()) == ["VG101 claude-skills", f"VG204 {CLAIM}"]


class TestTemplates:
    def test_a_class_that_does_not_exist_is_found_in_a_template(self) -> None:
        right, wrong = stateful_set(template()), stateful_set(template(storage_class="fast"))
        assert findings(right, storage_class()) == []
        assert findings(wrong, storage_class()) == ["VG208 skills"]

    def test_its_bound_claims_need_no_class_any_more(self) -> None:
        wrong = stateful_set(template(storage_class="fast"))
        assert findings(wrong, storage_class(), claim("data-skills-0")) == []
        assert "VG208 skills" in findings(wrong, storage_class(), claim("data-skills-0", "Pending"))


class TestAnnotations:
    def test_what_is_ignored_on_a_claim_is_so_where_its_volume_was_given(self) -> None:
        lost = persistent_volume(policy="Delete")
        assert findings(deployment(), claim(), lost) == [f"VG211 pv-{CLAIM}"]
        meant = (deployment(), claim(annotations=REASON), lost)
        assert (findings(*meant), ignored(*meant)) == ([], [f"VG211 pv-{CLAIM}"])

    def test_what_is_ignored_on_a_template_is_so_for_this_template(self) -> None:
        meant = template(storage_class=None, **{"volume-guard/ignore-VG207": "the default is right"})
        assert ignored(stateful_set(meant)) == ["VG207 skills"]
        assert ignored(stateful_set(template(storage_class=None)), as_file(stateful_set(meant))) == ["VG207 skills"]
        both = stateful_set(meant, template("more", None))
        assert ignored(both) == ["VG207 skills"]
        assert "VG207 skills" in findings(both)


def test_a_volume_that_is_deleted_with_its_claim_is_reported_once_for_file_and_cluster() -> None:
    both = (as_file(deployment()), deployment(), as_file(claim()), claim())
    assert findings(*both, persistent_volume(policy="Delete")).count(f"VG211 pv-{CLAIM}") == 1
    assert findings(*both, storage_class(reclaimPolicy="Delete")).count(f"VG211 {CLAIM}") == 1
