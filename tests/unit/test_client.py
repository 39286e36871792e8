"""The way to the prober: what becomes of a request whose prober hangs, dies or can't be started."""

import errno
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from guard import exits
from guard.probe.client import Completed, ProbeClient, ProberFailed, TimedOut, ask
from guard.probe.process import Crashed, Prober, run_in_child
from guard.stop_signal import Stopped, StopSignal

DEADLINE = 20.0


class Late:
    def on_timeout(self, partial: Any) -> tuple[str, Any]:
        return "late", partial


@dataclass(frozen=True)
class Return(Late):
    value: int

    def run(self, report: Callable[[Any], None]) -> int:
        del report
        return self.value


@dataclass(frozen=True)
class Raise(Late):
    def run(self, report: Callable[[Any], None]) -> int:
        del report
        raise ValueError("a bug")


@dataclass(frozen=True)
class Die(Late):
    signal: int

    def run(self, report: Callable[[Any], None]) -> None:
        del report
        os.kill(os.getpid(), self.signal)
        signal.pause()


@dataclass(frozen=True)
class Hang(Late):
    """Reports once, then waits for its file to be removed."""

    path: str

    def run(self, report: Callable[[Any], None]) -> str:
        report("so far")
        while os.path.exists(self.path):
            time.sleep(0.01)
        return "at last"


@pytest.fixture
def client() -> Iterator[ProbeClient]:
    made = ProbeClient(Prober(), 5.0)
    yield made
    made.close()


def outcome(client: ProbeClient, now: float = 0.0) -> Completed | TimedOut | Crashed:
    until = time.monotonic() + DEADLINE
    while (found := client.poll(now)) is None:
        assert time.monotonic() < until
        time.sleep(0.005)
    return found


def wait_for_progress(client: ProbeClient, now: float) -> None:
    until = time.monotonic() + DEADLINE
    while client.progressed_at is None:
        assert client.poll(now) is None
        assert time.monotonic() < until
        time.sleep(0.005)


def _refuse(*_: Any) -> int:
    raise BlockingIOError(errno.EAGAIN, "too few processes")


def test_a_request_is_answered_and_the_next_one_too(client: ProbeClient) -> None:
    for value in range(3):
        client.send(Return(value), 0.0)
        assert client.is_busy
        assert outcome(client) == Completed(Return(value), value)
        assert (client.is_busy, client.request, client.deadline) == (False, None, None)


def test_a_bug_is_reported_with_its_traceback_and_the_prober_goes_on(client: ProbeClient) -> None:
    client.send(Raise(), 0.0)
    crashed = outcome(client)
    assert isinstance(crashed, Crashed)
    assert "ValueError: a bug" in crashed.traceback
    client.send(Return(1), 0.0)
    assert outcome(client) == Completed(Return(1), 1)


@pytest.mark.parametrize(
    ("number", "name"),
    [(signal.SIGKILL, "SIGKILL (out of memory?)"), (signal.SIGSEGV, "SIGSEGV"), (signal.SIGRTMIN + 5, "SIGRTMIN+5")],
)
def test_a_prober_that_was_killed_is_replaced_whatever_the_signal(client: ProbeClient, number: int, name: str) -> None:
    client.send(Die(number), 0.0)
    assert outcome(client) == Crashed(f"the prober was killed by {name}")
    client.send(Return(1), 0.0)
    assert outcome(client) == Completed(Return(1), 1)


def test_one_that_was_killed_while_idle_is_noticed_at_the_next_request(client: ProbeClient) -> None:
    client.send(Return(1), 0.0)
    outcome(client)
    assert client._prober is not None
    os.kill(client._prober.pid, signal.SIGKILL)
    crashed = outcome(client)
    assert isinstance(crashed, Crashed)
    client.send(Return(2), 0.0)
    assert outcome(client) == Completed(Return(2), 2)


