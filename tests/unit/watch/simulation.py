"""A volume and a watcher on it in simulated time. The watcher is the one that runs in the pod; the loop here only carries."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from guard.event import EventRecord
from guard.outcome import Severity
from guard.pod import PodInfo
from guard.volume import sample as samples
from guard.volume.hold import Hold
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger
from guard.volume.loss import LossRule
from guard.volume.marker import Marker
from guard.volume.mountinfo import Mount
from guard.volume.observation import (
    FOLDERS,
    CountOptions,
    FileCount,
    FilesChecked,
    Identity,
    InvalidDocument,
    Look,
    LookResult,
    ProbeFault,
    Space,
    TripwireState,
)
from guard.volume.reference import declared_reference
from guard.volume.sample import FileCheck, Part, Presence, SampledFile, entry_of, path_hash
from guard.volume.timestamp import Timestamp
from guard.volume.verdict import Expectation, Judgement, judge
from guard.watch.config import WatchConfig
from guard.watch.watcher import Action, NextRequest, Watcher

PATH = "/app/skills"
NAME = "claude-skills-dev"
MARKER_ID = "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11"
OTHER_ID = "7f9a7d0c-1111-4222-8333-444455556666"
BEGUN = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
#: What requests cost, in seconds.
_LOOK = 0.003
_COUNT = 0.002
_PER_FILE = 1e-6
_STORM = 64


@dataclass(frozen=True)
class File:
    """One name on the volume."""

    size: int
    mtime: float
    inode: int
    ctime: float


@dataclass
class Volume:
    """What is on the disk, and how it is mounted."""

    files: dict[str, File] = field(default_factory=dict)
    marker: Marker | InvalidDocument | None = field(
        default_factory=lambda: Marker(NAME, MARKER_ID, BEGUN.isoformat().replace("+00:00", "Z"))
    )
    ledger: Ledger | InvalidDocument | None = None
    hold: Hold | InvalidDocument | None = None
    mount: Mount = field(
        default_factory=lambda: Mount(125, 109, "8:16", "/", PATH, ("rw",), (), "ext4", "/dev/sdb", "rw")
    )
    kind: Kind = Kind.BLOCK
    fsid: int = 7
    is_mounted: bool = True
    fault: ProbeFault | None = None  # of looks
    count_fault: ProbeFault | None = None
    write_fault: ProbeFault | None = None
    unreadable: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()
    read_only: str = ""
    loses_events: bool = False
    counts_inodes: bool = True
    stable_inodes: bool = True
    free: float = 1.0
    folders: int | None = None
    next_inode: int = 100

    def look(self) -> Look:
        """A look, without the files."""
        who = Identity(1000, 1000, (2000,))
        if not self.is_mounted:
            root = Mount(107, 68, "0:51", "/", "/", ("rw",), (), "overlay", "overlay", "rw")
            return Look(PATH, who, PATH, mount=root, kind=Kind.OVERLAY, kind_reason="an overlay", root_inode=9)
        found = Look(PATH, who, PATH, mount=self.mount, is_mount_point=True, kind=self.kind, root_inode=2)
        if self.fault:
            return replace(found, fault=self.fault)
        inodes = 1_000_000 if self.counts_inodes else 0
        used = len(self.files) + len(self._folders()) + 11 if self.counts_inodes else 0
        space = Space(10**12, int(self.free * 10**12), inodes, inodes - used, used, self.fsid)
        return replace(
            found, space=space, read_only=self.read_only, nested=self.nested, marker=self.marker, ledger=self.ledger,
            hold=self.hold,
        )  # fmt: skip

    def _folders(self) -> set[str]:
        folders = set[str]()
        for folder in {path.rpartition("/")[0] for path in self.files}:
            while folder and folder not in folders:
                folders.add(folder)
                folder = folder.rpartition("/")[0]  # noqa: PLW2901 - up, step by step
        return folders

    def check(self, files: Iterable[SampledFile]) -> FilesChecked:
        """What is at the paths of sampled files."""
        return FilesChecked({file.path: self._check(file.path) for file in files}, None, self.mount.mount_id, 2)

    def _check(self, path: str) -> FileCheck:
        if any(path.startswith(f"{folder}/") for folder in self.nested):
            return FileCheck(Presence.HIDDEN)
        if self._is_unreadable(path):
            return FileCheck(Presence.UNREADABLE)
        found = self.files.get(path)
        return FileCheck(Presence.PRESENT, found.size) if found else FileCheck(Presence.ABSENT)

    def _is_unreadable(self, path: str) -> bool:
        return any(path.startswith(f"{folder}/") for folder in self.unreadable)

    def count(self, options: CountOptions) -> FileCount:
        """A count, as the prober makes it."""
        if self.count_fault:
            return FileCount(0, fault=self.count_fault, seconds=_COUNT)
        seen = {
            path: file
            for path, file in self.files.items()
            if not self._is_unreadable(path) and not any(path.startswith(f"{one}/") for one in self.nested)
        }
        depth = _entry_depth(self._folders())
        by_hash = sorted(
            (self._sampled(path, file) for path, file in seen.items()), key=lambda one: path_hash(one.path)
        )
        entries: dict[str, list[SampledFile]] = {}
        for one in by_hash:
            entry = entry_of(one.path, depth)
            if entry:
                entries.setdefault(entry, []).append(one)
        chosen = dict(sorted(entries.items(), key=lambda entry: path_hash(entry[0]))[: samples.BY_ENTRY])
        asked = {name: sum(path.startswith(f"{name}/") for path in seen) for name in options.entries}
        counts = {name: len(files) for name, files in entries.items()}
        unreadable = [folder for folder in self.unreadable if any(p.startswith(f"{folder}/") for p in self.files)]
        return FileCount(
            files=len(seen),
            sample=samples.choose(by_hash[: samples.CANDIDATES], chosen),
            depth=depth,
            entry_count=len({entry_of(path, depth) for path in self.files} - {""}),
            entries=counts | asked,
            elsewhere=frozenset(self._elsewhere(options, seen)),
            folders=len(self._folders()) if self.folders is None else self.folders,
            unreadable=tuple(unreadable),
            unreadable_folders=len(unreadable),
            unreadable_entries=len(unreadable),
            mount_id=self.mount.mount_id,
            root_inode=2,
            seconds=_COUNT + _PER_FILE * len(seen),
        )

    def _elsewhere(self, options: CountOptions, seen: dict[str, File]) -> set[str]:
        found, used = set(), set()
        inodes = (
            {(file.inode, file.size, int(file.mtime * 1e9)) for file in seen.values()} if self.stable_inodes else set()
        )
        names: dict[str, list[tuple[str, File]]] = {}
        for path, file in seen.items() if options.lost else ():
            names.setdefault(path.rpartition("/")[2], []).append((path, file))
        for lost in options.lost:
            if (lost.inode, lost.size, lost.mtime) in inodes:
                found.add(lost.path)
                continue
            for path, file in names.get(lost.path.rpartition("/")[2], ()):
                name, parent = path.rpartition("/")[2], path.rpartition("/")[0].rpartition("/")[2]
                lost_parent = lost.path.rpartition("/")[0].rpartition("/")[2]
                copied = options.copied_after <= file.ctime <= options.copied_before
                alike = name == lost.path.rpartition("/")[2] and file.size == lost.size
                if (
                    copied
                    and alike
                    and path not in used
                    and (int(file.mtime * 1e9) == lost.mtime or parent == lost_parent)
                ):
                    used.add(path)
                    found.add(lost.path)
                    break
        return found

    def _sampled(self, path: str, file: File) -> SampledFile:
        return SampledFile(path, file.size, int(file.mtime * 1e9), file.inode, int(file.ctime), Part.HASH)


def _entry_depth(folders: set[str]) -> int:
    depth = 0
    while folders:
        depth += 1
        here = {folder for folder in folders if folder.count("/") == depth - 1}
        if len(here) > 1:
            return depth
        if not here:
            return 0
    return 0


class Simulation:
    """A volume, what happens to it, and the watchers on it."""

    def __init__(
        self, volume: Volume | None = None, *, settle: float = 2.0, interval: float = 10.0, rule: LossRule | None = None
    ) -> None:
        self.volume = volume or Volume()
        self.now = 1000.0
        self.wall_jump = timedelta()
        self.watch: Watch | None = None
        self.lines: list[EventRecord] = []
        self.config = WatchConfig(
            Expectation(PATH, NAME, loss=rule or LossRule()), interval, settle, unready=False, listen=None,
            log_format="json", log_level=Severity.INFO, pod=PodInfo("pod-a", "node-a", "skills"),
        )  # fmt: skip
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._asked = 0

    @property
    def time(self) -> Timestamp:
        """The time on both clocks."""
        return Timestamp(self.now, BEGUN + timedelta(seconds=self.now - 1000.0) + self.wall_jump)

    @property
    def wall(self) -> float:
        """Seconds since 1970."""
        return self.time.wall.timestamp()

    # What is done.

    def adopt(self) -> None:
        """Writes the first ledger, as the command does."""
        count = self.volume.count(CountOptions())
        self.volume.ledger = Ledger(MARKER_ID, 1, declared_reference(count, self.time), self.time.text)

    def accept(self) -> None:
        """Accepts what is there, as the command does."""
        assert isinstance(self.volume.ledger, Ledger)
        generation = self.volume.ledger.generation + 1
        self.now += 0.002
        count = self.volume.count(CountOptions())
        self.volume.ledger = Ledger(MARKER_ID, generation, declared_reference(count, self.time), self.time.text)

    def start(self) -> "Watch":
        """Starts a watcher."""
        self.watch = Watch(self)
        return self.watch

    def stop(self) -> None:
        """Stops the watcher cleanly: it writes its ledger."""
        if self.watch is not None:
            ledger = self.watch.watcher.ledger_to_write(self.time)
            if ledger is not None:
                self.watch.write(ledger)
            self.watch = None

    def kill(self) -> None:
        """Ends the watcher without a last ledger."""
        self.watch = None

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Has something done later."""
        self._asked += 1
        heapq.heappush(self._due, (self.now + seconds, self._asked, do))

    def run(self, seconds: float) -> None:
        """Lets time pass."""
        until = self.now + seconds
        while True:
            due = self._due[0][0] if self._due else float("inf")
            wanted = self.watch.next_at() if self.watch else float("inf")
            soonest = max(self.now, min(due, wanted))
            if soonest > until:
                self.now = until
                return
            self.now = soonest
            if due <= wanted:
                heapq.heappop(self._due)[2]()
            else:
                assert self.watch is not None
                self.watch.step()

    def events(self, *names: str) -> list[EventRecord]:
        """The lines of these events; of all but the ordinary ones where none is named."""
        ordinary = {"watch.started", "watch.stopped", "volume.held", "volume.released"}
        return [
            line for line in self.lines if (line.event.label in names if names else line.event.label not in ordinary)
        ]

    def gate(self) -> Judgement:
        """What a gate says now that checks everything."""
        look, count = self.volume.look(), None
        ledger = look.ledger
        files = ledger.reference.sample if isinstance(ledger, Ledger) else ()
        checked = self.volume.check(files)
        assert isinstance(ledger, Ledger)
        lost = tuple(file for file in files if checked.checks[file.path].presence is not Presence.PRESENT)
        wall = datetime.fromisoformat(ledger.written).timestamp()
        count = self.volume.count(CountOptions((), frozenset(ledger.reference.entries), lost, wall - 600, wall))
        return judge(self.config.expected, look, checked, count)

    # Names on the volume.

    def write(self, path: str, size: int = 100, *, mtime: float | None = None) -> None:
        """Creates a file, or writes one in place."""
        before = self.volume.files.get(path)
        inode = before.inode if before else self._inode()
        self.volume.files[path] = File(size, self.wall if mtime is None else mtime, inode, self.wall)
        if before is None:
            self._event(removed=False, created=True)

    def fill(self, files: int, *folders: str, size: int = 100, mtime: float | None = None) -> None:
        """Creates so many files in each folder."""
        for folder in folders:
            for number in range(files):
                self.write(f"{folder}/f{number:05}.md", size, mtime=mtime)

    def remove(self, *prefixes: str) -> None:
        """Removes files, or folders with all below them; everything without a name."""
        for path in [path for path in self.volume.files if not prefixes or _is_below(path, prefixes)]:
            del self.volume.files[path]
            self._event(removed=True)

    def move(self, source: str, target: str) -> None:
        """Renames a file or folder on the volume."""
        for path in [path for path in self.volume.files if _is_below(path, (source,))]:
            self.volume.files[target + path.removeprefix(source)] = self.volume.files.pop(path)
        self._event(removed=False)

    def link(self, source: str, target: str) -> None:
        """Makes hard links to all files of a folder."""
        for path in [path for path in self.volume.files if _is_below(path, (source,))]:
            self.volume.files[target + path.removeprefix(source)] = self.volume.files[path]
            self._event(removed=False, created=True)

    def copy(self, source: str, target: str, *, keeps_mtime: bool = True) -> None:
        """Copies a folder."""
        for path in [path for path in self.volume.files if _is_below(path, (source,))]:
            file = self.volume.files[path]
            self.write(target + path.removeprefix(source), file.size, mtime=file.mtime if keeps_mtime else None)

    def _inode(self) -> int:
        self.volume.next_inode += 1
        return self.volume.next_inode

    def _event(self, *, removed: bool, created: bool = False) -> None:
        if self.watch is not None and not self.volume.loses_events:
            self.watch.event(removed=removed, created=created)


