"""The commands, and the one place where an outcome becomes an exit status.

The prober is forked first, from a small process; what is heavy (pydantic, structlog) is imported after that.
"""

import errno
import io
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import guard
from guard import explain
from guard.event import Event, Happening
from guard.interrupt import Interrupt, Interrupted
from guard.outcome import TERMINATED, Outcome
from guard.volume import requests  # noqa: F401 - the prober is forked with what it runs
from guard.volume.examine import Examiner, ProberFailed
from guard.volume.prober import Prober

if TYPE_CHECKING:
    from guard.arguments import Arguments
    from guard.report.log import Format
    from guard.settings import Reporting, VolumeSettings, WatchSettings
    from guard.watch.options import Options, Unusable
    from guard.wording import Ending, Say


@dataclass(frozen=True)
class Handover:
    """The guard is done, and the process becomes the application."""

    app: list[str]
    termination_log: str
    say: "Say"


VOLUME_COMMANDS = ("check", "adopt", "accept", "hold", "release")
COMMANDS = (*VOLUME_COMMANDS, "watch", "doctor", "explain")
_HELP = frozenset({"--help", "-h", "help"})


def run(arguments: Sequence[str]) -> int:
    """Runs one command; the exit status."""
    if not arguments:
        return _unusable([f"no command: known are {', '.join(COMMANDS)}; guard --help says what each does"], {})
    if arguments[0] in _HELP:
        from guard.arguments import overview

        return _answer(overview(), Outcome.OK)
    command, *rest = arguments
    if command in {"--version", "-V"}:
        return _answer(f"volume-guard {guard.__version__}\n", Outcome.OK)
    if command == "explain":
        return _explain(rest)
    if command not in COMMANDS:
        return _unusable([f"unknown command {command!r}: known are {', '.join(COMMANDS)}"], {})
    flags, app = _split(rest)
    if not _HELP.isdisjoint(flags[:1]) or "--help" in flags:
        from guard.arguments import help_text

        return _answer(help_text(command), Outcome.OK)
    if command == "doctor":
        return _doctor(flags)
    if command == "watch":
        return _watch(flags, app)
    return _run_on_volume(command, flags, app)


def _run_on_volume(command: str, flags: list[str], app: list[str] | None) -> int:
    with Interrupt() as interrupt:
        try:
            ending = _on_volume(command, flags, app, _forked(), interrupt)
            interrupt.check()
        except Interrupted:
            return interrupt.status or TERMINATED
        except Exception:  # noqa: BLE001 - the last line of defence: a bug is said and has a status
            ending = _unforeseen(traceback.format_exc(), command, flags, app)
    return _end(ending)


def _forked(keep: tuple[int, ...] = ()) -> Prober | ProberFailed:
    """The prober; where none can be forked, that is said once the settings for saying are known."""
    try:
        return Prober(keep)
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "an error")
        return ProberFailed(
            f"no prober can be started: {code} on fork (too few processes or memory allowed to the pod)"
        )


def _end(ending: int | Handover) -> int:
    return ending if isinstance(ending, int) else _become(ending)


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """Flags, and the application behind `--`; None where there is no `--`."""
    if "--" not in arguments:
        return list(arguments), None
    end = list(arguments).index("--")
    return list(arguments[:end]), list(arguments[end + 1 :])


def _explain(arguments: Sequence[str]) -> int:
    if len(arguments) == 1 and arguments[0] in _HELP:
        return _answer(
            "Usage: guard explain NAME|STATUS|VG-ID\n\nExample: guard explain data-lost\n\n" + explain.listing(),
            Outcome.OK,
        )
    if len(arguments) != 1:
        return _unusable(["explain takes one name or exit status, such as data-lost or 30"], {})
    from guard.doctor import catalogue

    outcome, rule = explain.find(arguments[0]), catalogue.find_rule(arguments[0])
    if rule is not None:
        return _answer(catalogue.explain(rule), Outcome.OK)
    if outcome is None:
        known = ", ".join(one.label for one in Outcome)
        return _unusable([f"there is nothing to explain under {arguments[0]!r}: known are {known}"], {})
    return _answer(explain.text(outcome), Outcome.OK)


