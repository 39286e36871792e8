"""The project's tests, run on the wheel instead of the checkout's sources."""

import os
import sys
from pathlib import Path

import pytest

from tests.release.building import run


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """Nothing that would bring the checkout's own sources back."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "COVERAGE_PROCESS_START"}}


def test_the_tests_import_the_wheel_s_package(beside_the_tests: Path, environment: dict[str, str]) -> None:
    code = "import sys; sys.path.insert(0, '.'); import guard, tests; print(guard.__file__)"
    where = run(sys.executable, "-c", code, cwd=beside_the_tests, env=environment).strip()
    assert (beside_the_tests / where).resolve() == (beside_the_tests / "guard" / "__init__.py").resolve()


@pytest.mark.parametrize("suite", ["unit", "linux", "monitoring"])
def test_a_suite_passes_on_the_wheel(suite: str, beside_the_tests: Path, environment: dict[str, str]) -> None:
    words = ("-q", "-p", "no:cacheprovider", "--numprocesses", "auto", "--dist", "loadfile", f"tests/{suite}")
    said = run(sys.executable, "-m", "pytest", *words, cwd=beside_the_tests, env=environment, deadline=1500)
    summary = said.strip().splitlines()[-1]
    assert " passed" in summary, summary
