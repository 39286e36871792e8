"""Data that is gone, on real mounts: what is a loss, what is an ordinary deletion, and what merely can't be seen."""

import sys

import pytest

from tests.linux.sandbox import Sandbox

pytestmark = pytest.mark.mounts

#: Distroless images' `nonroot`: a uid that owns nothing here.
_NOBODY = 65532


def test_one_of_two_skills_deleted_passes_and_is_reported(adopted: Sandbox) -> None:
    adopted.sh("rm -r $P/tenant/docx")
    ended = adopted.guard("check")
    assert (ended.status, ended.last["severity"]) == (0, "WARNING")
    assert ended.last["entries"] == {"tenant/docx": [6, 0]}
    assert "6 of 10 known files are gone (it had 10 files, 4 are there now)" in ended.last["message"]


def test_accepting_the_loss_of_a_tenant_does_not_count_the_other_s_skills_twice(adopted: Sandbox) -> None:
    adopted.sh("mkdir -p $P/other/skill; touch $P/other/skill/1")
    assert adopted.guard("accept").status == 0
    adopted.sh("rm -r $P/other; cd $P/tenant/docx; touch $(seq 50)")
    assert adopted.guard("accept").status == 0
    adopted.sh("rm -r $P/tenant/docx")
    assert adopted.guard("check").status == 0


@pytest.mark.parametrize("script", ["rm $P/tenant/*/*", "rm -r $P/tenant; mkdir $P/lost+found; touch $P/lost+found/1"])
def test_everything_deleted_is_a_loss(adopted: Sandbox, script: str) -> None:
    adopted.sh(script)
    ended = adopted.guard("check")
    assert (ended.status, ended.last["files"]) == (30, 0)
    assert f"(exit 30, data-lost): 0 of 10 files are left on {adopted.path}.\n" in ended.termination
    assert "by first-pod on node-1" in ended.termination


def test_files_on_another_mount_below_neither_count_nor_hide_a_loss(adopted: Sandbox) -> None:
    adopted.sh(
        "mkdir $P/tenant/other; mount -t tmpfs other $P/tenant/other; cd $P/tenant/other; touch 1 2 3 4 5 6 7 8 9"
    )
    assert adopted.guard("check").last["files"] == 10
    adopted.sh("rm -r $P/tenant/pdf $P/tenant/docx")
    assert adopted.guard("check").status == 30


def test_mounts_that_a_later_mount_at_the_path_hides_take_nothing_from_the_count(volume: Sandbox) -> None:
    # The volume is mounted over a folder in whose sub-folders, of the same names as its own, others were mounted before.
    volume.sh("mkdir $P/a $P/b $P/c; touch $P/a/1 $P/a/2 $P/b/1 $P/b/2; mount -t tmpfs met $P/c; touch $P/c/1")
    assert volume.guard("adopt").status == 0
    volume.sh(
        """mkdir $W/disk; mount --bind $P $W/disk; umount $P/c; umount $P; mount -t tmpfs older $P; mkdir $P/a $P/b
        mount -t tmpfs hidden $P/a; mount -t tmpfs hidden $P/b; mount --bind $W/disk $P; mount -t tmpfs met $P/c; touch $P/c/1"""
    )
    ended = volume.guard("check")
    assert (ended.status, ended.last.get("files")) == (0, 4), ended.stderr


#: Each of the first so many walks finds a mount that was not there before it: as where NFS is entered below an export.
_MOUNTED_BY_WALKING = """
import os, subprocess, sys
from guard.__main__ import main
from guard.probe.walk import Walk
walk, left = Walk.run, list(range(int(sys.argv.pop(1))))
def run(self):
    if left:
        point = f"{os.environ['GUARD_PATH']}/other/{left.pop()}"
        subprocess.run(["mount", "-t", "tmpfs", "other", point], check=True)
        for number in range(20):
            open(f"{point}/{number}", "w").close()
    walk(self)
Walk.run = run
sys.argv[0] = "guard"
main()
"""


@pytest.mark.parametrize(("walks", "status"), [("1", 30), ("2", 30), ("3", 15)])
def test_a_mount_that_comes_while_it_is_counted_is_not_crossed(adopted: Sandbox, walks: str, status: int) -> None:
    adopted.sh("rm -r $P/tenant/*; mkdir -p $P/other/0 $P/other/1 $P/other/2")
    ended = adopted.run([sys.executable, "-c", _MOUNTED_BY_WALKING, walks, "check"])
    assert (ended.status, ended.last.get("files")) == (status, 0 if status == 30 else None), ended.stderr


