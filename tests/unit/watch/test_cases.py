"""What went wrong in real use, against the watcher and the gate: each history as it happened."""

import errno
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from guard.outcome import Outcome
from guard.volume.hold import Hold
from guard.volume.ledger import Ledger
from guard.volume.observation import CountOptions, FileCount, InvalidDocument, Look, ProbeFault
from tests.unit.watch.simulation import MINUTE, Simulation, Volume


def watched(*folders: str, files: int = 100, known: bool = True) -> Simulation:
    """A watched volume with so many files in each folder, known for an hour."""
    simulation = Simulation()
    simulation.adopt()
    simulation.fill(files, *folders)
    simulation.start()
    simulation.run(20 * MINUTE if known else 30)
    assert not simulation.events()
    return simulation


def wiped(simulation: Simulation) -> None:
    assert [line.event.label for line in simulation.events()] == ["volume.wiped"]
    simulation.stop()
    assert simulation.gate().outcome is Outcome.DATA_LOST


def test_a_reset_to_defaults_is_a_wipe_and_other_files_do_not_end_it() -> None:
    simulation = watched("a", "b", "c", "d")
    simulation.remove()
    simulation.fill(90, "lib", "core", "apps", "dist")
    simulation.run(10 * MINUTE)
    wiped(simulation)
    assert simulation.events()[0].fields["replaced"] is True


def test_a_refill_after_the_report_does_not_end_the_incident() -> None:
    simulation = watched("a", "b", "c", "d")
    simulation.remove()
    simulation.run(5)
    assert simulation.events("volume.wiped")
    simulation.fill(100, "lib", "core", "apps", "dist")
    simulation.run(30 * MINUTE)
    wiped(simulation)


def test_lost_folders_beside_a_large_cache_are_named() -> None:
    simulation = watched("a", "b", "c", "d", files=15)
    simulation.fill(600, "cache")
    simulation.run(20 * MINUTE)
    simulation.remove("a", "b", "c", "d")
    simulation.run(MINUTE)
    [line] = simulation.events()
    assert line.event.label == "volume.shrunk"
    assert set(line.fields["entries"]) == {"a", "b", "c", "d"}


def test_a_wipe_under_steady_new_writes_is_reported_within_a_minute() -> None:
    simulation = Simulation()
    simulation.adopt()
    for tenant in range(12):
        simulation.fill(25, *(f"t{tenant}/s{number}" for number in range(3)))
    simulation.start()
    simulation.run(20 * MINUTE)
    simulation.remove()
    for second in range(120):
        simulation.after(second, lambda second=second: simulation.fill(25, f"new{second}"))  # type: ignore[misc]
    simulation.run(61)
    assert simulation.events("volume.wiped")


@pytest.mark.parametrize("beforehand", [0.0, 3.0])
def test_a_wipe_that_bulk_hides_is_reported(beforehand: float) -> None:
    simulation = watched("a", "b", "c", "d")
    for part in range(60):
        simulation.after(part * 0.5, lambda part=part: simulation.fill(100, f"up{part}"))  # type: ignore[misc]
    simulation.after(beforehand, lambda: simulation.remove("a", "b", "c", "d"))
    simulation.run(3 * MINUTE)
    expected = {"volume.wiped"} if not beforehand else {"volume.wiped", "volume.shrunk"}
    assert {line.event.label for line in simulation.events()} <= expected
    assert simulation.events()


@pytest.mark.parametrize(("first", "more", "minutes"), [(409, 0, 4.0), (73, 767, 4.5)])
def test_new_uploads_are_protected_after_minutes(first: int, more: int, minutes: float) -> None:
    simulation = Simulation()
    simulation.adopt()
    simulation.start()
    simulation.run(10)
    simulation.fill(first, "a", "b")
    if more:
        simulation.run(20 * MINUTE)
        simulation.fill(more, "c")
    simulation.run(minutes * MINUTE)
    simulation.remove()
    simulation.run(10)
    wiped(simulation)


