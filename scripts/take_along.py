"""What readers can take along: which files the site offers, and the list of them on its front page.

The files are made by make's targets and kept in _build/downloads, since a build of the site may begin from
nothing. The site offers those that are there: `offer` copies them and writes the list. It is called after
each build of the site, and after each file is made; so no link is dead, and none is missing.
"""

import re
import shutil
from html import escape
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
MADE = ROOT / "_build" / "downloads"
FRONT = "book/intro.html"
BEGIN, END = "<!-- downloads -->", "<!-- end of downloads -->"


class Offer(NamedTuple):
    """One file: its name, what a reader calls it, what is in it, and what makes it."""

    name: str
    title: str
    holds: str
    target: str


OFFERS = (
    Offer(
        "rnn-book.pdf", "The book as a PDF", "all pages, with contents, page numbers and links", "make pdf"
    ),
    Offer(
        "rnn-book-notebooks.zip",
        "The notebooks, executed",
        "all chapters with what their cells print; they run beside the installed package",
        "make zips",
    ),
    Offer(
        "rnn-book-notebooks-blank.zip",
        "The notebooks, blank",
        "the same without outputs and solutions, for the exercises",
        "make zips",
    ),
    Offer(
        "rnn-book-site.zip",
        "This site, to read offline",
        "unpack it and open index.html; no network, no server",
        "make site-zip",
    ),
)


def size(path: Path) -> str:
    """Return a file's size as people read it."""
    megabytes = path.stat().st_size / 1e6
    return f"{megabytes:.0f} MB" if megabytes >= 10 else f"{max(megabytes, 0.1):.1f} MB"


def listed(folder: Path, root: str) -> str:
    """Return the list of the files that are in a folder, as HTML; `root` leads from the page to the top."""
    there = [offer for offer in OFFERS if (folder / offer.name).is_file()]
    items = [
        f'<li><a href="{root}downloads/{escape(offer.name)}" download>{escape(offer.title)}</a> '
        f"({size(folder / offer.name)}): {escape(offer.holds)}.</li>"
        for offer in there
    ]
    missing = dict.fromkeys(offer.target for offer in OFFERS if offer not in there)
    commands = [f"<code>{escape(target)}</code>" for target in missing]
    if not there:
        return f"<p>This copy of the site has no files to take along: {', '.join(commands)} make them.</p>"
    return "<ul>\n" + "\n".join(items) + "\n</ul>"


def with_list(page: str, markup: str) -> str:
    """Return a page with its list of files replaced; one without a place for it stays as it is."""
    place = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    return place.sub(lambda _: f"{BEGIN}{markup}{END}", page)


def offer(site: Path = SITE, made: Path = MADE) -> list[str]:
    """Copy the files that were made into the site, list on its front page what it has, and return that."""
    folder = site / "downloads"
    for one in OFFERS:
        source, target = made / one.name, folder / one.name
        if source.is_file() and not (target.is_file() and target.samefile(source)):
            folder.mkdir(exist_ok=True)
            target.unlink(missing_ok=True)
            try:
                target.hardlink_to(source)
            except OSError:  # another disk
                shutil.copyfile(source, target)
    front = site / FRONT
    if front.is_file():
        page = front.read_text(encoding="utf-8")
        new = with_list(page, listed(folder, "../" * FRONT.count("/")))
        if new != page:
            front.write_text(new, encoding="utf-8")
    return [one.name for one in OFFERS if (folder / one.name).is_file()]
