"""Marker, hold and files that are not as they should be. Pure."""

from collections.abc import Callable, Mapping

from guard.advice.case import Advice, Case, entries_lost, holder, named
from guard.report.text import truncate
from guard.volume.cause import Cause
from guard.volume.loss import Loss
from guard.volume.marker import Marker
from guard.volume.observation import InvalidDocument
from guard.volume.verdict import hidden_by, usable_ledger

_COMPARE = "Compare claimName in the applied object"


def _marker(case: Case) -> str:
    return f'the marker "{truncate(case.expected.volume)}"'


def _last_seen(case: Case) -> str:
    ledger = usable_ledger(case.look)
    if ledger is None:
        return ""
    where = f" on {truncate(ledger.node)}" if ledger.node else ""
    return f"last seen {ledger.written} by {truncate(ledger.pod or 'a guard')}{where}"


def _marker_broken(case: Case) -> Advice:
    marker = case.look.marker
    assert isinstance(marker, InvalidDocument)
    return case.advice(
        f"the marker of {case.path} is broken: {marker.reason}",
        _marker(case),
        "Check the files before anything else: what broke the marker can have broken them. If they are damaged, restore "
        "them from a backup.",
        found=f"{case.path} has a marker that is broken: {marker.reason} (sha256 {marker.digest})",
        only_if="the files are right (the broken marker is kept beside the new one)",
        commands=(*_accept_first(case), f"adopt --replace {marker.digest}"),
    )


def _marker_future(case: Case) -> Advice:
    marker = case.look.marker
    assert isinstance(marker, InvalidDocument)
    return case.advice(
        f"the marker of {case.path} was written by a newer guard",
        _marker(case),
        "Use the version of the guard that wrote it, wherever this volume is used.",
        found=f"{case.path} has a marker that this version cannot read: {marker.reason} (sha256 {marker.digest})",
        only_if="no newer guard is used any more",
        commands=(*_accept_first(case), f"adopt --replace {marker.digest}"),
    )


def _marker_blocked(case: Case) -> Advice:
    marker = case.look.marker
    assert isinstance(marker, InvalidDocument)
    return case.advice(
        f"the marker of {case.path} cannot be read: {marker.reason}",
        _marker(case),
        f"Check what is at {case.folder}: find out who put it there.",
        "Move it away by hand, then check again.",
    )


def _unmarked(case: Case) -> Advice:
    return case.advice(
        f"{case.path} has no marker",
        _marker(case),
        f"If this claim was ever used: stop. It was wiped, or it is another disk. {_COMPARE}, and check the files.",
        only_if="the claim is brand-new, or its files are right",
        commands=("adopt",),
    )


def _marker_gone(case: Case) -> Advice:
    ledger = usable_ledger(case.look)
    assert ledger is not None
    lost = bool(_accept_first(case))
    return case.advice(
        f"the marker of {case.path} is gone{', and its files too' if lost else ''}",
        _marker(case),
        "Check the files before you adopt: a marker that disappears is often a wipe.",
        "If files are missing, restore them from a backup.",
        found=f"{case.path} has no marker, but a ledger of {ledger.reference.files} files, {_last_seen(case)}",
        only_if="the files are right",
        commands=(*_accept_first(case), "adopt"),
    )


def _accept_first(case: Case) -> tuple[str, ...]:
    """Returns `accept` where the ledger records a loss: adopting is refused until what is left was accepted."""
    return ("accept",) if case.finding.loss is not None and case.finding.loss.acceptable else ()


def _other_marker(case: Case) -> Advice:
    marker = case.look.marker
    assert isinstance(marker, Marker)
    return case.advice(
        f'{case.path} is the volume "{truncate(marker.volume)}"',
        f'the volume "{truncate(case.expected.volume)}"',
        f"{_COMPARE}, and GUARD_VOLUME: one of them is another volume's.",
        found=f'{case.path} has the marker "{truncate(marker.volume)}" (id {marker.marker_id})',
        only_if=f"this disk must become {truncate(case.expected.volume)} (the old marker is kept beside the new one)",
        commands=(f"adopt --replace {marker.marker_id}",),
    )


