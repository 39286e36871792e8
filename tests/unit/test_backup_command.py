"""`python -m guard.backup` before it does anything: its help, and what it says of words and settings that mean nothing."""

import json
import subprocess
import sys

import pytest

WORDS = (sys.executable, "-m", "guard.backup")


def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {"GUARD_LOG_FORMAT": "json", "PYTHONPATH": ".", **settings}
    return subprocess.run((*WORDS, *words), env=environment, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("command", [(), ("archive",), ("restore",), ("drill",), ("init",)], ids=str)
def test_help_needs_no_settings(command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {' '.join(('python -m guard.backup', *command))}")


def test_wrong_words_and_wrong_settings_are_said_at_once_as_a_whole_operation_of_one_line() -> None:
    done = run("drill", GUARD_WAIT="soon", GUARD_POD="night-1")
    (line,) = [json.loads(one) for one in done.stderr.splitlines()]
    assert (done.returncode, line["status"], line["event"]) == (2, 2, "backup.failed")
    assert "--into" in line["message"]
    assert "GUARD_VOLUME is missing" in line["message"]
    assert "GUARD_WAIT='soon'" in line["message"]
    assert line["pod"] == "night-1"
    operation = line["logging.googleapis.com/operation"]
    assert (operation["first"], operation["last"]) == (True, True)
