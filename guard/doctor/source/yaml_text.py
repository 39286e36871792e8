"""Reads YAML text as trees with line numbers. Pure: one text in, documents out.

Built on `yaml.compose` with libyaml behind it. Its nodes keep lines, duplicate keys and aliases apart; the library
comes with the extra `volume-guard[doctor]`, and JSON is read without it.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from guard.doctor.source.document import MAX_NOTES, Document, DuplicateKey, TextError
from guard.doctor.source.tree import MAX_DEPTH, LinedList, LinedMap

try:
    import yaml
except ImportError:  # the extra is not installed
    yaml = None  # type: ignore[assignment]

#: Nodes that aliases may stand for in one document. A bomb of nine lines has 10^9.
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
#: The tag of a scalar whose meaning its text shows.
_PLAIN = "plain"


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
    too_deep = f"nested deeper than {MAX_DEPTH} levels: no Kubernetes object is"
    try:
        loader = _loader()(part)
        while loader.check_node():
            node = loader.get_node()
            yield _Builder(line).document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).partition("\n")[0]
        context = getattr(error, "context", None)
        sentence = f"{context}, {problem}" if context else problem
        reason = too_deep if "nesting" in str(problem) else sentence
        raise TextError(line + mark.line if mark else line, f"not YAML: {reason}") from None
    except RecursionError:  # without libyaml
        raise TextError(line, too_deep) from None


@cache
def _loader() -> Any:
    """Returns libyaml's loader if there is one, without its search for what each scalar means; it counts its nodes."""

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        nodes = 0

        def resolve(self, kind: Any, _value: str, implicit: Any) -> str:
            self.nodes += 1
            if self.nodes > MAX_NODES:
                raise TextError(None, f"YAML of more than {MAX_NODES:,} values: {FEWER}", is_final=True)
            return _PLAIN if kind is yaml.ScalarNode and implicit[0] else ""

        def descend_resolver(self, *_: Any) -> None: ...

        def ascend_resolver(self) -> None: ...

    return Loader


class _Builder:
    """Makes the tree of one document from its nodes; what aliases stand for is shared, and counted."""

    def __init__(self, line: int) -> None:
        self._line = line
        self._built: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()
        self._count = 0
        self._aliased = 0
        self._path: list[str | int] = []
        self._duplicate_keys: list[DuplicateKey] = []

    def document(self, node: Any) -> Document:
        """Returns the document of a root node."""
        line = self._line + node.start_mark.line
        return Document(line, self._value(node), tuple(self._duplicate_keys))

    def _value(self, node: Any) -> Any:
        if type(node) is yaml.ScalarNode:
            self._count += 1
            return _scalar(node.value) if node.tag == _PLAIN else node.value
        line = self._line + node.start_mark.line
        if id(node) in self._built:
            value, size = self._built[id(node)]
            self._count += size
            self._aliased += size
            if self._aliased > MAX_ALIASED:
                raise TextError(line, f"aliases stand for more than {MAX_ALIASED:,} values: an alias bomb is not read")
            return value
        if id(node) in self._open:
            raise TextError(line, "an alias is inside what it repeats")
        if len(self._path) >= MAX_DEPTH:
            raise TextError(line, f"nested deeper than {MAX_DEPTH} levels: no Kubernetes object is")
        before = self._count
        self._count += 1
        self._open.add(id(node))
        value = self._mapping(node) if type(node) is yaml.MappingNode else self._sequence(node)
        self._open.discard(id(node))
        self._built[id(node)] = value, self._count - before
        return value

    def _sequence(self, node: Any) -> LinedList:
        items = LinedList()
        for index, item in enumerate(node.value):
            self._path.append(index)
            items.lines.append(self._line + item.start_mark.line)
            items.append(self._value(item))
            self._path.pop()
        return items

    def _mapping(self, node: Any) -> LinedMap:
        members = LinedMap()
        merged: list[Any] = []
        duplicates: dict[str, DuplicateKey] = {}
        for key_node, value_node in node.value:
            key, line = key_node.value, self._line + key_node.start_mark.line
            if type(key_node) is not yaml.ScalarNode:
                raise TextError(line, "a key that is not a plain word: Kubernetes objects have none")
            self._path.append(key)
            value = self._value(value_node)
            if key == "<<" and not key_node.style:
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
