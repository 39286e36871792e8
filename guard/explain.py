"""`guard explain`: an outcome, an exit status or a rule of the doctor in full, offline."""

from guard.doctor import catalogue
from guard.outcome import RETRYABLE, RETRYABLE_BY_PROPAGATION, TERMINATED, Outcome
from guard.report.text import edit_distance

_TERMINATED = (
    f"Exit status {TERMINATED}: no outcome\n\n"
    "When: SIGTERM came while `guard check` waited (128 + 15), as when the pod is deleted; nothing was judged.\n"
    "What to do: nothing, if the pod was meant to end. The last line of the log names what was waited for.\n"
)


def nearest_name(name: str) -> str:
    """Returns what can be explained and is spelt most alike; of statuses that are alike the closest number."""
    outcomes = [known for one in Outcome for known in (one.label, str(one.status))]
    rules = [known for rule in catalogue.RULES.values() for known in (rule.id, rule.slug)]

    def distance(known: str) -> tuple[int, int]:
        number = abs(int(name[:9]) - int(known)) if name.isdecimal() and known.isdecimal() else 0
        return edit_distance(name.lower(), known.lower()), number

    return min([*outcomes, str(TERMINATED), *rules], key=distance)


def explain(name: str) -> str | None:
    """Returns the text about an outcome (by name or status) or a rule (by id or slug); None for anything else."""
    outcome = next((one for one in Outcome if name.lower() in {one.label, str(one.status)}), None)
    rule = catalogue.find_rule(name)
    if outcome is not None:
        return _outcome(outcome)
    if rule is not None:
        return catalogue.explain(rule)
    return _TERMINATED if name == str(TERMINATED) else None


def _outcome(outcome: Outcome) -> str:
    row = outcome.value
    lines = [
        f"{row.label} (exit status {row.status}, {row.severity.name})",
        "",
        f"When: {row.when}.",
        f"What to do: {row.remedy}",
    ]
    if outcome in RETRYABLE:
        lines.append("Waiting: `guard check` checks again for GUARD_WAIT, since this can recover.")
    elif outcome in RETRYABLE_BY_PROPAGATION:
        lines.append(
            "Waiting: only where a mount can still appear. In a running container it usually cannot: start a new pod."
        )
    if outcome.runbook:
        lines.append(f"Page: {outcome.runbook}")
    return "\n".join(lines) + "\n"
