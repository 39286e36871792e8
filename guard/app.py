"""The commands, heavy: settings and arguments in, the command run, its ending out."""

import io
import os
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import guard
from guard import arguments, exits, settings
from guard.arguments import Arguments
from guard.check import Gate
from guard.event import EventRecord
from guard.exits import ExecApp
from guard.messages import CommandResult, Messages
from guard.outcome import Outcome
from guard.pod import PodInfo
from guard.probe.client import ProbeClient, ProberFailed
from guard.probe.inspector import Inspector
from guard.probe.process import Prober
from guard.report import stream, termination
from guard.report.log import Log
from guard.report.text import nearest, truncate
from guard.settings import CheckSettings, DoctorSettings, Reporting, VolumeSettings, WatchSettings
from guard.stop_signal import Stopped, StopSignal

if TYPE_CHECKING:
    from guard.watch.config import ConfigErrors, WatchConfig

#: Edits: a name so close to a setting of ours was meant to be one.
_NEAR = 2
_HELP = frozenset({"help", "--help", "-h"})


@dataclass(frozen=True)
class _CommandLine:
    """What was asked for.

    Attributes:
        arguments: Flags, and the arguments that are no settings.
        settings: None where something is wrong.
        app: What follows `--`; None without.
        problems: Everything that is wrong.
        warnings: Variables that can be the application's own.
    """

    arguments: Arguments
    settings: Reporting | None
    app: list[str] | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def reporter(self) -> Reporting:
        """Where to report the problems."""
        return settings.reporting(self.arguments.settings)


def _read(command: str, words: Sequence[str]) -> _CommandLine:
    before, dashes, behind = list(words), "--" in words, list[str]()
    if dashes:
        end = before.index("--")
        before, behind = before[:end], before[end + 1 :]
    read = arguments.parse(command, before)
    found, wrong = settings.load(settings.MODELS[command], read.settings)
    problems, warnings = [*read.problems, *wrong], list[str]()
    for name, near, distance in settings.unknown_names(os.environ):
        sentence = f"unknown setting {truncate(name)}: the nearest known one is {near}"
        if dashes and distance > _NEAR:
            warnings.append(f"left alone: {sentence}")
        else:
            problems.append(sentence)
    if dashes and command != "check":
        problems.append(f"guard {command} takes no -- APP")
    elif dashes and not behind:
        problems.append("-- is there, but no APP behind it")
    elif dashes and not exits.is_executable(behind[0]):
        problems.append(f"APP {truncate(behind[0])!r} is not there or not executable")
    return _CommandLine(read, found, behind if dashes else None, tuple(problems), tuple(warnings))


def answer(command: str, words: Sequence[str]) -> int:
    """Runs a command that touches no volume; returns the exit status."""
    if command in {"--version", "-V"}:
        return _print(f"volume-guard {guard.__version__}\n")
    asked = command in _HELP
    if asked:
        command = words[0] if words else ""
    if asked and (not command or command in _HELP):
        return _print(arguments.overview())
    known = ", ".join(arguments.COMMANDS)
    if not command:
        _print(arguments.overview())
        problem = f"no command is given: known are {known}"
    elif command.startswith("-"):
        problem = f"{truncate(command)} comes before the command: guard COMMAND [FLAG...]"
    elif command not in arguments.COMMANDS:
        near = nearest(command, arguments.COMMANDS)
        problem = f"unknown command {truncate(command)!r}: the nearest known one is {near} (known are {known})"
    elif asked:
        return _print(arguments.help_text(command))
    else:
        return _doctor(words) if command == "doctor" else _explain(words)
    return exits.report_usage([problem], settings.reporting({}))


def _print(text: str) -> int:
    exits.write_stdout(text)
    return Outcome.OK.status


def _explain(words: Sequence[str]) -> int:
    from guard import explain  # noqa: PLC0415 - the rules of the doctor are needed here only

    parsed = arguments.parse("explain", words)
    name = str(parsed.extras.get("name"))
    text = None if parsed.problems else explain.explain(name)
    if text is None:
        unknown = f"nothing is called {truncate(name)!r}: the nearest known name is {explain.nearest_name(name)}"
        return exits.report_usage(parsed.problems or [unknown], settings.reporting({}))
    return _print(text)


