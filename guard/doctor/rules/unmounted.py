"""VG103 and VG107: volumes and claims of a pod that none of its containers gets. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Severity, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.guard_containers import application

_CLAIMS_AS_VOLUMES = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#claims-as-volumes"
_VOLUMES = "https://kubernetes.io/docs/concepts/storage/volumes/"


@rule("VG103", Severity.WARNING, _CLAIMS_AS_VOLUMES)
def claim_volume_not_mounted(index: ObjectIndex) -> Iterator[Verdict]:
    """A pod lists a volume of a claim, but no container mounts it.

    `volumes` only makes the disk follow the pod; without a volumeMount no process sees it.

    Fix: Add a volumeMount with this volume's name to the container, or remove the volume.
    """
    for workload in index.workloads:
        for volume in workload.unmounted:
            what = f"volume {volume.name} (claim {volume.claim})" if volume.claim else f"{volume.kind} {volume.name}"
            yield finding(f"{what} is mounted by no container", volume)


@rule("VG107", Severity.WARNING, _VOLUMES + "#emptydir")
def emptydir_though_claim_exists(index: ObjectIndex) -> Iterator[Verdict]:
    """An emptyDir is mounted under the name of a claim that nothing uses.

    A default of a chart, or a volume that was never switched to the claim: the data is gone with each pod.

    Fix: Replace emptyDir by persistentVolumeClaim with this claim, or delete neither before you looked at both.
    """
    for workload in index.workloads:
        path = index.path_of(workload)
        here = {container.volume_at(path) for container in application(workload, path)}
        for volume in workload.volumes.values():
            if volume.kind == "emptyDir" and volume not in here:
                for claim in index.unused_like(workload.namespace, volume.name):
                    message = f"volume {volume.name} is an emptyDir, while claim {claim} exists and nothing uses it"
                    yield finding(message, volume)
