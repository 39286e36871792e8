"""The judgement: each outcome by itself, several at once, what waives, what may mend, what is worth counting."""

import errno
import re
from dataclasses import replace

import pytest

from guard.outcome import PRECEDENCE, Outcome
from guard.volume.hold import Hold
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger, Reference
from guard.volume.loss import LossRule
from guard.volume.marker import Marker
from guard.volume.mountinfo import Mount
from guard.volume.observation import NOT_DATA, FileCount, Identity, InvalidDocument, Look, ProbeFault, Space, Writing
from guard.volume.verdict import (
    DURABLE_KINDS,
    Expectation,
    judge,
    ledger_warning,
    reference_of,
    usable_ledger,
    worth_counting,
)

AT = "2026-11-24T18:27:01Z"
ID = "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11"
OTHER_ID = "7f9a7d0c-1111-4222-8333-444455556666"

EXPECTED = Expectation("/app/skills", "claude-skills-dev")
MOUNT = Mount(125, 109, "7:1", "/", "/app/skills", ("rw", "relatime"), (), "ext4", "/dev/loop1", "rw")
SHARED = replace(MOUNT, propagation=("master:1",))
OVERLAY = Mount(107, 68, "0:51", "/", "/", ("rw",), (), "overlay", "overlay", "rw")
MARKER = Marker("claude-skills-dev", ID, AT)
LEDGER = Ledger(ID, 4, Reference(100, {"a": 60, "b": 40}, 0, AT), 98, AT, "skills-0", "node-1")
HOLD = Hold("restore-job", AT, "restore of Monday's backup")
FULL = FileCount(100, entries={"a": 60, "b": 40})
WIPED = FileCount(0)

GOOD = Look(
    "/app/skills",
    Identity(1000, 1000, (2000,)),
    real_path="/app/skills",
    mount=MOUNT,
    is_mount_point=True,
    kind=Kind.BLOCK,
    kind_reason="ext4 on its own device 7:1",
    root_inode=2,
    space=Space(10, 10, 7),
    writing=Writing.WORKS,
    marker=MARKER,
    ledger=LEDGER,
)


def outcomes(look: Look, census: FileCount | None = FULL, expected: Expectation = EXPECTED) -> list[Outcome]:
    return [finding.outcome for finding in judge(expected, look, census).findings]


def of_kind(kind: Kind) -> Look:
    return replace(GOOD, kind=kind, kind_reason=f"a table says {kind.value}")


def test_the_right_volume_with_its_data_is_ok() -> None:
    judgement = judge(EXPECTED, GOOD, FULL)
    assert (judgement.outcome, judgement.findings, judgement.warnings) == (Outcome.OK, (), ())
    assert not judgement.shrunk


SINGLE = {
    "no such path": (replace(GOOD, absent=True, found_instead="no such path"), Outcome.MISSING),
    "no progress": (replace(GOOD, fault=ProbeFault(0, "being looked at")), Outcome.UNREACHABLE),
    "an I/O error": (replace(GOOD, fault=ProbeFault(errno.EIO, "listing /app/skills")), Outcome.UNREACHABLE),
    "a stale handle": (replace(GOOD, fault=ProbeFault(errno.ESTALE, "listing /app/skills")), Outcome.UNREACHABLE),
    "a dead FUSE": (replace(GOOD, fault=ProbeFault(errno.ENOTCONN, "opening /app/skills")), Outcome.UNREACHABLE),
    "no permission": (replace(GOOD, fault=ProbeFault(errno.EACCES, "opening /app/skills")), Outcome.UNREACHABLE),
    "a plain directory": (replace(GOOD, mount=OVERLAY, is_mount_point=False, kind=Kind.OVERLAY), Outcome.NOT_MOUNTED),
    "memory": (of_kind(Kind.MEMORY), Outcome.EPHEMERAL),
    "an emptyDir": (of_kind(Kind.EMPTY_DIR), Outcome.EPHEMERAL),
    "a configMap": (of_kind(Kind.CONFIG), Outcome.EPHEMERAL),
    "an image volume": (of_kind(Kind.OVERLAY), Outcome.EPHEMERAL),
    "a hostPath": (of_kind(Kind.NODE_DISK), Outcome.NODE_DISK),
    "a sandboxed runtime": (of_kind(Kind.UNKNOWN), Outcome.KIND_REFUSED),
    "a broken marker": (replace(GOOD, marker=InvalidDocument("not JSON", "abcdef012345")), Outcome.MARKER_INVALID),
    "no marker": (replace(GOOD, marker=None, ledger=None), Outcome.MARKER_MISSING),
    "another volume": (replace(GOOD, marker=Marker("claude-skills-prod", ID, AT)), Outcome.MARKER_MISMATCH),
    "a hold": (replace(GOOD, hold=HOLD), Outcome.HELD),
    "a hold that can't be read": (replace(GOOD, hold=InvalidDocument("not JSON", "abcdef012345")), Outcome.HELD),
    "a read-only mount": (replace(GOOD, read_only="the mount is read-only"), Outcome.READ_ONLY),
}


