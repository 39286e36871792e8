"""The watcher: what was observed goes in; what to do next, and what is to be logged, comes out. Pure; time is a parameter.

The loop carries requests to the prober and answers back; it decides nothing. The simulation in the tests runs this code.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from guard.event import Event
from guard.fields import hold_facts
from guard.outcome import Severity
from guard.volume.ledger import Ledger
from guard.volume.observation import CountOptions, FileCount, Look, LookResult, ProbeFault, TripwireState, is_same_mount
from guard.volume.sample import Presence, SampledFile
from guard.volume.timestamp import Timestamp
from guard.volume.verdict import Concern, hidden_by
from guard.watch import messages
from guard.watch.conditions import NO_ROOT, Condition, ConditionReport, evaluate_conditions, marker_id_of
from guard.watch.config import WatchConfig
from guard.watch.content import ContentTracker
from guard.watch.documents import DocumentTracker
from guard.watch.episode import Trigger
from guard.watch.incident import Incident
from guard.watch.ledger_watch import LedgerWatch
from guard.watch.tripwire_supervisor import TripwireSupervisor

#: A volume counts as unreachable after so many looks in a row that failed: one may be a hiccup.
_LOOKS = 2
#: Seconds after a failed look at which it is repeated, where it failed at once.
_REPEAT = 1.0


class Action(Enum):
    """What the prober can be asked for, the most urgent first."""

    LOOK = "look"
    ARM = "arm"
    COUNT = "count"
    WRITE = "write"


@dataclass(frozen=True)
class NextRequest:
    """What the prober must be asked for next.

    Attributes:
        action: What.
        at: When, on the monotonic clock; a time in the past means now.
        files: For a look that is due: the sampled files to check.
        options: For a count that is due.
        ledger: For a write that is due.
    """

    action: Action
    at: float
    files: tuple[SampledFile, ...] = ()
    options: CountOptions | None = None
    ledger: Ledger | None = None


class Watcher:
    """Watches over one volume.

    Attributes:
        documents: Marker, ledger and hold.
        content: Which files there are.
        tripwire: How the tripwire is.
        incident: What is wrong, and what is to be logged.
        look: The last look that counts; None before it.
        changed: When a name was last seen to come, move or go, or the watcher started.

    Args:
        now: The time.
        config: The settings.
        run: The operation of this watcher's own lines.
        seed: For everything that is spread by chance.
        jitter: From 1.0 to 1.1: many watchers of one volume must not count and write at once.
    """

    def __init__(self, now: Timestamp, config: WatchConfig, run: str, seed: int = 0, jitter: float = 1.0) -> None:
        self.documents = DocumentTracker(config.expected.volume, config.pod)
        self.content = ContentTracker(config, self.documents, jitter, seed)
        self.tripwire = TripwireSupervisor()
        self.incident = Incident(self.documents, self._fields, run)
        self._ledger = LedgerWatch(config, self.documents, self.content, self.incident, jitter)
        self.look: Look | None = None
        self.changed = now
        self._config = config
        self._path = config.expected.path
        self._known: Look | None = None  # the last look at the right volume
        self._replaced_since: float | None = None
        self._hidden: frozenset[str] = frozenset()
        self._report: ConditionReport | None = None
        self._failed_looks = 0
        self._look_at = now.at
        self._interval = config.interval * (jitter - 0.05)  # spreads the looks of many watchers

    # What is known.

    def status(self, condition: Condition) -> str:
        """Returns `true`, `false`, or `unknown` where the last look could not tell (for the content: while it is held)."""
        report, is_content = self._report, condition is Condition.CONTENT
        if is_content and self.documents.hold is not None:
            return "unknown"
        if self.incident.is_failed(condition):
            return "false"
        if report is None or (not report.is_reachable and condition is not Condition.REACHABLE):
            return "unknown"
        is_seen = report.is_ours and self.content.count is not None if is_content else condition in report.seen
        return "true" if is_seen else "unknown"

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is known to be wrong, and the volume answers."""
        return self.look is not None and all(self.status(condition) != "false" for condition in Condition)

    @property
    def has_data(self) -> bool:
        """Whether an application behind it would serve its users' data."""
        absent = self.incident.is_failed(Condition.MOUNTED, Condition.IDENTITY, Condition.CONTENT)
        return self._report is not None and not absent

    @property
    def _is_ours(self) -> bool:
        return self._report is not None and self._report.is_ours and not self._failed_looks

    # What is wanted next.

    def next_request(self, time: Timestamp, *, looks_only: bool = False) -> NextRequest:
        """Returns what the prober must be asked for next.

        Args:
            time: The time.
            looks_only: Nothing else is possible: probers are stuck in the kernel, or none can be started.
        """
        dues = {Action.LOOK: self._look_at}
        if self._is_ours and not looks_only:
            check = self.content.check_due(time.at, armed=self.tripwire.armed)
            dues[Action.LOOK] = min(self._look_at, check)
            dues[Action.ARM] = self.tripwire.due(self.content.gone_at)
            dues[Action.COUNT] = self.content.count_due()
            dues[Action.WRITE] = self._ledger.due()
        action = next((action for action, at in dues.items() if at <= time.at), None)
        if action is None:
            return NextRequest(*min(dues.items(), key=lambda due: due[1]))
        request = NextRequest(action, dues[action])
        if action is Action.LOOK:
            return replace(request, files=self.content.files_to_check())
        if action is Action.COUNT:
            return replace(request, options=self.content.count_options())
        return replace(request, ledger=self.ledger_to_write(time)) if action is Action.WRITE else request

    def ledger_to_write(self, now: Timestamp) -> Ledger | None:
        """Returns the ledger as it must be written; None where it must stay as it is."""
        return self._ledger.ledger(now) if self._is_ours else None

    # Looks.

    def on_look(self, now: Timestamp, result: LookResult) -> None:
        """Handles a look, also one that failed."""
        report = evaluate_conditions(self._config, self._known, result.look, self._replaced_since)
        self._on_report(now, result, report)

    def on_no_probe(self, now: Timestamp, look: Look, code: str) -> None:
        """Handles that no process could be started that looks: nothing new is known, as after a look that failed."""
        failure = messages.no_probe(self._path, code)
        report = ConditionReport({Condition.REACHABLE: failure}, frozenset(), is_ours=False)
        self._on_report(now, LookResult(look), report)

    def _on_report(self, now: Timestamp, result: LookResult, report: ConditionReport) -> None:
        look = result.look
        self._report, self._look_at = report, now.at + self._interval
        self._failed_looks = 0 if report.is_reachable else self._failed_looks + 1
        is_hiccup = 0 < self._failed_looks < _LOOKS
        if is_hiccup:
            hung = look.fault is not None and look.fault.number == 0
            self._look_at = now.at + (0.0 if hung else _REPEAT)
        else:
            self.look = look
        if Condition.WRITABLE in report.failures:
            self._ledger.write_refused = False  # a look saw it too, and will see its end
        if report.is_ours:
            self._ledger.on_look(now, look, is_identified=Condition.IDENTITY not in report.failures)
        # What begins comes before what ends: an unmounted volume that is then another one is one incident.
        for condition, failure in report.failures.items():
            if condition is not Condition.REACHABLE or not is_hiccup:
                self.incident.fail(now, condition, failure)
        if report.is_reachable:
            self._recover(now, report)
        if report.is_ours:
            self._on_our_volume(now, result, report)
        else:
            self._on_absent(now, report, is_hiccup=is_hiccup)
        if report.failures.keys() - {Condition.REACHABLE} or self._failed_looks >= _LOOKS:
            self._start()
        self.incident.repeat_unheld()

    def _recover(self, now: Timestamp, report: ConditionReport) -> None:
        holds = set(report.seen - report.failures.keys())
        if self._ledger.write_refused:
            holds.discard(Condition.WRITABLE)  # a write that works tells
        if report.is_ours and self.content.schedule.failures >= _LOOKS:
            holds.discard(Condition.REACHABLE)  # a count that works tells
        for condition in holds:
            self._ledger.recover(now, condition, messages.RIGHT_AGAIN.format(path=self._path))

    def _on_absent(self, now: Timestamp, report: ConditionReport, *, is_hiccup: bool) -> None:
        """Handles that the volume is not there, or does not answer."""
        self.content.drop_count()
        if not is_hiccup:
            self.content.forget()
        self.content.schedule.want(now.at)  # what happens meanwhile is not seen
        if report.is_reachable:
            self.tripwire.on_mount_change(now.at)
        if self._known is not None and Condition.MOUNTED in report.failures:
            self._known = replace(self._known, root_inode=NO_ROOT)
        identity = report.failures.get(Condition.IDENTITY)
        if identity is not None and identity.event is Event.VOLUME_REPLACED and self._replaced_since is None:
            self._replaced_since = now.wall.timestamp()

    def _on_our_volume(self, now: Timestamp, result: LookResult, report: ConditionReport) -> None:
        look = result.look
        if marker_id_of(look) and Condition.IDENTITY not in report.failures:
            if report.is_other_mount:
                self.tripwire.on_mount_change(now.at)
                self.content.suspect(now, Trigger.MOUNT_TABLE)
            self._known, self._replaced_since = look, None
        if self.tripwire.armed and result.tripwire.tripped:
            self.content.suspect(now, Trigger.EVENTS)
        self._log_blind(self.tripwire.on_look(now.at, result.tripwire))
        if result.tripwire.stirred:
            self.changed = now
        self._ledger.on_space(look)
        self._on_files(now, result)

    def _on_files(self, now: Timestamp, result: LookResult) -> None:
        look, checks = result.look, result.checked.checks if result.checked else {}
        by, known = hidden_by(look), self._hidden
        self._hidden = frozenset(by)
        if self._hidden - known:
            reason = "files are hidden by mounts"
            self._warn(messages.concern(look, Concern.HIDDEN), reason=reason, hidden_by=list(by))
        unreadable = any(check.presence is Presence.UNREADABLE for check in checks.values())
        if self.incident.is_news("unreadable files", unreadable):
            self.content.schedule.want(now.at)  # a count tells which entries can't be read
        outcome = self.content.on_look(now, look, result.checked, stirred=result.tripwire.stirred)
        if outcome is not None:
            self._ledger.on_change(now, look, outcome)

    # Counts.

    def on_count(self, now: Timestamp, count: FileCount) -> None:
        """Handles a full count."""
        schedule, look = self.content.schedule, self.look
        if count.fault is not None or look is None or not is_same_mount(look, count):
            self._look_at = now.at
            if count.fault is None or look is None:
                schedule.on_other_mount(now.at)
                return
            schedule.on_failure(now.at)
            failed = evaluate_conditions(self._config, self._known, replace(look, fault=count.fault))
            if schedule.failures >= _LOOKS and not failed.is_reachable:
                self.incident.fail(now, Condition.REACHABLE, failed.failures[Condition.REACHABLE])
                self._start()
            return
        before = self.content.count
        if before is not None and before.files != count.files:
            self.changed = now
        self._log_blind(self.tripwire.on_folders(now.at, count.folders))
        self.content.on_count(now, count)
        self._start()
        unreadable = count.unreadable_entries if count.entry_count else 0
        if self.incident.is_news("unreadable entries", unreadable):
            reason, names = f"{unreadable} of {count.entry_count} entries cannot be read", list(count.unreadable)
            self._warn(messages.concern(look, Concern.UNREADABLE, count), reason=reason, unreadable=names)

    # Signs.

    def on_events(self, now: Timestamp, *, removed: bool, storm: bool) -> None:
        """Handles what the tripwire counted: names were removed or moved, or so many that it was taken down."""
        self.changed = now
        if storm and self.tripwire.armed:
            self.tripwire.on_storm(now.at)
        if self._is_ours:
            self.content.suspect(now, Trigger.EVENTS, removed=removed or storm)

    def on_mount_change(self, now: Timestamp) -> None:
        """Handles that mounts at, above or below the path came or went."""
        self._look_at = now.at

    def on_submount_change(self, now: Timestamp) -> None:
        """Handles that mounts below the path came or went: what they hide is not lost."""
        self._look_at = now.at
        if self._is_ours:
            self.content.suspect(now, Trigger.MOUNT_TABLE)

    def on_armed(self, now: Timestamp, state: TripwireState) -> None:
        """Handles that the tripwire was armed, or could not be; what changed before it was is found by a check."""
        self._log_blind(self.tripwire.on_armed(now.at, state))
        self.content.check_all()

    def on_probe_exit(self, now: Timestamp, why: str, traceback: str) -> None:
        """Handles that the prober ended, and took the tripwire along."""
        self._look_at = now.at
        self.content.schedule.want(now.at)
        self._log_blind(self.tripwire.on_lost(now.at, why), traceback)

    def on_probe_lost(self, now: Timestamp) -> None:
        """Handles that the prober was left behind in the kernel, and the tripwire with it."""
        self.tripwire.on_mount_change(now.at)

    def on_ledger_write(self, now: Timestamp, written: Ledger | None, fault: ProbeFault | None) -> None:
        """Handles what became of writing the ledger: written, overtaken by somebody (neither), or failed."""
        assert self.look is not None
        self._ledger.on_write(now, self.look, written, fault)
        if written is None and fault is None:
            self._look_at = now.at

    # Lines.

    def _start(self) -> None:
        if not self.incident.is_started:
            content = self.content
            message, fields = messages.started(self._config, self.look, content.count, content.reference)
            self.incident.start(Event.WATCH_STARTED, message, **fields)

    def stop(self, *, is_written: bool) -> None:
        """Logs the end of the watch, and whether the last ledger is written."""
        self._start()
        ledger = "the ledger is written" if is_written else "the ledger stays as it was"
        self.incident.emit(Event.WATCH_STOPPED, f"Stopped watching {self._path}; {ledger}.", last=True)

    def _log_blind(self, why: str, traceback: str = "") -> None:
        if why:
            message = messages.BLIND.format(path=self._path, why=why)
            self.incident.emit(Event.WATCH_BLIND, message, reason=why, traceback=traceback or None)

    def _warn(self, message: str, **fields: Any) -> None:
        self.incident.emit(Event.WATCH_BLIND, message, severity=Severity.WARNING, **fields)

    def _fields(self) -> dict[str, object]:
        """What every line of this volume carries."""
        content, documents, expected = self.content, self.documents, self._config.expected
        fields: dict[str, object] = {"volume": expected.volume, "path": expected.path, **self._config.pod.fields()}
        if documents.marker_id:
            fields |= {"marker_id": documents.marker_id, "generation": documents.generation}
            fields["reference_files"] = content.reference.files if content.reference else 0
        if content.count is not None:
            fields["files"] = content.count.files
        return fields | hold_facts(documents.hold)
