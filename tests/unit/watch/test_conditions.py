"""Mount, identity, reachability, writing, documents: what the watcher reports of them, once, and when they are right again."""

import errno
from dataclasses import replace

import pytest

from guard.outcome import Severity
from guard.volume.hold import Hold
from guard.volume.marker import Marker
from guard.volume.observation import InvalidDocument, ProbeFault
from guard.watch.conditions import Condition
from tests.unit.watch.simulation import MARKER_ID, MINUTE, NAME, OTHER_ID, Simulation

OTHER_MOUNT = {"mount_id": 130, "device": "8:32"}


@pytest.fixture
def simulation() -> Simulation:
    """A watched volume of forty known files."""
    found = Simulation()
    found.fill(20, "a", "b")
    found.adopt()
    found.start()
    found.run(2 * MINUTE)
    assert not found.events()
    return found


def labels(simulation: Simulation) -> list[str]:
    return [line.event.label for line in simulation.events()]


def test_an_unmounted_volume_is_reported_and_its_return_too(simulation: Simulation) -> None:
    simulation.volume.is_mounted = False
    simulation.run(MINUTE)
    assert labels(simulation) == ["volume.unmounted"]
    assert simulation.watch is not None
    assert simulation.watch.watcher.status(Condition.MOUNTED) == "false"
    assert simulation.watch.watcher.status(Condition.CONTENT) == "unknown"
    assert not simulation.watch.watcher.has_data
    simulation.volume.is_mounted = True
    simulation.run(MINUTE)
    assert labels(simulation) == ["volume.unmounted", "volume.recovered"]
    assert len({line.operation for line in simulation.events()}) == 1


def test_a_volume_that_was_never_there_is_refused_in_the_gates_words() -> None:
    simulation = Simulation()
    simulation.adopt()
    simulation.volume.is_mounted = False
    simulation.start()
    simulation.run(MINUTE)
    assert labels(simulation) == ["volume.refused"]
    assert "not-mounted" in simulation.events()[0].message


def test_another_disk_is_a_replacement_until_the_known_one_is_back(simulation: Simulation) -> None:
    known, fsid = simulation.volume.mount, simulation.volume.fsid
    simulation.volume.mount, simulation.volume.fsid = replace(known, **OTHER_MOUNT), 8  # type: ignore[arg-type]
    simulation.volume.marker = None
    simulation.run(MINUTE)
    assert labels(simulation) == ["volume.replaced"]
    line = "kubectl exec -n skills pod-a -- guard"
    assert f"from now on: {line} accept, or {line} adopt where it has no marker." in simulation.events()[0].message
    simulation.volume.mount, simulation.volume.fsid = replace(known, mount_id=131), fsid
    simulation.volume.marker = Marker(NAME, MARKER_ID, "2026-11-24T18:00:00Z")
    simulation.run(MINUTE)
    assert labels(simulation) == ["volume.replaced", "volume.recovered"]


def test_a_marker_that_vanishes_is_often_a_wipe_and_adoption_is_the_last_advice(simulation: Simulation) -> None:
    simulation.volume.marker = None
    simulation.run(MINUTE)
    [line] = simulation.events()
    assert (line.event.label, line.severity) == ("marker.missing", Severity.ERROR)
    assert "often a wipe" in line.message
    assert "Only if the files are right: kubectl exec -n skills pod-a -- guard adopt." in line.message
    assert "New claim" not in line.message


def test_a_broken_and_another_marker_have_their_own_events(simulation: Simulation) -> None:
    simulation.volume.marker = InvalidDocument("not JSON", "ab" * 32)
    simulation.run(MINUTE)
    simulation.volume.marker = Marker("another", OTHER_ID, "2026-11-24T18:00:00Z")
    simulation.run(MINUTE)
    assert [label for label in labels(simulation) if label.startswith("marker")] == ["marker.invalid", "marker.changed"]


def test_one_failed_look_is_a_hiccup_and_two_are_unreachable(simulation: Simulation) -> None:
    simulation.volume.fault = ProbeFault(errno.EIO, "listing")
    simulation.run(0.5)
    simulation.volume.fault = None
    simulation.run(MINUTE)
    assert not simulation.events()
    simulation.volume.fault = ProbeFault(errno.ESTALE, "listing")
    simulation.run(MINUTE)
    assert labels(simulation) == ["volume.unreachable"]
    simulation.volume.fault = None
    simulation.run(MINUTE)
    assert labels(simulation) == ["volume.unreachable", "volume.recovered"]


def test_what_was_lost_while_the_volume_did_not_answer_is_found_when_it_does(simulation: Simulation) -> None:
    simulation.volume.fault = ProbeFault(errno.ESTALE, "listing")
    simulation.run(MINUTE)
    simulation.volume.files.clear()
    simulation.volume.fault = None
    simulation.run(MINUTE)
    assert "volume.wiped" in labels(simulation)


def test_counts_that_fail_are_unreachable_after_two_and_no_loss(simulation: Simulation) -> None:
    simulation.volume.count_fault = ProbeFault(errno.EIO, "counting a")
    simulation.write("a/new")
    simulation.run(5 * MINUTE)
    assert labels(simulation) == ["volume.unreachable"]
    simulation.volume.count_fault = None
    simulation.run(5 * MINUTE)
    assert labels(simulation) == ["volume.unreachable", "volume.recovered"]


def test_a_read_only_volume_is_reported_and_the_ledger_is_not_written(simulation: Simulation) -> None:
    assert simulation.watch is not None
    simulation.volume.read_only = "the mount is read-only"
    simulation.run(MINUTE)
    writes = simulation.watch.writes
    simulation.run(30 * MINUTE)
    assert labels(simulation) == ["volume.read-only"]
    assert simulation.watch.writes == writes


