"""When a count is due and what it may cost, and what makes it read sizes."""

from datetime import UTC, datetime

import pytest

from guard.volume.ledger import Reference
from guard.volume.observation import FileCount, ProbeFault, Space
from guard.watch.allowance import SAVED
from guard.watch.counting import Counting, changed
from guard.watch.keeping import WRITE_AT_LEAST, WRITE_EVERY
from guard.watch.settling import QUICK
from guard.watch.sightings import Moment, Sign, Stock

WALL = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
START = 1000.0
REFERENCE = Reference(100, {"a": 60, "b": 40}, 0, "2026-11-24T18:00:00Z")


def moment(seconds: float) -> Moment:
    return Moment(START + seconds, WALL)


def stock(
    files: int = 100, *, blocks: int = 1000, inodes: int = 120, seconds: float = 0.01, empty: int | None = None
) -> Stock:
    return Stock(FileCount(files, entries={"a": files}, empty=empty), Space(blocks, inodes, 7), seconds)


def failed(number: int = 5, seconds: float = 0.01) -> Stock:
    return Stock(FileCount(0, fault=ProbeFault(number, "counting its files")), None, seconds)


def done(counting: Counting, at: float, what: Stock | None = None) -> None:
    """A count that settled nothing new."""
    found = what or stock()
    counting.done(moment(at), found)
    counting.keep(found.census, found.space)


@pytest.fixture
def counting() -> Counting:
    """Counted at START."""
    counting = Counting(START, 2.0, 1.0)
    done(counting, 0)
    return counting


def saw(counting: Counting, at: float, *, blocks: int = 1000, inodes: int = 120, max_loss: float = 0.8) -> bool:
    return counting.saw(moment(at), Space(blocks, inodes, 7), REFERENCE, max_loss)


# When.


def test_the_first_count_is_due_at_once() -> None:
    counting = Counting(START, 2.0, 1.0)
    assert counting.due() == START
    assert not counting.counted


def test_where_nothing_happens_the_next_is_due_after_a_quarter_of_an_hour(counting: Counting) -> None:
    assert counting.due() == START + WRITE_AT_LEAST
    assert counting.counted


def test_many_watchers_do_not_count_at_once() -> None:
    counting = Counting(START, 2.0, 1.1)
    done(counting, 0)
    assert counting.due() == pytest.approx(START + 1.1 * WRITE_AT_LEAST)
    counting.within_a_minute(START)
    assert counting.due() == pytest.approx(START + 1.1 * WRITE_EVERY)


def test_what_can_wait_comes_within_a_minute_of_the_first_time_it_was_asked_for(counting: Counting) -> None:
    counting.within_a_minute(START + 5)
    counting.within_a_minute(START + 50)
    assert counting.due() == START + 5 + WRITE_EVERY
    counting.soon(START + 51)
    assert counting.due() == START + 51


def test_what_is_suspected_comes_first(counting: Counting) -> None:
    counting.soon(START + 1)
    counting.settling.suspect(moment(3), Sign.LOOK)
    assert counting.due() == START + 3


def test_a_count_that_failed_is_tried_again_after_a_second_and_then_every_ten(counting: Counting) -> None:
    counting.settling.suspect(moment(3), Sign.LOOK)
    for at, due in ((3, 4), (4, 14), (14, 24)):
        counting.failed(moment(at), failed())
        assert counting.due() == START + due
    done(counting, 24)
    counting.failed(moment(30), failed())
    assert counting.due() == START + 31


def test_a_volume_that_is_not_there_is_counted_as_soon_as_it_is_back(counting: Counting) -> None:
    counting.settling.suspect(moment(3), Sign.LOOK)
    counting.loss_in_sight = True
    counting.forget(START + 4)
    assert counting.settling.due is None
    assert not counting.loss_in_sight
    assert counting.due() == START + 4


# The tripwire.


def test_the_tripwire_is_armed_when_it_is_due_and_no_sooner_than_a_count_may_follow(counting: Counting) -> None:
    assert counting.arm_due(None) is None
    assert counting.arm_due(START + 7) == START + 7
    counting.done(moment(0), stock(seconds=SAVED + 10))
    due = counting.arm_due(START + 7)
    assert due is not None
    assert due > START + 900


def test_it_is_not_armed_before_the_first_count_nor_while_something_settles_nor_right_after_a_failure() -> None:
    counting = Counting(START, 2.0, 1.0)
    assert counting.arm_due(START) is None
    done(counting, 0)
    counting.settling.suspect(moment(3), Sign.LOOK)
    assert counting.arm_due(START) is None
    counting.settling.forget()
    counting.failed(moment(3), failed())
    assert counting.arm_due(START) == START + 4


# What it costs.


