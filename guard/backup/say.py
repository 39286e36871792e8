"""Log lines of the backup, in the guard's own form, as one operation."""

import os
from dataclasses import dataclass, field
from typing import Any, cast

from guard.backup.result import BackupEvent
from guard.event import Event, EventRecord
from guard.messages import EventSink, PodInfo
from guard.outcome import Severity


@dataclass
class Voice:
    """Says what happened.

    Attributes:
        say: Takes the happenings.
        where: This pod.
        volume: GUARD_VOLUME.
        operation: The run that every line belongs to.
    """

    say: EventSink
    where: PodInfo
    volume: str
    operation: str = field(default_factory=lambda: os.urandom(8).hex())
    _begun: bool = field(default=False, init=False)

    def __call__(
        self, event: BackupEvent, message: str, *, severity: Severity | None = None, last: bool = False, **fields: Any
    ) -> None:
        """Says one thing."""
        told = {"volume": self.volume, **fields, **self.where.fields()}
        # The log asks a label and a severity of it, and BackupEvent has both: the guard's own table stays closed.
        topic = cast("Event", event)
        first, self._begun = not self._begun, True
        self.say(EventRecord(topic, message, severity or event.severity, told, self.operation, first=first, last=last))