def _doctor(flags: list[str]) -> int:
    from guard import settings

    parsed = _parsed("doctor", flags)
    problems = list(parsed.problems)
    _unknown_settings(problems, lenient=False)
    found, wrong = settings.load(settings.DoctorSettings, parsed.settings)
    problems += wrong
    if not parsed.problems and not (parsed.extras["files"] or parsed.extras.get("live")):
        problems.append("guard doctor: FILE is missing; - is standard input")
    named = [*parsed.extras.get("files", ()), *parsed.extras.get("live", ()), *parsed.extras.get("logs", ())].count("-")
    if named > 1:
        problems.append("guard doctor: - is named twice, and standard input can be read once: give the other as a file")
    if problems or found is None:
        return _unusable(problems, parsed.settings)
    assert isinstance(found, settings.DoctorSettings)
    import shutil

    from guard.doctor.command import Options
    from guard.doctor.command import run as diagnose

    wanted = parsed.extras
    options = Options(
        files=tuple(wanted["files"]),
        live=tuple(wanted.get("live", ())),
        logs=tuple(wanted.get("logs", ())),
        output=wanted.get("output", "table"),
        fail_on=wanted.get("fail_on", "error"),
        path=found.path if "path" in found.model_fields_set else "",  # a default is not a fact
        colour=os.isatty(1) and "NO_COLOR" not in os.environ,
        width=shutil.get_terminal_size((100, 24)).columns,
    )
    try:
        # Not sys.stdin, which is None where it came closed.
        with open(0, "rb", closefd=False) if named else io.BytesIO() as stdin:
            outcome, text = diagnose(options, stdin)
    except Exception:  # noqa: BLE001 - a bug is said and has a status
        return _end(_unforeseen(traceback.format_exc(), "doctor", flags))
    return _answer(text, outcome)


def _watch(flags: list[str], app: list[str] | None) -> int:
    """The sidecar: a signal is its ordinary end, so its status is 0."""
    with Interrupt() as interrupt:
        import gc

        from guard.volume.prober import apart
        from guard.watch.link import Link
        from guard.watch.options import Unusable
        from guard.watch.sidecar import Sidecar

        # Both processes live long: what is imported before the fork, and not touched by the collector, is in memory once.
        # What imports leave behind goes first: its places would be filled in both, and tear pages apart.
        gc.collect()
        gc.freeze()
        wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        prober = _forked((wake,))
        if isinstance(prober, ProberFailed):
            return _end(_unforeseen(str(prober), "watch", flags))
        try:
            # pydantic takes 15 MiB, and is not needed any more once the settings are read.
            options = apart(_ReadWatchSettings(tuple(flags), app is not None))
            if isinstance(options, Unusable):
                prober.close()
                return _report_unusable(list(options.problems), options.termination_log, _log(options.log_format))
            Sidecar(options, Link(prober, options.expected.probe_timeout, (wake,)), wake, interrupt).run()
        except Exception:  # noqa: BLE001 - the last line of defence: a bug is said and has a status
            return _end(_unforeseen(traceback.format_exc(), "watch", flags))
    return Outcome.OK.status


@dataclass(frozen=True)
class _ReadWatchSettings:
    """Reads the settings of `guard watch` in a process that ends right after."""

    flags: tuple[str, ...]
    has_app: bool

    def run(self, said: Callable[[Any], None]) -> "Options | Unusable":
        """Reads environment and flags."""
        del said
        from guard import settings
        from guard.watch.options import Unusable

        parsed = _parsed("watch", list(self.flags))
        problems = list(parsed.problems)
        _unknown_settings(problems, lenient=False)
        found, wrong = settings.load(settings.WatchSettings, parsed.settings)
        problems += wrong
        if self.has_app:
            problems.append("guard watch takes no -- APP")
        if not problems and isinstance(found, settings.WatchSettings):
            return _watch_options(found)
        reporting = settings.reporting(parsed.settings)
        return Unusable(tuple(problems), reporting.log_format, reporting.termination_log)


def _watch_options(found: "WatchSettings") -> "Options":
    from guard.watch.options import Options
    from guard.wording import Whereabouts

    host, _, port = found.listen.rpartition(":")
    return Options(
        expected=found.expectation(),
        window=found.window,
        interval=found.interval,
        settle=found.settle,
        unready=found.on_wipe == "unready",
        listen=None if found.listen == "off" else ("127.0.0.1" if host == "localhost" else host, int(port)),
        log_format=found.log_format,
        log_level=found.log_level,
        where=Whereabouts(found.pod, found.node, found.namespace),
    )


