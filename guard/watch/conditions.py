"""Judges reachability, mount, identity and writability from one look, against the volume that is known. Pure."""

from dataclasses import dataclass, replace
from enum import Enum

from guard.advice.case import Advice
from guard.advice.table import advise
from guard.event import Event
from guard.messages import CHECK_REPLACED, MARKER_GONE, MARKER_SWAPPED, NEVER_SEEN
from guard.outcome import Outcome
from guard.report.text import truncate
from guard.volume.kinds import Kind
from guard.volume.marker import Marker
from guard.volume.observation import Look
from guard.volume.timestamp import seconds_of
from guard.volume.verdict import judge, usable_ledger
from guard.watch.config import WatchConfig

#: The root of no mount has this inode: whatever is mounted next is another mount, also where it gets the same number.
NO_ROOT = -1


class Condition(Enum):
    """What is judged apart; the names are in the metrics."""

    REACHABLE = "reachable"
    MOUNTED = "mounted"
    IDENTITY = "identity"
    CONTENT = "content"
    WRITABLE = "writable"


@dataclass(frozen=True)
class ConditionFailure:
    """One condition that does not hold.

    Attributes:
        event: How it is reported.
        found: What was found, as a sentence part.
        expected: What was expected.
        remedy: What to do now.
    """

    event: Event
    found: str
    expected: str
    remedy: str

    @property
    def message(self) -> str:
        """The sentence of a log line."""
        return f"{self.found}, expected {self.expected}. {self.remedy}"


@dataclass(frozen=True)
class ConditionReport:
    """The conditions that a look could judge, and those that failed.

    Attributes:
        failures: What does not hold, by condition.
        seen: The conditions that this look could judge.
        is_ours: The superblock is the known one (or the first right one): its content may be judged.
        is_other_mount: It is another mount than the known one was.
    """

    failures: dict[Condition, ConditionFailure]
    seen: frozenset[Condition]
    is_ours: bool
    is_other_mount: bool = False

    @property
    def is_reachable(self) -> bool:
        """Whether the volume answered."""
        return Condition.REACHABLE not in self.failures


_UNMOUNTED = (Outcome.MISSING, Outcome.NOT_MOUNTED)
_OTHER_KIND = (Outcome.EPHEMERAL, Outcome.NODE_DISK, Outcome.KIND_REFUSED)
_MARKER_EVENTS = {
    Outcome.MARKER_MISSING: Event.MARKER_MISSING,
    Outcome.MARKER_INVALID: Event.MARKER_INVALID,
    Outcome.MARKER_MISMATCH: Event.MARKER_CHANGED,
}


def marker_id_of(look: Look) -> str:
    """Returns the ID of the marker of a look; empty where it has no valid one."""
    return look.marker.marker_id if isinstance(look.marker, Marker) else ""


def evaluate_conditions(
    config: WatchConfig, before: Look | None, look: Look, replaced_since: float | None = None
) -> ConditionReport:
    """Judges a look without its content.

    Args:
        config: What the watcher was asked for.
        before: The last look at which it was the right volume, with a mount and a marker; None where there was none.
        look: What was found.
        replaced_since: When another volume was first seen in its place, in seconds since 1970; None where none is.
    """
    findings = judge(config.expected, look).findings
    advices = {one.outcome: advise(config.expected, look, one, config.pod) for one in findings}
    failures: dict[Condition, ConditionFailure] = {}
    seen = {Condition.REACHABLE}
    if Outcome.UNREACHABLE in advices:
        failures[Condition.REACHABLE] = failure_of(advices[Outcome.UNREACHABLE], Event.VOLUME_UNREACHABLE)
    if look.absent or look.mount is not None:
        seen.add(Condition.MOUNTED)
    for outcome in _UNMOUNTED:
        if outcome in advices:
            failures[Condition.MOUNTED] = _unmounted(advices[outcome], before)
    mounted = look.mount is not None and Condition.MOUNTED not in failures
    is_other = mounted and before is not None and _is_another_mount(before, look)
    answered = Condition.REACHABLE not in failures
    is_new_start = mounted and answered and _is_new_start(advices, look, replaced_since)
    replaced = None if is_new_start or not mounted else _replacement(config, advices, before, look, is_other=is_other)
    is_ours = mounted and answered and replaced is None
    if replaced:
        seen.add(Condition.IDENTITY)
        failures[Condition.IDENTITY] = replaced
    if is_ours:
        seen |= {Condition.IDENTITY, Condition.WRITABLE}
        marker = None if is_new_start else _marker_failure(config, advices, before, look)
        if marker:
            failures[Condition.IDENTITY] = marker
            is_ours = before is not None or usable_ledger(look) is not None
        if Outcome.READ_ONLY in advices and is_ours:
            failures[Condition.WRITABLE] = failure_of(advices[Outcome.READ_ONLY], Event.VOLUME_READ_ONLY)
    return ConditionReport(failures, frozenset(seen), is_ours, is_other)


