"""From the first trouble to recovery or acceptance: one incident, one ID, each condition's own events."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from guard.event import Event, EventRecord
from guard.outcome import Severity
from guard.watch.incident import Incident, incident_id, lasted
from guard.watch.sightings import Moment
from guard.watch.standing import Condition, Trouble

BEGUN = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
WIPED = Trouble(Event.VOLUME_WIPED, "0 files", "100 files", "Restore it.")
MISSING = Trouble(Event.MARKER_MISSING, "no marker", "one", "Stop.")
REPLACED = Trouble(Event.VOLUME_REPLACED, "another", "this", "Check.")
UNREACHABLE = Trouble(Event.VOLUME_UNREACHABLE, "EIO", "an answer", "Check.")


def moment(at: float) -> Moment:
    return Moment(at, BEGUN + timedelta(seconds=at))


@pytest.fixture
def incident() -> Incident:
    """A watch that has said that it began."""
    incident = Incident({"path": "/app/skills", "pod": "skills-0"}, "run-1")
    incident.start(EventRecord(Event.WATCH_STARTED, "Watching.", Severity.INFO))
    incident.said()
    return incident


def begin(incident: Incident, trouble: Trouble = WIPED, *, at: float = 0.0, name: str = "id-1") -> None:
    conditions = {
        Event.VOLUME_WIPED: Condition.CONTENT,
        Event.VOLUME_UNREACHABLE: None,
    }
    condition = conditions.get(trouble.event, Condition.IDENTITY)
    incident.begin(moment(at), condition, trouble, name, {"files": 0})


def labels(incident: Incident) -> list[str]:
    return [happening.event.label for happening in incident.said()]


def test_pods_of_one_volume_give_one_incident_the_same_id_and_the_next_another() -> None:
    elsewhere = [sys.executable, "-c", "from guard.watch.incident import incident_id; print(incident_id('marker', 4))"]
    said = subprocess.run(elsewhere, check=True, capture_output=True, text=True, timeout=60).stdout
    assert said.strip() == incident_id("marker", 4)
    assert len({incident_id("marker", 4), incident_id("marker", 5), incident_id("other", 4)}) == 3


# The start and the end of the watch.


def test_nothing_is_said_before_the_start_is_and_then_the_start_comes_first() -> None:
    incident = Incident({}, "run-1")
    begin(incident)
    assert incident.said() == []
    incident.start(EventRecord(Event.WATCH_STARTED, "Watching.", Severity.INFO))
    assert labels(incident) == ["watch.started", "volume.wiped"]


def test_a_watch_that_ends_before_it_began_still_says_so() -> None:
    incident = Incident({}, "run-1")
    incident.stop(EventRecord(Event.WATCH_STOPPED, "Stopped.", Severity.INFO))
    (line,) = incident.said()
    assert line.event is Event.WATCH_STOPPED
    assert (line.operation, line.first, line.last) == ("run-1", True, True)


def test_what_was_said_is_not_said_again(incident: Incident) -> None:
    begin(incident)
    assert labels(incident) == ["volume.wiped"]
    assert labels(incident) == []


def test_lines_that_belong_to_no_incident_are_of_the_run_from_its_start_to_its_end() -> None:
    incident = Incident({"path": "/app/skills"}, "run-1")
    incident.tell(EventRecord(Event.VOLUME_HELD, "Held.", Severity.INFO))
    incident.start(EventRecord(Event.WATCH_STARTED, "Watching.", Severity.INFO))
    begin(incident, name="id-1")
    incident.tell(EventRecord(Event.WATCH_BLIND, "Blind.", Severity.WARNING))
    said = incident.said()
    incident.end(moment(5), Condition.CONTENT, {})
    incident.stop(EventRecord(Event.WATCH_STOPPED, "Stopped.", Severity.INFO))
    said += incident.said()
    assert [(line.event.label, line.operation, line.first, line.last) for line in said] == [
        ("watch.started", "run-1", True, False),
        ("volume.held", "run-1", False, False),
        ("volume.wiped", "id-1", True, False),
        ("watch.blind", "run-1", False, False),
        ("volume.recovered", "id-1", False, True),
        ("watch.stopped", "run-1", False, True),
    ]


# Troubles.


def test_a_trouble_is_said_once_with_what_was_found_expected_and_to_be_done(incident: Incident) -> None:
    begin(incident)
    begin(incident)
    (line,) = incident.said()
    assert line.message == "0 files, expected 100 files. Restore it."
    assert line.severity is Severity.CRITICAL
    assert line.fields == {
        "found": "0 files", "expected": "100 files", "remedy": "Restore it.", "files": 0,
        "path": "/app/skills", "pod": "skills-0",
    }  # fmt: skip
    assert (line.operation, line.first, line.last) == ("id-1", True, False)


def test_another_event_of_the_same_condition_is_said(incident: Incident) -> None:
    begin(incident, MISSING)
    begin(incident, REPLACED)
    assert labels(incident) == ["marker.missing", "volume.replaced"]
    assert incident.trouble(Condition.IDENTITY) is REPLACED


def test_all_that_is_wrong_at_one_time_is_one_incident(incident: Incident) -> None:
    begin(incident, WIPED, name="id-1")
    begin(incident, MISSING, name="id-2")
    begin(incident, UNREACHABLE, name="id-3")
    assert [(line.operation, line.first) for line in incident.said()] == [
        ("id-1", True), ("id-1", False), ("id-1", False),
    ]  # fmt: skip
    assert all(incident.troubled(condition) for condition in (Condition.CONTENT, Condition.IDENTITY, None))
    assert not incident.troubled(Condition.MOUNTED)
    assert incident.trouble(Condition.MOUNTED) is None


def test_it_recovers_when_the_last_trouble_is_over(incident: Incident) -> None:
    begin(incident, WIPED)
    begin(incident, MISSING)
    assert not incident.end(moment(5), Condition.CONTENT, {})
    assert incident.is_open
    assert incident.end(moment(8), Condition.IDENTITY, {"files": 100})
    assert not incident.is_open
    *_, line = incident.said()
    assert (line.event, line.severity) == (Event.VOLUME_RECOVERED, Severity.NOTICE)
    assert line.message == "/app/skills is right again after 8 s."
    assert line.fields["lasted_seconds"] == 8.0
    assert line.fields["files"] == 100
    assert (line.operation, line.first, line.last) == ("id-1", False, True)


def test_what_never_began_does_not_end(incident: Incident) -> None:
    assert not incident.end(moment(5), Condition.CONTENT, {})
    assert labels(incident) == []


def test_how_long_it_lasted_counts_from_the_first_sign(incident: Incident) -> None:
    incident.begin(moment(60), Condition.CONTENT, WIPED, "id-1", {}, since=moment(57))
    incident.end(moment(67), Condition.CONTENT, {})
    assert incident.said()[-1].fields["lasted_seconds"] == 10.0


def test_the_next_incident_has_its_own_id_and_its_own_first_line(incident: Incident) -> None:
    begin(incident, name="id-1")
    incident.end(moment(5), Condition.CONTENT, {})
    begin(incident, name="id-2", at=9)
    incident.end(moment(10), Condition.CONTENT, {})
    lines = incident.said()
    assert [(line.operation, line.first, line.last) for line in lines] == [
        ("id-1", True, False), ("id-1", False, True), ("id-2", True, False), ("id-2", False, True),
    ]  # fmt: skip
    assert lines[-1].fields["lasted_seconds"] == 1.0


# Acceptance.


def test_acceptance_ends_the_loss_and_the_incident_where_nothing_else_is_wrong(incident: Incident) -> None:
    begin(incident, at=10)
    assert incident.accept(moment(310), {})
    line = incident.said()[-1]
    assert (line.event, line.severity, line.last) == (Event.VOLUME_ACCEPTED, Severity.NOTICE, True)
    assert line.message == "What is on /app/skills was accepted, 5 min after the first sign."
    assert line.fields["lasted_seconds"] == 300.0


def test_acceptance_ends_no_other_trouble(incident: Incident) -> None:
    begin(incident, WIPED)
    begin(incident, MISSING)
    assert not incident.accept(moment(5), {})
    assert not incident.said()[-1].last
    assert incident.troubled(Condition.IDENTITY)
    assert incident.end(moment(6), Condition.IDENTITY, {})


def test_where_nothing_is_lost_acceptance_says_nothing(incident: Incident) -> None:
    begin(incident, MISSING)
    incident.said()
    assert not incident.accept(moment(5), {})
    assert labels(incident) == []


# Holds.


def test_while_the_volume_is_held_everything_is_said_at_info(incident: Incident) -> None:
    incident.held = True
    begin(incident)
    incident.end(moment(5), Condition.CONTENT, {})
    incident.shrink(moment(6), "Less.", {}, "id-2")
    assert [line.severity for line in incident.said()] == [Severity.INFO] * 3


def test_what_a_hold_kept_quiet_is_said_aloud_once_it_is_over(incident: Incident) -> None:
    incident.held = True
    begin(incident)
    incident.say_aloud()
    assert len(incident.said()) == 1
    incident.held = False
    incident.say_aloud()
    incident.say_aloud()
    (line,) = incident.said()
    assert (line.event, line.severity, line.first) == (Event.VOLUME_WIPED, Severity.CRITICAL, False)


def test_what_was_said_aloud_before_the_hold_is_not_said_again_after_it(incident: Incident) -> None:
    begin(incident)
    incident.said()
    incident.held = True
    incident.held = False
    incident.say_aloud()
    assert labels(incident) == []


def test_what_ended_under_the_hold_is_not_said_aloud(incident: Incident) -> None:
    incident.held = True
    begin(incident)
    incident.end(moment(5), Condition.CONTENT, {})
    incident.held = False
    incident.said()
    incident.say_aloud()
    assert labels(incident) == []


# Other lines of a volume's operation.


def test_a_line_outside_an_incident_opens_the_operation_that_it_names(incident: Incident) -> None:
    incident.shrink(moment(0), "Less.", {}, "id-1")
    begin(incident, name="id-1")
    assert [(line.operation, line.first) for line in incident.said()] == [("id-1", True), ("id-1", False)]


def test_a_line_within_an_incident_belongs_to_it(incident: Incident) -> None:
    begin(incident, MISSING, name="id-1")
    incident.shrink(moment(3), "Less.", {}, "id-2")
    incident.end(moment(5), Condition.IDENTITY, {})
    lines = incident.said()
    assert [(line.operation, line.first) for line in lines] == [("id-1", True), ("id-1", False), ("id-1", False)]


def test_a_shrink_ends_when_enough_is_there_again(incident: Incident) -> None:
    incident.shrink(moment(1), "Less.", {}, "id-1")
    incident.shrink(moment(2), "Still less.", {}, "id-2")
    assert incident.shrunk
    assert not incident.is_open
    assert incident.grow()
    assert not incident.grow()
    assert [(line.event, line.operation, line.first) for line in incident.said()] == [
        (Event.VOLUME_SHRUNK, "id-1", True),
        (Event.VOLUME_SHRUNK, "id-1", False),
    ]
    assert (incident.shrunk, incident.is_begun) == (False, False)


def test_a_shrink_ends_when_it_is_accepted(incident: Incident) -> None:
    incident.shrink(moment(1), "Less.", {}, "id-1")
    assert incident.accept(moment(9), {})
    line = incident.said()[-1]
    assert (line.event, line.operation, line.last) == (Event.VOLUME_ACCEPTED, "id-1", True)
    assert line.fields["lasted_seconds"] == 8.0
    assert not incident.accept(moment(10), {})
    assert labels(incident) == []


def test_a_shrink_within_an_incident_ends_with_it_and_its_acceptance_is_said_all_the_same(incident: Incident) -> None:
    begin(incident, MISSING)
    incident.shrink(moment(1), "Less.", {}, "id-2")
    incident.end(moment(5), Condition.IDENTITY, {})
    incident.said()
    assert not incident.accept(moment(9), {})
    (line,) = incident.said()
    assert (line.event, line.severity) == (Event.VOLUME_ACCEPTED, Severity.NOTICE)
    assert (line.operation, line.last) == ("run-1", False)


def test_a_shrink_that_is_over_within_an_incident_does_not_end_it(incident: Incident) -> None:
    begin(incident, MISSING)
    incident.shrink(moment(1), "Less.", {}, "id-2")
    assert not incident.grow()
    assert incident.end(moment(5), Condition.IDENTITY, {})
    assert labels(incident) == ["marker.missing", "volume.shrunk", "volume.recovered"]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0 s"), (119.4, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (90000, "25 h")],
)
def test_a_length_of_time_is_told_in_the_unit_that_a_person_would_use(seconds: float, shown: str) -> None:
    assert lasted(seconds) == shown
