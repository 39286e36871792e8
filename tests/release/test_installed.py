"""The installed wheel, in an environment of its own: the command, the types, and no trace of the checkout."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from guard import __version__
from tests.release.building import REPOSITORY, run

#: What a consumer of the package may write, and what a type checker then knows.
CONSUMER = """\
from guard.outcome import Outcome

reveal_type(Outcome.DATA_LOST.status)
"""


@pytest.fixture
def command(installed: Path) -> Path:
    return installed / "bin" / "guard"


def guard(command: Path, *arguments: str | Path, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "GUARD_TERMINATION_LOG": str(cwd / "absent"), **settings}
    return subprocess.run(
        [str(word) for word in (command, *arguments)],
        cwd=cwd, env=environment, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_the_package_is_the_installed_one(installed: Path, tmp_path: Path) -> None:
    where = run(installed / "bin" / "python", "-I", "-c", "import guard; print(guard.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed)


def test_pip_finds_nothing_missing_and_nothing_changed(installed: Path, tmp_path: Path) -> None:
    assert "No broken requirements" in run(installed / "bin" / "python", "-I", "-m", "pip", "check", cwd=tmp_path)


def test_the_command_tells_its_version(command: Path, tmp_path: Path) -> None:
    done = guard(command, "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"volume-guard {__version__}\n", "")


def test_the_package_runs_as_a_module_too(installed: Path, tmp_path: Path) -> None:
    said = run(installed / "bin" / "python", "-I", "-m", "guard", "--version", cwd=tmp_path)
    assert said == f"volume-guard {__version__}\n"


def test_the_gate_refuses_a_folder_that_is_not_mounted(command: Path, tmp_path: Path) -> None:
    settings = {"GUARD_PATH": str(tmp_path), "GUARD_VOLUME": "skills", "GUARD_WAIT": "0", "GUARD_LOG_FORMAT": "json"}
    done = guard(command, "check", cwd=tmp_path, **settings)
    last = json.loads(done.stderr.splitlines()[-1])
    assert (last["event"], last["outcome"]) == ("volume.refused", "not-mounted")
    assert done.returncode == 10


def test_without_its_extra_the_doctor_reads_json_and_names_the_extra_for_yaml(command: Path, tmp_path: Path) -> None:
    manifest = REPOSITORY / "k8s" / "deployment.yaml"
    as_json = tmp_path / "deployment.json"
    as_json.write_text(json.dumps(list(yaml.safe_load_all(manifest.read_text()))))
    done = guard(command, "doctor", as_json, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    refused = guard(command, "doctor", manifest, cwd=tmp_path)
    assert refused.returncode == 2
    assert "pip install 'volume-guard[doctor]'" in " ".join(refused.stdout.split())  # it is wrapped


def test_a_rule_and_an_outcome_are_explained(command: Path, tmp_path: Path) -> None:
    assert guard(command, "explain", "VG101", cwd=tmp_path).stdout.startswith("VG101 volume-not-mounted (error)")
    assert "data-lost" in guard(command, "explain", "30", cwd=tmp_path).stdout


def test_a_type_checker_sees_the_package_s_types(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "consumer.py").write_text(CONSUMER)
    # Away from the checkout, whose sources and settings mypy would read instead.
    said = run(
        sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}/cache",
        "--python-executable", installed / "bin" / "python", "consumer.py",
        cwd=tmp_path, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert 'Revealed type is "int"' in said or 'Revealed type is "builtins.int"' in said, said
