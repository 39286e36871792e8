"""Where each application keeps its data, and how sure that is: given, found, or only the default. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

from guard.doctor.configuration import configurations
from guard.doctor.lookup import ObjectLookup
from guard.doctor.objects.claim_names import ClaimNames, image_names, name_of
from guard.doctor.objects.configured_paths import set_paths
from guard.doctor.objects.data_paths import path_settings
from guard.doctor.objects.guard_containers import (
    DEFAULT_PATH,
    applications,
    guarded_path,
    knows_the_guard,
    part,
    points_at,
)
from guard.doctor.objects.images import known_image
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.names import shared
from guard.doctor.objects.workload import Mount, Workload, covers


@dataclass(frozen=True, slots=True)
class Target:
    """The path at which an application keeps its data.

    Attributes:
        path: The path.
        reason: What says so: `--path`, `GUARD_PATH of container gate`.
        is_fact: Whether that is sure enough for an error; a guess gives a warning.
    """

    path: str
    reason: str
    is_fact: bool = True


@dataclass(frozen=True)
class TargetResolver:
    """All that shows which application is meant, and where it keeps its data.

    Attributes:
        lookup: Every object.
        given: The path that was given; empty if none was.
        serving: What may be the application.
        others: What is not: jobs, and the guard's containers alone.
        claims: Claims that nothing of `serving` uses.
    """

    lookup: ObjectLookup
    given: str
    serving: tuple[Workload, ...]
    others: tuple[Workload, ...]
    claims: tuple[K8sObject, ...]

    @cached_property
    def targets(self) -> Mapping[int, Target]:
        """The path of each workload that is meant, by the workload's identity."""
        targets = self._of_given_path() if self.given else self._found()
        return {id(workload): targets[id(workload)] for workload in self.serving if id(workload) in targets}

    @cached_property
    def names(self) -> ClaimNames:
        """The claims that are named after workloads."""
        return ClaimNames(self.given or DEFAULT_PATH, self.serving, self.others, self.claims)

    def _found(self) -> dict[int, Target]:
        """Finds paths without a given one: in the workload itself, in its namesakes, or by a claim that bears its name."""
        own = {id(workload): target for workload in self.serving if (target := _own_target(workload, self.lookup))}
        facts = [workload for workload in self.serving if id(workload) in own and own[id(workload)].is_fact]
        for workload, model in self._namesakes(facts):
            if id(workload) not in own or not own[id(workload)].is_fact:
                target = own[id(model)]
                own[id(workload)] = Target(target.path, f"{model.object} ({model.object.side.value}) keeps it there")
        shown = [workload for workload in self.serving if id(workload) in own]
        serving = {id(workload): workload for workload in self.serving}
        for number, claim in self._named(shown, DEFAULT_PATH).items():
            known = own.get(number)
            path, why = next(_hints(serving[number], self.lookup))
            reason = f"{why}; claim {claim} bears its name and nothing uses it"
            own[number] = replace(known, is_fact=True) if known else Target(path, reason)
        return own

    def _of_given_path(self) -> dict[int, Target]:
        """Finds whom a given path is about: who shows it, their namesakes, who bears a claim's name, or the only workload."""
        shown = self._shown
        chosen = {
            *map(id, shown),
            *(id(workload) for workload, _ in self._namesakes(shown)),
            *self._named(shown, self.given),
        }
        if not chosen and self._is_single:
            chosen = set(map(id, self.serving))
        return {id(workload): self._given(workload) for workload in self.serving if id(workload) in chosen}

    def _given(self, workload: Workload) -> Target:
        own = _of_guard(workload)
        is_mounted = any(covers(mount.path, self.given) for app in applications(workload) for mount in app.mounts)
        return own if own and not is_mounted else Target(self.given, "--path")

    @cached_property
    def _shown(self) -> Sequence[Workload]:
        """Those that show the given path: by a container of the guard, a mount or a variable.

        A claim mounted above the path may hold other data, so it counts if nothing else in its namespace shows the path.
        """
        at_path = [workload for workload in self.serving if _shows(workload, self.given)]
        taken = {workload.object.namespace for workload in at_path}
        above = (workload for workload in self.serving if _holds(workload, self.given))
        return [*at_path, *(workload for workload in above if not _is_among(workload.object.namespace, taken))]

    @property
    def _is_single(self) -> bool:
        """Whether one workload was given that runs on; if the guard's containers run alone, theirs is another."""
        run_on = (workload for workload in (*self.serving, *self.others) if not workload.runs_to_end)
        return len({(workload.object.kind, workload.object.name) for workload in run_on}) == 1

    def _namesakes(self, models: Sequence[Workload]) -> Iterator[tuple[Workload, Workload]]:
        """Yields workloads with their model: the same on the other side, or in another namespace and from the same image."""
        by_mark: dict[tuple[str, str, str], list[Workload]] = defaultdict(list)
        for model in models:
            for mark in (f"namespace {model.object.namespace}", "any namespace", *image_names(model)):
                by_mark[model.object.kind, model.object.name, mark].append(model)
        for workload in self.serving:
            namespace = workload.object.namespace
            marks = (
                f"namespace {namespace}",
                "namespace ",
                *image_names(workload),
                *([] if namespace else ["any namespace"]),
            )
            alike = (by_mark.get((workload.object.kind, workload.object.name, mark), ()) for mark in marks)
            others = (model for models in alike for model in models if model is not workload)
            yield from ((workload, model) for model in islice(others, 1))

    def _named(self, shown: Sequence[Workload], path: str) -> dict[int, str]:
        """Returns the workloads that bear an unused claim's name, with that claim's: sure by a word of the path, or alone."""
        images: dict[str, set[str]] = defaultdict(set)
        for workload in shown:
            images[workload.object.namespace] |= image_names(workload)
        held = {id(workload): (workload, claims) for workload in self.serving if (claims := self.names.of(workload))}
        sure = {
            number: self.names.best(workload) or claims[0].name
            for number, (workload, claims) in held.items()
            if any(_is_about(path, workload, claim, images) for claim in claims)
        }
        if sure or shown or len({name_of(workload) for workload, _ in held.values()}) != 1:
            return sure
        return {number: self.names.best(workload) or claims[0].name for number, (workload, claims) in held.items()}


