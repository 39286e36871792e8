"""The content of one volume as the watcher follows it: reference, episode, loss and recovery. Pure; time is a parameter.

What is judged here is only which files there are. What is wrong with mount, marker or disk is the `conditions` module's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from guard.volume.ledger import LedgerIncident, Reference
from guard.volume.loss import Content, Loss, LossRule, State, Verdict, is_over, judge_loss, known_files, states_of
from guard.volume.observation import CountOptions, FileCount, Space
from guard.volume.reference import new_reference, search_options, without_ignored
from guard.volume.sample import FileCheck, SampledFile
from guard.volume.timestamp import Timestamp, rfc3339, seconds_of
from guard.watch.episode import FELL_TO, Episode, Phase, Trigger
from guard.watch.schedules import GREW_OR_FELL, CountSchedule

#: Sampled files that each look checks.
FILES_A_LOOK = 8
#: Seconds within which a shrink that returns is reported as recovered.
SHRINK_RETURNS = 600.0


@dataclass(frozen=True)
class Judged:
    """A loss that is to be reported.

    Attributes:
        loss: The verdict, wiped or shrunk.
        trigger: What gave the first sign.
        first_sign: When, RFC 3339.
        settled: When it was judged.
    """

    loss: Loss
    trigger: Trigger
    first_sign: str
    settled: Timestamp


@dataclass(frozen=True)
class Returned:
    """What was lost is back.

    Attributes:
        kept: Sampled files that are there.
        checked: Of so many.
        since: The first sign of the loss, in seconds since 1970.
        wiped: Whether it was a wipe; otherwise a shrink.
    """

    kept: int
    checked: int
    since: float
    wiped: bool


@dataclass(frozen=True)
class _Shrink:
    """A shrink that may still return."""

    lost: tuple[SampledFile, ...]
    first_sign: float
    until: float


class ContentTracker:
    """Which files there are, against those that were known.

    Attributes:
        reference: What losses are judged against; None before the first count of a volume without a ledger.
        count: The last count; None before it.
        episode: The change that is going on; None while all is quiet.
        incident: The open loss; None where there is none.
        states: What became of the sampled files that were checked since the reference was made.
        frozen: The volume is held: nothing replaces the reference.
        confirming: A loss in sight waits for a count.

    Args:
        rule: The settings.
        settle: GUARD_SETTLE, in seconds.
        ignore: GUARD_IGNORE.
        jitter: From 1.0 to 1.1.
        seed: For the order in which looks go through the sample.
    """

    def __init__(self, rule: LossRule, settle: float, ignore: tuple[str, ...], jitter: float, seed: int) -> None:
        self.schedule = CountSchedule(jitter)
        self.reference: Reference | None = None
        self.count: FileCount | None = None
        self.episode: Episode | None = None
        self.incident: LedgerIncident | None = None
        self.states: dict[str, State] = {}
        self.frozen = False
        self.confirming = False
        self._check_all = False
        self._rule = rule
        self._settle = settle
        self._ignore = ignore
        self._random = Random(seed)  # noqa: S311 - an order, not a secret
        self._order: list[SampledFile] = []
        self._settled: set[str] = set()  # files that earlier episodes lost
        self._shrink: _Shrink | None = None
        self._uncommitted: FileCount | None = None  # a count that waits for a check of all files
        self._used_inodes = 0

    # What is known.

    def start(self, reference: Reference | None, incident: LedgerIncident | None, now: Timestamp, written: str) -> None:
        """Handles the ledger of a volume that is seen for the first time: it says what was there just before."""
        self.take_reference(reference)
        self.incident = incident
        if reference is not None and incident is None:
            self.episode = Episode(now, seconds_of(written), Trigger.START)

    def take_reference(self, reference: Reference | None) -> None:
        """Replaces the reference by one that was declared or read; what was lost against the last one is forgotten."""
        self.reference = without_ignored(reference, self._ignore) if reference else None
        self.incident = self.episode = None
        self._shrink = self._uncommitted = None
        self._settled = set()
        self._forget_states()

    def follow(self, reference: Reference) -> None:
        """Replaces the reference by a later one of another watcher, while nothing is suspected here."""
        if self.episode is None and self.incident is None:
            self.reference = without_ignored(reference, self._ignore)
            self._settled = set()
            self._forget_states()

    def open(self, incident: LedgerIncident) -> None:
        """Opens a loss: the reference stays until the data is back, or somebody accepts what is there."""
        self.incident, self.episode, self._shrink = incident, None, None

    def forget(self) -> None:
        """Drops what was seen of a mount that is not in force any more."""
        self.episode = self._uncommitted = None
        self.confirming = False
        self._used_inodes = 0
        self._forget_states()

    def _forget_states(self) -> None:
        self.states = {}
        self._order = []

    @property
    def is_lost(self) -> bool:
        """Whether a loss is open."""
        return self.incident is not None

    @property
    def kept_ratio(self) -> float:
        """The share of the sample that is at its place, as far as it was checked; 1 where there is no sample."""
        judged = [state for state in self.states.values() if state is not State.UNKNOWN]
        return sum(state is State.KEPT for state in judged) / len(judged) if judged else 1.0

    # What is wanted next.

    def files_to_check(self) -> tuple[SampledFile, ...]:
        """Returns the files that the next look checks: all, where a change or a loss is open, otherwise a few."""
        reference = self.reference
        if reference is None:
            return ()
        if self._wants_all:
            return reference.sample
        if not self._order:
            self._order = self._random.sample(reference.sample, len(reference.sample))
        few, self._order = self._order[:FILES_A_LOOK], self._order[FILES_A_LOOK:]
        return (*few, *(self._shrink.lost if self._shrink else ()))

    @property
    def _wants_all(self) -> bool:
        open_change = self.episode is not None or self.incident is not None
        return open_change or self._uncommitted is not None or self._check_all

    def check_due(self, now: float, *, armed: bool) -> float | None:
        """Returns when a look at all files is due sooner than the interval asks; None where none is."""
        if self._uncommitted is not None or self._check_all:
            return now
        if self.episode is None or self.confirming:
            return None
        return self.episode.next_check(now, self._settle, armed=armed)

    def count_options(self) -> CountOptions:
        """Returns what the next count counts, and which lost files it looks for."""
        reference, episode = self.reference, self.episode
        if reference is None or episode is None:
            return CountOptions(self._ignore, frozenset(reference.entries) if reference else frozenset())
        return search_options(self._ignore, reference, self._newly_lost(episode.states), episode.known_before)

    # Signs.

    def suspect(self, now: Timestamp, trigger: Trigger, *, removed: bool = False) -> None:
        """Handles a sign that something changed; `removed` where names were seen to go."""
        if self.reference is None:
            return
        if self.episode is None and not self.is_lost:
            self.episode = Episode(now, now.wall.timestamp(), trigger)
        if self.episode is not None and removed:
            self.episode.on_removal(now.at)

    def check_all(self) -> None:
        """Asks for a check of all files: what went while nobody watched is found at once."""
        self._check_all = True

    def on_names(self, space: Space, *, stirred: bool, sure: bool) -> None:
        """Handles what a look tells of names that came or went, before its check: a count renews the reference soon.

        Args:
            space: Of the look.
            stirred: Whether the tripwire counted anything.
            sure: Whether nothing can change without any of this showing it.
        """
        before, files = self._used_inodes, self.reference.files if self.reference else 0
        changed = abs(space.used_inodes - before) if before and space.used_inodes else 0
        if not self._wants_all and (stirred or changed or not sure):
            self.schedule.renew(soon=changed >= max(1.0, GREW_OR_FELL * files))

    # Checks and counts.

    def on_check(
        self, now: Timestamp, checks: Mapping[str, FileCheck], space: Space | None
    ) -> Judged | Returned | None:
        """Handles the files that a look checked; what is to be reported, None for nothing."""
        reference = self.reference
        if reference is None:
            self._check_all = False
            return self._commit(now) if self.incident is None else self._recovered(None, {})
        fell = space is not None and space.used_inodes < self._used_inodes
        self._used_inodes = space.used_inodes if space else 0
        states = states_of(self._rule, reference.sample, checks)
        whole = len(states) == len(reference.sample)
        self._check_all = self._check_all and not whole
        self.states |= states
        self._settled -= {path for path, state in states.items() if state is State.KEPT}
        if self.incident is not None:
            return self._recovered(reference, states) if whole else None
        lost = self._newly_lost(states)
        if self.episode is None:
            if not lost:
                return self._commit(now) if whole and self._uncommitted else self._shrink_returned(now, checks)
            self.suspect(now, Trigger.LOOK)
        if not whole or self.episode is None:
            return None
        phase = self.episode.on_check(now.at, states, self._settle, names_fell=fell)
        quiet = phase is Phase.STABLE or now.at - self.episode.first_sign.at >= self._settle
        if not lost and (quiet or self.episode.trigger is Trigger.START):
            self._end_episode()
            return self._commit(now)
        if not lost or phase is Phase.GOES_ON:
            self._uncommitted = None  # it is older than what comes next
            return None
        return self._decide(now, reference, self.episode, phase)

    def _newly_lost(self, states: Mapping[str, State]) -> set[str]:
        return {path for path, state in states.items() if state is State.LOST} - self._settled

    def _decide(self, now: Timestamp, reference: Reference, episode: Episode, phase: Phase) -> Judged | None:
        count, self._uncommitted = self._uncommitted, None
        before = episode.known_before
        loss = judge_loss(self._rule, reference, Content(episode.states), before, self._settled)
        if loss.verdict is Verdict.SHRUNK and phase is Phase.STABLE and episode.is_returning(now.at):
            return None
        fell = phase is Phase.LATE and loss.kept <= FELL_TO * loss.checked
        if loss.verdict is not Verdict.KEPT or (loss.checked and not loss.kept) or fell:
            # It may be a loss: how many files there are, and whether they only moved, a count tells.
            if count is None:
                self.confirming = True
                self.schedule.want(now.at)
                return None
            found = dict.fromkeys(count.elsewhere, State.KEPT)
            content = Content({**episode.states, **found}, count.files, count.entries)
            loss = judge_loss(self._rule, reference, content, before, self._settled)
            if loss.verdict is Verdict.WIPED and count.files and self._is_worn(reference) and not loss.min_files:
                loss = replace(loss, verdict=Verdict.SHRUNK)
        self.confirming = False
        judged = Judged(loss, episode.trigger, self._sign(episode), now)
        if loss.verdict is Verdict.WIPED:
            self.episode = None
            return judged
        files = count.files if count else reference.files
        if phase is Phase.LATE and episode.goes_on(now.at, files, reference.files):
            return None
        lost = self._newly_lost(episode.states)
        shrunk = loss.verdict is Verdict.SHRUNK
        if shrunk:
            gone = tuple(file for file in reference.sample if file.path in lost)
            self._shrink = _Shrink(gone, before, now.at + SHRINK_RETURNS)
        self._settled |= lost
        self._end_episode()
        if count is not None:
            self._renew(now, reference, count)
        return judged if shrunk else None

    def _is_worn(self, reference: Reference) -> bool:
        """Whether earlier episodes left too little of the sample to judge a wipe by, unless the volume is empty."""
        left = len(reference.sample) - len(self._settled)
        return left < self._rule.shrink * len(reference.sample)

    def _sign(self, episode: Episode) -> str:
        wall = episode.first_sign.wall
        return rfc3339(wall.fromtimestamp(episode.known_before, wall.tzinfo))

    def _end_episode(self) -> None:
        self.episode, self.confirming = None, False
        self.schedule.renew(soon=True)

    def _recovered(self, reference: Reference | None, states: Mapping[str, State]) -> Returned | None:
        incident, self._uncommitted = self.incident, None
        assert incident is not None
        since = seconds_of(incident.since)
        if self._rule.min_files and (self.count is None or self.count.files < self._rule.min_files):
            self.schedule.renew(soon=False)
            return None
        if reference is not None and not is_over(self._rule, reference, states, since):
            return None
        self.incident = None
        self.schedule.renew(soon=True)
        return Returned(sum(state is State.KEPT for state in states.values()), len(states), since, wiped=True)

    def _shrink_returned(self, now: Timestamp, checks: Mapping[str, FileCheck]) -> Returned | None:
        shrink = self._shrink
        if shrink is None or now.at > shrink.until:
            self._shrink = None
            return None
        states = states_of(self._rule, shrink.lost, checks)
        known = known_files((file for file in shrink.lost if file.path in states), shrink.first_sign, empty=True)
        back = sum(states[file.path] is State.KEPT for file in known)
        if not known or back < (1 - self._rule.shrink) * len(known):
            return None
        self._shrink = None
        return Returned(back, len(known), shrink.first_sign, wiped=False)

    def on_count(self, now: Timestamp, count: FileCount) -> None:
        """Handles a full count: what it means waits for a check of all files and documents, which follows at once."""
        self.schedule.on_count(now.at, count.seconds, confirming=self.confirming)
        self.count = self._uncommitted = count
        self.confirming = False

    def _commit(self, now: Timestamp) -> Judged | None:
        """Lets the reference follow a count, since nothing is lost; a loss where there are fewer files than there must be."""
        count, self._uncommitted = self._uncommitted, None
        if count is None:
            return None
        if count.files < self._rule.min_files:
            loss = judge_loss(self._rule, self.reference, Content({}, count.files), now.wall.timestamp())
            return Judged(loss, Trigger.LOOK, now.text, now)
        self._renew(now, self.reference, count)
        return None

    def drop_count(self) -> None:
        """Drops a count that could not be followed by a check: it says nothing of what is there now."""
        self._check_all = False
        if self._uncommitted is not None:
            self._uncommitted = None
            self.schedule.renew(soon=True)

    def _renew(self, now: Timestamp, last: Reference | None, count: FileCount) -> None:
        if not self.frozen:
            self.reference = new_reference(last, count, now, self.states)
            self._settled &= {file.path for file in self.reference.sample}
            self._forget_states()
