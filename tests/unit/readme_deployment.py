"""The lines that the README adds to a deployment.yaml, in a Deployment that has the rest."""

from pathlib import Path
from typing import Any

import yaml

from tests.unit import markdown

README = Path(__file__).parents[2] / "README.md"


def deployment(claim: str, image: str = "app:1") -> dict[str, Any]:
    """The Deployment of a reader who followed the README.

    Args:
        claim: The claim that is mounted.
        image: The application's image.
    """
    (block,) = [block for block in markdown.read(README).blocks if block.language == "yaml"]
    lines: dict[str, Any] = yaml.safe_load(block.text)
    labels = {"app": "claude-skills"}
    template = lines["spec"]["template"]
    template["metadata"] = {"labels": labels}
    spec = template["spec"]
    mounts = spec["initContainers"][0]["volumeMounts"]
    spec["containers"] = [{"name": "claude-skills", "image": image, "volumeMounts": mounts}]
    spec["volumes"] = [{"name": mounts[0]["name"], "persistentVolumeClaim": {"claimName": claim}}]
    lines["spec"]["selector"] = {"matchLabels": labels}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "claude-skills"}, **lines}
