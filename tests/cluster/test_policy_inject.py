"""volume-guard-inject: gate and watcher in the pods of every kind of workload, and in no manifest; the gate gates there."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import yaml

from tests.cluster import images, objects, observing, policies
from tests.cluster.conftest import Cluster, namespace, needs_watch
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.waiting import wait_until

pytestmark = pytest.mark.usefixtures("admission_policies")

BOTH = [objects.GATE, objects.WATCHER]
LABELS = {"app": "claude-skills"}
OWN = {"name": "migrate", "image": images.APPLICATION, "command": ["true"]}
#: Until `guard watch` is in this tree the pods get the gate alone.
WATCHES = pytest.param("true", [objects.GATE, objects.WATCHER], marks=needs_watch, id="gate-and-watcher")
GATES = pytest.param("false", [objects.GATE], id="gate-alone")


@pytest.fixture(scope="module")
def ordered(cluster: Cluster) -> Iterator[Kubectl]:
    """kubectl on a namespace whose pods get the guard injected; for looks without a pod that runs."""
    with (
        namespace(cluster, "policy-inject") as bound,
        policies.protected(bound, policies.parameters(inject="true")),
    ):
        yield bound


def _pod_spec(volume: Object | None, *own: Object) -> Object:
    """The application as a manifest has it that knows nothing of the guard."""
    spec: Object = objects.deployment(volume, without=(objects.GATE, objects.WATCHER))["spec"]["template"]["spec"]
    spec["initContainers"] = list(own)
    return spec


def _ends(spec: Object) -> Object:
    """The same for a Job: it looks at its skills, and ends."""
    (application,) = spec["containers"]
    for probe in ("readinessProbe", "livenessProbe"):
        del application[probe]
    application["command"] = ["ls", objects.PATH]
    return {**spec, "restartPolicy": "Never"}


def _template(spec: Object) -> Object:
    return {"metadata": {"labels": LABELS}, "spec": spec}


def _workload(kind: str, spec: Object) -> Object:
    serving: Object = {"selector": {"matchLabels": LABELS}, "template": _template(spec)}
    own: Object
    match kind:
        case "Deployment":
            group, own = "apps/v1", {**serving, "strategy": {"type": "Recreate"}}
        case "StatefulSet":
            group, own = "apps/v1", {**serving, "serviceName": "claude-skills"}
        case "Job":
            group, own = "batch/v1", {"template": _template(_ends(spec))}
        case _:
            job = {"spec": {"template": _template(_ends(spec))}}
            group, own = "batch/v1", {"schedule": "0 3 * * *", "suspend": True, "jobTemplate": job}
    return {"apiVersion": group, "kind": kind, "metadata": {"name": "claude-skills"}, "spec": own}


def _inits(pod: Object) -> list[str]:
    return [one["name"] for one in pod["spec"].get("initContainers", [])]


def _dry_pod(kubectl: Kubectl, spec: Object, **annotations: str) -> Object:
    """The pod that the API server would store."""
    metadata = {"name": "claude-skills", "labels": LABELS, "annotations": annotations}
    done = policies.dry_run(kubectl, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    assert done.returncode == 0, done.stderr
    stored: Object = json.loads(done.stdout)
    return stored


@pytest.mark.parametrize(("watch", "guards"), [GATES, WATCHES])
@pytest.mark.parametrize("own", [(), (OWN,)], ids=["no-init-containers", "own-init-container"])
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "Job", "CronJob"])
def test_the_pods_of_a_workload_start_behind_the_gate_and_its_manifest_has_none(
    kind: str, own: tuple[Object, ...], watch: str, guards: list[str], kubectl: Kubectl, adopted_claim: Object
) -> None:
    with policies.protected(kubectl, policies.parameters(claim="adopted", inject="true", watch=watch)):
        applied = _workload(kind, _pod_spec(adopted_claim, *own))
        kubectl.apply(applied)
        if kind == "CronJob":
            kubectl("create", "job", "by-hand", "--from=cronjob/claude-skills")

        pod = _started(kubectl, kind)

        assert _inits(pod) == [*guards, *(one["name"] for one in own)]
        (passed,) = [
            line for line in kubectl.events(pod["metadata"]["name"], objects.GATE) if line["event"] == "volume.ok"
        ]
        assert (passed["volume"], passed["files"]) == (objects.VOLUME, 100)
        # What a GitOps tool compares: nothing of the guard in the workload, and nothing to change.
        drift = kubectl.attempt("diff", "--filename=-", stdin=objects.as_json(applied))
        assert (drift.returncode, drift.stdout) == (0, "")
        assert "volume-guard" not in json.dumps(kubectl.get(kind, "claude-skills")["spec"])


def _started(kubectl: Kubectl, kind: str) -> Object:
    """The workload's pod, once its application runs or has run."""
    if kind in {"Deployment", "StatefulSet"}:
        return observing.wait_application(kubectl)
    observing.wait_complete(kubectl, "claude-skills" if kind == "Job" else "by-hand")
    (pod,) = observing.application_pods(kubectl)
    return pod


