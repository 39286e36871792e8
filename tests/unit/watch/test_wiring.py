"""When the tripwire is armed again, and how often its blindness is said."""

import pytest

from guard.watch.sightings import TripwireState
from guard.watch.wiring import FOLDERS, Wiring

UP = TripwireState(armed=True)
STORM = TripwireState(tripped=True)
DOWN = TripwireState(blind="a thread of the tripwire is dead")
PARTLY = TripwireState(armed=True, blind="3 of 9 folders carry no watch (fs.inotify.max_user_watches is 8)")
START = 1000.0


@pytest.fixture
def wiring() -> Wiring:
    """Armed at START."""
    wiring = Wiring()
    wiring.tried(START, UP)
    return wiring


def test_it_is_armed_at_once_where_there_is_none() -> None:
    wiring = Wiring()
    due = wiring.due()
    assert due is not None
    assert due < 0
    assert not wiring.complete


def test_one_that_is_up_and_whole_is_left_alone(wiring: Wiring) -> None:
    assert wiring.complete
    assert wiring.due() is None
    assert wiring.seen(START + 10, UP) == ""
    assert wiring.due() is None


def test_above_ten_thousand_folders_there_is_none() -> None:
    assert FOLDERS == 10_000
    wiring = Wiring()
    wiring.counted(FOLDERS)
    assert wiring.due() is not None
    wiring.counted(FOLDERS + 1)
    assert wiring.due() is None
    assert wiring.too_large


# Storms.


def test_a_storm_is_no_blindness_and_it_is_armed_again_after_half_a_second(wiring: Wiring) -> None:
    wiring.storm(START + 100)
    assert wiring.due() == START + 100.5
    assert not wiring.armed


def test_a_storm_that_a_look_tells_of_is_the_same(wiring: Wiring) -> None:
    assert wiring.seen(START + 100, STORM) == ""
    assert wiring.due() == START + 100.5


def test_a_storm_is_counted_once_whoever_tells_of_it(wiring: Wiring) -> None:
    wiring.storm(START + 100)
    wiring.storm(START + 100.1)
    assert wiring.seen(START + 100.2, STORM) == ""
    assert wiring.due() == START + 100.5


def test_storms_that_come_at_once_double_the_pause_up_to_half_a_minute(wiring: Wiring) -> None:
    now, pauses = START + 100, []
    for _ in range(9):
        wiring.storm(now)
        due = wiring.due()
        assert due is not None
        pauses.append(due - now)
        wiring.tried(due, UP)
        now = due + 1
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_storm_while_it_is_armed_came_at_once(wiring: Wiring) -> None:
    wiring.storm(START + 100)
    assert wiring.tried(START + 101, STORM) == ""
    assert wiring.due() == START + 102


def test_a_storm_after_a_calm_time_starts_with_the_short_pause_again(wiring: Wiring) -> None:
    wiring.storm(START + 1)
    assert wiring.due() == START + 2
    wiring.tried(START + 2, UP)
    wiring.storm(START + 32)
    assert wiring.due() == START + 32.5


# Blindness.


def test_blindness_is_said_with_its_reason_and_tried_again_after_a_minute() -> None:
    wiring = Wiring()
    assert wiring.tried(START, PARTLY) == PARTLY.blind
    assert wiring.due() == START + 60
    assert not wiring.complete


def test_the_same_blindness_is_said_once_though_its_numbers_change() -> None:
    wiring = Wiring()
    wiring.tried(START, PARTLY)
    again = TripwireState(armed=True, blind="4 of 12 folders carry no watch (fs.inotify.max_user_watches is 9)")
    assert wiring.tried(START + 60, again) == ""


def test_another_reason_is_said() -> None:
    wiring = Wiring()
    wiring.tried(START, PARTLY)
    assert wiring.tried(START + 60, DOWN) == DOWN.blind


def test_healing_is_tried_less_and_less_often_up_to_a_quarter_of_an_hour() -> None:
    wiring, now, pauses = Wiring(), START, []
    for _ in range(6):
        wiring.tried(now, DOWN)
        due = wiring.due()
        assert due is not None
        pauses.append(due - now)
        now = due
    assert pauses == [60, 120, 240, 480, 900, 900]


def test_one_that_died_is_said_and_armed_again_at_once(wiring: Wiring) -> None:
    assert wiring.seen(START + 100, DOWN) == DOWN.blind
    assert wiring.due() == START + 100


def test_one_that_vanished_without_a_reason_went_with_its_prober(wiring: Wiring) -> None:
    assert wiring.seen(START + 100, TripwireState()) == "its prober ended"


def test_one_that_dies_again_and_again_is_said_once_and_armed_less_and_less_often(wiring: Wiring) -> None:
    assert wiring.seen(START + 100, DOWN) == DOWN.blind
    wiring.tried(START + 100, UP)
    assert wiring.seen(START + 110, DOWN) == ""
    assert wiring.due() == START + 170
    wiring.tried(START + 170, UP)
    assert wiring.seen(START + 180, DOWN) == ""
    assert wiring.due() == START + 300


def test_one_that_is_lost_soon_after_it_was_armed_is_armed_again_at_once_the_first_time(wiring: Wiring) -> None:
    assert wiring.seen(START + 5, DOWN) == DOWN.blind
    assert wiring.due() == START + 5


