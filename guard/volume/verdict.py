"""The judgement: a pure function of what is expected and what a look found. Gate, watcher and adoption share it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum

from guard.outcome import PRECEDENCE, RETRYABLE, RETRYABLE_BY_PROPAGATION, Outcome
from guard.volume.cause import Cause, cause_of_fault
from guard.volume.hold import Hold
from guard.volume.kinds import EPHEMERAL_KINDS, Kind
from guard.volume.ledger import Ledger, Reference
from guard.volume.loss import Content, Loss, LossRule, Verdict, is_over, judge_loss, states_of
from guard.volume.marker import Marker
from guard.volume.mountinfo import Mount
from guard.volume.observation import FileCount, FilesChecked, InvalidDocument, Look, ProbeFault, Writing
from guard.volume.paths import lineage
from guard.volume.sample import Presence
from guard.volume.timestamp import seconds_of

#: GUARD_KINDS unless said otherwise: what outlives the pod.
DURABLE_KINDS = frozenset({Kind.BLOCK, Kind.NETWORK, Kind.FUSE})


@dataclass(frozen=True)
class Expectation:
    """What the settings ask of the volume; the packages below `cli` know no setting but these.

    Attributes:
        path: The guarded path, absolute.
        volume: The name that the marker must carry.
        kinds: Kinds of mount that are allowed.
        writable: Whether it must be possible to write.
        loss: The loss rule.
        ignore: GUARD_IGNORE: patterns of paths that are no data.
        probe_timeout: Seconds without progress after which a look has failed.
    """

    path: str
    volume: str
    kinds: frozenset[Kind] = DURABLE_KINDS
    writable: bool = True
    loss: LossRule = field(default_factory=LossRule)
    ignore: tuple[str, ...] = ()
    probe_timeout: float = 10.0


class Concern(Enum):
    """What a volume that passes must be reported with."""

    SHRUNK = "known files are lost, but not enough for a wipe"
    NO_SPACE = "no space is left"
    NO_INODES = "no inode is left"
    UNTRIED = "whether it can be written was not tried"
    UNREADABLE = "files cannot be read"
    HIDDEN = "files are hidden by mounts"


@dataclass(frozen=True)
class Finding:
    """One outcome that holds, and why; with the call that failed, and the verdict on the content if it changes what to do."""

    outcome: Outcome
    cause: Cause
    fault: ProbeFault | None = None
    loss: Loss | None = None


@dataclass(frozen=True)
class Judgement:
    """The verdict on a volume.

    Attributes:
        findings: Every outcome that holds, in the order of precedence; none where the volume is right.
        loss: The verdict on the content; None where it was not checked.
        concerns: What a pass must be reported with.
    """

    findings: tuple[Finding, ...]
    loss: Loss | None = None
    concerns: tuple[Concern, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The exit status: the first that holds."""
        return self.findings[0].outcome if self.findings else Outcome.OK

    def may_recover(self, look: Look) -> bool:
        """Whether looking again can end better: see GUARD_WAIT."""
        receives = look.mount is not None and look.mount.receives_propagation and not look.overlay_root
        return self.outcome in RETRYABLE or (receives and self.outcome in RETRYABLE_BY_PROPAGATION)


@dataclass(frozen=True)
class Inspection:
    """A look with its check, count and judgement.

    Attributes:
        look: Mount, documents, space.
        checked: The sampled files that were checked; None where that could not change the judgement.
        count: The count; None where none was needed.
        judgement: What follows from them.
    """

    look: Look
    checked: FilesChecked | None
    count: FileCount | None
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


def hidden_by(look: Look) -> tuple[str, ...]:
    """Returns the mounts below the path that hide files of the reference, relative to it."""
    reference = reference_of(look)
    if not look.nested or reference is None:
        return ()
    above = {folder for file in reference.sample for folder in lineage(file.path)}
    return tuple(one for one in look.nested if one in above)


def is_content_relevant(expected: Expectation, look: Look) -> bool:
    """Whether the content can still change the judgement: never look at the files of the wrong disk."""
    if look.fault or look.absent or not look.is_mount_point or not _allowed(expected, look):
        return False
    if isinstance(look.marker, Marker):
        return look.marker.volume == expected.volume
    return usable_ledger(look) is not None


def judge(
    expected: Expectation, look: Look, checked: FilesChecked | None = None, count: FileCount | None = None
) -> Judgement:
    """Judges a look; with the check of the ledger's sample, and the count, where there was one."""
    loss = judge_content(expected, look, checked, count)
    fault = look.fault or (checked.fault if checked else None) or (count.fault if count else None)
    found = [*_findings(expected, look, fault, loss)]
    if loss is not None and loss.verdict is Verdict.WIPED:
        cause = Cause.TOO_FEW_FILES if loss.min_files else Cause.FILES_LOST
        found.append(Finding(Outcome.DATA_LOST, cause, loss=loss))
    findings = sorted(found, key=lambda finding: PRECEDENCE.index(finding.outcome))
    return Judgement(tuple(findings), loss, tuple(_concerns(expected, look, checked, count, loss)))


