"""Builds the distributions from a copy of the sources, in a folder of its own. Nothing is judged here."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
#: Seconds after which a build has hung.
DEADLINE = 300


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What differs from one builder's machine to another's, and must not show in the result.

    Attributes:
        umask: Decides the permissions of the copied files.
        zone: The time zone.
        hash_seed: Decides the order of Python's sets.
        modified: The time of the copied files, in seconds since 1970.
    """

    umask: int
    zone: str
    hash_seed: str
    modified: int


ONE = Surroundings(0o022, "UTC", "1", 1_000_000_000)
ANOTHER = Surroundings(0o077, "Asia/Seoul", "2", 1_700_000_001)


def run(*argv: str | Path, cwd: Path, env: dict[str, str] | None = None, deadline: float = DEADLINE) -> str:
    """Runs a program that has to succeed; its standard output."""
    done = subprocess.run(
        [str(word) for word in argv], cwd=cwd, env=env, check=False, capture_output=True, text=True, timeout=deadline
    )
    assert done.returncode == 0, f"{' '.join(map(str, argv))}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def tracked() -> list[str]:
    """What a commit of this checkout would hold, by path from its root."""
    names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=REPOSITORY).split("\0")
    return sorted(name for name in names if name and (REPOSITORY / name).is_file())


def epoch() -> str:
    """The moment that stands in the distributions (SOURCE_DATE_EPOCH): the last commit's, unless given."""
    return os.environ.get("SOURCE_DATE_EPOCH") or run("git", "log", "-1", "--format=%ct", cwd=REPOSITORY).strip()


def copy_sources(target: Path, surroundings: Surroundings) -> Path:
    """Copies the sources as another machine would have them."""
    for name in tracked():
        copied = target / name
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / name, copied)
        executable = os.access(REPOSITORY / name, os.X_OK)
        copied.chmod((0o777 if executable else 0o666) & ~surroundings.umask)
        os.utime(copied, (surroundings.modified, surroundings.modified))
    return target


def build(kind: str, sources: Path, target: Path, surroundings: Surroundings) -> Path:
    """Builds one distribution, `wheel` or `sdist`, with the hatchling of this Python, and no index asked."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(target),
        "SOURCE_DATE_EPOCH": epoch(),
        "TZ": surroundings.zone,
        "PYTHONHASHSEED": surroundings.hash_seed,
    }
    run(
        sys.executable,
        "-I",
        "-m",
        "hatchling",
        "build",
        "--target",
        kind,
        "--directory",
        target,
        cwd=sources,
        env=environment,
    )
    (built,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built
