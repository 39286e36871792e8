"""The diagnosis for code review: as SARIF 2.1.0, and as workflow commands that GitHub shows as annotations. Pure."""

import json
from collections.abc import Iterator
from posixpath import isabs, normpath
from typing import Any
from urllib.parse import quote

import guard
from guard.doctor.finding import Rule, Severity
from guard.doctor.report.diagnosis import Result
from guard.doctor.report.table import Report, clean, total
from guard.doctor.source.document import STDIN, Place

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_HOME = "https://github.com/uengine-oss/volume-guard"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
#: What GitHub sorts by (`problem.severity`); its word for advice is another one than SARIF's.
_PROBLEMS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "recommendation"}
#: GitHub refuses a whole upload in which one result has no file, so standard input is given a name.
_STANDARD_INPUT = "stdin"
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def to_sarif(report: Report) -> str:
    """The report for code review: each finding a result at its file and line, what is ignored suppressed with its reason."""
    diagnosis = report.diagnosis
    results = (*diagnosis.findings, *diagnosis.ignored)
    rules = sorted({result.rule.id: result.rule for result in results}.values(), key=lambda rule: rule.id)
    places = {rule.id: index for index, rule in enumerate(rules)}
    driver = {
        "name": "volume-guard doctor",
        "version": guard.__version__,
        "informationUri": _HOME,
        "rules": [_rule(rule) for rule in rules],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(result, places[result.rule.id]) for result in results],
    }
    # Plain ASCII, as the JSON output: an object's name must not drive a terminal either way.
    return json.dumps({"version": "2.1.0", "$schema": _SCHEMA, "runs": [run]}, indent=2, ensure_ascii=True) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    advice = f"\n\nOther advice: {rule.contradicts}" if rule.contradicts else ""
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.slug.split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {
            "text": f"{rule.why}\n\nFix: {rule.fix}{advice}\n\nReference: {rule.reference}",
            "markdown": f"{rule.why}\n\n**Fix.** {rule.fix}{advice}\n\n[Reference]({rule.reference})",
        },
        "helpUri": f"{_HOME}/blob/main/docs/rules.md#{rule.id.lower()}-{rule.slug}",
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["kubernetes", "storage"], "problem.severity": _PROBLEMS[rule.severity]},
    }


def _result(result: Result, index: int) -> dict[str, Any]:
    finding, rule = result.finding, result.rule
    first, *others = in_files_first(finding.place, *finding.also)
    entry: dict[str, Any] = {
        "ruleId": rule.id,
        "ruleIndex": index,
        "level": _LEVELS[result.severity],
        "message": {"text": clean(" ".join(result.sentences))},
        "locations": [{"physicalLocation": _physical(first), **_logical(result)}],
    }
    if others:
        entry["relatedLocations"] = [
            {"id": number, "message": {"text": "This belongs to it."}, "physicalLocation": _physical(place)}
            for number, place in enumerate(others, 1)
        ]
    if result.ignored:
        # The annotation is in the manifest, beside what it excuses.
        entry["suppressions"] = [{"kind": "inSource", "justification": clean(result.ignored)}]
    return entry


def in_files_first(*places: Place) -> list[Place]:
    """A place that a reviewer can open comes before what the cluster reported: its dump has no place in the repository."""
    return sorted(places, key=lambda place: (place.source == STDIN, place.line is None))


def _physical(place: Place) -> dict[str, Any]:
    where: dict[str, Any] = {"artifactLocation": artifact(place.source)}
    if place.line is not None:
        where["region"] = {"startLine": place.line}
    return where


def artifact(source: str) -> dict[str, str]:
    """A file as a URI; what is not absolute is below the repository's root, as review tools need it."""
    if source == STDIN:
        return {"uri": _STANDARD_INPUT}
    # File names are bytes: one that is not UTF-8 keeps its bytes, each as a percent-encoded octet.
    uri = quote(normpath(source), safe="/", errors="surrogateescape")
    return {"uri": f"file://{uri}"} if isabs(source) else {"uri": uri, "uriBaseId": "%SRCROOT%"}


def _logical(result: Result) -> dict[str, Any]:
    subject = result.finding.subject
    if subject is None:
        return {}
    name = clean(f"{subject.kind}/{subject.full_name}")
    return {"logicalLocations": [{"fullyQualifiedName": name, "kind": "object"}]}


def to_workflow_commands(report: Report) -> str:
    """The report for a GitHub workflow, worst first: GitHub shows the first 10 annotations of each kind of a step."""
    return "\n".join([*map(_command, report.diagnosis.findings), total(report)]) + "\n"


def escape(message: str) -> str:
    """Escapes what is behind the second `::`: a line break would end the command, and start another one."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(value: str) -> str:
    """Escapes what is behind a `=`: a colon would end the properties, a comma this one."""
    return escape(value).replace(":", "%3A").replace(",", "%2C")


def _command(result: Result) -> str:
    properties = ",".join(f"{name}={escape_property(value)}" for name, value in _properties(result))
    return f"::{_COMMANDS[result.severity]} {properties}::{escape(chr(10).join(map(clean, result.sentences)))}"


def _properties(result: Result) -> Iterator[tuple[str, str]]:
    place = in_files_first(result.finding.place, *result.finding.also)[0]
    if place.source != STDIN:
        yield "file", clean(place.source)
        if place.line is not None:
            yield "line", str(place.line)
    yield "title", f"{result.rule.id} {result.rule.slug}"
