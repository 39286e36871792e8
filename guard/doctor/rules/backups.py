"""VG601 to VG604: is there a backup, is it gated, can it reach the disk, does it run. Pure."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from guard.doctor.finding import Finding, Rule, Severity, Unknown, Verdict
from guard.doctor.index import ObjectIndex, unique
from guard.doctor.objects.guard_containers import Part, enforces, guarded_path, part, wraps_application
from guard.doctor.objects.k8s_object import K8sObject, same_namespace
from guard.doctor.objects.workload import Container, Workload, clean_path, covers
from guard.doctor.rules.placement import HOSTNAME, is_bound_to_one_node
from guard.doctor.source.document import Side
from guard.doctor.source.tree import Path, mappings, text, texts

_PVC = "PersistentVolumeClaim"

ABSENT = Rule(
    "VG601", "backup-absent", Severity.WARNING,
    "Nothing that was given backs up the claim.",
    "What is deleted in the volume, or with it, is then gone for good.",
    "Add a backup that a guard gates (guard check, then restic), or VolumeSnapshots with deletionPolicy Retain.",
    "https://kubernetes.io/docs/concepts/storage/volume-snapshots/",
)  # fmt: skip
UNGATED = Rule(
    "VG602", "backup-ungated", Severity.WARNING,
    "The backup archives whatever is at the path, also an empty folder.",
    "An archive of the empty or wrong volume succeeds, and retention then pushes the good ones out: the wipe reaches the backups.",
    "Put `guard check` as the first init container of the backup pod: it then fails instead of archiving a wiped volume.",
    "https://kubernetes.io/docs/concepts/workloads/pods/init-containers/",
)  # fmt: skip
OUT_OF_REACH = Rule(
    "VG603", "backup-cannot-reach-disk", Severity.WARNING,
    "The backup pod may be placed on another node than the disk.",
    "A ReadWriteOnce volume is attached to one node. The scheduler does not look at that: on another node the pod waits in "
    "ContainerCreating with a Multi-Attach error, and no backup is made.",
    "Add a required podAffinity to the application's pods with topologyKey kubernetes.io/hostname.",
    "https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity",
)  # fmt: skip
SUSPENDED = Rule(
    "VG604", "backup-suspended", Severity.WARNING,
    "The backup is switched off.",
    "A CronJob with suspend: true starts no pod, and nothing reports that.",
    "Set suspend to false, or remove the CronJob so that its absence shows.",
    "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-suspension",
)  # fmt: skip

#: Programs that copy data away.
_ENGINE = re.compile(
    r"\b(?:restic|kopia|borg|borgmatic|duplicity|velero|rclone|rsync|tar|zip|gsutil|gcloud storage|aws s3|mc mirror|az storage|pg_dump|backup)\b"
)
#: Commands whose last place is the one that they write to, and what separates commands.
_COPY = re.compile(r"(?:\S*/)?(?:(?:rsync|rclone|aws|gsutil|mc|cp)\b|tar -?[a-zA-Z]*x)")
_COMMANDS = re.compile(r"[;&|\n]+")
#: Characters of a script that are read.
_SCRIPT = 16_384
#: Kinds that back up one claim, with their API group and where they name it.
_OF_ONE_CLAIM: Mapping[str, tuple[str, Path]] = {
    "VolumeSnapshot": ("snapshot.storage.k8s.io", ("spec", "source", "persistentVolumeClaimName")),
    "ReplicationSource": ("volsync.backube", ("spec", "sourcePVC")),
}
#: Kinds that back up more, with the API groups in which they mean that: others have schedules for something else.
_OF_MANY: Mapping[str, frozenset[str]] = {
    "Schedule": frozenset({"velero.io", "k8up.io"}),
    "BackupPlan": frozenset({"gkebackup.cnrm.cloud.google.com", "triliovault.trilio.io"}),
    "RecurringJob": frozenset({"longhorn.io"}),
}


def backups_of(index: ObjectIndex, claim: K8sObject) -> list[K8sObject]:
    """What backs up a claim: jobs that mount it and copy, snapshots, replications, schedules of backup tools."""
    jobs = [job.object for job in _jobs(index, claim)]
    ones = [obj for obj in index.of(*_OF_ONE_CLAIM) if _is_of(obj, claim)]
    many = [obj for obj in index.of(*_OF_MANY) if _holds(obj, claim)]
    return [*jobs, *ones, *many]


def _group(obj: K8sObject) -> str:
    return obj.text("apiVersion").partition("/")[0]


def _is_of(obj: K8sObject, claim: K8sObject) -> bool:
    group, way = _OF_ONE_CLAIM[obj.kind]
    is_named = obj.text(*way) == claim.name and same_namespace(obj.namespace, claim.namespace)
    return _group(obj) == group and is_named


def _holds(obj: K8sObject, claim: K8sObject) -> bool:
    """Whether a schedule backs up a claim's namespace; Velero's says which it takes, k8up's takes its own."""
    if _group(obj) not in _OF_MANY[obj.kind] or obj.get("spec", "paused") is True:
        return False
    if _group(obj) == "k8up.io":
        return same_namespace(obj.namespace, claim.namespace)
    taken, left_out = (texts(obj.body, "spec", "template", f"{word}Namespaces") for word in ("included", "excluded"))
    return not claim.namespace or (
        any(fnmatchcase(claim.namespace, pattern) for pattern in taken or ("*",))
        and not any(fnmatchcase(claim.namespace, pattern) for pattern in left_out)
    )


