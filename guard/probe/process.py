"""The prober: a child process that alone touches the volume, and may hang there without harm.

It is forked before any thread and before heavy imports, holds no standard stream, and answers over a pipe. It ends when
its parent does.
"""

import gc
import os
import pickle
import resource
import select
import signal
import struct
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

_HEADER = struct.Struct("<I")
#: Seconds that the exit of an idle prober may take, and the first pause between two looks at whether it ended.
_EXIT_PATIENCE = 1.0
_FIRST_PAUSE = 0.0005


class Request(Protocol):
    """Something to do on the volume. It travels to the prober as a pickle, so it is a value."""

    def run(self, report: Callable[[Any], None]) -> Any:
        """Does it in the prober; what is reported, with what is known so far, is progress and restarts the deadline."""


class TimedRequest(Request, Protocol):
    """A request that somebody waits for."""

    def on_timeout(self, partial: Any) -> Any:
        """Returns the result of a request that timed out, from the last progress that it reported."""


@dataclass(frozen=True)
class Progress:
    """The prober is alive: it has done so much, or knows so much already."""

    partial: Any


@dataclass(frozen=True)
class Answer:
    """What a request returned."""

    value: Any


@dataclass(frozen=True)
class Crashed:
    """A request raised what it should not, or the prober ended by itself or was killed: how, as a clause.

    Attributes:
        how: `the prober was killed by SIGKILL (out of memory?)`.
        traceback: Of a bug; empty if there was none.
    """

    how: str
    traceback: str = ""


class Prober:
    """The parent's side: one child, one request at a time.

    Args:
        keep: Descriptors that its requests use beside the pipes; all others are closed in it.

    Raises:
        OSError: No process can be started, or no pipe be opened.
    """

    def __init__(self, keep: tuple[int, ...] = ()) -> None:
        pipes: list[int] = []
        try:
            pipes += os.pipe()
            pipes += os.pipe()
            self.pid = os.fork()
        except OSError:
            for descriptor in pipes:
                os.close(descriptor)
            raise
        request_reader, self._requests, self.replies, reply_writer = pipes
        if self.pid == 0:
            _serve(request_reader, reply_writer, keep)
        self._buffer = bytearray()
        self._is_open = True
        self._is_reaped = False
        os.close(request_reader)
        os.close(reply_writer)
        os.set_blocking(self.replies, False)

    def send(self, request: Request) -> None:
        """Sends a request; the prober must be idle. Of one that is gone `receive` returns how."""
        with suppress(BrokenPipeError):
            _write(self._requests, request)

    def receive(self) -> Progress | Answer | Crashed | None:
        """Returns the next message, None if no whole one is there. Never waits."""
        message = self._next()
        while message is None:
            try:
                chunk = os.read(self.replies, 1 << 16)
            except BlockingIOError:
                return None
            if not chunk:
                return Crashed(f"the prober {self._reap()}")
            self._buffer += chunk
            message = self._next()
        return message

    def _next(self) -> Progress | Answer | Crashed | None:
        if len(self._buffer) < _HEADER.size:
            return None
        end = _HEADER.size + _HEADER.unpack_from(self._buffer)[0]
        if len(self._buffer) < end:
            return None
        message: Progress | Answer | Crashed = pickle.loads(self._buffer[_HEADER.size : end])  # noqa: S301 - our child
        del self._buffer[:end]
        return message

    def _reap(self) -> str:
        status = None if self._is_reaped else _wait(self.pid)
        if status is None:
            return "ended"
        self._is_reaped = True
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            return f"ended with status {code}"
        name = _signal_name(-code)
        return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")

    def close(self) -> None:
        """Ends an idle prober and waits for it: then nothing of the guard is left for an application to inherit."""
        self._close_pipes()
        if not self._is_reaped:
            self._is_reaped = _wait(self.pid) is not None

    def kill(self) -> bool:
        """Kills a prober that may be stuck; returns whether it has ended: one in an uninterruptible call cannot yet."""
        self._close_pipes()
        if not self._is_reaped:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._is_reaped = has_ended(self.pid)
        return self._is_reaped

    def _close_pipes(self) -> None:
        if self._is_open:
            self._is_open = False
            os.close(self._requests)
            os.close(self.replies)


def has_ended(pid: int) -> bool:
    """Returns whether a child has ended, and removes what the kernel keeps of it. Never waits."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:  # reaped already, or SIGCHLD is ignored: the kernel keeps nothing
        return True


def run_in_child(request: Request) -> Any:
    """Has something done in a process that ends right after, with the memory it took.

    Raises:
        ChildProcessError: It failed, or was killed: its traceback, or how.
    """
    try:
        child = Prober()
    except OSError:  # then the memory stays with this process
        return request.run(lambda _: None)
    child.send(request)
    while (message := child.receive()) is None or isinstance(message, Progress):
        select.select([child.replies], [], [])
    child.close()
    if isinstance(message, Answer):
        return message.value
    raise ChildProcessError(message.traceback or message.how)


def _wait(pid: int) -> int | None:
    """The wait status of a child that is about to end; None if it does not (an exit can hang on a volume), or none is kept."""
    until, pause = time.monotonic() + _EXIT_PATIENCE, _FIRST_PAUSE
    while True:
        try:
            ended, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # whoever started the guard has it ignore SIGCHLD
            return None
        if ended or time.monotonic() >= until:
            return status if ended else None
        time.sleep(pause)
        pause = min(2 * pause, 0.05)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal: only the first and the last have names
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"


def _close_all_but(*kept: int) -> None:
    below = 0
    for descriptor in sorted(kept):
        if descriptor > below:  # closerange(0, 0) closes every one
            os.closerange(below, descriptor)
        below = descriptor + 1
    os.closerange(below, 1 << 20)


def _serve(requests: int, replies: int, keep: tuple[int, ...]) -> NoReturn:
    """The child: never returns, never raises."""
    try:
        gc.freeze()  # what was imported before the fork is not looked through, and its pages stay shared
        _close_all_but(0, 1, 2, requests, replies, *keep)
        _detach()
        with os.fdopen(requests, "rb") as file:
            while header := file.read(_HEADER.size):
                request: Request = pickle.loads(file.read(*_HEADER.unpack(header)))  # noqa: S301 - our parent
                _write(replies, _run(request, replies))
    except BaseException:  # noqa: BLE001 - the parent is gone: nobody is left to report to
        os._exit(1)
    os._exit(0)


def _run(request: Request, replies: int) -> Answer | Crashed:
    try:
        return Answer(request.run(lambda partial: _write(replies, Progress(partial))))
    except BrokenPipeError:
        raise
    except Exception:  # noqa: BLE001 - a bug must reach the parent's log, not end in silence
        return Crashed("the prober failed on a bug", traceback.format_exc())


def _detach() -> None:
    # A child that keeps standard error keeps the log's reader waiting for its end after the parent is gone.
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the parent
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a group's SIGTERM too: it ends with its parent
    # A level of the tree takes two descriptors.
    with suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _write(descriptor: int, message: object) -> None:
    text = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    rest = memoryview(_HEADER.pack(len(text)) + text)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
