"""How much is lost: one rule for gate and watcher. Pure: reference and count in, verdict out."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from guard.outcome import Outcome
from guard.volume.ledger import Reference
from guard.volume.observation import FileCount
from guard.volume.paths import holds_any, lineage

#: Shares are compared as whole millionths, so that 0.7 of 10 is 7 and not 7.000000000000001.
_MILLION = 1_000_000
_RESTORE_OR_LOWER = "Restore the data from a backup. If so few files are right: lower GUARD_MIN_FILES."


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


class Verdict(Enum):
    """What became of the data."""

    KEPT = "kept"
    SHRUNK = "shrunk"
    WIPED = "wiped"


@dataclass(frozen=True)
class EntryLoss:
    """One entry that lost files: its path, files before and after."""

    name: str
    before: int
    after: int


@dataclass(frozen=True)
class Loss:
    """A verdict with its numbers.

    Attributes:
        verdict: Kept, shrunk or wiped.
        before: Files of the reference.
        after: Files now; what can't be read keeps its last count.
        lost: Gone against the reference, plus files that became empty.
        reason: The clause of the rule that tells, for a person.
        entries: Entries that lost files, the largest loss first.
        floor: GUARD_MIN_FILES where that alone is the loss: a new reference would not end it; otherwise 0.
    """

    verdict: Verdict
    before: int
    after: int
    lost: int
    reason: str
    entries: tuple[EntryLoss, ...] = ()
    floor: int = 0

    @property
    def acceptable(self) -> bool:
        """Whether data is lost and a new reference, by accept, would end it."""
        return self.verdict is Verdict.WIPED and not self.floor

    @property
    def found(self) -> str:
        """How many files are there, as a clause."""
        return f"{self.after} files of {self.before}" if self.lost else f"{self.after} files"

    @property
    def expected(self) -> str:
        """How many were expected, as a clause."""
        return f"at least {self.floor} files (GUARD_MIN_FILES)" if self.floor else "the files of the reference"

    @property
    def remedy(self) -> str:
        """What to do where data is lost."""
        return _RESTORE_OR_LOWER if self.floor else Outcome.DATA_LOST.value.remedy


def needed(rule: LossRule, reference: Reference | None) -> int:
    """How many files must be there for a volume to be neither wiped nor shrunk."""
    files = reference.files if reference else 0
    shrunk = -(-round(rule.shrink * _MILLION) * files // _MILLION)  # so many lost, rounded up, are a shrink
    wiped = round(rule.max_loss * _MILLION) * files // _MILLION + 1  # and so many may be a wipe
    return max(rule.min_files, min(files, files - min(shrunk, wiped) + 1))


def kept_files(reference: Reference, census: FileCount) -> tuple[int, Mapping[str, int]]:
    """Files now, in all and by entry of the reference, where folders that can't be read keep their last count."""
    now = {name: census.entries.get(name, 0) for name in reference.entries}
    unreadable = _with_a_count(reference, census)
    if not unreadable:
        return census.files, now
    names = sorted(now)
    if not names or any(holds_any(folder, names) for folder in unreadable):
        # Every entry lies below it, and what lies beside them was never counted apart.
        return max(census.files, reference.files), {name: max(now[name], reference.entries[name]) for name in now}
    files = census.files
    for name in {above for folder in unreadable for above in lineage(folder) if above in now}:
        files += max(0, reference.entries[name] - now[name])
        now[name] = max(now[name], reference.entries[name])
    return files, now


def _with_a_count(reference: Reference, census: FileCount) -> tuple[str, ...]:
    """The folders that can't be read, and of which the reference may have files."""
    if census.more_unreadable:  # some that are not named may stand behind any of them
        return census.unreadable
    without = set(reference.unreadable)
    return tuple(folder for folder in census.unreadable if folder not in without)


def _without_a_count(last: Reference | None, census: FileCount) -> tuple[str, ...]:
    """The folders that can't be read, and of which a new reference has no file.

    Those are the ones that have nothing kept for them: what is counted reaches the last count without them.
    """
    if census.more_unreadable:
        return ()
    if last is None:
        return census.unreadable
    names = sorted(last.entries)
    short = {name for name in names if census.entries.get(name, 0) < last.entries[name]}
    all_short = bool(short) or census.files < last.files

    def keeps(folder: str) -> bool:
        if not names or holds_any(folder, names):
            return all_short
        return any(above in short for above in lineage(folder))

    kept = {folder for folder in _with_a_count(last, census) if keeps(folder)}
    return tuple(folder for folder in census.unreadable if folder not in kept)


