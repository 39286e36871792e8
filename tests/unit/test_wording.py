"""What a person reads at 3 a.m.: outcome, looked at, found, expected, what to do, whatever stands on the volume."""

import errno
from dataclasses import replace

import pytest

from guard.check import _ledger_invalid
from guard.event import Event, EventRecord
from guard.messages import PodInfo, advice, facts, remedies, sentence, termination
from guard.outcome import Outcome
from guard.report import termination as kubelet
from guard.report.log import _line
from guard.volume import ledger
from guard.volume.hold import Hold
from guard.volume.json_document import DocumentError
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger, Reference
from guard.volume.loss import LossRule
from guard.volume.marker import Marker
from guard.volume.mountinfo import Mount
from guard.volume.observation import FileCount, Identity, InvalidDocument, Look, ProbeFault
from guard.volume.verdict import Expectation, Inspection, judge

AT = "2026-11-24T18:27:01Z"
ID = "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11"
MOUNT = Mount(125, 109, "7:1", "/", "/app/skills", ("rw",), (), "ext4", "/dev/loop1", "rw")
LOOK = Look(
    "/app/skills",
    Identity(1000, 1000, ()),
    mount=MOUNT,
    is_mount_point=True,
    kind=Kind.BLOCK,
    container="volume-guard",
    marker=Marker("claude-skills-dev", ID, AT),
    ledger=Ledger(ID, 4, Reference(100, {"a": 60, "b": 40}, 0, AT), 98, AT, "skills-0", "node-1"),
)
POD = PodInfo("skills-7", "node-2", "dev")


def examined(look: Look, census: FileCount | None = None) -> Inspection:
    return Inspection(look, census, judge(Expectation("/app/skills", "claude-skills-dev"), look, census))


OTHER = examined(replace(LOOK, marker=Marker("claude-skills-prod", ID, AT), read_only="the mount is read-only"))
HELD = examined(replace(LOOK, hold=Hold("restore-job", AT, "restore of Monday's backup")))


def test_a_refusal_says_outcome_found_expected_and_what_to_do_in_one_line() -> None:
    text = sentence(OTHER)
    assert text.startswith(
        f'marker-mismatch: /app/skills carries "claude-skills-prod" (id {ID}), expected "claude-skills-dev". '
        "Another volume is mounted here: check claimName"
    )
    assert text.endswith("Also: read-only.")
    assert "\n" not in text


def test_a_termination_message_says_looked_at_found_expected_and_what_to_do() -> None:
    lines = termination(OTHER, ("kubectl delete pod x",)).splitlines()
    assert lines[:4] == [
        "marker-mismatch",
        "looked at: /app/skills (block, ext4, device 7:1, mounted at /app/skills)",
        f'found: /app/skills carries "claude-skills-prod" (id {ID})',
        'expected: "claude-skills-dev"',
    ]
    assert lines[4].startswith("what to do: Another volume is mounted here")
    assert lines[-3] == "  kubectl delete pod x"
    assert lines[-2].startswith("also: read-only: ")
    assert lines[-1] == f"more: guard explain marker-mismatch, or {Outcome.MARKER_MISMATCH.runbook}"


#: As long, as wide and as rude as each text may be: names of the contract's limits that escape to ten characters each.
RUDE = "\U000e0001"
FOREIGN = {
    "a hold's reason": replace(LOOK, hold=Hold("p" * 253, AT, RUDE * 1024)),
    "a hold by a rude name": replace(LOOK, hold=Hold(RUDE * 253, AT, "x")),
    "a hold in Korean": replace(LOOK, hold=Hold("복" * 253, AT, "원" * 1024)),
    "a marker's name": replace(LOOK, marker=Marker(RUDE * 253, ID, AT)),
    "a ledger's pod and node": replace(
        LOOK, ledger=Ledger(ID, 1, Reference(100, {}, 0, AT), 1, AT, RUDE * 253, RUDE * 253)
    ),
    "names of entries": replace(
        LOOK, ledger=Ledger(ID, 1, Reference(90, {"한" * 200 + f"{n}" * 600: 30 for n in range(3)}, 0, AT), 1, AT)
    ),
}


@pytest.mark.parametrize("look", FOREIGN.values(), ids=FOREIGN.keys())
def test_no_text_on_the_volume_can_push_what_to_do_out_of_the_termination_message(look: Look) -> None:
    examination = examined(look, FileCount(0))
    assert examination.judgement.findings
    written = kubelet._cut(termination(examination, remedies(examination, POD))).decode()
    assert "what to do: " in written
    assert written.endswith(f"{examination.judgement.outcome.runbook}\n")


