"""Sphinx extension `figure_sentence`: the sentence under a plot becomes its alternative text and its caption.

The book's convention: a cell that shows a plot prints one line of plain words right under it. A notebook
keeps the two as an image and a stream of text. On the page the line is the image's alternative text, and a
caption in the page's own type instead of a block of console output. What the cell prints after that first
line stays console output.

A plot without a sentence is a warning.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)


def is_stdout(node: nodes.Node | None) -> bool:
    """Tell whether the node is what a cell printed."""
    return (
        isinstance(node, nodes.literal_block)
        and "stream" in node["classes"]
        and "stderr" not in node["classes"]
    )


def give_sentence(image: nodes.image, printed: nodes.literal_block) -> None:
    """Move the first line of `printed` to the image: as alternative text, and as a caption under it."""
    sentence, _, rest = printed.astext().strip().partition("\n")
    image["alt"] = sentence
    caption = nodes.paragraph("", sentence, classes=["rl-sentence"])
    if rest.strip():
        printed.children = [nodes.Text(rest)]
        printed.rawsource = rest
        printed.parent.insert(printed.parent.index(printed), caption)
    else:
        printed.parent.replace(printed, caption)


class FigureSentence(SphinxPostTransform):
    """Give each plot in a notebook's output its sentence."""

    default_priority = 6  # after myst-nb has chosen one MIME type for each output (4)
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        for output in list(self.document.findall(nodes.container)):
            if output.get("nb_element") == "cell_code_output":
                for image in list(output.findall(nodes.image)):
                    self.finish(image, output)

    def finish(self, image: nodes.image, output: nodes.container) -> None:
        """Find the sentence of one plot: the text printed right after it."""
        top: nodes.Node = image
        while top.parent is not output:
            top = top.parent
        place = output.index(top) + 1
        after = output[place] if place < len(output) else None
        if is_stdout(after) and after.astext().strip():
            give_sentence(image, after)
        elif not image.get("alt"):
            logger.warning(
                "a plot without a sentence: print one right under it", location=image, type="figure"
            )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform."""
    app.add_post_transform(FigureSentence)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