@needs_watch
def test_the_injected_watcher_watches_beside_the_application(kubectl: Kubectl, adopted_claim: Object) -> None:
    with policies.protected(kubectl, policies.parameters(claim="adopted", inject="true")):
        kubectl.apply(_workload("Deployment", _pod_spec(adopted_claim)))
        name = observing.wait_application(kubectl)["metadata"]["name"]
        observing.wait_event(kubectl, name, objects.WATCHER, "watch.started")
        assert (
            kubectl.execute(
                name, objects.APPLICATION, "rm", "-rf", f"{objects.PATH}/acme", f"{objects.PATH}/beta"
            ).returncode
            == 0
        )
        observing.wait_event(kubectl, name, objects.WATCHER, "volume.wiped")


@dataclass(frozen=True, slots=True)
class Refused:
    """A volume that the injected gate must not let the application start on."""

    name: str
    volume: Callable[[Cluster, Kubectl], Object | None]
    status: int


def _never_adopted(cluster: Cluster, kubectl: Kubectl) -> Object:
    kubectl.apply(objects.claim("new", cluster.storage_class))
    return objects.of_claim("new")


REFUSED = (
    Refused("no-volume", lambda _cluster, _kubectl: None, 13),
    Refused("empty-dir", lambda _cluster, _kubectl: {"emptyDir": {}}, 11),
    Refused("never-adopted", _never_adopted, 20),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_the_injected_gate_judges_what_the_application_mounts(
    case: Refused, cluster: Cluster, kubectl: Kubectl
) -> None:
    # The glass is broken, so that volume-guard-require lets the pod come as far as its gate.
    glass = {"volume-guard/break-glass": "to see the gate at work"}
    with policies.protected(kubectl, policies.parameters(inject="true", watch="false", GUARD_WAIT="0s")):
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "claude-skills", "labels": LABELS, "annotations": glass},
            "spec": {**_pod_spec(case.volume(cluster, kubectl)), "restartPolicy": "Never"},
        }
        done = kubectl.attempt("apply", "--filename=-", stdin=objects.as_json(pod))
        assert done.returncode == 0, done.stderr

        ended = observing.ending(kubectl, "claude-skills", objects.GATE)

        assert ended.status == case.status
        assert observing.never_started(kubectl.get("pod", "claude-skills"), objects.APPLICATION)


def test_what_is_injected_is_what_the_component_writes_into_manifests(kubectl: Kubectl) -> None:
    rendered = kubectl("kustomize", str(objects.MANIFESTS / "kustomize" / "base"))
    (deployment,) = [one for one in yaml.safe_load_all(rendered) if one["kind"] == "Deployment"]
    # Stored by the same API server, so that both have its defaults.
    written = _dry_pod(kubectl, copy.deepcopy(deployment["spec"]["template"]["spec"]))
    bare = copy.deepcopy(deployment["spec"]["template"]["spec"])
    del bare["initContainers"]
    with policies.protected(kubectl, policies.parameters(inject="true")):
        injected = _dry_pod(kubectl, bare)

    assert injected["spec"]["initContainers"] == written["spec"]["initContainers"]


def test_the_guard_s_user_is_the_application_s_where_the_parameters_name_none(kubectl: Kubectl) -> None:
    spec = _pod_spec(objects.of_claim("claude-skills-storage"))
    spec["containers"][0]["securityContext"] = {"runAsUser": 1001, "runAsGroup": 1002}
    with policies.protected(kubectl, policies.parameters(inject="true", user=None, group=None)):
        stored = _dry_pod(kubectl, spec)

    for container in stored["spec"]["initContainers"]:
        security = container["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"], security["runAsNonRoot"]) == (1001, 1002, True)


