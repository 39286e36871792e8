"""The label volume-guard/inject: claim, path and uid are read from the pod; what can't be read is refused with what to write."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from tests.cluster import images, objects, observing, policies, unguarded
from tests.cluster.conftest import Cluster, namespace
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.unguarded import OWN

pytestmark = pytest.mark.usefixtures("admission_policies")

LABELS = {policies.INJECTED: objects.VOLUME}
BOTH = [objects.GATE, objects.WATCHER]
CLAIM = objects.of_claim("claude-skills-storage")
MOUNT = {"name": objects.POD_VOLUME, "mountPath": objects.PATH}


@pytest.fixture(scope="module")
def labelled(cluster: Cluster) -> Iterator[Kubectl]:
    """kubectl on a protected namespace that has nothing else; for looks without a pod that runs."""
    with namespace(cluster, "policy-label") as bound, policies.protected(bound):
        yield bound


def _label(workload: Object, value: str = objects.VOLUME) -> Object:
    """The same with the label on its pods."""
    spec = workload["spec"]
    template = spec["jobTemplate"]["spec"]["template"] if "jobTemplate" in spec else spec.get("template", workload)
    template["metadata"]["labels"] = {**template["metadata"]["labels"], policies.INJECTED: value}
    return workload


def _stored(kubectl: Kubectl, spec: Object) -> Object:
    """The spec that the API server would store for a pod with the label."""
    done = policies.dry_run(kubectl, _label(unguarded.pod(spec)))
    assert done.returncode == 0, done.stderr
    stored: Object = json.loads(done.stdout)["spec"]
    return stored


def test_workloads_of_every_kind_start_behind_the_gate_and_nothing_but_the_label_is_written(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    # A StatefulSet's claim, which the others mount by its name.
    claim = f"{objects.POD_VOLUME}-claude-skills-0"
    template = objects.claim(objects.POD_VOLUME, cluster.storage_class)
    volume = objects.of_claim(claim)
    fill = (objects.upload("acme", "reports", 40), objects.upload("beta", "letters", 60))
    kubectl.apply(
        objects.claim(claim, cluster.storage_class), objects.task("adoption", volume, *fill, objects.guard("adopt"))
    )
    observing.wait_succeeded(kubectl, "adoption")
    with policies.protected(kubectl):
        for kind in ("StatefulSet", "Deployment", "Job"):
            applied = _label(unguarded.workload(kind, unguarded.pod_spec(volume, OWN)))
            if kind == "StatefulSet":
                applied["spec"]["volumeClaimTemplates"] = [
                    {"metadata": {"name": objects.POD_VOLUME}, **_only(template)}
                ]
                applied["spec"]["template"]["spec"]["volumes"] = []
            kubectl.apply(applied)
            pod = _started(kubectl, kind)

            assert unguarded.init_names(pod) == [*BOTH, OWN["name"]], kind
            passed = observing.wait_event(kubectl, pod["metadata"]["name"], objects.GATE, "volume.ok")
            assert (passed["volume"], passed["files"]) == (objects.VOLUME, 100), kind
            assert objects.GATE not in json.dumps(kubectl.get(kind, "claude-skills")["spec"]), kind
            kubectl("delete", kind, "claude-skills", "--cascade=foreground")


def _only(claim: Object) -> Object:
    return {"spec": claim["spec"]}


def _started(kubectl: Kubectl, kind: str) -> Object:
    """The workload's pod, once its application runs or has run."""
    if kind != "Job":
        return observing.wait_application(kubectl)
    observing.wait_complete(kubectl, "claude-skills")
    (pod,) = observing.application_pods(kubectl)
    return pod


def test_the_label_gives_a_pod_what_the_component_writes_into_manifests(labelled: Kubectl) -> None:
    rendered = labelled("kustomize", str(objects.MANIFESTS / "kustomize" / "base"))
    (deployment,) = [one for one in yaml.safe_load_all(rendered) if one["kind"] == "Deployment"]
    spec = deployment["spec"]["template"]["spec"]
    written = policies.dry_run(labelled, unguarded.pod(copy.deepcopy(spec)))
    del spec["initContainers"]

    assert _stored(labelled, spec)["initContainers"] == json.loads(written.stdout)["spec"]["initContainers"]


