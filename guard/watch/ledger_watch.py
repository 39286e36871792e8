"""What the documents of a look tell of the content, and when and why the ledger is written again. Pure; time is a parameter."""

from dataclasses import replace
from operator import is_not
from typing import Any

from guard.event import Event
from guard.outcome import Severity
from guard.volume.ledger import Ledger, LedgerIncident, Reference
from guard.volume.loss import KNOWN, Verdict
from guard.volume.marker import Marker
from guard.volume.observation import InvalidDocument, Look, ProbeFault
from guard.volume.timestamp import Timestamp, seconds_of
from guard.volume.verdict import Concern, ledger_warning, usable_ledger
from guard.watch import messages
from guard.watch.conditions import Condition, ConditionFailure, marker_id_of
from guard.watch.config import WatchConfig
from guard.watch.content import GREW_OR_FELL, ContentTracker, Judged, Returned
from guard.watch.documents import DocumentTracker, LedgerNews
from guard.watch.episode import NEVER
from guard.watch.incident import Incident

#: The ledger is written at most once in so many seconds ...
_WRITE_EVERY = 60.0
#: ... however quiet the volume is, at least once in so many ...
_WRITE_AT_LEAST = 900.0
#: ... and within so many after the number of files grew or fell much.
_WRITE_SOON = 2.0
#: A full volume is reported again once this share of it was free in between.
_FREE_AGAIN = 0.05
#: What a refused write lacks where a look finds room.
_REFUSED = "space or quota"


