"""Commands, flags and help texts: argparse reads and formats; settings come from the models, everything else is declared here."""

import argparse
import functools
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from guard.outcome import TERMINATED, Outcome
from guard.report import stream
from guard.report.text import nearest, truncate
from guard.settings import MODELS, Reporting, decapitalized, fields, flag, shown

#: Columns of a help text, on a terminal that has as many.
WIDTH = 100
_GROUPS = ("required setting", "arguments", "settings", "reporting settings")

#: What 0 means, where it is more than that the command is done.
_DONE = {"check": Outcome.OK.value.when, "doctor": "nothing at or above --fail-on was found"}
_ALWAYS = (Outcome.OK, Outcome.INTERNAL_ERROR, Outcome.USAGE)
_VOLUME = _ALWAYS + tuple(one for one in Outcome if one.status >= 10 and one is not Outcome.FINDINGS)  # noqa: PLR2004


@dataclass(frozen=True)
class Command:
    """A command: its help, and its arguments that are no settings.

    Attributes:
        summary: One sentence.
        usage: What follows `guard COMMAND`.
        example: A line that works.
        statuses: The outcomes that it can end with.
        arguments: As argparse declares them. Choices and what is missing (`?`) are checked here: all errors at once.
        details: What the command's own help adds to the summary.
    """

    summary: str
    usage: str
    example: str
    statuses: tuple[Outcome, ...] = _VOLUME
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    details: str = ""


def _option(metavar: str, meaning: str, **how: Any) -> dict[str, Any]:
    return {"metavar": metavar, "help": meaning, **how}


COMMANDS: Mapping[str, Command] = {
    "check": Command(
        "The gate: passes only if the path is a mounted volume, the right one, that holds its data.",
        "[FLAG...] [-- APP ARG...]",
        "GUARD_VOLUME=claude-skills-dev guard check -- python /app/server.py",
        details=" After a pass the guard becomes APP, in the same mount namespace: its own mount was checked.",
    ),
    "adopt": Command(
        "Writes the marker and the first ledger on a real, unmarked volume.",
        "[FLAG...] [--replace ID|SHA256-PREFIX]",
        "guard adopt --path /app/skills --volume claude-skills-dev",
        arguments={
            "--replace": _option(
                "ID",
                "Replaces a foreign marker (its ID) or a broken one (its SHA-256, as printed); the old one is kept.",
            )
        },
    ),
    "accept": Command(
        "Declares that what is there now is right: new reference, next generation; ends an incident.",
        "[FLAG...]",
        "kubectl exec POD -c volume-guard-watch -- guard accept",
    ),
    "hold": Command(
        "Announces work on the volume (restore, migration): the gate refuses with held until release.",
        "[FLAG...] [--over] REASON",
        'guard hold "restore of Monday\'s backup"',
        arguments={
            "reason": _option("REASON", "Why, for whoever reads the refusal.", nargs="?"),
            "--over": {"action": "store_true", "help": "Replaces an older hold, which is kept otherwise."},
        },
    ),
    "release": Command("Ends the announced work and accepts what is there.", "[FLAG...]", "guard release"),
    "watch": Command(
        "The sidecar: reports a wipe within seconds, and ends with 0 on SIGTERM.",
        "[FLAG...]",
        "GUARD_VOLUME=claude-skills-dev guard watch",
        _ALWAYS,
    ),
    "doctor": Command(
        "Reads Kubernetes objects, never a cluster: why would this volume be lost or reset?",
        "FILE...|- [FLAG...]",
        "kubectl get deploy,sts,ds,cj,job,pod,pvc,pv,sc,node,events -o json | guard doctor -",
        (*_ALWAYS, Outcome.FINDINGS),
        {
            "files": _option(
                "FILE",
                "Files or folders of manifests (YAML or JSON); - is standard input, which can be read once.",
                nargs="*",
                default=[],
            ),
            "--live": _option(
                "FILE", "The cluster's side: the same object on both sides is compared.", action="append"
            ),
            "--logs": _option("FILE", "What the gate logged: kubectl logs POD -c volume-guard-gate.", action="append"),
            "--output": _option(
                "FORMAT",
                "table for people (the default), json for scripts, sarif (2.1.0) for code scanning, github for annotations.",
                choices=("table", "json", "sarif", "github"),
            ),
            "--fail-on": _option(
                "SEVERITY",
                "The mildest severity that ends with findings: error (the default), warning, info or never.",
                choices=("error", "warning", "info", "never"),
            ),
        },
    ),
    "explain": Command(
        "Prints an outcome, an exit status or a rule of the doctor in full, offline.",
        "NAME|STATUS|VG-ID",
        "guard explain data-lost",
        _ALWAYS,
        {
            "name": _option(
                "NAME",
                "The name or status of an outcome, or the id or name of a rule: data-lost, 30, VG101.",
                nargs="?",
            )
        },
    ),
}


@dataclass(frozen=True)
class Arguments:
    """The parsed flags and arguments of a command.

    Attributes:
        settings: Settings by their environment names, as texts.
        extras: The arguments that are no settings.
        problems: Everything that could not be read, as sentences.
    """

    settings: dict[str, str]
    extras: dict[str, Any]
    problems: tuple[str, ...] = ()


