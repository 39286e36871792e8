"""Any history of a volume, in simulated time: what must hold of a watcher whatever happens, and whatever is lost on the way."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from guard.event import Event
from guard.outcome import Severity
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger, Reference
from guard.volume.loss import LossRule, Verdict, judge_loss
from guard.volume.marker import Marker
from guard.volume.observation import CountOptions, FileCount, InvalidDocument, ProbeFault
from guard.watch.allowance import RESERVE, SAVED, SHARE
from guard.watch.settling import CEILING, TAIL
from guard.watch.standing import Condition
from tests.unit.watch.simulation import (
    AT,
    INTERVAL,
    MARKER_ID,
    NAME,
    OTHER_ID,
    SETTLE,
    WEEK,
    Volume,
    Watch,
    World,
    ledger_of,
)

RULE = LossRule()
TENANTS = {"a": 60, "b": 40, "c": 25}
#: A wipe that lasts so long is known: the ceiling, what it counts back, a look, and the count that a quiet change of
#: space leads to where no event told of it.
KNOWN_AFTER = CEILING + TAIL + 2 * INTERVAL + SETTLE


@dataclass
class Truth:
    """What was really there, to judge a watcher by."""

    world: World
    volume: Volume
    watch: Watch
    contents: list[tuple[float, dict[str, int], int]]
    ours: Marker | InvalidDocument | None = None
    wiped_since: float | None = None
    checks: bool = True

    def note(self) -> None:
        self.contents.append((self.world.now, dict(self.volume.entries), self.volume.empty))
        self.check()

    def check(self) -> None:
        """A wipe that a watcher could see is known in time."""
        volume, vigil = self.volume, self.watch.vigil
        reference = self.watch.reference
        visible = (
            volume.mounted
            and self.watch.forks
            and volume.fault is None
            and volume.uncountable is None
            and volume.hold is None
            and volume.marker == self.ours
            and reference is not None
            and judge_loss(self.watch.expected.loss, reference, volume.census(_order(reference))).verdict
            is Verdict.WIPED
        )
        if not visible:
            self.wiped_since = None
            return
        if self.wiped_since is None:
            self.wiped_since = self.world.now
        if self.checks and self.world.now - self.wiped_since > KNOWN_AFTER:
            assert vigil.incident.troubled(Condition.CONTENT), (
                f"a wipe at {self.wiped_since:.3f} is not known at {self.world.now:.3f}"
            )

    def was_wiped(self, reference: Reference, at: float) -> bool:
        """Whether, shortly before, the content stood below the reference for a settling time."""
        rule, ends = self.watch.expected.loss, [when for when, _, _ in self.contents[1:]] + [at]
        since: float | None = None
        for (begins, entries, empty), end in zip(self.contents, ends, strict=True):
            if begins == end:
                continue  # what stood for no time was not there
            volume = Volume(self.world, entries, empty)
            wiped = judge_loss(rule, reference, volume.census(_order(reference, sizes=True))).verdict is Verdict.WIPED
            since = (begins if since is None else since) if wiped else None
            if since is not None and min(end, at) - since >= SETTLE - 0.1 and end >= at - CEILING:
                return True
        return False


def _order(reference: Reference, *, sizes: bool = False) -> CountOptions:
    return CountOptions(frozenset(reference.entries), sizes=sizes)


Step = tuple[float, Callable[[Volume], None]]

_GAPS = st.sampled_from([0.3, 1.0, 3.0, 8.0, 15.0, 40.0, 90.0, 400.0])


def _upload(name: str, files: int) -> Callable[[Volume], None]:
    return lambda volume: volume.set({**volume.entries, name: volume.entries.get(name, 0) + files})


def _delete(name: str) -> Callable[[Volume], None]:
    return lambda volume: volume.set({kept: files for kept, files in volume.entries.items() if kept != name})


def _update(gone: float) -> Callable[[Volume], None]:
    """Removes everything and writes it again."""

    def update(volume: Volume) -> None:
        before = dict(volume.entries)
        volume.wipe()
        volume.world.after(gone, lambda: volume.set({**before, **volume.entries}))

    return update


def _temporary(files: int, lives: float) -> Callable[[Volume], None]:
    def create(volume: Volume) -> None:
        volume.set({**volume.entries, "tmp": files})
        volume.world.after(lives, lambda: _delete("tmp")(volume))

    return create


def _slowly(steps: int, gap: float) -> Callable[[Volume], None]:
    """Removes everything in so many steps."""

    def remove(volume: Volume) -> None:
        for step in range(1, steps + 1):
            share = 1 - step / steps
            volume.world.after(gap * step, lambda share=share: volume.set(  # type: ignore[misc]
                {name: int(files * share) for name, files in volume.entries.items()}
            ))  # fmt: skip

    return remove


def _outage(number: int, lasts: float) -> Callable[[Volume], None]:
    def fail(volume: Volume) -> None:
        volume.break_down(number)
        volume.world.after(lasts, volume.mend)

    return fail


def _uncountable(number: int, lasts: float) -> Callable[[Volume], None]:
    def fail(volume: Volume) -> None:
        volume.uncountable = ProbeFault(number, "counting its files")
        volume.changed()

        def mend() -> None:
            volume.uncountable = None
            volume.changed()

        volume.world.after(lasts, mend)

    return fail


def _away(lasts: float, *, same_id: bool) -> Callable[[Volume], None]:
    def unmount(volume: Volume) -> None:
        volume.unmount()
        mount_id = volume.mount.mount_id if same_id else None
        volume.world.after(lasts, lambda: volume.remount(mount_id=mount_id))

    return unmount


def _another_disk(lasts: float) -> Callable[[Volume], None]:
    """Another disk is mounted in its place for so long."""

    def swap(volume: Volume) -> None:
        ours = (volume.fsid, volume.marker, volume.ledger, volume.entries, volume.empty)
        volume.unmount()
        volume.fsid, volume.marker, volume.ledger = 99, Marker("claude-skills-prod", OTHER_ID, AT), None
        volume.entries, volume.empty = {"x": 5}, 0
        volume.remount()

        def swap_back() -> None:
            volume.unmount()
            volume.fsid, volume.marker, volume.ledger, volume.entries, volume.empty = ours
            volume.remount()

        volume.world.after(lasts, swap_back)

    return swap


def _covered(names: set[str], lasts: float) -> Callable[[Volume], None]:
    def cover(volume: Volume) -> None:
        if not volume.hidden and volume.mounted:
            volume.cover(*(names & volume.entries.keys()))
            volume.world.after(lasts, volume.uncover)

    return cover


def _without_marker(lasts: float) -> Callable[[Volume], None]:
    def remove(volume: Volume) -> None:
        marker, volume.marker = volume.marker, None
        volume.changed()

        def put_back() -> None:
            volume.marker = volume.marker or marker
            volume.changed()

        volume.world.after(lasts, put_back)

    return remove


def _held(lasts: float, *, released: bool) -> Callable[[Volume], None]:
    def hold(volume: Volume) -> None:
        volume.announce()
        volume.world.after(lasts, volume.release if released else volume.unhold)

    return hold


def _writing(number: int, lasts: float) -> Callable[[Volume], None]:
    def refuse(volume: Volume) -> None:
        volume.writing = ProbeFault(number, "writing the ledger")

        def allow() -> None:
            volume.writing = None

        volume.world.after(lasts, allow)

    return refuse


def _read_only(lasts: float) -> Callable[[Volume], None]:
    def turn(volume: Volume) -> None:
        volume.read_only = "the mount is read-only"

        def turn_back() -> None:
            volume.read_only = ""

        volume.world.after(lasts, turn_back)

    return turn


def _accept_if_right(volume: Volume) -> None:
    if volume.marker == Marker(NAME, MARKER_ID, AT) and volume.mounted and not volume.fault:
        volume.accept()


def _restore(volume: Volume) -> None:
    volume.set(dict(TENANTS))


def _set(name: str, value: object) -> Callable[[Volume], None]:
    def change(volume: Volume) -> None:
        setattr(volume, name, value)
        volume.changed()

    return change


def _die(volume: Volume) -> None:
    for watch in list(volume.watches):
        watch.die()


def _no_process(lasts: float) -> Callable[[Volume], None]:
    """Its prober ends, and for so long no other can be started."""

    def fail(volume: Volume) -> None:
        for watch in list(volume.watches):
            watch.forks = False
            watch.die()
            volume.world.after(lasts, lambda watch=watch: setattr(watch, "forks", True))  # type: ignore[misc]

    return fail


_NAMES = st.sampled_from(["a", "b", "c", "d"])
_LASTS = st.sampled_from([0.5, 5.0, 25.0, 70.0, 200.0])
_ORDINARY = st.one_of(
    st.builds(_upload, _NAMES, st.sampled_from([1, 10, 80])),
    st.builds(_temporary, st.sampled_from([3, 70, 400]), _LASTS),
    st.builds(_update, st.sampled_from([0.05, 0.4, 1.0, 1.5])),
    st.builds(lambda blocks: lambda volume: volume.grow_blocks(blocks), st.sampled_from([1, 500])),
    st.builds(lambda files: lambda volume: volume.finish(files), st.sampled_from([1, 40, 500])),
)
_LOSSES = st.one_of(
    st.just(Volume.wipe),
    st.builds(_delete, _NAMES),
    st.builds(_update, st.sampled_from([5.0, 30.0, 65.0, 100.0])),
    st.builds(_slowly, st.sampled_from([3, 12]), st.sampled_from([0.2, 1.0, 7.0])),
    st.builds(lambda files: lambda volume: volume.truncate(files), st.sampled_from([10, 60, 500])),
    st.just(Volume.refill),
    st.just(_restore),
    st.just(_accept_if_right),
)
#: What people do at once, in work that they announce.
_WORK = st.lists(
    st.tuples(
        _GAPS,
        st.one_of(
            st.just(Volume.wipe),
            st.builds(_delete, _NAMES),
            st.builds(_upload, _NAMES, st.sampled_from([1, 80])),
            st.builds(lambda files: lambda volume: volume.truncate(files), st.sampled_from([10, 500])),
            st.just(_restore),
        ),
    ),
    max_size=4,
)
_FAILURES = st.one_of(
    st.builds(_outage, st.sampled_from([0, errno.EIO]), _LASTS),
    st.builds(_uncountable, st.sampled_from([0, errno.EIO]), _LASTS),
    st.builds(lambda lasts, same: _away(lasts, same_id=same), _LASTS, st.booleans()),
    st.builds(lambda lasts, released: _held(lasts, released=released), _LASTS, st.booleans()),
    st.builds(_writing, st.sampled_from([errno.EROFS, errno.ENOSPC, errno.EACCES]), _LASTS),
    st.builds(_read_only, _LASTS),
    st.builds(_set, st.just("deaf"), st.booleans()),
    st.builds(_set, st.just("blind"), st.sampled_from(["", "no inotify watch is left to this user"])),
    st.builds(_set, st.just("unwatched"), st.sampled_from([frozenset[int](), frozenset({4711})])),
    st.builds(_set, st.just("unreadable"), st.sampled_from([(), ("a",)])),
    st.builds(_set, st.just("ledger"), st.none()),
    st.builds(_another_disk, _LASTS),
    st.builds(_covered, st.sets(_NAMES), _LASTS),
    st.builds(_without_marker, _LASTS),
    st.just(_die),
    st.builds(_no_process, _LASTS),
)
_JUMPS = st.builds(lambda days: lambda volume: volume.jump(days=days), st.sampled_from([-400.0, -0.1, 0.1, 400.0]))
_HISTORY = st.lists(st.tuples(_GAPS, st.one_of(_ORDINARY, _LOSSES, _FAILURES)), max_size=10)
_CONTENT_HISTORY = st.lists(st.tuples(_GAPS, st.one_of(_ORDINARY, _LOSSES)), max_size=10)
_HISTORY_WITH_JUMPS = st.lists(st.tuples(_GAPS, st.one_of(_ORDINARY, _LOSSES, _FAILURES, _JUMPS)), max_size=10)

#: Histories of each property: few in every run, many before a release (HISTORIES=1000).
_HISTORIES = int(os.environ.get("HISTORIES", "10"))
_QUICKLY = settings(
    deadline=None, max_examples=_HISTORIES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def _begin(kind: Kind = Kind.BLOCK, **how: object) -> Truth:
    world = World()
    volume = Volume(world, dict(TENANTS), ledger=ledger_of(TENANTS), kind=kind)
    watch = Watch(world, volume, **how)  # type: ignore[arg-type]
    truth = Truth(world, volume, watch, [], volume.marker)
    volume.changed = truth.note
    watch.after_step = truth.check
    truth.note()
    world.run(20)
    return truth


def _live(truth: Truth, history: list[Step]) -> None:
    for gap, step in history:
        truth.world.run(gap)
        step(truth.volume)
    truth.world.run(120)


_KINDS = st.sampled_from([Kind.BLOCK, Kind.NETWORK])


@_QUICKLY
@given(_HISTORY_WITH_JUMPS, _KINDS)
def test_no_wipe_that_lasts_is_missed(history: list[Step], kind: Kind) -> None:
    _live(_begin(kind), history)  # `Truth.check` asserts it at every step


@_QUICKLY
@given(_HISTORY_WITH_JUMPS, st.booleans())
def test_no_wipe_that_lasts_is_missed_on_a_volume_that_took_the_place_of_the_first(
    history: list[Step], adopted: bool
) -> None:
    truth = _begin()
    volume = truth.volume
    truth.checks = False
    volume.put_in_its_place(99)
    truth.world.run(20)
    if adopted:
        volume.marker = Marker(NAME, OTHER_ID, AT)
    volume.accept()
    truth.world.run(20)
    truth.checks, truth.ours, truth.wiped_since = True, volume.marker, None
    _live(truth, history)


@_QUICKLY
@given(_HISTORY_WITH_JUMPS, _KINDS)
def test_a_wipe_is_never_said_of_a_volume_that_did_not_stand_wiped(history: list[Step], kind: Kind) -> None:
    truth = _begin(kind)
    judged: list[tuple[float, Reference]] = []

    def remember() -> None:
        truth.check()
        if truth.watch.reference is not None:
            judged.append((truth.world.now, truth.watch.reference))

    truth.watch.after_step = remember
    _live(truth, history)
    for line in truth.watch.lines:
        if line.event is Event.VOLUME_WIPED:
            before = [reference for at, reference in judged if line.at - CEILING <= at <= line.at][-20:]
            assert any(truth.was_wiped(reference, line.at) for reference in before), line


@_QUICKLY
@given(st.lists(st.tuples(st.sampled_from([6.0, 15.0, 40.0, 90.0, 400.0]), _ORDINARY), max_size=15), _KINDS)
def test_ordinary_life_is_never_a_wipe_and_never_critical(history: list[Step], kind: Kind) -> None:
    truth = _begin(kind)
    _live(truth, history)
    assert set(truth.watch.labels()) <= {"watch.started"}


@_QUICKLY
@given(_WORK, _WORK, st.sampled_from(["accepted", "released"]), _GAPS)
def test_announced_work_is_never_alarming_nor_is_what_was_accepted_in_time(
    work: list[Step], last: list[Step], ending: str, after: float
) -> None:
    truth = _begin()
    world, volume = truth.world, truth.volume
    world.run(after)
    volume.announce()
    for gap, step in work:
        world.run(gap)
        step(volume)
    volume.release()
    if ending == "accepted":
        world.run(400)
        for _, step in last:
            step(volume)
        world.run(SETTLE - 0.1)
        volume.accept()
    world.run(400)
    assert max(line.severity for line in truth.watch.said()) <= Severity.NOTICE


@_QUICKLY
@given(_HISTORY)
def test_every_wipe_ends_in_recovery_or_acceptance_unless_it_lasts(history: list[Step]) -> None:
    truth = _begin()
    _live(truth, history)
    open_wipe = ""
    for happening in truth.watch.said():
        if happening.event is Event.VOLUME_WIPED:
            open_wipe = happening.operation
        elif happening.event in {Event.VOLUME_RECOVERED, Event.VOLUME_ACCEPTED} and happening.operation == open_wipe:
            open_wipe = ""
    assert not open_wipe or truth.watch.vigil.incident.is_open


@_QUICKLY
@given(_HISTORY)
def test_every_incident_has_one_first_line_one_last_line_and_an_id_of_its_own(history: list[Step]) -> None:
    truth = _begin()
    _live(truth, history)
    lines = truth.watch.of_incidents()
    ended: set[str] = set()
    open_now = ""
    for line in lines:
        assert line.operation not in ended, "an ID is used again"
        assert line.first is (line.operation != open_now)
        open_now = "" if line.last else line.operation
        if line.last:
            ended.add(line.operation)


@_QUICKLY
@given(_CONTENT_HISTORY, _CONTENT_HISTORY)
@example([(8.0, Volume.wipe), (15.0, _restore), (15.0, Volume.wipe), (8.0, _upload("a", 1))], [])
def test_an_incident_that_ended_before_a_restart_gives_its_id_to_none_after_it(
    before: list[Step], after: list[Step]
) -> None:
    truth = _begin()
    first, world, volume = truth.watch, truth.world, truth.volume
    for gap, step in before:
        world.run(gap)
        step(volume)
    first.stop()
    truth.watch = Watch(world, volume, pod="skills-1")
    truth.watch.after_step, truth.wiped_since = truth.check, None
    _live(truth, after)
    ended = {line.operation for line in first.of_incidents() if line.last}
    assert not ended & {line.operation for line in truth.watch.of_incidents()}


@_QUICKLY
@given(_HISTORY, st.sampled_from([1e-6, 4e-3, 2e-2]))
def test_counts_take_one_per_cent_of_the_time_beyond_what_was_saved(history: list[Step], per_file: float) -> None:
    truth = _begin(per_file=per_file)
    truth.checks = per_file < 1e-2  # a tree that takes seconds to count may wait longer
    began = truth.world.now - 20
    _live(truth, history)
    allowed = SAVED + RESERVE + SHARE * (truth.world.now - began)
    assert truth.watch.counting <= allowed + 2 * truth.watch.longest


@_QUICKLY
@given(_HISTORY, st.sampled_from([WEEK, 200.0]))
def test_no_ledger_launders_a_loss(history: list[Step], window: float) -> None:
    truth = _begin(window=window)
    kept: list[tuple[float, Ledger | None]] = []

    def note() -> None:
        truth.check()
        standing = truth.volume.ledger
        assert standing is None or isinstance(standing, Ledger)
        if not kept or kept[-1][1] is not standing:
            kept.append((truth.world.now, standing))

    truth.watch.after_step = note
    _live(truth, history)
    written = {id(ledger) for _, _, ledger in truth.volume.kept}
    for (_, before), (at, after) in pairwise(kept):
        if before is None or after is None or id(after) not in written:
            continue
        assert after.generation >= before.generation
        smaller = after.reference.files < before.reference.files
        assert not smaller or at >= window  # only a reference that is too old gives way to less
        entries = {name: after.reference.entries.get(name, 0) for name in before.reference.entries}
        kept_now = FileCount(after.reference.files, entries=entries, depth=1)
        assert judge_loss(RULE, before.reference, kept_now).verdict is not Verdict.WIPED


@_QUICKLY
@given(_HISTORY_WITH_JUMPS)
def test_the_generation_never_decreases(history: list[Step]) -> None:
    truth = _begin()
    generations: list[int] = []

    def note() -> None:
        truth.check()
        if truth.watch.vigil.keeper is not None:
            generations.append(truth.watch.vigil.keeper.generation)

    truth.watch.after_step = note
    _live(truth, history)
    assert generations == sorted(generations)


@_QUICKLY
@given(
    st.lists(
        st.sampled_from(["wipe", "slow wipe", "tenants", "truncated", "accepted", "shrink"]), min_size=1, max_size=3
    )
)
def test_two_watchers_of_one_volume_give_one_incident_one_id(wipes: list[str]) -> None:
    truth = _begin(pod="skills-0")
    other = Watch(truth.world, truth.volume, pod="skills-1", jitter=1.1)
    truth.world.run(150)
    for wipe in wipes:
        volume = truth.volume
        if wipe == "truncated":
            volume.truncate(volume.files)
        elif wipe == "slow wipe":
            _slowly(12, 1.0)(volume)
        elif wipe == "shrink":
            volume.set({"a": 60})
        elif wipe == "tenants":
            volume.set({"a": 1, "b": 1, "c": 1})
        else:
            volume.wipe()
        truth.world.run(40)
        if wipe == "accepted":
            volume.accept()
            truth.world.run(20)
        _restore(volume)
        volume.refill()
        truth.world.run(420)
    told = [[(line.event, line.operation) for line in watch.of_incidents()] for watch in (truth.watch, other)]
    assert told[0] == told[1]
    losses = {Event.VOLUME_WIPED, Event.VOLUME_SHRUNK}
    assert len({operation for event, operation in told[0] if event in losses}) == len(wipes)


@_QUICKLY
@given(_HISTORY, _HISTORY)
@example([], [(0.3, Volume.wipe), (0.3, _set("unreadable", ("a",))), (8.0, _set("unreadable", ()))])
def test_a_watcher_that_starts_anew_starts_in_the_incident_that_is_there(before: list[Step], after: list[Step]) -> None:
    truth = _begin()
    _live(truth, before)
    truth.watch.stop()
    truth.watch = Watch(truth.world, truth.volume, pod="skills-1")
    truth.watch.after_step = truth.check
    truth.wiped_since = None
    _live(truth, after)


def test_the_simulation_sees_a_wipe_that_is_missed() -> None:
    truth = _begin()
    truth.volume.deaf = True
    truth.watch.stop()  # nobody looks any more
    truth.volume.wipe()
    truth.world.run(KNOWN_AFTER + 1)
    with pytest.raises(AssertionError, match="is not known"):
        truth.note()
