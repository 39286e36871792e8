"""Marker, ledger and hold as the looks of a watcher find them: acceptance, adoption, announced work. Pure."""

from guard.event import Event
from guard.outcome import Severity
from guard.volume.hold import Hold
from guard.volume.ledger import Ledger
from guard.volume.marker import Marker
from guard.volume.observation import InvalidDocument, Look
from guard.volume.verdict import ledger_warning, usable_ledger
from guard.watch import lines
from guard.watch.case import Case
from guard.watch.keeping import Keeper
from guard.watch.sightings import Moment

#: Seconds after which a hold that nobody released is said again.
_HOLD_REMINDER = 3600.0


class Documents:
    """What stands in `.volume-guard/`.

    Args:
        case: The volume's.
        window: GUARD_WINDOW, in seconds.
        jitter: From 1.0 to 1.1: many watchers of one volume must not write at once.
    """

    def __init__(self, case: Case, window: float, jitter: float) -> None:
        self._case = case
        self._window = window
        self._jitter = jitter
        self._held_said = 0.0
        self._hold_over = False  # since the last look
        self._warning = ""

    def take_hold(self, moment: Moment, look: Look) -> bool:
        """Takes the hold, or that there is none; True where one is over: what it kept quiet is to be judged anew."""
        case = self._case
        hold, before = look.hold, case.hold
        case.hold = hold
        case.incident.held = hold is not None
        self._hold_over = hold is None and before is not None
        if hold is not None and before is None:
            self._say_held(moment, hold, again=False)
        if not self._hold_over:
            return False
        # Where the marker went too, the hold was removed with everything else: nobody ended the work, and nobody
        # announced that. What is lost is then said aloud.
        if isinstance(look.marker, Marker):
            case.tell(Event.VOLUME_RELEASED, lines.released(look.path), {}, Severity.INFO)
        return True

    def remind(self, moment: Moment) -> None:
        """Says a hold again that nobody released; also of a volume that was taken away under it."""
        if self._case.hold is not None and moment.at - self._held_said >= _HOLD_REMINDER:
            self._say_held(moment, self._case.hold, again=True)

    def _say_held(self, moment: Moment, hold: Hold | InvalidDocument, *, again: bool) -> None:
        self._held_said = moment.at
        path = self._case.expected.path
        self._case.tell(Event.VOLUME_HELD, lines.held(path, hold, again=again), {}, Severity.INFO)

    def take_ledger(self, moment: Moment, look: Look) -> bool:
        """Takes marker and ledger of the right volume; True where somebody accepted or adopted what is there."""
        case, marker, ledger = self._case, look.marker, usable_ledger(look)
        if not isinstance(marker, Marker):
            if case.keeper is None and ledger is not None:
                case.keeper = Keeper(ledger, ledger.marker_id, self._window, self._jitter)
            return False
        self._say_invalid(look)
        if case.keeper is None:
            case.keeper = Keeper(ledger, marker.marker_id, self._window, self._jitter)
        elif ledger is None:
            case.keeper.missed()
        elif ledger.marker_id != case.keeper.marker_id:
            case.adopt(moment, Keeper(ledger, marker.marker_id, self._window, self._jitter))
            return True
        elif self._is_accepted(case.keeper, ledger):
            case.keeper.read(ledger)
            case.accept(moment)
            return True
        else:
            case.keeper.seen(moment, ledger)
        return False

    def _is_accepted(self, keeper: Keeper, ledger: Ledger) -> bool:
        # A release accepts what is there, also where that is what was there before; no watcher writes under a hold.
        return keeper.is_accepted(ledger) or (self._hold_over and keeper.is_later(ledger))

    def take_over(self, moment: Moment, look: Look) -> bool:
        """Takes marker and ledger of another volume that somebody adopted or accepted in the place of the known one."""
        case, marker, ledger = self._case, look.marker, usable_ledger(look)
        assert isinstance(marker, Marker)
        assert ledger is not None
        self._say_invalid(look)
        case.census = None  # of the other one
        if case.keeper is not None and case.keeper.marker_id == marker.marker_id:
            case.keeper.read(ledger)
            case.accept(moment)
        else:
            case.adopt(moment, Keeper(ledger, marker.marker_id, self._window, self._jitter))
        return True

    def _say_invalid(self, look: Look) -> None:
        warning = ledger_warning(look)
        if warning and warning != self._warning:
            self._case.tell(Event.LEDGER_INVALID, lines.ledger_invalid(look.path, warning), {"reason": warning})
        self._warning = warning
