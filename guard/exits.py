"""The ways out: usage errors and bugs as log line, termination message and status; text on standard output; APP."""

import errno
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guard import clock, messages
from guard.event import Event, EventRecord
from guard.messages import CommandResult
from guard.outcome import Outcome, Severity
from guard.report import termination
from guard.report.log import Log
from guard.report.text import Format, truncate

if TYPE_CHECKING:
    from guard.settings import Reporting


#: What ends the guard without a bug in it, by the last line of a traceback.
_LACKS = {
    "MemoryError": "too little memory allowed to the pod",
    f"OSError: [Errno {errno.ENOMEM}]": "too little memory allowed to the pod",
    f"OSError: [Errno {errno.EMFILE}]": "too few descriptors allowed to the pod",
    f"OSError: [Errno {errno.ENFILE}]": "too few descriptors on the node",
    "ChildProcessError: the prober": "while it read the settings",
    f"PermissionError: [Errno {errno.EPERM}]": "the pod is denied a system call: {code}",
    f"OSError: [Errno {errno.ENOSYS}]": "the pod is denied a system call: {code}",
}


@dataclass(frozen=True)
class ReportTo:
    """Where to report if the settings cannot be read."""

    log_format: Format = "auto"
    log_level: Severity = Severity.INFO
    termination_log: str = "/dev/termination-log"


@dataclass(frozen=True)
class ExecApp:
    """The guard is done, and the process becomes the application."""

    app: Sequence[str]
    reporter: "Reporting | ReportTo"


def report_usage(problems: Sequence[str], reporter: "Reporting | ReportTo") -> int:
    """Reports everything that is wrong with settings and arguments at once; returns the status."""
    outcome = Outcome.USAGE
    message = f"Cannot run: {'; '.join(problems)}. {outcome.value.remedy}"
    fields = {"outcome": outcome.label, "status": outcome.status, "problems": list(problems)}
    Log(reporter.log_format).emit(
        EventRecord(Event.USAGE, message, outcome.severity, fields, clock.run_id(), first=True, last=True)
    )
    many = f"{len(problems)} settings or arguments are wrong." if len(problems) > 1 else f"{problems[0]}."
    first = f"volume-guard cannot run (exit {outcome.status}, {outcome.label}): {many}"
    lines = [f"{number}. {problem}" for number, problem in enumerate(problems, start=1) if len(problems) > 1]
    lines.append(f"what to do: {outcome.value.remedy}")
    termination.write(reporter.termination_log, messages.termination(first, lines, outcome))
    return outcome.status


def report_bug(trace: str, reporter: "Reporting | ReportTo", last: EventRecord | None = None) -> CommandResult:
    """Reports a bug, or the end of the prober, as the last line of the run that it ended.

    Args:
        trace: A traceback, or one sentence where nothing was raised.
        reporter: Where to report.
        last: The last line of the run; None if there was none.
    """
    outcome = Outcome.INTERNAL_ERROR
    *above, reason = trace.strip().rsplit("\n", 1)
    code = [line.strip() for line in trace.split("\n") if line.startswith("    ") and line.strip(" ~^")] or ["unknown"]
    lack = next((lack for error, lack in _LACKS.items() if reason.startswith(error)), "").format(code=code[-1])
    found = f"{reason} ({lack})" if lack else f"{'a bug in the guard: ' if above else ''}{reason}"
    message = f"{found[:1].upper()}{found[1:]}. {outcome.value.remedy}"
    fields = {"outcome": outcome.label, "status": outcome.status, "traceback": trace}
    goes_on = last is not None and not last.last
    operation = last.operation if last is not None and goes_on else clock.run_id()
    Log(reporter.log_format, reporter.log_level).emit(
        EventRecord(Event.INTERNAL_ERROR, message, outcome.severity, fields, operation, first=not goes_on, last=True)
    )
    first = f"volume-guard failed (exit {outcome.status}, {outcome.label}): {truncate(found, 1024)}."
    lines = [f"what to do: {outcome.value.remedy}"]
    result = CommandResult(outcome, messages.termination(first, lines, outcome))
    termination.write(reporter.termination_log, result.message)
    return result


def write_stdout(text: str) -> None:
    """Writes what was asked for; a reader that went away changes nothing."""
    rest = memoryview(text.encode("utf-8", "backslashreplace"))
    try:
        while rest:
            rest = rest[os.write(1, rest) :]
    except OSError:
        pass


def exec_app(ending: ExecApp) -> int:
    """Becomes the application: same environment and streams, and the signals that Python changed put back."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    app = list(ending.app)
    try:
        os.execvpe(app[0], app, _own_environment())  # noqa: S606 - becoming APP is what was asked for
    except OSError as error:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        reason = errno.errorcode.get(error.errno or 0, "an error")
        return report_usage([f"APP {truncate(app[0])!r} cannot be executed: {reason}"], ending.reporter)


def is_executable(app: str) -> bool:
    """Whether exec would find a program of this name."""
    paths = [app] if "/" in app else [os.path.join(folder, app) for folder in os.get_exec_path()]
    return any(os.path.isfile(path) and os.access(path, os.X_OK) for path in paths)


def _own_environment() -> dict[bytes, bytes]:
    """Returns the environment as it came: without a locale Python sets LC_CTYPE for itself (PEP 538)."""
    environment = dict(os.environb)
    with open("/proc/self/environ", "rb") as came:
        names = {one.partition(b"=")[0] for one in came.read().split(b"\0")}
    if b"LC_CTYPE" not in names:
        environment.pop(b"LC_CTYPE", None)
    return environment
