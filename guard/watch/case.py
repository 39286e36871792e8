"""One volume's case: what is known of it, and the lines that are said of it. Pure; what is wrong is decided elsewhere."""

from collections.abc import Mapping
from typing import Any

from guard.event import Event, EventRecord
from guard.messages import PodInfo
from guard.outcome import Severity
from guard.volume.hold import Hold
from guard.volume.observation import FileCount, InvalidDocument, Look
from guard.volume.verdict import Expectation
from guard.watch import lines
from guard.watch.incident import Incident, incident_id
from guard.watch.keeping import Keeper
from guard.watch.sightings import Moment
from guard.watch.standing import Condition, Trouble


class Case:
    """Shared by the rooms that judge one volume; each adds what it finds.

    Attributes:
        keeper: What is known of its data; None where it never had a marker or a ledger.
        look: The last look that counts.
        census: The last count.
        hold: Announced work.

    Args:
        expected: What the settings ask.
        where: This pod.
        run: The operation of the lines that belong to no incident.
    """

    keeper: Keeper | None = None
    look: Look | None = None
    census: FileCount | None = None
    hold: Hold | InvalidDocument | None = None

    def __init__(self, expected: Expectation, where: PodInfo, run: str) -> None:
        self.expected = expected
        self.where = where
        self.incident = Incident({"path": expected.path, **where.fields()}, run)
        self._started = False
        self._opened = 0  # the generation of the open incident

    @property
    def name(self) -> str:
        """The ID that an incident has which begins now."""
        keeper = self.keeper
        return incident_id(keeper.marker_id, keeper.generation) if keeper else incident_id(self.expected.volume, 0)

    def troubled(self, *conditions: Condition) -> bool:
        """Whether one of these does not hold."""
        return any(self.incident.troubled(condition) for condition in conditions)

    def start(self) -> None:
        """Says once what is watched; nothing is said before."""
        if not self._started:
            self._started = True
            reference = self.keeper.reference if self.keeper else None
            self.incident.start(lines.started(self.expected, self.where, self.look, self.census, reference))

    def begin(
        self,
        moment: Moment,
        condition: Condition | None,
        trouble: Trouble,
        told: Mapping[str, Any] | None = None,
        since: Moment | None = None,
    ) -> None:
        """Takes that a condition does not hold; None is for a volume that can't be reached.

        Args:
            moment: Now.
            condition: Which.
            trouble: Why.
            told: Fields of the line; None for the usual ones.
            since: The first sign; None for now.
        """
        if not self.incident.is_open:
            self._opened = self.keeper.generation if self.keeper else 0
        self.incident.begin(moment, condition, trouble, self.name, self.numbers() if told is None else told, since)

    def end(self, moment: Moment, condition: Condition | None) -> None:
        """Takes that a condition holds again; the next incident has the next generation."""
        if self.incident.end(moment, condition, self.numbers()) and self.keeper is not None:
            self.keeper.recovered(self._opened)

    def shrink(self, since: Moment, message: str, told: Mapping[str, Any]) -> None:
        """Says that part of the data is gone, since the first sign."""
        if not self.incident.is_begun:
            self._opened = self.keeper.generation if self.keeper else 0
        self.incident.shrink(since, message, {**self.numbers(), **told}, self.name)

    def grow(self) -> None:
        """Takes that enough of the data is there."""
        if self.incident.grow() and self.keeper is not None:
            self.keeper.recovered(self._opened)

    def accept(self, moment: Moment) -> None:
        """Takes that somebody declared the content to be right as it is."""
        if self.incident.accept(moment, self.numbers()) and self.keeper is not None:
            self.keeper.recovered(self._opened)

    def adopt(self, moment: Moment, keeper: Keeper) -> None:
        """Takes another marker with its own ledger; generations of the last one say nothing of it."""
        self.keeper = keeper
        self._opened = 0
        self.accept(moment)

    def numbers(self) -> dict[str, Any]:
        """What every line of this volume carries."""
        fields: dict[str, Any] = {"volume": self.expected.volume}
        if self.keeper is not None:
            reference = self.keeper.reference
            fields |= {
                "marker_id": self.keeper.marker_id,
                "generation": self.keeper.generation,
                "reference_files": reference.files if reference else 0,
            }
        if self.census is not None:
            fields["files"] = self.census.files
        return fields | lines.holder(self.hold)

    def tell(self, event: Event, message: str, fields: Mapping[str, Any], severity: Severity | None = None) -> None:
        """Says a line that belongs to no incident."""
        told = {"path": self.expected.path, **self.numbers(), **fields, **self.where.fields()}
        self.incident.tell(EventRecord(event, message, severity or event.severity, told))
