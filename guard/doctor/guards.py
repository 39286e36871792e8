"""Which containers are the guard's own, and in which part: recognised by what they run, not by their names. Pure."""

from enum import Enum

from guard.doctor.kube import Container, clean_path

#: GUARD_PATH unless said otherwise.
DEFAULT_PATH = "/app/skills"


class Part(Enum):
    """What a container of the guard does."""

    GATE = "check"
    WATCHER = "watch"
    COMMAND = "another command"


def part(container: Container) -> Part | None:
    """The guard's part in a container; None for containers that are not the guard's.

    A container is the guard's where it sets GUARD_VOLUME, or runs `check` or `watch` from an image of this project.
    """
    named = any(word.rpartition("/")[2] == "guard" for word in container.words[:3])
    image = "volume-guard" in container.image.partition("@")[0].rpartition("/")[2]
    if not (named or image or "GUARD_VOLUME" in container.env):
        return None
    ours = named or "GUARD_VOLUME" in container.env or bool(_flag(container, "--volume"))
    return _command(container) or (Part.COMMAND if ours else None)


def _command(container: Container) -> Part | None:
    words = container.words
    own = words[: words.index("--")] if "--" in words else words
    return next((found for found in (Part.GATE, Part.WATCHER) if found.value in own), None)


def wraps_application(container: Container) -> bool:
    """Whether this is `guard check -- APP`: gate and application in one mount namespace."""
    return part(container) is Part.GATE and "--" in container.words


def is_application(container: Container) -> bool:
    """Whether the application may run in it: every container that is not the guard's, and the wrapped one."""
    return part(container) is None or wraps_application(container)


def guarded_path(container: Container) -> str:
    """The path that a container of the guard looks at; empty where it comes from a reference (valueFrom)."""
    flag = _flag(container, "--path")
    if flag:
        return clean_path(flag)
    if "GUARD_PATH" in container.env:
        return clean_path(container.env["GUARD_PATH"])
    return DEFAULT_PATH


def volume_name(container: Container) -> str:
    """The volume name that it expects in the marker; empty where none is written down."""
    return _flag(container, "--volume") or container.env.get("GUARD_VOLUME", "")


def enforces(container: Container) -> bool:
    """Whether the gate stops the pod: not with GUARD_ENFORCE=false."""
    said = _flag(container, "--enforce") or container.env.get("GUARD_ENFORCE", "")
    return said.lower() not in {"false", "0", "no", "off"}


def kinds(container: Container) -> frozenset[str]:
    """The kinds of mount that it allows by its own word (GUARD_KINDS); empty where it leaves the default."""
    said = _flag(container, "--kinds") or container.env.get("GUARD_KINDS", "")
    return frozenset(kind.strip() for kind in said.split(",") if kind.strip())


def _flag(container: Container, name: str) -> str:
    words = container.words
    own = words[: words.index("--")] if "--" in words else words
    for index, word in enumerate(own):
        if word == name and index + 1 < len(own):
            return own[index + 1]
        if word.startswith(name + "="):
            return word.removeprefix(name + "=")
    return ""
