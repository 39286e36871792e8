"""The cluster of the tests: the one that KUBECONFIG names, or one of our own that is up for this run only."""

import functools
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
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.cluster import api, images, objects, observing, policies, sharing
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.kubernetes import cluster as kubernetes
from tests.cluster.kubernetes import loading
from tests.cluster.kubernetes.layout import from_environment

REPOSITORY = Path(__file__).parents[2]
LAYOUT = from_environment()
#: Is there while a cluster runs that a test run brought up.
BROUGHT_UP = LAYOUT.state / "brought-up-by-tests"
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


class ByFile(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """One process at a time for a file, and for all files about the policies, which the whole cluster shares."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        return "policies" if "/test_policy_" in file else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Where several processes share the tests."""
    return ByFile(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows what was measured, which is for people to judge."""
    for report in terminalreporter.getreports("passed"):
        for name, line in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(f"figure: {line}")


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Notes a line for the end of the run; it travels with the test's report, from whichever process ran it."""
    return functools.partial(record_property, "figure")


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
        with api.reader(program, Path(given)) as reader:
            kubectl = Kubectl(program, Path(given), reader)
            yield Cluster(kubectl, os.environ.get("VOLUME_GUARD_STORAGE_CLASS"), own=False)
        return
    with sharing.shared(LAYOUT.cache, functools.partial(_come, builder), _leave):
        program = str(kubernetes.kubectl_folder(LAYOUT, say) / "kubectl")
        with api.reader(program, LAYOUT.kubeconfig()) as reader:
            yield Cluster(Kubectl(program, LAYOUT.kubeconfig(), reader), "loop", own=True)


def _come(builder: images.Builder) -> None:
    """Brings up what is not up, and loads the images that have changed."""
    if _script("status", stdout=subprocess.DEVNULL) != 0:
        # What an earlier run left would be in the way of this one's.
        assert _script("reset") == 0
        LAYOUT.state.mkdir(parents=True)
        BROUGHT_UP.touch()
        assert _script("up") == 0
    builder.guard()
    builder.application()
    builder.backup()
    identities = {name: builder.identity(name) for name in NAMES}
    kubernetes.load(LAYOUT, [builder.archive(name) for name in loading.missing(LAYOUT, identities)], say)
    loading.remember(LAYOUT, identities)


def _leave() -> None:
    """Takes down what a test run brought up; a cluster that somebody keeps stays."""
    if BROUGHT_UP.exists():
        BROUGHT_UP.unlink()
        assert _script("down") == 0


def _script(command: str, stdout: int | None = None) -> int:
    """The status of our own script, in a process of its own: what it starts must not be children of the tests."""
    words = [sys.executable, "-m", "tests.cluster.kubernetes", command]
    return subprocess.run(words, cwd=REPOSITORY, check=False, stdout=stdout).returncode


@contextmanager
def namespace(cluster: Cluster, word: str) -> Iterator[Kubectl]:
    """kubectl on a new namespace, which is deleted at the end, with its claims and their disks."""
    readable = "".join(letter if letter.isalnum() else "-" for letter in word.lower())
    name = f"{readable.removeprefix('test-')[:40]}-{uuid.uuid4().hex[:6]}"
    bound = cluster.kubectl.within(name)
    bound("create", "namespace", name)
    try:
        yield bound
    finally:
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
