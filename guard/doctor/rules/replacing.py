"""VG215, VG218 and VG219: what made a claim again, or does at each upgrade or sync. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.claim_names import image_names
from guard.doctor.objects.k8s_object import K8sObject, same_namespace
from guard.doctor.objects.workload import ORDINAL, Workload
from guard.doctor.source.document import Side
from guard.doctor.source.tree import Path, mapping, text, texts
from guard.doctor.storage import reserved_for, volume_of

_PVC = "PersistentVolumeClaim"

HOOK = Rule(
    "VG215", "claim-made-by-hook", Severity.ERROR,
    "The claim is deleted and created again by the tool that applies it.",
    "A Helm or Argo CD hook is deleted before it is created again (before-hook-creation is the default): at each upgrade or sync "
    "the claim goes, and with reclaimPolicy Delete the disk. Replace=true with Force=true does the same. "
    "helm.sh/resource-policy: keep does not hold for hooks.",
    "Set the volume to Retain first. Then remove the hook and Replace annotations, so that the claim is an ordinary object of "
    "the release, with helm.sh/resource-policy: keep or argocd.argoproj.io/sync-options: Prune=false,Delete=false.",
    "https://helm.sh/docs/topics/charts_hooks/#hook-deletion-policies",
)  # fmt: skip
YOUNGER = Rule(
    "VG218", "claim-younger-than-workload", Severity.WARNING,
    "The claim was created after the workload that uses it.",
    "A claim that was deleted and created again has the same name and a new, empty disk. The old disk may still be there as a "
    "Released volume. It can also be a volume that was added later: then all is well.",
    "Look for the old disk before the application writes more: kubectl get pv (Released), the provider's list of disks and "
    "snapshots, the backups.",
    "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming",
)  # fmt: skip
TEMPLATES = Rule(
    "VG219", "claim-template-changed", Severity.ERROR,
    "The StatefulSet's volumeClaimTemplates, or its name, are not those that made its claims.",
    "A StatefulSet names its claims TEMPLATE-STATEFULSET-NUMBER. Under another name of either it makes new, empty claims; the old "
    "ones stay beside them with the data. Templates cannot be changed in place, so the StatefulSet is deleted and made again.",
    "Keep the names. To rename: set the old volumes to Retain, bind them to claims of the new names (remove spec.claimRef, "
    "then spec.volumeName in the new claim), and start then.",
    "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#volume-claim-templates",
)  # fmt: skip
#: A claim and its workload are made within this time of each other when they belong to one installation.
_TOGETHER = timedelta(hours=1)
#: Where Flux is set to delete and create what it cannot change in place.
_FORCE: Mapping[str, Path] = {
    "kustomize.toolkit.fluxcd.io": ("spec", "force"),
    "helm.toolkit.fluxcd.io": ("spec", "upgrade", "force"),
}
_FLUX_FORCE = "kustomize.toolkit.fluxcd.io/force"
_UPGRADES = frozenset({"pre-upgrade", "post-upgrade", "pre-rollback", "post-rollback"})
_INSTALLS = frozenset({"pre-install", "post-install"})


def _hook(index: ObjectIndex) -> Iterator[Verdict]:
    for obj in index.of(_PVC, "PersistentVolume", "Namespace"):
        problem, key = _made_again(obj)
        if problem:
            yield Finding(problem, obj.place("metadata", "annotations", key), obj)
    for obj in index.of("Application", "Kustomization", "HelmRelease"):
        problem, way = _replaces_all(obj)
        if problem:
            yield Finding(f"{problem} for all its objects, the claims too", obj.place(*way), obj)


def _replaces_all(obj: K8sObject) -> tuple[str, Path]:
    """What makes a tool delete and create all objects of a unit again, and where that is written."""
    group = obj.text("apiVersion").partition("/")[0]
    way: Path = ("spec", "syncPolicy", "syncOptions")
    if group == "argoproj.io" and {"Replace=true", "Force=true"} <= set(texts(obj.body, *way)):
        return "syncOptions Replace=true and Force=true hold", way
    for owner, path in _FORCE.items():
        if group == owner and obj.get(*path) is True:
            return (
                f"{'.'.join(map(str, path))} is true: what cannot be changed in place is deleted and created again, and that holds",
                path,
            )
    return "", ()


def _words(value: str) -> frozenset[str]:
    return frozenset(word for word in value.replace(" ", "").split(",") if word)


def _made_again(obj: K8sObject) -> tuple[str, str]:
    """What deletes it, and the annotation that does it; empty where nothing does."""
    notes = obj.annotations
    helm, policy = _words(text(notes, "helm.sh/hook")), _words(text(notes, "helm.sh/hook-delete-policy"))
    again = "before-hook-creation" in policy or not policy
    named = f"helm.sh/hook: {text(notes, 'helm.sh/hook')}" + (
        "" if policy else " (delete policy before-hook-creation is the default)"
    )
    if helm & _UPGRADES and again:
        return f"{named}: Helm deletes it and creates it again at each upgrade", "helm.sh/hook"
    if helm & (_UPGRADES | _INSTALLS) and "hook-succeeded" in policy:
        return f"{named}, hook-succeeded: Helm deletes it as soon as it was made", "helm.sh/hook-delete-policy"
    if helm & _INSTALLS and again:
        when = "when the release is installed again, and Argo CD, which takes Helm's hooks for its own, at each sync"
        return f"{named}: it is deleted and created again {when}", "helm.sh/hook"
    argo, policy = text(notes, "argocd.argoproj.io/hook"), _words(text(notes, "argocd.argoproj.io/hook-delete-policy"))
    if argo and argo != "Skip" and (not policy or policy & {"BeforeHookCreation", "HookSucceeded"}):
        return (
            f"argocd.argoproj.io/hook: {argo}: Argo CD deletes it and creates it again at each sync",
            "argocd.argoproj.io/hook",
        )
    if text(notes, _FLUX_FORCE) == "enabled":
        return "Flux deletes it and creates it again where a field that cannot be changed differs", _FLUX_FORCE
    options = _words(text(notes, "argocd.argoproj.io/sync-options"))
    if "Replace=true" in options:
        how = (
            "deletes it and creates it again"
            if "Force=true" in options
            else "replaces it whole, and creates it again if that is refused,"
        )
        return f"sync-options Replace=true: Argo CD {how} at each sync", "argocd.argoproj.io/sync-options"
    return "", ""


def _younger(index: ObjectIndex) -> Iterator[Verdict]:
    for claim in index.live(_PVC):
        made = _time(claim)
        users = [user for user in index.workloads_with(claim) if user.object.side is Side.LIVE and not user.runs_to_end]
        for user in users[:1]:
            since = _time(user.object)
            if (
                not made
                or not since
                or made - since < _TOGETHER
                or user.object.kind == "Pod"
                or _is_known(index, claim, since)
            ):
                continue
            if user.claim_templates and not claim.name.endswith("-0") and claim.name not in user.claims:
                continue  # scaled up later
            message = f"created {claim.text('metadata', 'creationTimestamp')}, {(made - since).days} days after {user.object} ({user.object.text('metadata', 'creationTimestamp')})"
            yield Finding(message, claim.place("metadata", "creationTimestamp"), claim, also=(user.object.place(),))


def _time(obj: K8sObject) -> datetime | None:
    try:
        return datetime.fromisoformat(obj.text("metadata", "creationTimestamp"))
    except ValueError:
        return None


def _is_known(index: ObjectIndex, claim: K8sObject, since: datetime) -> bool:
    """Whether its volume shows it better: it is as old as the workload (bound again), or claim-replaced reports the old one."""
    volume = volume_of(index, claim)
    made = _time(volume) if volume else None
    uids = {volume.text("spec", "claimRef", "uid") for volume in reserved_for(index, claim)}
    return (made is not None and made - since < _TOGETHER) or bool(uids - {"", claim.uid})


def _templates(index: ObjectIndex) -> Iterator[Verdict]:
    sets = [workload for workload in index.workloads if workload.object.kind == "StatefulSet"]
    numbered = [claim for claim in index.unused_claims if claim.side is Side.LIVE and ORDINAL.search(claim.name)]
    gone = [one for one in sets if one.object.side is Side.LIVE and index.counterpart(one.object) is None]
    for workload in sets:
        other = index.other_side(workload)
        if workload.object.side is Side.LIVE and other is not None:
            yield from _changed(workload, other)
        if workload.object.side is Side.LIVE or other is None:
            yield from _orphans(index, workload, numbered)
        if workload.object.side is Side.FILE and other is None:
            yield from _renamed(workload, gone)


def _renamed(file: Workload, gone: list[Workload]) -> Iterator[Verdict]:
    """A StatefulSet of the cluster that has the same templates and images under another name, which the files no longer have."""
    for live in gone:
        if not file.claim_templates or live.claim_templates != file.claim_templates:
            continue
        if image_names(live) != image_names(file):
            continue
        if same_namespace(live.object.namespace, file.object.namespace):
            template, old, new = file.claim_templates[0], live.object.name, file.object.name
            message = (
                f"the cluster has it as {old}, the file as {new}: the data stays in claim {template}-{old}-0, and "
                f"{template}-{new}-0 starts empty"
            )
            yield Finding(
                message,
                live.object.place("metadata", "name"),
                live.object,
                also=(file.object.place("metadata", "name"),),
            )


def _changed(live: Workload, file: Workload) -> Iterator[Verdict]:
    gone, new = (
        [name for name in one.claim_templates if name not in other.claim_templates]
        for one, other in ((live, file), (file, live))
    )
    place, also = (
        live.object.place("spec", "volumeClaimTemplates"),
        (file.object.place("spec", "volumeClaimTemplates"),),
    )
    number = live.object.name
    if gone:
        instead = f"the file has {', '.join(new)}" if new else "the file has none of that name"
        message = (
            f"the cluster has volumeClaimTemplate {', '.join(gone)}, {instead}: the data stays in claim {gone[0]}-{number}-0"
            + (f", and {new[0]}-{number}-0 starts empty" if new else "")
        )
        yield Finding(message, place, live.object, also=also)
    here, there = ({template.name: template for _, template in one.templates} for one in (live, file))
    for name in here.keys() & there.keys():
        classes = [one[name].text("spec", "storageClassName") for one in (here, there)]
        if classes[1] and classes[0] != classes[1]:
            message = f"volumeClaimTemplate {name} has storageClassName {classes[0] or '(none)'} in the cluster, {classes[1]} in the file: this change is refused, and claims that exist keep their class"
            yield Finding(
                message,
                place,
                live.object,
                also=also,
                fix="Bring the file to what runs; to move the data to another class, copy it to a new claim while the pod is stopped.",
            )


def _orphans(index: ObjectIndex, workload: Workload, numbered: list[K8sObject]) -> Iterator[Verdict]:
    """Claims that bear a StatefulSet's labels and are used by nothing: made under an earlier name of it or of a template."""
    labels = mapping(workload.object.body, "spec", "selector", "matchLabels")
    own = {name for template in workload.claim_templates for name in index.made_from(workload, template)}
    for claim in numbered if labels else ():
        is_near = same_namespace(claim.namespace, workload.object.namespace)
        if is_near and claim.name not in own and labels.items() <= claim.labels.items():
            names = ", ".join(f"{name}-{workload.object.name}-N" for name in workload.claim_templates) or "otherwise"
            message = (
                f"claim {claim.name} bears the labels of {workload.object}, whose claims are named {names}: it is from an earlier "
                "name, and can hold the data"
            )
            yield Finding(message, claim.place(), claim, also=(workload.object.place(),))


CHECKS = (
    (HOOK, _hook),
    (YOUNGER, _younger),
    (TEMPLATES, _templates),
)
