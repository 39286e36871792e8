"""The judgement: a pure function of what is expected and what a look found. Gate, watcher and adoption share it."""

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field

from guard.outcome import PRECEDENCE, RETRYABLE, RETRYABLE_BY_PROPAGATION, Outcome
from guard.report.text import truncate
from guard.volume.kinds import EPHEMERAL_KINDS, Kind
from guard.volume.ledger import Ledger, Reference
from guard.volume.loss import Loss, LossRule, Verdict, judge_loss
from guard.volume.marker import Marker
from guard.volume.observation import GUARD_FOLDER, FileCount, InvalidDocument, Look, ProbeFault, Writing

#: GUARD_KINDS unless said otherwise: what outlives the pod.
DURABLE_KINDS = frozenset({Kind.BLOCK, Kind.NETWORK, Kind.FUSE})


@dataclass(frozen=True)
class Expectation:
    """What the settings ask of the volume; rooms below `cli` know no setting but this.

    Attributes:
        path: The guarded path, absolute.
        volume: The name that the marker must carry.
        kinds: Kinds of mount that are allowed.
        writable: Whether it must be possible to write.
        loss: The loss rule.
        probe_timeout: Seconds without progress after which a look has failed.
        ignore: Patterns of paths that are no data.
    """

    path: str
    volume: str
    kinds: frozenset[Kind] = DURABLE_KINDS
    writable: bool = True
    loss: LossRule = field(default_factory=LossRule)
    probe_timeout: float = 10.0
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One outcome that holds.

    Attributes:
        outcome: Which.
        found: What was found, as a sentence part: `/app/skills carries "a"`.
        expected: What was expected: `expected "b"`.
        hint: What to do now in this very case, beyond the remedy; may be empty.
        instead: The remedy where the outcome's own is wrong in this very case; may be empty.
    """

    outcome: Outcome
    found: str
    expected: str
    hint: str = ""
    instead: str = ""

    @property
    def remedy(self) -> str:
        """What to do now."""
        return self.instead or self.outcome.value.remedy


@dataclass(frozen=True)
class Judgement:
    """What a look is worth.

    Attributes:
        findings: Every outcome that holds, in the order of precedence; none where the volume is right.
        loss: The verdict on the content; None where nothing was counted.
        warnings: What a pass should say besides, as sentences.
    """

    findings: tuple[Finding, ...]
    loss: Loss | None = None
    warnings: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The exit status: the first that holds."""
        return self.findings[0].outcome if self.findings else Outcome.OK

    @property
    def shrunk(self) -> bool:
        """Whether the volume is right but smaller than it was."""
        return self.loss is not None and self.loss.verdict is Verdict.SHRUNK

    def may_recover(self, look: Look) -> bool:
        """Whether looking again can end better: see GUARD_WAIT."""
        receives = look.mount is not None and look.mount.receives_propagation
        return self.outcome in RETRYABLE or (receives and self.outcome in RETRYABLE_BY_PROPAGATION)


@dataclass(frozen=True)
class Inspection:
    """One look and what it is worth."""

    look: Look
    census: FileCount | None
    judgement: Judgement

    @property
    def volume(self) -> str:
        """The name in the marker; empty where there is no valid one."""
        return self.look.marker.volume if isinstance(self.look.marker, Marker) else ""


def usable_ledger(look: Look) -> Ledger | None:
    """The ledger, where it can be trusted: readable, and of the marker that lies beside it (or of none that can be read)."""
    if not isinstance(look.ledger, Ledger):
        return None
    if isinstance(look.marker, Marker) and look.marker.marker_id != look.ledger.marker_id:
        return None
    return look.ledger


def ledger_warning(look: Look) -> str:
    """What is wrong with the ledger, as a clause; empty where nothing is."""
    if isinstance(look.ledger, InvalidDocument):
        return look.ledger.reason
    if look.ledger is not None and usable_ledger(look) is None:
        return f"it belongs to another marker, {look.ledger.marker_id}"
    return ""


def reference_of(look: Look) -> Reference | None:
    """What the content is judged against; None where there is no usable ledger."""
    ledger = usable_ledger(look)
    return ledger.reference if ledger else None


