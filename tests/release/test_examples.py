"""The examples without Kubernetes, run with the images of this checkout: Compose, quadlet, systemd, `docker run`."""

import configparser
import functools
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest

from tests import debian
from tests.cluster import images
from tests.cluster.kubernetes.command import ClusterError
from tests.cluster.kubernetes.layout import from_environment
from tests.cluster.waiting import wait_until
from tests.release.building import REPOSITORY
from tests.unit import markdown

EXAMPLES = REPOSITORY / "examples"
SUITES = ("unstable", "trixie")
#: Bridges need more of this machine than the tests may take, and no test waits for what will not come.
WITHOUT_NETWORK = {"network_mode": "none", "environment": {"GUARD_WAIT": "0"}}
#: Options of podman that need a systemd to talk to.
OF_SYSTEMD = ("--cgroups=split", "--sdnotify=conmon")

pytestmark = [
    pytest.mark.skipif(shutil.which("podman") is None, reason="no podman to run the examples with"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to build without a daemon"),
]


def fetch(package: str, program: str) -> Path:
    try:
        return debian.fetch(package, program, SUITES, print)
    except ClusterError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def builder() -> images.Builder:
    """Has the images under the names that the examples use."""
    one = images.Builder(from_environment(), print)
    one.guard()
    one.application()
    return one


@pytest.fixture
def volume(builder: images.Builder) -> Iterator[str]:
    """The volume that the examples name, new and empty."""
    with suppress(ClusterError):
        builder.podman("volume", "rm", "--force", "skills")
    yield builder.podman("volume", "create", "skills").strip()
    builder.podman("volume", "rm", "--force", "skills")


class Compose:
    """Docker Compose on podman's service, for one file and what a test adds to it."""

    def __init__(self, builder: images.Builder, folder: Path, file: str, *services: str) -> None:
        self._program = fetch("docker-compose", "/usr/libexec/docker/cli-plugins/docker-compose")
        self._builder = builder
        self._socket = folder / "podman.sock"
        override = folder / "override.yaml"
        override.write_text(json.dumps({"services": dict.fromkeys(services, WITHOUT_NETWORK)}))
        self._words = ("--project-name=example", f"--file={EXAMPLES / 'compose' / file}", f"--file={override}")

    def __enter__(self) -> Self:
        self._service = self._builder.serve(self._socket)
        wait_until("podman's service", self._socket.exists, 30)
        return self

    def __exit__(self, *_: object) -> None:
        self("down", "--timeout=2")
        self._service.terminate()
        self._service.wait(30)

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "DOCKER_HOST": f"unix://{self._socket}", "DOCKER_BUILDKIT": "0"}
        return subprocess.run(
            [self._program, *self._words, *words],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def container(self, service: str) -> dict[str, Any]:
        """What podman knows of a service's container."""
        inspected: list[dict[str, Any]] = json.loads(self._builder.podman("inspect", f"example-{service}-1"))
        return inspected[0]


def test_compose_starts_the_application_behind_the_gate_and_not_without_its_volume(
    builder: images.Builder, tmp_path: Path
) -> None:
    services = ("volume-guard-gate", "volume-guard-watch", "application")
    with Compose(builder, tmp_path, "compose.yaml", *services) as compose:
        with suppress(ClusterError):
            builder.podman("volume", "rm", "--force", "skills")
        assert "external volume" in compose("up", "--detach").stderr

        builder.podman("volume", "create", "skills")
        assert "exit 20" in compose("up", "--detach").stderr
        assert compose.container("application")["State"]["Status"] == "created", "it was never started"

        compose("run", "--rm", "volume-guard-gate", "adopt")
        assert compose("up", "--detach").returncode == 0
        assert compose.container("application")["State"]["Running"]
        wait_until("the watcher", lambda: "watch.started" in compose("logs", "volume-guard-watch").stdout, 30)
    builder.podman("volume", "rm", "--force", "skills")


def test_as_the_entrypoint_it_checks_each_start_and_becomes_the_application(
    builder: images.Builder, volume: str, tmp_path: Path
) -> None:
    with Compose(builder, tmp_path, "entrypoint.yaml", "application", "volume-guard-watch") as compose:
        built = compose("build", "application")
        assert built.returncode == 0, built.stdout + built.stderr
        compose("up", "--detach", "application")
        wait_until("a refusal", lambda: '"status": 20' in compose("logs", "application").stdout, 30)
        assert "serving" not in compose("logs", "application").stdout
        compose("down", "--timeout=2")
        adopted = compose("run", "--rm", "--entrypoint=/opt/guard/bin/guard", "application", "adopt")
        assert "volume.adopted" in adopted.stderr + adopted.stdout
        assert compose("up", "--detach").returncode == 0
        wait_until("the application", lambda: "serving" in compose("logs", "application").stdout, 30)
        # As Docker does it, after a boot: nothing of Compose is asked.
        builder.podman("restart", "--time=2", "example-application-1")
        wait_until("its next start", lambda: compose("logs", "application").stdout.count("serving") == 2, 30)
        assert compose("logs", "--no-log-prefix", "application").stdout.count('"event": "volume.ok"') == 2
        assert volume == "skills"


def test_what_quadlet_makes_of_the_files_checks_watches_and_runs(builder: images.Builder, volume: str) -> None:
    generated = subprocess.run(
        [fetch("podman", "/usr/libexec/podman/quadlet"), "-dryrun"],
        env={"QUADLET_UNIT_DIRS": str(EXAMPLES / "podman")}, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    units = {name: _unit(text) for name, text in _by_file(generated)}
    assert set(units) == {"claude-skills.service", "volume-guard-gate.service", "volume-guard-watch.service"}
    assert units["claude-skills.service"]["Unit"]["Requires"] == "volume-guard-gate.service"
    assert units["volume-guard-gate.service"]["Service"]["Type"] == "oneshot"

    def start(unit: str, *command: str) -> subprocess.CompletedProcess[str]:
        words = shlex.split(units[unit]["Service"]["ExecStart"])
        assert words[:2] == ["/usr/bin/podman", "run"]
        words = [word.replace("systemd-%N", "systemd-test") for word in words[2:] if word not in OF_SYSTEMD]
        ports = [word for word in words if word.startswith("127.0.0.1:")] + ["--publish"]
        words = [word for word in words if word not in ports]
        return builder.run_container("--env=GUARD_WAIT=0", *(command and [*words[:-1], *command]) or words)

    assert start("volume-guard-gate.service").returncode == 20
    assert start("volume-guard-gate.service", "adopt").returncode == 0
    assert start("volume-guard-gate.service").returncode == 0
    for unit, expected in (("volume-guard-watch.service", "watch.started"), ("claude-skills.service", "serving")):
        assert start(unit).returncode == 0
        wait_until(expected, functools.partial(_has_logged, builder, "systemd-test", expected), 30)
        builder.podman("rm", "--force", "--time=2", "systemd-test")
    assert volume == "skills"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for unit in (EXAMPLES / "systemd").glob("*.service"):
        # What the units start is not installed here; everything else is as in the file.
        text = (
            unit.read_text()
            .replace("/usr/local/bin/guard", "/bin/true")
            .replace("/usr/local/bin/claude-skills", "/bin/true")
        )
        (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, tmp_path.glob("*.service"))],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_s_check_passes_only_where_the_volume_is_mounted(installed: Path, tmp_path: Path) -> None:
    service = _unit((EXAMPLES / "systemd" / "claude-skills.service").read_text())["Service"]
    assert service["EnvironmentFile"] == "/etc/volume-guard/skills.env"
    settings = dict(
        line.split("=", 1)
        for line in (EXAMPLES / "systemd" / "skills.env").read_text().splitlines()
        if line[:1].isalpha()
    )
    settings |= {"GUARD_PATH": str(tmp_path), "GUARD_WAIT": "0"}
    assert service["ExecStartPre"] == "/usr/local/bin/guard check"

    def guard(command: str, **more: str) -> int:
        words = [str(installed / "bin" / "guard"), command]
        return subprocess.run(words, env={**settings, **more}, check=False, capture_output=True).returncode

    assert guard("check") == 10, "a folder of the disk that holds / is no mount"
    subprocess.run(["mount", "-t", "tmpfs", "volume", tmp_path], check=True)
    try:
        memory = {"GUARD_KINDS": settings["GUARD_KINDS"] + ",memory"}
        assert guard("check", **memory) == 20
        assert guard("adopt", **memory) == 0
        assert guard("check", **memory) == 0
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_the_lines_by_hand_run_as_printed(builder: images.Builder, volume: str) -> None:
    page = markdown.read(REPOSITORY / "docs" / "compose.md")
    (block,) = (one for one in page.blocks if "docker run" in one.text and "docker volume create" in one.text)
    create, *runs = block.text.strip().splitlines()
    assert create == f"docker volume create {volume}"
    statuses = []
    for line in (runs[1], *runs):
        words = shlex.split(line)
        assert words[:3] == ["docker", "run", "--rm"]
        statuses.append(builder.run_container("--env=GUARD_WAIT=0", *words[3:]).returncode)
    assert statuses == [20, 0, 0]


def _has_logged(builder: images.Builder, container: str, words: str) -> bool:
    done = builder.attempt("logs", container)
    return words in done.stdout + done.stderr


def _by_file(generated: str) -> Iterator[tuple[str, str]]:
    """Units as quadlet prints them: a line ---NAME---, then the file."""
    for part in generated.split("\n---") if not generated.startswith("---") else generated[3:].split("\n---"):
        name, _, text = part.partition("---\n")
        yield name, text


def _unit(text: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    return unit
