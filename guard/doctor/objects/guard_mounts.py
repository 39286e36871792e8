"""What a guard's container sees, against what the application uses: of one volume, and which folder of it. Pure."""

from guard.doctor.objects.guard_containers import applications, guarded_path, part
from guard.doctor.objects.workload import Container, Mount, Volume, Workload, clean_path, covers


def looks_elsewhere(workload: Workload, container: Container, kept: str) -> str:
    """What is wrong with the place that a guard looks at; empty where it sees what the application uses.

    Args:
        workload: The workload.
        container: The guard's container.
        kept: Where the application keeps its data.
    """
    path = guarded_path(container)
    if not path:
        return ""  # set by reference: not to be known from here
    own = container.mount_at(path)
    if own is None:
        return looks_at_nothing(container)
    apps = applications(workload)
    for app in apps:
        mount = app.mount_at(path)
        if mount and not _lead_to_one(workload, mount, own):
            return f"container {container.name} looks at volume {own.volume}, container {app.name} uses volume {mount.volume} at {path}"
        if mount and not _holds(_folder(own, path), _folder(mount, path)):
            return f"container {container.name} looks at {_said(own, path)} of {own.volume}, container {app.name} uses {_said(mount, path)}"
    if any(app.mount_at(path) for app in apps):
        return ""
    used = [mount for app in apps for mount in app.mounts if _lead_to_one(workload, mount, own)]
    if not any(_holds(_folder(own, path), _folder(mount, mount.path)) for mount in used):
        paths = ", ".join(f"{mount.path} ({_said(mount, mount.path)})" for mount in used) or "nowhere"
        return f"container {container.name} looks at {path} ({_said(own, path)}), the application mounts volume {own.volume} at {paths}"
    return _leaves_data_out(workload, container, own, kept)


def looks_at_nothing(container: Container) -> str:
    """What is wrong with a guard's container that mounts nothing at its path; empty where it does, or by reference."""
    path = guarded_path(container)
    if not path or container.mount_at(path):
        return ""
    return f"container {container.name} looks at {path}, where it mounts nothing: it refuses every start"


def folder_of(workload: Workload, container: Container) -> tuple[str, str] | None:
    """The claim, or else the volume, and the folder of it in which a guard's container reads the marker.

    None where it mounts nothing there, or only the cluster knows.
    """
    path = guarded_path(container)
    mount = container.mount_at(path) if path else None
    volume = workload.pod.volumes.get(mount.volume) if mount else None
    folder = _folder(mount, path) if mount else None
    if volume is None or folder is None:
        return None
    return (f"claim {volume.claim}" if volume.claim else f"volume {volume.name}"), folder


def _leaves_data_out(workload: Workload, container: Container, own: Mount, kept: str) -> str:
    """Whether no guard looks at the volume of the application's data, and this one at another of its volumes."""
    guards = [other for other in workload.pod.all_containers if part(other) is part(container)]
    if not all(map(guarded_path, guards)):
        return ""  # set by reference: it may be that one
    looked_at = [mount for other in guards if (mount := other.mount_at(guarded_path(other)))]
    for app in applications(workload):
        mount = app.mount_at(kept)
        if mount is None or mount not in workload.pod.claim_mounts(app):
            continue
        if not any(_lead_to_one(workload, mount, other) for other in looked_at):
            return f"container {container.name} looks at volume {own.volume}, container {app.name} uses volume {mount.volume} at {kept}"
    return ""


def _folder(mount: Mount, path: str) -> str | None:
    """The folder of its volume that a mount shows at `path`, from `/`; None where only the kubelet knows (subPathExpr)."""
    if mount.sub_path_expr:
        return None
    return clean_path(f"/{mount.sub_path}/{path.removeprefix(mount.path)}")


def _holds(outer: str | None, inner: str | None) -> bool:
    """Whether who sees the outer folder sees the inner one: the guard may stand at the volume's root, or above."""
    return outer is None or inner is None or covers(outer, inner)


def _said(mount: Mount, path: str) -> str:
    folder = _folder(mount, path) or "/"
    return "its root" if folder == "/" else f"its folder {folder[1:]}"


def _lead_to_one(workload: Workload, one: Mount, other: Mount) -> bool:
    """Whether two mounts are of one volume."""
    first, second = (workload.pod.volumes.get(mount.volume) for mount in (one, other))
    return one.volume == other.volume or (first is not None and second is not None and _is_same(first, second))


def _is_same(one: Volume, other: Volume) -> bool:
    """Whether two volumes of a pod are one: a pod may list a claim twice."""
    return one.name == other.name or bool(one.claim and one.claim == other.claim)
