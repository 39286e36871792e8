"""What the gate's own log says about the data after a restart (`kubectl logs POD -c GATE`). Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from guard.doctor.tree import text, texts, whole

#: Events of the gate that decide, see the event table.
_PASSED, _REFUSED = "volume.ok", "volume.refused"
#: Outcomes in which the data that was there is not, and the one in which a line names a foreign volume.
_GONE = frozenset({"data-lost", "marker-missing", "marker-mismatch", "marker-invalid"})
_MISMATCH = "marker-mismatch"
#: How the gate's warning of a shrunk volume starts.
_SHRUNK = "it shrunk"


@dataclass(frozen=True, slots=True)
class GateWord:
    """The gate's last word.

    Attributes:
        passed: Whether it found the volume right and whole.
        gone: Whether it found that the data is not there; what is only unreachable, held or shrunk is neither.
        compared: Whether it had something to compare with; without a baseline a pass proves nothing about the data.
        volume: The name of the volume that it expects; empty where the line does not say it.
        message: Its sentence.
    """

    passed: bool
    gone: bool
    compared: bool
    volume: str
    message: str


def last_word(lines: Iterable[str]) -> GateWord | None:
    """The last verdict of the gate in a log; None where there is none.

    Other lines, of the application or of a runtime (a time stamp before the JSON), are stepped over.
    """
    word = None
    for line in lines:
        start = line.find("{")
        if start < 0 or '"volume.' not in line:
            continue
        try:
            entry = json.loads(line[start:])
        except (ValueError, RecursionError):
            continue
        event = text(entry, "event")
        if event in {_PASSED, _REFUSED}:
            word = _word(entry)
    return word


def _word(entry: Any) -> GateWord:
    outcomes = {text(entry, "outcome"), *texts(entry, "also")}
    shrunk = any(warning.startswith(_SHRUNK) for warning in texts(entry, "warnings"))
    return GateWord(
        passed=text(entry, "event") == _PASSED and not shrunk,
        gone=bool(outcomes & _GONE),
        compared=(whole(entry, "reference_files") or 0) > 0,
        volume="" if _MISMATCH in outcomes else text(entry, "volume"),
        message=text(entry, "message"),
    )
