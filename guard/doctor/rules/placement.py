"""Whether a pod can run on one node only. Pure."""

from guard.doctor.kube import Side, Workload
from guard.doctor.tree import mapping, mappings, text, texts

HOSTNAME = "kubernetes.io/hostname"
#: Where the terms of a required node affinity stand in a pod.
REQUIRED = ("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")


def is_bound_to_one_node(found: Workload) -> bool:
    """Whether its author bound the pod to one node; a live pod's own nodeName is the scheduler's."""
    named = bool(found.pod.body.get("nodeName")) and (found.kube.kind != "Pod" or found.kube.side is Side.FILE)
    return named or HOSTNAME in mapping(found.pod.body, "nodeSelector") or len(_nodes(found)) == 1


def _nodes(found: Workload) -> frozenset[str]:
    """The nodes that a required node affinity leaves; empty where it leaves them open. One of its terms is enough."""
    nodes: set[str] = set()
    for _, term in mappings(found.pod.body, *REQUIRED):
        expressions = [expression for _, expression in mappings(term, "matchExpressions")]
        fields = [field for _, field in mappings(term, "matchFields")]
        named = [
            set(texts(one, "values"))
            for one in (*expressions, *fields)
            if text(one, "key") in {HOSTNAME, "metadata.name"} and text(one, "operator") == "In"
        ]
        if not named:
            return frozenset()
        nodes |= set.intersection(*named)
    return frozenset(nodes)