def test_new_uploads_are_protected_where_the_pod_restarts_every_four_minutes() -> None:
    simulation = Simulation()
    simulation.adopt()
    simulation.fill(409, "a", "b")
    for _ in range(3):
        simulation.start()
        simulation.run(4 * MINUTE)
        simulation.stop()
        simulation.run(10)
    simulation.remove()
    assert simulation.gate().outcome is Outcome.DATA_LOST


@pytest.mark.parametrize("minutes", [2.5, 4, 14])
def test_new_uploads_are_protected_where_the_watcher_is_killed(minutes: float) -> None:
    simulation = Simulation()
    simulation.adopt()
    simulation.start()
    simulation.run(10)
    simulation.fill(409, "a", "b")
    simulation.run(minutes * MINUTE)
    simulation.kill()
    simulation.remove()
    if minutes > 6:
        simulation.fill(400, "defaults")
    assert simulation.gate().outcome is Outcome.DATA_LOST


def test_new_uploads_are_protected_where_no_event_tells_of_them() -> None:
    simulation = Simulation(Volume(loses_events=True, folders=20_000))
    simulation.fill(100, "a", "b")
    simulation.adopt()
    simulation.start()
    simulation.run(10 * MINUTE)
    simulation.fill(300, "c")
    simulation.run(2 * MINUTE)
    assert simulation.watch is not None
    reference = simulation.watch.watcher.content.reference
    assert reference is not None
    assert reference.files == 500


def test_truncated_files_are_lost_and_a_new_watcher_starts_in_the_incident() -> None:
    simulation = watched("a", "b")
    for path in list(simulation.volume.files):
        simulation.write(path, 0)
    simulation.run(30)
    wiped(simulation)
    simulation.lines.clear()
    simulation.start()
    simulation.run(30)
    assert [line.event.label for line in simulation.events()] == ["volume.wiped"]


def test_hard_linked_copies_may_go() -> None:
    simulation = watched("a", "b", "c", "d", files=20)
    for number in range(9):
        for folder in ("a", "b", "c", "d"):
            simulation.link(folder, f"snapshots/{number}/{folder}")
    simulation.run(20 * MINUTE)
    simulation.remove("snapshots")
    simulation.run(5 * MINUTE)
    assert not simulation.events()
    simulation.stop()
    assert simulation.gate().outcome is Outcome.OK


@pytest.mark.parametrize("pause", [3.0, 60.0])
def test_meant_deletions_with_pauses_never_add_up(pause: float) -> None:
    simulation = watched(*(f"tenant/s{number}" for number in range(17)), files=10)
    for number in range(16):
        simulation.remove(f"tenant/s{number}")
        simulation.run(pause)
    simulation.run(5 * MINUTE)
    assert not simulation.events("volume.wiped")
    simulation.stop()
    assert simulation.gate().outcome is Outcome.OK


@pytest.mark.parametrize("pause", [3.0, 5.0])
def test_the_last_of_many_deletions_leaves_an_empty_volume(pause: float) -> None:
    simulation = watched(*(f"tenant/s{number}" for number in range(17)), files=10)
    for number in range(17):
        assert not simulation.events("volume.wiped")
        simulation.remove(f"tenant/s{number}")
        simulation.run(pause)
    simulation.run(MINUTE)
    assert simulation.events()[-1].event.label == "volume.wiped"
    simulation.stop()
    assert simulation.gate().outcome is Outcome.DATA_LOST


def test_the_only_skill_in_a_smaller_version_is_shrunk_at_most() -> None:
    simulation = watched("tenant/skill", files=83)
    simulation.remove("tenant/skill")
    simulation.fill(6, "tenant/skill")
    simulation.run(5 * MINUTE)
    assert not simulation.events("volume.wiped")


