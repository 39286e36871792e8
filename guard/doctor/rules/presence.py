"""VG304 to VG306: what only the files have, or only the cluster. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import K8S_DOCS, Severity, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.lookup import grouped
from guard.doctor.objects.k8s_object import PVC, K8sObject, same_namespace
from guard.doctor.objects.ownership import owner_of
from guard.doctor.objects.workload import Workload
from guard.doctor.rules.claim_loss import is_dropped, is_protected

#: Kinds whose absence in the cluster matters.
_COMPARED = (
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "CronJob",
    PVC,
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)
#: Names in a sentence.
_NAMES = 3


@rule("VG304", Severity.WARNING, K8S_DOCS + "tasks/manage-kubernetes-objects/declarative-config/")
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


@rule(
    "VG305", Severity.ERROR, "https://helm.sh/docs/howto/charts_tips_and_tricks/#tell-helm-not-to-uninstall-a-resource"
)
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


@rule("VG306", Severity.ERROR, K8S_DOCS + "concepts/workloads/controllers/statefulset/#stable-storage")
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
    wanted = (*file.claims, *(f"{template}-{file.name}-0" for template in file.claim_templates))
    left = ", ".join(claim for claim in (*live.claims, *made) if claim not in wanted)
    if left:
        uses = ", ".join(wanted) or "no claim"
        message = f"the cluster runs {live} on claim {left}; the file has {file}, which uses {uses}"
        yield finding(message, live, also=(file.place(),))
