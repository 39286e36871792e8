"""When a full count and a write of the ledger are due. Pure; time is a parameter."""

from dataclasses import replace

from guard.volume.ledger import Ledger, Reference
from guard.volume.loss import KNOWN
from guard.volume.timestamp import seconds_of

#: Counts may take this share of the time.
_SHARE = 0.01
#: A count that confirms a loss may take this share of the time.
_CONFIRMING_SHARE = 0.05
#: ... but so many seconds after the last one, the next loss waits for it no longer.
_CONFIRMED_WITHIN = 60.0
#: Seconds after which a count that failed is tried again: once, and then each time.
_RETRY = (1.0, 10.0)
#: Seconds between two counts of a content that changes, and where it changed by a tenth.
RENEW_EVERY = 60.0
RENEW_SOON = 10.0

#: The ledger is written at most once in so many seconds ...
WRITE_EVERY = 60.0
#: ... however quiet the volume is, at least once in so many ...
WRITE_AT_LEAST = 900.0
#: ... and within so many after the number of files changed by this share.
WRITE_SOON = 2.0
GREW_OR_FELL = 0.1


class CountSchedule:
    """When the next full count is due.

    Args:
        jitter: From 1.0 to 1.1: many watchers of one volume must not count at once.
    """

    def __init__(self, jitter: float) -> None:
        self._jitter = jitter
        self._wanted: float | None = None
        self._done = self._confirmed = float("-inf")
        self._seconds = 0.0
        self._failures = 0

    def due(self, *, confirming: bool) -> float | None:
        """Returns when a count may be made; None where none is wanted.

        Args:
            confirming: Whether a loss waits for it: then only the last count for a loss holds it back.
        """
        if self._wanted is None:
            return None
        if confirming:
            return max(self._wanted, self._confirmed + min(self._seconds / _CONFIRMING_SHARE, _CONFIRMED_WITHIN))
        return max(self._wanted, self._done + self._jitter * self._seconds / _SHARE)

    def want(self, at: float) -> None:
        """Asks for a count at a time on the monotonic clock, or sooner if one was asked for sooner."""
        self._wanted = at if self._wanted is None else min(self._wanted, at)

    def renew(self, *, soon: bool) -> None:
        """Asks for a count of a content that changes: not too soon after the last one."""
        self.want(self._done + self._jitter * (RENEW_SOON if soon else RENEW_EVERY))

    def on_count(self, now: float, seconds: float, *, confirming: bool) -> None:
        """Handles a count that ends now and took so many seconds."""
        self._wanted, self._done, self._seconds, self._failures = None, now, seconds, 0
        if confirming:
            self._confirmed = now

    def on_failure(self, now: float) -> int:
        """Handles a count that failed; returns how many did in a row."""
        self._wanted = now + _RETRY[min(self._failures, 1)]
        self._failures += 1
        return self._failures


class LedgerSchedule:
    """When the ledger is to be written.

    Attributes:
        stored: The ledger on the volume, as it was last read or written; None where there is none.

    Args:
        jitter: From 1.0 to 1.1: many watchers of one volume must not write at once.
    """

    def __init__(self, jitter: float) -> None:
        self.stored: Ledger | None = None
        self._jitter = jitter
        self._tried = float("-inf")
        self._failed = False
        self._urgent = False
        self._asked: tuple[object, ...] | None = None
        self._answer = 0.0

    def due(self, ledger: Ledger) -> float:
        """Returns when this ledger is to be written, on the monotonic clock; a time in the past means now."""
        if self._failed:
            return self._tried + self._jitter * WRITE_EVERY
        stored = self.stored
        if self._urgent or stored is None:
            return self._tried + WRITE_SOON
        return self._tried + self._pause(stored, ledger)

    def _pause(self, stored: Ledger, ledger: Ledger) -> float:
        """How long the stored ledger may stay as it is. Asked often, and a sample is long."""
        asked = (stored, ledger.reference, ledger.generation, ledger.incident)
        if self._asked is None or any(one is not other for one, other in zip(asked, self._asked, strict=True)):
            self._asked, self._answer = asked, self._find_pause(stored, ledger)
        return self._answer

    def _find_pause(self, stored: Ledger, ledger: Ledger) -> float:
        same, before = _is_same(stored, ledger), stored.reference.files
        if not same and abs(ledger.reference.files - before) >= GREW_OR_FELL * before:
            return WRITE_SOON
        if not same or _has_young_files(stored):
            return self._jitter * WRITE_EVERY
        # A write that fails is tried again after WRITE_EVERY, and that one must not be late either.
        return (WRITE_AT_LEAST - WRITE_EVERY) / self._jitter

    def write_now(self) -> None:
        """Asks for a write at once: an incident opened or ended."""
        self._urgent, self._failed, self._tried = True, False, min(self._tried, self._tried - WRITE_SOON)

    def on_write(self, now: float, written: Ledger | None) -> None:
        """Handles a write that was tried; what lies on the volume now, None where it failed."""
        self._tried, self._failed = now, written is None
        if written is not None:
            self.stored, self._urgent = written, False

    def on_other_write(self, now: float, ledger: Ledger) -> None:
        """Handles a ledger that another watcher of this volume wrote."""
        self.stored = ledger
        self._tried = max(self._tried, now)


def _is_same(one: Ledger, other: Ledger) -> bool:
    """Whether nothing but times and mtimes differs."""
    return (one.generation, one.incident) == (other.generation, other.incident) and _plain(one.reference) == _plain(
        other.reference
    )


def _has_young_files(ledger: Ledger) -> bool:
    """Whether files were not yet known when it was written: if the pod is killed, a gate could not miss them."""
    written = seconds_of(ledger.written)
    return any(written - KNOWN < file.since <= written for file in ledger.reference.sample)


def _plain(reference: Reference) -> Reference:
    sample = sorted(reference.sample, key=lambda file: file.path)
    return replace(reference, counted="", sample=tuple(replace(file, mtime=0) for file in sample))
