"""`guard doctor`: read, diagnose, report. Nothing is printed here; cli writes what comes back."""

from dataclasses import dataclass
from typing import BinaryIO, Literal

from guard.doctor.checklist import checklists
from guard.doctor.diagnosis import diagnose
from guard.doctor.formats import FORMATS
from guard.doctor.gate_log import GateWord, last_word
from guard.doctor.inventory import Broken, Inventory
from guard.doctor.kube import Side, clean_path
from guard.doctor.objects import Loaded, load, read_text
from guard.doctor.report import Report
from guard.doctor.rule import Severity
from guard.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked.

    Attributes:
        files: Files, folders, or `-` for standard input.
        live: The same for the cluster's side.
        logs: Files with what the gate logged (`kubectl logs POD -c GATE`).
        output: The format.
        fail_on: The mildest severity that ends with `findings`.
        path: The guarded path.
        colour: Whether the table may use colour.
        width: Columns of the table.
    """

    files: tuple[str, ...]
    live: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    output: Literal["table", "json", "sarif", "github"] = "table"
    fail_on: Literal["error", "warning", "info", "never"] = "error"
    path: str = "/app/skills"
    colour: bool = False
    width: int = 100


def run(options: Options, stdin: BinaryIO) -> tuple[Outcome, str]:
    """Runs the doctor.

    Args:
        options: What is asked.
        stdin: What `-` reads.

    Returns:
        The outcome (`ok`, `findings`, or `usage` when nothing could be read) and the text for standard output.
    """
    loaded = load(options.files, options.live, stdin)
    words = _gate_words(options.logs, stdin, loaded)
    inventory = Inventory(tuple(loaded.objects), clean_path(options.path), tuple(loaded.repeated), tuple(loaded.broken))
    diagnosis = diagnose(inventory)
    if not (loaded.understood or loaded.repeated):
        outcome = Outcome.USAGE
    elif options.fail_on != "never" and diagnosis.reaches(Severity(options.fail_on)):
        outcome = Outcome.FINDINGS
    else:
        outcome = Outcome.OK
    report = Report(
        path=inventory.path,
        outcome=outcome,
        documents=loaded.documents,
        objects=len(loaded.objects),
        live=sum(kube.side is Side.LIVE for kube in loaded.objects),
        checklists=checklists(inventory, words),
        diagnosis=diagnosis,
        skipped=(*loaded.skipped, *inventory.unread),
        colour=options.colour,
        width=options.width,
    )
    return outcome, FORMATS[options.output](report)


def _gate_words(logs: tuple[str, ...], stdin: BinaryIO, loaded: Loaded) -> tuple[GateWord, ...]:
    """The gate's last word in each log that has one."""
    words = []
    for name in logs:
        found = read_text(name, stdin)
        if isinstance(found, Broken):
            loaded.broken.append(found)
        elif word := last_word(found.splitlines()):
            words.append(word)
    return tuple(words)
