"""What kind of volume a real mount is, and whether the gate lets it through."""

import sys
from dataclasses import dataclass

import pytest

from tests.linux.sandbox import Ended, Sandbox

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
    assert ended.termination.startswith("not-mounted\n")
    assert f"looked at: {sandbox.path}" in ended.termination
    assert "delete the pod" in ended.termination


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
_NODE = "mkdir $W/node; mount -o loop $W/disk $W/node; mkdir -p $W/node/local; touch $W/node/hosts; mount --bind $W/node/hosts /etc/hosts; "


@pytest.mark.root
@pytest.mark.parametrize(("kinds", "status"), [("", 12), ("node-disk", 20)])
def test_a_folder_of_the_node_s_disk_is_refused_unless_it_is_meant(disk: Sandbox, kinds: str, status: int) -> None:
    disk.sh(_NODE + "mount --bind $W/node/local $P")
    ended = disk.guard("check", GUARD_KINDS=kinds)
    assert (ended.status, ended.last["kind"]) == (status, "node-disk")


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
