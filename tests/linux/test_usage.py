"""What ends a command before it looked at anything: wrong settings, no process for the prober. Said as everything else is."""

import pytest

from tests.linux.sandbox import Ended, Sandbox
from tests.linux.watching import OPERATION

pytestmark = pytest.mark.mounts


def _is_one_line_of_its_own(ended: Ended) -> None:
    (line,) = ended.lines
    assert (line["event"], line[OPERATION]["first"], line[OPERATION]["last"]) == ("volume.refused", True, True)


@pytest.mark.parametrize("command", ["check", "watch", "doctor"])
def test_a_wrong_setting_of_reporting_is_said_where_the_other_ones_say(sandbox: Sandbox, command: str) -> None:
    ended = sandbox.guard(command, GUARD_LOG_LEVEL="loud")
    assert (ended.status, ended.termination.partition("\n")[0]) == (2, "usage")
    assert "GUARD_LOG_LEVEL='loud'" in ended.termination
    _is_one_line_of_its_own(ended)


def test_no_command_is_a_mistake_of_usage(sandbox: Sandbox) -> None:
    ended = sandbox.guard()
    assert (ended.status, ended.stdout) == (2, "")
    assert "known are check, adopt" in ended.last["problems"][0]
    assert ended.termination.startswith("usage\n")
    _is_one_line_of_its_own(ended)


def test_help_that_was_asked_for_is_all_that_is_said(sandbox: Sandbox) -> None:
    ended = sandbox.guard("--help")
    assert (ended.status, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Usage: guard COMMAND")


#: A uid that has no other process: with a limit of one it can start none.
_ALONE = 65531
_LIMITED = ["prlimit", "--nproc=1"]


@pytest.mark.root
@pytest.mark.parametrize("command", [["check"], ["adopt"], ["watch"]], ids=lambda found: found[0])
def test_a_guard_that_may_start_no_process_says_so_and_ends(adopted: Sandbox, command: list[str]) -> None:
    ended = adopted.run([*_LIMITED, *adopted.as_user(_ALONE, *command)], **adopted.paths_of_another_user())
    assert ended.status == 1, ended.stderr
    assert ended.termination.startswith("internal-error: ")
    assert (ended.last["outcome"], "EAGAIN" in ended.stderr) == ("internal-error", True)
    _is_one_line_of_its_own(ended)


@pytest.mark.root
@pytest.mark.parametrize("app", [[], ["--", "echo", "started"]], ids=["alone", "with an application"])
def test_a_gate_that_observes_stops_nobody_for_want_of_a_process(adopted: Sandbox, app: list[str]) -> None:
    command = [*_LIMITED, *adopted.as_user(_ALONE, "check", *app)]
    ended = adopted.run(command, **adopted.paths_of_another_user(), GUARD_ENFORCE="false")
    assert (ended.status, ended.stdout) == (0, "started\n" if app else ""), ended.stderr
    assert ended.last["outcome"] == "internal-error"
