"""What the gate's own log says about the data after a restart (`kubectl logs POD -c GATE`). Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from guard.doctor.tree import text, whole

#: Events of the gate that decide, see the event table.
_PASSED, _REFUSED = "volume.ok", "volume.refused"


@dataclass(frozen=True, slots=True)
class GateWord:
    """The gate's last word.

    Attributes:
        passed: Whether it let the pod start.
        compared: Whether it had something to compare with; without a baseline a pass proves nothing about the data.
        message: Its sentence.
    """

    passed: bool
    compared: bool
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
            word = GateWord(event == _PASSED, (whole(entry, "reference_files") or 0) > 0, text(entry, "message"))
    return word
