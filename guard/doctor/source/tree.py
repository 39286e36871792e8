"""Foreign objects as trees: shapes that keep their line numbers, and access that never trusts a shape. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: A way into an object: `("spec", "template", "spec", "volumes", 0)`.
Path = tuple[str | int, ...]

#: Levels of one document. Kubernetes objects are about 15 deep; a schema in a CustomResourceDefinition reaches 60.
MAX_DEPTH = 200

# `dict`, not Mapping, is asked for below: trees hold nothing else, and the abstract class is ten times slower to ask.
_NOTHING: Mapping[str, Any] = {}


class LinedMap(dict[str, Any]):
    """A mapping that remembers on which line (from 1) each of its keys is."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}


class LinedList(list[Any]):
    """A sequence that remembers on which line (from 1) each of its items starts."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: list[int] = []


def dig(node: Any, *path: str | int) -> Any:
    """What lies at `path`; None where there is nothing, or where a node has another shape than the path needs."""
    for step in path:
        if isinstance(node, dict):
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int) and 0 <= step < len(node):
            node = node[step]
        else:
            return None
    return node


def mapping(node: Any, *path: str | int) -> Mapping[str, Any]:
    """The mapping at `path`; empty where there is none."""
    found = dig(node, *path)
    return found if isinstance(found, dict) else _NOTHING


def sequence(node: Any, *path: str | int) -> Sequence[Any]:
    """The list at `path`; empty where there is none."""
    found = dig(node, *path)
    return found if isinstance(found, list) else ()


def numbered(node: Any, *path: str | int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yields the mappings of the list at `path`, each with its index in the list."""
    return ((index, item) for index, item in enumerate(sequence(node, *path)) if isinstance(item, dict))


def mappings(node: Any, *path: str | int) -> Iterator[Mapping[str, Any]]:
    """Yields the mappings of the list at `path`."""
    return (item for item in sequence(node, *path) if isinstance(item, dict))


def text(node: Any, *path: str | int) -> str:
    """The string at `path`; empty where there is none. Numbers and booleans are written as YAML writes them."""
    found = dig(node, *path)
    if isinstance(found, str):
        return found
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found) if isinstance(found, (int, float)) else ""


def texts(node: Any, *path: str | int) -> tuple[str, ...]:
    """The strings of the list at `path`."""
    return tuple(item for item in sequence(node, *path) if isinstance(item, str))


def whole(node: Any, *path: str | int) -> int | None:
    """The whole number at `path`; None where there is none."""
    found = dig(node, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def line_of(node: Any, path: Path) -> int | None:
    """The line of the deepest step of `path` that exists; None for trees without lines (JSON)."""
    line: int | None = None
    for step in path:
        if isinstance(step, str) and isinstance(node, LinedMap) and step in node:
            line, node = node.lines.get(step, line), node[step]
        elif isinstance(step, int) and isinstance(node, LinedList) and 0 <= step < len(node):
            line, node = node.lines[step], node[step]
        else:
            break
    return line


def is_deeper(node: Any, depth: int) -> bool:
    """Whether a tree has more than `depth` levels of mappings and lists."""
    level = [node] if isinstance(node, (dict, list)) else []
    for _ in range(depth):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
    return bool(level)
