"""VG101, VG102 and VG106: what is mounted at the path of the data, or is not. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Finding, Rule, Severity, Unknown, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.guard_containers import application, applications, guarded_path, kinds, knows_the_guard
from guard.doctor.objects.names import shared
from guard.doctor.objects.ownership import owner_of
from guard.doctor.objects.workload import Container, Volume, Workload
from guard.doctor.rules.advice import namespace, reference, save_first
from guard.doctor.rules.data_places import data_places
from guard.doctor.rules.keeping import keeps
from guard.doctor.source.document import Side
from guard.doctor.source.tree import mapping

_CLAIMS_AS_VOLUMES = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#claims-as-volumes"
_VOLUMES = "https://kubernetes.io/docs/concepts/storage/volumes/"

NOT_MOUNTED = Rule(
    "VG101", "volume-not-mounted", Severity.ERROR,
    "Nothing is mounted at the path where the application keeps its data.",
    "The application then writes into the container's own layer, which is thrown away with the container: every "
    "restart starts empty. The claim stays Bound and looks healthy, because nobody uses it. Often the file has the "
    "volume and the applied object has not: another source (a GitOps repository) was applied later.",
    "Save the running pod's data. Then give the pod a volume of the claim and the container a volumeMount at the path, in "
    "the source that is really applied; then compare: kubectl get KIND NAME -o yaml.",
    _CLAIMS_AS_VOLUMES,
    "kubescape C-0257 reports a workload because it mounts a claim. Keeping data needs exactly that.",
)  # fmt: skip
PATH_MISMATCH = Rule(
    "VG102", "mount-path-mismatch", Severity.ERROR,
    "The claim is mounted, but not at the path where the application keeps its data.",
    "The mount is healthy and stays empty, while the application writes beside it into the container's own layer.",
    "Make mountPath and the application's path equal. If the path itself is wrong, give the right one: --path.",
    _CLAIMS_AS_VOLUMES,
)  # fmt: skip
EPHEMERAL = Rule(
    "VG106", "ephemeral-at-path", Severity.ERROR,
    "The volume at the guarded path lives only as long as the pod.",
    "emptyDir (also `- name: x` with nothing else), configMap, secret, projected, downwardAPI, image and ephemeral "
    "volumes are made for each pod and removed with it: a new pod starts empty.",
    "Use a persistentVolumeClaim volume. If this kind is meant, list it in GUARD_KINDS.",
    _VOLUMES + "#emptydir",
)  # fmt: skip
#: Names in a sentence.
_NAMES = 3
#: How the reason of a path starts that nothing but the default names.
DEFAULT_REASON = "the default;"
#: Volume fields that end with the pod, and the kind in GUARD_KINDS that waives them. An empty field is emptyDir.
_EPHEMERAL = {
    "": "empty-dir", "emptyDir": "empty-dir", "configMap": "config", "downwardAPI": "config", "secret": "memory",
    "projected": "memory", "image": "overlay", "ephemeral": "", "gitRepo": "",
}  # fmt: skip


def _not_mounted(index: ObjectIndex) -> Iterator[Verdict]:
    serving = [
        workload
        for workload in index.workloads
        if not (workload.runs_to_end or workload.has_raw_device_only) and applications(workload)
    ]
    known = {id(place.workload) for place in data_places(index) if keeps(place)}
    if serving and not index.guarded and (index.path or not all(id(workload) in known for workload in serving)):
        yield _nowhere(index, serving)
    for workload in index.guarded:
        path = index.path_of(workload)
        if _is_covered(workload, path):
            yield from _stale_pods(index, workload, path)
        elif not _claims_elsewhere(workload):
            yield _nothing_there(index, workload, path)


def _nowhere(index: ObjectIndex, serving: list[Workload]) -> Verdict:
    """Nothing shows where any workload keeps data; if a path was given, nothing is mounted there."""
    names = ", ".join(str(workload.object) for workload in serving[:_NAMES]) + (", ..." if serving[_NAMES:] else "")
    if index.path:
        elsewhere = [(workload, mounts[0][2]) for workload in serving if (mounts := _claims_elsewhere(workload))]
        listed = ", ".join(f"{workload.object.name}: {where}" for workload, where in elsewhere[:_NAMES])
        message = f"no workload given ({names}) mounts anything at {index.path}" + (
            f"; their claims are mounted elsewhere ({listed})" if elsewhere else ""
        )
        first = elsewhere[0][0] if elsewhere else serving[0]
        return Finding(message, first.object.place(*first.pod.at, "containers"), first.object)
    return Unknown(
        f"no path was given, and nothing shows where {names} keep data"
        if serving[1:]
        else f"no path was given, and nothing shows where {names} keeps data",
        "guard doctor --path PATH ... (where does the application keep its data?)",
    )


def _nothing_there(index: ObjectIndex, workload: Workload, path: str) -> Finding:
    names = ", ".join(container.name for container in applications(workload))
    side = "the applied object" if workload.object.side is Side.LIVE else "this file"
    target = index.target_of(workload)
    why = f", {target.reason}" if target and target.reason != "--path" else ""
    message = f"nothing is mounted at {path} in {side} (container {names}{why}): what is written there is lost with the container"
    if _is_only_default(index, workload):
        why = why.removeprefix(f", {DEFAULT_REASON}")
        message = f"no volume that lasts is mounted in {side} (container {names};{why}): what it writes is lost with the container"
    dangling = [
        mount
        for container in applications(workload)
        if (mount := container.mount_at(path)) and mount.volume not in workload.pod.volumes
    ]
    unmounted = [volume.claim for volume in workload.pod.volumes.values() if volume.claim]
    if dangling:
        message = f"the volumeMount at {path} names volume {dangling[0].volume}, which `volumes` does not have"
    elif unmounted:
        message += f". Claim {unmounted[0]} is among the pod's volumes, but no application container mounts it"
    also: tuple[str, str] = ("", "")
    other = index.other_side(workload)
    if other is not None and _is_covered(other, path):
        container = next(container for container in applications(other) if container.mount_at(path))
        mount = container.mount_at(path)
        volume = other.pod.volume_at(container, path)
        place = other.object.place(*(mount.at if mount else ()))
        what = f"claim {volume.claim}" if volume and volume.claim else "a volume"
        also = (
            f". {place} mounts {what} there: the {_side(other)} has it, the {_side(workload)} does not",
            _apply(workload, other, path),
        )
    at = dangling[0].at if dangling else (*workload.pod.at, "containers")
    fix = also[1] or _mount_it(index, workload, path)
    is_guess = not index.is_sure(workload)
    return Finding(message + also[0], workload.object.place(*at), workload.object, fix=fix, is_guess=is_guess)


def _unmounted(workload: Workload) -> list[Volume]:
    """Its volumes that last and that no container gets."""
    mounted = {name for container in workload.pod.all_containers for name in container.volume_names}
    return [volume for volume in workload.pod.volumes.values() if volume.is_persistent and volume.name not in mounted]


def _is_only_default(index: ObjectIndex, workload: Workload) -> bool:
    """Whether the path is the default, and no name of the workload or its volumes has to do with it."""
    target = index.target_of(workload)
    if target is None or not target.reason.startswith(DEFAULT_REASON):
        return False
    names = (workload.object.name, *workload.pod.volumes, *workload.claims)
    return not shared(target.path, *names) and not index.unused_like(workload.object.namespace, target.path)


def _mount_it(index: ObjectIndex, workload: Workload, path: str) -> str:
    """The general fix with this workload's names."""
    container = next((container.name for container in applications(workload)), "CONTAINER")
    own = [volume.claim for volume in workload.pod.volumes.values() if volume.claim]
    claim = next(iter((*own, *_claims_for(index, workload))), "CLAIM")
    pod = ".".join(map(str, workload.pod.at))
    path = "PATH" if _is_only_default(index, workload) else path
    unmounted = [volume.name for volume in _unmounted(workload)]
    if unmounted:
        return (
            f"{save_first(workload, path)} Then, in the source that is really applied, a volumeMount of volume {unmounted[0]} in "
            f"container {container} with mountPath: {path}. Compare afterwards: kubectl get {reference(workload.object)} -o yaml."
        )
    return (
        f"{save_first(workload, path)} Then, in the source that is really applied: {pod}.volumes with "
        f"persistentVolumeClaim: {{claimName: {claim}}}, and a volumeMount of it in container {container} with mountPath: {path}. "
        f"Compare afterwards: kubectl get {reference(workload.object)} -o yaml."
    )


