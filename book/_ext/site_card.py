"""The picture that other sites show beside a link to a page: its title, and a chain of recurrent cells.

Drawn with Pillow, which Matplotlib brings, in the book's own face and colours (those of rnnlit.css, light).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIZE = (1200, 630)  # what Open Graph's readers cut nothing from
FINER = 2  # the chain is drawn so many times larger, then made smaller, for smooth edges
FACE = Path(__file__).parent.parent / "_static" / "fonts" / "source-serif-4-latin-wght-normal.woff2"
INK, MUTED, PAPER, FILL = "#1b1f24", "#57606a", "#ffffff", "#f1f4f8"
BLUE, RED, PURPLE = "#0b57a4", "#c2302b", "#a3478a"
LEFT, RIGHT, CELLS = 90, 1110, 6


@cache
def font(size: int, weight: int) -> ImageFont.FreeTypeFont:
    """Return the book's face at a size in pixels and a weight from 200 to 900."""
    face = ImageFont.truetype(str(FACE), size)
    face.set_variation_by_axes([weight])
    return face


def lines(title: str, face: ImageFont.FreeTypeFont) -> list[str]:
    """Break a title into lines that fit the card."""
    found: list[str] = []
    for word in title.split():
        longer = f"{found[-1]} {word}" if found else word
        if found and face.getlength(longer) <= RIGHT - LEFT:
            found[-1] = longer
        else:
            found.append(word)
    return found


class Pen:
    """Draws in pixels of the card, on a picture that is `FINER` times larger."""

    def __init__(self, picture: Image.Image) -> None:
        self.on = ImageDraw.Draw(picture)

    def arrow(self, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
        """Draw a line to `end`, level or upright, with a head."""
        (x, y), level = end, start[1] == end[1]
        back, side = ((-15, 0), (0, 7)) if level else ((0, 15), (7, 0))
        shaft = (x + back[0] / 2, y + back[1] / 2)
        head = [end, *((x + back[0] + k * side[0], y + back[1] + k * side[1]) for k in (-1, 1))]
        self.on.line([(a * FINER, b * FINER) for a, b in (start, shaft)], colour, 4 * FINER)
        self.on.polygon([(a * FINER, b * FINER) for a, b in head], colour)

    def box(self, left: float, top: float, side: float) -> None:
        """Draw a cell."""
        corners = [v * FINER for v in (left, top, left + side, top + side)]
        self.on.rounded_rectangle(corners, 12 * FINER, FILL, PURPLE, 4 * FINER)


@cache
def ground() -> Image.Image:
    """Return what all cards have: the chain of cells."""
    picture = Image.new("RGB", (SIZE[0] * FINER, SIZE[1] * FINER), PAPER)
    pen = Pen(picture)
    pen.on.rectangle([0, 0, 16 * FINER, SIZE[1] * FINER], BLUE)
    side, top = 86, 450
    step = (RIGHT - LEFT - side) / (CELLS - 1)
    for k in range(CELLS):
        x, middle = LEFT + k * step, LEFT + k * step + side / 2
        pen.arrow((middle, top + side + 56), (middle, top + side), MUTED)  # the input
        pen.arrow((middle, top), (middle, top - 46), BLUE)  # the output
        if k + 1 < CELLS:
            pen.arrow((x + side, top + side / 2), (x + step, top + side / 2), RED)  # the state
        pen.box(x, top, side)
    return picture.resize(SIZE, Image.Resampling.LANCZOS)


def draw(title: str, book: str) -> Image.Image:
    """Return the card of a page: the book's title small, its own large; the front page has only that.

    title: in Latin letters, as the book's face has no others.
    """
    picture = ground().copy()
    pen = ImageDraw.Draw(picture)
    if title != book:
        pen.text((LEFT, 110), book, MUTED, font(34, 400), anchor="ls")
    size = next(s for s in (92, 78, 64, 52) if len(lines(title, font(s, 600))) <= 2 or s == 52)
    for k, line in enumerate(lines(title, font(size, 600))):
        pen.text((LEFT, 130 + (k + 1) * size * 1.1), line, INK, font(size, 600), anchor="ls")
    return picture.quantize(64)
