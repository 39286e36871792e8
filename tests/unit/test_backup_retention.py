"""When nothing may be forgotten, and what stays: properties over any history of nights, wipes and killed runs."""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.backup import retention
from guard.backup.result import Result, of_engine
from guard.backup.retention import INCOMPLETE, PINNED, SHRUNK, UNREPORTED, Policy
from guard.backup.snapshot import Node, Snapshot
from guard.volume.loss import LossRule, Verdict
from guard.volume.observation import FileCount
from tests.unit import trees

RULE = LossRule()
TAGS = (PINNED, SHRUNK, UNREPORTED)
FIRST = datetime(2026, 11, 1, 3, tzinfo=UTC)


def counted(files: int) -> FileCount:
    """Two tenants with so many files in all."""
    return trees.counted(Node(f"tenant-{number % 2}/{number}", "file", 1) for number in range(files))


def snapshot(night: int, files: int, *tags: str) -> Snapshot:
    return Snapshot(
        f"{night:02x}" * 32, FIRST + timedelta(days=night), "/app/skills", f"{files} files", frozenset(tags)
    )


def census_of(one: Snapshot) -> FileCount:
    return counted(int(one.tree.split()[0]))


def lost(*history: Snapshot) -> str | None:
    """The ID of the snapshot that the last of a history lost the data of."""
    found = retention.shrunk(RULE, history, history[-1], census_of)
    return found.before.short if found else None


def test_a_snapshot_that_kept_its_data_is_no_reason_to_pin() -> None:
    assert lost(snapshot(0, 100), snapshot(1, 110)) is None
    assert lost(snapshot(0, 100)) is None


def test_an_empty_snapshot_pins_the_one_before_it() -> None:
    assert lost(snapshot(0, 100), snapshot(1, 100), snapshot(2, 0)) == "01010101"


def test_a_loss_within_guard_max_loss_is_not_a_wipe() -> None:
    assert lost(snapshot(0, 100), snapshot(1, 20)) is None
    assert lost(snapshot(0, 100), snapshot(1, 18)) == "00000000"


def test_an_uncompared_snapshot_of_a_killed_run_hides_nothing_from_the_next_run() -> None:
    # Night 2 archived the empty volume and was killed before it compared; night 3 finds what it left.
    assert lost(snapshot(0, 100), snapshot(1, 100), snapshot(2, 0), snapshot(3, 0)) == "01010101"


def tries(night: int, count: int, files: int) -> tuple[Snapshot, ...]:
    """What one night's tries leave where each is killed before it compares."""
    return tuple(
        replace(snapshot(night, files), snapshot_id=f"{night:02x}{number:02x}" * 16, time=at(night, number))
        for number in range(1, count + 1)
    )


def at(night: int, number: int) -> datetime:
    return FIRST + timedelta(days=night, minutes=number)


def test_all_tries_of_three_nights_that_were_killed_hide_nothing_from_the_next_run() -> None:
    killed = (*tries(1, 4, 0), *tries(2, 4, 0), *tries(3, 4, 0))
    assert lost(snapshot(0, 100), *killed, snapshot(4, 0)) == "00000000"
    assert lost(snapshot(0, 100), *tries(1, 15, 0), snapshot(2, 0)) == "00000000"


def test_a_snapshot_is_compared_with_those_of_four_nights_and_never_with_more_than_so_many() -> None:
    nightly = tuple(snapshot(night, 100) for night in range(20))
    assert retention.compared(nightly, nightly[-1]) == nightly[-2:-6:-1]
    hourly = (*tries(0, 40, 100), snapshot(1, 100))
    assert len(retention.compared(hourly, hourly[-1])) == retention.DEPTH


def test_an_incomplete_snapshot_is_neither_compared_nor_restored_nor_in_the_way_of_those_that_are() -> None:
    history = (snapshot(0, 100), *(replace(one, tags=frozenset({INCOMPLETE})) for one in tries(1, 16, 50)))
    assert lost(*history, snapshot(2, 0)) == "00000000"
    assert retention.newest_whole(RULE, history, census_of) == history[0]
    assert retention.whole(history) == history[:1]
    assert retention.newest_whole(RULE, history[1:], census_of) is None


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(st.tuples(st.integers(0, 40), st.sets(st.sampled_from([INCOMPLETE, *TAGS]))), min_size=1, max_size=24),
    st.integers(0, 40),
)
def test_incomplete_snapshots_change_no_answer(nights: list[tuple[int, set[str]]], files: int) -> None:
    history = tuple(snapshot(night, found, *tags) for night, (found, tags) in enumerate(nights))
    without = tuple(one for one in history if INCOMPLETE not in one.tags)
    new = snapshot(len(nights), files)
    for answer in (
        lambda found: retention.compared((*found, new), new),
        lambda found: retention.shrunk(RULE, (*found, new), new, census_of),
        lambda found: retention.newest_whole(RULE, found, census_of),
        retention.whole,
    ):
        assert answer(history) == answer(without)


