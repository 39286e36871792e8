"""What may be forgotten, and when nothing may: the gate's rule of loss on snapshots. Pure; forgetting itself is restic's.

A wiped volume is refused by the gate. This is for what the gate can't see: data that went while it was archived, or a
loss that was accepted by mistake. A snapshot that lost the data of one before it makes that one stay for good.

A loss goes through the tags in this order, and a run that is killed on the way leaves it to the next run:
1. the new snapshot is SHRUNK and UNREPORTED: it is neither compared with nor restored;
2. the one before it is PINNED;
3. the new one is no longer UNREPORTED, and the run fails: it is what later snapshots are compared with, and none before.
The loss stands until a person takes PINNED away: no restore takes by itself what has that loss, too.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from guard.backup.snapshot import Snapshot
from guard.volume.loss import Loss, LossRule, Verdict, judge_loss, new_reference
from guard.volume.observation import FileCount

#: On a snapshot that stays until a person removes the tag.
PINNED = "pinned"
#: On a snapshot that lost the data of the one before it: never the default of a restore.
SHRUNK = "shrunk"
#: Beside SHRUNK, until the run that found the loss has come to its end with it. It stays on one that was taken anew.
UNREPORTED = "unreported"
#: On a snapshot of which restic could not read everything: no answer here depends on whether there are such.
INCOMPLETE = "incomplete"

#: A new snapshot is compared with those of its own day and of so many days before it that have any: a run that was
#: killed before it compared leaves one uncompared. In snapshots that is as many as the tries of these nights (four to
#: a Job), so that an hourly backup doesn't list a hundred of them.
NIGHTS = 4
DEPTH = 16

#: So far apart may be the clocks of two nodes. What is dated later still was made by one that was wrong.
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

    def words(self) -> tuple[str, ...]:
        """For `restic forget`: those of each tag by themselves, so that no shrunk or incomplete one takes a good one's place."""
        keep = (f"--keep-within={self.keep_within}", f"--keep-last={self.keep_last}", f"--keep-tag={PINNED}")
        return ("--group-by=host,paths,tags", *keep)


@dataclass(frozen=True)
class Shrunk:
    """A snapshot that lost the data of one before it.

    Attributes:
        before: The newest snapshot that still has the data: the one to pin.
        loss: The verdict with its numbers.
    """

    before: Snapshot
    loss: Loss


def whole(snapshots: Sequence[Snapshot]) -> tuple[Snapshot, ...]:
    """Those that restic could read in full, the oldest first."""
    found = (one for one in snapshots if INCOMPLETE not in one.tags)
    return tuple(sorted(found, key=lambda one: (one.time, one.snapshot_id)))


def compared(snapshots: Sequence[Snapshot], new: Snapshot) -> tuple[Snapshot, ...]:
    """The snapshots that a new one is compared with, the newest first.

    The last of them is one whose loss was reported: what was lost before it is known. What is dated after the new one
    comes after all others: a clock that was ahead made it, and no one knows when.

    Args:
        snapshots: Those that were made before it, whatever their dates say, and it may be among them.
        new: The new one.
    """
    found: list[Snapshot] = []
    days: set[date] = set()
    today = _day(new)
    order = sorted(whole(snapshots), key=lambda one: (one.time <= new.time, one.time, one.snapshot_id))
    for one in reversed(order):
        if one.snapshot_id == new.snapshot_id or UNREPORTED in one.tags:
            continue
        days |= {_day(one)} - {today}
        if len(days) > NIGHTS or len(found) == DEPTH:
            break
        found.append(one)
        if SHRUNK in one.tags:
            break
    return tuple(found)


def earlier(snapshots: Sequence[Snapshot], one: Snapshot) -> tuple[Snapshot, ...]:
    """Those that are dated before one of them."""
    return tuple(other for other in snapshots if (other.time, other.snapshot_id) < (one.time, one.snapshot_id))


