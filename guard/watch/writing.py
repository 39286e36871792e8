"""What became of writing the ledger: a read-only volume, a full disk, a folder that may not be written. Pure."""

from guard.event import Event
from guard.outcome import Outcome
from guard.volume.observation import ProbeFault
from guard.watch import lines
from guard.watch.case import Case
from guard.watch.keeping import WRITE_AT_LEAST
from guard.watch.sightings import Moment
from guard.watch.standing import Condition, Trouble

#: Seconds without a ledger for lack of space before that is said: a full disk is ordinary life.
_FULL_PATIENCE = WRITE_AT_LEAST


class Writing:
    """The writes of one volume.

    Attributes:
        refused: A write, and not a look, told that nothing can be written; then only a write can tell that it is over.

    Args:
        case: The volume's.
    """

    def __init__(self, case: Case) -> None:
        self.refused = False
        self._case = case
        self._failing: Moment | None = None
        self._said = False

    def works(self, moment: Moment) -> None:
        """Takes that the ledger was written."""
        self._failing, self._said = None, False
        self._over(moment)

    def failed(self, moment: Moment, fault: ProbeFault) -> None:
        """Takes that it was not, and why."""
        case = self._case
        if fault.read_only and case.expected.writable:
            found = f"{case.expected.path} can't be written: {fault.code} while {fault.doing}"
            trouble = Trouble(Event.VOLUME_READ_ONLY, found, "a writable volume", Outcome.READ_ONLY.value.remedy)
            self.refused = True
            case.begin(moment, Condition.WRITABLE, trouble)
            return
        if fault.full or fault.denied:  # a read-only file system would have said so
            self._over(moment)
        self._failing = self._failing or moment
        waited = moment.at - self._failing.at
        if not self._said and (waited >= _FULL_PATIENCE or not fault.full):
            self._said = True
            case.tell(Event.LEDGER_UNWRITABLE, lines.unwritable(case.expected.path, fault), {"reason": fault.code})

    def _over(self, moment: Moment) -> None:
        if self.refused:
            self.refused = False
            self._case.end(moment, Condition.WRITABLE)
