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
    """A line of a source."""

    source: str  # the file, `-` for standard input
    line: int | None = None  # from 1; None if the source has no lines to speak of

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class DuplicateKey:
    """A key that is set more than once in one mapping: the last one wins without a word."""

    path: Path  # the way to the key
    first: int  # the line of the first
    last: int  # the line of the one that wins
    times: int = 2  # how often it is set


@dataclass(frozen=True, slots=True)
class Document:
    """One document that could be read."""

    line: int  # where it starts
    root: Any  # the tree
    duplicate_keys: tuple[DuplicateKey, ...] = ()  # the first of its duplicate keys
    item_lines: tuple[int, ...] = ()  # where the items of a List start, for trees that keep no lines of their own


@dataclass(frozen=True, slots=True)
class ReadError:
    """A text, or a part of one, that could not be read."""

    place: Place  # where
    reason: str  # why
    is_text: bool = False  # whether it is a fault of the text of a manifest, not of the command line


@dataclass(eq=False)
class TextError(Exception):
    """A text that is not read on, from a line on."""

    line: int | None
    reason: str
    is_final: bool = False  # whether no other part of the text is worth a try