def test_it_held_only_where_every_folder_was_watched(wiring: Wiring) -> None:
    wiring.seen(START + 100, DOWN)
    wiring.tried(START + 100, PARTLY)
    wiring.seen(START + 165, UP)
    assert wiring.seen(START + 170, DOWN) == ""


@pytest.mark.parametrize(("held", "news"), [(59, False), (60, True)])
def test_what_held_for_less_than_a_minute_is_not_healed(wiring: Wiring, held: float, news: bool) -> None:
    wiring.seen(START + 100, DOWN)
    wiring.tried(START + 100, UP)
    wiring.seen(START + 100 + held, UP)
    assert bool(wiring.seen(START + 200, DOWN)) is news


def test_what_held_for_a_minute_is_healed_and_its_next_blindness_is_news(wiring: Wiring) -> None:
    wiring.seen(START + 100, DOWN)
    wiring.tried(START + 100, UP)
    wiring.seen(START + 165, UP)
    assert wiring.seen(START + 400, DOWN) == DOWN.blind
    assert wiring.due() == START + 400


# Folders without a watch that a later count finds.


def compare(wiring: Wiring, at: float, *gaps: int | str) -> None:
    wiring.compared(at, frozenset(gaps))


def test_a_folder_that_one_count_found_without_a_watch_is_in_doubt_and_may_be_new(wiring: Wiring) -> None:
    compare(wiring, START + 100, 4711)
    assert wiring.in_doubt
    assert wiring.complete
    assert wiring.due() is None
    compare(wiring, START + 110)
    assert not wiring.in_doubt


@pytest.mark.parametrize("gap", [4711, "tenant/private"])
def test_one_that_two_counts_found_without_a_watch_is_armed_for_at_once(wiring: Wiring, gap: int | str) -> None:
    compare(wiring, START + 100, gap, 1)
    compare(wiring, START + 100.5, 2, gap)
    assert wiring.due() == START + 100.5
    assert wiring.complete, "arming says whether it is blind"
    assert wiring.tried(START + 101, PARTLY) == PARTLY.blind
    assert not wiring.complete
    assert wiring.due() == START + 161


def test_two_counts_too_close_for_a_watch_to_be_added_in_between_are_one(wiring: Wiring) -> None:
    compare(wiring, START + 100, 4711)
    compare(wiring, START + 100.29, 4711)
    assert wiring.due() is None
    compare(wiring, START + 100.31, 4711)
    assert wiring.due() == START + 100.31


def test_other_folders_at_every_count_are_a_tree_in_motion(wiring: Wiring) -> None:
    for number in range(100):
        compare(wiring, START + 100 + number, number, number + 1000)
    assert wiring.due() is None


def test_what_has_its_watch_by_itself_is_not_armed_for(wiring: Wiring) -> None:
    for at in (100, 101):
        compare(wiring, START + at, 4711)
    compare(wiring, START + 102)
    assert wiring.due() is None


def test_gaps_that_arming_does_not_find_are_armed_for_less_and_less_often(wiring: Wiring) -> None:
    now, pauses = START + 100, []
    for _ in range(7):
        compare(wiring, now, 4711)
        compare(wiring, now + 1, 4711)
        compare(wiring, now + 2, 4711)
        due = wiring.due()
        assert due is not None
        pauses.append(due - (now + 1))
        assert wiring.tried(due, UP) == ""
        now = due + 100
    assert pauses == [0, 60, 120, 240, 480, 900, 900]
    compare(wiring, now)
    compare(wiring, now + 1, 4711)
    compare(wiring, now + 2, 4711)
    assert wiring.due() == now + 2, "it had held"


def test_gaps_of_one_that_is_blind_already_wait_for_its_healing() -> None:
    wiring = Wiring()
    wiring.tried(START, PARTLY)
    for at in (10, 20):
        compare(wiring, START + at, 4711)
    assert wiring.due() == START + 60


def test_a_tree_that_outgrew_its_tripwire_and_is_not_all_watched_has_none(wiring: Wiring) -> None:
    wiring.counted(1)
    assert not wiring.counted(FOLDERS + 1)
    for at in (10, 20):
        compare(wiring, START + at, 4711)
    assert not wiring.complete
    assert wiring.due() is None
    assert wiring.counted(FOLDERS + 1), "it is said"


def test_a_prober_that_ended_took_it_along(wiring: Wiring) -> None:
    assert wiring.lost(START + 100, "the prober was killed") == "the prober was killed"
    assert wiring.due() == START + 100
    assert not wiring.armed


def test_a_prober_that_dies_of_arming_is_not_asked_again_and_again() -> None:
    wiring = Wiring()
    assert wiring.lost(START, "the prober was killed") == "the prober was killed"
    assert wiring.due() == START
    assert wiring.lost(START + 1, "the prober was killed") == ""
    assert wiring.due() == START + 61


def test_on_another_mount_what_is_armed_watches_nothing(wiring: Wiring) -> None:
    wiring.moved(START + 5)
    assert wiring.due() == START + 5
    assert not wiring.armed
    assert wiring.seen(START + 6, DOWN) == ""
