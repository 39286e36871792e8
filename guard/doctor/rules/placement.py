"""Where a workload's pods can run: on one node only, beside another pod, on spot nodes. Pure."""

from guard.doctor.finding import Answer
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.workload import Workload
from guard.doctor.source.document import Side
from guard.doctor.source.tree import Path, mapping, mappings, text, texts

HOSTNAME = "kubernetes.io/hostname"
#: Where the terms of a required node affinity are in a pod.
REQUIRED = ("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
#: Node labels of spot capacity, with the value that means it.
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


def is_bound_to_one_node(workload: Workload) -> bool:
    """Whether its author bound the pod to one node; a live pod's own nodeName is the scheduler's."""
    is_named = workload.pod.get("nodeName") and not (workload.kind == "Pod" and workload.is_live)
    is_static = workload.controller[0] == "Node"  # the node's own kubelet runs it
    is_selected = HOSTNAME in mapping(workload.pod, "nodeSelector") or len(_nodes(workload)) == 1
    return bool(is_named or is_static or is_selected)


def _nodes(workload: Workload) -> frozenset[str]:
    """Returns the nodes that a required node affinity leaves; empty if it leaves them open. One of its terms is enough."""
    nodes: set[str] = set()
    for term in mappings(workload.pod, *REQUIRED):
        named = [
            set(texts(one, "values"))
            for one in (*mappings(term, "matchExpressions"), *mappings(term, "matchFields"))
            if text(one, "key") in {HOSTNAME, "metadata.name"} and text(one, "operator") == "In"
        ]
        if not named:
            return frozenset()
        nodes |= set.intersection(*named)
    return frozenset(nodes)


def follows_another_pod(workload: Workload) -> bool:
    """Whether its pods must run on the node of other pods."""
    terms = mappings(workload.pod, "affinity", "podAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    return any(text(term, "topologyKey") == HOSTNAME for term in terms)


def exposure(user: Workload, index: ObjectIndex) -> tuple[Answer, str, Path]:
    """Returns whether the pods run on spot nodes, the fact that shows it, and where that is written."""
    pod, at = user.pod, user.pod_at
    selected = [(label, str(value)) for label, value in mapping(pod, "nodeSelector").items() if label in SPOT_LABELS]
    if selected:
        # All labels of a selector hold together: one that only other nodes have keeps the pod off, so it comes first.
        label, value = min(selected, key=lambda pair: _is_spot(*pair))
        answer = Answer.YES if _is_spot(label, value) else Answer.NO
        return answer, f"nodeSelector {label}: {value}", (*at, "nodeSelector", label)
    terms = [_term(term) for term in mappings(pod, *REQUIRED)]
    answers = {answer for answer, _ in terms}
    if len(answers) == 1 and Answer.UNKNOWN not in answers:
        return *terms[0], (*at, "affinity")
    for other in (user, *index.pods_of(user)):
        name = other.text("spec", "nodeName") if other.kind == "Pod" else ""
        node = index.find("Node", "", name, Side.LIVE) if name else None
        if node and (label := _spot_label(node)):
            return Answer.YES, f"its pod runs on node {node.name}, which has {label}", at
    for toleration in mappings(pod, "tolerations"):
        if (label := text(toleration, "key")) in SPOT_LABELS:
            return Answer.YES, f"it tolerates {label} and nothing keeps it off such nodes", (*at, "tolerations")
    nodes = index.live("Node")
    if nodes and not any(map(_spot_label, nodes)):
        return Answer.NO, f"none of the {len(nodes)} nodes given is a spot node", at
    return Answer.UNKNOWN, "the pod may run on any node", at


def _term(term: object) -> tuple[Answer, str]:
    """Returns what one term of a required node affinity asks for; its expressions all hold together."""
    for expression in mappings(term, "matchExpressions"):
        key, operator, values = text(expression, "key"), text(expression, "operator"), set(texts(expression, "values"))
        spot = SPOT_LABELS.get(key)
        if spot is None:
            continue
        only = key in _ONLY_ON_SPOT
        avoids = {"DoesNotExist": only, "NotIn": spot in values, "In": spot not in values}
        wants = {"Exists": only, "In": values == {spot}}
        if avoids.get(operator) or wants.get(operator):
            return Answer.NO if avoids.get(operator) else Answer.YES, f"nodeAffinity {key} {operator}"
    return Answer.UNKNOWN, ""


def _spot_label(node: K8sObject) -> str:
    return next((label for label in SPOT_LABELS if _is_spot(label, text(node.labels, label))), "")


def _is_spot(label: str, value: str) -> bool:
    return value.lower() == SPOT_LABELS[label].lower()
