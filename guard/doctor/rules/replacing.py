"""VG215, VG218 and VG219: what made a claim again, or does at each upgrade or sync. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from guard.doctor.finding import Finding, Severity, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.claim_names import image_names
from guard.doctor.objects.k8s_object import PVC, K8sObject, same_namespace
from guard.doctor.objects.workload import ORDINAL, Workload
from guard.doctor.source.tree import Path, mapping, text
from guard.doctor.storage import reserved_for, volume_of

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
_ARGO_HOOK = "argocd.argoproj.io/hook"
_ARGO_OPTIONS = "argocd.argoproj.io/sync-options"


@rule("VG215", Severity.ERROR, "https://helm.sh/docs/topics/charts_hooks/#hook-deletion-policies")
def claim_made_by_hook(index: ObjectIndex) -> Iterator[Verdict]:
    """The claim is deleted and created again by the tool that applies it.

    Why: A Helm or Argo CD hook is deleted before it is created again (before-hook-creation is the default): at each
    upgrade or sync the claim is deleted, and with reclaimPolicy Delete the disk. Replace=true with Force=true does the same.
    helm.sh/resource-policy: keep does not hold for hooks.
    Fix: Set the volume to Retain first. Then remove the hook and Replace annotations, so that the claim is an ordinary
    object of the release, with helm.sh/resource-policy: keep or argocd.argoproj.io/sync-options:
    Prune=false,Delete=false.
    """
    for obj in index.of(PVC, "PersistentVolume", "Namespace"):
        problem, key = _made_again(obj)
        if problem:
            yield finding(problem, obj, "metadata", "annotations", key)
    for obj in index.of("Application", "Kustomization", "HelmRelease"):
        problem, way = _replaces_all(obj)
        if problem:
            yield Finding(f"{problem} for all its objects, the claims too", obj.place(*way), obj)


def _replaces_all(obj: K8sObject) -> tuple[str, Path]:
    """Returns what makes a tool delete and create all objects of a unit again, and where that is written."""
    way: Path = ("spec", "syncPolicy", "syncOptions")
    if obj.group == "argoproj.io" and {"Replace=true", "Force=true"} <= set(obj.texts(*way)):
        return "syncOptions Replace=true and Force=true hold", way
    way = _FORCE.get(obj.group, ())
    what = "what cannot be changed in place is deleted and created again, and that holds"
    return (f"{'.'.join(map(str, way))} is true: {what}", way) if way and obj.get(*way) is True else ("", ())


def _words(value: str) -> frozenset[str]:
    return frozenset(word for word in value.replace(" ", "").split(",") if word)


def _made_again(obj: K8sObject) -> tuple[str, str]:
    """Returns what deletes it, and the annotation that does it; empty if nothing does."""
    notes = obj.annotations
    hook, helm = text(notes, "helm.sh/hook"), _words(text(notes, "helm.sh/hook"))
    policy = _words(text(notes, "helm.sh/hook-delete-policy"))
    again = "before-hook-creation" in policy or not policy
    named = f"helm.sh/hook: {hook}{'' if policy else ' (delete policy before-hook-creation is the default)'}"
    if helm & _UPGRADES and again:
        return f"{named}: Helm deletes it and creates it again at each upgrade", "helm.sh/hook"
    if helm & (_UPGRADES | _INSTALLS) and "hook-succeeded" in policy:
        return f"{named}, hook-succeeded: Helm deletes it as soon as it was made", "helm.sh/hook-delete-policy"
    if helm & _INSTALLS and again:
        when = "when the release is installed again, and Argo CD, which runs Helm's hooks as its own, at each sync"
        return f"{named}: it is deleted and created again {when}", "helm.sh/hook"
    argo, policy = text(notes, _ARGO_HOOK), _words(text(notes, f"{_ARGO_HOOK}-delete-policy"))
    if argo and argo != "Skip" and (not policy or policy & {"BeforeHookCreation", "HookSucceeded"}):
        return f"{_ARGO_HOOK}: {argo}: Argo CD deletes it and creates it again at each sync", _ARGO_HOOK
    if text(notes, _FLUX_FORCE) == "enabled":
        return "Flux deletes it and creates it again where a field that cannot be changed differs", _FLUX_FORCE
    options = _words(text(notes, _ARGO_OPTIONS))
    if "Replace=true" in options:
        whole = "replaces it whole, and creates it again if that is refused,"
        how = "deletes it and creates it again" if "Force=true" in options else whole
        return f"sync-options Replace=true: Argo CD {how} at each sync", _ARGO_OPTIONS
    return "", ""


@rule("VG218", Severity.WARNING, "concepts/storage/persistent-volumes/#reclaiming")
def claim_younger_than_workload(index: ObjectIndex) -> Iterator[Verdict]:
    """The claim was created after the workload that uses it.

    Why: A claim that was deleted and created again has the same name and a new, empty disk. The old disk may still be
    there as a Released volume. It can also be a volume that was added later: then all is well.
    Fix: Look for the old disk before the application writes more: kubectl get pv (Released), the provider's list of
    disks and snapshots, the backups.
    """
    for claim in index.live(PVC):
        made = _time(claim)
        user = next((one for one in index.workloads_with(claim) if one.is_live and not one.runs_to_end), None)
        since = _time(user) if user and user.kind != "Pod" else None
        if not made or not user or not since or made - since < _TOGETHER or _is_known(index, claim, since):
            continue
        is_made = user.claim_templates and claim.name not in user.claims
        if is_made and claim.name not in map(user.first_claim, user.claim_templates):
            continue  # scaled up later
        way = ("metadata", "creationTimestamp")
        message = f"created {claim.text(*way)}, {(made - since).days} days after {user} ({user.text(*way)})"
        yield finding(message, claim, *way, also=(user.place(),))


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


@rule("VG219", Severity.ERROR, "concepts/workloads/controllers/statefulset/#volume-claim-templates")
def claim_template_changed(index: ObjectIndex) -> Iterator[Verdict]:
    """The StatefulSet's volumeClaimTemplates, or its name, are not those that made its claims.

    Why: A StatefulSet names its claims TEMPLATE-STATEFULSET-NUMBER. Under another name of either it makes new, empty
    claims; the old ones stay beside them with the data. Templates cannot be changed in place, so the StatefulSet is
    deleted and made again.
    Fix: Keep the names. To rename: set the old volumes to Retain, bind them to claims of the new names (remove
    spec.claimRef, then spec.volumeName in the new claim), and start then.
    """
    sets = [workload for workload in index.workloads if workload.kind == "StatefulSet"]
    numbered = [claim for claim in index.unused_claims if claim.is_live and ORDINAL.search(claim.name)]
    gone = [one for one in sets if one.is_live and index.counterpart(one) is None]
    for workload in sets:
        other = index.other_side(workload)
        if workload.is_live and other is not None:
            yield from _changed(workload, other)
        if workload.is_live or other is None:
            yield from _orphans(index, workload, numbered)
        if not workload.is_live and other is None:
            yield from _renamed(workload, gone)


def _renamed(file: Workload, gone: list[Workload]) -> Iterator[Verdict]:
    """Yields StatefulSets of the cluster with the same templates and images under another name, which no file has."""
    for live in gone if file.claim_templates else ():
        is_same = live.claim_templates == file.claim_templates and image_names(live) == image_names(file)
        if is_same and same_namespace(live.namespace, file.namespace):
            template = file.claim_templates[0]
            message = (
                f"the cluster has it as {live.name}, the file as {file.name}: the data stays in claim "
                f"{live.first_claim(template)}, and {file.first_claim(template)} starts empty"
            )
            yield finding(message, live, "metadata", "name", also=(file.place("metadata", "name"),))


def _changed(live: Workload, file: Workload) -> Iterator[Verdict]:
    way = ("spec", "volumeClaimTemplates")
    also = (file.place(*way),)
    here, there = ({template.name: template for template in one.templates} for one in (live, file))
    gone, new = [name for name in here if name not in there], [name for name in there if name not in here]
    if gone:
        instead = f"the file has {', '.join(new)}" if new else "the file has none of that name"
        empty = f", and {file.first_claim(new[0])} starts empty" if new else ""
        names = f"{', '.join(gone)}, {instead}: the data stays in claim {live.first_claim(gone[0])}{empty}"
        yield finding(f"the cluster has volumeClaimTemplate {names}", live, *way, also=also)
    for name in here.keys() & there.keys():
        old, wanted = (one[name].text("spec", "storageClassName") for one in (here, there))
        if wanted and old != wanted:
            message = (
                f"volumeClaimTemplate {name} has storageClassName {old or '(none)'} in the cluster, {wanted} in the "
                "file: this change is refused, and claims that exist keep their class"
            )
            fix = (
                "Bring the file to what runs; to move the data to another class, copy it to a new claim while the pod is "
                "stopped."
            )
            yield finding(message, live, *way, fix=fix, also=also)


def _orphans(index: ObjectIndex, workload: Workload, numbered: list[K8sObject]) -> Iterator[Verdict]:
    """Yields claims that bear a StatefulSet's labels and are used by nothing: made under an earlier name of it or of a template."""
    labels = mapping(workload.body, "spec", "selector", "matchLabels")
    own = {name for template in workload.claim_templates for name in index.made_from(workload, template)}
    for claim in numbered if labels else ():
        is_near = same_namespace(claim.namespace, workload.namespace)
        if is_near and claim.name not in own and labels.items() <= claim.labels.items():
            names = ", ".join(f"{name}-{workload.name}-N" for name in workload.claim_templates) or "otherwise"
            message = (
                f"claim {claim.name} bears the labels of {workload}, whose claims are named {names}: it is from an earlier "
                "name, and can hold the data"
            )
            yield finding(message, claim, also=(workload.place(),))
