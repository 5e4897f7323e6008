"""Sphinx extension `plots`: a notebook's plots, whole on every screen, and drawn for light and dark mode.

A plot is a picture of pixels, on white, which the notebook stores. On the page it
- has its size in its markup, so that nothing moves when it comes, and is never wider than the column; it is
  loaded when the reader comes near, or prints;
- is a link to the picture, which `page.js` opens large, over the page;
- is shown in the dark by `#rl-dark`, a filter that every page with cells has at its end. It turns white into
  the page's ground, black into its ink and the book's colours into those of the dark mode. As it is affine,
  what is a mixture of two colours, at the edge of a letter or a line, becomes the same mixture of two others.

In a map such as that of an `imshow`, light and dark have a meaning, and the text speaks of it. So these
rectangles keep their colours: the picture lies on itself there, without the filter.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

# What becomes of white, black and of four colours of `rnnlit.pages.figures` in the dark. The first two hold
# exactly; they are --rl-paper and --rl-ink of rnnlit.css. The others as nearly as a linear map can.
PAPER, INK = "#14181e", "#e6e9ee"
DARK = {"#0072b2": "#56b4e9", "#d55e00": "#f0883e", "#009e73": "#2ebd8f", "#a6478a": "#d99cc6"}

MAPS = re.compile(r"\b(?:imshow|matshow|pcolor|pcolormesh|contourf)\(")
SMALLEST = 24  # pixels of the picture: a rectangle that keeps its colours is at least so wide and so high
LINE = 40  # pixels that a line of letters may be high


class Box(NamedTuple):
    """A rectangle of a picture, in pixels; right and bottom are the first beyond it."""

    left: int
    top: int
    right: int
    bottom: int


# ---------------------------------------------------------------- colours in the dark


def rgb(colour: str) -> np.ndarray:
    """Return #rrggbb as three numbers from 0 to 1."""
    return np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255


def mixing() -> np.ndarray:
    """Return M, shape (3, 3): in the dark x becomes paper + (1 - x) M.

    White becomes paper. Black becomes ink if the rows of M sum to ink - paper; so the third row follows from
    the others, which are the least squares for the colours of `DARK`.
    """
    paper, ink = rgb(PAPER), rgb(INK)
    a = np.array([1 - rgb(light) for light in DARK])
    b = np.array([rgb(dark) - paper for dark in DARK.values()])
    rows = np.linalg.lstsq(a[:, :2] - a[:, 2:], b - a[:, 2:] * (ink - paper), rcond=None)[0]
    return np.vstack([rows, ink - paper - rows.sum(axis=0)])


def in_the_dark(x: np.ndarray) -> np.ndarray:
    """Return what becomes of colours in the dark; x: (..., 3), from 0 to 1."""
    return np.clip(rgb(PAPER) + (1 - x) @ mixing(), 0, 1)


def filter_markup() -> str:
    """Return the filter, as an element: a matrix of four rows, of red, green, blue, alpha and 1."""
    m = mixing()
    constant = rgb(PAPER) + m.sum(axis=0)
    rows = [[*(-m[:, k]), 0, constant[k]] for k in range(3)]
    values = " ".join(f"{value:.4g}" for row in [*rows, [0, 0, 0, 1, 0]] for value in row)
    return (
        '<svg width="0" height="0" style="position: absolute" aria-hidden="true" focusable="false">'
        '<filter id="rl-dark" color-interpolation-filters="sRGB">'
        f'<feColorMatrix values="{values}"/></filter></svg>'
    )


# ---------------------------------------------------------------- what keeps its colours


def runs(row: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield the beginning and the end of each long stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]])))
    yield from ((int(a), int(b)) for a, b in edges.reshape(-1, 2) if b - a >= SMALLEST)


def maps(pixels: np.ndarray) -> list[Box]:
    """Return the rectangles without a white pixel; pixels: (height, width, 3), from 0 to 255.

    A mark of the axis makes the stretches of its rows longer, and white letters make them shorter. Both cut a
    rectangle in two, so parts that are near each other are joined.
    """
    drawn = (pixels < 255).any(axis=2)
    open_, found = {}, []
    for y in range(len(drawn) + 1):
        here = set(runs(drawn[y])) if y < len(drawn) else set()
        for run in set(open_) - here:
            found.append(Box(run[0], open_.pop(run), run[1], y))
        open_ |= {run: y for run in here - set(open_)}
    joined: list[Box] = []
    for box in sorted(found, key=lambda box: (box.left, box.right, box.top)):
        last = joined[-1] if joined else None
        if last and (last.left, last.right) == (box.left, box.right) and box.top - last.bottom <= LINE:
            joined[-1] = last._replace(bottom=box.bottom)
        else:
            joined.append(box)
    return [box for box in joined if box.bottom - box.top >= SMALLEST]


def kept(box: Box, size: tuple[int, int]) -> str:
    """Return the style that shows of a picture of `size` one rectangle alone."""
    width, height = size
    sides = (
        box.top / height,
        1 - box.right / width,
        1 - box.bottom / height,
        box.left / width,
    )
    return "clip-path: inset(" + " ".join(f"{100 * side:.4g}%" for side in sides) + ")"


# ---------------------------------------------------------------- on the page


class plot(nodes.image):  # a small letter: docutils names the visitor after it
    """The picture of a plot. shows_map: whether it was drawn by one of `MAPS`."""


class Plots(SphinxPostTransform):
    """Make the pictures of pixels in a notebook's outputs plots."""

    default_priority = 8  # after figure_sentence
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        for cell in list(self.document.findall(nodes.container)):
            if cell.get("nb_element") != "cell_code":
                continue
            code = "".join(block.astext() for block in cell.findall(nodes.literal_block))
            for image in list(cell.findall(nodes.image)):
                if image["uri"].endswith(".png") and image.get("alt"):
                    one = plot("", **image.attributes)
                    one["shows_map"] = bool(MAPS.search(code))
                    one["classes"].append("no-scaled-link")  # it has a link of its own
                    image.replace_self(one)


def visit(self: Any, node: plot) -> None:
    """Write a plot."""
    source = posixpath.join(self.builder.imgpath, quote(self.builder.images[node["uri"]]))
    with Image.open(Path(self.builder.srcdir, node["uri"])) as image:
        size = image.size
        boxes = maps(np.asarray(image.convert("RGB"))) if node["shows_map"] else []
    wide = int(re.sub(r"\D", "", str(node.get("width", ""))) or max(size[0] // 2, 1))
    high = round(wide * size[1] / size[0])
    layers = "".join(
        f'<span class="rl-kept" style="background-image: url({source}); {kept(box, size)}"></span>'
        for box in boxes
    )
    self.body.append(
        f'<a class="rl-plot" href="{source}" title="Open the plot large" style="max-width: {wide}px">'
        f'<img alt="{escape(node["alt"])}" src="{source}" width="{wide}" height="{high}" loading="lazy" />'
        f"{layers}</a>\n"
    )
    raise nodes.SkipNode


def add_filter(app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Put the filter at the end of a page with cells, whose outputs may become plots later too."""
    if doctree is not None and any(
        node.get("nb_element") == "cell_code" for node in doctree.findall(nodes.container)
    ):
        context["body"] += filter_markup()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the plots, and the filter."""
    app.add_node(plot, html=(visit, None))
    app.add_post_transform(Plots)
    app.connect("html-page-context", add_filter)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
