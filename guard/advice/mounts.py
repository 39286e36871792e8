"""A path that is no mount, or a mount of a kind that is not allowed. Pure."""

from collections.abc import Callable, Mapping

from guard.advice.case import Advice, Case
from guard.report.text import printable, truncate
from guard.volume.cause import Cause
from guard.volume.kinds import Kind


def _compare(case: Case) -> str:
    applied = case.pod.kubectl("get deploy", "NAME")
    return f"Compare volumes and volumeMounts of the APPLIED object with your file: {applied} -o yaml"


def _absent(case: Case) -> Advice:
    return case.advice(
        f"{case.path}: {case.look.found_instead or 'no such path'}",
        "a mounted directory",
        _compare(case),
        "Gate, watcher and application must mount the volume at the same path, and GUARD_PATH must be that path.",
    )


def _source_deleted(case: Case) -> Advice:
    folder = truncate(case.mount.root.removesuffix("//deleted"))
    return case.advice(
        f"the folder behind {case.path} was deleted on the node",
        f"a volume mounted at {case.path}",
        "If this is a subPath of a volume, its files were deleted with the folder: check that volume before anything starts.",
        f"Then delete the pod, since only a new one mounts the folder that is there now: {case.pod.delete}",
        found=f"the folder behind this bind mount was deleted on the node: {folder} of {case.mount.fstype}",
        delete=True,
    )


def _plain_directory(case: Case) -> Advice:
    return case.advice(
        f"nothing is mounted at {case.path}",
        f"a volume mounted at {case.path}",
        "If the application already ran in this pod, its files are in the container and are lost with it: copy them "
        "out first.",
        _compare(case),
        "Correct it, apply it, and delete the pod: a mount cannot appear in a running container.",
        found=f"{case.path} is a plain directory of {case.mount.fstype} mounted at {printable(case.mount.mount_point)}",
    )


def _inside_volume(case: Case) -> Advice:
    real, point = case.look.real_path, printable(case.mount.mount_point)
    compare = _compare(case)
    link = "" if real in {"", case.look.path} else f" is a link to {truncate(real)}, which"
    return case.advice(
        f"{case.path} is a folder inside the volume mounted at {point}",
        f"a volume mounted at {case.path}",
        f"Set GUARD_PATH={point} in the gate and in the watcher.",
        f"If a volume of its own should be mounted at {case.path}: {compare[0].lower()}{compare[1:]}",
        found=f"{case.path}{link} is a folder inside the volume mounted at {point} ({case.mount.fstype})",
    )


def _kinds(case: Case, *more: Kind) -> str:
    return f"GUARD_KINDS={','.join(sorted(kind.value for kind in case.expected.kinds | set(more)))}"


def _is_of_kind(case: Case) -> str:
    return f"{case.path} is of kind {case.look.kind.value}: {case.look.kind_reason}"


def _if_meant(case: Case) -> str:
    return f"If this kind is meant, set {_kinds(case, case.look.kind)} in the gate and in the watcher."


def _ephemeral(case: Case) -> Advice:
    return case.advice(
        f"{case.path} is {case.look.kind.value}, which is lost with the pod",
        f"a kind in {_kinds(case)}",
        "If there are files that you need, copy them out first: they are lost with the pod.",
        "Mount a persistentVolumeClaim at this path.",
        _if_meant(case),
        found=_is_of_kind(case),
    )


def _node_disk(case: Case) -> Advice:
    return case.advice(
        f"{case.path} is on the node's own disk",
        f"a kind in {_kinds(case)}",
        "If a cloud disk or a share should be mounted here, its mount failed on the node: delete the pod, since a "
        f"restart of the container cannot fix it: {case.pod.delete}",
        f"If hostPath or local-path is meant, set {_kinds(case, Kind.NODE_DISK)} in the gate and in the watcher.",
        found=_is_of_kind(case),
        delete=True,
    )


def _kind(case: Case) -> Advice:
    return case.advice(
        f"{case.path} is of kind {case.look.kind.value}, which is not listed",
        f"a kind in {_kinds(case)}",
        "Check that the intended volume is mounted here.",
        f"{_if_meant(case)} The marker alone then identifies the volume.",
        found=_is_of_kind(case),
    )


ADVICE: Mapping[Cause, Callable[[Case], Advice]] = {
    Cause.ABSENT: _absent,
    Cause.SOURCE_DELETED: _source_deleted,
    Cause.PLAIN_DIRECTORY: _plain_directory,
    Cause.INSIDE_VOLUME: _inside_volume,
    Cause.EPHEMERAL: _ephemeral,
    Cause.NODE_DISK: _node_disk,
    Cause.KIND: _kind,
}
