"""The checklist answers for its own workload: its gate's log, and the claim at its path."""

import json
from pathlib import Path

import pytest

from tests.unit.doctor.bodies import (
    Body,
    answers,
    app,
    claim,
    deployment,
    diagnosed,
    env,
    gate,
    mount,
    pod_spec,
    stateful_set,
    template,
    volume,
)


def survives(*bodies: Body, logs: tuple[Path, ...]) -> dict[str, str]:
    return {
        checklist["subject"]: item["answer"]
        for checklist in diagnosed(*bodies, logs=logs)["checklist"]
        for item in checklist["items"]
        if item["id"] == "survives"
    }


@pytest.fixture
def passed(tmp_path: Path) -> Path:
    """The log of a gate that passed volume v."""
    line = {"event": "volume.ok", "outcome": "ok", "message": "as before", "volume": "v", "reference_files": 9}
    log = tmp_path / "gate.log"
    log.write_text(json.dumps(line))
    return log


class TestGateLog:
    OTHER = deployment(pod_spec(initContainers=[gate(env=env(GUARD_VOLUME="w"))], volumes=[volume("w")]), "other")

    def test_a_log_answers_for_the_workload_with_its_volume_alone(self, passed: Path) -> None:
        assert survives(deployment(), self.OTHER, logs=(passed,)) == {
            "Deployment dev/claude-skills": "yes",
            "Deployment dev/other": "unknown",
        }
        assert survives(self.OTHER, logs=(passed,)) == {"Deployment dev/other": "unknown"}

    def test_each_workload_has_its_own_of_several_logs(self, passed: Path, tmp_path: Path) -> None:
        refused = {"event": "volume.refused", "outcome": "data-lost", "message": "data-lost: 0 left", "volume": "w"}
        lost = tmp_path / "other.log"
        lost.write_text(json.dumps(refused))
        assert survives(deployment(), self.OTHER, logs=(passed, lost)) == {
            "Deployment dev/claude-skills": "yes",
            "Deployment dev/other": "no",
        }

    def test_a_name_by_reference_may_be_the_one(self, passed: Path) -> None:
        told = {"name": "GUARD_VOLUME", "valueFrom": {"configMapKeyRef": {"name": "guard", "key": "volume"}}}
        own = deployment(pod_spec(initContainers=[gate(env=[told])]))
        assert survives(own, logs=(passed,)) == {"Deployment dev/claude-skills": "yes"}


class TestClass:
    def test_of_several_templates_the_one_at_the_path_answers(self) -> None:
        cache, data = template("cache", None), template("data")
        assert answers(stateful_set(cache, data))["class"] == "yes"
        assert answers(stateful_set(template("cache"), template("data", None)))["class"] == "no"

    def test_a_claim_beside_a_template_answers_for_itself(self) -> None:
        pod = pod_spec(containers=[app(volumeMounts=[mount(), mount("/cache", "cache")])])
        assert answers(stateful_set(template("cache", None), pod=pod), claim())["class"] == "yes"

    def test_an_empty_class_is_one(self) -> None:
        own = claim(phase="Pending")
        own["spec"]["storageClassName"] = ""
        assert answers(deployment(), own)["class"] == "yes"
        del own["spec"]["storageClassName"]
        assert answers(deployment(), own)["class"] == "no"
