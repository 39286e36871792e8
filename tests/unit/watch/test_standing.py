"""What one look says of mount, identity and writing, against the volume that is known."""

import errno
from dataclasses import replace
from typing import Any

import pytest

from guard.event import Event
from guard.volume.kinds import Kind
from guard.volume.ledger import Ledger, Reference
from guard.volume.marker import Marker
from guard.volume.mountinfo import Mount
from guard.volume.observation import Identity, InvalidDocument, Look, ProbeFault, Space
from guard.volume.verdict import Expectation
from guard.watch.standing import Condition, Known, Standing, known, stand

AT = "2026-11-24T18:27:01Z"
ID = "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11"
OTHER_ID = "7f9a7d0c-1111-4222-8333-444455556666"
EXPECTED = Expectation("/app/skills", "claude-skills-dev")
MOUNT = Mount(125, 109, "8:16", "/", "/app/skills", ("rw",), (), "ext4", "/dev/sdb", "rw")
NFS = Mount(126, 109, "0:51", "/", "/app/skills", ("rw",), (), "nfs4", "server:/skills", "rw")
OVERLAY = Mount(107, 68, "0:44", "/", "/", ("rw",), (), "overlay", "overlay", "rw")
MARKER = Marker("claude-skills-dev", ID, AT)
ADOPTED = Marker("claude-skills-dev", OTHER_ID, AT)
FOREIGN = Marker("claude-skills-prod", OTHER_ID, AT)
LEDGER = Ledger(ID, 4, Reference(100, {"a": 60, "b": 40}, 0, AT), 98, AT, "skills-0", "node-1")
BROKEN = InvalidDocument("not JSON", "abcdef012345")

GOOD = Look(
    "/app/skills", Identity(1000, 1000, (2000,)), real_path="/app/skills", mount=MOUNT, is_mount_point=True,
    kind=Kind.BLOCK, kind_reason="its own device", root_inode=2, space=Space(10, 10, 7), marker=MARKER, ledger=LEDGER,
)  # fmt: skip
ON_NFS = replace(GOOD, mount=NFS, kind=Kind.NETWORK, space=Space(10, 10, 0))
ALL_BUT_CONTENT = {Condition.MOUNTED, Condition.IDENTITY, Condition.WRITABLE}


def before(look: Look = GOOD) -> Known:
    found = known(look)
    assert found is not None
    return found


def events(standing: Standing) -> dict[Condition, Event]:
    return {condition: trouble.event for condition, trouble in standing.troubles.items()}


def stood(look: Look, *, since: Look | None = GOOD, expected: Expectation = EXPECTED) -> Standing:
    return stand(expected, before(since) if since else None, look)


def moved(look: Look) -> Look:
    """The same look through another mount."""
    assert look.mount is not None
    return replace(look, mount=replace(look.mount, mount_id=look.mount.mount_id + 1))


def on_device(look: Look, device: str, fsid: int) -> Look:
    assert look.mount is not None
    assert look.space is not None
    return replace(look, mount=replace(look.mount, device=device), space=replace(look.space, fsid=fsid))


def test_the_right_volume_is_ours_and_nothing_is_wrong_with_it() -> None:
    for since in (None, GOOD):
        standing = stood(GOOD, since=since)
        assert (standing.unreachable, standing.troubles, standing.ours) == (None, {}, True)
        assert standing.seen == ALL_BUT_CONTENT
        assert not standing.changed_mount


# What is known of a volume.


def test_a_volume_without_a_valid_marker_is_not_known() -> None:
    assert known(replace(GOOD, marker=None)) is None
    assert known(replace(GOOD, marker=BROKEN)) is None
    assert known(replace(GOOD, mount=None)) is None


def test_a_file_system_that_tells_no_space_has_no_id() -> None:
    assert before(replace(GOOD, space=None)).fsid == 0


# Mounted.


def test_a_plain_directory_is_unmounted_and_nothing_else_is_said_of_it() -> None:
    standing = stood(replace(GOOD, mount=OVERLAY, is_mount_point=False, kind=Kind.OVERLAY, marker=None, ledger=None))
    assert events(standing) == {Condition.MOUNTED: Event.VOLUME_UNMOUNTED}
    assert standing.seen == {Condition.MOUNTED}
    assert not standing.ours
    assert "delete the pod" in standing.troubles[Condition.MOUNTED].remedy


