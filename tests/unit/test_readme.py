"""What the README says of outcomes and settings is what the code does."""

from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from guard import __version__
from tests.unit import markdown
from tests.unit import readme_tables as tables


def test_the_tables_of_the_readme_are_those_of_the_code() -> None:
    text = tables.README.read_text()
    assert tables.written(text) == text, "run: python tests/unit/readme_tables.py"


def test_the_readme_opens_with_the_promise_and_the_two_commands() -> None:
    opening = tables.README.read_text()[:1500]
    assert "make demo" in opening
    assert "make test" in opening


def test_the_readme_is_short_enough_to_be_read() -> None:
    prose = [line for line in tables.README.read_text().splitlines() if not line.startswith("|")]
    assert len(prose) < 350


@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
def test_what_the_readme_adds_to_a_deployment_is_strictly_valid(version: str) -> None:
    deployment = _deployment()
    kubernetes_validate.validate(deployment, version, strict=True)
    gate, watcher = deployment["spec"]["template"]["spec"]["initContainers"]
    assert gate["image"] == watcher["image"] == f"ghcr.io/uengine-oss/volume-guard:{__version__}"
    assert watcher["restartPolicy"] == "Always"


def _deployment() -> dict[str, Any]:
    """The README's lines in a Deployment that has the rest."""
    (block,) = [block for block in markdown.read(tables.README).blocks if block.language == "yaml"]
    deployment: dict[str, Any] = yaml.safe_load(block.text)
    labels = {"app": "claude-skills"}
    template = deployment["spec"]["template"]
    template["metadata"] = {"labels": labels}
    mounts = template["spec"]["initContainers"][0]["volumeMounts"]
    template["spec"]["containers"] = [{"name": "app", "image": "app:1", "volumeMounts": mounts}]
    template["spec"]["volumes"] = [{"name": mounts[0]["name"], "persistentVolumeClaim": {"claimName": "skills"}}]
    deployment["spec"]["selector"] = {"matchLabels": labels}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "claude-skills"}, **deployment}
