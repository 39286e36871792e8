"""The worked examples of docs/concepts.md, each done to a simulated volume under a watcher: the verdict is the page's."""

from collections.abc import Callable
from pathlib import Path

import pytest

from guard.volume.loss import LossRule
from tests.unit import markdown
from tests.unit.watch.simulation import Simulation

PAGE = markdown.read(Path(__file__).parents[2] / "docs" / "concepts.md")
#: Seconds after which every file is known, and after which a verdict is out.
KNOWN, JUDGED = 400, 120
TENANTS = ("acme", "beta", "core", "dune")


def _tenants() -> Simulation:
    simulation = Simulation()
    simulation.fill(100, *TENANTS)
    return _watched(simulation)


def _tenants_with_caches() -> Simulation:
    simulation = Simulation()
    simulation.fill(100, *TENANTS)
    simulation.fill(200, *(f"{tenant}/cache" for tenant in TENANTS))
    return _watched(simulation)


def _flat(min_files: int = 0) -> Simulation:
    simulation = Simulation(rule=LossRule(min_files=min_files))
    for number in range(2000):
        simulation.write(f"file-{number:04}")
    return _watched(simulation)


def _database() -> Simulation:
    simulation = Simulation()
    _system_files(simulation)
    for number in range(20):
        simulation.write(f"base/5/{16384 + number}", 50_000_000)
    return _watched(simulation)


def _system_files(simulation: Simulation) -> None:
    for folder in ("base/1", "base/4", "global", "pg_wal"):
        simulation.fill(30, folder, size=8192)


def _watched(simulation: Simulation) -> Simulation:
    simulation.run(KNOWN)
    simulation.adopt()
    simulation.start()
    simulation.run(KNOWN)
    return simulation


def _everything(simulation: Simulation) -> None:
    simulation.remove(*{path.partition("/")[0] for path in simulation.volume.files})


def _reset(simulation: Simulation) -> None:
    _everything(simulation)
    simulation.fill(100, *(f"default-{number}" for number in range(4)))


def _one_a_day(simulation: Simulation) -> None:
    for tenant in TENANTS[:3]:
        simulation.remove(tenant)
        simulation.run(1800)


def _fresh_database(simulation: Simulation, *, pause: float) -> None:
    _everything(simulation)
    simulation.run(pause)
    _system_files(simulation)


def _new_names(simulation: Simulation) -> None:
    _everything(simulation)
    for number in range(2000):
        simulation.write(f"new-{number:04}", 77)


EXAMPLES: dict[str, tuple[Callable[[], Simulation], Callable[[Simulation], object]]] = {
    "`rm -rf /app/skills/*`": (_tenants, _everything),
    "the same, and the application writes 400 default files": (_tenants, _reset),
    "tenant `acme` leaves, and is deleted": (_tenants, lambda one: one.remove("acme")),
    "`acme` and `beta` are deleted together": (_tenants, lambda one: one.remove("acme", "beta")),
    "`acme` today, `beta` tomorrow, `core` the day after": (_tenants, _one_a_day),
    "all files of `acme` are moved to `archive/acme`": (_tenants, lambda one: one.move("acme", "archive/acme")),
    "every tenant also has a `cache/` of 200 files, and all are emptied": (
        _tenants_with_caches,
        lambda one: one.remove(*(f"{tenant}/cache" for tenant in TENANTS)),
    ),
    "all files are deleted": (_flat, _everything),
    "1,900 of 2,000 are deleted": (_flat, lambda one: one.remove(*(f"file-{n:04}" for n in range(1900)))),
    "the same, with `GUARD_MIN_FILES=500`": (
        lambda: _flat(500),
        lambda one: one.remove(*(f"file-{n:04}" for n in range(1900))),
    ),
    "a weekly job replaces all files with new ones of other names": (_flat, _new_names),
    "it works": (_database, lambda one: one.write("base/5/16384", 60_000_000)),
    "the folder is emptied, the pod is still up": (_database, _everything),
    "it starts on the empty folder and creates a fresh database": (
        _database,
        lambda one: _fresh_database(one, pause=30),
    ),
    "a fresh database replaces the old one at once": (_database, lambda one: _fresh_database(one, pause=0)),
}
ROWS = {row[0]: row[1] for table in PAGE.tables if table[0][0] == "what happens" for row in table[2:]}


def test_every_row_of_the_page_is_an_example_or_continues_the_one_before() -> None:
    assert ROWS.keys() - EXAMPLES.keys() == {"then the 400 default files are removed, and 300 of the old ones restored"}
    assert EXAMPLES.keys() <= ROWS.keys()


@pytest.mark.parametrize("what", EXAMPLES)
def test_an_example_gets_the_verdict_of_the_page(what: str) -> None:
    build, do = EXAMPLES[what]
    simulation = build()
    assert simulation.events() == []
    do(simulation)
    simulation.run(JUDGED)
    verdicts = {line.event.label.removeprefix("volume.") for line in simulation.events("volume.wiped", "volume.shrunk")}
    named = next(word for word in ("wiped", "shrunk", "shrink", "nothing") if word in ROWS[what])
    expected = {"shrink": {"shrunk"}, "nothing": set()}.get(named, {named})
    assert verdicts == expected
    replaced = [line.fields["replaced"] for line in simulation.events("volume.wiped")]
    if "replaced: true" in ROWS[what]:
        assert replaced == [True]
    assert simulation.events("volume.recovered") == []


def test_three_of_four_tenants_back_end_the_incident_and_the_defaults_do_not() -> None:
    simulation = _tenants()
    _reset(simulation)
    simulation.run(JUDGED)
    assert simulation.events("volume.recovered") == []
    simulation.remove(*(f"default-{number}" for number in range(4)))
    simulation.fill(100, *TENANTS[:3])
    simulation.run(JUDGED)
    assert len(simulation.events("volume.recovered")) == 1
