"""Which containers are the guard's own, and in which part: recognised by what they run, not by their names. Pure."""

import re
from enum import Enum
from functools import lru_cache
from itertools import takewhile

from guard.doctor.objects.names import word_set
from guard.doctor.objects.workload import Container, Workload, clean_path, covers, filled_in

#: GUARD_PATH unless said otherwise.
DEFAULT_PATH = "/app/skills"
#: The label of a pod into which the admission policies put the guard of its only claim (k8s/policy/inject).
INJECT = "volume-guard/inject"
#: What the guard reads as false.
_FALSE = word_set("0 off f false n no")
#: Commands that are neither gate nor watcher.
_COMMANDS = word_set("adopt accept hold release")
_SHELLS = word_set("sh ash bash dash")
#: The guard's command where a script runs it, and what follows: not where it only prints it.
_GUARD_IN_SCRIPT = re.compile(
    r"(?:^|[;&|\n(!]|\b(?:exec|if|then|do)\s)[ \t]*(?:[^\s;&|]*/)?(guard\s+(?:check|watch)\b[^\n;|]*)(.*)", re.DOTALL
)
#: What stands between the guard's words and the application's: the latter starts after a pass.
_HANDS_OVER = frozenset({"--", "&&"})


class Part(Enum):
    """What a container of the guard does."""

    GATE = "check"
    WATCHER = "watch"
    COMMAND = "another command"


@lru_cache(maxsize=4096)
def part(container: Container) -> Part | None:
    """The guard's part in a container; None for containers that are not the guard's.

    A container is the guard's where it sets GUARD_VOLUME, or runs `check` or `watch` from an image of this project. Among
    the ordinary containers GUARD_VOLUME alone says nothing: an application's image may start with the guard.
    """
    named = any(word.rpartition("/")[2] == "guard" for word in _words(container)[:3])
    image = "volume-guard" in container.image.partition("@")[0].rpartition("/")[2]
    if not (named or image or "GUARD_VOLUME" in container.env):
        return None
    told = "GUARD_VOLUME" in container.env and (image or container.is_init)
    ours = named or told or bool(_flag(container, "--volume")) or not _COMMANDS.isdisjoint(_words(container)[:1])
    return _command(container) or (Part.COMMAND if ours else None)


def knows_the_guard(container: Container) -> bool:
    """Whether it is the guard's, or sets what only the guard reads: its image may start with the guard."""
    return part(container) is not None or "GUARD_VOLUME" in container.env


def _command(container: Container) -> Part | None:
    own = _own(container)
    return next((found for found in (Part.GATE, Part.WATCHER) if found.value in own), None)


def _words(container: Container) -> tuple[str, ...]:
    """Command and args; of `sh -c SCRIPT` that runs `guard check` or `watch` these words, and `&&` where more follows."""
    words = container.words
    if not words or words[0].rpartition("/")[2] not in _SHELLS:
        return words
    found = next(filter(None, map(_GUARD_IN_SCRIPT.search, words)), None)
    if found is None:
        return words
    own = found[1].replace('"', "").replace("'", "").split()
    return (*own, "&&") if found[2].strip("; \n") else tuple(own)


def _own(container: Container) -> tuple[str, ...]:
    """The guard's own words, without the application's."""
    return tuple(takewhile(lambda word: word not in _HANDS_OVER, _words(container)))


def wraps_application(container: Container) -> bool:
    """Whether this is `guard check -- APP`, or `guard check && APP`: gate and application in one mount namespace."""
    return part(container) is Part.GATE and _own(container) != _words(container)


def gates_pod(gate: Container) -> bool:
    """Whether what comes after a gate waits for it: it wraps the application, or is an init container that ends."""
    return wraps_application(gate) or (gate.is_init and not gate.is_sidecar)


def is_application(container: Container) -> bool:
    """Whether the application may run in it: every container that is not the guard's, and the wrapped one."""
    return part(container) is None or wraps_application(container)


def guarded_path(container: Container) -> str:
    """The path that a container of the guard looks at; empty where it comes from a reference (valueFrom, envFrom)."""
    return clean_path(_setting(container, "--path", "GUARD_PATH", DEFAULT_PATH) or "")


def volume_name(container: Container) -> str:
    """The volume name that it expects in the marker; empty where none is written down."""
    return _setting(container, "--volume", "GUARD_VOLUME", "") or ""


def has_volume_name(container: Container) -> bool:
    """Whether it is told a volume name, also by reference."""
    return _setting(container, "--volume", "GUARD_VOLUME", "") != ""


def enforces(container: Container) -> bool:
    """Whether the gate stops the pod: not with GUARD_ENFORCE=false."""
    said = _setting(container, "--enforce", "GUARD_ENFORCE", "") or ""
    return said.lower() not in _FALSE


def kinds(container: Container) -> frozenset[str] | None:
    """The kinds of mount that it allows by its own word (GUARD_KINDS); empty where it leaves the default, None by reference."""
    said = _setting(container, "--kinds", "GUARD_KINDS", "")
    return None if said is None else frozenset(kind.strip() for kind in said.split(",") if kind.strip())


def _setting(container: Container, flag: str, variable: str, default: str) -> str | None:
    """What a container is told by flag or variable; None where only the cluster knows it."""
    said = _flag(container, flag) or container.env.get(variable, "")
    if not said and (variable in container.env or container.has_env_from):
        return None
    return None if "$" in said else said or default


def _flag(container: Container, name: str) -> str:
    own = _own(container)
    for index, word in enumerate(own):
        if word == name and index + 1 < len(own):
            return filled_in(own[index + 1], container.env)
        if word.startswith(name + "="):
            return filled_in(word.removeprefix(name + "="), container.env)
    return ""


def applications(workload: Workload) -> tuple[Container, ...]:
    """Returns the containers in which the application may run."""
    return tuple(container for container in workload.containers if is_application(container))


def application(workload: Workload, path: str) -> tuple[Container, ...]:
    """Returns the containers that have to do with the path: they show it, or else mount a claim above it; all if none does."""
    candidates = applications(workload)
    return (
        tuple(container for container in candidates if points_at(container, path))
        or tuple(container for container in candidates if container.mount_at(path) in container.claim_mounts)
        or candidates
    )


def mounts_at(workload: Workload, path: str) -> bool:
    """Whether an application container has a volume at a path."""
    return any(container.volume_at(path) for container in applications(workload))


def injected_path(workload: Workload) -> str:
    """Returns the path that a guard injected by the pod's label looks at: the first mount of its only claim; else empty."""
    claims = [volume for volume in workload.volumes.values() if volume.is_persistent]
    if not workload.pod_labels.get(INJECT) or len(claims) != 1:
        return ""
    mounts = (mount for container in workload.containers for mount in container.claim_mounts)
    return next((mount.path for mount in mounts), "")


def points_at(container: Container, path: str) -> bool:
    """Whether a container mounts something at the path or below it, or has a variable with such a value."""
    return any(covers(path, mount.path) for mount in container.mounts) or any(
        covers(path, value) for value in container.env.values()
    )
