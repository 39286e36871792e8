"""Builds the cluster's programs from Go modules and C, once for each content of their inputs. Nothing is started here."""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.kubernetes.command import ClusterError, run
from tests.cluster.kubernetes.layout import SOURCES, Layout

#: One binary that answers to these names: its parts share nearly all of their code.
KUBERNETES_NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
CONTAINERD = tuple(
    f"github.com/containerd/containerd/v2/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")
)
CNI = tuple(
    f"github.com/containernetworking/plugins/plugins/{name}"
    for name in ("main/bridge", "main/loopback", "ipam/host-local")
)
STORAGE = (
    "./loopcsi",
    "github.com/kubernetes-csi/external-attacher/v4/cmd/csi-attacher",
    "github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner",
)


@dataclass(frozen=True, slots=True)
class Programs:
    """The folders of the built programs."""

    kubernetes: Path
    containerd: Path
    cni: Path
    storage: Path
    pause: Path


def build(layout: Layout, say: Callable[[str], None]) -> Programs:
    """Builds what the cache lacks: about five minutes on two cores when it lacks everything."""
    kubernetes_version = module_version("kubernetes", "k8s.io/kubernetes")
    version = "k8s.io/component-base/version"
    _, minor, _ = kubernetes_version.split(".")
    flags = (
        f"-X {version}.gitVersion={kubernetes_version} -X {version}.gitMajor=1 -X {version}.gitMinor={minor} "
        f"-X {version}.gitTreeState=clean -X {version}.gitCommit=module -X {version}.buildDate=1970-01-01T00:00:00Z"
    )
    containerd_version = module_version("containerd", "github.com/containerd/containerd/v2")
    containerd_flags = f"-X github.com/containerd/containerd/v2/version.Version={containerd_version}"

    def kubernetes(folder: Path) -> None:
        _go_build("kubernetes", folder / "kubernetes", flags, ".")
        for name in KUBERNETES_NAMES:
            (folder / name).symlink_to("kubernetes")

    return Programs(
        kubernetes=_cached(layout, "kubernetes", flags, kubernetes, say),
        containerd=_cached(
            layout,
            "containerd",
            containerd_flags,
            lambda folder: _go_build("containerd", f"{folder}/", containerd_flags, *CONTAINERD),
            say,
        ),
        cni=_cached(layout, "containerd", "cni", lambda folder: _go_build("containerd", f"{folder}/", "", *CNI), say),
        storage=_cached(layout, "storage", "", lambda folder: _go_build("storage", f"{folder}/", "", *STORAGE), say),
        pause=_cached(layout, "pause", "", _compile_pause, say),
    )


def policy_cost(layout: Layout, say: Callable[[str], None]) -> Path:
    """The program that counts what a policy's expressions cost; built when it is asked for, the cluster runs without it."""

    def make(folder: Path) -> None:
        _go_build("cost", folder / "cost", "", ".")

    return _cached(layout, "cost", "", make, say) / "cost"


def kube_state_metrics(layout: Layout, say: Callable[[str], None]) -> Path:
    """Builds what the alerts ask of the cluster; only their tests need it: one or two minutes."""
    return (
        _cached(
            layout,
            "kube-state-metrics",
            "",
            lambda folder: _go_build("kube-state-metrics", f"{folder}/", "", "k8s.io/kube-state-metrics/v2"),
            say,
        )
        / "kube-state-metrics"
    )


def module_version(source: str, module: str) -> str:
    """The version of a module that a go.mod requires: it stands there and nowhere else."""
    for line in (SOURCES / source / "go.mod").read_text().splitlines():
        words = line.split()
        if words[:1] == [module]:
            return words[1]
    raise ClusterError(f"src/{source}/go.mod does not require {module}")


def _cached(
    layout: Layout, source: str, variant: str, make: Callable[[Path], None], say: Callable[[str], None]
) -> Path:
    """The folder named after everything that decides what is built; made in a folder aside, and then renamed."""
    digest = hashlib.sha256(f"{run('go', 'version')}{variant}".encode())
    for path in sorted((SOURCES / source).rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    folder = layout.programs / f"{source}-{digest.hexdigest()[:16]}"
    if folder.exists():
        return folder
    say(f"building {folder.name}")
    aside = folder.with_suffix(".part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    make(aside)
    aside.rename(folder)
    return folder


def _go_build(source: str, output: Path | str, flags: str, *packages: str) -> None:
    """Builds static binaries whose content depends on their sources only."""
    run(
        "go", "build", "-trimpath", "-ldflags", f"-s -w {flags}", "-o", output, *packages,
        cwd=SOURCES / source, env={**os.environ, "CGO_ENABLED": "0"},
    )  # fmt: skip


def _compile_pause(folder: Path) -> None:
    """The container that holds a pod's namespaces: static, as its image has nothing else in it."""
    run("gcc", "-static", "-Os", "-s", "-o", folder / "pause", SOURCES / "pause" / "pause.c")
