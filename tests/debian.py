"""Programs for the tests that this machine's Debian has too old or not at all, taken out of a newer suite's package."""

import shutil
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.cluster.kubernetes import packages
from tests.cluster.kubernetes.command import ClusterError, attempt
from tests.cluster.kubernetes.layout import from_environment


def kept(package: str, program: str) -> Path:
    """Where the fetched program is, or will be. Nothing is installed on this machine."""
    return from_environment().programs / package / Path(program).name


def fetch(package: str, program: str, suites: Sequence[str], say: Callable[[str], None]) -> Path:
    """Takes a program out of a package, once for a cache.

    Args:
        package: Its name in Debian.
        program: The program's path in it.
        suites: Where to look for the package, the first one first.
        say: Takes lines of progress.

    Raises:
        ClusterError: No suite gives one.
    """
    target = kept(package, program)
    if target.exists():
        return target
    packages.install_missing({"mmdebstrap": "mmdebstrap"})
    target.parent.mkdir(parents=True, exist_ok=True)
    archive, aside = target.with_suffix(".tar"), target.with_suffix(".part")
    for suite in suites:
        say(f"fetching {package} from Debian {suite}")
        done = attempt(
            "mmdebstrap", "--quiet", "--variant=extract", f"--include={package}",
            # A mirror that is frozen at a date is still signed, and as good for a test.
            '--aptopt=Acquire::Check-Valid-Until "false"', suite, archive,
        )  # fmt: skip
        if done.returncode == 0:
            break
        say(f"Debian {suite}: {done.stderr.strip()[-300:]}")
    else:
        raise ClusterError(f"none of Debian's suites gives {package}: {suites}")
    with tarfile.open(archive) as members, aside.open("wb") as file:
        content = members.extractfile(f".{program}")
        assert content is not None
        shutil.copyfileobj(content, file)
    archive.unlink()
    aside.chmod(0o755)
    aside.rename(target)
    return target
