"""Sphinx extension `play`: figures that a reader plays with, in plain JavaScript, without a kernel.

    :::{play} lstm-cell
    ![What the drawing shows.](figures/play_lstm_cell.svg)

    What a reader should see; this is the caption.
    :::

is a numbered figure with the label `play-lstm-cell`, and whole where no script runs. The page also loads
`_static/play/play.css` and `play.js`, which no other page does, and `lstm-cell.js` when the figure comes near
the window. If there is a file `book/data/play/lstm-cell.json`, it stands in the figure, as
`<script type="application/json">`: a script may not fetch it from a page that was opened as a file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from myst_parser.sphinx_ext.directives import FigureMarkdown
from sphinx.application import Sphinx

BOOK = Path(__file__).parents[1]
SCRIPTS = BOOK / "_static" / "play"
DATA = BOOK / "data" / "play"


def data_element(text: str) -> str:
    """Return the element that holds a JSON text, without spaces; nothing in it can end the element."""
    compact = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    return '<script type="application/json">' + compact.replace("<", "\\u003c") + "</script>\n"


class Play(FigureMarkdown):
    """A figure of one drawing and one paragraph, which a script of its name brings to life."""

    required_arguments, optional_arguments = 1, 0
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """Return the figure; without a script of its name, or without drawing and caption, an error."""
        name = self.arguments[0]
        if not (SCRIPTS / f"{name}.js").is_file():
            return [self.figure_error(f"play: there is no script book/_static/play/{name}.js")]
        self.arguments[0] = f"play-{name}"
        made = super().run()
        for figure in made:
            if isinstance(figure, nodes.figure):
                figure["play"] = name  # for `load`
                figure["classes"].append("rl-play")
                data = DATA / f"{name}.json"
                self.env.note_dependency(str(data))
                if data.is_file():
                    # Before the drawing: what follows a caption would become a part of it.
                    element = data_element(data.read_text(encoding="utf-8"))
                    figure.insert(0, nodes.raw("", element, format="html"))
        return made


def load(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document) -> None:
    """Have a page load what its figures share."""
    if doctree and any("play" in figure for figure in doctree.findall(nodes.figure)):
        app.add_css_file("play/play.css")
        app.add_js_file("play/play.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive, and what its pages load."""
    app.add_directive("play", Play)
    app.connect("html-page-context", load)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
