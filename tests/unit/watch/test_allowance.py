"""One per cent of the time for counts, what may be saved up, and what only a loss in sight may touch."""

import pytest

from guard.watch.allowance import RESERVE, SAVED, SHARE, Allowance

START = 1000.0


@pytest.fixture
def allowance() -> Allowance:
    return Allowance(START)


def test_at_the_start_as_much_as_can_be_saved_up_may_be_spent_at_once(allowance: Allowance) -> None:
    allowance.spend(START, SAVED)
    assert allowance.free() <= START
    allowance.spend(START, 0.1)
    assert allowance.free() > START


def test_what_nothing_asks_for_leaves_half_of_what_can_be_saved(allowance: Allowance) -> None:
    allowance.spend(START, SAVED / 2)
    assert allowance.spare() <= START
    allowance.spend(START, 0.5)
    assert allowance.spare() == pytest.approx(START + 50)
    assert allowance.free() <= START


def test_a_debt_is_waited_for_a_hundred_times_as_long(allowance: Allowance) -> None:
    allowance.spend(START, SAVED + 0.5)
    assert allowance.free() == pytest.approx(START + 50)


def test_no_more_is_saved_up_however_long_nothing_is_counted(allowance: Allowance) -> None:
    allowance.spend(START + 1e6, 0.0)
    allowance.spend(START + 1e6, SAVED + 1)
    assert allowance.free() == pytest.approx(START + 1e6 + 100)


def test_five_seconds_can_be_saved_up_and_one_is_kept_for_a_loss_in_sight() -> None:
    assert (SAVED, RESERVE, SHARE) == (5.0, 1.0, 0.01)


def test_a_debt_that_is_paid_off_leaves_the_reserve_alone(allowance: Allowance) -> None:
    allowance.spend(START, SAVED + 0.5)
    allowance.spend(START + 61, 1.0)
    assert allowance.reserve_free() <= START + 61
    assert allowance.free() == pytest.approx(START + 150)
    allowance.spend(START + 61, RESERVE)
    assert allowance.reserve_free() <= START + 61


def test_while_it_is_counted_time_is_earned_too(allowance: Allowance) -> None:
    allowance.spend(START, SAVED)
    allowance.spend(START + 100, 100.0)
    assert allowance.free() == pytest.approx(START + 100 + 9900)


def test_a_loss_in_sight_may_go_on_where_everything_saved_up_is_spent(allowance: Allowance) -> None:
    allowance.spend(START, SAVED + 100)
    assert allowance.reserve_free() <= START
    allowance.spend(START, RESERVE)
    assert allowance.reserve_free() <= START
    allowance.spend(START, 0.5)
    assert allowance.reserve_free() == pytest.approx(START + 50)


def test_the_reserve_is_filled_first_and_from_the_same_one_per_cent(allowance: Allowance) -> None:
    allowance.spend(START, SAVED + 1)
    allowance.spend(START, RESERVE)
    assert allowance.free() == pytest.approx(START + (1 + RESERVE) / SHARE)
    allowance.spend(START + 60, 0.0)
    assert allowance.free() == pytest.approx(START + (1 + RESERVE) / SHARE)


def test_what_is_free_for_all_is_free_for_a_loss_in_sight(allowance: Allowance) -> None:
    allowance.spend(START, SAVED + 0.01)
    allowance.spend(START, RESERVE + 10)
    assert allowance.reserve_free() == pytest.approx(START + 1000)
    allowance.spend(START + 3000, 0.0)
    assert allowance.reserve_free() == allowance.free() == START + 3000


def test_a_clock_that_stands_still_or_goes_back_earns_nothing(allowance: Allowance) -> None:
    allowance.spend(START, SAVED + 1)
    free = allowance.free()
    allowance.spend(START - 500, 0.0)
    allowance.spend(START, 0.0)
    assert allowance.free() == free


def test_counting_as_often_as_allowed_takes_one_per_cent_in_the_long_run(allowance: Allowance) -> None:
    now, spent, count = START, 0.0, 0.7
    while now < START + 100_000:
        now = max(now, allowance.free()) + count
        allowance.spend(now, count)
        spent += count
    assert spent == pytest.approx(SAVED + SHARE * (now - START), abs=2 * count)
