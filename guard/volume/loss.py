"""The loss rule: how much of what was known is gone, and what that means. One rule for gate, watcher and backups. Pure.

Shares of all files are told by the part of the sample that was chosen by hash, those of the entries by the entries' files
too, those of the bytes by the largest files and, for the rest, by the hash again.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import nextafter

from guard.volume.ledger import Reference
from guard.volume.sample import CANDIDATES, FileCheck, Part, Presence, SampledFile, entry_of

#: A file is known when it was there for so many seconds before the first sign of a change.
KNOWN = 300
#: Where the volume is empty and fewer than FEW files are known: those that were there for so many seconds.
KNOWN_IF_EMPTY = 60
#: So many files must have been known before other files can count as having taken their place.
FEW = 8
#: A fall of the number of files by less than this share can hide that other files took their place.
_HARDLY_FELL = 0.05
#: Entries below this number are no entries: one folder is the whole.
_ENTRIES = 2


@dataclass(frozen=True)
class LossRule:
    """The settings of the rule.

    Attributes:
        max_loss: GUARD_MAX_LOSS, a share from 0 to 1.
        shrink: GUARD_SHRINK, a share from 0 to 1.
        min_files: GUARD_MIN_FILES.
    """

    max_loss: float = 0.8
    shrink: float = 0.3
    min_files: int = 0

    @property
    def most(self) -> float:
        """The share above which most is lost: all of it always is, also where GUARD_MAX_LOSS is 1."""
        return min(self.max_loss, nextafter(1.0, 0.0))


class Verdict(Enum):
    """What became of the data."""

    KEPT = "kept"
    SHRUNK = "shrunk"
    WIPED = "wiped"


class State(Enum):
    """What became of one sampled file."""

    KEPT = "kept"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class EntryLoss:
    """One entry that lost files: its path, files before and after (an estimate where it was not counted)."""

    name: str
    before: int
    after: int


@dataclass(frozen=True)
class Loss:
    """A verdict with its numbers.

    Attributes:
        verdict: Kept, shrunk or wiped.
        before: Files of the reference.
        after: Files now; None where they were not counted.
        checked: Sampled files that could be judged.
        kept: Of these, so many are kept.
        lost: Files of the reference that are lost: an estimate where the sample is not every file.
        known: Of the checked files, so many were there long enough to count.
        known_lost: Of the known ones, so many are lost.
        replaced: Other files took the place of those that are lost: at least half as many as there were.
        entries: Entries that lost files, the largest loss first.
        min_files: GUARD_MIN_FILES where that alone is the loss: no new reference would end it; otherwise 0.
    """

    verdict: Verdict
    before: int = 0
    after: int | None = None
    checked: int = 0
    kept: int = 0
    lost: int = 0
    known: int = 0
    known_lost: int = 0
    replaced: bool = False
    entries: tuple[EntryLoss, ...] = ()
    min_files: int = 0

    @property
    def may_be_one(self) -> bool:
        """Whether a count must tell how many files there are, and whether they only moved."""
        return self.verdict is not Verdict.KEPT or not self.kept

    @property
    def acceptable(self) -> bool:
        """Whether data is lost and a new reference, by accept, would end it."""
        return self.verdict is Verdict.WIPED and not self.min_files


@dataclass(frozen=True)
class Content:
    """What is known of the content at one time.

    Attributes:
        states: What became of the sampled files, by path.
        files: Files now; None where they were not counted.
        entries: Files now of the entries of the reference; empty where they were not counted.
    """

    states: Mapping[str, State]
    files: int | None = None
    entries: Mapping[str, int] | None = None


def is_kept(rule: LossRule, file: SampledFile, check: FileCheck) -> bool:
    """Returns whether a file is at its path, with enough of its size."""
    return check.presence is Presence.PRESENT and check.size >= (1 - rule.max_loss) * file.size


def states_of(
    rule: LossRule, sample: Iterable[SampledFile], checks: Mapping[str, FileCheck], elsewhere: Collection[str] = ()
) -> dict[str, State]:
    """Returns what became of the sampled files that were checked.

    Args:
        rule: Sets how much of its size a file can lose and still be kept.
        sample: The files.
        checks: What was found at their paths; a file that was not checked has no state.
        elsewhere: Paths of files that were found under another name: they are kept.
    """
    states = {}
    for file in sample:
        check = checks.get(file.path)
        if check is None:
            continue
        if check.presence is Presence.UNREADABLE or check.presence is Presence.HIDDEN:
            states[file.path] = State.UNKNOWN
        elif file.path in elsewhere:
            states[file.path] = State.KEPT
        else:
            states[file.path] = State.KEPT if is_kept(rule, file, check) else State.LOST
    return states


def known_files(sample: Iterable[SampledFile], first_sign: float, *, empty: bool) -> tuple[SampledFile, ...]:
    """Returns the files that were there long enough before the first sign of a change.

    A time after that was written by a clock that has been set back since: such a file is not new either.

    Args:
        sample: The files.
        first_sign: In seconds since 1970.
        empty: Whether the volume has no file left.
    """
    files = tuple(sample)
    known = tuple(file for file in files if abs(first_sign - file.since) >= KNOWN)
    if empty and len(known) < FEW:
        return tuple(file for file in files if abs(first_sign - file.since) >= KNOWN_IF_EMPTY)
    return known


def judge_loss(
    rule: LossRule,
    reference: Reference | None,
    content: Content,
    first_sign: float,
    settled: Collection[str] = (),
) -> Loss:
    """Returns the verdict on the content.

    Args:
        rule: The settings.
        reference: What is known; None where nothing is.
        content: What is there now.
        first_sign: When the first sign of a change was seen, in seconds since 1970.
        settled: Paths of files that earlier episodes lost: they count no more.
    """
    files = content.files
    if files is not None and files < rule.min_files:
        return Loss(Verdict.WIPED, reference.files if reference else 0, files, min_files=rule.min_files)
    if reference is None:
        return Loss(Verdict.KEPT, after=files)
    states = content.states
    judged = [file for file in reference.sample if file.path not in settled and _is_told(states, file)]
    known = known_files(judged, first_sign, empty=files == 0)

    def lost(file: SampledFile) -> bool:
        return states[file.path] is State.LOST

    known_lost = sum(map(lost, known))
    of_known, of_all = _share(reference, known, lost), _share(reference, judged, lost)
    entries = _lost_of_entries(reference, known, lost)
    lost_entries = sum(share > rule.most for share in entries.values())
    many = len(entries) >= _ENTRIES
    most = 2 * lost_entries > len(entries) if many else known_lost == len(known)
    did_not_fall = files is not None and files >= reference.files
    enough = len(known) >= FEW if did_not_fall else bool(known)
    hardly_fell = files is not None and files > (1 - _HARDLY_FELL) * reference.files
    if enough and most and min(of_known, of_all) > rule.most:
        verdict = Verdict.WIPED
    elif known_lost and (
        (of_known >= rule.shrink and (of_all >= rule.shrink or not hardly_fell))
        or (many and 2 * lost_entries > len(entries))
        or _share_of_bytes(reference, known, lost) > rule.most
    ):
        verdict = Verdict.SHRUNK
    else:
        verdict = Verdict.KEPT
    return Loss(
        verdict,
        before=reference.files,
        after=files,
        checked=len(judged),
        kept=sum(not lost(file) for file in judged),
        lost=round(of_all * reference.files),
        known=len(known),
        known_lost=known_lost,
        replaced=files is not None and 2 * (files - (1 - of_all) * reference.files) >= reference.files > 0,
        entries=_entry_losses(reference, content, judged, lost),
    )


def is_over(rule: LossRule, reference: Reference, states: Mapping[str, State], first_sign: float) -> bool:
    """Returns whether enough of what was lost is back.

    Args:
        rule: The settings.
        reference: What was known before the loss.
        states: What became of all files of its sample.
        first_sign: Of the loss, in seconds since 1970.
    """
    were_known = known_files(reference.sample, first_sign, empty=True)
    known = [file for file in were_known if _is_told(states, file)]

    def lost(file: SampledFile) -> bool:
        return states[file.path] is State.LOST

    entries = _lost_of_entries(reference, known, lost)
    entries_lost = sum(share > rule.most for share in entries.values())
    return (
        (bool(known) or not were_known)
        and _share(reference, known, lost) <= rule.shrink
        and entries_lost <= rule.shrink * len(entries)
        and _share_of_bytes(reference, known, lost) <= rule.shrink
    )


_IsLost = Callable[[SampledFile], bool]


def _is_told(states: Mapping[str, State], file: SampledFile) -> bool:
    return states.get(file.path, State.UNKNOWN) is not State.UNKNOWN


def _share(reference: Reference, files: Sequence[SampledFile], lost: _IsLost) -> float:
    """The share of all files that is lost."""
    by_hash = [file for file in files if file.part is Part.HASH]
    counted = by_hash if by_hash and not reference.complete else files
    return sum(map(lost, counted)) / len(counted) if counted else 0.0


def _lost_of_entries(reference: Reference, files: Sequence[SampledFile], lost: _IsLost) -> dict[str, float]:
    """The lost share of each entry that has such files; none where there are fewer than two entries."""
    if reference.entry_count < _ENTRIES:
        return {}
    by_entry = defaultdict(list)
    for file in files:
        entry = entry_of(file.path, reference.depth)
        if entry and (file.part is not Part.LARGEST or reference.complete):
            by_entry[entry].append(lost(file))
    return {entry: sum(those) / len(those) for entry, those in by_entry.items()}


def _share_of_bytes(reference: Reference, files: Sequence[SampledFile], lost: _IsLost) -> float:
    """The share of all bytes that is lost.

    The largest files are those of the part of that name and of the hash part: each counts for itself. Each smaller file of
    the hash part counts for as many candidates as there are for each of them.
    """
    largest, weight = 0, 1.0
    if not reference.complete:
        largest = min((file.size for file in reference.sample if file.part is Part.LARGEST), default=0)
        large = sum(file.size >= largest and file.part is not Part.ENTRY for file in reference.sample)
        small = sum(file.size < largest and file.part is Part.HASH for file in reference.sample)
        weight = max(1.0, (min(reference.files, CANDIDATES) - large) / max(1, small))
    whole = gone = 0.0
    for file in files:
        if file.part is Part.ENTRY and not reference.complete:
            continue
        size = file.size * (weight if file.size < largest else 1.0)
        whole += size
        gone += size if lost(file) else 0.0
    return gone / whole if whole else 0.0


def _entry_losses(
    reference: Reference, content: Content, files: Sequence[SampledFile], lost: _IsLost
) -> tuple[EntryLoss, ...]:
    losses = []
    for name, share in _lost_of_entries(reference, files, lost).items():
        before = reference.entries.get(name, 0)
        counted = content.entries.get(name) if content.entries is not None else None
        after = counted if counted is not None else round((1 - share) * before)
        if share and before:
            losses.append(EntryLoss(name, before, after))
    return tuple(sorted(losses, key=lambda loss: (loss.after - loss.before, loss.name)))
