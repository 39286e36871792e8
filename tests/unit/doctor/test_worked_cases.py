"""docs/doctor.md: its files give the output that it shows."""

import io
import re
from pathlib import Path

import pytest

from guard.doctor.command import Options, run
from tests.unit import markdown

PAGE = Path(__file__).parents[3] / "docs" / "doctor.md"
FILE = re.compile(r"^`([a-z]+\.yaml)`.*?```yaml\n(.*?)```", re.MULTILINE | re.DOTALL)
COMMANDS = [block.text for block in markdown.read(PAGE).blocks if block.language == "console"]


@pytest.fixture
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in FILE.findall(PAGE.read_text()):
        Path(name).write_text(content)


@pytest.mark.usefixtures("_files")
@pytest.mark.parametrize("console", COMMANDS, ids=lambda text: text.partition("\n")[0])
def test_a_command_of_the_page_has_the_output_that_the_page_shows(console: str) -> None:
    command, _, shown = console.partition("\n")
    before, _, live = command.removeprefix("$ guard doctor ").partition(" --live ")
    _, output = run(Options((before,), (live,) if live else ()), io.BytesIO())
    parts = [part.strip("\n") for part in re.split(r"^\.\.\.$", shown, flags=re.MULTILINE) if part.strip()]
    assert parts
    for part in parts:
        assert part in output


def test_the_page_has_the_four_cases() -> None:
    assert len(COMMANDS) == len(markdown.read(PAGE).headings) - 1 == 4