def test_the_deadline_is_time_without_progress_and_one_replacement_is_waited_for(
    client: ProbeClient, tmp_path: Any
) -> None:
    (tmp_path / "hung").touch()
    hang = Hang(str(tmp_path / "hung"))
    client.send(hang, 0.0)
    wait_for_progress(client, 4.0)
    assert client.deadline == 9.0
    assert client.poll(8.9) is None
    assert client.poll(9.0) == TimedOut(hang, "so far", lost=True)
    assert not client.is_busy
    client.send(hang, 10.0)
    wait_for_progress(client, 10.0)
    replacement = client.replies
    for now in (15.0, 20.0):
        assert client.poll(now) == TimedOut(hang, "so far", lost=False)
    assert client.replies == replacement
    (tmp_path / "hung").unlink()
    assert outcome(client, 20.0) == Completed(hang, "at last")
    (tmp_path / "hung").touch()
    client.send(hang, 30.0)
    wait_for_progress(client, 30.0)
    late = client.poll(35.0)
    assert isinstance(late, TimedOut)
    assert late.lost, "the volume had been back"


def test_where_none_can_be_started_the_request_fails_nothing_leaks_and_a_later_one_is_done(
    client: ProbeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as refused:
        refused.setattr(os, "fork", _refuse)
        client.send(Return(1), 0.0)
        client.cancel()
        assert (client.is_busy, client.replies, client.deadline, client.poll(1.0)) == (False, None, None, None)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            with pytest.raises(BlockingIOError):
                client.send(Return(1), 1.0)
        assert not client.is_busy
        assert len(os.listdir("/proc/self/fd")) == before
    client.send(Return(2), 2.0)
    assert outcome(client) == Completed(Return(2), 2)


def test_ending_it_twice_closes_no_descriptor_of_somebody_else() -> None:
    prober = Prober()
    prober.kill()
    mine = [os.open(os.devnull, os.O_RDONLY) for _ in range(4)]
    prober.kill()
    prober.close()
    for descriptor in mine:
        os.fstat(descriptor)
        os.close(descriptor)


def test_a_prober_ends_where_the_kernel_keeps_no_status() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        client = ProbeClient(Prober(), 5.0)
        client.send(Die(signal.SIGKILL), 0.0)
        assert outcome(client) == Crashed("the prober ended")
        client.close()
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_command_gets_the_answer_the_timeout_or_the_failure(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hung").touch()
    hang = Hang(str(tmp_path / "hung"))
    client = ProbeClient(Prober(), 1.0)  # seconds: a forked child reports long before
    with StopSignal() as stop_signal:
        assert ask(client, Return(1), stop_signal) == 1
        with pytest.raises(ProberFailed, match="a bug"):
            ask(client, Raise(), stop_signal)
        with pytest.raises(ProberFailed, match="SIGRTMIN"):
            ask(client, Die(signal.SIGRTMIN + 1), stop_signal)
        for _ in range(3):
            assert ask(client, hang, stop_signal) == ("late", "so far")
        (tmp_path / "hung").unlink()
        assert ask(client, hang, stop_signal) == "at last"
        monkeypatch.setattr(os, "fork", _refuse)
        client.cancel()
        with pytest.raises(ProberFailed, match="no prober can be started: EAGAIN"):
            ask(client, Return(1), stop_signal)
    client.close()


def test_what_is_done_in_a_child_is_done_here_where_none_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_in_child(Return(1)) == 1
    with pytest.raises(ChildProcessError, match="a bug"):
        run_in_child(Raise())
    with pytest.raises(ChildProcessError, match="killed by SIGRTMIN"):
        run_in_child(Die(signal.SIGRTMIN + 2))
    monkeypatch.setattr(os, "fork", _refuse)
    assert run_in_child(Return(2)) == 2


def test_how_a_child_ended_that_is_killed_before_it_is_asked_anything_is_reported(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fork = os.fork

    def fork_and_kill() -> int:
        pid = fork()
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return pid

    monkeypatch.setattr(os, "fork", fork_and_kill)
    with pytest.raises(ChildProcessError, match="the prober was killed by SIGKILL") as ended:
        run_in_child(Return(1))
    exits.report_bug("".join(traceback.format_exception(ended.value)), exits.ReportTo())
    assert "bug in the guard" not in capfd.readouterr().err


def test_a_signal_ends_the_waiting(client: ProbeClient, tmp_path: Any) -> None:
    (tmp_path / "hung").touch()
    with StopSignal() as stop_signal:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped):
            ask(client, Hang(str(tmp_path / "hung")), stop_signal)
