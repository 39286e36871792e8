"""The loss rule: the contract's sentences as examples, then against a naive restatement in exact fractions."""

import time
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.volume.ledger import Reference
from guard.volume.loss import LossRule, Verdict, judge_loss, needed, new_reference
from guard.volume.observation import FileCount

AT = "2026-11-24T18:27:01Z"
RULE = LossRule()
TWO_SKILLS = {"large": 990, "small": 10}
TEN_TENANTS = {f"tenant-{number}": 100 for number in range(10)}


def reference(entries: Mapping[str, int], *, loose: int = 0, empty: int = 0) -> Reference:
    """A reference with so many files in its entries, and beside them."""
    return Reference(sum(entries.values()) + loose, dict(entries), empty, AT)


def census(
    entries: Mapping[str, int], *, loose: int = 0, empty: int | None = None, unreadable: tuple[str, ...] = ()
) -> FileCount:
    depth = max((name.count("/") + 1 for name in entries), default=0)
    return FileCount(
        sum(entries.values()) + loose, entries=dict(entries), empty=empty, unreadable=unreadable, depth=depth
    )


def verdict(before: Reference | None, now: FileCount, rule: LossRule = RULE) -> Verdict:
    return judge_loss(rule, before, now).verdict


# Nothing left.


def test_nothing_left_of_a_reference_is_a_wipe() -> None:
    loss = judge_loss(RULE, reference(TWO_SKILLS), census({}))
    assert (loss.verdict, loss.before, loss.after, loss.lost) == (Verdict.WIPED, 1000, 0, 1000)
    assert "nothing is left" in loss.reason


def test_nothing_left_is_a_wipe_even_of_a_single_file() -> None:
    assert verdict(reference({}, loose=1), census({})) is Verdict.WIPED


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_nothing_left_is_a_wipe_whatever_the_settings(share: float) -> None:
    assert verdict(reference(TWO_SKILLS), census({}), LossRule(max_loss=share, shrink=share)) is Verdict.WIPED


def test_folders_without_a_file_are_nothing_left() -> None:
    assert verdict(reference(TWO_SKILLS), census({"large": 0, "small": 0})) is Verdict.WIPED


# More than MAX_LOSS of all files, and of most entries.


def test_most_of_all_files_and_of_most_entries_lost_is_a_wipe() -> None:
    now = census(dict.fromkeys(TEN_TENANTS, 1))
    loss = judge_loss(RULE, reference(TEN_TENANTS), now)
    assert (loss.verdict, loss.lost) == (Verdict.WIPED, 990)
    assert "80%" in loss.reason


@pytest.mark.parametrize("gone", TWO_SKILLS)
def test_deleting_one_of_two_skills_however_large_is_never_a_wipe(gone: str) -> None:
    left = {name: files for name, files in TWO_SKILLS.items() if name != gone}
    expected = Verdict.SHRUNK if gone == "large" else Verdict.KEPT
    assert verdict(reference(TWO_SKILLS), census(left)) is expected


def test_deleting_one_of_two_skills_of_a_million_files_is_shrunk() -> None:
    assert verdict(reference({"huge": 10**6, "tiny": 1}), census({"tiny": 1})) is Verdict.SHRUNK


@pytest.mark.parametrize(("emptied_tenants", "expected"), [(5, Verdict.SHRUNK), (6, Verdict.WIPED)])
def test_more_than_half_of_the_entries_must_have_lost_most_of_their_own(
    emptied_tenants: int, expected: Verdict
) -> None:
    before = {f"t{number}": 1000 if number < 5 else 10 for number in range(10)}
    now = {name: files for number, (name, files) in enumerate(before.items()) if number >= emptied_tenants}
    assert verdict(reference(before), census(now)) is expected


@pytest.mark.parametrize(("left", "expected"), [(20, Verdict.SHRUNK), (19, Verdict.WIPED)])
def test_exactly_max_loss_is_not_more_than_max_loss(left: int, expected: Verdict) -> None:
    assert verdict(reference({}, loose=100), census({}, loose=left)) is expected


