"""Every message of gate and commands, read as the person at 3 a.m. reads it: the parts it must have, in their order."""

import errno
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from guard import outcome
from guard.event import Event
from guard.fields import facts
from guard.messages import Messages, termination
from guard.outcome import PRECEDENCE, Outcome
from guard.pod import PodInfo
from guard.report.log import LINE_LIMIT
from guard.volume.cause import Cause
from guard.volume.hold import RESTORE, Hold
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger, LedgerIncident, Reference
from guard.volume.loss import LossRule
from guard.volume.marker import Marker
from guard.volume.mountinfo import Mount
from guard.volume.observation import (
    FileCount,
    FilesChecked,
    Identity,
    InvalidDocument,
    Look,
    ProbeFault,
    Space,
    Writing,
)
from guard.volume.sample import FileCheck, Part, Presence, SampledFile
from guard.volume.verdict import Expectation, Inspection, judge

NOW = datetime(2026, 11, 24, 21, 30, tzinfo=UTC)
AT = "2026-11-24T18:27:01Z"
ID = "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11"
MOUNT = Mount(125, 109, "7:1", "/", "/app/skills", ("rw",), (), "ext4", "/dev/loop1", "rw")
SAMPLE = tuple(
    SampledFile(f"{entry}/{number}", 100, 0, 0, 0, Part.HASH) for entry in ("pdf", "docx") for number in range(12)
)
REFERENCE = Reference(24, AT, SAMPLE, 1, 2, {"pdf": 12, "docx": 12})
LEDGER = Ledger(ID, 4, REFERENCE, AT, "skills-0", "node-1")
LOOK = Look(
    "/app/skills",
    Identity(1000, 1000, ()),
    real_path="/app/skills",
    mount=MOUNT,
    is_mount_point=True,
    kind=Kind.BLOCK,
    kind_reason="a device of its own",
    container="volume-guard-gate",
    space=Space(1 << 30, 1 << 29, 512, 100, 412, 7),
    marker=Marker("claude-skills-dev", ID, AT),
    ledger=LEDGER,
)
NEW = replace(LOOK, marker=None, ledger=None)
EXPECTED = Expectation("/app/skills", "claude-skills-dev")
POD = PodInfo("skills-7", "node-2", "dev")
EXEC = "kubectl exec -n dev skills-7 -c volume-guard-gate --"
BROKEN = InvalidDocument("not JSON", "ab" * 32)

THERE, GONE = FileCheck(Presence.PRESENT, 100), FileCheck(Presence.ABSENT)
ALL_THERE = FilesChecked({file.path: THERE for file in SAMPLE})
ALL_GONE = FilesChecked({file.path: GONE for file in SAMPLE})
HALF = FilesChecked({file.path: THERE if file.path.startswith("pdf") else GONE for file in SAMPLE})

#: What leads to each cause: a look, and what was checked and counted where the content matters.
Found = tuple[Look, FilesChecked | None, FileCount | None]


def failing(number: int, *, writing: bool = False, uid: int = 1000, look: Look = LOOK) -> Found:
    fault = ProbeFault(number, "listing /app/skills/acme", writing=writing)
    return replace(look, fault=fault, identity=Identity(uid, uid, ())), None, None


