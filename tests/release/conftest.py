"""The distributions of this checkout, built once for all tests: what is tested is what was built, never the checkout."""

import shutil
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.release.building import ANOTHER, ONE, REPOSITORY, Surroundings, build, copy_sources, run

_BUILT = pytest.StashKey[list[Path]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep", type=Path, help="where the distributions are put once every test has passed")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """What is published is what was tested."""
    target: Path | None = session.config.getoption("--keep")
    if target is None or exitstatus != pytest.ExitCode.OK:
        return
    target.mkdir(exist_ok=True)
    for built in session.config.stash.get(_BUILT, []):
        shutil.copy2(built, target)


@dataclass(frozen=True, slots=True)
class Distributions:
    """What one builder makes of the sources."""

    wheel: Path
    sdist: Path


def _distributions(folder: Path, surroundings: Surroundings) -> Distributions:
    sources = copy_sources(folder / "sources", surroundings)
    for kind in ("wheel", "sdist"):
        (folder / kind).mkdir()
    wheel = build("wheel", sources, folder / "wheel", surroundings)
    return Distributions(wheel, build("sdist", sources, folder / "sdist", surroundings))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Distributions:
    """What is tested, and then published."""
    made = _distributions(tmp_path_factory.mktemp("one"), ONE)
    pytestconfig.stash[_BUILT] = [made.wheel, made.sdist]
    return made


@pytest.fixture(scope="session")
def built_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """The same sources, in another folder of another machine."""
    return _distributions(tmp_path_factory.mktemp("another") / "a longer path, with a space", ANOTHER)


@pytest.fixture(scope="session")
def built_from_sdist(built: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that a distributor builds from the source archive."""
    folder = tmp_path_factory.mktemp("from-sdist")
    with tarfile.open(built.sdist) as archive:
        archive.extractall(folder / "sources", filter="data")
    (sources,) = (folder / "sources").iterdir()
    (folder / "wheel").mkdir()
    return build("wheel", sources, folder / "wheel", ONE)


@pytest.fixture(scope="session")
def installed(built: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and what its metadata asks for, at the versions of the image; nothing else."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", folder, cwd=REPOSITORY)
    pip = (folder / "bin" / "python", "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--require-hashes", "--requirement", "requirements/image.txt", cwd=REPOSITORY)
    run(*pip, "--no-index", built.wheel, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def beside_the_tests(built: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which the package is the wheel's: all that is tracked but `guard/`, and what the wheel holds."""
    folder = copy_sources(tmp_path_factory.mktemp("beside") / "checkout", ONE)
    shutil.rmtree(folder / "guard")
    with zipfile.ZipFile(built.wheel) as wheel:
        wheel.extractall(folder)
    return folder
