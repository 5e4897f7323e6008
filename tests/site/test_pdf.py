"""The PDF: three pages of the built site, printed and joined as `make pdf` does with all."""

import html
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs import run
from tests.site.conftest import ROOT
from tests.site.test_browser import HOW_TO, find_browser
from tests.site.test_site_head import ADDRESS

pypdf = pytest.importorskip("pypdf")  # pinned in requirements.txt

PAGES = ["book/intro", "book/background", "book/checked"]


@pytest.fixture(scope="module")
def book(site: Path, tmp_path_factory: pytest.TempPathFactory):
    """The three pages as one PDF, by the script itself."""
    if find_browser() is None:
        pytest.skip(HOW_TO)
    out = tmp_path_factory.mktemp("pdf") / "book.pdf"
    answer = run([sys.executable, ROOT / "scripts/pdf.py", *PAGES, "--site", site, "--out", out], cwd=ROOT)
    assert answer.returncode == 0, answer.stderr
    return pypdf.PdfReader(out)


def text_of(sheet) -> str:
    """Return a sheet's letters without spaces: a PDF places letters, and knows no words."""
    return re.sub(r"\s+", "", sheet.extract_text())


def links(book, number: int) -> Iterator[tuple[str, int | None]]:
    """Yield of each link on a sheet where it leads: an address, or nothing and the number of a sheet."""
    sheets = {sheet.indirect_reference.idnum: k for k, sheet in enumerate(book.pages)}
    for reference in book.pages[number].get("/Annots", ()):
        link = reference.get_object()
        if "/Dest" in link:
            yield "", sheets[list.__getitem__(link["/Dest"], 0).idnum]
        elif "/A" in link:
            yield str(link["/A"]["/URI"]), None


def contents(book) -> dict[str, int]:
    """Return the entries of the contents, each with the number that is printed beside it."""
    entries = {}
    for sheet in book.pages[1 : first_sheet(book)]:
        lines = sheet.extract_text().splitlines()
        for text, number in re.findall(r"^(.+?)\s*\n?\s*(\d+)$", "\n".join(lines), flags=re.M):
            entries[re.sub(r"\s+", "", text)] = int(number)
    return entries


def first_sheet(book) -> int:
    return min(sheet for _, sheet in links(book, 1) if sheet is not None)


def headings(site: Path) -> list[str]:
    """Return the titles of the pages and of their sections, without spaces, as the site has them."""
    found = []
    for name in PAGES:
        page = (site / f"{name}.html").read_text(encoding="utf-8")
        article = page.partition("<article")[2].partition("</article>")[0]
        for heading in re.findall(r"<h[12]>(.*?)<a class=\"headerlink", article, flags=re.DOTALL):
            found.append(re.sub(r"\s+", "", html.unescape(re.sub(r"<[^>]*>", "", heading))))
    return found


def test_the_contents_name_the_sheet_on_which_each_section_begins(book, site: Path) -> None:
    listed, titles = contents(book), headings(site)
    assert len(titles) > 15
    assert [title for title in titles if title not in listed] == []
    for title in titles:
        assert title in text_of(book.pages[listed[title] - 1]), title


def test_each_line_of_the_contents_leads_to_the_sheet_that_it_names(book) -> None:
    targets = [sheet for number in range(1, first_sheet(book)) for _, sheet in links(book, number)]
    assert sorted(target + 1 for target in targets) == sorted(contents(book).values())


def test_each_sheet_has_its_number_at_its_foot(book) -> None:
    for k, sheet in enumerate(book.pages[1:], start=2):
        assert re.search(rf"(?<!\d){k}(?!\d)", sheet.extract_text().replace("\n", " ")), k
        feet: list[str] = []
        sheet.extract_text(
            visitor_text=lambda text, cm, tm, font, size, feet=feet: (
                feet.append(text.strip()) if tm[5] * cm[3] + cm[5] < 45 else None
            )
        )
        assert str(k) in feet, (k, feet)


def test_links_between_pages_lead_into_the_pdf_and_others_to_the_public_address(book) -> None:
    starts = {k for k, sheet in enumerate(book.pages) if "Whateachpageneeds" in text_of(sheet)}
    found = [link for number in range(first_sheet(book), len(book.pages)) for link in links(book, number)]
    inside = {sheet for _, sheet in found if sheet is not None}
    assert starts & inside, "the front page's link to a section of another page"
    outside = [address for address, _ in found if address]
    assert f"{ADDRESS}book/rnn.html#let-it-write" in outside  # that page is not in this PDF
    assert not [address for address in outside if address.startswith("file:") or not address.strip()]


def test_no_line_of_code_is_cut_and_no_fold_is_closed(book, site: Path) -> None:
    text = "".join(map(text_of, book.pages))
    page = (site / "book/background.html").read_text(encoding="utf-8")
    blocks = re.findall(r"<pre>(.*?)</pre>", page, flags=re.DOTALL)
    lines = [
        re.sub(r"\s+", "", html.unescape(re.sub(r"<[^>]*>", "", line)))
        for block in blocks
        for line in block.splitlines()
    ]
    lines = [line for line in lines if not re.search("[\u4e00-\u9fff]", line)]  # needs a font of the system
    assert len(lines) > 100
    assert [line for line in lines if line not in text] == []
    assert "details" in page  # some of these lines are folded on the site


def test_every_font_is_in_the_file_and_nothing_of_the_site_s_frame(book) -> None:
    fonts = {}
    for sheet in book.pages:
        for reference in sheet["/Resources"].get("/Font", {}).values():
            font = reference.get_object()
            inner = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
            descriptor = inner.get("/FontDescriptor", {})
            fonts[str(font.get("/BaseFont"))] = font["/Subtype"] == "/Type3" or any(
                key in descriptor for key in ("/FontFile", "/FontFile2", "/FontFile3")
            )
    assert fonts and all(fonts.values()), fonts
    text = "".join(map(text_of, book.pages))
    assert "Skiptomaincontent" not in text and "©Copyright" not in text


def test_the_outline_has_parts_pages_and_sections(book) -> None:
    def flat(items) -> Iterator[str]:
        for item in items:
            if isinstance(item, list):
                yield from flat(item)
            else:
                yield item.title

    titles = list(flat(book.outline))
    assert "Background" in titles and "How this book is checked" in titles
    assert "What nothing checks" in titles
    assert book.metadata.title and book.trailer["/Root"]["/Lang"] == "en"
