"""volume-guard-inject, as the API server would store pods: what is put in, and where, whatever was there before."""

import copy
import json
from collections.abc import Iterator

import pytest
import yaml

from tests.cluster import images, objects, policies, unguarded
from tests.cluster.conftest import Cluster, namespace
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.unguarded import OWN
from tests.cluster.waiting import wait_until

pytestmark = pytest.mark.usefixtures("admission_policies")

BOTH = [objects.GATE, objects.WATCHER]


@pytest.fixture(scope="module")
def ordered(cluster: Cluster) -> Iterator[Kubectl]:
    """kubectl on a namespace whose pods get the guard injected; for looks without a pod that runs."""
    with (
        namespace(cluster, "policy-inject") as bound,
        policies.protected(bound, policies.parameters(inject="true")),
    ):
        yield bound


def _stored(kubectl: Kubectl, spec: Object) -> Object:
    """The pod that the API server would store."""
    done = policies.dry_run(kubectl, unguarded.pod(spec))
    assert done.returncode == 0, done.stderr
    stored: Object = json.loads(done.stdout)
    return stored


def test_what_is_injected_is_what_the_component_writes_into_manifests(kubectl: Kubectl) -> None:
    rendered = kubectl("kustomize", str(objects.MANIFESTS / "kustomize" / "base"))
    (deployment,) = [one for one in yaml.safe_load_all(rendered) if one["kind"] == "Deployment"]
    # Stored by the same API server, so that both have its defaults.
    written = _stored(kubectl, copy.deepcopy(deployment["spec"]["template"]["spec"]))
    bare = copy.deepcopy(deployment["spec"]["template"]["spec"])
    del bare["initContainers"]
    with policies.protected(kubectl, policies.parameters(inject="true")):
        injected = _stored(kubectl, bare)

    assert injected["spec"]["initContainers"] == written["spec"]["initContainers"]


def test_the_guard_s_user_is_the_application_s_where_the_parameters_name_none(kubectl: Kubectl) -> None:
    spec = unguarded.pod_spec(objects.of_claim("claude-skills-storage"))
    spec["containers"][0]["securityContext"] = {"runAsUser": 1001, "runAsGroup": 1002}
    with policies.protected(kubectl, policies.parameters(inject="true", user=None, group=None)):
        stored = _stored(kubectl, spec)

    for container in stored["spec"]["initContainers"]:
        security = container["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"], security["runAsNonRoot"]) == (1001, 1002, True)


def test_an_image_that_is_left_empty_is_the_policy_s_own(kubectl: Kubectl) -> None:
    with policies.protected(kubectl, policies.parameters(inject="true", image="")):
        stored = _stored(kubectl, unguarded.pod_spec(objects.of_claim("claude-skills-storage")))

    assert {one["image"] for one in stored["spec"]["initContainers"]} == {images.GUARD}


@pytest.mark.parametrize(("on_wipe", "probed"), [("unready", "/readyz"), ("log", None), (None, None)])
def test_the_watcher_is_asked_whether_the_pod_is_ready_where_a_wipe_shall_make_it_unready(
    on_wipe: str | None, probed: str | None, kubectl: Kubectl
) -> None:
    with policies.protected(kubectl, policies.parameters(inject="true", GUARD_ON_WIPE=on_wipe)):
        stored = _stored(kubectl, unguarded.pod_spec(objects.of_claim("claude-skills-storage")))

    gate, watcher = stored["spec"]["initContainers"]
    assert "readinessProbe" not in gate
    assert watcher.get("readinessProbe", {}).get("httpGet", {}).get("path") == probed


def test_an_application_that_names_no_user_and_parameters_that_name_none_leave_it_to_the_image(
    kubectl: Kubectl,
) -> None:
    with policies.protected(kubectl, policies.parameters(inject="true", user=None, group=None)):
        stored = _stored(kubectl, unguarded.pod_spec(objects.of_claim("claude-skills-storage")))

    for container in stored["spec"]["initContainers"]:
        assert not {"runAsUser", "runAsGroup", "runAsNonRoot"} & set(container["securityContext"])


def _named(name: str, **more: object) -> Object:
    """A guard container of the manifest's own, as far as the policies look at it."""
    command = "check" if name == objects.GATE else "watch"
    always = {"restartPolicy": "Always"} if name == objects.WATCHER else {}
    mounts = [{"name": objects.POD_VOLUME, "mountPath": objects.PATH}]
    return {"name": name, "image": "own/volume-guard:1", "args": [command], "volumeMounts": mounts, **always, **more}


