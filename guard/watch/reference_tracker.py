"""The reference: what became of the files of its sample since it was made, and when it is counted again. Pure."""

from collections.abc import Mapping
from random import Random

from guard.volume.ledger import Reference
from guard.volume.loss import LossRule, State, states_of
from guard.volume.sample import FileCheck, SampledFile
from guard.watch.episode import NEVER

#: Sampled files that each look checks.
_FILES_A_LOOK = 8
#: Counts may take this share of the time.
_SHARE = 0.01
#: A count that confirms a loss may take this share of the time.
_CONFIRMING_SHARE = 0.05
#: ... but so many seconds after the last one, the next loss waits for it no longer.
_CONFIRMED_WITHIN = 60.0
#: Seconds after which a count that failed is tried again: once, and then each time.
_RETRY = (1.0, 10.0)
#: Seconds between two counts of a content that changes, and where it changed by a tenth.
_RENEW_EVERY = 60.0
_RENEW_SOON = 10.0


class SampleTracker:
    """The sampled files, as far as they were checked.

    Attributes:
        reference: What losses are judged against; None before the first count of a volume without a ledger.
        states: What became of the files that were checked since the reference was made.
        settled: Paths of the files that earlier episodes lost.
    """

    def __init__(self, rule: LossRule, seed: int) -> None:
        self.reference: Reference | None = None
        self.states: dict[str, State] = {}
        self.settled: set[str] = set()
        self._rule = rule
        self._random = Random(seed)  # noqa: S311 - an order, not a secret
        self._order: list[SampledFile] = []
        self._by_path: dict[str, SampledFile] = {}

    def replace(self, reference: Reference | None) -> None:
        """Replaces the reference by one that was declared or read; what was lost against the last one is forgotten."""
        self.reference = reference
        self.settled = set()
        self.forget_states()

    def renew(self, reference: Reference) -> None:
        """Replaces the reference by that of a count here; what earlier episodes lost is not lost again."""
        self.reference = reference
        self.settled &= {file.path for file in reference.sample}
        self.forget_states()

    def forget_states(self) -> None:
        """Drops what was seen of the files."""
        self.states = {}
        self._order = []
        self._by_path = {file.path: file for file in self.files}

    @property
    def files(self) -> tuple[SampledFile, ...]:
        """All of them."""
        return self.reference.sample if self.reference else ()

    def next_files(self) -> tuple[SampledFile, ...]:
        """Returns the few files that the next look checks."""
        if not self._order:
            self._order = self._random.sample(self.files, len(self.files))
        few, self._order = self._order[:_FILES_A_LOOK], self._order[_FILES_A_LOOK:]
        return tuple(few)

    def on_check(self, checks: Mapping[str, FileCheck]) -> dict[str, State]:
        """Handles the files that a look checked; returns what became of them."""
        states = states_of(self._rule, (self._by_path[path] for path in checks if path in self._by_path), checks)
        self.states |= states
        self.settled -= {path for path, state in states.items() if state is State.KEPT}
        return states

    def newly_lost(self, states: Mapping[str, State]) -> set[str]:
        """Returns the paths of lost files that no earlier episode lost."""
        return {path for path, state in states.items() if state is State.LOST} - self.settled

    @property
    def is_worn(self) -> bool:
        """Whether earlier episodes left too little of the sample to judge a wipe by, unless the volume is empty."""
        return len(self.files) - len(self.settled) < self._rule.shrink * len(self.files)

    @property
    def kept_ratio(self) -> float:
        """The share of the files that is at its place, as far as it was checked; 1 where there is no sample."""
        judged = [state for state in self.states.values() if state is not State.UNKNOWN]
        return sum(state is State.KEPT for state in judged) / len(judged) if judged else 1.0


class CountSchedule:
    """When the next full count is due.

    Attributes:
        failures: Counts that failed in a row.
    """

    def __init__(self, jitter: float) -> None:
        self._jitter = jitter
        self._wanted = NEVER
        self._done = self._confirmed = float("-inf")
        self._seconds = 0.0
        self.failures = 0

    def due(self, *, confirming: bool) -> float:
        """Returns when a count may be made; one that a loss waits for is held back only by the last one of its kind."""
        if confirming:
            return max(self._wanted, self._confirmed + min(self._seconds / _CONFIRMING_SHARE, _CONFIRMED_WITHIN))
        return max(self._wanted, self._done + self._jitter * self._seconds / _SHARE)

    def want(self, at: float) -> None:
        """Asks for a count at a time on the monotonic clock, or sooner if one was asked for sooner."""
        self._wanted = min(self._wanted, at)

    def renew(self, *, soon: bool) -> None:
        """Asks for a count of a content that changes: not too soon after the last one."""
        self.want(self._done + self._jitter * (_RENEW_SOON if soon else _RENEW_EVERY))

    def on_count(self, now: float, seconds: float, *, confirming: bool) -> None:
        """Handles a count that ends now and took so many seconds."""
        self._wanted, self._done, self._seconds, self.failures = NEVER, now, seconds, 0
        if confirming:
            self._confirmed = now

    def on_other_mount(self, now: float) -> None:
        """Handles a count during which the mount changed."""
        self._wanted = now + _RETRY[0]

    def on_failure(self, now: float) -> None:
        """Handles a count that failed."""
        self._wanted = now + _RETRY[min(self.failures, 1)]
        self.failures += 1
