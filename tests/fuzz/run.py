"""Fuzzes one target, guided by coverage: `python -m tests.fuzz.run TARGET SECONDS FOLDER`.

New inputs go to the folder, beside what is in it and in the corpus of the repository. A foreign exception, more than a
second for one input, or more than 1 GiB of memory ends it with an error, and leaves the input in the folder's parent.
"""

import os
import sys
import time

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

with atheris.instrument_imports(include=["guard"]):
    from tests.fuzz.targets import TARGETS

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
#: Of a processor, for one input of at most 64 KiB.
_SECONDS = 1.0


def main() -> None:
    name, seconds, folder = sys.argv[1:]
    target = TARGETS[name]

    def timed(text: bytes) -> None:
        began = time.process_time()
        target(text)
        took = time.process_time() - began
        assert took < _SECONDS, f"{took} s"

    os.makedirs(folder, exist_ok=True)
    # The time-out is by the clock on the wall, which a busy machine stretches: it ends what hangs.
    limits = [
        f"-max_total_time={seconds}",
        "-timeout=60",
        "-rss_limit_mb=1024",
        "-max_len=65536",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={folder}.", folder, f"{CORPUS}/{name}"], timed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
