"""Mounts, unreachable volumes, tripwires and writes: each said apart, once, and over when it is over."""

import errno
from dataclasses import replace

import pytest

from guard.event import Event
from guard.outcome import Severity
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger
from guard.volume.observation import ProbeFault
from guard.watch.keeping import WRITE_AT_LEAST
from guard.watch.standing import Condition
from guard.watch.wiring import FOLDERS
from tests.unit.watch.simulation import INTERVAL, SETTLE, Volume, Watch, World, ledger_of, settle, troubles, watched

TWO = {"a": 60, "b": 40}


# Mounts.


def test_an_unmounted_volume_is_said_at_once_and_recovers_when_the_same_disk_is_back() -> None:
    world, volume, watch = watched(TWO)
    volume.unmount()
    world.run(0.1)
    assert watch.labels() == ["watch.started", "volume.unmounted"]
    assert watch.said()[-1].severity is Severity.CRITICAL
    assert not watch.vigil.data_is_there
    assert watch.vigil.status(Condition.MOUNTED) == "false"
    assert watch.vigil.status(Condition.IDENTITY) == "unknown"
    assert watch.vigil.status(Condition.CONTENT) == "unknown"
    world.run(600)
    volume.remount()
    world.run(0.1)
    assert watch.labels() == ["watch.started", "volume.unmounted", "volume.recovered"]
    world.run(10)
    assert watch.vigil.status(Condition.CONTENT) == "true"


def test_another_disk_in_its_place_is_another_volume_and_one_incident_with_the_unmount() -> None:
    world, volume, watch = watched(TWO)
    volume.unmount()
    world.run(5)
    volume.fsid, volume.marker = 99, None
    volume.remount()
    world.run(60)
    assert watch.labels() == ["watch.started", "volume.unmounted", "volume.replaced"]
    assert len({line.operation for line in watch.said()[1:]}) == 1
    counts = len(watch.counts)
    world.run(600)
    assert len(watch.counts) == counts  # never count the wrong disk


def test_a_new_file_system_with_the_numbers_of_the_last_one_is_another_volume_and_stays_it() -> None:
    """XFS takes its ID from the device, its root has always the same inode, and mount IDs are used again."""
    world, volume, watch = watched(TWO)
    volume.unmount()
    world.run(5)
    volume.marker, volume.ledger, volume.entries = None, None, {}
    volume.remount(mount_id=volume.mount.mount_id)
    world.run(600)
    assert watch.labels() == ["watch.started", "volume.unmounted", "volume.replaced"]


@pytest.mark.parametrize("same_id", [True, False])
def test_a_wipe_while_it_was_unmounted_is_found_when_it_is_back(same_id: bool) -> None:
    world, volume, watch = watched(TWO)
    volume.unmount()
    world.run(30)
    volume.entries = {}
    volume.remount(mount_id=volume.mount.mount_id if same_id else None)
    world.run(SETTLE + 0.5)
    assert sorted(watch.labels()[2:]) == ["volume.recovered", "volume.wiped"]


def test_where_no_process_can_be_started_that_looks_it_is_unreachable_with_the_reason_and_recovers() -> None:
    world, _, watch = watched(TWO)
    watch.forks = False
    watch.die()
    world.run(0.5)
    assert watch.labels() == ["watch.started", "watch.blind"]  # once may be a hiccup
    world.run(300)
    (line,) = watch.said(Event.VOLUME_UNREACHABLE)
    assert "EAGAIN while starting the process" in line.message
    assert "This says nothing of the volume" in line.message
    assert not watch.vigil.healthy
    assert watch.vigil.status(Condition.CONTENT) == "unknown"
    watch.forks = True
    world.run(INTERVAL + 1)
    assert watch.labels() == ["watch.started", "watch.blind", "volume.unreachable", "volume.recovered"]
    world.run(60)
    assert watch.vigil.status(Condition.CONTENT) == "true"
    assert watch.vigil.wiring.armed


