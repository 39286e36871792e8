"""Everything that was given, indexed for the rules: which object is which, who uses what, which claim is whose. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from guard.doctor.lookup import ByNamespace, ObjectLookup, grouped
from guard.doctor.objects.guard_container import DEFAULT_PATH
from guard.doctor.objects.k8s_object import PVC, K8sObject
from guard.doctor.objects.names import named_claims, word_set, words
from guard.doctor.objects.workload import ORDINAL, POD_PATHS, ClaimTemplate, Workload
from guard.doctor.source.document import DuplicateKey, ReadError
from guard.doctor.target import Target, TargetResolver

#: Kinds that some rule reads; of all others only the text is checked.
READ = frozenset(POD_PATHS) | word_set(
    "PersistentVolumeClaim PersistentVolume StorageClass Node Event HorizontalPodAutoscaler ConfigMap "
    "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding VolumeSnapshot ReplicationSource Schedule BackupPlan "
    "RecurringJob Application Namespace Kustomization HelmRelease"
)


@dataclass(frozen=True, eq=False)
class ObjectIndex(ObjectLookup):
    """All that was read, and what is asked."""

    path: str  # the path that was given; empty if none was
    #: Each with its source and the object in which it is set, if any.
    duplicate_keys: tuple[tuple[DuplicateKey, str, K8sObject | None], ...] = ()
    errors: tuple[ReadError, ...] = ()  # what could not be read

    @cached_property
    def unread(self) -> tuple[str, ...]:
        """Kinds that no rule reads, each once with its first place, as sentences."""
        kinds = (
            (kind, members[0].place(), len(members) - 1)
            for kind, members in self.by_kind.items()
            if kind not in READ and not isinstance(members[0], Workload)
        )
        return tuple(
            f"{kind}: no rule reads this kind ({place}{f' and {more} more' if more else ''})"
            for kind, place, more in kinds
        )

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """Everything that runs pods by its own right: what a controller made (a Deployment's pods) is left out."""
        runners = [one for one in self.runners if not self._is_made(one)]
        makers = {(*one.controller, one.namespace) for one in self.runners if one.kind not in {"Pod", "ReplicaSet"}}
        return tuple(
            one
            for one in runners
            # What an operator made of its own kind's template is judged in that one's place.
            if not one.is_past and (one.kind in POD_PATHS or (one.kind, one.name, one.namespace) not in makers)
        )

    @cached_property
    def templates(self) -> tuple[ClaimTemplate, ...]:
        """The volumeClaimTemplates of all workloads."""
        return tuple(template for workload in self.workloads for template in workload.templates)

    def _is_made(self, obj: K8sObject) -> bool:
        """Whether a controller that was given as well made it, and is judged in its place."""
        kinds = None if obj.kind in {"Pod", "ReplicaSet"} else POD_PATHS
        return any(
            isinstance(maker, Workload)
            for kind, name in (obj.controller, obj.deployment)
            if name and (kinds is None or kind in kinds)
            for maker in self.named(kind, obj.namespace, name)
        )

    @cached_property
    def _pods(self) -> ByNamespace[tuple[str, str], Workload]:
        """Pods with a controller, by the kind and name of the workload behind them, and by namespace."""
        pods = (pod for pod in self.runners if pod.kind == "Pod" and pod.author[0] and not pod.is_past)
        return ByNamespace((pod.author, pod) for pod in pods)

    def pods_of(self, owner: Workload) -> tuple[Workload, ...]:
        """Returns the pods given that belong to a workload and have not ended."""
        return self._pods.within((owner.kind, owner.name), owner.namespace)

    @cached_property
    def _users(self) -> ByNamespace[str, Workload]:
        """What runs, by the name of the claims that it uses and by namespace; what has ended uses none."""
        return ByNamespace(
            (claim, user)
            for user in self.runners
            if not user.is_past
            for claim in (*user.claims, *(_numbered(template, user.name) for template in user.claim_templates))
        )

    def users_of(self, claim: K8sObject) -> tuple[Workload, ...]:
        """Returns what uses a claim; the cluster's is used by what runs there, if that was given, not by a file."""
        users = self.all_users_of(claim)
        is_open = not claim.is_live or claim.namespace not in self._live_namespaces
        return tuple(user for user in users if is_open or user.is_live)

    @cached_property
    def _live_namespaces(self) -> frozenset[str]:
        return frozenset(one.namespace for one in self.runners if one.is_live)

    def all_users_of(self, claim: K8sObject) -> tuple[Workload, ...]:
        """Returns what uses a claim of this name on either side."""
        names = dict.fromkeys((claim.name, ORDINAL.sub("-N", claim.name)))
        return tuple(user for name in names for user in self._users.within(name, claim.namespace))

    @cached_property
    def claims_in(self) -> Mapping[str, Sequence[K8sObject]]:
        """Claims by namespace."""
        return grouped((claim.namespace, claim) for claim in self.of(PVC))

    @cached_property
    def unused_in(self) -> Mapping[str, Sequence[K8sObject]]:
        """Unused claims by namespace."""
        return grouped((claim.namespace, claim) for claim in self.unused_claims)

    def unused_like(self, namespace: str, *names: str) -> list[str]:
        """Returns the names of unused claims of a namespace that share a telling word with one of some names."""
        own = {word for name in names for word in words(name)}
        alike = (self._unused_by_word.get((namespace, word), ()) for word in sorted(own))
        return list(dict.fromkeys(chain.from_iterable(alike)))

    @cached_property
    def _unused_by_word(self) -> Mapping[tuple[str, str], Sequence[str]]:
        claims = self.unused_claims
        return grouped(((claim.namespace, word), claim.name) for claim in claims for word in words(claim.name))

    @cached_property
    def workloads_in(self) -> Mapping[str, Sequence[Workload]]:
        """What runs pods by its own right, by namespace."""
        return grouped((workload.namespace, workload) for workload in self.workloads)

    @cached_property
    def unused_claims(self) -> tuple[K8sObject, ...]:
        """Claims that no workload and no pod given uses, and that no custom resource names: pods can be behind it."""
        others = (obj for obj in self.of(*self.custom_kinds) if not isinstance(obj, Workload))
        named = {name for obj in others for name in named_claims(obj.body)}
        return tuple(claim for claim in self._own_claims if claim.name not in named and not self.users_of(claim))

    @cached_property
    def _own_claims(self) -> tuple[K8sObject, ...]:
        """Claims but those that the cluster made for one pod (ephemeral volumes): they come and go with it."""
        return tuple(claim for claim in self.of(PVC) if claim.controller[0] != "Pod")

    def workloads_with(self, claim: K8sObject) -> tuple[Workload, ...]:
        """Returns what uses a claim by its own right, on the claim's own side, or on the other if its side has none."""
        users = [user for user in self.all_users_of(claim) if not self._is_made(user)]
        return tuple(user for user in users if user.side is claim.side) or tuple(users)

    def claim(self, user: Workload, name: str) -> K8sObject | None:
        """Returns the claim that a workload names."""
        return self.find(PVC, user.namespace, name, user.side)

    def _given_claims(self, user: Workload, names: Iterable[str]) -> list[tuple[Workload, K8sObject]]:
        return [(user, claim) for name in dict.fromkeys(names) if (claim := self.claim(user, name))]

    @cached_property
    def claimants(self) -> tuple[tuple[Workload, K8sObject], ...]:
        """Every workload with every claim that it uses and that was given."""
        return tuple(chain.from_iterable(self._given_claims(user, user.claims) for user in self.workloads))

    @cached_property
    def guarded(self) -> Mapping[Workload, Target]:
        """The workloads that keep data at a path that is known, in the order given, with where, and how sure that is."""
        return self._targets.targets

    def is_sure(self, workload: Workload) -> bool:
        """Whether the path of a workload is a fact: given, or its guard's, its claim's or its namesake's own."""
        return workload in self.guarded and self.guarded[workload].is_fact

    def path_of(self, workload: Workload) -> str:
        """Returns the path at which a workload keeps its data; the one that was given, or the default, if it shows none."""
        target = self.guarded.get(workload)
        return target.path if target else self.path or DEFAULT_PATH

    @cached_property
    def _targets(self) -> TargetResolver:
        serving = [one for one in self.workloads if not one.runs_to_end and not one.has_raw_device_only]
        # A finished job still bears its name: a claim that is named after it is no other workload's.
        ends = (one for one in self.runners if one.runs_to_end and not self._is_made(one))
        return TargetResolver(
            lookup=self,
            given=self.path,
            serving=tuple(workload for workload in serving if workload.applications),
            others=(*ends, *(workload for workload in serving if not workload.applications)),
            claims=tuple(claim for claim in self._own_claims if all(user.runs_to_end for user in self.users_of(claim))),
        )

    @cached_property
    def claims_to_keep(self) -> tuple[K8sObject, ...]:
        """The claims that are meant at the path of a workload, each once."""
        pairs = (self._given_claims(user, self.claims_meant(user)) for user in self.guarded)
        return tuple(dict.fromkeys(claim for _, claim in chain.from_iterable(pairs)))

    def claims_meant(self, workload: Workload) -> tuple[str, ...]:
        """Returns names of the claims that hold a workload's data, or should: those in force at the path come first.

        If none is: those in force on the other side, the unused one that bears its name, its only one, or the only
        one of the namespace that nobody uses.
        """
        path = self.path_of(workload)
        for side in (workload, self.other_side(workload)):
            in_force = self._in_force(side, path) if side else ()
            if in_force:
                return in_force
        named = self._targets.names.best(workload)
        if named:
            return (named,)
        unused = {claim.name for claim in self.unused_in.get(workload.namespace, ())}
        names = {*unused, *workload.claims, *workload.claim_templates}
        if len(names) != 1:
            return ()
        return self.made_from(workload, names.pop()) if workload.claim_templates else tuple(names)

    def _in_force(self, workload: Workload, path: str) -> tuple[str, ...]:
        """Returns names of the claims in force at the path, those made from a template of a StatefulSet among them."""
        volumes = (container.volume_at(path) for container in workload.applications_at(path))
        persistent = {volume.name: volume for volume in volumes if volume is not None and volume.is_persistent}
        names = ((one.claim,) if one.claim else self.made_from(workload, name) for name, one in persistent.items())
        return tuple(dict.fromkeys(chain.from_iterable(names)))

    def made_from(self, workload: Workload, template: str) -> tuple[str, ...]:
        """Returns names of the claims given that a StatefulSet made from a template."""
        made = self._made.within(_numbered(template, workload.name), workload.namespace)
        return tuple(dict.fromkeys(claim.name for claim in made))

    @cached_property
    def _made(self) -> ByNamespace[str, K8sObject]:
        """Claims whose names end in a number, by their names with an N in its place, and by namespace."""
        claims = (claim for claim in self.of(PVC) if ORDINAL.search(claim.name))
        return ByNamespace((ORDINAL.sub("-N", claim.name), claim) for claim in claims)


def _numbered(template: str, statefulset: str) -> str:
    """Returns the name of each claim that a StatefulSet makes: <template>-<statefulset>-<ordinal>."""
    return f"{template}-{statefulset}-N"
