"""What ends a command before it looked at anything: wrong settings, no process for the prober. Reported as everything else is."""

import pytest

from tests.linux.sandbox import Ended, Sandbox
from tests.linux.watching import OPERATION

pytestmark = pytest.mark.mounts


def _is_one_line_of_its_own(ended: Ended, event: str) -> None:
    (line,) = ended.lines
    assert (line["event"], line[OPERATION]["first"], line[OPERATION]["last"]) == (event, True, True)


@pytest.mark.parametrize("command", [["check"], ["check", "--", "true"], ["watch"], ["doctor", "x"]], ids=" ".join)
def test_bytes_that_are_not_utf_8_are_a_mistake_that_names_the_variable(sandbox: Sandbox, command: list[str]) -> None:
    ended = sandbox.guard(*command, GUARD_PATH="/app/\udcff", GUARD_POD="\udcfe", GUARD_LOG_LEVEL="loud")
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.termination.startswith("volume-guard cannot run (exit 2, usage): 3 settings or arguments are wrong.\n")
    for problem in (r"GUARD_PATH='/app/\udcff': not UTF-8", r"GUARD_POD='\udcfe': not UTF-8", "GUARD_LOG_LEVEL='loud'"):
        assert problem in ended.termination
    _is_one_line_of_its_own(ended, "usage")


def test_a_scope_that_no_resolver_takes_is_a_mistake(sandbox: Sandbox) -> None:
    ended = sandbox.guard("watch", GUARD_LISTEN="[fe80::1%é]:9808")
    assert ended.status == 2, ended.stderr
    assert ended.last["problems"][0].startswith("GUARD_LISTEN='[fe80::1%é]:9808': not address:port")


def test_no_command_prints_the_help_and_is_a_mistake(sandbox: Sandbox) -> None:
    ended = sandbox.guard()
    assert (ended.status, ended.stdout) == (2, sandbox.guard("--help").stdout)
    assert ended.termination.startswith(
        "volume-guard cannot run (exit 2, usage): no command is given: known are check, "
    )
    _is_one_line_of_its_own(ended, "usage")


#: A uid that has no other process: with a limit of one it can start none.
_ALONE = 65531
_LIMITED = ["prlimit", "--nproc=1"]


@pytest.mark.root
@pytest.mark.parametrize("command", [["check"], ["adopt"], ["watch"]], ids=lambda found: found[0])
def test_a_guard_that_may_start_no_process_says_so_and_ends(adopted: Sandbox, command: list[str]) -> None:
    ended = adopted.run([*_LIMITED, *adopted.as_user(_ALONE, *command)], **adopted.paths_of_another_user())
    assert ended.status == 1, ended.stderr
    assert ended.termination.startswith(
        "volume-guard failed (exit 1, internal-error): no prober can be started: EAGAIN"
    )
    assert (ended.last["outcome"], "EAGAIN" in ended.stderr) == ("internal-error", True)
    _is_one_line_of_its_own(ended, "internal.error")


@pytest.mark.root
@pytest.mark.parametrize("app", [[], ["--", "echo", "started"]], ids=["alone", "with an application"])
def test_a_gate_that_observes_stops_nobody_for_want_of_a_process(adopted: Sandbox, app: list[str]) -> None:
    command = [*_LIMITED, *adopted.as_user(_ALONE, "check", *app)]
    ended = adopted.run(command, **adopted.paths_of_another_user(), GUARD_ENFORCE="false")
    assert (ended.status, ended.stdout) == (0, "started\n" if app else ""), ended.stderr
    assert ended.last["outcome"] == "internal-error"
