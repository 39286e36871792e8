"""The image: what is in it, what it costs, and that another builder makes it, too."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from guard import __version__
from tests.cluster import images, objects, observing
from tests.cluster.conftest import Cluster
from tests.cluster.kubectl import Kubectl, Object

MEASURE = (Path(__file__).parent / "measure.py").read_text()


@pytest.fixture
def own_builder(cluster: Cluster, builder: images.Builder) -> images.Builder:
    """The builder that made the cluster's image."""
    if not cluster.own:
        pytest.skip("the images of another cluster were built elsewhere")
    return builder


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
