"""The cluster as a whole: up, down, status, reset, and loading an image. Each part's own doing is in its own module."""

import functools
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tests.cluster.kubernetes import certificates, control_plane, loading, machine, nodes, packages, storage, sysctls
from tests.cluster.kubernetes.build import Programs, build
from tests.cluster.kubernetes.command import ClusterError, attempt
from tests.cluster.kubernetes.layout import LONGEST_STATE_PATH, Layout
from tests.cluster.kubernetes.processes import Daemon
from tests.cluster.waiting import wait_until


def up(layout: Layout, say: Callable[[str], None]) -> None:
    """Builds what the cache lacks, starts what does not run, and returns when both nodes are Ready."""
    if os.geteuid() != 0:
        raise ClusterError("a cluster needs root: it mounts, and makes bridges and cgroups")
    if len(str(layout.state)) > LONGEST_STATE_PATH:
        raise ClusterError(f"{layout.state} is too long a path for the sockets below it: set VOLUME_GUARD_CACHE")
    packages.need_go()
    packages.install_missing(packages.FOR_CLUSTER)
    programs = build(layout, say)
    for folder in (layout.logs, layout.pids):
        folder.mkdir(parents=True, exist_ok=True)
    sysctls.keep(layout)
    certificates.make(layout)
    control_plane.start(layout, programs)
    say("control plane is ready")
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    fresh = [node for node in layout.nodes if Daemon(f"kubelet-{node.name}", layout).pid() is None]
    for node in fresh:
        nodes.start(layout, programs, node)
    for node in fresh:
        is_ready = functools.partial(_ready, layout, programs, node.name, since)
        wait_until(f"{node.name} Ready (logs: {layout.logs})", is_ready, 90)
        say(f"{node.name} is Ready")
    storage.start(layout, programs)
    account = (*_kubectl(layout, programs), "get", "serviceaccount", "default")
    wait_until("the default service account", lambda: attempt(*account).returncode == 0, 60)
    say(f"up: export KUBECONFIG={layout.kubeconfig()}")


def down(layout: Layout, say: Callable[[str], None]) -> None:
    """Ends everything, detaches the disks and puts the kernel's settings back. State and cache stay."""
    if not layout.pids.exists():
        say("nothing to stop")
        return
    programs = build(layout, say)
    for node in layout.nodes:
        nodes.stop(layout, programs, node)
    storage.stop(layout)
    machine.clear_disks(layout.state)
    control_plane.stop(layout)
    sysctls.restore(layout)
    say("down")


def reset(layout: Layout, say: Callable[[str], None]) -> None:
    """Ends everything and forgets it: the next `up` starts an empty cluster. The cache of built programs stays."""
    down(layout, say)
    shutil.rmtree(layout.state, ignore_errors=True)


def status(layout: Layout, say: Callable[[str], None]) -> int:
    """Says what runs and how much memory it holds; how many parts do not run."""
    per_node = [f"{kind}-{node.name}" for node in layout.nodes for kind in ("containerd", "kubelet")]
    parts = [Daemon(name, layout) for name in (*control_plane.PARTS, *per_node, *storage.daemons(layout))]
    for part in parts:
        pid = part.pid()
        say(f"{part.name:24} {f'pid {pid}, {part.resident()} MiB' if pid else 'not running'}")
    say(f"{'all':24} {sum(part.resident() for part in parts)} MiB")
    return sum(part.pid() is None for part in parts)


def load(layout: Layout, archives: list[Path], say: Callable[[str], None]) -> None:
    """Imports image archives into every node."""
    loading.load(layout, build(layout, say), archives)


def kubectl_folder(layout: Layout, say: Callable[[str], None]) -> Path:
    """The folder that has this cluster's kubectl."""
    return build(layout, say).kubernetes


def _kubectl(layout: Layout, programs: Programs) -> tuple[str | Path, ...]:
    return (programs.kubernetes / "kubectl", "--kubeconfig", layout.kubeconfig())


def _ready(layout: Layout, programs: Programs, name: str, since: str) -> bool:
    """Whether this run's kubelet says Ready: one that ran before `down` may have left its word."""
    condition = '{range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{end}'
    said = attempt(*_kubectl(layout, programs), "get", "node", name, f"--output=jsonpath={condition}").stdout.split()
    return said[:1] == ["True"] and said[1] >= since