CASES: dict[Cause, Found] = {
    Cause.ABSENT: (Look("/app/skills", LOOK.identity, absent=True, found_instead="no such path"), None, None),
    Cause.NO_PROGRESS: failing(0),
    Cause.SERVER_GONE: failing(errno.EHOSTDOWN),
    Cause.DEVICE_GONE: failing(errno.ENXIO),
    Cause.DAMAGED: failing(errno.EBADMSG),
    Cause.DENIED: failing(errno.EACCES),
    Cause.DENIED_TO_ROOT: failing(errno.EACCES, uid=0),
    Cause.NO_RENAME: failing(errno.ENOSYS, writing=True),
    Cause.NO_SPACE: failing(errno.ENOSPC, writing=True),
    Cause.NO_INODES: failing(
        errno.ENOSPC, writing=True, look=replace(LOOK, space=Space(1 << 30, 1 << 29, 512, 0, 512, 7))
    ),
    Cause.LIMITED: failing(errno.EMFILE),
    Cause.BUSY: failing(errno.EAGAIN, writing=True),
    Cause.CHANGING: failing(errno.EAGAIN),
    Cause.IN_THE_WAY: failing(errno.EISDIR, writing=True),
    Cause.NO_MOUNT: failing(errno.ENODATA, look=replace(LOOK, mount=None)),
    Cause.OTHER_ERROR: failing(errno.EPROTO),
    Cause.SOURCE_DELETED: (replace(NEW, mount=replace(MOUNT, root="/pods/v//deleted")), None, None),
    Cause.PLAIN_DIRECTORY: (
        replace(NEW, mount=replace(MOUNT, fstype="overlay", mount_point="/"), is_mount_point=False, kind=Kind.OVERLAY),
        None,
        None,
    ),
    Cause.INSIDE_VOLUME: (replace(NEW, mount=replace(MOUNT, mount_point="/app"), is_mount_point=False), None, None),
    Cause.EPHEMERAL: (replace(LOOK, kind=Kind.EMPTY_DIR), None, None),
    Cause.NODE_DISK: (replace(LOOK, kind=Kind.NODE_DISK), None, None),
    Cause.KIND: (replace(LOOK, kind=Kind.UNKNOWN), None, None),
    Cause.MARKER_BROKEN: (replace(NEW, marker=BROKEN), None, None),
    Cause.MARKER_FUTURE: (replace(NEW, marker=replace(BROKEN, future=True)), None, None),
    Cause.MARKER_BLOCKED: (replace(NEW, marker=replace(BROKEN, sha256="")), None, None),
    Cause.UNMARKED: (NEW, None, None),
    Cause.MARKER_GONE: (replace(LOOK, marker=None), ALL_GONE, FileCount(0)),
    Cause.OTHER_MARKER: (replace(LOOK, marker=Marker("claude-skills-prod", ID, AT)), None, None),
    Cause.HELD: (replace(LOOK, hold=Hold("ops-0", AT, "migration")), ALL_THERE, FileCount(24)),
    Cause.RESTORING: (replace(LOOK, hold=Hold("restore-0", AT, f"{RESTORE} 1a2b")), ALL_THERE, FileCount(24)),
    Cause.READ_ONLY: (replace(LOOK, read_only="a write gave EROFS"), ALL_THERE, FileCount(24)),
    Cause.READ_ONLY_FOR_COMMAND: (replace(LOOK, read_only="a write gave EROFS"), ALL_THERE, FileCount(24)),
    Cause.FILES_LOST: (LOOK, ALL_GONE, FileCount(0)),
    Cause.TOO_FEW_FILES: (replace(LOOK, ledger=None), None, FileCount(2)),
}

#: STYLE.md, Words to avoid. What another word replaces in every message, whole words in any case.
AVOIDED = re.compile(
    r"\b(mend|mends|mended|anew|for ever|besides|stands|looked|says|said|tells|told|goes with|is to be|heal)\b",
    re.IGNORECASE,
)
#: Commands that give data up, or that a wrong reader must not paste first.
GIVES_UP = re.compile(r"guard (accept|release|adopt)")


def inspected(cause: Cause, expected: Expectation = EXPECTED) -> Inspection:
    look, checked, count = CASES[cause]
    judgement = judge(expected, look, checked, count)
    if cause is Cause.READ_ONLY_FOR_COMMAND:
        findings = tuple(replace(one, cause=cause) for one in judgement.findings)
        judgement = replace(judgement, findings=findings)
    return Inspection(look, checked, count, judgement)


def expectation(cause: Cause) -> Expectation:
    return replace(EXPECTED, loss=LossRule(min_files=5)) if cause is Cause.TOO_FEW_FILES else EXPECTED


@pytest.fixture(params=Cause, ids=lambda cause: cause.name.lower())
def cause(request: pytest.FixtureRequest) -> Cause:
    found: Cause = request.param
    return found


def test_every_cause_is_told_from_the_facts_that_lead_to_it(cause: Cause) -> None:
    assert inspected(cause, expectation(cause)).judgement.findings[0].cause is cause


