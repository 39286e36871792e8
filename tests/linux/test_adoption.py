"""`adopt`, `accept`, `hold` and `release` on real mounts: what they write, and what they never touch."""

import json
import re
import subprocess

import pytest

from tests.linux.sandbox import Sandbox

pytestmark = pytest.mark.mounts

#: Everything outside the guard's own folder, as far as a write could change it.
_TREE = "cd $P; find . -path ./.volume-guard -prune -o ! -path . -printf '%p %i %m %u %g %s %T@ %C@\\n' | sort"
#: The guard's own documents; whether writing works is tried beside them, which changes the folder's time.
_OWN = "cd $P/.volume-guard; stat -c '%n %i %y %z' *; sha256sum *"


def _ledger(sandbox: Sandbox) -> dict[str, object]:
    found: dict[str, object] = json.loads(sandbox.sh("cat $P/.volume-guard/ledger.json"))
    return found


def _documents(sandbox: Sandbox) -> list[str]:
    return sandbox.sh("ls -A $P/.volume-guard").split()


def test_adoption_writes_marker_and_ledger_for_the_group_and_touches_nothing_else(volume: Sandbox) -> None:
    volume.sh("mkdir -p $P/a $P/b; echo text >$P/a/1; echo text >$P/b/2")
    before = volume.sh(_TREE)
    ended = volume.guard("adopt", GUARD_POD="skills-0", GUARD_NODE="node-1")
    assert (ended.status, ended.last["event"], ended.last["files"]) == (0, "volume.adopted", 2)
    assert volume.sh(_TREE) == before
    assert _documents(volume) == ["ledger.json", "marker.json"]
    assert volume.sh("cd $P; stat -c %a .volume-guard .volume-guard/*").split() == ["775", "664", "664"]
    ledger = _ledger(volume)
    assert (ledger["generation"], ledger["pod"], ledger["node"]) == (1, "skills-0", "node-1")


def test_adopting_again_writes_nothing(adopted: Sandbox) -> None:
    before = adopted.sh(_OWN)
    assert adopted.guard("adopt").status == 0
    assert adopted.sh(_OWN) == before


def test_a_foreign_marker_stands_until_its_id_is_named_as_the_refusal_prints_it(adopted: Sandbox) -> None:
    before = adopted.sh(_OWN)
    refused = adopted.guard("adopt", GUARD_VOLUME="skills-prod")
    assert refused.status == 21
    assert adopted.sh(_OWN) == before
    printed = re.search(r"guard adopt --replace (\S+)", refused.termination)
    assert printed
    assert adopted.guard("adopt", "--replace", printed[1], GUARD_VOLUME="skills-prod").status == 0
    marker = json.loads(adopted.sh("cat $P/.volume-guard/marker.json"))
    assert marker["volume"] == "skills-prod"
    kept = [f"ledger.{printed[1]}.json", "ledger.json", f"marker.{printed[1]}.json", "marker.json"]
    assert sorted(_documents(adopted)) == sorted(kept)
    assert json.loads(adopted.sh(f"cat $P/.volume-guard/ledger.{printed[1]}.json"))["marker"] == printed[1]
    assert adopted.guard("check", GUARD_VOLUME="skills-prod").status == 0


def test_a_broken_marker_stands_until_its_digest_is_named_as_the_refusal_prints_it(adopted: Sandbox) -> None:
    adopted.sh("echo broken >$P/.volume-guard/marker.json")
    refused = adopted.guard("adopt")
    assert refused.status == 22
    printed = re.search(r"guard adopt --replace (\S+)", refused.termination)
    assert printed
    assert adopted.guard("adopt", "--replace", "123456").status == 22
    assert len(printed[1]) == 12
    whole = adopted.sh("sha256sum <$P/.volume-guard/marker.json").split()[0]
    for wrong in (whole[:5], whole[:-1] + "x", f"{whole}0"):
        assert adopted.guard("adopt", "--replace", wrong).status == 22
    for right in (printed[1], whole[:6], whole, whole[:20].upper()):
        adopted.sh("echo broken >$P/.volume-guard/marker.json")
        assert adopted.guard("adopt", "--replace", right).status == 0
    assert adopted.sh(f"cat $P/.volume-guard/marker.{printed[1]}.json") == "broken\n"
    assert adopted.guard("check").status == 0


def test_a_wipe_that_took_the_marker_too_is_not_laundered_by_adopting(adopted: Sandbox) -> None:
    adopted.sh("rm -r $P/tenant $P/.volume-guard/marker.json")
    assert adopted.guard("check").status == 20
    assert adopted.guard("adopt").status == 30
    assert _documents(adopted) == ["ledger.json"]
    assert adopted.guard("accept").status == 0
    assert adopted.guard("adopt").status == 0
    assert adopted.guard("check").status == 0


