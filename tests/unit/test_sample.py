"""The sample: which files are chosen, since when they are known, and what they tell of all the others."""

import functools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.volume import loss
from guard.volume.ledger import Reference
from guard.volume.paths import as_bytes, as_text
from guard.volume.reference import without_ignored
from guard.volume.sample import (
    BY_ENTRY,
    BY_HASH,
    BY_SIZE,
    CANDIDATES,
    SIZE,
    Part,
    SampledFile,
    choose,
    declared,
    entry_of,
    merge,
    path_hash,
)
from guard.volume.sampler import Sampler

NOW = 1_800_000_000
DAY = 86_400


def file(path: str, size: int = 10, *, since: int = NOW - DAY, part: Part = Part.HASH) -> SampledFile:
    return SampledFile(path, size, since * 10**9, path_hash(path), since, part)


def counted(sizes: dict[str, int], depth: int) -> tuple[SampledFile, ...]:
    """The sample of a count of these files."""
    folders: dict[str, list[bytes]] = {}
    for path in sizes:
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append(as_bytes(name))
    sampler = Sampler()
    entries: dict[str, list[str]] = {}
    for folder in folders:
        entries.setdefault(entry_of(f"{folder}/x", depth), []).append(folder)
    for number, (entry, below) in enumerate(entries.items(), 1):
        if entry:
            sampler.enter(as_bytes(entry), number)
        for folder in below:
            sampler.add(as_bytes(folder), folders[folder])
        if entry:
            sampler.leave(as_bytes(entry), sum(len(folders[folder]) for folder in below), depth)

    def read(rows: Sequence[tuple[int, bytes, bytes]]) -> list[SampledFile]:
        paths = [as_text(folder + b"/" + name if folder else name) for _, name, folder in rows]
        return [file(path, sizes[path]) for path in paths]

    by_entry = {as_text(entry): read(rows) for entry, rows in sampler.by_entry(depth).items()}
    return choose(read(sampler.by_hash()), by_entry)


def part_of(files: Sequence[SampledFile], part: Part) -> list[SampledFile]:
    return [one for one in files if one.part is part]


# Which files are chosen.

_NAMES = st.binary(min_size=1, max_size=12).filter(
    lambda name: not {b"/"[0], 0} & {*name} and name not in {b".", b".."}
)


@given(st.lists(_NAMES, max_size=4), st.sets(_NAMES, min_size=1, max_size=8))
def test_a_count_hashes_any_name_as_its_path(folders: list[bytes], names: set[bytes]) -> None:
    folder = b"/".join(folders)
    sampler = Sampler()
    sampler.add(folder, sorted(names))
    paths = [as_text(folder + b"/" + name if folder else name) for name in names]
    assert [row[0] for row in sampler.by_hash()] == sorted(map(path_hash, paths))
    assert all(as_bytes(path) in {b"/".join([*folders, name]) for name in names} for path in paths)


def test_up_to_512_files_the_sample_is_every_file() -> None:
    sizes = {f"tenant-{number % 3}/{number}": number for number in range(SIZE)}
    found = counted(sizes, 1)
    assert {one.path: one.size for one in found} == sizes
    assert {one.part for one in found} == {Part.HASH}


def test_above_that_the_parts_are_the_smallest_hashes_the_largest_files_and_files_of_each_entry() -> None:
    sizes = {f"tenant-{number % 20:02}/{number // 500}/{number}": number * 7919 % 10_007 for number in range(30_000)}
    sizes |= {f"small-{number}/only": 1 for number in range(30)}
    found = counted(sizes, 1)
    in_order = sorted(sizes, key=path_hash)
    by_hash, largest, by_entry = (part_of(found, part) for part in (Part.HASH, Part.LARGEST, Part.ENTRY))
    assert [one.path for one in by_hash] == in_order[:BY_HASH]
    rest = sorted(in_order[BY_HASH:CANDIDATES], key=lambda path: (-sizes[path], path))
    assert [one.path for one in largest] == rest[:BY_SIZE]
    assert len(by_entry) == BY_ENTRY
    assert {f"small-{number}/only" for number in range(30)} <= {one.path for one in found}
    of_all = [entry_of(one.path, 1) for one in (*by_hash, *by_entry)]
    assert min(of_all.count(f"tenant-{number:02}") for number in range(20)) >= 10


