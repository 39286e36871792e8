"""Whoever can write the volume attacks the guard: nothing outside is read or written, nothing crashes, hangs or grows.

`HOSTILE_NAMES=1000000` makes as many names in `.volume-guard/`; by default there are fewer.
"""

import json
import os
import subprocess
import sys
import time
from typing import Any

import pytest

from guard.probe.requests import LookRequest
from guard.probe.writes import Accept, Conflict, WriteHold, WriteLedger, Written
from guard.volume import ledger, marker
from guard.volume.hold import Hold
from guard.volume.observation import Look, ProbeFault
from guard.volume.sample import Part, Presence, SampledFile
from tests.linux import counting, probing
from tests.linux.sandbox import Sandbox

pytestmark = [pytest.mark.mounts]

AT = "2026-11-24T18:27:01Z"
_NAMES = int(os.environ.get("HOSTILE_NAMES", "30000"))
#: Escape sequences, a line's end, a change of direction, bytes that are not UTF-8.
_NAME = b"\x1b[31mred\x1b]0;title\x07\nexit 0\r\xe2\x80\xae\xff"


def _outside(sandbox: Sandbox) -> str:
    return sandbox.sh("cd $W/outside; ls -lA --time-style=full-iso; cat *")


@pytest.mark.root
def test_a_folder_that_is_swapped_during_writes_lets_nothing_out(adopted: Sandbox) -> None:
    adopted.sh("mkdir $W/outside; echo target >$W/outside/target; cp $P/.volume-guard/* $W/outside")
    before = _outside(adopted)
    ours = ledger.FORMAT.parse(adopted.sh("cat $P/.volume-guard/ledger.json").encode())
    assert ours.marker_id == marker.FORMAT.parse(adopted.sh("cat $P/.volume-guard/marker.json").encode()).marker_id
    ref = probing.mount_ref(adopted)
    requests = (
        Accept(ref, ours, ours.marker_id),
        WriteHold(ref, Hold("me", AT, "why"), over=True),
        WriteLedger(ref, ours, 1 << 40),
        LookRequest(adopted.path, "skills"),
    )
    swapping = [sys.executable, "-m", "tests.linux.swapping", adopted.path, f"{adopted.work}/outside"]
    with adopted.start(swapping, stdout=subprocess.PIPE, env=adopted.environment({})) as swapper:
        assert swapper.stdout is not None
        assert swapper.stdout.readline() == b"ready\n"
        results = probing.end(probing.start(adopted, *requests, times=200))
        assert swapper.poll() is None
        swapper.kill()
    assert _outside(adopted) == before
    assert {type(one) for one in results if not hasattr(one, "look")} <= {Written, Conflict, ProbeFault}
    looks: list[Look] = [one.look for one in results if hasattr(one, "look")]
    assert len(looks) == 200
    assert any(isinstance(one, Written) for one in results)
    assert any(isinstance(one, ProbeFault | Conflict) for one in results)


def test_so_many_names_in_the_folder_cost_no_more_than_a_few(adopted: Sandbox) -> None:
    script = "import sys; [open(f'{sys.argv[1]}/.volume-guard/{n}.tmp', 'w').close() for n in range(int(sys.argv[2]))]"
    usual = adopted.guard("check")
    started = adopted.start([sys.executable, "-c", script, adopted.path, str(_NAMES)])
    assert started.wait(600) == 0
    for command in (["accept"], ["hold", "why"], ["release"], ["check"]):
        ended = adopted.guard(*command)
        assert ended.status == 0, ended.stderr
        assert ended.seconds < 10 + 2 * usual.seconds


def test_a_document_whose_every_other_name_is_taken_is_not_replaced(adopted: Sandbox) -> None:
    adopted.sh("cd $P/.volume-guard; echo broken >ledger.json; digest=$(sha256sum <ledger.json | head -c 12); "
               "for n in '' $(seq -f -%g 2 1100); do : >ledger.$digest$n.json; done")  # fmt: skip
    refused = adopted.guard("accept")
    assert refused.status == 15
    assert "EEXIST" in refused.termination
    assert adopted.sh("cat $P/.volume-guard/ledger.json") == "broken\n"


