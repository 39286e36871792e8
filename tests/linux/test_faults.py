"""One call on the volume fails, whichever it is: the outcome is right, and the next command goes on.

By default 12 of every command, others at each run; `FAULTS=500` takes more, and `FAULTS=all` makes each call fail in each
of six ways.
"""

import errno
import json
import os
import random
import sys
import time
from typing import Any

import pytest

from guard.volume import hold, ledger, marker
from guard.volume.json_document import Format
from tests.linux import faulty_runs
from tests.linux.crash_images import Texts
from tests.linux.faulty_runs import Result, Run
from tests.linux.sandbox import Sandbox
from tests.linux.serving import MARKS

pytestmark = MARKS

_FAULTS = os.environ.get("FAULTS", "12")
_ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE, errno.EINTR)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Each command, the volume it runs on, what lies in `.volume-guard/` after it, and what a gate ends with then.
_COMMANDS: dict[tuple[str, ...], tuple[str, set[str], int]] = {
    ("check",): ("adopted", {"ledger.json", "marker.json"}, 0),
    ("adopt",): ("new", {"ledger.json", "marker.json"}, 0),
    ("accept",): ("adopted", {"ledger.json", "marker.json"}, 0),
    ("hold", "why"): ("adopted", {"hold.json", "ledger.json", "marker.json"}, 23),
    ("release",): ("held", {"ledger.json", "marker.json"}, 0),
}
#: Calls whose failure changes nothing once the document has its name: it is durable as far as the disk allows, and what a
#: killed guard left behind is removed by a later write.
_AFTER_THE_COMMIT = frozenset({"fsyncdir", "unlink", "lookup", "getattr", "opendir", "readdir"})
#: Calls of the byte that a look writes: a disk that is full then is no reason not to try the document itself.
_WRITE_TEST = frozenset({"open", "create", "setattr", "write", "flush"})
_FORMATS: dict[str, Format[Any]] = {
    "marker.json": marker.FORMAT,
    "ledger.json": ledger.FORMAT,
    "hold.json": hold.FORMAT,
}
#: Calls by a path, which the kernel makes again after ESTALE, as Python makes any again after EINTR. (A `getattr` by
#: descriptor is not made again; after EIO it is judged all the same.)
_BY_PATH = frozenset({"lookup", "getattr", "open", "opendir", "create", "mkdir", "unlink", "rename", "rename2", "link"})


def _is_made_again(run: Run, found: Result) -> bool:
    return run.error == errno.EINTR or (run.error == errno.ESTALE and found.failed in _BY_PATH)


def _documents(texts: Texts) -> Texts:
    return {name: text for name, text in texts.items() if not name.startswith(".")}


def _judge(run: Run, found: Result) -> None:
    name, (_, names, status_of_check) = run.command[0], _COMMANDS[run.command]
    before, after = _documents(found.before), _documents(found.after)
    assert found.status in {0, 14, 15}
    assert (found.status == 14) <= (run.error == errno.EROFS)
    assert len(found.after) - len(after) <= 1, "one temporary file at most"
    last = json.loads(found.lines.splitlines()[-1])
    if found.status:
        assert errno.errorcode[run.error] in found.lines
        assert last["severity"] == "ERROR"
    elif name == "check" and found.failed and not _is_made_again(run, found):
        assert run.error in _FULL
        assert last["severity"] == "WARNING"
        assert "full" in last["message"]
    elif name != "check":
        assert set(after) == names
        assert after != before
        for document, kind in _FORMATS.items():
            assert document not in after or kind.parse(after[document])
        is_look_s = run.error in _FULL and found.failed in _WRITE_TEST
        assert not found.failed or _is_made_again(run, found) or found.failed in _AFTER_THE_COMMIT or is_look_s
    if name == "check" or (found.status and name in {"accept", "hold"}):
        assert after == before
    if name == "adopt" and found.status:
        assert set(after) <= {"ledger.json"}, "the marker is the commit"
    if name == "release" and found.status:
        assert after["hold.json"] == before["hold.json"]
    assert after.get("marker.json", before.get("marker.json")) == before.get("marker.json") or name == "adopt"
    assert found.again is None or found.again == (0, status_of_check)


@pytest.mark.parametrize("command", _COMMANDS, ids=lambda command: command[0])
def test_whichever_call_fails_the_outcome_is_right_and_the_next_command_goes_on(
    sandbox: Sandbox, command: tuple[str, ...]
) -> None:
    state, names, status_of_check = _COMMANDS[command]
    chance = random.Random(seed := time.time_ns())
    # How many calls there are is known after a run without a fault; none has more than this.
    calls = range(1, 200)
    runs = [Run(command, state, call, error) for call in calls for error in _ERRORS]
    runs = [Run(command, state), *(runs if _FAULTS == "all" else chance.sample(runs, int(_FAULTS)))]
    # Among the last calls are the writes, where the disk that turned read-only is met.
    runs += [Run(command, state, call, errno.EROFS) for call in (60, 90, 100, 150, 170)]
    healthy, *results = faulty_runs.run(sandbox, tuple(runs))
    assert (healthy.status, healthy.again) == (0, (0, status_of_check)), healthy.lines
    assert set(healthy.after) == names
    assert 50 < healthy.calls < max(calls)
    for run, found in zip(runs[1:], results, strict=True):
        try:
            _judge(run, found)
        except AssertionError as error:
            raise AssertionError(f"{run}: {found}, seed {seed}") from error
    failed = [found for found in results if found.failed]
    assert failed
    sys.stdout.write(f"{len(failed)} faults in {healthy.calls} calls of {command[0]}\n")
