"""Parent, prober or both killed (-9) at random moments of every command: nothing is lost, and the next command goes on.

By default 60 kills; `KILLS=5000` makes more.
"""

import os
import sys
import time

import pytest

from guard.volume import ledger, marker
from tests.linux import killed_runs
from tests.linux.killed_runs import Killed
from tests.linux.sandbox import Sandbox

pytestmark = [pytest.mark.mounts, pytest.mark.root]

_KILLS = int(os.environ.get("KILLS", "60"))
_SIGKILL = -9


def _judge(one: Killed) -> None:
    assert one.status in {0, 1, _SIGKILL}
    if one.status == 1:
        assert one.victim == "prober"
        assert "was killed by SIGKILL" in one.lines
    assert set(one.left) <= {"marker.json", "ledger.json", "hold.json"}
    if "marker.json" in one.left:
        marker.FORMAT.parse(one.left["marker.json"])
        ledger.FORMAT.parse(one.left["ledger.json"])
    for name in set(one.before) - {"hold.json"}:
        assert name in one.left
    command = one.command[0]
    changed = {name for name in {*one.before, *one.left} if one.before.get(name) != one.left.get(name)}
    allowed = {
        "check": set(), "adopt": {"marker.json", "ledger.json"}, "accept": {"ledger.json"}, "hold": {"hold.json"},
        "release": {"ledger.json", "hold.json"},
    }[command]  # fmt: skip
    assert changed <= allowed
    if command == "release" and "hold.json" in changed:
        assert "ledger.json" in changed
    if one.status == 0:
        assert changed == allowed
    assert one.status_again == 0
    assert set(one.left_again) == {"marker.json", "ledger.json"} | ({"hold.json"} if command == "hold" else set())


def test_whoever_is_killed_at_whatever_moment_the_next_command_goes_on(disk: Sandbox) -> None:
    disk.sh("mount -o loop $W/disk $P; mkdir $P/a; echo text >$P/a/1; echo text >$P/a/2")
    seed = time.time_ns()
    results = killed_runs.run(disk, _KILLS, seed)
    for one in results:
        try:
            _judge(one)
        except AssertionError as error:
            raise AssertionError(f"{one}, seed {seed}") from error
    assert len(results) == _KILLS
    cut = sum(one.status != 0 for one in results)
    assert cut > _KILLS / 4, "most kills came too late"
    sys.stdout.write(
        f"{len(results)} kills, {cut} in time, {len([one for one in results if one.left != one.before])} wrote\n"
    )
    disk.sh("umount $P")
