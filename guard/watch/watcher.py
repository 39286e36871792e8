"""The watcher: what was observed goes in; what to do next, and what is to be logged, comes out. Pure; time is a parameter.

The loop carries requests to the prober and answers back; it decides nothing. The simulation in the tests runs this code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from guard.event import Event
from guard.outcome import Severity
from guard.volume.hold import Hold
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger, LedgerIncident
from guard.volume.loss import Verdict
from guard.volume.marker import Marker
from guard.volume.observation import (
    CountOptions,
    FileCount,
    InvalidDocument,
    Look,
    LookResult,
    ProbeFault,
    TripwireState,
    is_same_mount,
)
from guard.volume.sample import FileCheck, Presence, SampledFile
from guard.volume.timestamp import Timestamp
from guard.volume.verdict import ledger_warning, usable_ledger
from guard.watch import messages
from guard.watch.conditions import (
    NO_MOUNT,
    Condition,
    ConditionFailure,
    ConditionReport,
    VolumeIdentity,
    evaluate_conditions,
    identity_of,
)
from guard.watch.config import WatchConfig
from guard.watch.content import ContentTracker, Judged, Returned
from guard.watch.documents import DocumentTracker, LedgerNews
from guard.watch.episode import Trigger
from guard.watch.incident import Incident, incident_id
from guard.watch.tripwire_supervisor import TripwireSupervisor

#: A volume counts as unreachable after so many looks in a row that failed: one may be a hiccup.
_LOOKS = 2
#: Seconds after a failed look at which it is repeated, where it failed at once.
_REPEAT = 1.0
#: Seconds after which a hold that nobody released is logged again.
_HOLD_REMINDER = 3600.0
#: A full volume is reported again once this share of it was free in between.
_FREE_AGAIN = 0.05
#: Kinds whose changes may come from elsewhere, unseen by events.
_ELSEWHERE = frozenset({Kind.NETWORK, Kind.FUSE, Kind.UNKNOWN, Kind.OVERLAY})
#: Kinds that share their file system with the node: its numbers tell nothing of this volume.
_SHARED = frozenset({Kind.NODE_DISK, Kind.EMPTY_DIR, Kind.OVERLAY, Kind.CONFIG})


class Action(Enum):
    """What the prober can be asked for."""

    LOOK = "look"
    ARM = "arm"
    COUNT = "count"
    WRITE = "write"


@dataclass(frozen=True)
class NextRequest:
    """What is to be asked of the prober next.

    Attributes:
        action: What.
        at: When, on the monotonic clock; a time in the past means now.
        files: For a look: the sampled files to check.
        options: For a count.
        ledger: For a write.
        replaces: For a write: the generation that it may replace.
        over_hold: For a write: a stale hold does not forbid it.
    """

    action: Action
    at: float
    files: tuple[SampledFile, ...] = ()
    options: CountOptions | None = None
    ledger: Ledger | None = None
    replaces: int = 0
    over_hold: bool = False


class Watcher:
    """Watches over one volume.

    Attributes:
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
        expected, pod = config.expected, config.pod
        self.content = ContentTracker(expected.loss, config.settle, expected.ignore, jitter, seed)
        self.tripwire = TripwireSupervisor()
        self.incident = Incident({"path": expected.path, **pod.fields()}, run)
        self.look: Look | None = None
        self.changed = now
        self._config = config
        self._documents = DocumentTracker(jitter, pod.pod)
        self._identity: VolumeIdentity | None = None
        self._report: ConditionReport | None = None
        self._look_at = now.at
        self._spread = jitter - 0.05  # of the looks of many watchers
        self._replaced_since: float | None = None
        self._log = _Logged()

    @property
    def _path(self) -> str:
        return self._config.expected.path

    # What is known.

    @property
    def hold(self) -> Hold | InvalidDocument | None:
        """Announced work on the volume; None where there is none."""
        return self._documents.hold

    def status(self, condition: Condition) -> str:
        """Returns `true`, `false`, or `unknown` where the last look could not tell (for the content: while it is held)."""
        report = self._report
        if condition is Condition.CONTENT and self.incident.held:
            return "unknown"
        if self.incident.is_failed(condition):
            return "false"
        if report is None or (not report.is_reachable and condition is not Condition.REACHABLE):
            return "unknown"
        if condition is Condition.CONTENT:
            return "true" if report.is_ours and self.content.count is not None else "unknown"
        return "true" if condition in report.seen else "unknown"

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
        return self._report is not None and self._report.is_ours and not self._log.failed_looks

    # What is wanted next.

    def next_request(self, time: Timestamp, *, looks_only: bool = False) -> NextRequest:
        """Returns what is to be asked of the prober next.

        Args:
            time: The time.
            looks_only: Nothing else is possible: probers are stuck in the kernel, or none can be started.
        """
        now = time.at
        wanted = [NextRequest(Action.LOOK, self._look_at if looks_only else self._next_look(now))]
        if self._is_ours and not looks_only:
            count = self.content.schedule.due(confirming=self.content.confirming)
            arm = self.tripwire.due()
            if arm is not None:
                wanted.append(NextRequest(Action.ARM, arm))
            if count is not None:
                wanted.append(NextRequest(Action.COUNT, count))
            ledger = self.ledger_to_write(time)
            if ledger is not None:
                wanted.append(NextRequest(Action.WRITE, self._documents.schedule.due(ledger), ledger=ledger))
        due = [request for request in wanted if request.at <= now]
        if not due:
            return min(wanted, key=lambda request: request.at)
        chosen = due[0]  # in the order above
        if chosen.action is Action.LOOK:
            return replace(chosen, files=self.content.files_to_check())
        if chosen.action is Action.COUNT:
            return replace(chosen, options=self.content.count_options())
        if chosen.action is Action.WRITE:
            stored = self._documents.schedule.stored
            generation = stored.generation if stored else self._documents.generation
            return replace(chosen, replaces=generation, over_hold=self._documents.stale_hold)
        return chosen

    def _next_look(self, now: float) -> float:
        check = self.content.check_due(now, armed=self.tripwire.armed) if self._is_ours else None
        return self._look_at if check is None else min(self._look_at, check)

    def ledger_to_write(self, now: Timestamp) -> Ledger | None:
        """Returns the ledger as it is to be written; None where it must stay as it is."""
        reference, documents, pod = self.content.reference, self._documents, self._config.pod
        wrong = self.incident.is_failed(Condition.IDENTITY) or self.incident.held
        refused = self.incident.is_failed(Condition.WRITABLE) and not self._log.write_refused
        if not self._is_ours or wrong or refused or reference is None or not documents.marker_id:
            return None
        return Ledger(
            documents.marker_id, documents.generation, reference, now.text, pod.pod, pod.node, self.content.incident
        )

    # Looks.

    def on_look(self, now: Timestamp, result: LookResult) -> None:
        """Handles a look, also one that failed."""
        look = result.look
        report = evaluate_conditions(self._config.expected, self._identity, look, self._replaced_since)
        self._on_report(now, result, report)

    def on_no_probe(self, now: Timestamp, look: Look, code: str) -> None:
        """Handles that no process could be started that looks: nothing is known, as after a look that failed.

        Args:
            now: The time.
            look: The last one.
            code: What starting it gave, as an errno's name.
        """
        failure = messages.no_probe(self._path, code)
        report = ConditionReport({Condition.REACHABLE: failure}, frozenset(), is_ours=False)
        self._on_report(now, LookResult(look), report)

    def _on_report(self, now: Timestamp, result: LookResult, report: ConditionReport) -> None:
        look = result.look
        self._report, self._look_at = report, now.at + self._config.interval * self._spread
        failure = report.failures.get(Condition.REACHABLE)
        if failure is not None:
            self._on_unreachable(now, look, failure)
            self.content.drop_count()
        else:
            self._log.failed_looks = 0
            self.look = look
        if Condition.WRITABLE in report.failures:
            self._log.write_refused = False  # a look saw it too, and will see its end
        if report.is_ours:
            self._on_documents(now, look, report)
        # What begins comes before what ends: an unmounted volume that is then another one is one incident.
        for condition, failed in report.failures.items():
            if condition is not Condition.REACHABLE:
                self._fail(now, condition, failed)
        if report.is_reachable:
            self._recover(now, report)
        if report.is_ours:
            self._on_our_volume(now, result, report)
        else:
            self._on_absent(now, report)
        if report.failures.keys() - {Condition.REACHABLE} or self._log.failed_looks >= _LOOKS:
            self._start()
        self.incident.repeat_unheld()

    def _on_unreachable(self, now: Timestamp, look: Look, failure: ConditionFailure) -> None:
        self._log.failed_looks += 1
        if self._log.failed_looks < _LOOKS:
            hung = look.fault is not None and look.fault.number == 0
            self._look_at = now.at + (0.0 if hung else _REPEAT)
            return
        self.look = look
        self._fail(now, Condition.REACHABLE, failure)

    def _on_absent(self, now: Timestamp, report: ConditionReport) -> None:
        """Handles that the volume is not there, or does not answer."""
        if report.is_reachable or self._log.failed_looks >= _LOOKS:
            self.content.forget()
        self.content.schedule.want(now.at)  # what happens meanwhile is not seen
        if report.is_reachable:
            self.tripwire.on_mount_change(now.at)
        if self._identity is not None and Condition.MOUNTED in report.failures:
            # Whatever is mounted next is another mount, also where the kernel gives it the same number.
            self._identity = replace(self._identity, mount_id=NO_MOUNT)
        identity = report.failures.get(Condition.IDENTITY)
        if identity is not None and identity.event is Event.VOLUME_REPLACED and self._replaced_since is None:
            self._replaced_since = now.wall.timestamp()

    def _on_our_volume(self, now: Timestamp, result: LookResult, report: ConditionReport) -> None:
        look = result.look
        identity = identity_of(look)
        if identity is not None and Condition.IDENTITY not in report.failures:
            if self._identity is not None and report.is_other_mount:
                self.tripwire.on_mount_change(now.at)
                self.content.suspect(now, Trigger.MOUNT_TABLE)
            self._identity, self._replaced_since = identity, None
        was_armed = self.tripwire.armed
        self._log_blind(self.tripwire.on_look(now.at, result.tripwire))
        if was_armed and result.tripwire.tripped:
            self.content.suspect(now, Trigger.EVENTS)
        if result.tripwire.stirred:
            self.changed = now
        if look.space is not None:
            self._on_space(look)
        self._on_files(now, result)

    def _on_files(self, now: Timestamp, result: LookResult) -> None:
        look, checked = result.look, result.checked
        space = None if look.kind in _SHARED else look.space
        if checked is None or checked.fault is not None:
            self.content.drop_count()
            return
        self._on_hidden(look, checked.checks)
        unreadable = any(check.presence is Presence.UNREADABLE for check in checked.checks.values())
        if unreadable and not self._log.unreadable:
            self.content.schedule.want(now.at)  # a count tells which entries can't be read
        self._log.unreadable = unreadable
        if space is not None:
            # On a disk of its own each name that comes or goes changes the number of inodes, tripwire or not.
            sure = look.kind not in _ELSEWHERE and bool(space.used_inodes)
            self.content.on_names(space, stirred=result.tripwire.stirred, sure=sure)
        else:
            self.content.schedule.renew(soon=False)
        outcome = self.content.on_check(now, checked.checks, space)
        if isinstance(outcome, Judged):
            self._on_judged(now, outcome)
        elif isinstance(outcome, Returned):
            self._on_returned(now, outcome)

    def _on_hidden(self, look: Look, checks: Mapping[str, FileCheck]) -> None:
        hidden = [path for path, check in checks.items() if check.presence is Presence.HIDDEN]
        by = tuple(point for point in look.nested if any(f"{path}/".startswith(f"{point}/") for path in hidden))
        if by and not self._log.hidden_by.issuperset(by):
            message = messages.hidden(look.path, by)
            reason = "files are hidden by mounts"
            self._emit(Event.WATCH_BLIND, message, severity=Severity.WARNING, reason=reason, hidden_by=list(by))
        self._log.hidden_by = self._log.hidden_by | set(by) if look.nested else frozenset()

    # Documents.

    def _on_documents(self, now: Timestamp, look: Look, report: ConditionReport) -> None:
        documents, before = self._documents, self._documents.hold
        warning = ledger_warning(look)
        if warning and warning != self._log.ledger_warning:
            self._emit(Event.LEDGER_INVALID, messages.ledger_invalid(look.path, warning), reason=warning)
        self._log.ledger_warning = warning
        if Condition.IDENTITY not in report.failures or not isinstance(look.marker, Marker):
            self._on_ledger(now, look)
        if documents.on_hold(look.hold):
            self._emit(Event.LEDGER_STALE, messages.hold_stale(look.path), document="hold.json")
        self.incident.held = self.content.frozen = documents.hold is not None
        if documents.hold is not None and (
            documents.hold != before or now.at - self._log.hold_logged >= _HOLD_REMINDER
        ):
            again = documents.hold == before
            self._log.hold_logged = now.at
            held = messages.held(look.path, documents.hold, again=again)
            self._emit(Event.VOLUME_HELD, held, severity=Severity.INFO)
        # Where the marker went too, the hold was removed with everything else: nobody ended the work.
        if documents.hold is None and before is not None and isinstance(look.marker, Marker):
            self._emit(Event.VOLUME_RELEASED, messages.released(look.path), severity=Severity.INFO)

    def _on_ledger(self, now: Timestamp, look: Look) -> None:
        ledger = usable_ledger(look)
        marker_id = look.marker.marker_id if isinstance(look.marker, Marker) else ledger.marker_id if ledger else ""
        if not marker_id or (ledger is None and not isinstance(look.marker, Marker)):
            return
        news = self._documents.on_ledger(now.at, marker_id, ledger)
        if news is LedgerNews.FIRST:
            self.content.start(
                ledger.reference if ledger else None, ledger.incident if ledger else None, now,
                ledger.written if ledger else now.text,
            )  # fmt: skip
            self.content.schedule.want(now.at)
            if ledger is not None and ledger.incident is not None:
                self._open(now, ledger.incident, messages.incident_open(look.path, ledger.incident))
        elif news in {LedgerNews.ACCEPTED, LedgerNews.ADOPTED}:
            self.content.take_reference(ledger.reference if ledger else None)
            self.content.schedule.want(now.at)
            if not self.incident.accept(now, messages.accepted(look.path), self.numbers()):
                self._emit(Event.VOLUME_ACCEPTED, f"{messages.accepted(look.path)}.", severity=Severity.INFO)
        elif news is LedgerNews.STALE:
            assert ledger is not None
            self._emit(Event.LEDGER_STALE, messages.ledger_stale(look.path, ledger), document="ledger.json")
        elif ledger is not None and news in {LedgerNews.UPDATED, LedgerNews.RECOVERED}:
            self._on_other_watcher(now, ledger, news)

    def _on_other_watcher(self, now: Timestamp, ledger: Ledger, news: LedgerNews) -> None:
        if news is LedgerNews.RECOVERED and self.content.is_lost:
            self.content.take_reference(ledger.reference)
            self.incident.recover(now, Condition.CONTENT, messages.right_again(self._path), self.numbers())
        self.content.follow(ledger.reference)
        if ledger.incident is not None and not self.content.is_lost:
            self._open(now, ledger.incident, messages.incident_open(self._path, ledger.incident))

    # Content.

    def _on_judged(self, now: Timestamp, judged: Judged) -> None:
        loss, path = judged.loss, self._path
        fields = messages.loss_fields(judged)
        if loss.verdict is Verdict.WIPED:
            reason = messages.lost(path, loss)
            opened = LedgerIncident(
                self._incident_name, Event.VOLUME_WIPED.label, judged.first_sign, loss.before, reason
            )
            self._open(now, opened, messages.wiped(path, loss), fields)
            self._documents.schedule.write_now()
        else:
            self.incident.shrink(
                Event.VOLUME_SHRUNK, messages.shrunk(path, loss), {**self.numbers(), **fields}, self._incident_name
            )

    def _open(
        self,
        now: Timestamp,
        incident: LedgerIncident,
        failure: ConditionFailure,
        fields: dict[str, object] | None = None,
    ) -> None:
        self.content.open(incident)
        told = {"before": incident.before, "first_sign": incident.since, **(fields or {})}
        self.incident.fail(Condition.CONTENT, failure, incident.incident_id, now, {**self.numbers(), **told})

    def _on_returned(self, now: Timestamp, returned: Returned) -> None:
        back = messages.back(self._path, returned)
        fields = {**self.numbers(), "kept": returned.kept, "checked": returned.checked}
        if returned.wiped:
            self._documents.next_generation()
            self._documents.schedule.write_now()
            self.incident.recover(now, Condition.CONTENT, back, fields)
        else:
            self.incident.shrink(Event.VOLUME_RECOVERED, f"{back}.", fields, self._incident_name)

    def on_count(self, now: Timestamp, count: FileCount) -> None:
        """Handles a full count."""
        if count.fault is not None or self.look is None or not is_same_mount(self.look, count):
            self._on_failed_count(now, count)
            return
        self._log.failed_counts = 0
        before = self.content.count
        if before is not None and before.files != count.files:
            self.changed = now
        self._log_blind(self.tripwire.on_folders(now.at, count.folders))
        self.content.on_count(now, count)
        self._start()
        unreadable = count.unreadable_entries if count.entry_count else 0
        if unreadable and unreadable != self._log.unreadable_entries:
            message = messages.unreadable(self._path, count, self.look)
            reason = f"{unreadable} of {count.entry_count} entries cannot be read"
            names = list(count.unreadable)
            self._emit(Event.WATCH_BLIND, message, severity=Severity.WARNING, reason=reason, unreadable=names)
        self._log.unreadable_entries = unreadable

    def _on_failed_count(self, now: Timestamp, count: FileCount) -> None:
        self._look_at = now.at
        self.content.schedule.on_failure(now.at)
        if count.fault is None or self.look is None:
            return  # the mount changed in between: the look will tell
        self._log.failed_counts += 1
        if self._log.failed_counts >= _LOOKS:
            failed = replace(self.look, fault=count.fault)
            report = evaluate_conditions(self._config.expected, self._identity, failed)
            failure = report.failures.get(Condition.REACHABLE)
            if failure is not None:
                self._fail(now, Condition.REACHABLE, failure)
                self._start()

    # Signs.

    def on_events(self, now: Timestamp, *, removed: bool, storm: bool) -> None:
        """Handles what the tripwire counted: names were removed or moved, or so many that it was taken down."""
        self.changed = now
        if storm:
            self.tripwire.on_storm(now.at)
        if self._is_ours:
            self.content.suspect(now, Trigger.EVENTS, removed=removed or storm)

    def on_mount_change(self, now: Timestamp) -> None:
        """Handles that mounts on the way to the path, on it or below it came or went."""
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

    def on_arm_timeout(self, now: Timestamp, why: str) -> None:
        """Handles that arming the tripwire made no progress."""
        self._log_blind(self.tripwire.on_armed(now.at, TripwireState(blind=why)))

    def on_probe_exit(self, now: Timestamp, why: str, traceback: str) -> None:
        """Handles that the prober ended, and took the tripwire along."""
        self._look_at = now.at
        self.content.schedule.want(now.at)
        self._log_blind(self.tripwire.on_lost(now.at, why), traceback)

    def on_probe_lost(self, now: Timestamp) -> None:
        """Handles that the prober was left behind in the kernel, and the tripwire with it."""
        self.tripwire.on_mount_change(now.at)

    def _log_blind(self, why: str, traceback: str = "") -> None:
        if why:
            blind = messages.blind(self._path, why)
            self._emit(Event.WATCH_BLIND, blind, reason=why, traceback=traceback or None)

    # Writes and space.

    def on_ledger_write(self, now: Timestamp, written: Ledger | None, fault: ProbeFault | None) -> None:
        """Handles what became of writing the ledger: written, overtaken by somebody (neither), or failed."""
        self._documents.schedule.on_write(now.at, written)
        if fault is None:
            if written is None:
                self._look_at = now.at  # whoever was faster tells nothing of this pod's writes
            else:
                self._log.write_failed = ""
                self._end_write_refusal(now)
            return
        if fault.read_only and self._config.expected.writable:
            self._log.write_refused = True
            self._fail(now, Condition.WRITABLE, messages.read_only(self._path, fault))
            return
        if fault.full or fault.denied:  # a read-only file system would have refused it as such
            self._end_write_refusal(now)
        if fault.full:
            self._on_full_write()
        elif fault.code != self._log.write_failed:
            self._log.write_failed = fault.code
            self._emit(Event.LEDGER_UNWRITABLE, messages.unwritable(self._path, fault), reason=fault.code)

    def _on_full_write(self) -> None:
        if not self._log.full:
            self._log.full = "space"
            self._emit(Event.VOLUME_FULL, messages.no_room(self._path), missing="space or quota")

    def _end_write_refusal(self, now: Timestamp) -> None:
        if self._log.write_refused:
            self._log.write_refused = False
            self.incident.recover(now, Condition.WRITABLE, messages.right_again(self._path), self.numbers())

    def _on_space(self, look: Look) -> None:
        space = look.space
        assert space is not None
        if space.full and not self._log.full:
            self._log.full = space.full
            message = messages.full(look.path, space)
            self._emit(
                Event.VOLUME_FULL,
                message,
                missing=space.full,
                avail_bytes=space.available,
                inodes_free=space.free_inodes,
            )
        elif self._log.full:
            left, whole = (
                (space.available, space.size) if self._log.full == "space" else (space.free_inodes, space.inodes)
            )
            if left >= _FREE_AGAIN * whole:
                self._log.full = ""

    # Lines.

    def _fail(self, now: Timestamp, condition: Condition, failure: ConditionFailure) -> None:
        self.incident.fail(condition, failure, self._incident_name, now, self.numbers())

    def _recover(self, now: Timestamp, report: ConditionReport) -> None:
        message = messages.right_again(self._path)
        for condition in report.seen - report.failures.keys():
            refused = condition is Condition.WRITABLE and self._log.write_refused
            miscounted = condition is Condition.REACHABLE and self._log.failed_counts >= _LOOKS and report.is_ours
            if (
                not refused
                and not miscounted
                and self.incident.recover(now, condition, message, self.numbers())
                and self._documents.marker_id
            ):
                self._documents.next_generation()

    @property
    def _incident_name(self) -> str:
        documents = self._documents
        return incident_id(documents.marker_id or self._config.expected.volume, documents.generation)

    def _start(self) -> None:
        if not self._log.started:
            self._log.started = True
            message, fields = messages.started(self._config.expected, self.look, self.content)
            self.incident.start(Event.WATCH_STARTED, message, {**self.numbers(), **fields})

    def stop(self, message: str) -> None:
        """Logs the end of the watch."""
        self._start()
        self.incident.emit(Event.WATCH_STOPPED, message, self.numbers(), last=True)

    def numbers(self) -> dict[str, object]:
        """Returns the fields that every line of this volume carries."""
        content, documents = self.content, self._documents
        fields: dict[str, object] = {"volume": self._config.expected.volume}
        if documents.marker_id:
            fields |= {
                "marker_id": documents.marker_id,
                "generation": documents.generation,
                "reference_files": content.reference.files if content.reference else 0,
            }
        if content.count is not None:
            fields["files"] = content.count.files
        return fields | messages.holder(documents.hold)

    def _emit(self, event: Event, message: str, *, severity: Severity | None = None, **fields: object) -> None:
        self.incident.emit(event, message, {**self.numbers(), **fields}, severity=severity)


@dataclass
class _Logged:
    """What was logged already, and how often something failed in a row."""

    started: bool = False
    failed_looks: int = 0
    failed_counts: int = 0
    unreadable: bool = False
    unreadable_entries: int = 0
    ledger_warning: str = ""
    write_failed: str = ""
    write_refused: bool = False
    full: str = ""
    hidden_by: frozenset[str] = frozenset()
    hold_logged: float = 0.0
