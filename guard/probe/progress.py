"""Progress: tells the parent that calls on the volume come back, however slowly. Prober only: it does one thing at a time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Seconds: as often as this, where the calls take long, and never where they don't.
EVERY = 0.1

_tell: Callable[[], None] | None = None
_told_at = 0.0


@contextmanager
def told(tell: Callable[[], None]) -> Iterator[None]:
    """For the length of a block, has the parent told of what is made."""
    global _tell, _told_at  # noqa: PLW0603 - whatever calls on the volume can say so, and need not be handed how
    _tell, _told_at = tell, time.monotonic()
    try:
        yield
    finally:
        _tell = None


def made() -> None:
    """A call on the volume came back."""
    global _told_at  # noqa: PLW0603 - see above
    if _tell is not None and time.monotonic() - _told_at >= EVERY:
        _tell()
        _told_at = time.monotonic()
