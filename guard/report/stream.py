"""Bytes to a standard stream that may be closed, full or read by nobody: output never changes an outcome."""

import os
import select
import time
from contextlib import suppress

#: A pipe that selects as writable takes this much without blocking (pipe(7), PIPE_BUF).
_CHUNK = 4096
#: Seconds that a reader may keep the guard waiting for one line.
PATIENCE = 1.0


def has_colours(descriptor: int) -> bool:
    """Whether escapes for colours are welcome: on a terminal that knows them, unless NO_COLOR is set."""
    return os.isatty(descriptor) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def columns(descriptor: int, unknown: int = 80) -> int:
    """Returns the width of a terminal, as COLUMNS tells or the kernel; `unknown` where neither does."""
    try:
        width = int(os.environ.get("COLUMNS") or os.get_terminal_size(descriptor).columns)
    except (OSError, ValueError):
        width = 0
    return width if width > 0 else unknown


def write(descriptor: int, text: bytes, patience: float = PATIENCE) -> bytes:
    """Writes what is read within `patience` seconds; returns the rest, of which there is none where nobody can read it.

    The descriptor stays blocking: it is shared with the application that `check -- APP` becomes.
    """
    deadline = time.monotonic() + patience
    with suppress(OSError):
        # Not poll: where that is denied to the guard, this reports it.
        while text and select.select([], [descriptor], [], max(0.0, deadline - time.monotonic()))[1]:
            text = text[os.write(descriptor, text[:_CHUNK]) :]
        return text
    return b""
