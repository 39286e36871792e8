"""Which workload is meant: what shows it to be the application, and what is left alone beside it."""

from typing import Any

import pytest

from guard.doctor.finding import Severity
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.workload import k8s_object
from guard.doctor.report.checklist import checklists
from guard.doctor.report.diagnosis import diagnose
from guard.doctor.source.document import Side

CLAIM = "claude-skills-storage"
PATH = "/app/skills"


def kube(kind: str, name: str, namespace: str, spec: dict[str, Any], side: Side = Side.LIVE) -> K8sObject:
    return k8s_object(
        {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}, "x.yaml", 1, side
    )


def pod(image: str, mounts: dict[str, str]) -> dict[str, Any]:
    volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in mounts]
    box = {"name": "app", "image": image, "volumeMounts": [{"name": c, "mountPath": p} for c, p in mounts.items()]}
    return {"containers": [box], "volumes": volumes}


def deployment(
    name: str,
    namespace: str = "dev",
    *,
    image: str = "example/app:1",
    mounts: dict[str, str] | None = None,
    side: Side = Side.LIVE,
) -> K8sObject:
    strategy = {"type": "Recreate"}
    return kube(
        "Deployment", name, namespace, {"strategy": strategy, "template": {"spec": pod(image, mounts or {})}}, side
    )


def claim(name: str, namespace: str = "dev", phase: str = "") -> K8sObject:
    metadata = {"name": name, "namespace": namespace}
    body = {
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": {"storageClassName": "a"},
        "status": {"phase": phase},
    }
    return k8s_object(body, "x.yaml", 1, Side.LIVE)


def cron_job(name: str, mounts: dict[str, str]) -> K8sObject:
    return kube("CronJob", name, "dev", {"jobTemplate": {"spec": {"template": {"spec": pod("restic", mounts)}}}})


def guarded(*objects: K8sObject, path: str = PATH) -> list[str]:
    return [found.full_name for found in ObjectIndex(objects, path).guarded]


def errors(*objects: K8sObject, path: str = PATH) -> list[str]:
    findings = diagnose(ObjectIndex(objects, path)).findings
    return [f"{found.rule.id} {found.finding.subject}" for found in findings if found.rule.severity is Severity.ERROR]


NGINX = deployment("web", image="nginx")


