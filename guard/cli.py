"""The command line, light: knows which commands touch the volume, and forks their prober before anything heavy is imported."""

import errno
import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guard.outcome import TERMINATED, Outcome
from guard.probe import requests  # noqa: F401 - the prober is forked with what it runs
from guard.probe.client import ProbeClient, ProberFailed
from guard.probe.process import Prober
from guard.stop_signal import Stopped, StopSignal

if TYPE_CHECKING:
    from guard.watch.config import ConfigErrors, WatchConfig

VOLUME_COMMANDS = ("check", "adopt", "accept", "hold", "release")
#: The exit status after Ctrl-C: 128 + SIGINT.
INTERRUPTED = 130
_HELP = frozenset({"--help", "-h"})


def run(arguments: Sequence[str]) -> int:
    """Runs one command; returns the exit status."""
    command, words = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    own = words[: words.index("--")] if "--" in words else words
    try:
        if not _HELP.isdisjoint(own):
            command, words = "help", [command]
        if command == "watch":
            return _watch(words)
        if command in VOLUME_COMMANDS:
            return _on_volume(command, words)
        from guard import app

        return app.answer(command, words)
    except KeyboardInterrupt:  # the doctor, which waits for standard input
        return INTERRUPTED
    except Exception:  # noqa: BLE001 - the last line of defence: a bug is reported and has a status
        return _report_bug(traceback.format_exc())


def _on_volume(command: str, words: list[str]) -> int:
    with StopSignal() as stop:
        prober = _fork()
        from guard import app, exits

        try:
            ending = app.VolumeCommand(command, words, prober, stop).run()
            stop.check()
        except Stopped:
            return stop.status or TERMINATED
    return exits.exec_app(ending) if isinstance(ending, exits.ExecApp) else ending


def _fork(keep: tuple[int, ...] = ()) -> Prober | ProberFailed:
    """Returns the prober; that none can be forked is reported once the settings of reports are known."""
    try:
        return Prober(keep)
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "an error")
        return ProberFailed(
            f"no prober can be started: {code} on fork (too few processes or memory allowed to the pod)"
        )


def _watch(words: list[str]) -> int:
    """Runs the sidecar: a signal is its ordinary end, so its status is 0."""
    with StopSignal() as stop:
        import gc

        from guard.probe.process import run_in_child
        from guard.watch.config import ConfigErrors
        from guard.watch.loop import WatchLoop

        # Both processes live long: what is imported before the fork, and not touched by the collector, is in memory once.
        # What imports leave behind goes first: its places would be filled in both, and tear pages apart.
        gc.collect()
        gc.freeze()
        wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        prober = _fork((wake,))
        if isinstance(prober, ProberFailed):
            return _report_bug(str(prober))
        # pydantic takes 15 MiB, and is not needed any more once the settings are read.
        config = run_in_child(_ReadWatchSettings(tuple(words)))
        if isinstance(config, ConfigErrors):
            from guard import exits

            prober.close()
            return exits.report_usage(
                config.problems, exits.ReportTo(config.log_format, termination_log=config.termination_log)
            )
        client = ProbeClient(prober, config.expected.probe_timeout, (wake,))
        WatchLoop(config, client, wake, stop).run()
    return Outcome.OK.status


@dataclass(frozen=True)
class _ReadWatchSettings:
    """Reads the settings of `guard watch` in a process that ends right after."""

    words: tuple[str, ...]

    def run(self, report: Callable[[Any], None]) -> "WatchConfig | ConfigErrors":
        """Reads environment and flags."""
        del report
        from guard import app

        return app.watch_config(list(self.words))


def _report_bug(trace: str) -> int:
    """Reports a bug outside of a command: not by the settings, which it may be in."""
    from guard import exits

    log_format = os.environ.get("GUARD_LOG_FORMAT")
    reporter = exits.ReportTo(
        "json" if log_format == "json" else "console" if log_format == "console" else "auto",
        termination_log=os.environ.get("GUARD_TERMINATION_LOG") or exits.ReportTo.termination_log,
    )
    return exits.report_bug(trace, reporter).outcome.status
