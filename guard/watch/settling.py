"""When a change of the content is over: quiet time plus a ceiling. Pure: it is told counts and times, and decides nothing else.

A burst is one change. It is judged when two equal counts lie GUARD_SETTLE apart, and at the latest CEILING after its
first sign, by the highest count of the last TAIL.
"""

from dataclasses import dataclass, field

from guard.volume.observation import FileCount
from guard.watch.sightings import Moment, Sign, Stock

#: Seconds after the first sign at which the content is judged, quiet or not.
CEILING = 60.0
#: Seconds before the ceiling whose highest count is judged: an update removes before it writes again.
TAIL = 10.0
#: The shortest time between two counts, in seconds: the end of a removal is known that soon.
QUICK = 0.25
#: And at least so many times what the last count took: a large tree is counted more seldom while it shrinks.
_SPACING = 4.0


@dataclass(frozen=True)
class Settled:
    """A change that is over.

    Attributes:
        census: What is judged.
        sign: What gave the first sign.
        since: When that was; of a removal that was judged in parts, of its first.
    """

    census: FileCount
    sign: Sign
    since: Moment


@dataclass
class _Burst:
    sign: Sign
    since: Moment  # the ceiling is measured from here
    told: Moment  # the first sign
    due: float
    counts: list[tuple[Moment, Stock]] = field(default_factory=list)
    first: float = 0.0  # when it was first counted
    most: int = 0  # files then, or what the part before was judged by
    same_since: float = 0.0

    @property
    def ceiling(self) -> float:
        # Counts can have had to wait: one alone, however late, is no answer.
        return max(self.since.at + CEILING, self.first + TAIL)


class Settling:
    """One burst after the other.

    Args:
        quiet: GUARD_SETTLE, in seconds.
        own_disk: Whether used blocks are this volume's alone: then a rise says that something is still written.
    """

    def __init__(self, quiet: float, *, own_disk: bool = True) -> None:
        self._quiet = quiet
        self.own_disk = own_disk
        self._burst: _Burst | None = None

    @property
    def due(self) -> float | None:
        """When the next count is due, on the monotonic clock; None where nothing is suspected."""
        return self._burst.due if self._burst else None

    def suspect(self, moment: Moment, sign: Sign) -> None:
        """Takes a sign that something changed."""
        burst = self._burst
        if burst is None:
            self._burst = _Burst(sign, moment, moment, moment.at)
        elif burst.counts:
            last, stock = burst.counts[-1]
            burst.due = min(burst.due, max(moment.at, last.at + self._pace(stock)))

    def count(self, moment: Moment, stock: Stock, *, loss_in_sight: bool) -> Settled | None:
        """Takes a count of the burst; what is to be judged once it is over.

        Args:
            moment: When it was done.
            stock: The count; one with a fault says nothing.
            loss_in_sight: Whether it would be a loss: then counts follow closely, to know the end soon.
        """
        burst = self._burst
        if burst is None or stock.census.fault:
            return None
        last = burst.counts[-1][1] if burst.counts else None
        if last is None:
            burst.first, burst.most = moment.at, stock.census.files
        if last is None or not self._same(last, stock):
            burst.same_since = moment.at
        recent = [(at, one) for at, one in burst.counts if moment.at - at.at <= TAIL]
        burst.counts = [*(recent or burst.counts[-1:]), (moment, stock)]
        if moment.at - burst.same_since >= self._quiet:
            self._burst = None
            return Settled(stock.census, burst.sign, burst.told)
        judged = self._cut(burst) if moment.at >= burst.ceiling else None
        if self._burst is not None:
            self._burst.due = self._next(self._burst, moment, stock, loss_in_sight=loss_in_sight, first=last is None)
        return judged

    def forget(self) -> None:
        """Drops the burst: the volume is not the one any more that it was about."""
        self._burst = None

    def _cut(self, burst: _Burst) -> Settled:
        """Judges at the ceiling; what came after the highest count is the beginning of another burst."""
        files = [stock.census.files for _, stock in burst.counts]
        highest = max(range(len(files)), key=lambda place: (files[place], place))
        rest = burst.counts[highest + 1 :]
        self._burst = None
        if rest:
            since = rest[0][0]
            # Where it has become less, the same removal goes on. What comes and goes all the time has no first sign.
            told = burst.told if files[highest] < burst.most else since
            self._burst = _Burst(burst.sign, since, told, since.at, rest, since.at, files[highest], burst.same_since)
        return Settled(burst.counts[highest][1].census, burst.sign, burst.told)

    def _next(self, burst: _Burst, moment: Moment, stock: Stock, *, loss_in_sight: bool, first: bool) -> float:
        quiet = burst.same_since + self._quiet
        if loss_in_sight:
            due = min(quiet, moment.at + self._pace(stock))
        elif first:  # it may have come before a removal has removed anything
            due = moment.at + QUICK
        elif burst.same_since == moment.at:
            due = moment.at + self._pace(stock)
        else:
            due = quiet
        return max(moment.at, min(due, burst.ceiling))

    def _pace(self, stock: Stock) -> float:
        """Seconds between counts that follow closely."""
        return min(max(QUICK, _SPACING * stock.seconds), max(QUICK, self._quiet))

    def _same(self, last: Stock, stock: Stock) -> bool:
        rises = (
            self.own_disk
            and last.space is not None
            and stock.space is not None
            and stock.space.used_blocks > last.space.used_blocks
        )
        return not rises and content(last.census) == content(stock.census)


def content(census: FileCount) -> tuple[int, dict[str, int], int | None]:
    """What must be equal for two counts to be."""
    return census.files, dict(census.entries), census.empty
