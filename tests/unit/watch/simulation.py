"""A volume and the watchers on it in simulated time: each errand as `guard/watch/sidecar.py` sends it, and what came of it."""

import errno
import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from guard.event import Event, EventRecord
from guard.messages import PodInfo
from guard.volume.hold import Hold
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger, Reference
from guard.volume.loss import LossRule, new_reference
from guard.volume.marker import Marker
from guard.volume.mountinfo import Mount
from guard.volume.observation import CountOptions, FileCount, Identity, InvalidDocument, Look, ProbeFault, Space
from guard.volume.verdict import DURABLE_KINDS, Expectation
from guard.watch.keeping import rfc3339
from guard.watch.sightings import Glimpse, Moment, Stock, TripwireState
from guard.watch.vigil import Vigil, Wants

PATH = "/app/skills"
NAME = "claude-skills-dev"
MARKER_ID = "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11"
OTHER_ID = "7f9a7d0c-1111-4222-8333-444455556666"
BEGUN = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
AT = rfc3339(BEGUN)

RUN = "5f0e1c2d3b4a5968"

INTERVAL = 10.0
SETTLE = 2.0
WEEK = 7 * 86400.0
#: What errands cost beside the names they read, in seconds.
_LOOK = 0.002
_COUNT = 0.002
_WRITE = 0.01
_ARM = 0.02
_EVENT = 0.001
_STORM = 64
_FILE_BLOCKS = 8
_OWN_INODES = 11
_OWN_BLOCKS = 40


