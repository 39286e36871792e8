"""Which kind a mount is: captured containers of a real cluster first, then what could not be captured."""

from pathlib import Path

import pytest

from guard.volume import mountinfo
from guard.volume.kinds import EPHEMERAL_KINDS, Kind, classify, container_name, has_overlay_root, node_devices
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
    "root",
    [
        "/x",
        "/containers/app",
        "/logs/containers/app/53d2",
        "/var/lib/docker/containers/app/53d2/log",
        "/containers-app/53d2",
        "/",
    ],
)
def test_a_termination_log_that_lies_elsewhere_names_no_container(root: str) -> None:
    table = mountinfo.parse(f"125 109 254:0 {root} /dev/termination-log rw - ext4 /dev/vda rw\n")
    assert container_name(table) is None


@pytest.mark.parametrize("fstype", ["ext4", "xfs", "btrfs", "zfs", "ext3", "ntfs3", "f2fs"])
def test_a_disk_file_system_on_a_device_of_its_own_is_block(fstype: str) -> None:
    assert in_a_pod(fstype, "/dev/sdb", device="8:16") is Kind.BLOCK


@pytest.mark.parametrize("fstype", ["vxfs", "acfs", "gfs2", "ocfs2"])
def test_a_cluster_s_file_system_on_a_disk_is_block(fstype: str) -> None:
    assert in_a_pod(fstype, "/dev/mapper/san1", device="253:7") is Kind.BLOCK


NETWORK = {
    "NFS": ("nfs4", "10.0.0.2:/export/skills"),
    "NFS through a local proxy (AWS EFS)": ("nfs4", "127.0.0.1:/"),
    "NFS version 3": ("nfs", "filer:/vol0"),
    "SMB": ("cifs", "//server/share"),
    "CephFS in the kernel": ("ceph", "10.0.0.1:6789:/volumes/csi"),
    "Lustre": ("lustre", "10.0.0.1@tcp:/fsx"),
    "9p over TCP (minikube mount)": ("9p", "10.0.0.3"),
    "BeeGFS": ("beegfs", "beegfs_nodev"),
    "Spectrum Scale": ("gpfs", "gpfs0"),
    "Weka": ("wekafs", "backend/skills"),
    "Panasas": ("panfs", "panfs://realm/vol"),
    "StorNext": ("cvfs", "snfs1"),
    "OceanStor": ("dpc", "/skills"),
    "dtfs": ("dtfs", "dtfs"),
    "YanRong": ("yrfs", "yrfs"),
    "CVMFS by autofs": ("autofs", "/etc/auto.cvmfs"),
    "a share of the hypervisor": ("virtiofs", "fs-id"),
    "a share of Lima and Colima": ("virtiofs", "mount0"),
    "a share of VirtualBox": ("vboxsf", "hosthome"),
    "a share of VMware": ("vmhgfs", ".host:/skills"),
    "a share of Parallels": ("prl_fs", "none"),
    "OpenAFS, whose source is a word": ("afs", "none"),
}


@pytest.mark.parametrize(("fstype", "source"), NETWORK.values(), ids=NETWORK)
def test_the_file_system_of_a_server_is_network(fstype: str, source: str) -> None:
    assert in_a_pod(fstype, source) is Kind.NETWORK


FUSE = {
    "gcsfuse": ("fuse.gcsfuse", "my-bucket"),
    "s3fs": ("fuse.s3fs", "s3fs"),
    "s3fs without a subtype": ("fuse", "s3fs"),
    "goofys": ("fuse", "my-bucket"),
    "mountpoint-s3": ("fuse", "mountpoint-s3"),
    "blobfuse2": ("fuse", "blobfuse2"),
    "rclone": ("fuse.rclone", "remote:skills"),
    "JuiceFS": ("fuse.juicefs", "JuiceFS:skills"),
    "SeaweedFS": ("fuse.seaweedfs", "filer:8888:/buckets/skills"),
    "CubeFS": ("fuse.cubefs", "cubefs-skills"),
    "MooseFS": ("fuse.mfs", "mfsmaster:9421"),
    "GlusterFS": ("fuse.glusterfs", "gluster:/vol"),
    "ceph-fuse": ("fuse.ceph", "ceph-fuse"),
    "ceph-fuse of later releases": ("fuse.ceph-fuse", "ceph-fuse"),
    "Quobyte": ("fuse.quobyte", "quobyte@registry/skills"),
    "a disk of NTFS": ("fuseblk", "/dev/sdc1"),
    "Alibaba Cloud's fork": ("alifuse.aliyun-alinas-efc", "1a2b.cn-hangzhou.nas.aliyuncs.com:/"),
    "CVMFS": ("fuse", "cvmfs2"),
    "Docker Desktop's before fakeowner": ("fuse.grpcfuse", "grpcfuse"),
}


