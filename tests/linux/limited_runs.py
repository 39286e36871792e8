"""Checks and watchers under a limit: few descriptors or processes, little memory, a system call that is denied. Each run is a fork.

The environment has the guard's settings; the volume is mounted at GUARD_PATH.
"""

import ctypes
import errno
import os
import pickle
import platform
import re
import resource
import select
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass

from guard import __main__
from tests.linux import forked_guard
from tests.linux.sandbox import DEADLINE, Sandbox

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
#: System calls by name, as x86-64 numbers them; None where they have other numbers.
_NUMBERS = {
    "read": 0, "write": 1, "fstat": 5, "poll": 7, "dup": 32, "fork": 57, "flock": 73, "getdents64": 217, "openat": 257,
    "newfstatat": 262, "readlinkat": 267, "unlinkat": 263, "statfs": 137, "fstatfs": 138, "pipe2": 293, "clone": 56,
    "getrandom": 318, "close_range": 436, "readlink": 89, "dup2": 33, "fchmod": 91, "wait4": 61,
    "inotify_init1": 294, "inotify_add_watch": 254, "eventfd2": 290, "pidfd_open": 434, "statx": 332, "clone3": 435,
}  # fmt: skip
#: What a watcher of a wiped volume can report of it.
_REPORTS = re.compile(rb"volume\.(?:wiped|unreachable)")
SYSTEM_CALLS: list[str] = list(_NUMBERS) if platform.machine() == "x86_64" else []


@dataclass(frozen=True)
class Limit:
    """What is limited: a RLIMIT_ name, or `deny` and a system call; and to how much, or to which errno."""

    name: str
    value: int
    call: str = ""

    def set(self) -> None:
        """Sets it for this process."""
        if self.name == "deny":
            _deny(_NUMBERS[self.call], self.value)
        else:
            resource.setrlimit(getattr(resource, self.name), (self.value, self.value))


@dataclass(frozen=True)
class Ended:
    """How a check ended: the exit status, negative for a signal, and the log."""

    status: int
    lines: str


def _deny(number: int, code: int) -> None:
    rows = [(_LOAD, 0, 0, 0), (_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | code), (_RETURN, 0, 0, _ALLOW)]
    text = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *row) for row in rows))
    program = ctypes.create_string_buffer(struct.pack("<H6xQ", len(rows), ctypes.addressof(text)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def run(sandbox: Sandbox, limits: list[Limit], command: str = "check", **settings: str) -> list[Ended]:
    """Runs a command under each limit; a watcher until it reports what is wrong or ends, at most some seconds."""
    process = sandbox.start(
        [sys.executable, "-c", "from tests.linux import limited_runs; limited_runs.main()", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=sandbox.environment({"GUARD_PROBE_TIMEOUT": "5s", **settings}),
    )
    answer, _ = process.communicate(pickle.dumps(limits), DEADLINE * 10)
    assert process.returncode == 0
    found: list[Ended] = pickle.loads(answer)
    return found


def _end_watcher(child: int, log: int) -> None:
    ended = os.pidfd_open(child)
    until = time.monotonic() + DEADLINE / 3
    while time.monotonic() < until and not _REPORTS.search(os.pread(log, 1 << 16, 0)):
        if select.select([ended], [], [], 0.05)[0]:
            break
    os.close(ended)
    os.kill(child, signal.SIGTERM)


def main() -> None:
    """Runs inside."""
    limits: list[Limit] = pickle.load(sys.stdin.buffer)
    forked_guard.warm_up()
    log = os.open(f"{os.environ['GUARD_TERMINATION_LOG']}.log", os.O_RDWR | os.O_CREAT, 0o600)
    results = []
    for limit in limits:
        os.ftruncate(log, 0)
        os.lseek(log, 0, os.SEEK_SET)
        child = os.fork()
        if child == 0:
            os.dup2(log, 2)
            signal.alarm(int(DEADLINE))
            try:
                limit.set()
            except OSError:
                os._exit(errno.ENOSYS)
            __main__.main()
        if sys.argv[1] == "watch":
            _end_watcher(child, log)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        results.append(Ended(status, os.pread(log, 1 << 16, 0).decode()))
    pickle.dump(results, sys.stdout.buffer)
