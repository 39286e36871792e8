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
    """Builds what the cache lacks: ten minutes on two cores when it lacks everything."""
    kubernetes_version = module_version("k8s.io/kubernetes")
    version = "k8s.io/component-base/version"
    _, minor, _ = kubernetes_version.split(".")
    flags = (
        f"-X {version}.gitVersion={kubernetes_version} -X {version}.gitMajor=1 -X {version}.gitMinor={minor} "
        f"-X {version}.gitTreeState=clean -X {version}.gitCommit=module -X {version}.buildDate=1970-01-01T00:00:00Z"
    )
    containerd_version = module_version("github.com/containerd/containerd/v2")
    containerd_flags = f"-X github.com/containerd/containerd/v2/version.Version={containerd_version}"

    return Programs(
        kubernetes=_go_programs(layout, "kubernetes", ("./kubernetes",), say, flags, KUBERNETES_NAMES),
        containerd=_go_programs(layout, "containerd", CONTAINERD, say, containerd_flags),
        cni=_go_programs(layout, "cni", CNI, say),
        storage=_go_programs(layout, "storage", STORAGE, say),
        pause=_cached(layout, "pause", _content("pause"), _compile_pause, say),
    )


def policy_cost(layout: Layout, say: Callable[[str], None]) -> Path:
    """The program that counts what a policy's expressions cost; built when it is asked for, the cluster runs without it."""
    return _go_programs(layout, "cost", ("./cost",), say) / "cost"


def kube_state_metrics(layout: Layout, say: Callable[[str], None]) -> Path:
    """What the alerts ask of the cluster; built when it is asked for, the cluster runs without it."""
    name = "kube-state-metrics"
    return _go_programs(layout, name, (f"k8s.io/{name}/v2",), say) / name


def helm(layout: Layout, say: Callable[[str], None]) -> Path:
    """Helm, from a Go module of its own; built when it is asked for, the cluster runs without it."""
    module = "helm.sh/helm/v4"
    flags = f"-X {module}/internal/version.version={module_version(module, 'helm/go.mod')}"
    return _go_programs(layout, "helm", (f"{module}/cmd/helm",), say, flags, folder="helm") / "helm"


def module_version(module: str, file: str = "go.mod") -> str:
    """The version of a module that a go.mod requires: it is written there and nowhere else."""
    for line in (SOURCES / file).read_text().splitlines():
        words = line.removeprefix("require ").split()
        if words[:1] == [module]:
            return words[1]
    raise ClusterError(f"src/{file} does not require {module}")


def _go_programs(
    layout: Layout,
    name: str,
    packages: tuple[str, ...],
    say: Callable[[str], None],
    flags: str = "",
    names: tuple[str, ...] = (),
    folder: str = ".",
) -> Path:
    """Static binaries whose content depends on their sources only.

    Args:
        layout: Has the cache.
        name: Of the folder.
        packages: Of go.mod's modules, or folders beside it.
        say: Takes a line of progress.
        flags: More for the linker.
        names: Links to the one binary, which looks at the name it is called by.
        folder: Has the go.mod.
    """

    def make(target: Path) -> None:
        run(
            "go", "build", "-trimpath", "-ldflags", f"-s -w {flags}", "-o", f"{target}/", *packages,
            # Memory for time: a fifth of a compilation is the compiler's own collector.
            cwd=SOURCES / folder, env={"GOGC": "400", **os.environ, "CGO_ENABLED": "0"},
        )  # fmt: skip
        for link in names:
            (target / link).symlink_to(name)

    local = [package.removeprefix("./") for package in packages if package.startswith("./")]
    inputs = [run("go", "version"), *packages, flags, *names]
    modules = [f"{folder}/{file}" for file in ("go.mod", "go.sum")]
    return _cached(layout, name, " ".join(inputs).encode() + _content(*modules, *local), make, say)


def _content(*names: str) -> bytes:
    """The content of sources, files or all in a folder."""
    paths = [path for name in names for path in sorted([SOURCES / name, *(SOURCES / name).glob("*")])]
    return b"".join(path.name.encode() + path.read_bytes() for path in paths if path.is_file())


def _cached(layout: Layout, name: str, inputs: bytes, make: Callable[[Path], None], say: Callable[[str], None]) -> Path:
    """The folder named after everything that decides what is built; made in a folder aside, and then renamed."""
    folder = layout.programs / f"{name}-{hashlib.sha256(inputs).hexdigest()[:16]}"
    if folder.exists():
        return folder
    say(f"building {folder.name}")
    aside = folder.with_suffix(".part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    make(aside)
    aside.rename(folder)
    return folder


def _compile_pause(folder: Path) -> None:
    """The container that holds a pod's namespaces: static, as its image has nothing else in it."""
    run("gcc", "-static", "-Os", "-s", "-o", folder / "pause", SOURCES / "pause" / "pause.c")
