"""Commands forked from a process that has imported the guard already: the start of an interpreter, and what it imports,
is most of what a test on a real mount costs. What runs then is the command, in the mount namespace of the test.

Root alone may enter one, and only for commands that run to their end.
"""

import ctypes
import functools
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

from guard.backup import archive, drill, restore  # noqa: F401 - loaded once, for every fork
from tests.linux import forked_guard

#: What can be run, as by `python -m`.
PROGRAMS = ("guard", "guard.backup")
_REQUEST_LIMIT = 1 << 20


@dataclass(frozen=True)
class Finished:
    """Exit status, as `subprocess` has it, and what was written."""

    status: int
    stdout: bytes
    stderr: bytes


class ForkServer:
    """The server of this process, which ends with it.

    Args:
        environment: Of the interpreter; a command has its own.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "tests.linux.fork_server", str(theirs.fileno())]
            self._process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()])

    def run(
        self, words: list[str], environment: dict[str, str], stdin: bytes, holder: int, folder: str, deadline: float
    ) -> Finished:
        """Runs a program to its end, in the mount namespace of a process; TimeoutError after so many seconds.

        Args:
            words: The program and its arguments.
            environment: All of it.
            stdin: What the program reads.
            holder: The process whose mount namespace it is.
            folder: The working directory.
            deadline: In seconds.
        """
        request = json.dumps([words, environment, holder, folder]).encode()
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write(stdin)
            given.seek(0)
            socket.send_fds(self._requests, [request], [given.fileno(), out.fileno(), err.fileno()])
            pid = int(self._requests.recv(64))
            self._requests.settimeout(deadline)
            try:
                status = int(self._requests.recv(64))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                self._requests.settimeout(None)
                self._requests.recv(64)
                raise
            out.seek(0)
            err.seek(0)
            return Finished(status, out.read(), err.read())


@functools.cache
def fork_server(path: str, repository: str) -> ForkServer:
    """Returns the server of this process, for a PATH and the folder that the guard is in."""
    return ForkServer({"PATH": path, "PYTHONPATH": repository})


def _serve(requests: socket.socket) -> None:
    forked_guard.warm_up()
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, _REQUEST_LIMIT, 3)
        if not request:
            return
        pid = os.fork()
        if pid == 0:
            requests.close()
            _run(json.loads(request), descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        requests.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        requests.send(str(os.waitstatus_to_exitcode(status)).encode())


def _run(request: tuple[list[str], dict[str, str], int, str], descriptors: list[int]) -> None:
    (program, *arguments), environment, holder, folder = request
    with open(f"/proc/{holder}/ns/mnt", "rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0):
            raise OSError(ctypes.get_errno(), "the mount namespace of the test can't be entered")
    os.chdir(folder)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