def test_a_wipe_that_broke_the_marker_is_not_laundered_by_replacing_it(adopted: Sandbox) -> None:
    adopted.sh("rm -r $P/tenant; echo broken >$P/.volume-guard/marker.json")
    before = adopted.sh(_OWN)
    refused = adopted.guard("check")
    assert (refused.status, refused.last["also"]) == (22, ["data-lost"])
    printed = re.search(r"Only if .*: guard (accept), then: guard (adopt --replace \S+)\n", refused.termination)
    assert printed is not None
    accept, replace = (words.split() for words in printed.groups())
    assert adopted.guard(*replace).status == 30
    assert adopted.sh(_OWN) == before
    accepted = adopted.guard(*accept)
    assert accepted.status == 0
    assert f"guard {' '.join(replace)}" in accepted.last["message"]
    assert adopted.guard(*replace).status == 0
    ended = adopted.guard("check")
    assert (ended.status, ended.last["generation"]) == (0, 3)


def test_a_marker_that_is_replaced_declares_what_is_there_right(adopted: Sandbox) -> None:
    adopted.sh("rm -r $P/tenant/docx; echo broken >$P/.volume-guard/marker.json")
    replaced = adopted.guard("adopt", "--replace", adopted.guard("check").termination.split("sha256 ")[1][:12])
    assert (replaced.status, replaced.last["reference_files"], replaced.last["generation"]) == (0, 4, 2)
    assert adopted.guard("check").last["severity"] == "INFO"


def test_a_second_ledger_of_the_same_marker_is_set_aside_beside_the_first(adopted: Sandbox) -> None:
    adopted.sh("cp -a $P/.volume-guard $W/own")
    marker = _ledger(adopted)["marker"]
    for _ in range(2):
        adopted.sh("cp $W/own/* $P/.volume-guard")
        assert adopted.guard("adopt", "--replace", str(marker), GUARD_VOLUME="other").status == 0
    assert {f"ledger.{marker}.json", f"ledger.{marker}-2.json"} < set(_documents(adopted))


def test_what_a_foreign_ledger_calls_its_marker_is_no_path(adopted: Sandbox) -> None:
    adopted.sh("""sed -i 's|"marker": "[^"]*"|"marker": "../../x"|' $P/.volume-guard/ledger.json""")
    accepted = adopted.guard("accept")
    assert (accepted.status, accepted.last["reference_files"]) == (0, 10)
    assert re.fullmatch(r"ledger\.[0-9a-f]{12}\.json", accepted.last["set_aside"])
    assert accepted.last["set_aside"] in _documents(adopted)


#: Fills the volume but for so many pages.
_FILL = "mount -o remount,size=256k $P; ! dd if=/dev/zero of=$P/fill bs=4k 2>/dev/null; truncate -s -$((4096 * LEFT)) $P/fill"


@pytest.mark.parametrize("left", ["0", "1"], ids=["no room", "room for one document"])
def test_an_adoption_that_finds_no_space_leaves_nothing_and_can_be_done_later(volume: Sandbox, left: str) -> None:
    volume.sh(_FILL, LEFT=left)
    refused = volume.guard("adopt")
    assert refused.status == 15
    assert "the disk is full: " in refused.termination.splitlines()[0]
    assert "Free space, or enlarge the volume or its quota" in refused.termination
    assert "delete" not in refused.termination
    assert _documents(volume) in ([], ["ledger.json"])  # the marker is the commit
    volume.sh("truncate -s 4k $P/fill")
    assert volume.guard("adopt").status == 0
    assert _documents(volume) == ["ledger.json", "marker.json"]


@pytest.mark.parametrize("left", ["0", "1"], ids=["no room", "room for one document"])
def test_a_replacement_that_finds_no_space_leaves_the_volume_to_its_owner(adopted: Sandbox, left: str) -> None:
    adopted.sh(_FILL, LEFT=left)
    before, marker = adopted.sh("cat $P/.volume-guard/marker.json"), str(_ledger(adopted)["marker"])
    assert adopted.guard("adopt", "--replace", marker, GUARD_VOLUME="skills-prod").status == 15
    assert adopted.sh("cat $P/.volume-guard/marker.json") == before
    assert adopted.guard("check").status == 0


def test_of_ten_adoptions_at_once_one_wins_and_all_end_well(volume: Sandbox) -> None:
    volume.sh("mkdir $P/a; touch $P/a/1")
    environment = volume.environment({})
    started = [
        volume.start(volume.command("adopt"), env=environment, stderr=subprocess.PIPE, text=True) for _ in range(10)
    ]
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in started]
    assert [status for _, status in ended] == [0] * 10, ended
    assert _documents(volume) == ["ledger.json", "marker.json"]
    marker = json.loads(volume.sh("cat $P/.volume-guard/marker.json"))["id"]
    assert {json.loads(line)["marker_id"] for line, _ in ended} == {marker}
    assert _ledger(volume)["marker"] == marker