def _side(workload: Workload) -> str:
    return "cluster" if workload.object.side is Side.LIVE else "file"


def _apply(workload: Workload, other: Workload, path: str) -> str:
    if workload.object.side is Side.FILE:
        return "Do not apply this file: it would take the volume away. Bring volumes and volumeMounts into it first."
    owner = owner_of(workload.object)
    save = save_first(workload, path)
    if owner is not None and owner.reconciles:
        return (
            f"{save} Then bring volumes and volumeMounts into the source that {owner.tool} {owner.unit} reads ({owner.find}) and let it sync; "
            f"kubectl apply -f {other.object.source} lasts only until the next sync."
        )
    return (
        f"{save} Find out what removed the volume, then apply the object that has it and watch the rollout: "
        f"kubectl apply -f {other.object.source} -n {namespace(workload.object)} && kubectl rollout status {reference(workload.object)}"
    )


def _stale_pods(index: ObjectIndex, workload: Workload, path: str) -> Iterator[Verdict]:
    if workload.object.side is Side.FILE and index.other_side(workload) is not None:
        return  # the pods are the applied object's, and that one is judged by itself
    for pod in index.pods_of(workload):
        if _is_covered(pod, path):
            continue
        yield Finding(
            f"this pod runs without a mount at {path}, though its {workload.object.kind} has one: it is older than the template, "
            "or the rollout never ended",
            pod.object.place("spec"),
            pod.object,
            fix=f"Save what this pod has at the path before it goes: kubectl cp {namespace(pod.object)}/{pod.object.name}:{path} ./saved. "
            f"Then kubectl rollout status {reference(workload.object)}",
        )