@pytest.mark.parametrize(("fstype", "source"), FUSE.values(), ids=FUSE)
def test_what_a_program_serves_is_fuse(fstype: str, source: str) -> None:
    assert in_a_pod(fstype, source) is Kind.FUSE


@pytest.mark.parametrize("fstype", ["ecryptfs", "shiftfs", "fusectl", "fusefs2", "Ext4", "nfsd"])
def test_what_only_lies_upon_another_file_system_or_looks_like_a_name_is_unknown(fstype: str) -> None:
    assert in_a_pod(fstype, "/var/lib/x") is Kind.UNKNOWN


DEVELOPERS = {
    "WSL over a file descriptor": (
        "9p",
        r"C:\134",
        r"rw,dirsync,aname=drvfs;path=C:\134;uid=1000;gid=1000,trans=fd,rfd=5",
    ),
    "WSL over virtio": ("9p", "drvfs", r"rw,dirsync,aname=drvfs;path=D:\134,trans=virtio"),
    "WSL over virtiofs": ("virtiofs", "drvfsaC0", "rw"),
    "WSL 1": ("drvfs", r"C:\134", "rw,case=off"),
    "Docker Desktop": ("fakeowner", "/run/host_mark/Users", "rw,fakeowner"),
}


@pytest.mark.parametrize(("fstype", "source", "options"), DEVELOPERS.values(), ids=DEVELOPERS)
def test_a_folder_of_the_machine_that_runs_the_whole_cluster_is_a_node_s_disk(
    fstype: str, source: str, options: str
) -> None:
    assert in_a_pod(fstype, source, options=options) is Kind.NODE_DISK


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


def test_a_disk_that_kata_hands_into_the_guest_is_block() -> None:
    text = KATA.replace("0:31 /passthrough/6c2e-skills /app/skills rw,relatime - virtiofs kataShared", "254:16 / /app/skills rw - ext4 /dev/vdb")  # fmt: skip
    assert kind_of(text) is Kind.BLOCK


#: The claim of M1: `/` and the kubelet's files are as in every pod, so virtio shares no container.
SHARES = {
    "virtiofs": "300 107 0:88 / /app/skills rw - virtiofs fs-id rw",
    "virtiofs by a subPath": "300 107 0:88 /tenants/a /app/skills rw - virtiofs fs-id rw",
    "9p over virtio": "300 107 0:88 / /app/skills rw - 9p share rw,trans=virtio,version=9p2000.L",
    "9p without a source": "300 107 0:88 / /app/skills rw - 9p none rw,trans=tcp",
}


@pytest.mark.parametrize("line", SHARES.values(), ids=SHARES)
@pytest.mark.parametrize(
    "hosts", ["", "200 107 0:88 /hosts /etc/hosts rw - virtiofs fs-id rw\n"], ids=["", "hosts too"]
)
def test_a_claim_over_virtio_in_an_ordinary_pod_is_network(line: str, hosts: str) -> None:
    assert kind_of(f"{POD}{hosts}{line}\n") is Kind.NETWORK


