"""The built images: what is in them, how large they are, and that the gate and the doctor work in them."""

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
from tests.release.building import REPOSITORY
from tests.release.conftest import Distributions
from tests.release.image import DOCTOR, GUARD, Image, build

pytestmark = [
    pytest.mark.skipif(shutil.which("buildah") is None, reason="no buildah to build the image with"),
    pytest.mark.skipif(shutil.which("podman") is None, reason="no podman to run it with"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to build without a daemon"),
]
#: MiB: unpacked on the node, and on the wire.
LARGEST, LARGEST_COMPRESSED = 60, 22
#: Prints the SHA-256 of each file of the installed package.
DIGESTS = """
import hashlib, json, pathlib, guard
root = pathlib.Path(guard.__file__).parent
files = [one for one in root.rglob("*") if one.is_file() and "__pycache__" not in one.parts]
print(json.dumps({str(one.relative_to(root.parent)): hashlib.sha256(one.read_bytes()).hexdigest() for one in files}))
"""
#: Imports whatever a module of the guard imports, also inside of functions; prints what is not there.
IMPORTS = """
import ast, importlib, pathlib, guard
root = pathlib.Path(guard.__file__).parent
names = {".".join(one.relative_to(root.parent).with_suffix("").parts) for one in root.rglob("*.py")} - {"guard.__main__"}
for file in root.rglob("*.py"):
    for node in ast.walk(ast.parse(file.read_bytes())):
        names |= {one.name for one in node.names} if isinstance(node, ast.Import) else set()
        names |= {node.module} if isinstance(node, ast.ImportFrom) and node.module else set()
missing = set()
for name in names - {"guard.backup.__main__"}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing.add(error.name)
print(*sorted(missing))
"""
#: Prints each file that Python would have to compile at a start.
NOT_COMPILED = """
import importlib.util, pathlib, sys
roots = {pathlib.Path(sys.prefix, "lib"), pathlib.Path(importlib.__file__).parents[1]}
sources = [one for root in roots for one in root.rglob("*.py")]
assert len(sources) > 500
print(*(one for one in sources if not pathlib.Path(importlib.util.cache_from_source(one)).exists()))
"""


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    one = build(GUARD)
    yield one
    one.remove()


@pytest.fixture(scope="module")
def doctor() -> Iterator[Image]:
    one = build(DOCTOR, "--target=doctor")
    yield one
    one.remove()


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A file system that the image's user may write."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "volume", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def python(image: Image, code: str, **settings: str) -> str:
    done = image.run("-c", code, entrypoint="python", settings=settings)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_is_small(image: Image) -> None:
    assert image.inspect()["Size"] / 2**20 < LARGEST
    assert image.archive().stat().st_size / 2**20 < LARGEST_COMPRESSED


def test_its_package_is_the_wheel_s(image: Image, built: Distributions) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        expected = {
            name: hashlib.sha256(wheel.read(name)).hexdigest() for name in wheel.namelist() if name.startswith("guard/")
        }
    assert json.loads(python(image, DIGESTS)) == expected


def test_it_is_the_command_of_this_version_without_root_and_without_a_volume(image: Image) -> None:
    configuration = image.inspect()["Config"]
    assert configuration["Entrypoint"] == ["guard"]
    assert configuration["User"] == "29808:29808"
    assert not configuration.get("Volumes"), "containerd would mount an empty folder there, and hide a missing mount"
    assert image.run("--version").stdout == f"volume-guard {__version__}\n"
    assert python(image, "import os; print(os.getuid(), os.getgid())") == "29808 29808"


def test_its_labels_name_the_project(image: Image, doctor: Image) -> None:
    labels = {one.name: one.inspect()["Labels"] for one in (image, doctor)}
    for name, title in ((GUARD, "volume-guard"), (DOCTOR, "volume-guard-doctor")):
        assert labels[name]["org.opencontainers.image.title"] == title
        assert labels[name]["org.opencontainers.image.version"] == __version__
        assert labels[name]["org.opencontainers.image.licenses"] == "Apache-2.0"
        assert labels[name]["org.opencontainers.image.source"].endswith("/volume-guard")


def test_nothing_runs_in_it_but_the_interpreter_and_the_guard(image: Image) -> None:
    assert image.run(entrypoint="/bin/sh").returncode == 127
    programs = {Path(one.name).name for one in image.files() if one.isfile() and one.mode & 0o111}
    interpreter = Path(python(image, "import os, sys; print(os.path.realpath(sys.executable))")).name
    assert {name for name in programs if ".so" not in name} == {"guard", interpreter}


def test_everything_in_it_is_compiled(image: Image) -> None:
    assert python(image, NOT_COMPILED) == ""


def test_a_traceback_in_it_shows_the_lines(image: Image) -> None:
    done = image.run("-c", "import json; json.loads('{')", entrypoint="python")
    assert "return _default_decoder.decode(s)" in done.stderr
    assert python(image, "import guard.cli as one; print(one.run.__code__.co_filename == one.__file__)") == "True"


def test_whatever_the_guard_imports_is_in_it_and_the_doctor_s_library_only_in_the_doctor_s(
    image: Image, doctor: Image
) -> None:
    assert python(image, IMPORTS, PYTHON_LAZY_IMPORTS="normal") == "yaml"
    assert python(doctor, IMPORTS, PYTHON_LAZY_IMPORTS="normal") == ""


def test_the_gate_in_it_refuses_adopts_passes_and_knows_a_loss(image: Image, volume: Path) -> None:
    settings = {"GUARD_VOLUME": "skills", "GUARD_KINDS": "memory", "GUARD_WAIT": "0", "GUARD_LOG_FORMAT": "json"}

    def ending(command: str, mounted: Path | None = volume) -> tuple[int, str]:
        done = image.run(command, volume=mounted, settings=settings)
        return done.returncode, json.loads(done.stderr.splitlines()[-1])["event"]

    (volume / "skill").touch()
    assert ending("check", mounted=None) == (13, "volume.refused")
    assert ending("check") == (20, "volume.refused")
    assert ending("adopt") == (0, "volume.adopted")
    assert ending("check") == (0, "volume.ok")
    (volume / "skill").unlink()
    assert ending("check") == (30, "volume.refused")


def test_the_doctor_reads_standard_input(doctor: Image) -> None:
    manifest = (REPOSITORY / "k8s" / "deployment.yaml").read_text() + (REPOSITORY / "k8s" / "pvc.yaml").read_text()
    done = doctor.run("doctor", "-", "--output", "json", stdin=manifest)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)
