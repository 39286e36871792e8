"""When `guard check` waits, when it ends, and when it renews the ledger, with the inspections given."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from guard.check import Gate
from guard.event import EventRecord
from guard.messages import Messages
from guard.outcome import Outcome
from guard.pod import PodInfo
from guard.probe.inspector import Inspector
from guard.probe.writes import MountRef, WriteLedger, Written
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger, LedgerIncident, Reference
from guard.volume.marker import Marker
from guard.volume.mountinfo import Mount
from guard.volume.observation import FileCount, FilesChecked, Identity, InvalidDocument, Look, ProbeFault
from guard.volume.sample import FileCheck, Part, Presence, SampledFile
from guard.volume.timestamp import rfc3339
from guard.volume.verdict import Expectation, Inspection, judge

ID = "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11"
EXPECTED = Expectation("/app/skills", "claude-skills-dev")
SAMPLE = tuple(SampledFile(f"a/{number}", 1, 0, number, 0, Part.HASH) for number in range(9))
CHECKED = FilesChecked({file.path: FileCheck(Presence.PRESENT, 1) for file in SAMPLE}, mount_id=125, root_inode=2)
GONE = FilesChecked({file.path: FileCheck(Presence.ABSENT) for file in SAMPLE}, mount_id=125, root_inode=2)
COUNT = FileCount(9, sample=SAMPLE, mount_id=125, root_inode=2)


def ledger(age: timedelta = timedelta(0), **changed: Any) -> Ledger:
    written = rfc3339(datetime.now(UTC) - age)
    return replace(Ledger(ID, 3, Reference(9, written, SAMPLE), written, "skills-0", "node-1"), **changed)


def watchers_ledger(age: timedelta) -> Ledger:
    """A watcher writes what it counted some time before."""
    written = ledger(age)
    return replace(written, reference=replace(written.reference, counted=rfc3339(datetime.now(UTC) - 2 * age)))


ADOPTED = Look(
    "/app/skills",
    Identity(1000, 1000, ()),
    mount=Mount(125, 109, "7:1", "/", "/app/skills", ("rw",), (), "ext4", "/dev/loop1", "rw"),
    is_mount_point=True,
    root_inode=2,
    kind=Kind.BLOCK,
    marker=Marker("claude-skills-dev", ID, "2026-11-24T18:27:01Z"),
    ledger=ledger(),
)
NEW = replace(ADOPTED, marker=None, ledger=None)

Found = tuple[Look, FilesChecked | None, FileCount | None]
RIGHT: Found = (ADOPTED, CHECKED, COUNT)
UNMARKED: Found = (NEW, None, None)
WIPED: Found = (ADOPTED, GONE, FileCount(0))
FOREIGN: Found = (replace(ADOPTED, marker=Marker("other", ID, "2026-11-24T18:27:01Z")), None, None)


class Scripted(Inspector):
    """Finds what it is given, one after the other; whoever inspects once more than that fails."""

    def __init__(self, *found: Found, answer: Any = None) -> None:
        self.expected = EXPECTED
        self._found = iter(found)
        self._answer = answer or Written()
        self.paused: list[float] = []
        self.asked: list[Any] = []

    def inspect(self) -> Inspection:
        look, checked, count = next(self._found)
        return Inspection(look, checked, count, judge(self.expected, look, checked, count))

    def ask(self, request: Any) -> Any:
        self.asked.append(request)
        return self._answer

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)

    def finds_more(self) -> bool:
        return next(self._found, None) is not None


def run(inspector: Scripted, *, enforce: bool = True) -> tuple[Outcome, list[EventRecord]]:
    records: list[EventRecord] = []
    messages = Messages(EXPECTED, PodInfo("skills-1", "node-2", "dev"))
    return Gate(inspector, 60, enforce, messages, records.append).run().outcome, records


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        pytest.param([RIGHT], Outcome.OK, id="right at once: one inspection, no pause"),
        pytest.param([UNMARKED, UNMARKED, RIGHT, RIGHT], Outcome.OK, id="fixed while it waits"),
        pytest.param(
            [UNMARKED, RIGHT, WIPED, RIGHT, RIGHT], Outcome.OK, id="wiped while it settles: the waiting goes on"
        ),
        pytest.param([UNMARKED, FOREIGN], Outcome.MARKER_MISMATCH, id="what cannot recover ends the waiting"),
    ],
)
def test_a_gate_that_has_waited_inspects_once_more_before_it_ends(found: list[Found], outcome: Outcome) -> None:
    inspector = Scripted(*found)
    assert run(inspector)[0] is outcome
    assert not inspector.finds_more()
    assert len(inspector.paused) == len(found) - 1


def test_each_thing_that_is_waited_for_is_reported_once_and_the_lines_are_one_operation() -> None:
    _, records = run(Scripted(UNMARKED, UNMARKED, WIPED, WIPED, RIGHT, RIGHT))
    assert [record.event.label for record in records] == ["volume.waiting", "volume.waiting", "volume.ok"]
    assert [record.first for record in records] == [True, False, False]
    assert [record.last for record in records] == [False, False, True]
    assert len({record.operation for record in records}) == 1


@pytest.mark.parametrize("found", [UNMARKED, WIPED], ids=["no marker", "wiped"])
def test_a_gate_that_only_observes_never_waits(found: Found) -> None:
    inspector = Scripted(found)
    _, (record,) = run(inspector, enforce=False)
    assert inspector.paused == []
    assert (record.severity.name, record.fields["enforced"]) == ("WARNING", False)


OLD = timedelta(hours=3)


@pytest.mark.parametrize("before", [None, ledger(OLD)], ids=["no ledger", "an old ledger"])
def test_a_gate_that_passes_and_counted_writes_the_ledger_that_no_watcher_writes(before: Ledger | None) -> None:
    look = replace(ADOPTED, ledger=before)
    inspector = Scripted((look, CHECKED if before else None, COUNT))
    assert run(inspector)[0] is Outcome.OK
    (request,) = inspector.asked
    assert isinstance(request, WriteLedger)
    assert request.mount == MountRef("/app/skills", 125, 2)
    written = request.ledger
    assert (written.marker_id, written.pod, written.node, written.reference.files) == (ID, "skills-1", "node-2", 9)
    assert written.generation == request.replaces == (before.generation if before else 1)
    if before:  # known since when they were first seen
        assert {file.since for file in written.reference.sample} == {0}


EMPTY = ledger()
EMPTY = replace(EMPTY, reference=Reference(0, EMPTY.written))
INCIDENT = LedgerIncident("i", "volume.wiped", "2026-11-24T18:27:01Z", 9, "lost")
UNRENEWED: dict[str, Found] = {
    "a watcher writes it": (replace(ADOPTED, ledger=watchers_ledger(timedelta(minutes=1))), CHECKED, COUNT),
    "nothing came or went": (replace(ADOPTED, ledger=ledger()), CHECKED, replace(COUNT, sample=())),
    "it is empty and was": (replace(ADOPTED, ledger=EMPTY), None, FileCount(0, mount_id=125, root_inode=2)),
    "nothing was counted": (replace(ADOPTED, ledger=ledger(OLD)), CHECKED, None),
    "the count stopped early": (replace(ADOPTED, ledger=ledger(OLD)), CHECKED, replace(COUNT, exact=False)),
    "the watcher reports that an incident is over": (
        replace(ADOPTED, ledger=ledger(OLD, incident=INCIDENT)), CHECKED, COUNT
    ),
    "a broken ledger is for a person": (replace(ADOPTED, ledger=InvalidDocument("not JSON", "ab")), None, COUNT),
    "it is refused": (replace(ADOPTED, ledger=ledger(OLD)), GONE, FileCount(0)),
}  # fmt: skip


@pytest.mark.parametrize("found", UNRENEWED.values(), ids=UNRENEWED)
def test_a_gate_renews_nothing_where(found: Found) -> None:
    inspector = Scripted(found)
    run(inspector, enforce=False)
    assert inspector.asked == []


@pytest.mark.parametrize(
    "young", [ledger(timedelta(seconds=1)), ledger(timedelta(hours=-1))], ids=["young", "of the future"]
)
def test_a_gate_renews_what_a_gate_wrote_where_files_came_or_went(young: Ledger) -> None:
    inspector = Scripted((replace(ADOPTED, ledger=young), CHECKED, replace(COUNT, files=10)))
    run(inspector)
    assert len(inspector.asked) == 1


def test_a_ledger_that_could_not_be_renewed_is_a_warning_at_most() -> None:
    look = replace(ADOPTED, ledger=ledger(OLD))
    failed = ProbeFault(5, "writing .volume-guard/ledger.json", writing=True)
    outcome, (record,) = run(Scripted((look, CHECKED, COUNT), answer=failed))
    assert (outcome, record.severity.name) == (Outcome.OK, "WARNING")
    assert "its ledger could not be renewed: EIO" in record.message


def test_a_ledger_that_is_not_used_is_reported_before_the_pass() -> None:
    look = replace(ADOPTED, ledger=InvalidDocument("not JSON", "ab"))
    _, records = run(Scripted((look, None, COUNT)))
    assert [record.event.label for record in records] == ["ledger.invalid", "volume.ok"]
    assert "is not used: not JSON" in records[0].message
