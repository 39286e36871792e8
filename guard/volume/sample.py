"""The sample: which files a reference remembers by path, how they are chosen, and what became of them. Pure.

Up to SIZE files the sample is every file. Above, it has three parts: BY_HASH files chosen by a hash of the path (the same
at every count and in every watcher), the BY_SIZE largest of the CANDIDATES with the smallest hashes, and BY_ENTRY in turn
from the entries.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import chain, zip_longest
from zlib import crc32

from guard.volume.paths import as_bytes

SIZE = 512
BY_HASH = 256
BY_ENTRY = 128
BY_SIZE = 128
#: Files with the smallest hashes whose sizes are read: all files, of a volume that has no more.
CANDIDATES = 4096
#: Hashes lie below this.
HASHES = 1 << 32

#: Knuth's multiplicative constant: spreads the hashes of folders whose names differ in a digit.
_SPREAD = 0x9E3779B1


class Part(Enum):
    """Why a file is in the sample."""

    HASH = "hash"
    ENTRY = "entry"
    LARGEST = "largest"


@dataclass(frozen=True, slots=True)
class SampledFile:
    """One file that a reference remembers.

    Attributes:
        path: Relative to the volume.
        size: In bytes.
        mtime: In nanoseconds since 1970.
        inode: Its number.
        since: When a count first saw a file at this path, in seconds since 1970; of a count, before it is merged: the ctime.
        part: Why it is in the sample.
    """

    path: str
    size: int
    mtime: int
    inode: int
    since: int
    part: Part


class Presence(Enum):
    """What lies at the path of a sampled file."""

    PRESENT = "present"
    ABSENT = "absent"
    UNREADABLE = "unreadable"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class FileCheck:
    """What one check found at the path of a sampled file.

    Attributes:
        presence: Whether a file is there, can't be seen by this uid, or is hidden by a mount.
        size: Its size in bytes; 0 unless present.
    """

    presence: Presence
    size: int = 0


def folder_seed(folder: bytes) -> int:
    """Returns the value that the hashes of a folder's names start from.

    Args:
        folder: Relative to the volume; empty for its root.
    """
    return crc32(folder) * _SPREAD % HASHES


def hash_of(path: bytes) -> int:
    """Returns the hash of a path, below HASHES. A count computes the same from the folder's seed and the name's bytes."""
    folder, _, name = path.rpartition(b"/")
    return crc32(name, folder_seed(folder))


def path_hash(path: str) -> int:
    """Returns the hash of a path that is a text."""
    return hash_of(as_bytes(path))


def entry_of(path: str, depth: int) -> str:
    """Returns the entry that a file lies in, empty where it lies in none.

    Args:
        path: Of the file.
        depth: How many levels down the entries lie; 0 where there are none.
    """
    folders = path.split("/")
    return "/".join(folders[:depth]) if 0 < depth < len(folders) else ""


def choose(by_hash: Sequence[SampledFile], by_entry: Mapping[str, Sequence[SampledFile]]) -> tuple[SampledFile, ...]:
    """Returns the sample of a count.

    Args:
        by_hash: The files with the smallest hashes, at most CANDIDATES, in the order of their hashes.
        by_entry: Files of at most BY_ENTRY entries, in the order of their hashes.
    """
    if len(by_hash) <= SIZE:
        return tuple(replace(file, part=Part.HASH) for file in by_hash)
    chosen = {file.path: replace(file, part=Part.HASH) for file in by_hash[:BY_HASH]}
    # The largest before the entries: with the hash part they are then every candidate of their size.
    _add(chosen, sorted(by_hash, key=lambda file: (-file.size, file.path)), Part.LARGEST, BY_SIZE)
    in_turn = chain.from_iterable(zip_longest(*by_entry.values()))
    _add(chosen, (file for file in in_turn if file is not None), Part.ENTRY, BY_ENTRY)
    return tuple(chosen.values())


def _add(chosen: dict[str, SampledFile], files: Iterable[SampledFile], part: Part, room: int) -> None:
    for file in files:
        if not room:
            return
        if file.path not in chosen:
            chosen[file.path] = replace(file, part=part)
            room -= 1


def merge(
    last: Sequence[SampledFile], new: Sequence[SampledFile], unknown: Iterable[SampledFile], now: int, *, complete: bool
) -> tuple[SampledFile, ...]:
    """Returns the sample of a new count with what the last one knew of its files: since when they are there.

    Args:
        last: The last sample.
        new: The sample of the count.
        unknown: Files of the last sample that the count could not see: they stay.
        now: When it was counted, in seconds since 1970.
        complete: Whether the last sample was every file.
    """
    before = {file.path: file for file in last}
    hashes = [path_hash(file.path) for file in last if file.part is Part.HASH]
    # Below this hash the last count saw every file: whoever was not among them is new.
    seen = HASHES if complete else max(hashes, default=-1)
    merged = {}
    for file in new:
        first_seen = now if path_hash(file.path) <= seen else min(file.since, now)
        since = before[file.path].since if file.path in before else first_seen
        merged[file.path] = replace(file, since=min(since, now))
    merged |= {file.path: file for file in unknown if file.path not in merged}
    if len(merged) <= SIZE:
        return tuple(merged.values())
    files = sorted(merged.values(), key=lambda file: path_hash(file.path))
    rooms = {Part.HASH: BY_HASH, Part.ENTRY: BY_ENTRY, Part.LARGEST: BY_SIZE}
    return tuple(file for part, room in rooms.items() for file in [one for one in files if one.part is part][:room])


def declared(sample: Iterable[SampledFile]) -> tuple[SampledFile, ...]:
    """Returns the sample of a count that a person declared to be right: every file has been there long enough."""
    return tuple(replace(file, since=0) for file in sample)
