"""The images, built by buildah from the project's own Dockerfile, and containers of them, run by podman."""

import json
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import images
from tests.cluster.kubernetes.layout import from_environment

#: Names of their own: those of the test cluster's images stay as they are.
GUARD = "localhost/volume-guard-release:check"
DOCTOR = "localhost/volume-guard-doctor-release:check"
#: Read-only, as the manifests run it, and without any network.
RESTRICTIONS = ("--read-only", "--network=none", "--cap-drop=all", "--security-opt=no-new-privileges")


@dataclass(frozen=True, slots=True)
class Image:
    """A built image.

    Attributes:
        name: Its name in the builder's store.
        builder: Has the store.
    """

    name: str
    builder: images.Builder

    def remove(self) -> None:
        """Removes its name; its layers are the cache of the next build."""
        self.builder.podman("untag", self.name, self.name)

    def inspect(self) -> dict[str, Any]:
        """What a runtime reads of it."""
        inspected: list[dict[str, Any]] = json.loads(self.builder.podman("image", "inspect", self.name))
        return inspected[0]

    def archive(self) -> Path:
        """An OCI archive of it, its layers compressed as in a registry."""
        return self.builder.archive(self.name)

    def files(self) -> list[tarfile.TarInfo]:
        """Everything in its layers."""
        with tarfile.open(self.archive()) as archive:
            manifest = json.load(_member(archive, json.load(_member(archive, "index.json"))["manifests"][0]["digest"]))
            found = []
            for layer in manifest["layers"]:
                with tarfile.open(fileobj=_member(archive, layer["digest"])) as members:
                    found += members.getmembers()
        return found

    def run(
        self, *arguments: str, entrypoint: str = "guard", volume: Path | None = None,
        settings: Mapping[str, str] | None = None, stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Runs a command in a container of it, as its user, with a folder mounted at /app/skills."""
        mount = [f"--volume={volume}:/app/skills"] if volume else []
        variables = [f"--env={name}={value}" for name, value in (settings or {}).items()]
        words = (*RESTRICTIONS, *mount, *variables, f"--entrypoint={entrypoint}", self.name, *arguments)
        return self.builder.run_container(*words, stdin=stdin)


def build(name: str, *options: str) -> Image:
    """Builds on the test cluster's base, which needs no registry."""
    builder = images.Builder(from_environment(), print)
    builder.guard_with_buildah(name, *options)
    return Image(name, builder)


def _member(archive: tarfile.TarFile, name: str) -> Any:
    return archive.extractfile(name.replace("sha256:", "blobs/sha256/"))
