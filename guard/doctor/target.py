"""Which workloads keep their data at the guarded path, and which claim that none of them uses is whose. Pure."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from guard.doctor.objects.guard_containers import is_application, knows_the_guard, points_at
from guard.doctor.objects.k8s_object import K8sObject, same_namespace
from guard.doctor.objects.names import shared, words
from guard.doctor.objects.workload import ORDINAL, Workload

#: Words that say what a workload does, not for which application.
_ROLES = frozenset({
    "server", "service", "svc", "api", "backend", "deployment", "deploy", "statefulset", "sts", "pod",
})  # fmt: skip


@dataclass(frozen=True)
class TargetResolver:
    """What shows which application is meant.

    Attributes:
        path: The guarded path.
        serving: What may be the application.
        others: What is not: jobs, the guard's containers alone, and kinds that are not judged. A claim can be named after
            them too.
        claims: Claims that nothing of `serving` uses.
    """

    path: str
    serving: tuple[Workload, ...]
    others: tuple[Workload, ...]
    claims: tuple[K8sObject, ...]

    @cached_property
    def guarded(self) -> tuple[Workload, ...]:
        """The workloads that are meant, by the best evidence there is.

        A workload shows the path itself; or is what one of these is on the other side or in another namespace; or bears
        the name of a claim that nothing uses, and one of the two has a word of the path. Where there is none of these:
        the one workload that bears such a claim's name, or else the only workload.
        """
        sure = {
            *map(id, self.shown),
            *(id(workload) for workload in self.serving if self._is_namesake(workload)),
            *self._named_as_a_claim(self._is_about_the_path),
        }
        likely = {} if sure else self._named_as_a_claim(lambda _workload, _claim: True)
        if len(set(likely.values())) == 1:
            sure = set(likely)
        if not sure and self._is_single:
            return self.serving
        return tuple(workload for workload in self.serving if id(workload) in sure)

    @cached_property
    def shown(self) -> tuple[Workload, ...]:
        """Those that show the path: by a container of the guard, a mount or a variable.

        A claim mounted above the path may hold other data, so it counts where nothing else in its namespace shows the path.
        """
        at_path = [workload for workload in self.serving if _shows(workload, self.path)]
        taken = {workload.object.namespace for workload in at_path}
        above = [workload for workload in self.serving if _holds(workload, self.path)]
        alone = [
            workload for workload in above if not any(same_namespace(workload.object.namespace, one) for one in taken)
        ]
        return (*at_path, *alone)

    @property
    def _is_single(self) -> bool:
        """Whether one workload was given that runs on; where the guard's containers run alone, theirs is another."""
        run_on = (workload for workload in (*self.serving, *self.others) if not workload.runs_to_end)
        return len({(workload.object.kind, workload.object.name) for workload in run_on}) == 1

    def claim_named_after(self, workload: Workload) -> str:
        """The claim that bears a workload's name, without any other word where there are several; empty where none does."""
        own = words(_name(workload)[1])
        more = {claim.name: len(words(claim.name) - own) for claim in self._held.get(id(workload), ())}
        fewest = min(more.values(), default=0)
        names = [name for name, count in more.items() if count == fewest]
        return names[0] if len(names) == 1 else ""

    def _is_namesake(self, workload: Workload) -> bool:
        """Whether it is an object that shows the path: of the other side, or of another namespace and from the same image."""
        return any(
            same_namespace(workload.object.namespace, other.object.namespace) or _images(workload) & _images(other)
            for other in self._shown_by_name.get((workload.object.kind, workload.object.name), ())
        )

    @cached_property
    def _shown_by_name(self) -> Mapping[tuple[str, str], list[Workload]]:
        by_name: dict[tuple[str, str], list[Workload]] = defaultdict(list)
        for workload in self.shown:
            by_name[workload.object.kind, workload.object.name].append(workload)
        return by_name

    def _named_as_a_claim(self, counts: Callable[[Workload, K8sObject], bool]) -> dict[int, tuple[str, str]]:
        """Kind and name of the workloads that bear a claim's name, by identity."""
        return {
            id(workload): _name(workload)
            for workload in self.serving
            if any(counts(workload, claim) for claim in self._held.get(id(workload), ()))
        }

    def _is_about_the_path(self, workload: Workload, claim: K8sObject) -> bool:
        """Whether a word of the path is in its name or the claim's; beside one that shows the path, its image must be the same."""
        beside = [
            images
            for namespace, images in self._shown_images.items()
            if same_namespace(namespace, workload.object.namespace)
        ]
        alike = not beside or any(_images(workload) & images for images in beside)
        return alike and bool(shared(self.path, _name(workload)[1], claim.name))

    @cached_property
    def _shown_images(self) -> Mapping[str, set[str]]:
        """The images of what shows the path, by namespace."""
        images: dict[str, set[str]] = defaultdict(set)
        for workload in self.shown:
            images[workload.object.namespace] |= _images(workload)
        return images

    @cached_property
    def _held(self) -> Mapping[int, list[K8sObject]]:
        """The claims that bear the name of each workload which uses none, by the workload's identity."""
        nearest: dict[tuple[str, frozenset[str]], list[Workload]] = {}
        held: dict[int, list[K8sObject]] = defaultdict(list)
        for claim in self.claims:
            key = claim.namespace, words(claim.name)
            if key not in nearest:
                nearest[key] = self._nearest(*key)
            for workload in nearest[key]:
                if not _is_numbered_for_another(claim.name, _name(workload)[1]):
                    held[id(workload)].append(claim)
        return held

    def _nearest(self, namespace: str, its: frozenset[str]) -> list[Workload]:
        """The workload whose name shares most words with a claim's, where there is one and it uses no claim.

        A word that neither the claim nor the path has is another application's: `skills-frontend` is not `skills`.
        """
        rivals: dict[int, tuple[tuple[int, int], Workload]] = {}
        highest = (0, 0)
        # From the rarest word on: what has none of those before shares no more than are left, so long lists are seldom read.
        rarest = sorted(its, key=lambda word: (len(self._by_word.get(word, ())), word))
        for left, word in zip(range(len(its), 0, -1), rarest, strict=True):
            if highest[0] > left:
                break
            for own, workload in self._by_word.get(word, ()):
                if same_namespace(workload.object.namespace, namespace):
                    rank = _rank(own, its)
                    rivals[id(workload)] = rank, workload
                    highest = max(highest, rank)
        best = [workload for rank, workload in rivals.values() if rank == highest]
        if len({_name(workload) for workload in best}) != 1 or best[0] in self.others:
            return []
        if words(_name(best[0])[1]) - its - words(self.path) - _ROLES:
            return []
        return [workload for workload in best if not workload.claims and not workload.claim_templates]

    @cached_property
    def _by_word(self) -> Mapping[str, list[tuple[frozenset[str], Workload]]]:
        """All workloads with the words of their names, by each of these words."""
        by_word: dict[str, list[tuple[frozenset[str], Workload]]] = defaultdict(list)
        for workload in (*self.serving, *self.others):
            own = words(_name(workload)[1])
            for word in own:
                by_word[word].append((own, workload))
        return by_word