def test_a_loss_that_was_reported_is_known_and_the_next_night_is_an_ordinary_one() -> None:
    history = (snapshot(0, 100), snapshot(1, 100, PINNED), snapshot(2, 0, SHRUNK), snapshot(3, 0))
    assert lost(*history) is None
    assert retention.compared(history, history[-1]) == history[2:3]


def test_a_loss_that_was_accepted_by_taking_the_pin_away_raises_nothing_and_is_what_a_restore_takes() -> None:
    history = (snapshot(0, 100), snapshot(1, 100), snapshot(2, 0, SHRUNK), snapshot(3, 0))
    assert lost(*history) is None
    assert retention.newest_whole(RULE, history, census_of) == history[3]


def test_the_pair_that_an_older_guard_tagged_is_a_loss_that_was_reported() -> None:
    history = (snapshot(0, 100, PINNED), snapshot(1, 0, SHRUNK), snapshot(2, 0, SHRUNK), snapshot(3, 0), snapshot(4, 0))
    assert lost(*history) is None
    assert retention.newest_whole(RULE, history, census_of) == history[0]
    accepted = (replace(history[0], tags=frozenset()), *history[1:])
    assert lost(*accepted) is None
    assert retention.newest_whole(RULE, accepted, census_of) == history[-1]


def test_a_loss_after_the_one_that_was_reported_is_a_new_one() -> None:
    assert lost(snapshot(1, 100, PINNED), snapshot(2, 10, SHRUNK), snapshot(3, 10), snapshot(4, 0)) == "03030303"
    assert lost(snapshot(1, 100, PINNED), snapshot(2, 10, SHRUNK), snapshot(3, 0)) == "02020202"


def test_a_loss_whose_run_was_killed_before_it_was_reported_is_found_again() -> None:
    assert lost(snapshot(1, 100), snapshot(2, 0, SHRUNK, UNREPORTED), snapshot(3, 0)) == "01010101"
    assert lost(snapshot(1, 100, PINNED), snapshot(2, 0, SHRUNK, UNREPORTED), snapshot(3, 0)) == "01010101"


def test_a_snapshot_that_a_person_pinned_is_compared_with_like_any_other() -> None:
    assert lost(snapshot(0, 100), snapshot(1, 100, PINNED), snapshot(2, 0)) == "01010101"


def test_what_a_clock_that_was_ahead_made_is_compared_with_after_all_others() -> None:
    ahead = snapshot(200, 100)
    assert lost(ahead, snapshot(1, 0)) == ahead.short
    assert lost(snapshot(0, 100), ahead, snapshot(1, 0)) == "00000000"
    assert lost(ahead, snapshot(1, 0, SHRUNK), snapshot(2, 0)) is None


def test_files_that_were_emptied_are_lost_too() -> None:
    def emptied(one: Snapshot) -> FileCount:
        nodes = (
            Node(f"tenant-{number % 2}/{number}", "file", 0 if one.tree == "emptied" else 1) for number in range(100)
        )
        return trees.counted(nodes)

    before, after = replace(snapshot(0, 100), tree="full"), replace(snapshot(1, 100), tree="emptied")
    found = retention.shrunk(RULE, (before, after), after, emptied)
    assert found is not None
    assert found.loss.lost == 100


def test_snapshots_of_the_same_tree_are_not_counted_at_all() -> None:
    def never(one: Snapshot) -> FileCount:
        raise AssertionError(one)

    assert retention.shrunk(RULE, (snapshot(0, 100), snapshot(1, 100)), snapshot(1, 100), never) is None


def test_a_restore_takes_the_newest_snapshot_that_kept_the_data_whoever_made_it() -> None:
    history = (snapshot(0, 100), snapshot(1, 110), snapshot(2, 0), snapshot(3, 0, SHRUNK))
    chosen = retention.newest_whole(RULE, history, census_of)
    assert chosen == history[1]
    assert retention.newest_whole(RULE, (), census_of) is None


