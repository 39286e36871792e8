"""What is said: log lines, termination messages and foreign text, whatever is in them and whoever reads them."""

import json
import os
import re
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guard.event import Event, EventRecord
from guard.outcome import Severity
from guard.report import stream, termination
from guard.report.log import LINE_LIMIT, OPERATION, Log, _json, _line
from guard.report.text import LIMIT, printable, truncate

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def record(message: str = "All is well.", *, operation: str = "", **fields: Any) -> EventRecord:
    return EventRecord(Event.VOLUME_OK, message, Severity.INFO, fields, operation, first=True)


def logged(capfd: pytest.CaptureFixture[str], what: EventRecord, **how: Any) -> dict[str, Any]:
    """The one line that was said, read back."""
    Log("json", **how).emit(what)
    captured = capfd.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    read: dict[str, Any] = json.loads(line)
    return read


# Foreign text.


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("claude-skills-dev", "claude-skills-dev"),
        ("데이터 é 😀", "데이터 é 😀"),
        ("a\nb", r"a\nb"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("abc\u202edef", r"abc\u202edef"),
        ("\udcff", r"\udcff"),
        ("\ud800", r"\ud800"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("line\u2028end", r"line\u2028end"),
        ("\U000e0001", r"\U000e0001"),
        ("", ""),
    ],
)
def test_what_a_terminal_would_obey_is_escaped_and_nothing_else(text: str, shown: str) -> None:
    assert printable(text) == shown


