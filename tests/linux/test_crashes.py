"""Power that fails at any moment of a command: what is on the disk then is the old or the new document, whole.

By default a part of the moments on ext4; `CRASH_IMAGES=all` judges every one, also on XFS and btrfs.
"""

import os
import pickle
import random
import shutil
import subprocess
import sys
import time

import pytest

from guard.probe.writes import WriteLedger
from guard.volume import ledger, marker
from tests.linux import disk_recorder, probing
from tests.linux.sandbox import DEADLINE, Sandbox
from tests.linux.serving import MARKS

pytestmark = MARKS

_ALL = os.environ.get("CRASH_IMAGES") == "all"
#: Moments that are judged by default, each with two images.
_MOMENTS = 20
_FILE_SYSTEMS = {
    "ext4": ("8M", ["mkfs.ext4", "-q"], "loop"),
    "xfs": ("300M", ["mkfs.xfs", "-q"], "loop,nouuid"),
    "btrfs": ("110M", ["mkfs.btrfs", "-q"], "loop"),
}


class _Recorded:
    """A disk whose writes are recorded, mounted at a sandbox's path, and what each command left on it."""

    def __init__(self, sandbox: Sandbox, options: str) -> None:
        self.sandbox = sandbox
        self.trace = f"{sandbox.work}/trace"
        sandbox.sh("mkdir $W/fuse; cp --sparse=always $W/disk $W/base")
        command = [
            sys.executable,
            disk_recorder.__spec__.name,
            f"{sandbox.work}/fuse",
            f"{sandbox.work}/disk",
            self.trace,
        ]
        command.insert(1, "-m")
        self.server = sandbox.start(command, stdout=subprocess.PIPE, env=sandbox.environment({}))
        assert self.server.stdout is not None
        assert self.server.stdout.readline() == b"mounted\n"
        sandbox.sh(f"mount -o {options} $W/fuse/disk $P; mkdir $P/a; echo text >$P/a/1; echo text >$P/a/2; sync -f $P")
        self.marks: list[tuple[int, dict[str, bytes]]] = []
        self.mark()

    def mark(self) -> None:
        """Notes what is durable from this record on."""
        recorded = len(disk_recorder.read_trace(self.trace))
        names = self.sandbox.sh("[ ! -e $P/.volume-guard ] || ls $P/.volume-guard").split()
        texts = {name: self.sandbox.sh(f"cat $P/.volume-guard/{name}").encode() for name in names}
        self.marks.append((recorded, texts))

    def guard(self, *arguments: str) -> None:
        ended = self.sandbox.guard(*arguments)
        assert ended.status == 0, ended.stderr
        self.mark()

    def write_ledger(self) -> None:
        """Has the ledger written as the watcher does."""
        last = ledger.FORMAT.parse(self.marks[-1][1]["ledger.json"])
        new = ledger.Ledger(last.marker_id, last.generation, last.reference, "2026-11-24T18:27:01Z", "a-pod")
        written = probing.run(self.sandbox, WriteLedger(probing.mount_ref(self.sandbox), new, last.generation))
        assert written[0].ledger == new
        self.mark()

    def close(self) -> None:
        self.sandbox.sh("umount $P; umount $W/fuse")
        self.server.kill()
        self.server.communicate()

    def judge(self, seed: int, options: str) -> int:
        """Mounts what was on the disk at the moments between the marks; returns how many images held up."""
        last = self.marks[-1][0]
        moments = list(range(self.marks[0][0], last + 1))
        if not _ALL:
            moments = sorted({*random.Random(seed).sample(moments, _MOMENTS), *(mark for mark, _ in self.marks)})
        process = self.sandbox.start(
            [sys.executable, "-m", "tests.linux.crash_images", f"{self.sandbox.work}/judged", f"{self.sandbox.work}/base",
             self.trace, str(seed), options, *map(str, moments)],
            stdout=subprocess.PIPE, env=self.sandbox.environment({}),
        )  # fmt: skip
        judged = pickle.loads(process.communicate(timeout=DEADLINE * 20)[0])
        for cut, found in judged:
            before = max(number for number, (mark, _) in enumerate(self.marks) if mark <= cut)
            old, new = self.marks[before][1], self.marks[min(before + 1, len(self.marks) - 1)][1]
            for name in {*old, *new, *found}:
                assert found.get(name) in {old.get(name), new.get(name)}, (seed, cut, name, found)
            if "marker.json" in found:
                marker.FORMAT.parse(found["marker.json"])
                ledger.FORMAT.parse(found["ledger.json"])  # the marker is the commit
            if "hold.json" in old and "hold.json" not in found:
                assert found["ledger.json"] == new["ledger.json"], (
                    "what a release accepts is there before the hold ends"
                )
        return len(judged)


@pytest.mark.parametrize("file_system", _FILE_SYSTEMS if _ALL else ["ext4"])
def test_whenever_the_power_fails_the_documents_are_the_old_or_the_new_ones(sandbox: Sandbox, file_system: str) -> None:
    size, mkfs, options = _FILE_SYSTEMS[file_system]
    if not shutil.which(mkfs[0]):
        pytest.skip(f"{mkfs[0]} is not installed")
    sandbox.sh(f"truncate -s {size} $W/disk; {' '.join(mkfs)} $W/disk; mkdir $W/judged; mount -t tmpfs none $W/judged")
    disk = _Recorded(sandbox, options)
    try:
        disk.guard("adopt")
        disk.write_ledger()
        disk.guard("accept")
        disk.guard("hold", "a migration")
        disk.guard("hold", "--over", "another")
        disk.guard("release")
    finally:
        disk.close()
    seed = time.time_ns()
    judged = disk.judge(seed, options)
    assert judged >= 2 * min(_MOMENTS, disk.marks[-1][0] - disk.marks[0][0])
    sys.stdout.write(f"{judged} images of {file_system}, {disk.marks[-1][0] - disk.marks[0][0]} writes and flushes\n")
