"""The diagnosis for people (table) and for programs (json). Pure: values in, one text out; formats.py lists them all."""

import json
import textwrap
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from guard.doctor.finding import Answer, Severity
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.report.checklist import Checklist
from guard.doctor.report.diagnosis import Diagnosis, Result
from guard.doctor.rules.guard_presence import guard_missing
from guard.doctor.source.document import Place, ReadError
from guard.outcome import Outcome

SCHEMA = 1
#: The kinds to ask a cluster for.
EVERYTHING = "deploy,sts,ds,cj,job,pod,pvc,pv,sc,node,events"


@dataclass(frozen=True, slots=True)
class Report:
    """All that is said."""

    path: str  # the path that was given; empty if none was
    outcome: Outcome  # how it ends
    documents: int  # how many documents could be read
    objects: int  # how many objects these held
    live: int  # how many of them are the cluster's
    judged: int  # how many workloads keep data at a path that is known
    advice: str  # what is missing if there is none
    checklists: tuple[Checklist, ...]  # the incident's checklist for each guarded workload
    diagnosis: Diagnosis  # what the rules say
    errors: tuple[ReadError, ...]  # what was asked for and could not be read
    skipped: tuple[str, ...]  # what was left out on purpose
    colour: bool = False  # whether the table may use colour
    width: int = 100  # columns of the table


#: SGR codes: bold, and the colours of severities and answers.
_BOLD, _DIM, _RED, _YELLOW, _GREEN, _BLUE = "1", "2", "31", "33", "32", "34"
_SEVERITY_COLOURS = {Severity.ERROR: _RED, Severity.WARNING: _YELLOW, Severity.INFO: _BLUE}
_ANSWER_COLOURS = {Answer.YES: _GREEN, Answer.NO: _RED, Answer.UNKNOWN: _YELLOW}
_MIN_WIDTH = 40
#: How many unknowns of one rule, places and names the table shows; how many names JSON has.
_SHOWN, _ALIKE = 5, 20
#: What stands for workloads without showing them, and what prints those.
_RENDERED = {
    "HelmRelease": "helm get manifest RELEASE -n NAMESPACE | guard doctor - (or helm template)",
    "HelmChart": "helm get manifest RELEASE -n NAMESPACE | guard doctor - (or helm template)",
    "Application": "argocd app manifests APPLICATION | guard doctor -",
    "ApplicationSet": "argocd app manifests APPLICATION | guard doctor -",
    "Kustomization": "kubectl kustomize FOLDER | guard doctor -",
}


def to_table(report: Report) -> str:
    """Returns the report for a person: findings with what to do, the checklists, what is unknown, one line of sum."""
    blocks = [*_findings(report), *_checklists(report), *_rest(report), "\n".join(_wrap(report, total(report), "", 0))]
    return "\n\n".join(blocks) + "\n"


