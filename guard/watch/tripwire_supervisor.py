"""When the tripwire is armed, and what is logged of it. Pure: arming itself is the prober's."""

import re
from dataclasses import replace

from guard.volume.observation import FOLDERS, TripwireState
from guard.watch.episode import NEVER

#: Seconds before a tripwire that a storm took down is armed again; doubled while it trips again soon.
_AFTER_A_STORM = (0.5, 30.0)
#: The same for one that could not be armed as a whole, or whose prober dies again and again.
_AFTER_A_FAULT = (60.0, 900.0)
#: Seconds between two armings where new folders could not be watched.
_CATCH_UP = 5.0
#: Seconds that it must have been up, or else it failed again.
_AT_ONCE = 30.0


class TripwireSupervisor:
    """What is known of the tripwire.

    Attributes:
        folders: Folders at the last count; None before it.
    """

    def __init__(self) -> None:
        self.folders: int | None = None
        self._state = TripwireState()
        self._armed_at = float("-inf")
        self._lost_at = float("-inf")
        self._due = float("-inf")
        self._pause = 0.0
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
        return max(self._due, gone_at + _AFTER_A_STORM[0])

    def on_folders(self, now: float, folders: int) -> str:
        """Handles how many folders a count found: where some carry no watch, it is armed again.

        Returns why there is no tripwire any more, as a clause, where that is to be logged.
        """
        first, self.folders = self.folders is None, folders
        if folders > FOLDERS:
            self._go_down(now)
            return "" if first else self._once(f"it has more than {FOLDERS} folders")
        if self.is_complete and now - self._armed_at >= _AFTER_A_FAULT[0]:
            self._reported = frozenset()
        elif self.armed and not self.is_complete and now >= self._due:
            self._go_down(now)
        return ""

    def on_armed(self, now: float, state: TripwireState) -> str:
        """Handles that it was armed, or could not be; why it is blind, as a clause, where that is to be logged."""
        self._state, self._armed_at, self._due = state, now, now + _AFTER_A_FAULT[0]
        if state.tripped:
            self.on_storm(now)
        elif state.blind:
            self._due = now + self._longer(now, *_AFTER_A_FAULT)
            return self._once(state.blind)
        return ""

    def on_storm(self, now: float) -> None:
        """Handles that a storm took it down."""
        self._go_down(now + self._longer(now, *_AFTER_A_STORM))

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
            self._go_down(max(now + _AFTER_A_STORM[0], self._armed_at + _CATCH_UP))
        else:
            self._state = replace(self._state, watches=state.watches)
        return ""

    def on_lost(self, now: float, why: str) -> str:
        """Handles that it ended, or that its prober did; the reason, where that is to be logged."""
        again, self._lost_at = now - self._lost_at < _AFTER_A_FAULT[0], now
        self._go_down(now + (self._longer(now, *_AFTER_A_FAULT) if again else 0.0))
        return self._once(why)

    def on_mount_change(self, now: float) -> None:
        """Handles that another mount is in force: whatever is armed watches nothing of it."""
        self._go_down(now)

    def _go_down(self, due: float) -> None:
        self._state, self._due = TripwireState(), due

    def _longer(self, now: float, first: float, longest: float) -> float:
        """The pause before the next try: the first, or the last one doubled where it was not up in between."""
        was_up = self.armed and not self._state.blind and now - self._armed_at >= _AT_ONCE
        self._pause = first if was_up else min(max(2 * self._pause, first), longest)
        return self._pause

    def _once(self, reason: str) -> str:
        # Numbers and names in it change from one try to the next; the reason does not.
        kind = re.sub(r"\d+", "", reason.partition(":")[0])
        if kind in self._reported:
            return ""
        self._reported |= {kind}
        return reason
