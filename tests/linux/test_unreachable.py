"""A volume whose server hangs, is dead or merely slow: FUSE shows what NFS does too."""

import pytest

from tests.linux import fuse_server
from tests.linux.sandbox import Sandbox
from tests.linux.serving import MARKS, served

pytestmark = MARKS


def test_a_hung_volume_is_reported_within_the_probe_timeout_and_a_second(sandbox: Sandbox) -> None:
    with served(sandbox, "hung"):
        ended = sandbox.guard("check", GUARD_PROBE_TIMEOUT="1s")
    assert ended.status == 15
    assert 1 <= ended.seconds < 4  # the interpreter's own start comes on top
    assert (ended.last["event"], ended.last["kind"]) == ("volume.refused", "fuse")
    assert ended.termination.startswith("volume-guard refused this start (exit 15, unreachable): ")
    assert "made no progress for 1 s" in ended.termination
    assert "fuse.bucketfs of bucket" in ended.termination
    assert "delete the pod" in ended.termination


@pytest.mark.parametrize(
    "command", [["adopt"], ["adopt", "--replace", "0b9c"], ["accept"], ["hold", "a restore"], ["release"]]
)
def test_what_would_write_on_a_hung_volume_ends_as_soon_with_the_same_status(
    sandbox: Sandbox, command: list[str]
) -> None:
    with served(sandbox, "hung"):
        ended = sandbox.guard(*command, GUARD_PROBE_TIMEOUT="1s")
    assert ended.status == 15
    assert ended.termination.startswith("volume-guard refused this command (exit 15, unreachable): ")
    assert ended.seconds < 4


def test_a_gate_that_waits_for_a_hung_volume_stops_at_once_when_told_to(sandbox: Sandbox) -> None:
    with (
        served(sandbox, "hung"),
        sandbox.guard_in_background("check", GUARD_PROBE_TIMEOUT="200ms", GUARD_WAIT="60s") as gate,
    ):
        assert gate.next_line()["event"] == "volume.waiting"
        gate.terminate()
        assert gate.end(within=5) == 143


def test_a_dead_volume_is_unreachable(sandbox: Sandbox) -> None:
    with served(sandbox, "hung") as server:
        server.kill()
        server.wait()
        ended = sandbox.guard("check")
    assert ended.status == 15
    assert "ENOTCONN" in ended.termination


def test_a_slow_count_that_moves_is_not_taken_for_a_hung_one(sandbox: Sandbox) -> None:
    timeout = 2.0
    assert 1.5 * timeout < fuse_server.SLOW_CHUNK * fuse_server.SLOW_FILES / 130
    with served(sandbox, "slow"):
        ended = sandbox.guard("check", GUARD_PROBE_TIMEOUT=f"{timeout:g}s", GUARD_WRITABLE="false")
    assert (ended.status, ended.last["files"]) == (0, fuse_server.SLOW_FILES), ended.stderr
    assert ended.seconds > 1.5 * timeout