def worth_counting(expected: Expectation, look: Look) -> bool:
    """Whether the content can still change the judgement: never count the wrong disk."""
    if look.fault or look.absent or not look.is_mount_point or not _allowed(expected, look):
        return False
    if isinstance(look.marker, Marker):
        return look.marker.volume == expected.volume
    return usable_ledger(look) is not None


def judge(expected: Expectation, look: Look, census: FileCount | None = None) -> Judgement:
    """Judges a look, and the count that followed it.

    Args:
        expected: What the settings ask.
        look: What was found.
        census: The count, where it was worth counting.
    """
    loss = judge_loss(expected.loss, reference_of(look), census) if census is not None and not census.fault else None
    found = [*_findings(expected, look, census, loss)]
    if loss is not None and loss.verdict is Verdict.WIPED:
        found.append(_data_lost(look, loss))
    findings = sorted(found, key=lambda finding: PRECEDENCE.index(finding.outcome))
    return Judgement(tuple(findings), loss, tuple(_warnings(expected, look, census)))


def _findings(expected: Expectation, look: Look, census: FileCount | None, loss: Loss | None) -> Iterator[Finding]:
    if look.absent:
        yield Finding(Outcome.MISSING, f"{look.path}: {look.found_instead}", "a mounted directory")
        return
    fault = look.fault or (census.fault if census else None)
    if fault:
        yield _unreachable(look, expected.probe_timeout, fault)
    if look.mount is None:
        if fault is None:
            yield Finding(
                Outcome.UNREACHABLE, f"{look.path}: its mount could not be told", "a line in /proc/self/mountinfo"
            )
        return
    yield from _mount_findings(expected, look)
    if not look.fault:
        yield from _marker_findings(expected, look, lost=loss is not None and loss.acceptable)
    yield from _state_findings(expected, look)


def _unreachable(look: Look, timeout: float, fault: ProbeFault) -> Finding:
    where = f" ({look.mount.fstype} of {truncate(look.mount.source) or 'no source'})" if look.mount else ""
    if not fault.number:
        found = f"{look.path}{where} made no progress for {timeout:g} s while {fault.doing}"
        return Finding(Outcome.UNREACHABLE, found, "an answer from the volume")
    who = look.identity
    folder = f"{look.path}/{GUARD_FOLDER}"
    found = f"{look.path}{where}: {fault.code} while {fault.doing}"
    if fault.in_place and fault.full:
        return Finding(
            Outcome.UNREACHABLE, found, "room for the guard's documents, a few KiB",
            instead="Free space or raise the quota, then run it again.",
        )  # fmt: skip
    if fault.denied:
        groups = ",".join(map(str, who.groups)) or "none"
        found += f"; {'wrote' if fault.writing else 'looked'} as uid {who.uid}, gid {who.gid}, groups {groups}"
        return Finding(
            Outcome.UNREACHABLE, found, f"permission to write {folder}" if fault.writing else "permission to read it",
            f"Set the pod's securityContext.fsGroup to the group that owns the volume (this guard has groups {groups}), "
            "or run the guard with the application's runAsUser.",
            instead=f"Give the guard permission to write {folder}, then run it again." if fault.writing else "",
        )  # fmt: skip
    if fault.in_place:
        told = f"Look at what lies in {folder}, move away what is in the way"
        if fault.number == errno.EAGAIN:
            told = "Another command works on this volume: wait for its end"
        return Finding(
            Outcome.UNREACHABLE, found, f"to be able to write in {folder}", instead=f"{told}, then run it again."
        )
    return Finding(Outcome.UNREACHABLE, found, "an answer from the volume")


def _allowed(expected: Expectation, look: Look) -> bool:
    return look.kind in expected.kinds


def _mount_findings(expected: Expectation, look: Look) -> Iterator[Finding]:
    assert look.mount is not None
    mount = look.mount
    listed = ", ".join(sorted(kind.value for kind in expected.kinds))
    if not look.is_mount_point:
        found = f"{look.path} is a plain directory of {mount.fstype} mounted at {mount.mount_point}"
        yield Finding(Outcome.NOT_MOUNTED, found, f"a volume mounted at {look.path}")
    elif not _allowed(expected, look):
        outcome = (
            Outcome.EPHEMERAL if look.kind in EPHEMERAL_KINDS
            else Outcome.NODE_DISK if look.kind is Kind.NODE_DISK
            else Outcome.KIND_REFUSED
        )  # fmt: skip
        yield Finding(
            outcome,
            f"{look.path} is of kind {look.kind.value}: {look.kind_reason}",
            f"one of GUARD_KINDS={listed}",
        )


