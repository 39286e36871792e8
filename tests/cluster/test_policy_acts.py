"""volume-guard-require against acts: pods made by hand, patches, other field managers, debugging, labels, scaling."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.cluster import images, objects, observing, policies, unguarded
from tests.cluster.conftest import Cluster, namespace
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.waiting import wait_until

pytestmark = pytest.mark.usefixtures("admission_policies")

NO_GATE, NO_VOLUME, OBSERVES = "has no gate before everything else", "would lose its data", "would let the pod start"
CLAIM = objects.of_claim("claude-skills-storage")
SCRATCH = {"name": "scratch", "emptyDir": {}}


@pytest.fixture(scope="module")
def strict(cluster: Cluster) -> Iterator[Kubectl]:
    """kubectl on a namespace under the policies in which no object is ever stored."""
    with namespace(cluster, "policy-acts") as bound, policies.protected(bound, policies.parameters()):
        yield bound


def _guarded() -> Object:
    """The project's own pod."""
    spec: Object = objects.deployment(CLAIM)["spec"]["template"]["spec"]
    return spec


def _without_guard() -> Object:
    return unguarded.pod(unguarded.pod_spec(CLAIM))


def _by_a_generated_name() -> Object:
    pod = _without_guard()
    return {**pod, "metadata": {"generateName": "claude-skills-", "labels": unguarded.LABELS}}


def _on_a_node_of_its_own_choice() -> Object:
    pod = _without_guard()
    return {**pod, "spec": {**pod["spec"], "nodeName": "node1"}}


def _with_the_gate_among_its_containers() -> Object:
    spec = _guarded()
    gate, *rest = spec["initContainers"]
    return unguarded.pod({**spec, "initContainers": rest, "containers": [*spec["containers"], gate]})


@pytest.mark.parametrize(
    "pod",
    [_by_a_generated_name, _on_a_node_of_its_own_choice, _with_the_gate_among_its_containers],
    ids=lambda make: make.__name__[1:],
)
def test_a_pod_without_a_controller_is_judged_like_one_with(pod: Callable[[], Object], strict: Kubectl) -> None:
    policies.assert_judged(policies.create(strict, pod()), NO_GATE)


@pytest.fixture(scope="module")
def at_rest(cluster: Cluster) -> Iterator[Kubectl]:
    """kubectl on a namespace under the policies with the right Deployment, whose second revision it is, without a pod."""
    with namespace(cluster, "policy-acts") as bound:
        settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
        bound.apply({**settings, "data": {"GUARD_ENFORCE": "false"}})
        before = unguarded.workload("Deployment", unguarded.pod_spec(CLAIM))
        right = unguarded.workload("Deployment", _guarded())
        for revision, one in enumerate((before, right), start=1):
            bound.apply({**one, "spec": {**one["spec"], "replicas": 0}})
            wait_until("its revision", partial(_revision, bound, str(revision)), observing.START)
        with policies.protected(bound, policies.parameters()):
            yield bound


def _revision(kubectl: Kubectl, number: str) -> bool:
    annotations: Object = kubectl.get("deployment", "claude-skills")["metadata"].get("annotations", {})
    return bool(annotations.get("deployment.kubernetes.io/revision") == number)


INIT = "/spec/template/spec/initContainers"
FIRST_MOUNT = "/spec/template/spec/containers/0/volumeMounts"
ACTS = {
    "rollout-undo": ("rollout undo deployment/claude-skills", NO_GATE),
    "set-every-image": ("set image deployment/claude-skills *=ghcr.io/uengine-oss/claude-skills:1.0.1", NO_GATE),
    "set-env-everywhere": ("set env deployment/claude-skills --containers=* GUARD_ENFORCE=false", OBSERVES),
    "set-env-of-a-map": ("set env deployment/claude-skills -c volume-guard-gate --from=configmap/settings", OBSERVES),
    "json-patch-of-the-gate": (f'patch deployment claude-skills --type=json -p [{{"op":"remove","path":"{INIT}/0"}}]',
        NO_GATE),
    "json-patch-of-the-mount": (
        f'patch deployment claude-skills --type=json -p [{{"op":"remove","path":"{FIRST_MOUNT}"}}]', NO_VOLUME),
    "merge-patch-of-the-gate": (
        'patch deployment claude-skills --type=merge -p {"spec":{"template":{"spec":{"initContainers":null}}}}', NO_GATE),
}  # fmt: skip


