"""Which count may replace the reference, and when the ledger is written."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from guard.volume.ledger import Ledger, Reference
from guard.volume.observation import FileCount
from guard.watch.keeping import BASELINE, WRITE_AT_LEAST, WRITE_EVERY, Keeper, rfc3339
from guard.watch.sightings import Moment

ID = "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11"
WEEK = 7 * 86400.0
BEGUN = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
START = 1000.0
#: A quiet volume's ledger is due so long after the last one: what fails is tried once more in time.
LATEST = WRITE_AT_LEAST - WRITE_EVERY


def moment(seconds: float) -> Moment:
    """So many seconds after the start."""
    return Moment(START + seconds, BEGUN + timedelta(seconds=seconds))


def census(files: int, *, empty: int | None = None, entries: dict[str, int] | None = None) -> FileCount:
    return FileCount(files, entries=entries or {"a": files}, depth=1, empty=empty)


def ledger(files: int = 100, *, generation: int = 4, recorded: datetime = BEGUN, empty: int = 0) -> Ledger:
    reference = Reference(files, {"a": files}, empty, rfc3339(recorded))
    return Ledger(ID, generation, reference, files, rfc3339(recorded), "skills-0", "node-1")


def keeper(standing: Ledger | None = None, *, window: float = WEEK, jitter: float = 1.0) -> Keeper:
    return Keeper(standing, ID, window, jitter)


def settle(keeper: Keeper, seconds: float, files: int, *, empty: int = 0) -> None:
    """A settled count with sizes, as the watcher passes it on."""
    keeper.settled(moment(seconds), census(files))
    keeper.renew(moment(seconds), census(files, empty=empty))


def files_of(keeper: Keeper) -> int | None:
    return keeper.reference.files if keeper.reference else None


# The baseline.


def test_at_the_start_the_baseline_is_what_the_ledger_says() -> None:
    kept = keeper(ledger(100))
    kept.settled(moment(10), census(150))
    assert kept.baseline(moment(10 + BASELINE)) is None
    baseline = kept.baseline(moment(11 + BASELINE))
    assert baseline is not None
    assert baseline.files == 150


def test_the_baseline_is_the_lowest_settled_count_of_five_minutes() -> None:
    kept = keeper(ledger(100))
    for at, files in ((0, 100), (100, 300), (200, 200), (350, 250)):
        kept.settled(moment(at), census(files))
    found = [kept.baseline(moment(at)) for at in (399, 401, 649, 651, 10_000)]
    assert [baseline.files if baseline else None for baseline in found] == [100, 200, 200, 250, 250]


def test_a_lower_count_is_the_baseline_at_once() -> None:
    kept = keeper(ledger(100))
    kept.settled(moment(10), census(90))
    baseline = kept.baseline(moment(10))
    assert baseline is not None
    assert baseline.files == 90


def test_a_tree_that_lives_shorter_than_five_minutes_never_becomes_a_reference() -> None:
    kept = keeper(ledger(100))
    settle(kept, 0, 100)
    settle(kept, 10, 500)
    settle(kept, 300, 100)
    for at in (300, 320, 700):
        kept.renew(moment(at), census(500, empty=0))
        assert files_of(kept) == 100


# What replaces the reference.


def test_a_baseline_at_least_as_large_replaces_the_reference() -> None:
    kept = keeper(ledger(100))
    settle(kept, 0, 150)
    settle(kept, 200, 150)
    assert files_of(kept) == 100
    settle(kept, 301, 150)
    assert files_of(kept) == 150
    assert kept.reference is not None
    assert kept.reference.recorded == rfc3339(moment(301).wall)


def test_a_smaller_baseline_replaces_a_reference_that_is_older_than_the_window() -> None:
    kept = keeper(ledger(100), window=1000.0)
    settle(kept, 0, 80)
    settle(kept, 1000, 80)
    assert files_of(kept) == 100
    settle(kept, 1001, 80)
    assert files_of(kept) == 80


def test_the_age_of_a_reference_survives_a_restart() -> None:
    old = ledger(100, recorded=BEGUN - timedelta(days=8))
    kept = keeper(old)
    settle(kept, 0, 80)
    assert files_of(kept) == 80


def test_a_reference_that_is_still_right_stays_young() -> None:
    kept = keeper(ledger(100), window=1000.0)
    settle(kept, 0, 100)
    kept.renew(moment(900))
    settle(kept, 1500, 80)
    assert files_of(kept) == 100


def test_a_reference_of_the_future_is_not_too_old() -> None:
    kept = keeper(ledger(100, recorded=BEGUN + timedelta(days=30)))
    settle(kept, 0, 80)
    settle(kept, 1000, 80)
    assert files_of(kept) == 100


def test_a_recorded_time_in_small_letters_is_read() -> None:
    small = ledger(100)
    small = replace(small, reference=replace(small.reference, recorded="2026-11-01t18:00:00z"))
    kept = keeper(small)
    settle(kept, 0, 80)
    assert files_of(kept) == 80


def test_without_a_ledger_the_first_baseline_is_the_reference_after_five_minutes() -> None:
    kept = keeper(None)
    settle(kept, 0, 50)
    settle(kept, 299, 50)
    assert files_of(kept) is None
    assert kept.wants_sizes(moment(301))
    settle(kept, 301, 50)
    assert files_of(kept) == 50


def test_a_new_reference_waits_for_a_count_with_sizes_that_says_how_many_files_are_empty() -> None:
    kept = keeper(ledger(100))
    kept.settled(moment(0), census(150))
    assert kept.wants_sizes(moment(301))
    kept.renew(moment(301))
    kept.renew(moment(301), census(150))
    assert files_of(kept) == 100
    kept.renew(moment(301), census(150, empty=7))
    assert kept.reference is not None
    assert (kept.reference.files, kept.reference.empty) == (150, 7)
    assert not kept.wants_sizes(moment(301))


def test_a_count_with_sizes_that_shows_less_than_the_baseline_replaces_nothing() -> None:
    kept = keeper(ledger(100))
    kept.settled(moment(0), census(150))
    kept.renew(moment(301), census(140, empty=0))
    assert files_of(kept) == 100


def test_sizes_are_not_wanted_again_for_five_minutes_where_they_led_to_no_reference() -> None:
    kept = keeper(ledger(100))
    kept.settled(moment(0), census(150))
    kept.renew(moment(301), census(140, empty=0))
    assert not kept.wants_sizes(moment(301))
    assert not kept.wants_sizes(moment(600))
    assert kept.wants_sizes(moment(601))


def test_more_names_with_less_in_them_are_not_at_least_as_large() -> None:
    kept = keeper(ledger(100))
    settle(kept, 0, 110)
    settle(kept, 301, 110, empty=25)
    assert files_of(kept) == 100
    settle(kept, 700, 110, empty=10)
    assert files_of(kept) == 110


def test_folders_that_cannot_be_read_keep_their_count_in_a_larger_reference() -> None:
    standing = ledger(100)
    standing = replace(standing, reference=replace(standing.reference, entries={"a": 60, "b": 40}))
    kept = keeper(standing)
    found = FileCount(80, entries={"a": 80}, depth=1, empty=0, unreadable=("b",))
    kept.settled(moment(0), found)
    kept.renew(moment(301), found)
    assert kept.reference is not None
    assert (kept.reference.files, kept.reference.entries) == (120, {"a": 80, "b": 40})


def test_what_was_accepted_is_the_reference_and_the_baseline() -> None:
    kept = keeper(ledger(100))
    settle(kept, 0, 100)
    kept.read(ledger(5, generation=5))
    assert (files_of(kept), kept.generation, kept.files) == (5, 5, 5)
    settle(kept, 20, 90)
    assert files_of(kept) == 5
    settle(kept, 321, 90)
    assert files_of(kept) == 90


# Acceptance and other watchers.


def test_a_next_generation_with_another_reference_is_an_acceptance() -> None:
    kept = keeper(ledger(100))
    assert kept.is_accepted(ledger(5, generation=5))
    assert kept.is_accepted(ledger(100, generation=5, empty=3))


def test_the_same_generation_or_the_same_reference_is_none() -> None:
    kept = keeper(ledger(100))
    assert not kept.is_accepted(ledger(5))
    assert not kept.is_accepted(ledger(100, generation=5))


def test_a_recovery_that_is_not_written_down_yet_hides_no_acceptance() -> None:
    kept = keeper(ledger(100))
    kept.recovered(4)
    assert kept.generation == 5
    assert kept.is_accepted(ledger(5, generation=5))
    kept.read(ledger(5, generation=5))
    assert kept.generation == 5


def test_an_older_acceptance_never_takes_the_generation_back() -> None:
    kept = keeper(ledger(100))
    for generation in (4, 5, 6):
        kept.recovered(generation)
    kept.read(ledger(5, generation=5))
    assert kept.generation == 7


def test_the_next_incident_has_the_next_generation_in_every_pod() -> None:
    one, other = keeper(ledger(100)), keeper(ledger(100))
    one.recovered(4)
    other.seen(moment(1), replace(ledger(100, generation=5), written=rfc3339(moment(1).wall)))
    other.recovered(4)
    assert one.generation == other.generation == 5


def test_a_larger_reference_of_another_watcher_is_taken_and_a_smaller_one_is_not() -> None:
    kept = keeper(ledger(100))
    kept.seen(moment(1), replace(ledger(90), written=rfc3339(moment(1).wall)))
    assert files_of(kept) == 100
    kept.seen(moment(2), replace(ledger(120), written=rfc3339(moment(2).wall)))
    assert files_of(kept) == 120
    alone = keeper(None)
    alone.seen(moment(1), ledger(3))
    assert files_of(alone) == 3


def test_two_writes_within_one_second_are_told_apart() -> None:
    kept = keeper(None)
    kept.tried(moment(1), replace(ledger(100), pod="skills-1"))
    kept.seen(moment(1), ledger(120))
    assert files_of(kept) == 120


def test_another_watchers_write_puts_this_ones_off() -> None:
    kept = keeper(ledger(100))
    kept.seen(moment(50), replace(ledger(100), written=rfc3339(moment(50).wall)))
    assert kept.due() == START + 50 + LATEST


# When the ledger is written.


def written(kept: Keeper, seconds: float) -> Ledger:
    ledger = kept.compose(moment(seconds), "skills-0", "node-1")
    kept.tried(moment(seconds), ledger)
    return ledger


def test_it_is_written_once_at_the_start_and_then_every_quarter_of_an_hour() -> None:
    kept = keeper(ledger(100))
    assert kept.due() < START
    written(kept, 5)
    assert kept.due() == START + 5 + LATEST


@pytest.mark.parametrize("change", ["files", "reference", "generation"])
def test_what_changed_is_written_but_at_most_once_a_minute(change: str) -> None:
    kept = keeper(ledger(100))
    written(kept, 0)
    if change == "files":
        kept.settled(moment(1), census(101))
    elif change == "reference":
        kept.reference = Reference(100, {"b": 100}, 0, rfc3339(BEGUN))
    else:
        kept.recovered(4)
    assert kept.due() == START + WRITE_EVERY
    assert written(kept, 60).generation == kept.generation
    assert kept.due() == START + 60 + LATEST


def test_a_write_that_failed_is_tried_again_after_a_minute() -> None:
    kept = keeper(ledger(100))
    written(kept, 0)
    kept.tried(moment(10), None)
    assert kept.due() == START + 10 + WRITE_EVERY


def test_a_ledger_that_vanished_is_written_again_within_a_minute() -> None:
    kept = keeper(ledger(100))
    written(kept, 0)
    kept.missed()
    assert kept.due() == START + WRITE_EVERY


def test_a_reference_that_only_got_younger_is_no_change() -> None:
    kept = keeper(ledger(100))
    written(kept, 0)
    settle(kept, 10, 100)
    assert kept.due() == START + LATEST


def test_many_watchers_do_not_write_at_once() -> None:
    kept = keeper(ledger(100), jitter=1.1)
    written(kept, 0)
    assert kept.due() == kept.overdue() == pytest.approx(START + LATEST / 1.1)


@pytest.mark.parametrize("jitter", [1.0, 1.05, 1.1])
def test_a_try_that_fails_is_made_again_before_the_ledger_is_older_than_a_quarter_of_an_hour(jitter: float) -> None:
    kept = keeper(ledger(100), jitter=jitter)
    written(kept, 0)
    kept.tried(moment(kept.due() - START), None)
    assert kept.due() <= START + WRITE_AT_LEAST


def test_whatever_goes_on_it_is_overdue_before_a_quarter_of_an_hour_is_over() -> None:
    kept = keeper(ledger(100))
    written(kept, 0)
    kept.recovered(4)
    assert kept.overdue() == START + LATEST


def test_a_ledger_says_who_wrote_it_when_and_how_many_files_there_are() -> None:
    kept = keeper(ledger(100))
    kept.settled(moment(7), census(90))
    found = kept.compose(moment(7), "skills-0", "node-1")
    assert (found.marker_id, found.generation, found.files, found.pod, found.node) == (ID, 4, 90, "skills-0", "node-1")
    assert found.written == "2026-11-24T18:00:07Z"
    assert found.reference == ledger(100).reference


def test_a_write_replaces_no_later_generation_than_the_one_that_was_seen() -> None:
    kept = keeper(ledger(100))
    kept.recovered(4)
    assert (kept.generation, kept.replaces) == (5, 4)
    written(kept, 1)
    assert kept.replaces == 5
    assert keeper(None).replaces == 0


def test_a_ledger_without_a_reference_says_so_with_a_reference_of_0() -> None:
    found = keeper(None).compose(moment(7), None, None)
    assert found.reference == Reference(0, {}, 0, "2026-11-24T18:00:07Z")
    assert found.generation == 1