@pytest.mark.parametrize("look", FOREIGN.values(), ids=FOREIGN.keys())
def test_no_text_on_the_volume_can_push_what_to_do_out_of_the_log_line(look: Look) -> None:
    examination = examined(look, FileCount(0))
    finding = examination.judgement.findings[0]
    happening = EventRecord(Event.VOLUME_REFUSED, sentence(examination), Event.VOLUME_REFUSED.severity)
    assert finding.outcome.value.remedy in _line(happening)["message"]


def test_a_broken_ledger_of_any_names_is_said_with_what_counts_until_then() -> None:
    text = (
        b'{"schema": 1, "reference": {"files": 1, "entries": {"'
        + b"x" * 5000
        + b'": -1}}, "marker": "m", "generation": 1}'
    )
    with pytest.raises(DocumentError) as refusal:
        ledger.parse(text)
    said = _ledger_invalid(
        examined(replace(LOOK, ledger=InvalidDocument(str(refusal.value), "0"))), POD, "4f00", first=True
    )
    assert said is not None
    line = _line(said)
    assert (line["event"], line["severity"]) == ("ledger.invalid", "WARNING")
    assert "Only GUARD_MIN_FILES counts" in line["message"]


REMEDIES = {
    "no marker": (
        replace(LOOK, marker=None, ledger=None),
        "kubectl exec -n dev skills-7 -c volume-guard -- guard adopt",
    ),
    "a hold": (HELD.look, "kubectl exec -n dev skills-7 -c volume-guard -- guard release"),
    "a node's disk": (replace(LOOK, kind=Kind.NODE_DISK), "kubectl delete pod -n dev skills-7"),
    "a dead server that a write met": (
        replace(LOOK, fault=ProbeFault(errno.ESTALE, "writing", writing=True)),
        "kubectl delete pod -n dev skills-7",
    ),
    "a hung volume": (replace(LOOK, fault=ProbeFault(0, "being looked at")), "kubectl delete pod -n dev skills-7"),
}


@pytest.mark.parametrize(("look", "command"), REMEDIES.values(), ids=REMEDIES.keys())
def test_the_exact_line_that_would_mend_it_is_given(look: Look, command: str) -> None:
    assert remedies(examined(look), POD) == (command,)


def test_where_pod_and_container_are_not_known_the_line_says_what_to_put_in() -> None:
    look = replace(HELD.look, container=None)
    assert remedies(examined(look), PodInfo()) == ("kubectl exec POD -- guard release",)


def test_lost_data_is_accepted_by_a_line_and_another_volume_by_none() -> None:
    assert remedies(examined(LOOK, FileCount(0)), POD) == (
        "kubectl exec -n dev skills-7 -c volume-guard -- guard accept",
    )
    assert remedies(OTHER, POD) == ()


@pytest.mark.parametrize(
    ("marker", "adopting"),
    [(None, "adopt"), (InvalidDocument("not JSON", "abcdef012345"), "adopt --replace abcdef012345")],
    ids=["no marker", "a broken marker"],
)
def test_a_wiped_volume_without_its_marker_is_accepted_by_the_first_line_and_adopted_by_the_second(
    marker: InvalidDocument | None, adopting: str
) -> None:
    examination = examined(replace(LOOK, marker=marker), FileCount(0))
    exec_ = "kubectl exec -n dev skills-7 -c volume-guard -- guard"
    stopped_by_the_loss = replace(
        examination,
        judgement=replace(examination.judgement, findings=tuple(reversed(examination.judgement.findings))),
    )
    assert stopped_by_the_loss.judgement.outcome is Outcome.DATA_LOST
    assert remedies(stopped_by_the_loss, POD) == (f"{exec_} accept", f"{exec_} {adopting}")


NO_LINE = {
    # What dies with the pod may be the data of an application that runs beside a guard that only observes.
    "a plain directory": replace(LOOK, is_mount_point=False),
    "an emptyDir in memory": replace(LOOK, kind=Kind.MEMORY),
    "no path": Look("/app/skills", Identity(1000, 1000, ()), absent=True, found_instead="no such path"),
    # A new pod has the same uid, and the same disk.
    "a folder that may not be read": replace(LOOK, fault=ProbeFault(errno.EACCES, "looking")),
    "a full disk": replace(LOOK, fault=ProbeFault(errno.ENOSPC, "writing", writing=True)),
    # The command would have to write, or would find a container that has ended.
    "a new claim that is mounted read-only": replace(
        LOOK, marker=None, ledger=None, read_only="the mount is read-only"
    ),
    "a broken marker of lost data": replace(LOOK, marker=InvalidDocument("not JSON", "abcdef012345")),
}


