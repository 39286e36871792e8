"""restic for the tests, as Debian builds it: `python -m tests.restic` fetches it. Nothing is installed on this machine.

What Debian 12 has is too old (see guard/backup/restic.py), so it is taken out of the package of a newer suite.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests import debian

#: Debian suites whose restic is new enough, the newest first.
SUITES = ("unstable", "trixie")
OLDEST = (0, 18)


def find() -> Path | None:
    """A restic that is new enough: fetched, or on PATH; None where there is none."""
    on_path = shutil.which("restic")
    for program in (debian.kept("restic", "/usr/bin/restic"), Path(on_path) if on_path else None):
        if program is not None and program.exists() and _version(program) >= OLDEST:
            return program
    return None


def fetch(say: Callable[[str], None]) -> Path:
    """Takes the program out of Debian's package, once for a cache."""
    return debian.fetch("restic", "/usr/bin/restic", SUITES, say)


def _version(program: Path) -> tuple[int, ...]:
    said = subprocess.run([program, "version"], check=False, capture_output=True, text=True).stdout
    found = re.match(r"restic (\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0,)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.stdout.write(f"{find() or fetch(_say)}\n")