def test_names_that_a_terminal_would_obey_are_escaped_wherever_they_are_said(volume: Sandbox) -> None:
    hostile = "$(printf 'a\\n\\033[31mb\\377')"
    volume.sh(f'mkdir "$P/{hostile}" $P/tame; touch "$P/{hostile}/1" $P/tame/1')
    assert volume.guard("adopt").status == 0
    volume.sh(f'rm "$P/{hostile}/1"')
    shrunk = volume.guard("check")
    assert (shrunk.status, len(shrunk.lines)) == (0, 1)
    volume.sh(f'touch "$P/{hostile}/1"')
    assert volume.guard("accept").status == 0  # the gate that passed follows what was deleted
    volume.sh("rm $P/*/1")
    wiped = volume.guard("check")
    assert wiped.status == 30
    for text in (shrunk.stderr, wiped.stderr, wiped.termination):
        assert "\033" not in text
        assert "31mb" in text


#: 24 files of two skills, adopted.
_SKILLS = """for skill in pdf docx; do mkdir $P/$skill; for file in 1 2 3 4 5 6 7 8 9 10 11 12; do
    echo $skill $file >$P/$skill/$file; done; done"""


def test_other_files_in_the_place_of_the_lost_ones_hide_nothing(volume: Sandbox) -> None:
    volume.sh(_SKILLS)
    assert volume.guard("adopt").status == 0
    volume.sh("rm -r $P/*; for new in lib core; do mkdir $P/$new; touch $(seq -f $P/$new/%g 20); done")
    ended = volume.guard("check")
    assert (ended.status, ended.last["replaced"], ended.last["files"], ended.last["kept"]) == (30, True, 40, 0)
    assert "0 of 24 files are left" in ended.termination.splitlines()[0]
    assert "other files took their place" in ended.termination


def test_files_that_are_empty_now_are_lost(volume: Sandbox) -> None:
    volume.sh(_SKILLS)
    assert volume.guard("adopt").status == 0
    volume.sh("for file in $P/*/*; do : >$file; done")
    assert volume.guard("check").status == 30


def test_files_that_were_moved_with_their_folder_are_kept(volume: Sandbox) -> None:
    volume.sh(_SKILLS)
    assert volume.guard("adopt").status == 0
    volume.sh("mkdir $P/acme; mv $P/pdf $P/docx $P/acme")
    ended = volume.guard("check")
    assert (ended.status, ended.last["severity"], ended.last["kept"]) == (0, "INFO", 24)


def test_files_below_a_mount_are_hidden_not_lost(volume: Sandbox) -> None:
    volume.sh(_SKILLS)
    assert volume.guard("adopt").status == 0
    volume.sh("mount -t tmpfs hidden $P/pdf; mount -t tmpfs hidden $P/docx")
    ended = volume.guard("check")
    assert (ended.status, ended.last["severity"]) == (0, "WARNING"), ended.stderr
    assert "known files are hidden by mounts at docx, pdf: unmount them" in ended.last["message"]
    assert ended.last["nested_mounts"] == ["docx", "pdf"]


def test_a_ledger_that_no_watcher_writes_is_renewed_by_the_gate_that_passes(volume: Sandbox) -> None:
    volume.sh(_SKILLS)
    assert volume.guard("adopt").status == 0
    volume.sh(
        'sed -i \'s/"written": "2[^"]*/"written": "2026-01-02T03:04:05Z/\' $P/.volume-guard/ledger.json; touch $P/new'
    )
    first = volume.guard("check", GUARD_POD="skills-1")
    assert (first.status, first.last["severity"]) == (0, "INFO"), first.stderr
    assert "no watcher saw this volume for" in first.last["message"]
    second = volume.guard("check")
    assert (second.last["reference_files"], second.last["last_pod"], second.last["generation"]) == (25, "skills-1", 1)
    assert "no watcher" not in second.last["message"]