def _unmounted(advice: Advice, before: Look | None) -> ConditionFailure:
    if before is not None:
        return failure_of(advice, Event.VOLUME_UNMOUNTED)
    failure = failure_of(advice, Event.VOLUME_REFUSED)
    return replace(failure, found=f"{advice.outcome.label}: {failure.found}", remedy=f"{failure.remedy} {NEVER_SEEN}")


def _replacement(
    config: WatchConfig, advices: dict[Outcome, Advice], before: Look | None, look: Look, *, is_other: bool
) -> ConditionFailure | None:
    """Another volume where the known one was, or should be."""
    for outcome in _OTHER_KIND:
        if outcome in advices:
            return failure_of(advices[outcome], Event.VOLUME_REPLACED)
    if look.fault is not None:
        return None  # what is there did not answer
    if before is None:
        mismatch = advices.get(Outcome.MARKER_MISMATCH)
        return failure_of(mismatch, Event.VOLUME_REPLACED) if mismatch else None
    same = _is_same_superblock(before, look)
    if same and not (is_other and marker_id_of(look) != marker_id_of(before)):
        return None
    if same:  # not the mount that was known, and not its marker
        marker = _marker_failure(config, advices, before, look)
        if marker:
            return replace(marker, event=Event.VOLUME_REPLACED)
    remedy = _pasteable(CHECK_REPLACED, config, look)
    return ConditionFailure(Event.VOLUME_REPLACED, f"{look.path} is {_named(look)}", _named(before), remedy)


def _is_new_start(advices: dict[Outcome, Advice], look: Look, replaced_since: float | None) -> bool:
    """Whether somebody adopted or accepted what is there since it was first seen in the place of the known volume."""
    ledger = usable_ledger(look)
    if replaced_since is None or ledger is None or not ledger.reference.declared:
        return False
    if any(outcome in advices for outcome in (*_OTHER_KIND, *_MARKER_EVENTS)):
        return False
    return seconds_of(ledger.reference.declared) >= replaced_since


def _marker_failure(
    config: WatchConfig, advices: dict[Outcome, Advice], before: Look | None, look: Look
) -> ConditionFailure | None:
    """What is wrong with the marker on the known mount."""
    for outcome, event in _MARKER_EVENTS.items():
        if outcome in advices:
            failure = failure_of(advices[outcome], event)
            if before is None:
                return failure
            remedy = _pasteable(MARKER_GONE if outcome is Outcome.MARKER_MISSING else MARKER_SWAPPED, config, look)
            return failure if outcome is Outcome.MARKER_INVALID else replace(failure, remedy=remedy)
    marker = look.marker
    if before is None or not isinstance(marker, Marker) or marker.marker_id == marker_id_of(before):
        return None
    if usable_ledger(look) is not None:
        return None  # marker and ledger belong together: it was adopted again
    found = f'{look.path} carries "{truncate(marker.volume)}" with id {marker.marker_id}'
    return ConditionFailure(Event.MARKER_CHANGED, found, f"id {marker_id_of(before)}", MARKER_SWAPPED)


def _is_same_superblock(before: Look, look: Look) -> bool:
    known, mount = before.mount, look.mount
    assert known is not None
    assert mount is not None
    known_fsid, fsid = (one.space.fsid if one.space else 0 for one in (before, look))
    if fsid and known_fsid:
        # An ext4 made again on the same device has another ID; XFS takes its ID from the device.
        if fsid == known_fsid:
            return True
    elif mount.device == known.device:
        return True
    anonymous = mount.device.startswith("0:") and known.device.startswith("0:")
    remounted = anonymous and before.kind in {Kind.NETWORK, Kind.FUSE}
    same_server = (mount.fstype, mount.source) == (known.fstype, known.source)
    return remounted and same_server and marker_id_of(look) == marker_id_of(before)


def _is_another_mount(before: Look, look: Look) -> bool:
    known, mount = before.mount, look.mount
    assert known is not None
    return mount is not None and (mount.mount_id, look.root_inode) != (known.mount_id, before.root_inode)


def _pasteable(remedy: str, config: WatchConfig, look: Look) -> str:
    """A remedy whose commands are the lines that can be pasted."""
    return remedy.format(**{name: config.pod.guard(name, look.container) for name in ("accept", "adopt")})


def _named(look: Look) -> str:
    """Which volume it is, as a sentence part."""
    mount, marker = look.mount, look.marker
    assert mount is not None
    carries = "without a valid marker"
    if isinstance(marker, Marker):
        carries = f'with the marker "{truncate(marker.volume)}", id {marker.marker_id}'
    return f"{mount.fstype} on device {mount.device} ({truncate(mount.source) or 'no source'}), {carries}"


def failure_of(advice: Advice, event: Event) -> ConditionFailure:
    """Returns the failure that the gate would refuse a start for, as this event."""
    return ConditionFailure(event, advice.found, advice.expected, advice.in_one_line)
