"""What people read first: `kubectl describe pod` of pods that the guard refuses, and of one in which it only observes."""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.cluster import objects, observing
from tests.cluster.conftest import Cluster, adopt
from tests.cluster.kubectl import Kubectl, Object


@dataclass(frozen=True, slots=True)
class Case:
    """A pod, and what the first line of its message must be.

    Attributes:
        name: For the test's report, and the pod's name.
        pod: Makes it, with its volume.
        container: Whose message it is.
        status: The exit status of that container.
        first: The beginning of the message.
    """

    name: str
    pod: Callable[[Cluster, Kubectl], Object]
    status: int
    first: str
    container: str = objects.GATE


def _not_mounted(_cluster: Cluster, _kubectl: Kubectl) -> Object:
    """The applied object has no volume; the guard is in the application's image, which has the folder."""
    return objects.guarding_itself("not-mounted", None)


def _data_lost(cluster: Cluster, kubectl: Kubectl) -> Object:
    volume = adopt(cluster, kubectl)
    kubectl.apply(objects.task("wipe", volume, objects.shell("wipe", f"rm -rf {objects.PATH}/*")))
    observing.wait_succeeded(kubectl, "wipe")
    return objects.pod("data-lost", volume)


def _new(cluster: Cluster, kubectl: Kubectl) -> Object:
    kubectl.apply(objects.claim("new", cluster.storage_class))
    return objects.of_claim("new")


CASES = (
    Case("not-mounted", _not_mounted, 10, "volume-guard refused this start (exit 10, not-mounted): ",
        objects.APPLICATION),
    Case("data-lost", _data_lost, 30, "volume-guard refused this start (exit 30, data-lost): 0 of 100 files are left"),
    Case("marker-missing", lambda cluster, kubectl: objects.pod("marker-missing", _new(cluster, kubectl)), 20,
        "volume-guard refused this start (exit 20, marker-missing): "),
    Case("observing", lambda cluster, kubectl: objects.pod("observing", _new(cluster, kubectl), enforce="false"), 0,
        "volume-guard would refuse this start (exit 20, marker-missing): "),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_message_has_its_first_line_beside_its_key_and_the_rest_below_it_in_one_column(
    case: Case, cluster: Cluster, kubectl: Kubectl
) -> None:
    kubectl.apply(case.pod(cluster, kubectl))
    assert observing.ending(kubectl, case.name, case.container).status == case.status

    before, first, rest = _message(kubectl("describe", "pod", case.name))

    assert first.startswith(case.first)
    assert [line[: before + 2].isspace() and line[before + 2] != " " for line in rest] == [True] * len(rest)
    keys = [re.match(r" *(\w+)[:.] ", line) for line in rest]
    found = [key[1] for key in keys if key is not None]
    assert len(found) == len(rest)
    assert (found[:3], found[-1]) == (["checked", "found", "expected"], "more")
    numbers = [key for key in found if key.isdecimal()]
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
    assert numbers


def _message(described: str) -> tuple[int, str, list[str]]:
    """The container's message: the column of its key, its first line, and those below."""
    lines = described.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.lstrip().startswith("Message:  ")][:1]
    key, _, first = lines[at].partition(":")
    below = itertools.takewhile(str.strip, lines[at + 1 :])
    return len(key) - len(key.lstrip()), first.strip(), list(below)
