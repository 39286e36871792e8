"""VG112: the VOLUME of a well-known image against the claim's mount. Pure."""

import re
from collections.abc import Iterator

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.guard_containers import applications
from guard.doctor.objects.images import data_folder
from guard.doctor.objects.workload import Container, Mount, clean_path, covers

IMAGE_VOLUME = Rule(
    "VG112", "image-volume-hides-mount", Severity.ERROR,
    "The image keeps its data in a VOLUME of its own that the claim's mount does not replace.",
    "Container runtimes put an anonymous folder at each VOLUME path of an image unless a volume is mounted exactly there. A "
    "claim mounted above it, or elsewhere, stays empty, and the data is gone with the container.",
    "Mount the claim exactly at the image's data path, or move the data below the mount by the image's own setting (PGDATA).",
    "https://docs.docker.com/reference/dockerfile/#volume",
)  # fmt: skip


def _image_volume(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.workloads:
        for container in applications(workload):
            data = data_folder(container.image)
            mounts = workload.pod.claim_mounts(container)
            if (
                not data
                or not mounts
                or any(covers(data, mount.path) for mount in container.mounts)
                or _moves_its_data(container, mounts)
            ):
                continue
            above = container.mount_at(data)
            if above is not None and above not in mounts:
                continue  # the data is on another volume, on purpose
            mount = above or mounts[0]
            what = (
                f"hides {data} from the claim mounted above it at" if above else f"is {data}, the claim is mounted at"
            )
            message = f"the VOLUME of image {container.image} {what} {mount.path}"
            yield Finding(message, workload.object.place(*mount.at), workload.object, fix=f"mountPath: {data}")


def _moves_its_data(container: Container, mounts: list[Mount]) -> bool:
    """Whether a variable or an argument names a path on the claim: then the image was told to keep its data there."""
    return any(covers(mount.path, value) for mount in mounts for value in _own_paths(container))


def _own_paths(container: Container) -> list[str]:
    """Absolute paths in the variables and words of a container: its own idea of where data lies."""
    said = [*container.env.values(), *(piece for word in container.words for piece in re.split(r"[=\s]", word))]
    return [clean_path(value) for value in said if value.startswith("/")]


CHECKS = ((IMAGE_VOLUME, _image_volume),)
