"""What a page of Markdown is made of: headings, tables, code, links. Enough to compare a page with its translation."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"(?P<indent> *)(?P<fence>`{3,})(?P<language>\S*)\s*")
_HEADING = re.compile(r"(#{1,6}) (.+)")
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
#: What makes a line code, after an empty one.
_INDENT = "    "
_CELL_END = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Block:
    """A block of code: its language and its text, without the indentation of a list around it."""

    language: str
    text: str


@dataclass(frozen=True)
class Page:
    """A page, taken apart.

    Attributes:
        headings: Level and text.
        tables: Each table's rows, each row's cells; the line of dashes is one.
        blocks: Code blocks, in order.
        paragraphs: Prose apart from headings, tables and code; an item of a list is one.
        spans: Every code span.
        links: Every link's and picture's target, in order.
    """

    headings: tuple[tuple[int, str], ...]
    tables: tuple[tuple[tuple[str, ...], ...], ...]
    blocks: tuple[Block, ...]
    paragraphs: tuple[str, ...]
    spans: frozenset[str]
    links: tuple[str, ...]

    def levels(self) -> list[int]:
        """The levels of the headings."""
        return [level for level, _ in self.headings]

    def dimensions(self) -> list[list[int]]:
        """For each table, the columns of each row."""
        return [[len(row) for row in table] for table in self.tables]


def read(path: Path) -> Page:
    """Takes the page in this file apart."""
    prose, blocks = _apart(path.read_text())
    headings: list[tuple[int, str]] = []
    tables: list[list[tuple[str, ...]]] = []
    paragraphs: list[str] = []
    last = ""
    for line in prose:
        if line.startswith("|"):
            if not last.startswith("|"):
                tables.append([])
            tables[-1].append(_cells(line))
        elif heading := _HEADING.fullmatch(line):
            headings.append((len(heading[1]), heading[2]))
        elif line.strip() and not line.startswith("<"):
            begins = not paragraphs or not last.strip() or re.match(r" *(?:[*-]|\d+\.) ", line) is not None
            if begins:
                paragraphs.append(line.strip())
            else:
                paragraphs[-1] += " " + line.strip()
        last = line
    text = " ".join(prose)
    return Page(
        tuple(headings),
        tuple(tuple(table) for table in tables),
        tuple(blocks),
        tuple(paragraphs),
        frozenset(" ".join(found[2].split()) for found in _CODE_SPAN.finditer(text)),
        tuple(found[1] or found[2] for found in _LINK.finditer(_CODE_SPAN.sub("", text))),
    )


def bare(text: str) -> str:
    """Prose without code spans and targets of links: what there is to translate."""
    return _LINK.sub("]", _CODE_SPAN.sub("", text))


def _apart(text: str) -> tuple[list[str], list[Block]]:
    """The lines of prose, and the blocks of code between them: fenced, or indented by four spaces after an empty line."""
    prose: list[str] = []
    blocks: list[Block] = []
    lines = iter(text.splitlines())
    for line in lines:
        opened = _FENCE.fullmatch(line)
        if opened is not None:
            inside = list(_fenced(lines, opened))
            blocks.append(Block(opened["language"], "\n".join(inside)))
            prose.append("")
        elif line.startswith(_INDENT) and prose and not prose[-1].strip():
            blocks.append(Block("", line.strip()))  # each line by itself: only fenced blocks are compared as wholes
        else:
            prose.append(line)
    return prose, blocks


def _fenced(lines: Iterator[str], opened: re.Match[str]) -> Iterator[str]:
    """The lines up to the end of a fenced block."""
    for line in lines:
        if line.strip() == opened["fence"]:
            return
        yield line.removeprefix(opened["indent"])
    raise ValueError(f"a block of code is never closed: {opened[0]}")


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in _CELL_END.split(line.strip())[1:-1])
