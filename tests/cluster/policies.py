"""The admission policies of k8s/policy in a cluster: applied, and in force. What they decide is the tests' matter."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import yaml

from tests.cluster import objects
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.waiting import wait_until

FOLDER = objects.MANIFESTS / "policy"
REQUIRE, WARN = FOLDER / "require" / "deny", FOLDER / "require" / "warn"
INJECT, KEEP = FOLDER / "inject", FOLDER / "keep"
#: Objects named for their verdict: allowed-, denied- or warned-.
CASES = Path(__file__).parent / "policy"
PROTECTED, INJECTED = "volume-guard/protected", "volume-guard/inject"
#: A policy, a parameter or a label is in force once the API server's own watch has brought it: well below a second.
IN_FORCE = 60.0


def apply(kubectl: Kubectl, folder: Path) -> None:
    """Applies a folder of manifests, or a kustomization."""
    kustomized = (folder / "kustomization.yaml").exists()
    kubectl("apply", f"--kustomize={folder}" if kustomized else f"--filename={folder}")


def parameters(**changes: str | None) -> Object:
    """k8s/policy/parameters.yaml for any namespace, with other values; None leaves a key out."""
    given = objects.manifest("policy/parameters.yaml")
    del given["metadata"]["namespace"]
    given["data"] = {key: value for key, value in {**given["data"], **changes}.items() if value is not None}
    return given


def parameters_of(folder: Path) -> list[Object]:
    """The parameters that a folder of cases brings."""
    return list(yaml.safe_load_all((folder / "parameters.yaml").read_text()))


@contextmanager
def protected(kubectl: Kubectl, *given: Object) -> Iterator[None]:
    """Puts the namespace under the policies, which must be in the cluster, and waits until they are in force there.

    Args:
        kubectl: Of the namespace.
        given: Parameters; without any the label alone is waited for.
    """
    if given:
        kubectl.apply(*given)
    kubectl("label", "namespace", kubectl.namespace, f"{PROTECTED}=true")
    try:
        wait_until("the policies in force", lambda: _in_force(kubectl, *given), IN_FORCE)
        yield
    finally:
        # Without it neither the namespace nor its claims can be deleted.
        kubectl("label", "namespace", kubectl.namespace, f"{PROTECTED}-")
        wait_until("the policies no longer in force", lambda: not _in_force(kubectl, *given), IN_FORCE)


def _in_force(kubectl: Kubectl, *given: Object) -> bool:
    """Whether all parameters are in force; without any, whether the label is judged."""
    if not given:
        return dry_run(kubectl, _probe({INJECTED: "probe"})).returncode != 0
    return all(_of_parameters_in_force(kubectl, one) for one in given)


def _of_parameters_in_force(kubectl: Kubectl, given: Object) -> bool:
    """Whether a pod that mounts nothing is judged and, if they order it, gets the guard, and whether they are kept."""
    labels = dict(pair.split("=") for pair in given["data"]["application"].split(","))
    if "volume-guard-require" not in dry_run(kubectl, _probe(labels)).stderr:
        return False
    glass = {"volume-guard/break-glass": "probe"}
    injected = given["data"].get("inject") != "true" or objects.GATE in dry_run(kubectl, _probe(labels, glass)).stdout
    kept = kubectl.attempt("delete", "configmap", given["metadata"]["name"], "--dry-run=server")
    return injected and "volume-guard-keep-parameters" in kept.stderr


def _probe(labels: dict[str, str], annotations: dict[str, str] | None = None) -> Object:
    spec = {"containers": [{"name": "probe", "image": "probe"}]}
    metadata = {"name": "probe", "labels": labels, "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def dry_run(kubectl: Kubectl, given: Object | Path) -> CompletedProcess[str]:
    """Applies an object as a GitOps tool does, up to the point where it would be stored."""
    words = ("apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "--dry-run=server")
    if isinstance(given, Path):
        return kubectl.attempt(*words, f"--filename={given}", "--output=json")
    return kubectl.attempt(*words, "--filename=-", "--output=json", stdin=objects.as_json(given))


def create(kubectl: Kubectl, *given: Object) -> CompletedProcess[str]:
    """Creates objects, up to the point where they would be stored: a server-side apply would merge some of it."""
    listed = {"apiVersion": "v1", "kind": "List", "items": given}
    return kubectl.attempt("create", "--dry-run=server", "--filename=-", stdin=objects.as_json(listed))


def assert_judged(done: CompletedProcess[str], words: str, times: int = 1) -> None:
    """Fails unless volume-guard-require refused each object in these words; without words: unless all passed without any."""
    if not words:
        assert (done.returncode, done.stderr) == (0, "")
        return
    assert done.returncode != 0, done.stdout
    refused = "ValidatingAdmissionPolicy 'volume-guard-require' with binding 'volume-guard-require' denied"
    assert (done.stderr.count(refused), done.stderr.count(words)) == (times, times), done.stderr


def says(case: Path) -> str:
    """The words that the verdict must have, from the head of a case."""
    for line in case.read_text().splitlines():
        if line.startswith("# says: "):
            return line.removeprefix("# says: ")
    raise AssertionError(f"{case} has no line `# says: WORDS`")
