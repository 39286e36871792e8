"""The content of one volume as the watcher follows it: reference, episode, loss and recovery. Pure; time is a parameter.

What is judged here is only which files there are. What is wrong with mount, marker or disk is the `conditions` module's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from guard.volume.ledger import LedgerIncident, Reference
from guard.volume.loss import Content, Loss, State, Verdict, is_over, judge_loss, known_files, states_of
from guard.volume.observation import CountOptions, FileCount, Space
from guard.volume.reference import new_reference, search_options
from guard.volume.sample import FileCheck, SampledFile
from guard.volume.timestamp import Timestamp, rfc3339, seconds_of
from guard.watch.config import WatchConfig
from guard.watch.documents import DocumentTracker
from guard.watch.episode import FELL_TO, NEVER, Episode, Phase, Trigger
from guard.watch.sample_tracker import SampleTracker

#: Seconds within which a shrink that returns is reported as recovered.
_SHRINK_RETURNS = 600.0
#: Counts may take this share of the time.
_SHARE = 0.01
#: A count that confirms a loss may take this share of the time.
_CONFIRMING_SHARE = 0.05
#: Seconds after which a count that failed is tried again: once, and then each time.
_RETRY = (1.0, 10.0)
#: Seconds between two counts of a content that changes, and where it changed by a tenth.
_RENEW_EVERY = 60.0
_RENEW_SOON = 10.0
#: A content that grew or fell by this share is counted and written sooner.
GREW_OR_FELL = 0.1


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


class CountSchedule:
    """When the next full count is due.

    Attributes:
        failures: Counts that failed in a row.

    Args:
        jitter: From 1.0 to 1.1: many watchers of one volume must not count at once.
    """

    def __init__(self, jitter: float) -> None:
        self._jitter = jitter
        self._wanted = NEVER
        self._done = self._confirmed = float("-inf")
        self._seconds = 0.0
        self.failures = 0

    def due(self, *, confirming: bool) -> float:
        """Returns when a count may be made.

        Args:
            confirming: Whether a loss waits for it: then only the last count for a loss holds it back.
        """
        if confirming:
            return max(self._wanted, self._confirmed + self._seconds / _CONFIRMING_SHARE)
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


class ContentTracker:
    """Which files there are, against those that were known.

    Attributes:
        schedule: When they are counted.
        sample: What losses are judged by.
        count: The last count; None before it.
        episode: The change that is going on; None while all is quiet.
        incident: The open loss; None where there is none.

    Args:
        config: The settings.
        documents: Of the volume: while it is held, nothing replaces the reference.
        jitter: From 1.0 to 1.1: many watchers of one volume must not count at once.
        seed: For the order in which looks go through the sample.
    """

    def __init__(self, config: WatchConfig, documents: DocumentTracker, jitter: float, seed: int) -> None:
        self.schedule = CountSchedule(jitter)
        self.sample = SampleTracker(config.expected.loss, seed)
        self.count: FileCount | None = None
        self.episode: Episode | None = None
        self.incident: LedgerIncident | None = None
        self._rule = config.expected.loss
        self._settle = config.settle
        self._ignore = config.expected.ignore
        self._documents = documents
        self._check_all = False
        self._shrink: _Shrink | None = None
        self._uncommitted: FileCount | None = None  # a count that waits for a check of all files
        self._used_inodes = 0

    # What is known.

    @property
    def reference(self) -> Reference | None:
        """What losses are judged against; None before the first count of a volume without a ledger."""
        return self.sample.reference

    @property
    def gone_at(self) -> float:
        """When a name was last seen to go, on the monotonic clock, while that is not over."""
        return self.episode.gone_at if self.episode else -NEVER

    def start(self, now: Timestamp, reference: Reference | None, written: str) -> None:
        """Handles the ledger of a volume that is seen for the first time: it says what was there just before."""
        self.take_reference(now, reference)
        if reference is not None:
            self.episode = Episode(now, min(now.wall.timestamp(), seconds_of(written)), Trigger.START)

    def take_reference(self, now: Timestamp, reference: Reference | None) -> None:
        """Replaces the reference by one that was declared or read; what was lost against the last one is forgotten."""
        self.sample.replace(reference)
        self.incident = self.episode = self._shrink = self._uncommitted = None
        self.schedule.want(now.at)

    def follow(self, reference: Reference) -> None:
        """Replaces the reference by a later one of another watcher, while nothing is suspected here."""
        if self.episode is None and self.incident is None:
            self.sample.replace(reference)

    def open(self, incident: LedgerIncident) -> None:
        """Opens a loss: the reference stays until the data is back, or somebody accepts what is there."""
        self.incident, self.episode, self._shrink = incident, None, None

    def forget(self) -> None:
        """Drops what was seen of a mount that is not in force any more."""
        self.episode = self._uncommitted = None
        self._used_inodes = 0
        self.sample.forget_states()

    # What is wanted next.

    def files_to_check(self) -> tuple[SampledFile, ...]:
        """Returns the files that the next look checks: all, where a change or a loss is open, otherwise a few."""
        if self._wants_all:
            return self.sample.files
        return (*self.sample.next_files(), *(self._shrink.lost if self._shrink else ()))

    @property
    def _wants_all(self) -> bool:
        open_change = self.episode is not None or self.incident is not None
        return open_change or self._uncommitted is not None or self._check_all

    @property
    def _is_confirming(self) -> bool:
        """Whether a loss in sight waits for a count."""
        return self.episode is not None and self.episode.is_confirming

    def count_due(self) -> float:
        """Returns when a count is due."""
        return self.schedule.due(confirming=self._is_confirming)

    def check_due(self, now: float, *, armed: bool) -> float:
        """Returns when a look at all files is due, sooner than the interval asks."""
        if self._uncommitted is not None or self._check_all:
            return now
        if self.episode is None or self.episode.is_confirming:
            return NEVER
        return self.episode.next_check(now, self._settle, armed=armed)

    def count_options(self) -> CountOptions:
        """Returns what the next count counts, and which lost files it looks for."""
        reference, episode = self.reference, self.episode
        if reference is None or episode is None:
            return CountOptions(self._ignore, frozenset(reference.entries) if reference else frozenset())
        return search_options(self._ignore, reference, self.sample.newly_lost(episode.states), episode.known_before)

    # Signs.

    def suspect(self, now: Timestamp, trigger: Trigger, *, removed: bool = False) -> None:
        """Handles a sign that something changed; `removed` where names were seen to go."""
        if self.reference is None:
            return
        if self.episode is None and self.incident is None:
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
        states = self.sample.on_check(checks)
        whole = len(states) == len(reference.sample)
        self._check_all = self._check_all and not whole
        if self.incident is not None:
            return self._recovered(reference, states) if whole else None
        lost = self.sample.newly_lost(states)
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

    def _decide(self, now: Timestamp, reference: Reference, episode: Episode, phase: Phase) -> Judged | None:
        count, self._uncommitted = self._uncommitted, None
        before = episode.known_before
        loss = judge_loss(self._rule, reference, Content(episode.states), before, self.sample.settled)
        fell = phase is Phase.LATE and loss.kept <= FELL_TO * loss.checked
        if loss.may_be_one or fell:
            if count is None:
                episode.is_confirming = True
                self.schedule.want(now.at)
                return None
            found = dict.fromkeys(count.elsewhere, State.KEPT)
            content = Content({**episode.states, **found}, count.files, count.entries)
            loss = judge_loss(self._rule, reference, content, before, self.sample.settled)
            if loss.verdict is Verdict.WIPED and self.sample.is_worn and not loss.min_files:
                loss = replace(loss, verdict=Verdict.SHRUNK)
        episode.is_confirming = False
        judged = Judged(loss, episode.trigger, self._sign(episode), now)
        if loss.verdict is Verdict.WIPED:
            self.episode = None
            return judged
        files = count.files if count else reference.files
        if phase is Phase.LATE and episode.goes_on(now.at, files, reference.files):
            return None
        lost = self.sample.newly_lost(episode.states)
        shrunk = loss.verdict is Verdict.SHRUNK
        if shrunk:
            gone = tuple(file for file in reference.sample if file.path in lost)
            self._shrink = _Shrink(gone, before, now.at + _SHRINK_RETURNS)
        self.sample.settled |= lost
        self._end_episode()
        if count is not None:
            self._renew(now, reference, count)
        return judged if shrunk else None

    def _sign(self, episode: Episode) -> str:
        wall = episode.first_sign.wall
        return rfc3339(wall.fromtimestamp(episode.known_before, wall.tzinfo))

    def _end_episode(self) -> None:
        self.episode = None
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
        self.schedule.on_count(now.at, count.seconds, confirming=self._is_confirming)
        self.count = self._uncommitted = count
        if self.episode is not None:
            self.episode.is_confirming = False

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
        if self._documents.hold is None:
            self.sample.renew(new_reference(last, count, now, self.sample.states))
