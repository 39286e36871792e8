"""A FUSE server that misbehaves, mounted at a sandbox's path for the length of a block. It judges nothing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.linux import fuse_server
from tests.linux.sandbox import Sandbox

#: What tests with a server need.
MARKS = [
    pytest.mark.mounts,
    pytest.mark.root,
    pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="this kernel has no /dev/fuse"),
]


@contextmanager
def served(sandbox: Sandbox, mode: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server in one of fuse_server's modes; the volume's marker says skills."""
    command = [sys.executable, os.path.abspath(fuse_server.__file__), mode, sandbox.path, "skills"]
    with sandbox.start(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"mounted\n"
        try:
            yield server
        finally:
            server.kill()  # also lets go of whatever is stuck in a call