class TestUnusedClaim:
    def test_the_incident_is_found_beside_another_deployment(self) -> None:
        assert errors(deployment("claude-skills"), claim(CLAIM), NGINX) == ["VG101 Deployment dev/claude-skills"]

    @pytest.mark.parametrize("name", ["claude-skills", "claude-skills-api", "skills-server", "skills", "claude"])
    def test_a_workload_that_bears_an_unused_claims_name_is_meant(self, name: str) -> None:
        assert guarded(deployment(name), claim(CLAIM), NGINX) == [f"dev/{name}"]

    @pytest.mark.parametrize("name", ["claude-skills-frontend", "claude-bot", "web", "app-storage"])
    def test_a_workload_of_another_name_is_not_meant(self, name: str) -> None:
        assert guarded(deployment(name), claim(CLAIM), NGINX, deployment("proxy")) == []

    def test_of_several_only_the_nearest_name_is_meant(self) -> None:
        several = (deployment("skills"), deployment("claude"), deployment("claude-skills-frontend"))
        assert guarded(*several, deployment("claude-skills"), claim(CLAIM)) == ["dev/claude-skills"]

    def test_two_that_are_as_near_are_both_left_open(self) -> None:
        assert errors(deployment("skills-api"), deployment("skills-server"), claim(CLAIM), path="") == []

    @pytest.mark.parametrize("name", ["data", "app-data", "storage"])
    def test_a_claim_without_a_telling_word_shows_nothing(self, name: str) -> None:
        assert errors(NGINX, deployment("app"), claim(name), path="") == []

    def test_a_claim_of_another_namespace_shows_nothing(self) -> None:
        assert guarded(deployment("claude-skills"), claim(CLAIM, "prod"), NGINX) == []

    def test_a_claim_that_is_used_shows_nothing(self) -> None:
        user = deployment("other", mounts={CLAIM: "/srv"})
        assert guarded(deployment("claude-skills"), claim(CLAIM), user) == []

    def test_a_workload_with_a_claim_of_its_own_is_not_taken_for_one_without(self) -> None:
        own = deployment("claude-skills", mounts={"claude-skills-v2": "/srv/skills"})
        assert errors(own, claim(CLAIM), claim("claude-skills-v2"), NGINX, path="") == []

    def test_a_claim_that_only_a_backup_mounts_is_still_the_applications(self) -> None:
        backup = cron_job("claude-skills-backup", {CLAIM: PATH})
        assert guarded(deployment("claude-skills"), claim(CLAIM), backup, NGINX) == ["dev/claude-skills"]

    def test_a_jobs_own_claim_is_the_jobs(self) -> None:
        job = cron_job("skills-index", {"skills-index-cache": "/cache"})
        assert guarded(deployment("skills"), claim("skills-index-cache"), job, NGINX) == []

    def test_a_claim_of_a_statefulset_that_was_not_given_shows_nothing(self) -> None:
        assert guarded(deployment("claude-skills-api"), claim("data-claude-skills-0"), NGINX) == []

    def test_beside_one_that_shows_the_path_a_claims_name_counts_for_the_same_image_only(self) -> None:
        right = deployment("claude-skills", image="r/skills:1", mounts={CLAIM: PATH})
        index = deployment("skills-index", image="r/index:1"), claim("skills-index-cache")
        tenant = deployment("acme-skills", image="r/skills:2@sha256:0"), claim("acme-skills-storage")
        assert guarded(right, claim(CLAIM), *index, *tenant) == ["dev/claude-skills", "dev/acme-skills"]

    def test_names_without_a_word_of_the_path_count_where_there_is_one_of_them(self) -> None:
        wiki = deployment("wiki"), claim("wiki-data")
        assert guarded(*wiki, NGINX, path="/data") == ["dev/wiki"]
        assert guarded(*wiki, deployment("grafana"), claim("grafana"), path="/data") == []
        assert guarded(*wiki, deployment("claude-skills"), claim(CLAIM)) == ["dev/claude-skills"]

    def test_pods_whose_controller_was_not_given_bear_its_name(self) -> None:
        owner = {"kind": "ReplicaSet", "name": "claude-skills-7d9f", "controller": True}
        metadata = {"namespace": "dev", "labels": {"pod-template-hash": "7d9f"}, "ownerReferences": [owner]}
        pods = [
            k8s_object({"kind": "Pod", "metadata": {**metadata, "name": name}, "spec": pod("a", {})}, "-", 1, Side.LIVE)
            for name in ("claude-skills-7d9f-x2", "claude-skills-7d9f-y3")
        ]
        assert guarded(*pods, claim(CLAIM), NGINX) == ["dev/claude-skills-7d9f-x2", "dev/claude-skills-7d9f-y3"]


class TestNamesake:
    RIGHT = deployment("claude-skills", "prod", image="r/skills:1", mounts={CLAIM: PATH})

    def test_the_same_application_in_another_namespace_is_meant(self) -> None:
        bare = deployment("claude-skills", image="other/r/skills:2")
        assert errors(self.RIGHT, claim(CLAIM, "prod"), bare, NGINX) == ["VG101 Deployment dev/claude-skills"]

    def test_the_same_name_with_an_unused_claim_is_meant_whatever_its_image(self) -> None:
        bare = deployment("claude-skills", image="r/fork:1")
        assert guarded(self.RIGHT, bare, claim(CLAIM)) == ["prod/claude-skills", "dev/claude-skills"]

    def test_the_same_name_from_another_image_is_another_application(self) -> None:
        assert guarded(self.RIGHT, deployment("claude-skills", image="nginx")) == ["prod/claude-skills"]

    def test_the_same_image_under_another_name_is_another_workload(self) -> None:
        assert guarded(self.RIGHT, deployment("worker", image="r/skills:1")) == ["prod/claude-skills"]

    def test_both_namespaces_of_two_files_keep_their_other_side(self) -> None:
        files = [
            deployment("claude-skills", namespace, mounts={CLAIM: PATH}, side=Side.FILE)
            for namespace in ("dev", "prod")
        ]
        live = [deployment("claude-skills", namespace, image="x") for namespace in ("dev", "prod")]
        assert len(guarded(*files, *live)) == 4


