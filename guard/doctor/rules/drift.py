"""VG301 to VG303: the file against the cluster, and who writes the cluster's side. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.guard_containers import applications, part, volume_name
from guard.doctor.objects.k8s_object import K8sObject, scale_target
from guard.doctor.objects.ownership import owner_of
from guard.doctor.objects.workload import Volume, Workload, as_workload, covers
from guard.doctor.rules.advice import save_first
from guard.doctor.rules.data_places import PASSING
from guard.doctor.rules.placement import HOSTNAME, REQUIRED
from guard.doctor.rules.spot import SPOT_LABELS
from guard.doctor.source.document import Side
from guard.doctor.source.tree import dig, mapping, mappings, text, texts

MOUNTS_DIFFER = Rule(
    "VG301", "live-mounts-differ", Severity.ERROR,
    "The applied object mounts other volumes than the file has.",
    "What runs is the applied object: a file in a repository protects nothing until it is applied, and stays so only while "
    "nobody applies another source.",
    "Find out which source was applied last (managedFields, the GitOps tool) and make the two equal there. Before a pod starts on "
    "another volume, copy the data to it: applied as it is, the file can start the application on an empty one.",
    "https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management",
)  # fmt: skip
SETTINGS_DIFFER = Rule(
    "VG302", "live-settings-differ", Severity.WARNING,
    "The applied object differs from the file in what decides over its volume.",
    "Strategy, replicas, node selection, guard, class, access mode or reclaim policy of the running object are not the reviewed ones.",
    "Apply the file, or bring the file to what runs. Leave replicas out of the file where an autoscaler sets them. Class and "
    "access mode of an existing claim cannot be changed: do not delete the claim to change them.",
    "https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management",
)  # fmt: skip
UNDONE = Rule(
    "VG303", "kubectl-apply-will-be-undone", Severity.WARNING,
    "Another tool owns the applied object, so a fix by kubectl is undone.",
    "Argo CD, Flux and Config Sync write their own source over the object at each sync, Helm at each upgrade. A fix (and a "
    "guard) that exists only in the cluster, or in another repository, disappears then.",
    "Make the change in the source that the tool reads.",
    "https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/",
)  # fmt: skip
#: Node labels that decide over a volume: of others, admission webhooks add some to every pod.
_TELLING = frozenset({*SPOT_LABELS, HOSTNAME})


def _pairs(index: ObjectIndex) -> Iterator[tuple[K8sObject, K8sObject]]:
    """Each live object with its file."""
    for obj in index.objects:
        if obj.side is Side.LIVE:
            other = index.counterpart(obj)
            if other is not None:
                yield obj, other


def _workload_pairs(index: ObjectIndex) -> Iterator[tuple[Workload, Workload]]:
    for live, file in _pairs(index):
        here, there = index.workload_of(live), index.workload_of(file)
        if here is not None and there is not None:
            yield here, there


def _mounts(workload: Workload, names: Mapping[str, str]) -> dict[str, str]:
    """What is mounted where in the application's containers, which can have other names on the other side."""
    says: dict[str, str] = {}
    for container in applications(workload):
        for mount in container.mounts:
            volume = workload.pod.volumes.get(mount.volume)
            parts = (
                _source(volume) if volume else "nothing",
                f"subPath {mount.sub_path}" if mount.sub_path else "",
                f"subPathExpr {mount.sub_path_expr}" if mount.sub_path_expr else "",
                "read-only" if mount.read_only or (volume and _is_read_only(volume)) else "",
            )
            says[f"{mount.path} of {names.get(container.name, container.name)}"] = ", ".join(filter(None, parts))
    return says


def _renamed(live: Workload, file: Workload) -> Mapping[str, str]:
    """The file's containers that have another name in the cluster: of the same image, or the only one on both sides."""
    old = [container for container in applications(live) if container.name not in _names(file)]
    new = [container for container in applications(file) if container.name not in _names(live)]
    same_image = {
        one.name: other.name
        for one in new
        for other in old
        if one.image.partition(":")[0] == other.image.partition(":")[0]
    }
    return {new[0].name: old[0].name} if len(old) == len(new) == 1 else same_image


def _names(workload: Workload) -> set[str]:
    return {container.name for container in applications(workload)}


