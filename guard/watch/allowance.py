"""How much counting is allowed: one per cent of the time on any tree, saved up for when it matters. Pure."""

#: Share of the time that counts may take in the long run.
SHARE = 0.01
#: Seconds of counting that can be saved up: enough for a wipe of a million files to be followed to its end.
SAVED = 5.0


class Allowance:
    """Seconds of counting that may still be spent; debts are waited for.

    Args:
        now: The monotonic clock.
    """

    def __init__(self, now: float) -> None:
        self._left = SAVED
        self._at = now

    def spend(self, now: float, seconds: float) -> None:
        """Takes what a count took."""
        self._left = self._at_time(now) - seconds
        self._at = now

    def free(self) -> float:
        """When a count is allowed again, on the monotonic clock; a time in the past means now."""
        return self._at if self._left >= 0 else self._at - self._left / SHARE

    def _at_time(self, now: float) -> float:
        return min(SAVED, self._left + max(0.0, now - self._at) * SHARE)
