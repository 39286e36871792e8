"""What k8s/monitoring/README.md says of alerts, metrics, lines and files is what is there."""

import json
import re
import urllib.request
from collections.abc import Iterator

import pytest

from tests.linux.sandbox import Sandbox
from tests.monitoring.alerts import ALERTS, RUNBOOKS
from tests.monitoring.server import free_port
from tests.monitoring.test_cloud_logging import CONDITION
from tests.monitoring.watched import watched
from tests.monitoring.wrapping import MONITORING

README = (MONITORING / "README.md").read_text()
REFERENCE = (MONITORING.parents[1] / "docs" / "reference.md").read_text()
ROW = re.compile(r"\| \[(\w+)\]\(\.\./\.\./docs/runbooks/([\w-]+\.md)\) \| (\w+) \|")


def test_the_table_has_every_alert_with_its_severity_and_its_runbook() -> None:
    rows = {name: (severity, page) for name, page, severity in ROW.findall(README)}
    assert rows == {
        name: (rule["labels"]["severity"], rule["annotations"]["runbook_url"].removeprefix(RUNBOOKS))
        for name, rule in ALERTS.items()
    }


def test_every_file_that_is_named_is_there_and_every_folder_is_named() -> None:
    named = re.findall(r"^\| `([\w./-]+)` \|", README.partition("## ")[0], re.MULTILINE)
    assert all((MONITORING / name).exists() for name in named)
    folders = {path.name for path in MONITORING.iterdir() if path.is_dir()}
    assert {name.partition("/")[0] for name in named} == folders


def test_the_filter_for_logs_explorer_is_the_policy_s() -> None:
    text = CONDITION["conditionMatchedLog"]["filter"]
    assert "\n".join(f"    {line}" for line in text.splitlines()) in README


@pytest.mark.mounts
def test_the_reference_s_table_of_metrics_is_what_a_watcher_serves() -> None:
    port = free_port()
    with watched("skills-0", port), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
        served = page.read().decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", served, re.MULTILINE))
    table = re.findall(r"^\| `(volume_guard_\w+)` \| (\w+) \| (.+) \|$", REFERENCE, re.MULTILINE)
    assert table == [
        (name, kinds[name], said) for name, said in re.findall(r"^# HELP (\S+) (.+)$", served, re.MULTILINE)
    ]


@pytest.mark.mounts
def test_every_field_of_a_line_is_explained() -> None:
    explained = set(re.findall(r"`([\w./-]+)`", README.partition("## Fields of a line")[2].partition("\n## ")[0]))
    said = {name for line in _life() for name in line}
    assert said > {"node_changed", "remedy", "entries", "lasted_seconds", "held_by", "reference_before", "problems"}
    assert said <= explained


def _life() -> Iterator[dict[str, object]]:
    """What gate, people and watcher say of a volume that is adopted, held, wiped and restored."""
    with watched("skills-0", free_port()) as one:
        sandbox = one.sandbox
        yield from _lines(
            sandbox, ("hold", "a migration"), ("check", "--wait=0s"), ("release",), ("check", "--node=node-2")
        )
        one.sh("mv $P/tenant $W/away")
        one.hears("volume.wiped")
        yield from _lines(sandbox, ("check", "--wait=0s"), ("accept",), ("check", "--max-loss=2"))
        one.sh("mv $W/away $P/tenant")
        one.hears("volume.accepted")
        yield from one.watcher.lines


def _lines(sandbox: Sandbox, *commands: tuple[str, ...]) -> Iterator[dict[str, object]]:
    for command in commands:
        yield from map(json.loads, sandbox.guard(*command).stderr.splitlines())