@pytest.mark.parametrize(("left", "expected"), [(20, Verdict.SHRUNK), (19, Verdict.WIPED)])
def test_exactly_max_loss_of_an_entry_is_not_more_than_max_loss_of_its_own(left: int, expected: Verdict) -> None:
    before = {"a": 100, "b": 100}
    # Loose files tip the whole beyond its limit, so only the entries' own losses can tell.
    assert verdict(reference(before, loose=100), census({"a": left, "b": left})) is expected


def test_with_one_entry_the_whole_alone_tells() -> None:
    assert verdict(reference({"only": 90}, loose=10), census({}, loose=10)) is Verdict.WIPED


def test_an_entry_without_files_speaks_neither_for_a_wipe_nor_against_it() -> None:
    assert verdict(reference({"full": 100, "void": 0}), census({"full": 1, "void": 0})) is Verdict.WIPED
    assert verdict(reference({"a": 99, "b": 1, "void": 0}), census({"b": 1, "void": 0})) is Verdict.SHRUNK


def test_with_max_loss_1_only_nothing_left_is_a_loss() -> None:
    rule = LossRule(max_loss=1.0)
    assert verdict(reference(TEN_TENANTS), census({"tenant-3": 1}), rule) is Verdict.SHRUNK
    assert verdict(reference(TEN_TENANTS), census({}), rule) is Verdict.WIPED


def test_with_max_loss_0_any_loss_of_most_entries_is_a_wipe() -> None:
    rule = LossRule(max_loss=0.0)
    assert verdict(reference({"a": 10, "b": 10}), census({"a": 9, "b": 9}), rule) is Verdict.WIPED
    assert verdict(reference({"a": 10, "b": 10}), census({"a": 9, "b": 10}), rule) is Verdict.KEPT
    assert verdict(reference({"a": 10, "b": 10}), census({"a": 10, "b": 10}), rule) is Verdict.KEPT


# GUARD_MIN_FILES.


@pytest.mark.parametrize(("files", "expected"), [(49, Verdict.WIPED), (50, Verdict.KEPT)])
@pytest.mark.parametrize("before", [None, reference({}), reference({}, loose=50)], ids=["none", "0", "50"])
def test_fewer_than_min_files_is_a_loss_whatever_the_ledger_says(
    before: Reference | None, files: int, expected: Verdict
) -> None:
    loss = judge_loss(LossRule(min_files=50), before, census({}, loose=files))
    assert loss.verdict is expected
    assert ("GUARD_MIN_FILES=50" in loss.reason) is (expected is Verdict.WIPED)


def test_a_volume_at_its_floor_can_still_be_shrunk() -> None:
    assert verdict(reference({}, loose=100), census({}, loose=50), LossRule(min_files=50)) is Verdict.SHRUNK


def test_without_min_files_an_empty_volume_without_a_reference_is_kept() -> None:
    loss = judge_loss(RULE, None, census({}))
    assert (loss.verdict, loss.reason) == (Verdict.KEPT, "no baseline yet")


@pytest.mark.parametrize("files", [0, 1, 10**6])
def test_a_reference_of_0_protects_nothing_and_says_so(files: int) -> None:
    loss = judge_loss(RULE, reference({}), census({}, loose=files))
    assert (loss.verdict, loss.reason) == (Verdict.KEPT, "no baseline yet")


# GUARD_SHRINK.


@pytest.mark.parametrize(("left", "expected"), [(71, Verdict.KEPT), (70, Verdict.SHRUNK), (69, Verdict.SHRUNK)])
def test_exactly_shrink_is_shrunk(left: int, expected: Verdict) -> None:
    assert verdict(reference({}, loose=100), census({}, loose=left)) is expected


@pytest.mark.parametrize(("share", "files", "lost"), [(0.3, 10, 3), (0.7, 10, 7), (0.1, 30, 3), (0.57, 100, 57)])
def test_shares_are_decimals_and_no_binary_fraction_moves_a_boundary(share: float, files: int, lost: int) -> None:
    before = reference({}, loose=files)
    rule = LossRule(max_loss=share, shrink=share)
    assert verdict(before, census({}, loose=files - lost), rule) is Verdict.SHRUNK
    assert verdict(before, census({}, loose=files - lost - 1), rule) is Verdict.WIPED
    assert verdict(before, census({}, loose=files - lost + 1), rule) is Verdict.KEPT


