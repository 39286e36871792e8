"""The parameters of the project's admission policies (k8s/policy/parameters.yaml), as far as rules ask for them. Pure."""

from collections.abc import Mapping

from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject, same_namespace
from guard.doctor.objects.workload import Workload
from guard.doctor.source.tree import mapping, text

#: The label by which the policies' bindings find their parameters.
LABEL = "volume-guard/parameters"


def asks_for_injection(index: ObjectIndex, workload: Workload) -> bool:
    """Whether parameters that were given have the guard injected into this workload's pods."""
    labels = mapping(workload.object.body, *workload.pod.at[:-1], "metadata", "labels")
    return any(
        same_namespace(obj.namespace, workload.object.namespace) and _selects(obj, labels)
        for obj in index.of("ConfigMap")
        if obj.labels.get(LABEL) == "true" and text(obj.body, "data", "inject") == "true"
    )


def _selects(parameters: K8sObject, labels: Mapping[str, object]) -> bool:
    """Whether `application` (LABEL=VALUE, several with commas) holds of these labels."""
    pairs = [pair.partition("=") for pair in text(parameters.body, "data", "application").split(",")]
    return all(key and labels.get(key) == value for key, _, value in pairs)
