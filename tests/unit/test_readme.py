"""What the README says of outcomes and settings is what the code does."""

import importlib.util
from pathlib import Path

_PATH = Path(__file__).with_name("readme_tables.py")
_SPEC = importlib.util.spec_from_file_location("readme_tables", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
tables = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(tables)


def test_the_tables_of_the_readme_are_those_of_the_code() -> None:
    text = tables.README.read_text()
    assert tables.written(text) == text, "run: python tests/unit/readme_tables.py"


def test_the_readme_opens_with_the_promise_and_the_two_commands() -> None:
    opening = tables.README.read_text()[:1500]
    assert "make demo" in opening
    assert "make test" in opening