def _day(snapshot: Snapshot) -> date:
    return snapshot.time.astimezone(UTC).date()


def shrunk(
    rule: LossRule, snapshots: Sequence[Snapshot], new: Snapshot, census_of: Callable[[Snapshot], FileCount]
) -> Shrunk | None:
    """Whether a new snapshot lost the data of one before it, by the rule of gate and watcher.

    Args:
        rule: GUARD_MAX_LOSS and the rest.
        snapshots: Those of the same volume that were made before it, whatever their dates say.
        new: The new one; it may be among them.
        census_of: Counts a snapshot. Two with the same tree are counted once.

    Returns:
        The newest snapshot that has what is lost, and had not lost it itself; None where nothing is.
    """
    census = _once(census_of)
    before, later = None, new
    for one in compared(snapshots, new):
        # From what lost nothing yet, on to what that one lost: killed runs can leave a wipe in two steps.
        if one.tree != later.tree and _wiped(rule, census(one), census(later)):
            before = later = one
    return Shrunk(before, loss_between(rule, census(before), census(new))) if before else None


def _once(census_of: Callable[[Snapshot], FileCount]) -> Callable[[Snapshot], FileCount]:
    """Counts each tree once: to list a snapshot can take minutes."""
    counted: dict[str, FileCount] = {}

    def census(snapshot: Snapshot) -> FileCount:
        if snapshot.tree not in counted:
            counted[snapshot.tree] = census_of(snapshot)
        return counted[snapshot.tree]

    return census


def _wiped(rule: LossRule, before: FileCount, after: FileCount) -> bool:
    return loss_between(rule, before, after).verdict is Verdict.WIPED


def loss_between(rule: LossRule, before: FileCount, after: FileCount) -> Loss:
    """What a count lost against another."""
    return judge_loss(rule, new_reference(None, before, ""), after)


def newest_whole(
    rule: LossRule, snapshots: Sequence[Snapshot], census_of: Callable[[Snapshot], FileCount]
) -> Snapshot | None:
    """What a restore takes where nothing is named: the newest that kept the data, whoever made it; None for none."""
    census = _once(census_of)
    for one in reversed(whole(snapshots)):
        before = earlier(snapshots, one)
        kept = SHRUNK not in one.tags and shrunk(rule, before, one, census) is None
        if kept and not _in_a_loss(rule, before, one, census):
            return one
    return None


def _in_a_loss(
    rule: LossRule, before: Sequence[Snapshot], one: Snapshot, census: Callable[[Snapshot], FileCount]
) -> bool:
    """Whether a loss that was reported lasts to a snapshot, and nobody accepted it: what was lost is still pinned."""
    for lossy in whole(before):
        if SHRUNK not in lossy.tags:
            continue
        lost = shrunk(rule, earlier(before, lossy), lossy, census)
        if lost is not None and PINNED in lost.before.tags:
            since = [*(later for later in whole(before) if later.time > lossy.time), one]
            if all(_wiped(rule, census(lost.before), census(later)) for later in since):
                return True
    return False


def named(snapshots: Sequence[Snapshot], prefix: str) -> Snapshot | None:
    """The snapshot whose ID begins so; None where none does, or several do."""
    found = [one for one in snapshots if prefix and one.snapshot_id.startswith(prefix.lower())]
    return found[0] if len(found) == 1 else None


def share(day: date, parts: int) -> str:
    """Which share of the data is read back on a day, as n/t: all of them within so many days."""
    return f"{day.toordinal() % parts + 1}/{parts}"


def stale(newest: Snapshot, now: datetime, max_age: timedelta) -> str:
    """Why the newest snapshot is no fresh backup, as a clause; empty where it is one."""
    if newest.time - now > _CLOCKS:
        return "dated in the future: a clock was ahead, and how old the newest backup is can't be told"
    return f"older than {max_age}" if now - newest.time > max_age else ""