def to_json(report: Report) -> str:
    """The report for a program; the fields are documented in docs/rules.md."""
    diagnosis = report.diagnosis
    says = {
        "schema": SCHEMA,
        "path": report.path,
        "outcome": report.outcome.label,
        "read": {
            "documents": report.documents,
            "objects": report.objects,
            "live": report.live,
            "workloads": report.judged,
        },
        "advice": "" if report.judged else report.advice,
        "checklist": [_checklist_json(checklist) for checklist in report.checklists],
        "findings": [_result_json(result) for result in diagnosis.findings],
        "ignored": [{**_result_json(result), "reason": result.ignored} for result in diagnosis.ignored],
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
    return {"subject": checklist.subject, "path": checklist.path, "path_from": checklist.path_from, "items": items}


def _result_json(result: Result) -> dict[str, Any]:
    rule, finding, subject = result.rule, result.finding, result.finding.subject
    return {
        "rule": rule.id,
        "slug": rule.slug,
        "severity": result.severity.value,
        "title": rule.title,
        "message": finding.message,
        "why": rule.why,
        "fix": finding.fix or rule.fix,
        "reference": rule.reference,
        "other_advice": rule.contradicts,
        "owner": result.owner,
        "object": _object_json(subject) if subject else None,
        "alike": [_object_json(obj) for obj in result.alike[:_ALIKE]],
        "count": max(len(result.subjects), 1),
        "place": _place_json(finding.place),
        "also": [_place_json(place) for place in finding.also],
    }


def _object_json(obj: K8sObject) -> dict[str, str]:
    made_by = " ".join(obj.author).strip()
    return {"kind": obj.kind, "namespace": obj.namespace, "name": obj.name, "side": obj.side.value, "made_by": made_by}


def _place_json(place: Place) -> dict[str, Any]:
    return {"source": place.source, "line": place.line}


def _checklists(report: Report) -> Iterator[str]:
    """Yields the checklists of the workloads that have errors or warnings; that of an only workload in any case."""
    bad = {
        str(subject)
        for result in report.diagnosis.findings
        if result.severity is not Severity.INFO and result.rule is not guard_missing
        for subject in result.subjects
    }
    others = []
    shown = 0
    for checklist in report.checklists:
        title = f"{checklist.subject}: {checklist.path} ({checklist.path_from})"
        if (report.checklists[1:] and bad.isdisjoint(checklist.names)) or shown == _ALIKE:
            others.append(title)
            continue
        shown += 1
        lines = [_paint(report, _BOLD, clean(title))]
        for item in checklist.items:
            answer = _paint(report, _ANSWER_COLOURS[item.answer], f"{item.answer.value:<8}")
            lines.extend(_wrap(report, f"{item.question}: {item.why}", "  " + answer, 2 + 8))
            if item.command:
                lines.append(_to_know(item.command, 10))
        yield "\n".join(lines)
    if others:
        more = [f"{len(others) - _ALIKE} more (all in --output json)"] if others[_ALIKE:] else []
        yield "\n".join(line for title in (*others[:_ALIKE], *more) for line in _wrap(report, title, "path    ", 8))


def _findings(report: Report) -> Iterator[str]:
    owners: set[str] = set()
    for result in report.diagnosis.findings:
        yield "\n".join(_finding(report, result, show_owner=result.owner not in owners))
        owners.add(result.owner)


def _finding(report: Report, result: Result, *, show_owner: bool) -> Iterator[str]:
    rule, finding = result.rule, result.finding
    severity = _paint(report, _SEVERITY_COLOURS[result.severity], f"{result.severity.value:<8}")
    subject = f"  {_title(finding.subject)} ({finding.subject.side.value})" if finding.subject else ""
    places = list(dict.fromkeys(map(str, (finding.place, *finding.also))))
    listed = ", ".join(places[:_SHOWN]) + (f" and {len(places) - _SHOWN} more" if places[_SHOWN:] else "")
    yield severity + _paint(report, _BOLD, f"{rule.id} {rule.slug}") + clean(subject)
    yield _paint(report, _DIM, clean(f"        {listed}"))
    yield from _wrap(report, finding.message + "." + result.more, "        ", 8)
    yield from _wrap(report, f"Fix: {finding.fix or rule.fix}", "        ", 8)
    if result.owner and show_owner:
        yield from _wrap(report, f"Owner: {result.owner}.", "        ", 8)
    if rule.contradicts:
        yield from _wrap(report, f"Other advice: {rule.contradicts}", "        ", 8)


def _title(obj: K8sObject) -> str:
    """The object, and for what a controller made the controller: that is what somebody can change."""
    kind, name = obj.author
    return f"{obj} (made by {kind} {name})" if name else str(obj)


def _rest(report: Report) -> Iterator[str]:
    ignored = (
        f"{result.rule.id} {result.rule.slug}, {result.finding.subject}: {result.ignored}"
        for result in report.diagnosis.ignored
    )
    errors = (f"{error.place}: {error.reason}" for error in report.errors)
    if report.diagnosis.unknown:
        yield "\n".join(_unknown(report))
    for first, sentences in (("ignored ", ignored), ("unread  ", errors), ("skipped ", report.skipped)):
        lines = [line for sentence in sentences for line in _wrap(report, sentence, first, 8)]
        if lines:
            yield "\n".join(lines)


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
    """Returns the sum in one line, which holds no foreign text."""
    results = report.diagnosis.findings
    counts = [f"{sum(result.severity is severity for result in results)} {severity.value}" for severity in Severity]
    given = f"{report.objects} objects ({report.live} of the cluster)"
    if not report.judged:
        found = f"{', '.join(counts)}, but " if results else ""
        what, _, advice = report.advice.partition(": ")
        return f"{found}{what} in {given}: {advice}"
    sentence = f"{', '.join(counts)}, {len(report.diagnosis.unknown)} unknown in {given}"
    return sentence + (f". More: guard explain {results[0].rule.id}" if results else "")


def what_is_missing(workloads: int, custom_kinds: Collection[str]) -> str:
    """Returns why no volume was judged, and what to run."""
    if workloads:
        return "no volume was judged: nothing shows at which path data is kept. Give it: guard doctor --path PATH ..."
    commands = dict.fromkeys(command for kind, command in _RENDERED.items() if kind in custom_kinds)
    live = f"kubectl get {EVERYTHING} -o json | guard doctor -"
    operators = " (there is also what an operator made of a custom resource)" if custom_kinds else ""
    return f"no workload was judged: give what runs the pods: {'; '.join((*commands, live))}{operators}"


def _wrap(report: Report, sentence: str, first: str, indent: int) -> list[str]:
    """A sentence in the terminal's width behind `first`, whose colours take no columns; words are never cut."""
    width = max(report.width, _MIN_WIDTH) - indent
    lines = textwrap.wrap(clean(sentence), width, break_long_words=False, break_on_hyphens=False) or [""]
    return [first + lines[0], *(" " * indent + line for line in lines[1:])]


def _to_know(command: str, indent: int) -> str:
    """A command on one line, however long: it is there to be copied."""
    return " " * indent + clean(f"to know: {command}")


def clean(sentence: str) -> str:
    """Foreign text without control characters: an object's name must not drive the terminal."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in sentence)


def _paint(report: Report, code: str, sentence: str) -> str:
    return f"\x1b[{code}m{sentence}\x1b[0m" if report.colour else sentence
