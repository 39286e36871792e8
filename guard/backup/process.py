"""Runs a program with both streams read line by line; a signal to us is passed on to it, and its end awaited."""

import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

from guard.stop_signal import StopSignal

#: Bytes read at once.
_CHUNK = 64 * 1024

Take = Callable[[bytes], None]


def run(
    argv: Sequence[str], interrupt: StopSignal, *, out: Take, err: Take, env: Mapping[str, str] | None = None
) -> int:
    """Runs a program to its end.

    Args:
        argv: The program and its arguments.
        interrupt: In a container this process is PID 1 and the only one that is told to stop: the program is then asked
            to stop too, by SIGTERM, and has what is left of the pod's grace period to put its things in order.
        out: Takes the lines of standard output, without their end.
        err: Takes those of standard error.
        env: The environment; ours where None.

    Returns:
        Its exit status; that of a shell, 128 + signal, where a signal ended it.

    Raises:
        Interrupted: A signal asked for the end; the program has ended by then.
        OSError: The program could not be started.
    """
    interrupt.check()
    process = subprocess.Popen(  # noqa: S603 - argv is built from our own words, and no shell reads it
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process, process.stdout, process.stderr:
        takers = {process.stdout.fileno(): out, process.stderr.fileno(): err}
        rests = dict.fromkeys(takers, b"")
        poll = select.poll()
        for descriptor in (*takers, interrupt.descriptor):
            poll.register(descriptor, select.POLLIN)
        while takers:
            for descriptor, _ in poll.poll():
                if descriptor == interrupt.descriptor:
                    poll.unregister(descriptor)  # it stays readable
                    process.send_signal(signal.SIGTERM)
                    continue
                chunk = os.read(descriptor, _CHUNK)
                *lines, rests[descriptor] = (rests[descriptor] + chunk).split(b"\n")
                for line in lines:
                    takers[descriptor](line)
                if not chunk:
                    if rests[descriptor]:
                        takers[descriptor](rests[descriptor])
                    poll.unregister(descriptor)
                    del takers[descriptor]
        status = process.wait()
    interrupt.check()
    return status if status >= 0 else 128 - status