def _log(log_format: "Format") -> "Say":
    from guard.report.log import Log

    return Log(log_format).say


def _on_volume(
    command: str, flags: list[str], app: list[str] | None, prober: Prober | ProberFailed, interrupt: Interrupt
) -> int | Handover:
    from guard import settings

    model = settings.MODELS[command]
    parsed = _parsed(command, flags)
    problems = list(parsed.problems)
    warnings = _unknown_settings(problems, lenient=app is not None)
    found, wrong = settings.load(model, parsed.settings)
    problems += wrong
    if command == "hold" and not str(parsed.extras.get("reason") or "").strip():
        problems.append("guard hold: REASON is missing: why, for whoever reads the refusal")
    if app is not None and command != "check":
        problems.append(f"guard {command} takes no -- APP")
    elif app is not None:
        problems += _unusable_app(app)
    if problems or found is None:
        return _unusable(problems, parsed.settings)
    assert isinstance(found, settings.VolumeSettings)
    return _judge(command, found, parsed.extras, app, warnings, prober, interrupt)


def _parsed(command: str, flags: list[str]) -> "Arguments":
    from guard.arguments import parse

    return parse(command, flags)


def _unknown_settings(problems: list[str], *, lenient: bool) -> list[str]:
    """Adds what is misspelt to the problems; gives the names that may be the application's own."""
    from guard.settings import unknown_names

    near = 2  # edits: so close to a setting of ours that it was meant to be one
    others: list[str] = []
    for name, nearest, distance in unknown_names(os.environ):
        sentence = f"unknown setting {name}: the nearest known one is {nearest}"
        if lenient and distance > near:
            others.append(f"left alone: {sentence}")
        else:
            problems.append(sentence)
    return others


def _unusable_app(app: list[str]) -> list[str]:
    if not app:
        return ["-- is there, but no APP behind it"]
    paths = [app[0]] if "/" in app[0] else [os.path.join(folder, app[0]) for folder in os.get_exec_path()]
    if any(os.path.isfile(path) and os.access(path, os.X_OK) for path in paths):
        return []
    return [f"APP {app[0]!r} is not there or not executable"]


def _judge(
    command: str,
    found: "VolumeSettings",
    extras: dict[str, str],
    app: list[str] | None,
    warnings: list[str],
    prober: Prober | ProberFailed,
    interrupt: Interrupt,
) -> int | Handover:
    from guard.report import termination
    from guard.report.log import Log

    log, told = Log(found.log_format, found.log_level), list[Happening]()

    def say(happening: Happening) -> None:
        told.append(happening)
        log.say(happening)

    expected = found.expectation()
    if command != "check":  # these write, and what is there now is what they are about: no floor by setting
        expected = replace(expected, writable=True, loss=replace(expected.loss, min_files=0))
    examiner = None if isinstance(prober, ProberFailed) else Examiner(expected, prober, interrupt)
    try:
        if examiner is None:
            ending = _bug(str(prober), say)
        else:
            ending = _command(command, found, extras, examiner, say, tuple(warnings))
    except Interrupted:
        raise
    except ProberFailed as failed:
        ending = _bug(str(failed), say, told)
    except Exception:  # noqa: BLE001 - a bug is said and has a status
        ending = _bug(traceback.format_exc(), say, told)
    passed = ending.outcome is Outcome.OK or _observes(found)
    if ending.outcome is not Outcome.OK or not app:  # after a pass the file is the application's
        termination.write(found.termination_log, ending.message)
    if examiner is not None:
        examiner.close()
    if passed and app:
        return Handover(app, found.termination_log, say)
    return 0 if passed else ending.outcome.status


def _observes(found: "Reporting | None") -> bool:
    """GUARD_ENFORCE=false: everything is said, and nothing refused."""
    from guard.settings import CheckSettings

    return isinstance(found, CheckSettings) and not found.enforce


