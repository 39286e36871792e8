"""When the tripwire is armed, and what is logged of it. Pure: arming itself is the prober's."""

import re

from guard.volume.observation import TripwireState

#: Above so many folders there is no tripwire: arming and following it would cost more than looking.
FOLDERS = 10_000
#: Seconds before a tripwire that a storm took down is armed again; doubled while it trips again soon.
_BACK_OFF = 0.5
_LONGEST_BACK_OFF = 30.0
#: A tripwire that trips within so many seconds of its arming tripped again at once.
_AT_ONCE = 30.0
#: Seconds between two armings where new folders could not be watched.
_CATCH_UP = 5.0
#: Seconds between two tries to arm one that could not be armed as a whole, doubled up to the longest.
_RETRY = 60.0
_LONGEST_RETRY = 900.0


class TripwireSupervisor:
    """What is known of the tripwire.

    Attributes:
        armed: It is up: removals are seen.
        folders: Folders at the last count; None before it.
    """

    def __init__(self) -> None:
        self.armed = False
        self.folders: int | None = None
        self._watches = 0
        self._due = float("-inf")
        self._armed_at = float("-inf")
        self._back_off = _BACK_OFF
        self._retry = _RETRY
        self._lost_at = float("-inf")
        self._blind = ""  # as it was armed
        self._reported: frozenset[str] = frozenset()

    @property
    def is_too_large(self) -> bool:
        """Whether the tree is left to looks and counts alone."""
        return self.folders is not None and self.folders > FOLDERS

    @property
    def is_complete(self) -> bool:
        """Whether every folder of the last count is watched."""
        return self.armed and not self._blind and self.folders is not None and self._watches > self.folders

    def due(self) -> float | None:
        """Returns when it is to be armed, on the monotonic clock; None where it is up, or not to be had."""
        return None if self.armed or self.is_too_large or self.folders is None else self._due

    def on_folders(self, now: float, folders: int) -> str:
        """Handles how many folders a count found: where some carry no watch, it is armed again.

        Returns why there is no tripwire any more, as a clause, where that is to be logged.
        """
        first, self.folders = self.folders is None, folders
        if self.is_too_large and not first:
            self.armed = False
            return self._once(f"it has more than {FOLDERS} folders")
        if self.armed and not self.is_complete and not self.is_too_large:
            if now - self._armed_at >= self._retry:
                self.armed, self._due = False, now
                self._retry = min(2 * self._retry, _LONGEST_RETRY)
        elif self.is_complete and now - self._armed_at >= self._retry:
            self._retry, self._reported = _RETRY, frozenset()
        return ""

    def on_armed(self, now: float, state: TripwireState) -> str:
        """Handles that it was armed, or could not be; why it is blind, as a clause, where that is to be logged."""
        self.armed, self._watches, self._armed_at, self._blind = state.armed, state.watches, now, state.blind
        if state.tripped:
            self.on_storm(now)
            return ""
        return "" if state.armed and not state.blind else self._retry_later(now, state.blind)

    def on_storm(self, now: float) -> None:
        """Handles that a storm took it down."""
        again = now - self._armed_at < _AT_ONCE
        self._back_off = min(2 * self._back_off, _LONGEST_BACK_OFF) if again else _BACK_OFF
        self.armed, self._due = False, now + self._back_off

    def on_look(self, now: float, state: TripwireState) -> str:
        """Handles what a look saw of it; why it is blind, as a clause, where that is to be logged."""
        if not self.armed:
            return ""
        self._watches = state.watches
        if state.tripped:
            self.on_storm(now)
        elif not state.armed:
            return self.on_lost(now, state.blind or "its process ended")
        elif state.blind and state.blind != self._blind:
            # A folder that is being made can be unreadable for a moment: whether it stays so, arming again tells.
            self.armed, self._due = False, max(now + _BACK_OFF, self._armed_at + _CATCH_UP)
        return ""

    def on_lost(self, now: float, why: str) -> str:
        """Handles that it ended, or that its prober did; the reason, where that is to be logged."""
        again, self._lost_at, self.armed = now - self._lost_at < _RETRY, now, False
        if again:
            return self._retry_later(now, why)
        self._due = now
        return self._once(why)

    def on_mount_change(self, now: float) -> None:
        """Handles that another mount is in force: whatever is armed watches nothing of it."""
        self.armed, self._due = False, now

    def _retry_later(self, now: float, why: str) -> str:
        self._due, self._retry = now + self._retry, min(2 * self._retry, _LONGEST_RETRY)
        return self._once(why)

    def _once(self, reason: str) -> str:
        # Numbers and names in it change from one try to the next; the reason does not.
        kind = re.sub(r"\d+", "", reason.partition(":")[0])
        if kind in self._reported:
            return ""
        self._reported |= {kind}
        return reason
