"""The tables of the README, made from the code: `python tests/unit/readme_tables.py` writes them, a test compares."""

from pathlib import Path

from guard.outcome import Outcome
from guard.settings import MODELS, Reporting, fields, flag, shown

README = Path(__file__).parents[2] / "README.md"


def outcomes() -> list[str]:
    """The outcome table."""
    rows = [f"| {one.status} | `{one.label}` | {one.value.when} | {one.value.remedy} |" for one in Outcome]
    return [
        "| exit | outcome | when | what to do |",
        "| --- | --- | --- | --- |",
        *(row.replace("A|B", r"A\|B") for row in rows),
    ]


def settings() -> list[str]:
    """The settings table of every command that exists."""
    rows: dict[str, str] = {}
    for command in ("check", "adopt", "watch"):
        for name, field in fields(MODELS[command]).items():
            rows.setdefault(name, f"| `{name}` | `{flag(name)}` | {shown(field)} | {field.description} |")
    ordered = sorted(rows, key=lambda name: name in fields(Reporting))
    return ["| variable | flag | default | |", "| --- | --- | --- | --- |", *(rows[name] for name in ordered)]


TABLES = {"outcomes": outcomes, "settings": settings}


def written(text: str) -> str:
    """The README with its tables as the code has them."""
    for name, table in TABLES.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, rest = text.split(start)
        text = before + start + "\n".join(table()) + "\n" + end + rest.split(end)[1]
    return text


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
