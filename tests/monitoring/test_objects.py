"""The custom resources: valid by their schemas, the rules in them those of the rule file, and what they select is there."""

from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from tests.monitoring import schemas
from tests.monitoring.wrapping import MONITORING, RULES, WRAPPED, wrapped

MANIFESTS = MONITORING.parent

Object = dict[str, Any]


def read(path: Path) -> Object:
    return yaml.safe_load(path.read_text())  # type: ignore[no-any-return]


GOOGLE = sorted((MONITORING / "google").glob("*.yaml"))
OPERATOR = sorted((MONITORING / "operator").glob("*.yaml"))


@pytest.mark.parametrize("path", GOOGLE, ids=lambda path: path.name)
def test_an_object_of_google_s_is_valid(path: Path) -> None:
    one = read(path)
    assert one["apiVersion"] == "monitoring.googleapis.com/v1"
    jsonschema.validate(one["spec"], schemas.GOOGLE[one["kind"]])


@pytest.mark.parametrize("path", OPERATOR, ids=lambda path: path.name)
def test_an_object_of_the_operator_s_is_valid(path: Path) -> None:
    one = read(path)
    assert one["apiVersion"] == "monitoring.coreos.com/v1"
    jsonschema.validate(one["spec"], schemas.operator()[one["kind"]])


@pytest.mark.parametrize("path", OPERATOR, ids=lambda path: path.name)
def test_a_field_that_the_api_server_would_drop_is_not_valid(path: Path) -> None:
    one = read(path)
    (listed,) = [value for value in one["spec"].values() if isinstance(value, list)]
    listed[0]["misspelt"] = "30s"
    with pytest.raises(jsonschema.ValidationError, match="misspelt"):
        jsonschema.validate(one["spec"], schemas.operator()[one["kind"]])


@pytest.mark.parametrize("path", WRAPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_wrapped_rules_are_those_of_the_rule_file(path: Path) -> None:
    assert path.read_text() == wrapped(WRAPPED[path]), "run: python -m tests.monitoring.wrapping"
    assert read(path)["spec"]["groups"] == read(RULES)["groups"]


@pytest.mark.parametrize(
    ("path", "endpoints"),
    [("google/podmonitoring.yaml", "endpoints"), ("operator/podmonitor.yaml", "podMetricsEndpoints")],
)
def test_the_watcher_s_port_is_the_one_that_is_scraped(path: str, endpoints: str) -> None:
    monitor, deployment = read(MONITORING / path), read(MANIFESTS / "deployment.yaml")
    pod = deployment["spec"]["template"]
    ports = {
        port["name"]: container["name"]
        for container in [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
        for port in container.get("ports", [])
    }
    (endpoint,) = monitor["spec"][endpoints]
    assert ports[endpoint["port"]] == "volume-guard-watch"
    assert monitor["metadata"]["namespace"] == deployment["metadata"]["namespace"]
    assert pod["metadata"]["labels"].items() >= monitor["spec"]["selector"].get("matchLabels", {}).items()
