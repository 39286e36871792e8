"""Marker, ledger and hold as the watcher takes them: acceptance, adoption, announced work, and what must not launder a loss."""

from dataclasses import replace
from itertools import pairwise

import pytest

from guard.event import Event
from guard.outcome import Severity
from guard.volume.ledger import Ledger
from guard.volume.marker import Marker
from guard.volume.observation import InvalidDocument
from guard.watch.keeping import WRITE_AT_LEAST
from guard.watch.standing import Condition
from tests.unit.watch.simulation import (
    AT,
    INTERVAL,
    MARKER_ID,
    NAME,
    OTHER_ID,
    SETTLE,
    Volume,
    Watch,
    World,
    ledger_of,
    settle,
    watched,
)

TWO = {"a": 60, "b": 40}
HOUR = 3600.0


def standing(volume: Volume) -> Ledger:
    assert isinstance(volume.ledger, Ledger)
    return volume.ledger


# The ledger.


@pytest.mark.parametrize("jitter", [1.0, 1.1])
def test_the_ledger_is_written_at_the_start_and_at_least_every_quarter_of_an_hour(jitter: float) -> None:
    world, volume, _ = watched(TWO, jitter=jitter)
    world.run(4 * WRITE_AT_LEAST)
    times = [at for at, _, _ in volume.kept]
    assert len(times) == 5
    assert all(later - earlier <= WRITE_AT_LEAST for earlier, later in pairwise(times))
    assert standing(volume).reference.files == 100


def test_what_changes_is_written_within_a_minute_or_two_and_never_more_often_than_once_a_minute() -> None:
    world, volume, _ = watched(TWO)
    for files in range(41, 71):
        volume.set({"a": 60, "b": files})
        world.run(20)
    times = [at for at, _, _ in volume.kept]
    assert all(later - earlier >= 59.9 for earlier, later in pairwise(times))
    world.run(140)
    assert standing(volume).files == 130


def test_the_ledger_stays_as_it_was_while_the_volume_is_wiped() -> None:
    world, volume, watch = watched(TWO)
    world.run(10)
    before = standing(volume)
    volume.wipe()
    world.run(4 * WRITE_AT_LEAST)
    assert volume.ledger is before
    assert watch.vigil.ledger(world.moment()) is None


def test_a_wipe_within_the_minute_after_another_writes_the_generation_and_nothing_else() -> None:
    world, volume, watch = watched(TWO)
    before = standing(volume)
    volume.wipe()
    world.run(15)
    volume.set(TWO)
    world.run(15)
    volume.wipe()
    world.run(120)
    assert standing(volume) == replace(before, generation=2)
    assert watch.said(Event.VOLUME_WIPED)[-1].operation == f"{MARKER_ID}.2"
    times = [at for at, _, _ in volume.kept]
    assert len(times) == 2
    assert times[1] - times[0] >= 59.9


def test_the_ledger_stays_as_it_was_while_a_loss_is_on_its_way() -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    world.run(0.01)
    assert watch.vigil.wants(world.now).write is None or (watch.vigil.wants(world.now).write or 0) > world.now + 800


def test_a_change_that_never_ends_does_not_keep_the_ledger_from_being_written() -> None:
    world, volume, _ = watched(TWO)
    for number in range(2400):
        volume.set({"a": 60, "b": 40 + number % 2})
        world.run(0.5)
    times = [at for at, _, _ in volume.kept]
    assert times[-1] > world.now - WRITE_AT_LEAST - 60


def test_a_ledger_that_somebody_removed_is_written_again_with_the_same_reference() -> None:
    world, volume, watch = watched(TWO)
    world.run(100)
    volume.ledger = None
    world.run(80)
    assert standing(volume).reference.files == 100
    assert watch.labels() == ["watch.started"]


def test_a_ledger_that_cannot_be_used_is_said_once_and_replaced_by_what_was_known() -> None:
    world, volume, watch = watched(TWO)
    world.run(100)
    volume.ledger = InvalidDocument("not JSON", "abcdef012345")
    world.run(60)
    (line,) = watch.said(Event.LEDGER_INVALID)
    assert line.severity is Severity.WARNING
    assert line.fields["reason"] == "not JSON"
    world.run(60)
    assert standing(volume).reference.files == 100


