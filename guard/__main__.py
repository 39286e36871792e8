"""`python -m guard` and the console script."""

import os
import sys

from guard import cli


def main() -> None:
    """Runs the command line and ends the process with its status.

    Everything was written unbuffered by then; the interpreter's own end would only cost time, and would turn a closed
    stream into another status.
    """
    _hold_standard_streams()
    os._exit(cli.run(sys.argv[1:]))


def _hold_standard_streams() -> None:
    """A stream that came closed gets /dev/null, so that no pipe of ours takes its number; APP finds it closed again."""
    for stream in (0, 1, 2):
        try:
            os.fstat(stream)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    main()
