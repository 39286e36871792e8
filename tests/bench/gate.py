"""What the gate costs, beside what it has to load and beside what it replaces. Prints ratios of one run; judges nothing.

CPU of all processes of a command, median of several runs. Needs root (loop-mounted ext4) for the real figures.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from guard.probe import count
from guard.volume.observation import CountOptions

RUNS = 9
PYTHON = sys.executable

FLOOR = """
import sys
import structlog
from pydantic_settings import BaseSettings
class Settings(BaseSettings):
    a: str = "x"; b: int = 1; c: float = 0.1; d: bool = True; e: str = "x"
    f: int = 1; g: float = 0.1; h: bool = True; i: str = "x"; j: int = 1
    k: float = 0.1; l: bool = True; m: str = "x"; n: int = 1; o: float = 0.1
settings = Settings()
log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr), processors=[structlog.processors.JSONRenderer()])
log.info("ok", path=settings.a)
"""


def cpu(command: Sequence[str]) -> float:
    """CPU seconds of one run, its waited-for children included."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"bench: {command} ended with {child.returncode}")
    return usage.ru_utime + usage.ru_stime


def compare(name: str, one: Sequence[str], other: Sequence[str], runs: int = RUNS) -> None:
    """Prints medians of two commands run in turn, and the median of their ratios."""
    pairs = [(cpu(one), cpu(other)) for _ in range(runs + 1)][1:]
    report(name, pairs)


def report(name: str, pairs: Sequence[tuple[float, float]]) -> None:
    """Prints the medians of both sides, and the median of their ratios."""
    left, right = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    sys.stdout.write(f"{name:72} {left * 1000:8.0f} ms {right * 1000:8.0f} ms   ratio {ratio:.2f}\n")


def grow(root: Path, folders: int, files: int) -> None:
    """Makes a tree of folders with files."""
    for number in range(folders):
        folder = root / f"tenant-{number % 20:02}" / f"skill-{number:05}"
        folder.mkdir(parents=True)
        descriptor = os.open(folder, os.O_RDONLY)
        for file in range(files):
            os.mknod(f"file-{file:05}.md", 0o100644, dir_fd=descriptor)
        os.close(descriptor)


def main() -> None:
    """Measures on a volume of 1,000 files, or of 1,000,000 where --large is given, or --count for the count alone."""
    if os.geteuid() != 0:
        raise SystemExit("bench: needs root for a loop-mounted volume")
    if os.environ.get("BENCH_INSIDE") != "1":
        inside = ["unshare", "--mount", "--propagation", "private", PYTHON, *sys.argv]
        os.execvpe(inside[0], inside, os.environ | {"BENCH_INSIDE": "1"})
    large = not {"--large", "--count"}.isdisjoint(sys.argv)
    with tempfile.TemporaryDirectory() as work:
        disk, volume = Path(work, "disk"), Path(work, "volume")
        volume.mkdir()
        subprocess.run(["truncate", "-s", "3G", disk], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-N", "1200000" if large else "4000", disk], check=True)
        subprocess.run(["mount", "-o", "loop", disk, volume], check=True)
        try:
            measure(volume, large=large)
        finally:
            subprocess.run(["umount", volume], check=True)


def measure(volume: Path, *, large: bool) -> None:
    """Prints every comparison."""
    os.environ |= {"GUARD_VOLUME": "bench", "GUARD_PATH": str(volume), "GUARD_WAIT": "0"}
    os.environ.pop("GUARD_TERMINATION_LOG", None)
    check = [PYTHON, "-m", "guard", "check"]
    grow(volume, 1000 if large else 10, 1000 if large else 100)
    if "--count" in sys.argv:  # the count alone
        compare_count(volume, ["sh", "-c", f"find {volume} | wc -l"])
        return
    cpu([PYTHON, "-m", "guard", "adopt"])
    if not large:
        compare("check, 1,000 files : its imports and one Settings() (goal 1.05)", check, [PYTHON, "-c", FLOOR])
        Path(volume, "same").write_text("x")
        shell = ["sh", "-c", f"mountpoint -q {volume} && cmp -s {volume}/same {volume}/same"]
        compare("check, 1,000 files : sh -c 'mountpoint -q P && cmp -s A B'", check, shell)
        return
    find = ["sh", "-c", f"find {volume} | wc -l"]
    compare("check, 1M files : find | wc -l", check, find, runs=5)
    compare_count(volume, find)


def compare_count(volume: Path, find: Sequence[str], runs: int = RUNS) -> None:
    """Prints what a count with its sample costs in a prober, which is forked from a guard that runs, beside find."""
    pairs = [(cpu_of_count(volume), cpu(find)) for _ in range(runs + 1)][1:]
    report("count with its sample, 1M files : find | wc -l (goal 0.95)", pairs)


def cpu_of_count(volume: Path) -> float:
    """CPU seconds of a forked child that counts."""
    child = os.fork()
    if child == 0:
        count.count(os.open(volume, os.O_RDONLY | os.O_DIRECTORY), CountOptions(), lambda _: None)
        os._exit(0)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"bench: the count ended with {status}")
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