class World:
    """The clock, and everything that is to happen; what is due at one time happens in the order it was asked for."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall_jump = timedelta()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._asked = 0

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        self._asked += 1
        heapq.heappush(self._due, (self.now + seconds, self._asked, do))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._due and self._due[0][0] <= until:
            self.now, _, do = heapq.heappop(self._due)
            do()
        self.now = until

    def moment(self) -> Moment:
        return Moment(self.now, BEGUN + timedelta(seconds=self.now - 1000.0) + self.wall_jump)


@dataclass
class Volume:
    """What is on the disk, and how it is mounted. Methods are what people, applications and the platform do to it."""

    world: World
    entries: dict[str, int] = field(default_factory=dict)
    empty: int = 0
    marker: Marker | InvalidDocument | None = field(default_factory=lambda: Marker(NAME, MARKER_ID, AT))
    ledger: Ledger | InvalidDocument | None = None
    hold: Hold | InvalidDocument | None = None
    mount: Mount = field(
        default_factory=lambda: Mount(125, 109, "8:16", "/", PATH, ("rw",), (), "ext4", "/dev/sdb", "rw")
    )
    kind: Kind = Kind.BLOCK
    fsid: int = 7
    root_inode: int = 2
    mounted: bool = True
    fault: ProbeFault | None = None  # of looks; number 0 hangs them
    uncountable: ProbeFault | None = None  # of counts alone
    unreadable: tuple[str, ...] = ()
    read_only: str = ""
    writing: ProbeFault | None = None  # what a write meets
    deaf: bool = False  # events are lost
    hidden: dict[str, int] = field(default_factory=dict)  # entries below other mounts
    blind: str = ""  # why a tripwire can't be armed whole
    unwatched: frozenset[int | str] = frozenset()  # what a tripwire that stands does not see
    inodes_counted: bool = True
    grown_blocks: int = 0
    folders: int | None = None
    watches: "list[Watch]" = field(default_factory=list)
    kept: list[tuple[float, "Watch", Ledger]] = field(default_factory=list)
    changed: Callable[[], None] = lambda: None

    # What it is.

    @property
    def files(self) -> int:
        return sum(self.entries.values())

    def census(self, order: CountOptions) -> FileCount:
        if self.uncountable:
            return FileCount(0, fault=self.uncountable)
        shown = {name: files for name, files in self.entries.items() if name not in self.unreadable}
        entries = {name: files for name, files in shown.items() if files} if len(shown) > 1 else {}
        entries |= {name: shown.get(name, 0) for name in order.entries}
        sizes = self.empty if order.sizes else None
        folders = len(self.entries) if self.folders is None else self.folders
        return FileCount(
            sum(shown.values()), entries=entries, depth=1, empty=sizes, folders=folders, unreadable=self.unreadable,
            mount_id=self.mount.mount_id, root_inode=self.root_inode,
        )  # fmt: skip

    def space(self) -> Space:
        names = {**self.entries, **self.hidden}
        inodes = sum(names.values()) + len(names) + _OWN_INODES if self.inodes_counted else 0
        blocks = _FILE_BLOCKS * (sum(names.values()) - self.empty) + _OWN_BLOCKS + self.grown_blocks
        return Space(blocks, inodes, self.fsid)

    def look(self) -> Look:
        who = Identity(1000, 1000, (2000,))
        if not self.mounted:
            root = Mount(107, 68, "0:51", "/", "/", ("rw",), (), "overlay", "overlay", "rw")
            return Look(PATH, who, PATH, mount=root, kind=Kind.OVERLAY, kind_reason="an overlay", root_inode=9)
        if self.fault:
            return Look(PATH, who, PATH, mount=self.mount, is_mount_point=True, kind=self.kind, fault=self.fault)
        return Look(
            PATH, who, PATH, mount=self.mount, is_mount_point=True, kind=self.kind, kind_reason="its own device",
            root_inode=self.root_inode, space=self.space(), read_only=self.read_only,
            marker=self.marker, ledger=self.ledger, hold=self.hold,
        )  # fmt: skip

    # What is done to it.

    def set(self, entries: dict[str, int]) -> None:
        """Makes it hold this; what vanished and what came are events."""
        names = self.entries.keys() | entries.keys()
        removed = sum(max(0, self.entries.get(name, 0) - entries.get(name, 0)) for name in names)
        created = sum(max(0, entries.get(name, 0) - self.entries.get(name, 0)) for name in names)
        self.entries = {name: files for name, files in entries.items() if files}
        self.empty = min(self.empty, self.files)
        self._stir(removed, created)

    def wipe(self) -> None:
        self.set({})

    def truncate(self, files: int) -> None:
        """Makes so many files empty: no name changes, and no event is seen."""
        self.empty = min(self.files, self.empty + files)
        self.changed()

    def finish(self, files: int) -> None:
        """Each of so many files gives way to an empty one of another name."""
        files = min(files, self.files - self.empty)
        self.empty += files
        self._stir(files, files)

    def refill(self) -> None:
        self.empty = 0
        self.changed()

    def grow_blocks(self, blocks: int) -> None:
        self.grown_blocks += blocks
        self.changed()

    def accept(self) -> None:
        assert isinstance(self.marker, Marker)
        last = self.ledger if isinstance(self.ledger, Ledger) else None
        now = rfc3339(self.world.moment().wall)
        reference = new_reference(None, self.census(CountOptions(sizes=True)), now)
        generation = last.generation + 1 if last else 1
        self.ledger = Ledger(self.marker.marker_id, generation, reference, self.files, now, "by-hand", None)
        self.changed()

    def announce(self) -> None:
        self.hold = self.hold or Hold("restore-job", rfc3339(self.world.moment().wall), "restore of Monday's backup")
        self.changed()

    def release(self) -> None:
        if isinstance(self.marker, Marker):
            self.accept()
        self.hold = None
        self.changed()

    def unhold(self) -> None:
        """Removes the hold by hand: nothing is accepted."""
        self.hold = None
        self.changed()

    def unmount(self) -> None:
        self.mounted = False
        self._mounts_changed()

    def remount(self, *, mount_id: int | None = None) -> None:
        self.mounted = True
        self.mount = replace(self.mount, mount_id=self.mount.mount_id + 1 if mount_id is None else mount_id)
        self._mounts_changed()

    def cover(self, *names: str) -> None:
        """Something is mounted on these entries: no event of the tree tells, and a count does not see them."""
        self.hidden = {name: self.entries.pop(name) for name in names}
        self._mounts_below_changed()

    def uncover(self) -> None:
        self.entries, self.hidden = {**self.entries, **self.hidden}, {}
        self._mounts_below_changed()

    def put_in_its_place(self, fsid: int, **disk: Any) -> None:
        """Another disk is mounted there: what is not said of it is as on the last one, as on a clone."""
        self.unmount()
        self.fsid = fsid
        for name, value in disk.items():
            setattr(self, name, value)
        self.remount()

    def break_down(self, number: int = errno.EIO) -> None:
        self.fault = ProbeFault(number, "listing it" if number else "being looked at")
        self.changed()

    def mend(self) -> None:
        self.fault = None
        self.changed()

    def jump(self, *, days: float) -> None:
        """The node's wall clock is set to another time."""
        self.world.wall_jump += timedelta(days=days)

    def _stir(self, removed: int, created: int) -> None:
        self.changed()
        if not self.deaf:
            for watch in self.watches:
                watch.stir(removed, created)

    def _mounts_below_changed(self) -> None:
        self.changed()
        for watch in self.watches:
            watch.vigil.mounted_below(self.world.moment())
            watch.mounts_changed()

    def _mounts_changed(self) -> None:
        self.changed()
        for watch in self.watches:
            watch.mounts_changed()


