"""The front page: where to start, the chapters and their times, what to take along, how to cite."""
# ruff: noqa: F811 (the fixtures of the browser)

import importlib
import json
import re
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from scripts import site_zip, take_along
from tests.book_checks import order
from tests.site.conftest import ROOT
from tests.site.page import read_page, target
from tests.site.test_browser import (  # noqa: F401
    DESKTOP,
    MODES,
    PHONE,
    address,
    browser,
    faults,
    visit,
    window,
)
from tests.site.test_site_head import ADDRESS

FRONT = "book/intro.html"


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ModuleType:
    """Return the extension that the test's parameter names."""
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    return importlib.import_module(request.param)


def of(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("extension", [name], indirect=True)


# ---------------------------------------------------------------- in the browser


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_where_to_start_stands_in_the_first_screen(visit, size: dict[str, int], mode: str) -> None:
    page = visit(FRONT, size, mode).page
    box = page.locator("a.rl-start").bounding_box()
    assert box["y"] + box["height"] < size["height"] and box["x"] + box["width"] <= size["width"]
    assert box["height"] >= 40  # a finger's width
    assert page.locator("a.rl-start").inner_text().startswith("Start here")
    page.locator("a.rl-start").click()
    page.wait_for_url("**/book/rnn.html")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_each_chapter_has_a_picture_and_all_of_its_card_leads_there(visit, size: dict[str, int]) -> None:
    opened = visit(FRONT, size)
    cards = opened.page.locator(".rl-cards li")
    seen = {}
    for k in range(cards.count()):
        card = cards.nth(k)
        card.scroll_into_view_if_needed()
        picture = card.locator("svg[role=img][aria-label]").bounding_box()
        link = card.locator("a")
        assert picture["width"] > 80 and picture["height"] > 40
        middle = [picture["x"] + picture["width"] / 2, picture["y"] + picture["height"] / 2]
        hit = opened.page.evaluate("([x, y]) => document.elementFromPoint(x, y).closest('a')?.href", middle)
        assert hit == link.evaluate("a => a.href")
        assert re.search(r"\d (min|hours)", card.locator(".rl-time").inner_text())
        seen[link.get_attribute("href").removesuffix(".html")] = card.inner_text()
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert {page.removeprefix("book/") for page in order.concepts(toc)} <= set(seen)
    assert len(seen) == cards.count()
    assert faults(opened.page) == [] and opened.complaints == []


def test_pictures_move_nothing_when_they_are_drawn(visit) -> None:
    """Each has its shape in itself, and nothing on the page shifts while it loads."""
    page = visit(FRONT, PHONE).page
    shapes = page.eval_on_selector_all(
        ".rl-cards svg", "all => all.map(s => s.viewBox.baseVal.width / s.viewBox.baseVal.height)"
    )
    assert shapes and set(shapes) == {1.76}
    assert page.eval_on_selector_all(".bd-article img:not([width])", "all => all.map(i => i.src)") == []


def test_the_citation_is_that_of_the_repository(visit) -> None:
    text = visit(FRONT).page.locator(".rl-citation pre").text_content()
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    fields = dict(re.findall(r"^ +(\w+) *= \{(.*)\},$", text, flags=re.M))
    assert fields == {
        "author": f"{{{citation['authors'][0]['name']}}}",
        "title": f"{{{citation['title']}}}",
        "year": citation["date-released"][:4],
        "version": citation["version"],
        "url": ADDRESS,
    }


def test_it_offers_the_files_that_the_site_has_and_no_others(site: Path) -> None:
    page = read_page(site / FRONT)
    offered = {target(page, url)[0] for url in page.links if "downloads/" in url}
    assert offered == set((site / "downloads").glob("*"))


# ---------------------------------------------------------------- how long a page takes


def notebook(tmp_path: Path, *cells: dict) -> Path:
    path = tmp_path / "page.ipynb"
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    return path


def text(source: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def code(source: str, *tags: str, printed: str = "", picture: bool = False) -> dict:
    outputs = [{"output_type": "stream", "name": "stdout", "text": printed}] if printed else []
    outputs += [{"output_type": "display_data", "data": {"image/png": ""}}] if picture else []
    return {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": source, "outputs": outputs}


def minutes(words: int) -> str:
    return "word " * (150 * words)


@of("reading_time")
def test_a_page_takes_the_time_of_its_words_code_formulas_and_figures(extension, tmp_path: Path) -> None:
    page = notebook(
        tmp_path,
        text(f"# Title\n\n{minutes(4)}\n\n$$\na = b + c\n$$\n\n![words that no one reads](x.svg)\n"),
        code("a = 1\n\nb = 2\nc = 3", printed="6\n7\n", picture=True),  # 12 + 4 + 20 seconds
        code("hidden\n" * 20, "hide-cell", printed="1\n"),
        code("shown", "hide-output", printed="1\n" * 30),  # 4 seconds: the answer is folded
        code("drawn\n" * 9, "hide-input", picture=True),  # 20
    )
    assert extension.times(page).reading == pytest.approx(4 + 1 / 150 + (40 + 36 + 4 + 20) / 60)


@of("reading_time")
def test_what_is_folded_is_not_read_and_exercises_count_apart(extension, tmp_path: Path) -> None:
    page = notebook(
        tmp_path,
        text(f"# A\n\n```{{exercise}} Count (10 min, core)\n{minutes(2)}\n```\n"),
        text("```{solution-start} x\n```\n\n" + minutes(5)),
        code("solution\n" * 30),
        text(f"```{{solution-end}}\n```\n\n{minutes(1)}"),
        text(f":::{{dropdown}} More\n{minutes(3)}\n:::\n"),
        text(f"```{{exercise}} 20 min, deep\n:label: y\nIt took 15 min.\n```\n\n{minutes(1)}"),
    )
    assert extension.times(page) == (pytest.approx(2 + 1 / 150), 30)


@of("reading_time")
def test_a_section_holds_those_below_it(extension, tmp_path: Path) -> None:
    page = notebook(
        tmp_path,
        text(f"# A\n\n{minutes(1)}\n\n## First part\n\n{minutes(2)}"),
        text(f"### Below it\n\n{minutes(4)}\n\n## Second part\n\n{minutes(8)}"),
        text(f"## Third\n\n{minutes(16)}"),
    )
    close = {"abs": 0.1}
    assert extension.times(page, "first-part").reading == pytest.approx(7, **close)
    assert extension.times(page, "second-part").reading == pytest.approx(15, **close)
    assert extension.times(page, "second-part", "second-part").reading == pytest.approx(8, **close)
    assert extension.times(page, "third", "below-it").reading == pytest.approx(28, **close)
    with pytest.raises(ValueError, match=r"page\.ipynb has no section fourth"):
        extension.times(page, "fourth")


@of("reading_time")
@pytest.mark.parametrize(
    ("number", "words"),
    [(0.2, "5 min"), (12.4, "10 min"), (12.6, "15 min"), (89, "90 min"), (91, "1½ hours"), (400, "6½ hours")],
)
def test_times_are_rounded_as_their_worth_is(extension, number: float, words: str) -> None:
    assert extension.said(number) == words


@of("front_page")
def test_persons_and_others_stand_in_bibtex_as_it_wants_them(extension) -> None:
    citation = {
        "authors": [{"family-names": "Elman", "given-names": "Jeffrey L."}, {"name": "the others"}],
        "title": "A title",
        "version": "0.3",
        "date-released": "2027-01-02",
    }
    entry = extension.bibtex(citation, "")
    assert "author  = {Elman, Jeffrey L. and {the others}}," in entry
    assert entry.startswith("@software{rnnlit2027,\n") and "url" not in entry


# ---------------------------------------------------------------- what to take along


@pytest.fixture
def small_site(tmp_path: Path) -> Path:
    """A site of two pages, with a place for the list."""
    site = tmp_path / "html"
    (site / "book").mkdir(parents=True)
    head = f'<link rel="canonical" href="{ADDRESS}{FRONT}">'
    (site / FRONT).write_text(f"{head}<p>{take_along.BEGIN}{take_along.END}</p>", encoding="utf-8")
    (site / "book/lstm.html").write_text(
        '<a href="../_static/lite/lab.html?path=a">Lab</a><a href="../downloads/x.pdf">x</a>'
        '<a href="intro.html">in</a><b data-python="../_static/pyodide/"></b>',
        encoding="utf-8",
    )
    for name in ("_static/pyodide/python.wasm", "_static/lite/lab.html", ".site-stamp", "downloads/x.pdf"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(b"1")
    return site


def test_a_file_is_offered_when_it_is_there_and_taken_back_when_it_is_not(small_site: Path) -> None:
    made = small_site.parent / "downloads"
    made.mkdir()
    assert take_along.offer(small_site, made) == []
    front = small_site / FRONT
    assert "make pdf" in front.read_text(encoding="utf-8") and "<a " not in front.read_text(encoding="utf-8")
    (made / "rnn-book.pdf").write_bytes(b"0" * 12_600_000)
    assert take_along.offer(small_site, made) == ["rnn-book.pdf"]
    assert '<a href="../downloads/rnn-book.pdf" download>The book as a PDF</a> (13 MB)' in front.read_text()
    (made / "rnn-book.pdf").write_bytes(b"0" * 2_640_000)  # made anew
    assert take_along.offer(small_site, made) == ["rnn-book.pdf"]
    assert "(2.6 MB)" in front.read_text(encoding="utf-8")
    assert (small_site / "downloads/rnn-book.pdf").stat().st_size == 2_640_000
    (small_site / "downloads/rnn-book.pdf").unlink()
    (made / "rnn-book.pdf").unlink()
    assert take_along.offer(small_site, made) == []
    assert "<a " not in front.read_text(encoding="utf-8")


def test_the_zip_leaves_out_what_needs_a_server_and_links_it_outside(small_site: Path) -> None:
    out = small_site.parent / "site.zip"
    take_along.offer(small_site, small_site.parent / "none")
    assert site_zip.make(small_site, out) == 2
    before = out.read_bytes()
    with zipfile.ZipFile(out) as packed:
        assert packed.namelist() == [f"rnn-book-site/{name}" for name in (FRONT, "book/lstm.html")]
        front, lstm = (packed.read(name).decode() for name in packed.namelist())
    assert f'<a href="{ADDRESS}_static/lite/lab.html?path=a">' in lstm
    assert f'<a href="{ADDRESS}downloads/x.pdf">' in lstm
    assert '<a href="intro.html">' in lstm and 'data-python="../_static/pyodide/"' in lstm
    assert "copy for a folder" in front and f'href="{ADDRESS}{FRONT}">{ADDRESS}<' in front
    site_zip.make(small_site, out)
    assert out.read_bytes() == before


def test_a_zip_of_no_site_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert site_zip.main(["--site", str(tmp_path), "--out", str(tmp_path / "x.zip")]) == 1
    assert "build it first: make site" in capsys.readouterr().err


@pytest.fixture(scope="module")
def unpacked(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site, packed and unpacked again."""
    folder = tmp_path_factory.mktemp("site")
    site_zip.make(site, folder / "site.zip")
    assert (folder / "site.zip").stat().st_size < 30e6
    with zipfile.ZipFile(folder / "site.zip") as packed:
        packed.extractall(folder)
    return folder / site_zip.TOP


def test_the_zip_works_from_a_folder(visit, unpacked: Path) -> None:
    assert f'href="{FRONT}"' in (unpacked / "index.html").read_text(encoding="utf-8")
    opened = visit(FRONT, home=f"{unpacked.as_uri()}/")
    page = opened.page
    assert page.evaluate("document.fonts.check('1em \"Source Serif 4\"')")
    assert "copy for a folder" in page.locator(".rl-downloads").text_content()
    page.locator("a.rl-start").click()
    page.wait_for_selector(".katex-html")
    assert page.evaluate("getComputedStyle(document.querySelector('.katex')).fontFamily").startswith("KaTeX")
    for query, wanted in (("forget gate", "book/lstm.html"), ("注意力", "book/attention.html")):
        page.goto(f"{unpacked.as_uri()}/search.html?q={query}")
        page.wait_for_selector("#search-results li a")
        assert page.locator("#search-results li a").first.get_attribute("href").startswith(wanted)
    page.locator("#search-results li a").first.click()
    page.wait_for_selector("article h1")
    assert opened.complaints == []


def test_every_link_within_the_zip_leads_somewhere(unpacked: Path) -> None:
    wrong, seen = [], 0
    for path in unpacked.rglob("*.html"):
        page = read_page(path)
        for url in page.links:
            if re.match(r"[a-z]+:|#", url) or url == "" or path.name == "404.html":
                continue
            seen += 1
            if not target(page, url)[0].exists():
                wrong.append((path.name, url))
    assert seen > 1000 and wrong == []
