"""VG103 and VG107: volumes and claims of a pod that none of its containers gets. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.guard_containers import application
from guard.doctor.objects.workload import TEMPLATE

_CLAIMS_AS_VOLUMES = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#claims-as-volumes"
_VOLUMES = "https://kubernetes.io/docs/concepts/storage/volumes/"

NOT_USED_BY_CONTAINER = Rule(
    "VG103", "claim-volume-not-mounted", Severity.WARNING,
    "A pod lists a volume of a claim, but no container mounts it.",
    "`volumes` only makes the disk follow the pod; without a volumeMount no process sees it.",
    "Add a volumeMount with this volume's name to the container, or remove the volume.",
    _CLAIMS_AS_VOLUMES,
)  # fmt: skip
EMPTY_DIR_FOR_CLAIM = Rule(
    "VG107", "emptydir-though-claim-exists", Severity.WARNING,
    "An emptyDir is mounted under the name of a claim that nothing uses.",
    "A default of a chart, or a volume that was never switched to the claim: the data is gone with each pod.",
    "Replace emptyDir by persistentVolumeClaim with this claim, or delete neither before you looked at both.",
    _VOLUMES + "#emptydir",
)  # fmt: skip


def _unused_volume(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.workloads:
        mounted = {name for container in workload.pod.all_containers for name in container.volume_names}
        for volume in workload.pod.volumes.values():
            if volume.is_persistent and volume.name not in mounted:
                what = f"volume {volume.name} (claim {volume.claim})" if volume.claim else f"{TEMPLATE} {volume.name}"
                yield Finding(f"{what} is mounted by no container", workload.object.place(*volume.at), workload.object)


def _empty_dir_for_claim(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.workloads:
        here = {
            volume.name
            for container in application(workload, index.path_of(workload))
            if (volume := workload.pod.volume_at(container, index.path_of(workload)))
        }
        for volume in workload.pod.volumes.values():
            if volume.kind not in {"", "emptyDir"} or volume.name in here:
                continue
            for claim in index.unused_like(workload.object.namespace, volume.name):
                message = f"volume {volume.name} is an emptyDir, while claim {claim} exists and nothing uses it"
                yield Finding(message, workload.object.place(*volume.at), workload.object)


CHECKS = (
    (NOT_USED_BY_CONTAINER, _unused_volume),
    (EMPTY_DIR_FOR_CLAIM, _empty_dir_for_claim),
)
