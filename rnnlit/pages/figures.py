"""One look for every figure of the book: sizes, colours, axes, direct labels, and a sentence each.

Needs matplotlib (`pip install rnnlit[book]`), which is imported when the first figure is made.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

# Okabe & Ito's colours that stand out on white, dark to light in grey; a dash pattern goes with each, so that
# a figure can be read without colour.
COLOURS = {
    "black": "#1f2328",
    "blue": "#0072b2",
    "orange": "#d55e00",
    "green": "#009e73",
    "purple": "#a6478a",
    "grey": "#767b84",
}
DASHES = {
    "black": "-",
    "blue": "-",
    "orange": "--",
    "green": "-.",
    "purple": (0, (1, 1)),
    "grey": (0, (4, 3)),
}

STYLE: dict[Any, Any] = {
    "figure.dpi": 96,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 10.5,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#767b84",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e6ea",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "image.cmap": "cividis",
    "xtick.color": "#3d434b",
    "ytick.color": "#3d434b",
}


def new(
    rows: int = 1, columns: int = 1, *, height: float = 3.0, width: float = 7.0, **options: Any
) -> tuple[Any, Any]:
    """A figure in the book's style and its axes: one Axes, or an array of them as from `plt.subplots`.

    height, width: of the whole figure, in inches. options go to `plt.subplots`.
    """
    import matplotlib.pyplot as plt

    with plt.rc_context(STYLE):
        return plt.subplots(rows, columns, figsize=(width, height), **options)


def line(
    ax: Any,
    x: Sequence[float] | np.ndarray,
    y: Sequence[float] | np.ndarray,
    colour: str,
    label: str = "",
    *,
    at: int = -1,
    side: str = "right",
    **options: Any,
) -> Any:
    """Draw a line in a colour of the book, with its dash pattern and a label beside point number `at`.

    side: "right", "left", "above" or "below". options go to `ax.plot`.
    """
    (drawn,) = ax.plot(x, y, color=COLOURS[colour], linestyle=DASHES[colour], **options)
    if label:
        offset, horizontal, vertical = {
            "right": ((8, 0), "left", "center"),
            "left": ((-8, 0), "right", "center"),
            "above": ((0, 5), "center", "bottom"),
            "below": ((0, -5), "center", "top"),
        }[side]
        place = dict(
            xytext=offset, textcoords="offset points", ha=horizontal, va=vertical, annotation_clip=False
        )
        ax.annotate(label, (x[at], y[at]), color=COLOURS[colour], **place)
    return drawn


def finish(fig: Any, sentence: str) -> None:
    """Show the figure, and print under it the one sentence that a reader should take from it.

    The printed sentence is compared when the notebook is tested; the site makes it the caption and
    the alternative text. In a notebook the picture is stored at twice the screen's resolution, in
    128 colours, which is a third of the bytes.
    """
    import matplotlib.pyplot as plt

    if not sentence.endswith("."):
        raise ValueError(f"sentence: expected a sentence that ends with a full stop, got {sentence!r}")
    for ax in fig.axes:  # a title belongs to the left edge, where one begins to read
        ax.set_title(ax.get_title(), loc="left")
        ax.set_title("")
    picture = _picture(fig) if _in_notebook() else None
    if picture is None:
        plt.show()
    else:
        from IPython.display import display

        display(picture)
    plt.close(fig)
    print(sentence)


def _in_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), "kernel")


def _picture(fig: Any) -> Any:
    from IPython.display import Image
    from PIL import Image as pillow

    drawn, small = io.BytesIO(), io.BytesIO()
    fig.savefig(drawn, format="png", dpi=2 * STYLE["figure.dpi"], bbox_inches="tight", pad_inches=0.05)
    with pillow.open(drawn) as image:
        image.convert("RGB").quantize(128, dither=pillow.Dither.NONE).save(small, format="png", optimize=True)
        return Image(small.getvalue(), width=image.width // 2)
