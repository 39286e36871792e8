"""How a count becomes the reference that losses are judged against. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from guard.volume import sample as samples
from guard.volume.ignore import Ignore
from guard.volume.ledger import Reference
from guard.volume.loss import State
from guard.volume.observation import CountOptions, FileCount
from guard.volume.sample import Part, SampledFile
from guard.volume.timestamp import Timestamp

#: A file with a lost one's name and size that came within so many seconds before the first sign can be its copy.
COPIED_WITHIN = 600.0


def new_reference(
    last: Reference | None, count: FileCount, now: Timestamp, states: Mapping[str, State] | None = None
) -> Reference:
    """Returns the reference of a count.

    Args:
        last: The one before, which knows since when its files are there; None where there is none.
        count: The count.
        now: When it was made.
        states: What became of the last sample's files: those that could not be seen stay in the sample.
    """
    seconds = int(now.wall.timestamp())
    if last is None:
        files = tuple(replace(file, since=min(file.since, seconds)) for file in count.sample)
        return Reference(count.files, now.text, files, count.depth, count.entry_count, _entries_of(count, files))
    unknown = [file for file in last.sample if (states or {}).get(file.path) is State.UNKNOWN]
    merged = samples.merge(last.sample, count.sample, unknown, seconds, complete=last.complete)
    hidden = round(last.files * len(unknown) / len(last.sample)) if unknown else 0
    return Reference(
        files=count.files + hidden,
        counted=now.text,
        sample=merged,
        depth=count.depth,
        entry_count=max(count.entry_count, last.entry_count if unknown else 0),
        entries=_entries_of(count, merged) | _entries_of(last, unknown),
        declared=last.declared,
    )


def without_ignored(reference: Reference, ignore: tuple[str, ...]) -> Reference:
    """Returns the reference without files that GUARD_IGNORE has named since it was made: what is no data is not lost.

    Args:
        reference: As it was written.
        ignore: GUARD_IGNORE.
    """
    patterns = Ignore(ignore)
    sample = tuple(file for file in reference.sample if not patterns.ignores(file.path)) if ignore else reference.sample
    if len(sample) == len(reference.sample):
        return reference
    # Of a large volume only the part that was chosen by hash stands for all files.
    parts = {Part.HASH} if any(file.part is Part.HASH for file in sample) else set(Part)
    left, before = (sum(file.part in parts for file in files) for files in (sample, reference.sample))
    return replace(
        reference, files=round(reference.files * left / before), sample=sample, entries=_entries_of(reference, sample)
    )


def search_options(
    ignore: tuple[str, ...], reference: Reference, lost: Iterable[str], first_sign: float
) -> CountOptions:
    """Returns a count that confirms a loss: how many files there are, and which lost ones only moved or were copied.

    Args:
        ignore: GUARD_IGNORE.
        reference: What was known before.
        lost: Paths of the files that are not at their place.
        first_sign: Of the loss, in seconds since 1970: what comes after it brings nothing back.
    """
    paths = frozenset(lost)
    files = tuple(file for file in reference.sample if file.path in paths)
    known = frozenset(file.path for file in reference.sample)
    return CountOptions(ignore, frozenset(reference.entries), files, first_sign - COPIED_WITHIN, first_sign, known)


def declared_reference(count: FileCount, now: Timestamp) -> Reference:
    """Returns the reference of a count that a person declared to be right: adopt, accept, release."""
    sample = samples.declared(count.sample)
    return Reference(
        count.files, now.text, sample, count.depth, count.entry_count, _entries_of(count, sample), declared=now.text
    )


def _entries_of(counted: FileCount | Reference, sample: Iterable[SampledFile]) -> dict[str, int]:
    """Files of the entries that these files lie in."""
    entries = {samples.entry_of(file.path, counted.depth) for file in sample}
    return {name: files for name, files in counted.entries.items() if name in entries}