def test_an_entry_of_few_files_beside_bulk_is_in_the_sample() -> None:
    sizes = {f"cache/{number}": 1 for number in range(100_000)} | {f"acme/{number}": 1 for number in range(100)}
    acme = [one for one in counted(sizes, 1) if one.path.startswith("acme/")]
    assert len(acme) >= BY_ENTRY // 2


def test_of_ten_thousand_entries_a_random_128_have_a_file_each() -> None:
    sizes = {f"tenant-{number // 3}/{number}": 1 for number in range(30_000)}
    by_entry = part_of(counted(sizes, 1), Part.ENTRY)
    entries = {entry_of(one.path, 1) for one in by_entry}
    assert len(entries) > BY_ENTRY / 2
    chosen = sorted({entry_of(path, 1) for path in sizes}, key=path_hash)[:BY_ENTRY]
    assert entries <= {*chosen}


@pytest.mark.parametrize("seed", range(3))
def test_the_sample_does_not_depend_on_the_order_of_a_listing(seed: int) -> None:
    paths = [f"{folder}/{number}" for folder in "abc" for number in range(2000)]
    expected = counted(dict.fromkeys(paths, 1), 0)
    random.Random(seed).shuffle(paths)
    assert {*counted(dict.fromkeys(paths, 1), 0)} == {*expected}


def test_what_a_count_keeps_is_bounded() -> None:
    sampler = Sampler()
    for number in range(50_000):
        entry = f"tenant-{number}".encode()
        sampler.enter(entry, number + 1)
        sampler.add(entry, [b"a", b"b"])
        sampler.leave(entry, 2, 1)
    assert len(sampler.by_hash()) == CANDIDATES
    assert len(sampler.by_entry(1)) == BY_ENTRY
    kept = sampler.files_in([f"tenant-{number}".encode() for number in range(50_000)])
    assert len(kept) <= 5 * CANDIDATES
    assert {sampler.entry_of(row[2], 1) for row in sampler.by_hash()} <= {*kept}


# Since when they are known.


def test_a_file_keeps_its_since_and_a_new_one_begins_now() -> None:
    last = [file("a/1", since=NOW - 900), file("a/2", since=NOW - 60)]
    new = [file("a/1", since=NOW), file("a/3", since=NOW - DAY)]
    merged = {one.path: one.since for one in merge(last, new, (), NOW, complete=True)}
    assert merged == {"a/1": NOW - 900, "a/3": NOW}


@given(st.integers(-(10**6), 10**6), st.integers(0, 10**6), st.integers(1, 2**63))
def test_touching_chown_and_rewriting_change_nothing_in_what_is_known(later: int, size: int, inode: int) -> None:
    last = [file(f"tenant-{number % 4}/{number}", since=NOW - 400 - number) for number in range(SIZE)]
    new = [replace(one, mtime=later, size=size, inode=inode, since=NOW + later) for one in last]
    merged = merge(last, new, (), NOW, complete=True)
    assert {one.path: one.since for one in merged} == {one.path: one.since for one in last}


def test_a_file_that_the_last_count_could_not_have_sampled_is_as_old_as_its_ctime() -> None:
    paths = sorted((f"a/{number}" for number in range(1000)), key=path_hash)
    last = [file(path) for path in paths[:100]]
    between, beyond = paths[50], paths[500]
    last.remove(file(between))
    merged = {one.path: one for one in merge(last, [file(between), file(beyond)], (), NOW, complete=False)}
    assert (merged[between].since, merged[beyond].since) == (NOW, NOW - DAY)


def test_what_a_count_could_not_see_stays_in_the_sample_as_it_was() -> None:
    hidden = file("b/1", since=NOW - 5 * DAY)
    assert hidden in merge([hidden], [file("a/1")], [hidden], NOW, complete=True)


