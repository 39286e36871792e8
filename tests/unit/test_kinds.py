"""Which kind a mount is: captured containers of a real cluster first, then what could not be captured."""

from pathlib import Path

import pytest

from guard.volume import mountinfo
from guard.volume.kinds import EPHEMERAL_KINDS, Kind, classify, container_name, node_devices
from guard.volume.mountinfo import MountTable

CAPTURED = Path(__file__).parents[1] / "data" / "mountinfo"

#: What each captured container has at /app/skills; None where nothing is mounted at exactly that path.
KINDS = {
    "configmap": Kind.CONFIG,
    "configmap-subpath": None,
    "emptydir": Kind.EMPTY_DIR,
    "emptydir-memory": Kind.MEMORY,
    "hostpath": Kind.NODE_DISK,
    "image": Kind.OVERLAY,
    "image-subpath": Kind.OVERLAY,
    "no-volume": None,
    "projected": Kind.MEMORY,
    "pvc-claim-readonly": Kind.BLOCK,
    "pvc-dir-subpath": Kind.NODE_DISK,
    "pvc-hostpath": Kind.NODE_DISK,
    "pvc-local-device": Kind.BLOCK,
    "pvc-local-dir": Kind.NODE_DISK,
    "pvc-local-ext4": Kind.BLOCK,
    "pvc-readonly": Kind.BLOCK,
    "pvc-recursive-readonly": Kind.BLOCK,
    "pvc-subpath": Kind.BLOCK,
    "secret": Kind.MEMORY,
}
NODE = "node-with-pvc"

#: What every container of a cluster has besides its volume: the kubelet's files lie on the node's disk, 254:0.
POD = """\
107 68 0:51 / / rw,relatime - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
124 107 254:0 /var/lib/kubelet/pods/cc79/etc-hosts /etc/hosts rw,relatime - ext4 /dev/vda rw
125 109 254:0 /var/lib/kubelet/pods/cc79/containers/app/53d2 /dev/termination-log rw,relatime - ext4 /dev/vda rw
"""

#: Everything in a Kata guest comes through one virtiofs share: root, kubelet files and volumes have one device.
KATA = """\
100 90 0:31 /passthrough/6c2e/rootfs / rw,relatime - virtiofs kataShared rw
101 100 0:31 /passthrough/6c2e-hosts /etc/hosts rw,relatime - virtiofs kataShared rw
102 100 0:31 /passthrough/6c2e-termination-log /dev/termination-log rw,relatime - virtiofs kataShared rw
103 100 0:31 /passthrough/6c2e-skills /app/skills rw,relatime - virtiofs kataShared rw
"""

#: gVisor gives every gofer mount a device of its own, and no source.
GVISOR = """\
1 0 0:13 / / rw - overlay none rw
2 1 0:15 / /etc/hosts rw - 9p none rw,trans=fd,rfdno=5,wfdno=5,aname=/,dfltuid=4294967294,dfltgid=4294967294
3 1 0:16 / /dev/termination-log rw - 9p none rw,trans=fd,rfdno=6,wfdno=6,aname=/
4 1 0:17 / /app/skills rw - 9p none rw,trans=fd,rfdno=7,wfdno=7,aname=/,cache=remote_revalidating
"""


def captured(name: str) -> MountTable:
    return mountinfo.parse((CAPTURED / f"{name}.mountinfo").read_text())


def kind_of(text: str, path: str = "/app/skills") -> Kind:
    table = mountinfo.parse(text)
    assert not table.malformed
    (mount,) = table.at(path)
    return classify(mount, table)[0]


def in_a_pod(fstype: str, source: str, *, device: str = "0:77", root: str = "/", options: str = "rw") -> Kind:
    return kind_of(f"{POD}123 107 {device} {root} /app/skills rw,relatime - {fstype} {source} {options}\n")


