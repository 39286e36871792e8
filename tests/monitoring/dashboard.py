"""The dashboard as data: its panels, its queries, and what Grafana makes of the variables in them. Pure."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.monitoring.wrapping import MONITORING

FILE = MONITORING / "grafana" / "volume-guard.json"
#: What Grafana puts in for a time range of an hour, with everything selected.
VARIABLES = {
    "$cluster": ".*",
    "$namespace": ".*",
    "$volume": ".*",
    "$__range": "1h",
    "$__rate_interval": "5m",
}


@dataclass(frozen=True)
class Query:
    """One query of a panel.

    Attributes:
        panel: The panel's title.
        ref: The query's letter.
        expression: As it stands in the file.
        instant: It asks for now, not for the range.
    """

    panel: str
    ref: str
    expression: str
    instant: bool

    def filled(self, variables: Mapping[str, str] = VARIABLES) -> str:
        """As Prometheus gets it."""
        return re.sub(r"\$[a-z_]+", lambda match: variables[match[0]], self.expression)


def load() -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads(FILE.read_text())
    return dashboard


def places() -> list[dict[str, Any]]:
    """Returns every panel and row, those of collapsed rows too."""
    return [inner for panel in load()["panels"] for inner in (panel, *panel.get("panels", ()))]


def panels() -> list[dict[str, Any]]:
    """Returns every panel that shows something."""
    return [panel for panel in places() if panel["type"] != "row"]


def queries() -> Iterator[Query]:
    for panel in panels():
        for target in panel["targets"]:
            yield Query(panel["title"], target["refId"], target["expr"], target["instant"])
