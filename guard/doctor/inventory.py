"""Everything that was given, indexed for the rules: which object is which, who uses what, which claim is meant for whom. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from guard.doctor.evidence import Evidence, points_at
from guard.doctor.guards import guarded_path, is_application, knows_the_guard
from guard.doctor.kube import (
    ORDINAL,
    POD_PATHS,
    Container,
    Kube,
    Side,
    Workload,
    covers,
    foreign_workload,
    same_namespace,
    workload,
)
from guard.doctor.text_parts import Duplicate

#: Kinds whose pods serve; what runs to an end (Job, CronJob) is never the guarded application.
SERVING = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Pod"})


#: Kinds that some rule reads; of all others only the text is checked.
READ = frozenset({
    *POD_PATHS, "PersistentVolumeClaim", "PersistentVolume", "StorageClass", "Node", "Event", "HorizontalPodAutoscaler",
    "ConfigMap", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "VolumeSnapshot", "ReplicationSource", "Schedule",
    "BackupPlan", "RecurringJob", "Application", "Namespace",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """What an event about an object said."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """Two equal keys, and the object in which they stand (None where the document is no object)."""

    duplicate: Duplicate
    source: str
    kube: Kube | None


@dataclass(frozen=True, slots=True)
class Broken:
    """A text, or a part of one, that could not be read."""

    source: str
    line: int | None
    reason: str


@dataclass(frozen=True)
class Inventory:
    """All that was read, and what is asked.

    Attributes:
        objects: Every object, in the order given.
        path: The guarded path.
        repeated: Equal keys.
        broken: What could not be read.
    """

    objects: tuple[Kube, ...]
    path: str
    repeated: tuple[Repeated, ...] = ()
    broken: tuple[Broken, ...] = ()

    @cached_property
    def by_kind(self) -> Mapping[str, tuple[Kube, ...]]:
        """Objects of each kind."""
        found: dict[str, list[Kube]] = defaultdict(list)
        for kube in self.objects:
            found[kube.kind].append(kube)
        return {kind: tuple(kubes) for kind, kubes in found.items()}

    @cached_property
    def unread(self) -> tuple[str, ...]:
        """Kinds that no rule reads, each once with its first place, as sentences."""
        kinds = ((kind, kubes) for kind, kubes in self.by_kind.items() if kind not in READ)
        return tuple(
            f"{kind}: no rule reads this kind ({kubes[0].place()}"
            + (f" and {len(kubes) - 1} more)" if kubes[1:] else ")")
            for kind, kubes in kinds
        )

    def of(self, *kinds: str) -> Iterator[Kube]:
        """Objects of the kinds."""
        for kind in kinds:
            yield from self.by_kind.get(kind, ())

    def live(self, kind: str) -> tuple[Kube, ...]:
        """Objects of a kind that the cluster has."""
        return tuple(kube for kube in self.of(kind) if kube.side is Side.LIVE)

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str], tuple[Kube, ...]]:
        found: dict[tuple[str, str], list[Kube]] = defaultdict(list)
        for kube in self.objects:
            found[kube.kind, kube.name].append(kube)
        return {key: tuple(kubes) for key, kubes in found.items()}

    def named(self, kind: str, namespace: str, name: str) -> tuple[Kube, ...]:
        """Objects of that name on both sides; an object without a namespace may be in any."""
        found = self._by_name.get((kind, name), ())
        return tuple(kube for kube in found if same_namespace(kube.namespace, namespace))

    def every(self, kind: str, name: str) -> tuple[Kube, ...]:
        """Objects of that name in any namespace."""
        return self._by_name.get((kind, name), ())

    def find(self, kind: str, namespace: str, name: str, side: Side) -> Kube | None:
        """The object of that name, of `side` first; of the other side where that has none."""
        found = sorted(self.named(kind, namespace, name), key=lambda kube: kube.side is not side)
        return found[0] if found else None

    def counterpart(self, kube: Kube) -> Kube | None:
        """The same object on the other side."""
        return next(
            (other for other in self.named(kube.kind, kube.namespace, kube.name) if other.side is not kube.side), None
        )

    def other_side(self, found: Workload) -> Workload | None:
        """The same workload on the other side."""
        kube = self.counterpart(found.kube)
        return self._runner_of.get(id(kube)) if kube else None

    @cached_property
    def _runner_of(self) -> Mapping[int, Workload]:
        return {id(found.kube): found for found in self._runners}

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """Everything that runs pods by its own right: what a controller made (a Deployment's pods) is left out."""
        return tuple(found for found in self._runners if not self._is_made(found.kube) and not found.is_past)

    def _is_made(self, kube: Kube) -> bool:
        """Whether a controller that was given as well made it, and is judged in its place: an operator's object is not."""
        made_by = [kube.controller, kube.deployment]
        return any(kind in POD_PATHS and name and self.named(kind, kube.namespace, name) for kind, name in made_by)

    @cached_property
    def _runners(self) -> tuple[Workload, ...]:
        return tuple(found for found in map(workload, self.objects) if found is not None)

    @cached_property
    def _foreign(self) -> tuple[Workload, ...]:
        """What runs pods and is not judged; where what it made was given, that is judged in its place."""
        makers = {(found.kube.namespace, *found.kube.controller) for found in self._runners}
        others = (kube for kube in self.objects if (kube.namespace, kube.kind, kube.name) not in makers)
        return tuple(found for found in map(foreign_workload, others) if found is not None)

    @cached_property
    def _pods(self) -> Mapping[tuple[str, str], tuple[Workload, ...]]:
        """Pods with a controller, by the kind and name of the workload that stands behind them."""
        found: dict[tuple[str, str], list[Workload]] = defaultdict(list)
        for pod in self._runners:
            if pod.kube.kind != "Pod" or pod.is_past:
                continue
            kind, name = pod.kube.author
            if kind:
                found[kind, name].append(pod)
        return {key: tuple(pods) for key, pods in found.items()}

    def pods_of(self, owner: Workload) -> tuple[Workload, ...]:
        """The pods given that belong to a workload and have not ended."""
        pods = self._pods.get((owner.kube.kind, owner.kube.name), ())
        return tuple(pod for pod in pods if same_namespace(pod.kube.namespace, owner.kube.namespace))

    @cached_property
    def users(self) -> Mapping[str, tuple[Workload, ...]]:
        """Workloads, and pods of any kind, by the name of the claims that they use; what has ended uses none."""
        found: dict[str, list[Workload]] = defaultdict(list)
        for runner in (*self._runners, *self._foreign):
            if runner.is_past:
                continue
            for claim in runner.claims:
                found[claim].append(runner)
            for template in runner.claim_templates:
                found[_numbered(template, runner.kube.name)].append(runner)
        return {claim: tuple(runners) for claim, runners in found.items()}

    def users_of(self, claim: Kube) -> tuple[Workload, ...]:
        """What uses a claim. The cluster's claim is used by what runs there, where that was given: not by a file."""
        users = self._all_users_of(claim)
        if claim.side is Side.LIVE and claim.namespace in self._live_namespaces:
            return tuple(user for user in users if user.kube.side is Side.LIVE)
        return users

    @cached_property
    def _live_namespaces(self) -> frozenset[str]:
        runners = (*self._runners, *self._foreign)
        return frozenset(found.kube.namespace for found in runners if found.kube.side is Side.LIVE)

    def _all_users_of(self, claim: Kube) -> tuple[Workload, ...]:
        numbered = ORDINAL.sub("-N", claim.name)
        users = (*self.users.get(claim.name, ()), *(self.users.get(numbered, ()) if numbered != claim.name else ()))
        return tuple(user for user in users if same_namespace(user.kube.namespace, claim.namespace))

    @cached_property
    def claims_in(self) -> Mapping[str, tuple[Kube, ...]]:
        """Claims by namespace."""
        return _by_namespace(self.of("PersistentVolumeClaim"))

    @cached_property
    def unused_in(self) -> Mapping[str, tuple[Kube, ...]]:
        """Unused claims by namespace."""
        return _by_namespace(self.unused_claims)

    @cached_property
    def workloads_in(self) -> Mapping[str, tuple[Kube, ...]]:
        """Objects that run pods by their own right, by namespace."""
        return _by_namespace(found.kube for found in self.workloads)

    @cached_property
    def unused_claims(self) -> tuple[Kube, ...]:
        """Claims that no workload and no pod given uses."""
        return tuple(claim for claim in self._own_claims if not self.users_of(claim))

    @cached_property
    def _own_claims(self) -> tuple[Kube, ...]:
        """Claims but those that the cluster made for one pod (ephemeral volumes): they come and go with it."""
        return tuple(claim for claim in self.of("PersistentVolumeClaim") if claim.controller[0] != "Pod")

    def workloads_with(self, claim: Kube) -> tuple[Workload, ...]:
        """What uses a claim by its own right, on the claim's own side, or on the other where its side has none."""
        users = [user for user in self._all_users_of(claim) if not self._is_made(user.kube)]
        return tuple(user for user in users if user.kube.side is claim.side) or tuple(users)

    def claim(self, user: Workload, name: str) -> Kube | None:
        """The claim that a workload names."""
        return self.find("PersistentVolumeClaim", user.kube.namespace, name, user.kube.side)

    @cached_property
    def claimants(self) -> tuple[tuple[Workload, Kube], ...]:
        """Every workload with every claim that it uses and that was given."""
        pairs = ((user, self.claim(user, name)) for user in self.workloads for name in dict.fromkeys(user.claims))
        return tuple((user, claim) for user, claim in pairs if claim is not None)

    @property
    def guarded(self) -> tuple[Workload, ...]:
        """The workloads whose application keeps its data at the path."""
        return self._evidence.guarded

    @cached_property
    def assumed(self) -> bool:
        """Whether nothing in the guarded workloads shows the path: they are meant by their names, or by being alone."""
        return bool(self.guarded) and not self._evidence.shown

    @cached_property
    def _evidence(self) -> Evidence:
        serving = tuple(found for found in self.workloads if found.kube.kind in SERVING and not found.runs_to_end)
        # A finished job still bears its name: a claim that is named after it is no other workload's.
        ends = tuple(found for found in self._runners if found.runs_to_end and not self._is_made(found.kube))
        return Evidence(
            path=self.path,
            serving=tuple(found for found in serving if applications(found)),
            others=(*ends, *(found for found in serving if not applications(found)), *self._foreign),
            claims=tuple(claim for claim in self._own_claims if all(user.runs_to_end for user in self.users_of(claim))),
        )

    def path_of(self, found: Workload) -> str:
        """The guarded path of one workload: its gate's own where the application mounts nothing at the one asked for."""
        if any(covers(mount.path, self.path) for app in applications(found) for mount in app.mounts):
            return self.path
        gate = next(filter(knows_the_guard, found.pod.all_containers), None)
        return (guarded_path(gate) or self.path) if gate else self.path

    @cached_property
    def guarded_claims(self) -> tuple[tuple[Workload, Kube], ...]:
        """The guarded workloads with the claims that are meant at the path, where both were given."""
        found = ((user, self.claim(user, name)) for user in self.guarded for name in self.claims_meant(user))
        return tuple((user, claim) for user, claim in found if claim is not None)

    def claims_meant(self, found: Workload) -> tuple[str, ...]:
        """Names of the claims that hold a workload's data, or should: those in force at the path come first.

        Where none is: those in force on the other side, the unused one that bears its name, its only one, or the only
        one of the namespace that nobody uses.
        """
        path = self.path_of(found)
        for side in (found, self.other_side(found)):
            in_force = self._in_force(side, path) if side else ()
            if in_force:
                return in_force
        named = self._evidence.claim_named_after(found)
        if named:
            return (named,)
        unused = {claim.name for claim in self.unused_in.get(found.kube.namespace, ())}
        names = {*unused, *found.claims, *found.claim_templates}
        if len(names) != 1:
            return ()
        return self.made_from(found, names.pop()) if found.claim_templates else tuple(names)

    def _in_force(self, found: Workload, path: str) -> tuple[str, ...]:
        """Names of the claims in force at the path, those that a StatefulSet made from a template among them."""
        volumes = (found.pod.volume_at(box, path) for box in application(found, path))
        lasting = {volume.name: volume for volume in volumes if volume is not None and volume.lasts}
        names = [(volume.claim,) if volume.claim else self.made_from(found, name) for name, volume in lasting.items()]
        return tuple(dict.fromkeys(name for made in names for name in made))

    def made_from(self, found: Workload, template: str) -> tuple[str, ...]:
        """Names of the claims given that a StatefulSet made from a template."""
        made = self._numbered.get(_numbered(template, found.kube.name), ())
        return tuple(
            dict.fromkeys(claim.name for claim in made if same_namespace(claim.namespace, found.kube.namespace))
        )

    @cached_property
    def _numbered(self) -> Mapping[str, tuple[Kube, ...]]:
        """Claims whose names end in a number, by their names with an N in its place."""
        found: dict[str, list[Kube]] = defaultdict(list)
        for claim in self.of("PersistentVolumeClaim"):
            if ORDINAL.search(claim.name):
                found[ORDINAL.sub("-N", claim.name)].append(claim)
        return {name: tuple(claims) for name, claims in found.items()}

    def events_about(self, kind: str, namespace: str, name: str) -> tuple[Said, ...]:
        """What the given events say about an object, in the order given."""
        return self._events.get((kind, namespace, name), ())

    @cached_property
    def _events(self) -> Mapping[tuple[str, str, str], tuple[Said, ...]]:
        found: dict[tuple[str, str, str], list[Said]] = defaultdict(list)
        for event in self.of("Event"):
            field = "involvedObject" if event.get("involvedObject") else "regarding"  # v1, events.k8s.io/v1
            key = event.text(field, "kind"), event.text(field, "namespace"), event.text(field, "name")
            found[key].append(Said(event.text("reason"), event.text("message") or event.text("note")))
        return {key: tuple(said) for key, said in found.items()}


def applications(found: Workload) -> tuple[Container, ...]:
    """The containers in which the application may run."""
    return tuple(container for container in found.pod.containers if is_application(container))


def application(found: Workload, path: str) -> tuple[Container, ...]:
    """The containers that have to do with the path: they show it, or else mount a claim above it; all where none does."""
    candidates = applications(found)
    lasting = ((box, found.pod.volume_at(box, path)) for box in candidates)
    return (
        tuple(box for box in candidates if points_at(box, path))
        or tuple(box for box, volume in lasting if volume is not None and volume.lasts)
        or candidates
    )


def unique(kubes: Iterable[Kube]) -> Sequence[Kube]:
    """Objects once each, by identity, in order."""
    return list({id(kube): kube for kube in kubes}.values())


def _numbered(template: str, statefulset: str) -> str:
    """The name of each claim that a StatefulSet makes: <template>-<statefulset>-<ordinal>."""
    return f"{template}-{statefulset}-N"


def _by_namespace(kubes: Iterable[Kube]) -> Mapping[str, tuple[Kube, ...]]:
    found: dict[str, list[Kube]] = defaultdict(list)
    for kube in kubes:
        found[kube.namespace].append(kube)
    return {namespace: tuple(members) for namespace, members in found.items()}
