"""Ledger and hold as the watcher finds them: accepted, adopted again, another watcher's, or out of an archive. Pure."""

from enum import Enum

from guard.pod import PodInfo
from guard.volume.hold import Hold
from guard.volume.ledger import Ledger
from guard.volume.observation import InvalidDocument
from guard.volume.timestamp import seconds_of

#: Seconds by which the clocks of two nodes may differ.
_CLOCKS_DIFFER = 300.0


class LedgerNews(Enum):
    """How a ledger differs from the last one seen."""

    NOTHING = "nothing"
    FIRST = "first"
    ACCEPTED = "accepted"
    ADOPTED = "adopted"
    RECOVERED = "recovered"
    UPDATED = "updated"
    STALE = "stale"


class DocumentTracker:
    """What is known of the documents on one volume.

    Attributes:
        stored: The ledger on the volume, as it was last read or written; None where there is none.
        marker_id: The marker that the ledger belongs to; empty before one was seen.
        generation: Of the ledger that is to be written; an open incident's ID is made of it. It is ahead of the one on the
            volume until it is written, and stays so where this pod may not write.
        hold: Announced work; None where there is none, or a stale one.
        stale_hold: A hold that came out of an archive is on the volume: it is not obeyed.
    """

    def __init__(self, volume: str, pod: PodInfo) -> None:
        self.stored: Ledger | None = None
        self.marker_id = ""
        self.generation = 1
        self.hold: Hold | InvalidDocument | None = None
        self.stale_hold = False
        self._volume = volume
        self._pod = pod
        self._seen = 1  # the latest generation on the volume
        self._declared = 0.0  # when a person last declared the content right, in seconds since 1970
        self._stale: Ledger | None = None

    def on_ledger(self, marker_id: str, ledger: Ledger | None) -> LedgerNews:
        """Handles the usable ledger of a look, and the marker beside it, or the one that the ledger names."""
        stored = self.stored
        if marker_id != self.marker_id:
            news = LedgerNews.ADOPTED if self.marker_id else LedgerNews.FIRST
            self.marker_id, self.generation = marker_id, ledger.generation if ledger else 1
            self.stored, self._seen, self._declared = ledger, self.generation, _declared(ledger)
            return news
        if ledger is None:
            self.stored = None
            return LedgerNews.NOTHING
        if ledger in (stored, self._stale):
            return LedgerNews.NOTHING
        if ledger.generation < self._seen or self._went_back(stored, ledger):
            self._stale, self.stored = ledger, None
            return LedgerNews.STALE
        is_next = ledger.generation > self._seen
        is_accepted = is_next and _declared(ledger) > self._declared
        is_recovered = is_next and ledger.generation > self.generation
        self.on_stored(ledger)
        self.generation = max(self.generation, ledger.generation)
        if is_accepted:
            return LedgerNews.ACCEPTED
        return LedgerNews.RECOVERED if is_recovered else LedgerNews.UPDATED

    def on_stored(self, ledger: Ledger) -> None:
        """Handles that this ledger is on the volume now: this watcher wrote it, or somebody else."""
        self.stored, self._seen, self._declared = ledger, ledger.generation, _declared(ledger)

    def _went_back(self, stored: Ledger | None, ledger: Ledger) -> bool:
        if stored is None:
            return False
        apart = seconds_of(stored.written) - seconds_of(ledger.written)
        same_writer = ledger.pod == self._pod.pod and ledger.pod == stored.pod
        return apart > (0 if same_writer else _CLOCKS_DIFFER)

    def on_hold(self, hold: Hold | InvalidDocument | None) -> bool:
        """Handles the hold of a look; True where it is one out of an archive that is to be reported."""
        if hold == self.hold:
            self.stale_hold = self.stale_hold and hold is not None
            return False
        stale = isinstance(hold, Hold) and bool(self.marker_id) and hold.generation < self._seen
        news = stale and not self.stale_hold
        self.stale_hold = stale
        self.hold = None if stale else hold
        return news

    @property
    def replaces(self) -> int:
        """The generation of the ledger that may be replaced: a later one was accepted in between."""
        return self.stored.generation if self.stored else self.generation

    @property
    def incident_id(self) -> str:
        """The ID that every pod on this volume gives to the incident of this generation."""
        return f"{self.marker_id or self._volume}.{self.generation}"

    def next_generation(self) -> None:
        """Handles that an incident is over: the next one has another ID, the same in every pod."""
        self.generation += 1


def _declared(ledger: Ledger | None) -> float:
    return seconds_of(ledger.reference.declared) if ledger and ledger.reference.declared else 0.0
