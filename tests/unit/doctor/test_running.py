"""What runs today, what has ended, and what only waits: a claim is used, and a pod is judged, by the first alone."""

import pytest

from tests.unit.doctor.bodies import (
    CLAIM,
    Body,
    answers,
    app,
    as_file,
    bare,
    claim,
    cron_job,
    deployment,
    event,
    findings,
    gate,
    job,
    made,
    mount,
    pod_of,
    pod_spec,
    storage_class,
    unknown,
    volume,
)

BACKUP = pod_spec(
    containers=[app(name="restic", image="restic/restic", volumeMounts=[mount("/r")])], volumes=[volume("r")]
)
WAITS = "WaitForFirstConsumer"
LOST: Body = {"volumes": [], "initContainers": [], "containers": [app(volumeMounts=[])], "nodeName": "spot"}


def named(name: str, controller: str) -> list[Body]:
    return [{"kind": controller, "name": name, "controller": True}]


class TestPendingClaim:
    @pytest.mark.parametrize(
        "user",
        [
            cron_job(BACKUP, "skills-backup"),
            deployment(pod_spec(volumes=[volume("r")]), "other", replicas=0),
            job(BACKUP, "restore", "Complete"),
            {**job(BACKUP, "restore"), "spec": {"suspend": True, "template": {"spec": BACKUP}}},
            pod_of(deployment(pod_spec(volumes=[volume("r")]), "other"), "Succeeded"),
        ],
        ids=["cronjob", "scaled-to-nothing", "finished-job", "suspended-job", "ended-pod"],
    )
    def test_what_no_pod_asks_for_yet_waits_rightly(self, user: Body) -> None:
        waiting = claim("r", "Pending")
        said = event(waiting, WAITS, "waiting for first consumer to be created before binding")
        assert "VG202 r" not in findings(deployment(), claim(), user, waiting, said)
        assert "VG202 r" not in findings(deployment(), claim(), user, waiting, storage_class(volumeBindingMode=WAITS))
        assert "VG202 r" in findings(deployment(), claim(), user, waiting, storage_class(volumeBindingMode="Immediate"))

    def test_without_event_and_class_it_is_open_whether_it_waits_rightly(self) -> None:
        given = (deployment(replicas=0), claim(phase="Pending"))
        assert f"VG202 {CLAIM}" not in findings(*given)
        assert "VG202" in unknown(*given)

    def test_what_a_running_workload_asks_for_does_not(self) -> None:
        assert "VG202 " + CLAIM in findings(
            deployment(), claim(phase="Pending"), storage_class(volumeBindingMode=WAITS)
        )


class TestEndedPods:
    RIGHT = deployment()
    SPOT = made("Node", "spot", {}, labels={"cloud.google.com/gke-spot": "true"})

    def test_a_pod_that_has_ended_is_not_todays(self) -> None:
        old = [pod_of(self.RIGHT, phase, phase.lower(), **LOST) for phase in ("Failed", "Succeeded")]
        given = (self.RIGHT, claim(), pod_of(self.RIGHT, "Running"), *old, self.SPOT)
        assert findings(*given) == []
        assert answers(*given)["mounted"] == "yes"

    def test_one_that_runs_is(self) -> None:
        given = (self.RIGHT, claim(), pod_of(self.RIGHT, "Running", **LOST), self.SPOT)
        assert findings(*given) == ["VG101 claude-skills-7d9f-x", "VG223 claude-skills"]
        assert answers(*given)["mounted"] == "no"