def _is_about(path: str, workload: Workload, claim: K8sObject, images: Mapping[str, set[str]]) -> bool:
    """Whether a word of the path is in its name or the claim's; beside one that shows the path, its image must be the same."""
    namespace = workload.object.namespace
    beside = set().union(*(images.get(one, ()) for one in ((namespace, "") if namespace else images)))
    is_alike = not _is_among(namespace, images) or bool(image_names(workload) & beside)
    return is_alike and bool(shared(path, name_of(workload)[1], claim.name))


def _is_among(namespace: str, namespaces: Collection[str]) -> bool:
    """Whether an object of a namespace can be in one of others: a file may leave its own to kubectl."""
    return namespace in namespaces or "" in namespaces or (not namespace and bool(namespaces))


def _own_target(workload: Workload, lookup: ObjectLookup) -> Target | None:
    """Returns the path that a workload itself shows."""
    guard = _of_guard(workload)
    if guard and any(app.mount_at(guard.path) for app in applications(workload)):
        return guard
    return _of_mounts(workload, lookup) or guard or _of_unmounted(workload) or _of_settings(workload, lookup)


def _of_guard(workload: Workload) -> Target | None:
    """Returns the path of its guard's container, first of one that the application mounts."""
    guards = [container for container in workload.pod.all_containers if knows_the_guard(container)]
    paths = {guarded_path(container): container for container in reversed(guards)}
    known = [path for path in reversed(paths) if path]
    mounted = [path for path in known if _holds(workload, path)]
    for path in (*mounted, *known):
        return Target(path, f"GUARD_PATH of container {paths[path].name}")
    only = {mount.path: container for container in guards if part(container) for mount in container.mounts}
    return Target(next(iter(only)), "the mount of its guard") if len(only) == 1 else None


