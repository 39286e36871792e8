"""VG101 to VG103, VG106 and VG107: what is mounted at the path of the data, or is not, and what nobody mounts. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Finding, Severity, Unknown, Verdict, finding, rule, save_first
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.names import shared
from guard.doctor.objects.ownership import owner_of
from guard.doctor.objects.workload import PASSING, Workload
from guard.doctor.rules.keeping import data_places, keeps

_CLAIMS_AS_VOLUMES = "concepts/storage/persistent-volumes/#claims-as-volumes"
_VOLUMES = "concepts/storage/volumes/"

#: Names in a sentence.
_NAMES = 3
#: How the reason of a path starts that nothing but the default names.
DEFAULT_REASON = "the default;"
#: Volume fields that end with the pod, and the kind in GUARD_KINDS that waives them.
_WAIVED_BY = {
    **dict.fromkeys(PASSING, ""),
    "emptyDir": "empty-dir",
    "configMap": "config",
    "downwardAPI": "config",
    "secret": "memory",
    "projected": "memory",
    "image": "overlay",
}


@rule("VG101", Severity.ERROR, _CLAIMS_AS_VOLUMES)
def volume_not_mounted(index: ObjectIndex) -> Iterator[Verdict]:
    """Nothing is mounted at the path where the application keeps its data.

    Why: The application then writes into the container's own layer, which is thrown away with the container: every
    restart starts empty. The claim stays Bound and looks healthy, because nobody uses it. Often the file has the volume
    and the applied object has not: another source (a GitOps repository) was applied later.
    Fix: Save the running pod's data. Then give the pod a volume of the claim and the container a volumeMount at the
    path, in the source that is really applied; then compare: kubectl get KIND NAME -o yaml.
    Other advice: kubescape C-0257 reports a workload because it mounts a claim. Keeping data needs exactly that.
    """
    steady = (one for one in index.workloads if not (one.runs_to_end or one.has_raw_device_only))
    serving = [workload for workload in steady if workload.applications]
    known = {place.workload for place in data_places(index) if keeps(place)}
    if serving and not index.guarded and (index.path or not known.issuperset(serving)):
        yield _nowhere(index, serving)
    for workload in index.guarded:
        path = index.path_of(workload)
        if workload.mounts_at(path):
            yield from _stale_pods(index, workload, path)
        elif not workload.claim_mounts:
            yield _nothing_there(index, workload, path)


def _nowhere(index: ObjectIndex, serving: list[Workload]) -> Verdict:
    """Returns that nothing shows where any workload keeps data; if a path was given, that nothing is mounted there."""
    names = ", ".join(map(str, serving[:_NAMES])) + (", ..." if serving[_NAMES:] else "")
    if not index.path:
        keep = "keep" if serving[1:] else "keeps"
        command = "guard doctor --path PATH ... (where does the application keep its data?)"
        return Unknown(f"no path was given, and nothing shows where {names} {keep} data", command)
    elsewhere = [mounts[0] for workload in serving if (mounts := workload.claim_mounts)]
    listed = ", ".join(f"{mount.workload.name}: {mount.path}" for mount in elsewhere[:_NAMES])
    where = f"; their claims are mounted elsewhere ({listed})" if listed else ""
    first = elsewhere[0].workload if elsewhere else serving[0]
    message = f"no workload given ({names}) mounts anything at {index.path}{where}"
    return finding(message, first, *first.pod_at, "containers")


def _nothing_there(index: ObjectIndex, workload: Workload, path: str) -> Finding:
    apps = workload.applications
    names = f"container {', '.join(container.name for container in apps)}"
    side = "the applied object" if workload.is_live else "this file"
    reason = index.guarded[workload].reason
    dangling = next((mount for app in apps if (mount := app.mount_at(path)) and not mount.volume), None)
    if dangling:
        message = f"the volumeMount at {path} names volume {dangling.volume_name}, which `volumes` does not have"
    elif _is_only_default(index, workload):
        why = f"{names};{reason.removeprefix(DEFAULT_REASON)}"
        message = f"no volume that lasts is mounted in {side} ({why}): what it writes is lost with the container"
    else:
        why = names if reason == "--path" else f"{names}, {reason}"
        message = f"nothing is mounted at {path} in {side} ({why}): what is written there is lost with the container"
    if workload.claims and not dangling:
        message += f". Claim {workload.claims[0]} is among the pod's volumes, but no application container mounts it"
    fix = _mount_it(index, workload, path)
    other = index.other_side(workload)
    held = next((mount for app in other.applications if (mount := app.mount_at(path))), None) if other else None
    if other is not None and held is not None and held.volume is not None:
        what = f"claim {held.volume.claim}" if held.volume.claim else "a volume"
        has, lacks = ("cluster", "file") if other.is_live else ("file", "cluster")
        message += f". {held.place()} mounts {what} there: the {has} has it, the {lacks} does not"
        fix = _apply(workload, other, path)
    at = dangling.at if dangling else (*workload.pod_at, "containers")
    return finding(message, workload, *at, fix=fix, is_guess=not index.is_sure(workload))


def _is_only_default(index: ObjectIndex, workload: Workload) -> bool:
    """Whether the path is the default, and no name of the workload or its volumes has to do with it."""
    target = index.guarded[workload]
    if not target.reason.startswith(DEFAULT_REASON):
        return False
    names = (workload.name, *workload.volumes, *workload.claims)
    return not shared(target.path, *names) and not index.unused_like(workload.namespace, target.path)


def _mount_it(index: ObjectIndex, workload: Workload, path: str) -> str:
    """Returns the general fix with this workload's names."""
    container = next((container.name for container in workload.applications), "CONTAINER")
    claim = next(iter((*workload.claims, *_claims_for(index, workload))), "CLAIM")
    path = "PATH" if _is_only_default(index, workload) else path
    volumes = f"{'.'.join(map(str, workload.pod_at))}.volumes with persistentVolumeClaim: {{claimName: {claim}}}"
    what = f": {volumes}, and a volumeMount of it"
    if workload.unmounted:
        what = f", a volumeMount of volume {workload.unmounted[0].name}"
    return (
        f"{save_first(workload, path)} Then, in the source that is really applied{what} in container {container} with "
        f"mountPath: {path}. Compare afterwards: kubectl get {workload.kubectl_name} -o yaml."
    )


