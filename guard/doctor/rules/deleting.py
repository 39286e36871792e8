"""VG118 to VG120: jobs, hooks and scripts that delete what a claim holds, or the claim. Pure."""

import re
from collections.abc import Iterator, Mapping

from guard.doctor.configuration import configurations
from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.objects.guard_containers import applications
from guard.doctor.objects.k8s_object import same_namespace
from guard.doctor.objects.workload import Container, Mount, Workload, below, covers
from guard.doctor.rules.shell import emptied, mirrored
from guard.doctor.source.tree import text, texts

_JOBS = "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/"

DELETES_ALL = Rule(
    "VG118", "job-deletes-data", Severity.ERROR,
    "A job, or a hook that runs when the pod stops, deletes everything in the claim.",
    "A CronJob does so at its hour, a preStop hook at each update and node drain: the volume looks reset, and nothing that is "
    "mounted is wrong.",
    "Delete only what is meant, by folder and age (find FOLDER -mtime +30 -delete), or remove the command.",
    _JOBS,
)  # fmt: skip
DELETES_PART = Rule(
    "VG119", "deletes-below-claim", Severity.WARNING,
    "A command deletes a folder of the claim whole, or makes it equal to another one.",
    "rsync --delete, rclone sync and their like delete what the source lacks: a source that is empty or not mounted empties "
    "the volume. rm -rf of a folder deletes what came in since.",
    "Put `guard check` on the source before it, limit what can be deleted (rsync --max-delete), or leave the option out.",
    "https://download.samba.org/pub/rsync/rsync.1#opt--delete",
)  # fmt: skip
DELETES_CLAIMS = Rule(
    "VG120", "job-deletes-claims", Severity.ERROR,
    "A container deletes claims, volumes or a namespace by kubectl or helm.",
    "With reclaimPolicy Delete the disks go with them. A hook does so at each install, upgrade or uninstall, a CronJob at its hour.",
    "Remove the command. To start again, scale the workload to 0 and keep the claim.",
    "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming",
)  # fmt: skip

#: Words of a claim, or of a folder, whose content may go.
_SCRATCH = re.compile(
    r"(?:^|[/._-])\.?(?:te?mp|cache|scratch|logs?|locks?|build|dist|workspace|trash|old|dummy|lost\+found|node_modules|__pycache__|snapshots?)",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"[;&|\n]")
_PROGRAMS = frozenset({"kubectl", "oc", "helm"})
#: Kinds, as kubectl takes them, with which a volume goes.
_KINDS = frozenset({
    "pvc", "persistentvolumeclaim", "persistentvolumeclaims", "pv", "persistentvolume", "persistentvolumes", "ns", "namespace",
    "namespaces",
})  # fmt: skip
#: Hooks that run when a release is uninstalled.
_UNINSTALL = frozenset({"pre-delete", "post-delete", "PostDelete"})
_PRINTS = frozenset({"echo", "printf"})
#: Characters of a script that are read: foreign text must not cost without end.
_LONGEST = 16_384
#: Characters of a command in a message.
_SHOWN = 80


def scripts(index: ObjectIndex, workload: Workload, container: Container) -> Mapping[str, str]:
    """What a container runs, by when: its words, with the scripts of given ConfigMaps that they name, and its hooks."""
    words = container.words
    files = configurations(index, workload, container)
    named = [content for name, content in files.items() if any(_names(word, name) for word in words)]
    own = {"when it starts": "\n".join((" ".join(words), *named))}
    for hook, when in (("postStart", "when it starts (postStart)"), ("preStop", "when it stops (preStop)")):
        own[when] = " ".join(texts(workload.object.body, *container.at, "lifecycle", hook, "exec", "command"))
    return {when: script[:_LONGEST] for when, script in own.items() if script.strip()}


def _names(word: str, file: str) -> bool:
    key = file.partition(" of ConfigMap ")[0]
    return bool(key) and any(piece.rpartition("/")[2] == key for piece in word.split())


def _commands(index: ObjectIndex) -> Iterator[tuple[Workload, Container, str, str]]:
    """Every script that runs in its own time: of jobs, and of hooks at the stop."""
    for workload in index.workloads:
        if workload.object.get("spec", "suspend") is True or workload.replicas == 0:
            continue
        for container in workload.pod.all_containers:
            for when, script in scripts(index, workload, container).items():
                yield workload, container, when, script


def _is_scratch(workload: Workload, mount: Mount) -> bool:
    claim = workload.pod.volumes[mount.volume].claim or mount.volume
    return bool(_SCRATCH.search(claim))


def _deleted(workload: Workload, container: Container, script: str) -> set[str]:
    return emptied(script, workload.object.text(*container.at, "workingDir"), container.env)


