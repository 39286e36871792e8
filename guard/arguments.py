"""Flags and help texts, made from the settings of each command: argparse reads, the models are the only source."""

import argparse
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from guard.outcome import TERMINATED, Outcome
from guard.settings import MODELS, Reporting, fields, flag

_WIDTH = 110


@dataclass(frozen=True)
class Command:
    """What the help of a command says.

    Attributes:
        summary: One line.
        usage: What follows `guard COMMAND`.
        statuses: The outcomes it can end with.
        example: A line that works.
        extras: Arguments that are no settings: name and help.
    """

    summary: str
    usage: str
    statuses: tuple[Outcome, ...]
    example: str
    extras: tuple[tuple[str, str], ...] = ()


_ALWAYS = (Outcome.OK, Outcome.INTERNAL_ERROR, Outcome.USAGE)
_VOLUME = tuple(one for one in Outcome if 10 <= one.status < Outcome.FINDINGS.status)  # noqa: PLR2004 - the volume's own

COMMANDS: Mapping[str, Command] = {
    "check": Command(
        "The gate: passes only if the path is a mounted volume, the right one, that still holds its data.",
        "[FLAG...] [-- APP ARG...]",
        _ALWAYS + _VOLUME,
        "GUARD_VOLUME=claude-skills-dev guard check -- python /app/server.py",
        (("-- APP ARG...", "Becomes APP after a pass, in the same mount namespace: its own mount was checked."),),
    ),
    "adopt": Command(
        "Writes the marker and the first ledger on a real, unmarked volume.",
        "[FLAG...] [--replace ID|SHA256-PREFIX]",
        _ALWAYS + _VOLUME,
        "guard adopt --path /app/skills --volume claude-skills-dev",
        (
            (
                "--replace",
                "Sets aside a foreign marker (its ID) or a broken one (its SHA-256), as the refusal prints it.",
            ),
        ),
    ),
    "accept": Command(
        "What is there now is right: new reference, next generation.",
        "[FLAG...]",
        _ALWAYS + _VOLUME,
        "kubectl exec POD -c volume-guard-watch -- guard accept",
    ),
    "hold": Command(
        "Announces work on the volume (restore, migration): the gate refuses with held until release.",
        "[FLAG...] [--over] REASON",
        _ALWAYS + _VOLUME,
        'guard hold "restore of Monday\'s backup"',
        (
            ("REASON", "Why, for whoever reads the refusal."),
            ("--over", "In place of the hold that stands, which is kept otherwise."),
        ),
    ),
    "release": Command(
        "Ends the announced work and accepts what is there.", "[FLAG...]", _ALWAYS + _VOLUME, "guard release"
    ),
    "watch": Command(
        "The sidecar: knows a wipe within seconds, and ends with 0 when it is told to stop.",
        "[FLAG...]",
        _ALWAYS,
        "GUARD_VOLUME=claude-skills-dev guard watch",
    ),
    "doctor": Command(
        "Reads Kubernetes objects, never a cluster: why would this volume be lost or reset?",
        "FILE...|- [FLAG...] [--live FILE] [--logs FILE] [--output table|json|sarif|github]"
        " [--fail-on error|warning|info|never]",
        (*_ALWAYS, Outcome.FINDINGS),
        "kubectl get deploy,sts,ds,cj,job,pod,pvc,pv,sc,node,events -o json | guard doctor k8s/ --live -",
        (
            ("FILE...", "Files or folders of manifests (YAML or JSON); - is standard input, which can be read once."),
            ("--live", "The cluster's side: the same object on both sides is compared."),
            ("--logs", "What the gate logged: kubectl logs POD -c volume-guard-gate."),
            (
                "--output",
                "table for people (the default), json for scripts, sarif (2.1.0) for code scanning, github for annotations.",
            ),
            ("--fail-on", "The mildest severity that ends with findings: error (the default), warning, info or never."),
        ),
    ),
}

