"""k8s/policy/keep: claims, namespaces and parameters are not deleted in passing; a class that deletes disks is warned of."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import objects, policies
from tests.cluster.conftest import Cluster, namespace
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.waiting import wait_until

pytestmark = pytest.mark.usefixtures("admission_policies")

CLAIM, PARAMETERS = "claude-skills-storage", "volume-guard-claude-skills"


@pytest.fixture
def kept(cluster: Cluster, kubectl: Kubectl) -> Iterator[Kubectl]:
    """A namespace under the policies, with the application's claim, another one, and one of each class."""
    kubectl.apply(objects.claim(CLAIM, cluster.storage_class), objects.claim("scratch", cluster.storage_class))
    with policies.protected(kubectl, policies.parameters()):
        yield kubectl


def _refused(kubectl: Kubectl, *words: str) -> str:
    """What the refusal of a deletion says."""
    done = kubectl.attempt(*words)
    assert done.returncode != 0, done.stdout
    return done.stderr


def test_the_claim_stays_until_an_annotation_names_this_very_claim(kept: Kubectl) -> None:
    refused = _refused(kept, "delete", "pvc", CLAIM)
    assert "'volume-guard-keep-claim' denied request: claim" in refused
    # The line that it prints is the way.
    uid = kept.get("pvc", CLAIM)["metadata"]["uid"]
    line = re.search(r"kubectl (annotate pvc -n \S+ \S+ volume-guard/delete=\S+) and delete it again", refused)
    assert line is not None
    assert line.group(1).endswith(f"{kept.namespace} {CLAIM} volume-guard/delete={uid}")

    kept("annotate", "pvc", CLAIM, "volume-guard/delete=true")
    assert "denied request" in _refused(kept, "delete", "pvc", CLAIM)
    assert "denied request" in _refused(kept, "delete", "pvc", f"--field-selector=metadata.name={CLAIM}")

    kept("annotate", "--overwrite", *line.group(1).split()[1:])
    kept("delete", "pvc", CLAIM, "--wait=false")


def test_another_claim_of_the_namespace_can_be_deleted(kept: Kubectl) -> None:
    kept("delete", "pvc", "scratch", "--wait=false")


def test_the_claims_of_a_statefulset_s_template_stay(cluster: Cluster, kubectl: Kubectl) -> None:
    of_the_set = objects.claim("skills-claude-skills-0", cluster.storage_class)
    of_the_set["metadata"]["labels"] = {"app": "claude-skills"}
    kubectl.apply(of_the_set, objects.claim("skills-letters-0", cluster.storage_class))
    with policies.protected(kubectl, policies.parameters(claim=None, claimTemplate="skills")):
        assert "denied request: claim" in _refused(kubectl, "delete", "pvc", "skills-claude-skills-0")
        kubectl("delete", "pvc", "skills-letters-0", "--wait=false")


def test_the_namespace_stays_while_it_has_the_label(kept: Kubectl) -> None:
    refused = _refused(kept, "delete", "namespace", kept.namespace, "--dry-run=server")
    assert f"kubectl label namespace {kept.namespace} volume-guard/protected- and delete it again" in refused


def test_a_namespace_without_the_label_can_be_deleted(kubectl: Kubectl) -> None:
    kubectl("delete", "namespace", kubectl.namespace, "--dry-run=server")


def test_the_parameters_stay_and_keep_their_label(kept: Kubectl) -> None:
    uid = kept.get("configmap", PARAMETERS)["metadata"]["uid"]
    refused = _refused(kept, "delete", "configmap", PARAMETERS, "--dry-run=server")
    assert f"kubectl annotate configmap -n {kept.namespace} {PARAMETERS} volume-guard/delete={uid}" in refused
    assert "without it they keep nothing" in _refused(
        kept, "label", "configmap", PARAMETERS, "volume-guard/parameters-"
    )

    kept("annotate", "configmap", PARAMETERS, f"volume-guard/delete={uid}")
    kept("delete", "configmap", PARAMETERS, "--dry-run=server")


def _parameters(verdict: str) -> pytest.MarkDecorator:
    found = sorted((policies.CASES / "parameters").glob(f"{verdict}-*.yaml"))
    assert found
    return pytest.mark.parametrize("case", found, ids=lambda case: case.stem)


@pytest.fixture(scope="module")
def protected_namespace(cluster: Cluster) -> Iterator[Kubectl]:
    """A namespace under the policies, for what changes nothing in it."""
    with namespace(cluster, "policy-keep") as bound, policies.protected(bound, policies.parameters()):
        yield bound


@_parameters("allowed")
def test_parameters_that_say_what_is_needed_are_taken(case: Path, protected_namespace: Kubectl) -> None:
    done = policies.dry_run(protected_namespace, case)
    assert (done.returncode, done.stderr) == (0, "")


@_parameters("denied")
def test_parameters_that_could_not_be_meant_are_refused_when_they_are_written(
    case: Path, protected_namespace: Kubectl
) -> None:
    done = policies.dry_run(protected_namespace, case)
    assert done.returncode != 0
    assert "ValidatingAdmissionPolicy 'volume-guard-keep-parameters'" in done.stderr
    assert policies.says(case) in done.stderr


@pytest.fixture
def class_that_retains(cluster: Cluster) -> Iterator[str]:
    """The tests' class, but for its reclaimPolicy."""
    loop = cluster.kubectl.get("storageclass", "loop")
    assert loop["reclaimPolicy"] == "Delete"
    cluster.kubectl.apply({**loop, "metadata": {"name": "loop-retain"}, "reclaimPolicy": "Retain"})
    yield "loop-retain"
    cluster.kubectl("delete", "storageclass", "loop-retain")


def test_a_new_claim_of_a_class_that_deletes_disks_passes_with_a_warning(protected_namespace: Kubectl) -> None:
    warned = wait_until(
        "the warning", lambda: _warned(protected_namespace, objects.claim("new", "loop")), policies.IN_FORCE
    )
    assert "is of StorageClass loop, whose reclaimPolicy is Delete" in warned
    assert 'kubectl patch pv VOLUME -p \'{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}\'' in warned


def test_a_new_claim_of_a_class_that_retains_them_passes_without_a_word(
    class_that_retains: str, protected_namespace: Kubectl
) -> None:
    assert _warned(protected_namespace, objects.claim("new", class_that_retains)) == ""


def test_a_claim_of_a_volume_that_is_there_is_not_judged_by_its_class(protected_namespace: Kubectl) -> None:
    claim = objects.claim("new", "loop")
    claim["spec"]["volumeName"] = "made-by-hand"
    assert _warned(protected_namespace, claim) == ""


def _warned(kubectl: Kubectl, claim: Object) -> str:
    done = policies.dry_run(kubectl, claim)
    assert done.returncode == 0, done.stderr
    return done.stderr
