"""What /livez, /readyz and /metrics say of a vigil."""

import time
from collections import Counter
from collections.abc import Callable, Iterable

import guard
from guard.event import Event, EventRecord
from guard.report.metrics import CONTENT_TYPE, Metric, render
from guard.volume.kinds import Kind
from guard.watch.endpoints import Page
from guard.watch.options import Options
from guard.watch.sightings import Moment
from guard.watch.standing import Condition
from guard.watch.vigil import Vigil

#: Looks that may be late before the watcher counts as dead.
_INTERVALS = 3
#: What is counted in volume_guard_incidents_total, from 0 on.
_INCIDENTS = (
    Event.VOLUME_WIPED,
    Event.VOLUME_SHRUNK,
    Event.VOLUME_UNMOUNTED,
    Event.VOLUME_REPLACED,
    Event.VOLUME_UNREACHABLE,
    Event.VOLUME_READ_ONLY,
    Event.MARKER_MISSING,
    Event.MARKER_CHANGED,
    Event.MARKER_INVALID,
    Event.LEDGER_INVALID,
    Event.LEDGER_UNWRITABLE,
    Event.WATCH_BLIND,
)


class Pages:
    """Answers from what the vigil knows; looks at nothing itself.

    Args:
        vigil: What is known.
        options: What was asked for.
    """

    def __init__(self, vigil: Vigil, options: Options) -> None:
        self._vigil = vigil
        self._options = options
        self._completed = time.monotonic()
        self._looked = 0.0
        self._events: Counter[Event] = Counter()

    def table(self) -> dict[str, Callable[[], Page]]:
        """What stands at each path."""
        return {"/livez": self._livez, "/readyz": self._readyz, "/metrics": self._metrics}

    def completed(self, at: float) -> None:
        """Takes that something is done on the volume, that it does not answer, or that a long count moves."""
        self._completed = max(self._completed, at)

    def looked(self, moment: Moment) -> None:
        """Takes that a look is done, one of an unreachable volume too."""
        self.completed(moment.at)
        self._looked = moment.wall.timestamp()

    def happened(self, happening: EventRecord) -> None:
        """Counts what was said aloud: what happens to a held volume was announced."""
        if happening.severity >= happening.event.severity:
            self._events[happening.event] += 1

    def _livez(self) -> Page:
        # A look of a hung volume is complete when its deadline has passed, however short the interval is.
        patience = self._options.expected.probe_timeout
        limit = max(_INTERVALS * self._options.interval, self._options.interval + 2 * patience)
        age = time.monotonic() - self._completed
        sentence = f"the last completed look is {age:.1f} s old, allowed are {limit:.1f} s\n"
        return Page("200 OK" if age < limit else "503 Service Unavailable", sentence)

    def _readyz(self) -> Page:
        there = self._vigil.data_is_there
        ready = there or not self._options.unready
        sentence = "the data is there\n" if there else "the data is not there\n"
        return Page("200 OK" if ready else "503 Service Unavailable", sentence)

    def _metrics(self) -> Page:
        return Page("200 OK", render(self._families()), CONTENT_TYPE)

    def _families(self) -> Iterable[Metric]:
        vigil, look = self._vigil, self._vigil.look
        yield _gauge("volume_healthy", "Whether nothing is known to be wrong with the volume.", vigil.healthy)
        conditions = tuple(
            ({"type": condition.value, "status": status}, float(vigil.status(condition) == status))
            for condition in Condition
            for status in ("true", "false", "unknown")
        )
        yield Metric(
            "volume_guard_volume_status_condition",
            "gauge",
            "What is known of each condition of the volume.",
            conditions,
        )
        if vigil.census is not None:
            yield _gauge("files", "Files at the last count.", vigil.census.files)
        if vigil.keeper is not None:
            reference = vigil.keeper.reference
            yield _gauge(
                "reference_files", "Files that losses are judged against.", reference.files if reference else 0
            )
        yield _gauge("last_look_timestamp_seconds", "When the last look was completed.", self._looked)
        yield _gauge(
            "last_change_timestamp_seconds",
            "When a file was last created, moved or removed, or the watcher started.",
            vigil.changed.wall.timestamp(),
        )
        incidents = tuple(({"event": event.label}, float(self._events[event])) for event in _INCIDENTS)
        yield Metric("volume_guard_incidents_total", "counter", "Lines said about losses and blindness.", incidents)
        yield _gauge("tripwire_armed", "Whether every folder is watched for removals.", vigil.wiring.complete)
        info = {
            "volume": self._options.expected.volume,
            "kind": (look.kind if look else Kind.UNKNOWN).value,
            "fstype": look.mount.fstype if look and look.mount else "",
            "node": self._options.where.node or "",
        }
        yield Metric("volume_guard_volume_info", "gauge", "The volume as it was last seen.", ((info, 1.0),))
        build = {"version": guard.__version__}
        yield Metric("volume_guard_build_info", "gauge", "The guard's version.", ((build, 1.0),))


def _gauge(name: str, sentence: str, value: float) -> Metric:
    return Metric(f"volume_guard_{name}", "gauge", sentence, (({}, float(value)),))
