"""Everything that was given, indexed for the rules: which object is which, who uses what, which claim is whose. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from guard.doctor.lookup import ObjectLookup, grouped, within
from guard.doctor.objects.guard_containers import DEFAULT_PATH, application, applications
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.names import named_claims, words
from guard.doctor.objects.workload import ORDINAL, POD_PATHS, Workload, as_workload
from guard.doctor.source.document import DuplicateKey, ReadError, Side
from guard.doctor.target import Target, TargetResolver

_PVC = "PersistentVolumeClaim"
#: Kinds that some rule reads; of all others only the text is checked.
READ = frozenset({
    *POD_PATHS, _PVC, "PersistentVolume", "StorageClass", "Node", "Event", "HorizontalPodAutoscaler",
    "ConfigMap", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "VolumeSnapshot", "ReplicationSource", "Schedule",
    "BackupPlan", "RecurringJob", "Application", "Namespace", "Kustomization", "HelmRelease",
})  # fmt: skip


@dataclass(frozen=True, eq=False)
class ObjectIndex(ObjectLookup):
    """All that was read, and what is asked.

    Attributes:
        path: The path that was given; empty if none was.
        duplicate_keys: Each with its source and the object in which it is set, if any.
        errors: What could not be read.
    """

    path: str
    duplicate_keys: tuple[tuple[DuplicateKey, str, K8sObject | None], ...] = ()
    errors: tuple[ReadError, ...] = ()

    @cached_property
    def unread(self) -> tuple[str, ...]:
        """Kinds that no rule reads, each once with its first place, as sentences."""
        kinds = (
            (kind, members)
            for kind, members in self.by_kind.items()
            if kind not in READ and id(members[0]) not in self._workload_of
        )
        return tuple(
            f"{kind}: no rule reads this kind ({members[0].place()}"
            + (f" and {len(members) - 1} more)" if members[1:] else ")")
            for kind, members in kinds
        )

    def other_side(self, workload: Workload) -> Workload | None:
        """Returns the same workload on the other side."""
        obj = self.counterpart(workload.object)
        return self._workload_of.get(id(obj)) if obj else None

    @cached_property
    def _workload_of(self) -> Mapping[int, Workload]:
        """Everything that runs pods, by the identity of its object."""
        return {id(obj): workload for obj in self.objects if (workload := as_workload(obj))}

    def workload_of(self, obj: K8sObject) -> Workload | None:
        """Returns an object that was given as the workload that it is."""
        return self._workload_of.get(id(obj))

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """Everything that runs pods by its own right: what a controller made (a Deployment's pods) is left out."""
        makers = {
            (*workload.object.controller, workload.object.namespace)
            for workload in self._workload_of.values()
            if workload.object.kind not in {"Pod", "ReplicaSet"}
        }
        return tuple(
            workload
            for workload in self._workload_of.values()
            if not self._is_made(workload.object)
            and not workload.is_past
            # What an operator made of its own kind's template is judged in that one's place.
            and (workload.object.kind in POD_PATHS or self._key(workload.object) not in makers)
        )

    @staticmethod
    def _key(obj: K8sObject) -> tuple[str, str, str]:
        return obj.kind, obj.name, obj.namespace

    def _is_made(self, obj: K8sObject) -> bool:
        """Whether a controller that was given as well made it, and is judged in its place."""
        kinds = None if obj.kind in {"Pod", "ReplicaSet"} else POD_PATHS
        return any(
            name
            and (kinds is None or kind in kinds)
            and any(id(maker) in self._workload_of for maker in self.named(kind, obj.namespace, name))
            for kind, name in (obj.controller, obj.deployment)
        )

    @cached_property
    def _pods(self) -> Mapping[tuple[str, str], Mapping[str, Sequence[Workload]]]:
        """Pods with a controller, by the kind and name of the workload behind them, and by namespace."""
        pods = (self._workload_of[id(obj)] for obj in self.of("Pod"))
        own = ((pod.object.author, pod) for pod in pods if pod.object.author[0] and not pod.is_past)
        return {key: grouped((pod.object.namespace, pod) for pod in alike) for key, alike in grouped(own).items()}

    def pods_of(self, owner: Workload) -> tuple[Workload, ...]:
        """Returns the pods given that belong to a workload and have not ended."""
        return within(self._pods.get((owner.object.kind, owner.object.name), {}), owner.object.namespace)

    @cached_property
    def _users(self) -> Mapping[str, Mapping[str, Sequence[Workload]]]:
        """What runs, by the name of the claims that it uses and by namespace; what has ended uses none."""
        pairs = (
            (claim, workload)
            for workload in self._workload_of.values()
            if not workload.is_past
            for claim in (
                *workload.claims,
                *(_numbered(template, workload.object.name) for template in workload.claim_templates),
            )
        )
        by_claim = grouped(pairs).items()
        return {claim: grouped((user.object.namespace, user) for user in users) for claim, users in by_claim}

    def users_of(self, claim: K8sObject) -> tuple[Workload, ...]:
        """Returns what uses a claim; the cluster's is used by what runs there, if that was given, not by a file."""
        users = self.all_users_of(claim)
        if claim.side is Side.LIVE and claim.namespace in self._live_namespaces:
            return tuple(user for user in users if user.object.side is Side.LIVE)
        return users

    @cached_property
    def _live_namespaces(self) -> frozenset[str]:
        objects = (workload.object for workload in self._workload_of.values())
        return frozenset(obj.namespace for obj in objects if obj.side is Side.LIVE)

    def all_users_of(self, claim: K8sObject) -> tuple[Workload, ...]:
        """Returns what uses a claim of this name on either side."""
        names = dict.fromkeys((claim.name, ORDINAL.sub("-N", claim.name)))
        return tuple(user for name in names for user in within(self._users.get(name, {}), claim.namespace))

    @cached_property
    def claims_in(self) -> Mapping[str, Sequence[K8sObject]]:
        """Claims by namespace."""
        return grouped((claim.namespace, claim) for claim in self.of(_PVC))

    @cached_property
    def unused_in(self) -> Mapping[str, Sequence[K8sObject]]:
        """Unused claims by namespace."""
        return grouped((claim.namespace, claim) for claim in self.unused_claims)

    def unused_like(self, namespace: str, *names: str) -> list[str]:
        """Returns the names of unused claims of a namespace that share a telling word with one of some names."""
        own = {word for name in names for word in words(name)}
        return list(
            dict.fromkeys(claim for word in sorted(own) for claim in self._unused_by_word.get((namespace, word), ()))
        )

    @cached_property
    def _unused_by_word(self) -> Mapping[tuple[str, str], Sequence[str]]:
        return grouped(
            ((claim.namespace, word), claim.name) for claim in self.unused_claims for word in words(claim.name)
        )

    @cached_property
    def workloads_in(self) -> Mapping[str, Sequence[K8sObject]]:
        """Objects that run pods by their own right, by namespace."""
        return grouped((workload.object.namespace, workload.object) for workload in self.workloads)

    @cached_property
    def unused_claims(self) -> tuple[K8sObject, ...]:
        """Claims that no workload and no pod given uses, and that no custom resource names: pods can be behind it."""
        others = (obj for obj in self.of(*self.custom_kinds) if id(obj) not in self._workload_of)
        named = {name for obj in others for name in named_claims(obj.body)}
        return tuple(claim for claim in self._own_claims if claim.name not in named and not self.users_of(claim))

    @cached_property
    def _own_claims(self) -> tuple[K8sObject, ...]:
        """Claims but those that the cluster made for one pod (ephemeral volumes): they come and go with it."""
        return tuple(claim for claim in self.of(_PVC) if claim.controller[0] != "Pod")

    def workloads_with(self, claim: K8sObject) -> tuple[Workload, ...]:
        """Returns what uses a claim by its own right, on the claim's own side, or on the other if its side has none."""
        users = [user for user in self.all_users_of(claim) if not self._is_made(user.object)]
        return tuple(user for user in users if user.object.side is claim.side) or tuple(users)

    def claim(self, user: Workload, name: str) -> K8sObject | None:
        """Returns the claim that a workload names."""
        return self.find(_PVC, user.object.namespace, name, user.object.side)

    @cached_property
    def claimants(self) -> tuple[tuple[Workload, K8sObject], ...]:
        """Every workload with every claim that it uses and that was given."""
        pairs = ((user, self.claim(user, name)) for user in self.workloads for name in dict.fromkeys(user.claims))
        return tuple((user, claim) for user, claim in pairs if claim is not None)

    @cached_property
    def guarded(self) -> tuple[Workload, ...]:
        """The workloads that keep data at a path that is known, in the order given."""
        return tuple(workload for workload in self.workloads if id(workload) in self._targets.targets)

    def target_of(self, workload: Workload) -> Target | None:
        """Returns where a workload keeps its data, and how sure that is; None if nothing shows it."""
        return self._targets.targets.get(id(workload))

    def is_sure(self, workload: Workload) -> bool:
        """Whether the path of a workload is a fact: given, or its guard's, its claim's or its namesake's own."""
        target = self.target_of(workload)
        return target is not None and target.is_fact

    def path_of(self, workload: Workload) -> str:
        """Returns the path at which a workload keeps its data; the one that was given, or the default, if it shows none."""
        target = self.target_of(workload)
        return target.path if target else self.path or DEFAULT_PATH

    @cached_property
    def _targets(self) -> TargetResolver:
        serving = tuple(
            workload for workload in self.workloads if not workload.runs_to_end and not workload.has_raw_device_only
        )
        # A finished job still bears its name: a claim that is named after it is no other workload's.
        ends = (
            workload
            for workload in self._workload_of.values()
            if workload.runs_to_end and not self._is_made(workload.object)
        )
        return TargetResolver(
            lookup=self,
            given=self.path,
            serving=tuple(workload for workload in serving if applications(workload)),
            others=(*ends, *(workload for workload in serving if not applications(workload))),
            claims=tuple(claim for claim in self._own_claims if all(user.runs_to_end for user in self.users_of(claim))),
        )

    @cached_property
    def guarded_claims(self) -> tuple[tuple[Workload, K8sObject], ...]:
        """The guarded workloads with the claims that are meant at the path, where both were given."""
        pairs = ((user, self.claim(user, name)) for user in self.guarded for name in self.claims_meant(user))
        return tuple((user, claim) for user, claim in pairs if claim is not None)

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
        unused = self.unused_in.get(workload.object.namespace, ())
        if unused and any(claim.name != unused[0].name for claim in unused):
            return ()
        names = {*(claim.name for claim in unused), *workload.claims, *workload.claim_templates}
        if len(names) != 1:
            return ()
        return self.made_from(workload, names.pop()) if workload.claim_templates else tuple(names)

    def _in_force(self, workload: Workload, path: str) -> tuple[str, ...]:
        """Returns names of the claims in force at the path, those made from a template of a StatefulSet among them."""
        volumes = (workload.pod.volume_at(container, path) for container in application(workload, path))
        persistent = {volume.name: volume for volume in volumes if volume is not None and volume.is_persistent}
        names = [
            (volume.claim,) if volume.claim else self.made_from(workload, name) for name, volume in persistent.items()
        ]
        return tuple(dict.fromkeys(chain.from_iterable(names)))

    def made_from(self, workload: Workload, template: str) -> tuple[str, ...]:
        """Returns names of the claims given that a StatefulSet made from a template."""
        made = self._numbered.get(_numbered(template, workload.object.name), {})
        return tuple(dict.fromkeys(claim.name for claim in within(made, workload.object.namespace)))

    @cached_property
    def _numbered(self) -> Mapping[str, Mapping[str, Sequence[K8sObject]]]:
        """Claims whose names end in a number, by their names with an N in its place, and by namespace."""
        numbered = (claim for claim in self.of(_PVC) if ORDINAL.search(claim.name))
        by_name = grouped((ORDINAL.sub("-N", claim.name), claim) for claim in numbered).items()
        return {name: grouped((claim.namespace, claim) for claim in claims) for name, claims in by_name}


def unique(objects: Iterable[K8sObject]) -> Sequence[K8sObject]:
    """Returns objects once each, by identity, in order."""
    return list({id(obj): obj for obj in objects}.values())


def _numbered(template: str, statefulset: str) -> str:
    """Returns the name of each claim that a StatefulSet makes: <template>-<statefulset>-<ordinal>."""
    return f"{template}-{statefulset}-N"