def test_deletions_between_starts_never_add_up_where_no_watcher_runs(volume: Sandbox) -> None:
    volume.sh("for d in 0 1 2 3 4 5 6 7 8 9; do mkdir $P/d$d; touch $P/d$d/1 $P/d$d/2; done")
    assert volume.guard("adopt").status == 0
    for gone in ("[0-3]", "[4-6]", "[7-8]"):
        volume.sh(f"rm -r $P/d{gone}")
        shrunk, again = volume.guard("check"), volume.guard("check")
        assert (shrunk.status, shrunk.last["severity"]) == (0, "WARNING"), shrunk.stderr
        assert (again.status, again.last["severity"]) == (0, "INFO"), again.stderr
    volume.sh("rm -r $P/d9")
    assert volume.guard("check").status == 30


def test_files_that_are_ignored_by_now_are_no_loss(volume: Sandbox) -> None:
    volume.sh(f"{_SKILLS}; mkdir $P/build; cd $P/build; touch $(seq 200)")
    assert volume.guard("adopt").status == 0
    volume.sh("rm -r $P/build")
    ignored = volume.guard("check", GUARD_IGNORE="build/**")
    assert (ignored.last["severity"], ignored.last["reference_files"]) == ("INFO", 24), ignored.stderr


@pytest.mark.root
def test_files_that_fsck_moved_are_looked_for_first(volume: Sandbox) -> None:
    volume.sh(_SKILLS)
    assert volume.guard("adopt").status == 0
    volume.sh(
        "mkdir $P/lost+found; i=0; for file in $P/*/*; do mv $file $P/lost+found/#$((i += 1)); done; rmdir $P/pdf $P/docx"
    )
    ended = volume.guard("check")
    assert ended.status == 30
    assert f"1. {volume.path}/lost+found holds 24 files" in ended.termination


@pytest.mark.root
def test_entries_that_another_uid_cannot_read_are_the_warning(volume: Sandbox) -> None:
    volume.sh(f"{_SKILLS}; chmod 755 $P; chmod 700 $P/pdf $P/docx")
    assert volume.guard("adopt").status == 0
    ended = volume.guard_as(_NOBODY, "check")
    assert (ended.status, ended.last["severity"]) == (0, "WARNING"), ended.stderr
    assert f"2 of 2 entries cannot be read by uid {_NOBODY} (docx, pdf)" in ended.last["message"]


@pytest.mark.root
def test_a_wiped_ext4_disk_with_its_lost_and_found_is_a_loss(adopted_disk: Sandbox) -> None:
    adopted_disk.sh("mount -o loop $W/disk $P; test -d $P/lost+found; rm -r $P/tenant")
    assert adopted_disk.guard("check").status == 30


@pytest.mark.root
def test_folders_that_another_uid_cannot_read_are_not_lost(adopted: Sandbox) -> None:
    adopted.sh("chmod 700 $P/tenant/docx")
    ended = adopted.guard_as(_NOBODY, "check")
    assert (ended.status, ended.last["severity"]) == (0, "WARNING"), ended.stderr
    assert ended.last["unreadable"] == ["tenant/docx"]
    assert "known_lost" not in ended.last


@pytest.mark.root
def test_of_however_many_folders_that_another_uid_cannot_read_none_is_lost(volume: Sandbox) -> None:
    # Many in one tenant, so that all that are named could be its own; and one in each of many.
    volume.sh(
        """mkdir $P/large; cd $P/large; mkdir -m 700 $(seq 1100); for folder in *; do : >$folder/a; done
        cd $P; mkdir $(seq 1100); for tenant in [0-9]*; do mkdir -m 700 $tenant/x; : >$tenant/x/a; done"""
    )
    assert volume.guard("adopt").status == 0
    ended = volume.guard_as(_NOBODY, "check")
    assert (ended.status, ended.last["unreadable_folders"]) == (0, 2200), ended.stderr
    assert "known_lost" not in ended.last


@pytest.mark.root
def test_folders_that_the_adopting_uid_could_not_read_either_hide_no_wipe(volume: Sandbox) -> None:
    volume.sh(
        f"""mkdir -p $P/acme $P/beta; cd $P; touch $(seq -f acme/%g 50) $(seq -f beta/%g 50); chown -R {_NOBODY} $P
        for tenant in acme beta; do mkdir -m 700 $tenant/cache; touch $tenant/cache/root-s; done"""
    )
    assert volume.guard_as(_NOBODY, "adopt").status == 0
    assert volume.guard_as(_NOBODY, "check").status == 0
    volume.sh("rm $P/acme/[0-9]* $P/beta/[0-9]*")
    assert volume.guard_as(_NOBODY, "check").status == 30