def test_a_restore_takes_nothing_with_a_loss_that_is_still_pinned_however_many_nights_are_of_it() -> None:
    history = [snapshot(0, 90), snapshot(1, 100, PINNED), snapshot(2, 0, SHRUNK)]
    for night in range(3, 30):
        history.append(snapshot(night, night % 3))
        assert retention.newest_whole(RULE, history, census_of) == history[1]
    history.append(snapshot(30, 90))
    assert retention.newest_whole(RULE, history, census_of) == history[-1]


def test_what_a_person_pinned_or_what_came_back_stands_in_no_way_of_what_became_less_since() -> None:
    """No run found a loss between the two: it was meant."""
    less = tuple(
        snapshot(10 + night, files)
        for night, files in enumerate((90, 60, 60, 60, 60, 30, 30, 30, 30, 15, 15, 15, 15, 8))
    )
    assert retention.newest_whole(RULE, (snapshot(0, 100, PINNED), *less), census_of) == less[-1]
    mended = (snapshot(0, 100, PINNED), snapshot(1, 0, SHRUNK), snapshot(2, 100))
    assert retention.newest_whole(RULE, (*mended, *less), census_of) == less[-1]


def test_a_snapshot_is_named_by_the_start_of_its_id_and_never_by_one_that_two_share() -> None:
    history = (snapshot(1, 1), snapshot(2, 1), replace(snapshot(3, 1), snapshot_id="01ff"))
    assert retention.named(history, "0202") == history[1]
    assert retention.named(history, "02".upper()) == history[1]
    assert retention.named(history, "01") is None
    assert retention.named(history, "") is None
    assert retention.named(history, "77") is None


def test_a_policy_is_restic_s_words_and_always_keeps_what_is_pinned() -> None:
    assert Policy("1y6m", 3).words() == (
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
    found = retention.stale(snapshot(0, 1), FIRST + timedelta(hours=hours), timedelta(hours=allowed))
    assert bool(found) is (hours > allowed or hours < -1)
    assert ("in the future" in found) is (hours < -1)


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.tuples(st.integers(0, 40), st.sets(st.sampled_from(TAGS))), min_size=1, max_size=12))
def test_what_is_to_be_pinned_is_older_has_what_the_new_one_lost_and_no_loss_that_was_not_reported(
    nights: list[tuple[int, set[str]]],
) -> None:
    history = [snapshot(night, files, *tags) for night, (files, tags) in enumerate(nights)]
    new = history[-1]
    found = retention.shrunk(RULE, history, new, census_of)
    if found is None:
        assert all(
            retention.loss_between(RULE, census_of(one), census_of(new)).verdict is not Verdict.WIPED
            for one in retention.compared(history, new)
        )
        return
    assert found.before in history[:-1]
    assert UNREPORTED not in found.before.tags
    assert retention.loss_between(RULE, census_of(found.before), census_of(new)).verdict is Verdict.WIPED


#: The steps after which a run can be killed.
STEPS = ("archive", "shrunk", "pinned")


@dataclass
class Repository:
    """What restic would hold, with `forget` as its documentation tells it; runs can be killed after any step."""

    snapshots: list[Snapshot] = field(default_factory=list)

    def run(self, new: Snapshot, killed_after: str) -> bool:
        """One run of the backup, which passed the gate; whether it reports a loss.

        It is `incomplete` where restic could not read everything.
        """
        self.snapshots.append(new)
        if killed_after == "archive":
            return False
        if killed_after == "incomplete":
            self.tag(new, INCOMPLETE)
            return False
        found = retention.shrunk(RULE, self.snapshots, new, census_of)
        if found is None:
            self.forget()
            return False
        self.tag(new, SHRUNK, UNREPORTED)
        if killed_after == "shrunk":
            return False
        self.tag(found.before, PINNED)
        if killed_after == "pinned":
            return False
        self.untag(UNREPORTED, new.time)
        return True

    def tag(self, one: Snapshot, *tags: str) -> None:
        number = next(n for n, found in enumerate(self.snapshots) if found.time == one.time)
        self.snapshots[number] = replace(one, tags=one.tags.union(tags))

    def untag(self, tag: str, time: datetime | None = None) -> None:
        """From the snapshot of a time, or from all."""
        self.snapshots = [
            replace(one, tags=one.tags - {tag}) if time in {None, one.time} else one for one in self.snapshots
        ]

    def forget(self) -> None:
        """--group-by=host,paths,tags --keep-last=2 --keep-within=3d --keep-tag=pinned."""
        kept: list[Snapshot] = []
        for tags in {one.tags for one in self.snapshots}:
            group = [one for one in self.snapshots if one.tags == tags]
            edge = group[-1].time - timedelta(days=3)
            kept += [one for one in group if one in group[-2:] or one.time > edge or PINNED in tags]
        self.snapshots = sorted(kept, key=lambda one: one.time)


