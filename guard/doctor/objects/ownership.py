"""Who writes an object again and again: Argo CD, Flux, Helm and others, by the marks that they leave on it. Pure."""

from dataclasses import dataclass
from functools import lru_cache

from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.source.tree import text

#: Field managers (metadata.managedFields) of tools that reconcile.
_MANAGERS = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
    "configsync.gke.io": "Config Sync",
    "fleetagent": "Rancher Fleet",
}
_FLUX = {
    "Kustomization": ("kustomize.toolkit.fluxcd.io", "kustomization.kustomize.toolkit.fluxcd.io"),
    "HelmRelease": ("helm.toolkit.fluxcd.io", "helmrelease"),
}


@dataclass(frozen=True, slots=True)
class Owner:
    """A tool that owns an object."""

    tool: str
    unit: str  # what it calls the owning thing: `Application "claude-skills"`
    mark: str  # the mark that shows it
    find: str  # the command that shows where the source is
    reconciles: bool = True  # whether it undoes foreign changes by itself; Helm does so at the next upgrade

    @property
    def sentence(self) -> str:
        """What it means for whoever wants to change the object."""
        when = "at its next sync" if self.reconciles else "at its next upgrade"
        return (
            f"{self.tool} {self.unit} owns it ({self.mark}): kubectl apply will be undone {when}; fix it in its source"
        )


@lru_cache(maxsize=4096)
def owner_of(obj: K8sObject) -> Owner | None:
    """Returns the tool that owns an object; None if no mark shows one.

    `app.kubernetes.io/instance` alone is no mark of Argo CD: Helm charts set it too. It names the Application if another
    mark, such as Argo CD's field manager, shows the tool.
    """
    managers = _managers(obj)
    if owner := _argo(obj, managers) or _flux(obj):
        return owner
    if text(obj.annotations, "configmanagement.gke.io/managed") == "enabled":
        source = text(obj.annotations, "configmanagement.gke.io/source-path")
        find = f"{source} in its repository" if source else "kubectl get rootsync,reposync -A -o yaml"
        return Owner("Config Sync", "RootSync or RepoSync", "annotation configmanagement.gke.io/managed", find)
    for tool, manager in managers:
        mark = f"managedFields: {manager.partition(',')[0]}"
        return Owner(tool, "controller", mark, "see that tool's source repository")
    return _helm(obj)


def _argo(obj: K8sObject, managers: list[tuple[str, str]]) -> Owner | None:
    manager = next((name for tool, name in managers if tool == "Argo CD"), "")
    marks = {
        "annotation argocd.argoproj.io/tracking-id": text(obj.annotations, "argocd.argoproj.io/tracking-id"),
        "label argocd.argoproj.io/instance": text(obj.labels, "argocd.argoproj.io/instance"),
    }
    mark = next((mark for mark, value in marks.items() if value), "")
    if not mark and not manager:
        return None
    application = marks[mark].partition(":")[0] if mark else text(obj.labels, "app.kubernetes.io/instance")
    name = application.rpartition("_")[2] or "APPLICATION"
    find = f"argocd app get {name} (Repo, Path), or kubectl get applications.argoproj.io -A -o yaml (spec.source)"
    signs = ", ".join(filter(None, (mark, manager and f"managedFields: {manager}")))
    return Owner("Argo CD", f'Application "{application}"' if application else "Application", signs, find)


def _flux(obj: K8sObject) -> Owner | None:
    for kind, (prefix, resource) in _FLUX.items():
        name = text(obj.labels, f"{prefix}/name")
        if name:
            namespace = text(obj.labels, f"{prefix}/namespace") or "flux-system"
            find = f"kubectl get {resource} {name} -n {namespace} -o yaml"
            return Owner("Flux", f'{kind} "{name}"', f"label {prefix}/name", find)
    return None


def _helm(obj: K8sObject) -> Owner | None:
    release = text(obj.annotations, "meta.helm.sh/release-name")
    managed = text(obj.labels, "app.kubernetes.io/managed-by") or text(obj.labels, "heritage")
    if not release and managed not in {"Helm", "Tiller"}:
        return None
    namespace = text(obj.annotations, "meta.helm.sh/release-namespace") or obj.kubectl_namespace
    name = release or text(obj.labels, "app.kubernetes.io/instance") or text(obj.labels, "release") or "RELEASE"
    mark = "annotation meta.helm.sh/release-name" if release else f"label {managed}"
    find = f"the chart's values (helm get values {name} -n {namespace})"
    return Owner("Helm", f'release "{name}"', mark, find, reconciles=False)


def _managers(obj: K8sObject) -> list[tuple[str, str]]:
    """Returns the tools that reconcile among the field managers, each with the manager and its time."""
    names = ((text(entry, "manager"), text(entry, "time")) for entry in obj.mappings("metadata", "managedFields"))
    return [(_MANAGERS[name], f"{name}, {time}" if time else name) for name, time in names if name in _MANAGERS]
