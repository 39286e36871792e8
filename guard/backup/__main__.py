"""`python -m guard.backup COMMAND`: settings and arguments in, an exit status out. Runs in the backup image, behind the gate.

archive   behind `guard check --`: asks the gate once more, archives, compares, checks, forgets
restore   holds the volume, restores, releases it
drill     restores the last good snapshot into an empty folder and compares
init      makes the repository, once
"""

import argparse
import os
import re
import sys
import traceback
from collections.abc import Sequence
from datetime import timedelta
from typing import NoReturn

from guard import clock
from guard.backup.archive import ArchiveJob
from guard.backup.drill import Drill
from guard.backup.events import BackupEvent, EventLog
from guard.backup.gate import GateRefused, Guard
from guard.backup.judgement import Judge
from guard.backup.restic import Restic
from guard.backup.restore import Restore
from guard.backup.result import Failed, Result
from guard.backup.retention import Policy, share
from guard.outcome import TERMINATED, Outcome
from guard.pod import PodInfo
from guard.report import termination
from guard.report.log import Log
from guard.settings import CheckSettings, Reporting, load, reporting
from guard.stop_signal import Stopped, StopSignal
from guard.values import duration
from guard.volume.ignore import Ignore

#: restic divides its data into no more shares.
_PARTS = 256
_LOCK_WAIT = re.compile(r"\d{1,5}[smh]", re.ASCII)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Failed(Result.USAGE, message)


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the arguments; it raises Failed where one is wrong."""
    program = _Parser(prog="python -m guard.backup", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    common = _Parser(add_help=False)
    common.add_argument("--lock-wait", default="2m", help="How long to wait for another's lock on the repository (2m).")
    commands = program.add_subparsers(dest="command", required=True)

    def command(name: str, purpose: str) -> _Parser:
        return commands.add_parser(name, help=purpose, parents=[common])

    archive = command("archive", "Archives, compares, checks, forgets.")
    archive.add_argument("--keep-within", default="30d", help="In restic's notation, where m is months (30d).")
    archive.add_argument("--keep-last", type=int, default=14, help="And at least so many (14).")
    archive.add_argument(
        "--read-parts", type=int, default=7, help="All data is read back within so many days, at most 256 (7)."
    )
    archive.add_argument(
        "--settle", default="60s", help="Time after which a snapshot that lost the data is made again (60s)."
    )
    restore = command("restore", "Holds the volume, restores, releases it.")
    restore.add_argument("--snapshot", default="latest", help="The start of its ID, or latest: the last good one.")
    restore.add_argument(
        "--over-data", action="store_true", help="Also where the volume has its data: back to an older state."
    )
    drill = command("drill", "Restores the last good snapshot into an empty folder and compares.")
    drill.add_argument("--into", required=True, help="An empty folder with room for the data.")
    drill.add_argument("--max-age", default="2d", help="How old the snapshot can be (2d).")
    command("init", "Makes the repository, once.")
    return program


def _run(arguments: argparse.Namespace, settings: CheckSettings, stop_signal: StopSignal, emit: EventLog) -> str:
    if not _LOCK_WAIT.fullmatch(arguments.lock_wait):
        raise Failed(Result.USAGE, f"--lock-wait {arguments.lock_wait!r} is not a time such as 30s or 2m")
    restic = Restic(stop_signal, settings.volume, emit, arguments.lock_wait)
    if arguments.command == "init":
        made = restic.init()
        message = "The repository is made." if made else "The repository is there already and opens; nothing was made."
        emit(BackupEvent.READY, message, last=True)
        return message
    judge = Judge(settings.loss_rule(), Ignore(settings.ignore), restic.each_node)
    guard, path, now = Guard(stop_signal), settings.path, clock.now().wall
    if arguments.command == "archive":
        if not settings.enforce:
            raise Failed(Result.USAGE, "GUARD_ENFORCE=false: a gate that lets everything pass is none for a backup")
        if not 1 <= arguments.read_parts <= _PARTS:
            raise Failed(Result.USAGE, f"--read-parts {arguments.read_parts} is not from 1 to {_PARTS}")
        try:
            policy = Policy(arguments.keep_within, arguments.keep_last)
        except ValueError as error:
            raise Failed(Result.USAGE, str(error)) from None
        part, settle = share(now.date(), arguments.read_parts), _seconds("--settle", arguments.settle)
        return ArchiveJob(path, part, settle, policy, guard, restic, judge, stop_signal, emit).run()
    if arguments.command == "restore":
        over, log = arguments.over_data, settings.termination_log
        return Restore(path, arguments.snapshot, over, guard, restic, judge, stop_signal, emit, log).run()
    age = timedelta(seconds=_seconds("--max-age", arguments.max_age))
    if not os.path.isdir(arguments.into):
        raise Failed(Result.USAGE, f"--into {arguments.into!r} is no folder: a drill restores into an empty one")
    return Drill(os.path.realpath(arguments.into), age, now, restic, judge, emit).run()


def _seconds(flag: str, text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise Failed(Result.USAGE, f"{flag} {text!r}: {error}") from None


def main(argv: Sequence[str]) -> int:
    """Runs one command; returns the exit status."""
    problems: list[str] = []
    try:
        arguments = parser().parse_args(argv)
    except Failed as failed:
        problems.append(failed.found)
    settings, wrong = load(CheckSettings, {})
    problems += wrong
    if problems or not isinstance(settings, CheckSettings):
        how = reporting({})
        emit = _event_log(how, os.environ.get("GUARD_VOLUME", ""))
        return _failed(Failed(Result.USAGE, "; ".join(problems)), emit, how.termination_log)
    emit = _event_log(settings, settings.volume)
    with StopSignal() as stop_signal:
        try:
            message = _run(arguments, settings, stop_signal, emit)
        except Stopped:
            return stop_signal.status or TERMINATED
        except GateRefused as refused:
            if refused.message:
                emit(BackupEvent.FAILED, refused.message, {"status": refused.status}, last=True)
            if refused.reason:
                termination.write(settings.termination_log, f"{refused.reason}\n")
            return refused.status
        except Failed as failed:
            return _failed(failed, emit, settings.termination_log)
        except Exception:  # noqa: BLE001 - a bug is reported and has a status
            return _report_bug(traceback.format_exc(), emit, settings.termination_log)
    termination.write(settings.termination_log, f"ok: {message}\n")
    return Result.OK.status


def _event_log(how: Reporting, volume: str) -> EventLog:
    return EventLog(Log(how.log_format, how.log_level).emit, PodInfo(how.pod, how.node, how.namespace), volume)


def _failed(failed: Failed, emit: EventLog, termination_log: str) -> int:
    row = failed.result.value
    message = f"{row.label}: {failed.found}. {row.remedy}"
    emit(BackupEvent.FAILED, message, {"result": row.label, "status": row.status}, last=True)
    termination.write(termination_log, f"{row.label}\nfound: {failed.found}\nwhat to do: {row.remedy}\n")
    return row.status


def _report_bug(trace: str, emit: EventLog, termination_log: str) -> int:
    outcome = Outcome.INTERNAL_ERROR
    message = (
        f"{outcome.label}: a bug in the backup: {trace.strip().rsplit(chr(10), 1)[-1]}. Report it with the traceback."
    )
    fields = {"result": outcome.label, "status": outcome.status, "traceback": trace}
    emit(BackupEvent.FAILED, message, fields, last=True)
    termination.write(termination_log, message + "\n")
    return outcome.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