def judge_content(
    expected: Expectation, look: Look, checked: FilesChecked | None, count: FileCount | None
) -> Loss | None:
    """Returns the verdict on the content, compared with the ledger; None if nothing was checked.

    An incident in the ledger is a loss until the data is back.
    """
    if (checked is None and count is None) or (checked and checked.fault) or (count and count.fault):
        return None
    ledger, checks = usable_ledger(look), checked.checks if checked else {}
    reference, incident = (ledger.reference, ledger.incident) if ledger else (None, None)
    elsewhere = count.elsewhere if count else frozenset[str]()
    states = states_of(expected.loss, reference.sample, checks, elsewhere) if reference else {}
    content = Content(states, count.files if count and count.exact else None, count.entries if count else None)
    first_sign = seconds_of(incident.since if incident else ledger.written) if ledger else 0.0
    loss = judge_loss(expected.loss, reference, content, first_sign)
    if incident is not None and loss.verdict is not Verdict.WIPED:
        assert reference is not None
        if not is_over(expected.loss, reference, states, first_sign):
            return replace(loss, verdict=Verdict.WIPED)
    return loss


def _findings(expected: Expectation, look: Look, fault: ProbeFault | None, loss: Loss | None) -> Iterator[Finding]:
    if look.absent:
        yield Finding(Outcome.MISSING, Cause.ABSENT)
        return
    if fault or look.mount is None:
        yield Finding(Outcome.UNREACHABLE, cause_of_fault(look, fault) if fault else Cause.NO_MOUNT, fault)
    if look.mount is None:
        return
    yield from _mount_findings(expected, look, look.mount)
    if not look.is_mount_point or look.mount.is_deleted:
        return  # a marker or a hold that is missing there is no finding of its own
    if not look.fault:
        yield from _marker_findings(expected, look, loss)
    if look.hold is not None:
        restores = isinstance(look.hold, Hold) and look.hold.restores
        yield Finding(Outcome.HELD, Cause.RESTORING if restores else Cause.HELD)
    if expected.writable and look.read_only:
        yield Finding(Outcome.READ_ONLY, Cause.READ_ONLY)


def _allowed(expected: Expectation, look: Look) -> bool:
    return look.kind in expected.kinds


def _mount_findings(expected: Expectation, look: Look, mount: Mount) -> Iterator[Finding]:
    allowed = _allowed(expected, look)
    if mount.is_deleted:
        yield Finding(Outcome.NOT_MOUNTED, Cause.SOURCE_DELETED)
    elif not look.is_mount_point:
        inside = mount.mount_point != "/" and allowed
        yield Finding(Outcome.NOT_MOUNTED, Cause.INSIDE_VOLUME if inside else Cause.PLAIN_DIRECTORY)
    elif allowed:
        return
    elif look.kind in EPHEMERAL_KINDS:
        yield Finding(Outcome.EPHEMERAL, Cause.EPHEMERAL)
    elif look.kind is Kind.NODE_DISK:
        yield Finding(Outcome.NODE_DISK, Cause.NODE_DISK)
    else:
        yield Finding(Outcome.KIND_REFUSED, Cause.KIND)


def _marker_findings(expected: Expectation, look: Look, loss: Loss | None) -> Iterator[Finding]:
    marker = look.marker
    if marker is None:
        cause = Cause.MARKER_GONE if usable_ledger(look) else Cause.UNMARKED
        yield Finding(Outcome.MARKER_MISSING, cause, loss=loss)
    elif isinstance(marker, InvalidDocument):
        future = Cause.MARKER_FUTURE if marker.future else Cause.MARKER_BROKEN
        yield Finding(Outcome.MARKER_INVALID, future if marker.digest else Cause.MARKER_BLOCKED, loss=loss)
    elif marker.volume != expected.volume:
        yield Finding(Outcome.MARKER_MISMATCH, Cause.OTHER_MARKER)


def _concerns(
    expected: Expectation, look: Look, checked: FilesChecked | None, count: FileCount | None, loss: Loss | None
) -> Iterator[Concern]:
    if loss is not None and loss.verdict is Verdict.SHRUNK:
        yield Concern.SHRUNK
    full = look.space.full if look.space else ""
    if expected.writable and (full or look.writing is Writing.FULL):
        yield Concern.NO_INODES if full == "inodes" else Concern.NO_SPACE
    if expected.writable and look.writing is Writing.DENIED and not look.read_only:
        yield Concern.UNTRIED
    presences = {check.presence for check in checked.checks.values()} if checked else set[Presence]()
    if Presence.UNREADABLE in presences or (count is not None and count.unreadable_folders):
        yield Concern.UNREADABLE
    if hidden_by(look):
        yield Concern.HIDDEN
