"""`python -m guard.backup COMMAND`: settings and arguments in, an exit status out. Runs in the backup image, behind the gate.

archive   behind `guard check --`: judges once more, archives, compares, checks, forgets
restore   holds the volume, restores, releases it
drill     restores the newest whole snapshot into an empty folder and compares
init      makes the repository, once
"""

import argparse
import os
import re
import select
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from guard.backup import archive, drill
from guard.backup.gate import Guard, Refused
from guard.backup.restic import Restic
from guard.backup.restore import Restore
from guard.backup.result import BackupEvent, Failed, Result
from guard.backup.retention import Policy
from guard.backup.say import Voice
from guard.outcome import TERMINATED, Outcome, Severity
from guard.pod import PodInfo
from guard.report import termination
from guard.report.log import Log
from guard.settings import CheckSettings, Reporting, load, reporting
from guard.stop_signal import Stopped, StopSignal
from guard.values import duration

#: restic divides its data into no more shares.
_PARTS = 256
_LOCK_WAIT = re.compile(r"\d{1,5}[smh]", re.ASCII)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Failed(Result.USAGE, message)


def parser() -> argparse.ArgumentParser:
    """What stands behind `python -m guard.backup`; it raises Failed on whatever it can't take."""
    words = _Parser(prog="python -m guard.backup", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    common = _Parser(add_help=False)
    common.add_argument("--lock-wait", default="2m", help="How long to wait for another's lock on the repository (2m).")
    commands = words.add_subparsers(dest="command", required=True)

    def command(name: str, purpose: str) -> _Parser:
        return commands.add_parser(name, help=purpose, parents=[common])

    night = command("archive", "Archives, compares, checks, forgets.")
    night.add_argument("--keep-within", default="30d", help="In restic's notation, where m is months (30d).")
    night.add_argument("--keep-last", type=int, default=14, help="And at least so many (14).")
    night.add_argument(
        "--read-parts", type=int, default=7, help="All data is read back within so many days, at most 256 (7)."
    )
    night.add_argument(
        "--settle", default="60s", help="Time after which a snapshot that lost the data is taken anew (60s)."
    )
    back = command("restore", "Holds the volume, restores, releases it.")
    back.add_argument(
        "--snapshot", default="latest", help="The start of its ID, or latest: the newest whole one that kept the data."
    )
    back.add_argument(
        "--over-data", action="store_true", help="Also where the volume has its data: back to an older state."
    )
    trial = command("drill", "Restores the newest whole snapshot into an empty folder and compares.")
    trial.add_argument("--into", required=True, help="An empty folder with room for the data.")
    trial.add_argument("--max-age", default="2d", help="How old it may be (2d).")
    command("init", "Makes the repository, once.")
    return words


def _run(wanted: argparse.Namespace, found: CheckSettings, interrupt: StopSignal, say: Voice) -> str:
    if not _LOCK_WAIT.fullmatch(wanted.lock_wait):
        raise Failed(Result.USAGE, f"--lock-wait {wanted.lock_wait!r} is not a time such as 30s or 2m")
    restic = Restic(interrupt, found.volume, say, wanted.lock_wait)
    if wanted.command == "init":
        made = restic.init()
        message = "The repository is made." if made else "The repository is there already and opens; nothing was made."
        say(BackupEvent.READY, message, last=True)
        return message
    if wanted.command == "archive":
        return archive.run(_night(wanted, found), Guard(interrupt), restic, _pausing(interrupt), say)
    if wanted.command == "restore":
        return Restore(
            found.path,
            wanted.snapshot,
            wanted.over_data,
            found.loss_rule(),
            Guard(interrupt),
            restic,
            interrupt,
            say,
            found.termination_log,
        ).run()
    age = timedelta(seconds=_seconds("--max-age", wanted.max_age))
    if not os.path.isdir(wanted.into):
        raise Failed(Result.USAGE, f"--into {wanted.into!r} is no folder: a drill restores into an empty one")
    into = os.path.realpath(wanted.into)
    return drill.run(drill.Drill(into, found.loss_rule(), age, datetime.now(UTC)), restic, say)


def _night(wanted: argparse.Namespace, found: CheckSettings) -> archive.Night:
    if not found.enforce:
        raise Failed(Result.USAGE, "GUARD_ENFORCE=false: a gate that lets everything pass is none for a backup")
    if not 1 <= wanted.read_parts <= _PARTS:
        raise Failed(Result.USAGE, f"--read-parts {wanted.read_parts} is not from 1 to {_PARTS}")
    try:
        policy = Policy(wanted.keep_within, wanted.keep_last)
    except ValueError as error:
        raise Failed(Result.USAGE, str(error)) from None
    settle = _seconds("--settle", wanted.settle)
    today = datetime.now(UTC).date()
    return archive.Night(found.path, found.loss_rule(), policy, wanted.read_parts, settle, today)


def _seconds(flag: str, text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise Failed(Result.USAGE, f"{flag} {text!r}: {error}") from None


def _pausing(interrupt: StopSignal) -> Callable[[float], None]:
    def pause(seconds: float) -> None:
        poll = select.poll()
        poll.register(interrupt.descriptor, select.POLLIN)
        poll.poll(seconds * 1000)
        interrupt.check()

    return pause


def main(arguments: Sequence[str]) -> int:
    """Runs one command; the exit status."""
    problems: list[str] = []
    try:
        wanted = parser().parse_args(arguments)
    except Failed as failed:
        problems.append(failed.found)
    found, wrong = load(CheckSettings, {})
    problems += wrong
    if problems or not isinstance(found, CheckSettings):
        how = reporting({})
        say = _voice(how, os.environ.get("GUARD_VOLUME", ""))
        return _failed(Failed(Result.USAGE, "; ".join(problems)), say, how.termination_log)
    say = _voice(found, found.volume)
    with StopSignal() as interrupt:
        try:
            message = _run(wanted, found, interrupt, say)
        except Stopped:
            return interrupt.status or TERMINATED
        except Refused as refused:
            if refused.unsaid:
                say(BackupEvent.FAILED, refused.unsaid, last=True, status=refused.status)
            if refused.reason:
                termination.write(found.termination_log, f"{refused.reason}\n")
            return refused.status
        except Failed as failed:
            return _failed(failed, say, found.termination_log)
        except Exception:  # noqa: BLE001 - a bug is said and has a status
            return _bug(traceback.format_exc(), say, found.termination_log)
    termination.write(found.termination_log, f"ok: {message}\n")
    return Result.OK.status


def _voice(how: Reporting, volume: str) -> Voice:
    return Voice(Log(how.log_format, how.log_level).say, PodInfo(how.pod, how.node, how.namespace), volume)


def _failed(failed: Failed, say: Voice, termination_log: str) -> int:
    row = failed.result.value
    message = f"{row.label}: {failed.found}. {row.remedy}"
    say(BackupEvent.FAILED, message, last=True, result=row.label, status=row.status)
    termination.write(termination_log, f"{row.label}\nfound: {failed.found}\nwhat to do: {row.remedy}\n")
    return row.status


def _bug(trace: str, say: Voice, termination_log: str) -> int:
    outcome = Outcome.INTERNAL_ERROR
    message = (
        f"{outcome.label}: a bug in the backup: {trace.strip().rsplit(chr(10), 1)[-1]}. Report it with the traceback."
    )
    fields = {"result": outcome.label, "status": outcome.status, "traceback": trace}
    say(BackupEvent.FAILED, message, severity=Severity.ERROR, last=True, **fields)
    termination.write(termination_log, message + "\n")
    return outcome.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
