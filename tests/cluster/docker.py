"""A Docker engine for one test, out of Debian's packages: nothing is installed, and nothing of it is left."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.kubernetes import packages
from tests.cluster.kubernetes.command import ClusterError, run
from tests.cluster.kubernetes.layout import Layout
from tests.cluster.waiting import NotInTimeError, wait_until

PACKAGES = ("docker.io", "containerd")
STARTED = 60.0


@dataclass(frozen=True, slots=True)
class Docker:
    """The client of an engine that runs.

    Attributes:
        program: Of the same package as the engine.
        socket: Where the engine listens.
    """

    program: Path
    socket: Path

    def __call__(self, *words: str | Path, buildkit: bool = False) -> str:
        """Runs the client, which has to succeed; a build is made by the classic builder or by BuildKit."""
        environment = {**os.environ, "DOCKER_HOST": f"unix://{self.socket}", "DOCKER_BUILDKIT": str(int(buildkit))}
        return run(self.program, *words, env=environment)


@contextmanager
def engine(layout: Layout, say: Callable[[str], None]) -> Iterator[Docker]:
    """An engine without any network of its own, whose containers and images go with it."""
    programs = _fetch(layout, say)
    data = Path(tempfile.mkdtemp(prefix="docker-", dir=layout.images))
    # Sockets have short paths.
    runtime = Path(tempfile.mkdtemp(prefix="docker-"))
    docker = Docker(programs / "docker", runtime / "engine.sock")
    (runtime / "daemon.json").write_text("{}")
    words: list[str | Path] = [
        programs / "dockerd", f"--config-file={runtime}/daemon.json", f"--data-root={data}", f"--exec-root={runtime}/exec",
        f"--pidfile={runtime}/pid", f"--host=unix://{docker.socket}",
        "--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false",
    ]  # fmt: skip
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    with (
        (runtime / "log").open("w") as log,
        subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            _wait_answering(docker, runtime / "log")
            yield docker
        finally:
            process.terminate()
            process.wait(STARTED)
            # The network namespace of containers that share the host's is mounted here.
            for mounted in (runtime / "exec" / "netns").glob("*"):
                with suppress(ClusterError):
                    run("umount", mounted)
            for folder in (runtime, data):
                shutil.rmtree(folder)


def _fetch(layout: Layout, say: Callable[[str], None]) -> Path:
    """The folder of the programs, taken out of Debian's packages once for a cache."""
    folder = layout.programs / "docker"
    if not folder.exists():
        packages.install_missing({"runc": "runc"})
        say(f"fetching {', '.join(PACKAGES)}")
        layout.programs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=layout.programs) as name:
            aside = Path(name)
            run("apt-get", "download", "-qq", *PACKAGES, cwd=aside)
            for package in aside.glob("*.deb"):
                run("dpkg-deb", "--extract", package, aside / "root")
            programs = aside / "programs"
            programs.mkdir()
            for program in (aside / "root" / "usr").glob("*bin/*"):
                if program.exists():  # docker-init is a link to another package
                    program.rename(programs / program.name)
            programs.rename(folder)
    return folder


def _wait_answering(docker: Docker, log: Path) -> None:
    try:
        wait_until("the Docker engine", lambda: _answers(docker), STARTED)
    except NotInTimeError as late:
        raise ClusterError(f"{late}\n{log.read_text()}") from None


def _answers(docker: Docker) -> bool:
    try:
        docker("version")
    except ClusterError:
        return False
    return True