def _shows(workload: Workload, path: str) -> bool:
    if any(map(knows_the_guard, workload.pod.all_containers)):
        return True
    return any(points_at(container, path) for container in workload.pod.containers)


def _holds(workload: Workload, path: str) -> bool:
    """Whether a claim is in force at the path: it is then mounted above it, where nothing shows the path itself."""
    volumes = (workload.pod.volume_at(container, path) for container in workload.pod.containers)
    return any(volume is not None and volume.is_persistent for volume in volumes)


def _name(workload: Workload) -> tuple[str, str]:
    """Kind and name of what somebody wrote: of a pod whose controller was not given, the controller's."""
    obj = workload.object
    return obj.author if obj.author[1] else (obj.kind, obj.name)


def _images(workload: Workload) -> set[str]:
    """The application's images by their last names, without registry, tag and digest."""
    images = (container.image for container in workload.pod.containers if is_application(container))
    return {image.partition("@")[0].rpartition("/")[2].partition(":")[0] for image in images} - {""}


def _rank(own: frozenset[str], its: frozenset[str]) -> tuple[int, int]:
    """How near a name is to a claim's: the more words it shares, then the fewer others it has, the higher."""
    return len(own & its), -len(own - its)


def _is_numbered_for_another(claim: str, name: str) -> bool:
    """Whether a claim looks like `<template>-<statefulset>-<ordinal>`: its StatefulSet may only not have been given."""
    return bool(ORDINAL.search(claim)) and not claim.startswith(name)