def _held(case: Case) -> Advice:
    return case.advice(
        f"{case.path} is held {holder(case.look.hold)}",
        "no announced work",
        "Wait until the work is done.",
        only_if="nobody works on it any more and its files are right",
        commands=("release",),
    )


def _restoring(case: Case) -> Advice:
    return case.advice(
        f"{case.path} is held {holder(case.look.hold)}",
        "no announced work",
        "Wait until the restore has ended. If it was interrupted, run it again: it continues.",
        only_if="all files are there, since what the restore has not brought back yet is given up",
        commands=("release",),
    )


def _read_only(case: Case) -> Advice:
    whether = "If reading is enough, set GUARD_WRITABLE=false."
    steps = (whether,) if case.finding.cause is Cause.READ_ONLY else ()
    return case.advice(
        f"{case.path} cannot be written",
        "a writable volume",
        "Remove readOnly from the volumeMount and from the pod's volume, where it is set. Otherwise check the disk: a file "
        "system turns read-only after errors (dmesg on the node).",
        *steps,
        found=f"{case.path} cannot be written: {case.look.read_only}",
    )


def _left(path: str, loss: Loss) -> str:
    """How much of what was known is left, as a clause."""
    text = f"{loss.kept} of {loss.checked} files are left on {path}"
    return text if loss.checked >= loss.before else f"{text} (checked: {loss.checked} of {loss.before})"


def _files_lost(case: Case) -> Advice:
    loss, ledger = case.finding.loss, usable_ledger(case.look)
    assert loss is not None
    found = [_left(case.path, loss)]
    if loss.after is not None:
        others = " in all: other files took their place" if loss.replaced else ""
        found.append(f"{loss.after} files are there now{others}")
    largest = entries_lost(loss)
    found += [f"lost most: {largest}"] if largest else []
    if ledger and ledger.incident:
        found.append(f"an incident is open since {ledger.incident.since}: {truncate(ledger.incident.reason)}")
    seen = _last_seen(case)
    return case.advice(
        found[0],
        f"the {loss.before} files of the reference" + (f", {seen}" if seen else ""),
        *_where_files_can_be(case),
        "Stop what deletes or resets the files, and restore them from a backup.",
        found="; ".join(found),
        only_if="what is there now is right",
        commands=("accept",),
    )


def _too_few_files(case: Case) -> Advice:
    loss = case.finding.loss
    assert loss is not None
    return case.advice(
        f"{case.path} holds {loss.after} files, fewer than GUARD_MIN_FILES={loss.min_files}",
        f"at least {loss.min_files} files",
        *_where_files_can_be(case),
        "Restore the files from a backup.",
        only_if="so few files are right: lower GUARD_MIN_FILES",
    )


def _where_files_can_be(case: Case) -> list[str]:
    """Places to check before anything is restored."""
    steps, hidden = [], hidden_by(case.look)
    if hidden:
        steps.append(f"Files are hidden by mounts at {named(hidden)}: unmount them. Hidden files are not lost.")
    if case.count and case.count.in_lost_and_found:
        held = case.count.in_lost_and_found
        steps.append(
            f"{case.path}/lost+found holds {held} files, which fsck moved there: check there first, and move them back."
        )
    return steps


ADVICE: Mapping[Cause, Callable[[Case], Advice]] = {
    Cause.MARKER_BROKEN: _marker_broken,
    Cause.MARKER_FUTURE: _marker_future,
    Cause.MARKER_BLOCKED: _marker_blocked,
    Cause.UNMARKED: _unmarked,
    Cause.MARKER_GONE: _marker_gone,
    Cause.OTHER_MARKER: _other_marker,
    Cause.HELD: _held,
    Cause.RESTORING: _restoring,
    Cause.READ_ONLY: _read_only,
    Cause.READ_ONLY_FOR_COMMAND: _read_only,
    Cause.FILES_LOST: _files_lost,
    Cause.TOO_FEW_FILES: _too_few_files,
}