@pytest.mark.parametrize(("look", "outcome"), SINGLE.values(), ids=SINGLE.keys())
def test_one_wrong_fact_gives_its_one_outcome(look: Look, outcome: Outcome) -> None:
    assert outcomes(look) == [outcome]
    assert judge(EXPECTED, look, FULL).outcome is outcome


def test_nothing_left_of_the_data_is_data_lost() -> None:
    assert outcomes(GOOD, WIPED) == [Outcome.DATA_LOST]


def test_a_failed_count_is_unreachable_and_never_data_lost() -> None:
    judgement = judge(EXPECTED, GOOD, FileCount(0, fault=ProbeFault(errno.EIO, "counting its files")))
    assert [finding.outcome for finding in judgement.findings] == [Outcome.UNREACHABLE]
    assert judgement.loss is None


def test_a_look_that_found_no_mount_at_all_is_never_ok() -> None:
    assert judge(EXPECTED, Look("/app/skills", GOOD.identity)).outcome is not Outcome.OK


# Several at once.


def test_the_first_in_the_order_of_precedence_is_the_outcome_and_the_rest_are_listed() -> None:
    look = replace(
        of_kind(Kind.MEMORY), marker=None, ledger=LEDGER, hold=HOLD, read_only="the mount is read-only"
    )  # fmt: skip
    assert outcomes(look, WIPED) == [
        Outcome.EPHEMERAL, Outcome.MARKER_MISSING, Outcome.HELD, Outcome.READ_ONLY, Outcome.DATA_LOST,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [Kind.MEMORY, Kind.NODE_DISK, Kind.UNKNOWN])
@pytest.mark.parametrize(
    "marker", [MARKER, None, InvalidDocument("empty", "0"), Marker("other", OTHER_ID, AT)], ids=repr
)
@pytest.mark.parametrize("hold", [None, HOLD], ids=["not held", "held"])
@pytest.mark.parametrize("read_only", ["", "ro"], ids=["writable", "read-only"])
@pytest.mark.parametrize("fault", [None, ProbeFault(errno.EIO, "listing")], ids=["answers", "fails"])
@pytest.mark.parametrize("mounted", [True, False], ids=["mounted", "not mounted"])
def test_findings_always_stand_in_the_order_of_precedence_and_once_each(
    kind: Kind,
    marker: Marker | InvalidDocument | None,
    hold: Hold | None,
    read_only: str,
    fault: ProbeFault | None,
    mounted: bool,
) -> None:
    look = replace(
        of_kind(kind), marker=marker, hold=hold, read_only=read_only, fault=fault, is_mount_point=mounted
    )  # fmt: skip
    places = [PRECEDENCE.index(outcome) for outcome in outcomes(look, WIPED)]
    assert places == sorted(set(places))


def test_unreachable_comes_before_what_was_still_seen_of_the_mount() -> None:
    look = replace(of_kind(Kind.NODE_DISK), fault=ProbeFault(0, "being looked at"), read_only="the mount is read-only")
    assert outcomes(look, None) == [Outcome.UNREACHABLE, Outcome.NODE_DISK, Outcome.READ_ONLY]


def test_a_look_that_failed_says_nothing_of_a_marker_it_never_read() -> None:
    look = replace(GOOD, fault=ProbeFault(0, "being looked at"), marker=None, ledger=None)
    assert outcomes(look, None) == [Outcome.UNREACHABLE]


def test_a_path_that_is_not_there_is_judged_by_nothing_else() -> None:
    look = Look("/app/skills", GOOD.identity, absent=True, found_instead="no such path", mount=OVERLAY)
    assert outcomes(look, None) == [Outcome.MISSING]


