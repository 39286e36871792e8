"""The marker and the ledger as a stranger may leave them on a volume: each has its outcome, none hangs the gate."""

import json
import os
from typing import Any

import pytest

from tests.linux.sandbox import Sandbox
from tests.linux.watching import OPERATION

pytestmark = pytest.mark.mounts

_MARKER = {
    "schema": 1,
    "volume": "skills",
    "id": "0b9c7f0e-6f4e-4b6e-9d2b-3c1f5a7d9e11",
    "created": "2026-01-02T03:04:05Z",
}


def test_an_unmarked_volume_is_refused_and_the_reader_is_told_to_look_before_adopting(volume: Sandbox) -> None:
    ended = volume.guard("check", GUARD_POD="skills-0", GUARD_NAMESPACE="dev")
    assert ended.status == 20
    assert "1. If this claim was ever used: stop." in ended.termination
    assert (
        "2. Only if the claim is brand-new, or its files are right: kubectl exec -n dev skills-0 -- guard adopt\n"
        in ended.termination
    )


def test_another_volume_s_marker_is_refused_by_both_names(adopted: Sandbox) -> None:
    ended = adopted.guard("check", GUARD_VOLUME="skills-prod")
    assert ended.status == 21
    assert 'has the marker "skills"' in ended.termination
    assert 'expected: the volume "skills-prod"' in ended.termination


INVALID = {
    "truncated": "head -c 60 $W/whole >marker.json",
    "binary": "head -c 300 /dev/urandom >marker.json",
    "empty": ": >marker.json",
    "of 10 GiB": "truncate -s 10G marker.json",
    "deep": "head -c 50000 /dev/zero | tr '\\0' '[' >marker.json",
    "of the future": 'sed \'s/"schema": 1/"schema": 2/\' $W/whole >marker.json',
    "a FIFO": "mkfifo marker.json",
    "a link to a valid one": "ln -s $W/whole marker.json",
    "a directory": "mkdir marker.json",
    "in a linked folder": "cp $W/whole $W/elsewhere/marker.json; cd ..; rmdir .volume-guard; ln -s $W/elsewhere .volume-guard",
    "in a file": "cd ..; rmdir .volume-guard; : >.volume-guard",
}


def _invalid(volume: Sandbox, script: str) -> None:
    with open(f"{volume.work}/whole", "w", encoding="utf-8") as whole:
        json.dump(_MARKER, whole)
    os.mkdir(f"{volume.work}/elsewhere")
    volume.sh("mkdir $P/.volume-guard; cd $P/.volume-guard; " + script)
    ended = volume.guard("check", GUARD_PROBE_TIMEOUT="5s")
    assert ended.status == 22, ended.stderr  # 15 if reading it had hung


@pytest.mark.parametrize("script", INVALID.values(), ids=INVALID)
def test_a_broken_marker_is_refused_and_hangs_nothing(volume: Sandbox, script: str) -> None:
    _invalid(volume, script)


@pytest.mark.root
def test_a_device_as_marker_is_refused_and_not_read(volume: Sandbox) -> None:
    _invalid(volume, "mknod marker.json c 1 5")


def _another_marker(ledger: dict[str, Any]) -> str:
    return json.dumps({**ledger, "marker": _MARKER["id"]})


LEDGERS = {
    "truncated": lambda ledger: json.dumps(ledger)[:80],
    "of the future": lambda ledger: json.dumps({**ledger, "schema": 2}),
    "of another marker": _another_marker,
}


@pytest.mark.parametrize("broken", LEDGERS.values(), ids=LEDGERS)
def test_a_ledger_that_cannot_be_trusted_is_reported_and_passes(adopted: Sandbox, broken: Any) -> None:
    ledger = json.loads(adopted.sh("cat $P/.volume-guard/ledger.json"))
    adopted.sh('printf %s "$LEDGER" >$P/.volume-guard/ledger.json; rm -r $P/tenant', LEDGER=broken(ledger))
    ended = adopted.guard("check")
    assert ended.status == 0
    assert ended.events() == ["ledger.invalid", "volume.ok"]
    operations = [line[OPERATION] for line in ended.lines]
    assert [(one["first"], one["last"]) for one in operations] == [(True, False), (False, True)]
    assert ended.lines[0]["severity"] == "WARNING"
    assert "reference_files" not in ended.last


def test_without_a_trusted_ledger_the_floor_by_setting_still_counts(adopted: Sandbox) -> None:
    adopted.sh("echo broken >$P/.volume-guard/ledger.json")
    assert adopted.guard("check", GUARD_MIN_FILES="11").status == 30
