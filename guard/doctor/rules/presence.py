"""VG304 to VG306: what only the files have, or only the cluster. Pure."""

from collections import defaultdict
from collections.abc import Iterator

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.k8s_object import K8sObject, same_namespace
from guard.doctor.objects.ownership import owner_of
from guard.doctor.objects.workload import Workload
from guard.doctor.rules.advice import namespace
from guard.doctor.rules.claim_loss import is_dropped, is_protected
from guard.doctor.source.document import Side

_PVC = "PersistentVolumeClaim"

NOT_APPLIED = Rule(
    "VG304", "not-applied", Severity.WARNING,
    "The file has an object that the cluster has not.",
    "It was never applied, was pruned, or has another name or namespace there. A claim that is applied now is a new, empty "
    "volume, and a workload under another name starts beside the old one.",
    "Look for the object under another name first (kubectl get KIND -A). Apply the file only if nothing of it ever held data.",
    "https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/",
)  # fmt: skip

REMOVED = Rule(
    "VG305", "upgrade-removes-claim", Severity.ERROR,
    "The files no longer have a claim that the tool which applies them still owns.",
    "Helm deletes at the next upgrade what the chart no longer renders, Argo CD and Flux prune it at the next sync. A renamed claim "
    "looks the same: the old one is deleted, the new one is empty.",
    "Keep the claim in the source under its old name, or protect it in the cluster before you apply: Helm helm.sh/resource-policy: "
    "keep; Argo CD argocd.argoproj.io/sync-options: Prune=false; Flux kustomize.toolkit.fluxcd.io/prune: disabled. Set the volume to Retain.",
    "https://helm.sh/docs/howto/charts_tips_and_tricks/#tell-helm-not-to-uninstall-a-resource",
)  # fmt: skip
KIND = Rule(
    "VG306", "workload-kind-changed", Severity.ERROR,
    "The files have a workload of this name as another kind, which does not use its claim.",
    "A Deployment's claim is not taken over by a StatefulSet's template, nor the other way round: the new workload starts on a "
    "new, empty volume, while the old one is removed or runs on beside it.",
    "Bind the old volume to the claim that the new workload will look for (set it to Retain, remove its spec.claimRef, set "
    "spec.volumeName in the new claim), or mount the old claim by name. Take a backup first.",
    "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-storage",
)  # fmt: skip

#: Kinds whose absence in the cluster matters.
_COMPARED = (
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "CronJob",
    "PersistentVolumeClaim",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)
#: Names in a sentence.
_NAMES = 3


def _not_applied(index: ObjectIndex) -> Iterator[Verdict]:
    for kind in _COMPARED:
        seen: dict[str, list[str]] = defaultdict(list)
        for other in index.live(kind):
            seen[other.namespace].append(other.name)
            seen[""].append(other.name)
        for obj in index.of(kind) if seen else ():
            there = seen.get(obj.namespace)
            if obj.side is Side.FILE and there and index.counterpart(obj) is None:
                names = ", ".join(sorted(there)[:_NAMES])
                yield Finding(f"not in the cluster, which has {names}", obj.place(), obj, _apply_with_care(index, obj))


def _apply_with_care(index: ObjectIndex, obj: K8sObject) -> str:
    """What to do about an object that was not applied: a claim, and a workload with claims, would start empty."""
    apply = f"kubectl apply -f {obj.source} -n {namespace(obj)}"
    workload = index.workload_of(obj)
    if obj.kind == "PersistentVolumeClaim":
        users = [index.other_side(user) for user in index.workloads_with(obj)]
        used = [
            (user.object, claim) for user in users if user is not None for claim in user.claims if claim != obj.name
        ]
        if used:
            user, claim = used[0]
            return (
                f"Do not apply it as it is: {user} of the cluster uses claim {claim}, and {obj.name} would be a new, empty volume. Keep "
                f"the name {claim} in the source, or copy its data to the new claim first."
            )
        return f"If it ever held data, find that first: kubectl get pvc,pv -A | grep {obj.name}. Applied, it is a new, empty volume: {apply}"
    claims = (*workload.claims, *workload.claim_templates) if workload else ()
    missing = [name for name in workload.claims if not _is_live(index, obj, name)] if workload else []
    if workload and (missing or workload.claim_templates):
        names = ", ".join(missing or claims)
        return f"Applied, it starts on a new, empty volume ({names}). If the data is under another name, bring it there first; else: {apply}"
    return f"Find out what removed it, then {apply}"


def _is_live(index: ObjectIndex, obj: K8sObject, claim: str) -> bool:
    return any(one.side is Side.LIVE for one in index.named("PersistentVolumeClaim", obj.namespace, claim))


def _removed(index: ObjectIndex) -> Iterator[Verdict]:
    for obj in (*index.live(_PVC), *index.live("Namespace")):
        owner = owner_of(obj)
        if owner is not None and is_dropped(index, obj) and not is_protected(obj, owner.tool):
            what = "claim" if obj.kind == _PVC else "namespace, with all its claims,"
            when = "sync, where it prunes," if owner.reconciles else "upgrade"
            message = f"{owner.tool} {owner.unit} owns this {what} and the files given no longer have it: the next {when} deletes it"
            # A file that still mounts the claim may only not hold it; the namespace is often in no file.
            is_guess = obj.kind != _PVC or _is_still_mounted(index, obj)
            yield Finding(message, obj.place("metadata"), obj, is_guess=is_guess)


def _is_still_mounted(index: ObjectIndex, claim: K8sObject) -> bool:
    """Whether a workload of the files names the claim."""
    files = (one for one in index.workloads if one.object.side is Side.FILE and claim.name in one.claims)
    return any(same_namespace(one.object.namespace, claim.namespace) for one in files)


def _kind_changed(index: ObjectIndex) -> Iterator[Verdict]:
    alone = [one for one in index.workloads if not one.runs_to_end and index.counterpart(one.object) is None]
    files: dict[str, list[Workload]] = defaultdict(list)
    for workload in alone:
        if workload.object.side is Side.FILE:
            files[workload.object.name].append(workload)
    for live in alone:
        for file in files.get(live.object.name, ()) if live.object.side is Side.LIVE else ():
            is_near = same_namespace(file.object.namespace, live.object.namespace)
            if file.object.kind != live.object.kind and is_near:
                yield from _left_behind(index, live, file)


def _left_behind(index: ObjectIndex, live: Workload, file: Workload) -> Iterator[Verdict]:
    made = (name for template in live.claim_templates for name in index.made_from(live, template))
    wanted = (*file.claims, *(f"{template}-{file.object.name}-0" for template in file.claim_templates))
    left = [claim for claim in (*live.claims, *made) if claim not in wanted]
    if left:
        uses = ", ".join(wanted) or "no claim"
        message = (
            f"the cluster runs {live.object} on claim {', '.join(left)}; the file has {file.object}, which uses {uses}"
        )
        yield Finding(message, live.object.place(), live.object, also=(file.object.place(),))


CHECKS = (
    (NOT_APPLIED, _not_applied),
    (REMOVED, _removed),
    (KIND, _kind_changed),
)
