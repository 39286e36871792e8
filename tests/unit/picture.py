"""The pictures of README and docs/concepts.md, drawn from text: `python tests/unit/picture.py` writes them, a test compares.

Two files each, for a light page and for a dark one, with a background of their own.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

DOCS = Path(__file__).parents[2] / "docs"
NAMES = ("picture", "concepts")

#: Line pitch, size of text and of a box's name, in SVG units.
PITCH, TEXT, NAME = 20, 13, 15
#: The widest that a letter of the fonts below is on average, as a share of its size.
LETTER, CODE_LETTER = 0.56, 0.62
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_CODE_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


@dataclass(frozen=True)
class Colours:
    """One page's colours, as #rrggbb.

    Attributes:
        page: The background, about that of the page.
        text: Names and lines.
        line: Arrows and borders.
        box: What is there without the guard.
        ours: What is the guard's.
        border: The border of what is the guard's.
    """

    page: str
    text: str
    line: str
    box: str
    ours: str
    border: str


THEMES = {
    ".svg": Colours("#ffffff", "#1f2328", "#59636e", "#f6f8fa", "#ddf4ff", "#0969da"),
    "-dark.svg": Colours("#0d1117", "#e6edf3", "#9198a1", "#161b22", "#0c2d4d", "#4493f8"),
}


def source(name: str) -> dict[str, Any]:
    """Returns a picture as its text describes it."""
    return tomllib.loads((DOCS / f"{name}.toml").read_text())


def drawn(picture: dict[str, Any], colours: Colours) -> str:
    """The picture as SVG."""
    width, height = picture["width"], picture["height"]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
            f"<title>{escape(picture['title'])}</title>",
            f'<rect width="{width}" height="{height}" rx="8" fill="{colours.page}"/>',
            _tip(colours),
            *(_group(group, colours) for group in picture["group"]),
            *(part for arrow in picture["arrow"] for part in _arrow(arrow, colours)),
            *(part for box in picture["box"] for part in _box(box, colours)),
            "</svg>\n",
        ]
    )


def _tip(colours: Colours) -> str:
    """What an arrow ends with."""
    shape = f'<path d="M0 0 8 4 0 8z" fill="{colours.line}"/>'
    return f'<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">{shape}</marker></defs>'


def _group(group: dict[str, Any], colours: Colours) -> str:
    (x, y), (width, height) = group["at"], group["size"]
    frame = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="none" stroke="{colours.line}" stroke-dasharray="5 4"/>'
    return frame + _text(x + width - 14, y + PITCH, group["name"], colours.text, TEXT, anchor="end", weight=600)


def _box(box: dict[str, Any], colours: Colours) -> Iterator[str]:
    (x, y), (width, height) = box["at"], box["size"]
    fill, stroke = (colours.ours, colours.border) if box.get("ours") else (colours.box, colours.line)
    yield f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>'
    middle = x + width / 2
    first = y + (height - PITCH * len(box["lines"])) / 2 + NAME / 3
    yield _text(middle, first, box["name"], colours.text, NAME, weight=600)
    for number, line in enumerate(box["lines"], start=1):
        font = _CODE_FONT if line.startswith("$") else _FONT
        yield _text(middle, first + PITCH * number, line.removeprefix("$"), colours.text, TEXT, font=font)


def _arrow(arrow: dict[str, Any], colours: Colours) -> Iterator[str]:
    points = " ".join(f"{x},{y}" for x, y in arrow["points"])
    yield f'<polyline points="{points}" fill="none" stroke="{colours.line}" stroke-width="1.5" marker-end="url(#tip)"/>'
    if "label" in arrow:
        (left, top), (right, bottom) = arrow["points"][0], arrow["points"][-1]
        x, y = arrow.get("label_at", [(left + right) / 2, (top + bottom) / 2 - 8])
        yield _text(x, y, arrow["label"], colours.line, TEXT)


def _text(
    x: float, y: float, text: str, colour: str, size: int, *, anchor: str = "middle", weight: int = 400, font: str = _FONT
) -> str:  # fmt: skip
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-family="{font}" font-size="{size}" '
        f'font-weight="{weight}" fill="{colour}">{escape(text)}</text>'
    )


if __name__ == "__main__":
    for name in NAMES:
        for ending, theme in THEMES.items():
            (DOCS / f"{name}{ending}").write_text(drawn(source(name), theme))