def test_a_restored_archive_with_the_guards_folder_is_stale() -> None:
    simulation = watched("a", "b", "c", "d")
    archived = simulation.volume.ledger
    simulation.run(MINUTE)
    simulation.remove()
    simulation.run(30)
    simulation.volume.ledger = archived
    simulation.run(MINUTE)
    assert [line.event.label for line in simulation.events()] == ["volume.wiped", "ledger.stale"]
    simulation.stop()
    assert simulation.gate().outcome is Outcome.DATA_LOST


def test_a_database_made_again_is_shrunk_and_after_a_seen_removal_stays_wiped() -> None:
    def database(simulation: Simulation, size: int) -> None:
        for number in range(300):
            simulation.write(f"pg/base/{number}", 8192)
        for number in range(10):
            simulation.write(f"pg/tables/{number}", size)

    simulation = Simulation()
    simulation.adopt()
    database(simulation, 50_000_000)
    simulation.start()
    simulation.run(20 * MINUTE)
    simulation.volume.files.clear()
    database(simulation, 0)
    simulation.run(5 * MINUTE)
    assert [line.event.label for line in simulation.events()] == ["volume.shrunk"]


def test_every_skill_updated_by_rmtree_and_copytree_is_silent() -> None:
    simulation = watched(*(f"t/s{number}" for number in range(10)), files=40)
    for number in range(10):
        folder = f"t/s{number}"
        simulation.remove(folder)
        for part in range(40):
            simulation.after(0.3 * part, lambda folder=folder, part=part: simulation.write(f"{folder}/f{part:05}.md"))  # type: ignore[misc]
        simulation.run(15)
    simulation.run(5 * MINUTE)
    assert not simulation.events()


@pytest.mark.parametrize("pause", [0.3, 7.0])
def test_an_update_of_a_large_skill_that_pauses_is_silent(pause: float) -> None:
    simulation = watched("t/large", "t/small", files=1000)
    simulation.remove("t/large")

    def write(part: int) -> None:
        for number in range(100):
            simulation.write(f"t/large/f{part * 100 + number:05}.md")

    for part in range(10):
        simulation.after(pause * part + 0.1, partial(write, part))
    simulation.run(5 * MINUTE)
    assert not simulation.events()