@pytest.mark.parametrize(("number", "at_most"), [(errno.EIO, 0.5), (0, 10.5)])
def test_a_loss_that_settled_is_said_though_the_look_after_it_fails(number: int, at_most: float) -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    settle(world, watch)
    volume.break_down(number)
    world.run(at_most)
    assert watch.labels() == ["watch.started", "volume.wiped"]


def test_a_loss_that_settled_is_not_said_of_another_volume_that_took_its_place() -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    settle(world, watch)
    volume.put_in_its_place(99, marker=None)
    world.run(60)
    assert "volume.wiped" not in watch.labels()
    assert watch.labels()[-1] == "volume.replaced"


def test_after_a_remount_the_tripwire_is_armed_on_what_is_there_now() -> None:
    world, volume, watch = watched(TWO)
    before = watch.arms
    volume.remount()
    world.run(10)
    assert watch.arms == before + 1
    assert watch.labels() == ["watch.started"]  # no blindness: the tripwire was of another mount
    volume.wipe()
    world.run(SETTLE + 0.5)
    assert watch.said(Event.VOLUME_WIPED)[0].fields["tripwire"] == "events"


def test_a_remount_leads_to_a_count() -> None:
    world, volume, watch = watched(TWO)
    before = len(watch.counts)
    volume.remount()
    world.run(5)
    assert len(watch.counts) >= before + 2


def test_what_mounts_hide_is_lost_within_the_settling_time_and_back_when_they_are_gone() -> None:
    world, volume, watch = watched(TWO)
    world.run(100)
    volume.cover("a", "b")
    world.run(SETTLE + 0.5)
    (line,) = watch.said(Event.VOLUME_WIPED)
    assert line.fields["tripwire"] == "mount-table"
    volume.uncover()
    world.run(SETTLE + 0.5)
    assert watch.labels()[-1] == "volume.recovered"


def test_a_mount_that_hides_part_of_it_is_a_shrink() -> None:
    world, volume, watch = watched(TWO)
    world.run(100)
    volume.cover("b")
    world.run(SETTLE + 0.5)
    assert watch.labels() == ["watch.started", "volume.shrunk"]


def test_mounts_below_lead_to_a_count_also_where_the_volume_did_not_answer_when_they_came() -> None:
    world, volume, watch = watched(TWO)
    world.run(100)
    volume.break_down()
    world.run(INTERVAL)
    volume.cover("a", "b")
    volume.mend()
    world.run(2 * INTERVAL)
    assert "volume.wiped" in watch.labels()


def test_a_start_on_a_plain_directory_is_said_at_once() -> None:
    world = World()
    volume = Volume(world, dict(TWO), ledger=ledger_of(TWO), mounted=False)
    watch = Watch(world, volume)
    world.run(0.1)
    assert watch.labels() == ["watch.started", "volume.unmounted"]
    assert "plain directory" in watch.said()[0].message


# Unreachable.


def test_one_look_that_fails_is_a_hiccup() -> None:
    world, volume, watch = watched(TWO)
    volume.break_down()
    while watch.vigil.status(Condition.IDENTITY) == "true":
        world.run(0.1)
    volume.mend()
    world.run(60)
    assert watch.labels() == ["watch.started"]


def test_after_the_first_failed_look_the_volume_is_unknown_and_not_yet_wrong() -> None:
    world, volume, watch = watched(TWO)
    volume.break_down()
    while watch.vigil.status(Condition.IDENTITY) == "true":
        world.run(0.1)
    assert [watch.vigil.status(condition) for condition in Condition] == ["unknown"] * 4
    assert watch.vigil.healthy
    world.run(2)
    assert not watch.vigil.healthy


@pytest.mark.parametrize(("number", "within"), [(errno.EIO, INTERVAL + 2), (0, INTERVAL + 21)])
def test_two_looks_in_a_row_that_fail_are_unreachable_until_one_answers(number: int, within: float) -> None:
    world, volume, watch = watched(TWO)
    volume.break_down(number)
    world.run(within)
    assert watch.labels() == ["watch.started", "volume.unreachable"]
    world.run(600)
    assert watch.labels() == ["watch.started", "volume.unreachable"]
    volume.mend()
    world.run(INTERVAL + 11)
    assert watch.labels() == ["watch.started", "volume.unreachable", "volume.recovered"]