def test_every_refusal_reports_outcome_found_expected_and_the_steps_in_one_line(cause: Cause) -> None:
    inspection = inspected(cause, expectation(cause))
    record, result = Messages(expectation(cause), POD).refusal(inspection, NOW)
    label = inspection.judgement.outcome.label
    assert record.event is Event.VOLUME_REFUSED
    assert record.message.startswith(f"{label}: ")
    assert re.search(r", expected [^.]", record.message)
    assert "\n" not in record.message
    assert record.fields["outcome"] == label == result.outcome.label
    assert not AVOIDED.search(record.message), record.message
    assert not re.search(r"\.\.|\(\)|  ", record.message), record.message


def test_the_first_line_of_a_termination_message_stands_alone_and_the_rest_is_indented(cause: Cause) -> None:
    inspection = inspected(cause, expectation(cause))
    _, result = Messages(expectation(cause), POD).refusal(inspection, NOW, "this start")
    first, *rest = result.message.removesuffix("\n").split("\n")
    outcome = inspection.judgement.outcome
    assert first.startswith(f"volume-guard refused this start (exit {outcome.status}, {outcome.label}): ")
    assert "/app/skills" in first
    assert first.endswith(".")
    assert all(re.match(r" {8}\S", line) for line in rest), result.message
    names = [line.split()[0] for line in rest]
    assert names[:3] == ["checked:", "found:", "expected:"]
    steps = [name for name in names if re.fullmatch(r"\d\.", name)]
    assert steps == [f"{number}." for number in range(1, len(steps) + 1)]
    assert steps
    assert rest[-1] == f"        more: guard explain {outcome.label}, or {outcome.runbook}"
    assert not AVOIDED.search(result.message), result.message
    assert len(result.message.encode()) <= 4096


def test_a_command_that_gives_data_up_is_the_last_step_behind_only_if_with_the_names_filled_in(cause: Cause) -> None:
    inspection = inspected(cause, expectation(cause))
    record, result = Messages(expectation(cause), POD).refusal(inspection, NOW)
    steps = [line.strip() for line in result.message.splitlines() if re.match(r" {8}\d\.", line)]
    giving_up = [step for step in steps if GIVES_UP.search(step)]
    assert giving_up == ([steps[-1]] if giving_up else [])
    for step in giving_up:
        assert len(steps) > 1
        assert re.match(r"\d\. Only if .*: kubectl exec -n dev skills-7 -c volume-guard-gate -- guard ", step), step
    for command in record.fields["remedy"] or []:
        assert command in steps[-1] or "kubectl delete pod -n dev skills-7" in command
        assert any(command in step for step in steps)


@pytest.mark.parametrize(
    ("cause", "right", "wrong"),
    [
        (Cause.DAMAGED, "EBADMSG while listing /app/skills/acme", "fsGroup"),
        (Cause.DAMAGED, "fsck", "delete the pod"),
        (Cause.SERVER_GONE, "storage server", "fsGroup"),
        (Cause.DENIED, "runAsUser", "delete the pod"),
        (Cause.DENIED_TO_ROOT, "evicted client", "fsGroup"),
        (Cause.NO_SPACE, "the disk is full", "delete the pod"),
        (Cause.NO_INODES, "no free inodes (512 are used)", "quota"),
        (Cause.NO_RENAME, "cannot rename files", "move away"),
        (Cause.SOURCE_DELETED, "deleted on the node", "guard accept"),
        (Cause.INSIDE_VOLUME, "Set GUARD_PATH=/app in the gate", "lost with it"),
        (Cause.KIND, "GUARD_KINDS=block,fuse,network,unknown ", "GUARD_KINDS=block, "),
        (Cause.MARKER_GONE, "often a wipe", "brand-new"),
        (Cause.UNMARKED, "If this claim was ever used: stop", "often a wipe"),
        (Cause.RESTORING, "run it again", "Only if nobody works"),
        (Cause.FILES_LOST, "0 of 24 files are left on /app/skills", "lost+found"),
        (Cause.FILES_LOST, "docx 12 to 0, pdf 12 to 0", "other files took"),
        (Cause.FILES_LOST, "o watcher saw this volume for 3 h", "observe"),
        (Cause.READ_ONLY_FOR_COMMAND, "Remove readOnly", "GUARD_WRITABLE"),
        (Cause.TOO_FEW_FILES, "2 files, fewer than GUARD_MIN_FILES=5", "guard accept"),
    ],
)
def test_the_advice_is_the_cause_s_own(cause: Cause, right: str, wrong: str) -> None:
    record, result = Messages(expectation(cause), POD).refusal(inspected(cause, expectation(cause)), NOW)
    for text in (record.message, result.message):
        assert right in text
        assert wrong not in text


