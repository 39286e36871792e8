"""Lines for a reader who may be slow, stopped or gone: what it does not read at once waits, bounded, and stalls nobody."""

import os
import select
import time
from collections import deque

#: A pipe that selects as writable takes this much without blocking (pipe(7), PIPE_BUF).
_CHUNK = 4096
#: Lines that wait; the oldest go first, since what is wrong now matters more.
_LINES = 500


class LineQueue:
    """Lines on their way to a descriptor, which stays blocking: others write to it too.

    Args:
        descriptor: Where they go.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._lines: deque[bytes] = deque()
        self._rest = b""

    @property
    def waiting(self) -> bool:
        """Whether anything waits for the reader."""
        return bool(self._lines or self._rest)

    def put(self, line: bytes) -> None:
        """Queues a line, and writes what can be written without waiting."""
        if len(self._lines) == _LINES:
            self._lines.popleft()
        self._lines.append(line)
        self.flush()

    def flush(self, patience: float = 0.0) -> None:
        """Writes what the reader takes; what it does not take waits.

        Args:
            patience: Seconds to wait for room, in all.
        """
        deadline = time.monotonic() + patience
        try:
            while self.waiting:
                if not select.select([], [self.descriptor], [], max(0.0, deadline - time.monotonic()))[1]:
                    return
                self._rest = self._rest or self._lines.popleft()
                self._rest = self._rest[os.write(self.descriptor, self._rest[:_CHUNK]) :]
        except OSError:  # nobody will ever read it
            self._lines.clear()
            self._rest = b""