GATE, WATCHER = _named(objects.GATE), _named(objects.WATCHER)


def _sidecar(name: str, volume: str) -> Object:
    """A native sidecar of somebody else's, which mounts this volume."""
    mounts = [{"name": volume, "mountPath": "/sidecar"}]
    return {"name": name, "image": "sidecar:1", "restartPolicy": "Always", "volumeMounts": mounts}


#: The first is what GKE's gcsfuse needs before the volume is there; the second touches the volume.
FUSE, READER = _sidecar("fuse", "fuse-tmp"), _sidecar("reader", objects.POD_VOLUME)


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
        ([FUSE], ["fuse", *BOTH]),
        ([FUSE, OWN], ["fuse", *BOTH, "migrate"]),
        ([FUSE, GATE, WATCHER], ["fuse", *BOTH]),
        ([FUSE, OWN, WATCHER, GATE], ["fuse", *BOTH, "migrate"]),
        ([OWN, FUSE], [*BOTH, "migrate", "fuse"]),
        ([WATCHER, FUSE, GATE], [*BOTH, "fuse"]),
        ([READER, FUSE], [*BOTH, "reader", "fuse"]),
        ([FUSE, READER, GATE], ["fuse", *BOTH, "reader"]),
    ],
    ids=lambda containers: "-".join(
        (one if isinstance(one, str) else one["name"]).removeprefix("volume-guard-") for one in containers
    ) or "none",
)  # fmt: skip
def test_whatever_a_manifest_carries_the_pod_has_each_once_and_in_order(
    given: list[Object], stored: list[str], ordered: Kubectl
) -> None:
    spec = unguarded.pod_spec(objects.of_claim("claude-skills-storage"), *given)
    spec["volumes"].append({"name": "fuse-tmp", "emptyDir": {}})
    pod = _stored(ordered, spec)

    assert unguarded.init_names(pod) == stored
    kept = {one["name"]: one["image"] for one in given}
    assert {one["name"]: one["image"] for one in pod["spec"]["initContainers"] if one["name"] in kept} == kept


@pytest.mark.parametrize(
    ("container", "stored"),
    [
        ("name: 'mesh', image: 'mesh:1'", [*BOTH, "mesh", "migrate"]),
        ("name: 'mesh', image: 'mesh:1', restartPolicy: 'Always'", ["mesh", *BOTH, "migrate"]),
    ],
    ids=["container", "native-sidecar"],
)
def test_what_something_later_puts_in_front_stays_there_only_where_it_is_a_sidecar_that_leaves_the_claim_alone(
    container: str, stored: list[str], cluster: Cluster, ordered: Kubectl
) -> None:
    mesh = _mesh(ordered.namespace, container)
    cluster.kubectl.apply(*mesh)
    spec = unguarded.pod_spec(objects.of_claim("claude-skills-storage"), OWN)
    try:
        pod = wait_until("the other policy in force", lambda: _with_mesh(_stored(ordered, spec)), 30)
        assert unguarded.init_names(pod) == stored
    finally:
        for one in mesh:
            cluster.kubectl("delete", one["kind"], one["metadata"]["name"])
        wait_until("the other policy gone", lambda: not _with_mesh(_stored(ordered, spec)), 30)


def _with_mesh(pod: Object) -> Object | None:
    return pod if "mesh" in unguarded.init_names(pod) else None


def _mesh(namespace: str | None, container: str) -> list[Object]:
    """A policy of somebody else, after ours by name, whose container wants to be first as well."""
    policy: Object
    policy, binding = yaml.safe_load_all(MESH.replace("CONTAINER", container))
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    policy["spec"]["matchConstraints"]["namespaceSelector"] = selector
    return [policy, binding]


MESH = """\
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: zz-mesh}
spec:
  reinvocationPolicy: IfNeeded
  matchConstraints:
    resourceRules:
      - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
  matchConditions:
    - name: once
      expression: "!object.spec.?initContainers.orValue([]).exists(container, container.name == 'mesh')"
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: >-
          [JSONPatch{op: 'add', path: '/spec/initContainers/0',
            value: Object.spec.initContainers{CONTAINER}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: zz-mesh}
spec: {policyName: zz-mesh}
"""