@dataclass(frozen=True)
class Line:
    """What was said, and when."""

    at: float
    happening: EventRecord

    @property
    def event(self) -> Event:
        return self.happening.event


class Watch:
    """One watcher: its vigil, and the sidecar's loop and prober around it."""

    def __init__(
        self,
        world: World,
        volume: Volume,
        *,
        loss: LossRule | None = None,
        window: float = WEEK,
        settle: float = SETTLE,
        jitter: float = 1.0,
        per_file: float = 1e-6,
        pod: str = "skills-0",
        writable: bool = True,
        kinds: frozenset[Kind] = DURABLE_KINDS,
    ) -> None:
        self.expected = Expectation(PATH, NAME, kinds, writable=writable, loss=loss or LossRule())
        self.vigil = Vigil(world.moment(), self.expected, settle, window, PodInfo(pod, "node-1", "dev"), RUN, jitter)
        self.lines: list[Line] = []
        self.counts: list[tuple[float, FileCount]] = []
        self.counting = 0.0
        self.longest = 0.0
        self.looks = 0
        self.arms = 0
        self.forks = True  # whether a prober that ends can be replaced
        self.after_step: Callable[[], None] = lambda: None
        self._world, self._volume, self._per_file = world, volume, per_file
        self._look_at = world.now
        self._errand = ""
        self._prober = True
        self._token = 0
        self._wire: tuple[int, int] | None = None
        self._storm = False
        self._stirred = False
        self._recent: deque[float] = deque(maxlen=200)
        self._stopped = False
        volume.watches.append(self)
        self._step()

    # What came out of it.

    def said(self, *events: Event) -> list[EventRecord]:
        return [line.happening for line in self.lines if not events or line.event in events]

    def of_incidents(self) -> list[EventRecord]:
        """What was said that is not of its own run."""
        return [line.happening for line in self.lines if line.happening.operation != RUN]

    def labels(self) -> list[str]:
        return [line.event.label for line in self.lines]

    @property
    def reference(self) -> Reference | None:
        return self.vigil.keeper.reference if self.vigil.keeper else None

    def stop(self) -> None:
        """Ends it as a signal does: the last ledger, where one is due to be written."""
        ledger = self.vigil.ledger(self._world.moment())
        if ledger is not None and self._errand != "write":
            self._keep(ledger)
        self._token += 1
        self._stopped = True
        self._volume.watches.remove(self)

    # The loop.

    def _step(self) -> None:
        if self._stopped:
            return
        self._hear()
        if self._errand:
            return
        now = self._world.now
        self._recent.append(now)
        if len(self._recent) == 200:
            assert now - self._recent[0] > 1.0, f"a busy loop: 200 steps in {now - self._recent[0]:.3f} s"
        wants = self.vigil.wants(now)
        if not self._prober:
            wants = Wants(look=wants.look)
        if min(self._look_at, wants.look or self._look_at) <= now:
            self._look()
        elif _is_due(wants.count, now) and not _is_due(wants.arm, now):
            self._send("count", self._count_seconds(), order=self.vigil.order())
        elif _is_due(wants.arm, now):
            self._send("arm", self._count_seconds() + _ARM, order=self.vigil.order())
        elif _is_due(wants.write, now) and self.vigil.ledger(self._world.moment()) is not None:
            self._send("write", _WRITE, ledger=self.vigil.ledger(self._world.moment()))
        else:
            waits = [self._look_at, wants.look, wants.count, wants.arm, wants.write]
            self._wake_in(max(0.001, min(due for due in waits if due is not None) - now))

    def _look(self) -> None:
        self._prober = self._prober or self.forks
        if self._prober:
            self._send("look", _LOOK)
            return
        self._look_at = self._world.now + INTERVAL
        self.vigil.unprobed(self._world.moment(), self.vigil.look or self._volume.look(), "EAGAIN")
        self._step()

    def _wake_in(self, seconds: float) -> None:
        self._token += 1
        token = self._token
        self._world.after(seconds, lambda: self._step() if token == self._token else None)

    def _hear(self) -> None:
        self.lines += [Line(self._world.now, happening) for happening in self.vigil.incident.said()]
        self.after_step()

    def _count_seconds(self) -> float:
        return _COUNT + self._volume.files * self._per_file

    def _send(
        self, errand: str, seconds: float, order: CountOptions | None = None, ledger: Ledger | None = None
    ) -> None:
        self._errand = errand
        self._token += 1
        token, space, began = self._token, self._volume.space(), self._world.now
        if errand == "arm":
            self._arm()
        stuck = self._stuck(errand)

        def answer() -> None:
            if token != self._token:
                return
            if not stuck and self._stuck(errand):
                self._world.after(self.expected.probe_timeout, late)
                return
            self._errand = ""
            self._answered(errand, order, space, ledger, self._world.now - began)
            self._step()

        def late() -> None:
            if token == self._token:
                self._errand = ""
                self._overdue(errand)
                self._step()

        if stuck:
            self._world.after(self.expected.probe_timeout, late)
        else:
            self._world.after(seconds, answer)

    def _stuck(self, errand: str) -> bool:
        faults = [self._volume.fault] if errand == "look" else [self._volume.fault, self._volume.uncountable]
        return self._volume.mounted and any(fault is not None and fault.number == 0 for fault in faults)

    def _answered(
        self, errand: str, order: CountOptions | None, space: Space, ledger: Ledger | None, seconds: float
    ) -> None:
        moment = self._world.moment()
        if errand == "look":
            self.looks += 1
            self._look_at = self._world.now + INTERVAL
            self.vigil.looked(moment, Glimpse(self._volume.look(), self._state()))
        elif errand == "write":
            assert ledger is not None
            self._keep(ledger)
        else:
            assert order is not None
            faulty = self._volume.fault or (None if self._volume.mounted else ProbeFault(errno.EIO, "opening it"))
            census = FileCount(0, fault=faulty) if faulty else self._volume.census(order)
            self.counting += seconds
            self.longest = max(self.longest, seconds)
            self.counts.append((self._world.now, census))
            if errand == "arm":
                stock = Stock(census, space, seconds, self._state())
            else:
                unseen = self._volume.unwatched | frozenset(census.unreadable)
                unwatched = unseen if self._wire and not census.fault else frozenset[int | str]()
                stock = Stock(census, space, seconds, unwatched=unwatched)
            self.vigil.counted(moment, stock)

    def _overdue(self, errand: str) -> None:
        moment = self._world.moment()
        self._wire = None
        self.vigil.wiring.moved(self._world.now)
        if errand == "look":
            self._look_at = self._world.now + INTERVAL
            self.vigil.looked(moment, Glimpse(replace(self._volume.look(), fault=ProbeFault(0, "being looked at"))))
        elif errand == "write":
            self.vigil.wrote(moment, None, ProbeFault(0, "writing the ledger"))
            self._look_at = self._world.now
        else:
            census = FileCount(0, fault=ProbeFault(0, "being counted"))
            self.vigil.counted(moment, Stock(census, None, self.expected.probe_timeout))

    def _keep(self, ledger: Ledger) -> None:
        """As `guard.probe.writes.Keep` does, told which generation it may replace."""
        assert self.vigil.keeper is not None
        replaces = self.vigil.keeper.replaces
        volume, moment = self._volume, self._world.moment()
        standing = volume.ledger
        look = self.vigil.look
        assert look is not None
        assert look.mount is not None
        if volume.writing:
            self.vigil.wrote(moment, None, volume.writing)
        elif (
            not volume.mounted
            or (look.mount.mount_id, look.root_inode) != (volume.mount.mount_id, volume.root_inode)
            or not isinstance(volume.marker, Marker)
            or volume.marker.marker_id != ledger.marker_id
            or volume.hold is not None
            or (isinstance(standing, Ledger) and standing.marker_id == ledger.marker_id
                and standing.generation > replaces)
        ):  # fmt: skip
            self.vigil.wrote(moment, None, None)
        else:
            volume.ledger = ledger
            volume.kept.append((self._world.now, self, ledger))
            self.vigil.wrote(moment, ledger, None)

    # The tripwire and the mount table.

    def _root(self) -> tuple[int, int]:
        return self._volume.mount.mount_id, self._volume.root_inode

    def _arm(self) -> None:
        self.arms += 1
        self._wire, self._storm, self._stirred = self._root(), False, False

    def _state(self) -> TripwireState:
        if self._wire is None:
            return TripwireState()
        stirred, self._stirred = self._stirred, False
        if self._storm:
            return TripwireState(tripped=True, stirred=True)
        moved = "" if self._wire == self._root() else "its root was moved or replaced"
        unreadable = "1 folders can't be read: a" if self._volume.unreadable else ""
        return TripwireState(armed=not moved, blind=moved or self._volume.blind or unreadable, stirred=stirred)

    def stir(self, removed: int, created: int) -> None:
        """Events of the tree reach the tripwire, where there is one."""
        if self._wire is None or self._storm or not removed + created:
            return
        self._stirred = True
        self._storm = removed + created >= _STORM
        if removed or self._storm:
            storm = self._storm
            self._world.after(_EVENT, lambda: self._trip(storm=storm))

    def _trip(self, *, storm: bool) -> None:
        if not self._stopped:
            self.vigil.tripped(self._world.moment(), storm=storm)
            self._step()

    def die(self, how: str = "the prober was killed") -> None:
        """Its prober ends."""
        self._errand, self._wire, self._look_at, self._prober = "", None, self._world.now, self.forks
        self._token += 1
        self.vigil.blind(self._world.moment(), how, "")
        self._step()

    def mounts_changed(self) -> None:
        self._look_at = self._world.now
        if self._errand and self._errand != "write":
            self._errand, self._wire = "", None
            self._token += 1
            self.vigil.wiring.moved(self._world.now)
        self._step()


