"""Runs other programs, and quotes what they said when they fail. Nothing that runs on is started here."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class ClusterError(Exception):
    """What cannot go on, in one sentence for the person who called."""


def attempt(
    *argv: str | Path, stdin: str = "", env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, whatever that is; both its streams are captured."""
    return subprocess.run(
        [str(word) for word in argv], input=stdin, env=env, cwd=cwd, check=False, capture_output=True, text=True
    )


def run(*argv: str | Path, stdin: str = "", env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Runs a program that has to succeed, and returns its standard output.

    Raises:
        ClusterError: It is not there, or ended with another status than 0.
    """
    try:
        done = attempt(*argv, stdin=stdin, env=env, cwd=cwd)
    except FileNotFoundError as error:
        raise ClusterError(f"{argv[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise ClusterError(f"{_shown(argv)}: status {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def _shown(argv: Sequence[str | Path]) -> str:
    """The start of a command line, for a message."""
    return " ".join(str(word) for word in argv)[:200]
