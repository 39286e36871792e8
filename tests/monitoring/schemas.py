"""The schemas of the custom resources: the operator's as it ships them, Google's as far as our objects use them."""

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

#: The release whose CRDs are read, as a Go module: 4 MB.
_OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"

_OBJECT = {"type": "object", "additionalProperties": False}
_STRING = {"type": "string"}
_STRINGS = {"type": "object", "additionalProperties": _STRING}
_DURATION = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d|w|y))+$"}
_SELECTOR = {**_OBJECT, "properties": {"matchLabels": _STRINGS}}
_PORT = {"anyOf": [{"type": "integer"}, {"type": "string", "minLength": 1}]}
_ENDPOINT = {
    **_OBJECT,
    "required": ["port", "interval"],
    "properties": {"port": _PORT, "path": _STRING, "interval": _DURATION, "timeout": _DURATION},
}
#: Of a PodMonitoring: the namespace is always there, and is not to be asked for.
_METADATA = {"enum": ["container", "node", "pod", "top_level_controller_name", "top_level_controller_type"]}
_RULE = {
    **_OBJECT,
    "required": ["alert", "expr"],
    "properties": {"alert": _STRING, "expr": _STRING, "for": _DURATION, "labels": _STRINGS, "annotations": _STRINGS},
}
_GROUP = {
    **_OBJECT,
    "required": ["name", "rules"],
    "properties": {
        "name": _STRING,
        "interval": _DURATION,
        "rules": {"type": "array", "minItems": 1, "items": _RULE},
    },
}

#: The specs of monitoring.googleapis.com/v1, as
#: https://github.com/GoogleCloudPlatform/prometheus-engine/blob/v0.17.2/doc/api.md has them. The module with its CRDs is
#: 90 MB, too much for a test.
GOOGLE: dict[str, Any] = {
    "PodMonitoring": {
        **_OBJECT,
        "required": ["selector", "endpoints"],
        "properties": {
            "selector": _SELECTOR,
            "endpoints": {"type": "array", "minItems": 1, "items": _ENDPOINT},
            "targetLabels": {
                **_OBJECT,
                "properties": {"metadata": {"type": "array", "items": _METADATA, "uniqueItems": True}},
            },
        },
    },
    "ClusterRules": {
        **_OBJECT,
        "required": ["groups"],
        "properties": {"groups": {"type": "array", "items": _GROUP}},
    },
}


@cache
def operator() -> dict[str, Any]:
    """The specs of monitoring.coreos.com/v1 by kind, from the operator's own CRDs."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no go to fetch the operator's CRDs with")
    done = subprocess.run(
        [go, "mod", "download", "-json", _OPERATOR], check=False, capture_output=True, text=True, cwd="/"
    )
    if done.returncode != 0:
        pytest.skip(f"the operator's CRDs could not be fetched: {done.stderr or done.stdout}")
    folder = Path(json.loads(done.stdout)["Dir"]) / "example" / "prometheus-operator-crd"
    return {
        kind: _spec(folder / f"monitoring.coreos.com_{kind.lower()}s.yaml") for kind in ("PodMonitor", "PrometheusRule")
    }


def _spec(file: Path) -> Any:
    definition = yaml.safe_load(file.read_text())["spec"]
    (version,) = [one for one in definition["versions"] if one["name"] == "v1"]
    return _strict(version["schema"]["openAPIV3Schema"]["properties"]["spec"])


def _strict(schema: Any) -> Any:
    """As the API server prunes: a field that is not in the schema is lost, so it is an error here."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: _strict(one) for name, one in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        strict.setdefault("additionalProperties", False)
    if isinstance(pattern := schema.get("pattern"), str) and pattern.startswith("^(?i)"):
        strict["pattern"] = f"(?i:^{pattern.removeprefix('^(?i)')})"  # Go takes a flag anywhere, Python in front
    return strict