#: Adopting a wiped volume is refused until what is left of it was accepted.
_ACCEPT_FIRST = (
    "Its ledger says that data was lost: restore it. Only if what is there now is right: guard accept, then "
)


def _marker_findings(expected: Expectation, look: Look, *, lost: bool) -> Iterator[Finding]:
    wanted = f'expected "{expected.volume}"'
    if look.marker is None:
        seen = usable_ledger(look)
        found = f"{look.path} carries no marker"
        if seen:
            found += f", but a ledger: {seen.files} files when {truncate(seen.pod or 'a guard')} last wrote it at {seen.written}"
        yield Finding(Outcome.MARKER_MISSING, found, wanted, f"{_ACCEPT_FIRST}guard adopt." if lost else "")
    elif isinstance(look.marker, InvalidDocument):
        broken = look.marker
        name = f" (sha256 {broken.digest})" if broken.digest else ""
        hint = (
            f"Look at {look.path}/{GUARD_FOLDER} and move it away by hand." if not broken.digest
            else f"{_ACCEPT_FIRST}guard adopt --replace {broken.digest} (in this order)." if lost
            else f"To write a new one, guard adopt --replace {broken.digest} keeps this one beside it."
        )  # fmt: skip
        yield Finding(
            Outcome.MARKER_INVALID, f"{look.path} carries a marker that is {broken.reason}{name}", wanted, hint
        )
    elif look.marker.volume != expected.volume:
        yield Finding(
            Outcome.MARKER_MISMATCH,
            f'{look.path} carries "{truncate(look.marker.volume)}" (id {look.marker.marker_id})',
            wanted,
            f"If this disk is to become {expected.volume}, guard adopt --replace {look.marker.marker_id} makes it so.",
        )


_RESTORING = (
    "A restore that was interrupted is run again, not released: what it has not brought back yet would be given up."
)


def _state_findings(expected: Expectation, look: Look) -> Iterator[Finding]:
    if isinstance(look.hold, InvalidDocument):
        found = f"{look.path} is held, but its hold can't be read: {look.hold.reason}"
        yield Finding(Outcome.HELD, found, "no announced work")
    elif look.hold is not None:
        found = (
            f'{look.path} is held by {truncate(look.hold.by)} since {look.hold.since}: "{truncate(look.hold.reason)}"'
        )
        yield Finding(Outcome.HELD, found, "no announced work", _RESTORING if look.hold.restores else "")
    if expected.writable and look.read_only:
        yield Finding(Outcome.READ_ONLY, f"{look.path} can't be written: {look.read_only}", "a writable volume")


def _data_lost(look: Look, loss: Loss) -> Finding:
    largest = ", ".join(f"{truncate(entry.name)} {entry.before} to {entry.after}" for entry in loss.entries[:3])
    found = f"{look.path} holds {loss.found}: {loss.reason}"
    if largest:
        found += f" ({largest})"
    ledger = usable_ledger(look)
    expected = loss.expected
    if ledger and not loss.floor:
        expected += (
            f", recorded {ledger.reference.recorded}, last seen {ledger.written} by {truncate(ledger.pod or 'a guard')}"
        )
        expected += f" on {truncate(ledger.node)}" if ledger.node else ""
    return Finding(Outcome.DATA_LOST, found, expected, instead=loss.remedy if loss.floor else "")


def _warnings(expected: Expectation, look: Look, census: FileCount | None) -> Iterator[str]:
    if expected.writable and look.writing is Writing.FULL:
        yield f"{look.path} is full: a write failed for lack of space or quota"
    if expected.writable and look.writing is Writing.DENIED and not look.read_only:
        who = look.identity
        folder = f"{look.path}/{GUARD_FOLDER}"
        yield f"uid {who.uid}, gid {who.gid} may not write {folder}: whether the volume is writable was not seen"
    if census is not None and census.unreadable:
        names = ", ".join(map(truncate, census.unreadable[:3]))
        yield f"{census.unreadable_folders} folders could not be read and keep their last count: {names}"
