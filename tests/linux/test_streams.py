"""Standard streams that are closed, full or read by nobody: what is said never changes an outcome."""

import os
import subprocess

import pytest

from tests.linux.sandbox import DEADLINE, Sandbox

pytestmark = pytest.mark.mounts

STREAMS = {
    "standard error closed": "2>&-",
    "standard error full": "2>/dev/full",
    "input and error closed": "<&- 2>&-",
    "all closed": "<&- >&- 2>&-",
}


@pytest.mark.parametrize("streams", STREAMS.values(), ids=STREAMS)
def test_a_refusal_does_not_depend_on_the_streams(adopted: Sandbox, streams: str) -> None:
    command = ["sh", "-c", f'exec "$@" {streams}', "sh", *adopted.command("check")]
    ended = adopted.run(command, GUARD_VOLUME="skills-prod")
    assert ended.status == 21, ended.termination
    assert ended.termination.startswith("volume-guard refused this start (exit 21, marker-mismatch)")
    assert ended.seconds < 5


@pytest.mark.parametrize("streams", ["2>/dev/full", "<&- >&- 2>&-"], ids=["standard error full", "all closed"])
def test_a_pass_does_not_depend_on_the_streams_nor_does_the_application_s_start(adopted: Sandbox, streams: str) -> None:
    app = ["touch", f"{adopted.work}/started"]
    ended = adopted.run(["sh", "-c", f'exec "$@" {streams}', "sh", *adopted.command("check", "--", *app)])
    assert ended.status == 0, ended.termination
    assert os.path.exists(f"{adopted.work}/started")


def test_a_gate_that_waits_with_closed_streams_is_at_rest(volume: Sandbox) -> None:
    started = volume.start(
        ["sh", "-c", 'exec "$@" <&- 2>&-', "sh", *volume.command("check")],
        env=volume.environment({"GUARD_WAIT": "2s"}),
    )
    _, status, used = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    assert started.returncode == 20
    assert used.ru_utime + used.ru_stime < 1.5  # seconds: the start costs a third of one


def test_a_full_pipe_that_nobody_reads_holds_nothing_up(adopted: Sandbox) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writer, True)
    with adopted.start(
        adopted.command("check"), env=adopted.environment({"GUARD_VOLUME": "skills-prod"}), stderr=writer
    ) as gate:
        try:
            assert gate.wait(timeout=DEADLINE) == 21
        finally:
            gate.kill()
            os.close(reader)
            os.close(writer)


def test_a_reader_of_standard_output_that_goes_away_changes_nothing(sandbox: Sandbox) -> None:
    with sandbox.start(
        sandbox.command("explain", "data-lost"),
        env=sandbox.environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as explaining:
        assert explaining.stdout is not None
        explaining.stdout.close()
        assert explaining.stderr is not None
        assert (explaining.stderr.read(), explaining.wait(10)) == (b"", 0)
