"""What a rule is, and what it can report: values only, no check and no file."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from inspect import cleandoc
from urllib.parse import urljoin

from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.workload import PodPart, Workload
from guard.doctor.source.document import Place

#: Where references are that are no full address.
_K8S_DOCS = "https://kubernetes.io/docs/"
#: The parts of a rule's docstring behind its title.
_LABELS = r"^(?:Why|Fix|Other advice): "


class Severity(Enum):
    """How bad a finding is, worst first."""

    ERROR = "error"  # would lose or reset the volume, or never mount it
    WARNING = "warning"  # will bite: spot nodes, no guard, a backup without a gate
    INFO = "info"  # advice

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return tuple(Severity).index(self)


class Answer(Enum):
    """What is known."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that holds for an object."""

    message: str  # what was found there, in a sentence with names
    place: Place
    subject: K8sObject | None = None  # None if the text itself is the subject (duplicate keys, broken YAML)
    fix: str = ""  # what to do in this very case; the rule's own fix if empty
    also: tuple[Place, ...] = ()  # further places that belong to it, such as the first of two equal keys
    is_guess: bool = False  # whether it depends on a path that is only likely: an error is then a warning
    about: tuple[K8sObject, ...] = ()  # what else may carry the annotation that ignores it, such as a volume's claim


@dataclass(frozen=True, slots=True)
class Unknown:
    """A rule that could not be judged."""

    reason: str  # what is missing in the input: `no StorageClass given`
    command: str  # what to run to know


Verdict = Finding | Unknown
Check = Callable[[ObjectIndex], Iterator[Verdict]]


def finding(
    message: str,
    where: K8sObject | PodPart,
    *path: str | int,
    fix: str = "",
    also: Iterable[Place] = (),
    is_guess: bool = False,
    about: tuple[K8sObject, ...] = (),
) -> Finding:
    """Returns the finding about `path` of an object, or of a part of a workload."""
    own = (where,) if isinstance(where, K8sObject) and where.subject is not where else ()
    return Finding(message, where.place(*path), where.subject, fix, tuple(also), is_guess, (*own, *about))


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the rule table; the reference page and `guard explain` come from it."""

    id: str  # stable, never reused: `VG101`; the first digit is the theme
    slug: str  # stable name in words
    severity: Severity
    title: str  # what is wrong, in one sentence
    why: str  # what happens then, and how it comes about
    fix: str  # what to do, in general
    contradicts: str  # advice of other tools that asks for the opposite, and why it does not apply here; may be empty
    reference: str  # a public page that documents the behaviour
    check: Check


def rule(id_: str, severity: Severity, reference: str) -> Callable[[Check], Rule]:
    """Makes a rule of the check below: its name is the slug, its docstring the title, then `Why:`, `Fix:` and other advice."""

    def make(check: Check) -> Rule:
        title, _, text = cleandoc(check.__doc__ or "").partition("\n\n")
        parts = [" ".join(part.split()) for part in re.split(_LABELS, text, flags=re.MULTILINE)[1:]]
        why, fix, contradicts = (*parts, "", "", "")[:3]
        slug = check.__name__.replace("_", "-")
        return Rule(id_, slug, severity, title, why, fix, contradicts, urljoin(_K8S_DOCS, reference), check)

    return make


def save_first(workload: Workload, path: str, container: str = "") -> str:
    """Returns what to do before a new pod starts on another volume: the old one's data is lost with it."""
    container = container or next((one.name for one in workload.applications), "CONTAINER")
    return (
        f"Save the running pod's data first: kubectl cp {workload.kubectl_namespace}/POD:{path} ./saved -c {container}."
    )
