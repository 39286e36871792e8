"""The waiting gate: what it says, what wakes it, and how it is told to stop."""

import time

import pytest

from tests.linux.sandbox import Sandbox

pytestmark = pytest.mark.mounts

_LONG = "60s"


def test_adoption_lets_the_waiting_gate_pass_within_three_seconds(volume: Sandbox) -> None:
    with volume.guard_in_background("check", GUARD_WAIT=_LONG, GUARD_POD="skills-0", GUARD_NAMESPACE="dev") as gate:
        waiting = gate.next_line()
        assert (waiting["event"], waiting["outcome"]) == ("volume.waiting", "marker-missing")
        assert "kubectl exec -n dev skills-0 -- guard adopt" in waiting["message"]
        assert volume.guard("adopt").status == 0
        assert gate.end(within=3) == 0
    assert [line["event"] for line in gate.lines] == ["volume.waiting", "volume.ok"]


@pytest.mark.parametrize(
    ("script", "outcome", "mending"),
    [
        ("rm -r $P/tenant", "data-lost", "accept"),
        ("cp $P/.volume-guard/marker.json $P/.volume-guard/hold.json", "held", "release"),
    ],
)
def test_the_command_that_the_waiting_gate_prints_mends_it(
    adopted: Sandbox, script: str, outcome: str, mending: str
) -> None:
    adopted.sh(script)
    with adopted.guard_in_background("check", GUARD_WAIT=_LONG) as gate:
        waiting = gate.next_line()
        assert waiting["outcome"] == outcome
        assert waiting["remedy"] == [f"guard {mending}"]
        assert adopted.guard(mending).status == 0
        assert gate.end(within=3) == 0


def test_each_reason_to_wait_is_said_once_with_what_mends_it(adopted: Sandbox) -> None:
    adopted.sh("mv $P/.volume-guard/marker.json $W/; cp $W/marker.json $P/.volume-guard/hold.json")
    with adopted.guard_in_background("check", GUARD_WAIT=_LONG) as gate:
        assert gate.next_line()["remedy"] == ["guard adopt"]
        adopted.sh("mv $W/marker.json $P/.volume-guard/")
        assert gate.next_line()["remedy"] == ["guard release"]
        assert adopted.guard("release").status == 0
        assert gate.end(within=5) == 0
    assert [line["event"] for line in gate.lines] == ["volume.waiting", "volume.waiting", "volume.ok"]
    operations = [line["logging.googleapis.com/operation"] for line in gate.lines]
    assert len({one["id"] for one in operations}) == 1
    assert [(one["first"], one["last"]) for one in operations] == [(True, False), (False, False), (False, True)]


def test_the_end_of_the_waiting_is_a_refusal(volume: Sandbox) -> None:
    ended = volume.guard("check", GUARD_WAIT="500ms")
    assert ended.status == 20
    assert ended.events() == ["volume.waiting", "volume.refused"]


def test_a_gate_that_only_observes_waits_for_nothing_and_reports_what_enforcement_would_do(volume: Sandbox) -> None:
    ended = volume.guard("check", GUARD_WAIT=_LONG, GUARD_ENFORCE="false", GUARD_POD="skills-0", GUARD_NAMESPACE="dev")
    assert ended.status == 0
    assert ended.seconds < 30
    assert ended.events() == ["volume.refused"]
    assert (ended.last["severity"], ended.last["enforced"], ended.last["status"]) == ("WARNING", False, 20)
    assert "the application starts anyway. With enforcement this pod would not start" in ended.last["message"]
    assert ended.last["remedy"] == ["kubectl exec -n dev skills-0 -c volume-guard-watch -- guard adopt"]


def test_a_waiting_gate_that_is_told_to_stop_ends_at_once_and_refuses_nothing(volume: Sandbox) -> None:
    with volume.guard_in_background("check", GUARD_WAIT=_LONG) as gate:
        gate.next_line()
        gate.terminate()
        assert gate.end(within=5) == 143
    assert [line["event"] for line in gate.lines] == ["volume.waiting"]


@pytest.mark.parametrize("there", [True, False], ids=["a plain directory", "no such path"])
def test_a_gate_whose_mount_can_still_arrive_waits_for_it(adopted: Sandbox, there: bool) -> None:
    # As with mountPropagation: HostToContainer: the node's mount is shared, the container's is its slave.
    adopted.sh("mkdir $W/node; mount -t tmpfs node $W/node; mount --make-shared $W/node; mkdir $W/node/app")
    path = f"{adopted.work}/node/app/skills"
    if there:
        adopted.sh("mkdir $W/node/app/skills")
    contained = ["unshare", "--mount", "--propagation", "slave", *adopted.command("check")]
    with adopted.run_in_background(contained, GUARD_WAIT=_LONG, GUARD_PATH=path) as gate:
        assert gate.next_line()["outcome"] == ("not-mounted" if there else "missing")
        adopted.sh("mkdir -p $W/node/app/skills; mount --bind $P $W/node/app/skills")
        assert gate.end(within=3) == 0, gate.lines


@pytest.mark.parametrize("script", ["", "rmdir $P"], ids=["a plain directory", "no such path"])
def test_a_gate_whose_mount_cannot_arrive_refuses_at_once(sandbox: Sandbox, script: str) -> None:
    sandbox.sh(script)
    began = time.monotonic()
    ended = sandbox.guard("check", GUARD_WAIT=_LONG)
    assert ended.status == (13 if script else 10)
    assert time.monotonic() - began < 10
    assert ended.events() == ["volume.refused"]


def test_times_of_years_are_waited_for_as_those_of_seconds(adopted: Sandbox) -> None:
    years = "999999999d"
    assert adopted.guard("check", GUARD_PROBE_TIMEOUT=years, GUARD_WAIT=years).status == 0
    assert adopted.guard("accept", GUARD_PROBE_TIMEOUT=years).status == 0