def test_a_wipe_that_nobody_could_see_is_found_afterwards() -> None:
    world, volume, watch = watched(TWO)
    volume.break_down()
    world.run(60)
    volume.entries = {}
    volume.mend()
    world.run(INTERVAL + SETTLE + 0.5)
    assert "volume.wiped" in watch.labels()


def test_a_hiccup_does_not_forget_when_a_change_began() -> None:
    world, volume, watch = watched(TWO)
    volume.wipe()
    world.run(0.2)
    volume.break_down()
    watch.mounts_changed()  # asks for a look
    volume.mend()
    world.run(5)
    assert watch.said(Event.VOLUME_WIPED)[0].fields["first_sign"] == "2026-11-24T18:00:30.001Z"


@pytest.mark.parametrize("number", [0, errno.EIO])
def test_a_tree_that_can_be_looked_at_and_not_be_counted_is_unreachable(number: int) -> None:
    world, volume, watch = watched(TWO)
    volume.uncountable = ProbeFault(number, "counting its files")
    volume.set({"a": 60})
    world.run(60)
    assert watch.labels() == ["watch.started", "volume.unreachable"]
    looks = watch.looks
    world.run(300)
    assert watch.looks - looks < 70  # no busy loop
    volume.uncountable = None
    world.run(40)
    assert watch.labels()[2] == "volume.recovered"


@pytest.mark.parametrize("number", [0, errno.EIO])
def test_a_watcher_whose_first_counts_fail_says_so(number: int) -> None:
    world = World()
    volume = Volume(world, dict(TWO), ledger=ledger_of(TWO), uncountable=ProbeFault(number, "counting its files"))
    watch = Watch(world, volume)
    world.run(60)
    assert watch.labels() == ["watch.started", "volume.unreachable"]
    volume.uncountable = None
    world.run(60)
    assert watch.labels()[-1] == "volume.recovered"


def test_a_start_on_a_volume_that_does_not_answer_is_said_after_two_looks() -> None:
    world = World()
    volume = Volume(world, dict(TWO), ledger=ledger_of(TWO), fault=ProbeFault(0, "being looked at"))
    watch = Watch(world, volume)
    world.run(15)
    assert watch.labels() == []
    assert not watch.vigil.healthy
    world.run(10)
    assert watch.labels() == ["watch.started", "volume.unreachable"]


def test_counts_that_hung_do_not_use_up_what_counts_may_cost() -> None:
    world, volume, watch = watched(TWO)
    volume.uncountable = ProbeFault(0, "being counted")
    volume.set({"a": 60})
    world.run(200)
    volume.uncountable = None
    world.run(40)
    at = world.now
    volume.wipe()
    world.run(30)
    (line,) = [line for line in watch.lines if line.event is Event.VOLUME_WIPED]
    assert line.at - at < INTERVAL + SETTLE + 0.5


def test_an_uncountable_tree_that_is_taken_away_is_only_unmounted_in_the_end() -> None:
    world, volume, watch = watched(TWO)
    volume.uncountable = ProbeFault(errno.EIO, "counting its files")
    volume.set({"a": 60})
    world.run(60)
    volume.unmount()
    world.run(INTERVAL)
    assert not watch.vigil.incident.troubled(None)
    assert watch.vigil.incident.troubled(Condition.MOUNTED)


# The tripwire.


def test_it_is_armed_after_the_first_count_settled() -> None:
    _, _, watch = watched(TWO)
    assert watch.arms == 1
    assert watch.vigil.wiring.complete


def test_a_storm_takes_it_down_and_it_is_armed_again_after_it_settled() -> None:
    world, volume, watch = watched(TWO)
    volume.set({"a": 60, "b": 140})
    world.run(10)
    assert watch.arms == 2
    assert watch.vigil.wiring.complete
    assert watch.labels() == ["watch.started"]


def test_a_storm_that_only_a_look_tells_of_leads_to_a_count() -> None:
    world, _, watch = watched(TWO)
    world.run(100)
    before = len(watch.counts)
    watch._storm = watch._stirred = True
    world.run(INTERVAL + SETTLE + 0.5)
    assert len(watch.counts) >= before + 2
    assert watch.vigil.wiring.complete


