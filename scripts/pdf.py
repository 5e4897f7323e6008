"""Print the built site as one PDF: title page, contents with page numbers, all pages, links that lead on.

python scripts/pdf.py [page ...]        the default is every page of _toc.yml, in its order
        --site folder  --out file       the default is _build/html, and _build/downloads/rnn-book.pdf

Chromium prints each page by itself, with the rules of pdf.css and its number of the first sheet; pypdf joins
them. Chromium writes a place into a PDF only if a link in the same file leads to it. So behind each page come
links to all places that are needed, on sheets that are left out again. Links to other pages then lead to
these places; those to what the book does not hold, such as the package's reference, to the public address.

Chinese needs a font of the system; where there is none, the script says so.
"""

import argparse
import html
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import yaml
from playwright.sync_api import sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import (
    ArrayObject,
    BooleanObject,
    DictionaryObject,
    Fit,
    FloatObject,
    NameObject,
    NullObject,
    TextStringObject,
)

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from scripts import take_along  # noqa: E402
from scripts.chromium import HOW_TO, QUIET, find_browser  # noqa: E402

RULES = Path(__file__).with_suffix(".css")
NAME = "rnn-book.pdf"
SCALE = 0.8  # of the site's sizes: 84 letters of code fit a line, and text is set in 10 points
WIDTH = round((210 - 2 * 16) / 25.4 * 96 / SCALE)  # of the text, in pixels of the page
LIMIT = 600_000  # milliseconds; ends a hang
FOOT = "font: 8.5pt 'Source Serif 4', Georgia, serif; color: #57606a; padding-bottom: 4mm"

# Open all folds, make smaller what is too wide, and put the places behind the page.
PREPARE = """async places => {
    document.querySelectorAll('details').forEach(fold => { fold.open = true; });
    const boxes = ['.katex-display', '.pst-scrollable-table-container', '.rl-diagram', 'table', '.output'];
    for (const box of document.querySelectorAll(boxes.join())) {
        const room = box.parentElement.clientWidth || document.body.clientWidth, needs = box.scrollWidth;
        if (needs > room + 1 && room) box.style.zoom = room / needs;
    }
    const behind = document.createElement('div');
    behind.className = 'rl-pdf-places';
    behind.id = 'rl-pdf-places';
    for (const place of ['rl-pdf-places', ...places]) {
        const link = document.createElement('a');
        link.href = '#' + encodeURIComponent(place);
        link.textContent = '. ';
        behind.append(link);
    }
    document.querySelector('article.bd-article').append(behind);
    const images = [...document.querySelectorAll('article.bd-article img')];
    for (const image of images) image.loading = 'eager';
    await Promise.allSettled(images.map(image => image.decode()));
    return images.every(image => image.naturalWidth);
}"""


class Outline(HTMLParser):
    """Reads a page's title, headings with the ids of their sections, links, and canonical address."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[tuple[int, str, str]] = []  # level, id, text
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.address = ""
        self._sections: list[str] = []
        self._open: int | None = None
        self._in_article = self._skips = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if values.get("id"):
            self.ids.add(values["id"])
        if tag == "article":
            self._in_article += 1
        elif tag == "section":
            self._sections.append(values.get("id", ""))
        elif tag == "link" and values.get("rel") == "canonical":
            self.address = values.get("href", "")
        elif re.fullmatch("h[1-6]", tag) and self._in_article and self._sections:
            self._open = int(tag[1])
            self.headings.append((self._open, self._sections[-1], ""))
        elif tag == "a" and self._in_article:
            self.links.append(values.get("href", ""))
            self._skips += "headerlink" in values.get("class", "")
        elif tag == "a":
            return

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self._in_article -= 1
        elif tag == "section" and self._sections:
            self._sections.pop()
        elif self._open and tag == f"h{self._open}":
            self._open = None
        elif tag == "a":
            self._skips = 0

    def handle_data(self, data: str) -> None:
        if self._open and not self._skips:
            level, place, text = self.headings[-1]
            self.headings[-1] = (level, place, f"{text}{data}")


@dataclass
class Page:
    """A page of the site: its name, such as book/lstm, and what stands on it."""

    name: str
    path: Path
    outline: Outline
    places: set[str] = field(default_factory=set)  # that links lead to
    start: int = 0  # number of its first sheet, from 0
    sheets: int = 0
    tops: dict[str, tuple[int, float]] = field(default_factory=dict)  # of each place: sheet, and height on it

    @property
    def title(self) -> str:
        return " ".join(self.outline.headings[0][2].split())

    def sections(self) -> list[tuple[str, str]]:
        """Return the sections right below the title: their ids and headings."""
        return [(place, " ".join(text.split())) for level, place, text in self.outline.headings if level == 2]


def reading_order() -> list[tuple[str, list[str]]]:
    """Return the parts of the book, each with its pages; the first has the front page alone."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    parts = [("", [toc["root"]])]
    return parts + [(p["caption"], [chapter["file"] for chapter in p["chapters"]]) for p in toc["parts"]]


