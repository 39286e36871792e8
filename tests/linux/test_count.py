"""The count and the check of sampled files on real file systems, across mounts, and as another uid."""

import os
import shutil
import time
from dataclasses import replace

import pytest

from guard.volume.observation import CountOptions, FilesChecked
from guard.volume.sample import BY_HASH, BY_SIZE, Presence, SampledFile
from tests.linux.counting import checked, counted
from tests.linux.fuse_server import SLOW_FILES
from tests.linux.sandbox import Sandbox
from tests.linux.serving import served

pytestmark = pytest.mark.mounts

NOBODY = 65534


@pytest.fixture(
    params=["tmpfs", pytest.param("ext4", marks=pytest.mark.root), pytest.param("xfs", marks=pytest.mark.root)]
)
def skills(request: pytest.FixtureRequest, sandbox: Sandbox) -> Sandbox:
    """A volume of 40 files in two skills of one tenant, and one beside them."""
    if request.param == "tmpfs":
        sandbox.sh("mount -t tmpfs -o mode=755 volume $P")
    else:
        shutil.copy(request.getfixturevalue(f"{request.param}_image"), f"{sandbox.work}/disk")
        sandbox.sh("mount -o loop $W/disk $P")
    sandbox.sh("""cd $P; mkdir -p acme/pdf acme/docx; echo readme > README
        for file in $(seq 20); do echo pdf $file > acme/pdf/$file; echo docx $file > acme/docx/$file; done""")
    return sandbox


def presences(found: FilesChecked) -> set[Presence]:
    return {check.presence for check in found.checks.values()}


def lost_of(found: FilesChecked, sample: tuple[SampledFile, ...]) -> tuple[SampledFile, ...]:
    return tuple(file for file in sample if found.checks[file.path].presence is Presence.ABSENT)


def test_a_volume_is_counted_sampled_and_found_again(skills: Sandbox) -> None:
    found = counted(skills)
    assert (found.files, found.depth, found.entry_count, found.fault) == (41, 2, 2, None)
    assert found.entries == {"acme/pdf": 20, "acme/docx": 20}
    assert len(found.sample) == 41
    again = checked(skills, found.sample)
    assert (len(again.checks), presences(again)) == (41, {Presence.PRESENT})
    assert (again.mount_id, again.root_inode) == (found.mount_id, found.root_inode)


@pytest.mark.parametrize(
    ("change", "elsewhere"),
    [
        ("mv acme/pdf trash", True),
        ("mkdir x; mv acme/pdf/* x", True),
        ("for f in acme/pdf/*; do mv $f acme/docx/pdf-${f##*/}; done", True),
        ("cp -al acme/pdf snapshot; rm -r acme/pdf", True),
        ("cp -a acme/pdf new; rm -r acme/pdf", True),
        ("mkdir new; cp -r acme/pdf new/pdf; rm -r acme/pdf", True),
        ("rm -r acme/pdf", False),
        ("rm -r acme/pdf; mkdir new; for n in $(seq 20); do echo new $n > new/$n; done", False),
        ("mkdir new; for n in $(seq 20); do echo else > new/else-$n; done; rm -r acme/pdf", False),
    ],
)
def test_lost_files_are_found_where_they_were_moved_linked_or_copied_to(
    skills: Sandbox, change: str, *, elsewhere: bool
) -> None:
    sample = counted(skills).sample
    skills.sh(f"cd $P; sleep 0.01; {change}")
    lost = lost_of(checked(skills, sample), sample)
    assert {file.path for file in lost} == {f"acme/pdf/{number}" for number in range(1, 21)}
    now = time.time()
    found = counted(skills, CountOptions(lost=lost, copied_after=now - 600, copied_before=now + 1))
    assert found.elsewhere == ({file.path for file in lost} if elsewhere else frozenset())


def test_what_came_after_the_loss_is_no_copy(skills: Sandbox) -> None:
    sample = counted(skills).sample
    skills.sh("cd $P; cp -a acme/pdf new; rm -r acme/pdf")
    lost = lost_of(checked(skills, sample), sample)
    earlier = time.time() - 60
    assert (
        counted(skills, CountOptions(lost=lost, copied_after=earlier - 600, copied_before=earlier)).elsewhere == set()
    )


def test_one_copy_stands_for_one_lost_file(skills: Sandbox) -> None:
    skills.sh("cd $P; mkdir -p a/x b/x; echo same > a/x/1; cp -p a/x/1 b/x/1")
    sample = counted(skills).sample
    skills.sh("cd $P; mkdir -p c/x; cp -p a/x/1 c/x/1; rm -r a b")
    lost = lost_of(checked(skills, sample), sample)
    assert len(lost) == 2
    found = counted(skills, CountOptions(lost=lost, copied_after=0, copied_before=time.time() + 1))
    assert len(found.elsewhere) == 1