def parse(command: str, words: Sequence[str]) -> Arguments:
    """Reads flags and arguments; never raises, since problems are reported together with those of the settings."""
    about, settings = COMMANDS[command], _settings(command)
    switches = {name for name, how in about.arguments.items() if how.get("action") == "store_true"}
    flags = {name for name in about.arguments if name.startswith("--")} | set(map(flag, settings))
    # What begins with less than two dashes is the value of the flag before it: argparse has nothing left to refuse.
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in flags - switches and not word.startswith("--"):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    bad = {word: f"{word} needs a value" for word in joined if word in flags - switches}
    for word in joined:
        name, equals, _ = word.partition("=")
        if equals and name in switches:
            bad[word] = f"{name} takes no value"
    namespace, unknown = _parser(command).parse_known_intermixed_args([word for word in joined if word not in bad])
    unknown_flags = [word for word in unknown if word.startswith("-")]
    problems = [*bad.values(), *(_unknown_flag(command, word.partition("=")[0], flags) for word in unknown_flags)]
    if not unknown_flags:  # otherwise it can be the value of one
        problems += [f"unexpected argument {truncate(word)!r} of guard {command}" for word in unknown]
    found: dict[str, Any] = vars(namespace)
    for name, how in about.arguments.items():
        value = found.get(name.removeprefix("--").replace("-", "_"))
        known = how.get("choices")
        if known and value is not None and value not in known:
            either = f"{', '.join(known[:-1])} or {known[-1]}"
            problems.append(f"{name}='{truncate(value)}': write {either}; the nearest is {nearest(value, known)}")
        if how.get("nargs") == "?" and not unknown_flags and not str(value or "").strip():
            problems.append(f"guard {command}: {how['metavar']} is missing: {decapitalized(how['help'])}")
    given = {name: value for name, value in found.items() if name in settings}
    return Arguments(given, {name: value for name, value in found.items() if name not in given}, tuple(problems))


def _unknown_flag(command: str, word: str, flags: set[str]) -> str:
    longer = {flag for flag in flags if flag.startswith(word)}  # an abbreviation
    near = f": the nearest known one is {nearest(word, sorted(longer or flags))}" if flags else ""
    return f"unknown flag {truncate(word)} of guard {command}{near}"


def _settings(command: str) -> dict[str, Any]:
    return fields(MODELS[command]) if command in MODELS else {}


def overview() -> str:
    """Returns the help of `guard` itself."""
    parser = _Parser(
        prog="guard",
        usage="guard COMMAND [FLAG...]",
        description="Keeps an application off the wrong, missing or wiped volume.",
        epilog=_wrapped(
            "guard COMMAND --help shows its settings, exit statuses and an example; guard --version the version."
        ),
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND ...")
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.summary)
    return parser.format_help()


def help_text(command: str) -> str:
    """Returns the help of a command: its settings with reason, unit and default; exit statuses; an example."""
    parser, about = _parser(command), COMMANDS[command]
    origin = " Settings come from the environment or the flag; flags win, and empty means unset."
    parser.description = _wrapped(about.summary + about.details + (origin if command in MODELS else ""))
    parser.epilog = _epilog(command)
    return parser.format_help()


def _parser(command: str) -> argparse.ArgumentParser:
    about = COMMANDS[command]
    rows = [
        (_GROUPS[1], name, {key: value for key, value in how.items() if key != "choices"})
        for name, how in about.arguments.items()
    ]
    for name, setting in _settings(command).items():
        default = shown(setting)
        note = "required" if default == "required" else f"default {default}" if default else "no default"
        group = _GROUPS[3] if name in fields(Reporting) else _GROUPS[0] if default == "required" else _GROUPS[2]
        text = f"{name}: {setting.description} ({note})".replace("%", "%%")
        rows.append((group, flag(name), {"dest": name, "metavar": name.rpartition("_")[2], "help": text}))
    parser = _Parser(prog=f"guard {command}", usage=f"guard {command} {about.usage}")
    for title in _GROUPS:
        arguments = parser.add_argument_group(title)  # an empty one is not shown
        for _, name, how in (row for row in rows if row[0] == title):
            arguments.add_argument(name, **how)
    return parser


def _epilog(command: str) -> str:
    done = _DONE.get(command, "done")
    rows = [
        (str(one.status), one.label, done if one is Outcome.OK else one.value.when)
        for one in COMMANDS[command].statuses
    ]
    if command == "check":
        rows.append((str(TERMINATED), "", "SIGTERM while waiting; no outcome"))
    lines = ["exit statuses:"]
    for status, name, when in rows:
        lines += textwrap.wrap(
            f"  {status:>3}  {name:16} {when}", _width(), subsequent_indent=" " * 24, break_on_hyphens=False
        )
    return "\n".join([*lines, "", "example:", f"  {COMMANDS[command].example}"])


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _width())


def _width() -> int:
    return min(WIDTH, max(40, stream.columns(1, WIDTH)))


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)  # node-disk is one word


class _Parser(argparse.ArgumentParser):
    """A parser without abbreviations, and without a --help of its own: that was looked for before."""

    def __init__(self, **how: Any) -> None:
        formatter = functools.partial(_Formatter, width=_width(), max_help_position=32)
        super().__init__(
            add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS, formatter_class=formatter, **how
        )
