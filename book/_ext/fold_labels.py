"""Sphinx extension `fold_labels`: what stands on the line under which a part of a cell is folded.

A folded output is the answer to the question above it, so its line says "Show the answer". A cell may have a
line of its own, in its metadata: {"mystnb": {"code_prompt_show": "Checked: ..."}}; the open
fold has "code_prompt_hide".
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

LABELS = {
    "output": ("Show the answer", "Hide the answer"),
    "input": ("Show the code", "Hide the code"),
    "all": ("Show the code and what it prints", "Hide the code and what it prints"),
}


class FoldLabels(SphinxPostTransform):
    """Give each folded cell the line of its kind, unless it has one of its own."""

    default_priority = 1  # before myst-nb folds

    def run(self, **kwargs: Any) -> None:
        for cell in self.document.findall(nodes.container):
            labels = LABELS.get(cell.get("hide_mode", ""))
            if labels is None:
                continue
            own = cell.get("cell_metadata", {}).get("mystnb", {})
            show = own.get("code_prompt_show")
            cell["prompt_show"] = show or labels[0]
            cell["prompt_hide"] = own.get("code_prompt_hide") or show or labels[1]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(FoldLabels)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
