"""The way to the prober without waiting: one errand at a time, a deadline without progress, one replacement.

A prober that is stuck in the kernel is killed and left; whoever waits for it would be stuck too. Where no other can be
started, the next errand tries again.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from guard.probe.process import Answer, Exited, Failure, Prober, Progress, Request

#: So many probers may be stuck: the first, and the replacement that shows that it was no accident.
_STUCK = 2


@dataclass(frozen=True)
class Answered:
    """An errand is done.

    Attributes:
        request: What was asked.
        value: What came back.
    """

    request: Request
    value: Any


@dataclass(frozen=True)
class Overdue:
    """No progress in time.

    Attributes:
        request: What was asked.
        told: The last thing that was said of it; None if nothing.
        lost: Whether the prober was left behind, and a tripwire with it.
    """

    request: Request
    told: Any
    lost: bool


@dataclass(frozen=True)
class Died:
    """The prober ended by itself, was killed, or met a bug.

    Attributes:
        how: As a clause.
        traceback: Of a bug; empty where there was none.
    """

    how: str
    traceback: str = ""


class Link:
    """One prober after the other.

    Args:
        prober: The first.
        patience: GUARD_PROBE_TIMEOUT, in seconds.
        keep: Descriptors that probers use beside their pipes.
    """

    def __init__(self, prober: Prober, patience: float, keep: tuple[int, ...] = ()) -> None:
        self._prober: Prober | None = prober
        self._keep = keep
        self._patience = patience
        self._asked: Request | None = None
        self._told: Any = None
        self._heard_at = 0.0
        self._late = False  # a replacement waits: its answer is for a question of long ago
        self._left: list[int] = []

    @property
    def replies(self) -> int | None:
        """The descriptor to poll; another one after a prober was replaced, None while there is none."""
        return self._prober.replies if self._prober else None

    @property
    def busy(self) -> bool:
        """Whether an errand is on its way."""
        return self._asked is not None

    @property
    def crowded(self) -> bool:
        """Whether two probers are stuck in the kernel already."""
        return len(self._left) >= _STUCK

    @property
    def errand(self) -> Request | None:
        """What is on its way."""
        return self._asked

    @property
    def progressed_at(self) -> float | None:
        """When the errand on its way last made progress, on the monotonic clock; None where it has not yet."""
        return self._heard_at if self._asked is not None and self._told is not None else None

    @property
    def deadline(self) -> float | None:
        """When the errand counts as failed, on the monotonic clock; None where none is on its way."""
        return None if self._asked is None else self._heard_at + self._patience

    def ask(self, request: Request, now: float) -> None:
        """Sends an errand; none may be on its way.

        Raises:
            OSError: There is no prober, and none can be started.
        """
        self._prober = self._prober or Prober(self._keep)
        self._asked, self._told, self._heard_at = request, None, now
        with suppress(BrokenPipeError):  # it is gone: `hear` says how
            self._prober.ask(request)

    def hear(self, now: float) -> Answered | Died | None:
        """What came of the errand; None where it is not done. Progress extends its deadline."""
        while self._prober is not None and (message := self._prober.take()) is not None:
            if isinstance(message, Progress):
                self._told, self._heard_at = message.what, now
                continue
            asked, self._asked = self._asked, None
            if isinstance(message, Answer) and asked is not None:
                self._late = False
                return Answered(asked, message.value)
            if isinstance(message, Failure):
                self._late = False
                return Died("the prober met a bug", message.traceback)
            how = message.how if isinstance(message, Exited) else "spoke unasked"
            self._renew()
            return Died(f"the prober {how}")
        return None

    def overdue(self, now: float) -> Overdue | None:
        """The errand that made no progress in time; the first time its prober is replaced, then the replacement is waited for."""
        if self._asked is None or now < self._heard_at + self._patience:
            return None
        late = Overdue(self._asked, self._told, not self._late)
        self._heard_at = now
        if not self._late:
            self._renew()
            self._late = True
        return late

    def drop(self) -> None:
        """Gives the errand up: its prober is killed, a new one stands in its place."""
        self._renew()

    def reap(self) -> None:
        """Buries probers that the kernel has let go of."""
        self._left = [pid for pid in self._left if not _buried(pid)]

    def close(self) -> None:
        """Ends the prober: waits for one that is idle, leaves one that is not."""
        if self._prober is None:
            return
        if self._asked is None:
            self._prober.close()
        else:
            self._prober.abandon()

    def _renew(self) -> None:
        if self._prober is not None:
            self._prober.abandon()
            self._left.append(self._prober.pid)
        self._prober, self._asked, self._late = None, None, False
        with suppress(OSError):  # the next errand tries again, and says why it fails
            self._prober = Prober(self._keep)


def _buried(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True