def test_a_path_that_is_not_there_is_unmounted() -> None:
    standing = stood(Look("/app/skills", GOOD.identity, absent=True, found_instead="no such path", mount=OVERLAY))
    assert events(standing) == {Condition.MOUNTED: Event.VOLUME_UNMOUNTED}
    assert standing.seen == {Condition.MOUNTED}
    assert not standing.ours


def test_a_look_that_found_no_mount_at_all_is_unreachable() -> None:
    standing = stood(Look("/app/skills", GOOD.identity))
    assert standing.unreachable is not None
    assert standing.seen == frozenset()
    assert not standing.ours


# Unreachable.


@pytest.mark.parametrize("number", [0, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EACCES])
def test_a_volume_that_does_not_answer_says_nothing_of_its_marker(number: int) -> None:
    standing = stood(replace(GOOD, fault=ProbeFault(number, "listing it"), marker=None, ledger=None))
    assert standing.unreachable is not None
    assert standing.unreachable.event is Event.VOLUME_UNREACHABLE
    assert standing.troubles == {}
    assert standing.seen == {Condition.MOUNTED}
    assert not standing.ours


def test_a_hung_volume_that_was_unmounted_is_both() -> None:
    standing = stood(replace(GOOD, fault=ProbeFault(0, "being looked at"), mount=OVERLAY, is_mount_point=False))
    assert standing.unreachable is not None
    assert events(standing) == {Condition.MOUNTED: Event.VOLUME_UNMOUNTED}


# Identity: another superblock.


def test_another_file_system_on_the_same_device_is_another_volume() -> None:
    standing = stood(replace(on_device(GOOD, "8:16", fsid=8), marker=None, ledger=None))
    assert events(standing) == {Condition.IDENTITY: Event.VOLUME_REPLACED}
    assert not standing.ours
    assert standing.seen == {Condition.MOUNTED, Condition.IDENTITY}
    trouble = standing.troubles[Condition.IDENTITY]
    assert "without a valid marker" in trouble.found
    assert ID in trouble.expected


def test_another_volume_is_another_even_with_the_same_marker() -> None:
    trouble = stood(on_device(GOOD, "8:32", fsid=8)).troubles[Condition.IDENTITY]
    assert trouble.event is Event.VOLUME_REPLACED
    assert 'with the marker "claude-skills-dev"' in trouble.found
    assert "8:32" in trouble.found
    assert "8:16" in trouble.expected


def test_the_same_disk_mounted_again_is_the_same_volume() -> None:
    standing = stood(moved(on_device(GOOD, "8:32", fsid=7)))
    assert standing.troubles == {}
    assert standing.ours
    assert standing.changed_mount


def test_a_root_with_another_inode_is_another_mount() -> None:
    assert stood(replace(GOOD, root_inode=77)).changed_mount


def test_where_a_file_system_has_no_id_the_device_tells() -> None:
    plain = on_device(GOOD, "8:16", fsid=0)
    assert stood(plain, since=plain).ours
    assert not stood(on_device(GOOD, "8:32", fsid=0), since=plain).ours


def test_a_share_of_the_same_server_with_the_same_marker_is_the_same_though_its_device_is_new() -> None:
    assert stood(on_device(ON_NFS, "0:99", fsid=0), since=ON_NFS).ours


@pytest.mark.parametrize(
    "look",
    [
        replace(ON_NFS, mount=replace(NFS, device="0:99", source="other:/skills")),
        replace(ON_NFS, mount=replace(NFS, device="0:99"), marker=ADOPTED),
        replace(ON_NFS, mount=replace(NFS, device="0:99"), marker=None),
        replace(ON_NFS, mount=replace(NFS, device="8:99")),
    ],
    ids=["another server", "another marker", "no marker", "a disk"],
)
def test_any_other_share_is_another_volume(look: Look) -> None:
    assert events(stood(look, since=ON_NFS)) == {Condition.IDENTITY: Event.VOLUME_REPLACED}


@pytest.mark.parametrize("kind", [Kind.MEMORY, Kind.NODE_DISK, Kind.UNKNOWN])
@pytest.mark.parametrize("since", [None, GOOD], ids=["at the start", "later"])
def test_a_kind_that_is_not_allowed_is_another_volume(kind: Kind, since: Look | None) -> None:
    standing = stood(replace(GOOD, kind=kind, kind_reason="a table says so"), since=since)
    assert events(standing) == {Condition.IDENTITY: Event.VOLUME_REPLACED}
    assert not standing.ours


