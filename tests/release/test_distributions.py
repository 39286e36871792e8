"""The wheel and the source archive as files: the same bytes wherever they are built, complete, and truly described."""

import hashlib
import sys
import tarfile
import time
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from guard import __version__
from tests.release.building import REPOSITORY, epoch, run, tracked
from tests.release.conftest import Distributions

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


@pytest.fixture
def metadata(built: Distributions) -> Message:
    with zipfile.ZipFile(built.wheel) as wheel:
        return Parser().parsestr(wheel.read(f"volume_guard-{__version__}.dist-info/METADATA").decode())


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_two_machines_build_the_same_wheel(built: Distributions, built_elsewhere: Distributions) -> None:
    assert digest(built.wheel) == digest(built_elsewhere.wheel)
    assert built.wheel.name == built_elsewhere.wheel.name


def test_two_machines_build_the_same_source_archive(built: Distributions, built_elsewhere: Distributions) -> None:
    assert digest(built.sdist) == digest(built_elsewhere.sdist)


def test_the_source_archive_holds_everything_that_is_tracked(built: Distributions) -> None:
    with tarfile.open(built.sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert held == {*tracked(), "PKG-INFO"}


def test_the_source_archive_builds_the_same_wheel(built: Distributions, built_from_sdist: Path) -> None:
    assert digest(built.wheel) == digest(built_from_sdist)


def test_the_wheel_s_times_are_those_of_the_commit(built: Distributions) -> None:
    moment = time.gmtime(int(epoch()))[:6]
    with zipfile.ZipFile(built.wheel) as wheel:
        # The zip format counts seconds by two.
        assert {one.date_time for one in wheel.infolist()} == {(*moment[:5], moment[5] // 2 * 2)}


def test_the_wheel_holds_every_module_the_mark_of_types_and_nothing_else(built: Distributions) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == {name for name in tracked() if name.startswith("guard/")}
    assert "guard/py.typed" in held


def test_the_wheel_is_for_every_python_3_and_platform(built: Distributions) -> None:
    assert built.wheel.name == f"volume_guard-{__version__}-py3-none-any.whl"


def test_the_metadata_is_that_of_the_project(metadata: Message) -> None:
    assert metadata["Name"] == PROJECT["name"]
    assert metadata["Version"] == __version__
    assert metadata["Summary"] == PROJECT["description"]
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert metadata.get_all("Project-URL") == [f"{name}, {url}" for name, url in PROJECT["urls"].items()]
    assert metadata.get_all("Classifier") == PROJECT["classifiers"]
    extras = {
        f"{one};extra=='{name}'" for name, ones in PROJECT.get("optional-dependencies", {}).items() for one in ones
    }
    required = {one.replace(" ", "") for one in metadata.get_all("Requires-Dist", [])}
    assert required == {*PROJECT["dependencies"], *extras}


def test_the_metadata_carries_the_readme(metadata: Message) -> None:
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload() == (REPOSITORY / "README.md").read_text()


def test_the_changelog_knows_the_version() -> None:
    headings = [line for line in (REPOSITORY / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]
    assert headings[0].split()[1] == __version__


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_whatever_the_images_install_has_a_wheel_for_both_architectures(machine: str, tmp_path: Path) -> None:
    python = ("--python-version=3.15", "--implementation=cp", "--abi=cp315", "--only-binary=:all:")
    platforms = [f"--platform={name}_{machine}" for name in ("manylinux2014", "manylinux_2_17")]
    requirements = [f"--requirement=requirements/{name}.txt" for name in ("image", "doctor")]
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes")
    run(*pip, *python, *platforms, *requirements, f"--dest={tmp_path}", cwd=REPOSITORY)
    assert any(machine in wheel.name for wheel in tmp_path.iterdir())
