"""restic for the tests, as Debian builds it: `python -m tests.restic` fetches it. Nothing is installed on this machine.

What Debian 12 has is too old (see guard/backup/restic.py), so it is taken out of the package of a newer suite.
"""

import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

from tests.cluster.kubernetes import packages
from tests.cluster.kubernetes.command import ClusterError, attempt
from tests.cluster.kubernetes.layout import from_environment

#: Debian suites whose restic is new enough, the newest first.
SUITES = ("unstable", "trixie")
OLDEST = (0, 18)
_MEMBER = "./usr/bin/restic"


def kept() -> Path:
    """Where the fetched program stands, or will."""
    return from_environment().programs / "restic" / "restic"


def find() -> Path | None:
    """A restic that is new enough: fetched, or on PATH; None where there is none."""
    on_path = shutil.which("restic")
    for program in (kept(), Path(on_path) if on_path else None):
        if program is not None and program.exists() and _version(program) >= OLDEST:
            return program
    return None


def fetch(say: Callable[[str], None]) -> Path:
    """Takes the program out of Debian's package, once for a cache.

    Raises:
        ClusterError: No suite gives one.
    """
    if kept().exists():
        return kept()
    packages.install_missing({"mmdebstrap": "mmdebstrap"})
    kept().parent.mkdir(parents=True, exist_ok=True)
    archive = kept().with_suffix(".tar")
    for suite in SUITES:
        say(f"fetching restic from Debian {suite}")
        done = attempt(
            "mmdebstrap", "--quiet", "--variant=extract", "--include=restic",
            # A mirror that is frozen at a date is still signed, and as good for a test.
            '--aptopt=Acquire::Check-Valid-Until "false"', suite, archive,
        )  # fmt: skip
        if done.returncode == 0:
            break
        say(f"Debian {suite}: {done.stderr.strip()[-300:]}")
    else:
        raise ClusterError(f"none of Debian's suites gives restic: {SUITES}")
    aside = kept().with_suffix(".part")
    with tarfile.open(archive) as members, aside.open("wb") as program:
        content = members.extractfile(_MEMBER)
        assert content is not None
        shutil.copyfileobj(content, program)
    archive.unlink()
    aside.chmod(0o755)
    aside.rename(kept())
    return kept()


def _version(program: Path) -> tuple[int, ...]:
    said = subprocess.run([program, "version"], check=False, capture_output=True, text=True).stdout
    found = re.match(r"restic (\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0,)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.stdout.write(f"{find() or fetch(_say)}\n")
