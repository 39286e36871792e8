"""Where each application keeps its data, and how sure that is: given, found, or only the default. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from guard.doctor.lookup import ObjectLookup, data_paths
from guard.doctor.objects.claim_names import ClaimNames, image_names
from guard.doctor.objects.data_paths import path_settings
from guard.doctor.objects.guard_container import DEFAULT_PATH
from guard.doctor.objects.images import known_image
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.names import shared
from guard.doctor.objects.paths import covers
from guard.doctor.objects.workload import INJECT, Workload


@dataclass(frozen=True, slots=True)
class Target:
    """The path at which an application keeps its data."""

    path: str
    reason: str  # what shows it: `--path`, `GUARD_PATH of container gate`
    is_fact: bool = True  # whether that is sure enough for an error; a guess gives a warning


@dataclass(frozen=True)
class TargetResolver:
    """All that shows which application is meant, and where it keeps its data."""

    lookup: ObjectLookup
    given: str  # the path that was given; empty if none was
    serving: tuple[Workload, ...]  # what may be the application
    others: tuple[Workload, ...]  # what is not: jobs, and the guard's containers alone
    claims: tuple[K8sObject, ...]  # that nothing of `serving` uses

    @cached_property
    def targets(self) -> Mapping[Workload, Target]:
        """The path of each workload that is meant."""
        targets = self._of_given_path() if self.given else self._found()
        return {workload: targets[workload] for workload in self.serving if workload in targets}

    @cached_property
    def names(self) -> ClaimNames:
        """The claims that are named after workloads."""
        return ClaimNames(self.given or DEFAULT_PATH, self.serving, self.others, self.claims)

    def _found(self) -> dict[Workload, Target]:
        """Finds paths without a given one: in the workload itself, in its namesakes, or by a claim that bears its name."""
        own = {workload: target for workload in self.serving if (target := _own_target(workload, self.lookup))}
        facts = [workload for workload, target in own.items() if target.is_fact]
        for workload, model in self._namesakes(facts):
            if workload not in own or not own[workload].is_fact:
                own[workload] = Target(own[model].path, f"{model} ({model.side.value}) keeps it there")
        for workload, claim in self._named(list(own), DEFAULT_PATH).items():
            path, why = next(_hints(workload, self.lookup))
            named = Target(path, f"{why}; claim {claim} bears its name and nothing uses it")
            own[workload] = replace(own[workload], is_fact=True) if workload in own else named
        return own

    def _of_given_path(self) -> dict[Workload, Target]:
        """Finds whom a given path is about: who shows it, their namesakes, who bears a claim's name, or the only workload."""
        shown = self._shown
        namesakes = (workload for workload, _ in self._namesakes(shown))
        chosen = {*shown, *namesakes, *self._named(shown, self.given)}
        # One workload that runs on, if nothing shows the path; if the guard's containers run alone, theirs is another.
        run_on = (workload for workload in (*self.serving, *self.others) if not workload.runs_to_end)
        if not chosen and len({(workload.kind, workload.name) for workload in run_on}) == 1:
            chosen = set(self.serving)
        own = {one: _of_guard(one) for one in chosen if not any(app.mount_at(self.given) for app in one.applications)}
        return {workload: own.get(workload) or Target(self.given, "--path") for workload in chosen}

    @property
    def _shown(self) -> Sequence[Workload]:
        """Those that show the given path: by a container of the guard, a mount or a variable.

        A claim mounted above the path may hold other data, so it counts if nothing else in its namespace shows the path.
        """
        at_path = [workload for workload in self.serving if _shows(workload, self.given)]
        taken = {workload.namespace for workload in at_path}
        above = (workload for workload in self.serving if _holds(workload, self.given))
        return [*at_path, *(workload for workload in above if not _is_among(workload.namespace, taken))]

    def _namesakes(self, models: Sequence[Workload]) -> Iterator[tuple[Workload, Workload]]:
        """Yields workloads with their model: the same on the other side, or in another namespace and from the same image."""
        by_mark: dict[tuple[str, str, str], list[Workload]] = defaultdict(list)
        for model in models:
            for mark in (f"namespace {model.namespace}", "any namespace", *image_names(model)):
                by_mark[model.kind, model.name, mark].append(model)
        for workload in self.serving:
            anywhere = () if workload.namespace else ("any namespace",)
            marks = (f"namespace {workload.namespace}", "namespace ", *image_names(workload), *anywhere)
            alike = chain.from_iterable(by_mark.get((workload.kind, workload.name, mark), ()) for mark in marks)
            other = next((model for model in alike if model is not workload), None)
            if other is not None:
                yield workload, other

    def _named(self, shown: Sequence[Workload], path: str) -> dict[Workload, str]:
        """Returns the workloads that bear an unused claim's name, with that claim's: sure by a word of the path, or alone."""
        images: dict[str, set[str]] = defaultdict(set)
        for workload in shown:
            images[workload.namespace] |= image_names(workload)
        held = {workload: claims for workload in self.serving if (claims := self.names.of(workload))}
        best = {workload: self.names.best(workload) or claims[0].name for workload, claims in held.items()}
        sure = {
            workload: best[workload]
            for workload, claims in held.items()
            if any(_is_about(path, workload, claim, images) for claim in claims)
        }
        is_only = len({workload.written_as for workload in held}) == 1
        return best if is_only and not sure and not shown else sure


