"""Properties of the watcher and the gate over many histories; the watcher is the one that runs in the pod."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guard.outcome import Outcome
from tests.unit.watch.simulation import MINUTE, Simulation, Volume

#: Traced, these would take three times as long.
pytestmark = pytest.mark.no_cover

COMMON = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))


def watched(volume: Volume | None = None, *, entries: int = 6, files: int = 30) -> Simulation:
    simulation = Simulation(volume)
    simulation.adopt()
    simulation.fill(files, *(f"t{number}/skill" for number in range(entries)))
    simulation.start()
    simulation.run(15 * MINUTE)
    assert not simulation.events()
    return simulation


@COMMON
@given(
    folders=st.lists(st.sampled_from(["lib", "core", "t0/skill", "t1/skill", "x/y/z"]), min_size=1, unique=True),
    files=st.integers(0, 150),
    size=st.integers(0, 10_000).filter(lambda size: not size >= 20),
    wait=st.sampled_from([0.0, 0.5, 3.0, 30.0, 120.0]),
)
def test_no_refill_lowers_a_verdict_or_ends_an_incident(folders: list[str], files: int, size: int, wait: float) -> None:
    simulation = watched()
    simulation.remove()
    simulation.run(wait)
    simulation.fill(files, *folders, size=size)
    simulation.run(5 * MINUTE)
    assert [line.event.label for line in simulation.events()] == ["volume.wiped"]
    simulation.stop()
    assert simulation.gate().outcome is Outcome.DATA_LOST
    simulation.lines.clear()
    simulation.start()
    simulation.run(2 * MINUTE)
    assert [line.event.label for line in simulation.events()] == ["volume.wiped"]


@COMMON
@given(st.lists(st.sampled_from(["touch", "rewrite", "chown", "rename"]), min_size=1, max_size=6), st.data())
def test_rewriting_changes_nothing_in_what_is_known(actions: list[str], data: st.DataObject) -> None:
    simulation = watched()
    for action in actions:
        for path in data.draw(st.lists(st.sampled_from(sorted(simulation.volume.files)), max_size=60, unique=True)):
            file = simulation.volume.files[path]
            if action == "rename":
                simulation.remove(path)
            simulation.write(path, file.size, mtime=file.mtime if action == "chown" else None)
        simulation.run(data.draw(st.sampled_from([1.0, 20.0, 90.0])))
    simulation.run(2 * MINUTE)
    assert not simulation.events()
    simulation.remove()
    simulation.run(30)
    assert [line.event.label for line in simulation.events()] == ["volume.wiped"]


@settings(COMMON, max_examples=3)
@given(minutes=st.floats(0.01, 19.0), writes=st.booleans(), lost=st.booleans(), seed=st.integers(0, 99))
def test_a_wipe_at_any_pace_gives_the_verdict_of_one_at_once(
    minutes: float, writes: bool, lost: bool, seed: int
) -> None:
    simulation = watched(Volume(loses_events=lost), files=120)
    paths = sorted(simulation.volume.files, key=lambda path: hash((path, seed)))
    for place, path in enumerate(paths):
        simulation.after(place * minutes * MINUTE / len(paths), lambda path=path: simulation.remove(path))  # type: ignore[misc]
    if writes:
        # As many as are removed would be a rotation.
        for second in range(0, int(minutes * MINUTE) + 60, 10):
            simulation.after(second, lambda second=second: simulation.write(f"new/{second}"))  # type: ignore[misc]
    simulation.run(minutes * MINUTE + 120)
    assert simulation.events("volume.wiped")


@COMMON
@given(
    life=st.floats(1.0, 5000.0),
    alive=st.integers(2, 120),
    lasting=st.integers(0, 9),
    lost=st.booleans(),
)
def test_files_that_roll_over_never_raise_critical(life: float, alive: int, lasting: int, lost: bool) -> None:
    alive = min(alive, max(2, int(20 * life)))  # 20 new files a second are enough
    simulation = Simulation(Volume(loses_events=lost))
    simulation.adopt()
    for number in range(lasting):
        simulation.write(f"lasting/{number}")
    simulation.start()
    count = 0

    def roll() -> None:
        nonlocal count
        simulation.write(f"spool/{count}")
        if count >= alive:
            simulation.remove(f"spool/{count - alive}")
        count += 1
        simulation.after(life / alive, roll)

    roll()
    simulation.run(min(max(20 * MINUTE, 2.5 * life), 90 * MINUTE))
    assert not simulation.events("volume.wiped")
    if life < 5 * MINUTE - 20:
        assert not simulation.events()


@COMMON
@given(st.lists(st.integers(2, 40), min_size=2, max_size=5), st.floats(2.1, 90.0))
def test_deletions_with_pauses_above_settle_never_add_up(parts: list[int], pause: float) -> None:
    simulation = Simulation()
    simulation.adopt()
    for number, files in enumerate(parts):
        simulation.fill(files, f"t{number}/skill")
    simulation.fill(max(parts), "kept/skill")
    simulation.start()
    simulation.run(15 * MINUTE)
    for number in range(len(parts)):
        simulation.remove(f"t{number}/skill")
        simulation.run(pause)
    simulation.run(5 * MINUTE)
    assert not simulation.events("volume.wiped")
    simulation.stop()
    assert simulation.gate().outcome is Outcome.OK


@COMMON
@given(seconds=st.floats(0.1, 500.0), order=st.sampled_from(["remove first", "in step"]))
def test_an_update_by_rmtree_and_copytree_is_silent(seconds: float, order: str) -> None:
    simulation = watched()
    folder = "t0/skill"
    paths = sorted(path for path in simulation.volume.files if path.startswith(folder))
    gap = seconds / len(paths) / 2
    for place, path in enumerate(paths):
        removed = place * gap
        written = (len(paths) + place) * gap if order == "remove first" else removed + gap / 2
        simulation.after(removed, lambda path=path: simulation.remove(path))  # type: ignore[misc]
        simulation.after(written, lambda path=path: simulation.write(path))  # type: ignore[misc]
    simulation.run(seconds + 3 * MINUTE)
    assert not simulation.events()


@COMMON
@given(at=st.floats(0.0, 30.0), after=st.floats(0.0, 20.0))
def test_a_crash_at_any_moment_leaves_a_gate_that_agrees(at: float, after: float) -> None:
    simulation = watched()
    simulation.after(at, simulation.remove)
    simulation.run(at + after)
    simulation.kill()
    assert simulation.gate().outcome is Outcome.DATA_LOST