def test_with_shrink_0_nothing_lost_is_still_kept() -> None:
    rule = LossRule(shrink=0.0)
    assert verdict(reference({}, loose=100), census({}, loose=100), rule) is Verdict.KEPT
    assert verdict(reference({}, loose=100), census({}, loose=99), rule) is Verdict.SHRUNK


def test_growth_is_never_a_loss_even_where_an_old_entry_is_gone() -> None:
    now = census({"small": 10, "new": 990})
    loss = judge_loss(RULE, reference(TWO_SKILLS), now)
    assert (loss.verdict, loss.lost) == (Verdict.KEPT, 0)


def test_entries_that_lost_files_are_named_the_largest_loss_first() -> None:
    before = reference({"a": 10, "b": 500, "c": 10, "d": 7})
    loss = judge_loss(RULE, before, census({"a": 5, "b": 100, "c": 5, "d": 7}))
    assert [(entry.name, entry.before, entry.after) for entry in loss.entries] == [
        ("b", 500, 100), ("a", 10, 5), ("c", 10, 5),
    ]  # fmt: skip


# Files that became empty.


def test_truncating_every_file_is_a_wipe() -> None:
    assert verdict(reference(TWO_SKILLS), census(TWO_SKILLS, empty=1000)) is Verdict.WIPED


def test_files_that_became_empty_are_lost_with_those_that_are_gone() -> None:
    loss = judge_loss(RULE, reference({}, loose=100), census({}, loose=80, empty=10))
    assert (loss.verdict, loss.lost) == (Verdict.SHRUNK, 30)


def test_files_that_were_empty_before_are_not_lost() -> None:
    loss = judge_loss(RULE, reference(TWO_SKILLS, empty=900), census(TWO_SKILLS, empty=900))
    assert (loss.verdict, loss.lost) == (Verdict.KEPT, 0)


def test_where_sizes_were_not_read_only_names_are_judged() -> None:
    loss = judge_loss(RULE, reference(TWO_SKILLS, empty=900), census(TWO_SKILLS))
    assert (loss.verdict, loss.lost) == (Verdict.KEPT, 0)


def test_never_more_is_lost_than_there_was() -> None:
    loss = judge_loss(RULE, reference({}, loose=10), census({}, loose=5, empty=500))
    assert loss.lost == 10


def test_one_emptied_file_does_not_turn_the_deletion_of_one_of_two_skills_into_a_wipe() -> None:
    # In whichever entry the emptied file lies: `small` has lost at most one of its ten.
    assert verdict(reference(TWO_SKILLS), census({"small": 10}, empty=1)) is Verdict.SHRUNK


def test_new_empty_files_beside_as_many_full_ones_as_there_ever_were_are_no_wipe() -> None:
    assert verdict(reference({}, loose=10), census({}, loose=20, empty=10)) is not Verdict.WIPED


# Folders that can't be read.


def test_a_folder_that_cannot_be_read_keeps_its_last_count() -> None:
    loss = judge_loss(RULE, reference(TEN_TENANTS), census({}, unreadable=tuple(TEN_TENANTS)))
    assert (loss.verdict, loss.after, loss.lost, loss.entries) == (Verdict.KEPT, 1000, 0, ())


def test_a_folder_that_cannot_be_read_inside_an_entry_keeps_the_entrys_last_count() -> None:
    now = census({"large": 3, "small": 10}, unreadable=("large/private", "large/secret"))
    assert judge_loss(RULE, reference(TWO_SKILLS), now).after == 1000


def test_a_folder_above_the_entries_that_cannot_be_read_keeps_all_their_counts() -> None:
    before = reference({"org/a": 50, "org/b": 50})
    assert verdict(before, census({}, unreadable=("org",))) is Verdict.KEPT


def test_a_folder_above_the_entries_that_cannot_be_read_keeps_its_own_files_too() -> None:
    before = reference({"org/a": 5, "org/b": 5}, loose=90)  # org/README and 89 more
    loss = judge_loss(LossRule(min_files=50), before, census({}, unreadable=("org",)))
    assert (loss.verdict, loss.lost) == (Verdict.KEPT, 0)