def test_the_table_of_kinds_speaks_of_every_captured_container() -> None:
    assert {path.stem for path in CAPTURED.glob("*.mountinfo")} == {*KINDS, NODE}


@pytest.mark.parametrize("name", [*KINDS, NODE])
def test_every_line_of_a_captured_table_can_be_read(name: str) -> None:
    assert captured(name).malformed == ()


@pytest.mark.parametrize(("name", "kind"), KINDS.items(), ids=str)
def test_a_captured_volume_is_of_the_right_kind(name: str, kind: Kind | None) -> None:
    table = captured(name)
    found = [classify(mount, table)[0] for mount in table.at("/app/skills")]
    assert found == ([] if kind is None else [kind])


@pytest.mark.parametrize("name", ["no-volume", "configmap-subpath"])
def test_where_nothing_is_mounted_the_path_lies_on_the_containers_overlay(name: str) -> None:
    table = captured(name)
    (root,) = table.at("/")
    assert classify(root, table)[0] is Kind.OVERLAY


def test_a_file_of_a_config_map_mounted_below_the_path_is_not_the_volume() -> None:
    table = captured("configmap-subpath")
    mount = table.in_force_at("/app/skills")
    assert mount is not None
    assert table.below(mount, "/app/skills") == {"SKILL.md"}


def test_a_claim_on_the_node_itself_is_a_disk_of_its_own() -> None:
    table = captured(NODE)
    claims = [mount for mount in table.mounts if "kubernetes.io~local-volume" in mount.mount_point]
    assert [classify(mount, table)[0] for mount in claims] == [Kind.BLOCK]


def test_outside_a_container_the_nodes_own_disk_is_the_one_that_holds_the_root() -> None:
    table = captured(NODE)
    (root,) = table.at("/")
    assert classify(root, table)[0] is Kind.NODE_DISK
    assert "254:0" in node_devices(table)


@pytest.mark.parametrize("name", KINDS)
def test_the_containers_name_is_read_from_its_termination_log(name: str) -> None:
    assert container_name(captured(name)) == "app"


def test_outside_a_pod_there_is_no_container_name() -> None:
    assert container_name(captured(NODE)) is None


@pytest.mark.parametrize(
    "root", ["/x", "/containers/app", "/var/lib/docker/containers/app/53d2/log", "/containers-app/53d2", "/"]
)
def test_a_termination_log_that_lies_elsewhere_names_no_container(root: str) -> None:
    table = mountinfo.parse(f"125 109 254:0 {root} /dev/termination-log rw - ext4 /dev/vda rw\n")
    assert container_name(table) is None


@pytest.mark.parametrize("fstype", ["ext4", "xfs", "btrfs", "zfs", "ext3", "ntfs3", "f2fs"])
def test_a_disk_file_system_on_a_device_of_its_own_is_block(fstype: str) -> None:
    assert in_a_pod(fstype, "/dev/sdb", device="8:16") is Kind.BLOCK


@pytest.mark.parametrize(
    ("fstype", "source"),
    [
        ("nfs4", "10.0.0.2:/export/skills"),
        ("nfs4", "127.0.0.1:/"),
        ("nfs", "filer:/vol0"),
        ("cifs", "//server/share"),
        ("ceph", "10.0.0.1:6789:/volumes/csi"),
        ("lustre", "10.0.0.1@tcp:/fsx"),
        ("9p", "10.0.0.3"),
        ("beegfs", "beegfs_nodev"),
    ],
)
def test_the_file_system_of_a_server_is_network(fstype: str, source: str) -> None:
    assert in_a_pod(fstype, source) is Kind.NETWORK


@pytest.mark.parametrize(
    ("fstype", "source"),
    [("fuse.gcsfuse", "my-bucket"), ("fuse", "s3fs"), ("fuseblk", "/dev/sdc1"), ("fuse.juicefs", "JuiceFS:skills")],
)
def test_what_a_program_serves_is_fuse(fstype: str, source: str) -> None:
    assert in_a_pod(fstype, source) is Kind.FUSE


