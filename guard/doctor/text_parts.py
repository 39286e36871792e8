"""What reading a text gives, whatever its notation: documents, equal keys, parts that could not be read. Values only."""

from dataclasses import dataclass
from typing import Any

from guard.doctor.tree import Path


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two equal keys of one mapping: the second wins without a word.

    Attributes:
        path: The way to the key.
        first: The line of the first.
        second: The line of the one that wins.
    """

    path: Path
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Document:
    """One readable document.

    Attributes:
        line: Where it starts.
        root: The tree.
        duplicates: Equal keys in it.
        item_lines: Where the items of a List start, for trees that keep no lines of their own.
    """

    line: int
    root: Any
    duplicates: tuple[Duplicate, ...] = ()
    item_lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A text, or a part of one, that could not be read."""

    line: int | None
    reason: str
