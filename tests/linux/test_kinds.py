"""What kind of volume a real mount is, and whether the gate lets it through."""

import os
import re
import sys
from dataclasses import dataclass

import pytest

from tests.linux.sandbox import REPOSITORY, Ended, Sandbox

pytestmark = pytest.mark.mounts


@dataclass(frozen=True)
class Case:
    name: str
    script: str
    status: int
    kind: str
    settings: tuple[tuple[str, str], ...] = ()


#: The kubelet's folder of a pod's volumes, as it stands in the root of the mount.
_VOLUMES = "var/lib/kubelet/pods/0f1e/volumes"


def _kubelet(plugin: str) -> str:
    folder = f"$W/{_VOLUMES}/kubernetes.io~{plugin}/skills"
    return f"mkdir -p {folder}; mount --bind {folder} $P"


UNPRIVILEGED = [
    Case("tmpfs", "mount -t tmpfs none $P", 11, "memory"),
    Case("tmpfs that is meant", "mount -t tmpfs none $P", 20, "memory", (("GUARD_KINDS", "block,memory"),)),
    Case(
        "an overlay",
        "mkdir $W/o; mount -t tmpfs none $W/o; cd $W/o; mkdir l u w; mount -t overlay -o lowerdir=l,upperdir=u,workdir=w o $P",
        11,
        "overlay",
    ),
    Case("an emptyDir", _kubelet("empty-dir"), 11, "empty-dir"),
    Case("a configMap", _kubelet("configmap"), 11, "config"),
]


@pytest.mark.parametrize("case", UNPRIVILEGED, ids=lambda case: case.name)
def test_a_mount_that_dies_with_the_pod_is_refused_unless_it_is_meant(sandbox: Sandbox, case: Case) -> None:
    sandbox.sh(case.script)
    ended = sandbox.guard("check", **dict(case.settings))
    assert (ended.status, ended.last["kind"]) == (case.status, case.kind)


def test_a_plain_directory_is_not_a_volume_whatever_it_holds_and_no_setting_waives_that(sandbox: Sandbox) -> None:
    sandbox.sh("mkdir -p $P/tenant/pdf; touch $P/tenant/pdf/1")
    ended = sandbox.guard("check", GUARD_KINDS="any")
    assert ended.status == 10
    assert ended.termination.startswith("volume-guard refused this start (exit 10, not-mounted)")
    assert f"checked: {sandbox.path}" in ended.termination
    assert "delete the pod" in ended.termination.lower()


@pytest.mark.parametrize(
    ("script", "instead"),
    [
        ("rmdir $P", "no such path"),
        ("rmdir $P; touch $P", "not a directory"),
        ("rmdir $P; ln -s nowhere $P", "no such"),
    ],
)
def test_what_is_not_a_directory_is_missing(sandbox: Sandbox, script: str, instead: str) -> None:
    sandbox.sh(script)
    ended = sandbox.guard("check")
    assert ended.status == 13
    assert instead in ended.termination


#: A node: its disk holds the files that the kubelet binds into every container.
_NODE = "mkdir $W/node; mount -o loop $W/disk $W/node; mkdir -p $W/node/local; touch $W/node/etc-hosts; mount --bind $W/node/etc-hosts /etc/hosts; "


@pytest.mark.root
@pytest.mark.parametrize(("kinds", "status"), [("", 12), ("node-disk", 20)])
def test_a_folder_of_the_node_s_disk_is_refused_unless_it_is_meant(disk: Sandbox, kinds: str, status: int) -> None:
    disk.sh(_NODE + "mount --bind $W/node/local $P")
    ended = disk.guard("check", GUARD_KINDS=kinds)
    assert (ended.status, ended.last["kind"]) == (status, "node-disk")


@pytest.mark.root
def test_a_claim_that_also_gives_the_hosts_file_is_no_node_s_disk(adopted_disk: Sandbox) -> None:
    adopted_disk.sh("mount -o loop $W/disk $P; touch $P/hosts; mount --bind $P/hosts /etc/hosts")
    ended = adopted_disk.guard("check")
    assert (ended.status, ended.last["kind"]) == (0, "block")