def _is_below(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)


class Watch:
    """A watcher at work: carries its requests, as the loop does."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.watcher = Watcher(simulation.time, simulation.config, "5f0e1c2d3b4a5968", seed=7)
        self.looks = self.counts = self.writes = 0
        self._armed = self._tripped = self._stirred = False
        self._since, self._events = 0.0, 0

    def next_at(self) -> float:
        """When it does something next."""
        return self.watcher.next_request(self._simulation.time).at

    def event(self, *, removed: bool, created: bool) -> None:
        """Takes one event of a tripwire."""
        simulation = self._simulation
        if not self._armed or self._tripped:
            return
        self._stirred = True
        if simulation.now - self._since >= 1.0:
            self._since, self._events = simulation.now, 0
        self._events += 1
        if self._events >= _STORM:
            self._tripped = True
            self.watcher.on_events(simulation.time, removed=False, storm=True)
        elif not created:
            self.watcher.on_events(simulation.time, removed=removed, storm=False)

    def step(self) -> None:
        """Does what the watcher wants next, and hands it the answer."""
        simulation = self._simulation
        request = self.watcher.next_request(simulation.time)
        getattr(self, f"_do_{request.action.value}")(request)
        simulation.lines += self.watcher.incident.drain()

    def _do_look(self, request: NextRequest) -> None:
        simulation, volume = self._simulation, self._simulation.volume
        self.looks += 1
        look = volume.look()
        readable = look.is_mount_point and not look.fault
        checked = (volume.check(request.files) if request.files else FilesChecked()) if readable else None
        folders = len(volume._folders())
        state = TripwireState(
            self._armed and not self._tripped, "", tripped=self._tripped, stirred=self._stirred, watches=folders + 1
        )
        self._stirred = False
        simulation.now += _LOOK
        self.watcher.on_look(simulation.time, LookResult(look, checked, state if self._armed else TripwireState()))

    def _do_arm(self, request: NextRequest) -> None:
        del request
        self._armed, self._tripped, self._events = True, False, 0
        self._simulation.now += _LOOK
        folders = len(self._simulation.volume._folders())
        assert folders <= FOLDERS
        self.watcher.on_armed(self._simulation.time, TripwireState(armed=True, watches=folders + 1))

    def _do_count(self, request: NextRequest) -> None:
        assert request.options is not None
        self.counts += 1
        count = self._simulation.volume.count(request.options)
        self._simulation.now += count.seconds
        self.watcher.on_count(self._simulation.time, count)

    def _do_write(self, request: NextRequest) -> None:
        assert request.action is Action.WRITE
        assert request.ledger is not None
        self.write(request.ledger)

    def write(self, ledger: Ledger) -> None:
        """Writes the ledger, as the prober does."""
        simulation, volume = self._simulation, self._simulation.volume
        self.writes += 1
        simulation.now += _LOOK
        if volume.write_fault is not None:
            self.watcher.on_ledger_write(simulation.time, None, volume.write_fault)
            return
        later = isinstance(volume.ledger, Ledger) and volume.ledger.generation > ledger.generation
        if volume.hold is not None or later:
            self.watcher.on_ledger_write(simulation.time, None, None)
            return
        volume.ledger = ledger
        self.watcher.on_ledger_write(simulation.time, ledger, None)
