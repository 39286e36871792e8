"""The diagnosis for people (table) and for programs (json). Pure: values in, one text out; formats.py lists them all."""

import json
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any

from guard.doctor.finding import Answer, Severity
from guard.doctor.lookup import grouped
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.report.checklist import Checklist
from guard.doctor.report.diagnosis import Diagnosis, Result
from guard.doctor.rules.guard_presence import guard_missing
from guard.doctor.source.document import ReadError
from guard.outcome import Outcome

SCHEMA = 1
#: The kinds to ask a cluster for.
EVERYTHING = "deploy,sts,ds,cj,job,pod,pvc,pv,sc,node,events"


@dataclass(frozen=True, slots=True)
class Report:
    """All that is reported."""

    path: str  # the path that was given; empty if none was
    outcome: Outcome  # how it ends
    #: How much was read: documents, objects, live ones of these, and workloads whose data path is known.
    read: Mapping[str, int]
    advice: str  # what is missing if there is none
    checklists: tuple[Checklist, ...]  # the incident's checklist for each guarded workload
    diagnosis: Diagnosis  # what the rules find
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
#: What makes workloads without showing them, and what prints those.
_RENDERED = {
    "HelmRelease": "helm get manifest RELEASE -n NAMESPACE | guard doctor - (or helm template)",
    "HelmChart": "helm get manifest RELEASE -n NAMESPACE | guard doctor - (or helm template)",
    "Application": "argocd app manifests APPLICATION | guard doctor -",
    "ApplicationSet": "argocd app manifests APPLICATION | guard doctor -",
    "Kustomization": "kubectl kustomize FOLDER | guard doctor -",
}


def to_table(report: Report) -> str:
    """Returns the report for a person: findings with what to do, the checklists, what is unknown, one line of sum."""
    owners = [result.owner for result in report.diagnosis.findings]
    findings = (
        _finding(report, replace(result, owner="") if result.owner in owners[:number] else result)
        for number, result in enumerate(report.diagnosis.findings)
    )
    blocks = (*findings, *_checklists(report), *_rest(report), _wrap(report, total(report), "", 0))
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def to_json(report: Report) -> str:
    """Returns the report for a program; the fields are documented in docs/rules.md."""
    answer = {
        "schema": SCHEMA,
        "path": report.path,
        "outcome": report.outcome.label,
        "read": report.read,
        "advice": "" if report.read["workloads"] else report.advice,
        "checklist": [
            {
                "subject": one.subject,
                "path": one.path,
                "path_from": one.path_from,
                "items": one.items,
            }
            for one in report.checklists
        ],
        "findings": [_result_json(result) for result in report.diagnosis.findings],
        "ignored": [{**_result_json(result), "reason": result.ignored} for result in report.diagnosis.ignored],
        "unknown": [{"rule": rule.id, "slug": rule.slug, **_fields(one)} for rule, one in report.diagnosis.unknown],
        "errors": [{"place": error.place, "reason": error.reason} for error in report.errors],
        "skipped": report.skipped,
    }
    return json.dumps(answer, indent=2, ensure_ascii=True, default=_plain) + "\n"


def _plain(one: Any) -> Any:
    return one.value if isinstance(one, Enum) else _fields(one)


def _fields(one: Any) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in fields(one)}


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
        "place": finding.place,
        "also": finding.also,
    }


def _object_json(obj: K8sObject) -> dict[str, str]:
    made_by = " ".join(obj.author).strip()
    return {"kind": obj.kind, "namespace": obj.namespace, "name": obj.name, "side": obj.side.value, "made_by": made_by}


def _checklists(report: Report) -> Iterator[list[str]]:
    """Yields the checklists of the workloads that have errors or warnings; that of an only workload in any case."""
    bad = {
        str(subject)
        for result in report.diagnosis.findings
        if result.severity is not Severity.INFO and result.rule is not guard_missing
        for subject in result.subjects
    }
    is_only = not report.checklists[1:]
    shown = [one for one in report.checklists if is_only or not bad.isdisjoint(one.names)][:_ALIKE]
    for checklist in shown:
        lines = [_paint(report, _BOLD, clean(checklist.title))]
        for item in checklist.items:
            answer = _paint(report, _ANSWER_COLOURS[item.answer], f"{item.answer.value:<8}")
            lines += _wrap(report, f"{item.question}: {item.why}", "  " + answer, 10, command=item.command)
        yield lines
    others = [one.title for one in report.checklists if one not in shown]
    if others[_ALIKE:]:
        others[_ALIKE:] = [f"{len(others) - _ALIKE} more (all in --output json)"]
    yield _wrap_all(report, "path    ", others)


