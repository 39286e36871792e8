"""Paths in a container, as the kubelet reads them. Pure."""

import re
from collections.abc import Mapping
from posixpath import normpath

_BY_KUBELET = re.compile(r"\$\(([^()$\s]+)\)")
#: Characters of a variable: one that doubles the one before it must not grow without end.
_LONGEST = 4096


def covers(mount_path: str, path: str) -> bool:
    """Whether a mount at `mount_path` holds `path`: at it, or above it."""
    return path == mount_path or path.startswith(mount_path.rstrip("/") + "/")


def below(inner: str, outer: str) -> bool:
    """Whether `inner` lies strictly below `outer`."""
    return inner != outer and covers(outer, inner)


def clean_path(path: str) -> str:
    """Returns a path without doubled or trailing slashes, `.` and `..`; empty stays empty."""
    return normpath("/" + path.lstrip("/")) if path.startswith("/") else path


def mount_path(path: str) -> str:
    """Returns a mountPath as the kubelet reads it: `app/skills/` is `/app/skills`."""
    return clean_path(path if not path or path.startswith("/") else f"/{path}")


def filled_in(value: str, known: Mapping[str, str]) -> str:
    """Returns a text with `$(X)` as the kubelet fills it in; what is not known stays as it is written."""
    if len(value) > _LONGEST:
        return value
    filled = _BY_KUBELET.sub(lambda match: known.get(match[1]) or match[0], value)
    return filled if len(filled) <= _LONGEST else value
