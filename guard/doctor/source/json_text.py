"""Reads JSON text as trees. Pure: one text in, documents out.

The json module is ten times faster than any YAML parser but keeps no lines, so the items of a List are read one by
one, each with the line on which it starts.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from guard.doctor.source.document import MAX_NOTES, Document, DuplicateKey, TextError
from guard.doctor.source.tree import MAX_DEPTH, is_deeper, sequence

_SPACE = re.compile(r"[ \t\r\n]*")
_ITEMS = re.compile(r'"items"\s*:\s*\[')


def read_json(text: str) -> Iterator[Document]:
    """Yields one or more JSON documents after each other (`kubectl get -o json`, twice).

    Raises:
        TextError: Where it cannot be read on: JSON has no place to start again.
    """
    duplicates: Counter[str] = Counter()
    decoder = json.JSONDecoder(object_pairs_hook=lambda pairs: _object(pairs, duplicates))
    position = _skip(text, 0)
    line = 1 + text.count("\n", 0, position)
    while position < len(text):
        try:
            root, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise TextError(error.lineno, f"not JSON: {error.msg}") from None
        except RecursionError:
            raise TextError(line, f"nested deeper than {MAX_DEPTH} levels: no Kubernetes object is") from None
        except ValueError as error:  # a number of more digits than Python converts
            raise TextError(line, str(error)) from None
        if is_deeper(root, MAX_DEPTH):
            raise TextError(line, f"nested deeper than {MAX_DEPTH} levels: no Kubernetes object is")
        keys = tuple(
            DuplicateKey((key,), line, line, times + 1) for key, times in islice(duplicates.items(), MAX_NOTES)
        )
        duplicates.clear()
        yield Document(line, root, keys, _item_lines(text, position, end, line) if sequence(root, "items") else ())
        line += text.count("\n", position, end)
        following = _skip(text, end)
        line += text.count("\n", end, following)
        position = following


def _item_lines(text: str, position: int, end: int, line: int) -> tuple[int, ...]:
    """Returns the lines on which the items of a List start, found by stepping over them once more."""
    opening = _ITEMS.search(text, position, end)
    if opening is None:
        return ()
    scanner = json.JSONDecoder()
    lines: list[int] = []
    start = _skip(text, opening.end())
    while start < end and text[start] == "{":
        line += text.count("\n", position, start)
        position = start
        lines.append(line)
        _, after = scanner.raw_decode(text, start)  # it was decoded before, so it can be
        start = _skip(text, _skip(text, after) + 1)
    return tuple(lines)


def _object(pairs: list[tuple[str, Any]], duplicates: Counter[str]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        duplicates.update({key: times - 1 for key, times in Counter(key for key, _ in pairs).items() if times > 1})
    return mapping


def _skip(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position