HANDED_IN = (
    "200 107 0:31 /passthrough/6c2e-%s %s rw - virtiofs kataShared rw\n"
    "103 107 0:32 / /app/skills rw - virtiofs kataShared rw\n"
)
SANDBOXED = {
    "Kata": KATA,
    "Kata over 9p": KATA.replace("virtiofs kataShared rw", "9p kataShared rw,trans=virtio,version=9p2000.L"),
    "Kata whose image lies on a disk": KATA.replace("0:31 /passthrough/6c2e/rootfs / rw,relatime - virtiofs kataShared", "254:1 / / rw - ext4 /dev/vdb"),
    "Kata whose image is pulled in the guest": KATA.replace("0:31 /passthrough/6c2e/rootfs / rw,relatime - virtiofs kataShared", "0:40 / / rw - overlay overlay"),
    "Kata with another share for the volume": KATA.replace("0:31 /passthrough/6c2e-skills", "0:39 /skills"),
    "krun": "100 90 0:31 / / rw - virtiofs /dev/root rw\n103 100 0:32 / /app/skills rw - virtiofs skills rw\n",
    "an image over virtiofs": f"{POD.replace('overlay overlay', 'virtiofs root')}103 107 0:32 / /app/skills rw - virtiofs v rw\n",
    "hosts over virtiofs": f"{POD}{HANDED_IN % ('hosts', '/etc/hosts')}",
    "a termination log over virtiofs": f"{POD}{HANDED_IN % ('termination-log', '/dev/termination-log')}",
    "gVisor": GVISOR,
    "gVisor with an image of 9p": GVISOR.replace("overlay none rw", "9p none rw,trans=fd,rfdno=4,wfdno=4"),
    "gVisor by itself": "1 0 0:13 / / rw - overlay none rw\n4 1 0:17 / /app/skills rw - 9p none rw,trans=fd\n",
}  # fmt: skip


@pytest.mark.parametrize("text", SANDBOXED.values(), ids=SANDBOXED)
def test_of_a_volume_in_a_sandbox_s_own_way_in_nothing_can_be_told(text: str) -> None:
    assert kind_of(text) is Kind.UNKNOWN


def test_an_emptydir_that_gvisor_keeps_in_memory_and_a_volume_that_it_only_overlays_are_lost_with_the_pod() -> None:
    tmpfs = GVISOR.replace("/app/skills rw - 9p none", "/app/skills rw - tmpfs none")
    overlaid = GVISOR.replace("/app/skills rw - 9p none", "/app/skills rw - overlay none")
    assert (kind_of(tmpfs), kind_of(overlaid)) == (Kind.MEMORY, Kind.OVERLAY)


@pytest.mark.parametrize("source", ["none", ""])
def test_a_file_system_without_a_source_tells_nothing(source: str) -> None:
    assert in_a_pod("ext4", source, device="0:80") is Kind.UNKNOWN


ID = "53d2" * 16

IMAGE_VOLUMES = {
    "containerd on a disk of its own": "/io.containerd.grpc.v1.cri/containers/c/volumes/v",
    "containerd": f"/var/lib/containerd/io.containerd.grpc.v1.cri/containers/{ID}/volumes/{ID}",
    "containerd by its later name": f"/var/lib/containerd/io.containerd.cri.v1.runtime/containers/{ID}/volumes/{ID}",
    "containerd whose plugin has a disk of its own": f"/containers/{ID}/volumes/{ID}",
    "k3s": f"/var/lib/rancher/k3s/agent/containerd/io.containerd.grpc.v1.cri/containers/{ID}/volumes/{ID}",
    "microk8s": f"/var/snap/microk8s/common/var/lib/containerd/io.containerd.grpc.v1.cri/containers/{ID}/volumes/{ID}",
    "kind": f"/var/lib/docker/volumes/{ID}/_data/lib/containerd/io.containerd.grpc.v1.cri/containers/{ID}/volumes/{ID}",
    "Docker": f"/var/lib/docker/volumes/{ID}/_data",
    "Docker on a disk of its own": f"/volumes/{ID}/_data",
    "rootless Docker": f"/home/u/.local/share/docker/volumes/{ID}/_data",
    "Podman": f"/var/lib/containers/storage/volumes/{ID}/_data",
    "nerdctl": f"/var/lib/nerdctl/1935db59/volumes/default/{ID}/_data",
    "CRI-O": f"/var/lib/containers/storage/overlay-containers/{ID}/userdata/mounts/{ID}",
}


