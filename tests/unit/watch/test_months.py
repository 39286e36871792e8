"""One watcher over months of ordinary life and the usual mishaps: each is reported once, and nothing it remembers grows.

By default a month at looks that are rare; `MONTHS=24` is as long as a pod can live, with a look a minute.
"""

import errno
import gc
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from guard.volume.hold import Hold
from guard.volume.observation import ProbeFault
from tests.unit.watch.simulation import DAY, HOUR, MINUTE, Simulation

#: Traced, it would take three times as long.
pytestmark = pytest.mark.no_cover

_MONTHS = int(os.environ.get("MONTHS", "1"))
_INTERVAL = float(os.environ.get("MONTHS_INTERVAL", "60" if _MONTHS > 1 else "1200"))
#: Days of a month.
_DAYS = 28
#: Days for which an uploaded skill is kept.
_KEPT = 12
_TENANTS = 6


class _Life:
    """What happens on the volume."""

    def __init__(self) -> None:
        self.simulation = Simulation(interval=_INTERVAL)
        for day in range(-_KEPT, 0):
            self._upload(day)
        self.simulation.adopt()
        watch = self.simulation.start()
        self.watcher = watch.watcher
        self.watch = watch

    def _upload(self, day: int) -> None:
        for number in range(5):
            self.simulation.write(f"tenant-{day % _TENANTS}/skill-{day}/{number}", 100 + number)

    def ordinary_day(self, day: int) -> None:
        """Uploads, updates, temporary trees, rewriting, and a skill that is removed for good."""
        simulation = self.simulation
        self._upload(day)
        simulation.run(5 * HOUR)
        simulation.remove(f"tenant-{(day - 1) % _TENANTS}/skill-{day - 1}")
        simulation.run(1)
        self._upload(day - 1)
        simulation.run(5 * HOUR)
        simulation.fill(9, f"tmp-{day}/a", f"tmp-{day}/b")
        simulation.run(MINUTE)
        simulation.remove(f"tmp-{day}")
        simulation.run(5 * HOUR)
        simulation.remove(f"tenant-{(day - _KEPT) % _TENANTS}/skill-{day - _KEPT}")
        simulation.run(DAY - 15 * HOUR - MINUTE - 1)

    def _meanwhile(self, *names: str, **fields: object) -> list[str]:
        """The volume is like that for an hour; what must be reported."""
        before = {name: getattr(self.simulation.volume, name) for name in fields}
        vars(self.simulation.volume).update(fields)
        self.simulation.run(HOUR)
        vars(self.simulation.volume).update(before)
        self.simulation.run(HOUR)
        return list(names)

    def wipe(self) -> list[str]:
        """Everything is removed, and restored."""
        before = dict(self.simulation.volume.files)
        self.simulation.remove()
        self.simulation.run(HOUR)
        self.simulation.volume.files.update(before)
        self.simulation.run(HOUR)
        return ["volume.wiped", "volume.recovered"]

    def shrink(self) -> list[str]:
        """Half of the files is removed for good; by the next month as many have come again."""
        self.simulation.remove(*(f"tenant-{number}" for number in range(_TENANTS // 2)))
        self.simulation.run(HOUR)
        return ["volume.shrunk"]

    def hold(self) -> list[str]:
        """Work is announced, everything is replaced in it, and accepted."""
        simulation = self.simulation
        simulation.volume.hold = Hold("me", simulation.time.text, "migration", self.watcher.documents.generation)
        simulation.run(HOUR)
        files = dict(simulation.volume.files)
        simulation.remove()
        simulation.volume.files.update(files)
        simulation.run(HOUR)
        simulation.accept()
        simulation.volume.hold = None
        simulation.run(HOUR)
        return ["volume.accepted"]

    def mishaps(self) -> tuple[Callable[[], list[str]], ...]:
        """What happens in a month; each returns what must be reported."""
        stale = ProbeFault(errno.ESTALE, "listing")
        recovered = "volume.recovered"
        other = replace(self.simulation.volume.mount, mount_id=130, device="8:32")
        return (
            self.wipe,
            self.hold,
            self.shrink,
            lambda: self._meanwhile("volume.unmounted", recovered, is_mounted=False),
            lambda: self._meanwhile("volume.unreachable", recovered, fault=stale),
            lambda: self._meanwhile("volume.read-only", recovered, read_only="the mount is read-only"),
            lambda: self._meanwhile("volume.full", free=0.0),
            lambda: self._meanwhile("volume.replaced", recovered, mount=other, fsid=8, marker=None),
            lambda: self._meanwhile("marker.missing", recovered, marker=None),
        )

    def month(self, number: int) -> None:
        """Days in which nothing may be reported but the mishaps of the first ones."""
        mishaps = self.mishaps()
        for day in range(_DAYS):
            self.ordinary_day(number * _DAYS + day)
            assert self._take_events() == []
            if day < len(mishaps):
                expected = mishaps[day]()
                assert self._take_events() == expected

    def _take_events(self) -> list[str]:
        events = [line.event.label for line in self.simulation.events()]
        self.simulation.lines.clear()
        return events

    def size(self) -> tuple[int, int]:
        """The bytes of all that the watcher remembers, and what the interpreter has allocated, in blocks."""
        state = len(pickle.dumps(self.watcher))
        gc.collect()
        return state, sys.getallocatedblocks()


def test_months_of_ordinary_life_and_mishaps_leave_a_watcher_as_large_as_it_was() -> None:
    life = _Life()
    sizes = []
    for month in range(_MONTHS + 1):  # the first fills what has a bound
        life.month(month)
        sizes.append(life.size())
    sys.stdout.write(
        f"{life.watch.looks} looks in {_MONTHS + 1} months: {sizes[0]} bytes and blocks, then {sizes[-1]}\n"
    )
    states, blocks = zip(*sizes, strict=True)
    assert max(states) < 1.02 * states[0]
    assert max(blocks) < blocks[0] + 1000
