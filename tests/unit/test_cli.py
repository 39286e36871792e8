"""The command line from its door: help, mistakes and bugs, as status, standard output, log line and termination message."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from guard import __main__, __version__, app, arguments, check, cli, exits
from guard.arguments import COMMANDS
from guard.doctor import catalogue
from guard.outcome import Outcome
from guard.settings import MODELS, fields, flag

REPOSITORY = Path(__file__).parents[2]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def termination_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("GUARD")]:
        monkeypatch.delenv(name)
    path = tmp_path / "termination-log"
    path.touch()
    monkeypatch.setenv("GUARD_TERMINATION_LOG", str(path))
    return path


def printed(capfd: Capture, *arguments: str) -> str:
    """What a command prints that ends well and has nothing to report."""
    assert cli.run(arguments) == 0
    out, err = capfd.readouterr()
    assert err == ""
    return out


def problems(capfd: Capture, termination_log: Path, *arguments: str, out: str = "") -> list[str]:
    """What is wrong with a command line, by its one log line; the termination message has it too."""
    assert cli.run(arguments) == 2
    captured = capfd.readouterr()
    assert captured.out == out
    line = json.loads(captured.err)
    assert (line["event"], line["severity"], line["outcome"], line["status"]) == ("usage", "ERROR", "usage", 2)
    first, *rest = termination_log.read_text().splitlines()
    assert first.startswith("volume-guard cannot run (exit 2, usage): ")
    assert all(text.startswith("  ") for text in rest)
    found: list[str] = line["problems"]
    assert all(problem in line["message"] and problem in termination_log.read_text() for problem in found)
    return found


# Help.


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], ["help", "help"]], ids=" ".join)
def test_the_help_of_the_guard_names_every_command(capfd: Capture, words: list[str]) -> None:
    text = printed(capfd, *words)
    assert text.startswith("usage: guard COMMAND")
    for command, about in COMMANDS.items():
        assert re.search(rf"^ +{command} +{about.summary.split()[0]}", text, re.MULTILINE), command
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("command", COMMANDS)
def test_a_help_text_fits_100_columns_and_has_the_required_setting_first_the_statuses_and_an_example(
    capfd: Capture, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    text = printed(capfd, command, "--help")
    assert text == printed(capfd, "help", command)
    assert max(map(len, text.splitlines())) <= 100
    names = list(fields(MODELS[command])) if command in MODELS else []
    assert re.findall(r"^ +--[a-z-]+ [A-Z]+ +(GUARD_\w+):", text, re.MULTILINE) == names
    if "GUARD_VOLUME" in names:
        assert re.findall(r"^  (--[a-z-]+)", text, re.MULTILINE)[0] == flag(names[0]) == "--volume"
        assert text.count("required setting:") == text.count("(required)") == 1
    for name in names:
        assert re.search(rf"^  {flag(name)} ", text, re.MULTILINE)
    for argument in COMMANDS[command].arguments:
        assert re.search(rf"^  ({argument}|[A-Z]+)\b", text, re.MULTILINE)
    statuses = re.findall(r"^ +(\d+)  ([\w-]+)  ", text, re.MULTILINE)
    assert statuses == [(str(one.status), one.label) for one in COMMANDS[command].statuses]
    assert ("\n  143 " in text) is (command == "check")
    assert f"\nexample:\n  {COMMANDS[command].example}\n" in text
    assert "guard " + command in COMMANDS[command].example
    monkeypatch.setenv("COLUMNS", "60")
    narrow = printed(capfd, command, "-h").partition("\nexample:")[0]
    assert max(map(len, narrow.splitlines())) <= 60


def test_a_help_that_is_behind_the_dashes_is_the_application_s(capfd: Capture, termination_log: Path) -> None:
    (problem,) = problems(capfd, termination_log, "check", "--volume", "v", "--", "no-such-app", "--help")
    assert problem == "APP 'no-such-app' is not there or not executable"


def test_the_version_is_printed(capfd: Capture) -> None:
    assert printed(capfd, "--version") == printed(capfd, "-V") == f"volume-guard {__version__}\n"


# Mistakes.


def test_no_command_prints_the_help_and_is_a_mistake(capfd: Capture, termination_log: Path) -> None:
    help_text = printed(capfd, "--help")
    (problem,) = problems(capfd, termination_log, out=help_text)
    assert problem == f"no command is given: known are {', '.join(COMMANDS)}"


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        ("chek", "unknown command 'chek': the nearest known one is check (known are check, "),
        ("stop --help", "unknown command 'stop': the nearest known one is"),
        ("--path /x check", "--path comes before the command: guard COMMAND [FLAG...]"),
        ("check --volume v --wiat 1s", "unknown flag --wiat of guard check: the nearest known one is --wait"),
        ("watch --volume v --intervall 1s", "unknown flag --intervall of guard watch: the nearest known one is --interval"),
        ("check --volume v --kinds block,netwrk", "--kinds='block,netwrk': write block,network, or others of block,network,fuse,node-disk,"),
        ("check --volume v --log-level warn", "--log-level='warn': write warning, or another of debug, info, notice, warning, error, critical"),
        ("doctor x --output saraf", "--output='saraf': write table, json, sarif or github; the nearest is sarif"),
        ("doctor", "guard doctor: FILE is missing; - is standard input"),
        ("explain", "guard explain: NAME is missing: "),
        ("explain data-lots", "nothing is called 'data-lots': the nearest known name is data-lost"),
        ("explain 44", "nothing is called '44': the nearest known name is 40"),
        ("explain 144", "nothing is called '144': the nearest known name is 143"),
        ("explain vg1001", "nothing is called 'vg1001': the nearest known name is VG101"),
        ("explain volume-not-mountd", "nothing is called 'volume-not-mountd': the nearest known name is volume-not-mounted"),
        ("explain a b", "unexpected argument 'b' of guard explain"),
        ("adopt --volume v -- true", "guard adopt takes no -- APP"),
        ("watch --volume v -- true", "guard watch takes no -- APP"),
        ("doctor x -- true", "guard doctor takes no -- APP"),
        ("check --volume v --", "-- is there, but no APP behind it"),
        ("check --volume v -- /etc/passwd", "APP '/etc/passwd' is not there or not executable"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_what_comes_nearest(
    capfd: Capture, termination_log: Path, words: str, nearest: str
) -> None:
    (problem,) = problems(capfd, termination_log, *words.split())
    assert problem.startswith(nearest)


@pytest.mark.parametrize("command", sorted(set(MODELS) - {"doctor"}))
def test_all_mistakes_are_reported_at_once_under_the_names_that_were_written(
    capfd: Capture, termination_log: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("GUARD_PROBE_TIMEOUT", "soon")
    monkeypatch.setenv("GUARD_IGNOR", "*.tmp")
    words = [command, "--path", "skills", "--min-files=few", "--paht", "x", *(["why"] if command == "hold" else [])]
    assert [problem.partition(":")[0] for problem in problems(capfd, termination_log, *words)] == [
        f"unknown flag --paht of guard {command}",
        "GUARD_VOLUME is missing (or --volume)",
        "--path='skills'",
        "GUARD_PROBE_TIMEOUT='soon'",
        "--min-files='few'",
        "unknown setting GUARD_IGNOR",
    ]


@pytest.mark.parametrize("command", sorted(MODELS))
def test_a_wrong_setting_of_reports_is_reported_where_the_other_ones_say(
    capfd: Capture, termination_log: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("GUARD_VOLUME", "v")
    monkeypatch.setenv("GUARD_POD", "\udcff")
    words = [command, "--log-level=loud", *(["x"] if command in {"doctor", "hold"} else [])]
    found = problems(capfd, termination_log, *words)
    assert [problem.partition(":")[0] for problem in found] == [r"GUARD_POD='\udcff'", "--log-level='loud'"]


def test_an_application_s_own_variable_is_left_alone_unless_it_is_almost_one_of_ours(
    capfd: Capture, termination_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GUARD_RAIL_HEIGHT", "GUARD_VOLUM", "GUARD_WEB_SERVICE_HOST", "GUARD_PORT_80_TCP_ADDR"):
        monkeypatch.setenv(name, "v")
    words = ["check", "--volume", "v"]
    ours = "unknown setting GUARD_VOLUM: the nearest known one is GUARD_VOLUME"
    assert problems(capfd, termination_log, *words, "--", "true") == [ours]
    other, _ = problems(capfd, termination_log, *words)
    assert other.startswith("unknown setting GUARD_RAIL_HEIGHT: ")


# Explanations.


@pytest.mark.parametrize("outcome", Outcome, ids=lambda one: one.label)
def test_an_outcome_is_explained_by_its_name_and_its_status(capfd: Capture, outcome: Outcome) -> None:
    text = printed(capfd, "explain", outcome.label)
    assert text == printed(capfd, "explain", str(outcome.status))
    assert text.startswith(f"{outcome.label} (exit status {outcome.status}, ")
    assert outcome.value.remedy in text


def test_the_status_of_a_gate_that_was_stopped_and_every_rule_are_explained(capfd: Capture) -> None:
    assert "SIGTERM came while `guard check` waited" in printed(capfd, "explain", "143")
    for rule in catalogue.RULES.values():
        assert printed(capfd, "explain", rule.id.lower()) == printed(capfd, "explain", rule.slug)


# Bugs: a command line can't bring one about.


def fails(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(module, name, fail)


@pytest.mark.parametrize(
    ("command", "place"),
    [("check", (check.Gate, "run")), ("accept", (app.VolumeCommand, "_execute")), ("check", (arguments, "parse")),
     ("doctor", (arguments, "parse")), ("watch", (cli, "_watch"))],
)  # fmt: skip
def test_a_bug_ends_with_its_own_event_and_status(
    capfd: Capture, termination_log: Path, monkeypatch: pytest.MonkeyPatch, command: str, place: tuple[Any, str]
) -> None:
    fails(monkeypatch, *place)
    assert cli.run([command, "--volume", "v", *(["--", "true"] if command == "check" else [])]) == 1
    line = json.loads(capfd.readouterr().err)
    assert (line["event"], line["severity"], line["outcome"]) == ("internal.error", "ERROR", "internal-error")
    assert "RuntimeError: a bug" in line["traceback"]
    first, *rest = termination_log.read_text().splitlines()
    assert first == "volume-guard failed (exit 1, internal-error): a bug in the guard: RuntimeError: a bug."
    assert all(text.startswith("  ") for text in rest)


def test_a_bug_does_not_keep_an_observed_application_from_starting(
    capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []

    def start(ending: exits.ExecApp) -> int:
        started.append(list(ending.app))
        return 7

    fails(monkeypatch, check.Gate, "run")
    monkeypatch.setattr(exits, "exec_app", start)
    monkeypatch.setenv("GUARD_ENFORCE", "false")
    assert cli.run(["check", "--volume", "v", "--", "true", "x"]) == 7
    assert started == [["true", "x"]]
    assert cli.run(["check", "--volume", "v"]) == 0
    assert capfd.readouterr().err.count('"internal.error"') == 2


def test_a_bug_in_the_report_of_a_bug_still_ends_with_a_line_a_message_and_the_status(
    capfd: Capture, termination_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ImportError('"\\\n\x1b é')

    fails(monkeypatch, arguments, "parse")
    monkeypatch.setattr(exits, "report_bug", fail)
    monkeypatch.setattr(os, "_exit", sys.exit)
    monkeypatch.setattr(sys, "argv", ["guard", "check"])
    with pytest.raises(SystemExit, match="1"):
        __main__.main()
    line = json.loads(capfd.readouterr().err)
    assert (line["event"], line["severity"], line["outcome"]) == ("internal.error", "ERROR", "internal-error")
    assert "ended on ImportError(" in line["message"]
    assert "too little memory" in line["message"]
    assert termination_log.read_text() == f"{line['message']}\n"


def test_ctrl_c_ends_the_doctor_without_a_traceback(capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(arguments, "parse", stop)
    assert cli.run(["doctor", "-"]) == 130
    assert capfd.readouterr() == ("", "")


# The doctor's standard input.


@pytest.mark.parametrize("flags", [["-", "--live", "-"], ["-", "-"], ["x.yaml", "--live", "-", "--logs", "-"]])
def test_the_doctor_refuses_to_read_standard_input_twice(
    capfd: Capture, termination_log: Path, flags: list[str]
) -> None:
    (problem,) = problems(capfd, termination_log, "doctor", *flags)
    assert "- is named twice" in problem


def doctor(name: str, standard_input: str) -> "subprocess.CompletedProcess[str]":
    """The command, with what the shell makes of standard input."""
    command = [sys.executable, "-m", "guard", "doctor", name]
    shell = ["sh", "-c", f'exec "$@" {standard_input}', "sh", *command]
    return subprocess.run(shell, check=False, cwd=REPOSITORY, capture_output=True, text=True)


def test_the_doctor_reads_files_where_standard_input_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("kind: ConfigMap\nmetadata: {name: a}\n")
    assert doctor(str(file), "<&-").returncode == Outcome.OK.status


def test_a_closed_standard_input_has_nothing_in_it() -> None:
    ended = doctor("-", "<&-")
    assert ended.returncode == Outcome.USAGE.status
    assert "nothing in it" in ended.stdout
