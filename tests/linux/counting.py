"""Counts, and checks sampled files, inside a sandbox: as the prober does, without a guard around it.

    python -m tests.linux.counting PATH < request > answer

Request and answer are pickles: CountOptions or a tuple of sampled files; FileCount or FilesChecked.
"""

import os
import pickle
import subprocess
import sys

from guard.probe.count import count
from guard.probe.files import check_files
from guard.probe.walk import nested_mounts
from guard.volume.loss import LossRule
from guard.volume.observation import CountOptions, FileCount, FilesChecked
from guard.volume.sample import SampledFile
from tests.linux.sandbox import DEADLINE, Sandbox


def counted(sandbox: Sandbox, options: CountOptions | None = None, uid: int | None = None) -> FileCount:
    """The count of what lies at the path, by this uid or another."""
    found = _ask(sandbox, options or CountOptions(), uid)
    assert isinstance(found, FileCount)
    return found


def checked(sandbox: Sandbox, files: tuple[SampledFile, ...], uid: int | None = None) -> FilesChecked:
    """The check of sampled files at the path, by this uid or another."""
    found = _ask(sandbox, files, uid)
    assert isinstance(found, FilesChecked)
    return found


def _ask(sandbox: Sandbox, request: object, uid: int | None) -> object:
    command, paths = sandbox.command(), {}
    if uid is not None:
        command, paths = sandbox.as_user(uid), sandbox.paths_of_another_user()
    *interpreter, _ = command
    process = sandbox.start(
        [*interpreter, "tests.linux.counting", sandbox.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=sandbox.environment(paths),
    )
    answer, _ = process.communicate(pickle.dumps(request), DEADLINE)
    assert process.returncode == 0
    return pickle.loads(answer)


def main() -> None:
    """Runs inside."""
    request = pickle.load(sys.stdin.buffer)
    root = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
    if isinstance(request, CountOptions):
        answer: object = count(root, request, lambda _: None)
    else:
        answer = check_files(root, request, nested_mounts(root), LossRule())
    pickle.dump(answer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
