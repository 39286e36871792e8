"""Tags of snapshots, how long they stay, and which share of the data is read back. Pure; forgetting itself is restic's."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from guard.backup.snapshot import Snapshot

#: On a snapshot that kept the data. A person who tags one so accepts what it lost.
GOOD = "good"
#: On a snapshot that lost the data of the last good one.
WIPED = "wiped"
#: On a snapshot of which restic could not read everything: it is never judged and never restored by itself.
INCOMPLETE = "incomplete"
#: On a snapshot that a person wants to keep.
PINNED = "pinned"

#: So far apart can be the clocks of two nodes. What is dated later still was made by one that was wrong.
_CLOCKS = timedelta(hours=1)

#: restic's durations: 1y5m7d2h, where m is months.
_DURATION = re.compile(r"(?=.)(\d{1,4}y)?(\d{1,4}m)?(\d{1,5}d)?(\d{1,5}h)?", re.ASCII)


@dataclass(frozen=True)
class Policy:
    """How long snapshots stay.

    Attributes:
        keep_within: In restic's notation, counted back from the newest snapshot and not from today: where no backup is
            made for a year, a year's snapshots still stay.
        keep_last: And at least so many.
    """

    keep_within: str = "30d"
    keep_last: int = 14

    def __post_init__(self) -> None:
        if not _DURATION.fullmatch(self.keep_within) or not re.search("[1-9]", self.keep_within):
            raise ValueError(
                f"keep-within {self.keep_within!r} is not a duration of restic's: 30d, 1y6m, 12h (m is months)"
            )
        if self.keep_last < 1:
            raise ValueError(f"keep-last {self.keep_last} would keep nothing: at least 1")

    def argv(self) -> tuple[str, ...]:
        """Returns the flags of `restic forget`: each tag counts by itself, so no wiped or incomplete snapshot evicts a good one."""
        keep = (f"--keep-within={self.keep_within}", f"--keep-last={self.keep_last}", f"--keep-tag={PINNED}")
        return ("--group-by=host,paths,tags", *keep)


def complete(snapshots: Sequence[Snapshot]) -> tuple[Snapshot, ...]:
    """Returns those that restic could read in full, the oldest first."""
    read = (snapshot for snapshot in snapshots if INCOMPLETE not in snapshot.tags)
    return tuple(sorted(read, key=lambda snapshot: (snapshot.time, snapshot.snapshot_id)))


def by_prefix(snapshots: Sequence[Snapshot], prefix: str) -> Snapshot | None:
    """Returns the snapshot whose ID begins so; None where none does, or several do."""
    matching = [snapshot for snapshot in snapshots if prefix and snapshot.snapshot_id.startswith(prefix.lower())]
    return matching[0] if len(matching) == 1 else None


def share(day: date, parts: int) -> str:
    """Returns which share of the data is read back on a day, as n/t: all of them within so many days."""
    return f"{day.toordinal() % parts + 1}/{parts}"


def stale(newest: Snapshot, now: datetime, max_age: timedelta) -> str:
    """Returns why the newest snapshot is no fresh backup, as a clause; empty where it is one."""
    if newest.time - now > _CLOCKS:
        return "dated in the future: a clock was ahead, and the age of the newest backup is not known"
    return f"older than {max_age}" if now - newest.time > max_age else ""