def _source(volume: Volume) -> str:
    """Where a volume comes from: what makes it another one where it differs."""
    if volume.claim:
        return f"claim {volume.claim}"
    source = mapping(volume.body, volume.kind)
    attributes = mapping(source, "volumeAttributes")
    named = (
        text(source, "driver"),
        text(source, "server"),
        text(source, "path"),
        *(f"{name}={attributes[name]}" for name in sorted(attributes)),
    )
    return " ".join(filter(None, (volume.kind or "emptyDir", *named)))


def _is_read_only(volume: Volume) -> bool:
    return dig(volume.body, volume.kind, "readOnly") is True


def _mounts_of_both(index: ObjectIndex, live: Workload, file: Workload) -> tuple[dict[str, str], dict[str, str]]:
    """Both sides, without what admission webhooks add to live pods: tokens, sidecars and their mounts.

    Of what only the cluster has, a claim counts, and what lies at or below the guarded path.
    """
    names = _renamed(live, file)
    here, there = _mounts(live, {}), _mounts(file, names)
    path = index.path_of(live)
    containers = {names.get(name, name) for name in _names(file)}
    own = {
        f"{mount.path} of {container.name}"
        for container in applications(live)
        for mount in container.mounts
        if container.name in containers and (covers(path, mount.path) or mount in live.pod.claim_mounts(container))
    }
    return {where: what for where, what in here.items() if where in there or where in own}, there


def _mounts_differ(index: ObjectIndex) -> Iterator[Verdict]:
    for live, file in _workload_pairs(index):
        here, there = _mounts_of_both(index, live, file)
        differences = list(_differences(here, there))
        if differences and not _is_said_already(index, live, file):
            yield Finding(
                "; ".join(differences), live.object.place(*live.pod.at, "containers"), live.object,
                fix=_bring_together(live, file, here, there),
                also=(file.object.place(*file.pod.at, "containers"),),
            )  # fmt: skip


def _bring_together(live: Workload, file: Workload, here: dict[str, str], there: dict[str, str]) -> str:
    """How the two sides become equal without a start on an empty volume."""
    lost = [
        f"{what} at {where}"
        for where, what in here.items()
        if what != there.get(where) and what.split()[0].rstrip(",") not in PASSING | {"nothing"}
    ]
    if lost:
        return (
            f"Do not apply {'this file' if file.object.source == '-' else file.object.source} as it is: the pod would start without {', '.join(lost)}. Bring that volume into "
            f"the source first, or copy its data to the new one while the pod is stopped.{_source_of(live.object)}"
        )
    path = next((where.partition(" of ")[0] for where in there if there[where] != here.get(where)), "PATH")
    return (
        f"{save_first(live, path)} Find out which source was applied last (managedFields, the GitOps tool), then apply "
        f"the one that has the volume.{_source_of(live.object)}"
    )


def _source_of(live: K8sObject) -> str:
    """Where the change must be made if a tool undoes all others."""
    owner = owner_of(live)
    return f" Make the change in the source that {owner.tool} {owner.unit} reads: {owner.find}" if owner else ""


def _is_said_already(index: ObjectIndex, live: Workload, file: Workload) -> bool:
    """Whether all that differs is the mount at the guarded path that one side lacks: volume-not-mounted reports it better."""
    path = index.path_of(live)
    here, there = _mounts_of_both(index, live, file)
    differing = {where for where in here.keys() | there.keys() if here.get(where) != there.get(where)}
    one_lacks = any(container.mount_at(path) for container in applications(live)) != any(
        container.mount_at(path) for container in applications(file)
    )
    return one_lacks and all(where.startswith(f"{path} of ") for where in differing)


def _differences(live: dict[str, str], file: dict[str, str]) -> Iterator[str]:
    for where in dict.fromkeys((*file, *live)):
        if live.get(where) != file.get(where):
            yield f"{where}: the cluster has {live.get(where, 'nothing')}, the file {file.get(where, 'nothing')}"


def _settings_differ(index: ObjectIndex) -> Iterator[Verdict]:
    for live, file in _pairs(index):
        differences = list(_differences(*_settings_of_both(index, live, file)))
        if differences:
            fix = f"Make the two equal.{_source_of(live)}" if owner_of(live) else ""
            yield Finding("; ".join(differences), live.place("spec"), live, fix, (file.place("spec"),))


