"""What ends the waiting of `guard check`, with the looks given; the clock and the mounts are in tests/linux."""

from dataclasses import replace

import pytest

from guard import check
from guard.event import EventRecord
from guard.messages import PodInfo
from guard.outcome import Outcome
from guard.probe.inspector import Inspector
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger, Reference
from guard.volume.marker import Marker
from guard.volume.mountinfo import Mount
from guard.volume.observation import FileCount, Identity, Look
from guard.volume.verdict import Expectation, Inspection, judge

AT = "2026-11-24T18:27:01Z"
ID = "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11"
ADOPTED = Look(
    "/app/skills",
    Identity(1000, 1000, ()),
    mount=Mount(125, 109, "7:1", "/", "/app/skills", ("rw",), (), "ext4", "/dev/loop1", "rw"),
    is_mount_point=True,
    kind=Kind.BLOCK,
    marker=Marker("claude-skills-dev", ID, AT),
    ledger=Ledger(ID, 1, Reference(3, {"a": 3}, 0, AT), 3, AT),
)
BEING_ADOPTED = replace(ADOPTED, ledger=None)
NEW = replace(BEING_ADOPTED, marker=None)
FULL, WIPED = FileCount(3, entries={"a": 3}), FileCount(0)


class Scripted(Inspector):
    """Finds what it is given, one after the other; whoever looks once more than that fails."""

    def __init__(self, *found: tuple[Look, FileCount]) -> None:
        self._found = iter(found)
        self.paused: list[float] = []

    def examine(self) -> Inspection:
        look, census = next(self._found)
        return Inspection(look, census, judge(Expectation("/app/skills", "claude-skills-dev"), look, census))

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)

    def finds_more(self) -> bool:
        return next(self._found, None) is not None


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        pytest.param([(ADOPTED, FULL)], Outcome.OK, id="right at once: one look, no pause"),
        pytest.param(
            [(NEW, FULL), (BEING_ADOPTED, FULL), (ADOPTED, FULL)],
            Outcome.OK,
            id="who mends it has time for the rest: the ledger, after the marker",
        ),
        pytest.param([(NEW, FULL), (NEW, FULL), (ADOPTED, FULL), (ADOPTED, FULL)], Outcome.OK, id="mended later"),
        pytest.param(
            [(NEW, FULL), (ADOPTED, FULL), (ADOPTED, WIPED), (ADOPTED, FULL), (ADOPTED, FULL)],
            Outcome.OK,
            id="wiped while it settles: the waiting goes on",
        ),
        pytest.param(
            [(NEW, FULL), (ADOPTED, FULL), (replace(ADOPTED, is_mount_point=False), FULL)],
            Outcome.NOT_MOUNTED,
            id="the last look counts",
        ),
    ],
)
def test_a_gate_that_has_waited_looks_once_more_before_it_ends(
    found: list[tuple[Look, FileCount]], outcome: Outcome
) -> None:
    examiner, said = Scripted(*found), list[EventRecord]()
    ending = check.check(examiner, 60, PodInfo("skills-0", "node-1", "dev"), said.append)
    assert ending.outcome is outcome
    assert not examiner.finds_more()
    assert len(examiner.paused) == len(found) - 1
    assert "no baseline yet" not in said[-1].message
