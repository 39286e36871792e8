"""Mounts what a disk held at moments of its trace, as after a power failure, and reads the guard's documents from it.

    python -m tests.linux.crash_images FOLDER IMAGE TRACE SEED OPTIONS CUT... > answer

The answer is a pickle: of each image the cut, and name and text of the documents.
"""

import os
import pickle
import random
import subprocess
import sys

from tests.linux.disk_recorder import images, read_trace

#: What of the documents of a moment is worth keeping: temporary files belong to nobody.
Texts = dict[str, bytes]


def read_documents(root: str) -> Texts:
    """Name and text of each document on a mounted volume."""
    found = {}
    folder = f"{root}/.volume-guard"
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        if not name.startswith("."):
            with open(f"{folder}/{name}", "rb") as document:
                found[name] = document.read()
    return found


def main() -> None:
    """Runs inside."""
    folder, base, trace, seed, options, *cuts = sys.argv[1:]
    image, mounted = f"{folder}/image", f"{folder}/mounted"
    os.makedirs(mounted)
    answer: list[tuple[int, Texts]] = []
    for cut, records in images(read_trace(trace), [int(cut) for cut in cuts], random.Random(seed)):
        subprocess.run(["cp", "--sparse=always", base, image], check=True)
        with open(image, "r+b") as disk:
            for one in records:
                if one.text is not None:
                    disk.seek(one.offset)
                    disk.write(one.text)
        subprocess.run(["mount", "-o", options, image, mounted], check=True)
        answer.append((cut, read_documents(mounted)))
        subprocess.run(["umount", mounted], check=True)
    pickle.dump(answer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