def read_pages(site: Path, names: Sequence[str]) -> dict[str, Page]:
    """Read the pages, and note of each which places on it are linked to from any of them."""
    pages = {}
    for name in names:
        path = site / f"{name}.html"
        if not path.is_file():
            raise FileNotFoundError(f"there is no {path}; build the site first: make site")
        pages[name] = Page(name, path, Outline(path.read_text(encoding="utf-8")))
    for page in pages.values():
        page.places |= {place for place, _ in page.sections()}
        for link in page.outline.links:
            name, place = resolve(site, page.path.as_uri(), link)
            if name in pages and place in pages[name].outline.ids:
                pages[name].places.add(place)
    return pages


def resolve(site: Path, base: str, link: str) -> tuple[str, str]:
    """Return the page of the site that a link leads to, and the place on it; empty for one that leads out."""
    url = urlsplit(urljoin(base, link))
    top = site.as_uri().rstrip("/") + "/"
    if url.scheme != "file" or not url._replace(fragment="", query="").geturl().startswith(top):
        return "", ""
    name = url._replace(fragment="", query="").geturl()[len(top) :]
    return re.sub(r"\.html$", "", unquote(name)), unquote(url.fragment)


def sheet_rules(first: int, title: str) -> str:
    """Return the rules for a page's sheets: number and title at the foot; `first` is counted from 0."""
    quoted = title.replace("\\", "\\\\").replace('"', '\\"')
    return (
        f"html {{ counter-reset: page {first} }}\n"
        f'@page {{ @bottom-left {{ content: "{quoted}"; {FOOT} }} '
        f"@bottom-right {{ content: counter(page); {FOOT} }} }}\n"
    )


class Printer:
    """Chromium, as a printer of pages."""

    def __init__(self, playwright: Any, folder: Path) -> None:
        path = find_browser()
        if path is None:
            raise FileNotFoundError(HOW_TO)
        self.folder = folder
        self.browser = playwright.chromium.launch(executable_path=path, args=list(QUIET), timeout=LIMIT)
        context = self.browser.new_context(viewport={"width": WIDTH, "height": 1100}, color_scheme="light")
        context.set_default_timeout(LIMIT)
        # No script of a page has work on paper; without them nothing is folded.
        context.route(re.compile(r"\.m?js(\?|$)"), lambda route: route.abort())
        self.tab = context.new_page()
        self.tab.emulate_media(media="print")

    def put(self, name: str) -> Path:
        target = self.folder / f"{name.replace('/', '-')}.pdf"
        self.tab.pdf(path=target, prefer_css_page_size=True, print_background=True, scale=SCALE)
        return target

    def print_page(self, page: Page, first: int) -> Path:
        """Print a page of the site, with its places behind it."""
        self.tab.goto(page.path.as_uri(), wait_until="load")
        self.tab.add_style_tag(content=RULES.read_text(encoding="utf-8") + sheet_rules(first, page.title))
        self.tab.evaluate("document.fonts.ready.then(() => true)")
        if not self.tab.evaluate(PREPARE, sorted(page.places)):
            raise ValueError(f"a picture of {page.name} did not load")
        return self.put(page.name)

    def print_front(self, markup: str, site: Path) -> Path:
        """Print the title page and the contents; written beside the site's pages, whose fonts they take."""
        with tempfile.NamedTemporaryFile("w", suffix=".html", dir=site, encoding="utf-8") as file:
            file.write(markup)
            file.flush()
            self.tab.goto(Path(file.name).as_uri(), wait_until="load")
            self.tab.evaluate("document.fonts.ready.then(() => true)")
            return self.put("front")


FRONT = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
@font-face {{ font-family: "Source Serif 4"; font-weight: 200 900;
  src: url("_static/fonts/source-serif-4-latin-wght-normal.woff2") }}
@page {{ size: A4; margin: 17mm 16mm 20mm; @bottom-left {{ content: "Contents"; {foot} }}
  @bottom-right {{ content: counter(page); {foot} }} }}