def test_an_application_that_names_no_user_and_parameters_that_name_none_leave_it_to_the_image(
    kubectl: Kubectl,
) -> None:
    with policies.protected(kubectl, policies.parameters(inject="true", user=None, group=None)):
        stored = _dry_pod(kubectl, _pod_spec(objects.of_claim("claude-skills-storage")))

    for container in stored["spec"]["initContainers"]:
        assert not {"runAsUser", "runAsGroup", "runAsNonRoot"} & set(container["securityContext"])


def _named(name: str, **more: object) -> Object:
    """A guard container of the manifest's own, as far as the policies look at it."""
    command = "check" if name == objects.GATE else "watch"
    always = {"restartPolicy": "Always"} if name == objects.WATCHER else {}
    mounts = [{"name": "skills", "mountPath": objects.PATH}]
    return {"name": name, "image": "own:1", "args": [command], "volumeMounts": mounts, **always, **more}


GATE, WATCHER = _named(objects.GATE), _named(objects.WATCHER)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ([], BOTH),
        ([OWN], [*BOTH, "migrate"]),
        ([GATE, WATCHER, OWN], [*BOTH, "migrate"]),
        ([GATE, OWN], [*BOTH, "migrate"]),
        ([OWN, GATE], [*BOTH, "migrate"]),
        ([WATCHER, OWN], [*BOTH, "migrate"]),
        ([OWN, WATCHER], [*BOTH, "migrate"]),
        ([GATE, OWN, WATCHER], [*BOTH, "migrate"]),
        ([WATCHER, GATE, OWN], [*BOTH, "migrate"]),
        ([OWN, WATCHER, GATE], [*BOTH, "migrate"]),
        ([OWN, GATE, WATCHER], [*BOTH, "migrate"]),
    ],
    ids=lambda containers: "-".join(
        (one if isinstance(one, str) else one["name"]).removeprefix("volume-guard-") for one in containers
    ) or "none",
)  # fmt: skip
def test_whatever_a_manifest_carries_the_pod_has_each_once_and_in_order(
    given: list[Object], stored: list[str], ordered: Kubectl
) -> None:
    pod = _dry_pod(ordered, _pod_spec(objects.of_claim("claude-skills-storage"), *given))

    assert _inits(pod) == stored
    kept = {one["name"]: one["image"] for one in given}
    assert {one["name"]: one["image"] for one in pod["spec"]["initContainers"] if one["name"] in kept} == kept


def test_a_container_that_something_later_puts_in_front_comes_after_the_guard(
    cluster: Cluster, ordered: Kubectl
) -> None:
    mesh = [yaml.safe_load(text) for text in MESH.split("---\n")]
    cluster.kubectl.apply(*mesh)
    try:
        spec = _pod_spec(objects.of_claim("claude-skills-storage"), OWN)
        pod = wait_until("the other policy in force", lambda: _with_mesh(_dry_pod(ordered, spec)), 30)
        assert _inits(pod) == [*BOTH, "mesh", "migrate"]
    finally:
        for one in mesh:
            cluster.kubectl("delete", one["kind"], one["metadata"]["name"])


def _with_mesh(pod: Object) -> Object | None:
    return pod if "mesh" in _inits(pod) else None


#: A policy of somebody else, after ours by name, which wants to be first as well.
MESH = f"""\
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {{name: zz-mesh}}
spec:
  reinvocationPolicy: IfNeeded
  matchConstraints:
    namespaceSelector: {{matchLabels: {{{policies.PROTECTED}: "true"}}}}
    resourceRules:
      - {{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}}
  matchConditions:
    - name: once
      expression: "!object.spec.?initContainers.orValue([]).exists(container, container.name == 'mesh')"
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: >-
          [JSONPatch{{op: 'add', path: '/spec/initContainers/0',
            value: Object.spec.initContainers{{name: 'mesh', image: 'mesh:1'}}}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {{name: zz-mesh}}
spec: {{policyName: zz-mesh}}
"""