# What the settings waive.


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in DURABLE_KINDS], ids=lambda kind: kind.value)
def test_a_listed_kind_is_waived_and_no_other(kind: Kind) -> None:
    expected = replace(EXPECTED, kinds=frozenset({kind}))
    assert outcomes(of_kind(kind), expected=expected) == []
    assert outcomes(of_kind(Kind.BLOCK), expected=expected) == [Outcome.KIND_REFUSED]


def test_block_network_and_fuse_are_allowed_unless_said_otherwise() -> None:
    allowed = {kind.value for kind in Kind if outcomes(of_kind(kind)) == []}
    assert allowed == {"block", "network", "fuse"}


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)
def test_nothing_waives_a_plain_directory(kind: Kind) -> None:
    look = replace(of_kind(kind), mount=OVERLAY, is_mount_point=False)
    assert outcomes(look, None, replace(EXPECTED, kinds=frozenset(Kind))) == [Outcome.NOT_MOUNTED]


def test_a_refused_kind_names_the_setting() -> None:
    (finding,) = judge(EXPECTED, of_kind(Kind.UNKNOWN), FULL).findings
    assert "GUARD_KINDS=block,fuse,network" in finding.expected
    assert "set GUARD_KINDS=block,fuse,network,unknown in the gate" in finding.remedy


@pytest.mark.parametrize("kind", [Kind.MEMORY, Kind.NODE_DISK, Kind.OVERLAY, Kind.UNKNOWN, Kind.CONFIG])
def test_the_value_that_allows_a_kind_can_be_pasted(kind: Kind) -> None:
    (finding,) = judge(EXPECTED, of_kind(kind), FULL).findings
    (value,) = re.findall(r"set GUARD_KINDS=([a-z,-]+)", finding.remedy + finding.hint)
    assert {*value.split(",")} == {"block", "fuse", "network", kind.value}


DELETED = replace(MOUNT, root="/var/lib/kubelet/pods/cc79/volumes/x//deleted")


@pytest.mark.parametrize("kind", [Kind.BLOCK, Kind.NODE_DISK, Kind.EMPTY_DIR])
@pytest.mark.parametrize("seen_as_mount_point", [True, False])
def test_a_bind_mount_of_a_folder_that_was_deleted_is_not_mounted_and_nothing_else(
    kind: Kind, *, seen_as_mount_point: bool
) -> None:
    look = replace(of_kind(kind), mount=DELETED, is_mount_point=seen_as_mount_point, marker=None, ledger=None)
    (finding,) = judge(EXPECTED, look, None).findings
    assert finding.outcome is Outcome.NOT_MOUNTED
    assert "was deleted on the node: /var/lib/kubelet/pods/cc79/volumes/x of ext4" in finding.found
    assert finding.remedy.startswith("Delete the pod")
    assert "Restore" not in finding.remedy


@pytest.mark.parametrize(
    ("path", "real_path"), [("/app/skills/tenant", "/app/skills/tenant"), ("/skills", "/app/skills/tenant")]
)
def test_of_a_folder_inside_a_volume_the_mount_is_named_to_be_set(path: str, real_path: str) -> None:
    look = replace(GOOD, path=path, real_path=real_path, is_mount_point=False, marker=None, ledger=None)
    (finding,) = judge(replace(EXPECTED, path=path), look, None).findings
    assert finding.outcome is Outcome.NOT_MOUNTED
    assert "a folder inside the volume mounted at /app/skills (ext4)" in finding.found
    assert (f"is a link to {real_path}" in finding.found) is (path != real_path)
    assert finding.remedy.startswith("Set GUARD_PATH=/app/skills in the gate and in the watcher.")
    assert "its files" not in finding.remedy


@pytest.mark.parametrize(
    "look",
    [
        replace(GOOD, mount=OVERLAY, is_mount_point=False, kind=Kind.OVERLAY, marker=None, ledger=None),
        replace(of_kind(Kind.MEMORY), is_mount_point=False, marker=None, read_only="the mount is read-only"),
        replace(of_kind(Kind.BLOCK), mount=replace(MOUNT, mount_point="/"), is_mount_point=False, marker=None),
    ],
    ids=["the container's overlay", "memory", "a root on a disk"],
)
def test_of_a_plain_directory_elsewhere_the_applied_object_is_to_be_compared(look: Look) -> None:
    (finding,) = judge(EXPECTED, look, None).findings
    assert "is a plain directory" in finding.found
    assert finding.remedy.startswith("Compare volumes and volumeMounts of the APPLIED object")
    assert "GUARD_PATH" not in finding.remedy


