"""Log lines of the backup, in the guard's own form, as one operation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, cast

from guard import clock
from guard.event import Event, EventRecord
from guard.messages import EventSink
from guard.outcome import Severity
from guard.pod import PodInfo


class BackupEvent(Enum):
    """What a log line of the backup is about."""

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

    @property
    def label(self) -> str:
        """The name that users script against."""
        return self.value[0]

    @property
    def severity(self) -> Severity:
        """The severity unless the line has another."""
        return self.value[1]


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
        every = {"volume": self.volume, **fields, **self.pod.fields()}
        # The log asks it for a label and a severity, and BackupEvent has both: the guard's own table stays closed.
        topic = cast("Event", event)
        first, self._begun = not self._begun, True
        self.sink(
            EventRecord(topic, message, severity or event.severity, every, self.operation, first=first, last=last)
        )
