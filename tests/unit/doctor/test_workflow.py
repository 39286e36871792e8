"""`--output github`: one command a finding, which the runner reads back as it was meant, whatever stands in it."""

import io
import json
import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.arguments import COMMANDS
from guard.doctor.command import FORMATS, Options, run
from guard.doctor.report.review import escape, escape_property

CASES = Path(__file__).parent / "cases"
BROKEN = str(CASES / "VG101/fail-applied-deployment-without-volume.yaml")
COMMAND = re.compile(r"::(?P<name>[a-z]+) (?P<properties>[^:]*)::(?P<message>.*)")
#: Mostly what the escapes are made of.
TEXTS = st.text() | st.text(alphabet="%0123ADC\r\n:,")
KINDS = {"error": "error", "warning": "warning", "info": "notice"}


def github(*files: str, stdin: bytes = b"") -> list[str]:
    text = run(Options(files, output="github"), io.BytesIO(stdin))[1]
    assert text.endswith("\n")
    return text[:-1].split("\n")


def unescape(text: str, *, is_property: bool) -> str:
    """As the runner does, in its order: the percent sign last."""
    pairs = [("%0D", "\r"), ("%0A", "\n")] + ([("%3A", ":"), ("%2C", ",")] if is_property else [])
    for escaped, letter in [*pairs, ("%25", "%")]:
        text = text.replace(escaped, letter)
    return text


def read(line: str) -> tuple[str, dict[str, str], str]:
    """A line as the runner takes it apart."""
    match = COMMAND.fullmatch(line)
    assert match, line
    properties = dict(one.split("=", 1) for one in match["properties"].split(","))
    return (
        match["name"],
        {name: unescape(value, is_property=True) for name, value in properties.items()},
        unescape(match["message"], is_property=False),
    )


def test_every_finding_is_a_command_with_kind_file_line_title_and_what_to_do() -> None:
    expected = json.loads(run(Options((BROKEN,), output="json"), io.BytesIO())[1])["findings"]
    *commands, _ = github(BROKEN)
    assert len(commands) == len(expected) > 1
    for command, found in zip(commands, expected, strict=True):
        name, properties, message = read(command)
        place = found["place"]
        assert name == KINDS[found["severity"]]
        assert properties["title"] == f"{found['rule']} {found['slug']}"
        assert (properties["file"], properties["line"]) == (place["source"], str(place["line"]))
        assert found["fix"] in message
        assert message.lower().startswith(found["message"].lower())


def test_the_last_line_is_the_sum_and_no_command() -> None:
    (last,) = github(str(CASES / "clean/cluster.yaml"))
    assert last.startswith("0 error, 0 warning, 0 info, ")


def test_what_came_on_standard_input_has_no_file() -> None:
    *commands, _ = github("-", stdin=Path(BROKEN).read_bytes())
    assert {tuple(read(command)[1]) for command in commands} == {("title",)}


@pytest.mark.parametrize("folder", ["a,b=c::d", "50%0A::error ::x"])
def test_a_file_s_name_cannot_end_its_property(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    file = tmp_path / folder / "x.yaml"
    file.write_text(Path(BROKEN).read_text())
    *commands, _ = github(str(file))
    assert {read(command)[1]["file"] for command in commands} == {str(file)}


def test_an_object_s_name_cannot_start_a_command_of_its_own() -> None:
    text = b'kind: Deployment\nmetadata: {name: "a\\n::stop-commands::x\\r"}\nspec: {template: {spec: {containers: [{name: x}]}}}\n'
    *commands, last = github("-", stdin=text)
    assert {read(command)[0] for command in commands} <= {"error", "warning", "notice"}
    assert not last.lstrip().startswith("::")


@given(TEXTS)
def test_a_message_reads_back_as_it_was(text: str) -> None:
    assert "\n" not in escape(text)
    assert "\r" not in escape(text)
    assert unescape(escape(text), is_property=False) == text


@given(TEXTS)
def test_a_property_reads_back_as_it_was(text: str) -> None:
    assert not set("\r\n:,") & set(escape_property(text))
    assert unescape(escape_property(text), is_property=True) == text


def test_every_format_can_be_asked_for_and_every_choice_is_a_format() -> None:
    choices = COMMANDS["doctor"].arguments["--output"]["choices"]
    assert list(choices) == list(FORMATS) == list(get_args(get_type_hints(Options)["output"]))