@pytest.mark.root
@pytest.mark.parametrize(
    "script",
    [
        "mount -o loop $W/disk $P",
        "mkdir $W/m; mount -o loop $W/disk $W/m; mkdir -p $W/m/sub; cp -a $W/m/tenant $W/m/.volume-guard $W/m/sub; mount --bind $W/m/sub $P; umount $W/m",
        "rmdir $P; mkdir $W/m; ln -s ../m $P; mount -o loop $W/disk $W/m",
        "mount -t tmpfs none $P; mount -o loop $W/disk $P",
        "mount -o loop $W/disk $P; mount --bind $P $P",
    ],
    ids=["as it is", "by subPath", "behind a link", "mounted over memory", "bound on itself"],
)
def test_an_adopted_ext4_disk_passes(adopted_disk: Sandbox, script: str) -> None:
    adopted_disk.sh(script)
    ended = adopted_disk.guard("check", GUARD_POD="second-pod", GUARD_NODE="node-2")
    assert ended.status == 0, ended.stderr
    told = {
        name: ended.last[name] for name in ("kind", "fstype", "files", "reference_files", "last_pod", "node_changed")
    }
    assert told == {
        "kind": "block",
        "fstype": "ext4",
        "files": 10,
        "reference_files": 10,
        "last_pod": "first-pod",
        "node_changed": True,
    }
    assert (ended.last["event"], ended.last["severity"]) == ("volume.ok", "INFO")
    assert ended.termination.startswith(f'ok: {adopted_disk.path} is "skills"')


@pytest.mark.root
@pytest.mark.parametrize(
    "script", ["mount -t tmpfs none $P", "mkdir $W/e; mount --bind $W/e $P"], ids=["memory", "a folder of this machine"]
)
def test_the_right_disk_below_another_mount_does_not_count(adopted_disk: Sandbox, script: str) -> None:
    adopted_disk.sh("mount -o loop $W/disk $P; " + script)
    ended = adopted_disk.guard("check")
    assert ended.status in {11, 12, 20}  # what $W lies on is this machine's affair
    assert "marker_id" not in ended.last


@pytest.mark.root
def test_an_xfs_disk_is_adopted_and_passes(sandbox: Sandbox, xfs_image: str) -> None:
    sandbox.sh(
        "cp --sparse=always $IMAGE $W/disk; mount -o loop $W/disk $P; mkdir $P/a; touch $P/a/1 $P/a/2", IMAGE=xfs_image
    )
    assert sandbox.guard("adopt").status == 0
    ended = sandbox.guard("check")
    assert (ended.status, ended.last["fstype"], ended.last["files"]) == (0, "xfs", 2)


@pytest.mark.root
def test_a_folder_of_the_node_s_disk_bound_on_itself_is_still_no_volume(disk: Sandbox) -> None:
    disk.sh(_NODE + "cd $W/node/local; mount --bind . .")
    assert disk.guard("check", GUARD_PATH=f"{disk.work}/node/local").status == 12


#: As gVisor shows a descriptor: its flags, and no mount ID.
_NO_MOUNT_IDS = """
import sys
from guard.__main__ import main
from guard.probe import mounts
whole = mounts._read_all
mounts._read_all = lambda path: whole(path).partition(b"mnt_id")[0] if "fdinfo" in path else whole(path)
sys.argv[0] = "guard"
main()
"""


def test_where_no_mount_id_is_shown_the_mount_is_told_by_the_path(volume: Sandbox) -> None:
    def guard(*arguments: str, **settings: str) -> Ended:
        return volume.run([sys.executable, "-c", _NO_MOUNT_IDS, *arguments], **settings)

    volume.sh("mkdir $P/a $P/other; touch $P/a/1; mount -t tmpfs other $P/other; touch $P/other/1")
    assert guard("adopt").status == 0
    for command in (("check",), ("hold", "why"), ("release",)):
        ended = guard(*command)
        assert (ended.status, ended.last["kind"]) == (0, "memory"), ended.stderr
    assert guard("check", GUARD_PATH=f"{volume.path}/a").status == 10
    volume.sh("mount -t tmpfs over $P")
    assert guard("check").status == 20


@pytest.mark.parametrize("made_again", ["", "; cp -a $P/. $W/node/made; mv $W/node/made $W/node/claim"])
def test_a_bind_of_a_folder_that_was_deleted_is_not_mounted_whatever_was_made_in_its_place(
    adopted: Sandbox, made_again: str
) -> None:
    adopted.sh(
        "mkdir $W/node; mount -t tmpfs node $W/node; mkdir $W/node/claim $W/node/made; cp -a $P/. $W/node/claim; "
        f"mount --bind $W/node/claim $P; rm -r $W/node/claim{made_again}"
    )
    ended = adopted.guard("check")
    assert (ended.status, ended.last.get("also")) == (10, None)
    assert "was deleted on the node: /claim of tmpfs" in ended.termination
    assert "delete the pod" in ended.termination.lower()
    assert "Restore" not in ended.termination
    assert adopted.guard("adopt").status == 10


