"""Points in time, as log lines and documents show them. Pure: time is a parameter."""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Timestamp:
    """A point in time on both clocks: only the monotonic one measures, only the wall's is shown.

    Attributes:
        at: Seconds of the monotonic clock.
        wall: The wall clock, with its zone.
    """

    at: float
    wall: datetime

    @property
    def text(self) -> str:
        """RFC 3339 with milliseconds."""
        return rfc3339(self.wall)


def rfc3339(wall: datetime) -> str:
    """Returns a time as log lines and documents carry it: with milliseconds, and Z for UTC."""
    return wall.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_of(text: str) -> float:
    """Returns the seconds since 1970 of an RFC 3339 time that `json_document.TIME` let pass."""
    return datetime.fromisoformat(text.upper()).timestamp()


def lasted(seconds: float) -> str:
    """Returns a length of time for a person: `8 s`, `12 min`, `3 h`, `9 d`."""
    minute, hour, day = 60, 3600, 86400
    if seconds < 2 * minute:
        return f"{seconds:.0f} s"
    if seconds < 2 * hour:
        return f"{seconds / minute:.0f} min"
    return f"{seconds / hour:.0f} h" if seconds < 2 * day else f"{seconds / day:.0f} d"