def test_a_blind_tripwire_is_said_once_and_every_look_leads_to_a_count() -> None:
    world = World()
    volume = Volume(world, dict(TWO), ledger=ledger_of(TWO), blind="no inotify watch is left to this user")
    watch = Watch(world, volume)
    world.run(300)
    (line,) = watch.said(Event.WATCH_BLIND)
    assert line.severity is Severity.WARNING
    assert line.fields["reason"] == "no inotify watch is left to this user"
    assert "Looks and counts carry on" in line.message
    before = len(watch.counts)
    world.run(300)
    assert len(watch.counts) - before >= 29


def test_it_is_healed_when_possible() -> None:
    world = World()
    volume = Volume(world, dict(TWO), ledger=ledger_of(TWO), blind="no inotify watch is left to this user")
    watch = Watch(world, volume)
    world.run(30)
    volume.blind = ""
    world.run(60)
    assert watch.vigil.wiring.complete


LIMIT = "10 of 16 folders carry no watch (fs.inotify.max_user_watches is 12)"


def test_folders_that_came_later_and_have_no_watch_are_said_once_and_every_look_leads_to_a_count() -> None:
    world, volume, watch = watched(TWO)
    world.run(100)
    volume.unwatched, volume.blind = frozenset({4711}), LIMIT
    volume.set({"a": 60, "b": 40, "c": 1})
    volume.set(TWO)
    world.run(10)
    (line,) = watch.said(Event.WATCH_BLIND)
    assert line.fields["reason"] == LIMIT
    assert not watch.vigil.wiring.complete
    before, arms = len(watch.counts), watch.arms
    world.run(600)
    assert len(watch.counts) - before >= 55
    assert watch.arms - arms <= 4
    assert watch.labels() == ["watch.started", "watch.blind"]
    volume.unwatched, volume.blind = frozenset(), ""
    world.run(900)
    assert watch.vigil.wiring.complete


def test_one_count_that_finds_them_is_followed_by_another_at_the_next_look() -> None:
    world, volume, watch = watched(TWO)
    world.run(100)
    volume.unwatched, volume.blind = frozenset({"a/private"}), "1 folders can't be read: a/private"
    volume.set({"a": 60, "b": 40, "c": 1})  # growth alone: one count within a minute
    world.run(100)
    assert watch.labels() == ["watch.started", "watch.blind"]


def test_folders_that_come_and_go_all_the_time_are_no_blindness() -> None:
    world, volume, watch = watched(TWO)
    world.run(100)
    arms = watch.arms
    for number in range(300):
        volume.unwatched = frozenset({number, number + 1})
        volume.set({"a": 60, "b": 40 + number % 2})
        world.run(1)
    assert watch.labels() == ["watch.started"]
    assert watch.arms == arms


def test_above_ten_thousand_folders_there_is_none_and_the_start_says_so() -> None:
    world = World()
    volume = Volume(world, dict(TWO), ledger=ledger_of(TWO), folders=FOLDERS + 1)
    watch = Watch(world, volume)
    world.run(600)
    assert watch.arms == 0
    assert watch.labels() == ["watch.started"]
    (line,) = watch.said()
    assert "no tripwire above 10000 folders" in line.message
    assert line.fields["tripwire"] is False
    assert line.severity is Severity.INFO


def test_a_tree_that_outgrows_its_tripwire_is_said_once_when_a_storm_took_it_down() -> None:
    world, volume, watch = watched(TWO)
    volume.folders = FOLDERS + 1
    world.run(600)
    assert watch.vigil.wiring.complete, "what stands is left to stand"
    watch.stir(removed=0, created=1_000)
    world.run(600)
    assert not watch.vigil.wiring.armed
    (outgrown,) = watch.said(Event.WATCH_STARTED)[1:]
    assert "has grown to 10001 folders, no tripwire above 10000 folders" in outgrown.message
    assert (outgrown.severity, outgrown.fields["tripwire"]) == (Severity.INFO, False)
    volume.folders = None
    world.run(600)
    assert watch.vigil.wiring.complete, "and it has one again when it shrinks"


