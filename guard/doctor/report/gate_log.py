"""What the gate's own log says about the data after a restart (`kubectl logs POD -c GATE`). Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from guard.doctor.source.tree import text, texts, whole

#: Events of the gate that decide, see the event table.
_PASSED, _REFUSED = "volume.ok", "volume.refused"
#: Outcomes in which the data that was there is not, and the one in which a line names a foreign volume.
_GONE = frozenset({"data-lost", "marker-missing", "marker-mismatch", "marker-invalid"})
_MISMATCH = "marker-mismatch"
#: How the gate's warning of a shrunk volume starts.
_SHRUNK = "it shrunk"


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the gate found last."""

    passed: bool  # whether it found the volume right and whole
    gone: bool  # whether it found that the data is not there; what is only unreachable, held or shrunk is neither
    compared: bool  # whether it had something to compare with; without a baseline a pass proves nothing about the data
    volume: str  # the name of the volume that it expects; empty where the line does not say it
    message: str  # its sentence


def last_result(lines: Iterable[str]) -> GateResult | None:
    """The last verdict of the gate in a log; None where there is none.

    Other lines, of the application or of a runtime (a time stamp before the JSON), are stepped over.
    """
    result = None
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
            result = _result(entry)
    return result


def _result(entry: Any) -> GateResult:
    outcomes = {text(entry, "outcome"), *texts(entry, "also")}
    shrunk = any(warning.startswith(_SHRUNK) for warning in texts(entry, "warnings"))
    return GateResult(
        passed=text(entry, "event") == _PASSED and not shrunk,
        gone=bool(outcomes & _GONE),
        compared=(whole(entry, "reference_files") or 0) > 0,
        volume="" if _MISMATCH in outcomes else text(entry, "volume"),
        message=text(entry, "message"),
    )