def _of_mounts(workload: Workload, lookup: ObjectLookup) -> Target | None:
    """Returns the mountPath of its volume that lasts; of several the one that its settings, image or name point to."""
    mounts = {mount.path: mount for mount in _lasting_mounts(workload)}
    if len(mounts) == 1:
        return Target(next(iter(mounts)), "the mountPath of its only volume that lasts")
    for path, reason in _hints(workload, lookup):
        if any(covers(mounted, path) for mounted in mounts):
            return Target(path, reason)
    own = name_of(workload)[1]
    alike = [mount for mount in mounts.values() if shared(own, mount.path, mount.volume)]
    for mount in (*alike, *mounts.values()):
        return Target(mount.path, f"one of its {len(mounts)} volumes that last: say --path for another")
    return None


def _lasting_mounts(workload: Workload) -> Iterator[Mount]:
    for container in applications(workload):
        for mount in container.mounts:
            volume = workload.pod.volumes.get(mount.volume)
            if volume is not None and volume.outlasts_pod:
                yield mount


def _hints(workload: Workload, lookup: ObjectLookup) -> Iterator[tuple[str, str]]:
    """Yields the paths that settings, the image and the default name, each with what says so."""
    for container in applications(workload):
        for data in set_paths(container, configurations(lookup, workload, container)):
            yield data.path, data.source
    for setting in path_settings(workload):
        if setting.is_for_data:
            yield setting.path, str(setting)
    for container in applications(workload):
        image = known_image(container.image)
        for path in image.paths if image else ():
            yield path, f"image {container.image}"
    yield DEFAULT_PATH, "the default"


def _of_settings(workload: Workload, lookup: ObjectLookup) -> Target | None:
    """Returns a path that only a variable or an ephemeral mount shows; known settings and images have rules of their own."""
    for path, reason in _hints(workload, lookup):
        volumes = (workload.pod.volume_at(container, path) for container in applications(workload))
        if any(volume is not None and volume.kind == "hostPath" for volume in volumes):
            return Target(path, reason, is_fact=False)
    told = {
        data.path
        for container in applications(workload)
        for data in set_paths(container, configurations(lookup, workload, container))
    }
    for setting in path_settings(workload):
        if (setting.is_for_data or covers(DEFAULT_PATH, setting.path)) and setting.path not in told:
            return Target(setting.path, str(setting), is_fact=False)
    if _shows(workload, DEFAULT_PATH):
        return Target(DEFAULT_PATH, "the default, which it mounts", is_fact=False)
    return None


def _of_unmounted(workload: Workload) -> Target | None:
    """Returns the path of a mount without a volume; the default if the pod lists a volume that lasts, and no container gets it."""
    for container in applications(workload):
        for mount in container.mounts:
            if mount.volume not in workload.pod.volumes:
                return Target(mount.path, f"its volumeMount names volume {mount.volume}, which is not there")
    taken = {name for container in workload.pod.all_containers for name in container.volume_names}
    for volume in workload.pod.volumes.values():
        if volume.is_persistent and volume.name not in taken:
            return Target(DEFAULT_PATH, f"the default; volume {volume.name} is mounted by no container")
    return None


def _shows(workload: Workload, path: str) -> bool:
    if any(map(knows_the_guard, workload.pod.all_containers)):
        return True
    return any(points_at(container, path) for container in workload.pod.containers)


def _holds(workload: Workload, path: str) -> bool:
    """Whether a claim is in force at the path: it is then mounted above it, where nothing shows the path itself."""
    volumes = (workload.pod.volume_at(container, path) for container in workload.pod.containers)
    return any(volume is not None and volume.is_persistent for volume in volumes)