#: Arguments that are no settings, by command, as argparse declares them.
_EXTRAS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "adopt": {"--replace": {}},
    "hold": {"reason": {"nargs": "?"}, "--over": {"action": "store_true"}},
    "doctor": {
        "files": {"nargs": "*", "default": []},
        "--live": {"action": "append"},
        "--logs": {"action": "append"},
        "--output": {"choices": ("table", "json", "sarif", "github")},
        "--fail-on": {"choices": ("error", "warning", "info", "never")},
    },
}


class _Unreadable(ValueError):  # noqa: N818 - the sentence is what matters
    """What argparse could not read, as a sentence."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Unreadable(message)


@dataclass(frozen=True)
class Arguments:
    """What stood behind a command.

    Attributes:
        settings: Settings by their environment names, as texts.
        extras: The arguments that are no settings.
        problems: Everything that could not be read, as sentences.
    """

    settings: dict[str, str]
    extras: dict[str, Any]
    problems: tuple[str, ...] = ()


def parse(command: str, arguments: Sequence[str]) -> Arguments:
    """Reads flags; never raises, since problems are told together with those of the settings."""
    model, declared = MODELS[command], _EXTRAS.get(command, {})
    parser = _parser(command)
    for extra, how in declared.items():
        parser.add_argument(extra, **how)
    unreadable: list[str] = []
    try:
        namespace, unknown = parser.parse_known_intermixed_args(list(arguments))
    except _Unreadable as error:
        # Of what stands beside it the settings can still be read, and unknown flags be told.
        unreadable = [f"guard {command}: {error}"]
        namespace, rest = _parser(command).parse_known_args(list(arguments))
        unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in declared]
    found: dict[str, Any] = vars(namespace)
    problems = unreadable + [f"guard {command} knows no {word}" for word in unknown]
    problems += [f"guard {command}: {flag(name)} has no value" for name, value in found.items() if value is None]
    extras = {name: value for name, value in found.items() if name not in fields(model)}
    settings = {name: value for name, value in found.items() if name not in extras and value is not None}
    return Arguments(settings, extras, tuple(problems))


def _parser(command: str) -> _Parser:
    """Reads the settings of a command."""
    parser = _Parser(prog=f"guard {command}", add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for name in fields(MODELS[command]):
        # Without `?` a missing value would hide every other flag, and all problems are told at once.
        parser.add_argument(flag(name), dest=name, nargs="?", const=None)
    return parser


def overview() -> str:
    """The help of `guard` itself."""
    width = max(map(len, COMMANDS))
    lines = ["Usage: guard COMMAND [FLAG...]", "", "Keeps an application off the wrong, missing or wiped volume.", ""]
    lines += [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    lines += [
        f"  {'explain':{width}}  An outcome or rule in full, offline: guard explain data-lost, 30, VG101.",
        "",
        "guard COMMAND --help shows settings, exit statuses and an example; guard --version the version.",
    ]
    return "\n".join(lines) + "\n"


def help_text(command: str) -> str:
    """The help of a command: settings with reason, unit and default; exit statuses; an example."""
    about = COMMANDS[command]
    lines = [f"Usage: guard {command} {about.usage}", "", about.summary, ""]
    for name, meaning in about.extras:
        lines += _entry(name, meaning)
    lines.append("Settings (environment, or the flag; flags win; empty means unset):")
    lines += _settings(MODELS[command])
    lines += ["", "Exit statuses:"]
    lines += [f"  {one.status:>3}  {one.label:16} {one.value.when}" for one in about.statuses]
    if command == "check":
        lines.append(f"  {TERMINATED:>3}  {'':16} told to stop while waiting; no outcome")
    lines += ["", "Example:", f"  {about.example}"]
    return "\n".join(lines) + "\n"


def _settings(model: type[Reporting]) -> list[str]:
    lines: list[str] = []
    for name, field in fields(model).items():
        extra = field.json_schema_extra
        default = str(extra["shown"]) if isinstance(extra, dict) else ""
        shown = "required" if default == "required" else f"default {default}" if default else "no default"
        lines += _entry(f"{name}, {flag(name)}", f"{field.description} ({shown})")
    return lines


def _entry(name: str, meaning: str) -> list[str]:
    return [f"  {name}", *textwrap.wrap(meaning, _WIDTH, initial_indent="      ", subsequent_indent="      ")]
