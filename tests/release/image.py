"""The image, built by buildah from the project's own Dockerfile, and a container of it to run commands in."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import images
from tests.cluster.kubernetes.layout import from_environment
from tests.release.building import REPOSITORY, run

#: A name of its own: the one of the test cluster's image stays as it is.
NAME = "localhost/volume-guard-release:check"
#: Seconds after which a build, or a command in a container, has hung.
DEADLINE = 1800


@dataclass(frozen=True, slots=True)
class Executed:
    """What a command in a container left behind: its status, its output, and its log lines."""

    status: int
    stdout: str
    lines: list[dict[str, Any]]


class Container:
    """A container of the built image; nothing is left of it."""

    def __init__(self) -> None:
        folder = from_environment().images
        self._buildah = ("buildah", f"--root={folder}/store", f"--runroot={folder}/run")
        self._environment = {**os.environ, "CONTAINERS_CONF": str(REPOSITORY / "tests" / "cluster" / "containers.conf")}
        self.name = self._run("from", NAME).strip()

    def remove(self) -> None:
        """Removes the container and the image."""
        self._run("rm", self.name)
        self._run("rmi", NAME)

    def configuration(self) -> dict[str, Any]:
        """What a runtime reads of the image."""
        configuration: dict[str, Any] = json.loads(self._run("inspect", "--type=image", NAME))["OCIv1"]["config"]
        return configuration

    def execute(self, *command: str, volume: Path | None = None, settings: Mapping[str, str] | None = None) -> Executed:
        """Runs a command as the image's user, with a folder mounted at /app/skills."""
        mount = [f"--volume={volume}:/app/skills"] if volume else []
        variables = [f"--env={name}={value}" for name, value in (settings or {}).items()]
        words = [*self._buildah, "run", "--isolation=chroot", "--network=host", *mount, *variables, self.name, "--"]
        done = subprocess.run(
            [*words, *command], env=self._environment, check=False, capture_output=True, text=True, timeout=DEADLINE
        )
        # buildah has a word of its own where a command fails.
        lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
        return Executed(done.returncode, done.stdout, lines)

    def _run(self, *words: str) -> str:
        return run(*self._buildah, *words, cwd=REPOSITORY, env=self._environment, deadline=DEADLINE)


def build() -> Container:
    """Builds the image on the test cluster's base, which needs no registry, and makes a container of it."""
    images.Builder(from_environment(), print).guard_with_buildah(NAME)
    return Container()
