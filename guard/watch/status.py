"""What /livez, /readyz and /metrics answer, from what the watcher knows. Nothing is looked at here."""

import time
from collections import Counter
from collections.abc import Callable, Iterable

import guard
from guard.event import Event, EventName, EventRecord
from guard.outcome import Severity
from guard.report.metrics import CONTENT_TYPE, Metric, render
from guard.volume.kinds import Kind
from guard.volume.timestamp import Timestamp
from guard.watch.conditions import Condition
from guard.watch.config import WatchConfig
from guard.watch.http_server import Page
from guard.watch.watcher import Watcher

#: Looks that may be late before the watcher counts as dead.
_INTERVALS = 3
#: What is counted in volume_guard_incidents_total, from 0 on.
_INCIDENTS = (
    Event.VOLUME_WIPED,
    Event.VOLUME_SHRUNK,
    Event.VOLUME_FULL,
    Event.VOLUME_UNMOUNTED,
    Event.VOLUME_REPLACED,
    Event.VOLUME_UNREACHABLE,
    Event.VOLUME_READ_ONLY,
    Event.MARKER_MISSING,
    Event.MARKER_CHANGED,
    Event.MARKER_INVALID,
    Event.LEDGER_INVALID,
    Event.LEDGER_STALE,
    Event.LEDGER_UNWRITABLE,
    Event.WATCH_BLIND,
)


class StatusPages:
    """The answers."""

    def __init__(self, watcher: Watcher, config: WatchConfig) -> None:
        self._watcher = watcher
        self._config = config
        self._completed = time.monotonic()
        self._looked = 0.0
        self._events: Counter[EventName] = Counter()

    def table(self) -> dict[str, Callable[[], Page]]:
        """Returns the page of each path."""
        return {"/livez": self._livez, "/readyz": self._readyz, "/metrics": self._metrics}

    def on_completed(self, at: float) -> None:
        """Handles that something is done on the volume, that it does not answer, or that a long count moves."""
        self._completed = max(self._completed, at)

    def on_look(self, now: Timestamp) -> None:
        """Handles that a look is done, one of an unreachable volume too."""
        self.on_completed(now.at)
        self._looked = now.wall.timestamp()

    def on_listening(self, address: str, refused: str) -> None:
        """Handles that a port was opened, or why it can't be."""
        if not self._watcher.incident.is_news("listening", refused or "open"):
            return
        message, severity = f"Listening on {address} for /livez, /readyz and /metrics.", Severity.INFO
        if refused:
            severity = Severity.WARNING
            message = (
                f"Nobody can ask for /livez or /metrics: {address} can't be opened: {refused}. The watch continues, and the "
                "port is tried again. GUARD_LISTEN sets another one."
            )
        emit = self._watcher.incident.emit
        emit(Event.WATCH_LISTENING, message, severity=severity, address=address, reason=refused or None)

    def on_record(self, record: EventRecord) -> None:
        """Counts what was reported as loud as its event: what happens to a held volume was announced."""
        if record.severity >= record.event.severity:
            self._events[record.event] += 1

    def _livez(self) -> Page:
        # A look of a hung volume is complete when its deadline has passed, however short the interval is.
        patience, interval = self._config.expected.probe_timeout, self._config.interval
        limit = max(_INTERVALS * interval, interval + 2 * patience)
        age = time.monotonic() - self._completed
        sentence = f"the last check was completed {age:.1f} s ago; the limit is {limit:.1f} s\n"
        return Page("200 OK" if age < limit else "503 Service Unavailable", sentence)

    def _readyz(self) -> Page:
        there = self._watcher.has_data
        sentence = "the data is there\n" if there else "the data is not there\n"
        return Page("200 OK" if there or not self._config.unready else "503 Service Unavailable", sentence)

    def _metrics(self) -> Page:
        return Page("200 OK", render(self._families()), CONTENT_TYPE)

    def _families(self) -> Iterable[Metric]:
        watcher, look = self._watcher, self._watcher.look
        yield _gauge("volume_healthy", "Whether nothing is known to be wrong with the volume.", watcher.is_healthy)
        conditions = tuple(
            ({"type": condition.value, "status": status}, float(watcher.status(condition) == status))
            for condition in Condition
            for status in ("true", "false", "unknown")
        )
        help_text = "What is known of each condition of the volume."
        yield Metric("volume_guard_volume_status_condition", "gauge", help_text, conditions)
        content = watcher.content
        if content.count is not None:
            yield _gauge("files", "Files at the last count.", content.count.files)
        if content.reference is not None:
            yield _gauge("reference_files", "Files that losses are judged against.", content.reference.files)
            yield _gauge(
                "sample_kept_ratio", "Share of the checked sample files that are there.", content.sample.kept_ratio
            )
        if look is not None and look.space is not None:
            yield _gauge("avail_bytes", "Bytes that the guard's user can still use.", look.space.available)
            yield _gauge("size_bytes", "Bytes of the file system.", look.space.size)
            yield _gauge("inodes_free", "Inodes that can still be used.", look.space.free_inodes)
            yield _gauge("inodes", "Inodes of the file system; 0 where it does not count them.", look.space.inodes)
        yield _gauge("held", "Whether work on the volume is announced.", watcher.documents.hold is not None)
        yield _gauge("last_look_timestamp_seconds", "When the last look was completed.", self._looked)
        changed = watcher.changed.wall.timestamp()
        help_text = "When a file was last created, moved or removed, or the watcher started."
        yield _gauge("last_change_timestamp_seconds", help_text, changed)
        incidents = tuple(({"event": event.label}, float(self._events[event])) for event in _INCIDENTS)
        yield Metric("volume_guard_incidents_total", "counter", "Lines about losses and failures.", incidents)
        yield _gauge("tripwire_armed", "Whether every folder is watched for removals.", watcher.tripwire.is_complete)
        info = {
            "volume": self._config.expected.volume,
            "kind": (look.kind if look else Kind.UNKNOWN).value,
            "fstype": look.mount.fstype if look and look.mount else "",
            "node": self._config.pod.node or "",
        }
        yield Metric("volume_guard_volume_info", "gauge", "The volume as it was last seen.", ((info, 1.0),))
        build = {"version": guard.__version__}
        yield Metric("volume_guard_build_info", "gauge", "The guard's version.", ((build, 1.0),))


def _gauge(name: str, sentence: str, value: float) -> Metric:
    return Metric(f"volume_guard_{name}", "gauge", sentence, (({}, float(value)),))