@pytest.mark.parametrize("root", IMAGE_VOLUMES.values(), ids=IMAGE_VOLUMES)
@pytest.mark.parametrize("device", ["254:0", "8:32"], ids=["the node's disk", "a disk of the runtime"])
def test_a_folder_that_the_runtime_made_for_a_volume_of_the_image_is_lost_with_the_container(
    root: str, device: str
) -> None:
    table = mountinfo.parse(f"{POD}123 107 {device} {root} /app/skills rw - ext4 /dev/sdb rw\n")
    (mount,) = table.at("/app/skills")
    kind, reason = classify(mount, table)
    assert kind in EPHEMERAL_KINDS
    assert "it is lost with the container" in reason


LASTING = {
    "a volume of Docker with a name": "/var/lib/docker/volumes/skills/_data",
    "a volume of Podman with a name": "/var/lib/containers/storage/volumes/skills/_data",
    "a folder below a volume of Docker, as local-path has it in kind": f"/var/lib/docker/volumes/{ID}/_data/local-path-provisioner/pvc-1",
    "a subPath that is called like a runtime's folder": "/containers/web/volumes/v",
    "a subPath that is called like a digest": f"/{ID}",
}


@pytest.mark.parametrize("root", LASTING.values(), ids=LASTING)
@pytest.mark.parametrize(
    ("device", "kind"), [("254:0", Kind.NODE_DISK), ("8:32", Kind.BLOCK)], ids=["the node's disk", "another disk"]
)
def test_a_folder_that_outlives_its_containers_is_told_by_its_disk(root: str, device: str, kind: Kind) -> None:
    assert in_a_pod("ext4", "/dev/sdb", device=device, root=root) is kind


@pytest.mark.parametrize(
    ("fstype", "source", "root"),
    [
        ("ext4", "/dev/sdb", "/io.containerd.snapshotter.v1.native/snapshots/5"),
        ("ext4", "/dev/sdb", "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/5/fs"),
        ("erofs", "/var/lib/containerd/io.containerd.snapshotter.v1.erofs/snapshots/5/layer.erofs", "/"),
    ],
)
def test_a_layer_of_an_image_is_an_overlay_also_where_it_is_the_only_one(fstype: str, source: str, root: str) -> None:
    assert in_a_pod(fstype, source, device="8:32", root=root) is Kind.OVERLAY


CLAIM = "123 107 8:32 / /app/skills rw,relatime - ext4 /dev/sdc rw\n"
NODE_FILES = {
    "kubelet": "/var/lib/kubelet/pods/cc79/etc-hosts /etc/hosts",
    "kubelet on a disk of its own": "/pods/cc79/etc-hosts /etc/hosts",
    "k0s": "/var/lib/k0s/kubelet/pods/cc79/etc-hosts /etc/hosts",
    "microk8s": "/var/snap/microk8s/common/var/lib/kubelet/pods/cc79/etc-hosts /etc/hosts",
    "OpenShift": "/ostree/deploy/rhcos/var/lib/kubelet/pods/cc79/etc-hosts /etc/hosts",
    "Talos": "/lib/kubelet/pods/cc79/etc-hosts /etc/hosts",
    "EKS on instance storage": "/kubelet/pods/cc79/etc-hosts /etc/hosts",
    "kind": f"/var/lib/docker/volumes/{ID}/_data/lib/kubelet/pods/cc79/etc-hosts /etc/hosts",
    "Docker": f"/var/lib/docker/containers/{ID}/hosts /etc/hosts",
    "Docker Desktop": f"/docker/containers/{ID}/hosts /etc/hosts",
    "Docker with user namespaces": f"/var/lib/docker/165536.165536/containers/{ID}/hosts /etc/hosts",
    "Docker elsewhere": f"/data/engine/containers/{ID}/hosts /etc/hosts",
    "Podman": f"/var/lib/containers/storage/overlay-containers/{ID}/userdata/hosts /etc/hosts",
    "termination log": "/var/lib/kubelet/pods/cc79/containers/app/53d2 /dev/termination-log",
}
OTHER_FILES = {
    "hosts by a subPath": "/hosts /etc/hosts",
    "hosts by a longer subPath": "/etc/hosts /etc/hosts",
    "hosts called nearly so": "/my-etc-hosts /etc/hosts",
    "hosts in a folder of somebody's containers": "/containers/web/files/hosts /etc/hosts",
    "a termination log by a subPath": "/logs/app.log /dev/termination-log",
    "a termination log in a folder of somebody's containers": "/logs/containers/app/log /dev/termination-log",
}