def test_an_only_folder_that_cannot_be_read_keeps_everything() -> None:
    assert verdict(reference({}, loose=100), census({}, unreadable=("skills",))) is Verdict.KEPT


def test_a_name_that_only_begins_alike_is_another_folder() -> None:
    now = census({"ab": 50}, unreadable=("abc", "a-private"))
    assert verdict(reference({"a": 100, "ab": 100}), now) is Verdict.SHRUNK


def test_what_cannot_be_read_hides_no_loss_of_what_can() -> None:
    now = census({"tenant-0": 0}, unreadable=("tenant-0",))
    loss = judge_loss(RULE, reference(TEN_TENANTS), now)
    assert (loss.verdict, loss.lost) == (Verdict.WIPED, 900)
    assert "tenant-0" not in [entry.name for entry in loss.entries]


def test_a_new_folder_that_cannot_be_read_brings_nothing_back() -> None:
    assert verdict(reference(TEN_TENANTS), census({}, unreadable=("new",))) is Verdict.WIPED


@pytest.mark.parametrize(
    ("entries", "loose", "folder"),
    [({"acme": 50, "beta": 50}, 0, "acme/private"), ({}, 50, "private"), ({"org/a": 50, "org/b": 50}, 0, "org")],
    ids=["inside an entry", "beside loose files", "above the entries"],
)
def test_a_folder_that_could_never_be_read_hides_no_wipe(entries: dict[str, int], loose: int, folder: str) -> None:
    whole = census(entries, loose=loose, unreadable=(folder,))
    recorded = new_reference(None, whole, AT)
    assert recorded.unreadable == (folder,)
    assert verdict(recorded, whole) is Verdict.KEPT
    assert verdict(recorded, census({}, unreadable=(folder,))) is Verdict.WIPED


def test_a_folder_that_was_read_once_keeps_its_count_through_every_new_reference() -> None:
    private = ("acme/private",)
    known = new_reference(None, census({"acme": 50, "beta": 50}), AT)
    short = new_reference(known, census({"acme": 40, "beta": 50}, unreadable=private), AT)
    assert (short.files, short.unreadable) == (100, ())
    assert verdict(short, census({"beta": 50}, unreadable=private)) is Verdict.KEPT
    # What has come beside it since makes up for it: nothing is kept for it any more.
    grown = new_reference(short, census({"acme": 60, "beta": 50}, unreadable=private), AT)
    assert (grown.files, grown.unreadable) == (110, private)
    assert verdict(grown, census({}, unreadable=private)) is Verdict.WIPED
    # And once it is read, it has a count again.
    read = new_reference(grown, census({"acme": 70, "beta": 50}), AT)
    assert verdict(read, census({}, unreadable=("acme", "beta"))) is Verdict.KEPT


def test_where_not_every_unreadable_folder_is_named_all_of_them_keep_their_count() -> None:
    known = new_reference(None, census({"acme": 50, "beta": 50}, unreadable=("acme/private",)), AT)
    more = replace(census({}, unreadable=("acme/private", "beta/private")), more_unreadable=1)
    assert verdict(known, more) is Verdict.KEPT
    assert new_reference(known, more, AT).unreadable == ()


def test_ten_thousand_folders_that_cannot_be_read_are_looked_up_not_searched_for() -> None:
    before = reference({f"org/{number}": 1 for number in range(10_000)})
    now = census({}, unreadable=tuple(f"org/{number}/private" for number in range(9_000)))
    began = time.process_time()
    assert judge_loss(RULE, before, now).lost == 1_000
    assert time.process_time() - began < 1


def test_an_entry_of_ten_thousand_levels_costs_no_memory_for_each() -> None:
    before = reference({"a/" * 10_000 + "a": 10})
    now = census({}, unreadable=("a/b",))
    tracemalloc.start()
    assert verdict(before, now) is Verdict.WIPED
    assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    tracemalloc.stop()


# Counts that stopped early.


