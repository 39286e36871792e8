"""The parent's way to the prober: one request at a time, a deadline without progress, one replacement.

A prober that is stuck in the kernel is killed and left: whoever waits for it would be stuck too. If its replacement is
stuck as well, that one is waited for: the volume is back when it answers.
"""

import errno
import select
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from guard.probe.process import Answer, Crashed, Prober, Progress, Request, TimedRequest, has_ended
from guard.stop_signal import StopSignal, milliseconds

#: So many probers may be stuck: the first, and the replacement that shows that it was no accident.
_CAPACITY = 2


@dataclass(frozen=True)
class Completed:
    """A request is done, and returned a value."""

    request: Request
    value: Any


@dataclass(frozen=True)
class TimedOut:
    """A request made no progress in time.

    Attributes:
        request: Which.
        partial: The last progress that was reported; None if none was.
        lost: The prober was killed, and its tripwire is lost with it; False where it goes on being waited for.
    """

    request: Request
    partial: Any
    lost: bool


class ProbeClient:
    """One prober after the other. Never waits.

    Attributes:
        request: The request on its way; None if there is none.

    Args:
        prober: The first; None if the first request must start one.
        patience: GUARD_PROBE_TIMEOUT, in seconds.
        keep: Descriptors that probers use beside their pipes.
    """

    def __init__(self, prober: Prober | None, patience: float, keep: tuple[int, ...] = ()) -> None:
        self._prober = prober
        self._patience = patience
        self._keep = keep
        self.request: Request | None = None
        self._partial: Any = None
        self._heard_at = 0.0
        self._is_late = False
        self._stuck: list[int] = []

    @property
    def replies(self) -> int | None:
        """The descriptor to poll; another one after a prober was replaced, None while none can be started."""
        return self._prober.replies if self._prober else None

    @property
    def is_busy(self) -> bool:
        """Whether a request is on its way."""
        return self.request is not None

    @property
    def deadline(self) -> float | None:
        """When the request on its way times out, on the monotonic clock; None if there is none."""
        return self._heard_at + self._patience if self.is_busy else None

    @property
    def progressed_at(self) -> float | None:
        """When the request on its way last made progress, on the monotonic clock; None if it has not yet."""
        return self._heard_at if self.is_busy and self._partial is not None else None

    @property
    def at_capacity(self) -> bool:
        """Whether as many probers are stuck in the kernel as may be."""
        return len(self._stuck) >= _CAPACITY

    def send(self, request: Request, now: float) -> None:
        """Sends a request; none may be on its way.

        Raises:
            OSError: There is no prober, and none can be started.
        """
        self._prober = self._prober or Prober(self._keep)
        self.request, self._partial, self._heard_at = request, None, now
        self._prober.send(request)

    def poll(self, now: float) -> Completed | TimedOut | Crashed | None:
        """Returns what became of the request on its way, None while it makes progress or there is none."""
        while self._prober is not None and (message := self._prober.receive()) is not None:
            if isinstance(message, Progress):
                self._partial, self._heard_at = message.partial, now
                continue
            request, self.request = self.request, None
            if isinstance(message, Answer) and request is not None:
                self._is_late = False
                return Completed(request, message.value)
            if isinstance(message, Crashed) and message.traceback:
                self._is_late = False
                return message
            self.cancel()
            return message if isinstance(message, Crashed) else Crashed("the prober answered unasked")
        if self.request is None or now < self._heard_at + self._patience:
            return None
        self.reap()
        late = TimedOut(self.request, self._partial, lost=not self._is_late and not self.at_capacity)
        if late.lost:
            self.cancel()
        self._heard_at, self._is_late = now, True
        return late

    def cancel(self) -> None:
        """Gives the request up, and the prober with it; another one takes its place."""
        self.reap()
        if self._prober is not None and not self._prober.kill():
            self._stuck.append(self._prober.pid)
        self._prober, self.request, self._is_late = None, None, False
        with suppress(OSError):  # the next request tries again, and raises why it fails
            self._prober = Prober(self._keep)

    def reap(self) -> None:
        """Forgets probers that the kernel has let go of."""
        self._stuck = [pid for pid in self._stuck if not has_ended(pid)]

    def close(self) -> None:
        """Ends the prober: waits for one that is idle, leaves one that is not."""
        if self._prober is not None and self.request is None:
            self._prober.close()
        elif self._prober is not None:
            self._prober.kill()
        self._prober, self.request = None, None


class ProberFailed(Exception):  # noqa: N818 - named for what happened
    """The prober raised what it should not, was killed from outside, or could not be started: which of them, as a text."""


def ask(client: ProbeClient, request: TimedRequest, stop_signal: StopSignal) -> Any:
    """Has a request done, and waits for what it returns, or for the deadline: then what `on_timeout` returns.

    Raises:
        ProberFailed: A bug, a prober that was killed, or none can be started.
        Stopped: A signal asked for the end.
    """
    if client.is_busy:
        # A replacement waits already: the volume is back when it answers what it was asked then.
        answer = _await(client, stop_signal)
        if isinstance(answer, TimedOut) or answer.request == request:
            return _value(answer, request)
    try:
        client.send(request, time.monotonic())
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, str(error))
        raise ProberFailed(f"no prober can be started: {code} (too few processes or descriptors allowed)") from None
    return _value(_await(client, stop_signal), request)


def _value(answer: Completed | TimedOut, request: TimedRequest) -> Any:
    return answer.value if isinstance(answer, Completed) else request.on_timeout(answer.partial)


def _await(client: ProbeClient, stop_signal: StopSignal) -> Completed | TimedOut:
    assert client.replies is not None
    poll = select.poll()
    poll.register(client.replies, select.POLLIN)
    poll.register(stop_signal.descriptor, select.POLLIN)
    while True:
        outcome = client.poll(now := time.monotonic())
        if isinstance(outcome, Crashed):
            raise ProberFailed(outcome.traceback or outcome.how)
        if outcome is not None:
            return outcome
        stop_signal.check()
        poll.poll(milliseconds((client.deadline or now) - now))
