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
IN_FORCE = 30.0


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
    """Whether a pod that mounts nothing is judged, by the first parameters, or, without any, is refused for its label."""
    labels = {INJECTED: "probe"}
    for one in given[:1]:
        labels = dict(pair.split("=") for pair in one["data"]["application"].split(","))
    spec = {"containers": [{"name": "probe", "image": "probe"}]}
    probe = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "labels": labels}, "spec": spec}
    done = dry_run(kubectl, probe)
    return "volume-guard-require" in done.stderr if given else done.returncode != 0


def dry_run(kubectl: Kubectl, given: Object | Path) -> CompletedProcess[str]:
    """Applies an object as a GitOps tool does, up to the point where it would be stored."""
    words = ("apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "--dry-run=server")
    if isinstance(given, Path):
        return kubectl.attempt(*words, f"--filename={given}", "--output=json")
    return kubectl.attempt(*words, "--filename=-", "--output=json", stdin=objects.as_json(given))


def says(case: Path) -> str:
    """The words that the verdict must have, from the head of a case."""
    for line in case.read_text().splitlines():
        if line.startswith("# says: "):
            return line.removeprefix("# says: ")
    raise AssertionError(f"{case} has no line `# says: WORDS`")
