"""VG118 to VG120: jobs, hooks and scripts that delete what a claim holds, or the claim. Pure."""

import re
from collections.abc import Iterator, Mapping

from guard.doctor.inventory import Inventory
from guard.doctor.kube import Container, Mount, Workload, below, covers
from guard.doctor.rule import Finding, Rule, Severity, Verdict
from guard.doctor.rules.keeping import configurations
from guard.doctor.rules.shell import emptied, mirrored
from guard.doctor.tree import text, texts

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
    "With reclaimPolicy Delete the disks go with them. As a hook it does so at each upgrade.",
    "Remove the command. To start again, scale the workload to 0 and keep the claim.",
    "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming",
)  # fmt: skip

#: Words of a claim, or of a folder, whose content may go.
_SCRATCH = re.compile(
    r"(?:^|[/._-])\.?(?:te?mp|cache|scratch|logs?|locks?|build|workspace|trash|old|dummy)", re.IGNORECASE
)
_KUBECTL = re.compile(
    r"\bkubectl\b[^;&|\n]*?\bdelete\s+(?:-\S+(?:\s+|=)\S+\s+)*(?:[\w.]+,)*"
    r"(pvc|persistentvolumeclaims?|pv|persistentvolumes?|ns|namespaces?)\b(?!-)[^;&|\n]*"
)
_HELM = re.compile(r"\bhelm\s+(?:uninstall|delete)\b[^;&|\n]*")
_PRINTS = re.compile(r"\b(?:echo|printf)\b[^;&|\n]*$")
#: Characters of a command in a message.
_SHOWN = 80


def scripts(inventory: Inventory, found: Workload, box: Container) -> Mapping[str, str]:
    """What a container runs, by when: its words, with the scripts of given ConfigMaps that they name, and its hooks."""
    words = box.words
    files = configurations(inventory, found, box)
    named = [content for name, content in files.items() if any(_names(word, name) for word in words)]
    own = {"when it starts": "\n".join((" ".join(words), *named))}
    for hook, when in (("postStart", "when it starts (postStart)"), ("preStop", "when it stops (preStop)")):
        own[when] = " ".join(texts(found.kube.body, *box.at, "lifecycle", hook, "exec", "command"))
    return {when: script for when, script in own.items() if script.strip()}


def _names(word: str, file: str) -> bool:
    key = file.partition(" of ConfigMap ")[0]
    return bool(key) and any(piece.rpartition("/")[2] == key for piece in word.split())


def _commands(inventory: Inventory) -> Iterator[tuple[Workload, Container, str, str]]:
    """Every script that runs in its own time: of jobs, and of hooks at the stop."""
    for found in inventory.workloads:
        if found.kube.get("spec", "suspend") is True or found.replicas == 0:
            continue
        for box in found.pod.all_containers:
            for when, script in scripts(inventory, found, box).items():
                yield found, box, when, script


def _is_scratch(found: Workload, mount: Mount) -> bool:
    claim = found.pod.volumes[mount.volume].claim or mount.volume
    return bool(_SCRATCH.search(claim))


def _deleted(found: Workload, box: Container, script: str) -> set[str]:
    return emptied(script, found.kube.text(*box.at, "workingDir"), box.env)


def _deletes_all(inventory: Inventory) -> Iterator[Verdict]:
    for found, box, when, script in _commands(inventory):
        if when.startswith("when it starts") and (not found.runs_to_end or _restores(found)):
            continue  # start-deletes-data says it, or it is meant
        lost = _deleted(found, box, script)
        for mount in found.pod.claim_mounts(box):
            if any(covers(path, mount.path) for path in lost) and not mount.sub_path and not _is_scratch(found, mount):
                claim = found.pod.volumes[mount.volume].claim or mount.volume
                message = f"container {box.name} deletes all of {mount.path} (claim {claim}) {when}{_others(inventory, found, claim)}"
                yield Finding(message, found.kube.place(*box.at), found.kube)


def _restores(found: Workload) -> bool:
    """Whether it is a job that somebody starts by hand to bring data back."""
    kind, name = found.kube.author if found.kube.kind == "Pod" else (found.kube.kind, found.kube.name)
    return kind == "Job" and "restore" in name and not _hook(found)


def _hook(found: Workload) -> str:
    return text(found.kube.annotations, "helm.sh/hook") or text(found.kube.annotations, "argocd.argoproj.io/hook")


def _others(inventory: Inventory, found: Workload, claim: str) -> str:
    """Who keeps data in the claim."""
    kube = inventory.claim(found, claim)
    users = [str(user.kube) for user in inventory.workloads_with(kube) if user is not found] if kube else []
    return f", where {users[0]} keeps its data" if users else ""


def _deletes_part(inventory: Inventory) -> Iterator[Verdict]:
    for found, box, when, script in _commands(inventory):
        starts = when.startswith("when it starts") and not found.runs_to_end
        lost = _deleted(found, box, script)
        for mount in found.pod.claim_mounts(box):
            if _is_scratch(found, mount):
                continue
            claim = found.pod.volumes[mount.volume].claim or mount.volume
            for path in sorted(lost):
                is_part = below(path, mount.path) or (path == mount.path and bool(mount.sub_path) and not starts)
                if is_part and not _SCRATCH.search(path.removeprefix(mount.path)) and box.mount_at(path) == mount:
                    yield Finding(
                        f"container {box.name} deletes {path} of claim {claim} {when}",
                        found.kube.place(*box.at),
                        found.kube,
                    )
            for program, target in mirrored(script, found.kube.text(*box.at, "workingDir"), box.env):
                if covers(mount.path, target) or covers(target, mount.path):
                    message = f"container {box.name} runs {program} into {target} (claim {claim}) {when}: what its source lacks is deleted"
                    yield Finding(message, found.kube.place(*box.at), found.kube)


def _deletes_claims(inventory: Inventory) -> Iterator[Verdict]:
    for found, box, _, script in _commands(inventory):
        for match in (*_KUBECTL.finditer(script), *_HELM.finditer(script)):
            if _PRINTS.search(script[: match.start()]) or "--dry-run" in match[0]:
                continue
            what = f", as hook {_hook(found)}" if _hook(found) else ""
            message = f"container {box.name} runs `{match[0].strip()[:_SHOWN]}`{what}"
            yield Finding(message, found.kube.place(*box.at), found.kube)


CHECKS = (
    (DELETES_ALL, _deletes_all),
    (DELETES_PART, _deletes_part),
    (DELETES_CLAIMS, _deletes_claims),
)
