"""The Korean pages say what the English ones say: same headings, tables, commands, names and links, and no English left."""

import os
import re
from pathlib import Path

import pytest

from tests.unit import markdown
from tests.unit import translated_code as pages
from tests.unit.translated_code import KOREAN, REPOSITORY, RUNBOOKS

PAIRS = pages.pairs()
_HANGUL = re.compile("[가-힣]")


def _name(value: Path) -> str:
    return str(value.relative_to(REPOSITORY))


pairs = pytest.mark.parametrize(("english", "korean"), PAIRS.items(), ids=_name)


@pairs
def test_a_page_and_its_translation_have_the_same_headings_and_tables(english: Path, korean: Path) -> None:
    ours, theirs = markdown.read(english), markdown.read(korean)
    assert theirs.levels() == ours.levels()
    assert theirs.dimensions() == ours.dimensions()


@pairs
def test_a_page_and_its_translation_have_the_same_code(english: Path, korean: Path) -> None:
    ours, theirs = markdown.read(english).blocks, markdown.read(korean).blocks
    assert [pages.without_comments(block) for block in theirs] == [pages.without_comments(block) for block in ours], (
        "run: python tests/unit/translated_code.py"
    )


def test_only_the_comments_of_code_may_differ() -> None:
    english = markdown.Block("yaml", "value: 0    # CHANGE ME: the uid")
    korean = markdown.Block("yaml", "value: 0    # 바꾸세요: uid")
    assert pages.without_comments(english) == pages.without_comments(korean)
    assert pages.without_comments(english) != pages.without_comments(
        markdown.Block("yaml", "value: 1    # CHANGE ME: the uid")
    )


@pairs
def test_a_page_and_its_translation_name_the_same_settings_events_and_files(english: Path, korean: Path) -> None:
    assert markdown.read(korean).spans == markdown.read(english).spans


@pairs
def test_a_page_and_its_translation_link_to_the_same_pages(english: Path, korean: Path) -> None:
    assert sorted(_targets(korean)) == sorted(_targets(english))


def _targets(page: Path) -> list[str]:
    """What a page links to, a translated page under its English name; anchors and the other language's twin aside."""
    found = []
    for link in markdown.read(page).links:
        target = link.partition("#")[0]
        if "://" in target:
            found.append(target)
            continue
        path = _english(Path(os.path.normpath(page.parent / target)) if target else page)
        if path != _english(page):
            found.append(_name(path))
    return found


def _english(page: Path) -> Path:
    """The English name of a page, whether it is there or not."""
    if page.parent == KOREAN:
        return RUNBOOKS / page.name
    return page.with_name(page.name.replace(".ko.md", ".md"))


@pytest.mark.parametrize("korean", PAIRS.values(), ids=_name)
def test_no_paragraph_and_no_heading_is_left_untranslated(korean: Path) -> None:
    read = markdown.read(korean)
    paragraphs = [text for text in read.paragraphs if re.search("[A-Za-z]", markdown.bare(text))]
    headings = [text for level, text in read.headings if level > 1]
    assert [text for text in (*paragraphs, *headings) if not _HANGUL.search(text)] == []


def test_every_korean_page_has_its_english_one() -> None:
    assert {page.name for page in KOREAN.glob("*.md")} == {page.name for page in RUNBOOKS.glob("*.md")}
