"""Sphinx extension `front_page`: what the front page says that is worked out when the site is built.

- {reading}`rnn` is how long a page takes to read. {reading}`rnn#let-it-write` ends with a section,
  {reading}`attention##search` is that section alone; parts joined by ` + ` are added up, or ` - ` taken off.
- {effort}`rnn` is the time for its exercises, {study}`rnn` for both together.
- `{downloads}` lists the files to take along that the site has (`scripts/take_along.py`).
- `{citation}` is how to cite the book, as BibTeX, made from CITATION.cff and the public address.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import reading_time
import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

from scripts import take_along  # noqa: E402

logger = logging.getLogger(__name__)

PART = re.compile(r"(?P<page>[\w/]+)(?:(?P<sign>##?)(?P<section>[\w-]+))?")
KEY = "rnnlit"


class Time(SphinxRole):
    """The time of some pages, or parts of pages, beside this one."""

    def __init__(self, reading: bool, exercises: bool) -> None:
        super().__init__()
        self.kinds = reading, exercises

    def minutes(self, text: str) -> float:
        """Return the minutes of some parts; each file is noted as what this page depends on."""
        total = 0.0
        pieces = re.split(r" ([+-]) ", text)
        for sign, part in zip(["+", *pieces[1::2]], pieces[::2], strict=True):
            match = PART.fullmatch(part.strip())
            if match is None:
                raise ValueError(f"{part!r} names no part of a page")
            folder = Path(self.env.doc2path(self.env.docname)).parent
            ends = (folder / f"{match['page']}{end}" for end in (".ipynb", ".md"))
            path = next((path for path in ends if path.is_file()), None)
            if path is None:
                raise ValueError(f"there is no page {match['page']}")
            self.env.note_dependency(str(path))
            section = match["section"] or ""
            found = reading_time.times(path, section, section if match["sign"] == "##" else "")
            minutes = sum(value for value, wanted in zip(found, self.kinds, strict=True) if wanted)
            total += minutes if sign == "+" else -minutes
        return total

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        try:
            minutes = self.minutes(self.text)
        except ValueError as error:
            logger.warning("%s", error, location=self.get_location(), type="front_page")
            return [], []
        return [nodes.inline("", reading_time.said(minutes), classes=["rl-time"])], []


class Downloads(SphinxDirective):
    """The place for the list of files, which is written after the build."""

    def run(self) -> list[nodes.Node]:
        markup = f'<div class="rl-downloads">{take_along.BEGIN}{take_along.END}</div>'
        return [nodes.raw("", markup, format="html")]


def bibtex(citation: dict[str, Any], address: str) -> str:
    """Return CITATION.cff as an entry for BibTeX; whoever is no person stands in braces of their own."""
    people = [
        f"{author['family-names']}, {author['given-names']}"
        if "family-names" in author
        else f"{{{author['name']}}}"
        for author in citation["authors"]
    ]
    fields = {
        "author": " and ".join(people),
        "title": f"{{{citation['title']}}}",
        "year": str(citation["date-released"])[:4],
        "version": citation["version"],
        "url": address,
    }
    lines = [f"  {name:7} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@software{{{KEY}{fields['year']},", *lines, "}"])


class Citation(SphinxDirective):
    """The entry for BibTeX, to copy."""

    def run(self) -> list[nodes.Node]:
        path = ROOT / "CITATION.cff"
        self.env.note_dependency(str(path))
        text = bibtex(yaml.safe_load(path.read_text(encoding="utf-8")), self.config.html_baseurl)
        block = nodes.literal_block(text, text, language="bibtex")
        return [nodes.container("", block, classes=["rl-citation"])]


def offer(app: Sphinx, exception: Exception | None) -> None:
    """List the files that the site has, after whatever puts some there."""
    if exception is None and app.builder.format == "html":
        take_along.offer(Path(app.outdir), Path(app.outdir).parent / take_along.MADE.name)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the roles, the directives and the step after the build."""
    app.add_role("reading", Time(True, False))
    app.add_role("effort", Time(False, True))
    app.add_role("study", Time(True, True))
    app.add_directive("downloads", Downloads)
    app.add_directive("citation", Citation)
    app.connect("build-finished", offer, priority=940)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
