"""`guard explain`: an outcome in full, offline."""

from guard.outcome import RETRYABLE, RETRYABLE_BY_PROPAGATION, Outcome


def find(name: str) -> Outcome | None:
    """The outcome of this name or exit status."""
    return next((one for one in Outcome if name.lower() in {one.label, str(one.status)}), None)


def text(outcome: Outcome) -> str:
    """Everything there is to say of an outcome."""
    row = outcome.value
    lines = [
        f"{row.label} (exit status {row.status}, {row.severity.name})",
        "",
        f"When: {row.when}.",
        f"What to do: {row.remedy}",
    ]
    if outcome in RETRYABLE:
        lines.append("Waiting: `guard check` looks again for GUARD_WAIT, since this may mend.")
    elif outcome in RETRYABLE_BY_PROPAGATION:
        lines.append(
            "Waiting: only where the mount can receive propagation. A container's mounts usually cannot: it takes a new pod."
        )
    if outcome.runbook:
        lines.append(f"Page: {outcome.runbook}")
    return "\n".join(lines) + "\n"


def listing() -> str:
    """Every outcome in a line."""
    return "".join(f"{one.status:>3}  {one.label:16} {one.value.when}\n" for one in Outcome)
