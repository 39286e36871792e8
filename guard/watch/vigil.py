"""The watcher's mind: looks, counts and signs in; what is wanted next, and what is to be said, out. Pure; time is a parameter."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from guard.event import Event, Happening
from guard.outcome import Outcome, Severity
from guard.volume.facts import Census, Fault, Invalid, Look, Order, Space
from guard.volume.hold import Hold
from guard.volume.judge import Expectation, ledger_warning, usable_ledger
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger
from guard.volume.loss import Loss, Verdict, judge_loss
from guard.volume.marker import Marker
from guard.watch import lines
from guard.watch.counting import Counting, changed
from guard.watch.incident import Incident, incident_id
from guard.watch.keeping import WRITE_AT_LEAST, Keeper
from guard.watch.settling import Settled
from guard.watch.sightings import Glimpse, Moment, Sign, Stock
from guard.watch.standing import Condition, Known, Standing, Trouble, known, stand
from guard.watch.wiring import Wiring
from guard.wording import Whereabouts

#: A volume counts as unreachable after so many looks in a row: one may hit a hiccup.
_LOOKS = 2
#: Seconds after which a hold that nobody released is said again.
_HOLD_REMINDER = 3600.0
#: Seconds without a ledger for lack of space before that is said: a full disk is ordinary life.
_FULL_PATIENCE = WRITE_AT_LEAST
#: Kinds whose changes may come from elsewhere, unseen by events.
_ELSEWHERE = frozenset({Kind.NETWORK, Kind.FUSE, Kind.UNKNOWN, Kind.OVERLAY})
#: Kinds that share their superblock with the node: its used blocks say nothing of this volume.
_SHARED = frozenset({Kind.NODE_DISK, Kind.EMPTY_DIR, Kind.OVERLAY, Kind.CONFIG})
#: The end of a traceback that a line has room for, in characters.
_TRACEBACK = 4000
_MILLION = 1_000_000


@dataclass(frozen=True)
class Wants:
    """What is wanted next, as times of the monotonic clock; None for nothing.

    Attributes:
        look: A look sooner than the interval asks.
        count: A full count.
        arm: A new tripwire, and a full count after it.
        write: The ledger.
    """

    look: float | None = None
    count: float | None = None
    arm: float | None = None
    write: float | None = None


class Vigil:
    """Watches over one volume.

    Args:
        moment: Now.
        expected: What the settings ask.
        settle: GUARD_SETTLE, in seconds.
        window: GUARD_WINDOW, in seconds.
        where: This pod.
        jitter: From 0.9 to 1.1: many watchers of one volume must not count and write at once.
    """

    def __init__(
        self,
        moment: Moment,
        expected: Expectation,
        settle: float,
        window: float,
        where: Whereabouts,
        jitter: float = 1.0,
    ) -> None:
        self.expected = expected
        self.incident = Incident({"path": expected.path, **where.fields()})
        self.wiring = Wiring()
        self.keeper: Keeper | None = None
        self.look: Look | None = None
        self.census: Census | None = None
        self.changed = moment
        self._window = window
        self._where = where
        self._jitter = jitter
        self._counting = Counting(moment.at, settle, jitter)
        self._known: Known | None = None
        self._standing: Standing | None = None
        self._started = False
        self._failing = 0
        self._miscounts = 0
        self._looked_at = moment.at
        self._look_at: float | None = None
        self._judged: Loss | None = None  # what was judged last: the same again is nothing new
        self._shrunk: Loss | None = None
        self._hold: Hold | Invalid | None = None
        self._hold_said = 0.0
        self._ledger_warning = ""
        self._unwritable: Moment | None = None
        self._unwritable_said = False
        self._refused = False  # a write, and not a look, told that nothing can be written
        self._opened = 0  # the generation of the open incident

    # What is wanted next.

    def wants(self, now: float) -> Wants:
        """What is wanted next, and when."""
        if not self._is_ours():
            return Wants(look=self._look_at)
        counting = self._counting
        look = counting.glimpse_due(now, self._looked_at) if self._look_at is None else self._look_at
        return Wants(look, counting.due(), counting.arm_due(self.wiring.due()), self._next_write())

    def order(self) -> Order:
        """How the next count is to be done."""
        keeper = self.keeper
        entries = frozenset(keeper.reference.entries) if keeper and keeper.reference else frozenset[str]()
        return Order(entries, sizes=self._counting.weighing)

    def _next_write(self) -> float | None:
        keeper = self.keeper
        if keeper is None or not self._may_write():
            return None
        if self._troubled(Condition.WRITABLE) and not self._refused:
            return None  # the look tells; where only a write told, only a write can tell that it is over
        # A loss may be on its way: what was last seen is then worth more than when.
        return keeper.due() if self._counting.settling.due is None else max(keeper.due(), keeper.overdue())

    def ledger(self, moment: Moment) -> Ledger | None:
        """The ledger as it is to be written, for a volume that is right; None where it must stay as it is."""
        if self.keeper is None or not self._is_ours() or not self._may_write():
            return None
        return self.keeper.compose(moment, self._where.pod, self._where.node)

    def _is_ours(self) -> bool:
        return self._standing is not None and self._standing.ours and not self._failing

    def _may_write(self) -> bool:
        wrong = self._troubled(Condition.IDENTITY, Condition.CONTENT) or self.incident.held
        return not wrong and self._counting.settled is not None

    def status(self, condition: Condition) -> str:
        """`true`, `false`, or `unknown` where the last look could not tell (for the content: or while it is held)."""
        if condition is Condition.CONTENT and self.incident.held:
            return "unknown"
        if self.incident.troubled(condition):
            return "false"
        standing = self._standing
        if standing is None or standing.unreachable:
            return "unknown"
        if condition is Condition.CONTENT:
            return "true" if standing.ours and self._counting.settled is not None else "unknown"
        return "true" if condition in standing.seen else "unknown"

    @property
    def healthy(self) -> bool:
        """Whether nothing is known to be wrong, and the volume answers."""
        if self.look is None or self.incident.troubled(None):
            return False
        return all(self.status(condition) != "false" for condition in Condition)

    @property
    def data_is_there(self) -> bool:
        """Whether an application behind it would serve its users' data."""
        absent = self._troubled(Condition.MOUNTED, Condition.IDENTITY, Condition.CONTENT)
        return self._standing is not None and not absent

    def _troubled(self, *conditions: Condition) -> bool:
        return any(self.incident.troubled(condition) for condition in conditions)

    # Looks.

    def looked(self, moment: Moment, glimpse: Glimpse) -> None:
        """Takes a look, also one that failed."""
        look = glimpse.look
        self._looked_at, self._look_at = moment.at, None
        standing = stand(self.expected, self._known, look)
        self._standing = standing
        if standing.unreachable:
            self._unreachable(moment, look, standing.unreachable)
        else:
            self._failing = 0
            self.look = look
        if standing.ours:
            self._take_hold(moment, look)
            if Condition.IDENTITY not in standing.troubles or not isinstance(look.marker, Marker):
                self._take_documents(moment, look)  # never those of another volume
        self._remind(moment)
        # What begins comes before what ends: an unmounted volume that is then another one is one incident.
        for condition, trouble in standing.troubles.items():
            self._begin(moment, condition, trouble)
        if Condition.WRITABLE in standing.troubles:
            self._refused = False
        if not standing.unreachable:
            self._end_what_holds(moment, standing)
        if standing.ours:
            self._take_ours(moment, glimpse, standing)
        else:
            self._take_absent(moment, standing)
        if standing.troubles or self._failing >= _LOOKS:
            self._start()
        self.incident.say_aloud()

    def _end_what_holds(self, moment: Moment, standing: Standing) -> None:
        for condition in standing.seen - standing.troubles.keys():
            if condition is not Condition.WRITABLE or not self._refused:
                self._end(moment, condition)
        if self._miscounts < _LOOKS or not standing.ours:
            self._end(moment, None)

    def _unreachable(self, moment: Moment, look: Look, trouble: Trouble) -> None:
        self._failing += 1
        if self._failing < _LOOKS:
            self._look_at = moment.at + (0.0 if look.fault is not None and look.fault.number == 0 else 1.0)
            return
        self.look = look
        self._begin(moment, None, trouble)

    def _take_absent(self, moment: Moment, standing: Standing) -> None:
        """Takes that the volume is not there, or does not answer."""
        if not standing.unreachable:
            self._miscounts = 0
            self.wiring.moved(moment.at)
        if not standing.unreachable or self._failing >= _LOOKS:
            self._counting.forget(moment.at)
        self._counting.soon(moment.at)  # what happens meanwhile is not seen

    def _take_ours(self, moment: Moment, glimpse: Glimpse, standing: Standing) -> None:
        look = glimpse.look
        settling = self._counting.settling
        now_known = known(look)
        was_armed = self.wiring.armed
        if now_known is not None and Condition.IDENTITY not in standing.troubles:
            if self._known is not None and standing.changed_mount:
                self.wiring.moved(moment.at)
                settling.suspect(moment, Sign.MOUNT_TABLE)
            self._known = now_known
        settling.own_disk = look.kind not in _SHARED
        self._say_blind(self.wiring.seen(moment.at, glimpse.tripwire))
        if glimpse.tripwire.tripped and was_armed:
            settling.suspect(moment, Sign.EVENTS)
        if glimpse.tripwire.stirred:
            self.changed = moment
        if look.space is not None and self._counting.counted:
            self._take_space(moment, look, look.space, stirred=glimpse.tripwire.stirred)

    def _take_space(self, moment: Moment, look: Look, space: Space, *, stirred: bool) -> None:
        counting, keeper = self._counting, self.keeper
        reference = keeper.reference if keeper else None
        suspected = counting.settling.due is not None
        differs = counting.saw(moment, space, reference, self.expected.loss.max_loss)
        if suspected:
            return
        wiped = self._troubled(Condition.CONTENT)
        doubt = not self.wiring.complete or look.kind in _ELSEWHERE or not space.used_inodes
        due = not wiped and self._wants_sizes(moment)
        if doubt or wiped:
            counting.soon(moment.at)
        elif stirred or differs or due:
            counting.within_a_minute(moment.at)
        counting.weighing = counting.weighing or due
        if keeper is not None and not wiped and not self.incident.held:
            keeper.renew(moment)

    def _wants_sizes(self, moment: Moment) -> bool:
        return self.keeper is not None and not self.incident.held and self.keeper.wants_sizes(moment)

    def tripped(self, moment: Moment, *, storm: bool) -> None:
        """Takes what the tripwire said: something was removed or moved, or so much happens that it was taken down."""
        self.changed = moment
        if storm:
            self.wiring.storm(moment.at)
        if self._is_ours() and self._counting.counted:
            self._counting.settling.suspect(moment, Sign.EVENTS)

    def blind(self, moment: Moment, why: str, traceback: str) -> None:
        """Takes that the prober ended, and took the tripwire along."""
        self._counting.again(moment.at)
        self._say_blind(self.wiring.lost(moment.at, why), traceback)
        self._start()

    def _say_blind(self, why: str, traceback: str = "") -> None:
        if why:
            fields = {"reason": why, "traceback": traceback[-_TRACEBACK:] or None}
            self._tell(Event.WATCH_BLIND, lines.blind(self.expected.path, why), fields)

    # Documents on the volume.

    def _take_documents(self, moment: Moment, look: Look) -> None:
        marker, ledger = look.marker, usable_ledger(look)
        if not isinstance(marker, Marker):
            if self.keeper is None and ledger is not None:
                self.keeper = Keeper(ledger, ledger.marker_id, self._window, self._jitter)
            return
        warning = ledger_warning(look)
        if warning and warning != self._ledger_warning:
            self._tell(Event.LEDGER_INVALID, lines.ledger_invalid(look.path, warning), {"reason": warning})
        self._ledger_warning = warning
        if self.keeper is None:
            self.keeper = Keeper(ledger, marker.marker_id, self._window, self._jitter)
        elif ledger is None:
            self.keeper.missed()
        elif ledger.marker_id != self.keeper.marker_id:
            self.keeper = Keeper(ledger, marker.marker_id, self._window, self._jitter)
            self._opened = 0
            self._accepted(moment)
        elif self.keeper.is_accepted(ledger):
            self.keeper.read(ledger)
            self._accepted(moment)
        else:
            self.keeper.seen(moment, ledger)

    def _accepted(self, moment: Moment) -> None:
        self._judged = self._shrunk = None
        self._counting.weighing = False
        self._counting.soon(moment.at)
        if self.incident.accept(moment, self._numbers()) and self.keeper is not None:
            self.keeper.recovered(self._opened)

    def _take_hold(self, moment: Moment, look: Look) -> None:
        hold, before = look.hold, self._hold
        self._hold = hold
        self.incident.held = hold is not None
        if hold is not None and before is None:
            self._say_held(moment, hold, again=False)
        elif hold is None and before is not None:
            self._judged = self._shrunk = None  # said at INFO so far, if at all
            self._counting.soon(moment.at)
            self._tell(Event.VOLUME_RELEASED, lines.released(look.path), {}, Severity.INFO)

    def _remind(self, moment: Moment) -> None:
        """Says a hold again that nobody released; also of a volume that was taken away under it."""
        if self._hold is not None and moment.at - self._hold_said >= _HOLD_REMINDER:
            self._say_held(moment, self._hold, again=True)

    def _say_held(self, moment: Moment, hold: Hold | Invalid, *, again: bool) -> None:
        self._hold_said = moment.at
        self._tell(Event.VOLUME_HELD, lines.held(self.expected.path, hold, again=again), {}, Severity.INFO)

    # Counts.

    def counted(self, moment: Moment, stock: Stock) -> None:
        """Takes a full count, and the tripwire that was armed before it."""
        counting, census = self._counting, stock.census
        if stock.tripwire is not None:
            self._say_blind(self.wiring.tried(moment.at, stock.tripwire))
        if census.fault or not self._counts_for(census):
            counting.failed(moment, stock)
            self._miscounted(moment, census)
            return
        counting.done(moment, stock)
        self._miscounts = 0
        self.wiring.folders = census.folders
        if changed(self.census, census):
            self.changed = moment
        self.census = census
        self._start()
        loss = self._loss(census)
        worse = loss.verdict is not Verdict.KEPT or self._troubled(Condition.CONTENT)
        if counting.settling.due is None:
            if counting.settled is None:
                counting.settling.suspect(moment, Sign.START)
            elif counting.is_less(stock) or (worse and loss != self._judged):
                counting.settling.suspect(moment, Sign.LOOK)
            elif not self._troubled(Condition.CONTENT):
                self._shrunk = None if loss.verdict is Verdict.KEPT else self._shrunk
                self._keep(moment, census, stock.space)
        due = self._wants_sizes(moment)
        counting.weigh(stock, wiped=self._troubled(Condition.CONTENT), due=due)
        settled = counting.settling.count(moment, stock, loss_in_sight=worse)
        if settled is not None:
            self._judge(moment, settled, stock.space)
        unsaid = counting.settling.due is not None and not self._troubled(Condition.CONTENT)
        counting.loss_in_sight = unsaid and loss.verdict is Verdict.WIPED

    def _miscounted(self, moment: Moment, census: Census) -> None:
        self._look_at = moment.at
        if census.fault is None or self.look is None:
            return  # the mount changed in between: the look will say so
        self._miscounts += 1
        if self._miscounts >= _LOOKS:
            trouble = stand(self.expected, self._known, replace(self.look, fault=census.fault)).unreachable
            if trouble is not None:
                self._begin(moment, None, trouble)
                self._start()

    def _counts_for(self, census: Census) -> bool:
        """Whether this is the mount that was looked at."""
        look = self.look
        mount_id = look.mount.mount_id if look and look.mount else None
        return look is not None and (census.mount_id, census.root_inode) == (mount_id, look.root_inode)

    def _loss(self, census: Census) -> Loss:
        return judge_loss(self.expected.loss, self.keeper.reference if self.keeper else None, census)

    def _judge(self, moment: Moment, settled: Settled, space: Space | None) -> None:
        loss = self._judged = self._loss(settled.census)
        if loss.verdict is Verdict.WIPED:
            found, remedy = lines.lost(self.expected.path, loss), Outcome.DATA_LOST.value.remedy
            trouble = Trouble(Event.VOLUME_WIPED, found, "the files of the reference", remedy)
            told = {**self._numbers(), **lines.losses(loss, moment, settled)}
            self._begin(moment, Condition.CONTENT, trouble, told, settled.since)
            self._counting.keep(settled.census, space)
            return
        wiped = self._troubled(Condition.CONTENT)
        if wiped and loss.lost * _MILLION > self._shrink_of(loss):
            self._counting.keep(settled.census, space)
            return  # not enough of it is back
        self._counting.weighing = self._counting.weighing and not wiped
        self._end(moment, Condition.CONTENT)
        self._keep(moment, settled.census, space)
        self._say_shrunk(moment, loss, settled)

    def _keep(self, moment: Moment, census: Census, space: Space | None) -> None:
        self._counting.keep(census, space)
        if self.keeper is not None and not self.incident.held:
            self.keeper.settled(moment, census)
            self.keeper.renew(moment, census)

    def _shrink_of(self, loss: Loss) -> int:
        """GUARD_SHRINK of what was before, in millionths of a file: shares are compared as whole numbers."""
        return round(self.expected.loss.shrink * _MILLION) * loss.before

    def _say_shrunk(self, moment: Moment, loss: Loss, settled: Settled) -> None:
        if loss.verdict is not Verdict.SHRUNK:
            self._shrunk = None
            return
        before = self._shrunk.lost if self._shrunk else 0
        if (loss.lost - before) * _MILLION < self._shrink_of(loss):
            return
        self._shrunk = loss
        told = {**self._numbers(), **lines.losses(loss, moment, settled)}
        self.incident.say(Event.VOLUME_SHRUNK, lines.shrunk(self.expected.path, loss), told, name=self._name())

    # Writes.

    def wrote(self, moment: Moment, ledger: Ledger | None, fault: Fault | None) -> None:
        """Takes what became of writing the ledger: written, overtaken by somebody (neither), or failed."""
        if self.keeper is not None:
            self.keeper.tried(moment, ledger)
        if fault is not None:
            self._unwritten(moment, fault)
        elif ledger is None:
            self._look_at = moment.at  # whoever was faster says nothing of this pod's writes
        else:
            self._unwritable, self._unwritable_said = None, False
            self._writable_again(moment)

    def _unwritten(self, moment: Moment, fault: Fault) -> None:
        if fault.read_only and self.expected.writable:
            found = f"{self.expected.path} can't be written: {fault.code} while {fault.doing}"
            trouble = Trouble(Event.VOLUME_READ_ONLY, found, "a writable volume", Outcome.READ_ONLY.value.remedy)
            self._refused = True
            self._begin(moment, Condition.WRITABLE, trouble)
            return
        if fault.full or fault.denied:  # a read-only file system would have said so
            self._writable_again(moment)
        self._unwritable = self._unwritable or moment
        waited = moment.at - self._unwritable.at
        if not self._unwritable_said and (waited >= _FULL_PATIENCE or not fault.full):
            self._unwritable_said = True
            self._tell(Event.LEDGER_UNWRITABLE, lines.unwritable(self.expected.path, fault), {"reason": fault.code})

    def _writable_again(self, moment: Moment) -> None:
        if self._refused:
            self._refused = False
            self._end(moment, Condition.WRITABLE)

    # Lines.

    def _start(self) -> None:
        if not self._started:
            self._started = True
            reference = self.keeper.reference if self.keeper else None
            self.incident.start(lines.started(self.expected, self._where, self.look, self.census, reference))

    def _begin(
        self,
        moment: Moment,
        condition: Condition | None,
        trouble: Trouble,
        told: Mapping[str, Any] | None = None,
        since: Moment | None = None,
    ) -> None:
        fields = self._numbers() if told is None else told
        if not self.incident.is_open:
            self._opened = self.keeper.generation if self.keeper else 0
        self.incident.begin(moment, condition, trouble, self._name(), fields, since)

    def _end(self, moment: Moment, condition: Condition | None) -> None:
        if self.incident.end(moment, condition, self._numbers()) and self.keeper is not None:
            self.keeper.recovered(self._opened)

    def _name(self) -> str:
        keeper = self.keeper
        return incident_id(keeper.marker_id, keeper.generation) if keeper else incident_id(self.expected.volume, 0)

    def _numbers(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"volume": self.expected.volume}
        if self.keeper is not None:
            reference = self.keeper.reference
            fields |= {
                "marker_id": self.keeper.marker_id,
                "generation": self.keeper.generation,
                "reference_files": reference.files if reference else 0,
            }
        if self.census is not None:
            fields["files"] = self.census.files
        return fields | lines.holder(self._hold)

    def _tell(self, event: Event, message: str, fields: Mapping[str, Any], severity: Severity | None = None) -> None:
        told = {"path": self.expected.path, **self._numbers(), **fields, **self._where.fields()}
        self.incident.tell(Happening(event, message, severity or event.severity, told))
