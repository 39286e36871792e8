"""When a change of the content is over, and what it is judged by. Pure; time is a parameter.

An episode starts with the first sign of a change and ends when each sampled file was as kept or lost as GUARD_SETTLE
before and no name went in between. From CEILING on a wipe is reported as it stands; anything less waits while lost files
come back, and a slow removal while it goes on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from guard.volume.loss import State
from guard.volume.timestamp import Timestamp

#: Seconds after the first sign at which a wipe is reported, whatever is being written.
CEILING = 60.0
#: Seconds after the first sign for which anything less waits while lost files come back.
RETURNING = 600.0
#: Where all is quiet, so many seconds after the last one came back: of a large folder, few files are in the sample.
_RETURN_PAUSE = 10.0
#: Seconds after the first sign for which a removal that goes on is one loss.
SLOW_REMOVAL = 1200.0
#: A removal is slow, and not a rotation, once the number of files fell to this share.
FELL_TO = 0.9
#: Seconds between two checks where no event tells that names go.
_PACE = 0.4
#: Seconds between two checks from CEILING on.
_LATE_PACE = 5.0


#: When nothing is due.
NEVER = float("inf")


class Trigger(Enum):
    """What gave the first sign of a change."""

    START = "start"
    EVENTS = "events"
    MOUNT_TABLE = "mount-table"
    LOOK = "look"


class Phase(Enum):
    """What an episode asks for after a check."""

    GOES_ON = "goes on"
    STABLE = "stable"
    LATE = "late"


@dataclass
class Episode:
    """One change of the content.

    Attributes:
        first_sign: When the first sign was seen.
        known_before: The same in seconds since 1970: files that were there long enough before it are known.
        trigger: What gave it.
        states: What became of the sampled files at the last check.
        stable_since: Since when nothing changed, on the monotonic clock.
        gone_at: When a name was last seen to go.
        returned_at: When a lost file last came back.
        checked_at: When the last check was made.
        is_confirming: A loss in sight waits for a count.
    """

    first_sign: Timestamp
    known_before: float
    trigger: Trigger
    states: Mapping[str, State] = field(default_factory=dict)
    stable_since: float = NEVER
    gone_at: float = float("-inf")
    returned_at: float = float("-inf")
    checked_at: float = float("-inf")
    is_confirming: bool = False

    def on_removal(self, now: float) -> None:
        """Handles that a name went."""
        self.gone_at = now

    def on_check(self, now: float, states: Mapping[str, State], settle: float, *, names_fell: bool) -> Phase:
        """Handles a check of all sampled files.

        Args:
            now: The monotonic clock.
            states: What became of them.
            settle: GUARD_SETTLE, in seconds.
            names_fell: Whether the file system holds fewer names than at the last check.
        """
        last, self.states = self.states, states
        if names_fell:
            self.gone_at = max(self.gone_at, now)
        if any(last.get(path) is State.LOST and state is State.KEPT for path, state in states.items()):
            self.returned_at = now
        if self.gone_at > self.checked_at:
            self.stable_since = self.gone_at
        elif states != last or self.checked_at == float("-inf"):
            self.stable_since = now
        self.checked_at = now
        if now - self.stable_since >= settle:
            return Phase.STABLE
        return Phase.LATE if now - self.first_sign.at >= CEILING else Phase.GOES_ON

    def next_check(self, now: float, settle: float, *, armed: bool) -> float:
        """Returns when the sampled files are to be checked again, on the monotonic clock.

        Args:
            now: The monotonic clock.
            settle: GUARD_SETTLE, in seconds.
            armed: Whether events tell that names go: then it is enough to look when all is quiet.
        """
        if self.checked_at == float("-inf"):
            return self.first_sign.at
        if now - self.first_sign.at >= CEILING:
            return self.checked_at + max(settle, _LATE_PACE)
        paced = self.checked_at + min(_PACE, settle / 2)
        quiet = max(self.stable_since, self.gone_at) + settle
        if quiet <= self.checked_at:  # it waits for files that were coming back
            return paced
        due = quiet if armed else min(quiet, paced)
        return min(due, self.first_sign.at + CEILING)

    def is_returning(self, now: float) -> bool:
        """Returns whether less than a wipe is too early to be judged, though all is quiet: lost files were coming back."""
        return now - self.first_sign.at < RETURNING and now - self.returned_at < _RETURN_PAUSE

    def goes_on(self, now: float, files: int, before: int) -> bool:
        """Returns whether less than a wipe is still too early to be judged, from CEILING on.

        Args:
            now: The monotonic clock.
            files: Files now.
            before: Files of the reference.
        """
        age = now - self.first_sign.at
        returning = age < RETURNING and now - self.returned_at < CEILING
        going = now - self.gone_at < CEILING
        return returning or (age < SLOW_REMOVAL and going and files <= FELL_TO * before)
