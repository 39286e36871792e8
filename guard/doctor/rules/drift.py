"""VG301 to VG303: the file against the cluster, and who writes the cluster's side. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from guard.doctor.finding import Severity, Verdict, finding, rule, save_first
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import PVC, K8sObject, scale_target
from guard.doctor.objects.ownership import owner_of
from guard.doctor.objects.paths import covers
from guard.doctor.objects.workload import PASSING, Volume, Workload
from guard.doctor.rules.placement import HOSTNAME, REQUIRED, SPOT_LABELS
from guard.doctor.source.document import STDIN
from guard.doctor.source.tree import mapping, mappings, text, texts

#: Node labels that decide over a volume: of others, admission webhooks add some to every pod.
_TELLING = frozenset({*SPOT_LABELS, HOSTNAME})
#: Settings that the cluster fills in if the file leaves them open.
_FILLED_IN = frozenset({"storageClassName", "volumeName", "replicas"})


@dataclass(frozen=True)
class _Difference:
    """What both sides have of one sort, by where, and what to call it."""

    live: Mapping[str, str]
    file: Mapping[str, str]

    @property
    def places(self) -> list[str]:
        """Where they differ."""
        return [one for one in dict.fromkeys((*self.file, *self.live)) if self.live.get(one) != self.file.get(one)]

    def __str__(self) -> str:
        both = ((where, self.live.get(where, "nothing"), self.file.get(where, "nothing")) for where in self.places)
        return "; ".join(f"{where}: the cluster has {live}, the file {file}" for where, live, file in both)


_ANY_NODE = "of no spot and no single node"


def _mounts(workload: Workload, names: Mapping[str, str]) -> dict[str, str]:
    """Returns what is mounted where in the application's containers, which can have other names on the other side."""
    what: dict[str, str] = {}
    for container in workload.applications:
        for mount in container.mounts:
            parts = (
                _source(mount.volume) if mount.volume else "nothing",
                f"subPath {mount.sub_path}" if mount.sub_path else "",
                f"subPathExpr {mount.sub_path_expr}" if mount.sub_path_expr else "",
                "read-only" if mount.is_read_only else "",
            )
            what[f"{mount.path} of {names.get(container.name, container.name)}"] = ", ".join(filter(None, parts))
    return what


def _renamed(live: Workload, file: Workload) -> Mapping[str, str]:
    """Returns the file's containers that have another name in the cluster: of the same image, or the only one on both sides."""
    here, there = ({app.name: app.image.partition(":")[0] for app in one.applications} for one in (live, file))
    old = {name: image for name, image in here.items() if name not in there}
    new = {name: image for name, image in there.items() if name not in here}
    if len(old) == len(new) == 1:
        return {next(iter(new)): next(iter(old))}
    by_image = {image: name for name, image in old.items()}
    return {name: by_image[image] for name, image in new.items() if image in by_image}


def _source(volume: Volume) -> str:
    """Returns where a volume comes from: what makes it another one if it differs."""
    if volume.claim:
        return f"claim {volume.claim}"
    source = mapping(volume.body, volume.kind)
    attributes = (f"{name}={value}" for name, value in sorted(mapping(source, "volumeAttributes").items()))
    fields = (text(source, field) for field in ("driver", "server", "path"))
    return " ".join(filter(None, (volume.kind, *fields, *attributes)))


@rule("VG301", Severity.ERROR, "reference/using-api/server-side-apply/#field-management")
def live_mounts_differ(index: ObjectIndex) -> Iterator[Verdict]:
    """The applied object mounts other volumes than the file has.

    Why: What runs is the applied object: a file in a repository protects nothing until it is applied, and stays so only
    while nobody applies another source.
    Fix: Find out which source was applied last (managedFields, the GitOps tool) and make the two equal there. Before a
    pod starts on another volume, copy the data to it: applied as it is, the file can start the application on an empty
    one.
    """
    for live in index.runners:
        file = index.other_side(live) if live.is_live else None
        if file is None:
            continue
        difference = _mount_differences(index, live, file)
        path = index.path_of(live)
        here, there = (any(app.mount_at(path) for app in one.applications) for one in (live, file))
        is_reported = here != there and all(where.startswith(f"{path} of ") for where in difference.places)
        if difference.places and not is_reported:  # by volume-not-mounted, if one side lacks the mount at the path
            fix = _bring_together(live, file, difference)
            also = (file.place(*file.pod_at, "containers"),)
            yield finding(str(difference), live, *live.pod_at, "containers", fix=fix, also=also)


def _bring_together(live: Workload, file: Workload, difference: _Difference) -> str:
    """Returns how the two sides become equal without a start on an empty volume."""
    here = ((where, difference.live.get(where, "")) for where in difference.places)
    passing = {"", "nothing", *PASSING}
    lost = ", ".join(f"{what} at {where}" for where, what in here if what.split(" ")[0].rstrip(",") not in passing)
    if lost:
        return (
            f"Do not apply {'this file' if file.source == STDIN else file.source} as it is: the pod would start without {lost}. Bring that volume into "
            f"the source first, or copy its data to the new one while the pod is stopped.{_source_of(live)}"
        )
    path = next((where.partition(" of ")[0] for where in difference.places if where in difference.file), "PATH")
    return (
        f"{save_first(live, path)} Find out which source was applied last (managedFields, the GitOps tool), then apply "
        f"the one that has the volume.{_source_of(live)}"
    )


def _source_of(live: K8sObject) -> str:
    """Returns where the change must be made if a tool undoes all others."""
    owner = owner_of(live)
    return f" Make the change in the source that {owner.tool} {owner.unit} reads: {owner.find}" if owner else ""


