"""VG112 and VG115 to VG117: where a program keeps its data, against what is mounted there. Pure."""

import re
from collections.abc import Iterator

from guard.doctor.finding import Finding, Rule, Severity, Unknown, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.images import Keeps
from guard.doctor.rules.data_places import DataPlace, State, data_places
from guard.doctor.source.tree import dig, texts

_STORAGE = "https://kubernetes.io/docs/tasks/configure-pod-container/configure-persistent-volume-storage/"

IMAGE_VOLUME = Rule(
    "VG112", "image-volume-hides-mount", Severity.ERROR,
    "The image keeps its data where the claim is not mounted.",
    "The claim stays empty, and the data is lost with the container. Where the folder is a VOLUME of the image, container "
    "runtimes put an anonymous folder there unless a volume is mounted exactly there: a claim mounted above it is hidden. "
    "postgres keeps its data elsewhere from version 18 on.",
    "Mount the claim at the path where the program keeps its data, or point the program to the mount by its own setting (PGDATA).",
    "https://docs.docker.com/reference/dockerfile/#volume",
)  # fmt: skip
BESIDE_CLAIM = Rule(
    "VG115", "data-path-on-passing-volume", Severity.ERROR,
    "The container mounts a claim, but keeps its data on a volume that is lost with the pod.",
    "The path of the data is an emptyDir or another volume that is made for each pod; the claim beside it stays empty.",
    "Mount the claim at the data path in place of the other volume. Copy the data out of the running pod first: the change "
    "starts a new pod.",
    "https://kubernetes.io/docs/concepts/storage/volumes/#emptydir",
)  # fmt: skip
NOT_KEPT = Rule(
    "VG116", "data-not-kept", Severity.WARNING,
    "A program that keeps data has no volume that lasts.",
    "A database, or an application with data of its own, writes into the container's layer or an emptyDir: a new pod, an "
    "update or a node drain starts it empty.",
    "Create a claim and mount it at the data path. Copy the data out of the running pod first: the change starts a new pod. Where "
    "the data may be lost (a test, a cache), ignore this by annotation.",
    _STORAGE,
)  # fmt: skip
READ_ONLY = Rule(
    "VG117", "read-only-at-data-path", Severity.ERROR,
    "The volume is mounted read-only where the program keeps its data.",
    "The program cannot write: it does not start, or it keeps its data elsewhere, in the container's layer.",
    "Remove readOnly from the volumeMount and from the volume.",
    _STORAGE,
)  # fmt: skip

#: Words by which a cache keeps its data.
_ASKED = re.compile(r"--(?:appendonly[= ]yes|save[= ]\"?[1-9])")
#: Variables with which an application keeps its data in another database.
_ELSEWHERE = re.compile(r"(?:GF_DATABASE_(?:TYPE|URL|HOST)|DB_TYPE|DATABASE_URL)$")


def _image_volume(index: ObjectIndex) -> Iterator[Verdict]:
    for place in data_places(index):
        mounts, image, container = place.claim_mounts, place.image, place.container
        if place.state is not State.NOTHING or image is None or not mounts or _keeps_elsewhere(place):
            continue
        above = container.mount_at(place.data.path)
        if above is not None and above not in mounts:
            continue  # the data is on another volume
        if place.missing:
            name, namespace = place.missing, place.workload.object.namespace or "NAMESPACE"
            reason = f"ConfigMap {name} of {place.workload.object}, which can move the data of {container.image}, was not given"
            yield Unknown(reason, f"kubectl get configmap {name} -n {namespace} -o yaml")
            continue
        mount = above or mounts[0]
        named = f"image {container.image}" + (" (no version tag: the newest version)" if image.is_newest else "")
        paths = " or ".join(image.paths)
        message = f"{named} keeps its data in {paths}; the claim is mounted at {mount.path}, which stays empty"
        if above is not None:
            message = f"the VOLUME {image.mount} of {named} hides the claim mounted above it at {mount.path}"
        fix = f"{place.save} Then mountPath: {image.mount}"
        yield Finding(
            message, place.at(mount.at), place.workload.object, fix=fix, is_guess=image.is_newest or not keeps(place)
        )


def _beside_claim(index: ObjectIndex) -> Iterator[Verdict]:
    for place in data_places(index):
        volume, path = place.volume, place.data.path
        if place.state is not State.PASSING or volume is None or not place.claim_mounts:
            continue
        claim = place.workload.pod.volumes[place.claim_mounts[0].volume]
        message = (
            f"{path} in container {place.container.name} ({place.data.source}) is volume {volume.name} ({volume.kind or 'emptyDir'}), "
            f"new and empty for each pod; claim {claim.claim or claim.name} is mounted at {place.claim_mounts[0].path}"
        )
        fix = f"{place.save} Then mount volume {claim.name} at {path} in place of {volume.name}."
        yield Finding(message, place.at(volume.at), place.workload.object, fix=fix)


def _not_kept(index: ObjectIndex) -> Iterator[Verdict]:
    for place in data_places(index):
        if place.state is State.KEPT or place.claim_mounts or not keeps(place):
            continue
        volume, obj = place.volume, place.workload.object
        where = f"on volume {volume.name} ({volume.kind or 'emptyDir'})" if volume else "on no volume"
        unused = index.unused_like(obj.namespace, obj.name)
        claim = unused[0] if len(unused) == 1 else "CLAIM"
        hint = f". Claim {claim} is used by nothing" if len(unused) == 1 else ""
        message = (
            f"container {place.container.name} keeps its data in {place.data.path} ({place.data.source}), {where}{hint}"
        )
        path = place.mount.path if place.mount else place.image.mount if place.image else place.data.path
        fix = f"{place.save} Then mount a claim there: persistentVolumeClaim: {{claimName: {claim}}}, mountPath: {path}"
        yield Finding(message, place.at(volume.at if volume else place.container.at), obj, fix=fix)


def keeps(place: DataPlace) -> bool:
    """Whether a program keeps data without doubt: a setting names the place, or its image always does."""
    if place.image is None:
        return True
    if _keeps_elsewhere(place):
        return False
    return place.image.keeps is Keeps.ALWAYS or bool(_ASKED.search(" ".join(place.container.words)))


def _keeps_elsewhere(place: DataPlace) -> bool:
    """Whether a variable points the application to another database."""
    return any(map(_ELSEWHERE.match, place.container.env))


def _read_only(index: ObjectIndex) -> Iterator[Verdict]:
    for place in data_places(index):
        volume, mount = place.volume, place.mount
        if place.state is not State.KEPT or volume is None or mount is None or not volume.is_persistent:
            continue
        if mount.read_only or dig(volume.body, volume.kind, "readOnly") is True or _is_read_only(index, place):
            path = place.data.path
            message = (
                f"container {place.container.name} keeps its data in {path} ({place.data.source}), mounted read-only"
            )
            yield Finding(message, place.at(mount.at), place.workload.object)


def _is_read_only(index: ObjectIndex, place: DataPlace) -> bool:
    """Whether the claim can only be read."""
    claim = index.claim(place.workload, place.volume.claim) if place.volume and place.volume.claim else None
    return claim is not None and set(texts(claim.body, "spec", "accessModes")) == {"ReadOnlyMany"}


CHECKS = (
    (IMAGE_VOLUME, _image_volume),
    (BESIDE_CLAIM, _beside_claim),
    (NOT_KEPT, _not_kept),
    (READ_ONLY, _read_only),
)