#: Runs: the same night's next try or another night's first, the files then, and how it ended.
runs = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from([0, 1, 90, 100, 120]),
        st.sampled_from(["", "", *STEPS, "incomplete"]),
    ),
    max_size=30,
)


@settings(deadline=None)  # a busy machine is no failure
@given(runs)
def test_whatever_is_killed_accepted_or_unreadable_a_wipe_is_reported_once_and_the_last_data_before_it_stays(
    history: list[tuple[bool, int, str]],
) -> None:
    repository = Repository()
    kept: datetime | None = None  # the last whole snapshot with the data
    wiped: datetime | None = None  # the same, once the data is gone, until a run has come to its end
    owed: set[datetime] = set()
    uncompared: list[Snapshot] = []
    fewest = 0  # of the runs since the last wipe that was reported: less than this is another wipe
    night = 0
    for number, (another_night, files, killed_after) in enumerate(history):
        night += another_night
        found = files // 2 if killed_after == "incomplete" else files
        new = replace(snapshot(number, found), time=at(night, number))
        uncompared = [*uncompared, new] if killed_after == "archive" else uncompared if killed_after else []
        if len(uncompared) == retention.DEPTH or len({one.time.date() for one in uncompared}) == retention.NIGHTS:
            return  # so many runs or nights in a row that were killed between two steps are out of sight
        reported = repository.run(new, killed_after)
        if killed_after != "incomplete":
            if files >= 90:
                kept, wiped = new.time, None
            elif kept is not None:
                kept, wiped = None, kept
            fewest = max(fewest, files)
        if reported:
            assert files < fewest, "nothing was lost since the last report"
            fewest = files
        if wiped is not None and not killed_after:
            assert reported
            owed.add(wiped)
            wiped = None
        assert owed <= {one.time for one in repository.snapshots}
        chosen = retention.newest_whole(RULE, repository.snapshots, census_of)
        assert chosen is None or kept is None or chosen.time == kept
        assert chosen is None or not owed or census_of(chosen).files >= 90


@settings(deadline=None)  # a busy machine is no failure
@given(runs, st.sampled_from([0, 1, 10]), st.lists(st.sampled_from([0, 1, 2, 10]), min_size=1, max_size=8))
def test_a_wipe_whose_pin_is_taken_away_was_meant_and_raises_nothing(
    history: list[tuple[bool, int, str]], left: int, later: list[int]
) -> None:
    repository = Repository()
    for night, (_, files, killed_after) in enumerate(history):
        repository.run(snapshot(night, files), killed_after)
    repository.run(snapshot(50, 100), "")
    assert repository.run(snapshot(51, left), "")
    repository.untag(PINNED)
    for night, files in enumerate((left, *later), 52):
        # Never less than there was: that is another loss.
        left = max(left, files)
        assert not repository.run(snapshot(night, left), "")
        chosen = retention.newest_whole(RULE, repository.snapshots, census_of)
        assert chosen is not None
        assert census_of(chosen).files == left


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(1, 60), st.sampled_from([INCOMPLETE, SHRUNK]))
def test_however_many_runs_end_badly_no_good_snapshot_is_forgotten_for_them(bad: int, tag: str) -> None:
    repository = Repository([snapshot(0, 100), snapshot(1, 100)])
    repository.snapshots += [snapshot(2 + number, 50, tag) for number in range(bad)]
    repository.forget()
    assert [one for one in repository.snapshots if not one.tags] == [snapshot(0, 100), snapshot(1, 100)]


@pytest.mark.parametrize(
    ("status", "result"),
    [(10, Result.REPOSITORY_MISSING), (11, Result.REPOSITORY_LOCKED), (12, Result.PASSWORD_WRONG),
     (1, Result.ENGINE_FAILED), (3, Result.ENGINE_FAILED), (137, Result.ENGINE_FAILED), (99, Result.ENGINE_FAILED)],
)  # fmt: skip
def test_a_status_of_restic_that_is_not_known_is_a_failure(status: int, result: Result) -> None:
    assert of_engine(status) is result
