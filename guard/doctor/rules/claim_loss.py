"""VG205, VG206, VG213, VG214 and VG304 to VG306: claims that were replaced, or are about to go, and what one side lacks. Pure."""

from collections.abc import Iterator
from functools import lru_cache

from guard.doctor.finding import Severity, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.lookup import grouped
from guard.doctor.objects.k8s_object import PVC, K8sObject, same_namespace
from guard.doctor.objects.ownership import owner_of
from guard.doctor.objects.workload import ORDINAL, Workload
from guard.doctor.source.tree import text

_VOLUMES = "concepts/storage/persistent-volumes/"
_HELM_KEEP = "https://helm.sh/docs/howto/charts_tips_and_tricks/#tell-helm-not-to-uninstall-a-resource"
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")
#: Kinds whose absence in the cluster matters.
_COMPARED = (*_WORKLOADS, PVC, "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
#: Names in a sentence.
_NAMES = 3


@rule("VG205", Severity.ERROR, _VOLUMES + "#reclaiming")
def claim_replaced(index: ObjectIndex) -> Iterator[Verdict]:
    """The claim was deleted and made again: what it held is on the old volume.

    Why: A volume remembers the uid of its claim. A new claim of the same name is another claim and gets another, empty
    volume.
    Fix: Set the old volume to Retain, then remove its whole claimRef (its name alone still reserves it) and bind it to
    a claim of another name by volumeName; never delete the old volume.
    Other advice: k8sgpt wants Released volumes cleaned up: that would delete the only copy here.
    """
    for volume in index.of("PersistentVolume"):
        namespace, name, uid = (volume.text("spec", "claimRef", field) for field in ("namespace", "name", "uid"))
        for claim in index.named(PVC, namespace, name) if uid else ():
            if claim.uid and claim.uid != uid:
                message = (
                    f"volume {volume.name} ({volume.phase or 'phase unknown'}) was bound to an earlier claim of this name "
                    f"(uid {uid}); today's claim has uid {claim.uid} and volume "
                    f"{claim.text('spec', 'volumeName') or 'none yet'}"
                )
                also = (volume.place("spec", "claimRef"),)
                yield finding(message, claim, "metadata", "uid", fix=rescue(volume, name), also=also)


def rescue(volume: K8sObject, claim: str) -> str:
    """How a volume that lost its claim is bound to a new one, under another name: nothing that runs is touched."""
    keep = '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'
    free = '[{"op":"remove","path":"/spec/claimRef"}]'
    kind = volume.text("spec", "storageClassName") or '""'
    return (
        f"Keep it first: kubectl patch pv {volume.name} -p '{keep}'. Then free it: kubectl patch pv {volume.name} --type json -p "
        f"'{free}' (the whole claimRef: its name alone reserves the volume for {claim or 'the old claim'}). Make claim {claim or 'data'}-old "
        f"with volumeName: {volume.name} and storageClassName: {kind}, look at it in a pod of its own, and only then let the workload use it."
    )


@rule("VG206", Severity.ERROR, _VOLUMES + "#storage-object-in-use-protection")
def claim_being_deleted(index: ObjectIndex) -> Iterator[Verdict]:
    """The claim is already deleted and lives on only until its last pod stops.

    Why: kubernetes.io/pvc-protection holds it while a pod uses it. At the next restart the claim is gone, and with
    reclaimPolicy Delete the disk.
    Fix: Before any restart: set the volume to Retain (kubectl patch pv NAME -p
    '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}') and take a backup.
    """
    for claim in index.of(PVC):
        if when := claim.text("metadata", "deletionTimestamp"):
            yield finding(f"deleted at {when}, kept only by its finalizers until its pods stop", claim, "metadata")


@rule("VG213", Severity.WARNING, "concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention")
def statefulset_deletes_claims(index: ObjectIndex) -> Iterator[Verdict]:
    """The StatefulSet deletes its claims.

    Why: persistentVolumeClaimRetentionPolicy Delete removes claims when the StatefulSet is deleted (whenDeleted) or
    scaled down (whenScaled), and by the class' reclaimPolicy the disks.
    Fix: Use Retain for both, which is the default.
    """
    for obj in index.of("StatefulSet"):
        for when in ("whenDeleted", "whenScaled"):
            way = ("spec", "persistentVolumeClaimRetentionPolicy", when)
            if obj.text(*way) == "Delete":
                yield finding(f"{'.'.join(way[1:])} is Delete", obj, *way)


@rule("VG214", Severity.WARNING, _HELM_KEEP)
def claim_can_be_pruned(index: ObjectIndex) -> Iterator[Verdict]:
    """The tool that owns the claim may delete it.

    Why: Renaming or removing it in the source, or uninstalling, deletes the claim in the cluster: a rename in a chart
    is a new, empty claim.
    Fix: Protect it: Helm helm.sh/resource-policy: keep; Argo CD argocd.argoproj.io/sync-options:
    Prune=false,Delete=false; Flux kustomize.toolkit.fluxcd.io/prune: disabled.
    """
    for claim in index.claims_to_keep:
        owner = owner_of(claim)
        if owner is None or is_protected(claim, owner.tool) or not claim.is_live or is_dropped(index, claim):
            continue
        if owner.tool == "Helm" and _is_made(claim):
            continue
        message = f"{owner.tool} {owner.unit} owns this claim and nothing keeps it from deleting it"
        yield finding(message, claim, "metadata")
    for template in index.templates:
        owner = owner_of(template)
        if owner is not None and owner.tool == "Argo CD" and not is_protected(template, owner.tool):
            message = (
                f"volumeClaimTemplate {template.name} carries the mark of Argo CD's {owner.unit} ({owner.mark}): its "
                "claims look like objects of the Application that the source does not have, and are pruned"
            )
            fix = (
                "Remove the mark from the template's metadata, or add argocd.argoproj.io/sync-options: "
                "Prune=false,Delete=false."
            )
            yield finding(message, template, "metadata", fix=fix)


def is_dropped(index: ObjectIndex, claim: K8sObject) -> bool:
    """Whether the files have other objects of a claim's owner, but not the claim: upgrade-removes-claim reports it.

    A Helm release of the same name in another namespace is another owner.
    """
    owner = owner_of(claim)
    if owner is None or index.counterpart(claim) is not None or _is_made(claim):
        return False
    return not _rendered(index).isdisjoint((owner.tool, owner.unit, near) for near in ("", claim.namespace))


@lru_cache(maxsize=1)
def _rendered(index: ObjectIndex) -> frozenset[tuple[str, str, str]]:
    """Tool, unit and, of Helm, the namespace of every owner of which the files have an object."""
    return frozenset(
        (owner.tool, owner.unit, obj.namespace if owner.tool == "Helm" else "")
        for obj in index.objects
        if (not obj.is_live or index.counterpart(obj)) and (owner := owner_of(obj))
    )


def is_protected(claim: K8sObject, tool: str) -> bool:
    """Whether an annotation keeps the tool from deleting a claim; of other tools than these we know none."""
    is_kept = text(claim.annotations, "helm.sh/resource-policy") == "keep"
    if tool == "Argo CD":
        options = text(claim.annotations, "argocd.argoproj.io/sync-options").replace(" ", "").split(",")
        return not {"Prune=false", "Prune=confirm"}.isdisjoint(options)
    if tool == "Flux":
        return is_kept or text(claim.annotations, "kustomize.toolkit.fluxcd.io/prune") == "disabled"
    return is_kept or tool != "Helm"


def _is_made(claim: K8sObject) -> bool:
    """Whether a StatefulSet made a claim, which can copy its labels to it."""
    return bool(ORDINAL.search(claim.name)) and not text(claim.annotations, "meta.helm.sh/release-name")


@rule("VG304", Severity.WARNING, "tasks/manage-kubernetes-objects/declarative-config/")
def not_applied(index: ObjectIndex) -> Iterator[Verdict]:
    """The file has an object that the cluster has not.

    Why: It was never applied, was pruned, or has another name or namespace there. A claim that is applied now is a new,
    empty volume, and a workload under another name starts beside the old one.
    Fix: Look for the object under another name first (kubectl get KIND -A). Apply the file only if nothing of it ever
    held data.
    """
    for kind in _COMPARED:
        live = index.live(kind)
        seen = {"": [obj.name for obj in live], **grouped((obj.namespace, obj.name) for obj in live if obj.namespace)}
        for obj in index.of(kind) if live else ():
            there = seen.get(obj.namespace)
            if not obj.is_live and there and index.counterpart(obj) is None:
                names = ", ".join(sorted(there)[:_NAMES])
                yield finding(f"not in the cluster, which has {names}", obj, fix=_apply_with_care(index, obj))


def _apply_with_care(index: ObjectIndex, obj: K8sObject) -> str:
    """Returns what to do about an object that was not applied: a claim, and a workload with claims, would start empty."""
    apply = f"kubectl apply -f {obj.source} -n {obj.kubectl_namespace}"
    if obj.kind == PVC:
        others = (other for user in index.workloads_with(obj) if (other := index.other_side(user)))
        used = ((other, claim) for other in others for claim in other.claims if claim != obj.name)
        for user, claim in used:
            return (
                f"Do not apply it as it is: {user} of the cluster uses claim {claim}, and {obj.name} would be a new, "
                f"empty volume. Keep the name {claim} in the source, or copy its data to the new claim first."
            )
        find = f"kubectl get pvc,pv -A | grep {obj.name}"
        return f"If it ever held data, find that first: {find}. Applied, it is a new, empty volume: {apply}"
    claims = obj.claims if isinstance(obj, Workload) else ()
    templates = obj.claim_templates if isinstance(obj, Workload) else ()
    live = {name for name in claims if any(one.is_live for one in index.named(PVC, obj.namespace, name))}
    names = ", ".join([name for name in claims if name not in live] or (*claims, *templates))
    if names and (templates or not live.issuperset(claims)):
        new = f"a new, empty volume ({names})"
        return f"Applied, it starts on {new}. If the data is under another name, bring it there first; else: {apply}"
    return f"Find out what removed it, then {apply}"


@rule("VG305", Severity.ERROR, _HELM_KEEP)
def upgrade_removes_claim(index: ObjectIndex) -> Iterator[Verdict]:
    """The files no longer have a claim that the tool which applies them still owns.

    Why: Helm deletes at the next upgrade what the chart no longer renders, Argo CD and Flux prune it at the next sync.
    A renamed claim looks the same: the old one is deleted, the new one is empty.
    Fix: Keep the claim in the source under its old name, or protect it in the cluster before you apply: Helm
    helm.sh/resource-policy: keep; Argo CD argocd.argoproj.io/sync-options: Prune=false; Flux
    kustomize.toolkit.fluxcd.io/prune: disabled. Set the volume to Retain.
    """
    for obj in (*index.live(PVC), *index.live("Namespace")):
        owner = owner_of(obj)
        if owner is not None and is_dropped(index, obj) and not is_protected(obj, owner.tool):
            what = "claim" if obj.kind == PVC else "namespace, with all its claims,"
            when = "sync, where it prunes," if owner.reconciles else "upgrade"
            message = f"{owner.tool} {owner.unit} owns this {what} and the files given no longer have it: the next {when} deletes it"
            # A file that still mounts the claim may only not hold it; the namespace is often in no file.
            is_guess = obj.kind != PVC or not all(user.is_live for user in index.all_users_of(obj))
            yield finding(message, obj, "metadata", is_guess=is_guess)


@rule("VG306", Severity.ERROR, "concepts/workloads/controllers/statefulset/#stable-storage")
def workload_kind_changed(index: ObjectIndex) -> Iterator[Verdict]:
    """The files have a workload of this name as another kind, which does not use its claim.

    Why: A Deployment's claim is not taken over by a StatefulSet's template, nor the other way round: the new workload
    starts on a new, empty volume, while the old one is removed or runs on beside it.
    Fix: Bind the old volume to the claim that the new workload will look for (set it to Retain, remove its
    spec.claimRef, set spec.volumeName in the new claim), or mount the old claim by name. Take a backup first.
    """
    alone = [one for one in index.workloads if not one.runs_to_end and index.counterpart(one) is None]
    files = grouped((workload.name, workload) for workload in alone if not workload.is_live)
    for live in (one for one in alone if one.is_live):
        for file in files.get(live.name, ()):
            if file.kind != live.kind and same_namespace(file.namespace, live.namespace):
                yield from _left_behind(index, live, file)


def _left_behind(index: ObjectIndex, live: Workload, file: Workload) -> Iterator[Verdict]:
    made = (name for template in live.claim_templates for name in index.made_from(live, template))
    wanted = (*file.claims, *map(file.first_claim, file.claim_templates))
    left = ", ".join(claim for claim in (*live.claims, *made) if claim not in wanted)
    if left:
        uses = ", ".join(wanted) or "no claim"
        message = f"the cluster runs {live} on claim {left}; the file has {file}, which uses {uses}"
        yield finding(message, live, also=(file.place(),))
