"""The termination message: what `kubectl describe pod` shows of a container that ended."""

import os
import stat
from contextlib import suppress

#: The kubelet shows at most so many bytes.
LIMIT = 4096


def write(path: str, text: str) -> None:
    """Writes the message where the kubelet made a file for it; elsewhere nothing happens.

    Args:
        path: GUARD_TERMINATION_LOG. Never created: outside a pod there is none.
        text: Plain text; cut at LIMIT bytes.
    """
    with suppress(OSError, ValueError):
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, _cut(text))
        finally:
            os.close(descriptor)


def _cut(text: str) -> bytes:
    encoded = text.encode("utf-8", "backslashreplace")
    if len(encoded) <= LIMIT:
        return encoded
    return encoded[: LIMIT - 3].decode("utf-8", "ignore").encode("utf-8") + "…".encode()
