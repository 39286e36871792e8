"""`guard check -- APP`: the application starts after a pass only, as if nothing had stood before it."""

import json
import os
import signal

import pytest

from tests.linux.sandbox import Sandbox, until

pytestmark = pytest.mark.mounts

_REPORT = """
import json, os, sys
listed = os.listdir("/proc/self/fd")  # the descriptor that it was listed by is closed by now
fds = sorted(int(number) for number in listed if os.path.lexists(f"/proc/self/fd/{number}"))
print(json.dumps({"argv": sys.argv[1:], "stdin": sys.stdin.read(), "fds": fds, "cwd": os.getcwd()}))
sys.exit(7)
"""


def test_the_application_gets_its_arguments_and_streams_and_gives_its_own_status(adopted: Sandbox) -> None:
    python = adopted.command()[0]
    ended = adopted.guard("check", "--", python, "-c", _REPORT, "--path", "/x", "--", "", stdin="typed")
    assert ended.status == 7, ended.stderr
    report = json.loads(ended.stdout)
    assert (report["argv"], report["stdin"]) == (["--path", "/x", "--", ""], "typed")
    assert report["fds"] == [0, 1, 2]
    assert report["cwd"] == adopted.work
    assert ended.last["event"] == "volume.ok"


def test_the_application_gets_the_environment_as_it_was(adopted: Sandbox) -> None:
    given = {"APP_TOKEN": "x=y z", "GUARD_RAIL_HEIGHT_OF_THE_APPLICATION": "7", "EMPTY": ""}
    ended = adopted.guard("check", "--", "env", "-0", **given)
    assert ended.status == 0, ended.stderr
    found = dict(line.split("=", 1) for line in ended.stdout.split("\0") if line)
    assert found == adopted.environment(given)


def test_a_setting_that_may_be_the_application_s_is_a_warning_of_the_line_that_says_the_end(adopted: Sandbox) -> None:
    given = {"GUARD_RAIL_HEIGHT": "7"}
    passed = adopted.guard("check", "--", "true", **given)
    refused = adopted.guard("check", "--", "true", **given, GUARD_VOLUME="skills-prod")
    assert (passed.events(), passed.last["severity"]) == (["volume.ok"], "WARNING")
    assert refused.events() == ["volume.refused"]
    for ended in (passed, refused):
        assert ended.last["warnings"][0].startswith("left alone: unknown setting GUARD_RAIL_HEIGHT")
        assert "GUARD_RAIL_HEIGHT" in ended.last["message"]


def test_the_application_starts_with_default_signals_and_without_a_child_of_the_guard(adopted: Sandbox) -> None:
    ended = adopted.guard("check", "--", "cat", "/proc/self/status", "/proc/thread-self/children")
    status = dict(line.split(":\t", 1) for line in ended.stdout.splitlines() if ":\t" in line)
    for field in ("SigIgn", "SigBlk", "SigCgt"):
        mask = int(status[field], 16)
        assert not mask & (1 << signal.SIGPIPE - 1), field
        assert not mask & (1 << signal.SIGTERM - 1), field
    assert ended.stdout.endswith("\n")  # no pid behind the last line of the status


def test_the_application_keeps_the_guard_s_pid(adopted: Sandbox) -> None:
    with adopted.start(adopted.command("check", "--", "sleep", "60"), env=adopted.environment({})) as process:
        try:
            until(lambda: _command_line(process.pid).startswith(b"sleep"))
        finally:
            process.kill()


def _command_line(pid: int) -> bytes:
    with open(f"/proc/{pid}/cmdline", "rb") as found:
        return found.read()


def test_a_refused_volume_keeps_the_application_from_starting(adopted: Sandbox) -> None:
    ended = adopted.guard("check", "--", "touch", f"{adopted.work}/started", GUARD_VOLUME="skills-prod")
    assert ended.status == 21
    assert not os.path.exists(f"{adopted.work}/started")


def test_what_is_only_observed_is_said_alike_and_ends_well(adopted: Sandbox) -> None:
    enforced = adopted.guard("check", GUARD_VOLUME="skills-prod")
    observed = adopted.guard("check", GUARD_VOLUME="skills-prod", GUARD_ENFORCE="false")
    assert (enforced.status, observed.status) == (21, 0)
    assert observed.termination.startswith("volume-guard would refuse this start (exit 21, marker-mismatch)")
    assert (enforced.last["severity"], observed.last["severity"]) == ("ERROR", "WARNING")
    assert observed.last["enforced"] is False
    assert "observe only: the application starts anyway" in observed.last["message"]
    for name in ("event", "outcome", "status"):
        assert observed.last[name] == enforced.last[name]


def test_what_is_only_observed_lets_the_application_start(adopted: Sandbox) -> None:
    ended = adopted.guard("check", "--", "echo", "started", GUARD_VOLUME="skills-prod", GUARD_ENFORCE="false")
    assert (ended.status, ended.stdout) == (0, "started\n")
    assert ended.last["outcome"] == "marker-mismatch"


@pytest.mark.parametrize(
    "app",
    [["/nowhere/app"], ["no-such-app"], ["/etc/passwd"], []],
    ids=["absent", "not in PATH", "no program", "nothing"],
)
def test_an_application_that_cannot_start_is_a_mistake_of_usage(adopted: Sandbox, app: list[str]) -> None:
    ended = adopted.guard("check", "--", *app)
    assert ended.status == 2
    assert ended.termination.startswith("volume-guard cannot run (exit 2, usage): ")
    assert ended.events() == ["usage"]


@pytest.mark.parametrize("command", ["check", "hold why", "check -- true"])
def test_a_parent_that_ignores_the_end_of_its_children_changes_nothing(adopted: Sandbox, command: str) -> None:
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    guard = adopted.command(*command.split())
    ended = adopted.run([guard[0], "-c", ignoring, *guard])
    assert ended.status == 0, ended.stderr
