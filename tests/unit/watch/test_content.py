"""Losses as the watcher says them, on a simulated volume: wiped, shrunk, emptied, recovered; and what is never a loss."""

import pytest

from guard.event import Event
from guard.outcome import Severity
from guard.volume.kinds import Kind
from guard.volume.loss import LossRule
from guard.volume.observation import CountOptions
from guard.watch.settling import CEILING
from guard.watch.standing import Condition
from tests.unit.watch.simulation import INTERVAL, SETTLE, Volume, Watch, World, ledger_of, watched

TWO = {"a": 60, "b": 40}
LARGE = {"a": 600_000, "b": 400_000}


def wiped(watch: Watch) -> float | None:
    """When a wipe was said."""
    return next((line.at for line in watch.lines if line.event is Event.VOLUME_WIPED), None)


# Wiped.


def test_a_wipe_is_said_with_its_size_its_time_and_what_gave_the_first_sign() -> None:
    world, volume, watch = watched(TWO)
    at = world.now
    volume.wipe()
    world.run(5)
    (line,) = watch.said(Event.VOLUME_WIPED)
    assert line.severity is Severity.CRITICAL
    assert (line.fields["before"], line.fields["after"], line.fields["lost_files"]) == (100, 0, 100)
    assert line.fields["entries"] == {"a": [60, 0], "b": [40, 0]}
    assert line.fields["tripwire"] == "events"
    assert line.fields["first_sign"] == "2026-11-24T18:00:30.001Z"
    assert line.fields["settled"] == "2026-11-24T18:00:32.005Z"
    assert "nothing is left of the reference (a 60 to 0, b 40 to 0)" in line.message
    assert (wiped(watch) or 0) - at < SETTLE + 0.5