def _is_about(path: str, workload: Workload, claim: K8sObject, images: Mapping[str, set[str]]) -> bool:
    """Whether a word of the path is in its name or the claim's; beside one that shows the path, its image must be the same."""
    namespace = workload.namespace
    beside = set().union(*(images.get(one, ()) for one in ((namespace, "") if namespace else images)))
    is_alike = not _is_among(namespace, images) or bool(image_names(workload) & beside)
    return is_alike and bool(shared(path, workload.written_as[1], claim.name))


def _is_among(namespace: str, namespaces: Collection[str]) -> bool:
    """Whether an object of a namespace can be in one of others: a file may leave its own to kubectl."""
    return namespace in namespaces or "" in namespaces or (not namespace and bool(namespaces))


def _own_target(workload: Workload, lookup: ObjectLookup) -> Target | None:
    """Returns the path that a workload itself shows."""
    guard = _of_guard(workload)
    if guard and any(app.mount_at(guard.path) for app in workload.applications):
        return guard
    return _of_mounts(workload, lookup) or guard or _of_unmounted(workload) or _of_settings(workload, lookup)


def _of_guard(workload: Workload) -> Target | None:
    """Returns the path of its guard's container, first of one that the application mounts; or that of an injected guard."""
    guards = [container for container in workload.all_containers if container.knows_the_guard]
    paths = {container.guarded_path: container for container in reversed(guards)}
    known = [path for path in reversed(paths) if path]
    mounted = [path for path in known if _holds(workload, path)]
    for path in (*mounted, *known):
        return Target(path, f"GUARD_PATH of container {paths[path].name}")
    only = {mount.path for container in guards if container.part for mount in container.mounts}
    if len(only) == 1:
        return Target(only.pop(), "the mount of its guard")
    injected = workload.injected_path
    return Target(injected, f"the mount of its claim, by the label {INJECT}") if injected else None


def _of_mounts(workload: Workload, lookup: ObjectLookup) -> Target | None:
    """Returns the mountPath of its volume that lasts; of several the one that its settings, image or name point to."""
    lasting = (mount for app in workload.applications for mount in app.mounts if mount.volume)
    mounts = {mount.path: mount for mount in lasting if mount.volume and mount.volume.outlasts_pod}
    if len(mounts) == 1:
        return Target(next(iter(mounts)), "the mountPath of its only volume that lasts")
    for path, reason in _hints(workload, lookup):
        if any(covers(mounted, path) for mounted in mounts):
            return Target(path, reason)
    own = workload.written_as[1]
    alike = [mount for mount in mounts.values() if shared(own, mount.path, mount.volume_name)]
    for mount in (*alike, *mounts.values()):
        return Target(mount.path, f"one of its {len(mounts)} persistent volumes: set --path to choose another")
    return None


def _hints(workload: Workload, lookup: ObjectLookup) -> Iterator[tuple[str, str]]:
    """Yields the paths that settings, the image and the default name, each with what names it."""
    for container in workload.applications:
        for data in data_paths(lookup, container):
            yield data.path, data.source
    for setting in path_settings(workload):
        if setting.is_for_data:
            yield setting.path, str(setting)
    for container in workload.applications:
        image = known_image(container.image)
        for path in image.paths if image else ():
            yield path, f"image {container.image}"
    yield DEFAULT_PATH, "the default"


def _of_settings(workload: Workload, lookup: ObjectLookup) -> Target | None:
    """Returns a path that only a variable or an ephemeral mount shows; known settings and images have rules of their own."""
    for path, reason in _hints(workload, lookup):
        volumes = (container.volume_at(path) for container in workload.applications)
        if any(volume is not None and volume.kind == "hostPath" for volume in volumes):
            return Target(path, reason, is_fact=False)
    known = {data.path for container in workload.applications for data in data_paths(lookup, container)}
    for setting in path_settings(workload):
        if (setting.is_for_data or covers(DEFAULT_PATH, setting.path)) and setting.path not in known:
            return Target(setting.path, str(setting), is_fact=False)
    if _shows(workload, DEFAULT_PATH):
        return Target(DEFAULT_PATH, "the default, which it mounts", is_fact=False)
    return None


def _of_unmounted(workload: Workload) -> Target | None:
    """Returns the path of a mount without a volume; the default if the pod lists a volume that lasts, and no container gets it."""
    for container in workload.applications:
        for mount in container.mounts:
            if mount.volume is None:
                return Target(mount.path, f"its volumeMount names volume {mount.volume_name}, which is not there")
    for volume in workload.unmounted:
        return Target(DEFAULT_PATH, f"the default; volume {volume.name} is mounted by no container")
    return None


def _shows(workload: Workload, path: str) -> bool:
    knows = workload.injected_path or any(container.knows_the_guard for container in workload.all_containers)
    return bool(knows) or any(container.points_at(path) for container in workload.containers)


def _holds(workload: Workload, path: str) -> bool:
    """Whether a claim is in force at the path: it is then mounted above it, if nothing shows the path itself."""
    return any(container.mount_at(path) in container.claim_mounts for container in workload.containers)
