"""The README and docs/reference.md show what the code does."""

from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from guard import __version__
from guard.event import Event
from tests.unit import markdown
from tests.unit import reference_tables as tables
from tests.unit.readme_deployment import README, deployment

WORDS, LINES = 1700, 170


def test_the_tables_of_the_reference_are_those_of_the_code() -> None:
    text = tables.REFERENCE.read_text()
    assert tables.written(text) == text, "run: python tests/unit/reference_tables.py"


def test_every_event_has_a_clause_in_the_reference() -> None:
    assert tables.EVENTS.keys() == set(Event)


def test_the_readme_is_short_enough_to_be_read_and_names_both_containers_and_both_commands() -> None:
    text = README.read_text()
    assert len(text.split()) <= WORDS
    assert len(text.splitlines()) <= LINES
    for name in ("volume-guard-gate", "volume-guard-watch", "make demo", "make test"):
        assert name in text


def test_the_doctor_s_output_in_the_readme_is_that_of_the_worked_case() -> None:
    (shown,) = _blocks("console")
    cases = [block.text for block in markdown.read(README.parent / "docs" / "doctor.md").blocks]
    assert any(case.startswith(shown.removesuffix("\n...")) for case in cases)


def _blocks(language: str) -> list[str]:
    return [block.text for block in markdown.read(README).blocks if block.language == language]


@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
def test_what_the_readme_adds_to_a_deployment_is_strictly_valid(version: str) -> None:
    deployed = deployment("claude-skills-storage")
    kubernetes_validate.validate(deployed, version, strict=True)
    gate, watcher = deployed["spec"]["template"]["spec"]["initContainers"]
    assert gate["image"] == watcher["image"] == f"ghcr.io/uengine-oss/volume-guard:{__version__}"
    assert watcher["restartPolicy"] == "Always"


def test_four_values_of_the_readme_s_deployment_are_the_reader_s() -> None:
    (block,) = _blocks("yaml")
    marked = [line for line in block.splitlines() if "CHANGE ME" in line]
    assert len(marked) == 4
    gate: dict[str, Any] = yaml.safe_load(block)["spec"]["template"]["spec"]["initContainers"][0]
    path = {entry["name"]: entry.get("value") for entry in gate["env"]}["GUARD_PATH"]
    assert [mount["mountPath"] for mount in gate["volumeMounts"]] == [path]