def _settings(obj: K8sObject) -> dict[str, str]:
    """What decides over the volume, with the API server's defaults filled in."""
    says: dict[str, str] = {}
    workload = as_workload(obj)
    if obj.kind == "Deployment":
        says["strategy"] = obj.text("spec", "strategy", "type") or "RollingUpdate"
    if workload is not None and workload.object.kind != "Pod":
        if workload.object.get("spec", "replicas") is not None:
            says["replicas"] = str(workload.replicas)
        selector = mapping(workload.pod.body, "nodeSelector")
        telling = sorted(key for key in selector if key in _TELLING)
        says["nodeSelector"] = ", ".join(f"{key}={selector[key]}" for key in telling) or "of no spot and no single node"
        says["required nodeAffinity"] = _node_affinity(workload) or "of no spot and no single node"
        says["the guard's containers"] = ", ".join(
            f"{container.name} ({kind.value} {volume_name(container)})" for container in workload.pod.all_containers if (kind := part(container))
        ) or "none"  # fmt: skip
    if obj.kind == "PersistentVolumeClaim":
        if obj.get("spec", "storageClassName") is not None:
            says["storageClassName"] = obj.text("spec", "storageClassName")
        says["accessModes"] = ", ".join(sorted(texts(obj.body, "spec", "accessModes")))
        if obj.text("spec", "volumeName"):
            says["volumeName"] = obj.text("spec", "volumeName")
    if obj.kind == "StorageClass":
        says["reclaimPolicy"] = obj.text("reclaimPolicy") or "Delete"
    return says


def _node_affinity(workload: Workload) -> str:
    """What a required node affinity asks of spot nodes and of single ones: each term is enough, its parts hold together."""
    terms = {
        ", ".join(
            sorted(_expression(part) for _, part in mappings(term, "matchExpressions") if text(part, "key") in _TELLING)
        )
        for _, term in mappings(workload.pod.body, *REQUIRED)
    }
    return "" if "" in terms else " or ".join(sorted(terms))


def _expression(expression: Mapping[str, Any]) -> str:
    values = ",".join(sorted(texts(expression, "values")))
    return f"{text(expression, 'key')} {text(expression, 'operator')} {values}".strip()


def _settings_of_both(index: ObjectIndex, live: K8sObject, file: K8sObject) -> tuple[dict[str, str], dict[str, str]]:
    """Both sides, without what the file leaves open and the cluster fills in, and without what an autoscaler sets."""
    here, there = _settings(live), _settings(file)
    left_open = {"storageClassName", "volumeName", "replicas"} - there.keys()
    if _is_autoscaled(index, live):
        left_open.add("replicas")
        there.pop("replicas", None)
    return {where: what for where, what in here.items() if where not in left_open}, there


def _is_autoscaled(index: ObjectIndex, obj: K8sObject) -> bool:
    for scaler in index.of("HorizontalPodAutoscaler"):
        kind, name = scale_target(scaler)
        if obj in index.named(kind, scaler.namespace, name):
            return True
    return False


def _undone(index: ObjectIndex) -> Iterator[Verdict]:
    guarded = {id(workload.object) for workload in index.guarded}
    for obj in index.objects:
        owner = owner_of(obj) if obj.side is Side.LIVE else None
        if owner is None:
            continue
        file = index.counterpart(obj)
        workload = index.workload_of(obj)
        differs = file is not None and _differs(index, obj, file)
        path = index.path_of(workload) if workload else ""
        bare = (
            workload is not None
            and id(obj) in guarded
            and not any(container.mount_at(path) for container in applications(workload))
        )
        if differs or bare:
            yield Finding(
                owner.sentence,
                obj.place("metadata"),
                obj,
                fix=f"Find the source and make the change there: {owner.find}",
            )


def _differs(index: ObjectIndex, live: K8sObject, file: K8sObject) -> bool:
    settings, reviewed = _settings_of_both(index, live, file)
    here, there = index.workload_of(live), index.workload_of(file)
    if settings != reviewed or here is None or there is None:
        return settings != reviewed
    mounts, meant = _mounts_of_both(index, here, there)
    return mounts != meant


CHECKS = (
    (MOUNTS_DIFFER, _mounts_differ),
    (SETTINGS_DIFFER, _settings_differ),
    (UNDONE, _undone),
)