def test_it_is_said_again_when_it_breaks_again() -> None:
    world, volume, watch = watched(TWO)
    for _ in range(2):
        volume.ledger = InvalidDocument("not JSON", "abcdef012345")
        world.run(90)
    assert len(watch.said(Event.LEDGER_INVALID)) == 2


def test_at_the_clean_end_the_ledger_says_how_many_files_settled_last() -> None:
    world, volume, watch = watched(TWO)
    volume.set({"a": 60, "b": 30})
    world.run(5)
    watch.stop()
    assert (standing(volume).files, standing(volume).reference.files) == (90, 100)


def test_at_the_clean_end_of_a_second_wipe_the_ledger_tells_that_the_first_is_over() -> None:
    world, volume, first = watched(TWO)
    volume.wipe()
    world.run(12)
    volume.set(TWO)
    world.run(12)
    volume.wipe()
    world.run(4)
    first.stop()
    second = Watch(world, volume)
    world.run(20)
    (wiped,) = second.said(Event.VOLUME_WIPED)
    assert [line.operation for line in first.said(Event.VOLUME_WIPED)] == [f"{MARKER_ID}.1", wiped.operation]


def test_at_the_end_of_a_watch_that_never_counted_nothing_is_written() -> None:
    world = World()
    volume = Volume(world, dict(TWO), ledger=ledger_of(TWO))
    before = volume.ledger
    Watch(world, volume).stop()
    assert volume.ledger is before


# Acceptance.


def test_acceptance_ends_the_wipe_and_what_is_there_is_the_reference() -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    world.run(30)
    volume.set({"a": 3})
    world.run(30)
    volume.accept()
    world.run(100)
    assert watch.labels() == ["watch.started", "volume.wiped", "volume.accepted"]
    assert watch.said()[-1].last
    assert watch.reference is not None
    assert watch.reference.files == 3
    assert watch.vigil.healthy


def test_acceptance_is_seen_though_an_incident_before_it_was_not_written_down_yet() -> None:
    world, volume, watch = watched(TWO)
    volume.unmount()
    world.run(1)
    volume.remount()
    world.run(4)
    volume.wipe()
    world.run(30)
    volume.accept()
    world.run(30)
    assert watch.labels()[-1] == "volume.accepted"
    operations = {line.operation for line in watch.said(Event.VOLUME_UNMOUNTED, Event.VOLUME_WIPED)}
    assert len(operations) == 2


def test_an_acceptance_between_a_recovery_and_its_ledger_is_not_written_over() -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    world.run(5)
    volume.set({"a": 60, "b": 10})
    while watch.vigil.incident.is_open:
        world.run(0.5)
    due = watch.vigil.wants(world.now).write
    assert due is not None
    world.run(max(0.0, due - world.now - 0.001))
    volume.accept()
    world.run(100)
    assert watch.reference is not None
    assert watch.reference.files == 70
    assert standing(volume).reference.files == 70


def test_the_incident_after_an_acceptance_has_an_id_of_its_own() -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    world.run(30)
    volume.set({"a": 3})
    volume.accept()
    world.run(100)
    volume.wipe()
    world.run(30)
    first, second = watch.said(Event.VOLUME_WIPED)
    assert first.operation != second.operation


def test_acceptance_of_a_shrunk_volume_is_said_and_is_the_reference() -> None:
    world, volume, watch = watched(TWO)
    volume.set({"a": 60})
    world.run(30)
    volume.accept()
    world.run(30)
    assert watch.labels() == ["watch.started", "volume.shrunk", "volume.accepted"]
    shrunk, accepted = watch.said()[1:]
    assert (accepted.operation, accepted.first, accepted.last) == (shrunk.operation, False, True)
    assert watch.reference is not None
    assert watch.reference.files == 60


def test_after_an_acceptance_the_next_loss_is_measured_anew() -> None:
    world, volume, watch = watched(TWO)
    volume.set({"a": 60})
    world.run(30)
    volume.accept()
    world.run(30)
    volume.set({"a": 40})
    world.run(30)
    assert watch.labels() == ["watch.started", "volume.shrunk", "volume.accepted", "volume.shrunk"]
    assert watch.said()[-1].operation != watch.said()[1].operation


