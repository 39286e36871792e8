"""The state machine of an incident: from its first trouble to recovery or acceptance, one ID. Pure; time is a parameter.

Every condition has its own events; all that is wrong with a volume at one time is one incident.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from guard.event import Event, EventRecord
from guard.outcome import Severity
from guard.watch.sightings import Moment
from guard.watch.standing import Condition, Trouble


def incident_id(marker_id: str, generation: int) -> str:
    """The ID that every pod on this volume gives to the incident of this generation."""
    return f"{marker_id}.{generation}"


@dataclass(frozen=True)
class _Open:
    trouble: Trouble
    told: Mapping[str, Any]
    quiet: bool  # said at INFO, because the volume was held


class Incident:
    """At most one at a time.

    Args:
        fields: What every line carries: the path, this pod.
        run: The operation of this watcher, from its start to its end: of every line that belongs to no incident.
    """

    def __init__(self, fields: Mapping[str, Any], run: str) -> None:
        self._fields = fields
        self._run = run
        self._run_begun = False
        self._open: dict[Condition | None, _Open] = {}
        self._since: Moment | None = None
        self._id = ""
        self._shrunk: Moment | None = None  # the first sign of a shrink that was said and is not over
        self._begun = ""  # the operation that has had its first line and not its last
        self._said: list[EventRecord] = []
        self._started = False
        self.held = False

    @property
    def is_open(self) -> bool:
        """Whether anything is wrong."""
        return bool(self._open)

    @property
    def is_begun(self) -> bool:
        """Whether an operation has had its first line and not its last: of what is wrong, or of a shrink."""
        return bool(self._begun)

    @property
    def shrunk(self) -> bool:
        """Whether a shrink was said that is not over: nothing is wrong, and part of the data is gone."""
        return self._shrunk is not None

    def troubled(self, condition: Condition | None) -> bool:
        """Whether this condition does not hold; None is for a volume that can't be reached."""
        return condition in self._open

    def trouble(self, condition: Condition | None) -> Trouble | None:
        """What is wrong with it."""
        return self._open[condition].trouble if condition in self._open else None

    def start(self, happening: EventRecord) -> None:
        """Says first of all what was found; what was found wrong comes after it."""
        self._said.insert(0, happening)
        self._started = True

    def stop(self, happening: EventRecord) -> None:
        """Says last of all that the watch is over."""
        self._said.append(replace(happening, last=True))
        self._started = True

    def said(self) -> list[EventRecord]:
        """Everything that is to be said since this was last asked; nothing before the start was said."""
        if not self._started:
            return []
        said, self._said = self._said, []
        return [happening if happening.operation else self._of_run(happening) for happening in said]

    def _of_run(self, happening: EventRecord) -> EventRecord:
        first, self._run_begun = not self._run_begun, True
        return replace(happening, operation=self._run, first=first)

    def begin(
        self,
        moment: Moment,
        condition: Condition | None,
        trouble: Trouble,
        name: str,
        fields: Mapping[str, Any],
        since: Moment | None = None,
    ) -> None:
        """Takes a trouble; it is said once.

        Args:
            moment: Now.
            condition: What does not hold; None for a volume that can't be reached.
            trouble: Why.
            name: The ID that the incident has, if it is a new one.
            fields: What this line carries besides.
            since: The first sign; None for now.
        """
        known = self._open.get(condition)
        if known is not None and known.trouble.event is trouble.event:
            return
        if not self._open:
            self._since, self._id = since or moment, name
        opened = _Open(trouble, fields, self.held)
        self._open[condition] = opened
        self._say_trouble(opened)

    def say_aloud(self) -> None:
        """Says again what a hold, now over, kept quiet."""
        for condition, opened in self._open.items():
            if opened.quiet and not self.held:
                self._open[condition] = replace(opened, quiet=False)
                self._say_trouble(opened)

    def _say_trouble(self, opened: _Open) -> None:
        trouble = opened.trouble
        message = f"{trouble.found}, expected {trouble.expected}. {trouble.remedy}"
        told = {"found": trouble.found, "expected": trouble.expected, "remedy": trouble.remedy, **opened.told}
        self.say(trouble.event, message, told)

    def end(self, moment: Moment, condition: Condition | None, fields: Mapping[str, Any]) -> bool:
        """Takes that a condition holds again; True where that was the last trouble: the volume recovered."""
        if self._open.pop(condition, None) is None or self._open:
            return False
        assert self._since is not None
        seconds = moment.at - self._since.at
        message = f"{self._fields['path']} is right again after {lasted(seconds)}."
        self.say(Event.VOLUME_RECOVERED, message, {"lasted_seconds": round(seconds, 1), **fields}, last=True)
        return True

    def shrink(self, since: Moment, message: str, fields: Mapping[str, Any], name: str) -> None:
        """Takes that part of the data is gone; said at every call.

        Args:
            since: The first sign.
            message: The sentence.
            fields: What the line carries.
            name: The ID that the operation has, if it is a new one.
        """
        self._shrunk = self._shrunk or since
        self.say(Event.VOLUME_SHRUNK, message, fields, name=self._begun or name)

    def grow(self) -> bool:
        """Takes that enough of the reference is there, also of a new one; True where that ended the operation.

        Nothing is said of it: an application that updates a large part slowly is not worth two lines.
        """
        since, self._shrunk = self._shrunk, None
        if since is None or self._open or not self._begun:
            return False
        self._begun = ""
        return True

    def accept(self, moment: Moment, fields: Mapping[str, Any]) -> bool:
        """Takes that somebody declared what is there to be right as it is; True where that ended the operation."""
        accepted = [self._open.pop(condition, None) for condition in _accepted(self.trouble(Condition.IDENTITY))]
        since = self._since if any(accepted) else self._shrunk
        self._shrunk = None
        if since is None:
            return False
        seconds = moment.at - since.at
        message = f"What is on {self._fields['path']} was accepted, {lasted(seconds)} after the first sign."
        told = {"lasted_seconds": round(seconds, 1), **fields}
        if not self._begun:  # another trouble of that time was over, and its operation with it
            self.tell(
                EventRecord(Event.VOLUME_ACCEPTED, message, self._loud(Event.VOLUME_ACCEPTED), {**told, **self._fields})
            )
            return False
        self.say(Event.VOLUME_ACCEPTED, message, told, name=self._begun, last=not self._open)
        return not self._open

    def say(
        self,
        event: Event,
        message: str,
        fields: Mapping[str, Any],
        *,
        name: str = "",
        last: bool = False,
    ) -> None:
        """Says a line: at INFO while the volume is held, and in the incident's operation.

        Args:
            event: What it is.
            message: The sentence.
            fields: What it carries.
            name: The operation, where no incident is open.
            last: Whether it ends the operation.
        """
        operation = self._id if self._open else name or self._id
        first = operation != self._begun
        self._begun = "" if last else operation
        told = {**fields, **self._fields}
        self._said.append(EventRecord(event, message, self._loud(event), told, operation, first=first, last=last))

    def _loud(self, event: Event) -> Severity:
        return min(event.severity, Severity.INFO) if self.held else event.severity

    def tell(self, happening: EventRecord) -> None:
        """Says a line that belongs to no incident."""
        self._said.append(happening)


def _accepted(identity: Trouble | None) -> tuple[Condition, ...]:
    """What an acceptance ends: a loss; and that it is another volume than the one before."""
    replaced = identity is not None and identity.event is Event.VOLUME_REPLACED
    return (Condition.CONTENT, Condition.IDENTITY) if replaced else (Condition.CONTENT,)


def lasted(seconds: float) -> str:
    """A length of time for a person: `8 s`, `12 min`, `3 h`."""
    minute, hour = 60, 3600
    if seconds < 2 * minute:
        return f"{seconds:.0f} s"
    return f"{seconds / minute:.0f} min" if seconds < 2 * hour else f"{seconds / hour:.0f} h"