def _path_mismatch(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.guarded:
        path = index.path_of(workload)
        if _is_covered(workload, path):
            continue
        elsewhere = _claims_elsewhere(workload)
        if elsewhere and not index.path and _is_by_reference(workload):
            mounted = ", ".join(where for _, _, where in elsewhere)
            yield Unknown(
                f"{workload.object} mounts its claims at {mounted}, nothing shows that it keeps data at {path}",
                f"guard doctor --path {elsewhere[0][2]} ...",
            )
            continue
        for container, volume, mounted in elsewhere[:1]:
            mount = container.mount_at(mounted)
            yield Finding(
                f"claim {volume.claim or volume.name} is mounted at {mounted} in container {container.name}, the data is expected at "
                f"{path}, where nothing is mounted",
                workload.object.place(*(mount.at if mount else container.at), "mountPath"),
                workload.object,
                fix=f"{save_first(workload, path, container.name)} Then mountPath: {path}",
                is_guess=not index.is_sure(workload),
            )


def _is_by_reference(workload: Workload) -> bool:
    """Whether only the cluster knows which path a guard of it looks at."""
    return any(knows_the_guard(container) and not guarded_path(container) for container in workload.pod.all_containers)


def _ephemeral(index: ObjectIndex) -> Iterator[Verdict]:
    for workload in index.guarded:
        path = index.path_of(workload)
        allowed = [kinds(container) for container in workload.pod.all_containers if knows_the_guard(container)]
        waived = frozenset().union(*(names or () for names in allowed))
        for container in application(workload, path):
            volume = workload.pod.volume_at(container, path)
            if volume is None or volume.kind not in _EPHEMERAL or {_kind(volume), "any"} & waived:
                continue
            if None in allowed:
                yield Unknown(
                    f"GUARD_KINDS in {workload.object} is set by reference, so whether {volume.kind or 'emptyDir'} at {path} is meant is open",
                    f"kubectl get configmap -n {workload.object.namespace or 'NAMESPACE'} -o yaml",
                )
                continue
            kind = volume.kind or "emptyDir (no kind is written)"
            unused = _claims_for(index, workload)
            hint = f". Claim {unused[0]} is used by nothing" if unused else ""
            what = (
                "made for each pod from an object, and never what the application wrote"
                if volume.is_given
                else "new and empty for each pod"
            )
            yield Finding(
                f"{path} in container {container.name} is volume {volume.name}, of kind {kind}: {what}{hint}",
                workload.object.place(*volume.at),
                workload.object,
                fix=f"{save_first(workload, path, container.name)} Then, as volume {volume.name}: persistentVolumeClaim: "
                f"{{claimName: {unused[0] if unused else 'CLAIM'}}}",
                is_guess=not index.is_sure(workload),
            )


def _kind(volume: Volume) -> str:
    """The kind in GUARD_KINDS that waives a volume."""
    return "memory" if mapping(volume.body, "emptyDir").get("medium") == "Memory" else _EPHEMERAL[volume.kind]


def _is_covered(workload: Workload, path: str) -> bool:
    return any(workload.pod.volume_at(container, path) for container in applications(workload))


def _claims_elsewhere(workload: Workload) -> list[tuple[Container, Volume, str]]:
    return [
        (container, volume, mount.path)
        for container in applications(workload)
        for mount in container.mounts
        if (volume := workload.pod.volumes.get(mount.volume)) and volume.is_persistent
    ]


def _claims_for(index: ObjectIndex, workload: Workload) -> list[str]:
    """The one unused claim that shares a telling word with the workload; another application's is never offered."""
    names = index.unused_like(workload.object.namespace, workload.object.name, index.path_of(workload))
    return names if len(names) == 1 else []


CHECKS = (
    (NOT_MOUNTED, _not_mounted),
    (PATH_MISMATCH, _path_mismatch),
    (EPHEMERAL, _ephemeral),
)
