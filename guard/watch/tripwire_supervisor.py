"""When the tripwire is armed, and what is logged of it. Pure: arming itself is the prober's."""

import re
from dataclasses import replace

from guard.volume.observation import FOLDERS, TripwireState
from guard.watch.episode import NEVER

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
        folders: Folders at the last count; None before it.
    """

    def __init__(self) -> None:
        self.folders: int | None = None
        self._state = TripwireState()
        self._due = float("-inf")
        self._armed_at = float("-inf")
        self._lost_at = float("-inf")
        self._back_off = _BACK_OFF
        self._retry = _RETRY
        self._reported: frozenset[str] = frozenset()

    @property
    def armed(self) -> bool:
        """Whether it is up: removals are seen."""
        return self._state.armed

    @property
    def is_complete(self) -> bool:
        """Whether every folder of the last count is watched."""
        state = self._state
        return state.armed and not state.blind and self.folders is not None and state.watches > self.folders

    def due(self, gone_at: float) -> float:
        """Returns when it is to be armed, on the monotonic clock.

        Args:
            gone_at: When a name was last seen to go: while a storm goes on, it would only trip again.
        """
        if self.armed or self.folders is None or self.folders > FOLDERS:
            return NEVER
        return max(self._due, gone_at + self._back_off)

    def on_folders(self, now: float, folders: int) -> str:
        """Handles how many folders a count found: where some carry no watch, it is armed again.

        Returns why there is no tripwire any more, as a clause, where that is to be logged.
        """
        first, self.folders = self.folders is None, folders
        if folders > FOLDERS:
            self._go_down(now)
            return "" if first else self._once(f"it has more than {FOLDERS} folders")
        if self.armed and now - self._armed_at >= self._retry:
            if self.is_complete:
                self._retry, self._reported = _RETRY, frozenset()
            else:
                self._go_down(now)
                self._retry = min(2 * self._retry, _LONGEST_RETRY)
        return ""

    def on_armed(self, now: float, state: TripwireState) -> str:
        """Handles that it was armed, or could not be; why it is blind, as a clause, where that is to be logged."""
        self._state, self._armed_at = state, now
        if state.tripped:
            self.on_storm(now)
            return ""
        return "" if state.armed and not state.blind else self._retry_later(now, state.blind)

    def on_storm(self, now: float) -> None:
        """Handles that a storm took it down."""
        again = now - self._armed_at < _AT_ONCE
        self._back_off = min(2 * self._back_off, _LONGEST_BACK_OFF) if again else _BACK_OFF
        self._go_down(now + self._back_off)

    def on_look(self, now: float, state: TripwireState) -> str:
        """Handles what a look saw of it; why it is blind, as a clause, where that is to be logged."""
        if not self.armed:
            return ""
        if state.tripped:
            self.on_storm(now)
        elif not state.armed:
            return self.on_lost(now, state.blind or "its process ended")
        elif state.blind and state.blind != self._state.blind:
            # A folder that is being made can be unreadable for a moment: whether it stays so, arming again tells.
            self._go_down(max(now + _BACK_OFF, self._armed_at + _CATCH_UP))
        else:
            self._state = replace(self._state, watches=state.watches)
        return ""

    def on_lost(self, now: float, why: str) -> str:
        """Handles that it ended, or that its prober did; the reason, where that is to be logged."""
        again, self._lost_at = now - self._lost_at < _RETRY, now
        self._go_down(now)
        return self._retry_later(now, why) if again else self._once(why)

    def on_mount_change(self, now: float) -> None:
        """Handles that another mount is in force: whatever is armed watches nothing of it."""
        self._go_down(now)

    def _go_down(self, due: float) -> None:
        self._state, self._due = TripwireState(), due

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
