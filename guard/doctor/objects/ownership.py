"""Who writes an object again and again: Argo CD, Flux, Helm and others, by the marks that they leave on it. Pure."""

from dataclasses import dataclass

from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.source.tree import mappings, text


@dataclass(frozen=True, slots=True)
class Owner:
    """A tool that owns an object.

    Attributes:
        tool: Its name.
        unit: What it calls the owning thing: `Application "claude-skills"`.
        mark: The mark that told it.
        reconciles: Whether it undoes foreign changes by itself; Helm does so at the next upgrade.
        find: The command that shows where the source is.
    """

    tool: str
    unit: str
    mark: str
    reconciles: bool
    find: str

    @property
    def sentence(self) -> str:
        """What it means for whoever wants to change the object."""
        when = "at its next sync" if self.reconciles else "at its next upgrade"
        return (
            f"{self.tool} {self.unit} owns it ({self.mark}): kubectl apply will be undone {when}; fix it in its source"
        )


#: Field managers (metadata.managedFields) of tools that reconcile.
_MANAGERS = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
    "configsync.gke.io": "Config Sync",
    "fleetagent": "Rancher Fleet",
}


def owner_of(obj: K8sObject) -> Owner | None:
    """The tool that owns an object; None where no mark says so.

    `app.kubernetes.io/instance` alone is not taken as Argo CD's: Helm charts set it too. It names the Application where
    another mark, such as Argo CD's field manager, tells the tool.
    """
    return _argo(obj) or _flux(obj) or _config_sync(obj) or _by_manager(obj) or _helm(obj)


def _argo(obj: K8sObject) -> Owner | None:
    tracking = text(obj.annotations, "argocd.argoproj.io/tracking-id")
    label = text(obj.labels, "argocd.argoproj.io/instance")
    manager = _manager(obj, "Argo CD")
    if tracking:
        application, mark = tracking.partition(":")[0], "annotation argocd.argoproj.io/tracking-id"
    elif label:
        application, mark = label, "label argocd.argoproj.io/instance"
    elif manager:
        application, mark = text(obj.labels, "app.kubernetes.io/instance"), f"managedFields: {manager}"
    else:
        return None
    if manager and "managedFields" not in mark:
        mark += f", managedFields: {manager}"
    name = application.rpartition("_")[2] or "APPLICATION"
    find = f"argocd app get {name} (Repo, Path), or kubectl get applications.argoproj.io -A -o yaml (spec.source)"
    return Owner(
        "Argo CD", f'Application "{application}"' if application else "Application", mark, reconciles=True, find=find
    )


def _flux(obj: K8sObject) -> Owner | None:
    for kind, prefix, resource in (
        ("Kustomization", "kustomize.toolkit.fluxcd.io", "kustomization.kustomize.toolkit.fluxcd.io"),
        ("HelmRelease", "helm.toolkit.fluxcd.io", "helmrelease"),
    ):
        name = text(obj.labels, f"{prefix}/name")
        namespace = text(obj.labels, f"{prefix}/namespace")
        if name:
            find = f"kubectl get {resource} {name} -n {namespace or 'flux-system'} -o yaml"
            return Owner("Flux", f'{kind} "{name}"', f"label {prefix}/name", reconciles=True, find=find)
    return None


def _config_sync(obj: K8sObject) -> Owner | None:
    if text(obj.annotations, "configmanagement.gke.io/managed") != "enabled":
        return None
    source = text(obj.annotations, "configmanagement.gke.io/source-path")
    find = f"{source} in its repository" if source else "kubectl get rootsync,reposync -A -o yaml"
    mark = "annotation configmanagement.gke.io/managed"
    return Owner("Config Sync", "RootSync or RepoSync", mark, reconciles=True, find=find)


def _by_manager(obj: K8sObject) -> Owner | None:
    for _, entry in mappings(obj.body, "metadata", "managedFields"):
        tool = _MANAGERS.get(text(entry, "manager"))
        if tool:
            mark = f"managedFields: {text(entry, 'manager')}"
            return Owner(tool, "controller", mark, reconciles=True, find="see that tool's source repository")
    return None


def _helm(obj: K8sObject) -> Owner | None:
    release = text(obj.annotations, "meta.helm.sh/release-name")
    managed = text(obj.labels, "app.kubernetes.io/managed-by") or text(obj.labels, "heritage")
    if not release and managed not in {"Helm", "Tiller"}:
        return None
    namespace = text(obj.annotations, "meta.helm.sh/release-namespace") or obj.namespace or "NAMESPACE"
    name = release or text(obj.labels, "app.kubernetes.io/instance") or text(obj.labels, "release") or "RELEASE"
    mark = "annotation meta.helm.sh/release-name" if release else f"label {managed}"
    find = f"the chart's values (helm get values {name} -n {namespace})"
    return Owner("Helm", f'release "{name}"', mark, reconciles=False, find=find)


def _manager(obj: K8sObject, tool: str) -> str:
    for _, entry in mappings(obj.body, "metadata", "managedFields"):
        name = text(entry, "manager")
        if _MANAGERS.get(name) == tool:
            when = text(entry, "time")
            return f"{name}, {when}" if when else name
    return ""
