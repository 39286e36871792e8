"""Too little of everything: a clear error, or the right verdict; never a pass, and never a loss that is not there."""

import errno
import json
import os
import statistics
import sys
import time

import pytest

from tests.linux import limited_runs
from tests.linux.limited_runs import SYSTEM_CALLS, Ended, Limit
from tests.linux.sandbox import Sandbox
from tests.linux.watching import Watcher, armed, get, wait_until

pytestmark = pytest.mark.mounts

#: Times that all is lost and comes back; `LOSSES=100` makes more.
_LOSSES = int(os.environ.get("LOSSES", "3"))
_DESCRIPTORS = [Limit("RLIMIT_NOFILE", number) for number in range(4, 14)]
_MEMORY = [Limit("RLIMIT_AS", number << 20) for number in range(24, 104, 16)]
_DENIED = [Limit("deny", (errno.EPERM, errno.ENOSYS)[number % 2], call) for number, call in enumerate(SYSTEM_CALLS)]


def _last(ended: Ended) -> dict[str, object]:
    line: dict[str, object] = json.loads(ended.lines.splitlines()[-1])
    return line


def _assert_that_errors_are_reported(denied: list[Ended]) -> None:
    for limit, ended in zip(_DENIED, denied, strict=True):
        if ended.status == 1 and limit.call != "write":
            assert _last(ended)["event"] == "internal.error", limit
            assert limit.call != "poll" or "poll.poll(" in str(_last(ended)["message"]), ended


@pytest.mark.parametrize("limits", [_DESCRIPTORS, _MEMORY], ids=["descriptors", "memory"])
def test_with_too_few_descriptors_or_too_little_memory_the_error_says_what_is_missing(
    adopted: Sandbox, limits: list[Limit]
) -> None:
    results = limited_runs.run(adopted, limits)
    assert {ended.status for ended in results} == {0, 1}
    for limit, ended in zip(limits, results, strict=True):
        if ended.status == 1:
            last = _last(ended)
            assert last["event"] == "internal.error", limit
            assert "allowed" in str(last["message"]), (limit, last)
            assert "bug in the guard" not in str(last["message"]), (limit, last)


def test_with_too_little_memory_for_its_own_imports_a_last_line_says_so(adopted: Sandbox) -> None:
    for mebibytes in (30, 36, 42):
        limited = ["sh", "-c", f'ulimit -v {mebibytes << 10}; exec "$@"', "sh", *adopted.command("check")]
        ended = adopted.run(limited)
        assert ended.status in {0, 1}, (mebibytes, ended)
        if ended.status == 1:
            last = json.loads(ended.stderr.splitlines()[-1])  # Python may complain of its own above it
            assert last["event"] == "internal.error", (mebibytes, ended)
            assert "too little memory" in last["message"], (mebibytes, ended)
            assert "too little memory" in ended.termination, (mebibytes, ended)


@pytest.mark.skipif(not SYSTEM_CALLS, reason="the numbers of system calls are those of x86-64")
def test_a_denied_system_call_is_never_a_loss(adopted: Sandbox) -> None:
    results = limited_runs.run(adopted, _DENIED)
    assert {ended.status for ended in results} == {0, 1, 15}
    _assert_that_errors_are_reported(results)


def test_no_limit_turns_a_wiped_volume_into_a_pass(adopted: Sandbox) -> None:
    adopted.sh("rm -r $P/tenant")
    limits = [*_DESCRIPTORS, *_MEMORY, *_DENIED]
    results = limited_runs.run(adopted, limits)
    for limit, ended in zip(limits, results, strict=True):
        assert ended.status in {1, 15, 30}, (limit, ended)


def test_a_watcher_with_few_descriptors_ends_with_a_clear_error_or_reports_a_wipe(adopted: Sandbox) -> None:
    adopted.sh("rm -r $P/tenant")
    limits = [Limit("RLIMIT_NOFILE", number) for number in range(8, 16, 2)]
    results = limited_runs.run(adopted, limits, "watch", GUARD_LISTEN="off", GUARD_INTERVAL="1s")
    for limit, ended in zip(limits, results, strict=True):
        if ended.status == 0:
            assert "volume.wiped" in ended.lines or "ulimit -n" in ended.lines, (limit, ended)
        else:
            assert ended.status == 1, (limit, ended)
            assert "allowed" in str(_last(ended)["message"]), (limit, ended)


