"""The text of "Alice's Adventures in Wonderland" (Lewis Carroll 1865), which stands in the package."""

from __future__ import annotations

import re
from importlib.resources import files


def story() -> str:
    """The story, some 142 000 characters: a paragraph a line, a quotation between ` and '.

    Public domain; where it comes from: rnnlit/data/ALICE.md.
    """
    return files("rnnlit").joinpath("data", "alice.txt").read_text(encoding="ascii")


def letters() -> str:
    """The story in small letters and spaces alone, some 131 000 characters of 27 kinds."""
    words = re.findall(r"[a-z]+", story().lower().replace("'", ""))
    return " ".join(words)
