"""The tripwire beside other mounts: it watches what is counted, and its limit counts what it watches."""

import pytest

from guard.probe.requests import ArmRequest, CountRequest
from guard.volume.observation import CountOptions, TripwireState
from tests.linux.probing import run
from tests.linux.sandbox import Sandbox

pytestmark = pytest.mark.mounts

_NOBODY = -1


def test_neither_other_mounts_nor_ignored_folders_are_watched_however_many_folders_they_have(volume: Sandbox) -> None:
    volume.sh("""cd $P; mkdir -p a/b c lost+found .volume-guard a/below
        mount -t tmpfs below a/below
        for place in a/below lost+found .volume-guard; do (cd $place; seq 10001 | xargs mkdir); done""")
    state, counted = run(volume, ArmRequest(volume.path, _NOBODY), CountRequest(volume.path, CountOptions()))
    assert state == TripwireState(armed=True, watches=4)
    assert counted.folders + 1 == state.watches
    volume.sh("cd $P; seq 10001 | xargs mkdir")
    (outgrown,) = run(volume, ArmRequest(volume.path, _NOBODY))
    assert (outgrown.armed, outgrown.blind) == (False, "it has more than 10000 folders")
