"""The alerts: the mixins' conventions, and each one run by promtool on what it is for, what it is not, and on nothing."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.alerts import ALERTS, RUNBOOKS
from tests.monitoring.cases_backup import BACKUPS
from tests.monitoring.cases_kubernetes import KUBERNETES
from tests.monitoring.cases_watcher import WATCHERS
from tests.monitoring.programs import program
from tests.monitoring.series import Case
from tests.monitoring.wrapping import RULES

ROOT = Path(__file__).parents[2]
CASES = [*WATCHERS, *KUBERNETES, *BACKUPS]
every_alert = pytest.mark.parametrize("name", ALERTS)


def promtool(*words: str | Path) -> str:
    done = subprocess.run(
        [program("promtool"), *map(str, words)], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@every_alert
def test_an_alert_follows_the_conventions_of_the_mixins(name: str) -> None:
    rule = ALERTS[name]
    assert re.fullmatch(r"VolumeGuard([A-Z][a-z]+)+", name)
    assert set(rule["labels"]) == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert "{{" not in rule["annotations"]["summary"], "summaries are equal for all instances, so that they group"
    assert "{{" in rule["annotations"]["description"], "a description says which one"


@every_alert
def test_an_alert_has_a_runbook(name: str) -> None:
    url: str = ALERTS[name]["annotations"]["runbook_url"]
    assert url.startswith(RUNBOOKS)
    assert (ROOT / "docs" / "runbooks" / url.removeprefix(RUNBOOKS)).is_file()


@every_alert
def test_an_alert_has_a_case_that_fires_and_one_that_does_not(name: str) -> None:
    moments = [labels for case in CASES if case.alert == name for labels in case.fires.values()]
    assert any(moments)
    assert not all(moments)


def test_promtool_finds_no_fault_with_the_rules() -> None:
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


@every_alert
def test_an_alert_fires_when_it_should(name: str, tmp_path: Path) -> None:
    _run([case for case in CASES if case.alert == name], tmp_path)


def test_a_case_that_expects_too_much_fails(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.alert == "VolumeGuardWiped")
    with pytest.raises(AssertionError, match="FAILED"):
        _run([Case(case.alert, "too much", case.series, {"4m": case.fires["5m"]})], tmp_path)


def _run(cases: list[Case], folder: Path) -> None:
    """Runs cases of one alert: the rule alone, in files that promtool reads (JSON is YAML)."""
    rule = ALERTS[cases[0].alert]
    (folder / "rule.yaml").write_text(json.dumps({"groups": [{"name": "one", "rules": [rule]}]}))
    tests = {
        "rule_files": ["rule.yaml"],
        "evaluation_interval": "1m",
        "tests": [_as_promtool_reads_it(case, rule) for case in cases],
    }
    (folder / "tests.yaml").write_text(json.dumps(tests))
    promtool("test", "rules", folder / "tests.yaml")


def _as_promtool_reads_it(case: Case, rule: dict[str, Any]) -> dict[str, Any]:
    checks = [
        {
            "eval_time": time,
            "alertname": case.alert,
            "exp_alerts": [
                {
                    "exp_labels": {**labels, **rule["labels"]},
                    "exp_annotations": {name: _filled(text, labels) for name, text in rule["annotations"].items()},
                }
                for labels in fires
            ],
        }
        for time, fires in case.fires.items()
    ]
    series = [{"series": series, "values": values} for series, values in case.series.items()]
    # At least one series: without any, promtool evaluates nothing.
    series.append({"series": "up", "values": "1x10"})
    return {"name": case.sentence, "interval": "1m", "input_series": series, "alert_rule_test": checks}


def _filled(text: str, labels: dict[str, str]) -> str:
    """What Go's templates make of the annotations: of their language only this much is used."""

    def chosen(match: re.Match[str]) -> str:
        return match["yes"] if labels.get(match["label"]) else match["no"]

    text = re.sub(r"{{ if \$labels\.(?P<label>\w+) }}(?P<yes>.*?){{ else }}(?P<no>.*?){{ end }}", chosen, text)
    return re.sub(r"{{ \$labels\.(\w+) }}", lambda match: labels.get(match[1], ""), text)
