"""Runs a program and reads both of its streams line by line; passes a signal on to it and waits for its end."""

import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

from guard.stop_signal import StopSignal

#: Bytes read at once.
_CHUNK = 64 * 1024
#: The longest line, in bytes: restic prints the list of all snapshots as one, some 700 bytes each.
_LONGEST_LINE = 16 * 1024 * 1024

OnLine = Callable[[bytes], None]


class LineTooLongError(Exception):
    """The program printed a line that is longer than any is meant to be."""


def run(
    argv: Sequence[str], stop_signal: StopSignal, *, out: OnLine, err: OnLine, env: Mapping[str, str] | None = None
) -> int:
    """Runs a program to its end.

    Args:
        argv: The program and its arguments.
        stop_signal: In a container this process is PID 1 and the only one that is asked to stop: the program is then
            asked too, by SIGTERM, and has what is left of the pod's grace period to put its things in order.
        out: Receives the lines of standard output, without their end.
        err: Receives those of standard error.
        env: The environment; ours where None.

    Returns:
        Its exit status; that of a shell, 128 + signal, where a signal ended it.

    Raises:
        Stopped: A signal asked for the end; the program has ended by then.
        LineTooLongError: A line is too long; the program has ended by then.
        OSError: The program could not be started.
    """
    stop_signal.check()
    process = subprocess.Popen(  # noqa: S603 - argv is built from our own words, and no shell reads it
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process, process.stdout, process.stderr:
        readers = {process.stdout.fileno(): out, process.stderr.fileno(): err}
        rests = dict.fromkeys(readers, b"")
        poll = select.poll()
        for descriptor in (*readers, stop_signal.descriptor):
            poll.register(descriptor, select.POLLIN)
        while readers:
            for descriptor, _ in poll.poll():
                if descriptor == stop_signal.descriptor:
                    poll.unregister(descriptor)  # it stays readable
                    process.send_signal(signal.SIGTERM)
                    continue
                chunk = os.read(descriptor, _CHUNK)
                *lines, rests[descriptor] = (rests[descriptor] + chunk).split(b"\n")
                for line in lines:
                    readers[descriptor](line)
                if len(rests[descriptor]) > _LONGEST_LINE:
                    process.terminate()
                    raise LineTooLongError(f"a line of more than {_LONGEST_LINE} bytes")
                if not chunk:
                    if rests[descriptor]:
                        readers[descriptor](rests[descriptor])
                    poll.unregister(descriptor)
                    del readers[descriptor]
        status = process.wait()
    stop_signal.check()
    return status if status >= 0 else 128 - status
