"""A watcher run as a user would, its lines awaited with a deadline. It judges nothing."""

import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from tests.linux.sandbox import Sandbox

#: Quick enough for a test, and slow enough that a busy machine doesn't turn an update into a wipe.
QUICK = {"GUARD_INTERVAL": "1s", "GUARD_SETTLE": "1s", "GUARD_LISTEN": "off"}
#: What a line is waited for, in seconds: an interval, settling, and a busy machine.
SOON = 15.0
OPERATION = "logging.googleapis.com/operation"


class Watcher:
    """A watcher at work."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.port = 0
        self._buffer = b""
        os.set_blocking(self._stderr.fileno(), False)

    @property
    def _stderr(self) -> IO[bytes]:
        assert self.process.stderr is not None
        return self.process.stderr

    @property
    def events(self) -> list[str]:
        """All but that it listens, which says nothing of the volume."""
        return [line["event"] for line in self.lines if line["event"] != "watch.listening"]

    def read(self, seconds: float = 0.0) -> bool:
        """Takes what was said within so many seconds; False at the end of the stream."""
        if not select.select([self._stderr], [], [], seconds)[0]:
            return True
        chunk = os.read(self._stderr.fileno(), 1 << 16)
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        self.lines += [json.loads(line) for line in lines]
        return bool(chunk)

    def wait_for(self, event: str, seconds: float = SOON, after: int = 0) -> dict[str, Any]:
        """The first line of this event behind the first `after` lines; waits for it."""
        deadline = time.monotonic() + seconds
        while True:
            for line in self.lines[after:]:
                if line["event"] == event:
                    return line
            left = deadline - time.monotonic()
            assert left > 0, f"no {event} within {seconds} s, only {self.lines}"
            assert self.read(left), f"it ended without {event}: {self.lines}"

    def listen_for(self, seconds: float) -> None:
        """Takes all that is said for so long: whatever comes late must not come."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            assert self.read(left), f"it ended: {self.lines}"

    def shows(self, name: str, value: float, labels: str = "") -> bool:
        """Whether a metric has this value now."""
        return f"volume_guard_{name}{labels} {value}\n" in get(self.port, "/metrics")[1]

    def alarms(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["severity"] in {"WARNING", "ERROR", "CRITICAL"}]

    def stop(self, within: float = 10.0) -> int:
        """The exit status after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.end(within)

    def end(self, within: float) -> int:
        deadline = time.monotonic() + within
        while self.read(max(0.0, deadline - time.monotonic())) and time.monotonic() < deadline:
            pass
        return self.process.wait(max(0.1, deadline - time.monotonic()))


@contextmanager
def watching(sandbox: Sandbox, command: list[str] | None = None, **settings: str) -> Iterator[Watcher]:
    """A watcher that has said its first line."""
    if command is None and sandbox.watcher_uid is not None:
        command = sandbox.as_user(sandbox.watcher_uid, "watch")
        settings |= sandbox.paths_of_another_user()
    command = command or sandbox.command("watch")
    environment = sandbox.environment({**QUICK, **settings})
    with sandbox.start(command, env=environment, stderr=subprocess.PIPE) as process:
        watcher = Watcher(process)
        try:
            watcher.wait_for("watch.started", 30)
            yield watcher
        finally:
            process.kill()


@contextmanager
def armed(sandbox: Sandbox, command: list[str] | None = None, **settings: str) -> Iterator[Watcher]:
    """A watcher that has settled at its start and armed its tripwire."""
    port = free_port()
    with watching(sandbox, command, **settings, GUARD_LISTEN=f"127.0.0.1:{port}") as watcher:
        watcher.port = port
        wait_until(lambda: watcher.shows("tripwire_armed", 1))
        yield watcher


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def get(port: int, path: str, timeout: float = 5.0) -> tuple[int, str]:
    """Status and body; status 0 where nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = b""
            while chunk := client.recv(1 << 16):
                answer += chunk
    except ConnectionRefusedError:
        return 0, ""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body.decode()


def wait_until(condition: Callable[[], object], seconds: float = SOON) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)
