"""Lines for a reader who may be slow, stopped or gone: what it does not read at once waits, bounded, and stalls nobody."""

import time
from collections import deque

from guard.report import stream

#: Lines that wait; the oldest go first, since what is wrong now matters more.
_LINES = 500


class LineQueue:
    """Lines on their way to a descriptor, which stays blocking: others write to it too.

    Args:
        descriptor: Where they go.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._lines: deque[bytes] = deque(maxlen=_LINES)
        self._rest = b""

    @property
    def waiting(self) -> bool:
        """Whether anything waits for the reader."""
        return bool(self._lines or self._rest)

    def put(self, line: bytes) -> None:
        """Queues a line, and writes what can be written without waiting."""
        self._lines.append(line)
        self.flush()

    def flush(self, patience: float = 0.0) -> None:
        """Writes what the reader takes; what it does not take waits.

        Args:
            patience: Seconds to wait for room, in all.
        """
        deadline = time.monotonic() + patience
        while self.waiting:
            self._rest = stream.write(self.descriptor, self._rest or self._lines.popleft(), deadline - time.monotonic())
            if self._rest:
                return
