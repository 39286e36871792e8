"""The watcher's mind: looks, counts and signs in; what is wanted next, and what is to be said, out. Pure; time is a parameter."""

from dataclasses import dataclass, replace

from guard.event import Event
from guard.messages import PodInfo
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger
from guard.volume.loss import Loss, Verdict, judge_loss
from guard.volume.marker import Marker
from guard.volume.observation import CountOptions, FileCount, Look, ProbeFault, Space
from guard.volume.verdict import Expectation
from guard.watch import lines
from guard.watch.case import Case
from guard.watch.counting import Counting, changed
from guard.watch.documents import Documents
from guard.watch.incident import Incident
from guard.watch.keeping import Keeper
from guard.watch.settling import Settled
from guard.watch.sightings import Glimpse, Moment, Sign, Stock
from guard.watch.standing import NO_MOUNT, Condition, Known, Standing, Stranger, Trouble, known, stand
from guard.watch.wiring import Wiring
from guard.watch.writing import Writing

#: A volume counts as unreachable after so many looks in a row: one may hit a hiccup.
_LOOKS = 2
_NO_PROBER = (
    "This says nothing of the volume. Too few processes, descriptors or memory are left to the pod or to its user: see what "
    "takes them, or raise the limit. The watcher tries again at every look."
)
#: Kinds whose changes may come from elsewhere, unseen by events.
_ELSEWHERE = frozenset({Kind.NETWORK, Kind.FUSE, Kind.UNKNOWN, Kind.OVERLAY})
#: Kinds that share their superblock with the node: its used blocks say nothing of this volume.
_SHARED = frozenset({Kind.NODE_DISK, Kind.EMPTY_DIR, Kind.OVERLAY, Kind.CONFIG})
_MILLION = 1_000_000
#: A loss of this share of GUARD_MAX_LOSS, and of at least this share of the files, may soon be a wipe.
_NEARLY = 0.9
_MOST = 0.5


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


@dataclass(frozen=True)
class _Unjudged:
    """What settled, until a look says what was announced or accepted meanwhile."""

    moment: Moment
    settled: Settled
    space: Space | None