def test_where_writing_is_not_required_a_read_only_volume_is_ok() -> None:
    look = replace(GOOD, read_only="the mount is read-only", writing=Writing.DENIED)
    judgement = judge(replace(EXPECTED, writable=False), look, FULL)
    assert (judgement.outcome, judgement.warnings) == (Outcome.OK, ())


def test_the_marker_is_compared_exactly() -> None:
    for name in ("Claude-Skills-Dev", "claude-skills-dev ", "claude-skills-de"):
        assert outcomes(replace(GOOD, marker=Marker(name, ID, AT))) == [Outcome.MARKER_MISMATCH]


# Warnings of a pass.


@pytest.mark.parametrize(
    ("writing", "words"), [(Writing.FULL, "is full"), (Writing.DENIED, "may not write /app/skills/.volume-guard:")]
)
def test_a_full_or_foreign_volume_passes_with_a_warning(writing: Writing, words: str) -> None:
    judgement = judge(EXPECTED, replace(GOOD, writing=writing), FULL)
    assert judgement.outcome is Outcome.OK
    (warning,) = judgement.warnings
    assert words in warning


def test_folders_that_cannot_be_read_are_listed() -> None:
    unreadable = ("a/x", "a/y", "b/z", "b/zz")
    (warning,) = judge(EXPECTED, GOOD, replace(FULL, unreadable=unreadable)).warnings
    assert "4 folders" in warning
    assert "a/x, a/y, b/z" in warning


def test_a_shrunk_volume_passes() -> None:
    judgement = judge(EXPECTED, GOOD, FileCount(60, entries={"a": 60}))
    assert (judgement.outcome, judgement.shrunk) == (Outcome.OK, True)


# What is said.


def test_another_volume_is_named_with_the_line_that_would_replace_its_marker() -> None:
    (finding,) = judge(EXPECTED, replace(GOOD, marker=Marker("claude-skills-prod", OTHER_ID, AT)), FULL).findings
    assert finding.found == f'/app/skills carries "claude-skills-prod" (id {OTHER_ID})'
    assert finding.expected == 'expected "claude-skills-dev"'
    assert f"guard adopt --replace {OTHER_ID}" in finding.hint


def test_a_broken_marker_is_named_by_the_digest_that_would_replace_it() -> None:
    (finding,) = judge(EXPECTED, replace(GOOD, marker=InvalidDocument("not JSON", "abcdef012345")), FULL).findings
    assert "not JSON (sha256 abcdef012345)" in finding.found
    assert "guard adopt --replace abcdef012345" in finding.hint


def test_a_marker_without_a_digest_is_moved_away_by_hand() -> None:
    (finding,) = judge(EXPECTED, replace(GOOD, marker=InvalidDocument("behind a link", "")), FULL).findings
    assert "--replace" not in finding.hint
    assert "/app/skills/.volume-guard" in finding.hint


def test_no_permission_names_uid_gid_and_fs_group() -> None:
    (finding,) = judge(EXPECTED, replace(GOOD, fault=ProbeFault(errno.EACCES, "opening /app/skills")), None).findings
    assert "EACCES" in finding.found
    assert "uid 1000, gid 1000, groups 2000" in finding.found
    assert "fsGroup" in finding.hint


#: Errors of a write on a volume that answers, what was expected, and what to do instead of looking for a dead server.
WRITES = {
    errno.ENOSPC: ("room for", "Free space or raise the quota, then run it again."),
    errno.EDQUOT: ("room for", "Free space or raise the quota, then run it again."),
    errno.EACCES: ("permission to write /app/skills/.volume-guard", "then run it again."),
    errno.EISDIR: ("write in /app/skills/.volume-guard", "move away what is in the way, then run it again."),
    errno.EAGAIN: ("write in /app/skills/.volume-guard", "wait for its end, then run it again."),
}


@pytest.mark.parametrize(("number", "words"), WRITES.items(), ids=[errno.errorcode[one] for one in WRITES])
def test_a_write_that_fails_on_a_volume_that_answers_is_not_told_as_a_dead_server(
    number: int, words: tuple[str, str]
) -> None:
    fault = ProbeFault(number, "writing in /app/skills/.volume-guard", writing=True)
    (finding,) = judge(EXPECTED, replace(GOOD, fault=fault), None).findings
    assert finding.outcome is Outcome.UNREACHABLE
    assert words[0] in finding.expected
    assert finding.remedy.endswith(words[1])
    assert "delete the pod" not in finding.remedy


