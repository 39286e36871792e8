"""The loss rule: the contract's sentences as examples, then against a naive restatement in exact fractions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.volume.ledger import Reference
from guard.volume.loss import (
    FEW,
    KNOWN,
    KNOWN_IF_EMPTY,
    Content,
    Loss,
    LossRule,
    State,
    Verdict,
    is_over,
    judge_loss,
    known_files,
    states_of,
)
from guard.volume.sample import FileCheck, Part, Presence, SampledFile, entry_of

RULE = LossRule()
SIGN = 1_800_000_000
OLD = SIGN - 86_400


def files(names: Mapping[str, int], *, size: int = 10, since: int = OLD) -> tuple[SampledFile, ...]:
    """So many files in each folder."""
    paths = [
        f"{folder}/{number}" if folder else str(number) for folder, many in names.items() for number in range(many)
    ]
    return tuple(SampledFile(path, size, 0, number, since, Part.HASH) for number, path in enumerate(paths))


def reference(sample: Sequence[SampledFile], depth: int = 1) -> Reference:
    """Of a volume whose sample is every file."""
    entries = [entry for file in sample if (entry := entry_of(file.path, depth))]
    counts = {entry: entries.count(entry) for entry in entries}
    return Reference(len(sample), "2026-11-30T12:00:00Z", tuple(sample), depth, len(counts), counts)


def judged(sample: Sequence[SampledFile], lost: Sequence[SampledFile], now: int | None = None) -> Loss:
    """The verdict where these files are lost, and so many files are there now; without others if None."""
    states = {file.path: State.LOST if file in lost else State.KEPT for file in sample}
    files_now = len(sample) - len(lost) if now is None else now
    return judge_loss(RULE, reference(sample), Content(states, files_now), SIGN)


def below(sample: Sequence[SampledFile], *folders: str) -> list[SampledFile]:
    return [file for file in sample if file.path.startswith(tuple(f"{folder}/" for folder in folders))]


# What became of a file.


@pytest.mark.parametrize(
    ("check", "state"),
    [
        (FileCheck(Presence.PRESENT, 100), State.KEPT),
        (FileCheck(Presence.PRESENT, 20), State.KEPT),
        (FileCheck(Presence.PRESENT, 19), State.LOST),
        (FileCheck(Presence.PRESENT, 0), State.LOST),
        (FileCheck(Presence.ABSENT), State.LOST),
        (FileCheck(Presence.UNREADABLE), State.UNKNOWN),
        (FileCheck(Presence.HIDDEN), State.UNKNOWN),
    ],
)
def test_a_file_is_kept_at_its_path_with_enough_of_its_size(check: FileCheck, state: State) -> None:
    (file,) = files({"a": 1}, size=100)
    assert states_of(RULE, [file], {file.path: check}) == {file.path: state}


def test_a_file_that_was_found_elsewhere_is_kept() -> None:
    sample = files({"a": 2})
    checks = {file.path: FileCheck(Presence.ABSENT) for file in sample}
    assert states_of(RULE, sample, checks, {"a/0"}) == {"a/0": State.KEPT, "a/1": State.LOST}


def test_a_file_that_was_not_checked_has_no_state() -> None:
    assert states_of(RULE, files({"a": 1}), {}) == {}


def test_an_empty_file_is_kept_where_it_is() -> None:
    (file,) = files({"a": 1}, size=0)
    assert states_of(RULE, [file], {file.path: FileCheck(Presence.PRESENT, 0)}) == {file.path: State.KEPT}


# Which files count.


def test_known_files_were_there_five_minutes_before_the_first_sign() -> None:
    old, new = files({"a": 1}, since=SIGN - KNOWN), files({"b": 1}, since=SIGN - KNOWN + 1)
    assert known_files([*old, *new], SIGN, empty=False) == old


@pytest.mark.parametrize(("old", "known"), [(FEW - 1, FEW + 2), (FEW, FEW)])
def test_only_where_nothing_is_left_of_few_are_those_known_of_a_minute(old: int, known: int) -> None:
    young = files({"b": 3}, since=SIGN - KNOWN_IF_EMPTY)
    sample = [*files({"a": old}), *young, *files({"c": 1}, since=SIGN)]
    assert len(known_files(sample, SIGN, empty=True)) == known
    assert len(known_files(sample, SIGN, empty=False)) == old


# The verdicts.


def test_all_files_gone_is_a_wipe_whatever_came_in_their_place() -> None:
    sample = files({"a": 100, "b": 100, "c": 100, "d": 100})
    for now in (0, 1, 360, 400, 6000):
        assert judged(sample, sample, now).verdict is Verdict.WIPED
    assert not judged(sample, sample, 0).replaced
    assert judged(sample, sample, 360).replaced


@pytest.mark.parametrize("folders", [("a",), ("a", "b", "c")])
def test_an_empty_volume_is_a_wipe_also_where_no_share_is_more_than_the_setting(folders: tuple[str, ...]) -> None:
    sample = files(dict.fromkeys(folders, 10))
    lost = Content({file.path: State.LOST for file in sample}, 0)
    assert judge_loss(LossRule(max_loss=1.0), reference(sample), lost, SIGN).verdict is Verdict.WIPED


def test_four_of_many_entries_lost_beside_bulk_are_shrunk_with_their_names() -> None:
    sample = files({"a": 15, "b": 15, "c": 15, "d": 15, "cache": 400})
    loss = judged(sample, below(sample, "a", "b", "c", "d"))
    assert loss.verdict is Verdict.SHRUNK
    assert {entry.name for entry in loss.entries} == {"a", "b", "c", "d"}
    assert {(entry.before, entry.after) for entry in loss.entries} == {(15, 0)}


def test_losing_one_of_two_entries_however_large_is_never_a_wipe() -> None:
    sample = files({"large": 500, "small": 1})
    assert judged(sample, below(sample, "large")).verdict is Verdict.SHRUNK
    assert judged(sample, below(sample, "small")).verdict is Verdict.KEPT


def test_with_one_entry_something_left_is_no_wipe() -> None:
    sample = files({"only": 83})
    assert judged(sample, sample[1:]).verdict is Verdict.SHRUNK
    assert judged(sample, sample).verdict is Verdict.WIPED


def test_few_files_replaced_by_as_many_others_are_no_wipe() -> None:
    assert judged(files({"a": FEW - 1}), files({"a": FEW - 1}), FEW - 1).verdict is Verdict.SHRUNK
    assert judged(files({"a": FEW}), files({"a": FEW}), FEW).verdict is Verdict.WIPED
    assert judged(files({"a": FEW - 1}), files({"a": FEW - 1}), FEW - 2).verdict is Verdict.WIPED


def test_files_that_roll_over_raise_no_wipe_however_many_are_gone() -> None:
    sample = [*files({"a": 5, "b": 5}), *files({"new": 300}, since=SIGN - 30)]
    assert judged(sample, below(sample, "new"), len(sample)).verdict is Verdict.KEPT


def test_most_bytes_gone_are_shrunk_though_few_files_are() -> None:
    tables = tuple(replace(file, size=10**9) for file in files({"data": 3}))
    sample = [*tables, *files({"system": 300, "other": 300})]
    assert judged(sample, tables, len(sample)).verdict is Verdict.SHRUNK


def test_what_an_earlier_episode_lost_counts_no_more() -> None:
    sample = files({"a": 10, "b": 10, "c": 10, "d": 10})
    states = {file.path: State.LOST for file in sample} | {file.path: State.KEPT for file in below(sample, "d")}
    earlier = [file.path for file in below(sample, "a", "b")]
    last = judge_loss(RULE, reference(sample), Content(states, 10), SIGN, earlier)
    assert (last.verdict, last.known_lost) == (Verdict.SHRUNK, 10)
    assert judge_loss(RULE, reference(sample), Content(states, 10), SIGN, [*earlier, *states]).verdict is Verdict.KEPT


def test_what_cannot_be_seen_is_never_lost() -> None:
    sample = files({"a": 10, "b": 10})
    states = dict.fromkeys((file.path for file in sample), State.UNKNOWN)
    loss = judge_loss(RULE, reference(sample), Content(states, 0), SIGN)
    assert (loss.verdict, loss.checked) == (Verdict.KEPT, 0)


@pytest.mark.parametrize("known", [None, reference(files({"a": 60}))])
def test_fewer_than_min_files_is_a_loss_that_no_acceptance_ends(known: Reference | None) -> None:
    rule = LossRule(min_files=50)
    loss = judge_loss(rule, known, Content({}, 49), SIGN)
    assert (loss.verdict, loss.min_files, loss.acceptable) == (Verdict.WIPED, 50, False)
    assert judge_loss(rule, known, Content({}, 50), SIGN).verdict is Verdict.KEPT


def test_without_a_reference_nothing_is_lost() -> None:
    assert judge_loss(RULE, None, Content({}, 0), SIGN).verdict is Verdict.KEPT


# Against a naive restatement, of volumes whose sample is every file.

_ENTRY_NAMES = st.sampled_from(["a", "b", "c", "d", ""])
_FILES = st.lists(
    st.tuples(_ENTRY_NAMES, st.integers(0, 1000), st.booleans(), st.sampled_from([*State])), min_size=1, max_size=60
)


def volume_of(rows: Sequence[tuple[str, int, bool, State]]) -> tuple[list[SampledFile], dict[str, State]]:
    sample, states = [], {}
    for number, (entry, size, old, state) in enumerate(rows):
        path = f"{entry}/{number}" if entry else str(number)
        sample.append(SampledFile(path, size, 0, number, OLD if old else SIGN, Part.HASH))
        states[path] = state
    return sample, states


def naive(rule: LossRule, sample: list[SampledFile], states: dict[str, State], now: int) -> Verdict:
    max_loss, shrink = Fraction(str(rule.max_loss)), Fraction(str(rule.shrink))

    def is_most(share: Fraction) -> bool:
        return share > max_loss or share == 1

    told = [file for file in sample if states[file.path] is not State.UNKNOWN]
    known = [file for file in told if file.since <= SIGN - 300]
    if now == 0 and len(known) < 8:
        known = [file for file in told if file.since <= SIGN - 60]
    gone = [file for file in known if states[file.path] is State.LOST]
    if not gone:
        return Verdict.KEPT
    of_known = Fraction(len(gone), len(known))
    of_all = Fraction(sum(states[file.path] is State.LOST for file in told), len(told))
    entries = []
    names = {entry_of(file.path, 1) for file in sample} - {""}
    for name in names:
        own = [states[file.path] is State.LOST for file in known if file.path.startswith(f"{name}/")]
        if own:
            entries.append(is_most(Fraction(sum(own), len(own))))
    if len(names) < 2:
        entries = []
    many = len(entries) >= 2
    most_entries = many and sum(entries) * 2 > len(entries)
    if (
        is_most(min(of_known, of_all))
        and (most_entries if many else gone == known)
        and (now < len(sample) or len(known) >= 8)
    ):
        return Verdict.WIPED
    size = sum(file.size for file in known)
    bytes_lost = Fraction(sum(file.size for file in gone), size) if size else Fraction(0)
    hardly_fell = now > Fraction(95, 100) * len(sample)
    most_files = of_known >= shrink and (of_all >= shrink or not hardly_fell)
    return Verdict.SHRUNK if most_files or most_entries or is_most(bytes_lost) else Verdict.KEPT


@given(_FILES, st.integers(0, 80), st.sampled_from([0.5, 0.8, 1.0]), st.sampled_from([0.2, 0.3]))
def test_the_verdict_is_the_one_of_a_naive_restatement(
    rows: list[tuple[str, int, bool, State]], now: int, max_loss: float, shrink: float
) -> None:
    rule = LossRule(max_loss, shrink)
    sample, states = volume_of(rows)
    found = judge_loss(rule, reference(sample), Content(states, now), SIGN)
    assert found.verdict is naive(rule, sample, states, now)


_ORDER = [Verdict.KEPT, Verdict.SHRUNK, Verdict.WIPED]


@given(_FILES, st.integers(0, 60), st.integers(0, 1000))
def test_other_files_in_their_place_never_lower_a_verdict_on_enough_known_files(
    rows: list[tuple[str, int, bool, State]], now: int, refill: int
) -> None:
    sample, states = volume_of([*rows, *([("a", 10, True, State.LOST)] * FEW)])
    before, after = (
        judge_loss(RULE, reference(sample), Content(states, files_now), SIGN).verdict
        for files_now in (now, now + refill)
    )
    if before is Verdict.WIPED:
        assert after is Verdict.WIPED


# The end of an incident.


def test_an_incident_is_over_when_most_files_entries_and_bytes_are_back() -> None:
    sample = files({"a": 10, "b": 10, "c": 10, "d": 10})
    known = reference(sample)
    back = {file.path: State.KEPT for file in sample}
    lost = dict.fromkeys(back, State.LOST)
    assert is_over(RULE, known, back, SIGN)
    assert not is_over(RULE, known, lost, SIGN)
    assert is_over(RULE, known, back | {f"a/{number}": State.LOST for number in range(10)}, SIGN)
    assert not is_over(RULE, known, back | {f"{entry}/{n}": State.LOST for entry in "ab" for n in range(10)}, SIGN)


def test_the_bytes_must_be_back_too() -> None:
    tables = tuple(replace(file, size=10**9) for file in files({"data": 1}))
    sample = [*tables, *files({"a": 50, "b": 50})]
    states = {file.path: State.KEPT for file in sample}
    assert not is_over(RULE, reference(sample), states | {tables[0].path: State.LOST}, SIGN)


def test_an_incident_is_not_over_while_nothing_can_be_seen() -> None:
    sample = files({"a": 10})
    assert not is_over(RULE, reference(sample), dict.fromkeys((file.path for file in sample), State.UNKNOWN), SIGN)


@given(_FILES)
def test_what_is_over_is_no_wipe(rows: list[tuple[str, int, bool, State]]) -> None:
    sample, states = volume_of(rows)
    if is_over(RULE, reference(sample), states, SIGN):
        assert judge_loss(RULE, reference(sample), Content(states, 1), SIGN).verdict is not Verdict.WIPED
