"""The steps of the release workflow that reach a registry, run against one of this machine."""

import json
import os
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from guard import __version__
from tests import debian
from tests.cluster import images
from tests.cluster.kubernetes.command import ClusterError
from tests.cluster.kubernetes.layout import from_environment
from tests.cluster.waiting import wait_until
from tests.release.building import ONE, copy_sources, run

CACHE = from_environment().programs
#: The test cluster's own, where there is none on PATH.
HELM = shutil.which("helm") or next(map(str, CACHE.glob("helm-*/helm")), None)
#: Built by `make sbom` and by hand; they take Go and minutes.
SYFT = next(CACHE.glob("syft-*/syft"), None)
NAMES = ("volume-guard", "volume-guard-doctor", "volume-guard-backup")
BUILDING = 1800
LIST = "application/vnd.oci.image.index.v1+json,application/vnd.oci.image.manifest.v1+json,application/vnd.docker.distribution.manifest.list.v2+json"

pytestmark = [
    pytest.mark.skipif(shutil.which("buildah") is None, reason="no buildah to build the images with"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to build without a daemon"),
]


@dataclass(frozen=True, slots=True)
class Release:
    """A checkout in which the steps ran, and the registry that they published to.

    Attributes:
        folder: The checkout.
        registry: Host and port.
        builder: Its store was used.
        environment: For make.
    """

    folder: Path
    registry: str
    builder: images.Builder
    environment: dict[str, str]

    def make(self, *words: str) -> str:
        """Runs one of the steps, which has to succeed."""
        return run(
            "make",
            *words,
            f"REGISTRY={self.registry}/uengine-oss",
            cwd=self.folder,
            env=self.environment,
            deadline=BUILDING,
        )

    def index(self, name: str) -> dict[str, Any]:
        """The list of an image's architectures, or a chart's manifest."""
        address = f"http://{self.registry}/v2/uengine-oss/{name}/manifests/{__version__}"
        request = urllib.request.Request(address, headers={"Accept": LIST})
        # This machine's own address is behind no proxy.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            index: dict[str, Any] = json.load(answer)
            return {"digest": answer.headers["Docker-Content-Digest"], **index}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry of this machine; nothing of it is left."""
    try:
        program = debian.fetch("docker-registry", "/usr/bin/docker-registry", ("bookworm", "trixie", "unstable"), print)
    except ClusterError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*probe.getsockname())
    settings = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder)}},
        "http": {"addr": address},
    }
    (folder / "config.yml").write_text(json.dumps(settings))
    process = subprocess.Popen([program, "serve", folder / "config.yml"], stderr=subprocess.DEVNULL)
    try:
        host, port = address.split(":")
        wait_until("the registry", lambda: _answers(host, int(port)), 30)
        yield address
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def release(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """The images of this machine's architecture as archives, and one of each that is labelled for the other."""
    builder = images.Builder(from_environment(), print)
    builder.guard()
    builder.backup()
    folder = copy_sources(tmp_path_factory.mktemp("release") / "checkout", ONE)
    environment = {
        **builder.environment,
        "BUILDAH": " ".join(("buildah", *builder.store)),
        "BUILD_OPTIONS": " ".join(
            ("--layers", *builder.options(f"PYTHON={builder.base()}", f"RESTIC={images.RESTIC}"))
        ),
        "PUSH_OPTIONS": "--tls-verify=false",
        "REVISION": "0" * 40,
    }
    one = Release(folder, registry, builder, environment)
    one.make("images")
    for name in NAMES:
        _label_for_arm64(one, name)
    yield one
    for name in NAMES:
        builder.podman("untag", *[f"localhost/{name}:{__version__}"] * 2)


def _answers(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def _label_for_arm64(release: Release, name: str) -> None:
    buildah = ("buildah", *release.builder.store)
    container = run(
        *buildah, "from", f"localhost/{name}:{__version__}", cwd=release.folder, env=release.environment
    ).strip()
    archive = f"oci-archive:{release.folder}/dist/images/{name}.arm64.tar"
    for words in (("config", "--arch=arm64", container), ("commit", container, archive), ("rm", container)):
        run(*buildah, *words, cwd=release.folder, env=release.environment, deadline=BUILDING)


def test_each_image_is_published_once_for_all_architectures_and_noted_by_digest(release: Release) -> None:
    # In a store of its own: one with a list of images of archives that are gone is broken for `podman images`.
    store = release.folder / "store"
    release.make("publish-images", f"BUILDAH=buildah --storage-driver=vfs --root={store}/root --runroot={store}/run")
    references = (release.folder / "dist" / "references").read_text().splitlines()
    indexes = {name: release.index(name) for name in NAMES}
    assert references == [f"{release.registry}/uengine-oss/{name}@{indexes[name]['digest']}" for name in NAMES]
    for index in indexes.values():
        platforms = sorted((one["platform"]["os"], one["platform"]["architecture"]) for one in index["manifests"])
        assert platforms == [("linux", "amd64"), ("linux", "arm64")]


def test_what_was_published_runs_by_its_digest(release: Release) -> None:
    reference = f"{release.registry}/uengine-oss/volume-guard@{release.index('volume-guard')['digest']}"
    release.builder.podman("pull", "--tls-verify=false", reference)
    assert release.builder.run_container(reference, "--version").stdout == f"volume-guard {__version__}\n"
    release.builder.podman("rmi", "--force", reference)


def test_the_notes_of_a_release_are_the_changelog_s_section(release: Release) -> None:
    (release.folder / "CHANGELOG.md").write_text(
        f"# Changelog\n\n## {__version__} - 2027-01-01\n\n* New.\n\n## 0.0.1\n\n* Old.\n"
    )
    release.make("notes", f"TAG=v{__version__}")
    assert (release.folder / "dist" / "notes.md").read_text().strip() == "* New."


@pytest.mark.skipif(
    HELM is None, reason="no helm: neither on PATH nor built by `python -m tests.cluster.kubernetes up`"
)
def test_the_chart_is_published_beside_the_images(release: Release) -> None:
    release.make("chart", f"HELM={HELM}")
    release.make("publish-chart", f"HELM={HELM}", "HELM_OPTIONS=--plain-http")
    *_, reference = (release.folder / "dist" / "references").read_text().splitlines()
    chart = release.index("charts/volume-guard")
    assert reference == f"{release.registry}/uengine-oss/charts/volume-guard@{chart['digest']}"


@pytest.mark.skipif(SYFT is None, reason="no syft: `make sbom` builds it")
def test_an_image_s_contents_are_listed_as_spdx(release: Release) -> None:
    release.make("sbom", f"SYFT={SYFT}")
    document = json.loads((release.folder / "dist" / "volume-guard.amd64.spdx.json").read_text())
    assert document["spdxVersion"].startswith("SPDX-2")
    contents = {one["name"] for one in document["packages"]}
    assert {"volume-guard", "pydantic", "structlog", "watchdog", "libc6"} <= contents
    assert not {"pyyaml", "bash", "dash"} & contents


@pytest.mark.parametrize("tag", ["v9.9.9", "latest"])
def test_a_tag_that_is_not_the_version_is_no_release(release: Release, tag: str) -> None:
    with pytest.raises(AssertionError, match=f"the tag {tag} is not the version {__version__}"):
        release.make("notes", f"TAG={tag}")
