"""All rules over all objects: what holds, what is ignored, what stays unknown; the cause first. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from guard.doctor.catalogue import CHECKS
from guard.doctor.finding import Finding, Rule, Severity, Unknown
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.ownership import owner_of
from guard.doctor.objects.workload import POD_PATHS
from guard.doctor.rules.drift import UNDONE
from guard.doctor.source.document import Side
from guard.doctor.source.tree import text

_IGNORE = "volume-guard/ignore-"


@dataclass(frozen=True, slots=True)
class Result:
    """A finding with its rule.

    Attributes:
        rule: Which.
        finding: What and where.
        owner: The sentence on the tool that would undo a fix; empty where none owns the object.
        ignored: The reason from the object's annotation; empty where it counts.
    """

    rule: Rule
    finding: Finding
    owner: str = ""
    ignored: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the rules say.

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
        return any(found.rule.severity.rank <= severity.rank for found in self.findings)


def diagnose(index: ObjectIndex) -> Diagnosis:
    """Runs every rule."""
    findings: list[Result] = []
    unknown: dict[tuple[str, str, str], tuple[Rule, Unknown]] = {}
    for rule, check in CHECKS:
        verdicts = list(check(index))
        for verdict in verdicts:
            if isinstance(verdict, Unknown):
                unknown.setdefault((rule.id, verdict.reason, verdict.command), (rule, verdict))
        said = dict.fromkeys(verdict for verdict in verdicts if isinstance(verdict, Finding))
        own = _both_sides_once(list(said))
        findings.extend(_found(rule, finding, index) for finding in own)
    findings.sort(key=_urgency)
    return Diagnosis(
        findings=tuple(found for found in findings if not found.ignored),
        ignored=tuple(found for found in findings if found.ignored),
        unknown=tuple(unknown.values()),
    )


def _urgency(found: Result) -> tuple[int, bool, str]:
    subject = found.finding.subject
    return found.rule.severity.rank, subject is None or subject.side is Side.FILE, found.rule.id


def _found(rule: Rule, finding: Finding, index: ObjectIndex) -> Result:
    subject = finding.subject
    sides = list(_sides(index, *([subject] if subject else [])))
    owners = (owner_of(obj) for obj in sides if obj.side is Side.LIVE)
    owner = next((owner.sentence for owner in owners if owner), "") if rule is not UNDONE else ""
    carriers = (*sides, *_sides(index, *finding.about))
    ignored = next((reason for obj in carriers if (reason := _reason(obj, rule))), "")
    return Result(rule, finding, owner, ignored)


def _sides(index: ObjectIndex, *objects_: K8sObject) -> Iterator[K8sObject]:
    """Each object, and the same one on the other side."""
    for obj in objects_:
        yield obj
        other = index.counterpart(obj)
        if other is not None:
            yield other


def _reason(obj: K8sObject, rule: Rule) -> str:
    template = (*POD_PATHS.get(obj.kind, ())[:-1], "metadata", "annotations")
    for way in (("metadata", "annotations"), template):
        annotations = obj.get(*way)
        if isinstance(annotations, dict) and _IGNORE + rule.id in annotations:
            return text(annotations, _IGNORE + rule.id) or "no reason given"
    return ""


def _both_sides_once(findings: list[Finding]) -> Iterator[Finding]:
    """What one rule finds in an object and in its file is one finding, of the cluster's side."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for number, finding in enumerate(findings):
        subject = finding.subject
        groups.setdefault((subject.kind, subject.name) if subject else (number,), []).append(finding)
    for group in groups.values():
        for one in _by_namespace(group):
            yield from _merged(one)


def _by_namespace(group: list[Finding]) -> Iterable[list[Finding]]:
    """Findings in objects of one kind and name; those that name no namespace are of the only one that others name."""
    namespaces = dict.fromkeys(finding.subject.namespace if finding.subject else "" for finding in group)
    named = [namespace for namespace in namespaces if namespace]
    if not named[1:]:
        return [group]
    return [
        [finding for finding in group if finding.subject and finding.subject.namespace == namespace]
        for namespace in namespaces
    ]


def _merged(group: list[Finding]) -> Iterable[Finding]:
    live = [finding for finding in group if finding.subject and finding.subject.side is Side.LIVE]
    files = [finding for finding in group if finding not in live]
    if len(live) == len(files) == 1:
        about = (*live[0].about, *files[0].about)
        return [replace(live[0], also=(*live[0].also, files[0].place), about=about)]
    return group
