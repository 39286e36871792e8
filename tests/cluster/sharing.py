"""One cluster for all processes of a test run: who comes first brings it up, who leaves last takes it down."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def shared(folder: Path, come: Callable[[], None], leave: Callable[[], None]) -> Iterator[None]:
    """Holds a place among the users of what `come` makes.

    The kernel keeps the count, by locks on two files: a process that dies leaves.

    Args:
        folder: Where the files of the locks are.
        come: Makes what is not there yet; one process at a time.
        leave: Takes it back; run by the last user only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "turn.lock").open("w") as turn, (folder / "users.lock").open("w") as users:
        fcntl.flock(turn, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            come()
            fcntl.flock(turn, fcntl.LOCK_UN)
            yield
        finally:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if _alone(users.fileno()):
                leave()


def _alone(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
