"""Where the test cluster's parts stand: folders, names, addresses. Nothing is read, written or started here."""

import os
from dataclasses import dataclass
from pathlib import Path

#: Two nodes: enough to move a pod with its disk, and to have a disk refused to a second node.
NODES = 2
#: Everything listens on this machine only.
API_SERVER = "https://127.0.0.1:6443"
ETCD_CLIENTS = "http://127.0.0.1:2379"
ETCD_PEERS = "http://127.0.0.1:2380"
#: No kube-proxy runs here: the range gives Services an address that nothing answers.
SERVICE_RANGE = "10.96.0.0/24"
API_SERVICE_ADDRESS = "10.96.0.1"
PAUSE_IMAGE = "localhost/pause:1"
#: sun_path of unix(7) holds 108 bytes; the longest socket below the state folder needs 60 of them.
LONGEST_STATE_PATH = 48

HERE = Path(__file__).parent
SOURCES = HERE / "src"
CONFIGURATION = HERE / "conf"


@dataclass(frozen=True, slots=True)
class Node:
    """One node: a kubelet and a containerd with a folder, a cgroup, a bridge and a subnet of their own."""

    number: int
    state: Path

    @property
    def name(self) -> str:
        """Its name in the cluster, and its cgroup's."""
        return f"node{self.number}"

    @property
    def folder(self) -> Path:
        """Everything that only this node uses."""
        return self.state / self.name

    @property
    def socket(self) -> Path:
        """Where its containerd listens."""
        return self.folder / "run" / "containerd.sock"

    @property
    def kubelet(self) -> Path:
        """Its kubelet's folder, where the pods' volumes are mounted."""
        return self.folder / "kubelet"

    @property
    def loopback(self) -> str:
        """Where its kubelet answers health checks."""
        return f"127.0.0.{self.number}"

    @property
    def bridge(self) -> str:
        """The network interface that its pods hang on."""
        return f"vgnode{self.number}"

    @property
    def subnet(self) -> str:
        """The first three numbers of its pods' addresses."""
        return f"10.244.{self.number - 1}"

    @property
    def address(self) -> str:
        """The node's own address: its bridge's."""
        return f"{self.subnet}.1"


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one cluster.

    Attributes:
        cache: What is kept between runs: built programs and images; and, below `state`, what `reset` removes.
    """

    cache: Path

    @property
    def programs(self) -> Path:
        """Built programs, each in a folder named after its inputs."""
        return self.cache / "programs"

    @property
    def images(self) -> Path:
        """The base image and the stores of the image builders."""
        return self.cache / "images"

    @property
    def state(self) -> Path:
        """etcd, certificates, kubelets, containerds."""
        return self.cache / "state"

    @property
    def logs(self) -> Path:
        """One log a process."""
        return self.state / "log"

    @property
    def pids(self) -> Path:
        """One file a process, with its process ID."""
        return self.state / "pids"

    @property
    def certificates(self) -> Path:
        """Keys and certificates."""
        return self.state / "pki"

    @property
    def disks(self) -> Path:
        """The image files behind the claims of class `loop`."""
        return self.state / "disks"

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes, the first one first."""
        return tuple(Node(number, self.state) for number in range(1, NODES + 1))

    def kubeconfig(self, user: str = "admin") -> Path:
        """The kubeconfig of one user."""
        return self.state / "kubeconfig" / user


def from_environment() -> Layout:
    """The layout below VOLUME_GUARD_CACHE, or below ~/.cache/volume-guard."""
    return Layout(Path(os.environ.get("VOLUME_GUARD_CACHE") or Path.home() / ".cache" / "volume-guard").resolve())
