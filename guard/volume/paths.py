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
        length = len(as_bytes(path))
    except UnicodeEncodeError:
        return False
    return 0 < length < PATH_LIMIT and "\0" not in path and {"", ".", ".."}.isdisjoint(path.split("/"))


def join(folder: bytes, name: bytes) -> bytes:
    """Returns the path of a name in a folder; the root's path is empty."""
    return folder + b"/" + name if folder else name


def as_text(path: bytes) -> str:
    """Returns a path as text, whatever the locale; bytes that are not UTF-8 become lone surrogates."""
    return path.decode("utf-8", "surrogateescape")


def as_bytes(path: str) -> bytes:
    """Returns the path that a text stands for.

    Raises:
        UnicodeEncodeError: It stands for none.
    """
    return path.encode("utf-8", "surrogateescape")
