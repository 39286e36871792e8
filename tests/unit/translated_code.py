"""The code of the Korean pages, taken from the English ones: `python tests/unit/translated_code.py` writes it, a test compares.

Commands change more often than the sentences around them, and nobody should have to type them twice.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY))  # run as a script, this folder is on the path and its parents are not

from tests.unit import markdown  # noqa: E402

RUNBOOKS = REPOSITORY / "docs" / "runbooks"
KOREAN = RUNBOOKS / "ko"


def pairs() -> dict[Path, Path]:
    """Every English page that has to have a Korean one, and where that is."""
    runbooks = {page: KOREAN / page.name for page in sorted(RUNBOOKS.glob("*.md"))}
    entrances = {folder / "README.md": folder / "README.ko.md" for folder in (REPOSITORY, REPOSITORY / "k8s")}
    return {**entrances, **runbooks}


def with_code_of(english: Path, korean: Path) -> str:
    """The Korean page with the English one's blocks in the place of its own.

    Raises:
        ValueError: One has more blocks than the other.
    """
    blocks = [block for block in markdown.read(english).blocks if block.language]
    places = [block for block in markdown.read(korean).blocks if block.language]
    if len(blocks) != len(places):
        raise ValueError(f"{korean}: {len(places)} blocks of code, and {len(blocks)} in {english}")
    pairs = zip(blocks, places, strict=True)
    blocks = [place if without_comments(place) == without_comments(block) else block for block, place in pairs]
    return "\n".join(_replaced(korean.read_text().splitlines(), iter(blocks))) + "\n"


def without_comments(block: markdown.Block) -> tuple[str, str]:
    """Returns what is run or applied of a block: comments may be translated."""
    return block.language, "\n".join(re.sub(r"(?:^|\s+)# .*", "", line) for line in block.text.splitlines())


def _replaced(lines: list[str], blocks: Iterator[markdown.Block]) -> Iterator[str]:
    inside = False
    for line in lines:
        fence = line.strip().startswith("```")
        if fence and not inside:
            indent = line[: len(line) - len(line.lstrip())]
            block = next(blocks)
            yield f"{indent}```{block.language}"
            yield from (f"{indent}{code}".rstrip() for code in block.text.split("\n"))
        if fence:
            inside = not inside
        if not inside:
            yield line


if __name__ == "__main__":
    for english, korean in pairs().items():
        if korean.exists():
            korean.write_text(with_code_of(english, korean))