class Vigil:
    """Watches over one volume.

    Args:
        moment: Now.
        expected: What the settings ask.
        settle: GUARD_SETTLE, in seconds.
        window: GUARD_WINDOW, in seconds.
        where: This pod.
        run: The ID of this watcher's own lines, from its start to its end.
        jitter: From 1.0 to 1.1: many watchers of one volume must not count and write at once.
    """

    def __init__(
        self,
        moment: Moment,
        expected: Expectation,
        settle: float,
        window: float,
        where: PodInfo,
        run: str,
        jitter: float = 1.0,
    ) -> None:
        self.expected = expected
        self.wiring = Wiring()
        self.changed = moment
        self._case = Case(expected, where, run)
        self._documents = Documents(self._case, window, jitter)
        self._writing = Writing(self._case)
        self._counting = Counting(moment.at, settle, jitter)
        self._known: Known | None = None
        self._standing: Standing | None = None
        self._stranger: Stranger | None = None
        self._failing = 0
        self._miscounts = 0
        self._looked_at = moment.at
        self._look_at: float | None = None
        self._unjudged: _Unjudged | None = None
        self._judged: Loss | None = None  # what was judged last: the same again is nothing new
        self._shrunk = 0  # files lost when a shrink was last said, or the fewest since

    @property
    def incident(self) -> Incident:
        """What is wrong, and what is to be said."""
        return self._case.incident

    @property
    def keeper(self) -> Keeper | None:
        """What is known of the data; None where the volume never had a marker or a ledger."""
        return self._case.keeper

    @property
    def look(self) -> Look | None:
        """The last look that counts; None before it."""
        return self._case.look

    @property
    def census(self) -> FileCount | None:
        """The last count; None before it."""
        return self._case.census

    # What is wanted next.

    def wants(self, now: float) -> Wants:
        """What is wanted next, and when."""
        if not self._is_ours():
            return Wants(look=self._look_at)
        counting = self._counting
        look = counting.glimpse_due(now, self._looked_at) if self._look_at is None else self._look_at
        return Wants(look, counting.due(), counting.arm_due(self.wiring.due()), self._next_write())

    def order(self) -> CountOptions:
        """How the next count is to be done."""
        keeper = self.keeper
        entries = frozenset(keeper.reference.entries) if keeper and keeper.reference else frozenset[str]()
        return CountOptions(entries, sizes=self._counting.weighing or self._counting.recording)

    def _next_write(self) -> float | None:
        keeper = self.keeper
        if keeper is None or not (self._may_write() or self._numbered()):
            return None
        if self._case.troubled(Condition.WRITABLE) and not self._writing.refused:
            return None  # the look tells; where only a write told, only a write can tell that it is over
        # A loss may be on its way: what was last seen is then worth more than when.
        return keeper.due() if self._counting.settling.due is None else max(keeper.due(), keeper.overdue())

    def ledger(self, moment: Moment) -> Ledger | None:
        """The ledger as it is to be written: of a wiped volume its generation alone; None where it must stay as it is."""
        if self.keeper is None or not self._is_ours():
            return None
        if not self._may_write():
            return self._numbered()
        return self.keeper.compose(moment, self._case.where.pod, self._case.where.node)

    def _is_ours(self) -> bool:
        return self._standing is not None and self._standing.ours and not self._failing

    def _may_write(self) -> bool:
        wrong = self._case.troubled(Condition.IDENTITY, Condition.CONTENT) or self.incident.held
        return not wrong and self._counting.settled is not None

    def _numbered(self) -> Ledger | None:
        """The ledger that tells a watcher that starts anew that the incident before this wipe is over."""
        if self.keeper is None or self.incident.held or self._case.troubled(Condition.IDENTITY):
            return None
        return self.keeper.numbered()

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
        absent = self._case.troubled(Condition.MOUNTED, Condition.IDENTITY, Condition.CONTENT)
        return self._standing is not None and not absent

    # Looks.

    def looked(self, moment: Moment, glimpse: Glimpse) -> None:
        """Takes a look, also one that failed."""
        self._take_look(moment, glimpse, stand(self.expected, self._known, glimpse.look, self._stranger))

    def unprobed(self, moment: Moment, look: Look, code: str) -> None:
        """Takes that no process could be started that looks: nothing is known, as after a look that failed.

        Args:
            moment: Now.
            look: The last one.
            code: What starting it gave, as an errno's name.
        """
        found = f"nobody can look at {self.expected.path}: {code} while starting the process that does"
        trouble = Trouble(Event.VOLUME_UNREACHABLE, found, "a look at it", _NO_PROBER)
        standing = Standing(trouble, {}, frozenset(), ours=False, changed_mount=False, stranger=self._stranger)
        self._take_look(moment, Glimpse(look), standing)

    def _take_look(self, moment: Moment, glimpse: Glimpse, standing: Standing) -> None:
        look = glimpse.look
        self._looked_at, self._look_at = moment.at, None
        self._standing, self._stranger = standing, standing.stranger
        if standing.unreachable:
            self._unreachable(moment, look, standing.unreachable)
        else:
            self._failing = 0
            self._case.look = look
        if standing.ours:
            self._take_documents(moment, look, standing)
        self._judge_what_waits(standing)
        self._documents.remind(moment)
        # What begins comes before what ends: an unmounted volume that is then another one is one incident.
        for condition, trouble in standing.troubles.items():
            self._case.begin(moment, condition, trouble)
        if Condition.WRITABLE in standing.troubles:
            self._writing.refused = False
        if not standing.unreachable:
            self._end_what_holds(moment, standing)
        if standing.ours:
            self._take_ours(moment, glimpse, standing)
        else:
            self._take_absent(moment, standing)
        if standing.troubles or self._failing >= _LOOKS:
            self._case.start()
        self.incident.say_aloud()

    def _take_documents(self, moment: Moment, look: Look, standing: Standing) -> None:
        over = self._documents.take_hold(moment, look)
        others = Condition.IDENTITY in standing.troubles and isinstance(look.marker, Marker)
        take = self._documents.take_over if standing.taken_over else self._documents.take_ledger
        accepted = not others and take(moment, look)
        if accepted:
            self._unjudged = None
            self._counting.weighing = self._counting.weighing and self._case.troubled(Condition.CONTENT)
        if accepted or over:
            self._judged, self._shrunk = None, 0
            self._counting.soon(moment.at)

    def _judge_what_waits(self, standing: Standing) -> None:
        """Judges what settled before this look; one that fails knows no better, and what is lost must not wait for it."""
        waits, self._unjudged = self._unjudged, None
        if waits is not None and (standing.ours or not standing.troubles):
            self._judge(waits.moment, waits.settled, waits.space)

    def _end_what_holds(self, moment: Moment, standing: Standing) -> None:
        for condition in standing.seen - standing.troubles.keys():
            if condition is not Condition.WRITABLE or not self._writing.refused:
                self._case.end(moment, condition)
        if self._miscounts < _LOOKS or not standing.ours:
            self._case.end(moment, None)

    def _unreachable(self, moment: Moment, look: Look, trouble: Trouble) -> None:
        self._failing += 1
        if self._failing < _LOOKS:
            self._look_at = moment.at + (0.0 if look.fault is not None and look.fault.number == 0 else 1.0)
            return
        self._case.look = look
        self._case.begin(moment, None, trouble)

    def _take_absent(self, moment: Moment, standing: Standing) -> None:
        """Takes that the volume is not there, or does not answer."""
        if not standing.unreachable:
            self._miscounts = 0
            self.wiring.moved(moment.at)
        if self._known is not None and Condition.MOUNTED in standing.troubles:
            # Whatever is mounted next is another mount, also where the kernel gives it the same number.
            self._known = replace(self._known, mount_id=NO_MOUNT)
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
        wiped = self._case.troubled(Condition.CONTENT)
        doubt = not self.wiring.complete or self.wiring.in_doubt or look.kind in _ELSEWHERE or not space.used_inodes
        due = not wiped and self._wants_sizes(moment)
        if doubt or wiped:
            counting.soon(moment.at)
        elif stirred or differs or due:
            counting.within_a_minute(moment.at)
        counting.recording = counting.recording or due
        if keeper is not None and not wiped and not self.incident.held:
            keeper.renew(moment)

    def _wants_sizes(self, moment: Moment) -> bool:
        return self.keeper is not None and not self.incident.held and self.keeper.wants_sizes(moment)

    def tripped(self, moment: Moment, *, storm: bool) -> None:
        """Takes what the tripwire said: something was removed or moved, or so much happens that it was taken down."""
        self.changed = moment
        self._counting.stirred = True
        if storm:
            self.wiring.storm(moment.at)
        if self._is_ours() and self._counting.counted:
            self._counting.settling.suspect(moment, Sign.EVENTS)

    def mounted_below(self, moment: Moment) -> None:
        """Takes that mounts below the path came or went: a count never crosses one, and what it hides is not there."""
        if self._is_ours() and self._counting.counted:
            self._counting.settling.suspect(moment, Sign.MOUNT_TABLE)
        else:
            self._counting.soon(moment.at)

    def blind(self, moment: Moment, why: str, traceback: str) -> None:
        """Takes that the prober ended, and took the tripwire along."""
        self._counting.again(moment.at)
        self._say_blind(self.wiring.lost(moment.at, why), traceback)
        self._case.start()

    def unarmed(self, moment: Moment, why: str) -> None:
        """Takes that arming the tripwire made no progress: the tree is counted without one."""
        self._counting.soon(moment.at)
        self._say_blind(self.wiring.stuck(moment.at, why))
        self._case.start()

    def _say_blind(self, why: str, traceback: str = "") -> None:
        if why:
            fields = {"reason": why, "traceback": traceback or None}
            self._case.tell(Event.WATCH_BLIND, lines.blind(self.expected.path, why), fields)

    # Counts.

    def counted(self, moment: Moment, stock: Stock) -> None:
        """Takes a full count, and the tripwire that was armed before it."""
        counting, census = self._counting, stock.census
        counting.stirred = counting.stirred or self.wiring.stormed
        if stock.tripwire is not None:
            self._say_blind(self.wiring.tried(moment.at, stock.tripwire))
        if census.fault or not self._counts_for(census):
            counting.failed(moment, stock)
            self._miscounted(moment, census)
            return
        counting.done(moment, stock)
        self._miscounts = 0
        self._take_folders(moment, stock)
        if changed(self.census, census):
            self.changed = moment
        self._case.census = census
        self._case.start()
        loss = self._loss(census)
        worse = self._is_worse(loss)
        if counting.settling.due is None:
            if counting.settled is None:
                counting.settling.suspect(moment, Sign.START)
            elif counting.is_less(stock) or self._is_news(loss):
                counting.settling.suspect(moment, Sign.LOOK)
            elif not self._case.troubled(Condition.CONTENT):
                self._keep(moment, census, stock.space)
        due = self._wants_sizes(moment)
        counting.weigh(stock, wiped=self._case.troubled(Condition.CONTENT), due=due)
        settled = counting.settling.count(moment, stock, loss_in_sight=worse)
        if settled is not None:
            self._take_settled(moment, settled, stock.space)
        unsaid = counting.settling.due is not None and not self._case.troubled(Condition.CONTENT)
        counting.loss_in_sight = unsaid and self._is_near(loss)

    def _take_folders(self, moment: Moment, stock: Stock) -> None:
        if stock.tripwire is None:
            self.wiring.compared(moment.at, stock.unwatched)
        folders = stock.census.folders
        if self.wiring.counted(folders):
            fields = {"folders": folders, "tripwire": False}
            self._case.tell(Event.WATCH_STARTED, lines.outgrown(self.expected.path, folders), fields)

    def _is_worse(self, loss: Loss) -> bool:
        """Whether data is lost, or was and is not known to be back."""
        return loss.verdict is not Verdict.KEPT or self._case.troubled(Condition.CONTENT)

    def _is_news(self, loss: Loss) -> bool:
        """Whether it may change what was said, once it has settled."""
        return (self._is_worse(loss) or self.incident.shrunk) and loss != self._judged

    def _is_near(self, loss: Loss) -> bool:
        """Whether it is a wipe or may soon be one; what is left is cheap to count."""
        near = max(_MOST, _NEARLY * self.expected.loss.max_loss) * loss.before
        return loss.verdict is Verdict.WIPED or 0 < near <= loss.lost

    def _miscounted(self, moment: Moment, census: FileCount) -> None:
        self._look_at = moment.at
        if census.fault is None or self.look is None:
            return  # the mount changed in between: the look will say so
        self._miscounts += 1
        if self._miscounts >= _LOOKS:
            trouble = stand(self.expected, self._known, replace(self.look, fault=census.fault)).unreachable
            if trouble is not None:
                self._case.begin(moment, None, trouble)
                self._case.start()

    def _counts_for(self, census: FileCount) -> bool:
        """Whether this is the mount that was looked at."""
        look = self.look
        mount_id = look.mount.mount_id if look and look.mount else None
        return look is not None and (census.mount_id, census.root_inode) == (mount_id, look.root_inode)

    def _loss(self, census: FileCount) -> Loss:
        reference = self.keeper.reference if self.keeper else None
        return judge_loss(self.expected.loss, reference, self._counting.judged(census))

    def _take_settled(self, moment: Moment, settled: Settled, space: Space | None) -> None:
        if self._is_worse(self._loss(settled.census)):
            # A hold or an acceptance may be younger than the last look.
            self._unjudged, self._look_at = _Unjudged(moment, settled, space), moment.at
        else:
            self._judge(moment, settled, space)

    def _judge(self, moment: Moment, settled: Settled, space: Space | None) -> None:
        loss = self._judged = self._loss(settled.census)
        if loss.verdict is Verdict.WIPED:
            found = lines.lost(self.expected.path, loss)
            trouble = Trouble(Event.VOLUME_WIPED, found, loss.expected, loss.remedy)
            told = {**self._case.numbers(), **lines.losses(loss, moment, settled)}
            self._case.begin(moment, Condition.CONTENT, trouble, told, settled.since)
            self._shrunk = 0
            self._counting.keep(settled.census, space)
            return
        wiped = self._case.troubled(Condition.CONTENT)
        if wiped and loss.lost * _MILLION > self._shrink_of(loss):
            return  # not enough of it is back
        self._case.end(moment, Condition.CONTENT)
        self._keep(moment, settled.census, space)
        self._counting.weighing = False
        self._judge_shrink(moment, loss, settled)

    def _keep(self, moment: Moment, census: FileCount, space: Space | None) -> None:
        self._counting.keep(census, space)
        if self.keeper is not None and not self.incident.held:
            self.keeper.settled(moment, census)
            self.keeper.renew(moment, census)

    def _shrink_of(self, loss: Loss) -> int:
        """GUARD_SHRINK of what was before, in millionths of a file: shares are compared as whole numbers."""
        return round(self.expected.loss.shrink * _MILLION) * loss.before

    def _judge_shrink(self, moment: Moment, loss: Loss, settled: Settled) -> None:
        if loss.verdict is not Verdict.SHRUNK:
            self._shrunk = 0
            self._case.grow()
            return
        # What came back can be lost again; said is only what is as large as a shrink by itself.
        self._shrunk = min(self._shrunk, loss.lost)
        more = loss.lost - self._shrunk
        if more and more * _MILLION >= self._shrink_of(loss):
            self._shrunk = loss.lost
            told = lines.losses(loss, moment, settled)
            self._case.shrink(settled.since, lines.shrunk(self.expected.path, loss), told)

    # Writes.

    def wrote(self, moment: Moment, ledger: Ledger | None, fault: ProbeFault | None) -> None:
        """Takes what became of writing the ledger: written, overtaken by somebody (neither), or failed."""
        if self.keeper is not None:
            self.keeper.tried(moment, ledger)
        if fault is not None:
            self._writing.failed(moment, fault)
        elif ledger is not None:
            self._writing.works(moment)
        else:
            self._look_at = moment.at  # whoever was faster says nothing of this pod's writes