@pytest.mark.parametrize("name", ACTS)
def test_an_act_on_the_workload_that_would_drop_gate_or_volume_is_refused(name: str, at_rest: Kubectl) -> None:
    command, words = ACTS[name]
    policies.assert_judged(at_rest.attempt(*command.split(), "--dry-run=server"), words)


def test_another_field_manager_adds_nothing_over_the_path_by_its_part_of_the_object(at_rest: Kubectl) -> None:
    part = unguarded.workload("Deployment", {})
    mount = {"name": "scratch", "mountPath": "/app/skills/"}
    part["spec"] = {
        "template": {
            "spec": {"volumes": [SCRATCH], "containers": [{"name": objects.APPLICATION, "volumeMounts": [mount]}]}
        }
    }
    policies.assert_judged(policies.dry_run(at_rest, part), NO_VOLUME)


def test_scaling_starts_the_pods_of_the_right_object_only(at_rest: Kubectl) -> None:
    assert at_rest.attempt("scale", "deployment/claude-skills", "--replicas=1", "--dry-run=server").returncode == 0
    wrong = {**unguarded.workload("Deployment", unguarded.pod_spec(CLAIM)), "kind": "ReplicaSet"}
    wrong["metadata"] = {"name": "bare"}
    del wrong["spec"]["strategy"]
    at_rest.apply(wrong)

    def refused() -> str:
        failed = at_rest.every("events", fieldSelector="reason=FailedCreate,involvedObject.name=bare")
        return next((event["message"] for event in failed if "volume-guard-require" in event["message"]), "")

    assert NO_GATE in wait_until("the refused pod", refused, observing.START)
    assert observing.application_pods(at_rest) == []
    at_rest("delete", "replicaset", "bare")


@pytest.fixture(scope="module")
def running(cluster: Cluster) -> Iterator[Kubectl]:
    """kubectl on a namespace under the policies with the right pod, which waits in its gate, and one of another application."""
    with namespace(cluster, "policy-running") as bound:
        bound.apply(objects.claim("claude-skills-storage", cluster.storage_class))
        other = {**_without_guard(), "metadata": {"name": "other", "labels": {"app": "letters"}}}
        other["spec"]["volumes"] = [{"name": objects.POD_VOLUME, "emptyDir": {}}]
        with policies.protected(bound, policies.parameters()):
            bound.apply(unguarded.pod(_guarded()), other)
            wait_until("the gate at work", lambda: _waits(bound), observing.START)
            yield bound


def _waits(kubectl: Kubectl) -> bool:
    pod = kubectl.get("pod", "claude-skills")
    return "running" in observing.container_status(pod, objects.GATE).get("state", {})


def test_the_gate_of_a_pod_that_waits_in_it_can_t_be_swapped_for_another_image(running: Kubectl) -> None:
    swapped = f"{objects.GATE}={images.APPLICATION}"
    policies.assert_judged(running.attempt("set", "image", "pod/claude-skills", swapped, "--dry-run=server"), NO_GATE)
    # What changes no container is nobody's business here.
    assert running.attempt("label", "pod", "claude-skills", "team=skills").returncode == 0


def test_a_pod_of_another_application_does_not_become_this_one_s_by_a_label(running: Kubectl) -> None:
    done = running.attempt("label", "--overwrite", "pod", "other", "app=claude-skills", "--dry-run=server")
    policies.assert_judged(done, NO_VOLUME)


def test_debugging_passes_and_leaves_the_pod_s_containers_as_they_are(running: Kubectl) -> None:
    before = running.get("pod", "claude-skills")["spec"]
    running("debug", "claude-skills", f"--image={images.APPLICATION}", "--container=look", "--", "true")
    after = running.get("pod", "claude-skills")["spec"]
    assert [one["name"] for one in after.pop("ephemeralContainers")] == ["look"]
    assert after == before


def test_a_copy_for_debugging_is_another_application_s_unless_it_keeps_the_labels(running: Kubectl) -> None:
    copied = ("debug", "claude-skills", "--copy-to=copy", f"--image={images.APPLICATION}", "--container=look")
    policies.assert_judged(
        running.attempt(*copied, "--keep-labels", "--keep-init-containers=false", "--", "true"), NO_GATE
    )

    running(*copied, "--keep-init-containers=false", "--", "true")
    assert "app" not in running.get("pod", "copy")["metadata"].get("labels", {})
