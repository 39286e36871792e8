"""What a rule is, and what it can report: values only, no check and no file."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from inspect import cleandoc

from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.workload import Part
from guard.doctor.source.document import Place

_FIX, _OTHER_ADVICE = "Fix: ", "Other advice: "


class Severity(Enum):
    """How bad a finding is, worst first."""

    ERROR = "error"  # would lose or reset the volume, or never mount it
    WARNING = "warning"  # will bite: spot nodes, no guard, a backup without a gate
    INFO = "info"  # advice

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return tuple(Severity).index(self)


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
    where: K8sObject | Part,
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
    reference: str  # a public page that documents the behaviour
    contradicts: str  # advice of other tools that asks for the opposite, and why it does not apply here; may be empty
    check: Check


def rule(id_: str, severity: Severity, reference: str) -> Callable[[Check], Rule]:
    """Makes a rule of the check below: its name is the slug, its docstring has title, reason, fix and other advice."""

    def make(check: Check) -> Rule:
        title, *rest = (" ".join(part.split()) for part in cleandoc(check.__doc__ or "").split("\n\n"))
        fix, other = (
            next((one.removeprefix(mark) for one in rest if one.startswith(mark)), "") for mark in (_FIX, _OTHER_ADVICE)
        )
        why = " ".join(one for one in rest if not one.startswith((_FIX, _OTHER_ADVICE)))
        return Rule(id_, check.__name__.replace("_", "-"), severity, title, why, fix, reference, other, check)

    return make


class Answer(Enum):
    """What is known."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
