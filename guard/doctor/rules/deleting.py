"""VG118 to VG120: jobs, hooks and scripts that delete what a claim holds, or the claim. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from guard.doctor.finding import Severity, Verdict, finding, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.lookup import configurations
from guard.doctor.objects.k8s_object import same_namespace
from guard.doctor.objects.names import word_set
from guard.doctor.objects.paths import below, covers
from guard.doctor.objects.workload import Container, Workload
from guard.doctor.rules.shell import emptied, mirrored
from guard.doctor.source.tree import text, texts

_JOBS = "concepts/workloads/controllers/cron-jobs/"


#: Words of a claim, or of a folder, whose content may go.
_SCRATCH = re.compile(
    r"(?:^|[/._-])\.?(?:te?mp|cache|scratch|logs?|locks?|build|dist|workspace|trash|old|dummy|lost\+found|node_modules|__pycache__|snapshots?)",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"[;&|\n]")
_PROGRAMS = frozenset({"kubectl", "oc", "helm"})
#: Kinds, as kubectl accepts them, with which a volume is lost.
_KINDS = word_set(
    "pvc persistentvolumeclaim persistentvolumeclaims pv persistentvolume persistentvolumes ns namespace namespaces"
)
#: Hooks that run when a release is uninstalled.
_UNINSTALL = frozenset({"pre-delete", "post-delete", "PostDelete"})
_PRINTS = frozenset({"echo", "printf"})
#: Characters of a script that are read: foreign text must not cost without end.
_LONGEST = 16_384
#: Characters of a command in a message.
_SHOWN = 80


@dataclass(frozen=True, eq=False)
class Script:
    """A script that runs in its own time, of a job or of a hook at the stop, and what a container mounts of claims."""

    container: Container
    when: str  # it runs
    text: str

    @property
    def workload(self) -> Workload:
        """Whose container runs it."""
        return self.container.workload

    @cached_property
    def deletes(self) -> set[str]:
        """The folders that it empties or removes whole."""
        return emptied(self.text, self.container.text("workingDir"), self.container.env)

    @property
    def is_start(self) -> bool:
        """Whether start-deletes-data is about it: it runs when an application starts."""
        return self.when.startswith("when it starts") and not self.workload.runs_to_end


@lru_cache(maxsize=4096)
def scripts(index: ObjectIndex, container: Container) -> tuple[Script, ...]:
    """Returns what a container runs: its words, with the scripts of given ConfigMaps that they name, and its hooks."""
    files = configurations(index, container)
    pieces = {piece.rpartition("/")[2] for word in container.words for piece in word.split()} - {""}
    named = [content for name, content in files.items() if name.partition(" of ConfigMap ")[0] in pieces]
    own = {"when it starts": "\n".join((" ".join(container.words), *named))}
    for hook, when in (("postStart", "when it starts (postStart)"), ("preStop", "when it stops (preStop)")):
        own[when] = " ".join(texts(container.body, "lifecycle", hook, "exec", "command"))
    return tuple(Script(container, when, script[:_LONGEST]) for when, script in own.items() if script.strip())


def _commands(index: ObjectIndex) -> Iterator[Script]:
    """Yields every script of what is not switched off."""
    workloads = (one for one in index.workloads if not one.is_suspended and one.replicas != 0)
    containers = (container for workload in workloads for container in workload.all_containers)
    return (script for container in containers for script in scripts(index, container))


@rule("VG118", Severity.ERROR, _JOBS)
def job_deletes_data(index: ObjectIndex) -> Iterator[Verdict]:
    """A job, or a hook that runs when the pod stops, deletes everything in the claim.

    Why: A CronJob does so at its hour, a preStop hook at each update and node drain: the volume looks reset, and
    nothing that is mounted is wrong.
    Fix: Delete only what is meant, by folder and age (find FOLDER -mtime +30 -delete), or remove the command.
    """
    for script in _commands(index):
        workload, container = script.workload, script.container
        kind, name = workload.author if workload.kind == "Pod" else (workload.kind, workload.name)
        is_restore = kind == "Job" and "restore" in name and not _hook(workload)  # somebody starts it by hand
        if script.is_start or (script.when.startswith("when it starts") and is_restore):
            continue  # start-deletes-data reports it, or it is meant
        yield from _deletes_elsewhere(index, script)
        moment, lost = "whenever it runs" if workload.runs_to_end else script.when, script.deletes
        for mount in container.claim_mounts:
            claim = mount.claim_name
            is_whole = any(covers(path, mount.path) for path in lost) and not mount.sub_path
            if is_whole and not _SCRATCH.search(claim):
                what = f"all of {mount.path} (claim {claim}) {moment}{_others(index, workload, claim)}"
                yield finding(f"container {container.name} deletes {what}", container)


def _deletes_elsewhere(index: ObjectIndex, script: Script) -> Iterator[Verdict]:
    """Yields what kubectl exec deletes in the pods of another workload."""
    for words in _calls(script.text):
        end = words.index("--") if "--" in words else len(words)
        lost = emptied(" ".join(words[end + 1 :]), "", {}) if "exec" in words[:end] else set()
        before = " ".join(words[:end])
        for other in index.workloads if lost else ():
            is_near = same_namespace(other.namespace, script.workload.namespace)
            for mount in other.claim_mounts if is_near and other.name in before else ():
                if any(covers(path, mount.path) for path in lost):
                    what = f"all of {mount.path} in the pods of {other} (kubectl exec)"
                    yield finding(f"container {script.container.name} deletes {what}", script.container)


def _hook(workload: Workload) -> str:
    return text(workload.annotations, "helm.sh/hook") or text(workload.annotations, "argocd.argoproj.io/hook")


def _others(index: ObjectIndex, workload: Workload, claim: str) -> str:
    """Returns who keeps data in the claim."""
    obj = index.claim(workload, claim)
    users = [user for user in index.workloads_with(obj) if user is not workload] if obj else []
    return f", where {users[0]} keeps its data" if users else ""


@rule("VG119", Severity.WARNING, "https://download.samba.org/pub/rsync/rsync.1#opt--delete")
def deletes_below_claim(index: ObjectIndex) -> Iterator[Verdict]:
    """A command deletes a folder of the claim whole, or makes it equal to another one.

    Why: rsync --delete, rclone sync and their like delete what the source lacks: a source that is empty or not mounted
    empties the volume. rm -rf of a folder deletes what came in since.
    Fix: Put `guard check` on the source before it, limit what can be deleted (rsync --max-delete), or leave the option
    out.
    """
    for script in _commands(index):
        container = script.container
        lost = sorted(script.deletes)
        copies = mirrored(script.text, container.text("workingDir"), container.env)
        for mount in container.claim_mounts:
            claim = mount.claim_name
            if _SCRATCH.search(claim):
                continue
            for path in lost:
                is_part = below(path, mount.path) or (path == mount.path and mount.sub_path and not script.is_start)
                if is_part and not _SCRATCH.search(path.removeprefix(mount.path)) and container.mount_at(path) == mount:
                    what = f"deletes {path} of claim {claim} {script.when}"
                    yield finding(f"container {container.name} {what}", container)
            for program, target in copies:
                if covers(mount.path, target) or covers(target, mount.path):
                    what = (
                        f"runs {program} into {target} (claim {claim}) {script.when}: what its source lacks is deleted"
                    )
                    yield finding(f"container {container.name} {what}", container)


@rule("VG120", Severity.ERROR, "concepts/storage/persistent-volumes/#reclaiming")
def job_deletes_claims(index: ObjectIndex) -> Iterator[Verdict]:
    """A container deletes claims, volumes or a namespace by kubectl or helm.

    Why: With reclaimPolicy Delete the disks go with them. A hook does so at each install, upgrade or uninstall, a
    CronJob at its hour.
    Fix: Remove the command. To start again, scale the workload to 0 and keep the claim.
    """
    for script in _commands(index):
        hook = _hook(script.workload)
        # Who uninstalls a release means it, though perhaps not the data: a warning.
        is_meant = bool(hook) and set(hook.replace(" ", "").split(",")) <= _UNINSTALL
        for command in _calls(script.text):
            if _deletes(*command):
                what = f"runs `{' '.join(command)[:_SHOWN]}`{f', as hook {hook}' if hook else ''}"
                yield finding(f"container {script.container.name} {what}", script.container, is_guess=is_meant)


def _calls(script: str) -> Iterator[list[str]]:
    """Yields the calls of kubectl, oc and helm in a script as words: not those that are only printed."""
    for piece in _SEPARATOR.split(script):
        words = piece.replace('"', " ").replace("'", " ").replace("(", " ").split()
        names = [word.rpartition("/")[2] for word in words]
        start = next((number for number, name in enumerate(names) if name in _PROGRAMS), -1)
        if start >= 0 and _PRINTS.isdisjoint(names[:start]):
            yield [names[start], *words[start + 1 :]]


def _deletes(program: str, *words: str) -> bool:
    if any(word.startswith("--dry-run") for word in words):
        return False
    if program == "helm":
        return bool({"uninstall", "delete"} & set(words[:2]))
    targets = words[words.index("delete") + 1 :] if "delete" in words else ()
    return any(kind.lower() in _KINDS for word in targets for kind in word.partition("/")[0].split(","))
