"""The pictures are what their text describes, and can be read on a light and on a dark page, the README's on a phone."""

from typing import Any

import pytest

from tests.unit import picture

PICTURES = {name: picture.source(name) for name in picture.NAMES}
BOXES = [box for one in PICTURES.values() for box in one["box"]]
#: CSS pixels across the screen of a common phone, and the smallest letters that are read there.
PHONE, SMALLEST = 390, 11
#: WCAG 2.2, success criterion 1.4.3: contrast of text to what lies behind it, at least.
CONTRAST = 4.5


@pytest.mark.parametrize("ending", picture.THEMES)
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_the_one_that_its_text_draws(name: str, ending: str) -> None:
    drawn = picture.drawn(PICTURES[name], picture.THEMES[ending])
    assert (picture.DOCS / f"{name}{ending}").read_text() == drawn, "run: python tests/unit/picture.py"


def test_the_readme_s_picture_can_be_read_on_a_phone() -> None:
    assert picture.TEXT * PHONE / max(PHONE, PICTURES["picture"]["width"]) >= SMALLEST


@pytest.mark.parametrize("name", PICTURES)
def test_every_arrow_has_a_label(name: str) -> None:
    assert [arrow for arrow in PICTURES[name]["arrow"] if not arrow.get("label")] == []


@pytest.mark.parametrize("colours", picture.THEMES.values(), ids=picture.THEMES)
def test_text_stands_out_from_the_page_and_from_every_box(colours: picture.Colours) -> None:
    for behind in (colours.page, colours.box, colours.ours):
        assert _contrast(colours.text, behind) >= CONTRAST
    assert _contrast(colours.line, colours.page) >= CONTRAST


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG defines it."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_black_on_white_has_the_contrast_that_wcag_names() -> None:
    assert round(_contrast("#000000", "#ffffff"), 2) == 21.0


@pytest.mark.parametrize("box", BOXES, ids=lambda box: box["name"])
def test_every_line_fits_its_box(box: dict[str, Any]) -> None:
    width, height = box["size"]
    widths = [len(box["name"]) * picture.NAME * picture.LETTER]
    for line in box["lines"]:
        letter = picture.CODE_LETTER if line.startswith("$") else picture.LETTER
        widths.append(len(line.removeprefix("$")) * picture.TEXT * letter)
    assert max(widths) < width
    assert (len(box["lines"]) + 1) * picture.PITCH < height


@pytest.mark.parametrize("name", PICTURES)
def test_no_box_lies_on_another_or_outside_the_picture(name: str) -> None:
    boxes = PICTURES[name]["box"]
    areas = [(box["at"], [box["at"][0] + box["size"][0], box["at"][1] + box["size"][1]]) for box in boxes]
    for number, ((left, top), (right, bottom)) in enumerate(areas):
        assert 0 <= left < right <= PICTURES[name]["width"]
        assert 0 <= top < bottom <= PICTURES[name]["height"]
        for (other_left, other_top), (other_right, other_bottom) in areas[number + 1 :]:
            apart = right <= other_left or other_right <= left or bottom <= other_top or other_bottom <= top
            assert apart
