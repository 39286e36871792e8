"""Foreign text made fit to print: names and markers come from whoever can write the volume. Pure."""

from collections.abc import Iterable
from typing import Literal

#: How log lines look: GUARD_LOG_FORMAT.
Format = Literal["auto", "json", "console"]

#: The longest foreign text in a line, in characters.
LIMIT = 128


def printable(text: str) -> str:
    r"""Escapes what a terminal would obey and what is not UTF-8: `\n`, `\x1b`, `\u202e`, `\udcff`."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def truncate(text: str, limit: int = LIMIT) -> str:
    """Printable, and at most `limit` characters long."""
    shown = printable(text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def ending(text: str, limit: int) -> str:
    """Printable, and its last `limit` characters: of a traceback, where it happened."""
    shown = printable(text)
    return shown if len(shown) <= limit else "…" + shown[1 - limit :]


def nearest(word: str, known: Iterable[str]) -> str:
    """Returns the known name with the fewest edits; of several the first."""
    return min(known, key=lambda name: edit_distance(word, name))


def edit_distance(one: str, other: str) -> int:
    """Returns Levenshtein's distance between two names: insertions, deletions, substitutions. Only their starts count."""
    one, other = one[:LIMIT], other[:LIMIT]
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        last, row[0] = row[0], i
        for j, right in enumerate(other, start=1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (left != right))
    return row[-1]


def _escape(letter: str) -> str:
    return ascii(letter)[1:-1]  # not by a codec: that would be loaded when it is needed, and no descriptor may be left
