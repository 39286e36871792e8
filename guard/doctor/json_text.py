"""JSON text -> trees. Pure: one text in, documents and what is wrong with them out.

The json module is ten times faster than any YAML parser but keeps no lines, so the items of a List are read one by
one, each with the line on which it starts.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from guard.doctor.text_parts import Document, Duplicate, Unreadable

_SPACE = re.compile(r"[ \t\r\n]*")
_ITEMS = re.compile(r'"items"\s*:\s*\[')


def looks_like_json(text: str) -> bool:
    """Whether to try JSON first. YAML can start like this too, so failing is not the end."""
    return text.lstrip()[:1] in {"{", "["}


def read_json(text: str) -> Iterator[Document | Unreadable]:
    """Reads one or more JSON documents after each other (`kubectl get -o json`, twice).

    Raises nothing: what cannot be read is an `Unreadable`, and ends the reading, since JSON has no place to start again.
    """
    repeated: list[str] = []
    decoder = json.JSONDecoder(object_pairs_hook=lambda pairs: _object(pairs, repeated))
    position = _skip(text, 0)
    line = 1 + text.count("\n", 0, position)
    while position < len(text):
        try:
            root, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            yield Unreadable(error.lineno, f"not JSON: {error.msg}")
            return
        except RecursionError:
            yield Unreadable(line, "nested too deep: no Kubernetes object is")
            return
        except ValueError as error:  # a number of more digits than Python converts
            yield Unreadable(line, str(error))
            return
        duplicates = tuple(Duplicate((key,), line, line) for key in repeated)
        repeated.clear()
        yield Document(line, root, duplicates, _item_lines(text, position, end, line) if _is_list(root) else ())
        line += text.count("\n", position, end)
        following = _skip(text, end)
        line += text.count("\n", end, following)
        position = following


def _is_list(root: Any) -> bool:
    return isinstance(root, dict) and isinstance(root.get("items"), list)


def _item_lines(text: str, position: int, end: int, line: int) -> tuple[int, ...]:
    """The lines on which the items of a List start, found by stepping over them once more."""
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


def _object(pairs: list[tuple[str, Any]], repeated: list[str]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        repeated.extend(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return found


def _skip(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position
