"""The rules, one module by theme: a rule's text is the docstring of its check. Pure: objects in, verdicts out."""

from importlib import import_module
from pkgutil import iter_modules

from guard.doctor.finding import Rule

_THEMES = (import_module(f"{__name__}.{theme.name}") for theme in iter_modules(__path__))
#: Every rule.
ALL = tuple({one for theme in _THEMES for one in vars(theme).values() if isinstance(one, Rule)})