# Identity: another volume that is adopted or accepted in its place.


CLONE = moved(on_device(GOOD, "8:32", fsid=8))
BLANK = replace(CLONE, marker=None, ledger=None)
OTHERS = replace(CLONE, marker=ADOPTED, ledger=replace(LEDGER, marker_id=OTHER_ID))


def later(look: Look, **ledger: Any) -> Look:
    """The same volume with a ledger that was written since."""
    assert isinstance(look.ledger, Ledger)
    return replace(look, ledger=replace(look.ledger, **ledger))


def afterwards(*looks: Look) -> Standing:
    """What the last of these looks is worth, after those before it."""
    standing = stood(looks[0])
    for look in looks[1:]:
        standing = stand(EXPECTED, before(), look, standing.stranger)
    return standing


@pytest.mark.parametrize(
    "looks",
    [
        (CLONE, later(CLONE, generation=5)),
        (later(CLONE, generation=1), later(CLONE, generation=2)),
        (replace(CLONE, ledger=None), later(CLONE, generation=1)),
        (OTHERS, later(OTHERS, generation=5)),
        (BLANK, OTHERS),
        (replace(CLONE, marker=FOREIGN), OTHERS),
        (replace(CLONE, marker=BROKEN), OTHERS),
        (CLONE, OTHERS),
        (CLONE, replace(CLONE, fault=ProbeFault(errno.EIO, "listing it"), marker=None), later(CLONE, generation=5)),
        (moved(replace(GOOD, marker=None)), moved(replace(GOOD, marker=ADOPTED, ledger=OTHERS.ledger))),
    ],
    ids=[
        "a clone accepted", "an old clone accepted", "one without a ledger accepted", "another of its name accepted",
        "a new disk adopted", "a foreign one adopted", "a broken one adopted", "a clone adopted",
        "accepted after it did not answer", "the same disk formatted and adopted",
    ],
)  # fmt: skip
def test_what_was_adopted_or_accepted_where_it_was_seen_is_the_known_volume_from_then_on(looks: tuple[Look]) -> None:
    for seen in range(1, len(looks)):
        assert not afterwards(*looks[:seen]).ours
    standing = afterwards(*looks)
    assert (standing.troubles, standing.ours, standing.taken_over, standing.stranger) == ({}, True, True, None)
    assert standing.changed_mount


@pytest.mark.parametrize(
    "looks",
    [
        (later(CLONE, generation=9),) * 3,
        (OTHERS,) * 3,
        (CLONE, later(CLONE, written="2026-11-24T19:00:00Z", files=97)),
        (BLANK, CLONE, CLONE),
        (OTHERS, CLONE),
        (BLANK, replace(OTHERS, ledger=None)),
        (BLANK, replace(OTHERS, ledger=BROKEN)),
        (BLANK, replace(OTHERS, marker=FOREIGN)),
        (CLONE, later(replace(CLONE, kind=Kind.MEMORY), generation=5)),
        (CLONE, moved(later(CLONE, generation=5))),
        (CLONE, on_device(later(CLONE, generation=5), "8:32", fsid=9)),
        (CLONE, replace(CLONE, mount=OVERLAY, is_mount_point=False, kind=Kind.OVERLAY), later(CLONE, generation=5)),
        (moved(replace(GOOD, marker=ADOPTED, ledger=OTHERS.ledger)),) * 2,
    ],
    ids=[
        "accepted elsewhere", "adopted elsewhere", "kept by its own watcher", "the known marker copied to it",
        "the known marker copied over its own", "a marker alone", "a broken ledger", "a foreign name", "another kind",
        "another mount of it", "another disk again", "unmounted in between", "the same disk adopted elsewhere",
    ],
)  # fmt: skip
def test_what_nobody_adopted_or_accepted_there_stays_another_volume(looks: tuple[Look]) -> None:
    standing = afterwards(*looks)
    assert events(standing) == {Condition.IDENTITY: Event.VOLUME_REPLACED}
    assert (standing.ours, standing.taken_over) == (False, False)


def test_the_known_volume_back_in_its_place_is_ours_and_the_other_is_forgotten() -> None:
    standing = afterwards(CLONE, moved(GOOD))
    assert (standing.troubles, standing.ours, standing.taken_over, standing.stranger) == ({}, True, False, None)