@pytest.mark.parametrize("number", [0, errno.EIO, errno.ESTALE, errno.ENOTCONN])
def test_a_dead_server_is_told_as_one_whatever_met_it_first(number: int) -> None:
    (finding,) = judge(EXPECTED, replace(GOOD, fault=ProbeFault(number, "writing", writing=True)), None).findings
    assert finding.expected == "an answer from the volume"
    assert "delete the pod" in finding.remedy


def test_a_hung_volume_names_the_deadline_and_the_server() -> None:
    nfs = replace(MOUNT, fstype="nfs4", source="10.0.0.2:/export")
    look = replace(GOOD, mount=nfs, fault=ProbeFault(0, "being looked at"))
    (finding,) = judge(replace(EXPECTED, probe_timeout=2.5), look, None).findings
    assert finding.found == "/app/skills (nfs4 of 10.0.0.2:/export) made no progress for 2.5 s while being looked at"


def test_an_errno_without_a_name_is_said_by_its_number() -> None:
    assert [ProbeFault(number, "x").code for number in (0, errno.ESTALE, 4711)] == [
        "no progress",
        "ESTALE",
        "errno 4711",
    ]


def test_only_erofs_is_read_only_and_only_eacces_and_eperm_are_denied() -> None:
    assert [number for number in errno.errorcode if ProbeFault(number, "x").read_only] == [errno.EROFS]
    assert {number for number in errno.errorcode if ProbeFault(number, "x").denied} == {errno.EACCES, errno.EPERM}


def test_a_hold_says_by_whom_since_when_and_why() -> None:
    (finding,) = judge(EXPECTED, replace(GOOD, hold=HOLD), FULL).findings
    assert finding.found == f'/app/skills is held by restore-job since {AT}: "restore of Monday\'s backup"'


def test_lost_data_says_how_much_where_and_when_it_was_last_seen() -> None:
    (finding,) = judge(EXPECTED, GOOD, WIPED).findings
    assert "0 files of 100" in finding.found
    assert "a 60 to 0, b 40 to 0" in finding.found
    assert f"recorded {AT}, last seen {AT} by skills-0 on node-1" in finding.expected


@pytest.mark.parametrize("ledger", [replace(LEDGER, reference=Reference(5, {}, 0, AT)), None], ids=["ledger", "none"])
def test_too_few_files_by_setting_are_told_by_the_setting_and_never_to_be_accepted(ledger: Ledger | None) -> None:
    look, expected = replace(GOOD, ledger=ledger), replace(EXPECTED, loss=LossRule(min_files=10))
    (finding,) = judge(expected, look, FileCount(5)).findings
    assert finding.found == "/app/skills holds 5 files: fewer than GUARD_MIN_FILES=10 files"
    assert finding.expected == "at least 10 files (GUARD_MIN_FILES)"
    assert finding.remedy.endswith("lower GUARD_MIN_FILES.")
    assert "accept" not in finding.remedy + finding.hint


def test_a_wipe_is_told_as_one_also_below_the_floor() -> None:
    (finding,) = judge(replace(EXPECTED, loss=LossRule(min_files=10)), GOOD, WIPED).findings
    assert "0 files of 100: nothing is left" in finding.found
    assert "guard accept" in finding.remedy


def test_a_missing_marker_beside_a_ledger_says_what_was_there() -> None:
    (finding,) = judge(EXPECTED, replace(GOOD, marker=None), FULL).findings
    assert f"98 files when skills-0 last wrote it at {AT}" in finding.found


@pytest.mark.parametrize(
    ("marker", "adopting"),
    [
        (None, "guard adopt."),
        (InvalidDocument("not JSON", "abcdef012345"), "guard adopt --replace abcdef012345 (in this order)."),
    ],
    ids=["no marker", "a broken marker"],
)
def test_of_a_wiped_volume_without_its_marker_is_said_that_accepting_comes_before_adopting(
    marker: InvalidDocument | None, adopting: str
) -> None:
    look = replace(GOOD, marker=marker)
    assert "guard accept" not in judge(EXPECTED, look, FULL).findings[0].hint
    assert judge(EXPECTED, look, WIPED).findings[0].hint.endswith(f"guard accept, then {adopting}")


# What may mend.


