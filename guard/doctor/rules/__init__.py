"""The rules, one module by theme: a rule's text is the docstring of its check. Pure: objects in, verdicts out."""

from guard.doctor.finding import Rule
from guard.doctor.rules import (
    attaching,
    backups,
    claim,
    claim_loss,
    classes,
    deleting,
    drift,
    guard_presence,
    keeping,
    mount,
    replacing,
    shadowing,
    text,
)

_THEMES = (
    attaching,
    backups,
    claim,
    claim_loss,
    classes,
    deleting,
    drift,
    guard_presence,
    keeping,
    mount,
    replacing,
    shadowing,
    text,
)
#: Every rule.
ALL = tuple({one for theme in _THEMES for one in vars(theme).values() if isinstance(one, Rule)})
