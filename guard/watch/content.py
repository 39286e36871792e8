"""The content of one volume as the watcher follows it: reference, episode, loss and recovery. Pure; time is a parameter.

What is judged here is only which files there are. What is wrong with mount, marker or disk is the `conditions` module's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from guard.volume.kinds import Kind
from guard.volume.ledger import LedgerIncident, Reference
from guard.volume.loss import Content, Loss, State, Verdict, is_over, judge_loss, known_files, states_of
from guard.volume.observation import CountOptions, FileCount, FilesChecked, Look, Space, is_same_mount
from guard.volume.reference import new_reference, search_options, without_ignored
from guard.volume.sample import FileCheck, SampledFile
from guard.volume.timestamp import Timestamp, rfc3339, seconds_of
from guard.watch.config import WatchConfig
from guard.watch.documents import DocumentTracker
from guard.watch.episode import FELL_TO, NEVER, Episode, Phase, Trigger
from guard.watch.reference_tracker import CountSchedule, SampleTracker

#: Seconds within which a shrink that returns is reported as recovered.
_SHRINK_RETURNS = 600.0
#: A content that grew or fell by this share is counted and written sooner.
GREW_OR_FELL = 0.1
#: Kinds whose changes may come from elsewhere, unseen by events.
_ELSEWHERE = frozenset({Kind.NETWORK, Kind.FUSE, Kind.UNKNOWN, Kind.OVERLAY})
#: Kinds that share their file system with the node: its numbers tell nothing of this volume.
_SHARED = frozenset({Kind.NODE_DISK, Kind.EMPTY_DIR, Kind.OVERLAY, Kind.CONFIG})


@dataclass(frozen=True)
class Judged:
    """A loss that is to be reported.

    Attributes:
        loss: The verdict, wiped or shrunk.
        trigger: What gave the first sign.
        first_sign: When, RFC 3339.
    """

    loss: Loss
    trigger: Trigger
    first_sign: str


@dataclass(frozen=True)
class Returned:
    """What was lost is back.

    Attributes:
        kept: Sampled files that are there.
        checked: Of so many.
        wiped: Whether it was a wipe; otherwise a shrink.
    """

    kept: int
    checked: int
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
        schedule: When they are counted.
        sample: What losses are judged by.
        count: The last count; None before it.
        episode: The change that is going on; None while all is quiet.
        incident: The open loss; None where there is none.
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
        """Handles the ledger of a volume that is seen for the first time: it records what was there just before."""
        self.take_reference(now, reference)
        if reference is not None:
            self.episode = Episode(now, seconds_of(written), Trigger.START)

    def take_reference(self, now: Timestamp, reference: Reference | None) -> None:
        """Replaces the reference by one that was declared or read; what was lost against the last one is forgotten."""
        self.sample.replace(without_ignored(reference, self._ignore) if reference else None)
        self.incident = self.episode = self._shrink = self._uncommitted = None
        self.schedule.want(now.at)

    def follow(self, reference: Reference) -> None:
        """Replaces the reference by a later one of another watcher, while nothing is suspected here."""
        if self.episode is None and self.incident is None:
            self.sample.replace(without_ignored(reference, self._ignore))

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

    # Checks and counts.

    def on_look(
        self, now: Timestamp, look: Look, checked: FilesChecked | None, *, stirred: bool
    ) -> Judged | Returned | None:
        """Handles what a look of the right volume found of its files; what must be reported, None for nothing.

        Args:
            now: The time.
            look: The look.
            checked: The files that it checked; None where it did not come that far.
            stirred: Whether the tripwire counted anything.
        """
        is_other_mount = checked is not None and bool(checked.checks) and not is_same_mount(look, checked)
        if checked is None or checked.fault is not None or is_other_mount:
            self.drop_count()
            return None
        space = None if look.kind in _SHARED else look.space
        self._on_names(space, stirred=stirred, elsewhere=look.kind in _ELSEWHERE)
        return self._on_check(now, checked.checks, space)

    def _on_names(self, space: Space | None, *, stirred: bool, elsewhere: bool) -> None:
        """A count renews the reference soon where names came or went, or might have."""
        before, files = self._used_inodes, self.reference.files if self.reference else 0
        used = space.used_inodes if space else 0
        changed = abs(used - before) if before and used else 0
        # On a disk of its own each name that comes or goes changes the number of inodes, tripwire or not.
        if space is None or (not self._wants_all and (stirred or changed or elsewhere or not used)):
            self.schedule.renew(soon=changed >= max(1.0, GREW_OR_FELL * files))

    def _on_check(
        self, now: Timestamp, checks: Mapping[str, FileCheck], space: Space | None
    ) -> Judged | Returned | None:
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
        is_early = phase is Phase.STABLE and episode.is_returning(now.at)
        if is_early and loss.verdict is Verdict.SHRUNK:
            return None
        fell = phase is Phase.LATE and loss.kept <= FELL_TO * loss.checked
        if loss.may_be_one or fell:
            if count is None:
                episode.is_confirming = True
                self.schedule.want(now.at)
                return None
            found = dict.fromkeys(count.elsewhere, State.KEPT)
            content = Content({**episode.states, **found}, count.files, count.entries)
            loss = judge_loss(self._rule, reference, content, before, self.sample.settled)
            if loss.verdict is Verdict.WIPED and count.files and self.sample.is_worn and not loss.min_files:
                loss = replace(loss, verdict=Verdict.SHRUNK)
        if is_early and loss.verdict is Verdict.SHRUNK:
            return None
        episode.is_confirming = False
        judged = Judged(loss, episode.trigger, self._sign(episode))
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
        if self._rule.min_files and (self.count is None or self.count.files < self._rule.min_files):
            self.schedule.renew(soon=False)
            return None
        if reference is not None and not is_over(self._rule, reference, states, seconds_of(incident.since)):
            return None
        self.incident = None
        self.schedule.renew(soon=True)
        return Returned(sum(state is State.KEPT for state in states.values()), len(states), wiped=True)

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
        return Returned(back, len(known), wiped=False)

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
            return Judged(loss, Trigger.LOOK, now.text)
        self._renew(now, self.reference, count)
        return None

    def drop_count(self) -> None:
        """Drops a count that could not be followed by a check: it may be out of date."""
        self._check_all = False
        if self._uncommitted is not None:
            self._uncommitted = None
            self.schedule.renew(soon=True)

    def _renew(self, now: Timestamp, last: Reference | None, count: FileCount) -> None:
        if self._documents.hold is None:  # what happens to a volume that is held was announced
            self.sample.renew(new_reference(last, count, now, self.sample.states))
