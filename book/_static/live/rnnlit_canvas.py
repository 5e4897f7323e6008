"""matplotlib's backend in the reader's browser: `plt.show()` sends the open figures to the page.

Not in the package, whose NumPy half imports no matplotlib; worker.mjs names it in MPLBACKEND.
"""

from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg as FigureCanvas

from rnnlit.pages import live

__all__ = ["FigureCanvas", "show"]


def show(*arguments: Any, **keywords: Any) -> None:
    """Send each open figure and close it; matplotlib's own arguments change nothing here."""
    live.show_figures()
