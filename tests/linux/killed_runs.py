"""The guard's commands on a real file system, of which parent, prober or both are killed at a random moment.

The environment has the guard's settings; the volume is mounted at GUARD_PATH.
"""

import ctypes
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

from tests.linux import forked_guard
from tests.linux.crash_images import Texts, read_documents
from tests.linux.sandbox import DEADLINE, Sandbox

_PR_SET_CHILD_SUBREAPER = 36
COMMANDS: dict[tuple[str, ...], str] = {
    ("adopt",): "new", ("accept",): "adopted", ("hold", "why"): "adopted", ("release",): "held", ("check",): "adopted",
}  # fmt: skip
VICTIMS = ("parent", "prober", "both")


@dataclass(frozen=True)
class Killed:
    """A command that was killed, or ended just before.

    Attributes:
        command: It and its arguments.
        victim: One of VICTIMS.
        after: Seconds after which it was killed.
        status: The exit status, negative for a signal.
        lines: The log.
        before, left: The documents before it and after.
        status_again: The exit status of the same command right after it.
        left_again: The documents after that.
    """

    command: tuple[str, ...]
    victim: str
    after: float
    status: int
    lines: str
    before: Texts
    left: Texts
    status_again: int
    left_again: Texts


def run(sandbox: Sandbox, times: int, seed: int) -> list[Killed]:
    """Runs and kills so many commands on what is mounted in a sandbox."""
    process = sandbox.start(
        [sys.executable, "-c", "from tests.linux import killed_runs; killed_runs.main()", str(times), str(seed)],
        stdout=subprocess.PIPE,
        env=sandbox.environment({}),
    )
    answer, _ = process.communicate(timeout=DEADLINE * (2 + times / 10))
    assert process.returncode == 0
    found: list[Killed] = pickle.loads(answer)
    return found


def _children(pid: int) -> list[int]:
    with suppress(OSError), open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [int(child) for child in children.read().split()]
    return []


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _run(command: tuple[str, ...], log: int, victim: str = "", after: float = 0.0) -> tuple[int, float]:
    """Runs it, and waits for all its processes; returns status and seconds."""
    began = time.monotonic()
    parent = forked_guard.start(command, log)
    if victim:
        time.sleep(after)
        probers = _children(parent)
        for pid in ([parent] if victim != "prober" else []) + (probers if victim != "parent" else []):
            _kill(pid)
    status = os.waitstatus_to_exitcode(os.waitpid(parent, 0)[1])
    with suppress(ChildProcessError):  # a prober without its parent is ours, and ends by itself
        while True:
            os.waitpid(-1, 0)
    return status, time.monotonic() - began


def main() -> None:
    """Runs inside."""
    times, seed = int(sys.argv[1]), int(sys.argv[2])
    signal.alarm(int(DEADLINE * (2 + times / 10)))
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    forked_guard.warm_up()
    path, chance = os.environ["GUARD_PATH"], random.Random(seed)
    log = os.open(f"{os.environ['GUARD_TERMINATION_LOG']}.log", os.O_RDWR | os.O_CREAT, 0o600)
    states: dict[str, Texts] = {"new": {}}
    lasts: dict[tuple[str, ...], float] = {}
    for state, made_by in (("adopted", ("adopt",)), ("held", ("hold", "a migration"))):
        assert _run(made_by, log)[0] == 0
        states[state] = read_documents(path)
    results = []
    for number in range(times):
        command = list(COMMANDS)[number % len(COMMANDS)]
        before = states[COMMANDS[command]]
        forked_guard.write_documents(path, before)
        if command not in lasts:  # how long it takes: the kill falls into it
            _, lasts[command] = _run(command, log)
            forked_guard.write_documents(path, before)
        victim, after = chance.choice(VICTIMS), chance.uniform(0, lasts[command])
        status, _ = _run(command, log, victim, after)
        left, lines = read_documents(path), os.pread(log, 1 << 16, 0).decode()
        again, lasts[command] = _run(command, log)
        results.append(Killed(command, victim, after, status, lines, before, left, again, read_documents(path)))
    pickle.dump(results, sys.stdout.buffer)