class LedgerWatch:
    """The ledger of one volume, read and written.

    Attributes:
        write_refused: A write was refused as on a read-only file system.
    """

    def __init__(
        self,
        config: WatchConfig,
        documents: DocumentTracker,
        content: ContentTracker,
        incident: Incident,
        jitter: float,
    ) -> None:
        self.write_refused = False
        self._config = config
        self._documents = documents
        self._content = content
        self._incident = incident
        self._jitter = jitter
        self._tried = float("-inf")
        self._failed = False
        self._urgent = False
        self._is_future = False
        self._full: set[str] = set()
        self._asked: tuple[object, ...] = (None,) * 4
        self._pause = 0.0

    # What was read.

    def on_look(self, now: Timestamp, look: Look, *, is_identified: bool) -> None:
        """Handles the documents of a look; `is_identified` where its marker is not a wrong one."""
        documents, emit, before = self._documents, self._incident.emit, self._documents.hold
        warning = ledger_warning(look)
        self._is_future = isinstance(look.ledger, InvalidDocument) and look.ledger.future
        if self._incident.is_news("ledger", warning):
            emit(
                Event.LEDGER_INVALID,
                messages.ledger_invalid(look.path, warning, future=self._is_future),
                reason=warning,
            )
        if is_identified or not marker_id_of(look):
            self._on_ledger(now, look)
        if documents.on_hold(look.hold):
            emit(Event.LEDGER_STALE, messages.hold_stale(self._config, look), document="hold.json")
        if documents.hold is not None and documents.hold != before:
            emit(Event.VOLUME_HELD, messages.held(self._config, look, documents.hold), severity=Severity.INFO)
        # Where the marker went too, the hold was removed with everything else: nobody ended the work.
        if documents.hold is None and before is not None and isinstance(look.marker, Marker):
            emit(Event.VOLUME_RELEASED, messages.RELEASED.format(path=look.path), severity=Severity.INFO)

    def _on_ledger(self, now: Timestamp, look: Look) -> None:
        ledger, content = usable_ledger(look), self._content
        marker_id = marker_id_of(look) or (ledger.marker_id if ledger else "")
        news = self._documents.on_ledger(marker_id, ledger) if marker_id else LedgerNews.NOTHING
        reference, incident = (ledger.reference, ledger.incident) if ledger else (None, None)
        if news in {LedgerNews.ACCEPTED, LedgerNews.UPDATED, LedgerNews.RECOVERED}:
            self._tried = max(self._tried, now.at)  # somebody else wrote it
        if news is LedgerNews.FIRST:
            content.start(now, reference, ledger.written if ledger else now.text)
        elif news in {LedgerNews.ACCEPTED, LedgerNews.ADOPTED}:
            content.take_reference(now, reference)
            accepted = messages.ACCEPTED.format(path=look.path)
            if not self._incident.accept(now, accepted):
                self._incident.emit(Event.VOLUME_ACCEPTED, f"{accepted}.", severity=Severity.INFO)
            incident = None
        elif news is LedgerNews.STALE and ledger is not None:
            stale = messages.ledger_stale(look.path, ledger)
            self._incident.emit(Event.LEDGER_STALE, stale, document="ledger.json")
            incident = None
        elif news in {LedgerNews.UPDATED, LedgerNews.RECOVERED} and reference is not None:
            if news is LedgerNews.RECOVERED and content.incident is not None:
                content.take_reference(now, reference)
                self._incident.recover(now, Condition.CONTENT, messages.RIGHT_AGAIN.format(path=look.path))
            content.follow(reference)
        else:
            incident = None
        if incident is not None and content.incident is None:
            self._open(now, incident, messages.incident_open(self._config, look, incident))

    def recover(self, now: Timestamp, condition: Condition, message: str, **fields: Any) -> None:
        """Handles that a condition holds again; where that ends the incident, the next one has another ID in every pod."""
        if self._incident.recover(now, condition, message, **fields) and self._documents.marker_id:
            self._documents.next_generation()
            self._write_now()

    # What became of the content.

    def on_change(self, now: Timestamp, look: Look, change: Judged | Returned) -> None:
        """Handles a loss, or that what was lost is back."""
        if isinstance(change, Judged):
            self._on_judged(now, look, change)
            return
        message = messages.back(look.path, change.kept, change.checked)
        fields = {"kept": change.kept, "checked": change.checked}
        if change.wiped:
            self.recover(now, Condition.CONTENT, message, **fields)
            self._write_now()
        else:
            self._incident.shrink(Event.VOLUME_RECOVERED, f"{message}.", **fields)

    def _on_judged(self, now: Timestamp, look: Look, judged: Judged) -> None:
        loss, first_sign = judged.loss, judged.first_sign
        fields = {"first_sign": first_sign, "settled": now.text, "tripwire": judged.trigger.value}
        fields |= messages.loss_fields(loss)
        if loss.verdict is not Verdict.WIPED:
            message = f"{look.path}: {messages.concern(look, Concern.SHRUNK, loss=loss)}"
            self._incident.shrink(Event.VOLUME_SHRUNK, message, **fields)
            return
        incident_id, failure = (
            self._documents.incident_id,
            messages.wiped(self._config, look, loss, self._content.count),
        )
        opened = LedgerIncident(incident_id, Event.VOLUME_WIPED.label, first_sign, loss.before, failure.found)
        self._open(now, opened, failure, **fields)
        self._write_now()

    def _open(self, now: Timestamp, incident: LedgerIncident, failure: ConditionFailure, **fields: Any) -> None:
        self._content.open(incident)
        all_fields = {"before": incident.before, "first_sign": incident.since, **fields}
        self._incident.fail(now, Condition.CONTENT, failure, **all_fields)

    # What is written.

    def ledger(self, now: Timestamp) -> Ledger | None:
        """Returns the ledger as it must be written; None where it must stay as it is."""
        documents, content, pod = self._documents, self._content, self._config.pod
        if content.reference is None or not self._may_write:
            return None
        return Ledger(
            documents.marker_id, documents.generation, content.reference, now.text, pod.pod, pod.node, content.incident
        )

    @property
    def _may_write(self) -> bool:
        refused = self._incident.is_failed(Condition.WRITABLE) and not self.write_refused
        wrong = refused or self._incident.is_failed(Condition.IDENTITY)
        return bool(self._documents.marker_id) and self._documents.hold is None and not (wrong or self._is_future)

    def due(self) -> float:
        """Returns when the ledger must be written, on the monotonic clock; a time in the past means now."""
        stored, reference = self._documents.stored, self._content.reference
        if reference is None or not self._may_write:
            return NEVER
        if self._failed:
            return self._tried + self._jitter * _WRITE_EVERY
        if self._urgent or stored is None:
            return self._tried + _WRITE_SOON
        asked = (stored, reference, self._documents.generation, self._content.incident)
        if any(map(is_not, asked, self._asked)):  # asked often, and a sample is long
            self._asked, self._pause = asked, self._find_pause(stored, reference)
        return self._tried + self._pause

    def _find_pause(self, stored: Ledger, reference: Reference) -> float:
        """How long the stored ledger may stay as it is."""
        known, before = (self._documents.generation, self._content.incident), stored.reference.files
        same = (stored.generation, stored.incident) == known and _plain(stored.reference) == _plain(reference)
        if not same and abs(reference.files - before) >= GREW_OR_FELL * before:
            return _WRITE_SOON
        if not same or _has_young_files(stored):
            return self._jitter * _WRITE_EVERY
        # A write that fails is tried again after _WRITE_EVERY, and that one must not be late either.
        return (_WRITE_AT_LEAST - _WRITE_EVERY) / self._jitter

    def _write_now(self) -> None:
        self._urgent, self._failed, self._tried = True, False, float("-inf")

    def on_write(self, now: Timestamp, look: Look, written: Ledger | None, fault: ProbeFault | None) -> None:
        """Handles what became of writing the ledger: written, overtaken by somebody (neither), or failed."""
        self._tried, self._failed = now.at, written is None
        if written is not None:
            self._documents.on_stored(written)
            self._urgent = False
            self._full.discard(_REFUSED)
            self._incident.is_news("write", None)
        elif fault is None:
            return  # whoever was faster tells nothing of this pod's writes
        path = self._config.expected.path
        if fault is not None and fault.read_only and self._config.expected.writable:
            self.write_refused = True
            self._incident.fail(now, Condition.WRITABLE, messages.read_only(path, fault))
            return
        # A read-only file system would have refused a write as such.
        if self.write_refused and (fault is None or fault.full or fault.denied):
            self.write_refused = False
            self.recover(now, Condition.WRITABLE, messages.RIGHT_AGAIN.format(path=path))
        if fault is not None and fault.full:
            self._report_full(look, (look.space.full if look.space else "") or _REFUSED)
        elif fault is not None and self._incident.is_news("write", fault.code):
            self._incident.emit(Event.LEDGER_UNWRITABLE, messages.unwritable(path, fault), reason=fault.code)

    def on_space(self, look: Look) -> None:
        """Handles what room a look found."""
        space = look.space
        if space is None:
            return
        if space.full:
            self._report_full(look, space.full, avail_bytes=space.available, inodes_free=space.free_inodes)
        free = {"space": space.available / (space.size or 1)}
        free["inodes"] = space.free_inodes / space.inodes if space.inodes else 1.0
        self._full -= {missing for missing, share in free.items() if share >= _FREE_AGAIN}

    def _report_full(self, look: Look, missing: str, **fields: Any) -> None:
        is_known = missing in self._full or _REFUSED in self._full or (missing == _REFUSED and bool(self._full))
        self._full.add(missing)
        if not is_known:
            concern = Concern.NO_INODES if missing == "inodes" else Concern.NO_SPACE
            self._incident.emit(Event.VOLUME_FULL, messages.concern(look, concern), missing=missing, **fields)


def _has_young_files(ledger: Ledger) -> bool:
    """Whether files were not yet known when it was written: if the pod is killed, a gate could not miss them."""
    written = seconds_of(ledger.written)
    return any(written - KNOWN < file.since <= written for file in ledger.reference.sample)


def _plain(reference: Reference) -> Reference:
    """A reference without times and mtimes."""
    sample = sorted(reference.sample, key=lambda file: file.path)
    return replace(reference, counted="", sample=tuple(replace(file, mtime=0) for file in sample))
