"""Runs all rules over all objects: what holds, what is ignored, what stays unknown; the cause first. Pure."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from guard.doctor.catalogue import CHECKS
from guard.doctor.finding import Finding, Rule, Severity, Unknown
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.ownership import owner_of
from guard.doctor.objects.workload import POD_PATHS
from guard.doctor.rules.claim_loss import PRUNABLE
from guard.doctor.rules.drift import UNDONE
from guard.doctor.rules.guard_presence import MISSING
from guard.doctor.source.document import MAX_NOTES, Side
from guard.doctor.source.tree import text

_IGNORE = "volume-guard/ignore-"
#: Findings, and unknowns, of one rule that are listed one by one: foreign objects must not fill the report.
_MAX_OF_RULE = 200
#: Names in a sentence.
_NAMES = 5
_WORD = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class Result:
    """A finding with its rule.

    Attributes:
        rule: Which.
        finding: What and where.
        owner: The sentence on the tool that would undo a fix; empty if none owns the object.
        ignored: The reason from the object's annotation; empty if it counts.
        alike: The other objects of which the same holds.
    """

    rule: Rule
    finding: Finding
    owner: str = ""
    ignored: str = ""
    alike: tuple[K8sObject, ...] = ()

    @property
    def severity(self) -> Severity:
        """What it is worth: an error that depends on a likely path is a warning."""
        is_less = self.finding.is_guess and self.rule.severity is Severity.ERROR
        return Severity.WARNING if is_less else self.rule.severity

    @property
    def more(self) -> str:
        """A sentence on the other objects, behind a space; empty if there is none."""
        names = ", ".join(map(str, self.alike[:_NAMES])) + (", ..." if self.alike[_NAMES:] else "")
        return f" The same in {len(self.alike)} more: {names}." if self.alike else ""

    @property
    def subjects(self) -> tuple[K8sObject, ...]:
        """Every object that it is about."""
        return (*([self.finding.subject] if self.finding.subject else []), *self.alike)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the rules find.

    Attributes:
        findings: What counts, worst first; of one severity the cluster's side before files, then by rule.
        ignored: What an annotation takes out.
        unknown: What the input does not show, each once.
    """

    findings: tuple[Result, ...]
    ignored: tuple[Result, ...]
    unknown: tuple[tuple[Rule, Unknown], ...]

    def reaches(self, severity: Severity) -> bool:
        """Whether a finding is as bad as `severity`, or worse."""
        return any(result.severity.rank <= severity.rank for result in self.findings)


def diagnose(index: ObjectIndex) -> Diagnosis:
    """Runs every rule."""
    results: list[Result] = []
    unknown: list[tuple[Rule, Unknown]] = []
    for rule, check in CHECKS:
        verdicts = list(dict.fromkeys(check(index)))
        open_ones = [verdict for verdict in verdicts if isinstance(verdict, Unknown)]
        unknown.extend((rule, verdict) for verdict in open_ones[:_MAX_OF_RULE])
        if open_ones[_MAX_OF_RULE:]:
            more = Unknown(f"{len(open_ones) - _MAX_OF_RULE} more like these", open_ones[_MAX_OF_RULE].command)
            unknown.append((rule, more))
        own = _both_sides_once([verdict for verdict in verdicts if isinstance(verdict, Finding)])
        results.extend(_alike_once([_result(rule, finding, index) for finding in own]))
    results.sort(key=_urgency)
    return Diagnosis(
        findings=tuple(result for result in results if not result.ignored),
        ignored=tuple(result for result in results if result.ignored),
        unknown=tuple(unknown),
    )


def _urgency(result: Result) -> tuple[bool, int, int, bool, bool, str]:
    """The missing guard comes last, whatever else is found: first the volume, then what guards it.

    Of one severity, a likely loss comes before other warnings, and what happened before what could: an owner that can
    delete a claim is no cause yet.
    """
    subject = result.finding.subject
    is_file = subject is None or subject.side is Side.FILE
    rule = result.rule
    return rule is MISSING, result.severity.rank, rule.severity.rank, rule is PRUNABLE, is_file, rule.id


def _result(rule: Rule, finding: Finding, index: ObjectIndex) -> Result:
    subject = finding.subject
    sides = list(_sides(index, *([subject] if subject else [])))
    owners = (owner_of(obj) for obj in sides if obj.side is Side.LIVE)
    owner = next((owner.sentence for owner in owners if owner), "") if rule is not UNDONE else ""
    carriers = (*sides, *_sides(index, *finding.about))
    ignored = next((reason for obj in carriers if (reason := _reason(obj, rule))), "")
    return Result(rule, finding, owner, ignored)


def _sides(index: ObjectIndex, *objects: K8sObject) -> Iterator[K8sObject]:
    """Yields each object, and the same one on the other side."""
    for obj in objects:
        yield obj
        other = index.counterpart(obj)
        if other is not None:
            yield other


def _reason(obj: K8sObject, rule: Rule) -> str:
    template = (*POD_PATHS.get(obj.kind, ("spec", "template", "spec"))[:-1], "metadata", "annotations")
    for way in (("metadata", "annotations"), template):
        annotations = obj.get(*way)
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
        ones = (
            group.values()
            if len([namespace for namespace in group if namespace]) > 1
            else [list(chain(*group.values()))]
        )
        for one in ones:
            yield from _merged(one)


def _merged(group: list[Finding]) -> Sequence[Finding]:
    live = [finding for finding in group if finding.subject and finding.subject.side is Side.LIVE]
    files = [finding for finding in group if not (finding.subject and finding.subject.side is Side.LIVE)]
    if len(live) == len(files) == 1:
        about = (*live[0].about, *files[0].about)
        return [replace(live[0], also=(*live[0].also, files[0].place), about=about)]
    return group


def _alike_once(results: Sequence[Result]) -> Iterator[Result]:
    """Makes one result of those that say the same but for the objects' names, and bounds how many are left."""
    groups: dict[Hashable, list[Result]] = defaultdict(list)
    for number, result in enumerate(results):
        groups[_sameness(result) if result.finding.subject else number].append(result)
    kept = list(groups.values())
    if kept[_MAX_OF_RULE:]:
        kept = [*kept[: _MAX_OF_RULE - 1], [result for group in kept[_MAX_OF_RULE - 1 :] for result in group]]
    for group in kept:
        first, *others = group
        alike = tuple(other.finding.subject for other in others if other.finding.subject)
        also = (*first.finding.also, *(other.finding.place for other in others[:MAX_NOTES]))
        yield replace(first, alike=alike, finding=replace(first.finding, also=also)) if others else first


def _sameness(result: Result) -> Hashable:
    """What two results share that say the same of different objects; the missing guard is one, whoever lacks it."""
    if result.rule is MISSING:
        return result.ignored
    finding = result.finding
    objects = (*([finding.subject] if finding.subject else []), *finding.about)
    names = {name for obj in objects for name in (obj.name, obj.namespace)} - {""}
    sentences = (finding.message, finding.fix, result.owner)
    plain = tuple(_WORD.sub(lambda word: "" if word[0] in names else word[0], sentence) for sentence in sentences)
    return plain, result.severity, result.ignored