def test_an_overlay_that_a_program_serves_is_still_an_overlay() -> None:
    assert in_a_pod("fuse.fuse-overlayfs", "fuse-overlayfs") is Kind.OVERLAY


@pytest.mark.parametrize("fstype", ["tmpfs", "ramfs", "hugetlbfs"])
def test_memory_is_memory_under_every_name(fstype: str) -> None:
    assert in_a_pod(fstype, fstype) is Kind.MEMORY


@pytest.mark.parametrize("plugin", ["configmap", "secret", "projected", "downward-api"])
def test_what_the_kubelet_fills_on_disk_is_config(plugin: str) -> None:
    root = f"/var/lib/kubelet/pods/cc79/volumes/kubernetes.io~{plugin}/v"
    assert in_a_pod("ext4", "/dev/vda", device="254:0", root=root) is Kind.CONFIG


def test_an_empty_dir_is_one_under_any_root_folder_of_the_kubelet_and_on_any_disk() -> None:
    root = "/data/k3s/agent/kubelet/pods/cc79/volumes/kubernetes.io~empty-dir/v/sub"
    assert in_a_pod("xfs", "/dev/sdb", device="8:16", root=root) is Kind.EMPTY_DIR


@pytest.mark.parametrize("plugin", ["csi/pv-1/mount", "nfs/pv-1", "local-volume/pv-1"])
@pytest.mark.parametrize("device", ["254:0", "8:32"], ids=["the disk of /", "the kubelet's own disk"])
def test_a_volume_whose_mount_failed_on_the_node_is_the_nodes_disk(plugin: str, device: str) -> None:
    root = f"/var/lib/kubelet/pods/cc79/volumes/kubernetes.io~{plugin}"
    assert in_a_pod("ext4", "/dev/vda", device=device, root=root) is Kind.NODE_DISK


def test_gvisor_tells_nothing_of_a_volume() -> None:
    assert kind_of(GVISOR) is Kind.UNKNOWN


def test_kata_tells_nothing_of_a_volume_in_its_share() -> None:
    assert kind_of(KATA) is Kind.UNKNOWN


def test_a_disk_that_kata_hands_into_the_guest_is_block() -> None:
    text = KATA.replace("0:31 /passthrough/6c2e-skills /app/skills rw,relatime - virtiofs kataShared", "254:16 / /app/skills rw - ext4 /dev/vdb")  # fmt: skip
    assert kind_of(text) is Kind.BLOCK


def test_9p_through_virtio_is_a_sandbox_and_tells_nothing() -> None:
    assert in_a_pod("9p", "kataShared", options="rw,trans=virtio,version=9p2000.L") is Kind.UNKNOWN


@pytest.mark.parametrize("source", ["none", ""])
def test_a_file_system_without_a_source_tells_nothing(source: str) -> None:
    assert in_a_pod("ext4", source, device="0:80") is Kind.UNKNOWN


def test_a_file_system_of_no_table_is_unknown_and_named() -> None:
    table = mountinfo.parse(f"{POD}123 107 0:80 / /app/skills rw - mysteryfs somewhere rw\n")
    (mount,) = table.at("/app/skills")
    kind, reason = classify(mount, table)
    assert kind is Kind.UNKNOWN
    assert "mysteryfs" in reason


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind])
def test_every_verdict_names_the_fact_that_tells_it(name: str) -> None:
    table = captured(name)
    (mount,) = table.at("/app/skills")
    _, reason = classify(mount, table)
    assert any(fact in reason for fact in (mount.root, mount.fstype, mount.device) if fact != "/")


def test_what_dies_with_the_pod_is_memory_empty_dir_config_and_overlay() -> None:
    assert {kind.value for kind in EPHEMERAL_KINDS} == {"memory", "empty-dir", "config", "overlay"}
