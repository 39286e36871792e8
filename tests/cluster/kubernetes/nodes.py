"""Starts and ends nodes: a containerd, a kubelet, and the containers that they started."""

import os
import shutil
import signal
from pathlib import Path

from tests.cluster.kubernetes import machine, pause_image
from tests.cluster.kubernetes.build import Programs
from tests.cluster.kubernetes.command import attempt, run
from tests.cluster.kubernetes.layout import CONFIGURATION, PAUSE_IMAGE, Layout, Node
from tests.cluster.kubernetes.processes import Daemon
from tests.cluster.waiting import wait_until


def start(layout: Layout, programs: Programs, node: Node) -> None:
    """Starts a node; whether it is Ready is the API server's to say."""
    for name in ("run", "kubelet", "conf", "cni", "pod-logs"):
        (node.folder / name).mkdir(parents=True, exist_ok=True)
    _configure(layout, programs, node)
    machine.prepare(node)
    found = {**os.environ, "PATH": f"{programs.containerd}:{os.environ['PATH']}"}
    Daemon(f"containerd-{node.name}", layout).start(
        programs.containerd / "containerd", f"--config={node.folder}/conf/containerd.toml", env=found
    )
    ctr = containerd_client(programs, node)
    wait_until(f"containerd of {node.name} (logs: {layout.logs})", lambda: attempt(*ctr, "version").returncode == 0, 30)
    if PAUSE_IMAGE not in run(*ctr, "images", "list", "--quiet").split():
        archive = node.folder / "run" / "pause.tar"
        pause_image.write_archive(programs.pause / "pause", archive)
        run(*ctr, "images", "import", "--local", archive)
        archive.unlink()
    Daemon(f"kubelet-{node.name}", layout).start(
        programs.kubernetes / "kubelet",
        f"--config={node.folder}/conf/kubelet.yaml",
        f"--kubeconfig={layout.kubeconfig(node.name)}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
        f"--root-dir={node.kubelet}",
    )


def stop(layout: Layout, programs: Programs, node: Node) -> None:
    """Ends the kubelet, then every container, then containerd, and takes back what they had of the machine."""
    Daemon(f"kubelet-{node.name}", layout).stop(10)
    containerd = Daemon(f"containerd-{node.name}", layout)
    if containerd.pid() is not None:
        ctr = containerd_client(programs, node)
        for task in run(*ctr, "tasks", "list", "--quiet").split():
            attempt(*ctr, "tasks", "delete", "--force", task)  # one that ends meanwhile is as good
        for container in run(*ctr, "containers", "list", "--quiet").split():
            attempt(*ctr, "containers", "delete", container)  # the next start would find it: untidy, but no harm
    containerd.stop(10)
    for pid in _shims(layout, node):
        os.kill(pid, signal.SIGKILL)
    wait_until(f"the end of the shims of {node.name}", lambda: not _shims(layout, node), 10)
    machine.clear(node)


def containerd_client(programs: Programs, node: Node) -> tuple[str | Path, ...]:
    """The command line of containerd's client, in the namespace that the kubelet uses."""
    return (programs.containerd / "ctr", "--address", node.socket, "--namespace", "k8s.io")


def _configure(layout: Layout, programs: Programs, node: Node) -> None:
    """Writes the node's configuration files from their templates."""
    names = {
        "@NODE_FOLDER@": node.folder,
        "@NODE@": node.name,
        "@LOOPBACK@": node.loopback,
        "@BRIDGE@": node.bridge,
        "@SUBNET@": node.subnet,
        "@CERTIFICATES@": layout.certificates,
        "@CNI_PROGRAMS@": programs.cni,
        "@RUNC@": shutil.which("runc"),
    }
    for template, target in (
        ("containerd.toml", "conf/containerd.toml"),
        ("kubelet.yaml", "conf/kubelet.yaml"),
        ("bridge.conflist", "cni/10-bridge.conflist"),
    ):
        text = (CONFIGURATION / template).read_text()
        for name, value in names.items():
            text = text.replace(name, str(value))
        (node.folder / target).write_text(text)
    (node.folder / "conf" / "resolv.conf").write_text("")


def _shims(layout: Layout, node: Node) -> list[int]:
    """The processes between containerd and its containers: they outlive it, and name its socket."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            program = os.readlink(process / "exe")
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        if program.startswith(f"{layout.programs}/") and program.endswith("-shim-runc-v2"):
            found += [int(process.name)] if str(node.socket).encode() in words else []
    return found
