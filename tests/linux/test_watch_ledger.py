"""What the watcher writes on the volume, and what it leaves alone."""

import json
from typing import Any

import pytest

from tests.linux.sandbox import Sandbox
from tests.linux.watching import OPERATION, armed, wait_until, watching

pytestmark = pytest.mark.mounts


def _ledger(sandbox: Sandbox) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sandbox.sh("cat $P/.volume-guard/ledger.json"))
    return found


def test_the_ledger_says_who_watches_it_soon_and_how_many_files_there_are_at_a_clean_stop(adopted: Sandbox) -> None:
    with armed(adopted, GUARD_POD="second-pod", GUARD_NODE="node-2") as watcher:
        wait_until(lambda: _ledger(adopted)["pod"] == "second-pod")
        adopted.sh("touch $P/tenant/pdf/5; rm $P/tenant/docx/1 $P/tenant/docx/2")
        wait_until(lambda: watcher.shows("reference_files", 9), 30)
        assert watcher.stop() == 0
    ledger = _ledger(adopted)
    assert (ledger["reference"]["files"], ledger["pod"], ledger["node"]) == (9, "second-pod", "node-2")
    assert adopted.guard("check").last["last_pod"] == "second-pod"


def test_a_wipe_freezes_it_and_the_gate_refuses_the_next_start(adopted: Sandbox) -> None:
    with armed(adopted) as watcher:
        before = _ledger(adopted)
        adopted.sh("rm -rf $P/tenant")
        watcher.wait_for("volume.wiped")
        wait_until(lambda: "incident" in _ledger(adopted) and _ledger(adopted)["incident"])
        assert watcher.stop() == 0
    after = _ledger(adopted)
    assert after["reference"]["sample"] == before["reference"]["sample"]
    assert after["incident"]["before"] == 10
    assert adopted.guard("check").status == 30


def test_a_held_volume_is_reported_at_info_and_a_release_accepts_what_is_there(adopted: Sandbox) -> None:
    with armed(adopted) as watcher:
        assert adopted.guard("hold", "a restore", GUARD_POD="operator").status == 0
        held = watcher.wait_for("volume.held")
        assert (held["held_by"], held["hold_reason"]) == ("operator", "a restore")
        before = _ledger(adopted)
        adopted.sh("rm -rf $P/tenant; mkdir $P/other; touch $P/other/1")
        watcher.wait_for("volume.wiped")
        assert _ledger(adopted) == before
        assert adopted.guard("release").status == 0
        watcher.wait_for("volume.accepted")
        adopted.sh("rm -rf $P/other")
        wiped = watcher.wait_for("volume.wiped", after=len(watcher.lines))
        assert (wiped["before"], wiped["severity"]) == (1, "CRITICAL")
        quiet = watcher.lines[: watcher.events.index("volume.accepted")]
        assert {line["severity"] for line in quiet} == {"INFO"}


def test_what_is_removed_right_after_it_was_announced_is_said_at_info(adopted: Sandbox) -> None:
    with armed(adopted, GUARD_INTERVAL="30s") as watcher:
        assert adopted.guard("hold", "a clean-up").status == 0
        adopted.sh("rm -rf $P/tenant")
        assert watcher.wait_for("volume.wiped", 10)["severity"] == "INFO"
        assert watcher.events == ["watch.started", "volume.held", "volume.wiped"]


def test_what_was_announced_removed_and_released_between_two_looks_is_no_loss(adopted: Sandbox) -> None:
    with armed(adopted, GUARD_INTERVAL="30s", GUARD_SETTLE="5s") as watcher:
        assert adopted.guard("hold", "a clean-up").status == 0
        adopted.sh("rm -rf $P/tenant")
        assert adopted.guard("release").status == 0
        wait_until(lambda: watcher.shows("reference_files", 0))
        watcher.listen_for(7)
        assert watcher.alarms() == []


def test_what_a_hold_kept_quiet_is_said_aloud_when_it_is_gone_without_a_release(adopted: Sandbox) -> None:
    with armed(adopted) as watcher:
        assert adopted.guard("hold", "a restore").status == 0
        watcher.wait_for("volume.held")
        adopted.sh("rm -rf $P/tenant")
        quiet = watcher.wait_for("volume.wiped")
        adopted.sh("rm $P/.volume-guard/hold.json")
        loud = watcher.wait_for("volume.wiped", after=len(watcher.lines))
        assert (quiet["severity"], loud["severity"]) == ("INFO", "CRITICAL")
        assert (loud["before"], loud["after"]) == (10, 0)
        assert quiet[OPERATION]["id"] == loud[OPERATION]["id"]


def test_a_hold_that_is_removed_with_everything_is_not_released_and_the_wipe_is_said_aloud(adopted: Sandbox) -> None:
    with armed(adopted) as watcher:
        assert adopted.guard("hold", "a restore").status == 0
        watcher.wait_for("volume.held")
        adopted.sh("find $P -mindepth 1 -delete")
        assert watcher.wait_for("marker.missing")["severity"] == "ERROR"
        watcher.listen_for(4)
        assert [line["severity"] for line in watcher.lines if line["event"] == "volume.wiped"][-1] == "CRITICAL"
        assert "volume.released" not in watcher.events


