"""What is asked of the prober follows from what it found; the cost of a healthy volume doesn't depend on its size."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from guard.outcome import Outcome
from guard.probe.inspector import Inspector
from guard.probe.requests import CheckRequest, CountRequest, LookRequest
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger, LedgerIncident, Reference
from guard.volume.loss import LossRule
from guard.volume.marker import Marker
from guard.volume.mountinfo import Mount
from guard.volume.observation import FileCount, FilesChecked, Identity, Look, LookResult
from guard.volume.sample import FileCheck, Part, Presence, SampledFile
from guard.volume.timestamp import rfc3339, seconds_of
from guard.volume.verdict import Expectation

ID = "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11"
AT = "2026-11-24T18:27:01Z"
EXPECTED = Expectation("/app/skills", "claude-skills-dev")
SAMPLE = tuple(SampledFile(f"{number % 8}/{number}", 1, 0, number, 0, Part.HASH) for number in range(512))
LARGE = Ledger(ID, 1, Reference(1_000_000, AT, SAMPLE, 1, 8, {"0": 125_000, "1": 125_000}), AT)
SMALL = replace(LARGE, reference=replace(LARGE.reference, files=9_999))
LOOK = Look(
    "/app/skills",
    Identity(0, 0, ()),
    mount=Mount(125, 109, "7:1", "/", "/app/skills", ("rw",), (), "ext4", "/dev/loop1", "rw"),
    is_mount_point=True,
    root_inode=2,
    kind=Kind.BLOCK,
    marker=Marker("claude-skills-dev", ID, AT),
    ledger=LARGE,
)


class Volume(Inspector):
    """Answers as a prober would, on a volume of which these paths are left."""

    def __init__(self, look: Look, left: range = range(512), expected: Expectation = EXPECTED) -> None:
        self.expected = expected
        self.look = look
        self.left = {file.path for file in SAMPLE[left.start : left.stop]}
        self.asked: list[Any] = []
        self.remounted = 0

    def ask(self, request: Any) -> Any:
        self.asked.append(request)
        if isinstance(request, LookRequest):
            return LookResult(self.look)
        if isinstance(request, CheckRequest):
            return self._checked(request)
        self.remounted -= 1
        files = len(self.left) if request.options.enough is None else request.options.enough + 1
        exact = request.options.enough is None
        mount_id = 126 if self.remounted >= 0 else 125
        return FileCount(files, exact=exact, mount_id=mount_id, root_inode=2)

    def _checked(self, request: CheckRequest) -> FilesChecked:
        checks: dict[str, FileCheck] = {}
        for file in request.files:
            there = file.path in self.left
            checks[file.path] = FileCheck(Presence.PRESENT, 1) if there else FileCheck(Presence.ABSENT)
            if len(checks) == request.enough and all(one.presence is Presence.PRESENT for one in checks.values()):
                break
        return FilesChecked(checks, mount_id=125, root_inode=2)

    @property
    def counts(self) -> list[CountRequest]:
        return [request for request in self.asked if isinstance(request, CountRequest)]


def test_a_healthy_large_volume_costs_a_look_and_64_files_in_random_order() -> None:
    orders = []
    for _ in range(2):
        volume = Volume(LOOK)
        inspection = volume.inspect()
        assert (inspection.judgement.outcome, volume.counts) == (Outcome.OK, [])
        assert inspection.checked is not None
        assert len(inspection.checked.checks) == 64
        orders.append(tuple(inspection.checked.checks))
    assert orders[0] != orders[1]


def test_below_ten_thousand_files_or_without_a_ledger_the_number_is_exact() -> None:
    for ledger in (SMALL, None):
        inspection = Volume(replace(LOOK, ledger=ledger)).inspect()
        assert inspection.count is not None
        assert (inspection.count.exact, inspection.count.files) == (True, 512)


def test_no_size_is_read_for_a_new_sample_where_the_ledger_is_new_and_knows_as_many_files() -> None:
    for written, unsampled in ((AT, None), (rfc3339(datetime.now(UTC)), 9_999)):
        volume = Volume(replace(LOOK, ledger=replace(SMALL, written=written)))
        volume.inspect()
        assert [request.options.unsampled for request in volume.counts] == [unsampled]


def test_a_new_sample_is_read_where_files_were_replaced_by_as_many() -> None:
    volume = Volume(replace(LOOK, ledger=replace(SMALL, written=rfc3339(datetime.now(UTC)))), left=range(400))
    volume.inspect()
    assert [request.options.unsampled for request in volume.counts] == [None]


def test_the_least_number_of_files_is_counted_no_further_than_it_takes() -> None:
    volume = Volume(LOOK, expected=replace(EXPECTED, loss=LossRule(min_files=50)))
    inspection = volume.inspect()
    assert [request.options.enough for request in volume.counts] == [50]
    assert inspection.judgement.outcome is Outcome.OK


@pytest.mark.parametrize(
    ("left", "outcome"), [(range(0), Outcome.DATA_LOST), (range(300), Outcome.OK)], ids=["all gone", "many gone"]
)
def test_a_loss_is_confirmed_by_a_count_that_looks_for_the_lost_files(left: range, outcome: Outcome) -> None:
    volume = Volume(LOOK, left)
    inspection = volume.inspect()
    assert inspection.judgement.outcome is outcome
    (request,) = volume.counts
    options = request.options
    assert {file.path for file in options.lost} == {file.path for file in SAMPLE[left.stop :]}
    assert options.enough is None
    assert (options.copied_after, options.copied_before) == (seconds_of(AT) - 600, seconds_of(AT))


def test_an_open_incident_has_every_file_checked_and_its_first_sign_bounds_the_copies() -> None:
    incident = LedgerIncident("i", "volume.wiped", "2026-11-24T17:00:00Z", 1_000_000, "lost")
    volume = Volume(replace(LOOK, ledger=replace(LARGE, incident=incident)))
    inspection = volume.inspect()
    assert inspection.checked is not None
    assert len(inspection.checked.checks) == 512
    assert [request.options.copied_before for request in volume.counts] == [seconds_of("2026-11-24T17:00:00Z")]


def test_the_files_of_a_wrong_volume_are_never_checked() -> None:
    for look in (
        replace(LOOK, marker=Marker("other", ID, AT)),
        replace(LOOK, is_mount_point=False),
        replace(LOOK, kind=Kind.EMPTY_DIR),
        replace(LOOK, marker=None, ledger=None),
    ):
        volume = Volume(look)
        volume.inspect()
        assert [type(request) for request in volume.asked] == [LookRequest]


def test_a_mount_that_changes_before_it_is_counted_is_inspected_again() -> None:
    volume = Volume(replace(LOOK, ledger=SMALL))
    volume.remounted = 1
    assert volume.inspect().judgement.outcome is Outcome.OK
    assert len(volume.counts) == 2
    volume.remounted = 100
    assert volume.inspect().judgement.outcome is Outcome.UNREACHABLE
