"""VG601 to VG604: is there a backup, is it gated, can it reach the disk, does it run. Pure."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from guard.doctor.finding import Severity, Unknown, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.guard_container import Part
from guard.doctor.objects.k8s_object import K8sObject, same_namespace
from guard.doctor.objects.paths import clean_path, covers
from guard.doctor.objects.workload import Container, Workload
from guard.doctor.rules.placement import follows_another_pod, is_bound_to_one_node
from guard.doctor.source.tree import Path

#: Programs that copy data away.
_ENGINE = re.compile(
    r"\b(?:restic|kopia|borg|borgmatic|duplicity|velero|rclone|rsync|tar|zip|gsutil|gcloud storage|aws s3|mc mirror|az storage|pg_dump|backup)\b"
)
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
#: With these the pod can run elsewhere, or not beside another at all.
_SHARED_MODES = frozenset({"ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod"})
#: Commands whose last place is the one that they write to, and what separates commands.
_COPY = re.compile(r"(?:\S*/)?(?:(?:rsync|rclone|aws|gsutil|mc|cp)\b|tar -?[a-zA-Z]*x)")
_COMMANDS = re.compile(r"[;&|\n]+")
#: Characters of a script that are read.
_SCRIPT = 16_384


def backups_of(index: ObjectIndex, claim: K8sObject) -> list[K8sObject]:
    """Returns what backs up a claim: jobs that mount it and copy, snapshots, replications, schedules of backup tools."""
    ones = (
        obj
        for kind, (group, way) in _OF_ONE_CLAIM.items()
        for obj in index.of(kind)
        if obj.group == group and obj.text(*way) == claim.name and same_namespace(obj.namespace, claim.namespace)
    )
    many = (obj for obj in index.of(*_OF_MANY) if _includes(obj, claim))
    return [*_jobs(index, claim), *ones, *many]


def _jobs(index: ObjectIndex, claim: K8sObject) -> list[Workload]:
    jobs = (user for user in index.workloads_with(claim) if user.kind in {"CronJob", "Job"})
    copies = (job for job in jobs if "backup" in job.name or any(map(_runs_engine, job.all_containers)))
    return [job for job in copies if not any(_fills(container, claim) for container in job.all_containers)]


def _runs_engine(container: Container) -> bool:
    is_guard_alone = container.part is not None and "--" not in container.words
    return not is_guard_alone and bool(_ENGINE.search(" ".join((container.image, *container.words))))


@rule("VG601", Severity.WARNING, "concepts/storage/volume-snapshots/")
def backup_absent(index: ObjectIndex) -> Iterator[Verdict]:
    """Nothing that was given backs up the claim.

    Why: What is deleted in the volume, or with it, is then gone for good.
    Fix: Add a backup that a guard gates (guard check, then restic), or VolumeSnapshots with deletionPolicy Retain.
    """
    for claim in index.claims_to_keep:
        if backups_of(index, claim) or (not claim.is_live and index.counterpart(claim)):
            continue
        seen = [obj.name for obj in index.live("CronJob") if obj.namespace == claim.namespace]
        if seen and claim.is_live:
            names = ", ".join(seen[:3])
            message = f"no CronJob of the namespace ({names}), no snapshot and no backup schedule given uses this claim"
            yield finding(message, claim)
        else:
            command = f"kubectl get cronjob,volumesnapshot -n {claim.kubectl_namespace} -o yaml"
            yield Unknown(f"no backup of claim {claim.name} given", command)


def _guarded_jobs(index: ObjectIndex) -> Iterator[tuple[Workload, K8sObject]]:
    return ((job, claim) for claim in index.claims_to_keep for job in _jobs(index, claim))


@rule("VG602", Severity.WARNING, "concepts/workloads/pods/init-containers/")
def backup_ungated(index: ObjectIndex) -> Iterator[Verdict]:
    """The backup archives whatever is at the path, also an empty folder.

    Why: An archive of the empty or wrong volume succeeds, and retention then pushes the good ones out: the wipe reaches
    the backups.
    Fix: Put `guard check` as the first init container of the backup pod: it then fails instead of archiving a wiped
    volume.
    """
    for job, claim in _guarded_jobs(index):
        if problem := _what_lets_pass(job, claim):
            yield finding(problem, job, *job.pod_at)


def _what_lets_pass(job: Workload, claim: K8sObject) -> str:
    """Returns why no gate holds the backup of a claim back; empty if one does."""
    before: list[Container] = []
    for container in job.all_containers:
        before.append(container)
        uses = any(mount.volume and mount.volume.claim == claim.name for mount in container.mounts)
        if uses and _runs_engine(container):
            break
    gates = [gate for gate in before if gate.part is Part.GATE and gate.gates_pod]
    looking = [gate for gate in gates if _looks_at(gate, claim)]
    if not gates:
        return f"archives claim {claim.name} without `guard check` before it"
    if not looking:
        return f"archives claim {claim.name}, and gate {gates[0].name} does not look at it"
    if not any(gate.enforces for gate in looking):
        return f"archives claim {claim.name} whatever gate {looking[0].name} finds: it has GUARD_ENFORCE=false"
    return ""


def _looks_at(gate: Container, claim: K8sObject) -> bool:
    """Whether a gate looks at a claim; if its path is set by reference, whether it can."""
    path = gate.guarded_path
    volumes = [gate.volume_at(path)] if path else [mount.volume for mount in gate.mounts]
    return any(volume is not None and volume.claim == claim.name for volume in volumes)


@rule("VG603", Severity.WARNING, "concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity")
def backup_cannot_reach_disk(index: ObjectIndex) -> Iterator[Verdict]:
    """The backup pod may be placed on another node than the disk.

    Why: A ReadWriteOnce volume is attached to one node. The scheduler does not look at that: on another node the pod
    waits in ContainerCreating with a Multi-Attach error, and no backup is made.
    Fix: Add a required podAffinity to the application's pods with topologyKey kubernetes.io/hostname.
    """
    for job, claim in _guarded_jobs(index):
        is_one_disk = claim.access_modes and not claim.access_modes & _SHARED_MODES
        if is_one_disk and not is_bound_to_one_node(job) and not follows_another_pod(job):
            message = f"claim {claim.name} is ReadWriteOnce, and nothing brings this pod to its node"
            yield finding(message, job, *job.pod_at)


@rule("VG604", Severity.WARNING, "concepts/workloads/controllers/cron-jobs/#schedule-suspension")
def backup_suspended(index: ObjectIndex) -> Iterator[Verdict]:
    """The backup is switched off.

    Why: A CronJob with suspend: true starts no pod, and nothing reports that.
    Fix: Set suspend to false, or remove the CronJob so that its absence shows.
    """
    for job, claim in _guarded_jobs(index):
        if job.is_suspended:
            yield finding(f"spec.suspend is true: claim {claim.name} is not backed up", job, "spec", "suspend")


def _includes(obj: K8sObject, claim: K8sObject) -> bool:
    """Whether a schedule backs up a claim's namespace; Velero's names those that it includes, k8up's includes its own."""
    if obj.group not in _OF_MANY[obj.kind] or obj.get("spec", "paused") is True:
        return False
    if obj.group == "k8up.io":
        return same_namespace(obj.namespace, claim.namespace)
    included, excluded = (obj.texts("spec", "template", f"{word}Namespaces") for word in ("included", "excluded"))
    return not claim.namespace or (
        any(fnmatchcase(claim.namespace, pattern) for pattern in included or ("*",))
        and not any(fnmatchcase(claim.namespace, pattern) for pattern in excluded)
    )


def _fills(container: Container, claim: K8sObject) -> bool:
    """Whether a container copies or unpacks into a claim what is elsewhere: a seed, a restore."""
    paths = [mount.path for mount in container.claim_mounts if mount.claim_name == claim.name]
    is_shell = bool(container.words) and container.words[0].endswith("sh")
    script = container.words[-1] if is_shell else " ".join(container.words)
    for words in map(str.split, _COMMANDS.split(script[:_SCRIPT])):
        places = [clean_path(word.strip("\"'")) for word in words[1:] if "/" in word or ":" in word]
        inside = [any(covers(path, place) for path in paths) for place in places]
        if _COPY.match(" ".join(words[:2])) and inside[-1:] == [True] and not any(inside[:-1]):
            return True
    return False
