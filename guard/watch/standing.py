"""What one look says of mount, identity and writing, against the volume that is known. Pure; the content is not its matter."""

from dataclasses import dataclass, replace
from enum import Enum

from guard.event import Event
from guard.outcome import Outcome
from guard.report.text import truncate
from guard.volume.kinds import Kind
from guard.volume.marker import Marker
from guard.volume.observation import Look
from guard.volume.verdict import Expectation, Finding, judge, usable_ledger

#: No mount has this number.
NO_MOUNT = -1


class Condition(Enum):
    """The four that are judged apart; the names stand in metrics."""

    MOUNTED = "mounted"
    IDENTITY = "identity"
    CONTENT = "content"
    WRITABLE = "writable"


@dataclass(frozen=True)
class Known:
    """The volume as it was when it was right.

    Attributes:
        marker_id: Its marker.
        device: `major:minor` of its superblock.
        fsid: Its file system ID; 0 where it has none.
        fstype: Its type.
        source: Its device, server or bucket.
        kind: Its kind.
        mount_id: Of the mount; reused by the kernel.
        root_inode: Of its root.
    """

    marker_id: str
    device: str
    fsid: int
    fstype: str
    source: str
    kind: Kind
    mount_id: int
    root_inode: int


@dataclass(frozen=True)
class Stranger:
    """Another volume where the known one was, as it was first seen there: what changes in it since then, somebody changed there.

    Attributes:
        mount_id: Of its mount.
        device: `major:minor` of its superblock.
        fsid: Its file system ID; 0 where it has none.
        root_inode: Of its root.
        marker_id: Its marker; empty where it had no valid one.
        generation: Of its ledger; 0 where it had no usable one.
    """

    mount_id: int
    device: str
    fsid: int
    root_inode: int
    marker_id: str
    generation: int


@dataclass(frozen=True)
class Trouble:
    """One condition that does not hold.

    Attributes:
        event: How it is said.
        found: What was found, as a sentence part.
        expected: What was expected.
        remedy: What to do now.
    """

    event: Event
    found: str
    expected: str
    remedy: str


@dataclass(frozen=True)
class Standing:
    """What one look is worth.

    Attributes:
        unreachable: Why nothing can be said of what lies behind; None where it answered.
        troubles: What does not hold, by condition.
        seen: The conditions that this look could judge.
        ours: The superblock is the known one (or the first right one): its content may be counted.
        changed_mount: It is another mount than the known one was.
        stranger: Another volume in its place, for the next look to be compared with; None where there is none.
        taken_over: What lay in its place as another volume was adopted or accepted there: it is the known one from now on.
    """

    unreachable: Trouble | None
    troubles: dict[Condition, Trouble]
    seen: frozenset[Condition]
    ours: bool
    changed_mount: bool
    stranger: Stranger | None = None
    taken_over: bool = False


_ACCEPT = "If this one is meant to be here from now on: guard accept."
_UNMOUNTED = (Outcome.MISSING, Outcome.NOT_MOUNTED)
_OTHER_KIND = (Outcome.EPHEMERAL, Outcome.NODE_DISK, Outcome.KIND_REFUSED)
_MARKER_EVENTS = {
    Outcome.MARKER_MISSING: Event.MARKER_MISSING,
    Outcome.MARKER_INVALID: Event.MARKER_INVALID,
    Outcome.MARKER_MISMATCH: Event.MARKER_CHANGED,
}


def known(look: Look) -> Known | None:
    """The volume of a look, for later ones to be compared with; None where it has no valid marker."""
    if look.mount is None or not isinstance(look.marker, Marker):
        return None
    mount = look.mount
    return Known(
        look.marker.marker_id,
        mount.device,
        look.space.fsid if look.space else 0,
        mount.fstype,
        mount.source,
        look.kind,
        mount.mount_id,
        look.root_inode,
    )


def stand(expected: Expectation, before: Known | None, look: Look, stranger: Stranger | None = None) -> Standing:
    """Judges a look without its content.

    Args:
        expected: What the settings ask.
        before: The volume as it was when it was right; None where it never was.
        look: What was found.
        stranger: What the last look found in its place.
    """
    findings = {finding.outcome: finding for finding in judge(expected, look).findings}
    unreachable = _of(findings.get(Outcome.UNREACHABLE), Event.VOLUME_UNREACHABLE)
    troubles: dict[Condition, Trouble] = {}
    seen: set[Condition] = set()
    if look.absent or look.mount is not None:
        seen.add(Condition.MOUNTED)
    for outcome in _UNMOUNTED:
        if outcome in findings:
            troubles[Condition.MOUNTED] = _trouble(findings[outcome], Event.VOLUME_UNMOUNTED)
    mounted = look.mount is not None and Condition.MOUNTED not in troubles
    moved = mounted and before is not None and _another_mount(before, look)
    met, taken_over = None, False
    if unreachable and Condition.MOUNTED not in troubles:
        met = stranger  # it did not answer
    elif mounted and before is not None and _is_another(before, look, moved=moved):
        met = _met(before, look, stranger)
        taken_over = _is_taken_over(findings, before, look, met)
    replaced = _replacement(findings, before, look, moved=moved) if mounted and not taken_over else None
    ours = mounted and unreachable is None and replaced is None
    if replaced:
        seen.add(Condition.IDENTITY)
        troubles[Condition.IDENTITY] = replaced
    if ours:
        seen |= {Condition.IDENTITY, Condition.WRITABLE}
        marker = _marker_trouble(findings, before, look)
        if marker:
            troubles[Condition.IDENTITY] = marker
            ours = before is not None or usable_ledger(look) is not None
        writing = _of(findings.get(Outcome.READ_ONLY), Event.VOLUME_READ_ONLY)
        if writing and ours:
            troubles[Condition.WRITABLE] = writing
    return Standing(unreachable, troubles, frozenset(seen), ours, moved, None if taken_over else met, taken_over)


