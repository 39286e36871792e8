"""`guard check`: looks until the volume is right or the waiting is over, and says which. The status is cli's to give."""

import os
import time
from dataclasses import replace

from guard.event import Event, EventRecord
from guard.messages import CommandResult, EventSink, PodInfo, advice, facts, judged, refusal, remedies, sentence
from guard.outcome import Outcome, Severity
from guard.probe.inspector import Inspector
from guard.report.text import truncate
from guard.volume.verdict import Inspection, ledger_warning, usable_ledger

#: Seconds between two looks while waiting: soon enough for whoever just ran `guard adopt`, and at most this share of
#: the time is spent looking at a tree that takes long to count.
_PAUSE = 1.0
_LONGEST_PAUSE = 5.0
_LOOK_SHARE = 5
#: What mended it may run in this very container, by `kubectl exec`, and would end with it: time to write and say the
#: rest.
_SETTLING = 0.5


def check(
    examiner: Inspector, wait: float, where: PodInfo, say: EventSink, warnings: tuple[str, ...] = ()
) -> CommandResult:
    """Judges the volume, again and again where it may mend.

    Args:
        examiner: Looks and judges.
        wait: GUARD_WAIT, in seconds.
        where: This pod.
        say: Takes the happenings.
        warnings: What the settings gave reason to say, as clauses; said with the end.

    Raises:
        Interrupted: A signal asked for the end while waiting.
        ProberFailed: A bug, or the prober was killed.
    """
    until = time.monotonic() + wait
    operation = os.urandom(8).hex()
    settled = False
    waits_for: set[Outcome] = set()
    while True:
        began = time.monotonic()
        examination = examiner.examine()
        judgement = examination.judgement
        now = time.monotonic()
        if judgement.outcome is Outcome.OK:
            if settled or not waits_for:
                break
            settled = True
            examiner.pause(_SETTLING)
            continue
        settled = False
        if not judgement.may_recover(examination.look) or now >= until:
            break
        if judgement.outcome not in waits_for:  # once for each: what mends the one does not mend the other
            say(_waiting(examination, until - now, where, operation, first=not waits_for))
            waits_for.add(judgement.outcome)
        pause = min(_LONGEST_PAUSE, max(_PAUSE, _LOOK_SHARE * (now - began)))
        examiner.pause(min(pause, until - now))
    first = not waits_for
    broken = _ledger_invalid(examination, where, operation, first=first)
    if broken is not None:
        say(broken)
        first = False
    if judgement.outcome is Outcome.OK:
        passed = _passed(examination, where, operation, warnings, first=first)
        say(passed)
        return CommandResult(Outcome.OK, f"ok: {passed.message}\n")
    refused, ending = refusal(examination, where, operation, first=first)
    if warnings:
        message = f"{refused.message} Besides, {'; '.join(warnings)}."
        refused = replace(refused, message=message, fields={**refused.fields, "warnings": list(warnings)})
    say(refused)
    return ending


def _waiting(examination: Inspection, left: float, where: PodInfo, operation: str, *, first: bool) -> EventRecord:
    message = f"Waiting up to {left:.0f} s: {sentence(examination)}{advice(remedies(examination, where))}"
    return EventRecord(Event.VOLUME_WAITING, message, Severity.INFO, judged(examination, where), operation, first=first)


def _ledger_invalid(examination: Inspection, where: PodInfo, operation: str, *, first: bool) -> EventRecord | None:
    """A ledger that can't be used, where there is one."""
    broken = ledger_warning(examination.look)
    if not broken:
        return None
    message = (
        f"The ledger of {examination.look.path} is not used: {truncate(broken, 512)}. "
        "Only GUARD_MIN_FILES counts until the watcher or guard accept writes a new one."
    )
    fields = {"path": examination.look.path, "reason": broken, **where.fields()}
    return EventRecord(Event.LEDGER_INVALID, message, Event.LEDGER_INVALID.severity, fields, operation, first=first)


def _passed(
    examination: Inspection, where: PodInfo, operation: str, besides: tuple[str, ...], *, first: bool
) -> EventRecord:
    """The line that answers "did my data survive the restart?"."""
    look, census, loss = examination.look, examination.census, examination.judgement.loss
    assert look.mount is not None
    assert census is not None
    assert loss is not None
    ledger = usable_ledger(look)
    files = f"{census.files} files" if census.exact else f"at least {census.files} files"
    told = [
        f'{look.path} is "{truncate(examination.volume)}" ({look.kind.value}, {look.mount.fstype}, {look.mount.device}) with {files}'
    ]
    fields = {**facts(examination), **where.fields(), "outcome": Outcome.OK.label, "status": Outcome.OK.status}
    if ledger is None or ledger.reference.files == 0:
        told.append("no baseline yet: nothing is protected until files are there and the watcher has recorded them")
    else:
        told.append(f"the reference has {ledger.reference.files}")
    if ledger is not None:
        seen = f"last seen {ledger.written} with {ledger.files} files by {truncate(ledger.pod or 'a guard')}"
        told.append(seen + (f" on {truncate(ledger.node)}" if ledger.node else ""))
        if ledger.node and where.node:
            fields["node_changed"] = ledger.node != where.node
            told.append(f"now on {where.node}" if fields["node_changed"] else "the same node")
    warnings = [*examination.judgement.warnings, *besides]
    if examination.judgement.shrunk:
        warnings.insert(0, f"it shrunk from {loss.before} to {loss.after} files")
    if warnings:
        fields["warnings"] = warnings
    severity = Severity.WARNING if warnings else Severity.INFO
    message = "; ".join([*told, *warnings]) + "."
    return EventRecord(Event.VOLUME_OK, message, severity, fields, operation, first=first, last=True)