def test_a_count_and_a_check_never_cross_a_mount(skills: Sandbox) -> None:
    sample = counted(skills).sample
    skills.sh("""cd $P; mount -t tmpfs none acme/pdf; touch acme/pdf/1 acme/pdf/other
        touch $W/over; mount --bind $W/over README""")
    found = counted(skills)
    assert (found.files, found.fault) == (20, None)
    assert {file.path for file in found.sample} == {f"acme/docx/{number}" for number in range(1, 21)}
    states = {path: check.presence for path, check in checked(skills, sample).checks.items()}
    hidden = {path for path, presence in states.items() if presence is Presence.HIDDEN}
    assert hidden == {"README", *(f"acme/pdf/{number}" for number in range(1, 21))}
    assert {states[path] for path in states.keys() - hidden} == {Presence.PRESENT}


@pytest.mark.root
def test_what_another_uid_cannot_read_is_neither_lost_nor_a_fault(skills: Sandbox) -> None:
    sample = counted(skills).sample
    skills.sh("cd $P; mkdir beta; touch beta/1; chmod 700 acme/pdf beta")
    found = counted(skills, uid=NOBODY)
    assert (found.files, found.fault) == (21, None)
    assert (sorted(found.unreadable), found.unreadable_folders) == (["acme/pdf", "beta"], 2)
    assert (found.depth, found.entry_count, found.unreadable_entries) == (1, 2, 1)
    states = checked(skills, sample, uid=NOBODY).checks
    unreadable = {path for path, check in states.items() if check.presence is Presence.UNREADABLE}
    assert unreadable == {f"acme/pdf/{number}" for number in range(1, 21)}
    assert {states[path].presence for path in states.keys() - unreadable} == {Presence.PRESENT}


@pytest.mark.root
def test_all_entries_that_cannot_be_read_are_told(skills: Sandbox) -> None:
    skills.sh("cd $P; mkdir a b c; chmod 700 *")
    found = counted(skills, uid=NOBODY)
    assert (found.files, found.entry_count, found.unreadable_entries) == (1, 4, 4)


@pytest.mark.root
def test_a_folder_that_can_be_listed_but_not_entered_keeps_its_files_unknown(skills: Sandbox) -> None:
    sample = counted(skills).sample
    skills.sh("chmod 744 $P/acme/pdf")
    found = counted(skills, uid=NOBODY)
    assert (found.files, found.fault) == (41, None)
    assert len(found.sample) == 21
    states = checked(skills, sample, uid=NOBODY).checks
    assert [check.presence for check in states.values()].count(Presence.UNREADABLE) == 20


@pytest.mark.root
def test_a_damaged_folder_is_named(disk: Sandbox) -> None:
    disk.sh("""mount -o loop $W/disk $P
        mkdir -p $P/acme/pdf $P/beta; touch $P/acme/pdf/1 $P/beta/1; umount $P
        block=$(debugfs -R "blocks /acme/pdf" $W/disk 2>/dev/null | tr -d ' ')
        size=$(dumpe2fs -h $W/disk 2>/dev/null | sed -n 's/^Block size: *//p')
        head -c $size /dev/zero | tr '\\0' '\\377' | dd of=$W/disk bs=$size seek=$block conv=notrunc status=none
        mount -o loop,errors=continue $W/disk $P""")
    fault = counted(disk).fault
    assert fault is not None
    assert fault.doing == "counting acme/pdf"
    assert fault.code in {"EUCLEAN", "EBADMSG", "EIO"}


@pytest.mark.root
@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="this kernel has no /dev/fuse")
def test_on_fuse_files_are_counted_and_found_by_their_inodes(sandbox: Sandbox) -> None:
    with served(sandbox, "fast"):
        found = counted(sandbox)
        moved = tuple(replace(file, path=f"old/renamed-{file.path}") for file in found.sample[:10])
        others = (replace(moved[0], path="old/other", inode=1), replace(moved[0], path="old/longer", size=1))
        again = counted(sandbox, CountOptions(lost=(*moved, *others)))
        states = checked(sandbox, found.sample)
    assert (found.files, found.fault, len(found.sample)) == (SLOW_FILES, None, BY_HASH + BY_SIZE)
    assert again.elsewhere == {file.path for file in moved}
    assert presences(states) == {Presence.PRESENT}
