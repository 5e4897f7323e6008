"""What others learn of the built site: titles, descriptions, cards, and its top files."""
# ruff: noqa: F811 (the fixtures of the browser)

import re
import struct
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from tests.site.conftest import ROOT
from tests.site.test_browser import DESKTOP, PHONE, address, browser, faults, window  # noqa: F401
from tests.site.test_offline import book_pages

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
OWNER, NAME = CONFIG["repository"]["url"].rsplit("/", 2)[1:]
ADDRESS = f"https://{OWNER}.github.io/{NAME}/"


class Head(HTMLParser):
    """What a page's head says: title, contents of meta elements by name or property, links by relation."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.meta: dict[str, list[str]] = {}
        self.links: dict[str, list[str]] = {}
        self.title = self.language = ""
        self.in_title = False
        self.feed(path.read_text(encoding="utf-8").partition("</head>")[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "meta" and (name := values.get("name") or values.get("property")):
            self.meta.setdefault(name, []).append(values.get("content", ""))
        elif tag == "link":
            self.links.setdefault(values.get("rel", ""), []).append(values.get("href", ""))
        elif tag == "html":
            self.language = values.get("lang", "")
        self.in_title = tag == "title"

    def handle_data(self, data: str) -> None:
        self.title += data.strip() if self.in_title else ""

    def one(self, name: str) -> str:
        """Return the content of the one meta element of that name."""
        (content,) = self.meta[name]
        return content


def png_size(path: Path) -> tuple[int, int]:
    """Return the width and height that a PNG file states."""
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    return struct.unpack(">II", head[16:])


def test_every_page_of_the_book_has_a_description_that_a_list_shows_whole(site: Path) -> None:
    texts = {name: Head(site / f"{name}.html").one("description") for name in book_pages()}
    assert {name: len(text) for name, text in texts.items() if not 120 <= len(text) <= 160} == {}
    assert len(set(texts.values())) == len(texts)
    assert [text for text in texts.values() if re.search(r"[\\${}]|[^.?]$", text)] == []


def test_every_page_has_one_title_description_address_and_language(site: Path) -> None:
    paths = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    wrong, titles = {}, []
    for path in paths:
        head, name = Head(path), path.relative_to(site).as_posix()
        addresses = head.links.get("canonical", [])
        expected = ADDRESS + ("book/intro.html" if name == "index.html" else name)
        if (
            head.language != "en"
            or len(head.title) < 10
            or [len(text) > 60 for text in head.meta.get("description", [])] != [True]
            or (addresses != [expected] and name != "404.html")
        ):
            wrong[name] = (head.language, head.title, head.meta.get("description"), addresses)
        titles += [head.title] if name != "index.html" else []
    assert wrong == {}
    assert len(set(titles)) == len(titles) > 50


@pytest.mark.parametrize("name", ["book/intro", "book/lstm"])
def test_a_link_to_a_page_has_title_description_and_card(site: Path, name: str) -> None:
    head = Head(site / f"{name}.html")
    assert head.one("og:title") in head.title
    assert head.one("og:description") == head.one("description")
    assert head.one("og:url") == f"{ADDRESS}{name}.html"
    assert head.one("og:type") == ("website" if name == "book/intro" else "article")
    assert head.one("og:site_name") == CONFIG["title"]
    assert head.one("twitter:card") == "summary_large_image"
    assert head.one("og:image:alt")


def test_every_card_is_drawn_in_the_size_that_is_stated(site: Path) -> None:
    cards = {}
    for name in book_pages():
        head = Head(site / f"{name}.html")
        path = site / head.one("og:image").removeprefix(ADDRESS)
        assert (
            png_size(path)
            == (int(head.one("og:image:width")), int(head.one("og:image:height")))
            == (1200, 630)
        )
        assert path.stat().st_size < 60_000
        cards[name] = path.read_bytes()
    assert len(set(cards.values())) == len(cards)


def test_the_sitemap_lists_every_page_that_is_to_be_found(site: Path) -> None:
    tree = ET.parse(site / "sitemap.xml").getroot()
    places = [element.text for element in tree.iter() if (element.text or "").strip()]
    assert [place for place in places if not place.startswith(ADDRESS)] == []
    listed = [place.removeprefix(ADDRESS) for place in places]
    assert [name for name in listed if not (site / name).is_file()] == []
    assert {f"{name}.html" for name in book_pages()} <= set(listed)
    for name in ("search.html", "404.html"):
        assert name not in listed
        assert Head(site / name).one("robots") == "noindex"
    assert not any(Head(site / name).meta.get("robots") for name in listed)
    rules = (site / "robots.txt").read_text(encoding="utf-8").splitlines()
    assert rules == ["User-agent: *", "Allow: /", f"Sitemap: {ADDRESS}sitemap.xml"]


def public(site: Path, page) -> list[str]:
    """Have a browser meet the site at its public address, as on GitHub Pages; return what it asks for."""
    asked = []

    def answer(route) -> None:
        asked.append(route.request.url)
        path = site / route.request.url.removeprefix(ADDRESS).partition("?")[0].partition("#")[0]
        there = route.request.url.startswith(ADDRESS) and path.is_file()
        route.fulfill(path=path if there else site / "404.html", status=200 if there else 404)

    page.route("**/*", answer)
    return asked


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_an_address_that_leads_nowhere_shows_the_way(
    window, site: Path, size: dict[str, int], mode: str
) -> None:
    page = window(size, mode).new_page()
    asked = public(site, page)
    page.goto(f"{ADDRESS}book/practice/no-such-page.html")
    assert page.locator("h1").inner_text() == "There is no page here"
    assert len(asked) == 1  # it loads nothing
    assert faults(page) == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 30)"
    assert dark == (mode == "dark")
    assert page.locator("main li a").count() == len(book_pages())


def test_the_links_of_that_page_lead_into_the_site(window, site: Path) -> None:
    page = window().new_page()
    public(site, page)
    page.goto(f"{ADDRESS}no/such/page")
    page.locator("main li a", has_text="Dropout").click()
    page.wait_for_url(f"{ADDRESS}book/dropout.html")
    page.go_back()
    page.get_by_label("Search this book").fill("遗忘")
    page.get_by_label("Search this book").press("Enter")
    page.wait_for_selector("#search-results li a")
    assert page.url.startswith(f"{ADDRESS}search.html")


def test_the_top_leads_to_the_front_page(window, address) -> None:
    page = window().new_page()
    page.goto(address)
    page.wait_for_url(f"{address}book/intro.html")
    assert page.locator("article h1").inner_text().startswith(CONFIG["title"])