@pytest.mark.root
def test_a_ledger_that_can_not_be_written_is_said_once_and_the_volume_watched_all_the_same(adopted: Sandbox) -> None:
    adopted.sh("chmod -R go+rX $P; chmod 755 $P/.volume-guard")
    adopted.watcher_uid = 65534
    with watching(adopted) as watcher:
        said = watcher.wait_for("ledger.unwritable")
        assert (said["severity"], said["reason"]) == ("WARNING", "EACCES")
        adopted.sh("rm -rf $P/tenant")
        watcher.wait_for("volume.wiped")
        assert watcher.events.count("ledger.unwritable") == 1


def test_a_broken_ledger_is_said_once_kept_beside_the_new_one_and_no_reason_for_an_alarm(adopted: Sandbox) -> None:
    adopted.sh("echo broken >$P/.volume-guard/ledger.json")
    with armed(adopted) as watcher:
        invalid = watcher.wait_for("ledger.invalid")
        assert (invalid["severity"], "not JSON" in invalid["reason"]) == ("WARNING", True)
        wait_until(lambda: "broken" not in adopted.sh("cat $P/.volume-guard/ledger.json"))
        watcher.listen_for(3)
        assert watcher.events == ["watch.started", "ledger.invalid"]
    assert adopted.sh("cat $P/.volume-guard/ledger.*.json") == "broken\n"
    assert _ledger(adopted)["reference"]["files"] == 10


def test_a_ledger_of_a_newer_guard_is_never_replaced(adopted: Sandbox) -> None:
    adopted.sh('sed -i \'s/"schema": 1/"schema": 2/\' $P/.volume-guard/ledger.json')
    before = adopted.sh("cat $P/.volume-guard/ledger.json")
    with armed(adopted) as watcher:
        watcher.wait_for("ledger.invalid")
        watcher.listen_for(3)
        assert watcher.stop() == 0
    assert adopted.sh("cat $P/.volume-guard/ledger.json") == before


def test_a_ledger_that_is_removed_is_written_again_from_memory(adopted: Sandbox) -> None:
    with armed(adopted) as watcher:
        adopted.sh("rm $P/.volume-guard/ledger.json")
        watcher.listen_for(2)
        assert watcher.stop() == 0
    assert _ledger(adopted)["reference"]["files"] == 10


def test_a_volume_that_is_adopted_under_the_watchers_eyes_is_watched(volume: Sandbox) -> None:
    volume.sh("mkdir -p $P/a $P/b; touch $P/a/1 $P/b/1")
    with watching(volume) as watcher:
        missing = watcher.wait_for("marker.missing")
        assert volume.guard("adopt").status == 0
        recovered = watcher.wait_for("volume.recovered")
        assert recovered[OPERATION]["id"] == missing[OPERATION]["id"]
        volume.sh("rm -rf $P/a $P/b")
        assert watcher.wait_for("volume.wiped")["before"] == 2


def test_an_acceptance_between_two_looks_is_never_written_over(adopted: Sandbox) -> None:
    with armed(adopted, GUARD_INTERVAL="60s") as watcher:
        wait_until(lambda: watcher.shows("files", 10))
        adopted.sh("rm -rf $P/tenant/docx")
        watcher.wait_for("volume.shrunk")
        assert adopted.guard("accept").status == 0
        accepted = _ledger(adopted)
        assert watcher.stop() == 0, "its last ledger is older than what was accepted"
    left = _ledger(adopted)  # the accepted one, or a later one of a watcher that had read it
    assert (left["generation"], left["reference"]["declared"]) == (2, accepted["reference"]["declared"])
    assert left["reference"]["files"] == 4


@pytest.mark.root
def test_an_entry_that_may_not_be_entered_is_reported_and_not_lost(adopted: Sandbox) -> None:
    adopted.sh("chown -R 65534 $P")
    adopted.watcher_uid = 65534
    with armed(adopted) as watcher:
        adopted.sh("chown root $P/tenant/*; chmod 700 $P/tenant/*; touch $P/tenant/later")
        blind = watcher.wait_for("watch.blind", 30)
        assert blind["severity"] == "WARNING"
        assert "2 of 2 entries" in blind["message"]
        assert "uid 65534" in blind["message"]
        watcher.listen_for(3)
        assert watcher.events == ["watch.started", "watch.blind"]


def test_a_ledger_out_of_an_archive_is_not_obeyed(adopted: Sandbox) -> None:
    with armed(adopted) as watcher:
        adopted.sh("cp -a $P/.volume-guard $W/archived; rm -rf $P/tenant")
        watcher.wait_for("volume.wiped")
        wait_until(lambda: _ledger(adopted)["incident"])
        adopted.sh("cp -a $W/archived/. $P/.volume-guard/")
        assert watcher.wait_for("ledger.stale")["severity"] == "WARNING"
        wait_until(lambda: _ledger(adopted)["incident"], 30)
        assert watcher.stop() == 0
    assert adopted.guard("check").status == 30
