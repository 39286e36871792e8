"""When the tripwire is armed, and what is said of it. Pure: arming itself is the prober's."""

import re

from guard.watch.sightings import TripwireState

#: Above so many folders there is no tripwire: arming and following it would cost more than looking.
FOLDERS = 10_000
#: Seconds before a tripwire that a storm took down is armed again; doubled while it trips again soon.
_BACK_OFF = 0.5
_LONGEST_BACK_OFF = 30.0
#: A tripwire that trips within so many seconds of its arming tripped again at once.
_AT_ONCE = 30.0
#: Seconds between two tries to heal a blind one, doubled up to the longest.
_HEAL = 60.0
_LONGEST_HEAL = 900.0
#: A folder that is new has its watch within so many seconds.
_CATCH_UP = 0.3
_OUTGROWN = "too many folders"


class Wiring:
    """What is known of the tripwire."""

    def __init__(self) -> None:
        self._tried_at = float("-inf")
        self._lost = False  # once already, since it last held
        self._due = float("-inf")
        self._back_off = _BACK_OFF
        self._heal = _HEAL
        self._blind = ""
        self._said: frozenset[str] = frozenset()
        self._unwatched: frozenset[int | str] = frozenset()
        self._unwatched_at = float("-inf")
        self._gapped = False  # it is to be armed anew, to watch what it does not
        self._gap_pause = 0.0
        self.armed = False
        self.stormed = False  # down since a storm: what happens meanwhile nobody sees
        self.folders: int | None = None

    @property
    def too_large(self) -> bool:
        """Whether the tree is left to looks and counts alone."""
        return self.folders is not None and self.folders > FOLDERS

    def counted(self, folders: int) -> bool:
        """Takes how many folders there are; whether it is to be said that the tree outgrew its tripwire.

        What it is at the first count is said with the start of the watch. A tripwire that stands is left to stand.
        """
        first, self.folders = self.folders is None, folders
        return self.too_large and not self.armed and bool(self._once(_OUTGROWN)) and not first

    @property
    def complete(self) -> bool:
        """Whether every folder is watched."""
        return self.armed and not self._blind

    @property
    def in_doubt(self) -> bool:
        """Whether the last count found folders without a watch: another one tells whether they are only new."""
        return bool(self._unwatched)

    def due(self) -> float | None:
        """When it is to be armed, on the monotonic clock; None where it is up or not to be had."""
        if self.too_large or (self.complete and not self._gapped):
            return None
        return self._due

    def compared(self, now: float, unwatched: frozenset[int | str]) -> None:
        """Takes which folders of a count a standing tripwire does not see.

        What two counts in a row found is not only new: it is armed anew, and arming says whether it is blind.
        """
        still = unwatched & self._unwatched
        if not still:
            self._unwatched, self._unwatched_at = unwatched, now
        else:
            self._unwatched = still
        if not unwatched:
            self._gapped = False
            self._gap_pause = 0.0 if now - self._tried_at >= _HEAL else self._gap_pause
        if not still or now - self._unwatched_at < _CATCH_UP or not self.complete or self._gapped:
            return
        if self.too_large:
            self.armed = False  # nor would a new one see it all
        else:
            # A tree in which folders always come and go is not armed for ever.
            self._gapped, self._due = True, now + self._gap_pause
            self._gap_pause = min(max(_HEAL, 2 * self._gap_pause), _LONGEST_HEAL)

    def storm(self, now: float) -> None:
        """A storm took it down."""
        if not self.armed:
            return
        self._back_off = min(2 * self._back_off, _LONGEST_BACK_OFF) if now - self._tried_at < _AT_ONCE else _BACK_OFF
        self.armed, self.stormed = False, True
        self._due = now + self._back_off

    def tried(self, now: float, state: TripwireState) -> str:
        """It was armed, or could not be; why it is blind, as a clause, where that is to be said."""
        self._tried_at = now
        self._gapped, self._unwatched, self.stormed = False, frozenset(), False
        self.armed = state.armed or state.tripped
        if state.tripped:
            self.storm(now)
            return ""
        self._blind = state.blind
        return self._heal_later(now, state.blind) if state.blind else ""

    def seen(self, now: float, state: TripwireState) -> str:
        """A look saw it; why it is blind, as a clause, where that is to be said."""
        if state.tripped:
            self.storm(now)
        elif self.armed and not state.armed:
            return self.lost(now, state.blind or "its prober ended")
        elif self.complete and now - self._tried_at >= _HEAL:
            self._lost, self._heal, self._said = False, _HEAL, frozenset()  # it holds: what comes later is news
        return ""

    def lost(self, now: float, why: str) -> str:
        """It ended, or its prober did and took it along; the reason, where that is to be said."""
        again, self._lost = self._lost, True
        self.armed, self._tried_at, self._due = False, now, now
        return self._heal_later(now, why) if again else self._once(why)

    def stuck(self, now: float, why: str) -> str:
        """Arming it made no progress; the reason, where that is to be said."""
        self.armed, self._tried_at = False, now
        return self._heal_later(now, why)

    def moved(self, now: float) -> None:
        """Another mount is in force: whatever is armed watches nothing of it."""
        self.armed, self._due = False, now

    def _heal_later(self, now: float, why: str) -> str:
        self._due, self._heal = now + self._heal, min(2 * self._heal, _LONGEST_HEAL)
        return self._once(why)

    def _once(self, reason: str) -> str:
        # Numbers and names in it change from one try to the next; the reason does not.
        kind = re.sub(r"\d+", "", reason.partition(":")[0])
        if kind in self._said:
            return ""
        self._said |= {kind}
        return reason
