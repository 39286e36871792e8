"""The cluster of the tests: the one that KUBECONFIG names, or one of our own that is up for this run only."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster import images, objects, observing, policies
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.kubernetes import cluster as kubernetes
from tests.cluster.kubernetes import loading
from tests.cluster.kubernetes.layout import from_environment

REPOSITORY = Path(__file__).parents[2]
LAYOUT = from_environment()
NAMES = (images.GUARD, images.APPLICATION, images.GUARDED_APPLICATION, images.CONTENT, images.BACKUP)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that is up and has the images.

    Attributes:
        kubectl: kubectl on it.
        storage_class: A class whose disks attach to one node at a time; None: the cluster's default class.
        own: Whether its nodes are on this machine, so that a test can prepare their disks.
    """

    kubectl: Kubectl
    storage_class: str | None
    own: bool


FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Shows what was measured, which is for people to judge."""
    for line in config.stash[FIGURES]:
        terminalreporter.write_line(f"figure: {line}")


@pytest.fixture
def figure(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Notes a line for the end of the run."""
    return pytestconfig.stash[FIGURES].append


def say(line: str) -> None:
    """Shows progress where pytest shows a fixture's output."""
    sys.stderr.write(f"{line}\n")


@pytest.fixture(scope="session")
def builder() -> images.Builder:
    """Builds images; only where the cluster is our own is any built."""
    return images.Builder(LAYOUT, say)


@pytest.fixture(scope="session")
def cluster(builder: images.Builder) -> Iterator[Cluster]:
    given = os.environ.get("KUBECONFIG", "")
    if given and Path(given) != LAYOUT.kubeconfig():
        program = shutil.which("kubectl")
        assert program is not None, "KUBECONFIG is set, but there is no kubectl on PATH"
        # The images must be there already, or in a registry that the nodes reach.
        yield Cluster(Kubectl(program, Path(given)), os.environ.get("VOLUME_GUARD_STORAGE_CLASS"), own=False)
        return
    status = subprocess.run(_bring_up("status"), cwd=REPOSITORY, stdout=subprocess.DEVNULL, check=False)
    already_up = status.returncode == 0
    if not already_up:
        # What an earlier run left would be in the way of this one's.
        subprocess.run(_bring_up("reset"), cwd=REPOSITORY, check=True)
    try:
        if not already_up:
            subprocess.run(_bring_up("up"), cwd=REPOSITORY, check=True)
        builder.guard()
        builder.application()
        builder.backup()
        identities = {name: builder.identity(name) for name in NAMES}
        kubernetes.load(LAYOUT, [builder.archive(name) for name in loading.missing(LAYOUT, identities)], say)
        loading.remember(LAYOUT, identities)
        program = str(kubernetes.kubectl_folder(LAYOUT, say) / "kubectl")
        yield Cluster(Kubectl(program, LAYOUT.kubeconfig()), "loop", own=True)
    finally:
        if not already_up:
            subprocess.run(_bring_up("down"), cwd=REPOSITORY, check=True)


def _bring_up(command: str) -> list[str]:
    """Our own script, in a process of its own: what it starts must not be children of the tests."""
    return [sys.executable, "-m", "tests.cluster.kubernetes", command]


@contextmanager
def namespace(cluster: Cluster, word: str) -> Iterator[Kubectl]:
    """kubectl on a new namespace, which is deleted at the end, with its claims and their disks."""
    readable = "".join(letter if letter.isalnum() else "-" for letter in word.lower())
    name = f"{readable.removeprefix('test-')[:40]}-{uuid.uuid4().hex[:6]}"
    bound = cluster.kubectl.within(name)
    bound("create", "namespace", name)
    yield bound
    bound("delete", "namespace", name, "--wait=false")


def adopt(cluster: Cluster, kubectl: Kubectl) -> Object:
    """Makes a claim with two tenants' skills and the marker, and gives it as a pod's volume."""
    volume = objects.of_claim("adopted")
    fill = (objects.upload("acme", "reports", 40), objects.upload("beta", "letters", 60))
    kubectl.apply(
        objects.claim("adopted", cluster.storage_class),
        objects.task("adoption", volume, *fill, objects.guard("adopt")),
    )
    observing.wait_succeeded(kubectl, "adoption")
    return volume


@pytest.fixture
def kubectl(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """kubectl on a namespace of the test's own."""
    with namespace(cluster, request.node.name) as bound:
        yield bound


@pytest.fixture(scope="session")
def admission_policies(cluster: Cluster) -> None:
    """The admission policies in the cluster; they hold in namespaces that are put under them, and stay.

    An API server that saw the last binding with ConfigMaps as parameters go reads no ConfigMap as parameters any more
    until it is started again (kubernetes/kubernetes issue 130887).
    """
    if not cluster.own:
        pytest.skip("puts admission policies into the cluster: not in one that is not ours")
    for folder in (policies.REQUIRE, policies.INJECT, policies.KEEP):
        policies.apply(cluster.kubectl, folder)


@pytest.fixture
def new_claim(cluster: Cluster, kubectl: Kubectl) -> Object:
    """A claim that nothing was ever written on, as a pod's volume."""
    kubectl.apply(objects.claim("new", cluster.storage_class))
    return objects.of_claim("new")


@pytest.fixture
def adopted_claim(cluster: Cluster, kubectl: Kubectl) -> Object:
    """A claim with two tenants' skills and the marker, as a pod's volume."""
    return adopt(cluster, kubectl)