def test_accept_makes_what_is_there_the_reference_of_the_next_generation(adopted: Sandbox) -> None:
    adopted.sh("rm -r $P/tenant/*; mkdir $P/tenant/new; touch $P/tenant/new/1")
    assert adopted.guard("check").status == 30
    before = adopted.sh(_TREE)
    accepted = adopted.guard("accept")
    assert (accepted.status, accepted.last["severity"]) == (0, "NOTICE")
    assert (accepted.last["reference_before"], accepted.last["reference_files"]) == (10, 1)
    assert adopted.sh(_TREE) == before
    assert _ledger(adopted)["generation"] == 2
    assert _documents(adopted) == ["ledger.json", "marker.json"]
    assert adopted.guard("check").status == 0


def test_a_hold_refuses_with_its_reason_until_release_accepts_what_is_there(adopted: Sandbox) -> None:
    assert adopted.guard("hold", "restore of Monday", GUARD_POD="restore-job").status == 0
    refused = adopted.guard("check")
    assert refused.status == 23
    assert "held by restore-job since" in refused.termination
    assert '"restore of Monday"' in refused.termination
    again = adopted.guard("hold", "another")
    assert (again.status, again.last["hold_reason"], again.last["severity"]) == (0, "restore of Monday", "WARNING")
    assert "guard hold --over REASON" in again.last["message"]
    over = adopted.guard("hold", "--over", "restore of Tuesday")
    assert (over.status, over.last["hold_reason"]) == (0, "restore of Tuesday")
    assert "It replaces the hold by restore-job since" in over.last["message"]
    assert adopted.guard("check").last["hold_reason"] == "restore of Tuesday"
    adopted.sh("rm -r $P/tenant/docx")
    released = adopted.guard("release")
    assert (released.status, released.last["reference_files"]) == (0, 4)
    assert _documents(adopted) == ["ledger.json", "marker.json"]
    ended = adopted.guard("check")
    assert (ended.status, ended.last["severity"]) == (0, "INFO")


def test_a_hold_that_is_a_folder_is_released_once_and_kept(adopted: Sandbox) -> None:
    adopted.sh("mkdir $P/.volume-guard/hold.json; touch $P/.volume-guard/hold.json/1")
    assert adopted.guard("check").status == 23
    released = adopted.guard("release")
    assert (released.status, released.last["generation"]) == (0, 2), released.stderr
    assert adopted.sh(f"ls $P/.volume-guard/{released.last['set_aside']}").split() == ["1"]
    assert adopted.guard("check").status == 0


def test_a_hold_that_is_a_folder_is_replaced_by_one_over_it_and_kept(adopted: Sandbox) -> None:
    adopted.sh("mkdir $P/.volume-guard/hold.json; touch $P/.volume-guard/hold.json/1")
    held = adopted.guard("hold", "--over", "a restore")
    assert held.status == 0, held.stderr
    assert adopted.sh(f"ls $P/.volume-guard/{held.last['set_aside']}").split() == ["1"]
    assert adopted.guard("check").last["hold_reason"] == "a restore"


def test_adopting_a_wiped_volume_again_reports_the_loss(adopted: Sandbox) -> None:
    adopted.sh("rm -r $P/tenant")
    before = adopted.sh(_OWN)
    ended = adopted.guard("adopt")
    assert (ended.status, ended.last["severity"]) == (0, "WARNING")
    assert "guard check refuses it with exit 30: data-lost: 0 of 10 files are left" in ended.last["message"]
    assert adopted.sh(_OWN) == before


def test_adopting_again_writes_a_ledger_that_is_missing(adopted: Sandbox) -> None:
    adopted.sh("rm $P/.volume-guard/ledger.json")
    ended = adopted.guard("adopt")
    assert (ended.status, ended.last["reference_files"]) == (0, 10), ended.stderr
    assert "its ledger was missing and is written" in ended.last["message"]
    assert adopted.guard("check").last["kept"] == 10


@pytest.mark.root
def test_who_may_read_and_not_write_is_told_what_permission_is_missing(volume: Sandbox) -> None:
    refused = volume.guard_as(65532, "adopt")
    assert (refused.status, "remedy" in refused.last) == (15, False)
    assert f"expected: permission to write {volume.path}/.volume-guard" in refused.termination
    assert "wrote as uid 65532" in refused.termination


@pytest.mark.parametrize(
    "command", [("adopt",), ("accept",), ("hold", "why"), ("release",)], ids=lambda found: found[0]
)
def test_no_command_writes_on_what_is_no_volume(sandbox: Sandbox, command: tuple[str, ...]) -> None:
    assert sandbox.guard(*command).status == 10
    assert sandbox.sh("ls -A $P") == ""


@pytest.mark.parametrize("command", [("accept",), ("hold", "why")], ids=lambda found: found[0])
def test_a_foreign_volume_is_neither_accepted_nor_held(adopted: Sandbox, command: tuple[str, ...]) -> None:
    before = adopted.sh(_OWN)
    assert adopted.guard(*command, GUARD_VOLUME="skills-prod").status == 21
    assert adopted.sh(_OWN) == before