@pytest.mark.parametrize(("look", "outcome"), SINGLE.values(), ids=SINGLE.keys())
@pytest.mark.parametrize("propagates", [False, True], ids=["private", "propagating"])
def test_the_gate_waits_where_it_may_mend_and_nowhere_else(look: Look, outcome: Outcome, propagates: bool) -> None:
    assert look.mount is not None
    tags = ("shared:1",) if propagates else ()
    look = replace(look, mount=replace(look.mount, propagation=tags))
    expected = outcome.status in {14, 15, 20, 23, 30} or (propagates and outcome.status in {10, 11, 12, 13, 16})
    assert judge(EXPECTED, look, FULL).may_recover(look) is expected


@pytest.mark.parametrize(("look", "outcome"), SINGLE.values(), ids=SINGLE.keys())
def test_in_a_container_whose_root_is_an_overlay_nobody_waits_for_a_mount(look: Look, outcome: Outcome) -> None:
    look = replace(look, mount=replace(SHARED, propagation=("master:85",)), overlay_root=True)
    assert judge(EXPECTED, look, FULL).may_recover(look) is (outcome.status in {14, 15, 20, 23, 30})


def test_lost_data_may_be_restored_or_accepted_while_the_gate_waits() -> None:
    assert judge(EXPECTED, GOOD, WIPED).may_recover(GOOD)


def test_what_is_ok_needs_no_mending() -> None:
    look = replace(GOOD, mount=SHARED)
    assert not judge(EXPECTED, look, FULL).may_recover(look)


def test_the_first_outcome_decides_whether_to_wait() -> None:
    look = replace(of_kind(Kind.NODE_DISK), marker=None, ledger=None)
    assert not judge(EXPECTED, look, None).may_recover(look)


# What is worth counting.


@pytest.mark.parametrize("name", SINGLE)
def test_a_wrong_disk_is_never_counted(name: str) -> None:
    look, outcome = SINGLE[name]
    assert worth_counting(EXPECTED, look) is (outcome in {Outcome.HELD, Outcome.READ_ONLY, Outcome.MARKER_INVALID})


def test_the_right_volume_is_counted_even_without_a_ledger() -> None:
    assert worth_counting(EXPECTED, GOOD)
    assert worth_counting(EXPECTED, replace(GOOD, ledger=None))


def test_an_unmarked_volume_is_counted_only_where_a_ledger_can_tell_a_wipe() -> None:
    assert worth_counting(EXPECTED, replace(GOOD, marker=None))
    assert not worth_counting(EXPECTED, replace(GOOD, marker=None, ledger=InvalidDocument("not JSON", "0")))


def test_a_volume_with_a_broken_marker_is_counted_only_where_a_ledger_can_tell_a_wipe() -> None:
    broken = replace(GOOD, marker=InvalidDocument("not JSON", "abcdef012345"))
    assert outcomes(broken, WIPED) == [Outcome.MARKER_INVALID, Outcome.DATA_LOST]
    assert not worth_counting(EXPECTED, replace(broken, ledger=None))


def test_an_allowed_kind_is_counted() -> None:
    assert worth_counting(replace(EXPECTED, kinds=frozenset({Kind.MEMORY})), of_kind(Kind.MEMORY))


# Ledgers.


def test_a_ledger_of_another_marker_is_not_used_and_said() -> None:
    look = replace(GOOD, ledger=replace(LEDGER, marker_id=OTHER_ID))
    assert usable_ledger(look) is None
    assert reference_of(look) is None
    assert OTHER_ID in ledger_warning(look)
    assert outcomes(look, WIPED) == []


def test_a_broken_ledger_is_said_and_only_the_floor_by_setting_counts() -> None:
    look = replace(GOOD, ledger=InvalidDocument("not JSON", "abcdef012345"))
    assert ledger_warning(look) == "not JSON"
    assert outcomes(look, WIPED) == []
    assert outcomes(look, WIPED, replace(EXPECTED, loss=LossRule(min_files=1))) == [Outcome.DATA_LOST]


@pytest.mark.parametrize("look", [GOOD, replace(GOOD, ledger=None), replace(GOOD, marker=None)])
def test_a_good_ledger_or_none_is_no_reason_to_warn(look: Look) -> None:
    assert ledger_warning(look) == ""
    assert usable_ledger(look) is look.ledger


def test_a_ledger_without_a_marker_beside_it_still_tells_that_data_was_lost() -> None:
    assert outcomes(replace(GOOD, marker=None), WIPED) == [Outcome.MARKER_MISSING, Outcome.DATA_LOST]


def test_what_is_not_data_is_the_guards_folder_and_what_fsck_makes() -> None:
    assert {".volume-guard", "lost+found"} == NOT_DATA
