"""The guard's own commands, run as users run them: their exit statuses and log lines are the contract."""

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from guard.backup import process
from guard.backup.snapshot import ListingError, parse_json
from guard.outcome import Outcome, Severity
from guard.report import stream
from guard.stop_signal import StopSignal

_SEVERITIES = [severity.name for severity in Severity]


@dataclass(frozen=True)
class GuardResult:
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

    def has_only(self, *allowed: Outcome) -> bool:
        """Whether nothing else holds."""
        return self.outcomes <= {outcome.label for outcome in allowed}

    def has(self, outcome: Outcome) -> bool:
        """Whether this one holds."""
        return outcome.label in self.outcomes


class GateRefused(Exception):  # noqa: N818 - an outcome of the gate, kept as it is
    """The volume ended the run.

    Attributes:
        status: The outcome's status, which becomes ours.
        message: Why, where no command of the guard has reported it.
        reason: The termination message.
    """

    def __init__(self, status: int, message: str = "", reason: str = "") -> None:
        super().__init__(message or reason)
        self.status = status
        self.message = message
        self.reason = reason or message

    @classmethod
    def by(cls, result: GuardResult) -> Self:
        """Returns what a command of the guard refused, in its own words."""
        return cls(result.status, reason=result.reason)


class Guard:
    """`guard COMMAND` with our own settings, in our own mount namespace: it judges the mount that is worked on.

    Its termination message is ours to write: a step that went well is not how the whole ended.
    """

    def __init__(self, stop_signal: StopSignal) -> None:
        self._stop_signal = stop_signal

    def __call__(self, *argv: str, least: Severity = Severity.INFO) -> GuardResult:
        """Runs a command; its lines go to the log as they are.

        Args:
            argv: The command and its flags.
            least: Lines below this severity don't go to the log.

        Raises:
            Stopped: A signal asked for the end.
        """
        last: dict[str, Any] = {}

        def err(line: bytes) -> None:
            fields = log_object(line)
            if not fields or Severity[fields["severity"]] >= least:
                stream.write(sys.stderr.fileno(), line + b"\n")
            if fields:
                last.clear()
                last.update(fields)

        with tempfile.NamedTemporaryFile() as termination:
            own = {"GUARD_LOG_FORMAT": "json", "GUARD_LOG_LEVEL": "info", "GUARD_TERMINATION_LOG": termination.name}
            status = process.run(
                (sys.executable, "-m", "guard", *argv),
                self._stop_signal,
                out=lambda _: None,
                err=err,
                env={**os.environ, **own},
            )
            reason = termination.read().decode("utf-8", "replace").rstrip()
        outcomes = frozenset({str(last.get("outcome", Outcome.OK.label)), *last.get("also", ())})
        if status != 0 and outcomes == {Outcome.OK.label}:
            outcomes = frozenset({Outcome.INTERNAL_ERROR.label})
        return GuardResult(status, outcomes, str(last.get("message", "")), last, reason)


def log_object(line: bytes) -> dict[str, Any]:
    """Returns a line of the guard's log; empty for any other, such as a library's."""
    try:
        fields = parse_json(line)
    except ListingError:
        return {}
    return fields if isinstance(fields, dict) and fields.get("severity") in _SEVERITIES else {}
