"""VG216, VG217 and VG226: how a claim gets its volume, what happens to it later, and who else uses it. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.workload import Workload
from guard.doctor.rules.placement import HOSTNAME, is_bound_to_one_node
from guard.doctor.source.tree import mappings, text, texts
from guard.doctor.storage import class_name, is_bound, is_default

_PVC = "PersistentVolumeClaim"
_VOLUMES = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/"

RECYCLE = Rule(
    "VG216", "reclaim-recycle", Severity.WARNING,
    "The volume is emptied when its claim goes (reclaimPolicy Recycle).",
    "Recycle runs rm -rf on the volume and offers it to the next claim. The policy is deprecated; the volume looks Available and healthy, "
    "and is empty.",
    "kubectl patch pv NAME -p '{\"spec\":{\"persistentVolumeReclaimPolicy\":\"Retain\"}}'",
    _VOLUMES + "#recycle",
)  # fmt: skip
NAME_WITHOUT_CLASS = Rule(
    "VG217", "volume-name-without-class", Severity.WARNING,
    "The claim names its volume, but no storage class.",
    "Where the cluster has a default class, the API server writes it into the claim. It then differs from the class of the volume, "
    "and the claim stays Pending.",
    "Write the volume's class into the claim; for a volume without one: storageClassName: \"\".",
    _VOLUMES + "#reserving-a-persistentvolume",
)  # fmt: skip
SHARED = Rule(
    "VG226", "one-disk-in-several-workloads", Severity.WARNING,
    "A ReadWriteOnce claim is used by several workloads, or by a DaemonSet.",
    "The disk is attached to one node: pods on other nodes wait in ContainerCreating (Multi-Attach error). Where they happen to be "
    "on one node, they write beside each other.",
    "Give each workload its own claim, use a ReadWriteMany class (NFS, Filestore), or bind the pods to one node by podAffinity "
    "(topologyKey kubernetes.io/hostname).",
    _VOLUMES + "#access-modes",
)  # fmt: skip


def _recycle(index: ObjectIndex) -> Iterator[Verdict]:
    for volume in index.of("PersistentVolume"):
        if volume.text("spec", "persistentVolumeReclaimPolicy") == "Recycle":
            claim = volume.text("spec", "claimRef", "name")
            message = f"volume {volume.name}" + (f" of claim {claim}" if claim else "") + " has reclaimPolicy Recycle"
            fix = RECYCLE.fix.replace("NAME", volume.name)
            yield Finding(message, volume.place("spec", "persistentVolumeReclaimPolicy"), volume, fix=fix)
    for kind in index.of("StorageClass"):
        if kind.text("reclaimPolicy") == "Recycle":
            message = f"class {kind.name} has reclaimPolicy Recycle"
            yield Finding(message, kind.place("reclaimPolicy"), kind, fix="reclaimPolicy: Retain")


def _name_without_class(index: ObjectIndex) -> Iterator[Verdict]:
    for claim in index.of(_PVC):
        name = claim.text("spec", "volumeName")
        if not name or class_name(claim) is not None:
            continue
        if is_bound(index, claim):
            continue
        volumes = index.every("PersistentVolume", name)
        its = (class_name(volumes[0]) or "") if volumes else None
        defaults = {kind.name for kind in index.of("StorageClass") if is_default(kind)}
        if (index.live("StorageClass") and not defaults and not its) or (its and its in defaults):
            continue
        what = "" if its is None else f", whose class is {its}" if its else ", which has no class"
        message = f"volumeName {name}{what}, and no storageClassName"
        fix = "" if its is None else f"storageClassName: {its or chr(34) * 2}"
        yield Finding(message, claim.place("spec", "volumeName"), claim, fix=fix)


def _shared(index: ObjectIndex) -> Iterator[Verdict]:
    for claim in index.of(_PVC):
        modes = set(texts(claim.body, "spec", "accessModes"))
        if not modes or not modes <= {"ReadWriteOnce"}:
            continue
        steady = (user for user in index.workloads_with(claim) if user.object.kind != "Pod" and not user.runs_to_end)
        users = {str(user.object): user for user in steady if user.replicas}
        spread = [user for user in users.values() if user.object.kind == "DaemonSet" and not is_bound_to_one_node(user)]
        apart = [user for user in users.values() if not is_bound_to_one_node(user) and not _goes_with_another(user)]
        if spread or len(apart) > 1:
            what = "DaemonSet, a pod on each node" if spread and len(users) == 1 else f"{len(users)} workloads"
            message = f"ReadWriteOnce, used by {', '.join(sorted(users))} ({what})"
            yield Finding(
                message,
                claim.place("spec", "accessModes"),
                claim,
                also=tuple(user.object.place() for user in users.values()),
            )


def _goes_with_another(user: Workload) -> bool:
    """Whether its pods must run on the node of other pods."""
    terms = mappings(user.pod.body, "affinity", "podAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    return any(text(term, "topologyKey") == HOSTNAME for _, term in terms)


CHECKS = (
    (RECYCLE, _recycle),
    (NAME_WITHOUT_CLASS, _name_without_class),
    (SHARED, _shared),
)
