"""`guard doctor`: read, diagnose, report. Nothing is printed here; cli writes what comes back."""

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Literal

from guard.doctor.finding import Severity
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.loading import load
from guard.doctor.objects.paths import clean_path
from guard.doctor.report.checklist import GateResult, checklists, last_result
from guard.doctor.report.diagnosis import diagnose
from guard.doctor.report.review import to_sarif, to_workflow_commands
from guard.doctor.report.table import Report, to_json, to_table, what_is_missing
from guard.doctor.source.document import ReadError
from guard.doctor.source.reader import Input, read, read_text
from guard.outcome import Outcome

#: Every `--output`, by name.
FORMATS: Mapping[str, Callable[[Report], str]] = {
    "table": to_table,
    "json": to_json,
    "sarif": to_sarif,
    "github": to_workflow_commands,
}


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked."""

    files: tuple[str, ...]  # files, folders, or `-` for standard input
    live: tuple[str, ...] = ()  # the same for the cluster's side
    logs: tuple[str, ...] = ()  # files with what the gate logged (`kubectl logs POD -c GATE`)
    output: Literal["table", "json", "sarif", "github"] = "table"  # the format
    fail_on: Literal["error", "warning", "info", "never"] = "error"  # the mildest severity that ends with `findings`
    path: str = ""  # the path at which the application keeps its data; empty if it must be found
    colour: bool = False  # whether the table may use colour
    width: int = 100  # columns of the table


def run(options: Options, stdin: BinaryIO) -> tuple[Outcome, str]:
    """Runs the doctor.

    Args:
        options: What is asked.
        stdin: What `-` reads.

    Returns:
        The outcome and the text for standard output. `usage` if something asked for could not be read, or if nothing was
        judged where custom resources were given: what runs the pods was then not among the objects.
    """
    gc.disable()  # the process ends with the report, and a collector that walks every tree costs a quarter of the time
    given = read(options.files, options.live, stdin)
    gate_results = _gate_results(options.logs, stdin, given)
    loaded = load(given.documents)
    index = ObjectIndex(
        tuple(loaded.objects), clean_path(options.path), tuple(loaded.duplicate_keys), tuple(given.errors)
    )
    diagnosis = diagnose(index)
    errors = tuple(error for error in given.errors if not error.is_text)
    if errors or not (loaded.understood or loaded.duplicate_keys):
        outcome = Outcome.USAGE
    elif options.fail_on != "never" and diagnosis.reaches(Severity(options.fail_on)):
        outcome = Outcome.FINDINGS
    else:
        outcome = Outcome.OK if index.workloads or not index.custom_kinds else Outcome.USAGE
    report = Report(
        path=index.path,
        outcome=outcome,
        read={
            "documents": len(given.documents),
            "objects": len(loaded.objects),
            "live": sum(obj.is_live for obj in loaded.objects),
            "workloads": len(index.guarded),
        },
        advice=what_is_missing(len(index.workloads), index.custom_kinds),
        checklists=checklists(index, gate_results),
        diagnosis=diagnosis,
        errors=errors,
        skipped=(*given.skipped, *loaded.skipped, *index.unread),
        colour=options.colour,
        width=options.width,
    )
    return outcome, FORMATS[options.output](report)


def _gate_results(logs: tuple[str, ...], stdin: BinaryIO, given: Input) -> tuple[GateResult, ...]:
    """Returns the gate's last result in each log that has one."""
    results = []
    for name in logs:
        content = read_text(name, stdin)
        if isinstance(content, ReadError):
            given.errors.append(content)
        elif result := last_result(content.splitlines()):
            results.append(result)
    return tuple(results)
