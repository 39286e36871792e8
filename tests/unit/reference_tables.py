"""The tables of docs/reference.md, made from the code: `python tests/unit/reference_tables.py` writes them, a test compares."""

import re
import sys
from pathlib import Path

from guard.event import Event
from guard.outcome import Outcome, Severity
from guard.settings import MODELS, Reporting, fields, flag, shown
from guard.watch.status import StatusPages

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY))  # run as a script, this folder is on the path and its parents are not

from tests.unit.watch.simulation import Simulation  # noqa: E402

REFERENCE = REPOSITORY / "docs" / "reference.md"

#: What each event is about. Adding one to the code without a clause here fails.
EVENTS = {
    Event.VOLUME_OK: "the gate passed; at WARNING where it has something to add",
    Event.VOLUME_WAITING: "the gate failed, and checks again until `GUARD_WAIT` is over",
    Event.VOLUME_REFUSED: "the gate or another command refused, with the outcome",
    Event.VOLUME_ADOPTED: "the volume has its marker",
    Event.VOLUME_ACCEPTED: "somebody declared that what is there is right",
    Event.VOLUME_HELD: "work on the volume is announced",
    Event.VOLUME_RELEASED: "announced work is over",
    Event.USAGE: "settings or arguments are wrong: all of them at once",
    Event.INTERNAL_ERROR: "a bug of the guard, with its traceback",
    Event.WATCH_STARTED: "what is watched, and what is known of it",
    Event.WATCH_STOPPED: "the end of a watcher's run",
    Event.WATCH_LISTENING: "the address of /livez and /metrics; at WARNING where the port can't be opened, which is retried",
    Event.VOLUME_SHRUNK: "a large part of the known files is gone, but no wipe",
    Event.VOLUME_FULL: "no free blocks or no free inodes; once until 5 % are free again",
    Event.VOLUME_WIPED: "the data was lost: before, after, replaced, entries, first sign",
    Event.VOLUME_RECOVERED: "the end of an incident, with its length; or files of a shrink are back",
    Event.VOLUME_UNMOUNTED: "the path is no longer a mount, or its source folder was deleted",
    Event.VOLUME_REPLACED: "another file system, or another volume's marker",
    Event.VOLUME_UNREACHABLE: "two checks in a row did not get an answer",
    Event.VOLUME_READ_ONLY: "it can no longer be written",
    Event.MARKER_MISSING: "the marker is gone: often a wipe",
    Event.MARKER_CHANGED: "the marker was exchanged on the same file system",
    Event.MARKER_INVALID: "the marker can't be read",
    Event.LEDGER_INVALID: "the ledger can't be used",
    Event.LEDGER_STALE: "a ledger or hold is older than what the watcher knows: reported, not obeyed",
    Event.LEDGER_UNWRITABLE: "the ledger can't be written",
    Event.WATCH_BLIND: "the tripwire does not cover every folder; at WARNING where checks fail too",
}


def outcomes() -> list[str]:
    """Returns the outcome table."""
    rows = [f"| {one.status} | `{one.label}` | {one.value.when} | {one.value.remedy} |" for one in Outcome]
    return [
        "| exit | outcome | when | what to do |",
        "| --- | --- | --- | --- |",
        *(row.replace("A|B", r"A\|B") for row in rows),
    ]


def events() -> list[str]:
    """Returns the event table, the loudest first."""
    ordered = sorted(Event, key=lambda event: -event.severity)
    rows = [f"| `{event.label}` | {Severity(event.severity).name} | {EVENTS[event]} |" for event in ordered]
    return ["| event | severity | when |", "| --- | --- | --- |", *rows]


def settings() -> list[str]:
    """Returns the settings of every command."""
    rows: dict[str, str] = {}
    for command in ("check", "adopt", "watch"):
        for name, field in fields(MODELS[command]).items():
            rows.setdefault(name, f"| `{name}` | `{flag(name)}` | {shown(field)} | {field.description} |")
    ordered = sorted(rows, key=lambda name: name in fields(Reporting))
    return ["| variable | flag | default | |", "| --- | --- | --- | --- |", *(rows[name] for name in ordered)]


def metrics() -> list[str]:
    """Returns what a watcher serves once it has counted and checked."""
    page = served()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    rows = [
        f"| `{name}` | {kinds[name]} | {text} |"
        for name, text in re.findall(r"^# HELP (\S+) (.+)$", page, re.MULTILINE)
    ]
    return ["| metric | type | |", "| --- | --- | --- |", *rows]


def served() -> str:
    """Returns /metrics of a watcher of the simulation, after its first count."""
    simulation = Simulation()
    simulation.fill(4, "acme", "beta")
    simulation.adopt()
    watch = simulation.start()
    simulation.run(60)
    return StatusPages(watch.watcher, simulation.config).table()["/metrics"]().text


TABLES = {"outcomes": outcomes, "events": events, "settings": settings, "metrics": metrics}


def written(text: str) -> str:
    """Returns the page with its tables as the code has them."""
    for name, table in TABLES.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, rest = text.split(start)
        text = before + start + "\n".join(table()) + "\n" + end + rest.split(end)[1]
    return text


if __name__ == "__main__":
    REFERENCE.write_text(written(REFERENCE.read_text()))
