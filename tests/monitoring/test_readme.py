"""What k8s/monitoring/README.md says of alerts and files is what is there."""

import re

from tests.monitoring.alerts import ALERTS, RUNBOOKS
from tests.monitoring.test_cloud_logging import CONDITION
from tests.monitoring.wrapping import MONITORING

README = (MONITORING / "README.md").read_text()
ROW = re.compile(r"\| \[(\w+)\]\(\.\./\.\./docs/runbooks/([\w-]+\.md)\) \| (\w+) \|")


def test_the_table_has_every_alert_with_its_severity_and_its_runbook() -> None:
    rows = {name: (severity, page) for name, page, severity in ROW.findall(README)}
    assert rows == {
        name: (rule["labels"]["severity"], rule["annotations"]["runbook_url"].removeprefix(RUNBOOKS))
        for name, rule in ALERTS.items()
    }


def test_every_file_that_is_named_is_there_and_every_folder_is_named() -> None:
    named = re.findall(r"^\| `([\w./-]+)` \|", README, re.MULTILINE)
    assert all((MONITORING / name).exists() for name in named)
    folders = {path.name for path in MONITORING.iterdir() if path.is_dir()}
    assert {name.partition("/")[0] for name in named} == folders


def test_the_filter_for_logs_explorer_is_the_policy_s() -> None:
    text = CONDITION["conditionMatchedLog"]["filter"]
    assert "\n".join(f"    {line}" for line in text.splitlines()) in README
