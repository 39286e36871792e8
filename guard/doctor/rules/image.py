"""VG112: the VOLUME of a well-known image against the claim's mount. Pure."""

import re
from collections.abc import Iterator, Mapping

from guard.doctor.inventory import Inventory, applications
from guard.doctor.kube import Container, Mount, clean_path, covers
from guard.doctor.rule import Finding, Rule, Severity, Verdict

IMAGE_VOLUME = Rule(
    "VG112", "image-volume-hides-mount", Severity.ERROR,
    "The image keeps its data in a VOLUME of its own that the claim's mount does not replace.",
    "Container runtimes put an anonymous folder at each VOLUME path of an image unless a volume is mounted exactly there. A "
    "claim mounted above it, or elsewhere, stays empty, and the data is gone with the container.",
    "Mount the claim exactly at the image's data path, or move the data below the mount by the image's own setting (PGDATA).",
    "https://docs.docker.com/reference/dockerfile/#volume",
)  # fmt: skip

#: Official images with a VOLUME: path, and from which major version on it is another one (0: never).
_IMAGES: Mapping[str, tuple[str, int]] = {
    "postgres": ("/var/lib/postgresql/data", 18),
    "mysql": ("/var/lib/mysql", 0),
    "mariadb": ("/var/lib/mysql", 0),
    "mongo": ("/data/db", 0),
    "redis": ("/data", 0),
    "rabbitmq": ("/var/lib/rabbitmq", 0),
    "wordpress": ("/var/www/html", 0),
    "ghost": ("/var/lib/ghost/content", 0),
    "jenkins": ("/var/jenkins_home", 0),
    "registry": ("/var/lib/registry", 3),
}


def _image_volume(inventory: Inventory) -> Iterator[Verdict]:
    for found in inventory.workloads:
        for box in applications(found):
            data = _image_data(box.image)
            mounts = found.pod.claim_mounts(box)
            if (
                not data
                or not mounts
                or any(covers(data, mount.path) for mount in box.mounts)
                or _moves_its_data(box, mounts)
            ):
                continue
            above = box.mount_at(data)
            if above is not None and above not in mounts:
                continue  # the data is on another volume, on purpose
            mount = above or mounts[0]
            what = (
                f"hides {data} from the claim mounted above it at" if above else f"is {data}, the claim is mounted at"
            )
            message = f"the VOLUME of image {box.image} {what} {mount.path}"
            yield Finding(message, found.kube.place(*mount.at), found.kube, fix=f"mountPath: {data}")


def _image_data(image: str) -> str:
    """The data folder of an official image; empty for all others, such as bitnami/mysql, which keeps it elsewhere."""
    folder, _, name = image.partition("@")[0].rpartition("/")
    name, _, tag = name.partition(":")
    if folder.rpartition("/")[2] not in {"", "library"} and f"{folder.rpartition('/')[2]}/{name}" != "jenkins/jenkins":
        return ""
    path, until = _IMAGES.get(name, ("", 0))
    major = re.match(r"[0-9]+", tag)
    if until and (not major or int(major[0]) >= until):
        return ""
    return path


def _moves_its_data(box: Container, mounts: list[Mount]) -> bool:
    """Whether a variable or an argument names a path on the claim: then the image was told to keep its data there."""
    return any(covers(mount.path, value) for mount in mounts for value in _own_paths(box))


def _own_paths(box: Container) -> list[str]:
    """Absolute paths in the variables and words of a container: its own idea of where data lies."""
    said = [*box.env.values(), *(piece for word in box.words for piece in re.split(r"[=\s]", word))]
    return [clean_path(value) for value in said if value.startswith("/")]


CHECKS = ((IMAGE_VOLUME, _image_volume),)
