"""Log lines of the backup, in the guard's own form, as one operation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from guard import clock
from guard.event import EventName, EventRecord
from guard.messages import EventSink
from guard.outcome import Severity
from guard.pod import PodInfo


class BackupEvent(EventName):
    """What the backup reports."""

    ENGINE = ("backup.engine", Severity.WARNING)
    ARCHIVED = ("backup.archived", Severity.INFO)
    COMPARED = ("backup.compared", Severity.INFO)
    WIPED = ("backup.wiped", Severity.WARNING)
    CHECKED = ("backup.checked", Severity.INFO)
    FORGOTTEN = ("backup.forgotten", Severity.INFO)
    POSTPONED = ("backup.postponed", Severity.WARNING)
    READY = ("backup.ready", Severity.INFO)
    RESTORED = ("backup.restored", Severity.NOTICE)
    DRILLED = ("backup.drilled", Severity.INFO)
    FAILED = ("backup.failed", Severity.ERROR)


@dataclass
class EventLog:
    """Writes the lines of one run.

    Attributes:
        sink: Receives the records.
        pod: This pod.
        volume: GUARD_VOLUME.
        operation: The run that every line belongs to.
    """

    sink: EventSink
    pod: PodInfo
    volume: str
    operation: str = field(default_factory=clock.run_id)
    _begun: bool = field(default=False, init=False)

    def __call__(
        self,
        event: BackupEvent,
        message: str,
        fields: Mapping[str, Any] = MappingProxyType({}),
        *,
        severity: Severity | None = None,
        last: bool = False,
    ) -> None:
        """Writes one line."""
        all_fields = {"volume": self.volume, **fields, **self.pod.fields()}
        first, self._begun = not self._begun, True
        self.sink(
            EventRecord(event, message, severity or event.severity, all_fields, self.operation, first=first, last=last)
        )
