"""The incident replayed: the team's own check lets the pod start on what is not its volume; the gate stops it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.cluster import objects, observing
from tests.cluster.conftest import Cluster
from tests.cluster.kubectl import Kubectl, Object


@dataclass(frozen=True, slots=True)
class Case:
    """A volume that is not the application's, how it comes to be, and what the gate must say of it."""

    name: str
    make: Callable[[Kubectl, str | None], Object | None]
    status: int
    label: str


def _none(_kubectl: Kubectl, _storage_class: str | None) -> None:
    """The applied Deployment had no volume."""


def _empty_dir(_kubectl: Kubectl, _storage_class: str | None) -> Object:
    return {"emptyDir": {}}


def _another_claim(kubectl: Kubectl, storage_class: str | None) -> Object:
    return _prepared(kubectl, storage_class, objects.guard("adopt", volume="claude-skills-prod"))


def _wiped_claim(kubectl: Kubectl, storage_class: str | None) -> Object:
    wipe = objects.shell("wipe", f"rm -rf {objects.PATH}/*")
    return _prepared(kubectl, storage_class, objects.guard("adopt"), wipe)


def _replaced_claim(kubectl: Kubectl, storage_class: str | None) -> Object:
    """The runbook deleted the claim: a new one, of the same name, is empty, and whoever fills it is not the marker."""
    return _prepared(kubectl, storage_class, objects.upload("acme", "other", 5))


def _prepared(kubectl: Kubectl, storage_class: str | None, *steps: Object) -> Object:
    volume = objects.of_claim("claude-skills-storage")
    kubectl.apply(
        objects.claim("claude-skills-storage", storage_class),
        objects.task("prepare", volume, objects.upload("acme", "reports", 30), *steps),
    )
    observing.wait_succeeded(kubectl, "prepare")
    return volume


CASES = (
    Case("no-volume", _none, 13, "missing"),
    Case("empty-dir", _empty_dir, 11, "ephemeral"),
    Case("another-claim", _another_claim, 21, "marker-mismatch"),
    Case("wiped-claim", _wiped_claim, 30, "data-lost"),
    Case("replaced-claim", _replaced_claim, 20, "marker-missing"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_team_s_own_check_starts_the_application_and_the_gate_stops_it_with_its_reason(
    case: Case, cluster: Cluster, kubectl: Kubectl
) -> None:
    volume = case.make(kubectl, cluster.storage_class)
    guarded = objects.pod("guarded", volume)

    kubectl.apply(objects.with_directory_check({**guarded, "metadata": {"name": "unguarded"}}))
    observing.wait_ready(kubectl, "unguarded")
    kubectl("delete", "pod", "unguarded", "--wait=false")

    kubectl.apply(guarded)
    ended = observing.ending(kubectl, "guarded", objects.GATE)
    assert ended.status == case.status
    assert ended.message.startswith(f"volume-guard refused this start (exit {case.status}, {case.label}): ")
    described = [line.strip() for line in kubectl("describe", "pod", "guarded").splitlines()]
    assert f"Exit Code:    {case.status}" in described
    assert {line.strip() for line in ended.message.splitlines()[1:]} <= set(described)
    assert observing.never_started(kubectl.get("pod", "guarded"), objects.APPLICATION)
    refused = observing.wait_event(kubectl, "guarded", objects.GATE, "volume.refused")
    assert (refused["status"], refused["pod"], refused["namespace"]) == (case.status, "guarded", kubectl.namespace)
