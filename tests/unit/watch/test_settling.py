"""When a change is over: two equal counts a quiet time apart, and the ceiling."""

from datetime import UTC, datetime

from guard.volume.observation import FileCount, ProbeFault, Space
from guard.watch.settling import CEILING, QUICK, TAIL, Settled, Settling
from guard.watch.sightings import Moment, Sign, Stock

QUIET = 2.0
WALL = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)


def moment(at: float) -> Moment:
    return Moment(at, WALL)


def stock(files: int, *, blocks: int | None = 100, seconds: float = 0.01, empty: int | None = None) -> Stock:
    space = None if blocks is None else Space(blocks, 50, 7)
    return Stock(FileCount(files, entries={"a": files}, empty=empty), space, seconds)


def suspicious(at: float = 0.0, *, own_disk: bool = True, quiet: float = QUIET) -> Settling:
    settling = Settling(quiet, own_disk=own_disk)
    settling.suspect(moment(at), Sign.EVENTS)
    return settling


def count(settling: Settling, at: float, what: Stock | int, *, loss: bool = False) -> Settled | None:
    found = stock(what) if isinstance(what, int) else what
    return settling.count(moment(at), found, loss_in_sight=loss)


# Quiet.


def test_nothing_is_due_where_nothing_is_suspected() -> None:
    settling = Settling(QUIET)
    assert settling.due is None
    assert count(settling, 1.0, 10) is None
    assert settling.due is None


def test_a_first_sign_asks_for_a_count_at_once() -> None:
    assert suspicious(5.0).due == 5.0


def test_two_equal_counts_a_quiet_time_apart_settle_it() -> None:
    settling = suspicious()
    assert count(settling, 0.0, 10) is None
    assert count(settling, 1.9, 10) is None
    settled = count(settling, 2.0, 10)
    assert settled is not None
    assert (settled.census.files, settled.sign, settled.since) == (10, Sign.EVENTS, moment(0.0))
    assert settling.due is None


def test_one_count_alone_settles_nothing_however_short_the_quiet_time_is() -> None:
    assert count(suspicious(quiet=0.001), 50.0, 0) is None


def test_another_number_of_files_begins_the_quiet_time_anew() -> None:
    settling = suspicious()
    count(settling, 0.0, 10)
    assert count(settling, 2.0, 9) is None
    assert count(settling, 3.9, 9) is None
    assert count(settling, 4.0, 9) is not None


def test_files_that_moved_to_another_entry_begin_the_quiet_time_anew() -> None:
    settling = suspicious()
    count(settling, 0.0, 10)
    moved = Stock(FileCount(10, entries={"b": 10}), Space(100, 50, 7), 0.01)
    assert count(settling, 2.0, moved) is None


def test_files_that_became_empty_begin_the_quiet_time_anew() -> None:
    settling = suspicious()
    count(settling, 0.0, stock(10, empty=0))
    assert count(settling, 2.0, stock(10, empty=5)) is None


def test_a_rise_of_used_blocks_begins_the_quiet_time_anew() -> None:
    settling = suspicious()
    count(settling, 0.0, stock(0, blocks=100))
    assert count(settling, 2.0, stock(0, blocks=101)) is None
    assert count(settling, 4.0, stock(0, blocks=101)) is not None


def test_a_fall_of_used_blocks_does_not() -> None:
    settling = suspicious()
    count(settling, 0.0, stock(0, blocks=100))
    assert count(settling, 2.0, stock(0, blocks=50)) is not None


def test_blocks_of_a_disk_that_others_write_say_nothing() -> None:
    settling = suspicious(own_disk=False)
    count(settling, 0.0, stock(0, blocks=100))
    assert count(settling, 2.0, stock(0, blocks=500)) is not None


def test_a_disk_is_taken_for_the_volumes_own_until_a_look_says_otherwise() -> None:
    assert Settling(QUIET).own_disk


def test_where_space_is_unknown_the_names_alone_tell() -> None:
    for before, after in ((None, 100), (100, None)):
        settling = suspicious()
        count(settling, 0.0, stock(0, blocks=before))
        assert count(settling, 2.0, stock(0, blocks=after)) is not None


def test_a_count_that_failed_says_nothing() -> None:
    settling = suspicious()
    count(settling, 0.0, 10)
    failed = Stock(FileCount(10, entries={"a": 10}, fault=ProbeFault(5, "counting its files")), None, 0.1)
    assert count(settling, 2.0, failed) is None
    assert count(settling, 2.1, 10) is not None


# When the next count is due.


def test_after_the_first_count_the_next_comes_soon_for_the_removal_may_just_have_begun() -> None:
    settling = suspicious()
    count(settling, 0.0, 10)
    assert settling.due == QUICK


def test_while_nothing_changes_the_next_count_is_the_one_that_settles_it() -> None:
    settling = suspicious()
    count(settling, 0.0, 10)
    count(settling, QUICK, 10)
    assert settling.due == QUIET


def test_while_it_changes_counts_follow_closely() -> None:
    settling = suspicious()
    count(settling, 0.0, 10)
    count(settling, 1.0, 9)
    assert settling.due == 1.0 + QUICK
    count(settling, 2.0, stock(8, seconds=0.2))
    assert settling.due == 2.8


def test_with_a_loss_in_sight_counts_follow_closely() -> None:
    settling = suspicious()
    count(settling, 0.0, 10, loss=True)
    count(settling, QUICK, 10, loss=True)
    assert settling.due == 2 * QUICK


def test_a_large_tree_is_counted_more_seldom_and_never_later_than_the_quiet_time() -> None:
    for seconds, due in ((0.3, 1.2), (9.0, QUIET)):
        settling = suspicious()
        count(settling, 0.0, stock(10, seconds=seconds), loss=True)
        assert settling.due == due


