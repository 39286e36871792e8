"""Which workload a claim that nothing uses is named after: the trace of a volume that was lost from its workload. Pure."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from guard.doctor.objects.k8s_object import K8sObject, same_namespace
from guard.doctor.objects.names import word_set, words
from guard.doctor.objects.workload import ORDINAL, Workload

#: Words for what a workload does, not for which application.
_ROLES = word_set("server service svc api backend deployment deploy statefulset sts pod")


@dataclass(frozen=True)
class ClaimNames:
    """Names of workloads and of claims that nothing uses."""

    path: str  # whose words are those of the application too
    serving: tuple[Workload, ...]  # what may be the application
    #: What is not: jobs, and the guard's containers alone; a claim can be named after them too.
    others: tuple[Workload, ...]
    claims: tuple[K8sObject, ...]  # that nothing of `serving` uses

    def of(self, workload: Workload) -> tuple[K8sObject, ...]:
        """Returns the claims that bear a workload's name, if it uses none."""
        return tuple(self._held.get(workload, ()))

    def best(self, workload: Workload) -> str:
        """Returns the claim that bears a workload's name, of several the one without any other word; empty if none does."""
        own = words(workload.written_as[1])
        more = {claim.name: len(words(claim.name) - own) for claim in self.of(workload)}
        fewest = min(more.values(), default=0)
        names = [name for name, count in more.items() if count == fewest]
        return names[0] if len(names) == 1 else ""

    @cached_property
    def _held(self) -> Mapping[Workload, list[K8sObject]]:
        nearest: dict[tuple[str, frozenset[str]], list[Workload]] = {}
        held: dict[Workload, list[K8sObject]] = defaultdict(list)
        for claim in self.claims:
            key = claim.namespace, words(claim.name)
            if key not in nearest:
                nearest[key] = self._nearest(*key)
            for workload in nearest[key]:
                # `<template>-<statefulset>-<ordinal>` is another's: its StatefulSet may only not have been given.
                if not ORDINAL.search(claim.name) or claim.name.startswith(workload.written_as[1]):
                    held[workload].append(claim)
        return held

    def _nearest(self, namespace: str, its: frozenset[str]) -> list[Workload]:
        """Returns the workload whose name shares most words with a claim's, if there is one and it uses no claim.

        A word that neither the claim nor the path has is another application's: `skills-frontend` is not `skills`.
        """
        rivals: dict[Workload, tuple[int, int]] = {}
        highest = (0, 0)
        # From the rarest word on: what has none of those before shares no more than are left, so long lists are seldom read.
        rarest = sorted(its, key=lambda word: (len(self._by_word.get(word, ())), word))
        for left, word in zip(range(len(its), 0, -1), rarest, strict=True):
            if highest[0] > left:
                break
            for own, workload in self._by_word.get(word, ()):
                if same_namespace(workload.namespace, namespace):
                    # The more words it shares, then the fewer others it has, the nearer it is.
                    rank = len(own & its), -len(own - its)
                    rivals[workload] = rank
                    highest = max(highest, rank)
        best = [workload for workload, rank in rivals.items() if rank == highest]
        if len({workload.written_as for workload in best}) != 1 or best[0] in self.others:
            return []
        if words(best[0].written_as[1]) - its - words(self.path) - _ROLES:
            return []
        return [workload for workload in best if not workload.claims and not workload.claim_templates]

    @cached_property
    def _by_word(self) -> Mapping[str, list[tuple[frozenset[str], Workload]]]:
        by_word: dict[str, list[tuple[frozenset[str], Workload]]] = defaultdict(list)
        for workload in (*self.serving, *self.others):
            own = words(workload.written_as[1])
            for word in own:
                by_word[word].append((own, workload))
        return by_word


def image_names(workload: Workload) -> set[str]:
    """Returns the application's images by their last names, without registry, tag and digest."""
    images = (container.image for container in workload.containers if container.is_application)
    return {image.partition("@")[0].rpartition("/")[2].partition(":")[0] for image in images} - {""}
