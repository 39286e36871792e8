"""Waits for a condition with a deadline. The one place of the cluster tests that sleeps; it never sleeps for luck."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds between two looks: short beside the second or two that a container needs, and kind to an API server.
PAUSE = 0.2


class NotInTimeError(AssertionError):
    """The condition did not become true before the deadline."""


def wait_until(what: str, look: Callable[[], T | None], seconds: float) -> T:
    """Looks again and again until the answer is true, and returns it.

    Args:
        what: What is awaited, for the message when it does not come.
        look: Gives something true once it is there.
        seconds: The deadline.

    Raises:
        NotInTimeError: The deadline passed; the message carries the last answer.
    """
    end = time.monotonic() + seconds
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > end:
            raise NotInTimeError(f"{what}: not there after {seconds:g} s; the last look gave {answer!r}")
        time.sleep(PAUSE)
