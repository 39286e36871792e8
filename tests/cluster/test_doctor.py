"""The doctor on live dumps: the incident's application broken in the ways of its rules names the cause, mended nothing."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster import objects, observing, policies
from tests.cluster.conftest import REPOSITORY, Cluster, adopt, namespace
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.waiting import wait_until

#: As README and `guard doctor --help` say it.
DUMP = ("get", "deploy,sts,ds,cj,job,pod,pvc,pv,sc,node,events", "--output=json")
CLAIM = objects.of_claim("adopted")


def _right() -> Object:
    """k8s/deployment.yaml on the adopted claim; its gate doesn't wait, so that a refusal shows at once."""
    deployment = objects.deployment(CLAIM, wait="0s")
    deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1
    return deployment


def _pod_spec(deployment: Object) -> Object:
    spec: Object = deployment["spec"]["template"]["spec"]
    return spec


def _application(deployment: Object) -> Object:
    (container,) = _pod_spec(deployment)["containers"]
    found: Object = container
    return found


def _without_volume(deployment: Object) -> None:
    spec = _pod_spec(deployment)
    spec["initContainers"], spec["volumes"] = [], []
    _application(deployment)["volumeMounts"] = []


def _empty_dir(deployment: Object) -> None:
    _pod_spec(deployment)["volumes"] = [{"name": objects.POD_VOLUME, "emptyDir": {}}]


def _slip_in_the_mount_path(deployment: Object) -> None:
    _application(deployment)["volumeMounts"][0]["mountPath"] = "/app/skill"


def _mounted_over(deployment: Object) -> None:
    _pod_spec(deployment)["volumes"].append({"name": "scratch", "emptyDir": {}})
    _application(deployment)["volumeMounts"].append({"name": "scratch", "mountPath": "/app/skills/acme"})


def _host_path(deployment: Object) -> None:
    folder = {"path": "/var/tmp/skills", "type": "DirectoryOrCreate"}
    _pod_spec(deployment)["volumes"] = [{"name": objects.POD_VOLUME, "hostPath": folder}]


def _claim_of_another_name(deployment: Object) -> None:
    _pod_spec(deployment)["volumes"] = [{"name": objects.POD_VOLUME, **objects.of_claim("adoptd")}]


