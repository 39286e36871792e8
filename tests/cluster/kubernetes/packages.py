"""Installs the Debian packages that bring-up and image building need and that are missing. Nothing else is changed."""

import os
import shutil

from tests.cluster.kubernetes.command import ClusterError, run

#: The program that is needed, and the Debian package that has it.
FOR_CLUSTER = {
    "runc": "runc",
    "ip": "iproute2",
    "openssl": "openssl",
    "losetup": "mount",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "gcc": "gcc",
}
FOR_IMAGES = {"podman": "podman", "buildah": "buildah", "mmdebstrap": "mmdebstrap"}


def install_missing(wanted: dict[str, str]) -> None:
    """Installs, with apt-get, the packages of the programs that are not on PATH."""
    missing = sorted({package for program, package in wanted.items() if shutil.which(program) is None})
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise ClusterError(f"missing {', '.join(missing)}, and there is no apt-get to install them with")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "-qq", env=quiet)
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, env=quiet)


def need_go() -> None:
    """Says what to do where the Go toolchain is missing: Debian's own is too old for Kubernetes."""
    if shutil.which("go") is None:
        raise ClusterError(
            "the Go toolchain is missing: the cluster's programs are built from Go modules. "
            "Install the Go version that src/go.mod names, or set KUBECONFIG to a cluster that is there."
        )
