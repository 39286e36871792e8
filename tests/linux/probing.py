"""Requests run in a sandbox's mount namespace, as a prober runs them: for tests of what they find and write."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from guard.probe.process import Request
from guard.probe.requests import LookRequest
from guard.probe.writes import MountRef
from guard.volume.observation import Look
from tests.linux.sandbox import DEADLINE, REPOSITORY, Sandbox


@dataclass(frozen=True)
class Shell:
    """What somebody else does between two requests."""

    script: str

    def run(self, report: Callable[[Any], None]) -> int:
        del report
        return subprocess.run(["sh", "-c", self.script], capture_output=True, check=False).returncode


def start(sandbox: Sandbox, *requests: Request, times: int = 1) -> subprocess.Popen[bytes]:
    """Starts a process that runs the requests one after another, so many times over."""
    environment = {**os.environ, "PYTHONPATH": REPOSITORY}
    command = [sys.executable, "-m", "tests.linux.probing"]
    process = sandbox.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert process.stdin is not None
    process.stdin.write(pickle.dumps(requests * times))
    process.stdin.close()
    return process


def end(process: subprocess.Popen[bytes]) -> list[Any]:
    """What each request returned."""
    assert process.stdout is not None
    with process.stdout as results:
        found: list[Any] = pickle.loads(results.read())
    assert process.wait(DEADLINE) == 0
    return found


def run(sandbox: Sandbox, *requests: Request) -> list[Any]:
    """Runs the requests one after another; returns what each returned."""
    return end(start(sandbox, *requests))


def look(sandbox: Sandbox, writes_for: str | None = None) -> Look:
    found: Look = run(sandbox, LookRequest(sandbox.path, writes_for))[0].look
    return found


def mount_ref(sandbox: Sandbox) -> MountRef:
    """The volume that is mounted now, for a write."""
    found = look(sandbox)
    assert found.mount is not None
    return MountRef(found.path, found.mount.mount_id, found.root_inode)


def main() -> None:
    signal.alarm(int(DEADLINE))
    requests = pickle.load(sys.stdin.buffer)
    pickle.dump([request.run(lambda _: None) for request in requests], sys.stdout.buffer)


if __name__ == "__main__":
    main()
