"""`python -m guard.backup` before it does anything: its help, and what it says of words and settings that mean nothing."""

import json
import subprocess
import sys

import pytest

from guard.backup.gate import log_object

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


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, b'{"severity": "loud"}', b'{"severity": ["INFO"]}', b'{"a": 1}', b"3", b"", b"\xff"],
    ids=["deep", "unknown", "list", "none", "number", "empty", "binary"],
)  # fmt: skip
def test_a_line_on_standard_error_that_is_none_of_the_guard_s_is_not_read_as_one(line: bytes) -> None:
    assert log_object(line) == {}
    assert log_object(b'{"severity": "INFO"}') == {"severity": "INFO"}