@pytest.mark.parametrize("left", [{}, {"a": 60}])
@pytest.mark.parametrize("seconds", [0.1, 0.5, SETTLE - 0.1])
def test_what_was_accepted_before_it_settled_is_no_loss(seconds: float, left: dict[str, int]) -> None:
    world, volume, watch = watched(TWO)
    volume.set(left)
    world.run(seconds)
    volume.accept()
    world.run(1200)
    assert watch.labels() == ["watch.started"]
    assert watch.vigil.status(Condition.CONTENT) == "true"


def test_what_was_restored_and_accepted_before_it_settled_was_accepted() -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    world.run(60)
    volume.set({"a": 60, "b": 41})
    world.run(1)
    volume.accept()
    world.run(60)
    assert watch.labels() == ["watch.started", "volume.wiped", "volume.accepted"]


def test_what_is_known_is_not_read_anew_from_the_ledger_when_the_marker_vanishes() -> None:
    world, volume, watch = watched(TWO)
    volume.unmount()
    world.run(1)
    volume.remount()
    world.run(3)
    volume.marker = None
    world.run(INTERVAL + 1)
    unmounted, missing = watch.said(Event.VOLUME_UNMOUNTED, Event.MARKER_MISSING)
    assert unmounted.operation != missing.operation
    assert watch.vigil.keeper is not None
    assert watch.vigil.keeper.generation == 2


def test_the_recovery_of_another_watcher_is_no_acceptance() -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    world.run(30)
    volume.ledger = replace(standing(volume), generation=2, written="2026-11-24T19:00:00Z")
    world.run(30)
    assert watch.labels()[-1] == "volume.wiped"


def test_a_larger_reference_that_another_watcher_wrote_is_what_losses_are_judged_against() -> None:
    world, volume, watch = watched(TWO)
    larger = replace(standing(volume).reference, files=200, entries={"a": 120, "b": 80})
    volume.ledger = replace(standing(volume), reference=larger, written="2026-11-24T19:00:00Z")
    world.run(1000)
    assert watch.reference is not None
    assert watch.reference.files == 200
    assert watch.labels() == ["watch.started", "volume.shrunk"]


# Adoption and other markers.


def test_what_was_adopted_anew_is_counted_and_judged_anew() -> None:
    world, volume, watch = watched(TWO)
    world.run(100)
    before = len(watch.counts)
    volume.marker, volume.ledger = Marker(NAME, OTHER_ID, AT), replace(ledger_of({"a": 600}), marker_id=OTHER_ID)
    world.run(INTERVAL + 5)
    assert len(watch.counts) > before
    assert watch.labels() == ["watch.started", "volume.wiped"]


def test_a_volume_that_is_adopted_anew_is_kept_from_then_on() -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    world.run(30)
    volume.marker = Marker(NAME, OTHER_ID, AT)
    volume.ledger = replace(ledger_of({}), marker_id=OTHER_ID)
    world.run(30)
    assert watch.labels() == ["watch.started", "volume.wiped", "volume.accepted"]
    volume.set(TWO)
    world.run(500)
    assert standing(volume).marker_id == OTHER_ID
    assert standing(volume).reference.files == 100


def test_another_volumes_marker_and_ledger_copied_over_ours_accept_nothing() -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    world.run(30)
    volume.marker = Marker("claude-skills-prod", OTHER_ID, AT)
    volume.ledger = replace(ledger_of({}, generation=9), marker_id=OTHER_ID)
    foreign = volume.ledger
    world.run(1000)
    assert watch.labels() == ["watch.started", "volume.wiped", "marker.changed"]
    assert watch.reference is not None
    assert watch.reference.files == 100
    assert volume.ledger is foreign


@pytest.mark.parametrize(
    ("marker", "label"),
    [
        (None, "marker.missing"),
        (InvalidDocument("not JSON", "abcdef012345"), "marker.invalid"),
        (Marker("claude-skills-prod", MARKER_ID, AT), "marker.changed"),
        (Marker(NAME, OTHER_ID, AT), "marker.changed"),
    ],
)
def test_a_marker_that_is_not_the_known_one_is_said_at_the_next_look_and_nothing_is_written(
    marker: Marker | InvalidDocument | None, label: str
) -> None:
    world, volume, watch = watched(TWO)
    kept, before = len(volume.kept), volume.marker
    volume.marker = marker
    world.run(INTERVAL + 0.1)
    assert watch.labels() == ["watch.started", label]
    assert watch.said()[-1].severity is Severity.ERROR
    counts = len(watch.counts)
    world.run(1000)
    assert len(volume.kept) == kept
    assert len(watch.counts) - counts <= 3
    volume.marker = before
    world.run(INTERVAL + 0.1)
    assert watch.labels() == ["watch.started", label, "volume.recovered"]


