"""What stays and what is read back: the policy in restic's words, and no snapshot evicted by those that lost the data."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.backup import retention
from guard.backup.result import Result, of_engine
from guard.backup.retention import INCOMPLETE, Policy
from guard.backup.snapshot import Snapshot

FIRST = datetime(2026, 11, 1, 3, tzinfo=UTC)


def snapshot(night: int, *tags: str) -> Snapshot:
    return Snapshot(f"{night:02x}" * 32, FIRST + timedelta(days=night), "/app/skills", f"tree {night}", frozenset(tags))


def test_an_incomplete_snapshot_is_none_of_those_that_are_judged() -> None:
    history = (snapshot(2), snapshot(1, INCOMPLETE), snapshot(0, "good"))
    assert retention.complete(history) == (history[2], history[0])


def test_a_snapshot_is_named_by_the_start_of_its_id_and_never_by_one_that_two_share() -> None:
    history = (snapshot(1), snapshot(2), replace(snapshot(3), snapshot_id="01ff"))
    assert retention.by_prefix(history, "0202") == history[1]
    assert retention.by_prefix(history, "02".upper()) == history[1]
    assert retention.by_prefix(history, "01") is None
    assert retention.by_prefix(history, "") is None
    assert retention.by_prefix(history, "77") is None


def test_a_policy_is_restic_s_words_and_always_keeps_what_is_pinned() -> None:
    assert Policy("1y6m", 3).argv() == (
        "--group-by=host,paths,tags", "--keep-within=1y6m", "--keep-last=3", "--keep-tag=pinned",
    )  # fmt: skip


@pytest.mark.parametrize("within", ["", "30", "0d", "30s", "d", "1d2y", "-1d", "30d --prune", "٣d"])
def test_a_duration_that_restic_would_not_take_or_that_keeps_nothing_is_refused(within: str) -> None:
    with pytest.raises(ValueError, match="keep-within"):
        Policy(within, 7)


def test_a_policy_that_keeps_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="keep nothing"):
        Policy("30d", 0)


@settings(deadline=None)  # a busy machine is no failure
@given(st.dates(), st.integers(1, 60))
def test_all_of_the_data_is_read_back_within_as_many_days_as_there_are_shares(day: date, parts: int) -> None:
    start = min(day, date.max - timedelta(days=parts))
    shares = {retention.share(start + timedelta(days=later), parts) for later in range(parts)}
    assert shares == {f"{number}/{parts}" for number in range(1, parts + 1)}


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(-100, 100), st.integers(1, 50))
def test_a_backup_is_stale_when_it_is_older_than_it_may_be_and_when_no_one_can_tell(hours: int, allowed: int) -> None:
    found = retention.stale(snapshot(0), FIRST + timedelta(hours=hours), timedelta(hours=allowed))
    assert bool(found) is (hours > allowed or hours < -1)
    assert ("in the future" in found) is (hours < -1)


@pytest.mark.parametrize(
    ("status", "result"),
    [(10, Result.REPOSITORY_MISSING), (11, Result.REPOSITORY_LOCKED), (12, Result.PASSWORD_WRONG),
     (1, Result.ENGINE_FAILED), (3, Result.ENGINE_FAILED), (137, Result.ENGINE_FAILED), (99, Result.ENGINE_FAILED)],
)  # fmt: skip
def test_a_status_of_restic_that_is_not_known_is_a_failure(status: int, result: Result) -> None:
    assert of_engine(status) is result