def _jobs(index: ObjectIndex, claim: K8sObject) -> list[Workload]:
    users = [user for user in index.workloads_with(claim) if user.object.kind in {"CronJob", "Job"}]
    return [user for user in users if _copies(user) and not _brings(user, claim)]


def _copies(job: Workload) -> bool:
    return any(map(_runs_engine, job.pod.all_containers)) or "backup" in job.object.name


def _brings(job: Workload, claim: K8sObject) -> bool:
    """Whether a job copies or unpacks into a claim what is elsewhere: a seed, a restore."""
    for container in job.pod.all_containers:
        volumes = [job.pod.volumes.get(mount.volume) for mount in container.mounts]
        paths = [
            mount.path for mount, one in zip(container.mounts, volumes, strict=True) if one and one.claim == claim.name
        ]
        is_shell = bool(container.words) and container.words[0].endswith("sh")
        script = container.words[-1] if is_shell else " ".join(container.words)
        for words in map(str.split, _COMMANDS.split(script[:_SCRIPT])):
            places = [clean_path(word.strip("\"'")) for word in words[1:] if "/" in word or ":" in word]
            inside = [any(covers(path, place) for path in paths) for place in places]
            if _COPY.match(" ".join(words[:2])) and inside[-1:] == [True] and not any(inside[:-1]):
                return True
    return False


def _runs_engine(container: Container) -> bool:
    is_guard_alone = part(container) is not None and "--" not in container.words
    return not is_guard_alone and bool(_ENGINE.search(" ".join((container.image, *container.words))))


def _absent(index: ObjectIndex) -> Iterator[Verdict]:
    for claim in unique(claim for _, claim in index.guarded_claims):
        if backups_of(index, claim) or (claim.side is Side.FILE and index.counterpart(claim)):
            continue
        seen = [obj for obj in index.live("CronJob") if obj.namespace == claim.namespace]
        if seen and claim.side is Side.LIVE:
            names = ", ".join(obj.name for obj in seen[:3])
            yield Finding(
                f"no CronJob of the namespace ({names}), no snapshot and no backup schedule given uses this claim",
                claim.place(),
                claim,
            )
        else:
            yield Unknown(
                f"no backup of claim {claim.name} given",
                f"kubectl get cronjob,volumesnapshot -n {claim.namespace or 'NAMESPACE'} -o yaml",
            )


def _guarded_jobs(index: ObjectIndex) -> Iterator[tuple[Workload, K8sObject]]:
    for claim in unique(claim for _, claim in index.guarded_claims):
        for job in _jobs(index, claim):
            yield job, claim


def _ungated(index: ObjectIndex) -> Iterator[Verdict]:
    for job, claim in _guarded_jobs(index):
        problem = _what_lets_pass(job, claim)
        if problem:
            yield Finding(problem, job.object.place(*job.pod.at), job.object)


def _what_lets_pass(job: Workload, claim: K8sObject) -> str:
    """Why no gate holds the backup of a claim back; empty where one does."""
    containers = job.pod.all_containers
    first = next(
        (number for number, container in enumerate(containers) if _archives(job, container, claim)), len(containers)
    )
    gates = [
        container for container in containers[: first + 1]
        if part(container) is Part.GATE and (wraps_application(container) or (container in job.pod.inits and not container.sidecar))
    ]  # fmt: skip
    looking = [gate for gate in gates if _looks_at(job, gate, claim)]
    if not gates:
        return f"archives claim {claim.name} without `guard check` before it"
    if not looking:
        return f"archives claim {claim.name}, and gate {gates[0].name} does not look at it"
    if not any(map(enforces, looking)):
        return f"archives claim {claim.name} whatever gate {looking[0].name} finds: it has GUARD_ENFORCE=false"
    return ""


def _archives(job: Workload, container: Container, claim: K8sObject) -> bool:
    volumes = [job.pod.volumes[mount.volume] for mount in job.pod.claim_mounts(container)]
    return _runs_engine(container) and any(volume.claim == claim.name for volume in volumes)


def _looks_at(job: Workload, gate: Container, claim: K8sObject) -> bool:
    """Whether a gate looks at a claim; where its path is set by reference, whether it can."""
    path = guarded_path(gate)
    volumes = [job.pod.volume_at(gate, path)] if path else [job.pod.volumes.get(mount.volume) for mount in gate.mounts]
    return any(volume is not None and volume.claim == claim.name for volume in volumes)


def _out_of_reach(index: ObjectIndex) -> Iterator[Verdict]:
    for job, claim in _guarded_jobs(index):
        modes = texts(claim.body, "spec", "accessModes")
        if (
            modes
            and not {"ReadWriteMany", "ReadOnlyMany"} & set(modes)
            and "ReadWriteOncePod" not in modes
            and not _follows(job)
        ):
            yield Finding(
                f"claim {claim.name} is ReadWriteOnce, and nothing brings this pod to its node",
                job.object.place(*job.pod.at),
                job.object,
            )


def _follows(job: Workload) -> bool:
    """Whether the pod is bound to a node, or must run where another pod runs."""
    terms = mappings(job.pod.body, "affinity", "podAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    return is_bound_to_one_node(job) or any(text(term, "topologyKey") == HOSTNAME for _, term in terms)


def _suspended(index: ObjectIndex) -> Iterator[Verdict]:
    for job, claim in _guarded_jobs(index):
        if job.object.get("spec", "suspend") is True:
            yield Finding(
                f"spec.suspend is true: claim {claim.name} is not backed up",
                job.object.place("spec", "suspend"),
                job.object,
            )


CHECKS = (
    (ABSENT, _absent),
    (UNGATED, _ungated),
    (OUT_OF_REACH, _out_of_reach),
    (SUSPENDED, _suspended),
)
