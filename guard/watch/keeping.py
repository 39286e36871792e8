"""The reference and the ledger: which count may replace what losses are judged against, and when it is written. Pure."""

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime

from guard.volume.ledger import Ledger, Reference
from guard.volume.loss import kept_files, new_reference
from guard.volume.observation import FileCount
from guard.watch.sightings import Moment

#: Seconds whose lowest settled count is the baseline: a tree that lives shorter never becomes a reference.
BASELINE = 300.0
#: A ledger is written at most once in so many seconds ...
WRITE_EVERY = 60.0
#: ... and, however quiet the volume is, at least once in so many.
WRITE_AT_LEAST = 900.0


@dataclass
class _Level:
    census: FileCount | None  # None: what the ledger said at the start
    files: int
    until: float  # when the next settled count replaced it; infinite for the last one


class Keeper:
    """What is known of one volume, and what is to be written about it.

    Args:
        ledger: The usable ledger; None where there is none.
        marker_id: The marker it belongs to.
        window: GUARD_WINDOW, in seconds.
        jitter: From 1.0 to 1.1: many watchers of one volume must not write at once.
    """

    def __init__(self, ledger: Ledger | None, marker_id: str, window: float, jitter: float) -> None:
        self._window = window
        self._jitter = jitter
        self._written_at = float("-inf")
        self._failed = False
        self._weighed_at = float("-inf")
        self.marker_id = marker_id
        self.generation = 1
        self.read(ledger)

    def read(self, ledger: Ledger | None) -> None:
        """Takes what stands on the volume as it is: at the start, and after accept or release."""
        self.reference = ledger.reference if ledger else None
        if ledger is not None:  # an incident that nobody wrote down yet may have gone further
            self.generation = max(self.generation, ledger.generation)
        self._standing = ledger
        self._levels: deque[_Level] = deque()
        self._levels.append(_Level(None, self.reference.files if self.reference else 0, float("inf")))
        self.files = ledger.files if ledger else 0

    def settled(self, moment: Moment, census: FileCount) -> None:
        """Takes a settled count of a volume that is not wiped."""
        self.files = census.files
        self._levels[-1].until = moment.at
        while self._levels and self._levels[-1].files >= census.files:
            self._levels.pop()  # a lower count that lasts longer makes it useless
        self._levels.append(_Level(census, census.files, float("inf")))

    def baseline(self, moment: Moment) -> FileCount | None:
        """The lowest settled count of the last BASELINE seconds; None while that is what the ledger said at the start."""
        while len(self._levels) > 1 and self._levels[0].until < moment.at - BASELINE:
            self._levels.popleft()
        return self._levels[0].census

    def wants_sizes(self, moment: Moment) -> bool:
        """Whether the reference is due to change: then one count with sizes says how many of its files are empty."""
        if moment.at - self._weighed_at < BASELINE:
            return False  # it was just done, and did not lead to another reference
        candidate = self._candidate(moment)
        return candidate is not None and not _same(candidate, self.reference)

    def renew(self, moment: Moment, sized: FileCount | None = None) -> None:
        """Replaces the reference where a baseline may.

        Args:
            moment: Now.
            sized: A count with sizes, where one was just made: it says how many files are empty.
        """
        candidate = self._candidate(moment)
        if candidate is None:
            return
        if self.reference is not None and _same(candidate, self.reference):
            self.reference = replace(self.reference, recorded=candidate.recorded)
        elif sized is not None and sized.empty is not None:
            self._weighed_at = moment.at
            candidate = replace(candidate, empty=min(sized.empty, candidate.files))
            if self._files(sized) >= candidate.files and self._may_replace(moment, candidate):
                self.reference, self._weighed_at = candidate, float("-inf")

    def recovered(self, generation: int) -> None:
        """The incident of a generation is over: the next one has another, and so another ID, the same in every pod."""
        self.generation = max(self.generation, generation + 1)

    def due(self) -> float:
        """When the ledger is to be written, on the monotonic clock; a time in the past means now."""
        standing = self._standing
        changed = (
            standing is None
            or standing.generation != self.generation
            or standing.files != self.files
            or not _alike(standing.reference, self.reference)
        )
        return self._written_at + self._jitter * WRITE_EVERY if changed or self._failed else self.overdue()

    def overdue(self) -> float:
        """When the ledger is to be written, whatever else is going on."""
        # A try that fails is made again after WRITE_EVERY, and that one must not be late either.
        return self._written_at + (WRITE_AT_LEAST - WRITE_EVERY) / self._jitter

    @property
    def replaces(self) -> int:
        """The generation of the ledger that a new one may replace; a later one was accepted, or another pod's, in between."""
        return self._standing.generation if self._standing else 0

    def compose(self, moment: Moment, pod: str | None, node: str | None) -> Ledger:
        """The ledger as it is to be written."""
        now = rfc3339(moment.wall)
        reference = self.reference or Reference(0, {}, 0, now)
        return Ledger(self.marker_id, self.generation, reference, self.files, now, pod, node)

    def numbered(self) -> Ledger | None:
        """The ledger that stands with the generation of the next incident, and nothing else of it; None where it has it."""
        standing = self._standing
        if standing is None or standing.generation >= self.generation:
            return None
        return replace(standing, generation=self.generation)

    def tried(self, moment: Moment, written: Ledger | None) -> None:
        """A write was tried; what stands on the volume now, None where nothing was written."""
        self._written_at = moment.at
        self._failed = written is None
        if written is not None:
            self._standing = written

    def is_accepted(self, ledger: Ledger) -> bool:
        """Whether somebody accepted what is there; another watcher's recovery leaves the reference as it is."""
        return self.is_later(ledger) and not _alike(ledger.reference, self.reference)

    def is_later(self, ledger: Ledger) -> bool:
        """Whether it has a later generation than what stood there."""
        # A recovery of this watcher's own may not be written down yet.
        return ledger.generation > (self._standing.generation if self._standing else self.generation)

    def missed(self) -> None:
        """Takes that no usable ledger stands on the volume any more."""
        self._standing = None

    def seen(self, moment: Moment, standing: Ledger) -> None:
        """Takes what another watcher of this volume wrote: the last writer wins."""
        # Not the whole: a ledger may have been too large to be read back as it was written.
        if self._standing is not None and _writing(standing) == _writing(self._standing):
            return
        self._standing = standing
        self._written_at = max(self._written_at, moment.at)
        self.generation = max(self.generation, standing.generation)
        if self.reference is None or standing.reference.files >= self.reference.files:
            self.reference = standing.reference

    def _candidate(self, moment: Moment) -> Reference | None:
        """The baseline as a reference, where it may replace the one that stands; its empty files are not known yet."""
        baseline = self.baseline(moment)
        if baseline is None:
            return None
        candidate = new_reference(self.reference, baseline, rfc3339(moment.wall))
        return candidate if self._may_replace(moment, candidate) else None

    def _may_replace(self, moment: Moment, candidate: Reference) -> bool:
        """Whether it is at least as large, also in files that are not empty; or the one that stands is too old."""
        last = self.reference
        if last is None:
            return True
        files = candidate.files - last.files
        if files >= 0 and candidate.empty - last.empty <= files:
            return True
        age = moment.wall - datetime.fromisoformat(last.recorded.upper())
        return age.total_seconds() > self._window

    def _files(self, census: FileCount) -> int:
        """Files of a count, where folders that can't be read keep their last."""
        return kept_files(self.reference, census)[0] if self.reference else census.files


def rfc3339(wall: datetime) -> str:
    """As it stands in the guard's documents: seconds, and Z for UTC."""
    return wall.isoformat(timespec="seconds").replace("+00:00", "Z")


def _same(one: Reference, other: Reference | None) -> bool:
    return other is not None and (one.files, dict(one.entries)) == (other.files, dict(other.entries))


def _alike(one: Reference, other: Reference | None) -> bool:
    return other is not None and _same(one, other) and one.empty == other.empty


def _writing(ledger: Ledger) -> tuple[str, int, int, str | None, str | None]:
    return ledger.written, ledger.generation, ledger.files, ledger.pod, ledger.node
