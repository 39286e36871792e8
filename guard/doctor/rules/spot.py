"""Whether a workload's pods run on spot nodes: by selector, affinity, toleration, or the node they are on. Pure."""

from enum import Enum

from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.workload import Workload
from guard.doctor.source.document import Side
from guard.doctor.source.tree import Path, mapping, mappings, text, texts

#: Node labels of spot capacity, with the value that says so.
SPOT_LABELS = {
    "cloud.google.com/gke-spot": "true",
    "cloud.google.com/gke-preemptible": "true",
    "cloud.google.com/gke-provisioning": "spot",
    "eks.amazonaws.com/capacityType": "SPOT",
    "karpenter.sh/capacity-type": "spot",
    "kubernetes.azure.com/scalesetpriority": "spot",
}
#: Of these, the labels that other nodes do not have at all; the rest carry another value there.
_ONLY_ON_SPOT = frozenset(
    {"cloud.google.com/gke-spot", "cloud.google.com/gke-preemptible", "kubernetes.azure.com/scalesetpriority"}
)
_REQUIRED = ("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")


class Exposure(Enum):
    """Whether pods run on spot nodes."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


def exposure(user: Workload, index: ObjectIndex) -> tuple[Exposure, str, Path]:
    """Whether the pods run on spot nodes, the fact that tells it, and where it stands."""
    pod, at = user.pod.body, user.pod.at
    selected = [(label, str(value)) for label, value in mapping(pod, "nodeSelector").items() if label in SPOT_LABELS]
    if selected:
        # All labels of a selector hold together: one that only other nodes have keeps the pod off, so it comes first.
        label, value = min(selected, key=lambda pair: _is_spot(*pair))
        verdict = Exposure.YES if _is_spot(label, value) else Exposure.NO
        return verdict, f"nodeSelector {label}: {value}", (*at, "nodeSelector", label)
    terms = [_term(term) for _, term in mappings(pod, *_REQUIRED)]
    if terms and all(verdict is Exposure.NO for verdict, _ in terms):
        return Exposure.NO, terms[0][1], (*at, "affinity")
    if terms and all(verdict is Exposure.YES for verdict, _ in terms):
        return Exposure.YES, terms[0][1], (*at, "affinity")
    for other in (user, *index.pods_of(user)):
        node = _node(other.object, index)
        label = _spot_label(node) if node else ""
        if node and label:
            return Exposure.YES, f"its pod runs on node {node.name}, which has {label}", at
    for _, toleration in mappings(pod, "tolerations"):
        if text(toleration, "key") in SPOT_LABELS:
            return (
                Exposure.YES,
                f"it tolerates {text(toleration, 'key')} and nothing keeps it off such nodes",
                (*at, "tolerations"),
            )
    nodes = index.live("Node")
    if nodes and not any(map(_spot_label, nodes)):
        return Exposure.NO, f"none of the {len(nodes)} nodes given is a spot node", at
    return Exposure.UNKNOWN, "the pod may run on any node", at


def _term(term: object) -> tuple[Exposure, str]:
    """What one term of a required node affinity says; its expressions all hold together."""
    for _, expression in mappings(term, "matchExpressions"):
        key, operator = text(expression, "key"), text(expression, "operator")
        spot = SPOT_LABELS.get(key)
        if spot is None:
            continue
        has = spot in texts(expression, "values")
        only = key in _ONLY_ON_SPOT
        if (operator == "DoesNotExist" and only) or (operator == "NotIn" and has) or (operator == "In" and not has):
            return Exposure.NO, f"nodeAffinity {key} {operator}"
        if (operator == "Exists" and only) or (operator == "In" and set(texts(expression, "values")) == {spot}):
            return Exposure.YES, f"nodeAffinity {key} {operator}"
    return Exposure.UNKNOWN, ""


def _node(obj: K8sObject, index: ObjectIndex) -> K8sObject | None:
    name = obj.text("spec", "nodeName") if obj.kind == "Pod" else ""
    return index.find("Node", "", name, Side.LIVE) if name else None


def _spot_label(node: K8sObject) -> str:
    return next((label for label in SPOT_LABELS if _is_spot(label, text(node.labels, label))), "")


def _is_spot(label: str, value: str) -> bool:
    return value.lower() == SPOT_LABELS[label].lower()