def _finding(report: Report, result: Result) -> list[str]:
    rule, finding, subject = result.rule, result.finding, result.finding.subject
    severity = _paint(report, _SEVERITY_COLOURS[result.severity], f"{result.severity.value:<8}")
    # What a controller made is named with the controller: that is what somebody can change.
    made = f" (made by {' '.join(subject.author)})" if subject and subject.author[1] else ""
    places = list(dict.fromkeys(map(str, (finding.place, *finding.also))))
    listed = ", ".join(places[:_SHOWN]) + (f" and {len(places) - _SHOWN} more" if places[_SHOWN:] else "")
    advice = [f"Other advice: {rule.contradicts}"] if rule.contradicts else []
    title = clean(f"  {subject}{made} ({subject.side.value})") if subject else ""
    return [
        severity + _paint(report, _BOLD, f"{rule.id} {rule.slug}") + title,
        _paint(report, _DIM, clean(f"        {listed}")),
        *_wrap_all(report, " " * 8, (*result.sentences, *advice)),
    ]


def _rest(report: Report) -> Iterator[list[str]]:
    """Yields what is not known, a few of each rule (a dump without its claims must not bury the findings), and the rest."""
    lines: list[str] = []
    first = _paint(report, _YELLOW, "unknown ")
    for name, unknowns in grouped((f"{rule.id} {rule.slug}", one) for rule, one in report.diagnosis.unknown).items():
        for unknown in unknowns[:_SHOWN]:
            lines += _wrap(report, f"{name}: {unknown.reason}.", first, 8, command=unknown.command)
        if unknowns[_SHOWN:]:
            more = f"{len(unknowns) - _SHOWN} more like these (all in --output json)"
            lines += _wrap(report, f"{name}: {more}", first, 8)
    ignored = ((result.rule, result.finding.subject, result.ignored) for result in report.diagnosis.ignored)
    yield lines
    yield _wrap_all(report, "ignored ", (f"{rule.id} {rule.slug}, {obj}: {reason}" for rule, obj, reason in ignored))
    yield _wrap_all(report, "unread  ", (f"{error.place}: {error.reason}" for error in report.errors))
    yield _wrap_all(report, "skipped ", report.skipped)


def total(report: Report) -> str:
    """Returns the sum in one line, which holds no foreign text."""
    results = report.diagnosis.findings
    counts = [f"{sum(result.severity is severity for result in results)} {severity.value}" for severity in Severity]
    given = f"{report.read['objects']} objects ({report.read['live']} of the cluster)"
    if not report.read["workloads"]:
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


def _wrap(report: Report, sentence: str, first: str, indent: int, command: str = "") -> list[str]:
    """Returns a sentence in the terminal's width behind `first`, whose colours take no columns; words are never cut.

    A command comes below it on one line, however long: it is there to be copied.
    """
    width = max(report.width, _MIN_WIDTH) - indent
    lines = textwrap.wrap(clean(sentence), width, break_long_words=False, break_on_hyphens=False) or [""]
    below = [*lines[1:], *([clean(f"to know: {command}")] if command else [])]
    return [first + lines[0], *(" " * indent + line for line in below)]


def clean(sentence: str) -> str:
    """Returns foreign text without control characters: an object's name must not drive the terminal."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in sentence)


def _paint(report: Report, code: str, sentence: str) -> str:
    return f"\x1b[{code}m{sentence}\x1b[0m" if report.colour else sentence


def _wrap_all(report: Report, first: str, sentences: Iterable[str]) -> list[str]:
    return [line for sentence in sentences for line in _wrap(report, sentence, first, 8)]