@page :first {{ @bottom-left {{ content: none }} @bottom-right {{ content: none }} }}
body {{ margin: 0; font: 15px/1.45 "Source Serif 4", Georgia, serif; color: #1b1f24 }}
a {{ color: inherit; text-decoration: none }}
.title {{ padding-top: 260px; break-after: page }}
.title h1 {{ font-size: 52px; line-height: 1.15; margin: 0 0 24px; max-width: 640px }}
.title p {{ font-size: 19px; margin: 8px 0; color: #57606a }}
.title svg {{ margin-bottom: 30px }}
.title .foot {{ margin-top: 330px; font-size: 15px }}
h2 {{ font-size: 30px; margin: 0 0 16px }}
nav {{ columns: 2; column-gap: 44px }}
nav h3 {{ font-size: 15px; margin: 20px 0 4px; color: #57606a; break-after: avoid }}
nav h3:first-child {{ margin-top: 0 }}
nav a {{ display: flex; align-items: baseline; gap: 8px; break-inside: avoid }}
nav a span:first-child {{ flex: 1 }}
nav a.page {{ font-weight: 600; margin-top: 8px; break-after: avoid }}
nav a.section {{ font-size: 13px; padding-left: 14px; color: #3b424a }}
</style></head><body>
<div class="title">
<svg width="90" height="90" viewBox="0 0 32 32" aria-hidden="true">{logo}</svg>
<h1>{title}</h1>
<p>{author}</p>
<p>{version}</p>
<p class="foot">{address}Text and figures: CC BY 4.0. Code: BSD-3-Clause.</p>
</div>
<h2>Contents</h2>
<nav>
{entries}
</nav>
</body></html>
"""


def entry(kind: str, link: str, text: str, number: int) -> str:
    return (
        f'<a class="{kind}" href="{html.escape(link)}"><span>{html.escape(text)}</span>'
        f"<span>{number + 1}</span></a>"
    )


def contents(parts: Sequence[tuple[str, list[str]]], pages: dict[str, Page]) -> Iterator[str]:
    """Yield the lines of the contents, with the numbers that are known by now."""
    for caption, names in parts:
        there = [pages[name] for name in names if name in pages]
        if there and caption:
            yield f"<h3>{html.escape(caption)}</h3>"
        for page in there:
            yield entry("page", f"{page.name}.html", page.title, page.start)
            for place, text in page.sections():
                number = page.start + page.tops.get(place, (0, 0.0))[0]
                yield entry("section", f"{page.name}.html#{place}", text, number)


def front(parts: Sequence[tuple[str, list[str]]], pages: dict[str, Page], address: str) -> str:
    """Return the title page and the contents."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    logo = (ROOT / config["logo"]).read_text(encoding="utf-8")
    drawn = re.search(r"<svg\b[^>]*>(.*)</svg>", logo, re.DOTALL)
    return FRONT.format(
        title=html.escape(config["title"]),
        author=html.escape(config["author"]),
        version=f"Version {citation['version']}, {citation['date-released'][:4]}",
        address=f'<a href="{address}">{address}</a><br>' if address else "",
        logo=drawn[1] if drawn else "",
        foot=FOOT,
        entries="\n".join(contents(parts, pages)),
    )


def measure(page: Page, path: Path) -> None:
    """Read off a printed page how many sheets it has, and where its places are."""
    reader = PdfReader(path)
    numbers = {sheet.indirect_reference.idnum: k for k, sheet in enumerate(reader.pages)}
    for name, place in reader.named_destinations.items():
        sheet = place.raw_get("/Page")
        page.tops[unquote(name.lstrip("/"))] = (numbers[sheet.idnum], float(place.get("/Top") or 0))
    page.sheets = page.tops["rl-pdf-places"][0]
    if lacking := page.places - set(page.tops):
        raise ValueError(f"{page.name}: the PDF has no place {', '.join(sorted(lacking)[:5])}")


def join(
    site: Path, printed: Path, sheets: dict[str, Path], pages: dict[str, Page], address: str
) -> PdfWriter:
    """Return all sheets in one file, with links that lead on."""
    writer = PdfWriter()
    owners: list[str] = []  # of each sheet: the page that it belongs to
    for name, path, number in [("", printed, None), *((n, sheets[n], p.sheets) for n, p in pages.items())]:
        for sheet in PdfReader(path).pages[:number]:
            writer.add_page(sheet)
            owners.append(name)

    def place_of(name: str, place: str) -> ArrayObject | None:
        if name not in pages:
            return None
        page = pages[name]
        number, top = page.tops.get(place, (0, float(writer.pages[0].mediabox.height)))
        target = writer.pages[page.start + number].indirect_reference
        return ArrayObject([target, NameObject("/XYZ"), NullObject(), FloatObject(top), NullObject()])

    for number, sheet in enumerate(writer.pages):
        for reference in sheet.get("/Annots", ()):
            link = reference.get_object()
            name, place, out = owners[number], "", ""
            if "/Dest" in link:
                place = unquote(str(link["/Dest"]).lstrip("/"))
            elif "/A" in link and "/URI" in link["/A"]:
                out = str(link["/A"]["/URI"])
                name, place = resolve(site, out, "")
            else:
                continue
            if target := place_of(name, place):
                link.pop("/A", None)
                link[NameObject("/Dest")] = target
            elif out.startswith("file:"):  # on the site, and not in the book
                top = site.as_uri().rstrip("/") + "/"
                url = address + out.removeprefix(top) if address else ""
                action = {NameObject("/S"): NameObject("/URI"), NameObject("/URI"): TextStringObject(url)}
                link[NameObject("/A")] = DictionaryObject(action)
    return writer


def add_outline(writer: PdfWriter, parts: Sequence[tuple[str, list[str]]], pages: dict[str, Page]) -> None:
    """Give the file its outline: parts, pages, sections."""
    for caption, names in parts:
        there = [pages[name] for name in names if name in pages]
        above = None
        if caption and there:
            above = writer.add_outline_item(title=caption, page_number=there[0].start, bold=True)
        for page in there:
            item = writer.add_outline_item(title=page.title, page_number=page.start, parent=above)
            for place, text in page.sections():
                number, top = page.tops[place]
                number += page.start
                writer.add_outline_item(title=text, page_number=number, parent=item, fit=Fit.xyz(top=top))


def make(site: Path, out: Path, names: Sequence[str] = ()) -> int:
    """Write the PDF of some pages, or of all; return how many sheets it has."""
    site = site.resolve()
    parts = reading_order()
    pages = read_pages(site, names or [name for _, chapters in parts for name in chapters])
    canonical = next((page.outline.address for page in pages.values() if page.outline.address), "")
    first = next(iter(pages.values()))
    address = canonical.removesuffix(f"{first.name}.html")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        printer = Printer(playwright, Path(folder))
        # The contents have as many sheets with other numbers in them.
        begin = sheets_of(printer.print_front(front(parts, pages, address), site))
        sheets: dict[str, Path] = {}
        for name, page in pages.items():
            page.start = begin
            sheets[name] = printer.print_page(page, begin)
            measure(page, sheets[name])
            begin += page.sheets
        printed = printer.print_front(front(parts, pages, address), site)
        if sheets_of(printed) != first.start:
            raise ValueError("the contents have grown by their numbers")
        writer = join(site, printed, sheets, pages, address)
        printer.browser.close()
        add_outline(writer, parts, pages)
        config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
        writer.add_metadata({"/Title": config["title"], "/Author": config["author"]})
        writer.root_object[NameObject("/Lang")] = TextStringObject("en")
        writer.root_object[NameObject("/PageMode")] = NameObject("/UseOutlines")
        shows = DictionaryObject({NameObject("/DisplayDocTitle"): BooleanObject(True)})
        writer.root_object[NameObject("/ViewerPreferences")] = shows
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.with_name(f".{out.name}.tmp")
        writer.compress_identical_objects()  # what many sheets have in common, such as fonts, is kept once
        writer.write(partial)
        partial.replace(out)
    return begin


def sheets_of(path: Path) -> int:
    return len(PdfReader(path).pages)


def has_chinese() -> bool | None:
    """Tell whether the system has a font for Chinese; None where nothing tells."""
    if which("fc-list") is None:
        return None
    answer = subprocess.run(["fc-list", ":lang=zh", "family"], capture_output=True, text=True, timeout=60)
    return bool(answer.stdout.strip())


def main(arguments: list[str] | None = None) -> int:
    """Make the PDF, and have the site offer it; return the exit status."""
    parser = argparse.ArgumentParser(description="Print the built site as one PDF.")
    parser.add_argument("pages", nargs="*", help="such as book/lstm; all pages if none is named")
    parser.add_argument("--site", type=Path, default=take_along.SITE)
    parser.add_argument("--out", type=Path, default=take_along.MADE / NAME)
    options = parser.parse_args(arguments)
    if has_chinese() is False:
        print("pdf: this system has no font for Chinese; its characters will be empty boxes", file=sys.stderr)
    try:
        sheets = make(options.site, options.out, options.pages)
    except (FileNotFoundError, ValueError) as error:
        print(f"pdf: {error}", file=sys.stderr)
        return 1
    print(f"{options.out}: {sheets} sheets, {options.out.stat().st_size / 1e6:.1f} MB")
    if options.out == take_along.MADE / NAME:
        take_along.offer()
    return 0


if __name__ == "__main__":
    sys.exit(main())
