"""k8s/kustomize/examples, in a real cluster: applied, adopted as their pages say, guarded. A stand-in writes for each application."""

import yaml

from tests.cluster import images, objects, observing
from tests.cluster.conftest import Cluster
from tests.cluster.kubectl import Kubectl, Object

EXAMPLES = sorted((objects.MANIFESTS / "kustomize" / "examples").iterdir())
WRITE = "import pathlib, time; [pathlib.Path(PATH, str(n)).write_text('x') for n in range(10)]; time.sleep(600)"


def _stand_in(one: Object, storage_class: str | None) -> Object:
    """The same with an application that is to be had here, on the cluster's class for tests."""
    spec = one.get("spec", {})
    claims = (
        [spec] if one["kind"] == "PersistentVolumeClaim" else [c["spec"] for c in spec.get("volumeClaimTemplates", [])]
    )
    for claim in claims:
        if storage_class is not None:
            claim["storageClassName"] = storage_class
        claim["resources"]["requests"]["storage"] = "64Mi"
    if "template" in spec:
        pod = spec["template"]["spec"]
        pod["terminationGracePeriodSeconds"] = 1
        (application,) = pod["containers"]
        del application["readinessProbe"]
        path = application["volumeMounts"][0]["mountPath"]
        application |= {"image": images.APPLICATION, "command": ["python", "-c", WRITE.replace("PATH", repr(path))]}
    return one


def test_an_example_waits_for_its_adoption_and_is_guarded_then(cluster: Cluster, kubectl: Kubectl) -> None:
    for folder in EXAMPLES:
        rendered = yaml.safe_load_all(kubectl("kustomize", str(folder)))
        kubectl.apply(*(_stand_in(one, cluster.storage_class) for one in rendered))
    for name in (folder.name for folder in EXAMPLES):
        pod = observing.wait_gate(kubectl, app=name)["metadata"]["name"]
        adopted = kubectl.execute(pod, objects.GATE, "guard", "adopt")
        assert adopted.returncode == 0, adopted.stderr
    for name in (folder.name for folder in EXAMPLES):
        pod = observing.wait_application(kubectl, app=name)["metadata"]["name"]
        passed = observing.wait_event(kubectl, pod, objects.GATE, "volume.ok")
        assert passed["volume"] == f"{name}-data"
        observing.wait_event(kubectl, pod, objects.WATCHER, "watch.started")