@pytest.mark.parametrize(
    ("of_container", "of_pod", "expected"),
    [
        ({}, {}, {"runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": False}),
        ({"runAsUser": 1001, "runAsGroup": 1002}, {"runAsUser": 5}, {"runAsUser": 1001, "runAsGroup": 1002, "runAsNonRoot": True}),
        ({"runAsUser": 0}, {"runAsNonRoot": True, "runAsUser": 5}, {"runAsUser": 0, "runAsNonRoot": False}),
        # The rest is the pod's, or the image's.
        ({}, {"runAsUser": 1001, "runAsGroup": 1002}, {}),
        ({}, {"runAsNonRoot": True}, {}),
        ({"runAsNonRoot": True}, {}, {}),
        ({"runAsNonRoot": False}, {"runAsNonRoot": True}, {"runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": False}),
    ],
)  # fmt: skip
def test_the_guard_runs_as_the_application_does(
    of_container: Object, of_pod: Object, expected: Object, labelled: Kubectl
) -> None:
    spec = unguarded.pod_spec(CLAIM)
    spec["containers"][0]["securityContext"], spec["securityContext"] = of_container, of_pod

    for container in _stored(labelled, spec)["initContainers"]:
        given = {key: value for key, value in container["securityContext"].items() if key.startswith("runAs")}
        assert given == expected


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod whose claim and path can be read: further containers, further volumes, mounts of the application."""

    name: str
    path: str
    mounts: tuple[Object, ...]
    others: tuple[Object, ...] = ()
    volumes: tuple[Object, ...] = ()


SIDECAR = {
    "name": "backup",
    "image": "backup:1",
    "volumeMounts": [{"name": objects.POD_VOLUME, "mountPath": "/backup"}],
}
READABLE = (
    Pod("only-mount", "/app/skills", (MOUNT,)),
    Pod("slash-at-the-end", "/app/skills", ({**MOUNT, "mountPath": "/app/skills/"},)),
    Pod("sub-path", "/app/skills", ({**MOUNT, "subPath": "skills"},)),
    Pod("two-mounts", "/srv/a", ({**MOUNT, "mountPath": "/srv/a", "subPath": "a"}, {**MOUNT, "mountPath": "/srv/b"})),
    Pod("helper-that-mounts-it-too", "/app/skills", (MOUNT,), (SIDECAR,)),
    Pod("first-container-does-not", "/backup", (), (SIDECAR,)),
    Pod("a-cache-beside-it", "/app/skills", (MOUNT, {"name": "cache", "mountPath": "/cache"}), (), ({"name": "cache", "emptyDir": {}},)),
)  # fmt: skip


@pytest.mark.parametrize("case", READABLE, ids=lambda case: case.name)
def test_the_guard_mounts_the_root_of_the_claim_where_the_application_does(case: Pod, labelled: Kubectl) -> None:
    spec = unguarded.pod_spec(CLAIM)
    spec["containers"][0]["volumeMounts"] = list(case.mounts)
    spec["containers"] += case.others
    spec["volumes"] += case.volumes

    for container in _stored(labelled, spec)["initContainers"]:
        (mount,) = [one for one in container["volumeMounts"] if one["name"] == objects.POD_VOLUME]
        assert (mount["mountPath"], mount.get("subPath")) == (case.path, None)
        assert {"name": "GUARD_PATH", "value": case.path} in container["env"]


@dataclass(frozen=True, slots=True)
class Refused:
    """What the label can't be for, and the words of the refusal."""

    name: str
    words: str
    label: str = objects.VOLUME
    changes: dict[str, Any] = field(default_factory=dict)


SECOND = {"name": "second", **objects.of_claim("second")}
REFUSED = (
    Refused("no-claim", "its pod has no claim: its data would go with the pod. Give it a volume",
        changes={"volumes": [{"name": objects.POD_VOLUME, "emptyDir": {}}]}),
    Refused("two-claims", "its pod has 2: skills-storage, second. Remove the label, and write a ConfigMap",
        changes={"volumes": [{"name": objects.POD_VOLUME, **CLAIM}, SECOND]}),
    Refused("not-mounted", "none of its containers mounts its claim: spec.volumes has it as second. Write a volumeMount",
        changes={"volumes": [{"name": objects.POD_VOLUME, "emptyDir": {}}, SECOND]}),
    Refused("a-switch", "expected your name for the content of the volume", label="true"),
)  # fmt: skip


@pytest.mark.parametrize("kind", ["Pod", "Deployment", "StatefulSet", "CronJob"])
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_a_label_can_t_express_is_refused_with_what_to_write(case: Refused, kind: str, labelled: Kubectl) -> None:
    spec = {**unguarded.pod_spec(CLAIM), **case.changes}
    applied = unguarded.pod(spec) if kind == "Pod" else unguarded.workload(kind, spec)

    refused = _refused(labelled, _label(applied, case.label))

    assert case.words in refused


def _refused(kubectl: Kubectl, one: Object) -> str:
    """What the refusal says."""
    done = policies.dry_run(kubectl, one)
    assert done.returncode != 0
    assert "ValidatingAdmissionPolicy 'volume-guard-label' with binding 'volume-guard-label' denied" in done.stderr
    return done.stderr


GATE = {
    "name": objects.GATE,
    "image": images.GUARD,
    "args": ["check"],
    "env": [{"name": "GUARD_VOLUME", "value": "letters"}],
}


def test_a_pod_whose_manifest_has_a_gate_of_another_volume_is_refused(labelled: Kubectl) -> None:
    refused = _refused(labelled, _label(unguarded.pod(unguarded.pod_spec(CLAIM, GATE))))
    assert 'carries volume-guard-gate for volume "letters" and volume-guard-watch' in refused


def test_without_the_label_a_protected_namespace_is_left_alone_and_elsewhere_the_label_is_warned_of(
    labelled: Kubectl, kubectl: Kubectl
) -> None:
    bare = policies.dry_run(labelled, unguarded.pod(unguarded.pod_spec(None)))
    assert (bare.returncode, bare.stderr) == (0, "")
    assert "initContainers" not in json.loads(bare.stdout)["spec"]

    unprotected = policies.dry_run(kubectl, _label(unguarded.workload("Deployment", unguarded.pod_spec(CLAIM))))
    assert unprotected.returncode == 0
    assert f"kubectl label namespace {kubectl.namespace} volume-guard/protected=true" in unprotected.stderr


def test_a_claim_that_is_wrong_is_not_in_the_way_of_scaling_what_was_there_before(kubectl: Kubectl) -> None:
    wrong = _label(unguarded.workload("Deployment", unguarded.pod_spec(None)))
    wrong["spec"]["replicas"] = 0
    kubectl.apply(wrong)
    with policies.protected(kubectl):
        kubectl("scale", "deployment/claude-skills", "--replicas=1")
        assert policies.dry_run(kubectl, _label(wrong, "letters")).returncode != 0