@settings(max_examples=100)
@given(st.text(st.characters() | st.sampled_from("\n\x1b\udcff"), max_size=300), st.integers(1, 300))
def test_any_text_becomes_printable_utf_8_within_its_bound(text: str, limit: int) -> None:
    shown = truncate(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit
    shown.encode()


def test_a_text_of_exactly_the_bound_stays_whole_and_a_longer_one_says_that_it_was_cut() -> None:
    assert LIMIT == 128
    assert truncate("x" * 128) == "x" * 128
    assert truncate("x" * 129) == "x" * 127 + "…"
    assert len(truncate("\n" * 100)) == 128


# A log line.


def test_a_line_has_severity_time_message_event_and_its_fields(capfd: pytest.CaptureFixture[str]) -> None:
    line = logged(capfd, record(files=3, volume="v"))
    assert set(line) == {"severity", "time", "message", "event", "files", "volume"}
    assert (line["severity"], line["message"], line["event"], line["files"]) == ("INFO", "All is well.", "volume.ok", 3)
    assert TIME.fullmatch(line["time"])


def test_a_line_never_has_a_level_beside_its_severity(capfd: pytest.CaptureFixture[str]) -> None:
    for severity in Severity:
        line = logged(capfd, EventRecord(Event.VOLUME_WIPED, "x", severity), level=Severity.DEBUG)
        assert line["severity"] == severity.name
        assert "level" not in line


def test_lines_of_one_operation_are_held_together_as_cloud_logging_reads_them(
    capfd: pytest.CaptureFixture[str],
) -> None:
    line = logged(capfd, record(operation="4f00"))
    assert line[OPERATION] == {"id": "4f00", "producer": "volume-guard", "first": True, "last": False}
    assert OPERATION == "logging.googleapis.com/operation"
    assert OPERATION not in logged(capfd, record())


def test_what_is_not_known_is_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    line = logged(capfd, record(pod=None, files=0, also=[], node=""))
    assert "pod" not in line
    assert (line["files"], line["also"], line["node"]) == (0, [], "")


def test_foreign_text_is_escaped_and_cut_at_128_characters_at_any_depth(capfd: pytest.CaptureFixture[str]) -> None:
    line = logged(capfd, record(volume="\x1b" + "x" * 500, names=["y\n" * 500], entries={"z\udcff" * 500: [1, 2]}))
    (entry,) = line["entries"]
    for text in (line["volume"], *line["names"], entry):
        assert len(text) == 128
        assert text.endswith("…")
        assert text.isprintable()


def test_20_names_are_listed_at_most(capfd: pytest.CaptureFixture[str]) -> None:
    line = logged(capfd, record(unreadable=[str(n) for n in range(50)], entries={str(n): [n, 0] for n in range(50)}))
    assert line["unreadable"] == [str(number) for number in range(20)]
    assert list(line["entries"]) == [str(number) for number in range(20)]


def test_names_that_are_alike_when_cut_stay_apart(capfd: pytest.CaptureFixture[str]) -> None:
    line = logged(capfd, record(entries={"x" * 200 + str(number): [number, 0] for number in range(3)}))
    assert list(line["entries"].values()) == [[0, 0], [1, 0], [2, 0]]
    assert all(len(name) <= 128 for name in line["entries"])
    assert [name[-2:] for name in line["entries"]] == ["x…", "~2", "~3"]


def test_of_a_long_traceback_the_end_is_said_where_it_happened(capfd: pytest.CaptureFixture[str]) -> None:
    line = logged(capfd, record("a bug", traceback="frame\n" * 1000 + "ValueError: here"))
    assert line["traceback"].startswith("…")
    assert line["traceback"].endswith("\\nValueError: here")
    assert len(line["traceback"]) == 2048


def test_a_message_and_a_traceback_may_be_longer_than_foreign_text(capfd: pytest.CaptureFixture[str]) -> None:
    line = logged(capfd, record("m" * 1000, traceback="t" * 1000))
    assert (len(line["message"]), len(line["traceback"])) == (1000, 1000)


def test_a_message_of_several_lines_stays_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert logged(capfd, record("a\nb\r\nc"))["message"] == r"a\nb\r\nc"


@pytest.mark.parametrize(("level", "count"), [(Severity.DEBUG, 3), (Severity.NOTICE, 2), (Severity.CRITICAL, 1)])
def test_what_is_less_severe_than_the_level_is_not_said(
    capfd: pytest.CaptureFixture[str], level: Severity, count: int
) -> None:
    log = Log("json", level)
    for severity in (Severity.INFO, Severity.NOTICE, Severity.CRITICAL):
        log.emit(EventRecord(Event.VOLUME_OK, "x", severity))
    assert len(capfd.readouterr().err.splitlines()) == count


def rendered(what: EventRecord) -> str:
    return _json(None, "msg", _line(what))


def test_a_line_of_many_long_texts_keeps_what_scripts_need_within_8_kib() -> None:
    fields = {f"field{number}": ["😀" * 128] * 20 for number in range(10)}
    text = rendered(record("m" * 2000, operation="4f00", **fields))
    assert len(text.encode()) <= LINE_LIMIT == 8192
    line = json.loads(text)
    assert (line["severity"], line["event"], line[OPERATION]["id"]) == ("INFO", "volume.ok", "4f00")
    assert line["message"].startswith("m" * 100)


def test_of_entries_that_are_too_long_the_first_stay_and_stay_an_object(capfd: pytest.CaptureFixture[str]) -> None:
    entries = {f"{'한' * 120}{number}": [number, 0] for number in range(20)}
    line = logged(capfd, record("이" * 1500, entries=entries))
    assert 0 < len(line["entries"]) < 20
    assert list(line["entries"].items()) == list(entries.items())[: len(line["entries"])]
    assert line["message"] == "이" * 1500


def test_a_line_of_many_fields_is_8_kib_at_most_as_well() -> None:
    fields = {f"field{number}": "😀" * 128 for number in range(40)}
    assert len(rendered(record(**fields)).encode()) <= LINE_LIMIT


_FOREIGN = st.text(st.characters() | st.sampled_from('\n\x1b\udcff"\\😀'), max_size=200)
_VALUES = (
    st.none() | st.booleans() | st.integers() | _FOREIGN | st.lists(_FOREIGN, max_size=30)
    | st.dictionaries(_FOREIGN, st.lists(st.integers(), max_size=2), max_size=30)
)  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(_FOREIGN.map(lambda text: text * 20), st.dictionaries(st.sampled_from("abcdefgh"), _VALUES))
def test_any_happening_is_one_line_of_json_in_utf_8_of_8_kib_at_most(message: str, fields: dict[str, Any]) -> None:
    text = rendered(record(message, **fields))
    assert text.isprintable()
    assert len(text.encode()) <= LINE_LIMIT
    assert json.loads(text)["event"] == "volume.ok"


def test_on_a_console_a_line_is_for_people_and_escapes_what_a_terminal_would_obey(
    capfd: pytest.CaptureFixture[str],
) -> None:
    Log("console").emit(record('carries "\x1b[31m"', volume="v"))
    (line,) = capfd.readouterr().err.splitlines()
    assert r'volume.ok: carries "\x1b[31m"' in line
    assert "\x1b" not in line


_EVERY_SEVERITY = """
from guard.event import Event, EventRecord
from guard.outcome import Severity
from guard.report.log import Log
log = Log("auto", Severity.DEBUG)
for severity in Severity:
    message = "kubectl exec -n NAMESPACE skills-0 -c volume-guard-watch -- guard accept \\x1b[31m " * 3
    log.emit(EventRecord(Event.VOLUME_OK, message, severity, {"traceback": "File a.py\\nRuntimeError: x"}))
"""


def on_a_terminal(code: str, columns: int, **environment: str) -> str:
    """What a program writes on a terminal of so many columns; an end of line is a newline again."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    options: dict[str, Any] = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    where = {"PATH": os.environ["PATH"], "TERM": "xterm", "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", code], env=where | environment, **options):
        os.close(theirs)
        written = b""
        with suppress(OSError):  # the other side is closed
            while chunk := os.read(ours, 1 << 16):
                written += chunk
        os.close(ours)
    return written.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [40, 72, 200])
def test_on_a_terminal_a_line_is_wrapped_to_its_width_and_every_severity_has_a_colour_of_its_own(columns: int) -> None:
    text = on_a_terminal(_EVERY_SEVERITY, columns)
    colours = re.findall(r"\x1b\[([\d;]+)m(\w+)\x1b\[0m", text)
    assert [name for _, name in colours] == [severity.name for severity in Severity]
    assert len({code for code, _ in colours}) == len(Severity)
    plain = re.sub(r"\x1b\[[\d;]+m", "", text)
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= columns
    starts = [line for line in plain.splitlines() if not line.startswith("    ")]
    assert len(starts) == len(Severity)
    assert plain.count("\n    File a.py\n    RuntimeError: x\n") == len(Severity)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_colours_that_are_not_wanted_are_left_out(environment: dict[str, str]) -> None:
    text = on_a_terminal(_EVERY_SEVERITY, 72, **environment)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 72
    assert "\x1b" in on_a_terminal(_EVERY_SEVERITY, 72, NO_COLOR="")


def test_in_a_pipe_a_console_line_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    Log("console").emit(record("x " * 500))
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_without_a_terminal_auto_is_json(capfd: pytest.CaptureFixture[str]) -> None:
    Log("auto").emit(record())
    assert json.loads(capfd.readouterr().err)["event"] == "volume.ok"


# Streams.


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def test_everything_that_fits_is_written(pipe: tuple[int, int]) -> None:
    assert stream.write(pipe[1], b"x" * 10_000) == b""
    assert os.read(pipe[0], 20_000) == b"x" * 10_000


def test_a_reader_that_went_away_changes_nothing(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    assert stream.write(pipe[1], b"x") == b""


def test_a_closed_stream_changes_nothing(pipe: tuple[int, int]) -> None:
    os.close(pipe[1])
    assert stream.write(pipe[1], b"x") == b""


def test_a_pipe_that_nobody_reads_is_given_up_and_what_did_not_fit_is_left(pipe: tuple[int, int]) -> None:
    text = bytes(range(256)) * 40_000
    left = stream.write(pipe[1], text, patience=0.05)
    os.set_blocking(pipe[0], False)
    taken = os.read(pipe[0], len(text))
    assert taken
    assert taken + left == text


def test_a_full_disk_changes_nothing() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        assert stream.write(descriptor, b"x") == b""
    finally:
        os.close(descriptor)


# The termination message.


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "termination-log"
    path.write_text("what an earlier run left, and it was longer than this one")
    return path


def test_the_message_replaces_what_an_earlier_run_left(log: Path) -> None:
    termination.write(str(log), "ok\n")
    assert log.read_text() == "ok\n"


@pytest.mark.parametrize("letter", ["x", "é", "한", "😀", "\udcff"], ids=ascii)
@pytest.mark.parametrize("shift", range(4))
def test_a_long_message_is_cut_at_4096_bytes_and_never_inside_a_letter(log: Path, letter: str, shift: int) -> None:
    termination.write(str(log), "y" * shift + letter * 5000)
    written = log.read_bytes()
    assert 4096 - 8 <= len(written) <= 4096 == termination.LIMIT
    assert written.decode().endswith("…")


def test_a_message_of_exactly_4096_bytes_stays_whole(log: Path) -> None:
    termination.write(str(log), "한" * 1365 + "x")
    assert log.read_text() == "한" * 1365 + "x"


def test_where_the_kubelet_made_no_file_none_is_created(tmp_path: Path) -> None:
    termination.write(str(tmp_path / "absent"), "x")
    termination.write(str(tmp_path / "no" / "folder"), "x")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_regular_file_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", Path("/dev/full")):
        termination.write(str(path), "x")
    assert [path.name for path in tmp_path.iterdir()] == ["fifo"]


@pytest.mark.parametrize("path", ["", "a\0b", "\udcff/x", "x" * 5000], ids=ascii)
def test_a_path_that_cannot_be_changes_nothing(path: str) -> None:
    termination.write(path, "x")
