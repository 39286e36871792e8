"""The guard's own commands around a restore, run as users run them: their exit statuses and log lines are the contract."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guard.backup import process
from guard.interrupt import Interrupt
from guard.outcome import Outcome
from guard.report import stream


@dataclass(frozen=True)
class Said:
    """How a command ended.

    Attributes:
        status: Its exit status.
        outcomes: Every outcome that held, by name; the first is the status's.
        message: Its last sentence.
        line: Its last log line.
    """

    status: int
    outcomes: frozenset[str]
    message: str
    line: Mapping[str, Any]

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
    """

    def __init__(self, status: int, unsaid: str = "") -> None:
        super().__init__(unsaid)
        self.status = status
        self.unsaid = unsaid


class Guard:
    """`guard COMMAND` with our own settings, in our own mount namespace: it judges the mount that is worked on."""

    def __init__(self, interrupt: Interrupt) -> None:
        self._interrupt = interrupt

    def __call__(self, *words: str) -> Said:
        """Runs a command; its lines go to the log as they are.

        Raises:
            Interrupted: A signal asked for the end.
        """
        last: dict[str, Any] = {}

        def err(line: bytes) -> None:
            stream.write(sys.stderr.fileno(), line + b"\n")
            try:
                found = json.loads(line)
            except ValueError:
                return
            if isinstance(found, dict):
                last.clear()
                last.update(found)

        environment = {**os.environ, "GUARD_LOG_FORMAT": "json", "GUARD_LOG_LEVEL": "info"}
        argv = (sys.executable, "-m", "guard", *words)
        status = process.run(argv, self._interrupt, out=lambda _: None, err=err, env=environment)
        outcomes = frozenset({str(last.get("outcome", Outcome.OK.label)), *last.get("also", ())})
        if status != 0 and outcomes == {Outcome.OK.label}:
            outcomes = frozenset({Outcome.INTERNAL_ERROR.label})
        return Said(status, outcomes, str(last.get("message", "")), last)
