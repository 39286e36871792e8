"""Reads YAML text as trees with line numbers. Pure: one text in, documents out.

Built on the events of `yaml.parse` with libyaml behind it: they keep lines, duplicate keys and aliases apart. The
library comes with the extra `volume-guard[doctor]`, and JSON is read without it.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

from guard.doctor.source.document import MAX_NOTES, Document, DuplicateKey, TextError
from guard.doctor.source.tree import MAX_DEPTH, LinedList, LinedMap

try:
    import yaml
except ImportError:  # the extra is not installed
    yaml = None  # type: ignore[assignment]

#: Keys and values that aliases may stand for in one text. A bomb of nine lines has 10^9.
MAX_ALIASED = 200_000
#: Keys and values of one text: 5 s of reading. A dump of 2,000 objects has as many.
MAX_NODES = 500_000
#: Documents that cannot be read before the rest of a text is left.
MAX_FAULTS = 100
FEWER = "give it as JSON (kubectl get -o json), or fewer objects"
MISSING = "YAML needs the extra: pip install 'volume-guard[doctor]'. JSON is read without it: kubectl get ... -o json"

_DOCUMENT = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NUMBER_STARTS = frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]{1,3})?")


def read_yaml(text: str) -> Iterator[Document | TextError]:
    """Yields all documents of a text; one that is broken does not spoil the others.

    A line that starts with `---` always starts a document (YAML 1.2, 9.1.2), even inside what looks like a string, so
    a text with a fault can be cut there.
    """
    if yaml is None:
        yield TextError(None, MISSING)
        return
    try:
        yield from list(_documents(text, 1))
    except TextError as whole:
        cuts = [match.start() for match in _DOCUMENT.finditer(text)]
        if not cuts or whole.is_final:
            yield whole
            return
        line = faults = 0
        for start, end in pairwise([0, *cuts, len(text)]):
            part = text[start:end]
            try:
                yield from list(_documents(part, line + 1))
            except TextError as error:
                faults += 1
                yield error.with_traceback(None)
                if faults > MAX_FAULTS:
                    yield TextError(line + 1, "that many documents cannot be read that the rest is left out")
                    return
            line += part.count("\n")


def _documents(part: str, line: int) -> Iterator[Document]:
    try:
        yield from _Reader(part, line).documents()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).partition("\n")[0]
        context = getattr(error, "context", None)
        reason = f"{context}, {problem}" if context else problem
        raise TextError(line + mark.line if mark else line, f"not YAML: {reason}") from None


class _Reader:
    """Makes the trees of one text from its events; what aliases stand for is shared, and counted."""

    def __init__(self, text: str, line: int) -> None:
        self._next = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text).get_event
        self._line = line
        self._count = 0  # keys and values, also those that aliases stand for
        self._aliased = 0
        #: What each anchor marks, with the number of keys and values in it; None until all of it is read.
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        self._path: list[str | int] = []
        self._duplicate_keys: list[DuplicateKey] = []

    def documents(self) -> Iterator[Document]:
        """Yields the documents of the text."""
        while type(event := self._next()) is not yaml.StreamEndEvent:
            if type(event) is yaml.DocumentStartEvent:
                self._anchors, self._duplicate_keys = {}, []
                root = self._next()
                yield Document(self._line + root.start_mark.line, self._value(root), tuple(self._duplicate_keys))

    def _value(self, event: Any) -> Any:
        before = self._count
        self._count += 1
        if self._count - self._aliased > MAX_NODES:
            raise TextError(None, f"YAML of more than {MAX_NODES:,} values: {FEWER}", is_final=True)
        kind = type(event)
        if kind is yaml.AliasEvent:
            return self._repeated(event)
        if event.anchor:
            self._anchors[event.anchor] = None
        if kind is yaml.ScalarEvent:
            value = _scalar(event.value) if event.implicit[0] else event.value
        elif len(self._path) >= MAX_DEPTH:
            line = self._line + event.start_mark.line
            raise TextError(line, f"nested deeper than {MAX_DEPTH} levels: no Kubernetes object is")
        else:
            value = self._mapping() if kind is yaml.MappingStartEvent else self._sequence()
        if event.anchor:
            self._anchors[event.anchor] = value, self._count - before
        return value

    def _repeated(self, alias: Any) -> Any:
        """Returns what an alias stands for."""
        line = self._line + alias.start_mark.line
        if alias.anchor not in self._anchors:
            raise TextError(line, "not YAML: found undefined alias")
        marked = self._anchors[alias.anchor]
        if marked is None:
            raise TextError(line, "an alias is inside what it repeats")
        value, size = marked
        self._count += size
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            raise TextError(line, f"aliases stand for more than {MAX_ALIASED:,} values: an alias bomb is not read")
        return value

    def _sequence(self) -> LinedList:
        items = LinedList()
        while type(event := self._next()) is not yaml.SequenceEndEvent:
            self._path.append(len(items))
            items.lines.append(self._line + event.start_mark.line)
            items.append(self._value(event))
            self._path.pop()
        return items

    def _mapping(self) -> LinedMap:
        members = LinedMap()
        merged: list[Any] = []
        duplicates: dict[str, DuplicateKey] = {}
        while type(event := self._next()) is not yaml.MappingEndEvent:
            line = self._line + event.start_mark.line
            if type(event) is not yaml.ScalarEvent:
                raise TextError(line, "a key that is not a plain word: Kubernetes objects have none")
            key = event.value
            self._count += 1
            if event.anchor:
                self._anchors[event.anchor] = key, 1
            self._path.append(key)
            value = self._value(self._next())
            if key == "<<" and event.implicit[0]:
                merged.extend(value if isinstance(value, list) else [value])
            else:
                if key in members:
                    known = duplicates.get(key)
                    first, times = (known.first, known.times) if known else (members.lines[key], 1)
                    duplicates[key] = DuplicateKey(tuple(self._path), first, line, times + 1)
                members[key] = value
                members.lines[key] = line
            self._path.pop()
        for other in merged:
            for key, value in other.items() if isinstance(other, dict) else ():
                members.setdefault(key, value)
        self._duplicate_keys.extend([*duplicates.values()][: max(MAX_NOTES - len(self._duplicate_keys), 0)])
        return members


@lru_cache(maxsize=4096)
def _scalar(value: str) -> Any:
    """Returns a plain scalar as the API server reads it: null, boolean, number, or the text itself."""
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