@pytest.mark.parametrize("shape", ["json", "console"])
def test_hostile_names_are_escaped_wherever_they_are_shown(adopted: Sandbox, shape: str) -> None:
    for tenant in (b"a", b"b"):
        folder = os.fsencode(adopted.path) + b"/" + tenant + _NAME
        adopted.sh('mkdir "$D"; cd "$D"; touch 1 2 3 4 5 6 7 8 9 10', D=os.fsdecode(folder))
    assert adopted.guard("accept", GUARD_POD=os.fsdecode(b"pod" + _NAME[:-4])).status == 0
    adopted.sh("rm -r $P/tenant $P/a* $P/b*")
    ended = adopted.guard("check", GUARD_LOG_FORMAT=shape, NO_COLOR="1")
    assert ended.status == 30
    for text in (ended.stderr, ended.termination):
        assert "\\x1b[31mred" in text
        assert text.replace("\n", "").isprintable()
        assert "\nexit 0" not in text
    if shape == "json":
        assert [line["outcome"] for line in ended.lines] == ["data-lost"]


def _forge(sandbox: Sandbox, **reference: Any) -> None:
    found = json.loads(sandbox.sh("cat $P/.volume-guard/ledger.json"))
    found["reference"] |= reference
    with open(f"{sandbox.work}/forged", "w", encoding="utf-8") as forged:
        json.dump(found, forged)
    sandbox.sh("cp $W/forged $P/.volume-guard/ledger.json")


def test_a_sample_that_names_paths_outside_reads_nothing_there(adopted: Sandbox) -> None:
    adopted.sh("echo secret >$W/secret; ln -s $W $P/tenant/link; ln -s / $P/tenant/root")
    up = "../" * 10
    paths = ["../../secret", f"{up}etc/passwd", "/etc/passwd", "tenant/link/secret", "tenant/root/etc/passwd",
             "tenant/../../../secret", "tenant/pdf/1/../2", "", ".", "a\0b", "tenant//pdf/1"]  # fmt: skip
    adopted.sh("test -e $P/tenant/link/secret; test -e $P/tenant/root/etc/passwd; test -e $P/../../secret")
    sample = tuple(SampledFile(path, 1, 1, 1, 1, Part.HASH) for path in paths)
    checks = counting.checked(adopted, sample).checks
    assert {path: check.presence for path, check in checks.items() if check.presence is Presence.PRESENT} == {}
    _forge(adopted, files=1 << 62, sample=[[path, (1 << 62), 1, 1, 1, "h"] for path in paths])
    ended = adopted.guard("check")
    assert ended.status in {0, 30}
    assert "secret" not in ended.stderr


def test_a_forged_reference_that_claims_nothing_was_there_passes_and_says_so(adopted: Sandbox) -> None:
    _forge(adopted, files=0, entries={}, sample=[], entry_count=0)
    adopted.sh("rm -r $P/tenant")
    ended = adopted.guard("check")
    assert ended.status == 0  # who can write the volume can do so: docs/limits.md
    assert "nothing is protected yet" in ended.last["message"]


def test_a_sample_as_large_as_a_ledger_can_be_is_judged_at_once(adopted: Sandbox) -> None:
    rows = [[f"t{number % 100}/{number}", 1, 1, 1, 1, "h"] for number in range(26_000)]
    _forge(adopted, files=26_000, sample=rows)
    assert int(adopted.sh("stat -c %s $P/.volume-guard/ledger.json")) < ledger.FORMAT.limit
    began = time.monotonic()
    ended = adopted.guard("check")
    assert ended.status in {0, 30}
    assert time.monotonic() - began < 20
