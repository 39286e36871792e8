"""What the watcher sees, as values: a glimpse, a stock-taking, a moment. Pure; they travel from the prober to the incident."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from guard.volume.observation import FileCount, Look, Space


class Sign(Enum):
    """What gave the first sign of a change."""

    START = "start"
    EVENTS = "events"
    MOUNT_TABLE = "mount-table"
    LOOK = "look"


@dataclass(frozen=True)
class Moment:
    """A point in time on both clocks: only the monotonic one measures, only the wall's is shown.

    Attributes:
        at: Seconds of the monotonic clock.
        wall: The wall clock, with its zone.
    """

    at: float
    wall: datetime

    @property
    def text(self) -> str:
        """RFC 3339 with milliseconds, as in a log line."""
        return self.wall.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class TripwireState:
    """How the tripwire is.

    Attributes:
        armed: It is up, on the directory that is in force, with living threads.
        blind: Why part or all of the tree is not watched, as a clause; empty where all of it is.
        tripped: A storm of events took it down: no blindness, counts go on.
        stirred: Names were created, moved or removed since it was last asked.
    """

    armed: bool = False
    blind: str = ""
    tripped: bool = False
    stirred: bool = False


@dataclass(frozen=True)
class Glimpse:
    """A cheap look: everything but the count, and no write."""

    look: Look
    tripwire: TripwireState = field(default_factory=TripwireState)


@dataclass(frozen=True)
class Stock:
    """A full count with what it cost.

    Attributes:
        census: The count.
        space: statvfs just before it; None where it failed.
        seconds: How long it took.
        tripwire: How the tripwire was after it, where it was armed before it; None where it was not touched.
        unwatched: Folders that a standing tripwire does not see: their inodes, or the names of those that can't be read.
    """

    census: FileCount
    space: Space | None
    seconds: float
    tripwire: TripwireState | None = None
    unwatched: frozenset[int | str] = frozenset()
