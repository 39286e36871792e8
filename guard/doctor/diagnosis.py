"""All rules over all objects: what holds, what is ignored, what stays unknown; the cause first. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from guard.doctor.catalogue import CHECKS
from guard.doctor.inventory import Inventory
from guard.doctor.kube import POD_PATHS, Kube, Side
from guard.doctor.ownership import owner_of
from guard.doctor.rule import Finding, Rule, Severity, Unknown
from guard.doctor.rules.drift import UNDONE
from guard.doctor.tree import text

_IGNORE = "volume-guard/ignore-"


@dataclass(frozen=True, slots=True)
class Found:
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

    findings: tuple[Found, ...]
    ignored: tuple[Found, ...]
    unknown: tuple[tuple[Rule, Unknown], ...]

    def reaches(self, severity: Severity) -> bool:
        """Whether a finding is as bad as `severity`, or worse."""
        return any(found.rule.severity.rank <= severity.rank for found in self.findings)


def diagnose(inventory: Inventory) -> Diagnosis:
    """Runs every rule."""
    findings: list[Found] = []
    unknown: dict[tuple[str, str, str], tuple[Rule, Unknown]] = {}
    for rule, check in CHECKS:
        verdicts = list(check(inventory))
        for verdict in verdicts:
            if isinstance(verdict, Unknown):
                unknown.setdefault((rule.id, verdict.reason, verdict.command), (rule, verdict))
        said = dict.fromkeys(verdict for verdict in verdicts if isinstance(verdict, Finding))
        own = _both_sides_once(list(said))
        findings.extend(_found(rule, finding, inventory) for finding in own)
    findings.sort(key=_urgency)
    return Diagnosis(
        findings=tuple(found for found in findings if not found.ignored),
        ignored=tuple(found for found in findings if found.ignored),
        unknown=tuple(unknown.values()),
    )


def _urgency(found: Found) -> tuple[int, bool, str]:
    subject = found.finding.subject
    return found.rule.severity.rank, subject is None or subject.side is Side.FILE, found.rule.id


def _found(rule: Rule, finding: Finding, inventory: Inventory) -> Found:
    subject = finding.subject
    sides = list(_sides(inventory, *([subject] if subject else [])))
    owners = (owner_of(kube) for kube in sides if kube.side is Side.LIVE)
    owner = next((owner.sentence for owner in owners if owner), "") if rule is not UNDONE else ""
    carriers = (*sides, *_sides(inventory, *finding.about))
    ignored = next((reason for kube in carriers if (reason := _reason(kube, rule))), "")
    return Found(rule, finding, owner, ignored)


def _sides(inventory: Inventory, *kubes: Kube) -> Iterator[Kube]:
    """Each object, and the same one on the other side."""
    for kube in kubes:
        yield kube
        other = inventory.counterpart(kube)
        if other is not None:
            yield other


def _reason(kube: Kube, rule: Rule) -> str:
    template = (*POD_PATHS.get(kube.kind, ())[:-1], "metadata", "annotations")
    for way in (("metadata", "annotations"), template):
        annotations = kube.get(*way)
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
