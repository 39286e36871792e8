"""What a guard's container sees, against what the application uses: of one volume, and which folder of it. Pure."""

from guard.doctor.objects.paths import clean_path, covers
from guard.doctor.objects.workload import Container, Mount, Workload


def looks_elsewhere(workload: Workload, container: Container, kept: str) -> str:
    """Returns what is wrong with the place that a guard looks at; empty if it sees what the application uses.

    Args:
        workload: The workload.
        container: The guard's container.
        kept: Where the application keeps its data.
    """
    path = container.guarded_path
    own = container.mount_at(path)
    if not path or own is None:
        return looks_at_nothing(container)
    apps = workload.applications
    for app in apps:
        mount = app.mount_at(path)
        if mount and not _is_same_volume(mount, own):
            return _uses_another(container, own, app, mount, path)
        if mount and not _holds(_folder(own, path), _folder(mount, path)):
            here, there = _named(own, path), _named(mount, path)
            return f"container {container.name} looks at {here} of {own.volume_name}, container {app.name} uses {there}"
    if any(app.mount_at(path) for app in apps):
        return ""
    used = [mount for app in apps for mount in app.mounts if _is_same_volume(mount, own)]
    if not any(_holds(_folder(own, path), _folder(mount, mount.path)) for mount in used):
        paths = ", ".join(f"{mount.path} ({_named(mount, mount.path)})" for mount in used) or "nowhere"
        here = f"{path} ({_named(own, path)})"
        return f"container {container.name} looks at {here}, the application mounts volume {own.volume_name} at {paths}"
    return _leaves_data_out(workload, container, own, kept)


def looks_at_nothing(container: Container) -> str:
    """Returns what is wrong with a guard's container that mounts nothing at its path; empty if it does, or by reference."""
    path = container.guarded_path
    if not path or container.mount_at(path):
        return ""
    return f"container {container.name} looks at {path}, where it mounts nothing: it refuses every start"


def folder_of(container: Container) -> tuple[str, str] | None:
    """Returns the claim, or else the volume, and the folder of it in which a guard's container reads the marker.

    None if it mounts nothing there, or only the cluster knows.
    """
    path = container.guarded_path
    mount = container.mount_at(path) if path else None
    folder = _folder(mount, path) if mount else None
    if mount is None or mount.volume is None or folder is None:
        return None
    return (f"claim {mount.volume.claim}" if mount.volume.claim else f"volume {mount.volume_name}"), folder


def _leaves_data_out(workload: Workload, container: Container, own: Mount, kept: str) -> str:
    """Returns what is wrong if no guard looks at the volume of the application's data, and this one at another."""
    guards = [other for other in workload.all_containers if other.part is container.part]
    if not all(guard.guarded_path for guard in guards):
        return ""  # set by reference: it may be that one
    looked_at = [mount for other in guards if (mount := other.mount_at(other.guarded_path))]
    for app in workload.applications:
        mount = app.mount_at(kept)
        if (
            mount is not None
            and mount in app.claim_mounts
            and not any(_is_same_volume(mount, other) for other in looked_at)
        ):
            return _uses_another(container, own, app, mount, kept)
    return ""


def _uses_another(container: Container, own: Mount, app: Container, mount: Mount, path: str) -> str:
    return (
        f"container {container.name} looks at volume {own.volume_name}, container {app.name} uses volume "
        f"{mount.volume_name} at {path}"
    )


def _folder(mount: Mount, path: str) -> str | None:
    """Returns the folder of its volume that a mount shows at `path`, from `/`; None if only the kubelet knows it."""
    if mount.sub_path_expr:
        return None
    return clean_path(f"/{mount.sub_path}/{path.removeprefix(mount.path)}")


def _holds(outer: str | None, inner: str | None) -> bool:
    """Whether who sees the outer folder sees the inner one: the guard may be at the volume's root, or above."""
    return outer is None or inner is None or covers(outer, inner)


def _named(mount: Mount, path: str) -> str:
    folder = _folder(mount, path) or "/"
    return "its root" if folder == "/" else f"its folder {folder[1:]}"


def _is_same_volume(one: Mount, other: Mount) -> bool:
    """Whether two mounts are of one volume: a pod may list a claim twice."""
    claim = one.volume.claim if one.volume else ""
    return one.volume_name == other.volume_name or bool(claim and other.volume and claim == other.volume.claim)
