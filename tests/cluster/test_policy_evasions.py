"""volume-guard-require against objects and acts that would get past it: without the gate, or without the volume.

Whoever may write the application's objects may also break the glass, with a word in the audit log. What is refused here
gets past without one: by accident, by a tool's merge, or by a hurried hand.
"""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster import images, objects, policies, unguarded
from tests.cluster.conftest import Cluster, namespace
from tests.cluster.kubectl import Kubectl, Object

pytestmark = pytest.mark.usefixtures("admission_policies")

NO_GATE, NO_WATCHER = "has no gate before everything else", "has no watcher"
NO_VOLUME, ELSEWHERE, OBSERVES = "would lose its data", "would look at something else", "would let the pod start"
CLAIM = objects.of_claim("claude-skills-storage")
MOUNT = {"name": objects.POD_VOLUME, "mountPath": objects.PATH}


def _pod_spec() -> Object:
    spec: Object = objects.deployment(CLAIM)["spec"]["template"]["spec"]
    return spec


def _container(spec: Object, name: str) -> Object:
    found: Object = next(one for one in [*spec["initContainers"], *spec["containers"]] if one["name"] == name)
    return found


@dataclass(frozen=True, slots=True)
class Change:
    """What is changed in the project's own pod, and the words of the refusal; without words it is let through.

    Attributes:
        name: For the test's report.
        words: What the refusal must say.
        on: The container that is changed.
        fields: Its fields, in place of those that it has.
        environment: Entries of its env, in place of those of the same name.
        mounts: More of its volumeMounts.
        volumes: More of the pod's volumes.
    """

    name: str
    words: str = ""
    on: str = objects.GATE
    fields: dict[str, Any] | None = None
    environment: tuple[Object, ...] = ()
    mounts: tuple[Object, ...] = ()
    volumes: tuple[Object, ...] = ()

    def pod_spec(self) -> Object:
        spec = _pod_spec()
        container = _container(spec, self.on)
        container.update(copy.deepcopy(self.fields or {}))
        names = {entry["name"] for entry in self.environment}
        container["env"] = [entry for entry in container["env"] if entry["name"] not in names] + [*self.environment]
        container["volumeMounts"] += self.mounts
        spec["volumes"] += self.volumes
        return spec


def _set(name: str, value: str) -> tuple[Object, ...]:
    return ({"name": f"GUARD_{name}", "value": value},)


