"""VolumeSnapshots behind the gate: one for each pass, none for a wiped volume. No snapshotter runs here: the objects count."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster import backups, images, objects, observing
from tests.cluster.conftest import LAYOUT, Cluster, namespace, say
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.kubernetes import cluster as kubernetes
from tests.cluster.kubernetes import loading, packages
from tests.cluster.kubernetes.command import run
from tests.cluster.waiting import wait_until

#: Where the snapshotter's own definitions of its kinds come from.
SNAPSHOTTER = "github.com/kubernetes-csi/external-snapshotter/client/v8@v8.2.0"
CRON = "claude-skills-snapshots"


@pytest.fixture(scope="module")
def with_snapshots(cluster: Cluster, builder: images.Builder) -> Cluster:
    """The cluster with the snapshotter's kinds in its API, and an image of kubectl on its nodes."""
    if not cluster.own:
        pytest.skip("brings CustomResourceDefinitions and an image into the cluster: only into one of our own")
    packages.need_go()
    with tempfile.TemporaryDirectory() as folder:
        module = json.loads(run("go", "mod", "download", "-json", SNAPSHOTTER, cwd=Path(folder)))
    definitions = sorted(Path(module["Dir"], "config", "crd").glob("snapshot.storage.k8s.io_*.yaml"))
    assert len(definitions) == 3
    cluster.kubectl("apply", "--server-side", *(f"--filename={one}" for one in definitions))
    cluster.kubectl("wait", "--for=condition=Established", *(f"--filename={one}" for one in definitions))
    builder.kubectl(Path(cluster.kubectl.program).resolve())
    identities = {images.KUBECTL: builder.identity(images.KUBECTL)}
    kubernetes.load(LAYOUT, [builder.archive(name) for name in loading.missing(LAYOUT, identities)], say)
    loading.remember(LAYOUT, identities)
    return cluster


@pytest.fixture
def prepared(with_snapshots: Cluster) -> Iterator[Kubectl]:
    """A running application, and k8s/backup/snapshots."""
    with namespace(with_snapshots, "snapshots") as kubectl:
        kubectl.apply(
            objects.claim(backups.DATA, with_snapshots.storage_class),
            objects.task(
                "adoption",
                objects.of_claim(backups.DATA),
                objects.upload("acme", "reports", 40),
                objects.guard("adopt"),
            ),
        )
        observing.wait_succeeded(kubectl, "adoption")
        kubectl.apply(objects.deployment(objects.of_claim(backups.DATA), without=(objects.WATCHER,)))
        observing.wait_application(kubectl)
        kubectl.apply(*_manifests(kubectl))
        yield kubectl


def _manifests(kubectl: Kubectl) -> list[Object]:
    folder = objects.MANIFESTS / "backup" / "snapshots"
    text = "".join((folder / name).read_text() for name in ("class.yaml", "snapshots.yaml"))
    made = [one for one in yaml.safe_load_all(text.replace("namespace: dev", f"namespace: {kubectl.namespace}")) if one]
    (cron,) = (one for one in made if one["kind"] == "CronJob")
    cron["spec"]["suspend"] = True
    # No kube-proxy runs here, so the API server's Service has no address that answers: it is asked where it listens.
    pod = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    pod["hostNetwork"] = True
    pod["containers"][0]["env"] = [
        {"name": "KUBERNETES_SERVICE_HOST", "value": "127.0.0.1"},
        {"name": "KUBERNETES_SERVICE_PORT", "value": "6443"},
    ]
    return made


def _condition(kubectl: Kubectl, job: str) -> Object:
    def look() -> Object | None:
        conditions = kubectl.get("job", job).get("status", {}).get("conditions", [])
        return next((one for one in conditions if one["type"] in {"Complete", "Failed"}), None)

    return wait_until(f"the end of Job {job}", look, backups.RUN)


def test_each_pass_of_the_gate_makes_one_snapshot_and_a_wiped_volume_none(prepared: Kubectl) -> None:
    backups.start(prepared, CRON, "passed")
    assert _condition(prepared, "passed")["type"] == "Complete"
    (snapshot,) = prepared.every("volumesnapshots")
    assert snapshot["metadata"]["name"].startswith("claude-skills-")
    assert snapshot["spec"]["source"] == {"persistentVolumeClaimName": backups.DATA}

    pod = observing.wait_application(prepared)["metadata"]["name"]
    wiped = prepared.execute(pod, objects.APPLICATION, "sh", "-c", f"rm -rf {objects.PATH}/*")
    assert wiped.returncode == 0, wiped.stderr
    backups.start(prepared, CRON, "refused")
    assert _condition(prepared, "refused")["reason"] == "PodFailurePolicy"
    (refused,) = backups.pods_of(prepared, "refused")
    assert observing.ending(prepared, refused["metadata"]["name"], "volume-guard").status == 30
    assert prepared.every("volumesnapshots") == [snapshot]


def test_the_account_can_make_snapshots_and_nothing_else(prepared: Kubectl) -> None:
    account = f"--as=system:serviceaccount:{prepared.namespace}:{CRON}"
    allowed = {
        (verb, kind): prepared.attempt("auth", "can-i", verb, kind, account).stdout.strip()
        for verb, kind in (
            ("create", "volumesnapshots"), ("delete", "volumesnapshots"), ("list", "volumesnapshots"),
            ("get", "secrets"), ("create", "pods"), ("delete", "persistentvolumeclaims"),
        )
    }  # fmt: skip
    assert {what for what, answer in allowed.items() if answer == "yes"} == {("create", "volumesnapshots")}
