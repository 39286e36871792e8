"""The table from cause to advice. Pure."""

from guard.advice import content, faults, mounts
from guard.advice.case import Advice, Case
from guard.pod import PodInfo
from guard.volume.observation import FileCount, Look
from guard.volume.verdict import Expectation, Finding


def advise(expected: Expectation, look: Look, finding: Finding, pod: PodInfo, count: FileCount | None = None) -> Advice:
    """Returns what one finding means to a person.

    Args:
        expected: What the settings ask.
        look: What was found.
        finding: The outcome, and why it holds.
        pod: This pod.
        count: The count; None where there was none.
    """
    return _ADVICE[finding.cause](Case(expected, look, finding, count, pod))


_ADVICE = {**mounts.ADVICE, **faults.ADVICE, **content.ADVICE}