def test_a_large_tree_that_is_removed_slowly_is_known_half_a_second_after_it_settled() -> None:
    world, volume, watch = watched(LARGE, per_file=6e-7)
    volume.folders = 5000
    for step in range(1, 21):
        world.run(0.5)
        volume.set({name: files * (20 - step) // 20 for name, files in LARGE.items()})
    at = world.now
    world.run(10)
    assert (wiped(watch) or 0) - at < SETTLE + 0.5


def test_a_removal_of_five_minutes_is_told_with_its_first_sign_and_its_whole_length() -> None:
    world, volume, watch = watched({"a": 1000, "b": 2000})
    for left in range(2990, -1, -10):
        volume.set({"a": min(1000, left), "b": max(0, left - 1000)})
        world.run(1)
    world.run(60)
    losses = watch.said(Event.VOLUME_SHRUNK, Event.VOLUME_WIPED)
    assert watch.labels()[-1] == "volume.wiped"
    assert {line.fields["first_sign"] for line in losses} == {"2026-11-24T18:00:30.001Z"}
    at = world.now
    volume.set({"a": 1000, "b": 2000})
    world.run(60)
    (recovered,) = watch.said(Event.VOLUME_RECOVERED)
    assert recovered.fields["lasted_seconds"] > at - 1030


def test_a_wipe_without_any_event_is_found_by_a_look_at_the_space() -> None:
    world, volume, watch = watched(TWO)
    volume.deaf = True
    at = world.now
    volume.wipe()
    world.run(30)
    (line,) = watch.said(Event.VOLUME_WIPED)
    assert line.fields["tripwire"] == "look"
    assert (wiped(watch) or 0) - at < INTERVAL + SETTLE + 0.5


def test_where_changes_come_from_elsewhere_every_look_leads_to_a_count() -> None:
    world, volume, watch = watched(TWO)
    volume.kind, volume.deaf, volume.inodes_counted = Kind.NETWORK, True, False
    volume.grow_blocks(10_000)  # the space that was used hides what is freed
    world.run(30)
    volume.wipe()
    world.run(INTERVAL + SETTLE + 0.5)
    assert wiped(watch)


def test_a_quiet_local_volume_is_hardly_ever_counted() -> None:
    world, _, watch = watched(TWO)
    before = len(watch.counts)
    world.run(3600)
    assert len(watch.counts) - before <= 4


def test_growth_leads_to_no_more_than_a_count_a_minute() -> None:
    world, volume, watch = watched(TWO)
    before = len(watch.counts)
    for number in range(600):
        volume.set({**volume.entries, "a": 61 + number})
        world.run(1)
    assert len(watch.counts) - before <= 12


def test_while_a_wipe_lasts_it_is_said_once() -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    world.run(3600)
    assert watch.labels() == ["watch.started", "volume.wiped"]
    assert watch.vigil.status(Condition.CONTENT) == "false"
    assert not watch.vigil.healthy
    assert not watch.vigil.data_is_there


def test_while_a_wipe_lasts_one_count_a_look_tells_whether_the_data_is_back() -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    world.run(30)
    before = len(watch.counts)
    world.run(20 * INTERVAL)
    assert 18 <= len(watch.counts) - before <= 22


def test_a_watcher_that_starts_below_the_reference_starts_in_that_incident() -> None:
    world, volume, first = watched(TWO)
    volume.wipe()
    world.run(20)
    first.stop()
    second = Watch(world, volume, pod="skills-1")
    world.run(20)
    (before,), (after,) = first.said(Event.VOLUME_WIPED), second.said(Event.VOLUME_WIPED)
    assert before.operation == after.operation
    assert after.fields["tripwire"] == "start"
    assert second.labels() == ["watch.started", "volume.wiped"]


def test_what_happens_before_the_first_count_is_the_start_and_no_event() -> None:
    world = World()
    volume = Volume(world, {"a": 1}, ledger=ledger_of(TWO))
    watch = Watch(world, volume, per_file=1.0)
    world.run(0.5)
    watch.vigil.tripped(world.moment(), storm=False)
    world.run(20)
    assert watch.said(Event.VOLUME_WIPED)[0].fields["tripwire"] == "start"


def test_fewer_files_than_the_setting_asks_are_a_wipe_without_a_ledger_too() -> None:
    world = World()
    volume = Volume(world, {"a": 5})
    watch = Watch(world, volume, loss=LossRule(min_files=10))
    world.run(20)
    assert watch.labels() == ["watch.started", "volume.wiped"]
    volume.set({"a": 10})
    world.run(20)
    assert watch.labels()[-1] == "volume.recovered"


def test_without_a_reference_nothing_is_a_loss() -> None:
    world = World()
    volume = Volume(world, dict(TWO))
    watch = Watch(world, volume)
    world.run(60)
    volume.wipe()
    world.run(60)
    assert watch.labels() == ["watch.started"]
    assert "no baseline yet" in watch.said()[0].message


# Recovery.


def test_it_recovers_when_seven_tenths_are_back_and_not_before() -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    world.run(30)
    volume.set({"a": 60, "b": 9})
    world.run(60)
    assert watch.labels()[-1] == "volume.wiped"
    volume.set({"a": 60, "b": 10})
    world.run(30)
    *_, recovered, _ = watch.said()
    assert recovered.event is Event.VOLUME_RECOVERED
    assert recovered.last
    assert watch.labels()[-1] == "volume.shrunk"
    assert watch.vigil.healthy
    assert watch.vigil.data_is_there


def test_the_next_wipe_has_another_id() -> None:
    world, volume, watch = watched(TWO)
    for _ in range(3):
        volume.wipe()
        world.run(30)
        volume.set(TWO)
        world.run(30)
    operations = [line.operation for line in watch.said(Event.VOLUME_WIPED)]
    assert len(set(operations)) == 3
    assert [line.operation for line in watch.said(Event.VOLUME_RECOVERED)] == operations


# Not a loss.


@pytest.mark.parametrize("gone", [0.1, 0.9, 1.8])
def test_an_update_that_removes_before_it_writes_is_no_loss(gone: float) -> None:
    world, volume, watch = watched(TWO)
    for _ in range(10):
        volume.wipe()
        world.run(gone)
        volume.set(TWO)
        world.run(7)
    assert watch.labels() == ["watch.started"]


def test_an_update_that_goes_on_writing_is_no_loss_until_the_ceiling() -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    for files in range(1, 56):
        world.run(1)
        volume.set({"a": files, "b": 1})
    volume.set(TWO)
    world.run(30)
    assert watch.labels() == ["watch.started"]


def test_a_wiped_volume_on_which_something_keeps_writing_is_judged_at_the_ceiling() -> None:
    world, volume, watch = watched(TWO)
    at = world.now
    volume.wipe()
    for _ in range(140):
        volume.grow_blocks(8)
        world.run(0.5)
    assert CEILING <= (wiped(watch) or 0) - at < CEILING + 1


def test_a_wipe_in_the_last_seconds_of_a_long_change_is_not_forgotten() -> None:
    world, volume, watch = watched(TWO)
    volume.set({"a": 59, "b": 40})  # the first sign
    for _ in range(111):
        volume.grow_blocks(8)
        world.run(0.5)
    at = world.now
    volume.wipe()
    for _ in range(20):
        volume.grow_blocks(8)
        world.run(0.5)
    world.run(SETTLE + 1)
    assert (wiped(watch) or 0) - at < 20


def test_a_temporary_tree_never_becomes_the_reference() -> None:
    world, volume, watch = watched(TWO)
    for _ in range(10):
        volume.set({**TWO, "tmp": 5000})
        world.run(100)
        volume.set(TWO)
        world.run(100)
    assert watch.labels() == ["watch.started"]
    assert watch.reference is not None
    assert watch.reference.files == 100


def test_what_stays_for_five_minutes_becomes_the_reference_with_its_empty_files() -> None:
    world, volume, watch = watched(TWO)
    volume.set({"a": 60, "b": 90})
    volume.truncate(5)
    world.run(500)
    assert watch.reference is not None
    assert (watch.reference.files, watch.reference.entries, watch.reference.empty) == (150, {"a": 60, "b": 90}, 5)


def test_a_folder_that_cannot_be_read_is_no_loss() -> None:
    world, volume, watch = watched(TWO)
    volume.unreadable = ("a", "b")
    world.run(1200)
    assert watch.labels() == ["watch.started", "watch.blind"]


# Shrunk.


def test_a_third_lost_is_shrunk_and_said_once() -> None:
    world, volume, watch = watched(TWO)
    volume.set({"a": 60})
    world.run(1200)
    (line,) = watch.said(Event.VOLUME_SHRUNK)
    assert line.severity is Severity.WARNING
    assert line.fields["entries"] == {"b": [40, 0]}
    assert "If that is meant" in line.message
    assert watch.vigil.healthy
    assert watch.labels() == ["watch.started", "volume.shrunk"]


def test_it_is_said_again_when_as_much_again_is_lost_and_not_for_less() -> None:
    tenants = dict.fromkeys("abcdefghij", 10)
    world, volume, watch = watched(tenants)
    told = []
    for left in range(9, 2, -1):
        volume.set(dict(list(tenants.items())[:left]))
        world.run(60)
        told.append(len(watch.said(Event.VOLUME_SHRUNK)))
    assert told == [0, 0, 1, 1, 1, 2, 2]


def test_a_second_loss_after_a_partial_restore_is_said_where_it_is_as_large_as_a_shrink() -> None:
    tenants = dict.fromkeys("abcdefghij", 10)
    world, volume, watch = watched(tenants)
    told = []
    for left in (4, 7, 4, 5, 4, 6, 4, 7, 4):
        volume.set(dict(list(tenants.items())[:left]))
        world.run(100)
        told.append(len(watch.said(Event.VOLUME_SHRUNK)))
    assert told == [1, 1, 2, 2, 2, 2, 2, 2, 3]
    assert {line.operation for line in watch.said(Event.VOLUME_SHRUNK)} == {watch.said()[1].operation}


def test_it_is_said_again_after_the_data_was_back_which_ended_its_operation_without_a_line() -> None:
    world, volume, watch = watched(TWO)
    for _ in range(2):
        volume.set({"a": 60})
        world.run(60)
        volume.set(TWO)
        world.run(100)
    assert watch.labels() == ["watch.started", *["volume.shrunk"] * 2]
    _, one, other = watch.said()
    assert (one.first, other.first) == (True, True)
    assert one.operation != other.operation


def test_a_temporary_tree_on_a_shrunk_volume_is_no_second_shrink() -> None:
    world, volume, watch = watched(TWO)
    volume.set({"a": 60})
    world.run(100)
    for _ in range(3):
        volume.set({"a": 60, "tmp": 60})
        world.run(0.5)
        volume.set({"a": 60})
        world.run(100)
    assert watch.labels() == ["watch.started", "volume.shrunk"]


def test_erosion_in_steps_is_still_a_loss() -> None:
    tenants = dict.fromkeys("abcdefghij", 10)
    world, volume, watch = watched(tenants)
    for left in range(9, -1, -1):
        volume.set(dict(list(tenants.items())[:left]))
        world.run(1000)
    assert watch.labels()[-1] == "volume.wiped"
    assert watch.reference is not None
    assert watch.reference.files == 100


def test_a_reference_older_than_the_window_gives_way_to_what_is_left() -> None:
    world, volume, watch = watched(TWO, window=2000.0)
    volume.set({"a": 60})
    world.run(3000)
    assert watch.reference is not None
    assert watch.reference.files == 60


def test_a_wiped_volume_keeps_its_reference_however_old() -> None:
    world, volume, watch = watched(TWO, window=500.0)
    volume.wipe()
    world.run(1500)
    assert watch.reference is not None
    assert watch.reference.files == 100


# Emptied files.


def test_files_that_became_empty_are_lost_and_recover_when_they_are_filled() -> None:
    world, volume, watch = watched(TWO)
    volume.truncate(100)
    world.run(INTERVAL + 4 * SETTLE)
    (line,) = watch.said(Event.VOLUME_WIPED)
    assert "100 of them emptied" in line.message
    volume.refill()
    world.run(60)
    assert watch.labels()[-1] == "volume.recovered"


def test_sizes_are_read_only_when_a_tenth_of_the_blocks_is_gone_and_no_name_changed() -> None:
    world, volume, _ = watched(TWO)
    world.run(400)
    orders: list[CountOptions] = []
    take = volume.census

    def census(order: CountOptions) -> object:
        orders.append(order)
        return take(order)

    volume.census = census  # type: ignore[assignment, method-assign]
    volume.grow_blocks(500)
    world.run(100)
    volume.grow_blocks(-100)  # less than a tenth
    world.run(100)
    volume.set({"a": 60, "b": 20})  # names changed
    world.run(60)
    assert orders
    assert not any(order.sizes for order in orders)
    volume.truncate(40)
    world.run(30)
    assert any(order.sizes for order in orders)


def test_a_count_that_happens_to_come_first_does_not_hide_that_files_became_empty() -> None:
    world, volume, watch = watched(TWO)
    volume.kind = Kind.NETWORK  # counted at every look
    world.run(30)
    volume.truncate(100)
    watch.vigil.blind(world.moment(), "the prober was killed", "")  # asks for a count
    world.run(60)
    assert wiped(watch)


def test_files_that_become_empty_little_by_little_are_found() -> None:
    world, volume, watch = watched({"a": 300, "b": 200})
    volume.kind = Kind.NETWORK
    world.run(30)
    for _ in range(50):
        volume.truncate(10)
        world.run(INTERVAL)
    world.run(60)
    assert wiped(watch)


def test_a_look_that_fails_in_between_does_not_hide_that_files_became_empty() -> None:
    world, volume, watch = watched(TWO)
    volume.truncate(100)
    world.run(INTERVAL + 0.1)
    volume.break_down()
    world.run(INTERVAL)
    volume.mend()
    world.run(60)
    assert wiped(watch)


@pytest.mark.parametrize("kind", [Kind.BLOCK, Kind.NETWORK])
@pytest.mark.parametrize(("files", "pause"), [(1, 0.3), (1, 4.0), (1, 30.0), (40, 1.0), (95, 10.0)])
def test_files_that_give_way_to_empty_ones_of_other_names_are_not_emptied(files: int, pause: float, kind: Kind) -> None:
    world, volume, watch = watched(TWO)
    volume.kind = kind
    world.run(400)
    while volume.empty < 95:
        volume.finish(files)
        world.run(pause)
    world.run(2000)
    assert watch.labels() == ["watch.started"]


def test_empty_files_that_take_the_place_of_others_are_not_emptied_ones_of_the_reference() -> None:
    world, volume, watch = watched({"a": 50, "b": 50})
    world.run(400)
    volume.set({"c": 50, "d": 50})
    volume.empty = 85
    world.run(2000)
    assert watch.labels() == ["watch.started"]


def test_while_a_storm_keeps_the_tripwire_down_nobody_knows_whether_the_names_stayed() -> None:
    world, volume, watch = watched({"a": 600, "b": 400})
    world.run(400)
    while volume.empty < 900:
        volume.finish(70)
        world.run(7)
    world.run(2000)
    assert watch.labels() == ["watch.started"]


def test_sizes_that_were_judged_once_are_not_judged_after_that() -> None:
    world, volume, watch = watched(TWO)
    volume.truncate(15)
    world.run(INTERVAL + 4 * SETTLE)
    volume.finish(80)
    world.run(600)
    assert watch.labels() == ["watch.started"]


def test_files_that_become_empty_after_others_came_and_went_are_found() -> None:
    world, volume, watch = watched(TWO)
    volume.set({"a": 60, "b": 41})
    world.run(3)
    volume.set(TWO)
    world.run(3 * SETTLE)
    volume.truncate(100)
    world.run(INTERVAL + 4 * SETTLE)
    assert wiped(watch)


def test_the_metric_of_the_last_change_does_not_move_because_sizes_were_read() -> None:
    world, volume, watch = watched(TWO)
    at = watch.vigil.changed
    volume.grow_blocks(500)
    world.run(100)
    volume.grow_blocks(-450)
    world.run(60)
    assert watch.vigil.changed == at


# What counts may cost.


def test_a_wipe_is_known_though_every_saved_second_of_counting_is_spent() -> None:
    world, volume, watch = watched(LARGE, per_file=2e-6)  # 2 s a count
    volume.deaf = True
    for step in range(30):
        volume.set({**LARGE, "a": 600_000 - step})
        watch.vigil.tripped(world.moment(), storm=False)
        world.run(3)
    at = world.now
    volume.wipe()
    world.run(60)
    assert (wiped(watch) or 1e9) - at < 2 * INTERVAL


def test_a_removal_that_was_counted_just_before_it_was_a_wipe_is_followed_to_its_end() -> None:
    tenants = {"a": 60, "b": 40, "c": 25}
    world, volume, watch = watched(tenants, per_file=2e-2)  # 2.5 s a count: every saved second is spent
    for step in range(1, 13):
        world.run(1)
        volume.set({name: int(files * (1 - step / 12)) for name, files in volume.entries.items()})
    at = world.now
    world.run(60)
    assert (wiped(watch) or 1e9) - at < INTERVAL + SETTLE


def test_a_tree_that_cannot_be_counted_now_is_looked_at_every_second() -> None:
    world, volume, watch = watched(LARGE, per_file=2e-5)  # 20 s a count, all saved seconds are spent
    before = watch.looks
    volume.set({**LARGE, "a": 599_999})
    world.run(10)
    assert watch.looks - before >= 9
