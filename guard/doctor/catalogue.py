"""The rule table as a whole: by id, and as text for `guard explain`. Needs no YAML library."""

from collections.abc import Mapping

from guard.doctor import rules
from guard.doctor.finding import Rule

#: Every rule by id. The order is that of the reference page, and of findings of one severity.
RULES: Mapping[str, Rule] = {one.id: one for one in sorted(rules.ALL, key=lambda one: one.id)}


def find_rule(name: str) -> Rule | None:
    """The rule of an id (`VG101`, in any case) or of a slug (`volume-not-mounted`)."""
    return RULES.get(name.upper()) or next((rule for rule in RULES.values() if rule.slug == name.lower()), None)


def explain(rule: Rule) -> str:
    """A rule in full, for a terminal."""
    parts = [
        f"{rule.id} {rule.slug} ({rule.severity.value})",
        rule.title,
        f"Why: {rule.why}",
        f"Fix: {rule.fix}",
        *([f"Other advice: {rule.contradicts}"] if rule.contradicts else []),
        f'Ignore: annotate the object with volume-guard/ignore-{rule.id}: "REASON"',
        f"Reference: {rule.reference}",
    ]
    return "\n\n".join(parts) + "\n"
