"""VG227 to VG230: what the cluster itself reports about a volume: events, health, a node that is gone. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.workload import Workload
from guard.doctor.rules.placement import HOSTNAME
from guard.doctor.source.document import Side
from guard.doctor.source.tree import mappings, text, texts

_HEALTH = "https://kubernetes.io/docs/concepts/storage/volume-health-monitoring/"

NOT_ATTACHED = Rule(
    "VG227", "volume-not-attached", Severity.ERROR,
    "An event reports that the pod does not get its volume.",
    "Multi-Attach: another node still holds the disk. Volume node affinity conflict: the pod may not run where the volume is. "
    "The data is where it was; the pod waits.",
    "Find the pod that holds the volume, and let the pod run where the volume is. Never delete the claim for this.",
    "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes",
)  # fmt: skip
UNHEALTHY = Rule(
    "VG228", "volume-unhealthy", Severity.ERROR,
    "The storage reports that the volume lost data or cannot be reached.",
    "The CSI driver's health report (Kubernetes 1.37 and later: status.healthStatus of the claim, status.volumeHealth of the pod) is "
    "about the disk itself: a claim can be Bound and mounted all the same.",
    "Stop what writes to it (scale to 0), set the volume to Retain, and look at the storage system before any restart.",
    _HEALTH,
)  # fmt: skip
NODE_GONE = Rule(
    "VG229", "node-of-volume-gone", Severity.ERROR,
    "The volume is on a node, or in a zone, that the cluster no longer has.",
    "A local volume is bound to its node by nodeAffinity, a disk to its zone. Without it the pods stay Pending (volume node affinity "
    "conflict); a local volume's data is on that node's disk alone.",
    "Bring the node back under its name, or add a node in that zone; else restore a backup into a new claim. Delete neither claim nor "
    "volume before the data is safe.",
    "https://kubernetes.io/docs/concepts/storage/volumes/#local",
)  # fmt: skip
DEGRADED = Rule(
    "VG230", "volume-degraded", Severity.WARNING,
    "The storage reports that the volume works with reduced capability.",
    "A replica, a path or a disk below it is gone: the next fault can cost the data.",
    "Look at the storage system, and take a backup now.",
    _HEALTH,
)  # fmt: skip

#: What an event's message holds, and what to do.
_EVENTS: Mapping[str, str] = {
    r"Multi-Attach error": "Find the pod that holds the volume: kubectl get pods -A -o wide. In an update: spec.strategy.type: Recreate. "
    "On a node that is down for good: kubectl taint nodes NODE node.kubernetes.io/out-of-service=nodeshutdown:NoExecute.",
    r"volume node affinity conflict|find available persistent volumes to bind|no available volume zone": "See where the volume is "
    "(kubectl get pv -o yaml: spec.nodeAffinity) and let the pod run there: its node selector, a node in that zone, or the node "
    "itself that is gone. Do not delete the claim.",
    r"MountVolume|Unable to attach or mount volumes|AttachVolume\.Attach failed": "The message names the cause at the node or in the "
    "storage system. Do not delete the claim.",
}
#: The volumes that an event names: by the pod's names, but a claim's by its PersistentVolume.
_VOLUMES = re.compile(r"(?:for volume \"|unmounted volumes=\[)([^\"\]]+)")
#: Names in a sentence.
_NAMES = 5
#: Kinds whose events count.
_ABOUT = frozenset({"Pod", "PersistentVolumeClaim"})
#: Characters of an event in a message.
_SHOWN = 240
_SERIOUS = frozenset({"DataLoss", "Inaccessible"})
_VSPHERE = "volumehealth.storage.kubernetes.io/messages"


def _not_attached(index: ObjectIndex) -> Iterator[Verdict]:
    seen: set[tuple[str, str]] = set()
    given = {kind for kind in _ABOUT if any(index.live(kind))}
    for event in index.of("Event"):
        report = event.text("message") or event.text("note")
        field = "involvedObject" if event.get("involvedObject") else "regarding"
        kind, namespace, name = (event.text(field, part) for part in ("kind", "namespace", "name"))
        sign, fix = next(((sign, fix) for sign, fix in _EVENTS.items() if re.search(sign, report)), ("", ""))
        if not sign or kind not in _ABOUT or event.text("type") == "Normal":
            continue
        about = index.find(kind, namespace, name, Side.LIVE)
        if about is None and kind in given:
            continue  # it is gone
        pod = index.workload_of(about) if about is not None and kind == "Pod" else None
        if pod is not None and (_runs(pod.object) or _is_of_settings(pod, report)):
            continue
        key = (" ".join(about.author) if about is not None and about.author[1] else name), sign
        if key not in seen:
            seen.add(key)
            subject = about or event
            message = f"{event.text('reason') or 'event'} of {kind} {name}: {' '.join(report.split())[:_SHOWN]}"
            yield Finding(message, event.place(), subject, fix=fix)


def _is_of_settings(pod: Workload, report: str) -> bool:
    """Whether all volumes that an event names only bring settings or secrets to the pod."""
    names = [name for found in _VOLUMES.findall(report) for name in found.split()]
    volumes = (pod.pod.volumes.get(name) for name in names)
    return bool(names) and all(volume is not None and volume.is_given for volume in volumes)


def _runs(pod: K8sObject) -> bool:
    states = [text(one, "ready") for _, one in mappings(pod.body, "status", "containerStatuses")]
    return pod.text("status", "phase") in {"Succeeded", "Failed"} or (bool(states) and set(states) == {"true"})


def _conditions(index: ObjectIndex) -> Iterator[tuple[K8sObject, tuple[str, ...], str, str, str]]:
    """Each adverse condition: the object, where it is, whose it is, its status, and reason with message."""
    for claim in index.of("PersistentVolumeClaim"):
        for _, one in mappings(claim.body, "status", "healthStatus", "healthConditions"):
            yield claim, ("status", "healthStatus"), f"claim {claim.name}", text(one, "status"), _reason(one)
        if text(claim.annotations, _VSPHERE) == "inaccessible":
            yield claim, ("metadata", "annotations"), f"claim {claim.name}", "Inaccessible", f"annotation {_VSPHERE}"
    for pod in index.of("Pod"):
        for _, health in mappings(pod.body, "status", "volumeHealth"):
            for _, one in mappings(health, "healthConditions"):
                yield (
                    pod,
                    ("status", "volumeHealth"),
                    f"volume {text(health, 'name')} of the pod",
                    text(one, "status"),
                    _reason(one),
                )


def _reason(condition: object) -> str:
    return ": ".join(filter(None, (text(condition, "reason"), text(condition, "message")[:_SHOWN])))


def _unhealthy(index: ObjectIndex) -> Iterator[Verdict]:
    for obj, at, what, status, reason in _conditions(index):
        if status in _SERIOUS:
            yield Finding(f"{what} is reported {status} ({reason})", obj.place(*at), obj)


def _degraded(index: ObjectIndex) -> Iterator[Verdict]:
    for event in index.of("Event"):
        if event.text("reason") == "VolumeConditionAbnormal":
            kind, name = (event.text("involvedObject", part) for part in ("kind", "name"))
            yield Finding(f"event of {kind} {name}: {event.text('message')[:_SHOWN]}", event.place(), event)
    for obj, at, what, status, reason in _conditions(index):
        if status not in _SERIOUS:
            yield Finding(f"{what} is reported {status} ({reason})", obj.place(*at), obj)


def _node_gone(index: ObjectIndex) -> Iterator[Verdict]:
    nodes = index.live("Node")
    known = {HOSTNAME, *(key for node in nodes for key in node.labels)}
    for volume in index.of("PersistentVolume") if nodes else ():
        places = _places(volume)
        if volume.side is not Side.LIVE or volume.text("status", "phase") in {"Available", "Released"}:
            continue
        gone = [_missing(nodes, place, known) for place in places]
        if gone and all(gone):
            claim = volume.text("spec", "claimRef", "name") or "none"
            names = ", ".join(sorted(node.name for node in nodes)[:_NAMES])
            message = f"volume {volume.name} (claim {claim}) is on {gone[0]}; the cluster has {names}"
            yield Finding(message, volume.place("spec", "nodeAffinity"), volume)


def _places(volume: K8sObject) -> Sequence[Mapping[str, frozenset[str]]]:
    """Where a volume can be: the node labels of each term of its nodeAffinity, with the values that it allows."""
    return [
        {
            text(one, "key"): frozenset(texts(one, "values"))
            for _, one in mappings(term, "matchExpressions")
            if text(one, "operator") == "In"
        }
        for _, term in mappings(volume.body, "spec", "nodeAffinity", "required", "nodeSelectorTerms")
    ]


def _missing(nodes: Sequence[K8sObject], place: Mapping[str, frozenset[str]], known: set[str]) -> str:
    """The node or zone of a place that no node given is in; empty if one is, or if no node has such a label."""
    left = list(nodes)
    for key, values in place.items():
        if key in known:
            left = [node for node in left if {text(node.labels, key), node.name if key == HOSTNAME else ""} & values]
        if not left:
            name = key.rpartition("/")[2]
            what = next(
                (word for word in ("zone", "region", "node") if word in name), "node" if key == HOSTNAME else key
            )
            return f"{what} {', '.join(sorted(values))}"
    return ""


CHECKS = (
    (NOT_ATTACHED, _not_attached),
    (UNHEALTHY, _unhealthy),
    (NODE_GONE, _node_gone),
    (DEGRADED, _degraded),
)