def test_a_count_that_stopped_early_found_enough() -> None:
    now = FileCount(100_001, exact=False, entries={"a": 100_001})
    loss = judge_loss(RULE, reference({"a": 60_000, "b": 60_000}), now)
    # What it did not reach is not lost: `b` was never looked at.
    assert (loss.verdict, loss.lost, loss.entries) == (Verdict.KEPT, 0, ())


@pytest.mark.parametrize(
    ("rule", "files", "wanted"),
    [
        (RULE, 1000, 701),
        (RULE, 0, 0),
        (LossRule(shrink=0.0), 1000, 1000),
        (LossRule(max_loss=1.0, shrink=1.0), 1000, 1),
        (LossRule(max_loss=0.8, shrink=1.0), 1000, 200),
        (LossRule(min_files=5000), 1000, 5000),
        (LossRule(min_files=5), 0, 5),
    ],
)
def test_so_many_files_are_enough_to_be_neither_wiped_nor_shrunk(rule: LossRule, files: int, wanted: int) -> None:
    assert needed(rule, reference({}, loose=files)) == wanted


def test_without_a_reference_only_the_floor_is_needed() -> None:
    assert (needed(RULE, None), needed(LossRule(min_files=7), None)) == (0, 7)


# What is there now becomes the reference.


def test_the_new_reference_has_the_entries_of_the_depth_at_which_they_lie_now() -> None:
    now = replace(census({"a": 100, "a/s1": 10, "a/s2": 90}), depth=2)
    assert new_reference(reference({"a": 100, "b": 10}), now, AT).entries == {"a/s1": 10, "a/s2": 90}


def test_the_new_reference_keeps_the_last_count_of_what_cannot_be_read() -> None:
    now = replace(census({"a": 7}, unreadable=("b",)), depth=1)
    renewed = new_reference(reference({"a": 100, "b": 10}), now, AT)
    assert (renewed.files, renewed.entries) == (17, {"a": 7, "b": 10})


def test_a_first_reference_is_the_count_itself() -> None:
    now = replace(census({"a": 7, "b": 0}, loose=1, empty=2), depth=1)
    assert new_reference(None, now, AT) == Reference(8, {"a": 7}, 2, AT)


# Histories against one reference.


def test_a_temporary_peak_that_never_became_the_reference_is_no_loss_when_it_goes() -> None:
    before = reference(TEN_TENANTS)
    for extra in (0, 50_000, 0):
        assert verdict(before, census({**TEN_TENANTS, "build": extra} if extra else TEN_TENANTS)) is Verdict.KEPT


def test_erosion_in_steps_is_still_a_loss() -> None:
    history = []
    left = dict(TEN_TENANTS)
    while sum(left.values()):
        left = {name: files - 5 for name, files in left.items()}
        history.append(verdict(reference(TEN_TENANTS), census(left)))
    assert history == [Verdict.KEPT] * 5 + [Verdict.SHRUNK] * 11 + [Verdict.WIPED] * 4


# The rule, said once more: naively, in exact fractions.


@dataclass(frozen=True)
class Shares:
    """A rule whose shares are whole percents."""

    max_loss: Fraction
    shrink: Fraction
    min_files: int

    def rule(self) -> LossRule:
        return LossRule(float(self.max_loss), float(self.shrink), self.min_files)


def restated(shares: Shares, before: Reference | None, now: FileCount) -> Verdict:
    """DESIGN's sentences, one by one."""
    hidden = {path.split("/", maxsplit=1)[0] for path in now.unreadable}
    entries: dict[str, int] = {}
    files = now.files
    for name, last in before.entries.items() if before else ():
        seen = now.entries.get(name, 0)
        entries[name] = max(seen, last) if name in hidden else seen
        files += entries[name] - seen
    if before is not None and before.files > 0:
        lost = max(0, before.files - files)
        if lost == before.files:
            return Verdict.WIPED
        own = [Fraction(last - entries[name], last) > shares.max_loss for name, last in before.entries.items()]
        most = len(own) < 2 or Fraction(own.count(True), len(own)) > Fraction(1, 2)
        if Fraction(lost, before.files) > shares.max_loss and most:
            return Verdict.WIPED
    if files < shares.min_files:
        return Verdict.WIPED
    if before is not None and before.files > 0 and lost and Fraction(lost, before.files) >= shares.shrink:
        return Verdict.SHRUNK
    return Verdict.KEPT