def _descriptors(watcher: Watcher) -> tuple[int, ...]:
    """How many the watcher and its prober have open now."""
    pid = watcher.process.pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return tuple(len(os.listdir(f"/proc/{process}/fd")) for process in (pid, *children.read().split()))


def _descriptors_at_rest(watcher: Watcher) -> tuple[int, ...]:
    """What is open most of the time: a look holds a few more while it lasts."""
    seen = []
    for _ in range(40):
        seen.append(_descriptors(watcher))
        time.sleep(0.025)
    return statistics.mode(seen)


def test_a_watcher_without_a_system_call_ends_or_reports_that_it_sees_no_files(adopted: Sandbox) -> None:
    adopted.sh("rm -r $P/tenant")
    results = limited_runs.run(adopted, _DENIED, "watch", GUARD_LISTEN="off", GUARD_INTERVAL="1s")
    for limit, ended in zip(_DENIED, results, strict=True):
        reported = "volume.wiped" in ended.lines or "volume.unreachable" in ended.lines
        assert (ended.status, reported) in {(0, True), (1, False)}, (limit, ended)
    _assert_that_errors_are_reported(results)


def _last_look(watcher: Watcher) -> str:
    return get(watcher.port, "/metrics")[1].partition("\nvolume_guard_last_look_timestamp_seconds ")[2].split("\n")[0]


def test_a_watcher_has_as_many_descriptors_after_many_looks_losses_and_requests_as_at_its_start(
    adopted: Sandbox,
) -> None:
    adopted.sh("mkdir $W/kept; cp -a $P/tenant $W/kept")
    with armed(adopted, GUARD_INTERVAL="20ms", GUARD_SETTLE="200ms") as watcher:
        before = _descriptors_at_rest(watcher)
        for number in range(_LOSSES):
            seen = len(watcher.lines)
            adopted.sh("rm -r $P/tenant")
            watcher.wait_for("volume.wiped", after=seen)
            adopted.sh("cp -a $W/kept/tenant $P")
            watcher.wait_for("volume.recovered", after=seen)
            adopted.sh(f"for n in $(seq 100); do mkdir $P/{number}-$n; rmdir $P/{number}-$n; done")  # a storm
            looks = set[str]()
            wait_until(lambda seen=looks: seen.add(_last_look(watcher)) or len(seen) > 10)  # type: ignore[misc]
        wait_until(lambda: watcher.shows("tripwire_armed", 1), 60)
        assert _descriptors_at_rest(watcher) == before


def test_without_proc_nothing_passes(adopted: Sandbox) -> None:
    adopted.sh("mount -t tmpfs none /proc")
    ended = adopted.guard("check")
    adopted.sh("umount /proc")
    assert ended.status == 15, ended.stderr
    assert "/proc/self/" in ended.last["message"]


#: The guard with a wall clock that is wrong by so many seconds.
_CLOCK = """
import sys, time
import datetime as dates
real, shift = time.time, float(sys.argv.pop(1))
class Shifted(dates.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + dates.timedelta(seconds=shift)
time.time, dates.datetime = lambda: real() + shift, Shifted
from guard.__main__ import main
sys.argv[0] = "guard"
main()
"""


@pytest.mark.parametrize("days", [8, -8, 4000])
def test_a_clock_that_jumps_is_neither_a_loss_nor_a_pass(adopted: Sandbox, days: int) -> None:
    command = [sys.executable, "-c", _CLOCK, str(days * 86_400), "check"]
    assert adopted.run(command).status == 0
    adopted.sh("rm -r $P/tenant")
    for _ in range(2):
        assert adopted.run(command).status == 30
    assert adopted.guard("check").status == 30