@given(st.integers(0, SIZE), st.integers(0, SIZE))
def test_a_merged_sample_is_never_larger_than_a_sample(new: int, unknown: int) -> None:
    merged = merge(
        (), [file(f"a/{n}") for n in range(new)], [file(f"b/{n}") for n in range(unknown)], NOW, complete=True
    )
    assert len(merged) <= SIZE


def test_no_file_is_younger_than_the_count_even_where_its_clock_runs_ahead() -> None:
    assert merge((), [file("a", since=NOW + DAY)], (), NOW, complete=False)[0].since == NOW


def test_what_a_person_declared_right_was_always_there() -> None:
    assert [one.since for one in declared([file("a"), file("b", since=NOW)])] == [0, 0]


# What they tell of all the others: never off to one side, whatever the shape of the volume.

ROUNDS = 12
Shape = Callable[[random.Random], dict[str, int]]


def bulk(order: random.Random) -> dict[str, int]:
    root = order.randbytes(4).hex()
    sizes = {f"{root}-cache/{number}": order.randrange(100) for number in range(9000)}
    return sizes | {f"{root}-t{number % 9}/{number}": order.randrange(10_000) for number in range(900)}


def many_entries(order: random.Random) -> dict[str, int]:
    root = order.randbytes(4).hex()
    return {f"{root}-{number}/file": order.randrange(1000) for number in range(10_000)}


def huge_files(order: random.Random) -> dict[str, int]:
    root = order.randbytes(4).hex()
    sizes = {f"{root}-t{number % 7}/{number}": order.randrange(1000) for number in range(3900)}
    return sizes | {f"{root}-t{number % 7}/huge-{number}": 10**6 * (number + 1) for number in range(100)}


@functools.cache
def samples(shape: Shape) -> list[tuple[dict[str, int], tuple[SampledFile, ...]]]:
    volumes = [shape(random.Random(seed)) for seed in range(ROUNDS)]
    return [(sizes, counted(sizes, 1)) for sizes in volumes]


def estimates(shape: Shape, is_lost: Callable[[str], bool]) -> tuple[float, float]:
    """How far the estimated shares of files and of bytes lie from the true ones, on average."""
    files, byte_shares = [], []
    for sizes, found in samples(shape):
        reference = Reference(len(sizes), "2026-11-30T12:00:00Z", found, 1, 2)
        gone = {path: size for path, size in sizes.items() if is_lost(path)}

        def lost(one: SampledFile) -> bool:
            return is_lost(one.path)

        files.append(loss._share(reference, found, lost) - len(gone) / len(sizes))
        byte_shares.append(loss._share_of_bytes(reference, found, lost) - sum(gone.values()) / sum(sizes.values()))
    return mean(files), mean(byte_shares)


@pytest.mark.parametrize("shape", [bulk, many_entries, huge_files])
@pytest.mark.parametrize(
    "is_lost",
    [lambda path: path[-1] in "012", lambda path: "-t" in path, lambda path: "huge" in path or path.endswith("7")],
    ids=["every third", "all but the bulk", "the huge ones"],
)
def test_estimates_are_not_off_to_one_side(shape: Shape, is_lost: Callable[[str], bool]) -> None:
    of_files, of_bytes = estimates(shape, is_lost)
    # Of one sample the standard error is at most 0.5 / sqrt(256) = 0.031, of 12 at most 0.009: four of them.
    assert abs(of_files) < 0.036
    assert abs(of_bytes) < 0.05


def test_files_that_are_ignored_by_now_leave_an_estimate_of_the_rest() -> None:
    parts = {
        Part.HASH: ("cache", 230, "a", 26),
        Part.ENTRY: ("cache", 64, "a", 64),
        Part.LARGEST: ("cache", 0, "a", 128),
    }
    sample = tuple(
        SampledFile(f"{folder}/{part.value}{number}", 1, 0, number, 0, part)
        for part, (cache, many, kept, few) in parts.items()
        for folder, files in ((cache, many), (kept, few))
        for number in range(files)
    )
    reference = Reference(100_000, "2026-11-24T18:00:00Z", sample, 1, 2, {"cache": 90_000, "a": 10_000})
    left = without_ignored(reference, ("cache/**",))
    assert left.files == pytest.approx(10_000, rel=0.1)
    assert left.entries == {"a": 10_000}