def test_a_wipe_of_everything_tells_of_marker_and_content_in_one_incident() -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    volume.marker = volume.ledger = None
    world.run(30)
    assert sorted(watch.labels()[1:]) == ["marker.missing", "volume.wiped"]
    assert len({line.operation for line in watch.said()[1:]}) == 1


def test_at_the_start_a_missing_marker_beside_a_ledger_is_said_at_once_and_the_content_judged() -> None:
    world = World()
    volume = Volume(world, {}, marker=None, ledger=ledger_of(TWO))
    watch = Watch(world, volume)
    world.run(0.01)
    assert watch.labels() == ["watch.started", "marker.missing"]
    world.run(20)
    assert watch.labels() == ["watch.started", "marker.missing", "volume.wiped"]


def test_at_the_start_a_broken_marker_beside_a_ledger_leaves_the_content_to_be_judged() -> None:
    world = World()
    volume = Volume(world, {}, marker=InvalidDocument("not JSON", "abcdef012345"), ledger=ledger_of(TWO))
    watch = Watch(world, volume)
    world.run(20)
    assert watch.labels() == ["watch.started", "marker.invalid", "volume.wiped"]


def test_a_new_volume_is_watched_from_its_adoption_on() -> None:
    world = World()
    volume = Volume(world, dict(TWO), marker=None)
    watch = Watch(world, volume)
    world.run(60)
    assert watch.labels() == ["watch.started", "marker.missing"]
    assert watch.counts == []
    volume.marker, volume.ledger = Marker(NAME, MARKER_ID, AT), ledger_of(TWO)
    world.run(30)
    assert watch.labels()[-1] == "volume.recovered"
    volume.wipe()
    world.run(30)
    assert watch.labels()[-1] == "volume.wiped"
    operations = [line.operation for line in watch.of_incidents() if line.first]
    assert len(set(operations)) == 2


# Another volume in its place.


def test_a_clone_that_is_accepted_ends_the_incident_and_its_wipe_is_known() -> None:
    world, volume, watch = watched(TWO)
    volume.put_in_its_place(99)
    world.run(300)
    assert watch.labels() == ["watch.started", "volume.replaced"]
    volume.accept()
    world.run(INTERVAL + 0.1)
    assert watch.labels() == ["watch.started", "volume.replaced", "volume.accepted"]
    replaced, accepted = watch.said()[1:]
    assert (accepted.operation, accepted.last) == (replaced.operation, True)
    assert watch.vigil.healthy
    world.run(20)
    assert watch.vigil.wiring.complete
    volume.wipe()
    world.run(SETTLE + 0.5)
    assert watch.labels()[-1] == "volume.wiped"
    assert watch.said()[-1].operation != replaced.operation


def test_a_new_disk_that_is_adopted_filled_and_accepted_is_kept_and_its_wipe_is_known() -> None:
    world, volume, watch = watched(TWO)
    volume.put_in_its_place(99, marker=None, ledger=None, entries={})
    world.run(60)
    volume.marker, volume.ledger = Marker(NAME, OTHER_ID, AT), replace(ledger_of({}), marker_id=OTHER_ID)
    world.run(INTERVAL + 0.1)
    assert watch.labels() == ["watch.started", "volume.replaced", "volume.accepted"]
    assert watch.reference is not None
    assert watch.reference.files == 0
    volume.set({"a": 30, "b": 30})
    world.run(30)
    volume.accept()
    world.run(100)
    assert standing(volume).marker_id == OTHER_ID
    volume.wipe()
    world.run(30)
    assert watch.labels()[-1] == "volume.wiped"
    assert watch.said()[-1].fields["before"] == 60


def test_a_wiped_volume_that_gives_way_to_an_accepted_clone_is_wiped_no_more() -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    world.run(30)
    volume.put_in_its_place(99, entries=dict(TWO))
    world.run(60)
    volume.accept()
    world.run(60)
    assert watch.labels() == ["watch.started", "volume.wiped", "volume.replaced", "volume.accepted"]
    assert watch.vigil.healthy