def test_a_write_that_a_read_only_file_system_refuses_tells_and_one_that_works_ends_it(simulation: Simulation) -> None:
    simulation.volume.write_fault = ProbeFault(errno.EROFS, "writing", writing=True)
    simulation.fill(20, "c")
    simulation.run(5 * MINUTE)
    assert labels(simulation) == ["volume.read-only"]
    simulation.volume.write_fault = None
    simulation.run(5 * MINUTE)
    assert labels(simulation) == ["volume.read-only", "volume.recovered"]


def test_a_refused_write_that_a_look_explains_is_over_as_soon_as_a_look_shows_it(simulation: Simulation) -> None:
    simulation.volume.write_fault = ProbeFault(errno.EROFS, "writing", writing=True)
    simulation.fill(20, "c")
    simulation.run(MINUTE)
    simulation.volume.read_only = "the mount is read-only"
    simulation.run(15)
    simulation.volume.read_only, simulation.volume.write_fault = "", None
    simulation.run(12)
    assert labels(simulation) == ["volume.read-only", "volume.recovered"]


def test_a_full_volume_is_one_warning_until_a_twentieth_is_free_again(simulation: Simulation) -> None:
    for free in (0.0, 0.01, 0.0, 0.2, 0.0):
        simulation.volume.free = free
        simulation.run(30)
    assert labels(simulation) == ["volume.full", "volume.full"]


def test_a_ledger_that_may_not_be_written_is_reported_once(simulation: Simulation) -> None:
    simulation.volume.write_fault = ProbeFault(errno.EACCES, "writing", writing=True)
    simulation.fill(20, "c")
    simulation.run(30 * MINUTE)
    assert labels(simulation) == ["ledger.unwritable"]


def test_a_held_volume_is_reported_at_info_and_a_release_accepts(simulation: Simulation) -> None:
    simulation.volume.hold = Hold("operator", "2026-11-24T18:00:00Z", "a restore", 1)
    simulation.run(30)
    simulation.remove()
    simulation.run(30)
    assert {line.severity for line in simulation.lines} == {Severity.INFO}
    [held] = simulation.events("volume.held")
    assert held.message.endswith("the files are right: kubectl exec -n skills pod-a -- guard release")
    assert labels(simulation) == ["volume.wiped"]
    simulation.accept()
    simulation.volume.hold = None
    simulation.run(MINUTE)
    assert labels(simulation) == ["volume.wiped", "volume.accepted"]


def test_what_a_hold_kept_quiet_is_reported_when_it_is_gone_without_a_release(simulation: Simulation) -> None:
    simulation.volume.hold = Hold("operator", "2026-11-24T18:00:00Z", "a restore", 1)
    simulation.run(30)
    simulation.remove()
    simulation.run(30)
    simulation.volume.hold = None
    simulation.run(30)
    assert [line.severity for line in simulation.events("volume.wiped")] == [Severity.INFO, Severity.CRITICAL]


def test_a_hold_out_of_an_archive_is_not_obeyed() -> None:
    simulation = Simulation()
    simulation.fill(20, "a", "b")
    simulation.adopt()
    simulation.accept()
    simulation.start()
    simulation.run(2 * MINUTE)
    simulation.volume.hold = Hold("operator", "2026-11-24T18:00:00Z", "long ago", 1)
    simulation.run(30)
    simulation.remove()
    simulation.run(30)
    assert labels(simulation) == ["ledger.stale", "volume.wiped"]
    assert simulation.events()[0].message.endswith("remove it with: kubectl exec -n skills pod-a -- guard release")
    assert simulation.events("volume.wiped")[0].severity is Severity.CRITICAL


def test_a_broken_ledger_is_reported_once_and_what_is_known_is_kept(simulation: Simulation) -> None:
    simulation.volume.ledger = InvalidDocument("not JSON", "ab" * 32)
    simulation.run(2 * MINUTE)
    assert labels(simulation) == ["ledger.invalid"]
    assert not isinstance(simulation.volume.ledger, InvalidDocument)
    simulation.remove()
    simulation.run(30)
    assert "volume.wiped" in labels(simulation)


def test_files_below_other_mounts_are_hidden_named_and_not_lost(simulation: Simulation) -> None:
    simulation.volume.nested = ("a", "b")
    assert simulation.watch is not None
    simulation.watch.watcher.on_submount_change(simulation.time)
    simulation.run(5 * MINUTE)
    [line] = simulation.events()
    assert (line.event.label, line.severity) == ("watch.blind", Severity.WARNING)
    assert line.fields["hidden_by"] == ["a", "b"]


def test_entries_that_can_not_be_read_are_named_at_once_and_not_lost(simulation: Simulation) -> None:
    simulation.volume.unreadable = ("a", "b")
    simulation.write("c/new")
    simulation.run(90)
    [line] = simulation.events()
    assert "2 of 3 entries cannot be read by uid 1000" in line.message


def test_a_watcher_at_rest_looks_every_interval_and_writes_every_quarter_of_an_hour(simulation: Simulation) -> None:
    assert simulation.watch is not None
    looks, counts, writes = simulation.watch.looks, simulation.watch.counts, simulation.watch.writes
    simulation.run(60 * MINUTE)
    assert 340 <= simulation.watch.looks - looks <= 385
    assert simulation.watch.counts - counts <= 1
    assert 3 <= simulation.watch.writes - writes <= 6
