"""VG216, VG217 and VG226: how a claim gets its volume, what happens to it later, and who else uses it. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Severity, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import PVC
from guard.doctor.rules.placement import follows_another_pod, is_bound_to_one_node
from guard.doctor.storage import is_bound

_VOLUMES = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/"


@rule("VG216", Severity.WARNING, _VOLUMES + "#recycle")
def reclaim_recycle(index: ObjectIndex) -> Iterator[Verdict]:
    """The volume is emptied when its claim goes (reclaimPolicy Recycle).

    Recycle runs rm -rf on the volume and offers it to the next claim. The policy is deprecated; the volume looks
    Available and healthy, and is empty.

    Fix: kubectl patch pv NAME -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'
    """
    for volume in index.of("PersistentVolume"):
        if volume.text("spec", "persistentVolumeReclaimPolicy") == "Recycle":
            claim = volume.text("spec", "claimRef", "name")
            message = f"volume {volume.name}{f' of claim {claim}' if claim else ''} has reclaimPolicy Recycle"
            fix = reclaim_recycle.fix.replace("NAME", volume.name)
            yield finding(message, volume, "spec", "persistentVolumeReclaimPolicy", fix=fix)
    for kind in index.of("StorageClass"):
        if kind.text("reclaimPolicy") == "Recycle":
            message = f"class {kind.name} has reclaimPolicy Recycle"
            yield finding(message, kind, "reclaimPolicy", fix="reclaimPolicy: Retain")


@rule("VG217", Severity.WARNING, _VOLUMES + "#reserving-a-persistentvolume")
def volume_name_without_class(index: ObjectIndex) -> Iterator[Verdict]:
    """The claim names its volume, but no storage class.

    Where the cluster has a default class, the API server writes it into the claim. It then differs from the class
    of the volume, and the claim stays Pending.

    Fix: Write the volume's class into the claim; for a volume without one: storageClassName: "".
    """
    defaults = {kind.name for kind in index.of("StorageClass") if kind.is_default_class}
    for claim in index.of(PVC):
        name = claim.text("spec", "volumeName")
        if not name or claim.class_name is not None or is_bound(index, claim):
            continue
        volumes = index.every("PersistentVolume", name)
        its = (volumes[0].class_name or "") if volumes else None
        if (index.live("StorageClass") and not defaults and not its) or (its and its in defaults):
            continue
        what = "" if its is None else f", whose class is {its}" if its else ", which has no class"
        message = f"volumeName {name}{what}, and no storageClassName"
        fix = "" if its is None else f"storageClassName: {its or chr(34) * 2}"
        yield finding(message, claim, "spec", "volumeName", fix=fix)


@rule("VG226", Severity.WARNING, _VOLUMES + "#access-modes")
def one_disk_in_several_workloads(index: ObjectIndex) -> Iterator[Verdict]:
    """A ReadWriteOnce claim is used by several workloads, or by a DaemonSet.

    The disk is attached to one node: pods on other nodes wait in ContainerCreating (Multi-Attach error). Where they
    happen to be on one node, they write beside each other.

    Fix: Give each workload its own claim, use a ReadWriteMany class (NFS, Filestore), or bind the pods to one node
    by podAffinity (topologyKey kubernetes.io/hostname).
    """
    for claim in index.of(PVC):
        if claim.access_modes != {"ReadWriteOnce"}:
            continue
        steady = (user for user in index.workloads_with(claim) if user.kind != "Pod" and not user.runs_to_end)
        users = {str(user): user for user in steady if user.replicas}
        free = [user for user in users.values() if not is_bound_to_one_node(user)]
        spread = any(user.kind == "DaemonSet" for user in free)
        if spread or len([user for user in free if not follows_another_pod(user)]) > 1:
            what = "DaemonSet, a pod on each node" if spread and len(users) == 1 else f"{len(users)} workloads"
            message = f"ReadWriteOnce, used by {', '.join(sorted(users))} ({what})"
            yield finding(message, claim, "spec", "accessModes", also=(user.place() for user in users.values()))
