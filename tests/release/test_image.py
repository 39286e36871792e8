"""The built image: the package of the wheel, the user, no volume of its own, and a gate that works in it."""

import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard import __version__
from tests.release.conftest import Distributions
from tests.release.image import Container, build

pytestmark = [
    pytest.mark.skipif(shutil.which("buildah") is None, reason="no buildah to build the image with"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to build without a daemon"),
]
#: Prints the SHA-256 of each file of the installed package.
DIGESTS = """
import hashlib, json, pathlib, guard
root = pathlib.Path(guard.__file__).parent
files = [one for one in root.rglob("*") if one.is_file() and "__pycache__" not in one.parts]
print(json.dumps({str(one.relative_to(root.parent)): hashlib.sha256(one.read_bytes()).hexdigest() for one in files}))
"""


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    one = build()
    yield one
    one.remove()


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A file system that the image's user may write."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "volume", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_its_package_is_the_wheel_s(container: Container, built: Distributions) -> None:
    done = container.execute("python", "-c", DIGESTS)
    assert done.status == 0
    with zipfile.ZipFile(built.wheel) as wheel:
        expected = {
            name: hashlib.sha256(wheel.read(name)).hexdigest() for name in wheel.namelist() if name.startswith("guard/")
        }
    assert json.loads(done.stdout) == expected


def test_it_is_the_command_of_this_version_without_root_and_without_a_volume(container: Container) -> None:
    configuration = container.configuration()
    assert configuration["Entrypoint"] == ["guard"]
    assert configuration["User"] == "29808:29808"
    assert configuration["Labels"]["org.opencontainers.image.version"] == __version__
    assert not configuration.get("Volumes"), "containerd would mount an empty folder there, and hide a missing mount"
    assert container.execute("guard", "--version").stdout == f"volume-guard {__version__}\n"
    assert container.execute("id", "-u").stdout.strip() == "29808"


def test_its_interpreter_finds_everything_compiled(container: Container) -> None:
    code = "import guard.cli, pathlib; root = pathlib.Path(guard.cli.__file__).parent; print(*sorted(p.stem for p in root.glob('*.py')), '|', *sorted(p.stem.split('.')[0] for p in root.glob('__pycache__/*.pyc')))"
    sources, _, compiled = container.execute("python", "-c", code).stdout.partition("|")
    assert sources.split() == compiled.split() != []


def test_the_gate_in_it_refuses_adopts_passes_and_knows_a_loss(container: Container, volume: Path) -> None:
    settings = {"GUARD_VOLUME": "skills", "GUARD_KINDS": "memory", "GUARD_WAIT": "0", "GUARD_LOG_FORMAT": "json"}

    def ending(command: str, mounted: Path | None = volume) -> tuple[int, str]:
        done = container.execute("guard", command, volume=mounted, settings=settings)
        return done.status, done.lines[-1]["event"]

    (volume / "skill").touch()
    assert ending("check", mounted=None) == (13, "volume.refused")
    assert ending("check") == (20, "volume.refused")
    assert ending("adopt") == (0, "volume.adopted")
    assert ending("check") == (0, "volume.ok")
    (volume / "skill").unlink()
    assert ending("check") == (30, "volume.refused")