def test_the_known_disk_back_in_its_place_recovers_and_nothing_of_the_other_is_kept() -> None:
    world, volume, watch = watched(TWO)
    ledger = volume.ledger
    volume.put_in_its_place(99, marker=Marker(NAME, OTHER_ID, AT), ledger=replace(ledger_of({}, 9), marker_id=OTHER_ID))
    world.run(60)
    volume.put_in_its_place(7, marker=Marker(NAME, MARKER_ID, AT), ledger=ledger)
    world.run(60)
    assert watch.labels()[-1] == "volume.recovered"
    assert watch.vigil.keeper is not None
    assert (watch.vigil.keeper.marker_id, watch.vigil.keeper.generation) == (MARKER_ID, 2)


def test_the_disk_before_an_accepted_clone_is_another_volume_until_it_is_accepted_too() -> None:
    world, volume, watch = watched(TWO)
    before = volume.ledger
    volume.put_in_its_place(99)
    world.run(20)
    volume.accept()
    world.run(20)
    volume.put_in_its_place(7, ledger=before)
    world.run(60)
    assert watch.labels()[-1] == "volume.replaced"
    volume.accept()
    world.run(20)
    assert watch.labels()[-1] == "volume.accepted"
    assert len({line.operation for line in watch.said(Event.VOLUME_REPLACED)}) == 2


def test_what_is_removed_from_another_volume_before_it_is_accepted_is_not_counted() -> None:
    world, volume, watch = watched(TWO)
    volume.put_in_its_place(99)
    world.run(20)
    counts = len(watch.counts)
    volume.wipe()
    world.run(60)
    assert len(watch.counts) == counts
    volume.accept()
    world.run(60)
    assert watch.labels()[-1] == "volume.accepted"
    assert watch.vigil.status(Condition.CONTENT) == "true"


# Holds.


def test_what_happens_under_a_hold_is_said_at_info_and_nothing_is_written() -> None:
    world, volume, watch = watched(TWO)
    volume.announce()
    world.run(INTERVAL + 0.1)
    before = volume.ledger
    volume.wipe()
    world.run(2000)
    held, wiped = watch.said(Event.VOLUME_HELD)[0], watch.said(Event.VOLUME_WIPED)[0]
    assert "restore of Monday's backup" in held.message
    assert (held.severity, wiped.severity) == (Severity.INFO, Severity.INFO)
    assert wiped.fields["hold_reason"] == "restore of Monday's backup"
    assert volume.ledger is before
    assert watch.vigil.status(Condition.CONTENT) == "unknown"
    assert watch.vigil.healthy


@pytest.mark.parametrize("left", [{}, {"a": 60}])
@pytest.mark.parametrize("seconds", [0.0, 0.1, 1.0, 3.0, INTERVAL - 0.1])
def test_what_is_removed_right_after_it_was_announced_is_said_at_info(seconds: float, left: dict[str, int]) -> None:
    world, volume, watch = watched(TWO)
    volume.announce()
    world.run(seconds)
    volume.set(left)
    world.run(60)
    assert watch.labels()[:2] == ["watch.started", "volume.held"]
    assert watch.labels()[2] in {"volume.wiped", "volume.shrunk"}
    assert max(line.severity for line in watch.said()) is Severity.INFO


@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_work_that_was_announced_done_and_released_before_it_settled_is_no_loss(seconds: float) -> None:
    world, volume, watch = watched(TWO)
    world.run(1)
    volume.announce()
    volume.wipe()
    world.run(seconds)
    volume.release()
    world.run(1200)
    assert watch.labels() == ["watch.started"]


@pytest.mark.parametrize("seconds", [0.0, 1.0, 5.0])
def test_a_restore_of_all_that_was_there_is_over_with_its_release(seconds: float) -> None:
    world, volume, watch = watched(TWO)
    volume.announce()
    volume.wipe()
    world.run(30)
    volume.set(TWO)
    world.run(seconds)
    volume.release()
    world.run(60)
    assert max(line.severity for line in watch.said()) <= Severity.NOTICE
    assert watch.labels()[-1] in {"volume.accepted", "volume.recovered", "volume.released"}
    assert not watch.vigil.incident.is_open