def test_another_volume_that_could_be_accepted_says_so_and_one_without_its_marker_does_not() -> None:
    assert "guard accept" in stood(CLONE).troubles[Condition.IDENTITY].remedy
    for look in (BLANK, replace(CLONE, marker=FOREIGN), replace(CLONE, marker=BROKEN)):
        assert "guard accept" not in stood(look).troubles[Condition.IDENTITY].remedy


# Identity: the marker.


def test_a_marker_that_vanished_from_the_known_mount_is_missing_and_the_content_is_still_ours() -> None:
    standing = stood(replace(GOOD, marker=None))
    assert events(standing) == {Condition.IDENTITY: Event.MARKER_MISSING}
    assert standing.ours


def test_a_marker_that_is_missing_on_another_mount_is_another_volume() -> None:
    standing = stood(moved(replace(GOOD, marker=None)))
    assert events(standing) == {Condition.IDENTITY: Event.VOLUME_REPLACED}
    assert not standing.ours


def test_a_broken_marker_is_invalid_and_names_what_was_read() -> None:
    standing = stood(replace(GOOD, marker=BROKEN))
    assert events(standing) == {Condition.IDENTITY: Event.MARKER_INVALID}
    assert "abcdef012345" in standing.troubles[Condition.IDENTITY].remedy


def test_another_name_on_the_known_mount_is_a_changed_marker() -> None:
    standing = stood(replace(GOOD, marker=FOREIGN))
    assert events(standing) == {Condition.IDENTITY: Event.MARKER_CHANGED}
    assert standing.ours


def test_another_name_on_another_mount_is_another_volume() -> None:
    assert events(stood(moved(replace(GOOD, marker=FOREIGN)))) == {Condition.IDENTITY: Event.VOLUME_REPLACED}


def test_another_id_under_the_same_name_is_a_changed_marker() -> None:
    trouble = stood(replace(GOOD, marker=ADOPTED)).troubles[Condition.IDENTITY]
    assert trouble.event is Event.MARKER_CHANGED
    assert OTHER_ID in trouble.found
    assert trouble.expected == f"id {ID}"


def test_another_id_with_its_own_ledger_was_adopted_anew() -> None:
    standing = stood(replace(GOOD, marker=ADOPTED, ledger=replace(LEDGER, marker_id=OTHER_ID)))
    assert standing.troubles == {}
    assert standing.ours


def test_another_id_without_a_ledger_is_a_changed_marker() -> None:
    assert events(stood(replace(GOOD, marker=ADOPTED, ledger=None))) == {Condition.IDENTITY: Event.MARKER_CHANGED}


def test_at_the_start_another_name_is_another_volume() -> None:
    standing = stood(replace(GOOD, marker=FOREIGN), since=None)
    assert events(standing) == {Condition.IDENTITY: Event.VOLUME_REPLACED}
    assert not standing.ours


def test_at_the_start_a_missing_marker_beside_a_ledger_leaves_the_content_to_be_judged() -> None:
    standing = stood(replace(GOOD, marker=None), since=None)
    assert events(standing) == {Condition.IDENTITY: Event.MARKER_MISSING}
    assert standing.ours


def test_at_the_start_a_volume_without_marker_and_ledger_is_nobodys() -> None:
    standing = stood(replace(GOOD, marker=None, ledger=None, read_only="the mount is read-only"), since=None)
    assert events(standing) == {Condition.IDENTITY: Event.MARKER_MISSING}
    assert not standing.ours


# Writable.


def test_a_read_only_volume_is_still_ours() -> None:
    standing = stood(replace(GOOD, read_only="the mount is read-only"))
    assert events(standing) == {Condition.WRITABLE: Event.VOLUME_READ_ONLY}
    assert standing.ours


def test_where_writing_is_not_required_read_only_is_right() -> None:
    expected = replace(EXPECTED, writable=False)
    assert stood(replace(GOOD, read_only="the mount is read-only"), expected=expected).troubles == {}


def test_conditions_are_judged_apart() -> None:
    standing = stood(replace(GOOD, marker=None, read_only="the mount is read-only"))
    assert events(standing) == {
        Condition.IDENTITY: Event.MARKER_MISSING,
        Condition.WRITABLE: Event.VOLUME_READ_ONLY,
    }


def test_what_is_expected_is_told_once() -> None:
    trouble = stood(replace(GOOD, marker=FOREIGN)).troubles[Condition.IDENTITY]
    assert trouble.expected == '"claude-skills-dev"'
