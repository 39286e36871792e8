"""Whether a pod can run on one node only. Pure."""

from guard.doctor.objects.workload import Workload
from guard.doctor.source.document import Side
from guard.doctor.source.tree import mapping, mappings, text, texts

HOSTNAME = "kubernetes.io/hostname"
#: Where the terms of a required node affinity stand in a pod.
REQUIRED = ("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")


def is_bound_to_one_node(workload: Workload) -> bool:
    """Whether its author bound the pod to one node; a live pod's own nodeName is the scheduler's."""
    named = bool(workload.pod.body.get("nodeName")) and (
        workload.object.kind != "Pod" or workload.object.side is Side.FILE
    )
    if workload.object.controller[0] == "Node":
        return True  # a static pod: the node's own kubelet runs it
    return named or HOSTNAME in mapping(workload.pod.body, "nodeSelector") or len(_nodes(workload)) == 1


def _nodes(workload: Workload) -> frozenset[str]:
    """The nodes that a required node affinity leaves; empty where it leaves them open. One of its terms is enough."""
    nodes: set[str] = set()
    for _, term in mappings(workload.pod.body, *REQUIRED):
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
