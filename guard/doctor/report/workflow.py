"""The diagnosis as workflow commands, which GitHub shows as annotations of files. Pure: the report in, one text out.

A command is one line: `::error file=k8s/deployment.yaml,line=12,title=VG101 volume-not-mounted::What was found`.
The runner undoes the escapes of https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts.
"""

from collections.abc import Iterator

from guard.doctor.finding import Severity
from guard.doctor.report.diagnosis import Result
from guard.doctor.report.sarif import in_files_first
from guard.doctor.report.table import Report, clean, total
from guard.doctor.source.document import STDIN

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def to_workflow_commands(report: Report) -> str:
    """The report for a GitHub workflow, worst first: GitHub shows the first 10 annotations of each kind of a step."""
    return "\n".join([*map(_command, report.diagnosis.findings), total(report)]) + "\n"


def escape(message: str) -> str:
    """What stands behind the second `::`: a line break would end the command, and start another one."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(value: str) -> str:
    """What stands behind a `=`: a colon would end the properties, a comma this one."""
    return escape(value).replace(":", "%3A").replace(",", "%2C")


def _command(result: Result) -> str:
    finding, rule = result.finding, result.rule
    lines = [f"{clean(finding.message + '.' + result.more)}", f"Fix: {clean(finding.fix or rule.fix)}"]
    if result.owner:
        lines.append(f"Owner: {clean(result.owner)}.")
    properties = ",".join(f"{name}={escape_property(value)}" for name, value in _properties(result))
    return f"::{_COMMANDS[result.severity]} {properties}::{escape(chr(10).join(lines))}"


def _properties(result: Result) -> Iterator[tuple[str, str]]:
    place = in_files_first(result.finding.place, *result.finding.also)[0]
    if place.source != STDIN:
        yield "file", clean(place.source)
        if place.line is not None:
            yield "line", str(place.line)
    yield "title", f"{result.rule.id} {result.rule.slug}"
