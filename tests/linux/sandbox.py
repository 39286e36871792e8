"""A mount namespace of its own for one test, and the guard run in it as a user would. It judges nothing."""

import functools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Self

from tests.linux.fork_server import PROGRAMS, Finished, fork_server

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AS_ROOT = os.geteuid() == 0

#: Seconds after which a command of a test has hung: far above what any needs on a busy machine.
DEADLINE = 60.0


@dataclass(frozen=True)
class Ended:
    """What a guard left behind: exit status, standard streams, termination message, and how long it took."""

    status: int
    stdout: str
    stderr: str
    termination: str
    seconds: float

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stderr.splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        """The line that says how it ended."""
        return self.lines[-1]

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]


class Sandbox:
    """Mounts made here are seen by nobody else and are gone with it; loop devices detach themselves."""

    def __init__(self) -> None:
        self.defaults: dict[str, str] = {}  # settings for every guard of this test
        self.watcher_uid: int | None = None  # None: the uid of the tests
        self.work = tempfile.mkdtemp(prefix="volume-guard-")
        os.chmod(self.work, 0o755)  # another uid looks too
        self.path = f"{self.work}/app/skills"
        self.termination_log = f"{self.work}/termination-log"
        os.makedirs(self.path)
        unprivileged = () if AS_ROOT else ("--user", "--map-root-user")
        self._holder = subprocess.Popen(
            ["unshare", *unprivileged, "--mount", "--propagation", "private", "sh", "-c", "echo; read end"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if not self._holder.stdout.readline():
            self.__exit__(None, None, None)
            raise OSError("unshare gave no mount namespace")
        user = () if AS_ROOT else ("--user", "--preserve-credentials")
        self._enter = ["nsenter", "--target", str(self._holder.pid), "--mount", *user, f"--wd={self.work}", "--"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.communicate(b"\n")
        shutil.rmtree(self.work)  # seen from outside there are only plain folders

    def start(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        """Starts a command inside; its pid is the Popen's."""
        return subprocess.Popen([*self._enter, *command], **options)

    def sh(self, script: str, **variables: str) -> str:
        """Runs shell lines inside, stopping at the first that fails; `$P` is the guarded path, `$W` the work folder."""
        environment = {**os.environ, "P": self.path, "W": self.work, **variables}
        done = subprocess.run(
            [*self._enter, "sh", "-euc", script], env=environment, capture_output=True, check=False, timeout=DEADLINE
        )
        assert done.returncode == 0, f"{script}\n{done.stderr.decode(errors='replace')}"
        return done.stdout.decode("utf-8", "surrogateescape")

    def give_volume(self) -> None:
        """Gives what is mounted at the path to the watcher's uid, as a pod's fsGroup does."""
        if self.watcher_uid is not None:
            self.sh(f"chown -R {self.watcher_uid} $P")

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """As a container gives it: little besides the settings."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": REPOSITORY,
            "GUARD_PATH": self.path,
            "GUARD_VOLUME": "skills",
            "GUARD_WAIT": "0",
            "GUARD_LOG_FORMAT": "json",
            "GUARD_TERMINATION_LOG": self.termination_log,
            **self.defaults,
            **settings,
        }

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "guard", *arguments]

    def guard(self, *arguments: str, stdin: str = "", **settings: str) -> Ended:
        """Runs the guard inside and waits for its end."""
        return self.run(self.command(*arguments), stdin=stdin, **settings)

    def guard_as(self, uid: int, *arguments: str, **settings: str) -> Ended:
        """Runs the guard as another user, without groups or capabilities."""
        return self.run(self.as_user(uid, *arguments), **self.paths_of_another_user(), **settings)

    def as_user(self, uid: int, *arguments: str) -> list[str]:
        """The guard's command line as another user; its environment needs `paths_of_another_user`."""
        user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        return [*user, f"{self._interpreter()}/python", "-m", "guard", *arguments]

    def paths_of_another_user(self) -> dict[str, str]:
        """Where another user finds the interpreter and the guard."""
        copy = self._interpreter()
        return {"PYTHONPATH": f"{copy}/packages:{copy}/repository", "LD_LIBRARY_PATH": f"{copy}/base/lib"}

    def run(self, command: list[str], stdin: str = "", **settings: str) -> Ended:
        """Runs a command with the guard's environment, and collects what it leaves behind."""
        with open(self.termination_log, "w", encoding="utf-8"):
            pass  # the kubelet makes the file
        os.chmod(self.termination_log, 0o666)
        began = time.monotonic()
        done = self._finished(command, stdin.encode(), self.environment(settings))
        seconds = time.monotonic() - began
        with open(self.termination_log, encoding="utf-8") as message:
            return Ended(done.status, done.stdout.decode(), done.stderr.decode(), message.read(), seconds)

    def _finished(self, command: list[str], stdin: bytes, environment: dict[str, str]) -> Finished:
        if AS_ROOT and command[:2] == [sys.executable, "-m"] and command[2] in PROGRAMS:
            server = fork_server(os.environ["PATH"], REPOSITORY)
            return server.run(command[2:], environment, stdin, self._holder.pid, self.work, DEADLINE)
        done = subprocess.run(
            [*self._enter, *command],
            input=stdin,
            env=environment,
            capture_output=True,
            check=False,
            timeout=DEADLINE,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def guard_in_background(self, *arguments: str, **settings: str) -> "Running":
        return self.run_in_background(self.command(*arguments), **settings)

    def run_in_background(self, command: list[str], **settings: str) -> "Running":
        return Running(self.start(command, env=self.environment(settings), stderr=subprocess.PIPE))

    def _interpreter(self) -> str:
        """The interpreter and the guard where any uid can read them: their own folders may be closed to it."""
        copy = f"{self.work}/interpreter"
        if not os.path.exists(copy):
            executable = os.path.relpath(os.path.realpath(sys.executable), sys.base_prefix)
            for name, source in (
                ("base", sys.base_prefix),
                ("packages", sysconfig.get_path("purelib")),
                ("repository", REPOSITORY),
            ):
                os.makedirs(f"{copy}/{name}")
                self.sh(f"mount --bind {shlex.quote(source)} {copy}/{name}")
            os.symlink(f"base/{executable}", f"{copy}/python")
        return copy


class Running:
    """A guard that waits: its lines are read as they come."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._stderr.close()

    @property
    def _stderr(self) -> IO[bytes]:
        assert self.process.stderr is not None
        return self.process.stderr

    def next_line(self) -> dict[str, Any]:
        """The next log line; waits for it."""
        line: dict[str, Any] = json.loads(self._stderr.readline())
        self.lines.append(line)
        return line

    def end(self, within: float) -> int:
        """The exit status, which must come within so many seconds; reads the rest of the lines."""
        status = self.process.wait(within)
        self.lines += [json.loads(line) for line in self._stderr]
        return status

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Waits for a condition; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


@functools.cache
def cannot_mount() -> str:
    """Why no mount can be made here; empty where one can."""
    try:
        with Sandbox() as sandbox:
            sandbox.sh("mount -t tmpfs none $P")
    except (OSError, AssertionError) as error:
        return f"no mount namespace to be had here (root or unprivileged user namespaces): {error}"
    return ""
