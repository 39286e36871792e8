"""What a rule is, and what it can say: values only, no check and no file."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.source.document import Place


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
class Rule:
    """One row of the rule table; the reference page and `guard explain` come from it.

    Attributes:
        id: Stable, never reused: `VG101`. The first digit is the theme.
        slug: Stable name in words.
        severity: What it is worth.
        title: What is wrong, in one sentence.
        why: What happens then, and how it comes about.
        fix: What to do, in general.
        reference: A public page that documents the behaviour.
        contradicts: Advice of other tools that says the opposite, and why it does not apply here; may be empty.
    """

    id: str
    slug: str
    severity: Severity
    title: str
    why: str
    fix: str
    reference: str
    contradicts: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that holds for an object.

    Attributes:
        message: What was found there, in a sentence with names.
        place: Where.
        subject: The object; None where the text itself is the subject (duplicate keys, broken YAML).
        fix: What to do in this very case; the rule's own fix where empty.
        also: Further places that belong to it, such as the first of two equal keys.
        is_guess: Whether it depends on a path that is only likely: an error is then a warning.
        about: What else may carry the annotation that ignores it: the claim of a volume, a StatefulSet's template.
    """

    message: str
    place: Place
    subject: K8sObject | None = None
    fix: str = ""
    also: tuple[Place, ...] = ()
    is_guess: bool = False
    about: tuple[K8sObject, ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown:
    """A rule that could not be judged.

    Attributes:
        reason: What is missing in the input: `no StorageClass given`.
        command: What to run to know.
    """

    reason: str
    command: str


Verdict = Finding | Unknown
Check = Callable[[ObjectIndex], Iterator[Verdict]]
