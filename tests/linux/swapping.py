"""A hostile writer: swaps `.volume-guard` for a link, a file, another folder or a mount, as fast as it can.

python -m tests.linux.swapping VOLUME OUTSIDE
"""

import ctypes
import os
import shutil
import sys
from contextlib import suppress

_MS_BIND, _MNT_DETACH = 4096, 2


def main() -> None:
    """Runs inside, until it is killed."""
    volume, outside = sys.argv[1:]
    folder, kept = f"{volume}/.volume-guard", f"{volume}/kept"
    libc = ctypes.CDLL(None)
    os.write(1, b"ready\n")
    while True:
        libc.mount(os.fsencode(outside), os.fsencode(folder), None, _MS_BIND, None)
        libc.umount2(os.fsencode(folder), _MNT_DETACH)
        for name in ("marker.json", "ledger.json"):
            with suppress(OSError):
                os.symlink(f"{outside}/target", f"{folder}/.swap")
                os.rename(f"{folder}/{name}", f"{volume}/{name}")
                os.rename(f"{folder}/.swap", f"{folder}/{name}")
                os.rename(f"{volume}/{name}", f"{folder}/{name}")
        os.rename(folder, kept)
        with suppress(OSError):  # a write can have made the folder in between
            os.symlink(outside, folder)
            os.unlink(folder)
        while os.path.exists(kept):
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                os.rename(kept, folder)


if __name__ == "__main__":
    main()
