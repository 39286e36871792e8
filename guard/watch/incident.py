"""What is wrong with a volume at one time: one incident with one ID, from the first failure to recovery. Pure.

Every condition has its own events, and all lines of one incident are one operation of the log.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from guard.event import Event, EventRecord
from guard.outcome import Severity
from guard.volume.timestamp import Timestamp, lasted
from guard.watch.conditions import Condition, ConditionFailure
from guard.watch.documents import DocumentTracker


@dataclass(frozen=True)
class _Open:
    failure: ConditionFailure
    fields: Mapping[str, Any]
    quiet: bool  # reported at INFO, because the volume was held


class Incident:
    """At most one at a time, and the lines that must be logged; while the volume is held, all of them at INFO.

    Attributes:
        is_started: The start of the watch was logged.

    Args:
        documents: Of the volume.
        fields: Returns what every line carries.
        run: The operation of the lines that belong to no incident, from this watcher's start to its end.
    """

    def __init__(self, documents: DocumentTracker, fields: Callable[[], Mapping[str, Any]], run: str) -> None:
        self._documents = documents
        self._fields = fields
        self._run = run
        self._open: dict[Condition, _Open] = {}
        self._since: Timestamp | None = None
        self._id = ""
        self._operations: set[str] = set()  # those that have had their first line and not their last
        self._lines: list[EventRecord] = []
        self._reported: dict[str, object] = {}
        self.is_started = False

    @property
    def _is_held(self) -> bool:
        return self._documents.hold is not None

    def is_failed(self, *conditions: Condition) -> bool:
        """Whether one of these conditions does not hold."""
        return any(condition in self._open for condition in conditions)

    # Lines.

    def start(self, event: Event, message: str, **fields: Any) -> None:
        """Logs the start of the watch, once, before everything that was found wrong until then."""
        waiting, self._lines, self.is_started = self._lines, [], True
        self.emit(event, message, **fields)
        self._lines += waiting

    def is_news(self, subject: str, fact: object) -> bool:
        """Returns whether a fact is there and differs from the last one of this subject: it must be reported then."""
        last, self._reported[subject] = self._reported.get(subject), fact
        return bool(fact) and fact != last

    def emit(
        self, event: Event, message: str, *, severity: Severity | None = None, last: bool = False, **fields: Any
    ) -> None:
        """Logs a line that belongs to no incident."""
        self._log(event, message, fields, self._run, severity or event.severity, last=last)

    def drain(self) -> list[EventRecord]:
        """Returns the lines since the last call; none before the start of the watch was logged."""
        if not self.is_started:
            return []
        lines, self._lines = self._lines, []
        return [self._in_its_operation(line) for line in lines]

    def _in_its_operation(self, line: EventRecord) -> EventRecord:
        first = line.operation not in self._operations
        self._operations |= {line.operation}
        if line.last:
            self._operations -= {line.operation}
        return replace(line, first=first)

    def _log(
        self, event: Event, message: str, fields: Mapping[str, Any], operation: str, severity: Severity, *, last: bool
    ) -> None:
        self._lines.append(EventRecord(event, message, severity, {**self._fields(), **fields}, operation, last=last))

    def _report(self, event: Event, message: str, fields: Mapping[str, Any], *, last: bool = False) -> None:
        severity = min(event.severity, Severity.INFO) if self._is_held else event.severity
        self._log(event, message, fields, self._id, severity, last=last)

    # What is wrong.

    def fail(self, now: Timestamp, condition: Condition, failure: ConditionFailure, **fields: Any) -> None:
        """Handles that a condition does not hold; it is reported once, with these fields."""
        known = self._open.get(condition)
        if known is not None and known.failure.event is failure.event:
            return
        if not self._open:
            self._since, self._id = now, self._documents.incident_id
        self._open[condition] = _Open(failure, fields, self._is_held)
        self._report_failure(self._open[condition])

    def repeat_unheld(self) -> None:
        """Reports again what a hold, now over, had reported at INFO."""
        for condition, opened in self._open.items():
            if opened.quiet and not self._is_held:
                self._open[condition] = replace(opened, quiet=False)
                self._report_failure(opened)

    def _report_failure(self, opened: _Open) -> None:
        failure = opened.failure
        all_fields = {"found": failure.found, "expected": failure.expected, "remedy": failure.remedy, **opened.fields}
        self._report(failure.event, failure.message, all_fields)

    def recover(self, now: Timestamp, condition: Condition, message: str, **fields: Any) -> bool:
        """Handles that a condition holds again; True where that was the last that did not.

        The message is the beginning of a sentence: "/app/skills is right again".
        """
        if self._open.pop(condition, None) is None or self._open:
            return False
        seconds = self._seconds(now)
        all_fields = {"lasted_seconds": round(seconds, 1), **fields}
        self._report(Event.VOLUME_RECOVERED, f"{message} after {lasted(seconds)}.", all_fields, last=True)
        return True

    def _seconds(self, now: Timestamp) -> float:
        assert self._since is not None
        return now.at - self._since.at

    def shrink(self, event: Event, message: str, **fields: Any) -> None:
        """Reports that part of the data is gone, or that it returned: an operation of its own while nothing is wrong."""
        self._id = self._id if self._open else self._documents.incident_id
        self._report(event, message, fields, last=event is Event.VOLUME_RECOVERED)

    def accept(self, now: Timestamp, message: str) -> bool:
        """Handles that somebody declared what is there to be right; True where that ended a loss or a replacement.

        The message is the beginning of a sentence: "The content of /app/skills was accepted".
        """
        identity = self._open.get(Condition.IDENTITY)
        replaced = identity is not None and identity.failure.event is Event.VOLUME_REPLACED
        accepted = [Condition.CONTENT, *([Condition.IDENTITY] if replaced else [])]
        if not self.is_failed(*accepted):
            return False
        for condition in accepted:
            self._open.pop(condition, None)
        seconds = self._seconds(now)
        message, all_fields = (
            f"{message}, {lasted(seconds)} after the first sign.",
            {"lasted_seconds": round(seconds, 1)},
        )
        self._report(Event.VOLUME_ACCEPTED, message, all_fields, last=not self._open)
        return True
