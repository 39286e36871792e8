"""Counts, and checks sampled files, inside a sandbox: as the prober does, without a guard around it.

    python -m tests.linux.counting PATH < request > answer

Request and answer are pickles: CountOptions or a tuple of sampled files; FileCount or FilesChecked.
"""

import pickle
import subprocess
import sys

from guard.probe.requests import CheckRequest, CountRequest
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
    path, wanted = sys.argv[1], pickle.load(sys.stdin.buffer)
    is_count = isinstance(wanted, CountOptions)
    request = CountRequest(path, wanted) if is_count else CheckRequest(path, wanted, LossRule())
    pickle.dump(request.run(lambda _: None), sys.stdout.buffer)


if __name__ == "__main__":
    main()
