"""Sphinx extension `claim_anchors`: a cell that prints evidence for a claim of the article can be linked to.

Evidence is a printed line that begins with the claim's name and two spaces: "L5   every gate changes ...".
The first such cell of the book gets the label `claim-l5`; `[text](#claim-l5)` on any page leads to it.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

NAMES = re.compile(r"^([A-Z]\d+(?:, [A-Z]\d+)*) {2,}\S", re.M)


def claims_of(cell: nodes.container) -> list[str]:
    """The names that a code cell prints evidence for, in order."""
    names = []
    for block in cell.findall(nodes.literal_block):
        if "stream" in block["classes"]:
            names += [name for match in NAMES.finditer(block.astext()) for name in match[1].split(", ")]
    return list(dict.fromkeys(names))


def label_cells(app: Sphinx, doctree: nodes.document) -> None:
    """Give each cell with evidence an id and a label, unless another cell has it already."""
    labels = app.env.get_domain("std").anonlabels
    for cell in doctree.findall(nodes.container):
        if cell.get("nb_element") != "cell_code":
            continue
        for name in claims_of(cell):
            label = f"claim-{name.lower()}"
            if label not in labels:
                cell["ids"].append(label)
                labels[label] = app.env.docname, label


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("doctree-read", label_cells)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
