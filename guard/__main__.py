"""`python -m guard` and the console script."""

import os
import sys

from guard import cli


def main() -> None:
    """Runs the command line and ends the process with its status.

    Everything was written unbuffered by then; the interpreter's own end would only cost time, and would turn a closed
    stream into another status.
    """
    os._exit(cli.run(sys.argv[1:]))


if __name__ == "__main__":
    main()