def _doctor(words: Sequence[str]) -> int:
    line = _read("doctor", words)
    wanted, found, problems = line.arguments.extras, line.settings, list(line.problems)
    files, live, logs = (tuple(wanted.get(name) or ()) for name in ("files", "live", "logs"))
    if not line.arguments.problems and not (files or live):
        problems.append("guard doctor: FILE is missing; - is standard input")
    named = (*files, *live, *logs).count("-")
    if named > 1:
        problems.append("guard doctor: - is named twice, and standard input can be read once: give the other as a file")
    if problems or not isinstance(found, DoctorSettings):
        return exits.report_usage(problems, line.reporter)
    from guard.doctor import command  # noqa: PLC0415 - it brings a YAML library, which the gate must not load

    options = command.Options(
        files=files,
        live=live,
        logs=logs,
        output=wanted.get("output", "table"),
        fail_on=wanted.get("fail_on", "error"),
        path=found.path or "",
        colour=stream.has_colours(1),
        width=stream.columns(1, 100),
    )
    # Not sys.stdin, which is None where it came closed.
    with open(0, "rb", closefd=False) if named else io.BytesIO() as stdin:
        outcome, text = command.run(options, stdin)
    exits.write_stdout(text)
    return outcome.status


def watch_config(words: Sequence[str]) -> "WatchConfig | ConfigErrors":
    """Reads the settings of `guard watch`."""
    from guard.watch.config import ConfigErrors, WatchConfig  # noqa: PLC0415 - the gate needs nothing of the watcher

    line = _read("watch", words)
    found = line.settings
    if line.problems or not isinstance(found, WatchSettings):
        return ConfigErrors(line.problems, line.reporter.log_format, line.reporter.termination_log)
    host, _, port = found.listen.rpartition(":")
    return WatchConfig(
        expected=found.expectation(),
        interval=found.interval,
        settle=found.settle,
        unready=found.on_wipe == "unready",
        listen=None if found.listen == "off" else ("127.0.0.1" if host == "localhost" else host, int(port)),
        log_format=found.log_format,
        log_level=found.log_level,
        pod=PodInfo(found.pod, found.node, found.namespace),
    )


class VolumeCommand:
    """One run of a command on the volume.

    Args:
        command: One of cli.VOLUME_COMMANDS.
        words: Its arguments.
        prober: Forked before anything heavy was imported; or why that failed.
        stop: The signals.
    """

    def __init__(self, command: str, words: Sequence[str], prober: Prober | ProberFailed, stop: StopSignal) -> None:
        self._command = command
        self._words = words
        self._prober = prober
        self._stop = stop
        self._log = Log()
        self._last: EventRecord | None = None

    def run(self) -> int | ExecApp:
        """Runs it; returns the exit status, or the application to become.

        Raises:
            Stopped: A signal asked for the end while something was waited for.
        """
        line = _read(self._command, self._words)
        found = line.settings
        if line.problems or not isinstance(found, VolumeSettings):
            return exits.report_usage(line.problems, line.reporter)
        self._log = Log(found.log_format, found.log_level)
        inspector = None
        try:
            inspector = self._inspector(found)
            result = self._execute(found, line, inspector)
        except Stopped:
            raise
        except Exception as bug:  # noqa: BLE001 - a bug is reported, has a status, and doesn't stop who only observes
            trace = str(bug) if isinstance(bug, ProberFailed) else traceback.format_exc()
            result = exits.report_bug(trace, found, self._last)
        if result.outcome is not Outcome.OK or not line.app:  # after a pass the file is the application's
            termination.write(found.termination_log, result.message)
        if inspector is not None:
            inspector.close()
        observes = isinstance(found, CheckSettings) and not found.enforce
        if result.outcome is not Outcome.OK and not observes:
            return result.outcome.status
        return ExecApp(line.app, found) if line.app else Outcome.OK.status

    def _inspector(self, found: VolumeSettings) -> Inspector:
        if isinstance(self._prober, ProberFailed):
            raise self._prober
        expected = found.expectation()
        if not isinstance(found, CheckSettings):
            # The others write, and what is there now is what they are about: no floor by setting.
            expected = replace(expected, writable=True, loss=replace(expected.loss, min_files=0))
        return Inspector(expected, ProbeClient(self._prober, expected.probe_timeout), self._stop)

    def _execute(self, found: VolumeSettings, line: _CommandLine, inspector: Inspector) -> CommandResult:
        pod, extras = PodInfo(found.pod, found.node, found.namespace), line.arguments.extras
        if isinstance(found, CheckSettings):
            if not found.enforce and not line.app:
                # This container ends at once: commands are run in the watcher's.
                pod = replace(pod, container="volume-guard-watch")
            messages = Messages(inspector.expected, pod)
            return Gate(inspector, found.wait, found.enforce, messages, self._emit, line.warnings).run()
        from guard.adopt import MarkerCommands  # noqa: PLC0415 - the gate needs none of it

        commands = MarkerCommands(inspector, Messages(inspector.expected, pod), self._emit)
        if self._command == "adopt":
            return commands.adopt(extras.get("replace"))
        if self._command == "hold":
            return commands.hold(extras["reason"], over=bool(extras.get("over")))
        return commands.accept() if self._command == "accept" else commands.release()

    def _emit(self, record: EventRecord) -> None:
        self._last = record
        self._log.emit(record)
