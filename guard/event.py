"""The event table, and the record that carries one occurrence to every listener (log, termination message, metrics)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from guard.outcome import Severity


class EventName(Enum):
    """What log lines are about: a closed set of names, each with its default severity."""

    @property
    def label(self) -> str:
        """The name that users script against."""
        return str(self.value[0])

    @property
    def severity(self) -> Severity:
        """The default severity."""
        return Severity(self.value[1])


class Event(EventName):
    """What the guard reports."""

    VOLUME_OK = ("volume.ok", Severity.INFO)
    VOLUME_WAITING = ("volume.waiting", Severity.INFO)
    VOLUME_REFUSED = ("volume.refused", Severity.ERROR)
    VOLUME_ADOPTED = ("volume.adopted", Severity.INFO)
    VOLUME_ACCEPTED = ("volume.accepted", Severity.NOTICE)
    VOLUME_HELD = ("volume.held", Severity.NOTICE)
    VOLUME_RELEASED = ("volume.released", Severity.NOTICE)
    USAGE = ("usage", Severity.ERROR)
    INTERNAL_ERROR = ("internal.error", Severity.ERROR)
    WATCH_STARTED = ("watch.started", Severity.INFO)
    WATCH_STOPPED = ("watch.stopped", Severity.INFO)
    WATCH_LISTENING = ("watch.listening", Severity.INFO)
    VOLUME_SHRUNK = ("volume.shrunk", Severity.WARNING)
    VOLUME_FULL = ("volume.full", Severity.WARNING)
    VOLUME_WIPED = ("volume.wiped", Severity.CRITICAL)
    VOLUME_RECOVERED = ("volume.recovered", Severity.NOTICE)
    VOLUME_UNMOUNTED = ("volume.unmounted", Severity.CRITICAL)
    VOLUME_REPLACED = ("volume.replaced", Severity.CRITICAL)
    VOLUME_UNREACHABLE = ("volume.unreachable", Severity.CRITICAL)
    VOLUME_READ_ONLY = ("volume.read-only", Severity.CRITICAL)
    MARKER_MISSING = ("marker.missing", Severity.ERROR)
    MARKER_CHANGED = ("marker.changed", Severity.ERROR)
    MARKER_INVALID = ("marker.invalid", Severity.ERROR)
    LEDGER_INVALID = ("ledger.invalid", Severity.WARNING)
    LEDGER_STALE = ("ledger.stale", Severity.WARNING)
    LEDGER_UNWRITABLE = ("ledger.unwritable", Severity.WARNING)
    WATCH_BLIND = ("watch.blind", Severity.INFO)


@dataclass(frozen=True)
class EventRecord:
    """One thing that happened, created once and handed to every listener.

    Attributes:
        event: What it is.
        message: A sentence for the person at 3 a.m.
        severity: Usually the event's own.
        fields: What scripts and queries read; JSON values.
        operation: Groups the lines of one incident or one run; empty where the line stands alone.
        first: The first line of its operation.
        last: The last line of its operation.
    """

    event: EventName
    message: str
    severity: Severity
    fields: Mapping[str, Any] = field(default_factory=dict)
    operation: str = ""
    first: bool = False
    last: bool = False
