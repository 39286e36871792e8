"""When the content is counted and how: what is suspected, what is due anyway, what is allowed. Pure; time is a parameter."""

from dataclasses import replace

from guard.volume.ledger import Reference
from guard.volume.observation import FileCount, Space
from guard.watch.allowance import Allowance
from guard.watch.keeping import WRITE_AT_LEAST, WRITE_EVERY
from guard.watch.settling import Settling, content
from guard.watch.sightings import Moment, Sign, Stock

#: The share of used inodes or blocks whose fall leads to a count, in per cent.
_FALL = 10
#: What is left of a tree is cheap to count where at least so much of it is gone.
_MOST = 0.5
#: Seconds after which a count that failed is tried again: the first time, and after that.
_AGAIN = 1.0
_UNCOUNTABLE = 10.0
#: Seconds between looks while counts are suspected to be worth it and not allowed.
_GLIMPSES = 1.0


class Counting:
    """The counts of one volume.

    Attributes:
        weighing: Sizes are read and judged: used blocks fell while the names stayed, or such a loss is an incident.
        recording: Sizes are read for a new reference, and say nothing of a loss.
        stirred: Names went or were moved since what settled last, or may have: nobody saw.

    Args:
        now: The monotonic clock.
        settle: GUARD_SETTLE, in seconds.
        jitter: From 1.0 to 1.1: many watchers of one volume must not count at once.
    """

    def __init__(self, now: float, settle: float, jitter: float) -> None:
        self.settling = Settling(settle)
        self.settled: FileCount | None = None
        self.weighing = False
        self.recording = False
        self.stirred = False
        self.loss_in_sight = False
        self._jitter = jitter
        self._allowance = Allowance(now)
        self._counted_at: float | None = None
        self._due: float | None = now
        self._retry_at = now
        self._failures = 0
        self._files = self._names = 0  # at the last count
        self._space: Space | None = None  # at the last count
        self._full: Space | None = None  # the most that these names are known to have held
        self._mostly_gone = False

    @property
    def counted(self) -> bool:
        """Whether there was a count at all."""
        return self._counted_at is not None

    # When.

    def due(self) -> float:
        """When the next count is due, on the monotonic clock."""
        due = self.settling.due
        if due is None:  # without suspicion, for the baseline
            due = (self._counted_at or 0.0) + self._jitter * WRITE_AT_LEAST
            due = due if self._due is None else min(due, self._due)
            allowed = self._allowance.spare()
        else:
            allowed = self._allowance.free()
        if self._mostly_gone or self.loss_in_sight:
            allowed = self._allowance.reserve_free()
        return max(due, self._retry_at, allowed)

    def arm_due(self, due: float | None) -> float | None:
        """When the tripwire may be armed that is due: a count comes with it, and none may be under way."""
        if due is None or not self.counted or self.settling.due is not None:
            return None
        return max(due, self._retry_at, self._allowance.free())

    def glimpse_due(self, now: float, looked_at: float) -> float | None:
        """When a look is due because counts must wait: a fall that makes them cheap is seen by looks."""
        waits = self.settling.due is not None and self._allowance.free() > now
        return looked_at + _GLIMPSES if waits else None

    def soon(self, now: float) -> None:
        """Asks for a count as soon as it is allowed."""
        self._due = now

    def within_a_minute(self, now: float) -> None:
        """Asks for a count, and it can wait."""
        if self._due is None:
            self._due = now + self._jitter * WRITE_EVERY

    # What came of it.

    def done(self, moment: Moment, stock: Stock) -> None:
        """Takes a count that says something."""
        self._allowance.spend(moment.at, stock.seconds)
        self._failures = 0
        self._counted_at, self._due = moment.at, None
        self._files, self._space = stock.census.files, stock.space
        self._names = stock.census.files + stock.census.folders
        self._mostly_gone = False

    def failed(self, moment: Moment, stock: Stock) -> None:
        """Takes a count that says nothing."""
        fault = stock.census.fault
        if fault is None or fault.number:  # no progress is no work
            self._allowance.spend(moment.at, stock.seconds)
        self.again(moment.at)

    def again(self, now: float) -> None:
        """Asks for another try after a pause."""
        self._failures += 1
        self._due = self._retry_at = now + (_AGAIN if self._failures == 1 else _UNCOUNTABLE)

    def forget(self, now: float) -> None:
        """Drops what is suspected of a volume that is not there, and counts it as soon as it is back."""
        self.settling.forget()
        self.loss_in_sight = False
        self._due = now

    # What is suspected.

    def is_less(self, stock: Stock) -> bool:
        """Whether a count shows less than what last settled: fewer names, or as many and much less in them."""
        if self.settled is None or stock.census.files < self.settled.files:
            return True
        return not self.weighing and self.is_emptied(stock)  # a count whose sizes are judged knows better

    def is_emptied(self, stock: Stock) -> bool:
        """Whether used blocks fell while the names stayed."""
        if not self._names_stayed(stock.census):
            return False
        return self._full is not None and stock.space is not None and _fell_blocks(self._full, stock.space)

    def weigh(self, stock: Stock, *, wiped: bool, due: bool) -> None:
        """Decides whether the next count reads sizes: used blocks fell with the names unchanged, or a reference is due."""
        suspected = self.settling.due is not None
        if not (self.weighing and (suspected or wiped)):
            self.weighing = suspected and self.is_emptied(stock)
        if not suspected:
            self.recording = due

    def judged(self, census: FileCount) -> FileCount:
        """A count as it is judged: empty files may be new ones, unless the names stayed."""
        return census if self.weighing else replace(census, empty=None)

    def keep(self, census: FileCount, space: Space | None) -> None:
        """Takes what settled."""
        unknown = self.judged(census).empty is None and self._names_stayed(census)
        if not (unknown and self._full is not None and space and self._full.used_blocks > space.used_blocks):
            self._full = space
        self.settled, self.stirred = census, False

    def _names_stayed(self, census: FileCount) -> bool:
        # As many names may be others: a job's file that gives way to an empty mark that it is done.
        return self.settled is not None and not self.stirred and _same_names(self.settled, census)

    def saw(self, moment: Moment, space: Space, reference: Reference | None, max_loss: float) -> bool:
        """Takes what a look says of space; whether it differs from the last count's.

        Args:
            moment: Now.
            space: What statvfs said.
            reference: What losses are judged against.
            max_loss: GUARD_MAX_LOSS.
        """
        before = self._space
        if before is None:
            return True
        gone, share = before.used_inodes - space.used_inodes, max(_MOST, max_loss)
        if self.settling.own_disk and reference is not None and gone > 0:
            # Folders cost as much as files: those that are left must be few as well.
            left = reference.files - share * reference.files
            falls = gone >= share * self._names and self._files - gone <= left < self._files
            self._mostly_gone = self._mostly_gone or falls
        emptied = self._full is not None and _fell_blocks(self._full, space)
        if self.settling.due is None and (emptied or _fell_blocks(before, space) or _fell_inodes(before, space)):
            self.settling.suspect(moment, Sign.LOOK)
        return space != before


def changed(before: FileCount | None, now: FileCount) -> bool:
    """Whether the content is another one, as far as both counts say."""
    if before is None or not _same_names(before, now):
        return True
    return before.empty is not None and now.empty is not None and before.empty != now.empty


def _same_names(one: FileCount, other: FileCount) -> bool:
    return content(one)[:2] == content(other)[:2]


def _fell_blocks(before: Space, now: Space) -> bool:
    return _fell(before.used_blocks, now.used_blocks)


def _fell_inodes(before: Space, now: Space) -> bool:
    return _fell(before.used_inodes, now.used_inodes)


def _fell(before: int, now: int) -> bool:
    return before > 0 and (before - now) * 100 >= _FALL * before
