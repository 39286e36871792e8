"""The diagnosis for people (table) and for programs (json). Pure: values in, one text out; formats.py lists them all."""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from guard.doctor.finding import Severity
from guard.doctor.report.checklist import Answer, Checklist
from guard.doctor.report.diagnosis import Diagnosis, Result
from guard.doctor.source.document import Place, ReadError
from guard.outcome import Outcome

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Report:
    """All that is said.

    Attributes:
        path: The guarded path that was asked for.
        outcome: How it ends.
        documents: How many documents could be read.
        objects: How many objects these held.
        live: How many of them are the cluster's.
        checklists: The incident's checklist for each guarded workload.
        diagnosis: What the rules say.
        errors: What was asked for and could not be read.
        skipped: What was left out on purpose.
        colour: Whether the table may use colour.
        width: Columns of the table.
    """

    path: str
    outcome: Outcome
    documents: int
    objects: int
    live: int
    checklists: tuple[Checklist, ...]
    diagnosis: Diagnosis
    errors: tuple[ReadError, ...]
    skipped: tuple[str, ...]
    colour: bool = False
    width: int = 100


#: SGR codes: bold, and the colours of severities and answers.
_BOLD, _DIM, _RED, _YELLOW, _GREEN, _BLUE = "1", "2", "31", "33", "32", "34"
_SEVERITY_COLOURS = {Severity.ERROR: _RED, Severity.WARNING: _YELLOW, Severity.INFO: _BLUE}
_ANSWER_COLOURS = {Answer.YES: _GREEN, Answer.NO: _RED, Answer.UNKNOWN: _YELLOW}
_MIN_WIDTH = 40
#: How many unknowns of one rule the table shows.
_SHOWN = 5


def to_table(report: Report) -> str:
    """The report for a person: checklist, findings with what to do, what is unknown, one line of sum."""
    blocks = [*_checklists(report), *_findings(report), *_rest(report), "\n".join(_wrap(report, total(report), "", 0))]
    return "\n\n".join(blocks) + "\n"


def to_json(report: Report) -> str:
    """The report for a program; the fields are documented in docs/rules.md."""
    diagnosis = report.diagnosis
    says = {
        "schema": SCHEMA,
        "path": report.path,
        "outcome": report.outcome.label,
        "read": {"documents": report.documents, "objects": report.objects, "live": report.live},
        "checklist": [_checklist_json(checklist) for checklist in report.checklists],
        "findings": [_found_json(found) for found in diagnosis.findings],
        "ignored": [{**_found_json(found), "reason": found.ignored} for found in diagnosis.ignored],
        "unknown": [
            {"rule": rule.id, "slug": rule.slug, "reason": unknown.reason, "command": unknown.command}
            for rule, unknown in diagnosis.unknown
        ],
        "errors": [{"place": _place_json(error.place), "reason": error.reason} for error in report.errors],
        "skipped": list(report.skipped),
    }
    return json.dumps(says, indent=2, ensure_ascii=True) + "\n"


def _checklist_json(checklist: Checklist) -> dict[str, Any]:
    items = [
        {
            "id": item.id,
            "question": item.question,
            "answer": item.answer.value,
            "why": item.why,
            "command": item.command,
        }
        for item in checklist.items
    ]
    return {"subject": checklist.subject, "path": checklist.path, "items": items}


def _found_json(found: Result) -> dict[str, Any]:
    rule, finding, subject = found.rule, found.finding, found.finding.subject
    return {
        "rule": rule.id,
        "slug": rule.slug,
        "severity": rule.severity.value,
        "title": rule.title,
        "message": finding.message,
        "why": rule.why,
        "fix": finding.fix or rule.fix,
        "reference": rule.reference,
        "other_advice": rule.contradicts,
        "owner": found.owner,
        "object": subject
        and {"kind": subject.kind, "namespace": subject.namespace, "name": subject.name, "side": subject.side.value},
        "place": _place_json(finding.place),
        "also": [_place_json(place) for place in finding.also],
    }


def _place_json(place: Place) -> dict[str, Any]:
    return {"source": place.source, "line": place.line}


def _checklists(report: Report) -> Iterator[str]:
    for checklist in report.checklists:
        lines = [_paint(report, _BOLD, clean(f"{checklist.subject}, {checklist.path}"))]
        for item in checklist.items:
            answer = _paint(report, _ANSWER_COLOURS[item.answer], f"{item.answer.value:<8}")
            lines.extend(_wrap(report, f"{item.question}: {item.why}", "  " + answer, 2 + 8))
            if item.command:
                lines.append(_to_know(item.command, 10))
        yield "\n".join(lines)