_PERCENT = st.integers(0, 100).map(lambda percent: Fraction(percent, 100)) | st.sampled_from(
    [Fraction(8, 10), Fraction(3, 10)]
)
_SHARES = st.builds(Shares, _PERCENT, _PERCENT, st.sampled_from([0, 0, 1, 50, 10**6]))
_NAMES = st.sampled_from(["a", "ab", "b", "c", "d e", "\udcff"])


@st.composite
def references(draw: st.DrawFn) -> Reference:
    entries = draw(st.dictionaries(_NAMES, st.integers(1, 20) | st.sampled_from([100, 1000]), max_size=6))
    return reference(entries, loose=draw(st.sampled_from([0, 0, 1, 10, 100])))


@st.composite
def censuses(draw: st.DrawFn, before: Reference) -> FileCount:
    """A count of what may have become of it: entries kept, cut at a boundary, gone or grown; some not readable."""
    entries = {}
    unreadable = []
    for name, last in before.entries.items():
        cut = last - draw(_PERCENT) * last
        left = draw(st.sampled_from([last, 0, int(cut), int(cut) + 1, last + 3]) | st.integers(0, last))
        fate = draw(st.sampled_from(["readable", "readable", "inside", "whole"]))
        if fate != "readable":
            unreadable.append(name if fate == "whole" else f"{name}/x")
        if fate == "whole":
            left = 0
        if left or draw(st.booleans()):
            entries[name] = left
    loose = before.files - sum(before.entries.values())
    left_loose = draw(st.integers(0, loose + 2))
    if draw(st.booleans()):
        entries["new"] = draw(st.integers(0, 30))
    return census(entries, loose=left_loose, unreadable=tuple(unreadable))


_HISTORIES = references().flatmap(lambda before: st.tuples(st.just(before), censuses(before)))


@settings(max_examples=200)
@given(_SHARES, _HISTORIES)
def test_every_verdict_is_that_of_the_rule_restated_in_fractions(
    shares: Shares, history: tuple[Reference, FileCount]
) -> None:
    before, now = history
    assert verdict(before, now, shares.rule()) is restated(shares, before, now)


@settings(max_examples=50)
@given(_SHARES, st.sampled_from([None, reference({})]), st.integers(0, 60))
def test_without_a_baseline_only_the_floor_is_judged(shares: Shares, before: Reference | None, files: int) -> None:
    now = census({}, loose=files)
    assert verdict(before, now, shares.rule()) is restated(shares, before, now)


@settings(max_examples=60)
@given(_SHARES, _HISTORIES)
def test_what_is_said_of_a_loss_adds_up(shares: Shares, history: tuple[Reference, FileCount]) -> None:
    before, now = history
    loss = judge_loss(shares.rule(), before, now)
    if before.files:
        assert loss.before == before.files
        assert loss.lost == max(0, loss.before - loss.after)
        assert all(entry.after < entry.before for entry in loss.entries)
    assert loss.after >= now.files
    assert loss.reason


@settings(max_examples=100)
@given(_SHARES, references(), st.integers(0, 40))
def test_so_many_files_as_are_needed_are_never_judged_a_loss(shares: Shares, before: Reference, more: int) -> None:
    # Whatever is missing is missing where it weighs most: in as many entries as it can empty.
    files = needed(shares.rule(), before) + more
    missing = max(0, before.files - files)
    entries = {}
    for name, last in sorted(before.entries.items(), key=lambda entry: entry[1]):
        entries[name] = last - min(missing, last)
        missing -= min(missing, last)
    now = census(entries, loose=files - sum(entries.values()))
    assert verdict(before, now, shares.rule()) is Verdict.KEPT


@settings(max_examples=100)
@given(_SHARES, references())
def test_one_file_less_than_needed_is_a_loss(shares: Shares, before: Reference) -> None:
    files = needed(shares.rule(), before) - 1
    if files < 0 or (shares.shrink == 0 and files >= before.files):
        return
    now = census({}, loose=files)
    assert verdict(before, now, shares.rule()) is not Verdict.KEPT