def test_a_second_loss_waits_a_minute_at_most_for_a_slow_count(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = watched("a", "b", "c", "d")
    monkeypatch.setattr("tests.unit.watch.simulation._COUNT", 30.0)
    simulation.remove("a", "b")
    simulation.run(100)
    simulation.remove()
    simulation.run(150)
    assert [line.event.label for line in simulation.events()] == ["volume.shrunk", "volume.wiped"]


def test_a_move_within_the_volume_is_silent() -> None:
    simulation = watched("a", "b", "c", "d")
    for folder in "abcd":
        simulation.move(folder, f"new/{folder}")
    simulation.run(5 * MINUTE)
    assert not simulation.events()


def test_a_copy_followed_by_a_deletion_is_silent() -> None:
    simulation = watched("a", "b", "c", "d")
    for folder in "abcd":
        simulation.copy(folder, f"new/{folder}")
    simulation.run(20)
    simulation.remove("a", "b", "c", "d")
    simulation.run(5 * MINUTE)
    assert not simulation.events()


def test_the_data_ends_an_incident() -> None:
    simulation = watched("a", "b", "c", "d")
    known = dict(simulation.volume.files)
    simulation.remove()
    simulation.run(30)
    simulation.volume.files.update(known)
    simulation.run(2 * MINUTE)
    assert [line.event.label for line in simulation.events()] == ["volume.wiped", "volume.recovered"]
    simulation.stop()
    assert simulation.gate().outcome is Outcome.OK


def test_an_acceptance_ends_an_incident() -> None:
    simulation = watched("a", "b", "c", "d")
    simulation.remove()
    simulation.fill(50, "x")
    simulation.run(30)
    simulation.accept()
    simulation.run(2 * MINUTE)
    assert [line.event.label for line in simulation.events()] == ["volume.wiped", "volume.accepted"]
    simulation.stop()
    assert simulation.gate().outcome is Outcome.OK


@pytest.mark.parametrize("life", [30.0, 200.0, 400.0, 900.0, 4000.0])
def test_files_that_roll_over_never_raise_critical(life: float) -> None:
    simulation = Simulation()
    simulation.adopt()
    for number in range(3):
        simulation.write(f"lasting/{number}")
    simulation.start()
    every = life / 40
    count = 0

    def roll() -> None:
        nonlocal count
        simulation.write(f"spool/{count}")
        if count >= 40:
            simulation.remove(f"spool/{count - 40}")
        count += 1
        simulation.after(every, roll)

    roll()
    simulation.run(max(40 * MINUTE, 3 * life))
    assert not simulation.events("volume.wiped")
    if life < 300:
        assert not simulation.events()


@pytest.mark.parametrize("minutes", [0.2, 2, 10, 19])
def test_a_wipe_at_any_pace_is_a_wipe(minutes: float) -> None:
    simulation = watched(*(f"t{number}" for number in range(8)), files=60)
    paths = sorted(simulation.volume.files)
    for place, path in enumerate(paths):
        simulation.after(place * minutes * MINUTE / len(paths), lambda path=path: simulation.remove(path))  # type: ignore[misc]
    simulation.run(minutes * MINUTE + 90)
    assert simulation.events("volume.wiped")


@pytest.mark.parametrize("days", [8, -8])
@pytest.mark.parametrize("watched_meanwhile", [True, False])
def test_a_clock_that_is_set_hides_no_wipe(days: int, watched_meanwhile: bool) -> None:
    simulation = watched("a", "b")
    if not watched_meanwhile:
        simulation.stop()
    simulation.wall_jump = timedelta(days=days)
    simulation.run(10 * MINUTE)
    simulation.remove()
    if not watched_meanwhile:
        assert simulation.gate().outcome is Outcome.DATA_LOST
        simulation.start()
    simulation.run(30)
    wiped(simulation)


def test_verdict_comes_settle_and_half_a_second_after_the_end() -> None:
    simulation = watched(*(f"t{number}" for number in range(8)), files=200)
    start = simulation.now
    paths = sorted(simulation.volume.files)
    for place, path in enumerate(paths):
        simulation.after(place * 0.005, lambda path=path: simulation.remove(path))  # type: ignore[misc]
    simulation.run(len(paths) * 0.005 + 2.5)
    [line] = simulation.events("volume.wiped")
    settled = datetime.fromisoformat(line.fields["settled"])
    assert simulation.now - start >= 0
    assert settled.timestamp() <= simulation.wall


# What the generation on the volume tells, beside the one in memory.


def _hiccup(simulation: Simulation, seconds: float = 30) -> None:
    simulation.volume.fault = ProbeFault(errno.EIO, "listing")
    simulation.run(seconds)
    simulation.volume.fault = None
    simulation.run(MINUTE)


@pytest.mark.parametrize("hiccups", [1, 2])
def test_a_watcher_that_may_not_write_follows_an_acceptance(hiccups: int) -> None:
    simulation = watched("a", "b", files=20)
    simulation.volume.write_fault = ProbeFault(errno.EACCES, "writing", writing=True)
    for _ in range(hiccups):
        _hiccup(simulation)
    simulation.remove()
    simulation.run(MINUTE)
    simulation.accept()
    simulation.run(5 * MINUTE)
    assert simulation.events("volume.accepted")
    assert not simulation.events("ledger.stale")
    assert simulation.watch is not None
    assert simulation.watch.watcher.has_data


def test_another_watchers_ledger_is_not_stale_after_an_incident_that_only_this_one_saw() -> None:
    simulation = watched("a", "b", files=20)
    simulation.volume.write_fault = ProbeFault(errno.EACCES, "writing", writing=True)
    _hiccup(simulation)
    for _ in range(5):
        ledger = simulation.volume.ledger
        assert isinstance(ledger, Ledger)
        simulation.volume.ledger = replace(ledger, written=simulation.time.text, pod="pod-b")
        simulation.run(MINUTE)
    assert not simulation.events("ledger.stale")


def test_a_hold_right_after_an_incident_is_obeyed() -> None:
    simulation = watched("a", "b", files=20)
    simulation.volume.write_fault = ProbeFault(errno.EACCES, "writing", writing=True)
    _hiccup(simulation)
    assert isinstance(simulation.volume.ledger, Ledger)
    generation = simulation.volume.ledger.generation
    simulation.volume.hold = Hold("me", simulation.time.text, "migration", generation)
    simulation.run(MINUTE)
    simulation.remove("a")
    simulation.run(MINUTE)
    assert [line.severity.name for line in simulation.events("volume.shrunk")] == ["INFO"]


def test_an_incident_that_a_working_write_ends_has_an_id_of_its_own() -> None:
    simulation = watched("a", "b", files=20)
    simulation.volume.write_fault = ProbeFault(errno.EROFS, "writing", writing=True)
    simulation.fill(20, "c")
    simulation.run(5 * MINUTE)
    simulation.volume.write_fault = None
    simulation.run(5 * MINUTE)
    simulation.volume.is_mounted = False
    simulation.run(MINUTE)
    refused, unmounted = simulation.events("volume.read-only", "volume.unmounted")
    assert refused.operation != unmounted.operation


# What is reported once.


def test_a_quota_that_is_used_up_is_reported_once() -> None:
    simulation = watched("a", "b", files=20)
    simulation.volume.write_fault = ProbeFault(errno.EDQUOT, "writing", writing=True)
    simulation.write("a/new")
    simulation.run(10 * MINUTE)
    assert len(simulation.events("volume.full")) == 1


def test_few_free_inodes_hide_no_disk_that_is_full_again() -> None:
    class FewInodes(Volume):
        def look(self) -> Look:
            found = super().look()
            assert found.space is not None
            return replace(found, space=replace(found.space, free_inodes=found.space.inodes * 3 // 100))

    simulation = Simulation(FewInodes())
    simulation.fill(20, "a")
    simulation.adopt()
    simulation.start()
    for free in (1.0, 0.0, 0.6, 0.0):
        simulation.volume.free = free
        simulation.run(MINUTE)
    assert len(simulation.events("volume.full")) == 2


def test_files_that_fewer_mounts_hide_are_not_reported_again() -> None:
    simulation = watched("a", "b", files=20)
    simulation.volume.nested = ("a", "b")
    simulation.run(MINUTE)
    simulation.volume.nested = ("a",)
    simulation.run(MINUTE)
    assert len(simulation.events("watch.blind")) == 1


def test_a_ledger_of_a_newer_guard_is_left_alone() -> None:
    simulation = watched("a", "b", files=20)
    assert simulation.watch is not None
    simulation.volume.ledger = InvalidDocument("schema 2 is of the future", "ab" * 32, future=True)
    simulation.run(30)
    before = simulation.watch.writes
    simulation.run(20 * MINUTE)
    (line,) = simulation.events("ledger.invalid")
    assert "is left to the newer guard" in line.message
    assert simulation.watch.writes == before


def test_a_wipe_names_what_lies_in_lost_and_found() -> None:
    class Repaired(Volume):
        def count(self, options: CountOptions) -> FileCount:
            return replace(super().count(options), in_lost_and_found=40)

    simulation = Simulation(Repaired())
    simulation.fill(20, "a", "b")
    simulation.adopt()
    simulation.start()
    simulation.run(20 * MINUTE)
    simulation.remove()
    simulation.run(MINUTE)
    (line,) = simulation.events("volume.wiped")
    assert "lost+found holds 40 files" in line.message
