"""Our real lines against the fields that Cloud Logging documents, and the alert policy against the line that it is for.

Fields: https://docs.cloud.google.com/logging/docs/structured-logging and LogEntry in
https://docs.cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from guard.event import Event
from guard.report.log import LINE_LIMIT
from tests.linux.sandbox import Sandbox
from tests.monitoring.server import free_port
from tests.monitoring.watched import watched
from tests.monitoring.wrapping import MONITORING

POLICY: dict[str, Any] = json.loads((MONITORING / "cloud-logging" / "wiped.json").read_text())
(CONDITION,) = POLICY["conditions"]
#: google.logging.type.LogSeverity, with its numbers.
SEVERITIES = {
    "DEFAULT": 0, "DEBUG": 100, "INFO": 200, "NOTICE": 300, "WARNING": 400, "ERROR": 500, "CRITICAL": 600,
    "ALERT": 700, "EMERGENCY": 800,
}  # fmt: skip
#: Top-level names with a meaning of their own, besides the four that we mean.
RESERVED = {
    "httpRequest", "timestamp", "timestampSeconds", "timestampNanos", "log", "textPayload", "protoPayload",
    "logging.googleapis.com/insertId", "logging.googleapis.com/labels", "logging.googleapis.com/sourceLocation",
    "logging.googleapis.com/spanId", "logging.googleapis.com/trace", "logging.googleapis.com/trace_sampled",
}  # fmt: skip
#: RFC 3339 in UTC, as LogEntry.timestamp is written.
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
OPERATION = {"id": str, "producer": str, "first": bool, "last": bool}
RESOURCE = {
    "type": "k8s_container",
    "labels": {
        "project_id": "p", "location": "asia-northeast3", "cluster_name": "c", "namespace_name": "dev",
        "pod_name": "skills-1", "container_name": "volume-guard-watch",
    },
}  # fmt: skip

Line = dict[str, Any]
pytestmark = pytest.mark.mounts


@pytest.fixture(scope="module")
def wipe() -> list[Line]:
    """What a watcher says through a wipe and its recovery."""
    with watched("skills-1", free_port()) as one:
        one.sh("rm -rf $P/tenant")
        one.hears("volume.wiped")
        one.sh("cp -a $W/kept/tenant $P/")
        one.hears("volume.recovered")
        return one.watcher.lines


@pytest.fixture(scope="module")
def lines(wipe: list[Line]) -> list[Line]:
    """The same, and what gate and adoption say."""
    with Sandbox() as sandbox:
        refused = sandbox.guard("check", GUARD_NAMESPACE="dev", GUARD_POD="skills-1")
        sandbox.defaults["GUARD_KINDS"] = "memory"
        sandbox.sh("mount -t tmpfs volume $P; touch $P/file")
        ended = [refused, sandbox.guard("adopt"), sandbox.guard("check"), sandbox.guard("hold", "a restore")]
    return [*wipe, *(line for one in ended for line in one.lines)]


def as_entry(line: Line) -> Line:
    """What the agent of a node makes of a line: special fields leave the payload for fields of the entry."""
    payload = dict(line)
    entry: Line = {
        "resource": RESOURCE,
        "severity": payload.pop("severity"),
        "timestamp": payload.pop("time"),
        "jsonPayload": payload,
    }
    operation = payload.pop("logging.googleapis.com/operation", None)
    return entry if operation is None else {**entry, "operation": operation}


def at(entry: Line, path: str) -> Any:
    """A field of an entry: `jsonPayload.event`."""
    found: Any = entry
    for step in path.split("."):
        found = found[step]
    return found


def passes(entry: Line, text: str) -> bool:
    """Whether an entry passes a filter of lines `FIELD=VALUE` or `severity>=NAME`, all of which must hold."""
    return all(_holds(entry, line) for line in text.splitlines())


def _holds(entry: Line, line: str) -> bool:
    match = re.fullmatch(r'([\w.]+)(>=|=)"?([^"]+)"?', line)
    assert match, line
    path, comparison, value = match.groups()
    if comparison == "=":
        return bool(at(entry, path) == value)
    assert path == "severity"
    return SEVERITIES[entry["severity"]] >= SEVERITIES[value]


def test_what_is_looked_at_is_what_everybody_sees(lines: list[Line]) -> None:
    events = {line["event"] for line in lines}
    assert events >= {
        "volume.wiped",
        "volume.recovered",
        "volume.refused",
        "volume.adopted",
        "volume.ok",
        "volume.held",
    }
    assert events <= {event.label for event in Event}


def test_a_severity_is_one_of_cloud_logging_s(lines: list[Line]) -> None:
    assert {line["severity"] for line in lines} <= SEVERITIES.keys()
    assert {event.severity.name: int(event.severity) for event in Event}.items() <= SEVERITIES.items()


def test_a_time_is_read_as_the_entry_s_own(lines: list[Line]) -> None:
    for line in lines:
        assert TIMESTAMP.fullmatch(line["time"])
        age = datetime.now().astimezone() - datetime.fromisoformat(line["time"])
        assert timedelta() <= age < timedelta(minutes=10)


def test_a_message_is_a_sentence_and_the_line_is_whole(lines: list[Line]) -> None:
    for line in lines:
        assert line["message"].strip()
        assert len(json.dumps(line).encode()) <= LINE_LIMIT  # an entry may have 256 KiB


def test_no_other_field_has_a_meaning_of_its_own(lines: list[Line]) -> None:
    for line in lines:
        assert RESERVED.isdisjoint(line)
        assert "level" not in line
        assert {name for name in line if "/" in name} <= {"logging.googleapis.com/operation"}


def test_an_operation_has_the_documented_fields_and_no_more(lines: list[Line]) -> None:
    operations = [
        line["logging.googleapis.com/operation"] for line in lines if "logging.googleapis.com/operation" in line
    ]
    assert operations
    for operation in operations:
        assert {name: type(value) for name, value in operation.items()} == OPERATION
        assert operation["producer"] == "volume-guard"


def test_an_incident_is_one_operation_from_first_to_last(wipe: list[Line]) -> None:
    entries = [as_entry(line) for line in wipe if line["event"] in {"volume.wiped", "volume.recovered"}]
    operations = [entry["operation"] for entry in entries]
    assert len({one["id"] for one in operations}) == 1
    assert [(one["first"], one["last"]) for one in operations] == [(True, False), (False, True)]


def test_the_policy_is_for_the_wipe_and_for_nothing_else(lines: list[Line]) -> None:
    alarms = [line["event"] for line in lines if passes(as_entry(line), CONDITION["conditionMatchedLog"]["filter"])]
    assert alarms == ["volume.wiped"]


def test_a_wipe_of_a_held_volume_is_no_alarm(wipe: list[Line]) -> None:
    (line,) = [line for line in wipe if line["event"] == "volume.wiped"]
    assert not passes(as_entry({**line, "severity": "INFO"}), CONDITION["conditionMatchedLog"]["filter"])


def test_every_label_of_the_policy_is_in_the_entry_and_told(wipe: list[Line]) -> None:
    (line,) = [line for line in wipe if line["event"] == "volume.wiped"]
    entry = as_entry(line)
    labels = dict(_extracted(entry))
    assert labels == {"volume": "skills", "namespace": "dev", "incident": entry["operation"]["id"]}
    told = re.findall(r"\$\{log\.extracted_label\.(\w+)\}", POLICY["documentation"]["content"])
    assert set(told) == labels.keys()


def test_a_pod_is_no_label_since_each_combination_is_a_notification_of_its_own() -> None:
    assert "pod" not in CONDITION["conditionMatchedLog"]["labelExtractors"]


def _extracted(entry: Line) -> Iterator[tuple[str, str]]:
    for name, extractor in CONDITION["conditionMatchedLog"]["labelExtractors"].items():
        match = re.fullmatch(r"EXTRACT\((.+)\)", extractor)
        assert match, extractor
        yield name, at(entry, match[1])


def test_the_policy_has_what_an_alert_on_logs_needs() -> None:
    assert POLICY["combiner"] == "OR"
    assert POLICY["severity"] == "CRITICAL"
    strategy = POLICY["alertStrategy"]
    assert int(strategy["notificationRateLimit"]["period"].removesuffix("s")) >= 1
    assert 1800 <= int(strategy["autoClose"].removesuffix("s")) <= 7 * 24 * 3600
    assert len(POLICY["documentation"]["content"]) <= 8192
    runbook = re.search(r"docs/runbooks/([\w-]+\.md)", POLICY["documentation"]["content"])
    assert runbook
    assert (Path(__file__).parents[2] / "docs" / "runbooks" / runbook[1]).is_file()
