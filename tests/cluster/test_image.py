"""The image: what is in it, what it costs, and that another builder makes it, too."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guard import __version__
from tests.cluster import docker, images, objects, observing
from tests.cluster.conftest import LAYOUT, REPOSITORY, Cluster, say
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.kubernetes.command import run

MEASURE = (Path(__file__).parent / "measure.py").read_text()


@pytest.fixture
def own_builder(cluster: Cluster, builder: images.Builder) -> images.Builder:
    """The builder that made the cluster's image."""
    if not cluster.own:
        pytest.skip("the images of another cluster were built elsewhere")
    return builder


@pytest.fixture(scope="module")
def own_docker(builder: images.Builder) -> Iterator[docker.Docker]:
    """A Docker engine that has the base image, with what this machine trusts: a build mounts nothing here."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip("runs a Docker engine of Debian's: root, Debian")
    with docker.engine(LAYOUT, say) as one, tempfile.TemporaryDirectory() as folder:
        builder.podman("save", "--format=docker-archive", "--output", f"{folder}/base.tar", builder.base())
        one("load", "--input", f"{folder}/base.tar")
        lines = [f"FROM {builder.base()}"]
        for path in images.OF_THE_MACHINE:
            if Path(path).exists():
                run("cp", "--recursive", "--dereference", path, folder)
                lines.append(f"COPY {Path(path).name} {path}")
        (Path(folder) / "Dockerfile").write_text("\n".join(lines))
        (Path(folder) / "base.tar").unlink()
        one("build", "--tag=localhost/base:1", folder)
        yield one


def test_the_image_runs_the_guard_as_an_uncommon_uid_and_declares_no_volume(
    own_builder: images.Builder, figure: Callable[[str], None]
) -> None:
    (inspected,) = json.loads(own_builder.podman("image", "inspect", images.GUARD))
    configuration = inspected["Config"]
    assert configuration["Entrypoint"] == ["guard"]
    assert int(configuration["User"].partition(":")[0]) > 1000
    assert "Volumes" not in configuration
    assert configuration["Labels"]["org.opencontainers.image.version"] == __version__

    base = own_builder.mebibytes(own_builder.base())
    whole = own_builder.mebibytes(images.GUARD)
    figure(f"image {whole} MiB, of which the base {base} MiB")


def test_buildah_makes_the_image_from_the_same_dockerfile(own_builder: images.Builder) -> None:
    own_builder.guard_with_buildah("localhost/volume-guard-by-buildah:1")
    (inspected,) = json.loads(own_builder.podman("image", "inspect", "localhost/volume-guard-by-buildah:1"))
    assert inspected["Config"]["Entrypoint"] == ["guard"]


@pytest.mark.parametrize("buildkit", [False, True], ids=["classic", "buildkit"])
def test_docker_makes_the_image_from_the_same_dockerfile(own_docker: docker.Docker, buildkit: bool) -> None:
    options = ("--no-cache", "--network=host", "--build-arg=PYTHON=localhost/base:1", "--tag=guard:1")
    own_docker("build", *options, REPOSITORY, buildkit=buildkit)

    assert (
        own_docker("run", "--rm", "--network=none", "--read-only", "guard:1", "--version")
        == f"volume-guard {__version__}\n"
    )
    (inspected,) = json.loads(own_docker("image", "inspect", "guard:1"))
    assert inspected["Config"]["Entrypoint"] == ["guard"]


def test_everything_is_compiled_and_nothing_of_the_build_is_left(kubectl: Kubectl) -> None:
    script = (
        "import compileall, pathlib, sys\n"
        "site = pathlib.Path(sys.prefix, 'lib')\n"
        "missing = [str(path) for path in site.rglob('*.py') if not list(path.parent.glob(f'__pycache__/{path.stem}.*.pyc'))]\n"
        "left = [name for name in ('/root/.cache', '/src', '/opt/build') if pathlib.Path(name).exists()]\n"
        "left += [str(path) for path in site.rglob('*') if path.name in ('pip', 'hatchling')]\n"
        "sys.exit(f'not compiled: {missing}; left: {left}' if missing or left else 0)\n"
    )
    container = {"name": "look", "image": images.GUARD, "command": ["python", "-c", script]}
    kubectl.apply(objects.task("look", {"emptyDir": {}}, container))
    observing.wait_succeeded(kubectl, "look")


def test_the_gate_passes_a_thousand_files_in_the_image(
    kubectl: Kubectl, adopted_claim: Object, figure: Callable[[str], None]
) -> None:
    measured = {**objects.guard("check"), "name": "measure", "command": ["python", "-c", MEASURE]}
    more = (objects.upload("acme", "many", 500), objects.upload("beta", "many", 400), objects.guard("accept"))
    kubectl.apply(objects.task("measure", adopted_claim, *more, measured))
    observing.wait_succeeded(kubectl, "measure")
    for line in kubectl.log("measure", "measure").splitlines():
        figure(line)