class TestMountAbove:
    ABOVE = deployment("claude-skills", mounts={CLAIM: "/app"})

    def test_a_claim_mounted_above_the_path_shows_it(self) -> None:
        rules = [found.rule.id for found in diagnose(ObjectIndex((self.ABOVE, claim(CLAIM)), PATH)).findings]
        assert "VG501" in rules
        assert guarded(self.ABOVE, claim(CLAIM), NGINX) == ["dev/claude-skills"]

    def test_what_else_is_mounted_above_it_shows_nothing(self) -> None:
        spec = {
            "containers": [{"name": "a", "volumeMounts": [{"name": "v", "mountPath": "/app"}]}],
            "volumes": [{"name": "v"}],
        }
        other = kube("Deployment", "a", "dev", {"template": {"spec": spec}})
        assert guarded(other, NGINX) == []

    def test_it_counts_only_where_nothing_in_the_namespace_shows_the_path_itself(self) -> None:
        right = deployment("claude-skills", "prod", mounts={CLAIM: PATH})
        other = deployment("other", "prod", mounts={"other": "/app"})
        assert guarded(right, other, self.ABOVE) == ["prod/claude-skills", "dev/claude-skills"]

    def test_a_sidecar_that_mounts_something_else_there_is_not_the_application(self) -> None:
        spec = pod("a", {CLAIM: "/app"})
        spec["containers"].append({"name": "sidecar", "volumeMounts": [{"name": "scratch", "mountPath": "/app"}]})
        spec["volumes"].append({"name": "scratch", "emptyDir": {}})
        both = kube("Deployment", "a", "dev", {"strategy": {"type": "Recreate"}, "template": {"spec": spec}})
        assert errors(both, claim(CLAIM), NGINX) == []


class TestClaimsMeant:
    def meant(self, *objects: K8sObject) -> list[str]:
        return [found.name for found in ObjectIndex(objects, PATH).claims_to_keep]

    def test_of_several_that_bear_the_name_the_one_without_another_word_is_meant(self) -> None:
        backup = cron_job("backup", {CLAIM: PATH, "claude-skills-backup": "/repository"})
        claims = claim("claude-skills-backup"), claim(CLAIM), claim("claude-skills-cache")
        assert self.meant(deployment("claude-skills"), *claims, backup, NGINX) == [CLAIM]

    def test_what_is_in_force_at_the_path_comes_before_what_nobody_uses(self) -> None:
        right = deployment("claude-skills", mounts={"other": PATH})
        assert self.meant(right, claim("other"), claim(CLAIM)) == ["other"]

    def test_the_claim_that_the_file_mounts_is_meant_for_the_applied_object(self) -> None:
        file = deployment("claude-skills", mounts={"other": PATH}, side=Side.FILE)
        assert self.meant(file, deployment("claude-skills"), claim("other"), claim(CLAIM)) == ["other"]

    def test_a_statefulsets_checklist_is_about_the_claims_made_from_its_template(self) -> None:
        spec = pod("a", {})
        spec["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": PATH}]
        templates = [{"metadata": {"name": "data"}, "spec": {"storageClassName": "a"}}]
        own = kube("StatefulSet", "s", "dev", {"template": {"spec": spec}, "volumeClaimTemplates": templates})
        phases = ("Bound", "Pending", "Bound")
        made = [claim(f"data-s-{number}", phase=phase) for number, phase in enumerate(phases)]
        inventory = ObjectIndex((own, *made, claim("data-t-0"), claim("data-s-0", "prod")), PATH)
        assert [(found.namespace, found.name) for found in inventory.claims_to_keep] == [
            ("dev", "data-s-0"), ("dev", "data-s-1"), ("dev", "data-s-2"),
        ]  # fmt: skip
        (checklist,) = checklists(inventory, ())
        assert [item.why for item in checklist.items if item.id == "bound"] == ["data-s-1: Pending"]