def test_a_count_that_is_not_allowed_yet_waits_and_is_looked_out_for_every_second(counting: Counting) -> None:
    counting.done(moment(1), stock(seconds=SAVED + 1))
    counting.settling.suspect(moment(3), Sign.LOOK)
    assert counting.due() > START + 50
    assert counting.glimpse_due(START + 3, START + 2.5) == START + 3.5
    assert counting.glimpse_due(START + 1e6, START + 2.5) is None


def test_nothing_is_looked_out_for_where_nothing_is_suspected(counting: Counting) -> None:
    counting.done(moment(1), stock(seconds=SAVED + 1))
    assert counting.glimpse_due(START + 3, START + 2.5) is None


def test_counts_for_the_baseline_leave_something_for_when_it_matters(counting: Counting) -> None:
    counting.done(moment(1), stock(seconds=4.0))
    counting.soon(START + 2)
    assert counting.due() > START + 100
    counting.settling.suspect(moment(3), Sign.EVENTS)
    assert counting.due() == START + 3


def test_a_loss_in_sight_does_not_wait_for_what_large_counts_have_spent(counting: Counting) -> None:
    counting.done(moment(1), stock(seconds=SAVED + 100))
    counting.settling.suspect(moment(3), Sign.LOOK)
    counting.loss_in_sight = True
    assert counting.due() == START + 3


def test_what_it_costs_then_comes_from_the_reserve_until_that_is_spent(counting: Counting) -> None:
    counting.done(moment(1), stock(seconds=SAVED + 100))
    counting.settling.suspect(moment(3), Sign.LOOK)
    counting.loss_in_sight = True
    counting.done(moment(4), stock(seconds=0.6))
    assert counting.due() <= START + 4
    counting.done(moment(5), stock(seconds=0.6))
    assert counting.due() > START + 20


def test_a_count_that_made_no_progress_was_no_work(counting: Counting) -> None:
    counting.failed(moment(1), failed(0, seconds=100))
    assert counting.due() == START + 2
    counting.failed(moment(20), failed(5, seconds=100))
    assert counting.due() > START + 1000


# What a look says of space.


def test_what_differs_from_the_last_count_is_told(counting: Counting) -> None:
    assert not saw(counting, 10)
    assert saw(counting, 10, blocks=1001)
    assert saw(Counting(START, 2.0, 1.0), 10)


@pytest.mark.parametrize(("blocks", "inodes", "suspected"), [(900, 120, True), (901, 120, False), (1000, 108, True), (1000, 109, False), (2000, 240, False)])  # fmt: skip
def test_a_fall_by_a_tenth_is_suspect_and_growth_never_is(
    counting: Counting, blocks: int, inodes: int, suspected: bool
) -> None:
    saw(counting, 10, blocks=blocks, inodes=inodes)
    assert (counting.settling.due is not None) is suspected


def test_a_file_system_that_counts_no_inodes_is_not_suspect(counting: Counting) -> None:
    done(counting, 1, stock(inodes=0))
    saw(counting, 10, inodes=0)
    assert counting.settling.due is None


def mostly_gone(counting: Counting, *, inodes: int, max_loss: float = 0.8) -> bool:
    counting.done(moment(1), stock(seconds=SAVED + 100))
    saw(counting, 3, inodes=inodes, max_loss=max_loss)
    return counting.due() == START + 3


def test_where_most_inodes_of_the_reference_are_gone_a_count_does_not_wait(counting: Counting) -> None:
    assert mostly_gone(counting, inodes=40)


@pytest.mark.parametrize(("inodes", "urgent"), [(225, False), (224, True)])
def test_where_many_folders_are_left_it_waits_though_no_file_may_be(
    counting: Counting, inodes: int, urgent: bool
) -> None:
    census = FileCount(100, entries={"a": 100}, folders=900)
    counting.done(moment(1), Stock(census, Space(1000, 1024, 7), SAVED + 100))
    saw(counting, 3, inodes=inodes)
    assert (counting.due() == START + 3) is urgent


def test_where_too_many_are_left_to_be_cheap_it_waits(counting: Counting) -> None:
    assert not mostly_gone(counting, inodes=41)


@pytest.mark.parametrize(("inodes", "urgent"), [(71, False), (70, True)])
def test_however_strict_the_setting_is_half_must_be_gone(counting: Counting, inodes: int, urgent: bool) -> None:
    assert mostly_gone(counting, inodes=inodes, max_loss=0.1) is urgent


def test_inodes_of_a_disk_that_others_use_make_no_count_urgent(counting: Counting) -> None:
    counting.settling.own_disk = False
    assert not mostly_gone(counting, inodes=1)