@pytest.mark.parametrize("line", NODE_FILES.values(), ids=NODE_FILES)
def test_the_kubelet_s_and_docker_s_own_files_tell_the_node_s_disk(line: str) -> None:
    text = f"107 68 0:51 / / rw - overlay overlay rw\n124 107 8:32 {line} rw - ext4 /dev/sdc rw\n{CLAIM}"
    assert kind_of(text) is Kind.NODE_DISK


@pytest.mark.parametrize("line", OTHER_FILES.values(), ids=OTHER_FILES)
def test_a_file_of_the_claim_in_the_place_of_the_kubelet_s_does_not_make_it_the_node_s_disk(line: str) -> None:
    without = "\n".join(one for one in POD.splitlines() if line.split()[1] not in one)
    assert kind_of(f"{without}\n124 107 8:32 {line} rw - ext4 /dev/sdc rw\n{CLAIM}") is Kind.BLOCK


#: A node without a disk: its root, the kubelet's folder and the claim are one export.
DISKLESS = """\
107 68 0:51 / / rw,relatime - overlay overlay rw
124 107 0:24 /node1/var/lib/kubelet/pods/cc79/etc-hosts /etc/hosts rw,relatime - nfs4 10.0.0.2:/export rw
"""


@pytest.mark.parametrize(
    ("root", "kind"),
    [
        ("/", Kind.NETWORK),
        ("/claims/skills", Kind.NETWORK),
        ("/node1/var/lib/kubelet/pods/cc79/volumes/kubernetes.io~nfs/skills", Kind.NODE_DISK),
        ("/node1/var/lib/kubelet/pods/cc79/volumes/kubernetes.io~empty-dir/skills", Kind.EMPTY_DIR),
    ],
    ids=["claim", "claim by a subPath", "a claim that was not mounted", "an emptyDir"],
)
def test_on_a_node_whose_root_is_on_nfs_a_claim_of_the_same_export_is_network(root: str, kind: Kind) -> None:
    assert kind_of(f"{DISKLESS}123 107 0:24 {root} /app/skills rw - nfs4 10.0.0.2:/export rw\n") is kind


def test_a_hostpath_on_the_subvolumes_of_a_btrfs_node_is_the_node_s_disk() -> None:
    root = "107 68 0:33 /docker/btrfs/subvolumes/53d2 / rw - btrfs /dev/sda2 rw,subvolid=300\n"
    assert kind_of(f"{root}123 107 0:33 /srv/skills /app/skills rw - btrfs /dev/sda2 rw\n") is Kind.NODE_DISK


@pytest.mark.parametrize("folder", ["volumes/alicloud~disk/pv-1", "volumes/kubernetes.io~csi/pv-1/mount"])
@pytest.mark.parametrize("fstype", ["ext4", "nfs4"])
def test_a_folder_where_nothing_was_mounted_on_the_node_is_the_node_s_disk(folder: str, fstype: str) -> None:
    root = f"/var/lib/kubelet/pods/cc79/{folder}"
    assert in_a_pod(fstype, "/dev/sdb", device="8:32", root=root) is Kind.NODE_DISK


def test_a_staging_folder_of_csi_where_nothing_was_mounted_is_the_node_s_disk() -> None:
    root = "/plugins/kubernetes.io/csi/ebs.csi.aws.com/53d2/globalmount"
    assert in_a_pod("ext4", "/dev/sdb", device="8:32", root=root) is Kind.NODE_DISK


@pytest.mark.parametrize("fstype", ["overlay", "aufs", "fuse.fuse-overlayfs"])
def test_a_container_is_told_by_the_overlay_that_is_its_root(fstype: str) -> None:
    assert has_overlay_root(mountinfo.parse(f"107 68 0:51 / / rw - {fstype} none rw\n{CLAIM}"))


@pytest.mark.parametrize("text", [CLAIM, "1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:5 / /m rw - overlay o rw\n", ""])
def test_an_overlay_elsewhere_makes_no_container(text: str) -> None:
    assert not has_overlay_root(mountinfo.parse(text))


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
