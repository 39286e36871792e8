"""YAML text -> trees with line numbers. Pure: one text in, documents and what is wrong with them out.

Built on libyaml's events with a stack of its own, so depth costs no recursion, aliases no expansion, and equal keys
are seen before the second silently wins.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from guard.doctor.text_parts import Document, Duplicate, Unreadable
from guard.doctor.tree import LinedList, LinedMap, Path

#: Kubernetes objects are about 15 levels deep; a JSON schema in a CustomResourceDefinition reaches 60.
MAX_DEPTH = 200
#: Nodes that aliases may stand for in one document. A bomb of nine lines stands for 10^9.
MAX_ALIASED = 200_000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DOCUMENT = re.compile(r"^---(?=\s|$)", re.MULTILINE)
#: Lines that hold nothing: blank, comment, directive, document end.
_HOLLOW = re.compile(r"(?:\s*(?:#.*)?|%.*|\.\.\.\s*)")

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NUMBER_STARTS = frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]{1,3})?")


class _Refused(Exception):  # noqa: N818 - not an error of ours: a text that is not read on
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def read_yaml(text: str) -> Iterator[Document | Unreadable]:
    """Reads all documents of a text; one that is broken does not spoil the others.

    A line that starts with `---` always starts a document (YAML 1.2, 9.1.2), even inside what looks like a string, so
    the text can be cut there first.
    """
    line = 1
    start = 0
    cuts = [match.start() for match in _DOCUMENT.finditer(text)]
    for end in [*cuts, len(text)]:
        part = text[start:end]
        if not _is_hollow(part):
            yield from _read_part(part, line)
        line += part.count("\n")
        start = end


def _is_hollow(part: str) -> bool:
    body = part.removeprefix("---")
    return all(_HOLLOW.fullmatch(line) for line in body.splitlines())


def _read_part(part: str, line: int) -> Iterator[Document | Unreadable]:
    builder = _Builder(line)
    try:
        for event in yaml.parse(part, Loader=_LOADER):
            builder.take(event)
    except _Refused as refusal:
        yield Unreadable(refusal.line, _with_hint(refusal.reason, part))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        yield Unreadable(line + mark.line if mark else line, _sentence(error, part))
    yield from builder.done


def _sentence(error: yaml.YAMLError, part: str) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).splitlines()[0]
    context = getattr(error, "context", None)
    said = f"{context}, {problem}" if context else str(problem)
    return _with_hint(f"not YAML: {said}", part)


def _with_hint(reason: str, part: str) -> str:
    looks = "{{" in part
    return (
        f"{reason}. It looks like a template: render it first (helm template, kubectl kustomize)" if looks else reason
    )


@dataclass(slots=True)
class _Frame:
    """A container that is being filled.

    Attributes:
        aliased: Nodes that aliases below it stand for.
        nodes: All nodes below it, aliases expanded.
    """

    node: LinedMap | LinedList
    anchor: str | None
    nodes: int = 1
    aliased: int = 0
    key: str | None = None
    key_line: int = 0
    merges: list[Any] = field(default_factory=list)


class _Builder:
    def __init__(self, line: int) -> None:
        self._first_line = line
        self._line = line
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._duplicates: list[Duplicate] = []
        self.done: list[Document] = []

    def take(self, event: Event) -> None:
        """Takes one event; scalars come first, since two of three events are."""
        mark = event.start_mark
        line = self._first_line + (mark.line if mark else 0)
        kind = type(event)
        if kind is ScalarEvent:
            assert isinstance(event, ScalarEvent)
            value = event.value
            plain = event.implicit[0] and not event.style
            self._place(_scalar(value) if plain else value, 1, 0, line, event.anchor, value)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            assert isinstance(event, (MappingStartEvent, SequenceStartEvent))
            self._open(LinedMap() if kind is MappingStartEvent else LinedList(), event.anchor, line)
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            self._close()
        elif kind is AliasEvent:
            assert isinstance(event, AliasEvent)
            self._alias(str(event.anchor), line)
        elif kind is DocumentStartEvent:
            self._anchors.clear()
            self._line = line

    def _open(self, node: LinedMap | LinedList, anchor: str | None, line: int) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise _Refused(line, f"nested deeper than {MAX_DEPTH} levels: no Kubernetes object is")
        parent = self._stack[-1] if self._stack else None
        if parent is not None and isinstance(parent.node, LinedMap) and parent.key is None:
            raise _Refused(line, "a key that is not a plain word: Kubernetes objects have none")
        if parent is not None and isinstance(parent.node, LinedList):
            parent.node.lines.append(line)
        self._stack.append(_Frame(node, anchor))

    def _close(self) -> None:
        frame = self._stack.pop()
        if isinstance(frame.node, LinedMap):
            for merged in frame.merges:
                for key, value in merged.items():
                    frame.node.setdefault(key, value)
        if frame.anchor:
            self._anchors[frame.anchor] = (frame.node, frame.nodes)
        self._attach(frame.node, frame.nodes, frame.aliased)

    def _alias(self, anchor: str, line: int) -> None:
        if anchor not in self._anchors:
            raise _Refused(line, f"alias *{anchor} stands inside what it repeats, or for nothing")
        node, nodes = self._anchors[anchor]
        if isinstance(node, (LinedMap, LinedList)):
            self._place(node, nodes, nodes, line, None, None)
        else:
            self._place(node, 1, 1, line, None, node if isinstance(node, str) else None)
        if self._stack and self._stack[-1].aliased > MAX_ALIASED:
            raise _Refused(line, f"aliases stand for more than {MAX_ALIASED:,} values: an alias bomb is not read")

    def _place(self, value: Any, nodes: int, aliased: int, line: int, anchor: str | None, raw: str | None) -> None:
        if anchor:
            self._anchors[anchor] = (value, nodes)
        frame = self._stack[-1] if self._stack else None
        if frame is None:
            self._attach(value, nodes, aliased)
        elif isinstance(frame.node, LinedList):
            frame.node.lines.append(line)
            self._attach(value, nodes, aliased)
        elif frame.key is not None:
            self._attach(value, nodes, aliased)
        elif raw is None:
            raise _Refused(line, "a key that is not a plain word: Kubernetes objects have none")
        else:
            self._key(frame, raw, line)

    def _key(self, frame: _Frame, key: str, line: int) -> None:
        frame.key, frame.key_line = key, line
        if isinstance(frame.node, LinedMap) and key in frame.node and key != "<<":
            self._duplicates.append(Duplicate((*self._path(), key), frame.node.lines[key], line))

    def _attach(self, value: Any, nodes: int, aliased: int) -> None:
        if not self._stack:
            self.done.append(Document(self._line, value, tuple(self._duplicates)))
            self._duplicates.clear()
            return
        frame = self._stack[-1]
        frame.nodes += nodes
        frame.aliased += aliased
        if isinstance(frame.node, LinedList):
            frame.node.append(value)
            return
        assert frame.key is not None
        if frame.key == "<<":
            frame.merges.extend(
                item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)
            )
        else:
            frame.node[frame.key] = value
            frame.node.lines[frame.key] = frame.key_line
        frame.key = None

    def _path(self) -> Path:
        """The way to the container on top of the stack."""
        return tuple(
            len(frame.node) if isinstance(frame.node, LinedList) else frame.key or "" for frame in self._stack[:-1]
        )


def _scalar(value: str) -> Any:
    """A plain scalar as the API server reads it: null, boolean, number, or the text itself."""
    if value in _NULLS:
        return None
    if value in _BOOLEANS:
        return _BOOLEANS[value]
    if value[0] in _NUMBER_STARTS:
        if _INTEGER.fullmatch(value):
            return int(value)
        if _FLOAT.fullmatch(value):
            return float(value)
    return value