class TestFinishedJobs:
    @pytest.mark.parametrize("condition", ["Complete", "Failed"])
    def test_a_job_that_has_ended_needs_no_claim_and_holds_none(self, condition: str) -> None:
        elsewhere = pod_spec(volumes=[volume("old")], initContainers=[])
        assert findings(deployment(), claim(), job(elsewhere, "migrate", condition)) == []
        assert findings(deployment(), claim(), job(elsewhere, "migrate")) == ["VG201 migrate"]
        alone = claim(mode="ReadWriteOncePod")
        assert findings(deployment(), alone, job(pod_spec(), "adopt", condition)) == []
        assert findings(deployment(), alone, job(pod_spec(), "adopt")) == [f"VG224 {CLAIM}"]

    def test_the_incidents_claim_is_unused_though_it_was_adopted_by_a_job(self) -> None:
        assert f"VG204 {CLAIM}" in findings(deployment(bare()), claim(), job(pod_spec(), "adopt", "Complete"))

    def test_a_finished_job_of_a_cronjob_stands_for_it(self) -> None:
        of_cron = job(BACKUP, "backup-1", "Complete", ownerReferences=named("backup", "CronJob"))
        assert findings(deployment(), claim(), claim("r"), of_cron) == []

    def test_a_claim_named_after_a_finished_job_is_no_other_workloads(self) -> None:
        index = job(pod_spec(volumes=[volume("skills-index-cache")]), "skills-index", "Complete")
        given = (deployment(bare(), "skills"), deployment(bare(), "web"), index, claim("skills-index-cache"))
        assert findings(*given) == ["VG204 skills-index-cache"]


class TestOneOffPods:
    @pytest.mark.parametrize("policy", ["Never", "OnFailure"])
    def test_a_pod_that_is_not_to_start_again_runs_to_its_end(self, policy: str) -> None:
        look = made("Pod", "check", {"restartPolicy": policy, "containers": [gate()], "volumes": [volume()]})
        restore = made("Pod", "restore", bare(restartPolicy=policy, volumes=[volume()], containers=[app()]))
        assert findings(as_file(look), as_file(restore), deployment(), claim()) == []

    def test_one_that_starts_again_is_judged_as_a_workload(self) -> None:
        look = made("Pod", "check", {"containers": [gate()], "volumes": [volume()]})
        assert findings(as_file(look), as_file(deployment()), as_file(claim())) == ["VG506 check"]


class TestMissingClaim:
    def test_an_event_about_a_pod_of_the_workload_counts(self) -> None:
        waits = pod_of(deployment(), "Pending")
        said = event(waits, "FailedScheduling", f'0/3 nodes are available: persistentvolumeclaim "{CLAIM}" not found.')
        assert findings(deployment(), waits, said) == ["VG201 claude-skills"]

    def test_an_event_about_another_claim_does_not(self) -> None:
        waits = pod_of(deployment(), "Pending")
        said = event(waits, "FailedScheduling", f'persistentvolumeclaim "{CLAIM}-2" not found')
        assert findings(deployment(), waits, said) == []

    def test_an_event_of_a_pod_that_runs_by_now_does_not(self) -> None:
        runs = pod_of(deployment(), "Running")
        said = event(runs, "FailedScheduling", f'persistentvolumeclaim "{CLAIM}" not found')
        assert findings(deployment(), runs, said) == []


class TestOperators:
    OWNED = deployment(bare())
    OWNED["metadata"]["ownerReferences"] = named("claude", "SkillServer")

    def test_what_an_operator_made_is_judged_also_where_the_operators_object_was_given(self) -> None:
        own = made("SkillServer", "claude", {"template": {"spec": bare()}})
        assert "VG101 claude-skills" in findings(self.OWNED, claim())
        assert "VG101 claude-skills" in findings(self.OWNED, claim(), own)

    def test_any_kind_with_a_pod_template_is_a_workload(self) -> None:
        rollout = made("Rollout", "claude-skills", {"template": {"spec": pod_spec()}})
        assert findings(rollout, claim(), deployment(bare(), "web")) == []
        without = made("Rollout", "claude-skills", {"template": {"spec": bare()}})
        assert "VG101 claude-skills" in findings(without, claim(), deployment(bare(), "web"))


class TestEphemeralVolumes:
    def test_a_claim_that_was_made_for_one_pod_is_neither_unused_nor_meant(self) -> None:
        scratch = {"name": "skills", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}
        own = claim("claude-skills-7d9f-x-skills", ownerReferences=named("claude-skills-7d9f-x", "Pod"))
        given = (deployment(pod_spec(volumes=[scratch])), own)
        assert findings(*given) == ["VG106 claude-skills"]
        indexer = deployment(bare(), "skills-indexer")
        own = claim("skills-indexer-7d9f-x-cache", ownerReferences=named("skills-indexer-7d9f-x", "Pod"))
        assert findings(deployment(), claim(), indexer, own) == []