@pytest.mark.parametrize("link", [False, True], ids=["a folder", "a link to one"])
def test_of_a_path_inside_a_volume_the_mount_is_named_and_setting_it_mends_that(adopted: Sandbox, link: bool) -> None:
    path = f"{adopted.path}/tenant"
    if link:
        adopted.sh("ln -s $P/tenant $W/link")
        path = f"{adopted.work}/link"
    ended = adopted.guard("check", GUARD_PATH=path)
    assert (ended.status, ended.last.get("also")) == (10, None)
    assert f"inside the volume mounted at {adopted.path} (tmpfs)" in ended.termination
    assert f"Set GUARD_PATH={adopted.path} in" in ended.termination
    assert "its files are in the container" not in ended.termination
    assert adopted.guard("check", GUARD_PATH=adopted.path).status == 0


@pytest.mark.root
def test_a_folder_inside_a_disk_is_told_by_its_disk_and_one_of_a_refused_kind_is_a_plain_directory(
    adopted_disk: Sandbox,
) -> None:
    adopted_disk.sh("mount -o loop $W/disk $P")
    inside = adopted_disk.guard("check", GUARD_PATH=f"{adopted_disk.path}/tenant/pdf")
    assert f"Set GUARD_PATH={adopted_disk.path} in" in inside.termination
    refused = adopted_disk.guard("check", GUARD_PATH=f"{adopted_disk.path}/tenant/pdf", GUARD_KINDS="network")
    assert (inside.status, refused.status) == (10, 10)
    assert "GUARD_PATH" not in refused.termination
    assert "Compare volumes and volumeMounts" in refused.termination


@pytest.mark.root
@pytest.mark.parametrize(
    ("path", "status"),
    [("/app/skills", 10), ("/nowhere/at/all", 13), ("/memory", 11)],
    ids=["a plain directory", "no such path", "memory"],
)
def test_in_a_container_whose_root_is_an_overlay_nobody_waits_for_a_mount(
    sandbox: Sandbox, path: str, status: int
) -> None:
    # As containerd and docker start one: its root receives what is mounted on the node, and nobody mounts there.
    visible = " ".join({REPOSITORY, os.path.realpath(sys.prefix), os.path.realpath(sys.base_prefix)})
    sandbox.sh(
        "mkdir $W/c; mount -t tmpfs c $W/c; cd $W/c; mkdir u w r; "
        "mount -t overlay -o lowerdir=/,upperdir=u,workdir=w overlay r; mkdir -p r/app/skills r/memory; "
        f"for seen in /proc /dev {visible}; do mkdir -p r$seen; mount --rbind $seen r$seen; done; "
        "mount -t tmpfs memory r/memory; mount --make-rshared r"
    )
    root = f"{sandbox.work}/c/r"
    contained = ["unshare", "--mount", "--propagation", "slave", "chroot", root, *sandbox.command("check")]
    ended = sandbox.run(contained, GUARD_PATH=path, GUARD_WAIT="60s", GUARD_TERMINATION_LOG="/memory/log")
    assert ended.status == status, ended.stderr
    assert ended.events() == ["volume.refused"]


#: Where a node keeps a claim's files, and where a runtime keeps the folder of an image's VOLUME, on a disk of its own.
_RUNTIME = "io.containerd.grpc.v1.cri/containers/c0ffee/volumes/53d2"


@pytest.mark.root
@pytest.mark.parametrize(("folder", "status"), [(_RUNTIME, 11), ("claims/skills", 20)])
def test_a_folder_that_the_runtime_made_on_a_disk_of_its_own_is_ephemeral(
    disk: Sandbox, folder: str, status: int
) -> None:
    disk.sh(f"mkdir $W/d; mount -o loop $W/disk $W/d; mkdir -p $W/d/{folder}; mount --bind $W/d/{folder} $P")
    ended = disk.guard("check")
    assert ended.status == status
    assert ("it is lost with the container" in ended.termination) is (status == 11)


def test_the_value_that_allows_a_refused_kind_is_printed_and_can_be_pasted(volume: Sandbox) -> None:
    ended = volume.guard("check", GUARD_KINDS="")
    (value,) = re.findall(r"set GUARD_KINDS=([a-z,-]+)", ended.termination)
    assert volume.guard("check", GUARD_KINDS=value).status == 20
