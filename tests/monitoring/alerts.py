"""The alerts of the rule file, by name. Values only."""

from typing import Any

import yaml

from tests.monitoring.wrapping import RULES

GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
#: Each rule as it stands in the file.
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
#: What Prometheus evaluates; `for` is its own matter, which promtool's cases cover.
EXPRESSIONS: dict[str, str] = {name: rule["expr"] for name, rule in ALERTS.items()}
#: Alerts without `for`.
AT_ONCE = {name for name, rule in ALERTS.items() if "for" not in rule}
RUNBOOKS = "https://github.com/uengine-oss/volume-guard/blob/main/docs/runbooks/"
