"""VG101 to VG109: what stands at the guarded path, or does not. Pure."""

from collections.abc import Iterator
from difflib import SequenceMatcher

from guard.doctor.guards import guarded_path, kinds, knows_the_guard
from guard.doctor.inventory import Inventory, application, applications
from guard.doctor.kube import Container, Side, Volume, Workload
from guard.doctor.ownership import owner_of
from guard.doctor.rule import Finding, Rule, Severity, Unknown, Verdict
from guard.doctor.rules.placement import is_bound_to_one_node
from guard.doctor.rules.words import shared
from guard.doctor.tree import mapping

_CLAIMS_AS_VOLUMES = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#claims-as-volumes"
_VOLUMES = "https://kubernetes.io/docs/concepts/storage/volumes/"

NOT_MOUNTED = Rule(
    "VG101", "volume-not-mounted", Severity.ERROR,
    "Nothing is mounted at the path where the application keeps its data.",
    "The application then writes into the container's own layer, which is thrown away with the container: every "
    "restart starts empty. The claim stays Bound and looks healthy, because nobody uses it. Often the file has the "
    "volume and the applied object has not: another source (a GitOps repository) was applied later.",
    "Give the pod a volume of the claim (spec.template.spec.volumes) and the container a volumeMount at the path, in "
    "the source that is really applied; then compare: kubectl get deploy NAME -o yaml.",
    _CLAIMS_AS_VOLUMES,
    "kubescape C-0257 reports a workload because it mounts a claim. Keeping data needs exactly that.",
)  # fmt: skip
PATH_MISMATCH = Rule(
    "VG102", "mount-path-mismatch", Severity.ERROR,
    "The claim is mounted, but not at the path where the application keeps its data.",
    "The mount is healthy and stays empty, while the application writes beside it into the container's own layer.",
    "Make mountPath and the application's path equal. If the guarded path itself is wrong, say the right one: --path.",
    _CLAIMS_AS_VOLUMES,
)  # fmt: skip
NOT_USED_BY_CONTAINER = Rule(
    "VG103", "claim-volume-not-mounted", Severity.WARNING,
    "A pod lists a volume of a claim, but no container mounts it.",
    "`volumes` only makes the disk follow the pod; without a volumeMount no process sees it.",
    "Add a volumeMount with this volume's name to the container, or remove the volume.",
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
EMPTY_DIR_FOR_CLAIM = Rule(
    "VG107", "emptydir-though-claim-exists", Severity.WARNING,
    "An emptyDir is mounted under the name of a claim that nothing uses.",
    "A default of a chart, or a volume that was never switched to the claim: the data is gone with each pod.",
    "Replace emptyDir by persistentVolumeClaim with this claim, or delete neither before you looked at both.",
    _VOLUMES + "#emptydir",
)  # fmt: skip
HOST_PATH = Rule(
    "VG108", "hostpath-at-path", Severity.ERROR,
    "The data lies in a folder of whichever node the pod runs on.",
    "On another node the folder is another one, usually empty: the volume looks reset after a move, an upgrade of the "
    "node pool or a spot stop, and is gone with the node.",
    "Use a persistentVolumeClaim. If the node is meant, pin the pod to it (nodeSelector or required nodeAffinity kubernetes.io/hostname).",
    _VOLUMES + "#hostpath",
)  # fmt: skip
NODE_LOCAL = Rule(
    "VG109", "volume-on-node-disk", Severity.WARNING,
    "The claim is bound to a hostPath volume that does not say on which node.",
    "A PersistentVolume of type hostPath without nodeAffinity follows the pod to any node, where the folder is another one.",
    "Use a class of networked disks, or a local volume with nodeAffinity.",
    "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#types-of-persistent-volumes",
)  # fmt: skip

#: A mountPath this like the guarded path is a slip of the same path, not another one.
_ALIKE = 0.8
#: Volume fields that end with the pod, and the kind in GUARD_KINDS that waives them. An empty field is emptyDir.
_EPHEMERAL = {
    "": "empty-dir", "emptyDir": "empty-dir", "configMap": "config", "downwardAPI": "config", "secret": "memory",
    "projected": "memory", "image": "overlay", "ephemeral": "", "gitRepo": "",
}  # fmt: skip


def _not_mounted(inventory: Inventory) -> Iterator[Verdict]:
    if not inventory.guarded and any(inventory.workloads):
        yield Unknown(
            f"no workload given mounts {inventory.path} or names it",
            "guard doctor --path PATH ... (where does the application keep its data?)",
        )
    for found in inventory.guarded:
        path = inventory.path_of(found)
        if _is_covered(found, path):
            yield from _stale_pods(inventory, found, path)
        elif not _claims_elsewhere(found):
            yield _nothing_there(inventory, found, path)


def _nothing_there(inventory: Inventory, found: Workload, path: str) -> Finding:
    names = ", ".join(box.name for box in applications(found))
    message = f"nothing is mounted at {path} in {'the applied object' if found.kube.side is Side.LIVE else 'this file'}"
    message += f" (container {names}): what is written there is lost with the container"
    dangling = [
        mount for box in applications(found) if (mount := box.mount_at(path)) and mount.volume not in found.pod.volumes
    ]
    unmounted = [volume.claim for volume in found.pod.volumes.values() if volume.claim]
    if dangling:
        message = f"the volumeMount at {path} names volume {dangling[0].volume}, which `volumes` does not have"
    elif unmounted:
        message += f". Claim {unmounted[0]} is among the pod's volumes, but no application container mounts it"
    also: tuple[str, str] = ("", "")
    other = inventory.other_side(found)
    if other is not None and _is_covered(other, path):
        box = next(box for box in applications(other) if box.mount_at(path))
        mount = box.mount_at(path)
        volume = other.pod.volume_at(box, path)
        place = other.kube.place(*(mount.at if mount else ()))
        what = f"claim {volume.claim}" if volume and volume.claim else "a volume"
        also = (
            f". {place} mounts {what} there: the {other.kube.side.value} has it, the {_side(found)} does not",
            _apply(found, other),
        )
    at = dangling[0].at if dangling else (*found.pod.at, "containers")
    return Finding(message + also[0], found.kube.place(*at), found.kube, fix=also[1])


def _side(found: Workload) -> str:
    return "cluster" if found.kube.side is Side.LIVE else "file"


def _apply(found: Workload, other: Workload) -> str:
    if found.kube.side is Side.FILE:
        return "Do not apply this file: it would take the volume away. Bring volumes and volumeMounts into it first."
    owner = owner_of(found.kube)
    if owner is not None and owner.reconciles:
        return (
            f"Bring volumes and volumeMounts into the source that {owner.tool} {owner.unit} reads ({owner.find}) and let it sync; "
            f"kubectl apply -f {other.kube.source} lasts only until the next sync."
        )
    kind, namespace = found.kube.kind.lower(), found.kube.namespace or "NAMESPACE"
    return (
        f"Apply the object that has the volume and watch the rollout: kubectl apply -f {other.kube.source} -n {namespace} && "
        f"kubectl rollout status {kind}/{found.kube.name} -n {namespace}. First find out what removed it."
    )


def _stale_pods(inventory: Inventory, found: Workload, path: str) -> Iterator[Verdict]:
    if found.kube.side is Side.FILE and inventory.other_side(found) is not None:
        return  # the pods are the applied object's, and that one is judged by itself
    for pod in inventory.pods_of(found):
        if _is_covered(pod, path):
            continue
        yield Finding(
            f"this pod runs without a mount at {path}, though its {found.kube.kind} has one: it is older than the template, "
            "or the rollout never ended",
            pod.kube.place("spec"),
            pod.kube,
            fix=f"kubectl rollout status {found.kube.kind.lower()}/{found.kube.name} -n {pod.kube.namespace or 'NAMESPACE'}; "
            "save what this pod has at the path (kubectl cp) before it goes.",
        )


def _path_mismatch(inventory: Inventory) -> Iterator[Verdict]:
    for found in inventory.guarded:
        path = inventory.path_of(found)
        if _is_covered(found, path):
            continue
        elsewhere = _claims_elsewhere(found)
        if (
            elsewhere
            and (inventory.assumed or _is_by_reference(found))
            and not any(_alike(mounted, path) for _, _, mounted in elsewhere)
        ):
            mounted = ", ".join(where for _, _, where in elsewhere)
            yield Unknown(
                f"{found.kube} mounts its claims at {mounted}, nothing shows that it keeps data at {path}",
                f"guard doctor --path {elsewhere[0][2]} ...",
            )
            continue
        for box, volume, mounted in elsewhere[:1]:
            mount = box.mount_at(mounted)
            yield Finding(
                f"{volume.claim or volume.name} is mounted at {mounted} in container {box.name}, the data is expected at {path}, "
                "where nothing is mounted",
                found.kube.place(*(mount.at if mount else box.at), "mountPath"),
                found.kube,
                fix=f"mountPath: {path}",
            )


def _is_by_reference(found: Workload) -> bool:
    """Whether only the cluster knows which path a guard of it looks at."""
    return any(knows_the_guard(box) and not guarded_path(box) for box in found.pod.all_containers)


def _alike(mounted: str, path: str) -> bool:
    return SequenceMatcher(None, mounted, path).ratio() >= _ALIKE


def _unused_volume(inventory: Inventory) -> Iterator[Verdict]:
    for found in inventory.workloads:
        mounted = {mount.volume for box in found.pod.all_containers for mount in box.mounts}
        for box in found.pod.all_containers:
            devices = mapping(found.kube.body, *box.at).get("volumeDevices")
            mounted |= (
                {str(item.get("name")) for item in devices if isinstance(item, dict)}
                if isinstance(devices, list)
                else set()
            )
        for volume in found.pod.volumes.values():
            if volume.claim and volume.name not in mounted:
                message = f"volume {volume.name} (claim {volume.claim}) is mounted by no container"
                yield Finding(message, found.kube.place(*volume.at), found.kube)


def _ephemeral(inventory: Inventory) -> Iterator[Verdict]:
    for found in inventory.guarded:
        path = inventory.path_of(found)
        allowed = [kinds(box) for box in found.pod.all_containers if knows_the_guard(box)]
        waived = frozenset().union(*(names or () for names in allowed))
        for box in application(found, path):
            volume = found.pod.volume_at(box, path)
            if volume is None or volume.kind not in _EPHEMERAL or {_kind(volume), "any"} & waived:
                continue
            if None in allowed:
                yield Unknown(
                    f"GUARD_KINDS in {found.kube} is set by reference, so whether {volume.kind or 'emptyDir'} at {path} is meant is open",
                    f"kubectl get configmap -n {found.kube.namespace or 'NAMESPACE'} -o yaml",
                )
                continue
            kind = volume.kind or "emptyDir (no kind is written)"
            unused = _unused_claims(inventory, found)
            hint = f". Claim {unused[0]} is used by nothing" if unused else ""
            yield Finding(
                f"{path} in container {box.name} is volume {volume.name}, of kind {kind}: new and empty for each pod{hint}",
                found.kube.place(*volume.at),
                found.kube,
                fix=f"volumes: - name: {volume.name}, persistentVolumeClaim: claimName: {unused[0] if unused else 'CLAIM'}",
            )


def _kind(volume: Volume) -> str:
    """The kind in GUARD_KINDS that waives a volume."""
    return "memory" if mapping(volume.body, "emptyDir").get("medium") == "Memory" else _EPHEMERAL[volume.kind]


def _empty_dir_for_claim(inventory: Inventory) -> Iterator[Verdict]:
    for found in inventory.workloads:
        here = {
            volume.name
            for box in application(found, inventory.path_of(found))
            if (volume := found.pod.volume_at(box, inventory.path_of(found)))
        }
        for volume in found.pod.volumes.values():
            if volume.kind not in {"", "emptyDir"} or volume.name in here:
                continue
            for claim in _unused_claims(inventory, found):
                if shared(volume.name, claim):
                    message = f"volume {volume.name} is an emptyDir, while claim {claim} exists and nothing uses it"
                    yield Finding(message, found.kube.place(*volume.at), found.kube)


def _host_path(inventory: Inventory) -> Iterator[Verdict]:
    for found in inventory.guarded:
        if found.kube.kind == "DaemonSet" or is_bound_to_one_node(found):
            continue
        path = inventory.path_of(found)
        volumes = {
            volume.name: volume for box in application(found, path) if (volume := found.pod.volume_at(box, path))
        }
        for volume in volumes.values():
            if volume.kind == "hostPath":
                folder = mapping(volume.body, "hostPath").get("path")
                message = (
                    f"{path} is the folder {folder} of whichever node the pod runs on (volume {volume.name}, hostPath)"
                )
                yield Finding(message, found.kube.place(*volume.at), found.kube)


def _node_local(inventory: Inventory) -> Iterator[Verdict]:
    for volume in inventory.of("PersistentVolume"):
        claim = volume.text("spec", "claimRef", "name")
        if volume.get("spec", "hostPath") and not volume.get("spec", "nodeAffinity") and claim:
            message = f"claim {claim} lies in the node folder {volume.text('spec', 'hostPath', 'path')}, on no node in particular"
            yield Finding(message, volume.place("spec", "hostPath"), volume)


def _is_covered(found: Workload, path: str) -> bool:
    return any(found.pod.volume_at(box, path) for box in applications(found))


def _claims_elsewhere(found: Workload) -> list[tuple[Container, Volume, str]]:
    return [
        (box, volume, mount.path)
        for box in applications(found)
        for mount in box.mounts
        if (volume := found.pod.volumes.get(mount.volume)) and volume.lasts
    ]


def _unused_claims(inventory: Inventory, found: Workload) -> list[str]:
    return list(dict.fromkeys(claim.name for claim in inventory.unused_in.get(found.kube.namespace, ())))


CHECKS = (
    (NOT_MOUNTED, _not_mounted),
    (PATH_MISMATCH, _path_mismatch),
    (NOT_USED_BY_CONTAINER, _unused_volume),
    (EPHEMERAL, _ephemeral),
    (EMPTY_DIR_FOR_CLAIM, _empty_dir_for_claim),
    (HOST_PATH, _host_path),
    (NODE_LOCAL, _node_local),
)
