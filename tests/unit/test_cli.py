"""Where an outcome becomes an exit status: a bug of the guard's own, which a command line can't bring about, and a misuse."""

import subprocess
import sys
from pathlib import Path

import pytest

from guard import cli
from guard.interrupt import Interrupt
from guard.outcome import Outcome
from guard.settings import CheckSettings
from guard.volume.prober import Prober


def judged(monkeypatch: pytest.MonkeyPatch, *, enforce: bool, app: list[str] | None) -> int | cli.Handover:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(cli, "_command", fail)
    found = CheckSettings.model_validate({"GUARD_VOLUME": "skills", "GUARD_ENFORCE": enforce})
    with Interrupt() as interrupt:
        return cli._judge("check", found, {}, app, [], Prober(), interrupt)


def test_a_bug_ends_with_its_own_status(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(monkeypatch, enforce=True, app=["true"]) == 1


def test_a_bug_does_not_keep_an_observed_application_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    ending = judged(monkeypatch, enforce=False, app=["true"])
    assert isinstance(ending, cli.Handover)
    assert ending.app == ["true"]


def test_a_bug_of_an_observing_gate_does_not_stop_the_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(monkeypatch, enforce=False, app=None) == 0


@pytest.mark.parametrize("flags", [["-", "--live", "-"], ["-", "-"], ["x.yaml", "--live", "-", "--logs", "-"]])
def test_the_doctor_refuses_to_read_standard_input_twice(capfd: pytest.CaptureFixture[str], flags: list[str]) -> None:
    assert cli._doctor(flags) == Outcome.USAGE.status
    assert "- is named twice" in capfd.readouterr().err


def doctor(name: str, standard_input: str) -> "subprocess.CompletedProcess[str]":
    """The command, with what the shell makes of standard input."""
    command = [sys.executable, "-m", "guard", "doctor", name]
    shell = ["sh", "-c", f'exec "$@" {standard_input}', "sh", *command]
    return subprocess.run(shell, check=False, cwd=Path(__file__).parents[2], capture_output=True, text=True)


def test_the_doctor_reads_files_where_standard_input_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("kind: ConfigMap\nmetadata: {name: a}\n")
    assert doctor(str(file), "<&-").returncode == Outcome.OK.status


def test_a_closed_standard_input_has_nothing_in_it() -> None:
    ended = doctor("-", "<&-")
    assert ended.returncode == Outcome.USAGE.status
    assert "nothing in it" in ended.stdout
