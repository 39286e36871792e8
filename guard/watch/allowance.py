"""How much counting is allowed: one per cent of the time on any tree, saved up for when it matters. Pure."""

#: Share of the time that counts may take in the long run.
SHARE = 0.01
#: Seconds of counting that can be saved up: enough for a wipe of a million files to be followed to its end.
SAVED = 5.0
#: Seconds of it that only a loss in sight may touch: what is left then is cheap to count, and must not wait.
RESERVE = 1.0


class Allowance:
    """Seconds of counting that may still be spent; debts are waited for.

    Args:
        now: The monotonic clock.
    """

    def __init__(self, now: float) -> None:
        self._left = SAVED
        self._reserve = RESERVE
        self._at = now

    def spend(self, now: float, seconds: float) -> None:
        """Takes what a count took that ends now; one that could not wait for a debt is paid from the reserve."""
        self._earn(now - seconds)
        if self._left >= 0:
            self._left -= seconds
        else:
            self._reserve -= seconds

    def free(self) -> float:
        """When a count is allowed again, on the monotonic clock; a time in the past means now."""
        return self._at if self._left >= 0 else self._at + (RESERVE - self._reserve - self._left) / SHARE

    def spare(self) -> float:
        """When a count is allowed that nothing asks for: half of what can be saved stays for when it matters."""
        missing = SAVED / 2 - self._left
        return self._at if missing <= 0 else self._at + (RESERVE - self._reserve + missing) / SHARE

    def reserve_free(self) -> float:
        """When a count is allowed again that can't wait."""
        return min(self.free(), self._at if self._reserve >= 0 else self._at - self._reserve / SHARE)

    def _earn(self, now: float) -> None:
        earned = max(0.0, now - self._at) * SHARE
        to_reserve = min(earned, RESERVE - self._reserve)
        self._reserve += to_reserve
        self._left = min(SAVED, self._left + earned - to_reserve)
        self._at = max(self._at, now)