def _deletes_all(index: ObjectIndex) -> Iterator[Verdict]:
    for workload, container, when, script in _commands(index):
        if when.startswith("when it starts") and (not workload.runs_to_end or _restores(workload)):
            continue  # start-deletes-data reports it, or it is meant
        yield from _deletes_elsewhere(index, workload, container, script)
        lost = _deleted(workload, container, script)
        for mount in workload.pod.claim_mounts(container):
            if (
                any(covers(path, mount.path) for path in lost)
                and not mount.sub_path
                and not _is_scratch(workload, mount)
            ):
                claim = workload.pod.volumes[mount.volume].claim or mount.volume
                moment = "whenever it runs" if workload.runs_to_end else when
                message = f"container {container.name} deletes all of {mount.path} (claim {claim}) {moment}{_others(index, workload, claim)}"
                yield Finding(message, workload.object.place(*container.at), workload.object)


def _deletes_elsewhere(index: ObjectIndex, workload: Workload, container: Container, script: str) -> Iterator[Verdict]:
    """What kubectl exec deletes in the pods of another workload."""
    for words in _calls(script):
        end = words.index("--") if "--" in words else len(words)
        lost = emptied(" ".join(words[end + 1 :]), "", {}) if "exec" in words[:end] else set()
        before = " ".join(words[:end])
        for other in index.workloads if lost else ():
            is_it = other.object.name in before and same_namespace(other.object.namespace, workload.object.namespace)
            mounts = [mount for box in applications(other) for mount in other.pod.claim_mounts(box)] if is_it else []
            for mount in mounts:
                if any(covers(path, mount.path) for path in lost):
                    message = f"container {container.name} deletes all of {mount.path} in the pods of {other.object} (kubectl exec)"
                    yield Finding(message, workload.object.place(*container.at), workload.object)


def _restores(workload: Workload) -> bool:
    """Whether it is a job that somebody starts by hand to bring data back."""
    kind, name = (
        workload.object.author if workload.object.kind == "Pod" else (workload.object.kind, workload.object.name)
    )
    return kind == "Job" and "restore" in name and not _hook(workload)


def _hook(workload: Workload) -> str:
    return text(workload.object.annotations, "helm.sh/hook") or text(
        workload.object.annotations, "argocd.argoproj.io/hook"
    )


def _others(index: ObjectIndex, workload: Workload, claim: str) -> str:
    """Who keeps data in the claim."""
    obj = index.claim(workload, claim)
    users = [str(user.object) for user in index.workloads_with(obj) if user is not workload] if obj else []
    return f", where {users[0]} keeps its data" if users else ""


def _deletes_part(index: ObjectIndex) -> Iterator[Verdict]:
    for workload, container, when, script in _commands(index):
        starts = when.startswith("when it starts") and not workload.runs_to_end
        lost = _deleted(workload, container, script)
        for mount in workload.pod.claim_mounts(container):
            if _is_scratch(workload, mount):
                continue
            claim = workload.pod.volumes[mount.volume].claim or mount.volume
            for path in sorted(lost):
                is_part = below(path, mount.path) or (path == mount.path and bool(mount.sub_path) and not starts)
                if is_part and not _SCRATCH.search(path.removeprefix(mount.path)) and container.mount_at(path) == mount:
                    yield Finding(
                        f"container {container.name} deletes {path} of claim {claim} {when}",
                        workload.object.place(*container.at),
                        workload.object,
                    )
            for program, target in mirrored(script, workload.object.text(*container.at, "workingDir"), container.env):
                if covers(mount.path, target) or covers(target, mount.path):
                    message = f"container {container.name} runs {program} into {target} (claim {claim}) {when}: what its source lacks is deleted"
                    yield Finding(message, workload.object.place(*container.at), workload.object)


def _deletes_claims(index: ObjectIndex) -> Iterator[Verdict]:
    for workload, container, _, script in _commands(index):
        for command in _calls(script):
            if not _deletes(*command):
                continue
            hook = _hook(workload)
            # Who uninstalls a release means it, though perhaps not the data: a warning.
            is_meant = bool(hook) and set(hook.replace(" ", "").split(",")) <= _UNINSTALL
            what = f", as hook {hook}" if hook else ""
            message = f"container {container.name} runs `{' '.join(command)[:_SHOWN]}`{what}"
            yield Finding(message, workload.object.place(*container.at), workload.object, is_guess=is_meant)


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


CHECKS = (
    (DELETES_ALL, _deletes_all),
    (DELETES_PART, _deletes_part),
    (DELETES_CLAIMS, _deletes_claims),
)
