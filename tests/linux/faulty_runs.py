"""The guard's commands on a file system in memory of which one call fails: each run is a fork, so thousands take minutes.

Runs and results travel as pickles. The environment has the guard's settings; GUARD_PATH is
where the file system gets mounted.
"""

import os
import pickle
import select
import signal
import subprocess
import sys
from dataclasses import dataclass

from tests.linux import forked_guard, fuse_server
from tests.linux.crash_images import Texts
from tests.linux.fuse_server import Memory
from tests.linux.sandbox import DEADLINE, Sandbox

#: RELEASE and RELEASEDIR: what they answer reaches nobody.
_UNHEARD = frozenset({18, 29})
_NAMES = {
    1: "lookup", 3: "getattr", 4: "setattr", 9: "mkdir", 10: "unlink", 12: "rename", 13: "link", 14: "open", 15: "read",
    16: "write", 17: "statfs", 20: "fsync", 25: "flush", 27: "opendir", 28: "readdir", 30: "fsyncdir", 35: "create",
    45: "rename2",
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A command on a volume, and the number of the call on it that fails, from 1; 0 for none.

    The state is `new`, `adopted` or `held`.
    """

    command: tuple[str, ...]
    state: str
    call: int = 0
    error: int = 0


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        status: The exit status.
        calls: How many calls there were.
        failed: What the failing call was; empty where there were fewer.
        lines: The log.
        before, after: What lies in `.volume-guard/`.
        again: The exit status of the same command right after it, without a fault, and of a gate then; None where the
            first had changed nothing.
    """

    status: int
    calls: int
    failed: str
    lines: str
    before: Texts
    after: Texts
    again: tuple[int, int] | None


def run(sandbox: Sandbox, runs: tuple[Run, ...]) -> list[Result]:
    """Runs them all in a sandbox."""
    process = sandbox.start(
        [sys.executable, "-c", "from tests.linux import faulty_runs; faulty_runs.main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=sandbox.environment({"GUARD_PROBE_TIMEOUT": "5s"}),
    )
    answer, _ = process.communicate(pickle.dumps(runs), DEADLINE * (2 + len(runs) / 10))
    assert process.returncode == 0
    found: list[Result] = pickle.loads(answer)
    return found


class _Server:
    def __init__(self, work: str) -> None:
        self._log = os.open(f"{work}/log", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self.device = os.open("/dev/fuse", os.O_RDWR)
        fuse_server.mount(self.device, os.environ["GUARD_PATH"])
        os.set_blocking(self.device, False)
        self.tree = Memory()
        self.calls = self.fails_at = self.error = 0
        self.failed = ""
        self._failing: tuple[int, int, bytes] | None = None

    def answer(self, operation: int, node: int, body: bytes) -> bytes | int:
        if operation not in _UNHEARD:
            self.calls += 1
            if self.calls == self.fails_at:
                self.failed, self._failing = _NAMES.get(operation, str(operation)), (operation, node, body)
                return self.error
            # The kernel looks a name up a second time where it knew it, and the first failed.
            again, self._failing = self._failing == (operation, node, body) and self.failed == "lookup", None
            if again:
                return self.error
        return self.tree.answer(operation, node, body)

    def guard(self, command: tuple[str, ...], fails_at: int = 0, error: int = 0) -> int:
        """Forks a guard, and answers its calls until it ends."""
        self.calls, self.fails_at, self.error, self.failed, self._failing = 0, fails_at, error, "", None
        child = forked_guard.start(command, self._log, close=(self.device,))
        ended = os.pidfd_open(child)
        poll = select.poll()
        poll.register(self.device, select.POLLIN)
        poll.register(ended, select.POLLIN)
        while ended not in (ready := dict(poll.poll())):
            self._serve(ready)
        os.close(ended)
        poll.unregister(ended)
        while ready := dict(poll.poll(0)):
            self._serve(ready)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def _serve(self, ready: dict[int, int]) -> None:
        if self.device in ready:
            fuse_server.serve_one(self.device, self.answer)

    def log(self) -> str:
        return os.pread(self._log, 1 << 20, 0).decode()

    def documents(self) -> Texts:
        names = self.tree.names(".volume-guard")
        return {name: self.tree.text(f".volume-guard/{name}") or b"" for name in names}

    def states(self) -> dict[str, Memory]:
        """Volumes as the runs begin with, made by the guard itself."""
        for tenant in ("a", "b"):
            self.tree.add_folder(tenant)
            for number in range(3):
                self.tree.add_file(f"{tenant}/{number}", b"text")
        states = {"new": self.tree.copy()}
        assert self.guard(("adopt",)) == 0, self.log()
        states["adopted"] = self.tree.copy()
        assert self.guard(("hold", "a migration")) == 0, self.log()
        states["held"] = self.tree.copy()
        return states


def main() -> None:
    """Runs inside."""
    runs: tuple[Run, ...] = pickle.load(sys.stdin.buffer)
    forked_guard.warm_up()
    server = _Server(os.path.dirname(os.environ["GUARD_TERMINATION_LOG"]))
    signal.alarm(int(DEADLINE * (2 + len(runs) / 10)))
    states = server.states()
    results = []
    for one in runs:
        server.tree = states[one.state].copy()
        before = server.documents()
        status = server.guard(one.command, one.call, one.error)
        calls, failed, lines, after = server.calls, server.failed, server.log(), server.documents()
        again = None if after == before and one.call else (server.guard(one.command), server.guard(("check",)))
        results.append(Result(status, calls, failed, lines, before, after, again))
    pickle.dump(results, sys.stdout.buffer)
