"""Paths as text: what lies above what, component by component. Pure; nothing here asks a file system."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence


def lineage(path: str) -> Iterator[str]:
    """The path itself, and every folder above it, the nearest first; never the root."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def holds_any(folder: str, paths: Sequence[str]) -> bool:
    """Whether one of the paths, which are sorted, lies below a folder."""
    below = folder + "/"
    first = bisect_left(paths, below)
    return first < len(paths) and paths[first].startswith(below)