def _is_due(due: float | None, now: float) -> bool:
    return due is not None and due <= now


def ledger_of(entries: dict[str, int], generation: int = 1, recorded: str = AT, empty: int = 0) -> Ledger:
    files = sum(entries.values())
    return Ledger(MARKER_ID, generation, Reference(files, dict(entries), empty, recorded), files, recorded, "skills-0")


def watched(entries: dict[str, int], **how: object) -> tuple[World, Volume, Watch]:
    """A volume with this content as its reference, and a watcher that has settled on it."""
    world = World()
    volume = Volume(world, dict(entries), ledger=ledger_of(entries))
    watch = Watch(world, volume, **how)  # type: ignore[arg-type]
    world.run(30)
    return world, volume, watch


def settle(world: World, watch: Watch) -> None:
    """Until a loss has settled, and the look that comes before its judgement is on its way."""
    until = world.now + INTERVAL + 3 * SETTLE
    while watch.vigil.wants(world.now).look is None:
        assert world.now < until, "nothing settled"
        world.run(0.001)


def troubles(lines: list[EventRecord]) -> Iterator[str]:
    """Labels of what is wrong, in the order it was said."""
    calm = {Event.WATCH_STARTED, Event.WATCH_STOPPED}
    return (line.event.label for line in lines if line.event not in calm)
