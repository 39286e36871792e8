"""Runs all rules over all objects: what holds, what is ignored, what stays unknown; the cause first. Pure."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from guard.doctor.catalogue import RULES
from guard.doctor.finding import Finding, Rule, Severity, Unknown
from guard.doctor.index import ObjectIndex
from guard.doctor.lookup import grouped
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.ownership import owner_of
from guard.doctor.objects.workload import Workload
from guard.doctor.rules.claim_loss import claim_can_be_pruned
from guard.doctor.rules.drift import kubectl_apply_will_be_undone
from guard.doctor.rules.guard_presence import guard_missing
from guard.doctor.source.document import MAX_NOTES
from guard.doctor.source.tree import text

_IGNORE = "volume-guard/ignore-"
#: Findings, and unknowns, of one rule that are listed one by one: foreign objects must not fill the report.
_MAX_OF_RULE = 200
#: Names in a sentence.
_NAMES = 5
_WORD = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class Result:
    """A finding with its rule."""

    rule: Rule  # which
    finding: Finding  # what and where
    owner: str = ""  # the sentence on the tool that would undo a fix; empty if none owns the object
    ignored: str = ""  # the reason from the object's annotation; empty if it counts
    alike: tuple[K8sObject, ...] = ()  # the other objects of which the same holds

    @property
    def severity(self) -> Severity:
        """The severity: an error that depends on a likely path counts as a warning."""
        is_less = self.finding.is_guess and self.rule.severity is Severity.ERROR
        return Severity.WARNING if is_less else self.rule.severity

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, what to do and who owns the object, for a person."""
        names = ", ".join(map(str, self.alike[:_NAMES])) + (", ..." if self.alike[_NAMES:] else "")
        more = f" The same in {len(self.alike)} more: {names}." if self.alike else ""
        owner = [f"Owner: {self.owner}."] if self.owner else []
        return (f"{self.finding.message}.{more}", f"Fix: {self.finding.fix or self.rule.fix}", *owner)

    @property
    def subjects(self) -> tuple[K8sObject, ...]:
        """Every object that it is about."""
        return (*([self.finding.subject] if self.finding.subject else []), *self.alike)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the rules find."""

    #: What counts, worst first; of one severity the cluster's side before files, then by rule.
    findings: tuple[Result, ...]
    ignored: tuple[Result, ...]  # what an annotation leaves out
    unknown: tuple[tuple[Rule, Unknown], ...]  # what the input does not show, each once

    def reaches(self, severity: Severity) -> bool:
        """Whether a finding is as bad as `severity`, or worse."""
        return any(result.severity.rank <= severity.rank for result in self.findings)


def diagnose(index: ObjectIndex) -> Diagnosis:
    """Runs every rule."""
    results: list[Result] = []
    unknown: list[tuple[Rule, Unknown]] = []
    for rule in RULES.values():
        verdicts = list(dict.fromkeys(rule.check(index)))
        open_ones = [verdict for verdict in verdicts if isinstance(verdict, Unknown)]
        if open_ones[_MAX_OF_RULE:]:
            more = Unknown(f"{len(open_ones) - _MAX_OF_RULE} more like these", open_ones[_MAX_OF_RULE].command)
            open_ones[_MAX_OF_RULE:] = [more]
        unknown.extend((rule, verdict) for verdict in open_ones)
        own = _both_sides_once(verdict for verdict in verdicts if isinstance(verdict, Finding))
        results.extend(_alike_once([_result(rule, finding, index) for finding in own]))
    results.sort(key=_urgency)
    return Diagnosis(
        findings=tuple(result for result in results if not result.ignored),
        ignored=tuple(result for result in results if result.ignored),
        unknown=tuple(unknown),
    )


def _urgency(result: Result) -> tuple[bool, int, int, bool, bool, str]:
    """Sorts the missing guard last, whatever else is found: first the volume, then what guards it.

    Of one severity, a likely loss comes before other warnings, and what happened before what could: an owner that can
    delete a claim is no cause yet.
    """
    rule, subject = result.rule, result.finding.subject
    is_file = subject is None or not subject.is_live
    is_possible = rule is claim_can_be_pruned
    return rule is guard_missing, result.severity.rank, rule.severity.rank, is_possible, is_file, rule.id


def _result(rule: Rule, finding: Finding, index: ObjectIndex) -> Result:
    sides = _sides(index, *([finding.subject] if finding.subject else []))
    owners = (owner_of(obj) for obj in sides if obj.is_live and rule is not kubectl_apply_will_be_undone)
    owner = next((owner.sentence for owner in owners if owner), "")
    carriers = (*sides, *_sides(index, *finding.about))
    ignored = next((reason for obj in carriers if (reason := _reason(obj, rule))), "")
    return Result(rule, finding, owner, ignored)


def _sides(index: ObjectIndex, *objects: K8sObject) -> list[K8sObject]:
    """Returns each object, and the same one on the other side."""
    return [side for obj in objects for side in (obj, index.counterpart(obj)) if side is not None]


def _reason(obj: K8sObject, rule: Rule) -> str:
    template = obj.get(*obj.pod_at[:-1], "metadata", "annotations") if isinstance(obj, Workload) else None
    for annotations in (obj.annotations, template):
        if isinstance(annotations, dict) and _IGNORE + rule.id in annotations:
            return text(annotations, _IGNORE + rule.id) or "no reason given"
    return ""


def _both_sides_once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Makes one finding of what one rule finds in an object and in its file: that of the cluster's side."""
    groups: dict[Hashable, dict[str, list[Finding]]] = {}
    for number, finding in enumerate(findings):
        subject = finding.subject
        group = groups.setdefault((subject.kind, subject.name) if subject else number, defaultdict(list))
        group[subject.namespace if subject else ""].append(finding)
    for group in groups.values():
        # What names no namespace is of the only one that others name.
        is_one = len([namespace for namespace in group if namespace]) <= 1
        for alike in [list(chain(*group.values()))] if is_one else group.values():
            yield from _merged(alike)


def _merged(group: list[Finding]) -> Sequence[Finding]:
    live = [finding for finding in group if finding.subject and finding.subject.is_live]
    files = [finding for finding in group if finding not in live]
    if len(live) == len(files) == 1:
        about = (*live[0].about, *files[0].about)
        return [replace(live[0], also=(*live[0].also, files[0].place), about=about)]
    return group


def _alike_once(results: Sequence[Result]) -> Iterator[Result]:
    """Makes one result of those that report the same but for the objects' names, and bounds how many are left."""
    by_text = grouped((_sameness(one) if one.finding.subject else number, one) for number, one in enumerate(results))
    groups = list(by_text.values())
    if groups[_MAX_OF_RULE:]:
        groups[_MAX_OF_RULE - 1 :] = [list(chain(*groups[_MAX_OF_RULE - 1 :]))]
    for first, *others in groups:
        alike = tuple(other.finding.subject for other in others if other.finding.subject)
        also = (*first.finding.also, *(other.finding.place for other in others[:MAX_NOTES]))
        yield replace(first, alike=alike, finding=replace(first.finding, also=also)) if others else first


def _sameness(result: Result) -> Hashable:
    """Returns what results share that report the same of different objects; the missing guard is one, whoever lacks it."""
    if result.rule is guard_missing:
        return result.ignored
    names = {name for obj in (*result.subjects, *result.finding.about) for name in (obj.name, obj.namespace)} - {""}
    sentences = (result.finding.message, result.finding.fix, result.owner)
    plain = tuple(_WORD.sub(lambda word: "" if word[0] in names else word[0], sentence) for sentence in sentences)
    return plain, result.severity, result.ignored