def _command(
    command: str,
    found: "VolumeSettings",
    extras: dict[str, str],
    examiner: Examiner,
    say: "Say",
    warnings: tuple[str, ...],
) -> "Ending":
    from guard.wording import Whereabouts

    where = Whereabouts(found.pod, found.node, found.namespace)
    if command == "check":
        from guard import gate
        from guard.settings import CheckSettings

        assert isinstance(found, CheckSettings)
        return gate.check(examiner, found.wait, where, say, warnings)
    from guard.adopt import Adoption

    adoption = Adoption(examiner, where, say)
    commands: dict[str, Callable[[], Ending]] = {
        "adopt": lambda: adoption.adopt(extras.get("replace")),
        "accept": adoption.accept,
        "hold": lambda: adoption.hold(extras["reason"], over=bool(extras.get("over"))),
        "release": adoption.release,
    }
    return commands[command]()


def _become(handover: Handover) -> int:
    """Becomes the application: same environment and streams, and the signals that Python changed put back."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    app = handover.app
    try:
        os.execvpe(app[0], app, _own_environment())  # noqa: S606 - becoming APP is what was asked for
    except OSError as error:
        reason = errno.errorcode.get(error.errno or 0, "an error")
        problem = f"APP {app[0]!r} cannot be executed: {reason}"
        return _report_unusable([problem], handover.termination_log, handover.say)


def _own_environment() -> dict[bytes, bytes]:
    """The environment as it came: in a container without a locale Python sets LC_CTYPE for itself (PEP 538)."""
    environment = dict(os.environb)
    with open("/proc/self/environ", "rb") as came:
        names = {one.partition(b"=")[0] for one in came.read().split(b"\0")}
    if b"LC_CTYPE" not in names:
        environment.pop(b"LC_CTYPE", None)
    return environment


def _bug(trace: str, say: "Say", told: Sequence[Happening] = ()) -> "Ending":
    """Says a bug, or what became of the prober, as the last line of the run that it ended."""
    from guard.wording import Ending, more

    outcome = Outcome.INTERNAL_ERROR
    *above, last = trace.strip().rsplit("\n", 1)
    message = f"{outcome.label}: {'a bug in the guard: ' if above else ''}{last}. {outcome.value.remedy}"
    fields = {"outcome": outcome.label, "status": outcome.status, "traceback": trace}
    goes_on = bool(told) and not told[-1].last
    operation = told[-1].operation if goes_on else _operation()
    say(Happening(Event.VOLUME_REFUSED, message, outcome.severity, fields, operation, first=not goes_on, last=True))
    return Ending(outcome, f"{message}\n{more(outcome)}\n")


def _operation() -> str:
    return os.urandom(8).hex()


def _unforeseen(trace: str, command: str, flags: list[str], app: list[str] | None = None) -> int | Handover:
    """A bug outside of what a command does: said as well as it can be."""
    from guard.report import termination
    from guard.settings import MODELS, Reporting, load, reporting

    try:
        parsed = _parsed(command, flags)
        how, observes = reporting(parsed.settings), _observes(load(MODELS[command], parsed.settings)[0])
    except Exception:  # noqa: BLE001 - the bug may be in reading them
        how, observes = Reporting.model_construct(), False
    say = _log(how.log_format)
    ending = _bug(trace, say)
    termination.write(how.termination_log, ending.message)
    if observes and app:
        return Handover(app, how.termination_log, say)
    return 0 if observes else ending.outcome.status


def _unusable(problems: list[str], flags: dict[str, str]) -> int:
    """Says every problem at once, as far as the settings for saying are usable themselves."""
    from guard.settings import reporting

    found = reporting(flags)
    return _report_unusable(problems, found.termination_log, _log(found.log_format))


def _report_unusable(problems: list[str], termination_log: str, say: "Say") -> int:
    from guard.report import termination
    from guard.wording import more

    outcome = Outcome.USAGE
    message = f"{outcome.label}: {'; '.join(problems)}. {outcome.value.remedy}"
    fields = {"outcome": outcome.label, "status": outcome.status, "problems": problems}
    say(Happening(Event.VOLUME_REFUSED, message, outcome.severity, fields, _operation(), first=True, last=True))
    lines = [
        outcome.label,
        *(f"  {problem}" for problem in problems),
        f"what to do: {outcome.value.remedy}",
        more(outcome),
    ]
    termination.write(termination_log, "\n".join(lines) + "\n")
    return outcome.status


def _answer(text: str, outcome: Outcome) -> int:
    """Writes what was asked for on standard output; a reader that went away changes nothing."""
    rest = memoryview(text.encode("utf-8", "backslashreplace"))
    try:
        while rest:
            rest = rest[os.write(1, rest) :]
    except OSError:
        pass
    return outcome.status
