"""Log lines: one JSON object each on standard error, or readable lines on a terminal. structlog renders them."""

import json
import os
import textwrap
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from guard.event import EventRecord
from guard.outcome import Severity
from guard.report import stream
from guard.report.text import LIMIT, Format, ending, truncate

#: Where Cloud Logging reads which lines belong together (LogEntryOperation).
OPERATION = "logging.googleapis.com/operation"
_PRODUCER = "volume-guard"

#: The longest line, in bytes; the longest message, in characters; the most names in a list.
LINE_LIMIT = 8 * 1024
_MESSAGE_LIMIT = 2048
_NAMES_LIMIT = 20
#: What a line too long keeps whole, and so many characters of everything else.
_ALWAYS = ("severity", "time", "event", OPERATION)
_CUT = 16
#: Fields that are the guard's own words, not foreign text: they can be as long as the message.
_OWN_TEXTS = frozenset({"remedy", "problems"})
_TRACEBACK = "traceback"
#: What a terminal obeys (SGR): dim, green, cyan, yellow, bold red, white on red.
_COLOURS = {
    "DEBUG": "\x1b[2m",
    "INFO": "\x1b[32m",
    "NOTICE": "\x1b[36m",
    "WARNING": "\x1b[33m",
    "ERROR": "\x1b[1;31m",
    "CRITICAL": "\x1b[1;37;41m",
}


class Log:
    """Writes log lines to standard error.

    Args:
        shape: GUARD_LOG_FORMAT.
        level: GUARD_LOG_LEVEL.
        write: Receives each line with its end; by default it is written at once, with some patience.
    """

    def __init__(
        self, shape: Format = "auto", level: Severity = Severity.INFO, write: Callable[[bytes], object] | None = None
    ) -> None:
        self._level = level
        console = shape == "console" or (shape == "auto" and os.isatty(2))
        renderer = _console if console else _json
        self._logger = structlog.wrap_logger(
            _StandardError(write or _write), processors=[renderer], wrapper_class=structlog.BoundLogger
        )

    def emit(self, record: EventRecord) -> None:
        """Writes one line; a closed, full or unread stream changes nothing."""
        if record.severity >= self._level:
            self._logger.msg(**_line(record))


class _StandardError:
    """What structlog hands the rendered line to."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def msg(self, line: str) -> None:
        """Writes one line."""
        self._write(line.encode("utf-8", "backslashreplace") + b"\n")


def _write(line: bytes) -> None:
    stream.write(2, line)


def _line(record: EventRecord) -> dict[str, Any]:
    line: dict[str, Any] = {
        "severity": record.severity.name,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "message": truncate(record.message, _MESSAGE_LIMIT),
        "event": record.event.label,
    }
    for name, value in record.fields.items():
        if name == _TRACEBACK and value:
            line[name] = ending(value, _MESSAGE_LIMIT)
        elif value is not None:
            line[name] = _shown(value, _MESSAGE_LIMIT if name in _OWN_TEXTS else LIMIT)
    if record.operation:
        line[OPERATION] = {
            "id": record.operation,
            "producer": _PRODUCER,
            "first": record.first,
            "last": record.last,
        }
    return line


def _shown(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return truncate(value, limit)
    if isinstance(value, Mapping):
        shown: dict[str, Any] = {}
        for name, one in list(value.items())[:_NAMES_LIMIT]:
            shown[_unused(str(name), shown)] = _shown(one, limit)
        return shown
    if isinstance(value, list | tuple):
        return [_shown(one, limit) for one in value[:_NAMES_LIMIT]]
    return value


def _unused(name: str, used: Mapping[str, Any]) -> str:
    """A name as it is shown; where two are alike when cut, the later one has a number."""
    shown, number = truncate(name), 1
    while shown in used:
        number += 1
        suffix = f"~{number}"
        shown = truncate(name, LIMIT - len(suffix)) + suffix
    return shown


def _json(logger: WrappedLogger, method: str, line: EventDict) -> str:
    del logger, method
    line = {name: line[name] for name in ("severity", "time", "message", "event")} | dict(line)
    text = _text(line)
    if len(text.encode()) <= LINE_LIMIT:
        return text
    # Lists and texts are bounded, so only many long ones together are too long: the longest are cut first.
    for name in sorted(line, key=lambda name: len(_text(line[name])), reverse=True):
        if not _fits(line) and name not in _ALWAYS:
            line = _cut(line, name)
    return _text(line if _fits(line) else {name: line[name] for name in ("message", *_ALWAYS) if name in line})


def _cut(line: EventDict, name: str) -> EventDict:
    """The line with one field cut. Names stay what they are, and as many of the first as fit; of a text the start is left."""
    value = line[name]
    if not isinstance(value, dict | list):
        return {**line, name: f"{str(value)[:_CUT]}… (too long)"}
    names = list(value.items()) if isinstance(value, dict) else list(value)
    while names and not _fits(line):
        names.pop()
        line = {**line, name: type(value)(names)}
    return line


def _fits(line: EventDict) -> bool:
    return len(_text(line).encode()) <= LINE_LIMIT


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _console(logger: WrappedLogger, method: str, line: EventDict) -> str:
    """The sentence, for a person; the fields are for scripts. A pipe gets one line, a terminal as many as it takes."""
    del logger, method
    severity, trace = line["severity"], line.get(_TRACEBACK, "")
    text = f"{line['time']} {severity:8} {line['event']}: {line['message']}"
    if not os.isatty(2):
        return f"{text} {trace}".rstrip()
    # Words stay whole: what is longer than a line is wrapped by the terminal, and can be copied.
    lines = textwrap.wrap(
        text, stream.columns(2), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    lines += [f"    {frame}" for frame in trace.split("\\n") if frame]
    if stream.has_colours(2):
        lines[0] = lines[0].replace(severity, f"{_COLOURS[severity]}{severity}\x1b[0m", 1)
    return "\n".join(lines)
