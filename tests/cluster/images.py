"""Builds the images of the tests without any registry: the base from Debian's packages, all else from Dockerfiles."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests import restic
from tests.cluster.kubernetes import packages
from tests.cluster.kubernetes.command import ClusterError, attempt, run
from tests.cluster.kubernetes.layout import Layout

REPOSITORY = Path(__file__).parents[2]
APPLICATION_SOURCES = REPOSITORY / "tests" / "cluster" / "application"

#: The names that the manifests in k8s/ use: they are applied as they are.
GUARD = "ghcr.io/uengine-oss/volume-guard:0.1.0"
APPLICATION = "ghcr.io/uengine-oss/claude-skills:1.0.0"
GUARDED_APPLICATION = "localhost/claude-skills-guarded:1"
CONTENT = "localhost/skill-content:1"
BACKUP = "ghcr.io/uengine-oss/volume-guard-backup:0.1.0"
KUBECTL = "registry.k8s.io/kubectl:v1.33.0"
RESTIC = "localhost/restic:debian"

#: Debian suites and their Python, the wanted one first: lazy imports came with 3.15.
BASES = (("unstable", "3.15"), ("bookworm", "3.11"))
#: What an official slim image has not, either.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
#: Behind a proxy with an authority of its own, a build needs what this machine trusts, and its pip configuration.
OF_THE_MACHINE = ("/etc/ssl/certs", "/etc/pip.conf")


@dataclass(frozen=True, slots=True)
class Builder:
    """podman and buildah on a store of their own.

    Attributes:
        layout: Where the store and the archives stand.
        say: Takes lines of progress.
    """

    layout: Layout
    say: Callable[[str], None]

    def podman(self, *words: str | Path) -> str:
        """Runs podman on the store; it has to succeed."""
        return run(*self._podman, *words, env=self.environment)

    def attempt(self, *words: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Runs podman on the store, to whatever end."""
        return attempt(*self._podman, *words, stdin=stdin, env=self.environment)

    def run_container(self, *words: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a container to its end; nothing is left of it."""
        return self.attempt("run", "--rm", "--interactive", *words, stdin=stdin)

    def serve(self, socket: Path) -> subprocess.Popen[bytes]:
        """Starts podman's service, which clients of Docker's API talk to; whoever starts it ends it."""
        words = [*self._podman, "system", "service", "--time=0", f"unix://{socket}"]
        return subprocess.Popen(words, env=self.environment, stderr=subprocess.DEVNULL)

    def base(self) -> str:
        """The name of the base image: VOLUME_GUARD_BASE, or one made from Debian's packages once for a cache."""
        if given := os.environ.get("VOLUME_GUARD_BASE"):
            return given
        packages.install_missing(packages.FOR_IMAGES)
        self.layout.images.mkdir(parents=True, exist_ok=True)
        for suite, python in BASES:
            name = f"localhost/python-{suite}:{python}"
            if self._exists(name):
                return name
            archive = self.layout.images / f"{suite}-{python}.tar"
            if archive.exists() or self._bootstrap(suite, python, archive):
                variable = "ENV=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
                self.podman("import", "--change", variable, archive, name)
                return name
        raise ClusterError(f"none of Debian's suites gives a base image: {BASES}")

    def guard(self) -> None:
        """The project's own image, by its own Dockerfile."""
        self._build(GUARD, REPOSITORY / "Dockerfile", REPOSITORY, f"PYTHON={self.base()}")

    def guard_with_buildah(self, name: str, *options: str) -> None:
        """The same by the other builder, or another target of the file."""
        run(
            "buildah", *self.store, "build", "--layers", *self.options(f"PYTHON={self.base()}"), *options,
            "--tag", name, "--file", REPOSITORY / "Dockerfile", REPOSITORY, env=self.environment,
        )  # fmt: skip

    def application(self) -> None:
        """The application's stand-in, the same with the guard in it, and an image of content only."""
        folder = APPLICATION_SOURCES
        self._build(APPLICATION, folder / "Dockerfile", folder, f"PYTHON={self.base()}")
        arguments = (f"GUARD={GUARD}", f"APPLICATION={APPLICATION}")
        self._build(GUARDED_APPLICATION, folder / "guarded.Dockerfile", folder, *arguments)
        self._build(CONTENT, folder / "content.Dockerfile", folder)

    def backup(self) -> None:
        """The guard with restic, by its own Dockerfile; restic is what Debian builds."""
        self._of_one_file(RESTIC, restic.fetch(self.say), "/usr/bin/restic")
        folder = REPOSITORY / "k8s" / "backup"
        arguments = (f"GUARD={self.identity(GUARD)}", f"RESTIC={RESTIC}", f"PYTHON={self.base()}")
        self._build(BACKUP, folder / "Dockerfile", folder, *arguments)

    def kubectl(self, program: Path) -> None:
        """An image like the project's own of kubectl: nothing but the program."""
        self._of_one_file(KUBECTL, program, "/bin/kubectl", 'ENTRYPOINT ["/bin/kubectl"]')

    def identity(self, name: str) -> str:
        """The ID of an image: the digest of its configuration."""
        return self.podman("image", "inspect", "--format={{.Id}}", name).strip()

    def mebibytes(self, name: str) -> int:
        """The unpacked size of an image."""
        return int(self.podman("image", "inspect", "--format={{.Size}}", name)) >> 20

    def archive(self, name: str) -> Path:
        """Saves an image for containerd."""
        file = self.layout.images / f"{name.rpartition('/')[2].replace(':', '-')}.oci.tar"
        file.unlink(missing_ok=True)
        self.podman("save", "--format=oci-archive", "--output", file, name)
        return file

    @property
    def _podman(self) -> tuple[str, ...]:
        return ("podman", *self.store, "--cgroup-manager=cgroupfs", "--runtime=runc")

    @property
    def store(self) -> tuple[str, str]:
        """The options with which both builders find the store."""
        return f"--root={self.layout.images}/store", f"--runroot={self.layout.images}/run"

    @property
    def environment(self) -> dict[str, str]:
        """For both builders."""
        return {**os.environ, "CONTAINERS_CONF": str(Path(__file__).parent / "containers.conf")}

    def _exists(self, name: str) -> bool:
        return self.attempt("image", "exists", name).returncode == 0

    def _bootstrap(self, suite: str, python: str, archive: Path) -> bool:
        """Makes the root file system; False where the suite or its Python is not to be had."""
        self.say(f"making a base image from Debian {suite} with Python {python}")
        aside = archive.with_suffix(".part")
        done = attempt(
            "mmdebstrap", "--variant=essential", "--format=tar", f"--include=python{python}-venv,ca-certificates",
            # A mirror that is frozen at a date is still signed, and as good for a test.
            '--aptopt=Acquire::Check-Valid-Until "false"',
            *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT),
            f'--customize-hook=ln -s python{python} "$1/usr/bin/python"',
            suite, aside,
        )  # fmt: skip
        if done.returncode != 0:
            self.say(f"Debian {suite}: {done.stderr.strip()[-300:]}")
            return False
        aside.rename(archive)
        return True

    def _build(self, name: str, dockerfile: Path, context: Path, *arguments: str) -> None:
        self.say(f"building {name}")
        self.podman("build", *self.options(*arguments), "--tag", name, "--file", dockerfile, context)

    def _of_one_file(self, name: str, program: Path, path: str, *more: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(program, Path(folder) / "program")
            dockerfile = Path(folder) / "Dockerfile"
            dockerfile.write_text("\n".join(["FROM scratch", f"COPY program {path}", *more]) + "\n")
            self._build(name, dockerfile, Path(folder))

    def options(self, *arguments: str) -> list[str]:
        """For a build on a machine like this, with arguments of the Dockerfile."""
        machine = [f"--volume={path}:{path}:ro" for path in OF_THE_MACHINE if Path(path).exists()]
        return ["--isolation=chroot", "--network=host", *machine, *(f"--build-arg={one}" for one in arguments)]