def test_another_sign_brings_the_next_count_forward_at_the_same_pace() -> None:
    settling = suspicious()
    count(settling, 0.0, 10)
    count(settling, QUICK, 10)
    settling.suspect(moment(0.3), Sign.EVENTS)
    assert settling.due == 2 * QUICK
    large = suspicious()
    count(large, 0.0, stock(10, seconds=0.4))
    count(large, QUICK, stock(10, seconds=0.4))
    large.suspect(moment(0.3), Sign.EVENTS)
    assert large.due == QUICK + 1.6


def test_the_first_sign_is_the_one_that_is_told() -> None:
    settling = suspicious()
    settling.suspect(moment(1.0), Sign.LOOK)
    count(settling, 1.0, 10)
    settled = count(settling, 3.0, 10)
    assert settled is not None
    assert (settled.sign, settled.since.at) == (Sign.EVENTS, 0.0)


def test_what_was_suspected_of_another_volume_is_forgotten() -> None:
    settling = suspicious()
    count(settling, 0.0, 10)
    settling.forget()
    assert settling.due is None
    settling.suspect(moment(2.0), Sign.LOOK)
    assert count(settling, 2.0, 10) is None


# The ceiling.


def churn(settling: Settling, until: float, files: int = 0, *, since: float = 0.0) -> Settled | None:
    """Counts twice a second while blocks rise: never two equal ones."""
    at = since
    while at < until:
        settled = count(settling, at, stock(files, blocks=int(100 + at * 10)))
        if settled:
            return settled
        at += 0.5
    return None


def test_a_change_that_never_ends_is_judged_at_the_ceiling() -> None:
    settling = suspicious()
    assert churn(settling, CEILING) is None
    settled = count(settling, CEILING, stock(0, blocks=9999))
    assert settled is not None
    assert settled.census.files == 0


def test_at_the_ceiling_the_highest_count_of_the_last_ten_seconds_is_judged() -> None:
    settling = suspicious()
    churn(settling, 50.5, files=99)
    churn(settling, 55.0, files=40, since=50.5)
    churn(settling, CEILING, files=10, since=55.0)
    settled = count(settling, CEILING, stock(5, blocks=9999))
    assert settled is not None
    assert settled.census.files == 99
    older = suspicious()
    churn(older, 50.0, files=99)
    churn(older, CEILING, files=10, since=50.0)
    settled = count(older, CEILING, stock(5, blocks=9999))
    assert settled is not None
    assert settled.census.files == 10


def test_what_fell_just_before_the_ceiling_is_the_beginning_of_another_change() -> None:
    settling = suspicious()
    churn(settling, 55.0, files=99)
    churn(settling, CEILING, files=0, since=55.0)
    assert count(settling, CEILING, stock(0, blocks=9999)) is not None
    assert settling.due is not None
    settled = churn(settling, 200.0, files=0, since=CEILING + 0.5)
    assert settled is not None
    assert (settled.census.files, settled.since.at) == (0, 55.0)


def test_a_removal_that_outlasts_the_ceiling_keeps_its_first_sign() -> None:
    settling = suspicious()
    told = []
    for second in range(200):
        settled = count(settling, float(second), 1000 - 5 * second)
        told += [settled] if settled else []
    for second in (200, 202):
        settled = count(settling, float(second), 0)
    told += [settled] if settled else []
    assert len(told) == 4
    assert {each.since.at for each in told} == {0.0}


def test_what_comes_and_goes_all_the_time_has_no_first_sign_of_long_ago() -> None:
    settling = suspicious()
    told = []
    for second in range(1000):
        settled = count(settling, float(second), 1000 + second % 3)
        told += [(second, settled)] if settled else []
    assert len(told) > 10
    assert all(second - each.since.at <= CEILING + TAIL for second, each in told)


def test_a_fall_just_before_the_ceiling_settles_as_soon_as_it_is_quiet() -> None:
    settling = suspicious()
    churn(settling, 59.5, files=99)
    count(settling, 59.5, stock(0, blocks=9000))
    assert count(settling, CEILING, stock(0, blocks=9000)) is not None
    settled = count(settling, 61.5, stock(0, blocks=9000))
    assert settled is not None
    assert settled.census.files == 0


def test_of_equal_counts_at_the_ceiling_the_last_is_judged() -> None:
    settling = suspicious()
    churn(settling, CEILING, files=10)
    moved = Stock(FileCount(10, entries={"b": 10}), Space(9999, 50, 7), 0.01)
    settled = count(settling, CEILING, moved)
    assert settled is not None
    assert settled.census.entries == {"b": 10}
    assert settling.due is None


def test_a_count_that_had_to_wait_for_the_ceiling_is_not_judged_alone() -> None:
    settling = suspicious()
    assert count(settling, 100.0, 0) is None
    assert count(settling, 101.0, 50) is None
    settled = churn(settling, 200.0, files=100, since=102.0)
    assert settled is not None
    assert settled.census.files == 100


def test_counts_too_seldom_for_the_last_ten_seconds_are_judged_with_the_one_before() -> None:
    settling = suspicious()
    assert count(settling, 0.0, stock(100, blocks=1)) is None
    settled = count(settling, 75.0, stock(0, blocks=2))
    assert settled is not None
    assert settled.census.files == 100
    assert settling.due is not None


def test_a_quiet_time_longer_than_the_ceiling_does_not_put_it_off() -> None:
    settling = suspicious(quiet=600.0)
    count(settling, 0.0, 10)
    count(settling, QUICK, 10)
    assert settling.due == CEILING
    assert count(settling, CEILING, 10) is not None
