"""The guard's own commands around a restore, run as users run them: their exit statuses and log lines are the contract."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from guard.backup import process
from guard.outcome import Outcome, Severity
from guard.report import stream
from guard.stop_signal import StopSignal


@dataclass(frozen=True)
class Said:
    """How a command ended.

    Attributes:
        status: Its exit status.
        outcomes: Every outcome that held, by name; the first is the status's.
        message: Its last sentence.
        line: Its last log line.
        reason: Its termination message.
    """

    status: int
    outcomes: frozenset[str]
    message: str
    line: Mapping[str, Any]
    reason: str

    def only(self, *allowed: Outcome) -> bool:
        """Whether nothing else holds."""
        return self.outcomes <= {one.label for one in allowed}

    def has(self, outcome: Outcome) -> bool:
        """Whether this one holds."""
        return outcome.label in self.outcomes


class Refused(Exception):  # noqa: N818 - an outcome of the gate, kept as it is
    """The volume ended the run.

    Attributes:
        status: The outcome's status, which becomes ours.
        unsaid: Why, where no command of the guard has said it.
        reason: The termination message.
    """

    def __init__(self, status: int, unsaid: str = "", reason: str = "") -> None:
        super().__init__(unsaid or reason)
        self.status = status
        self.unsaid = unsaid
        self.reason = reason or unsaid

    @classmethod
    def by(cls, said: Said) -> Self:
        """What a command of the guard has refused, in its own words."""
        return cls(said.status, reason=said.reason)


class Guard:
    """`guard COMMAND` with our own settings, in our own mount namespace: it judges the mount that is worked on.

    Its termination message is ours to give: a step that went well is not how the whole ended.
    """

    def __init__(self, interrupt: StopSignal) -> None:
        self._interrupt = interrupt

    def __call__(self, *words: str, least: Severity = Severity.INFO) -> Said:
        """Runs a command; its lines go to the log as they are.

        Args:
            words: The command and its flags.
            least: Lines below this severity don't go to the log.

        Raises:
            Interrupted: A signal asked for the end.
        """
        last: dict[str, Any] = {}

        def err(line: bytes) -> None:
            found = _object(line)
            if not found or Severity[found["severity"]] >= least:
                stream.write(sys.stderr.fileno(), line + b"\n")
            if found:
                last.clear()
                last.update(found)

        argv = (sys.executable, "-m", "guard", *words)
        with tempfile.NamedTemporaryFile() as ended:
            told = {"GUARD_LOG_FORMAT": "json", "GUARD_LOG_LEVEL": "info", "GUARD_TERMINATION_LOG": ended.name}
            status = process.run(argv, self._interrupt, out=lambda _: None, err=err, env={**os.environ, **told})
            reason = ended.read().decode("utf-8", "replace").rstrip()
        outcomes = frozenset({str(last.get("outcome", Outcome.OK.label)), *last.get("also", ())})
        if status != 0 and outcomes == {Outcome.OK.label}:
            outcomes = frozenset({Outcome.INTERNAL_ERROR.label})
        return Said(status, outcomes, str(last.get("message", "")), last, reason)


def _object(line: bytes) -> dict[str, Any]:
    """A line of the log; empty for any other."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and "severity" in found else {}
