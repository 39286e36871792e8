"""Documents and where they are: what reading a text gives, whatever its notation. Values only."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from guard.doctor.source.tree import Path

#: The name of standard input among files.
STDIN = "-"
#: Notes of one sort that one document or file may add to the report: foreign text must not fill it.
MAX_NOTES = 20


class Side(Enum):
    """Where an object comes from: what somebody means to apply, or what the cluster has."""

    FILE = "file"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a source.

    Attributes:
        source: The file, `-` for standard input.
        line: From 1; None if the source has no lines to speak of.
    """

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class DuplicateKey:
    """A key that is set more than once in one mapping: the last one wins without a word.

    Attributes:
        path: The way to the key.
        first: The line of the first.
        last: The line of the one that wins.
        times: How often it is set.
    """

    path: Path
    first: int
    last: int
    times: int = 2


@dataclass(frozen=True, slots=True)
class Document:
    """One document that could be read.

    Attributes:
        line: Where it starts.
        root: The tree.
        duplicate_keys: The first of its duplicate keys.
        item_lines: Where the items of a List start, for trees that keep no lines of their own.
    """

    line: int
    root: Any
    duplicate_keys: tuple[DuplicateKey, ...] = ()
    item_lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadError:
    """A text, or a part of one, that could not be read.

    Attributes:
        place: Where.
        reason: Why.
        is_text: Whether it is a fault of the text of a manifest, not of the command line.
    """

    place: Place
    reason: str
    is_text: bool = False


class TextError(Exception):
    """A text that is not read on, from a line on."""

    def __init__(self, line: int | None, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason
