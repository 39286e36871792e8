"""Runs in a container of the guard's image: the gate's CPU beside that of what it loads. Prints, and judges nothing."""

import os
import statistics
import subprocess
import sys

RUNS = 7
#: The libraries and fifteen settings that the gate is made with, and one log line.
FLOOR = """
import sys
import structlog
from pydantic_settings import BaseSettings
class Settings(BaseSettings):
    a: str = "x"; b: int = 1; c: float = 0.1; d: bool = True; e: str = "x"
    f: int = 1; g: float = 0.1; h: bool = True; i: str = "x"; j: int = 1
    k: float = 0.1; l: bool = True; m: str = "x"; n: int = 1; o: float = 0.1
log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr), processors=[structlog.processors.JSONRenderer()])
log.info("ok", path=Settings().a)
"""


def measure(*command: str, **environment: str) -> tuple[float, int]:
    """CPU seconds of a command and its children, and the resident KiB of the largest of them."""
    child = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{command}: status {child.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def main() -> None:
    """Runs both in turn, and prints the medians."""
    rounds = [
        (measure("guard", "check"), measure(sys.executable, "-c", FLOOR, PYTHON_LAZY_IMPORTS="normal"))
        for _ in range(RUNS + 1)
    ][1:]
    gate, floor = (statistics.median(one[side][0] for one in rounds) * 1000 for side in (0, 1))
    ratio = statistics.median(one[0][0] / one[1][0] for one in rounds)
    resident = max(one[0][1] for one in rounds) // 1024
    version = ".".join(str(part) for part in sys.version_info[:3])
    sys.stdout.write(
        f"gate in the image, Python {version}, 1,000 files: {gate:.0f} ms CPU; what it loads, eagerly: {floor:.0f} ms; "
        f"ratio {ratio:.2f} (goal 0.8); resident at most {resident} MiB\n"
    )


main()
