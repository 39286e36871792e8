"""The judgement: a pure function of what is expected and what a look found. Gate, watcher and adoption share it."""

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from guard.outcome import PRECEDENCE, RETRYABLE, RETRYABLE_BY_PROPAGATION, Outcome
from guard.report.text import printable, truncate
from guard.volume.kinds import EPHEMERAL_KINDS, Kind
from guard.volume.ledger import Ledger, Reference
from guard.volume.loss import Content, Loss, LossRule, Verdict, is_over, judge_loss, states_of
from guard.volume.marker import Marker
from guard.volume.mountinfo import Mount
from guard.volume.observation import GUARD_FOLDER, FileCount, FilesChecked, InvalidDocument, Look, ProbeFault, Writing
from guard.volume.timestamp import seconds_of

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
        loss: The verdict on the content; None where it was not looked at.
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
        receives = look.mount is not None and look.mount.receives_propagation and not look.overlay_root
        return self.outcome in RETRYABLE or (receives and self.outcome in RETRYABLE_BY_PROPAGATION)


@dataclass(frozen=True)
class Inspection:
    """One look and what it is worth.

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
    """Judges a look, and what it found of the content.

    Args:
        expected: What the settings ask.
        look: What was found.
        checked: What became of the files of the ledger's sample, where that was worth looking at.
        count: The count, where there was one.
    """
    loss = judge_content(expected, look, checked, count)
    found = [*_findings(expected, look, checked, count, loss)]
    if loss is not None and loss.verdict is Verdict.WIPED:
        found.append(_data_lost(look, loss))
    findings = sorted(found, key=lambda finding: PRECEDENCE.index(finding.outcome))
    return Judgement(tuple(findings), loss, tuple(_warnings(expected, look, count)))


def judge_content(
    expected: Expectation, look: Look, checked: FilesChecked | None, count: FileCount | None
) -> Loss | None:
    """Returns the verdict on the content, to which the ledger says what was there just before; None if nothing was checked.

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


def _findings(
    expected: Expectation, look: Look, checked: FilesChecked | None, count: FileCount | None, loss: Loss | None
) -> Iterator[Finding]:
    if look.absent:
        yield Finding(Outcome.MISSING, f"{look.path}: {look.found_instead}", "a mounted directory")
        return
    fault = look.fault or (checked.fault if checked else None) or (count.fault if count else None)
    if fault:
        yield _unreachable(look, expected.probe_timeout, fault)
    if look.mount is None:
        if fault is None:
            yield Finding(
                Outcome.UNREACHABLE, f"{look.path}: its mount could not be told", "a line in /proc/self/mountinfo"
            )
        return
    yield from _mount_findings(expected, look)
    if not look.is_mount_point or look.mount.is_deleted:
        return  # a marker or a hold that is missing there is no finding of its own
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
    if look.mount.is_deleted or not look.is_mount_point:
        yield _not_mounted(expected, look, look.mount)
    elif not _allowed(expected, look):
        outcome = (
            Outcome.EPHEMERAL if look.kind in EPHEMERAL_KINDS
            else Outcome.NODE_DISK if look.kind is Kind.NODE_DISK
            else Outcome.KIND_REFUSED
        )  # fmt: skip
        meant = f"If this kind is meant, set {_setting(expected.kinds | {look.kind})} in the gate and in the watcher"
        refused = outcome is Outcome.KIND_REFUSED
        yield Finding(
            outcome,
            f"{look.path} is of kind {look.kind.value}: {look.kind_reason}",
            f"one of {_setting(expected.kinds)}",
            hint="" if refused else f"{meant}.",
            instead=f"{meant}; the marker alone then tells the right volume." if refused else "",
        )


def _setting(kinds: frozenset[Kind]) -> str:
    return f"GUARD_KINDS={','.join(sorted(kind.value for kind in kinds))}"


def _not_mounted(expected: Expectation, look: Look, mount: Mount) -> Finding:
    wanted = f"a volume mounted at {look.path}"
    point = printable(mount.mount_point)
    if mount.is_deleted:
        folder = truncate(mount.root.removesuffix("//deleted"))
        return Finding(
            Outcome.NOT_MOUNTED,
            f"the folder behind this bind mount was deleted on the node: {folder} of {mount.fstype}, mounted at {point}",
            wanted,
            instead="Delete the pod: a new one mounts the folder that is there now, this one never will. If this is a "
            "subPath of a volume, its files were deleted too: look there before you start anything.",
        )
    found = f"{look.path} is a plain directory of {mount.fstype} mounted at {point}"
    if mount.mount_point == "/" or not _allowed(expected, look):
        return Finding(Outcome.NOT_MOUNTED, found, wanted)
    link = "" if look.real_path in {"", look.path} else f" is a link to {truncate(look.real_path)}, which"
    return Finding(
        Outcome.NOT_MOUNTED,
        f"{look.path}{link} is a folder inside the volume mounted at {point} ({mount.fstype})",
        wanted,
        instead=f"Set GUARD_PATH={point} in the gate and in the watcher. If a volume of its own should be at "
        f"{look.path}, compare volumes and volumeMounts of the APPLIED object with your file.",
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
            found += f", but a ledger: {seen.reference.files} files when {truncate(seen.pod or 'a guard')} last wrote it at {seen.written}"
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
    ledger = usable_ledger(look)
    if loss.min_files:
        return Finding(
            Outcome.DATA_LOST, f"{look.path} holds {loss.after} files", f"at least {loss.min_files} files (GUARD_MIN_FILES)",
            instead="Restore the data from a backup. If so few files are right: lower GUARD_MIN_FILES.",
        )  # fmt: skip
    kept = f"{loss.kept} of the {loss.checked} files that were checked are left on {look.path}"
    largest = ", ".join(f"{truncate(entry.name)} {entry.before} to {entry.after}" for entry in loss.entries[:3])
    found = kept + (f" ({largest})" if largest else "")
    expected = f"the {loss.before} files of the reference"
    if ledger:
        expected += f", last seen {ledger.written} by {truncate(ledger.pod or 'a guard')}"
        expected += f" on {truncate(ledger.node)}" if ledger.node else ""
    return Finding(Outcome.DATA_LOST, found, expected)


def _warnings(expected: Expectation, look: Look, count: FileCount | None) -> Iterator[str]:
    if expected.writable and look.writing is Writing.FULL:
        yield f"{look.path} is full: a write failed for lack of space or quota"
    if expected.writable and look.writing is Writing.DENIED and not look.read_only:
        who = look.identity
        folder = f"{look.path}/{GUARD_FOLDER}"
        yield f"uid {who.uid}, gid {who.gid} may not write {folder}: whether the volume is writable was not seen"
    if count is not None and count.unreadable:
        names = ", ".join(map(truncate, count.unreadable[:3]))
        yield f"{count.unreadable_folders} folders could not be read and keep their last count: {names}"