def test_a_marker_that_a_wipe_took_is_adopted_only_after_what_is_left_was_accepted() -> None:
    record, _ = Messages(EXPECTED, POD).refusal(inspected(Cause.MARKER_GONE), NOW)
    assert [line.rpartition(" -- ")[2] for line in record.fields["remedy"]] == ["guard accept", "guard adopt"]
    assert record.fields["also"] == ["data-lost"]


def test_files_that_fsck_moved_are_looked_for_before_anything_is_restored() -> None:
    inspection = replace(inspected(Cause.FILES_LOST), count=FileCount(0, in_lost_and_found=200))
    _, result = Messages(EXPECTED, POD).refusal(inspection, NOW)
    assert "1. /app/skills/lost+found holds 200 files" in result.message


def test_files_that_mounts_hide_are_to_be_unmounted_never_restored() -> None:
    look = replace(LOOK, nested=("pdf", "docx"))
    checked = FilesChecked({file.path: FileCheck(Presence.HIDDEN) for file in SAMPLE})
    judgement = judge(EXPECTED, look, checked, FileCount(0))
    assert judgement.outcome is Outcome.OK
    record = Messages(EXPECTED, POD).passed(Inspection(look, checked, FileCount(0), judgement), NOW, ())
    assert "known files are hidden by mounts at pdf, docx: unmount them" in record.message
    assert "estore" not in record.message
    assert (record.severity.name, record.fields["nested_mounts"]) == ("WARNING", ["pdf", "docx"])


def test_where_the_guard_only_observes_the_line_is_a_warning_and_names_the_watchers_container() -> None:
    messages = Messages(EXPECTED, replace(POD, container="volume-guard-watch"))
    record, result = messages.refusal(inspected(Cause.FILES_LOST), NOW, "this start", enforced=False)
    assert (record.severity.name, record.fields["enforced"]) == ("WARNING", False)
    assert "the application starts anyway. With enforcement this pod would not start" in record.message
    assert result.message.startswith("volume-guard would refuse this start (exit 30, data-lost): ")
    assert record.fields["remedy"] == ["kubectl exec -n dev skills-7 -c volume-guard-watch -- guard accept"]


def test_outside_a_pod_a_command_is_given_as_it_is(cause: Cause) -> None:
    inspection = inspected(cause, expectation(cause))
    elsewhere = replace(inspection, look=replace(inspection.look, container=None))
    record, _ = Messages(expectation(cause), PodInfo()).refusal(elsewhere, NOW)
    for command in record.fields["remedy"] or []:
        assert command.startswith(("guard ", "kubectl delete pod"))
    assert not re.search(r"\.\.|\(\)|  ", record.message), record.message


@pytest.mark.parametrize("cause", [Cause.ABSENT, Cause.INSIDE_VOLUME, Cause.PLAIN_DIRECTORY], indirect=True)
@pytest.mark.parametrize(
    ("pod", "line"), [(POD, "get deploy -n dev NAME -o yaml"), (PodInfo(), "get deploy NAME -o yaml")]
)
def test_the_applied_object_is_looked_for_in_the_pods_namespace(cause: Cause, pod: PodInfo, line: str) -> None:
    record, result = Messages(EXPECTED, pod).refusal(inspected(cause), NOW)
    for text in (record.message, result.message):
        assert f"kubectl {line}" in text


def test_what_else_is_wrong_is_listed_but_not_what_follows_from_the_first() -> None:
    look = replace(LOOK, marker=Marker("claude-skills-prod", ID, AT), read_only="the mount is read-only")
    record, result = Messages(EXPECTED, POD).refusal(Inspection(look, None, None, judge(EXPECTED, look)), NOW)
    assert record.message.endswith("Also: read-only.")
    assert "        also: read-only: /app/skills cannot be written\n" in result.message
    plain, _, _ = CASES[Cause.PLAIN_DIRECTORY]
    assert [one.outcome for one in judge(EXPECTED, plain).findings] == [Outcome.NOT_MOUNTED]