@pytest.mark.root
def test_a_tree_that_another_uid_cannot_read_at_all_is_not_lost(adopted: Sandbox) -> None:
    adopted.sh("chmod 700 $P/tenant")
    ended = adopted.guard_as(_NOBODY, "check")
    assert (ended.status, ended.last["unreadable"]) == (0, ["tenant"])


@pytest.mark.root
def test_a_volume_closed_to_this_uid_is_unreachable_and_names_what_is_missing(adopted: Sandbox) -> None:
    adopted.sh("chmod 700 $P")
    ended = adopted.guard_as(_NOBODY, "check")
    assert ended.status == 15
    assert f"uid {_NOBODY}, gid {_NOBODY}" in ended.termination
    assert "fsGroup" in ended.termination


@pytest.mark.root
def test_another_uid_is_passed_and_refused_like_root(adopted: Sandbox) -> None:
    adopted.sh(f"chgrp -R {_NOBODY} $P; chmod -R g+w $P; chmod g+s $P")  # as the kubelet does for an fsGroup
    passed = adopted.guard_as(_NOBODY, "check")
    assert (passed.status, passed.last["severity"]) == (0, "INFO"), passed.stderr
    refused = adopted.guard_as(_NOBODY, "check", GUARD_VOLUME="skills-prod")
    assert (refused.status, "(exit 21, marker-mismatch)" in refused.termination.splitlines()[0]) == (21, True)


@pytest.mark.root
def test_another_uid_adopts_what_its_group_may_write(volume: Sandbox) -> None:
    volume.sh(f"chgrp {_NOBODY} $P; chmod 2775 $P; mkdir $P/a; touch $P/a/1")
    adopted = volume.guard_as(_NOBODY, "adopt")
    assert adopted.status == 0, adopted.stderr
    assert volume.guard("check").status == 0
    assert volume.sh("stat -c '%U %a' $P/.volume-guard").split() != ["root", "2775"]


#: Root's folder that another uid may list and not enter, and its own folder without x.
LISTED_ONLY = {
    "root's": "chmod 744 $P/tenant/docx",
    "its own": f"chown {_NOBODY} $P/tenant/docx; chmod 644 $P/tenant/docx",
}


@pytest.mark.root
@pytest.mark.parametrize("script", LISTED_ONLY.values(), ids=LISTED_ONLY)
def test_files_whose_size_this_uid_may_not_read_are_counted_by_their_names(adopted: Sandbox, script: str) -> None:
    adopted.sh(f"chown -R {_NOBODY} $P/.volume-guard; {script}")
    assert adopted.guard_as(_NOBODY, "check").status == 0
    accepted = adopted.guard_as(_NOBODY, "accept")
    assert (accepted.status, accepted.last["files"], accepted.last["reference_files"]) == (0, 10, 10), accepted.stderr
    for command in (("hold", "a restore"), ("release",)):
        assert adopted.guard_as(_NOBODY, *command).status == 0


@pytest.mark.root
def test_a_volume_with_a_folder_that_may_only_be_listed_is_adopted(volume: Sandbox) -> None:
    volume.sh(f"chown {_NOBODY} $P; mkdir $P/a $P/b; touch $P/a/1 $P/b/1 $P/b/2; chmod 744 $P/b")
    adopted = volume.guard_as(_NOBODY, "adopt")
    assert (adopted.status, adopted.last["reference_files"]) == (0, 3), adopted.stderr


@pytest.mark.root
def test_a_listed_folder_whose_names_have_no_type_keeps_its_last_count(sandbox: Sandbox) -> None:
    # Without this feature ext4 lists names alone, as some network and FUSE file systems do.
    sandbox.sh(
        """truncate -s 8M $W/disk; mkfs.ext4 -q -O ^filetype $W/disk; mount -o loop $W/disk $P; rmdir $P/lost+found
        mkdir -p $P/a/1 $P/a/2 $P/b; cd $P; touch a/1/x a/1/y a/1/z a/2/x a/2/y a/2/z b/x"""
    )
    assert sandbox.guard("adopt").status == 0
    sandbox.sh("chmod 744 $P/a")
    ended = sandbox.guard_as(_NOBODY, "check")
    assert (ended.status, ended.last["unreadable"]) == (0, ["a"]), ended.stderr
    assert "known_lost" not in ended.last
    sandbox.sh("umount $P")
