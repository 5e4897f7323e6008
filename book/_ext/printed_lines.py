"""Sphinx extension `printed_lines`: what a cell prints is whole on a phone.

A line that is longer than a phone is wide goes on below, and a step to the right: each such line gets an
element of its own, `rl-line`, which rnnlit.css gives a hanging indent. Where a line has a wide gap beyond the
phone's edge, what follows belongs to something above or below it; such a block, `rl-columns`, stays as it is
and scrolls.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from unicodedata import east_asian_width

from sphinx.application import Sphinx

PHONE = 48  # letters of an output in a line at 390 pixels
GAP = 5  # spaces
OUTPUT = re.compile(
    r'(<div class="output [^"]*"><div class="highlight"><pre)>((?:<span></span>)?)(.*?)(</pre>)', re.DOTALL
)
TAG = re.compile(r"<[^>]*>")


def plain(line: str) -> str:
    """Return a line of HTML as text."""
    return unescape(TAG.sub("", line))


def columns(text: str) -> int:
    """Return how many letters wide a text is; a Chinese one is two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def is_table(line: str) -> bool:
    """Tell whether something stands by itself beyond the edge of a phone's screen."""
    return any(columns(line[: gap.end()]) >= PHONE for gap in re.finditer(rf" {{{GAP},}}(?=\S)", line))


def hung(markup: str) -> str:
    """Return the lines of an output, each long one as an element; one that an element crosses stays."""
    lines = []
    for line in markup.split("\n"):
        whole = line.count("<span") == line.count("</span")
        long = columns(plain(line).rstrip()) > PHONE
        lines.append(f'<span class="rl-line">{line}</span>' if long and whole else line)
    return "\n".join(lines)


def with_lines(body: str) -> str:
    """Return a page's HTML with the long lines of its outputs as elements."""

    def written(match: re.Match[str]) -> str:
        start, empty, markup, end = match.groups()
        if any(map(is_table, plain(markup).splitlines())):
            return f'{start} class="rl-columns">{empty}{markup}{end}'
        return f"{start}>{empty}{hung(markup)}{end}"

    return OUTPUT.sub(written, body)


def add_lines(app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Rewrite the outputs of a page."""
    if context.get("body"):
        context["body"] = with_lines(context["body"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the step."""
    app.connect("html-page-context", add_lines)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