def test_a_prober_that_ends_is_said_and_the_tripwire_armed_again() -> None:
    world, volume, watch = watched(TWO)
    watch.die("the prober was killed by signal 9")
    world.run(20)
    assert [line.fields["reason"] for line in watch.said(Event.WATCH_BLIND)] == ["the prober was killed by signal 9"]
    assert watch.vigil.wiring.complete
    volume.wipe()
    world.run(5)
    assert watch.labels()[-1] == "volume.wiped"


def test_a_prober_that_dies_of_every_count_is_said_and_not_started_without_end() -> None:
    world = World()
    volume = Volume(world, dict(TWO), ledger=ledger_of(TWO))
    watch = Watch(world, volume, per_file=0.01)
    deaths = 0
    for _ in range(1200):
        world.run(0.1)
        if watch._errand == "count":
            deaths += 1
            watch.die()
    assert watch.labels() == ["watch.started", "watch.blind"]
    assert 8 < deaths < 15


def test_the_traceback_of_a_bug_is_told() -> None:
    world, _, watch = watched(TWO)
    watch.vigil.blind(world.moment(), "the prober met a bug", "x" * 5000 + "ValueError")
    world.run(1)
    (line,) = watch.said(Event.WATCH_BLIND)
    assert line.fields["traceback"].endswith("ValueError")


def test_events_before_the_first_count_and_of_another_volume_lead_to_nothing() -> None:
    world = World()
    volume = Volume(world, dict(TWO), ledger=ledger_of(TWO))
    watch = Watch(world, volume)
    watch.vigil.tripped(world.moment(), storm=False)
    assert watch.vigil.wants(world.now).count is None
    world.run(30)
    volume.unmount()
    world.run(1)
    watch.vigil.tripped(world.moment(), storm=True)
    assert watch.vigil.wants(world.now).count is None


# Writes.


def test_a_read_only_mount_is_said_by_the_look_and_recovers() -> None:
    world, volume, watch = watched(TWO)
    volume.read_only = "the mount is read-only"
    world.run(INTERVAL + 0.1)
    assert watch.labels() == ["watch.started", "volume.read-only"]
    assert watch.said()[-1].severity is Severity.CRITICAL
    kept = len(volume.kept)
    world.run(2000)
    assert len(volume.kept) == kept
    assert watch.vigil.status(Condition.WRITABLE) == "false"
    assert watch.vigil.data_is_there
    volume.read_only = ""
    world.run(INTERVAL + 0.1)
    assert watch.labels()[-1] == "volume.recovered"


def test_a_file_system_that_turned_read_only_silently_is_said_by_the_next_write_and_only_a_write_ends_it() -> None:
    world, volume, watch = watched(TWO)
    volume.writing = ProbeFault(errno.EROFS, "writing the ledger")
    world.run(WRITE_AT_LEAST + 1)
    assert watch.labels() == ["watch.started", "volume.read-only"]
    assert "EROFS while writing the ledger" in watch.said()[-1].message
    world.run(300)
    assert watch.labels() == ["watch.started", "volume.read-only"]
    volume.writing = None
    world.run(61)
    assert watch.labels() == ["watch.started", "volume.read-only", "volume.recovered"]
    assert watch.lines[-1].at == volume.kept[-1][0]


def test_a_disk_that_is_full_is_not_read_only_any_more() -> None:
    world, volume, watch = watched(TWO)
    volume.writing = ProbeFault(errno.EROFS, "writing the ledger")
    world.run(WRITE_AT_LEAST + 1)
    volume.writing = ProbeFault(errno.ENOSPC, "writing the ledger")
    world.run(61)
    assert watch.labels()[-1] == "volume.recovered"


def test_what_the_look_and_a_write_tell_is_one_incident_and_the_look_ends_it() -> None:
    world, volume, watch = watched(TWO)
    volume.writing, volume.read_only = ProbeFault(errno.EROFS, "writing the ledger"), ""
    world.run(WRITE_AT_LEAST + 1)
    volume.read_only = "emergency_ro"
    world.run(30)
    volume.writing, volume.read_only = None, ""
    world.run(INTERVAL + 0.1)
    assert watch.labels() == ["watch.started", "volume.read-only", "volume.recovered"]


