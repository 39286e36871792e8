"""What runs on GitHub: each step's script is a make target that runs anywhere, and the forms ask for what is needed."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
GITHUB = REPOSITORY / ".github"
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
#: What prepares or clears the runner; on any other machine there is nothing to do.
OF_THE_RUNNER = ("sudo chown -R ", "gh release create ")
FORMS = sorted(one for one in GITHUB.glob("ISSUE_TEMPLATE/*.yml") if one.name != "config.yml")


def steps(workflow: str) -> list[dict[str, Any]]:
    document: dict[str, Any] = yaml.safe_load((GITHUB / "workflows" / workflow).read_text())
    return [step for job in document["jobs"].values() for step in job["steps"]]


def targets(workflow: str) -> list[str]:
    """The make targets of a workflow, in order."""
    scripts = [step["run"] for step in steps(workflow) if "run" in step]
    made = [script for script in scripts if not script.startswith(OF_THE_RUNNER)]
    assert all(" make " in f" {script}" for script in made), made
    words = [word for script in made for word in script.partition("make ")[2].split()]
    return [word for word in words if "=" not in word]


@pytest.mark.parametrize("workflow", ["ci.yml", "release.yml"])
def test_each_script_is_a_target_of_the_makefile(workflow: str) -> None:
    assert set(targets(workflow)) <= TARGETS


def test_a_change_must_pass_what_the_readme_names_and_the_cluster() -> None:
    assert {"demo", "test", "test-cluster", "release-check"} <= set(targets("ci.yml"))


def test_a_release_is_tested_before_it_is_published_and_signed() -> None:
    made = targets("release.yml")
    assert made.index("notes") < made.index("release-check") < made.index("publish-images") < made.index("sign")


def test_only_what_publishes_may_write() -> None:
    jobs: dict[str, Any] = yaml.safe_load((GITHUB / "workflows" / "release.yml").read_text())["jobs"]
    writing = {name for name, job in jobs.items() if "write" in job["permissions"].values()}
    building = {
        name for name, job in jobs.items() if any("make images" in str(step.get("run")) for step in job["steps"])
    }
    assert writing == {"publish", "pypi", "github"}
    assert building.isdisjoint(writing)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_a_form_asks_for_the_version_and_for_what_was_seen(form: Path) -> None:
    document: dict[str, Any] = yaml.safe_load(form.read_text())
    required = {one["id"] for one in document["body"] if one.get("validations", {}).get("required")}
    assert "version" in required
    assert required & {"line", "log", "finding"}, "the line, the log or the finding itself"
    assert document["labels"]
