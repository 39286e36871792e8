"""Paths as text: what lies above what, component by component. Pure; nothing here asks a file system."""

from collections.abc import Iterator

#: The longest path that Linux takes, in bytes, its closing NUL included.
PATH_LIMIT = 4096


def lineage(path: str) -> Iterator[str]:
    """The path itself, and every folder above it, the nearest first; never the root."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def is_below(path: str) -> bool:
    """Returns whether a path stays below the folder it is relative to, and can exist."""
    try:
        length = len(path.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return False
    return 0 < length < PATH_LIMIT and "\0" not in path and {"", ".", ".."}.isdisjoint(path.split("/"))
