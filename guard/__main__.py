"""`python -m guard` and the console script."""

import os
import sys
import time

from guard.report import stream, termination

#: The last line where none can be made as usual: JSON, whatever GUARD_LOG_FORMAT is.
_LAST_LINE = '{"severity": "ERROR", "time": "%s", "message": "%s", "event": "internal.error", "outcome": "internal-error", "status": 1}\n'
_MESSAGE = "The guard ended on %s and cannot report more. If too little memory is allowed to the pod, raise the container's limit."
#: Addresses that are kept for it: bytes, whose pages nothing touches. The interpreter takes a MiB at a time.
_reserve = [bytes(2 << 20)]


def main() -> None:
    """Runs the command line and ends the process with its status.

    Everything was written unbuffered by then; the interpreter's own end would only cost time, and would turn a closed
    stream into another status.
    """
    _hold_standard_streams()
    try:
        from guard import cli  # noqa: PLC0415 - what fails in it is reported too

        status = cli.run(sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - of an import, or of a report
        status = _report_briefly(error)
    os._exit(status)


def _report_briefly(error: Exception) -> int:
    _reserve.clear()
    named = ascii(error)[:128].replace("\\", "/").replace('"', "'")  # fit for JSON, without the module for it
    now, message = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()), _MESSAGE % named
    stream.write(2, (_LAST_LINE % (now, message)).encode())
    termination.write(os.environ.get("GUARD_TERMINATION_LOG") or "/dev/termination-log", f"{message}\n")
    return 1


def _hold_standard_streams() -> None:
    """A stream that came closed gets /dev/null, so that no pipe of ours takes its number; APP finds it closed again."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    main()