def test_files_that_became_empty_are_lost_though_the_hold_was_just_removed_when_that_settled() -> None:
    world, volume, watch = watched(TWO)
    volume.announce()
    world.run(20)
    volume.truncate(100)
    settle(world, watch)
    volume.unhold()
    world.run(0.1)
    (line,) = watch.said(Event.VOLUME_WIPED)
    assert line.severity is Severity.CRITICAL


def test_a_hold_is_said_again_every_hour() -> None:
    world, volume, watch = watched(TWO)
    volume.announce()
    world.run(3 * HOUR + 60)
    lines = watch.said(Event.VOLUME_HELD)
    assert len(lines) == 4
    assert "still held" in lines[-1].message
    assert "still" not in lines[0].message


def test_a_volume_that_was_taken_away_under_its_hold_is_said_to_be_held_every_hour() -> None:
    world, volume, watch = watched(TWO)
    volume.announce()
    world.run(INTERVAL + 1)
    volume.unmount()
    world.run(2 * HOUR + 60)
    assert watch.said(Event.VOLUME_UNMOUNTED)[0].severity is Severity.INFO
    assert len(watch.said(Event.VOLUME_HELD)) == 3


def test_a_hold_that_cannot_be_read_holds_all_the_same() -> None:
    world, volume, watch = watched(TWO)
    volume.hold = InvalidDocument("not JSON", "abcdef012345")
    world.run(INTERVAL + 0.1)
    (line,) = watch.said(Event.VOLUME_HELD)
    assert "its hold can't be read: not JSON" in line.message
    assert watch.vigil.incident.held


def test_release_accepts_what_is_there() -> None:
    world, volume, watch = watched(TWO)
    volume.announce()
    world.run(20)
    volume.set({"a": 3})
    world.run(20)
    volume.release()
    world.run(100)
    assert watch.labels()[-2:] == ["volume.released", "volume.accepted"]
    assert watch.reference is not None
    assert watch.reference.files == 3
    assert watch.vigil.status(Condition.CONTENT) == "true"


def test_a_wipe_under_a_hold_that_somebody_just_removed_is_said_aloud() -> None:
    world, volume, watch = watched(TWO)
    volume.announce()
    world.run(20)
    volume.wipe()
    world.run(20)
    volume.unhold()
    world.run(20)
    quiet, loud = watch.said(Event.VOLUME_WIPED)
    assert (quiet.severity, loud.severity) == (Severity.INFO, Severity.CRITICAL)
    assert quiet.operation == loud.operation
    assert watch.labels()[-2:] == ["volume.released", "volume.wiped"]


@pytest.mark.parametrize("seconds", [0.0, 20.0], ids=["before the wipe is known", "after it"])
def test_a_hold_that_went_with_everything_is_not_released_and_the_wipe_is_said_aloud(seconds: float) -> None:
    world, volume, watch = watched(TWO)
    volume.announce()
    world.run(20)
    volume.wipe()
    world.run(seconds)
    volume.marker = volume.ledger = volume.hold = None
    world.run(30)
    assert "volume.released" not in watch.labels()
    assert "marker.missing" in watch.labels()
    assert watch.said(Event.VOLUME_WIPED)[-1].severity is Severity.CRITICAL
    assert watch.vigil.status(Condition.CONTENT) == "false"


def test_a_shrunk_volume_under_a_hold_that_somebody_just_removed_is_said_aloud() -> None:
    world, volume, watch = watched(TWO)
    volume.announce()
    world.run(20)
    volume.set({"a": 60})
    world.run(20)
    volume.unhold()
    world.run(20)
    assert [line.severity for line in watch.said(Event.VOLUME_SHRUNK)] == [Severity.INFO, Severity.WARNING]


def test_counts_under_a_hold_make_no_reference() -> None:
    world, volume, watch = watched(TWO)
    volume.announce()
    world.run(20)
    volume.set({"a": 600, "b": 400})
    world.run(1000)
    volume.unhold()
    world.run(200)
    assert watch.reference is not None
    assert watch.reference.files == 100
    world.run(400)
    assert watch.reference.files == 1000


def test_sizes_are_not_read_under_a_hold_for_a_reference_that_cannot_be_made() -> None:
    world, volume, watch = watched(TWO)
    volume.set({"a": 600, "b": 400})
    world.run(100)
    volume.announce()
    world.run(100)
    before = len(watch.counts)
    world.run(1000)
    assert len(watch.counts) - before <= 2
