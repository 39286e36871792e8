"""The watcher's mind: looks, counts and signs in; what is wanted next, and what is to be said, out. Pure; time is a parameter."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from guard.event import Event, Happening
from guard.outcome import Outcome, Severity
from guard.report.text import bounded
from guard.volume.facts import Census, Fault, Invalid, Look, Order, Space
from guard.volume.hold import Hold
from guard.volume.judge import Examination, Expectation, judge, ledger_warning, usable_ledger
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger, Reference
from guard.volume.loss import Loss, Verdict, judge_loss
from guard.volume.marker import Marker
from guard.watch.allowance import Allowance
from guard.watch.incident import Incident, incident_id
from guard.watch.keeping import WRITE_AT_LEAST, WRITE_EVERY, Keeper
from guard.watch.settling import Settled, Settling, content
from guard.watch.sightings import Glimpse, Moment, Sign, Stock
from guard.watch.standing import Condition, Known, Standing, Trouble, known, stand
from guard.watch.wiring import FOLDERS, Wiring
from guard.wording import Whereabouts, facts

#: A volume counts as unreachable after so many looks in a row: one may hit a hiccup.
_LOOKS = 2
#: The share of used inodes or blocks whose fall leads to a count, in per cent.
_FALL = 10
#: A fall of inodes by this share of the reference is worth a count that is not allowed yet: what is left is cheap.
_HALF = 2
#: Seconds between two counts of a tree that can be looked at and not be counted.
_UNCOUNTABLE = 10.0
#: Seconds between looks while counts are suspected to be worth it and not allowed.
_GLIMPSES = 1.0
#: Seconds after which a hold that nobody released is said again.
_HOLD_REMINDER = 3600.0
#: Seconds without a ledger for lack of space before that is said: a full disk is ordinary life.
_FULL_PATIENCE = WRITE_AT_LEAST
#: Entries that are named in a line.
_ENTRIES = 20
#: Kinds whose changes may come from elsewhere, unseen by events.
_ELSEWHERE = frozenset({Kind.NETWORK, Kind.FUSE, Kind.UNKNOWN, Kind.OVERLAY})
#: Kinds that share their superblock with the node: its used blocks say nothing of this volume.
_SHARED = frozenset({Kind.NODE_DISK, Kind.EMPTY_DIR, Kind.OVERLAY, Kind.CONFIG})


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
        self._settling = Settling(settle)
        self._allowance = Allowance(moment.at)
        self._known: Known | None = None
        self._standing: Standing | None = None
        self._started = False
        self._failing = 0
        self._miscounts = 0
        self._looked_at = moment.at
        self._look_at: float | None = None
        self._space: Space | None = None
        self._counted_at = float("-inf")
        self._count_due: float | None = moment.at
        self._urgent = False
        self._last_settled: tuple[Census, Space | None] | None = None
        self._weighing = False
        self._shrunk: Loss | None = None
        self._hold: Hold | Invalid | None = None
        self._hold_said = 0.0
        self._ledger_warning = ""
        self._unwritable: Moment | None = None
        self._unwritable_said = False
        self._opened = 0  # the generation of the open incident

    # What is wanted next.

    def wants(self, now: float) -> Wants:
        """What is wanted next, and when."""
        ours = self._standing is not None and self._standing.ours and not self._failing
        if not ours:
            return Wants(look=self._look_at)
        count = self._next_count()
        arm = self.wiring.due() if self._settling.due is None and self._counted_at > float("-inf") else None
        if arm is not None:
            arm = max(arm, self._allowance.free())
        look = self._look_at
        if look is None and self._settling.due is not None and self._allowance.free() > now:
            look = self._looked_at + _GLIMPSES  # counts must wait: a fall that makes them cheap is seen by looks
        return Wants(look, count, arm, self._next_write())

    def order(self) -> Order:
        """How the next count is to be done."""
        keeper = self.keeper
        entries = frozenset(keeper.reference.entries) if keeper and keeper.reference else frozenset[str]()
        return Order(entries, sizes=self._weighing)

    def _next_count(self) -> float:
        due = self._settling.due
        if due is None:  # without suspicion, for the baseline
            routine = self._counted_at + self._jitter * WRITE_AT_LEAST
            due = routine if self._count_due is None else min(routine, self._count_due)
        return due if self._urgent else max(due, self._allowance.free())

    def _next_write(self) -> float | None:
        frozen = self._settling.due is not None or self.incident.held or self.keeper is None
        if frozen or self._last_settled is None or self._troubled(Condition.IDENTITY, Condition.CONTENT):
            return None
        if self._troubled(Condition.WRITABLE) and self._unwritable is None:
            return None  # the look tells; where only a write told, only a write can tell that it is over
        assert self.keeper is not None
        return self.keeper.due()

    def ledger(self, moment: Moment) -> Ledger | None:
        """The ledger as it is to be written, for a volume that is right; None where it must stay as it is."""
        ours = self._standing is not None and self._standing.ours and not self._failing
        wrong = self._troubled(Condition.IDENTITY, Condition.CONTENT) or self.incident.held
        if not ours or wrong or self.keeper is None or self._last_settled is None:
            return None
        return self.keeper.compose(moment, self._where.pod, self._where.node)

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
            return "true" if standing.ours and self._last_settled is not None else "unknown"
        return "true" if condition in standing.seen else "unknown"

    @property
    def healthy(self) -> bool:
        """Whether nothing is known to be wrong, and the volume answers."""
        if self._standing is None or self.incident.troubled(None):
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
            self._take_documents(moment, look)
        # What begins comes before what ends: an unmounted volume that is then another one is one incident.
        for condition, trouble in standing.troubles.items():
            self._begin(moment, condition, trouble)
        if Condition.WRITABLE in standing.troubles:
            self._unwritable = None
        if not standing.unreachable:
            self._end_what_holds(moment, standing)
        if standing.ours:
            self._take_ours(moment, glimpse, standing)
        else:
            self._settling.forget()
            self._count_due = moment.at  # what happens meanwhile is not seen
            if not standing.unreachable:
                self.wiring.moved(moment.at)
            if not self._started and (not standing.unreachable or self._failing >= _LOOKS):
                self._start()
        self.incident.say_aloud()

    def _end_what_holds(self, moment: Moment, standing: Standing) -> None:
        for condition in standing.seen - standing.troubles.keys():
            if condition is not Condition.WRITABLE or self._unwritable is None:
                self._end(moment, condition)
        if self._miscounts < _LOOKS:
            self._end(moment, None)

    def _unreachable(self, moment: Moment, look: Look, trouble: Trouble) -> None:
        self._failing += 1
        if self._failing < _LOOKS:
            self._look_at = moment.at + (0.0 if look.fault is not None and look.fault.number == 0 else 1.0)
            return
        self.look = look
        self._begin(moment, None, trouble)

    def _take_ours(self, moment: Moment, glimpse: Glimpse, standing: Standing) -> None:
        look = glimpse.look
        now_known = known(look)
        was_armed = self.wiring.armed
        if now_known is not None and Condition.IDENTITY not in standing.troubles:
            if self._known is not None and standing.changed_mount:
                self.wiring.moved(moment.at)
                self._settling.suspect(moment, Sign.MOUNT_TABLE)
            self._known = now_known
        self._settling.own_disk = look.kind not in _SHARED
        self._say_blind(self.wiring.seen(moment.at, glimpse.tripwire))
        if glimpse.tripwire.tripped and was_armed:
            self._settling.suspect(moment, Sign.EVENTS)
        if glimpse.tripwire.stirred:
            self.changed = moment
        if look.space is not None and self._counted_at > float("-inf"):
            self._take_space(moment, look, look.space, stirred=glimpse.tripwire.stirred)

    def _take_space(self, moment: Moment, look: Look, space: Space, *, stirred: bool) -> None:
        before = self._space
        if before is not None and self._half_gone(before, space):
            self._urgent = True
        if self._settling.due is not None:
            return
        wiped = self._troubled(Condition.CONTENT)
        doubt = not self.wiring.complete or look.kind in _ELSEWHERE or not space.used_inodes
        due = self.keeper is not None and not wiped and self.keeper.wants_sizes(moment)
        if before is not None and _fell(before, space):
            self._settling.suspect(moment, Sign.LOOK)
        elif doubt or wiped:
            self._count_due = moment.at
        elif (stirred or space != before or due) and self._count_due is None:
            self._count_due = moment.at + self._jitter * WRITE_EVERY
        self._weighing = self._weighing or due
        if self.keeper is not None and not wiped and not self.incident.held:
            self.keeper.renew(moment)

    def _half_gone(self, before: Space, space: Space) -> bool:
        files = self.keeper.reference.files if self.keeper and self.keeper.reference else 0
        return bool(files) and (before.used_inodes - space.used_inodes) * _HALF >= files

    def tripped(self, moment: Moment, *, storm: bool) -> None:
        """Takes what the tripwire said: something was removed or moved, or so much happens that it was taken down."""
        self.changed = moment
        if storm:
            self.wiring.storm(moment.at)
        if self._standing is not None and self._standing.ours and self._counted_at > float("-inf"):
            self._settling.suspect(moment, Sign.EVENTS)

    def blind(self, moment: Moment, why: str, traceback: str) -> None:
        """Takes that the prober ended, and took the tripwire along."""
        self._count_due = moment.at
        self._say_blind(self.wiring.lost(moment.at, why), traceback)

    def _say_blind(self, why: str, traceback: str = "") -> None:
        if why:
            message = (
                f"The tripwire of {self.expected.path} is blind: {why}. "
                "Looks and counts carry on, and it is healed when possible."
            )
            self._tell(Event.WATCH_BLIND, message, {"reason": why, "traceback": traceback[-4000:] or None})

    # Documents on the volume.

    def _take_documents(self, moment: Moment, look: Look) -> None:
        self._take_hold(moment, look)
        marker, ledger = look.marker, usable_ledger(look)
        if not isinstance(marker, Marker):
            if self.keeper is None and ledger is not None:
                self.keeper = Keeper(moment, ledger, ledger.marker_id, self._window, self._jitter)
            return
        warning = ledger_warning(look)
        if warning and warning != self._ledger_warning:
            message = f"The ledger of {look.path} is not used: {bounded(warning, 512)}. Only GUARD_MIN_FILES counts beside what was known before."
            self._tell(Event.LEDGER_INVALID, message, {"reason": warning})
        self._ledger_warning = warning
        if self.keeper is None:
            self.keeper = Keeper(moment, ledger, marker.marker_id, self._window, self._jitter)
        elif ledger is not None and ledger.marker_id != self.keeper.marker_id:
            self.keeper = Keeper(moment, ledger, marker.marker_id, self._window, self._jitter)
            self._accepted(moment)
        elif ledger is not None and self._is_accepted(ledger):
            self.keeper.read(moment, ledger)
            self._accepted(moment)
        elif ledger is not None:
            self.keeper.seen(moment, ledger)

    def _is_accepted(self, ledger: Ledger) -> bool:
        """Whether somebody accepted what is there; another watcher's recovery leaves the reference as it is."""
        assert self.keeper is not None
        mine = self.keeper.reference
        if ledger.generation <= self.keeper.generation:
            return False
        return mine is None or not _alike(ledger.reference, mine)

    def _accepted(self, moment: Moment) -> None:
        self._shrunk = None
        self._weighing = False
        self._count_due = moment.at
        self.incident.accept(moment, self._numbers())

    def _take_hold(self, moment: Moment, look: Look) -> None:
        hold, before = look.hold, self._hold
        self._hold = hold
        self.incident.held = hold is not None
        if hold is not None and (before is None or moment.at - self._hold_said >= _HOLD_REMINDER):
            self._hold_said = moment.at
            again = "still " if before is not None else ""
            message = (
                f"{look.path} is {again}held, and its hold can't be read: {hold.reason}."
                if isinstance(hold, Invalid)
                else f'{look.path} is {again}held by {bounded(hold.by)} since {hold.since}: "{bounded(hold.reason)}".'
            )
            message += " End it with: guard release"
            self._tell(Event.VOLUME_HELD, message, {}, Severity.INFO)
        elif hold is None and before is not None:
            self._count_due = moment.at
            self._tell(Event.VOLUME_RELEASED, f"{look.path} is not held any more.", {}, Severity.INFO)

    # Counts.

    def counted(self, moment: Moment, stock: Stock) -> None:
        """Takes a full count, and the tripwire that was armed before it."""
        self._allowance.spend(moment.at, stock.seconds)
        self._urgent = False
        self._count_due = None
        if stock.tripwire is not None:
            self._say_blind(self.wiring.tried(moment.at, stock.tripwire))
        census = stock.census
        if census.fault or not self._counts_for(census):
            self._miscounted(moment, census)
            return
        self._miscounts = 0
        self._counted_at = moment.at
        self.wiring.folders = census.folders
        if self.census is None or content(self.census) != content(census):
            self.changed = moment
        self.census = census
        self._space = stock.space
        loss = self._loss(census)
        if not self._started:
            self._start()
            self._settling.suspect(moment, Sign.START)
        worse = loss.verdict is not Verdict.KEPT or self._troubled(Condition.CONTENT)
        if self._settling.due is None:
            last = self._last_settled
            if worse or last is None or census.files < last[0].files:
                self._settling.suspect(moment, Sign.LOOK)
            else:
                self._keep(moment, census, stock.space)
        self._weighing = self._must_weigh(moment, census, stock.space)
        settled = self._settling.count(moment, stock, loss_in_sight=worse)
        if settled is not None:
            self._judge(moment, settled, stock.space)

    def _miscounted(self, moment: Moment, census: Census) -> None:
        self._look_at = moment.at
        self._count_due = moment.at + 1.0
        if census.fault is None or self.look is None:
            return  # the mount changed in between: the look will say so
        self._miscounts += 1
        if self._miscounts >= _LOOKS:
            self._count_due = moment.at + _UNCOUNTABLE
            trouble = stand(self.expected, self._known, replace(self.look, fault=census.fault)).unreachable
            if trouble is not None:
                self._begin(moment, None, trouble)

    def _counts_for(self, census: Census) -> bool:
        """Whether this is the mount that was looked at."""
        look = self.look
        mount_id = look.mount.mount_id if look and look.mount else None
        return look is not None and (census.mount_id, census.root_inode) == (mount_id, look.root_inode)

    def _must_weigh(self, moment: Moment, census: Census, space: Space | None) -> bool:
        """Whether the next count needs sizes: used blocks fell with the names unchanged, or a reference is due."""
        if self._weighing and (self._settling.due is not None or self._troubled(Condition.CONTENT)):
            return True
        last = self._last_settled
        if self._settling.due is not None and last is not None:
            same = content(last[0])[:2] == content(census)[:2]
            return bool(same and space and last[1] and _fell_blocks(last[1], space))
        return self.keeper is not None and self.keeper.wants_sizes(moment)

    def _loss(self, census: Census) -> Loss:
        return judge_loss(self.expected.loss, self.keeper.reference if self.keeper else None, census)

    def _judge(self, moment: Moment, settled: Settled, space: Space | None) -> None:
        loss = self._loss(settled.census)
        if loss.verdict is Verdict.WIPED:
            trouble = Trouble(
                Event.VOLUME_WIPED, self._lost(loss), "the files of the reference", Outcome.DATA_LOST.value.remedy
            )
            told = {
                **self._numbers(),
                **_losses(loss),
                "first_sign": settled.since.text,
                "settled": moment.text,
                "tripwire": settled.sign.value,
            }
            self._begin(moment, Condition.CONTENT, trouble, told, settled.since)
            self._last_settled = (settled.census, space)
            return
        recovered = self._troubled(Condition.CONTENT)
        if recovered and loss.lost > self.expected.loss.shrink * loss.before:
            return  # not enough of it is back
        self._weighing = self._weighing and not recovered
        self._end(moment, Condition.CONTENT)
        self._keep(moment, settled.census, space)
        self._say_shrunk(moment, loss, settled)

    def _keep(self, moment: Moment, census: Census, space: Space | None) -> None:
        self._last_settled = (census, space)
        if self.keeper is not None and not self.incident.held:
            self.keeper.settled(moment, census)
            self.keeper.renew(moment, census)

    def _say_shrunk(self, moment: Moment, loss: Loss, settled: Settled) -> None:
        if loss.verdict is not Verdict.SHRUNK:
            self._shrunk = None
            return
        before = self._shrunk.lost if self._shrunk else 0
        if loss.lost - before < self.expected.loss.shrink * loss.before:
            return
        self._shrunk = loss
        told = {**self._numbers(), **_losses(loss), "first_sign": settled.since.text, "settled": moment.text}
        message = f"{self._lost(loss)}. If that is meant, nothing is to be done; the gate says it at every start."
        self.incident.say(Event.VOLUME_SHRUNK, message, told, name=self._name())

    def _lost(self, loss: Loss) -> str:
        largest = ", ".join(f"{bounded(entry.name)} {entry.before} to {entry.after}" for entry in loss.entries[:3])
        emptied = loss.lost - max(0, loss.before - loss.after)
        text = f"{self.expected.path} holds {loss.after} files of {loss.before}"
        text += f", {emptied} of them emptied" if emptied > 0 else ""
        return f"{text}: {loss.reason}" + (f" ({largest})" if largest else "")

    # Writes.

    def wrote(self, moment: Moment, ledger: Ledger | None, fault: Fault | None) -> None:
        """Takes what became of writing the ledger: written, overtaken by somebody (neither), or failed."""
        if self.keeper is not None:
            self.keeper.tried(moment, ledger)
        if fault is None:
            self._unwritable, self._unwritable_said = None, False
            if ledger is None:
                self._look_at = moment.at
            return
        self._unwritable = self._unwritable or moment
        if fault.read_only and self.expected.writable:
            found = f"{self.expected.path} can't be written: {fault.code} while {fault.doing}"
            trouble = Trouble(Event.VOLUME_READ_ONLY, found, "a writable volume", Outcome.READ_ONLY.value.remedy)
            self._begin(moment, Condition.WRITABLE, trouble)
            return
        waited = moment.at - self._unwritable.at
        if self._unwritable_said or (fault.full and waited < _FULL_PATIENCE):
            return
        self._unwritable_said = True
        message = (
            f"The ledger of {self.expected.path} can't be written: {fault.code} while {fault.doing}. It is watched all the "
            "same, but the gate will compare with what was last recorded."
        )
        self._tell(Event.LEDGER_UNWRITABLE, message, {"reason": fault.code})

    # Lines.

    def _start(self) -> None:
        self._started = True
        look = self.look
        fields: dict[str, Any] = {"path": self.expected.path}
        told = [f"Watching {self.expected.path}"]
        if look is not None:
            examination = Examination(look, self.census, judge(self.expected, look, self.census))
            fields |= facts(examination)
            if look.mount is not None:
                told.append(f"{look.kind.value}, {look.mount.fstype}, {look.mount.device}")
            if examination.judgement.findings:
                told.append("; ".join(finding.found for finding in examination.judgement.findings))
        if self.census is not None:
            told.append(f"{self.census.files} files")
        reference = self.keeper.reference if self.keeper else None
        told.append(f"the reference has {reference.files}" if reference and reference.files else "no baseline yet")
        fields |= {"folders": self.census.folders if self.census else None, **self._where.fields()}
        fields["tripwire"] = bool(self.census and self.census.folders <= FOLDERS)
        if self.census and self.census.folders > FOLDERS:
            told.append(f"no tripwire above {FOLDERS} folders: looks and counts alone")
        self.incident.start(Happening(Event.WATCH_STARTED, ", ".join(told) + ".", Severity.INFO, fields))

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
        if isinstance(self._hold, Hold):
            fields |= {"held_by": self._hold.by, "held_since": self._hold.since, "hold_reason": self._hold.reason}
        return fields

    def _tell(self, event: Event, message: str, fields: Mapping[str, Any], severity: Severity | None = None) -> None:
        told = {"path": self.expected.path, **self._numbers(), **fields, **self._where.fields()}
        self.incident.tell(Happening(event, message, severity or event.severity, told))


def _losses(loss: Loss) -> dict[str, Any]:
    return {
        "before": loss.before,
        "after": loss.after,
        "lost_files": loss.lost,
        "entries": {entry.name: [entry.before, entry.after] for entry in loss.entries[:_ENTRIES]},
    }


def _fell(before: Space, now: Space) -> bool:
    return _fell_blocks(before, now) or _fell_by(before.used_inodes, now.used_inodes)


def _fell_blocks(before: Space, now: Space) -> bool:
    return _fell_by(before.used_blocks, now.used_blocks)


def _fell_by(before: int, now: int) -> bool:
    return before > 0 and (before - now) * 100 >= _FALL * before


def _alike(one: Reference, other: Reference) -> bool:
    return (one.files, dict(one.entries), one.empty) == (other.files, dict(other.entries), other.empty)