def test_hostile_names_and_long_paths_neither_break_the_lines_nor_the_limit() -> None:
    hostile = "\x1b[2J\n" + "x" * 5000
    look = replace(
        LOOK,
        path="/" + "p" * 4000,
        mount=replace(MOUNT, source=hostile, mount_point="/" + "m" * 4000),
        marker=Marker(hostile, ID, AT),
        hold=Hold(hostile, AT, hostile),
        read_only=hostile,
    )
    expected = replace(EXPECTED, volume="v" * 253)
    record, result = Messages(expected, POD).refusal(Inspection(look, None, None, judge(expected, look)), NOW)
    assert "\x1b" not in record.message + result.message
    assert len(result.message.encode()) <= 4096
    assert result.message.endswith("runbooks/marker-mismatch.md\n")
    assert len(record.message) < LINE_LIMIT


def test_a_termination_message_that_is_too_long_loses_its_least_important_lines() -> None:
    text = termination("first", [f"line {number} {'x' * 600}" for number in range(20)], Outcome.USAGE)
    lines = text.splitlines()
    assert len(text.encode()) <= 4096
    assert (lines[0], lines[1][:15]) == ("first", "        line 0 ")
    assert lines[-1].endswith("usage.md")


def passed(look: Look, checked: FilesChecked | None, count: FileCount | None, now: datetime = NOW) -> tuple[str, str]:
    inspection = Inspection(look, checked, count, judge(EXPECTED, look, checked, count))
    assert inspection.judgement.outcome is Outcome.OK
    record = Messages(EXPECTED, POD).passed(inspection, now, ())
    assert not AVOIDED.search(record.message), record.message
    return record.severity.name, record.message


def test_a_pass_answers_whether_the_data_survived() -> None:
    written = datetime.fromisoformat(AT)
    severity, message = passed(LOOK, ALL_THERE, FileCount(24), written + timedelta(minutes=2))
    assert severity == "INFO"
    assert message == (
        '/app/skills is "claude-skills-dev" (block, ext4, 7:1) with 24 files; 24 of 24 known files that were checked are '
        f"there; last seen {AT} by skills-0 on node-1, now on node-2."
    )
    assert "with 24 files at the last count" in passed(LOOK, ALL_THERE, None)[1]
    assert "; no watcher saw this volume for 3 h" in passed(LOOK, ALL_THERE, FileCount(24))[1]


def test_a_volume_without_known_files_is_not_called_protected() -> None:
    empty = replace(LEDGER, reference=Reference(0, AT))
    for ledger in (None, empty):
        assert "nothing is protected yet" in passed(replace(LOOK, ledger=ledger), None, FileCount(0))[1]


@pytest.mark.parametrize(
    ("look", "checked", "count", "clause"),
    [
        (LOOK, HALF, FileCount(12, entries={"pdf": 12, "docx": 0}), "12 of 24 known files are gone (it had 24 files"),
        (replace(LOOK, writing=Writing.FULL), ALL_THERE, None, "is full: no space or quota is left"),
        (
            replace(LOOK, space=Space(1 << 30, 1 << 29, 512, 0, 512, 7)),
            ALL_THERE,
            None,
            "has no free inodes (512 are used)",
        ),
        (replace(LOOK, writing=Writing.DENIED), ALL_THERE, None, "uid 1000, gid 1000, groups none cannot write in"),
        (
            LOOK,
            FilesChecked({file.path: FileCheck(Presence.UNREADABLE) for file in SAMPLE}),
            FileCount(
                0,
                entry_count=4,
                unreadable_entries=4,
                unreadable_folders=4,
                unreadable=("acme", "beta", "gamma", "delta"),
            ),
            "4 of 4 entries cannot be read by uid 1000 (acme, beta, delta, gamma)",
        ),
    ],
    ids=["shrunk", "no space", "no inodes", "not writable by this uid", "unreadable"],
)
def test_a_pass_with_a_concern_is_a_warning_that_names_it(
    look: Look, checked: FilesChecked, count: FileCount | None, clause: str
) -> None:
    severity, message = passed(look, checked, count)
    assert severity == "WARNING"
    assert clause in message