def new_reference(last: Reference | None, census: FileCount, recorded: str) -> Reference:
    """What is there now as the reference; entries that can't be read keep their last count.

    Args:
        last: The reference so far; None where there is none.
        census: An exact count with sizes.
        recorded: Now, RFC 3339.
    """
    # A count of the last reference's entries too can hold another depth: a folder and its own sub-folders, both.
    entries = {name: files for name, files in census.entries.items() if name.count("/") + 1 == census.depth}
    files = census.files
    if last is not None:
        files, now = kept_files(last, census)
        entries |= {name: count for name, count in now.items() if count > census.entries.get(name, 0)}
    holding = {name: count for name, count in entries.items() if count}
    return Reference(files, holding, census.empty or 0, recorded, _without_a_count(last, census))


def judge_loss(rule: LossRule, reference: Reference | None, census: FileCount) -> Loss:
    """Judges a count against the reference.

    Args:
        rule: The settings.
        reference: None where the ledger is missing or broken: then only the floor by setting counts.
        census: The count; one that stopped early has enough to be kept.
    """
    if reference is None or reference.files == 0:
        return _floor(rule, before=0, after=census.files)
    after, now = kept_files(reference, census)
    grown = max(0, after - reference.files)  # new files may be empty: only what was there can become so
    emptied = max(0, (census.empty or 0) - reference.empty - grown)
    lost = min(reference.files, max(0, reference.files - after) + emptied)
    entries = _losses(reference, now)
    if not census.exact:
        return Loss(Verdict.KEPT, reference.files, after, 0, "enough of the reference is there")
    if lost == reference.files:
        return Loss(Verdict.WIPED, reference.files, after, lost, "nothing is left of the reference", entries)
    if _more_than(lost, rule.max_loss, reference.files) and _most_entries_lost(rule, reference, now, emptied):
        reason = f"more than {rule.max_loss:.0%} of all files and of most entries are lost"
        return Loss(Verdict.WIPED, reference.files, after, lost, reason, entries)
    if after < rule.min_files:
        return _floor(rule, before=reference.files, after=after, lost=lost, entries=entries)
    if lost and lost * _MILLION >= round(rule.shrink * _MILLION) * reference.files:
        reason = f"at least {rule.shrink:.0%} of all files are lost"
        return Loss(Verdict.SHRUNK, reference.files, after, lost, reason, entries)
    return Loss(Verdict.KEPT, reference.files, after, lost, "enough of the reference is there", entries)


def _floor(rule: LossRule, *, before: int, after: int, lost: int = 0, entries: tuple[EntryLoss, ...] = ()) -> Loss:
    if after < rule.min_files:
        reason = f"fewer than GUARD_MIN_FILES={rule.min_files} files"
        return Loss(Verdict.WIPED, before, after, lost, reason, entries, floor=rule.min_files)
    return Loss(Verdict.KEPT, before, after, lost, "no baseline yet", entries)


def _more_than(part: int, share: float, whole: int) -> bool:
    return part * _MILLION > round(share * _MILLION) * whole


def _most_entries_lost(rule: LossRule, reference: Reference, now: Mapping[str, int], emptied: int) -> bool:
    # An entry without files can lose none: it neither speaks for a wipe nor against it.
    holding = [(before, now[name]) for name, before in reference.entries.items() if before]
    if len(holding) < 2:  # noqa: PLR2004 - one entry is the whole
        return True
    # Which entry an emptied file lies in is not counted apart: they are laid where they make the most entries lost.
    enough = round(rule.max_loss * _MILLION)
    missing = sorted(max(0, enough * before // _MILLION + 1 - (before - after)) for before, after in holding)
    gone = 0
    for files in missing:
        emptied -= files
        if emptied < 0:
            break
        gone += 1
    return gone * 2 > len(holding)


def _losses(reference: Reference, now: Mapping[str, int]) -> tuple[EntryLoss, ...]:
    losses = [EntryLoss(name, before, now[name]) for name, before in reference.entries.items() if now[name] < before]
    return tuple(sorted(losses, key=lambda loss: (loss.after - loss.before, loss.name)))
