"""The rule of loss over files: which were known, which are lost, and what that means. Each line of DESIGN.md, Loss."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.volume.ledger import Reference
from guard.volume.loss import Content, Loss, LossRule, State, Verdict, is_over, judge_loss, known_files, states_of
from guard.volume.observation import FileCount
from guard.volume.reference import declared_reference, new_reference
from guard.volume.sample import FileCheck, Part, Presence, SampledFile
from guard.volume.timestamp import Timestamp

RULE = LossRule()
AT = "2026-11-24T18:27:01Z"
SIGN = 10_000.0
LONG_AGO = 0


def files(entries: Mapping[str, int], since: float = LONG_AGO, size: int = 100) -> tuple[SampledFile, ...]:
    return tuple(
        SampledFile(f"{entry}/{number}", size, 0, number, int(since), Part.HASH)
        for entry, count in entries.items()
        for number in range(count)
    )


def reference(entries: Mapping[str, int], *more: SampledFile) -> Reference:
    sample = (*files(entries), *more)
    depth = 1 if len(entries) > 1 else 0
    return Reference(len(sample), AT, sample, depth, len(entries) if depth else 0, dict(entries) if depth else {})


def judged(before: Reference, lost: set[str], now: int | None, rule: LossRule = RULE) -> Loss:
    """The verdict where every file whose path begins with one of these is lost."""
    states = {
        file.path: State.LOST if any(file.path.startswith(one) for one in lost) else State.KEPT
        for file in before.sample
    }
    return judge_loss(rule, before, Content(states, now), SIGN)


FOUR = reference({"a": 25, "b": 25, "c": 25, "d": 25})


@pytest.mark.parametrize(
    ("before", "lost", "now", "verdict"),
    [
        pytest.param(FOUR, {"a", "b", "c", "d"}, 0, Verdict.WIPED, id="everything gone"),
        pytest.param(FOUR, {"a", "b", "c", "d"}, 90, Verdict.WIPED, id="C1: other files in their place"),
        pytest.param(FOUR, {"a", "b", "c", "d"}, 6000, Verdict.WIPED, id="C6: an upload of thousands beside it"),
        pytest.param(FOUR, {"a", "b"}, 50, Verdict.SHRUNK, id="half of the entries"),
        pytest.param(FOUR, {"a"}, 75, Verdict.KEPT, id="a quarter of the files is no warning"),
        pytest.param(FOUR, set(), 100, Verdict.KEPT, id="nothing lost"),
        pytest.param(FOUR, {"a", "b", "c"}, 25, Verdict.SHRUNK, id="C10: three of four skills"),
        pytest.param(reference({"": 20}), {"/1"}, 9, Verdict.SHRUNK, id="no entries: something is left"),
        pytest.param(reference({"": 20}), {"/"}, 0, Verdict.WIPED, id="no entries: nothing is left"),
        pytest.param(reference({"": 3}), {"/"}, 0, Verdict.WIPED, id="few files, and the volume is empty"),
        pytest.param(reference({"": 7}), {"/"}, 7, Verdict.SHRUNK, id="few files, replaced by as many"),
        pytest.param(reference({"": 8}), {"/"}, 8, Verdict.WIPED, id="eight files, replaced by as many"),
        pytest.param(reference({"a": 60, "b": 20, "c": 20}), {"b", "c"}, 60, Verdict.SHRUNK, id="most of the entries"),
        pytest.param(
            reference({"a": 90, "b": 5, "c": 5}), {"a"}, 10, Verdict.SHRUNK, id="one entry of three is no wipe"
        ),
    ],
)
def test_which_files_are_lost_decides_not_how_many_there_are(
    before: Reference, lost: set[str], now: int, verdict: Verdict
) -> None:
    assert judged(before, lost, now).verdict is verdict


@pytest.mark.parametrize(("share", "verdict"), [(80, Verdict.SHRUNK), (81, Verdict.WIPED)])
def test_a_wipe_takes_more_than_max_loss_of_the_known_files(share: int, verdict: Verdict) -> None:
    before = reference({str(entry): 1 for entry in range(100)})
    lost = {f"{entry}/" for entry in range(share)}
    states = {file.path: State.LOST if file.path.split("/")[0] + "/" in lost else State.KEPT for file in before.sample}
    assert judge_loss(RULE, before, Content(states, 100 - share), SIGN).verdict is verdict


@pytest.mark.parametrize(("lost", "verdict"), [(29, Verdict.KEPT), (30, Verdict.SHRUNK)])
def test_a_shrink_takes_at_least_shrink_of_the_known_files(lost: int, verdict: Verdict) -> None:
    before = reference({"": 100})
    states = {file.path: State.LOST if number < lost else State.KEPT for number, file in enumerate(before.sample)}
    assert judge_loss(RULE, before, Content(states, 100 - lost), SIGN).verdict is verdict


def test_a_shrink_is_also_most_of_the_bytes() -> None:
    large = SampledFile("a/db", 20_000, 0, 99, LONG_AGO, Part.HASH)
    before = replace(reference({"a": 10, "b": 10, "c": 10}, large), entries={"a": 11, "b": 10, "c": 10})
    assert judged(before, {"a/db"}, 30).verdict is Verdict.SHRUNK
    assert judged(before, {"a/1"}, 30).verdict is Verdict.KEPT


def test_fewer_than_min_files_is_a_loss_that_no_acceptance_ends() -> None:
    rule = LossRule(min_files=5)
    loss = judge_loss(rule, None, Content({}, 4), SIGN)
    assert (loss.verdict, loss.acceptable, loss.min_files) == (Verdict.WIPED, False, 5)
    assert judge_loss(rule, None, Content({}, 5), SIGN).verdict is Verdict.KEPT
    assert judge_loss(rule, FOUR, Content({}, None), SIGN).verdict is Verdict.KEPT


def test_a_loss_carries_its_numbers_the_largest_entry_first() -> None:
    loss = judged(reference({"a": 5, "b": 10}), {"a", "b"}, 0)
    assert (loss.before, loss.after, loss.checked, loss.kept, loss.known, loss.known_lost) == (15, 0, 15, 0, 15, 15)
    assert [(entry.name, entry.before, entry.after) for entry in loss.entries] == [("b", 10, 0), ("a", 5, 0)]
    assert not loss.replaced
    assert judged(reference({"a": 5, "b": 10}), {"a", "b"}, 15).replaced


def test_files_are_known_five_minutes_before_the_first_sign() -> None:
    old, new = files({"old": 4}, SIGN - 300), files({"new": 4}, SIGN - 299)
    assert known_files((*old, *new), SIGN, empty=False) == old


def test_where_the_volume_is_empty_and_few_are_known_one_minute_is_enough() -> None:
    few, recent = files({"old": 7}, SIGN - 300), files({"recent": 9}, SIGN - 60)
    assert known_files((*few, *recent), SIGN, empty=True) == (*few, *recent)
    many = files({"old": 8}, SIGN - 300)
    assert known_files((*many, *recent), SIGN, empty=True) == many


def test_files_that_are_too_new_to_be_known_alone_are_no_loss_unless_the_volume_is_empty() -> None:
    before = replace(FOUR, sample=files({"a": 50, "b": 50}, SIGN - 120))
    assert judged(before, {"a", "b"}, 90).verdict is Verdict.KEPT
    assert judged(before, {"a", "b"}, 0).verdict is Verdict.WIPED


@pytest.mark.parametrize(
    ("check", "state"),
    [
        (FileCheck(Presence.PRESENT, 100), State.KEPT),
        (FileCheck(Presence.PRESENT, 20), State.KEPT),
        (FileCheck(Presence.PRESENT, 19), State.LOST),
        (FileCheck(Presence.ABSENT), State.LOST),
        (FileCheck(Presence.UNREADABLE), State.UNKNOWN),
        (FileCheck(Presence.HIDDEN), State.UNKNOWN),
    ],
)
def test_a_file_is_kept_with_enough_of_its_size_and_never_lost_where_it_cannot_be_seen(
    check: FileCheck, state: State
) -> None:
    (file,) = files({"a": 1})
    assert states_of(RULE, [file], {file.path: check}) == {file.path: state}


def test_a_file_that_was_found_elsewhere_is_kept_and_one_that_was_not_checked_has_no_state() -> None:
    moved, unchecked = files({"a": 2})
    assert states_of(RULE, [moved, unchecked], {moved.path: FileCheck(Presence.ABSENT)}, {moved.path}) == {
        moved.path: State.KEPT
    }


def test_files_that_cannot_be_seen_count_neither_as_kept_nor_as_lost() -> None:
    states = {file.path: State.UNKNOWN for file in FOUR.sample}
    loss = judge_loss(RULE, FOUR, Content(states, 0), SIGN)
    assert (loss.verdict, loss.checked) == (Verdict.KEPT, 0)
    states |= {file.path: State.LOST for file in FOUR.sample if file.path[0] in "ab"}
    assert judge_loss(RULE, FOUR, Content(states, 0), SIGN).verdict is Verdict.WIPED


def test_what_earlier_episodes_lost_never_adds_up_to_a_wipe() -> None:
    settled = {file.path for file in FOUR.sample if file.path[0] in "abc"}
    states = {file.path: State.LOST if file.path[0] in "abc" else State.KEPT for file in FOUR.sample}
    assert judge_loss(RULE, FOUR, Content(states, 25), SIGN, settled).verdict is Verdict.KEPT


@pytest.mark.parametrize(
    ("back", "over"), [("abcd", True), ("abc", True), ("ab", False), ("", False)], ids=["all", "most", "half", "none"]
)
def test_an_incident_is_over_when_enough_of_what_was_known_is_back(back: str, over: bool) -> None:
    states = {file.path: State.KEPT if file.path[0] in back else State.LOST for file in FOUR.sample}
    assert is_over(RULE, FOUR, states, SIGN) is over


def test_an_incident_whose_files_cannot_be_seen_is_not_over() -> None:
    assert not is_over(RULE, FOUR, {file.path: State.UNKNOWN for file in FOUR.sample}, SIGN)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 20), min_size=1),
    st.data(),
    st.integers(0, 200),
    st.floats(0.05, 0.95),
)
@settings(max_examples=200, deadline=None)
def test_losing_more_is_never_a_milder_verdict(
    entries: dict[str, int], data: st.DataObject, now: int, max_loss: float
) -> None:
    before, rule = reference(entries), LossRule(max_loss=max_loss)
    order = [Verdict.KEPT, Verdict.SHRUNK, Verdict.WIPED]
    paths = [file.path for file in before.sample]
    more = set(data.draw(st.lists(st.sampled_from(paths), unique=True)))
    less = set(data.draw(st.lists(st.sampled_from(sorted(more)), unique=True))) if more else set[str]()

    def verdict(lost: set[str]) -> int:
        states = {path: State.LOST if path in lost else State.KEPT for path in paths}
        return order.index(judge_loss(rule, before, Content(states, now), SIGN).verdict)

    assert verdict(less) <= verdict(more)


NOW = Timestamp(0.0, datetime.fromtimestamp(SIGN, UTC))


def test_a_new_reference_knows_since_when_its_files_are_there() -> None:
    first = new_reference(None, FileCount(4, sample=files({"a": 4}, 500)), NOW)
    assert {file.since for file in first.sample} == {500}
    later = Timestamp(0.0, datetime.fromtimestamp(SIGN + 900, UTC))
    grown = new_reference(first, FileCount(8, sample=(*files({"a": 4}, 600), *files({"b": 4}, 600))), later)
    assert {file.path[0]: file.since for file in grown.sample} == {"a": 500, "b": int(SIGN) + 900}


def test_what_a_person_declared_right_has_been_there_long_enough() -> None:
    found = declared_reference(FileCount(4, sample=files({"a": 4}, SIGN)), NOW)
    assert {file.since for file in found.sample} == {0}
    assert found.declared == NOW.text


def test_files_that_a_count_cannot_see_stay_in_the_reference() -> None:
    states = {file.path: State.UNKNOWN for file in FOUR.sample if file.path[0] == "a"}
    found = new_reference(FOUR, FileCount(75, sample=files({"b": 25, "c": 25, "d": 25})), NOW, states)
    assert (found.files, len(found.sample)) == (100, 100)
