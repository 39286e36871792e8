"""Paths that are no data: the guard's own folder, what file systems and snapshots put there, and GUARD_IGNORE. Pure."""

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from guard.volume.paths import as_text

#: At the top of a volume only: the guard's folder, what fsck finds, snapshots, the desktop's bins.
AT_THE_TOP = ("/.volume-guard", "/lost+found", "/.snapshot", "/.snapshots", "/.zfs", "/.Trash-*")
#: Anywhere: files that were deleted while they were open, on NFS and on FUSE.
_ANYWHERE = (".nfs*", ".fuse_hidden*")
#: How the names begin that _ANYWHERE matches, in a listing that is joined by NUL bytes.
_TELLTALES = tuple(b"\0" + pattern.rstrip("*").encode() for pattern in _ANYWHERE)
#: A component that matches any number of folders.
_ANY_DEPTH = "**"

_Match = Callable[[str], object]
#: The components of an anchored pattern; None matches any number of folders.
_Anchored = tuple[_Match | None, ...]


@dataclass(frozen=True)
class FolderIgnore:
    """Which names of one folder are no data."""

    _ignore: "Ignore"
    #: Of each anchored pattern that the path of the folder follows so far, which component comes next.
    _states: frozenset[tuple[int, int]]
    #: What an ignored name matches: the patterns without `/` as one, then the last components of anchored ones.
    _last: tuple[_Match, ...]

    @property
    def plain(self) -> bool:
        """Whether nothing can match here or below but what is never data anywhere."""
        return not self._states and len(self._last) == 1 and not self._ignore.has_names

    def ignores(self, name: str) -> bool:
        """Returns whether a name of this folder, with all below it, is no data."""
        return any(match(name) for match in self._last)

    def data(self, names: Sequence[bytes]) -> Sequence[bytes]:
        """Returns the names of this folder that are data."""
        if self.plain:
            joined = b"\0" + b"\0".join(names)
            if not any(telltale in joined for telltale in _TELLTALES):
                return names
        return [name for name in names if not self.ignores(as_text(name))]

    def below(self, name: str) -> "FolderIgnore":
        """Returns what is ignored in a folder of this folder."""
        if not self._states and len(self._last) == 1:
            return self
        return self._ignore.folder(
            (number, place + (pattern[place] is not None))
            for number, place in self._states
            for pattern in [self._ignore.anchored[number]]
            if (component := pattern[place]) is None or component(name)
        )


class Ignore:
    """The paths that are no data.

    A pattern without `/` matches a name at any depth, file or folder, with all below it. One with `/` starts at the top
    of the volume. `*`, `?` and `[...]` match within a name, `**` any number of folders, also none: `cache/**` matches
    `cache` too. A `/` at the end changes nothing. The time for a name grows with the length of the patterns, never with
    the ways in which they could match.

    Args:
        patterns: GUARD_IGNORE.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        trimmed = [pattern.rstrip("/") for pattern in patterns]
        names = [pattern for pattern in trimmed if pattern and "/" not in pattern]
        rooted = [pattern.strip("/") for pattern in (*AT_THE_TOP, *trimmed) if "/" in pattern]
        self.has_names = bool(names)
        self._names = _one_of([*_ANYWHERE, *names])
        self.anchored: tuple[_Anchored, ...] = tuple(_components(pattern) for pattern in rooted)
        self.top = self.folder((number, 0) for number in range(len(self.anchored)))

    def folder(self, states: Iterable[tuple[int, int]]) -> FolderIgnore:
        """Returns what is ignored in a folder up to which the anchored patterns came so far."""
        reached: set[tuple[int, int]] = set()
        for number, place in states:
            # A component that matches any number of folders also matches none: the one after it can come next as well.
            reached.add((number, place))
            if self.anchored[number][place] is None and place + 1 < len(self.anchored[number]):
                reached.add((number, place + 1))
        last = [self._last(number, place) for number, place in reached]
        reached = {(number, place) for number, place in reached if not self._ends(number, place)}
        return FolderIgnore(self, frozenset(reached), (self._names, *(match for match in last if match)))

    def ignores(self, path: str) -> bool:
        """Returns whether a path, relative to the volume, is no data."""
        folder = self.top
        for name in path.split("/"):
            if folder.ignores(name):
                return True
            folder = folder.below(name)
        return False

    def _ends(self, number: int, place: int) -> bool:
        """Whether a match of this component is a match of the pattern: nothing is left to be matched below it."""
        return all(component is None for component in self.anchored[number][place + 1 :])

    def _last(self, number: int, place: int) -> _Match | None:
        if not self._ends(number, place):
            return None
        return self.anchored[number][place] or bool


def _components(pattern: str) -> _Anchored:
    components: list[_Match | None] = []
    for component in filter(None, pattern.split("/")):
        if component != _ANY_DEPTH:
            components.append(_one_of([component]))
        elif not components or components[-1] is not None:
            components.append(None)
    return tuple(components)


def _one_of(globs: Sequence[str]) -> _Match:
    # fnmatch translates `*` to atomic groups, which are never tried again: no pattern takes exponential time.
    return re.compile("|".join(map(fnmatch.translate, globs))).match