def _rolling_update(deployment: Object) -> None:
    deployment["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}


def _own_init_container_first(deployment: Object) -> None:
    own = objects.shell("seed", "true")
    _pod_spec(deployment)["initContainers"].insert(0, own)


def _team_s_own_check(deployment: Object) -> None:
    spec = _pod_spec(deployment)
    checked = objects.with_directory_check(deployment)
    spec["initContainers"] = [one for one in _pod_spec(checked)["initContainers"] if one["name"] == "verify-volume"]


@dataclass(frozen=True, slots=True)
class Case:
    """One way to break the application, and the rules that must be named; the first of them first of all."""

    name: str
    damage: Callable[[Object], None]
    rules: tuple[str, ...]


CASES = (
    Case("volume-dropped", _without_volume, ("VG101", "VG204")),
    Case("emptydir", _empty_dir, ("VG106",)),
    Case("slip-in-the-mountpath", _slip_in_the_mount_path, ("VG104",)),
    Case("mounted-over", _mounted_over, ("VG111",)),
    Case("hostpath", _host_path, ("VG108",)),
    Case("claim-of-another-name", _claim_of_another_name, ("VG201",)),
    Case("rolling-update", _rolling_update, ("VG221",)),
    Case("own-init-container-first", _own_init_container_first, ("VG502",)),
    Case("the-team-s-own-check", _team_s_own_check, ("VG508", "VG501")),
)


@pytest.fixture(scope="module")
def home(cluster: Cluster) -> Iterator[Kubectl]:
    """A namespace with the application as it should be, on a volume that outlives its claim."""
    with namespace(cluster, "doctor") as bound:
        adopt(cluster, bound)
        bound("delete", "pod", "adoption", "--wait=true")
        disk = bound.get("pvc", "adopted")["spec"]["volumeName"]
        bound("patch", "pv", disk, "--patch", '{"spec": {"persistentVolumeReclaimPolicy": "Retain"}}')
        yield bound
        bound("patch", "pv", disk, "--patch", '{"spec": {"persistentVolumeReclaimPolicy": "Delete"}}')


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_cause_is_named_first_in_the_broken_state_and_nothing_is_said_in_the_mended_one(
    case: Case, home: Kubectl
) -> None:
    broken = _right()
    case.damage(broken)
    _sync(home, broken)
    found = _diagnosis(_dump(home))
    rules = [finding["rule"] for finding in found]
    assert rules[:1] == list(case.rules[:1]), found
    assert set(case.rules) <= set(rules), found
    # Argo CD wrote it: kubectl can't mend it for long.
    assert "Argo CD" in found[0]["owner"]

    _sync(home, _right())
    observing.wait_application(home)
    assert _diagnosis(_dump(home)) == []


def test_the_file_that_has_the_volume_beside_the_cluster_that_lost_it_is_the_incident(
    home: Kubectl, tmp_path: Path
) -> None:
    file = tmp_path / "deployment.json"
    file.write_text(objects.as_json(_right()))
    dropped = _right()
    _without_volume(dropped)
    _sync(home, dropped)
    live = tmp_path / "live.json"
    live.write_text(_dump(home))

    found = _diagnosis("", str(file), "--live", str(live))

    assert [finding["rule"] for finding in found][:1] == ["VG101"]
    assert found[0]["object"]["side"] == "live"
    assert f"{file}:1 mounts claim adopted there: the file has it, the cluster does not" in found[0]["message"]
    assert "VG303" in {finding["rule"] for finding in found}
    _sync(home, _right())
    observing.wait_application(home)
    live.write_text(_dump(home))
    # Argo CD still owns it; that alone is no harm while both sides agree.
    assert _diagnosis("", str(file), "--live", str(live)) == []


def test_a_claim_that_was_deleted_and_made_again_is_told_with_the_volume_that_holds_the_data(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    adopt(cluster, kubectl)
    old = kubectl.get("pvc", "adopted")["spec"]["volumeName"]
    kubectl("patch", "pv", old, "--patch", '{"spec": {"persistentVolumeReclaimPolicy": "Retain"}}')
    try:
        kubectl("delete", "pod", "adoption")
        kubectl("delete", "pvc", "adopted")
        kubectl.apply(objects.claim("adopted", cluster.storage_class))
        _sync(kubectl, _right())
        wait_until("the new volume", lambda: kubectl.get("pvc", "adopted")["spec"].get("volumeName"), observing.START)
        wait_until("the refusal", lambda: _gate_refused(kubectl), observing.START)

        found = _diagnosis(_dump(kubectl))

        assert found[0]["rule"] == "VG205"
        assert old in found[0]["message"]
        assert not any("delete pv" in finding["fix"] for finding in found)
        _rescue(kubectl, found[0]["fix"], cluster.storage_class)
        assert (kubectl.get("pvc", "adopted-old")["spec"]["volumeName"], _reclaim(kubectl, old)) == (old, "Retain")
        assert old != kubectl.get("pvc", "adopted")["spec"]["volumeName"]
    finally:
        kubectl("patch", "pv", old, "--patch", '{"spec": {"persistentVolumeReclaimPolicy": "Delete"}}')


def _rescue(kubectl: Kubectl, fix: str, storage_class: str | None) -> None:
    """Does what the fix prints, and looks at the volume in a pod of its own, whose gate passes on the old data."""
    commands = re.findall(r"kubectl (patch pv .+? '[^']+')", fix)
    assert len(commands) == 2, fix
    for command in commands:
        kubectl(*shlex.split(command))
    printed = re.search(r"Make claim (\S+) with volumeName: (\S+) and storageClassName: ([^\s,]+)", fix)
    assert printed is not None, fix
    name, volume, named_class = printed.groups()
    assert (name, named_class) == ("adopted-old", storage_class)
    old = objects.claim(name, named_class)
    old["spec"]["volumeName"] = volume
    kubectl.apply(old, objects.pod("look", objects.of_claim(name)))
    assert observing.ending(kubectl, "look", objects.GATE).status == 0
    assert observing.wait_event(kubectl, "look", objects.GATE, "volume.ok")["files"] == 100


def _reclaim(kubectl: Kubectl, volume: str) -> str:
    policy: str = kubectl.get("pv", volume)["spec"]["persistentVolumeReclaimPolicy"]
    return policy


def test_a_claim_of_a_class_that_does_not_exist_is_told_as_the_reason_why_it_is_pending(kubectl: Kubectl) -> None:
    kubectl.apply(objects.claim("adopted", "standard-rwo"))
    _sync(kubectl, _right())
    wait_until(
        "the event that says why",
        lambda: kubectl.every("events", fieldSelector="reason=ProvisioningFailed"),
        observing.START,
    )

    rules = [finding["rule"] for finding in _diagnosis(_dump(kubectl))]

    assert set(rules[:2]) == {"VG202", "VG208"}


def test_this_project_s_own_policies_are_recognised_and_found_idle_while_they_only_warn(home: Kubectl) -> None:
    _sync(home, _right())
    observing.wait_application(home)
    assert {"VG509", "VG510"} & {rule["rule"] for rule in _answer(_dump(home))["unknown"]} == {"VG509"}

    judged = _answer(_as_if_applied(home, policies.REQUIRE))
    assert judged["findings"] == []
    assert not {"VG509", "VG510"} & {rule["rule"] for rule in judged["unknown"]}

    assert [finding["rule"] for finding in _diagnosis(_as_if_applied(home, policies.WARN))] == ["VG510"]


def _gate_refused(kubectl: Kubectl) -> bool:
    pods = observing.application_pods(kubectl)
    return any("terminated" in observing.container_status(pod, objects.GATE).get("lastState", {}) for pod in pods)


def _sync(kubectl: Kubectl, deployment: Object) -> None:
    """Applies it as Argo CD does, with its mark, and waits until its pods are those of this template."""
    tracked = f"claude-skills:apps/Deployment:{kubectl.namespace}/claude-skills"
    deployment["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": tracked}
    kubectl(
        "apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "--filename=-",
        stdin=objects.as_json(deployment),
    )  # fmt: skip
    wait_until("the pods of this template, alone", lambda: _settled(kubectl), observing.START)


def _settled(kubectl: Kubectl) -> bool:
    deployment = kubectl.get("deployment", "claude-skills")
    seen = deployment.get("status", {}).get("observedGeneration") == deployment["metadata"]["generation"]
    revision = deployment["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision")
    current = {
        one["metadata"]["labels"]["pod-template-hash"]
        for one in kubectl.every("replicasets")
        if one["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == revision
    }
    pods = observing.application_pods(kubectl)
    # While the old pods still end, a Deployment that recreates has seen the template, but has no ReplicaSet of it yet.
    seen = seen and deployment["status"].get("updatedReplicas") == len(pods)
    return seen and bool(pods) and {pod["metadata"]["labels"]["pod-template-hash"] for pod in pods} == current


def _dump(kubectl: Kubectl) -> str:
    """What the README's line gives, less the volumes of what else runs in this cluster."""
    dumped = json.loads(kubectl(*DUMP))
    dumped["items"] = [
        one
        for one in dumped["items"]
        if one["kind"] != "PersistentVolume" or one["spec"].get("claimRef", {}).get("namespace") == kubectl.namespace
    ]
    return json.dumps(dumped)


def _as_if_applied(kubectl: Kubectl, kustomization: Path) -> str:
    """A dump with policies as they would be after `kubectl apply`: they are the whole cluster's, and other tests' too."""
    applied = json.loads(kubectl("apply", "--dry-run=server", f"--kustomize={kustomization}", "--output=json"))
    items = [*json.loads(_dump(kubectl))["items"], *applied["items"]]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _diagnosis(dumped: str, *words: str) -> list[Object]:
    """The doctor's findings."""
    found: list[Object] = _answer(dumped, *words)["findings"]
    return found


def _answer(dumped: str, *words: str) -> Object:
    """All that the doctor says."""
    done = subprocess.run(
        [sys.executable, "-m", "guard", "doctor", *(words or ("-",)), "--output=json"],
        cwd=REPOSITORY, input=dumped, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in {0, 40}, done.stderr
    answer: Object = json.loads(done.stdout)
    return answer
