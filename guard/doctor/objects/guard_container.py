"""What a container has of the guard: recognised by what it runs, not by its name. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from itertools import takewhile

from guard.doctor.objects.names import word_set
from guard.doctor.objects.paths import clean_path, filled_in

#: GUARD_PATH unless set otherwise.
DEFAULT_PATH = "/app/skills"
#: What the guard reads as false.
_FALSE = word_set("0 off f false n no")
#: Commands that are neither gate nor watcher.
_COMMANDS = word_set("adopt accept hold release")
_SHELLS = word_set("sh ash bash dash")
#: The guard's command where a script runs it, and what follows: not where it only prints it.
_GUARD_IN_SCRIPT = re.compile(
    r"(?:^|[;&|\n(!]|\b(?:exec|if|then|do)\s)[ \t]*(?:[^\s;&|]*/)?(guard\s+(?:check|watch)\b[^\n;|]*)(.*)", re.DOTALL
)
#: What is between the guard's words and the application's: the latter starts after a pass.
_HANDS_OVER = frozenset({"--", "&&"})


class Part(Enum):
    """What a container of the guard does."""

    GATE = "check"
    WATCHER = "watch"
    COMMAND = "another command"


@dataclass(frozen=True, eq=False)
class GuardContainer:
    """What a container runs, read as the guard's: most are not."""

    image: str
    words: tuple[str, ...]  # command and args in one row
    env: Mapping[str, str]  # those of others in them filled in; an empty value is not known (valueFrom)
    has_env_from: bool  # whether further variables come from elsewhere
    is_sidecar: bool  # an init container that runs on
    is_init: bool

    @cached_property
    def _guard_words(self) -> tuple[str, ...]:
        return _guard_words(self.words)

    @cached_property
    def part(self) -> Part | None:
        """The guard's part in it; None if it is not the guard's.

        It is the guard's if it sets GUARD_VOLUME, or runs `check` or `watch` from an image of this project. Among the
        ordinary containers GUARD_VOLUME alone shows nothing: an application's image may start with the guard.
        """
        words, has_volume = self._guard_words, "GUARD_VOLUME" in self.env
        is_named = any(word.rpartition("/")[2] == "guard" for word in words[:3])
        is_our_image = "volume-guard" in self.image.partition("@")[0].rpartition("/")[2]
        if not (is_named or is_our_image or has_volume):
            return None
        own = _without_application(words)
        is_set = (has_volume and (is_our_image or self.is_init)) or bool(_flag(own, "--volume", self.env))
        is_ours = is_named or is_set or not _COMMANDS.isdisjoint(words[:1])
        command = next((one for one in (Part.GATE, Part.WATCHER) if one.value in own), None)
        return command or (Part.COMMAND if is_ours else None)

    @property
    def knows_the_guard(self) -> bool:
        """Whether it is the guard's, or sets what only the guard reads: its image may start with the guard."""
        return self.part is not None or "GUARD_VOLUME" in self.env

    @property
    def wraps_application(self) -> bool:
        """Whether this is `guard check -- APP`, or `guard check && APP`: gate and application in one mount namespace."""
        return self.part is Part.GATE and _without_application(self._guard_words) != self._guard_words

    @property
    def is_application(self) -> bool:
        """Whether the application may run in it: every container that is not the guard's, and the wrapped one."""
        return self.part is None or self.wraps_application

    @property
    def gates_pod(self) -> bool:
        """Whether what comes after a gate waits for it: it wraps the application, or is an init container that ends."""
        return self.wraps_application or (self.is_init and not self.is_sidecar)

    @cached_property
    def guarded_path(self) -> str:
        """The path that a container of the guard checks; empty if it comes from a reference (valueFrom, envFrom)."""
        return clean_path(self._setting("--path", "GUARD_PATH", DEFAULT_PATH) or "")

    @property
    def guard_volume(self) -> str:
        """The volume name that it expects in the marker; empty if none is written down."""
        return self._setting("--volume", "GUARD_VOLUME", "") or ""

    @property
    def has_guard_volume(self) -> bool:
        """Whether it gets a volume name, also by reference."""
        return self._setting("--volume", "GUARD_VOLUME", "") != ""

    @property
    def enforces(self) -> bool:
        """Whether the gate stops the pod: not with GUARD_ENFORCE=false."""
        return (self._setting("--enforce", "GUARD_ENFORCE", "") or "").lower() not in _FALSE

    @property
    def guard_kinds(self) -> frozenset[str] | None:
        """The kinds of mount that GUARD_KINDS allows; empty if it leaves the default, None by reference."""
        kinds = self._setting("--kinds", "GUARD_KINDS", "")
        return None if kinds is None else frozenset(kind.strip() for kind in kinds.split(",") if kind.strip())

    def _setting(self, name: str, variable: str, default: str) -> str | None:
        """Returns what it gets by flag or variable; None if only the cluster knows it."""
        value = _flag(_without_application(self._guard_words), name, self.env) or self.env.get(variable, "")
        if not value and (variable in self.env or self.has_env_from):
            return None
        return None if "$" in value else value or default


def _guard_words(words: tuple[str, ...]) -> tuple[str, ...]:
    """Returns command and args; of `sh -c SCRIPT` that runs `guard check` or `watch` these words, and `&&` if more follows."""
    if not words or words[0].rpartition("/")[2] not in _SHELLS:
        return words
    found = next(filter(None, map(_GUARD_IN_SCRIPT.search, words)), None)
    if found is None:
        return words
    own = found[1].replace('"', "").replace("'", "").split()
    return (*own, "&&") if found[2].strip("; \n") else tuple(own)


def _without_application(words: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the guard's own words, without the application's behind them."""
    return tuple(takewhile(lambda word: word not in _HANDS_OVER, words))


def _flag(words: tuple[str, ...], name: str, env: Mapping[str, str]) -> str:
    """Returns the value of a flag; empty if it is not among the words."""
    for index, word in enumerate(words):
        if word == name and index + 1 < len(words):
            return filled_in(words[index + 1], env)
        if word.startswith(name + "="):
            return filled_in(word.removeprefix(name + "="), env)
    return ""