def test_of_a_tree_that_was_already_gone_nothing_is_urgent(counting: Counting) -> None:
    counting.done(moment(1), stock(5, inodes=25, seconds=SAVED + 100))
    saw(counting, 3, inodes=20)
    assert counting.due() > START + 100


def test_it_is_urgent_until_it_was_counted(counting: Counting) -> None:
    assert mostly_gone(counting, inodes=40)
    saw(counting, 4, inodes=120)
    assert counting.due() == START + 3
    counting.done(moment(5), stock(20, inodes=40))
    assert counting.due() > START + 100


# Less than what settled.


def test_fewer_names_are_less_and_as_many_or_more_are_not(counting: Counting) -> None:
    assert counting.is_less(stock(99))
    assert not counting.is_less(stock(100))
    assert not counting.is_less(stock(101))
    assert Counting(START, 2.0, 1.0).is_less(stock(100))


def test_as_many_names_on_a_tenth_less_of_blocks_are_less_until_sizes_were_read(counting: Counting) -> None:
    assert counting.is_less(stock(blocks=900))
    assert not counting.is_less(stock(blocks=901))
    assert not counting.is_emptied(stock(99, blocks=900))
    counting.weighing = True
    assert not counting.is_less(stock(blocks=900, empty=0))


def test_blocks_that_fall_little_by_little_add_up_while_the_names_stay(counting: Counting) -> None:
    for blocks in (960, 930):
        assert not counting.is_less(stock(blocks=blocks))
        done(counting, 1, stock(blocks=blocks))
    assert counting.is_less(stock(blocks=900))
    saw(counting, 10, blocks=900)
    assert counting.settling.due is not None


def test_after_sizes_were_read_or_names_changed_the_fall_begins_anew(counting: Counting) -> None:
    counting.weighing = True
    done(counting, 1, stock(blocks=800, empty=3))
    assert not counting.is_emptied(stock(blocks=721))
    assert counting.is_emptied(stock(blocks=720))
    done(counting, 2, stock(90, blocks=700))
    assert not counting.is_emptied(stock(90, blocks=640))


# Sizes.


def test_sizes_are_read_where_blocks_fell_within_a_burst_and_until_it_is_over(counting: Counting) -> None:
    counting.weigh(stock(blocks=900), wiped=False, due=False)
    assert not counting.weighing
    counting.settling.suspect(moment(3), Sign.LOOK)
    counting.weigh(stock(blocks=901), wiped=False, due=True)
    assert not counting.weighing
    counting.weigh(stock(blocks=900), wiped=False, due=False)
    assert counting.weighing
    counting.weigh(stock(blocks=1000, empty=0), wiped=False, due=False)
    assert counting.weighing
    counting.settling.forget()
    counting.weigh(stock(empty=0), wiped=False, due=False)
    assert not counting.weighing


def test_sizes_are_read_while_files_that_became_empty_are_an_incident(counting: Counting) -> None:
    counting.weighing = True
    counting.weigh(stock(empty=0), wiped=True, due=False)
    assert counting.weighing


def test_sizes_are_read_for_a_new_reference_and_not_judged(counting: Counting) -> None:
    counting.weigh(stock(), wiped=False, due=True)
    assert (counting.recording, counting.weighing) == (True, False)
    assert counting.judged(stock(empty=5).census).empty is None
    counting.weighing = True
    assert counting.judged(stock(empty=5).census).empty == 5


def test_sizes_that_were_read_for_a_new_reference_do_not_hide_that_blocks_fell(counting: Counting) -> None:
    counting.recording = True
    done(counting, 1, stock(blocks=930, empty=0))
    assert counting.is_less(stock(blocks=900, empty=0))


def test_where_names_came_and_went_as_many_may_be_others_and_the_fall_says_nothing(counting: Counting) -> None:
    counting.stirred = True
    assert not counting.is_less(stock(blocks=800))
    done(counting, 1, stock(blocks=800))
    assert not counting.is_emptied(stock(blocks=721))
    assert counting.is_emptied(stock(blocks=720))


# Whether the content is another one.


def test_the_content_is_another_where_names_or_known_empty_files_differ() -> None:
    one = FileCount(2, entries={"a": 2}, empty=0)
    assert changed(None, one)
    assert not changed(one, one)
    assert changed(one, FileCount(2, entries={"b": 2}, empty=0))
    assert changed(one, FileCount(2, entries={"a": 2}, empty=1))
    assert not changed(one, FileCount(2, entries={"a": 2}))
    assert not changed(FileCount(2, entries={"a": 2}), one)


def test_the_pace_of_a_first_sign_is_kept(counting: Counting) -> None:
    counting.settling.suspect(moment(3), Sign.EVENTS)
    counting.settling.count(moment(3), stock(), loss_in_sight=False)
    assert counting.due() == START + 3 + QUICK
