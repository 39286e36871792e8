"""python -m tests.cluster.kubernetes COMMAND: a real Kubernetes of two nodes on a bare Debian machine.

up           build what the cache lacks (ten minutes the first time), start it, wait until it is Ready
down         end everything; state and cache stay
status       what runs; status 1 unless all of it does
reset        down, and forget the state; the cache stays
load FILE... import image archives into both nodes
env          lines for a shell: KUBECONFIG and PATH
helm         build helm, which needs no cluster, and print where it is

Everything stands below VOLUME_GUARD_CACHE (default ~/.cache/volume-guard).
"""

import sys
import time
from pathlib import Path

from tests.cluster.kubernetes import build, cluster
from tests.cluster.kubernetes.command import ClusterError
from tests.cluster.kubernetes.layout import from_environment
from tests.cluster.waiting import NotInTimeError

STARTED = time.monotonic()


def say(line: str) -> None:
    """Prints a line of progress with the seconds since the start."""
    sys.stderr.write(f"[{time.monotonic() - STARTED:6.1f} s] {line}\n")


def answer(line: str) -> None:
    """Prints a line of what was asked for."""
    sys.stdout.write(f"{line}\n")


def main(words: list[str]) -> int:
    """Does what the first word says; the exit status."""
    layout = from_environment()
    match words:
        case ["up"]:
            cluster.up(layout, say)
        case ["down"]:
            cluster.down(layout, say)
        case ["reset"]:
            cluster.reset(layout, say)
        case ["status"]:
            return min(cluster.status(layout, answer), 1)
        case ["load", first, *more]:
            cluster.load(layout, [Path(first), *map(Path, more)], say)
        case ["env"]:
            answer(f'export KUBECONFIG="{layout.kubeconfig()}" PATH="{cluster.kubectl_folder(layout, say)}:$PATH"')
        case ["helm"]:
            answer(str(build.helm(layout, say)))
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (ClusterError, NotInTimeError) as error:
        sys.exit(f"cluster: {error}")