@pytest.mark.parametrize("look", NO_LINE.values(), ids=NO_LINE.keys())
def test_no_line_is_given_that_would_mend_nothing_or_could_lose_something(look: Look) -> None:
    examination = examined(look, FileCount(0))
    assert examination.judgement.findings
    assert remedies(examination, POD) == ()


def test_a_line_is_called_by_what_it_does_and_what_makes_it_right_stands_before_it() -> None:
    exec_ = "kubectl exec -n dev skills-7 -c volume-guard -- guard"
    for look, doing in (
        (HELD.look, f"guard release. To run guard release: {exec_} release"),
        (LOOK, f"If what is there now is right: guard accept. To run guard accept: {exec_} accept"),
        (
            replace(LOOK, marker=None),
            f"guard adopt. Also: data-lost. To run guard accept, then guard adopt: {exec_} accept, then: {exec_} adopt",
        ),
        (replace(LOOK, kind=Kind.NODE_DISK), "To delete the pod: kubectl delete pod -n dev skills-7"),
    ):
        examination = examined(look, FileCount(0) if look is not HELD.look else None)
        assert (sentence(examination) + advice(remedies(examination, POD))).endswith(doing)


def test_a_restore_that_was_interrupted_is_run_again_before_anybody_releases_it() -> None:
    restoring = examined(replace(LOOK, hold=Hold("restore-1", AT, "restore of snapshot 1f2e3d")))
    assert "is run again, not released" in sentence(restoring)
    assert "is run again" not in sentence(HELD)


def test_too_few_files_by_setting_are_mended_by_no_line() -> None:
    census = FileCount(100, entries={"a": 60, "b": 40})
    expected = Expectation("/app/skills", "claude-skills-dev", loss=LossRule(min_files=101))
    for look in (LOOK, replace(LOOK, marker=None)):
        examination = Inspection(look, census, judge(expected, look, census))
        assert Outcome.DATA_LOST in {finding.outcome for finding in examination.judgement.findings}
        assert not any("accept" in line for line in remedies(examination, POD))


def test_a_broken_marker_of_whole_data_is_replaced_by_whoever_has_looked_at_it() -> None:
    look = replace(LOOK, marker=InvalidDocument("not JSON", "abcdef012345"))
    assert remedies(examined(look, FileCount(100, entries={"a": 60, "b": 40})), POD) == ()


def test_a_pass_has_the_facts_that_tell_whether_the_data_survived() -> None:
    found = facts(examined(LOOK, FileCount(100, entries={"a": 60, "b": 40})))
    assert found == {
        "path": "/app/skills", "volume": "claude-skills-dev", "marker_id": ID, "kind": "block", "device": "7:1",
        "fstype": "ext4", "source": "/dev/loop1", "files": 100, "reference_files": 100, "generation": 4,
        "last_seen": AT, "last_pod": "skills-0", "last_node": "node-1",
    }  # fmt: skip


def test_a_count_that_stopped_early_says_at_least() -> None:
    found = facts(examined(LOOK, FileCount(100_001, exact=False)))
    assert found["files_at_least"] == 100_001
    assert "files" not in found


def test_a_count_that_failed_gives_no_figure() -> None:
    examination = examined(LOOK, FileCount(7, fault=ProbeFault(errno.EIO, "counting its files")))
    assert examination.judgement.outcome is Outcome.UNREACHABLE
    assert not {"files", "files_at_least"} & set(facts(examination))


def test_a_loss_names_its_entries_and_folders_that_cannot_be_read() -> None:
    found = facts(examined(LOOK, FileCount(60, entries={"a": 60}, unreadable=("c",))))
    assert (found["lost_files"], found["entries"]) == (40, {"b": [40, 0]})
    assert (found["unreadable"], found["unreadable_folders"]) == (["c"], 1)


def test_a_hold_is_among_the_facts() -> None:
    found = facts(HELD)
    assert (found["held_by"], found["held_since"], found["hold_reason"]) == (
        "restore-job",
        AT,
        "restore of Monday's backup",
    )
