"""The parameters of the project's admission policies (k8s/policy/parameters.yaml), as far as rules ask for them. Pure."""

from collections.abc import Mapping

from guard.doctor.inventory import Inventory
from guard.doctor.kube import Kube, Workload, same_namespace
from guard.doctor.tree import mapping, text

#: The label by which the policies' bindings find their parameters.
LABEL = "volume-guard/parameters"


def asks_for_injection(inventory: Inventory, found: Workload) -> bool:
    """Whether parameters that were given have the guard injected into this workload's pods."""
    labels = mapping(found.kube.body, *found.pod.at[:-1], "metadata", "labels")
    return any(
        same_namespace(kube.namespace, found.kube.namespace) and _selects(kube, labels)
        for kube in inventory.of("ConfigMap")
        if kube.labels.get(LABEL) == "true" and text(kube.body, "data", "inject") == "true"
    )


def _selects(parameters: Kube, labels: Mapping[str, object]) -> bool:
    """Whether `application` (LABEL=VALUE, several with commas) holds of these labels."""
    pairs = [pair.partition("=") for pair in text(parameters.body, "data", "application").split(",")]
    return all(key and labels.get(key) == value for key, _, value in pairs)