def test_where_writing_is_not_required_only_the_ledger_cannot_be_written() -> None:
    world, volume, watch = watched(TWO, writable=False)
    volume.writing = ProbeFault(errno.EROFS, "writing the ledger")
    world.run(3 * WRITE_AT_LEAST)
    assert watch.labels() == ["watch.started", "ledger.unwritable"]


def test_a_full_disk_is_said_only_when_it_lasts() -> None:
    world, volume, watch = watched(TWO)
    volume.writing = ProbeFault(errno.ENOSPC, "writing the ledger")
    world.run(WRITE_AT_LEAST + 800)
    assert watch.labels() == ["watch.started"]
    world.run(200)
    (line,) = watch.said(Event.LEDGER_UNWRITABLE)
    assert line.severity is Severity.WARNING
    assert line.fields["reason"] == "ENOSPC"
    world.run(3000)
    assert len(watch.said(Event.LEDGER_UNWRITABLE)) == 1


def test_the_patience_with_a_full_disk_begins_anew_after_a_write() -> None:
    world, volume, watch = watched(TWO)
    for _ in range(3):
        volume.writing = ProbeFault(errno.ENOSPC, "writing the ledger")
        world.run(WRITE_AT_LEAST + 500)
        volume.writing = None
        world.run(120)
    assert watch.labels() == ["watch.started"]


def test_a_ledger_that_may_not_be_written_is_said_at_once_and_once() -> None:
    world, volume, watch = watched(TWO)
    volume.writing = ProbeFault(errno.EACCES, "writing the ledger")
    world.run(WRITE_AT_LEAST + 1)
    assert watch.labels() == ["watch.started", "ledger.unwritable"]
    world.run(3000)
    assert watch.labels() == ["watch.started", "ledger.unwritable"]


def test_a_write_that_somebody_overtook_leads_to_a_look_and_says_nothing_of_writing() -> None:
    world, volume, watch = watched(TWO)
    volume.writing = ProbeFault(errno.EROFS, "writing the ledger")
    world.run(WRITE_AT_LEAST + 1)
    watch.vigil.wrote(world.moment(), None, None)
    assert watch.vigil.wants(world.now).look == world.now
    watch._step()
    world.run(20)
    assert watch.labels() == ["watch.started", "volume.read-only"]


def test_a_newer_generation_is_never_overwritten() -> None:
    world, volume, watch = watched(TWO)
    assert isinstance(volume.ledger, Ledger)
    volume.ledger = replace(volume.ledger, generation=9, written="2026-11-24T19:00:00Z")
    world.run(2 * WRITE_AT_LEAST)
    assert isinstance(volume.ledger, Ledger)
    assert volume.ledger.generation == 9
    assert watch.vigil.keeper is not None
    assert watch.vigil.keeper.generation == 9


# Kinds and clocks.


def test_on_a_disk_shared_with_the_node_used_blocks_do_not_keep_it_from_settling() -> None:
    world = World()
    volume = Volume(world, dict(TWO), ledger=ledger_of(TWO), kind=Kind.NODE_DISK)
    watch = Watch(world, volume, kinds=frozenset({Kind.NODE_DISK}))
    world.run(30)
    at = world.now
    volume.wipe()
    for _ in range(30):
        volume.grow_blocks(100)
        world.run(0.5)
    (line,) = [line for line in watch.lines if line.event is Event.VOLUME_WIPED]
    assert line.at - at < SETTLE + 1


def test_a_wall_clock_that_jumps_changes_no_verdict_and_no_time_of_waiting() -> None:
    world, volume, watch = watched(TWO)
    volume.jump(days=-400)
    world.run(1000)
    volume.wipe()
    world.run(10)
    volume.jump(days=500)
    world.run(10)
    volume.set(TWO)
    world.run(30)
    assert list(troubles(watch.said())) == ["volume.wiped", "volume.recovered"]
    assert watch.said()[-1].fields["lasted_seconds"] < 30
