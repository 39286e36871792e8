"""Statuses, names and orders are what users script against: the tables stand here once more, literally."""

import pytest

from guard.event import Event, EventRecord
from guard.outcome import PRECEDENCE, RETRYABLE, RETRYABLE_BY_PROPAGATION, TERMINATED, Outcome, Severity

OUTCOMES = [
    (0, "ok", "INFO"),
    (1, "internal-error", "ERROR"),
    (2, "usage", "ERROR"),
    (10, "not-mounted", "ERROR"),
    (11, "ephemeral", "ERROR"),
    (12, "node-disk", "ERROR"),
    (13, "missing", "ERROR"),
    (14, "read-only", "ERROR"),
    (15, "unreachable", "ERROR"),
    (16, "kind-refused", "ERROR"),
    (20, "marker-missing", "ERROR"),
    (21, "marker-mismatch", "ERROR"),
    (22, "marker-invalid", "ERROR"),
    (23, "held", "ERROR"),
    (30, "data-lost", "ERROR"),
    (40, "findings", "ERROR"),
]

EVENTS = [
    ("volume.ok", "INFO"),
    ("volume.waiting", "INFO"),
    ("volume.refused", "ERROR"),
    ("volume.adopted", "INFO"),
    ("volume.accepted", "NOTICE"),
    ("volume.held", "NOTICE"),
    ("volume.released", "NOTICE"),
    ("usage", "ERROR"),
    ("internal.error", "ERROR"),
    ("watch.started", "INFO"),
    ("watch.stopped", "INFO"),
    ("watch.listening", "INFO"),
    ("volume.shrunk", "WARNING"),
    ("volume.full", "WARNING"),
    ("volume.wiped", "CRITICAL"),
    ("volume.recovered", "NOTICE"),
    ("volume.unmounted", "CRITICAL"),
    ("volume.replaced", "CRITICAL"),
    ("volume.unreachable", "CRITICAL"),
    ("volume.read-only", "CRITICAL"),
    ("marker.missing", "ERROR"),
    ("marker.changed", "ERROR"),
    ("marker.invalid", "ERROR"),
    ("ledger.invalid", "WARNING"),
    ("ledger.stale", "WARNING"),
    ("ledger.unwritable", "WARNING"),
    ("watch.blind", "INFO"),
]


def test_every_outcome_has_the_status_name_and_severity_that_users_script_against() -> None:
    assert [(one.status, one.label, one.severity.name) for one in Outcome] == OUTCOMES


def test_the_first_of_several_outcomes_is_found_in_the_written_order() -> None:
    assert [one.status for one in PRECEDENCE] == [13, 15, 10, 11, 12, 16, 22, 20, 21, 23, 14, 30]


def test_the_gate_waits_for_what_may_mend_itself_or_by_a_person() -> None:
    assert {one.status for one in RETRYABLE} == {14, 15, 20, 23, 30}


def test_a_missing_mount_or_a_wrong_kind_mends_only_by_propagation() -> None:
    assert {one.status for one in RETRYABLE_BY_PROPAGATION} == {10, 11, 12, 13, 16}


def test_another_volumes_marker_and_a_broken_one_are_never_waited_for() -> None:
    assert {one.status for one in PRECEDENCE if one not in RETRYABLE | RETRYABLE_BY_PROPAGATION} == {21, 22}


def test_no_status_has_a_meaning_of_its_own_in_shells_or_for_signals() -> None:
    assert all(one.status < 126 for one in Outcome)


def test_a_gate_that_is_told_to_stop_exits_like_a_process_ended_by_sigterm() -> None:
    assert TERMINATED == 143


@pytest.mark.parametrize("outcome", Outcome, ids=lambda one: one.label)
def test_every_outcome_says_when_it_happens_and_what_to_do(outcome: Outcome) -> None:
    assert outcome.value.when
    assert outcome.value.remedy.endswith(".")


def test_a_missing_marker_asks_first_whether_the_claim_was_used() -> None:
    remedy = Outcome.MARKER_MISSING.value.remedy
    assert remedy == "Used before? Stop: it was wiped or is another disk. Brand-new claim? Run guard adopt."


def test_what_a_container_restart_cannot_heal_says_delete_the_pod() -> None:
    for outcome in (Outcome.NOT_MOUNTED, Outcome.NODE_DISK, Outcome.UNREACHABLE):
        assert "delete the pod" in outcome.value.remedy


def test_every_event_has_the_name_and_severity_of_the_table() -> None:
    assert [(one.label, one.severity.name) for one in Event] == EVENTS


def test_severities_are_numbered_as_cloud_logging_numbers_them() -> None:
    assert {one.name: one.value for one in Severity} == {
        "DEBUG": 100, "INFO": 200, "NOTICE": 300, "WARNING": 400, "ERROR": 500, "CRITICAL": 600,
    }  # fmt: skip


def test_a_record_stands_alone_unless_it_names_its_operation() -> None:
    record = EventRecord(Event.VOLUME_OK, "All is well.", Severity.INFO)
    assert (record.operation, record.first, record.last, dict(record.fields)) == ("", False, False, {})
