"""The doctor as a step of a workflow and as a pre-commit hook: the files that others' workflows run, run here."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.release.building import ONE, REPOSITORY, copy_sources, run
from tests.unit import markdown

#: An application whose data goes with each pod, and YAML that is no manifest.
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: example.com/web:1
          volumeMounts: [{name: uploads, mountPath: /srv/uploads}]
      volumes: [{name: uploads, emptyDir: {}}]
"""
PRE_COMMIT = "pre-commit==4.7.0"
NO_MANIFEST = "services: {web: {image: web}}\n"


@pytest.fixture(scope="module")
def action(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The action as a runner has it: a checkout of this repository."""
    return copy_sources(tmp_path_factory.mktemp("action") / "volume-guard", ONE)


@pytest.fixture
def pull_request(tmp_path: Path) -> Path:
    """A clone of a repository, with a commit on top that adds a manifest and other YAML."""
    upstream, clone = tmp_path / "upstream", tmp_path / "clone"
    _git(tmp_path, "init", "--quiet", "--initial-branch=main", str(upstream))
    (upstream / "README").write_text("Nothing yet.\n")
    _commit(upstream)
    _git(tmp_path, "clone", "--quiet", f"file://{upstream}", str(clone))
    (clone / "deploy").mkdir()
    (clone / "deploy" / "web.yaml").write_text(DEPLOYMENT)
    (clone / "compose.yaml").write_text(NO_MANIFEST)
    _commit(clone)
    return clone


def step(action: Path, clone: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    before = _git(clone, "rev-parse", "origin/main").strip()
    environment = {"BEFORE": before, "RUNNER_TEMP": str(action.parent), **inputs}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        ["sh", action / ".github" / "doctor.sh"],
        cwd=clone, env={**kept, **environment}, check=False, capture_output=True, text=True, timeout=600,
    )  # fmt: skip


def test_the_step_judges_the_manifests_that_a_pull_request_changes(action: Path, pull_request: Path) -> None:
    done = step(action, pull_request, DOCTOR_PATH="/srv/uploads")
    assert done.returncode == 40, done.stdout + done.stderr
    assert "::error file=deploy/web.yaml" in done.stdout
    assert "compose.yaml" not in done.stdout + done.stderr


def test_the_step_judges_the_files_that_it_is_given_and_fails_when_it_is_told(action: Path, pull_request: Path) -> None:
    done = step(action, pull_request, FILES="deploy", DOCTOR_PATH="/srv/uploads", FAIL_ON="never")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "::error file=deploy/web.yaml" in done.stdout


def test_the_step_passes_where_no_manifest_has_changed(action: Path, pull_request: Path) -> None:
    (pull_request / "deploy" / "web.yaml").unlink()
    _git(
        pull_request,
        "-c",
        "user.name=test",
        "-c",
        "user.email=test@localhost",
        "commit",
        "--quiet",
        "--all",
        "--amend",
        "--message=no manifest",
    )
    done = step(action, pull_request)
    assert (done.returncode, done.stdout) == (0, "no manifest has changed\n")


def test_the_action_hands_every_input_to_the_step() -> None:
    action: dict[str, Any] = yaml.safe_load((REPOSITORY / "action.yml").read_text())
    handed = " ".join(action["runs"]["steps"][-1]["env"].values())
    assert all(f"inputs.{name} " in handed.replace("}}", " ") for name in action["inputs"])


def test_pre_commit_installs_what_the_extra_names() -> None:
    (hook,) = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text())
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert hook["additional_dependencies"] == project["optional-dependencies"]["doctor"]


def test_the_hook_judges_the_manifests_of_a_commit(action: Path, pull_request: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    run(tmp_path / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", PRE_COMMIT, cwd=tmp_path)
    _git(action, "init", "--quiet")
    _commit(action)
    page = markdown.read(REPOSITORY / "docs" / "install.md")
    (example,) = (block.text for block in page.blocks if "id: guard-doctor" in block.text)
    config = yaml.safe_load(example)
    config["repos"][0] |= {"repo": str(action), "rev": _git(action, "rev-parse", "HEAD").strip()}
    hook = config["repos"][0]["hooks"][0]
    assert hook == {"id": "guard-doctor", "files": "^k8s/", "args": ["--path", "/app/skills"]}
    hook |= {"files": "^deploy/", "args": ["--path", "/srv/uploads"]}
    (pull_request / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    _git(pull_request, "add", "--all")
    environment = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [tmp_path / "venv/bin/pre-commit", "run", "--all-files"],
        cwd=pull_request, env=environment, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "deploy/web.yaml" in done.stdout, done.stdout + done.stderr
    assert "VG106" in done.stdout


def _git(folder: Path, *words: str) -> str:
    return run("git", *words, cwd=folder)


def _commit(folder: Path) -> None:
    _git(folder, "add", "--all")
    _git(folder, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "--message=change")
