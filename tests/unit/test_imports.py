"""What the gate loads: it stands before every start of the application, so nothing that it does not need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("watchdog", "http", "yaml")


def imported(report: str) -> set[str]:
    """Module names of `-X importtime`: `import time: self [us] | cumulative | imported package`."""
    lines = (line for line in report.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines} - {"imported package"}


@pytest.mark.parametrize(
    ("path", "status", "event"),
    [("/nonexistent", 13, "volume.refused"), ("/", 20, "volume.refused")],
    ids=["a refusal without a look", "a refusal after a whole look"],
)
def test_the_gate_loads_neither_watchdog_nor_http_nor_yaml(tmp_path: Path, path: str, status: int, event: str) -> None:
    words = ["check", "--path", path, "--volume", "x", "--wait", "0", "--kinds", "any", "--log-format", "json"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "guard", *words],
        env={"PATH": os.environ["PATH"], "GUARD_TERMINATION_LOG": str(tmp_path / "absent")},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    modules = imported(done.stderr)
    assert {"guard.check", "guard.report.log", "structlog", "pydantic_settings"} <= modules, done.stderr[-2000:]
    assert {name for name in modules if name.split(".")[0] in HEAVY} == set()
    assert {name for name in modules if name.startswith("guard.backup")} == set()
    assert (done.returncode, f'"event": "{event}"' in done.stderr) == (status, True)