def test_the_fields_of_a_loss_are_those_that_scripts_read() -> None:
    incident = LedgerIncident("i-4", "volume.wiped", AT, 24, "all gone")
    look = replace(LOOK, ledger=replace(LEDGER, incident=incident))
    inspection = Inspection(look, ALL_GONE, FileCount(0), judge(EXPECTED, look, ALL_GONE, FileCount(0)))
    found = facts(inspection)
    assert (found["files"], found["before"], found["checked"], found["kept"]) == (0, 24, 24, 0)
    assert (found["known"], found["known_lost"], found["replaced"]) == (24, 24, False)
    assert found["entries"] == {"docx": [12, 0], "pdf": [12, 0]}
    assert (found["incident"], found["incident_since"]) == ("i-4", AT)


def test_an_incident_in_the_ledger_is_a_loss_until_the_files_are_back() -> None:
    incident = LedgerIncident("i-4", "volume.wiped", AT, 24, "all gone")
    look = replace(LOOK, ledger=replace(LEDGER, incident=incident))
    assert judge(EXPECTED, look, HALF, FileCount(12)).outcome is Outcome.DATA_LOST
    assert judge(EXPECTED, look, ALL_THERE, FileCount(24)).outcome is Outcome.OK


def test_adopting_again_reports_that_the_data_is_lost() -> None:
    message = Messages(EXPECTED, POD).adopted_already(inspected(Cause.FILES_LOST))
    assert "nothing was written. But guard check refuses it with exit 30: data-lost: 0 of 24 files are left" in message


def test_a_second_hold_names_the_older_one_and_how_to_replace_it() -> None:
    look, _, _ = CASES[Cause.HELD]
    message = Messages(EXPECTED, POD).held_already(look)
    assert f'by ops-0 since {AT}: "migration"' in message
    assert message.endswith(f"{EXEC} guard hold --over REASON")


def test_a_hold_names_what_it_replaces_and_how_it_ends() -> None:
    messages, hold = Messages(EXPECTED, POD), Hold("ops-1", AT, "move")
    message = messages.held(CASES[Cause.HELD][0], hold)
    assert "It replaces the hold by ops-0 since" in message
    assert message.endswith(f"{EXEC} guard release")
    assert "replaces" not in messages.held(LOOK, hold)


def test_a_file_system_that_holds_only_a_marker_is_reported_as_such() -> None:
    inspection = Inspection(NEW, None, FileCount(3), judge(EXPECTED, NEW))
    message = Messages(EXPECTED, POD).declared(Event.VOLUME_ADOPTED, inspection, FileCount(3), None, None)
    assert "can't rename files, so it holds a marker and no ledger, and losses are not seen" in message


@pytest.mark.parametrize(
    ("marker", "rest"),
    [
        (LOOK.marker, "generation 5."),
        (None, f"Its marker is still missing: {EXEC} guard adopt"),
        (BROKEN, f"Its marker is still broken: {EXEC} guard adopt --replace {BROKEN.digest}"),
    ],
    ids=["right", "missing", "broken"],
)
def test_an_acceptance_says_what_the_marker_still_needs(marker: Marker | InvalidDocument | None, rest: str) -> None:
    look = replace(LOOK, marker=marker)
    inspection = Inspection(look, None, FileCount(24), judge(EXPECTED, look))
    written = replace(LEDGER, generation=5)
    message = Messages(EXPECTED, POD).declared(Event.VOLUME_ACCEPTED, inspection, FileCount(24), LEDGER, written)
    assert "is accepted as it is: 24 files are the new reference (before: 24), generation 5." in message
    assert message.endswith(rest)


@pytest.mark.parametrize("one", Outcome, ids=lambda one: one.label)
def test_every_outcome_of_the_table_is_in_plain_english(one: Outcome) -> None:
    assert one.value.remedy.endswith(".")
    assert not AVOIDED.search(f"{one.value.when} {one.value.remedy}")
    position = re.search(r"guard (accept|release|adopt)", one.value.remedy)
    assert position is None or re.search(r"[Oo]nly if|Brand-new", one.value.remedy[: position.start()])
    assert one in PRECEDENCE or one.status in {0, 1, 2, 40}
    assert outcome.RUNBOOKS in one.runbook or one is Outcome.OK