@rule("VG302", Severity.WARNING, "reference/using-api/server-side-apply/#field-management")
def live_settings_differ(index: ObjectIndex) -> Iterator[Verdict]:
    """The applied object differs from the file in what decides over its volume.

    Why: Strategy, replicas, node selection, guard, class, access mode or reclaim policy of the running object are not
    the reviewed ones.
    Fix: Apply the file, or bring the file to what runs. Leave replicas out of the file where an autoscaler sets them.
    Class and access mode of an existing claim cannot be changed: do not delete the claim to change them.
    """
    for live in index.objects:
        file = index.counterpart(live) if live.is_live else None
        if file is not None and (difference := _setting_differences(index, live, file)).places:
            fix = f"Make the two equal.{_source_of(live)}" if owner_of(live) else ""
            yield finding(str(difference), live, "spec", fix=fix, also=(file.place("spec"),))


def _settings(obj: K8sObject) -> dict[str, str]:
    """Returns what decides over the volume, with the API server's defaults filled in."""
    what: dict[str, str | None] = {}
    if obj.kind == "Deployment":
        what["strategy"] = obj.text("spec", "strategy", "type") or "RollingUpdate"
    if isinstance(obj, Workload) and obj.kind != "Pod":
        what["replicas"] = None if obj.get("spec", "replicas") is None else str(obj.replicas)
        selector = sorted((key, value) for key, value in mapping(obj.pod, "nodeSelector").items() if key in _TELLING)
        what["nodeSelector"] = ", ".join(f"{key}={value}" for key, value in selector) or _ANY_NODE
        what["required nodeAffinity"] = _node_affinity(obj) or _ANY_NODE
        guards = ((container, kind) for container in obj.all_containers if (kind := container.part))
        names = (f"{container.name} ({kind.value} {container.guard_volume})" for container, kind in guards)
        what["the guard's containers"] = ", ".join(names) or "none"
    if obj.kind == PVC:
        named = obj.get("spec", "storageClassName")
        what["storageClassName"] = None if named is None else obj.text("spec", "storageClassName")
        what["accessModes"] = ", ".join(sorted(obj.access_modes))
        what["volumeName"] = obj.text("spec", "volumeName") or None
    if obj.kind == "StorageClass":
        what["reclaimPolicy"] = obj.text("reclaimPolicy") or "Delete"
    return {where: value for where, value in what.items() if value is not None}


def _node_affinity(workload: Workload) -> str:
    """Returns what a required node affinity asks of spot nodes and of single ones: each term is enough, its parts hold together."""
    terms = set()
    for term in mappings(workload.pod, *REQUIRED):
        telling = (one for one in mappings(term, "matchExpressions") if text(one, "key") in _TELLING)
        parts = ((text(one, "key"), text(one, "operator"), ",".join(sorted(texts(one, "values")))) for one in telling)
        terms.add(", ".join(sorted(" ".join(part).strip() for part in parts)))
    return "" if "" in terms else " or ".join(sorted(terms))


@rule("VG303", Severity.WARNING, "https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/")
def kubectl_apply_will_be_undone(index: ObjectIndex) -> Iterator[Verdict]:
    """Another tool owns the applied object, so a fix by kubectl is undone.

    Why: Argo CD, Flux and Config Sync write their own source over the object at each sync, Helm at each upgrade. A fix
    (and a guard) that exists only in the cluster, or in another repository, disappears then.
    Fix: Make the change in the source that the tool reads.
    """
    for obj in index.objects:
        owner = owner_of(obj) if obj.is_live else None
        if owner is None:
            continue
        file = index.counterpart(obj)
        differs = file is not None and bool(_setting_differences(index, obj, file).places)
        if isinstance(obj, Workload):
            path, other = index.path_of(obj), index.other_side(obj)
            is_bare = obj in index.guarded and not any(app.mount_at(path) for app in obj.applications)
            differs = differs or is_bare or (other is not None and bool(_mount_differences(index, obj, other).places))
        if differs:
            fix = f"Find the source and make the change there: {owner.find}"
            yield finding(owner.sentence, obj, "metadata", fix=fix)


def _mount_differences(index: ObjectIndex, live: Workload, file: Workload) -> _Difference:
    """Returns both sides, without what admission webhooks add to live pods: tokens, sidecars and their mounts.

    Of what only the cluster has, a claim counts, and what lies at or below the guarded path.
    """
    names = _renamed(live, file)
    there = _mounts(file, names)
    path = index.path_of(live)
    containers = {names.get(app.name, app.name) for app in file.applications}
    own = {
        f"{mount.path} of {app.name}"
        for app in live.applications
        for mount in app.mounts
        if app.name in containers and (covers(path, mount.path) or mount in app.claim_mounts)
    }
    here = _mounts(live, {})
    return _Difference({where: here[where] for where in here if where in there or where in own}, there)


def _setting_differences(index: ObjectIndex, live: K8sObject, file: K8sObject) -> _Difference:
    """Returns both sides, without what the file leaves open and the cluster fills in, and without what an autoscaler sets."""
    here, there = _settings(live), _settings(file)
    left_open = _FILLED_IN - there.keys()
    scalers = ((scale_target(scaler), scaler.namespace) for scaler in index.of("HorizontalPodAutoscaler"))
    if any(live in index.named(kind, namespace, name) for (kind, name), namespace in scalers):
        left_open |= {"replicas"}
        there.pop("replicas", None)
    return _Difference({where: what for where, what in here.items() if where not in left_open}, there)
