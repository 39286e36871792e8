"""What the README says of outcomes and settings is what the code does."""

import json

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from guard import __version__
from guard.event import Event
from tests.unit import markdown
from tests.unit import readme_tables as tables
from tests.unit.readme_deployment import deployment


def test_the_tables_of_the_readme_are_those_of_the_code() -> None:
    text = tables.README.read_text()
    assert tables.written(text) == text, "run: python tests/unit/readme_tables.py"


def test_the_readme_opens_with_the_promise_and_the_two_commands() -> None:
    opening = tables.README.read_text()[:1500]
    assert "make demo" in opening
    assert "make test" in opening


def test_the_lines_that_the_readme_shows_have_the_severity_of_their_event() -> None:
    blocks = [block.text for block in markdown.read(tables.README).blocks if block.language == "json"]
    shown = [json.loads(line) for block in blocks for line in block.splitlines()]
    assert {line["event"] for line in shown} == {"volume.ok", "volume.wiped", "volume.recovered"}
    by_name = {event.label: event.severity.name for event in Event}
    assert {line["event"]: line["severity"] for line in shown} == {
        line["event"]: by_name[line["event"]] for line in shown
    }


def test_the_events_of_the_readme_are_those_of_the_code_with_their_severity() -> None:
    (table,) = [table for table in markdown.read(tables.README).tables if table[0][0] == "event"]
    said = {event.strip("`"): row[1] for row in table[2:] for event in row[0].split()}
    by_name = {event.label: event.severity.name for event in Event}
    assert said == {event: by_name[event] for event in said}
    unsaid = {event for event in by_name if event not in said}
    assert unsaid == {
        "volume.ok", "volume.waiting", "volume.refused", "volume.adopted", "watch.started", "watch.stopped", "watch.listening",
        "usage", "internal.error",
    }  # fmt: skip


def test_the_readme_is_short_enough_to_be_read() -> None:
    prose = [line for line in tables.README.read_text().splitlines() if not line.startswith("|")]
    assert len(prose) < 350


@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
def test_what_the_readme_adds_to_a_deployment_is_strictly_valid(version: str) -> None:
    deployed = deployment("claude-skills-storage")
    kubernetes_validate.validate(deployed, version, strict=True)
    gate, watcher = deployed["spec"]["template"]["spec"]["initContainers"]
    assert gate["image"] == watcher["image"] == f"ghcr.io/uengine-oss/volume-guard:{__version__}"
    assert watcher["restartPolicy"] == "Always"