def _replacement(findings: dict[Outcome, Finding], before: Known | None, look: Look, *, moved: bool) -> Trouble | None:
    """Another volume where the known one was (or ought to be)."""
    for outcome in _OTHER_KIND:
        if outcome in findings:
            return _trouble(findings[outcome], Event.VOLUME_REPLACED)
    if look.fault is not None:
        return None  # what lies there did not answer
    if before is None:
        return _of(findings.get(Outcome.MARKER_MISMATCH), Event.VOLUME_REPLACED)
    if not _is_another(before, look, moved=moved):
        return None
    marker = _marker_trouble(findings, before, look)
    if marker and _same_superblock(before, look):  # not the mount that was known, and not its marker
        return Trouble(Event.VOLUME_REPLACED, marker.found, marker.expected, Outcome.MARKER_MISMATCH.value.remedy)
    replaced = _replaced(before, look)
    acceptable = not _MARKER_EVENTS.keys() & findings.keys()
    return replace(replaced, remedy=f"{replaced.remedy} {_ACCEPT}") if acceptable else replaced


def _is_another(before: Known, look: Look, *, moved: bool) -> bool:
    """Whether what lies there is not the known volume: another superblock, or on another mount another marker."""
    marker_id = look.marker.marker_id if isinstance(look.marker, Marker) else ""
    return not _same_superblock(before, look) or (moved and marker_id != before.marker_id)


def _met(before: Known, look: Look, stranger: Stranger | None) -> Stranger:
    """What lies there, as it was when it was first seen."""
    mount, ledger = look.mount, usable_ledger(look)
    assert mount is not None
    fsid = look.space.fsid if look.space else 0
    marker_id = look.marker.marker_id if isinstance(look.marker, Marker) else ""
    generation = ledger.generation if ledger is not None and marker_id else 0
    here = Stranger(mount.mount_id, mount.device, fsid, look.root_inode, marker_id, generation)
    if stranger is None or replace(stranger, marker_id=marker_id, generation=generation) != here:
        return here
    # Where the known marker was copied to it, nobody adopted it, and the ledger beside it is an old one.
    return here if before.marker_id == marker_id != stranger.marker_id else stranger


def _is_taken_over(findings: dict[Outcome, Finding], before: Known, look: Look, met: Stranger) -> bool:
    """Whether somebody adopted or accepted it since it was first seen there: what it was before says nothing."""
    marker, ledger = look.marker, usable_ledger(look)
    if not isinstance(marker, Marker) or ledger is None:
        return False
    if any(outcome in findings for outcome in (*_OTHER_KIND, *_MARKER_EVENTS)):
        return False
    adopted = marker.marker_id not in {met.marker_id, before.marker_id}
    return adopted or (marker.marker_id == met.marker_id and ledger.generation > met.generation)


def _marker_trouble(findings: dict[Outcome, Finding], before: Known | None, look: Look) -> Trouble | None:
    """What is wrong with the marker on the known mount."""
    for outcome, event in _MARKER_EVENTS.items():
        if outcome in findings:
            return _trouble(findings[outcome], event)
    marker = look.marker
    if before is None or not isinstance(marker, Marker) or marker.marker_id == before.marker_id:
        return None
    if look.ledger is not None and usable_ledger(look) is not None:
        return None  # marker and ledger belong together: it was adopted anew
    return Trouble(
        Event.MARKER_CHANGED,
        f'{look.path} carries "{truncate(marker.volume)}" with id {marker.marker_id}',
        f"id {before.marker_id}",
        Outcome.MARKER_MISMATCH.value.remedy,
    )


def _same_superblock(before: Known, look: Look) -> bool:
    mount = look.mount
    assert mount is not None
    fsid = look.space.fsid if look.space else 0
    if fsid and before.fsid:
        # An ext4 made anew on the same device has another ID; XFS takes its ID from the device.
        if fsid == before.fsid:
            return True
    elif mount.device == before.device:
        return True
    anonymous = mount.device.startswith("0:") and before.device.startswith("0:")
    remounted = anonymous and before.kind in {Kind.NETWORK, Kind.FUSE}
    same_server = (mount.fstype, mount.source) == (before.fstype, before.source)
    marker = look.marker
    return remounted and same_server and isinstance(marker, Marker) and marker.marker_id == before.marker_id


def _another_mount(before: Known, look: Look) -> bool:
    return look.mount is not None and (look.mount.mount_id, look.root_inode) != (before.mount_id, before.root_inode)


def _replaced(before: Known, look: Look) -> Trouble:
    mount, marker = look.mount, look.marker
    assert mount is not None
    carries = "without a valid marker"
    if isinstance(marker, Marker):
        carries = f'with the marker "{truncate(marker.volume)}", id {marker.marker_id}'
    return Trouble(
        Event.VOLUME_REPLACED,
        f"{look.path} is {mount.fstype} on device {mount.device} ({truncate(mount.source) or 'no source'}), {carries}",
        f"{before.fstype} on device {before.device} ({truncate(before.source) or 'no source'}), marker {before.marker_id}",
        Outcome.MARKER_MISMATCH.value.remedy,
    )


def _trouble(finding: Finding, event: Event) -> Trouble:
    remedy = finding.remedy + (f" {finding.hint}" if finding.hint else "")
    return Trouble(event, finding.found, finding.expected.removeprefix("expected "), remedy)


def _of(finding: Finding | None, event: Event) -> Trouble | None:
    return _trouble(finding, event) if finding else None
