"""Signals that end a command: the handler only sets a flag, and a descriptor wakes whoever polls."""

import os
import signal
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: The longest that poll(2) waits at once, in milliseconds: a C int, almost 25 days.
_LONGEST_POLL = 2**31 - 1


def milliseconds(seconds: float) -> float:
    """A time for poll: not below 0, and no longer than it takes; whoever waits longer asks again."""
    return min(max(0.0, seconds) * 1000, _LONGEST_POLL)


class Stopped(Exception):  # noqa: N818 - a request to stop is no error
    """A signal asked for the end while something was waited for."""


class StopSignal:
    """Installs the handlers for the length of a block and puts the old ones back.

    Attributes:
        descriptor: Readable from the first signal on; for poll.
    """

    def __init__(self) -> None:
        self.descriptor, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._received: int | None = None

    def __enter__(self) -> Self:
        self._handlers = {number: signal.signal(number, self._note) for number in _SIGNALS}
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        os.close(self.descriptor)
        os.close(self._writer)

    @property
    def status(self) -> int | None:
        """128 + the signal that was received; None if none was.

        As PID 1 a signal raised again does nothing, so the status is given by hand.
        """
        return None if self._received is None else 128 + self._received

    def check(self) -> None:
        """Raises if the end was asked for.

        Raises:
            Stopped: A signal was received.
        """
        if self._received is not None:
            raise Stopped

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._received = number