def _from_map(name: str) -> tuple[Object, ...]:
    return ({"name": f"GUARD_{name}", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": name}}},)


def _over(name: str, path: str, **source: Any) -> dict[str, Any]:
    return {"mounts": ({"name": name, "mountPath": path},), "volumes": ({"name": name, **source},)}


WATCHER, APPLICATION = objects.WATCHER, objects.APPLICATION
TOKEN = {"sources": [{"serviceAccountToken": {"path": "token"}}]}
SETTINGS = [{"configMapRef": {"name": "settings"}}]
BY_NAME = {"fields": {"envFrom": SETTINGS}}
TEMPLATE = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
CHANGES = (
    # The gate is there, and lets everything through.
    Change("observes", OBSERVES, environment=_set("ENFORCE", "false")),
    Change("observes-in-other-words", OBSERVES, environment=_set("ENFORCE", "Off")),
    Change("observes-by-a-reference", OBSERVES, environment=_from_map("ENFORCE")),
    Change("observes-by-expansion", OBSERVES, environment=({"name": "X", "value": "0"}, *_set("ENFORCE", "$(X)"))),
    Change("observes-by-a-flag", OBSERVES, fields={"args": ["check", "--enforce", "false"]}),
    Change("observes-by-an-expanded-flag", NO_GATE, environment=({"name": "X", "value": "--enforce=false"},),
        fields={"args": ["check", "$(X)"]}),
    Change("enforces-in-other-words", environment=_set("ENFORCE", "1")),
    Change("enforces-by-default", environment=_set("ENFORCE", "")),
    # It isn't the guard.
    Change("another-image", NO_GATE, fields={"image": images.APPLICATION}),
    Change("another-image-of-a-watcher", NO_WATCHER, on=WATCHER, fields={"image": "busybox"}),
    Change("another-image-by-digest", NO_GATE, fields={"image": f"ghcr.io/uengine-oss/server@sha256:{'0' * 64}"}),
    Change("a-mirror-s-image", fields={"image": f"mirror:5000/cache/volume-guard@sha256:{'0' * 64}"}),
    Change("the-guard-in-another-image", fields={"image": images.GUARDED_APPLICATION, "command": ["guard"]}),
    Change("a-shell", NO_GATE, fields={"command": ["sh", "-c", "exit 0"]}),
    Change("never-restarted", NO_GATE, fields={"restartPolicy": "Always"}),
    # It looks at something else.
    Change("path-of-a-map", ELSEWHERE, environment=_from_map("PATH")),
    Change("path-by-expansion", ELSEWHERE, environment=({"name": "X", "value": "/tmp"}, *_set("PATH", "$(X)"))),
    Change("every-setting-of-a-map-that-it-names-itself", fields={"envFrom": SETTINGS}),
    Change("watcher-whose-path-can-come-from-a-map", ELSEWHERE, on=WATCHER,
        fields={"envFrom": SETTINGS, "env": [{"name": "GUARD_VOLUME", "value": objects.VOLUME}]}),
    Change("gate-on-a-subpath-of-the-pod-s-name", ELSEWHERE,
        fields={"volumeMounts": [{**MOUNT, "subPathExpr": "$(GUARD_POD)"}]}),
    Change("gate-with-another-volume-over-the-claim", ELSEWHERE, **_over("scratch", "/app/skills/", emptyDir={})),
    Change("gate-with-another-volume-in-the-claim", ELSEWHERE, **_over("scratch", "/app/skills/acme", emptyDir={})),
    Change("gate-with-another-volume-by-dots", ELSEWHERE, **_over("scratch", "/app/x/../skills", emptyDir={})),
    Change("gate-with-a-scratch-folder", **_over("scratch", "/tmp", emptyDir={})),
    Change("gate-that-only-reads", fields={"volumeMounts": [{**MOUNT, "readOnly": True}]},
        environment=_set("WRITABLE", "false")),
    Change("gate-by-the-claim-s-second-name", fields={"volumeMounts": [{"name": "again", "mountPath": objects.PATH}]},
        volumes=({"name": "again", **CLAIM},)),
    # The application isn't on the volume.
    Change("projected-over-the-path", NO_VOLUME, APPLICATION, **_over("token", "/app/skills/", projected=TOKEN)),
    Change("node-s-folder-over-the-path", NO_VOLUME, APPLICATION,
        **_over("node", "/app/skills/", hostPath={"path": "/srv"})),
    Change("node-s-folder-below-the-path", "which hides what the claim holds", APPLICATION,
        **_over("node", "/app/skills/acme", hostPath={"path": "/srv"})),
    Change("node-s-folder-above-the-path", on=APPLICATION, **_over("node", "/app", hostPath={"path": "/srv"})),
    Change("node-s-folder-by-dots", "which hides what the claim holds", APPLICATION,
        **_over("node", "/app/x/../skills", hostPath={"path": "/srv"})),
    Change("subpath-of-the-pod-s-name", "with subPath", APPLICATION,
        fields={"volumeMounts": [{**MOUNT, "subPathExpr": "$(PYTHONUNBUFFERED)"}]}),
    Change("a-claim-of-the-pod-s-own", NO_VOLUME, APPLICATION, fields={"volumeMounts": []},
        **_over("own", objects.PATH, ephemeral={"volumeClaimTemplate": TEMPLATE})),
    Change("an-image-as-a-volume", NO_VOLUME, APPLICATION, fields={"volumeMounts": []},
        **_over("content", objects.PATH, image={"reference": images.CONTENT})),
    Change("a-raw-device", NO_VOLUME, APPLICATION,
        fields={"volumeMounts": [], "volumeDevices": [{"name": objects.POD_VOLUME, "devicePath": objects.PATH}]}),
    Change("another-name-of-the-container", "looked for container claude-skills", APPLICATION, fields={"name": "web"}),
    Change("the-claim-by-its-second-name", on=APPLICATION,
        fields={"volumeMounts": [{"name": "again", "mountPath": objects.PATH}]}, volumes=({"name": "again", **CLAIM},)),
    Change("application-that-only-reads", on=APPLICATION, fields={"volumeMounts": [{**MOUNT, "readOnly": True}]}),
    Change("another-command-of-the-application", on=APPLICATION, fields={"command": ["sleep", "1d"]}),
)  # fmt: skip


@pytest.fixture(scope="module")
def strict(cluster: Cluster) -> Iterator[Kubectl]:
    """kubectl on a namespace under the policies in which no object is ever stored."""
    with namespace(cluster, "policy-evasions") as bound, policies.protected(bound, policies.parameters()):
        yield bound


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_change_that_takes_gate_or_volume_away_is_refused_for_what_it_does_and_no_other(
    change: Change, strict: Kubectl
) -> None:
    deployment, pod = unguarded.workload("Deployment", change.pod_spec()), unguarded.pod(change.pod_spec())
    policies.assert_judged(policies.create(strict, deployment, pod), change.words, times=2)


def test_a_gate_only_observes_where_the_parameters_allow_it(kubectl: Kubectl) -> None:
    observing_gate = Change("observes", environment=_set("ENFORCE", "false")).pod_spec()
    with policies.protected(kubectl, policies.parameters(enforce="false")):
        policies.assert_judged(policies.create(kubectl, unguarded.pod(observing_gate)), "")


def test_an_image_of_any_name_is_the_guard_s_where_the_parameters_name_it_whatever_its_version(
    kubectl: Kubectl,
) -> None:
    spec = _pod_spec()
    for name in (objects.GATE, objects.WATCHER):
        _container(spec, name)["image"] = "mirror:5000/gate:0.1.0"
    with policies.protected(kubectl, policies.parameters(image="mirror:5000/gate:0.2.0")):
        policies.assert_judged(policies.create(kubectl, unguarded.pod(spec)), "")


def _many(spec: Object, containers: int, mounts: int) -> Object:
    """A pod with so much in it that it fills a good part of what the API server takes."""
    spec["volumes"] += [{"name": f"v{n}", "emptyDir": {}} for n in range(mounts)]
    more = [{"name": f"v{n}", "mountPath": f"/var/lib/a/rather/long/path/{n}"} for n in range(mounts)]
    spec["containers"] += [{"name": f"c{n}", "image": "a:1", "volumeMounts": more} for n in range(containers)]
    spec["containers"][0]["volumeMounts"] += more
    return unguarded.workload("Deployment", spec)


def test_a_huge_object_is_judged_like_any_other(strict: Kubectl) -> None:
    right = _many(_pod_spec(), 100, 100)
    assert len(json.dumps(right)) > 500_000
    policies.assert_judged(policies.create(strict, right), "")
    policies.assert_judged(policies.create(strict, _many(unguarded.pod_spec(CLAIM), 100, 100)), NO_GATE)


def test_a_statefulset_s_template_of_the_volume_s_name_takes_its_place(strict: Kubectl) -> None:
    both = unguarded.workload("StatefulSet", _pod_spec())
    policies.assert_judged(policies.create(strict, both), "")
    both["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": objects.POD_VOLUME}, **TEMPLATE}]
    policies.assert_judged(policies.create(strict, both), NO_VOLUME)
