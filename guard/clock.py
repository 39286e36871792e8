"""The clocks and the ids of this process: what pure code takes as parameters."""

import os
import time
from datetime import UTC, datetime

from guard.volume.timestamp import Timestamp


def now() -> Timestamp:
    """Returns the time on both clocks."""
    return Timestamp(time.monotonic(), datetime.now(UTC))


def run_id() -> str:
    """Returns an id for the lines of one run."""
    return os.urandom(8).hex()
