"""Every `--output` of the doctor, by name. Pure: a format is a function from the report to one text."""

from collections.abc import Callable, Mapping

from guard.doctor.report import Report, to_json, to_table
from guard.doctor.sarif import to_sarif
from guard.doctor.workflow import to_workflow_commands

FORMATS: Mapping[str, Callable[[Report], str]] = {
    "table": to_table,
    "json": to_json,
    "sarif": to_sarif,
    "github": to_workflow_commands,
}