def _apply(workload: Workload, other: Workload, path: str) -> str:
    if not workload.is_live:
        return "Do not apply this file: it would take the volume away. Bring volumes and volumeMounts into it first."
    owner = owner_of(workload)
    save, apply = save_first(workload, path), f"kubectl apply -f {other.source}"
    if owner is not None and owner.reconciles:
        source = f"the source that {owner.tool} {owner.unit} reads ({owner.find})"
        return (
            f"{save} Then bring volumes and volumeMounts into {source} and let it sync; "
            f"{apply} lasts only until the next sync."
        )
    return (
        f"{save} Find out what removed the volume, then apply the object that has it and watch the rollout: "
        f"{apply} -n {workload.kubectl_namespace} && kubectl rollout status {workload.kubectl_name}"
    )


def _stale_pods(index: ObjectIndex, workload: Workload, path: str) -> Iterator[Verdict]:
    if not workload.is_live and index.other_side(workload) is not None:
        return  # the pods are the applied object's, and that one is judged by itself
    for pod in index.pods_of(workload):
        if not pod.mounts_at(path):
            yield finding(
                f"this pod runs without a mount at {path}, though its {workload.kind} has one: it is older than the "
                "template, or the rollout never ended",
                pod,
                "spec",
                fix=f"Save what this pod has at the path before it goes: kubectl cp {pod.kubectl_namespace}/{pod.name}:{path} "
                f"./saved. Then kubectl rollout status {workload.kubectl_name}",
            )


@rule("VG102", Severity.ERROR, _CLAIMS_AS_VOLUMES)
def mount_path_mismatch(index: ObjectIndex) -> Iterator[Verdict]:
    """The claim is mounted, but not at the path where the application keeps its data.

    Why: The mount is healthy and stays empty, while the application writes beside it into the container's own layer.
    Fix: Make mountPath and the application's path equal. If the path itself is wrong, give the right one: --path.
    """
    for workload in index.guarded:
        path = index.path_of(workload)
        elsewhere = () if workload.mounts_at(path) else workload.claim_mounts
        is_by_reference = any(one.knows_the_guard and not one.guarded_path for one in workload.all_containers)
        if elsewhere and not index.path and is_by_reference:
            mounted = ", ".join(mount.path for mount in elsewhere)
            reason = f"{workload} mounts its claims at {mounted}, nothing shows that it keeps data at {path}"
            yield Unknown(reason, f"guard doctor --path {elsewhere[0].path} ...")
            continue
        for mount in elsewhere[:1]:
            yield finding(
                f"claim {mount.claim_name} is mounted at {mount.path} in container {mount.container.name}, the data is expected at {path}, "
                "where nothing is mounted",
                mount,
                "mountPath",
                fix=f"{save_first(workload, path, mount.container.name)} Then mountPath: {path}",
                is_guess=not index.is_sure(workload),
            )