def _findings(report: Report) -> Iterator[str]:
    owners: set[str] = set()
    for found in report.diagnosis.findings:
        yield "\n".join(_finding(report, found, show_owner=found.owner not in owners))
        owners.add(found.owner)


def _finding(report: Report, found: Result, *, show_owner: bool) -> Iterator[str]:
    rule, finding = found.rule, found.finding
    severity = _paint(report, _SEVERITY_COLOURS[rule.severity], f"{rule.severity.value:<8}")
    subject = f"{finding.subject} ({finding.subject.side.value})" if finding.subject else ""
    places = ", ".join(str(place) for place in (finding.place, *finding.also))
    yield severity + _paint(report, _BOLD, f"{rule.id} {rule.slug}") + clean(f"  {subject}" if subject else "")
    yield _paint(report, _DIM, clean(f"        {places}"))
    yield from _wrap(report, capital(finding.message) + ".", "        ", 8)
    yield from _wrap(report, f"Fix: {finding.fix or rule.fix}", "        ", 8)
    if found.owner and show_owner:
        yield from _wrap(report, f"Owner: {found.owner}.", "        ", 8)
    if rule.contradicts:
        yield from _wrap(report, f"Other advice: {rule.contradicts}", "        ", 8)


def _rest(report: Report) -> Iterator[str]:
    diagnosis = report.diagnosis
    if diagnosis.unknown:
        yield "\n".join(_unknown(report))
    if diagnosis.ignored:
        yield "\n".join(
            line
            for found in diagnosis.ignored
            for line in _wrap(
                report, f"{found.rule.id} {found.rule.slug}, {found.finding.subject}: {found.ignored}", "ignored ", 8
            )
        )
    if report.errors:
        yield "\n".join(
            line for error in report.errors for line in _wrap(report, f"{error.place}: {error.reason}", "not read ", 9)
        )
    if report.skipped:
        yield "\n".join(line for sentence in report.skipped for line in _wrap(report, sentence, "skipped ", 8))


def _unknown(report: Report) -> Iterator[str]:
    """What is not known, a few of each rule: a dump without its claims must not bury the findings."""
    first = _paint(report, _YELLOW, "unknown ")
    for (name, slug), group in groupby(report.diagnosis.unknown, lambda pair: (pair[0].id, pair[0].slug)):
        unknowns = [unknown for _, unknown in group]
        for unknown in unknowns[:_SHOWN]:
            yield from _wrap(report, f"{name} {slug}: {unknown.reason}.", first, 8)
            yield _to_know(unknown.command, 8)
        if len(unknowns) > _SHOWN:
            yield from _wrap(
                report, f"{name} {slug}: {len(unknowns) - _SHOWN} more like these (all in --output json)", first, 8
            )


def total(report: Report) -> str:
    """The sum in one line, which holds no foreign text."""
    counts = [
        f"{sum(found.rule.severity is severity for found in report.diagnosis.findings)} {severity.value}"
        for severity in Severity
    ]
    unknown = len(report.diagnosis.unknown)
    said = f"{', '.join(counts)}, {unknown} unknown in {report.objects} objects ({report.live} of the cluster)"
    worst = next((found.rule.id for found in report.diagnosis.findings), "")
    return said + (f". More: guard explain {worst}" if worst else "")


def _wrap(report: Report, sentence: str, first: str, indent: int) -> list[str]:
    """A sentence in the terminal's width behind `first`, whose colours take no columns; words are never cut."""
    width = max(report.width, _MIN_WIDTH) - indent
    lines = textwrap.wrap(clean(sentence), width, break_long_words=False, break_on_hyphens=False) or [""]
    return [first + lines[0], *(" " * indent + line for line in lines[1:])]


def _to_know(command: str, indent: int) -> str:
    """A command on one line, however long: it is there to be copied."""
    return " " * indent + clean(f"to know: {command}")


def capital(sentence: str) -> str:
    """With a capital letter, as a sentence starts."""
    return sentence[:1].upper() + sentence[1:]


def clean(sentence: str) -> str:
    """Foreign text without control characters: an object's name must not drive the terminal."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in sentence)


def _paint(report: Report, code: str, sentence: str) -> str:
    return f"\x1b[{code}m{sentence}\x1b[0m" if report.colour else sentence