@rule("VG106", Severity.ERROR, _VOLUMES + "#emptydir")
def ephemeral_at_path(index: ObjectIndex) -> Iterator[Verdict]:
    """The volume at the guarded path lives only as long as the pod.

    Why: emptyDir (also `- name: x` with nothing else), configMap, secret, projected, downwardAPI, image and ephemeral
    volumes are made for each pod and removed with it: a new pod starts empty.
    Fix: Use a persistentVolumeClaim volume. If this kind is meant, list it in GUARD_KINDS.
    """
    for workload in index.guarded:
        path = index.path_of(workload)
        allowed = [container.guard_kinds for container in workload.all_containers if container.knows_the_guard]
        waived = frozenset().union(*(names or () for names in allowed))
        for container in workload.applications_at(path):
            volume = container.volume_at(path)
            if volume is None or volume.kind not in PASSING:
                continue
            is_memory = volume.text("emptyDir", "medium") == "Memory"
            if {"memory" if is_memory else _WAIVED_BY[volume.kind], "any"} & waived:
                continue
            if None in allowed:
                yield Unknown(
                    f"GUARD_KINDS in {workload} is set by reference, so whether {volume.kind} at {path} is meant is open",
                    f"kubectl get configmap -n {workload.kubectl_namespace} -o yaml",
                )
                continue
            kind = volume.kind if volume.kind in volume.body else f"{volume.kind} (no kind is written)"
            unused = _claims_for(index, workload)
            given = "made for each pod from an object, and never what the application wrote"
            what = given if volume.is_given else "new and empty for each pod"
            hint = f". Claim {unused[0]} is used by nothing" if unused else ""
            claim = f"persistentVolumeClaim: {{claimName: {unused[0] if unused else 'CLAIM'}}}"
            yield finding(
                f"{path} in container {container.name} is volume {volume.name}, of kind {kind}: {what}{hint}",
                volume,
                fix=f"{save_first(workload, path, container.name)} Then, as volume {volume.name}: {claim}",
                is_guess=not index.is_sure(workload),
            )


def _claims_for(index: ObjectIndex, workload: Workload) -> list[str]:
    """Returns the one unused claim that shares a telling word with the workload; another application's is never offered."""
    names = index.unused_like(workload.namespace, workload.name, index.path_of(workload))
    return names if len(names) == 1 else []


@rule("VG103", Severity.WARNING, _CLAIMS_AS_VOLUMES)
def claim_volume_not_mounted(index: ObjectIndex) -> Iterator[Verdict]:
    """A pod lists a volume of a claim, but no container mounts it.

    Why: `volumes` only makes the disk follow the pod; without a volumeMount no process sees it.
    Fix: Add a volumeMount with this volume's name to the container, or remove the volume.
    """
    for workload in index.workloads:
        for volume in workload.unmounted:
            what = f"volume {volume.name} (claim {volume.claim})" if volume.claim else f"{volume.kind} {volume.name}"
            yield finding(f"{what} is mounted by no container", volume)


@rule("VG107", Severity.WARNING, _VOLUMES + "#emptydir")
def emptydir_though_claim_exists(index: ObjectIndex) -> Iterator[Verdict]:
    """An emptyDir is mounted under the name of a claim that nothing uses.

    Why: A default of a chart, or a volume that was never switched to the claim: the data is gone with each pod.
    Fix: Replace emptyDir by persistentVolumeClaim with this claim, or delete neither before you looked at both.
    """
    for workload in index.workloads:
        path = index.path_of(workload)
        here = {container.volume_at(path) for container in workload.applications_at(path)}
        for volume in workload.volumes.values():
            if volume.kind == "emptyDir" and volume not in here:
                for claim in index.unused_like(workload.namespace, volume.name):
                    message = f"volume {volume.name} is an emptyDir, while claim {claim} exists and nothing uses it"
                    yield finding(message, volume)
