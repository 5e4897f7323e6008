"""The built files: no page loads anything from another host, and every link, anchor and picture is there."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.site.conftest import ROOT
from tests.site.page import Page, is_local, pages, read_page, target

URL_IN_CSS = re.compile(r"""url\(\s*["']?([^"')]+)["']?\s*\)|@import\s+["']([^"']+)["']""")
# What the theme or thebe would bring; offline_site.py takes it out.
UNWANTED = re.compile(
    r"thebe|fontawesome\.js|unpkg\.com|jsdelivr|cdnjs|mathjax|googleapis|gstatic", re.IGNORECASE
)


@pytest.fixture(scope="module")
def built(site: Path) -> list[Page]:
    return pages(site)


def book_pages() -> list[str]:
    """Return the pages of the reading order, as _toc.yml names them."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


def test_every_page_of_the_reading_order_is_built(site: Path) -> None:
    missing = [name for name in book_pages() if not (site / f"{name}.html").is_file()]
    assert missing == []
    assert (site / "index.html").is_file()


def test_no_page_loads_anything_from_another_host(built: list[Page]) -> None:
    assert [(page.path.name, url) for page in built for url in page.loads if not is_local(url)] == []


def test_all_that_a_page_loads_is_there(built: list[Page]) -> None:
    loads = [
        (page, url) for page in built for url in page.loads if url and not url.startswith(("data:", "#"))
    ]
    assert loads
    assert [(page.path.name, url) for page, url in loads if not target(page, url)[0].is_file()] == []


def test_style_sheets_load_only_files_that_are_there(site: Path) -> None:
    wrong, seen = [], 0
    for sheet in site.rglob("*.css"):
        for match in URL_IN_CSS.finditer(
            re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
        ):
            url = match[1] or match[2]
            if url.startswith(("data:", "#")):
                continue
            seen += 1
            if not is_local(url) or not (sheet.parent / urlsplit(url).path).is_file():
                wrong.append((sheet.name, url))
    assert seen
    assert wrong == []


def test_styles_in_pages_load_only_files_that_are_there(built: list[Page]) -> None:
    wrong = []
    for page in built:
        for match in (m for style in page.styles for m in URL_IN_CSS.finditer(style)):
            url = match[1] or match[2]
            if url.startswith(("data:", "#")):
                continue
            if not is_local(url) or not target(page, url)[0].is_file():
                wrong.append((page.path.name, url))
    assert wrong == []


def test_nothing_is_left_of_what_names_another_host(site: Path) -> None:
    wrong = []
    for path in site.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        tags = re.findall(r"<(?:script|link)\b[^>]*>|<script>.*?</script>", page, flags=re.DOTALL)
        wrong += [(path.name, tag[:80]) for tag in tags if UNWANTED.search(tag)]
    assert wrong == []
    assert not list(site.rglob("*thebe*"))


def test_every_link_and_anchor_of_the_site_is_there(built: list[Page]) -> None:
    wrong, seen = [], 0
    for page in built:
        for url in page.links:
            if urlsplit(url).scheme or url.startswith("//") or url == "#":
                continue
            seen += 1
            path, anchor = target(page, url)
            exists = path.is_file()
            if exists and anchor and path.suffix == ".html":
                exists = anchor in read_page(path).anchors
            if not exists:
                wrong.append((page.path.name, url))
    assert seen
    assert wrong == []


def test_every_picture_is_there_and_has_alternative_text(built: list[Page]) -> None:
    images = [(page, source, alt) for page in built for source, alt in page.images]
    assert images
    assert [
        (page.path.name, source) for page, source, _ in images if not target(page, source)[0].is_file()
    ] == []
    assert [(page.path.name, source) for page, source, alt in images if not (alt or "").strip()] == []


def test_every_notebook_can_be_downloaded_and_launched(site: Path) -> None:
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    owner_and_name = urlsplit(config["repository"]["url"]).path.strip("/")
    notebooks = [name for name in book_pages() if (ROOT / f"{name}.ipynb").is_file()]
    assert notebooks
    for name in notebooks:
        page = read_page(site / f"{name}.html")
        downloads = [target(page, url)[0] for url in page.links if url.endswith(".ipynb") and is_local(url)]
        plain = site / "_sources" / f"{name}.ipynb"  # test_plain_downloads.py reads it
        assert plain.is_file() and plain.resolve() in [path.resolve() for path in downloads]
        for host in (config["launch_buttons"]["binderhub_url"], config["launch_buttons"]["colab_url"]):
            links = {url for url in page.links if url.startswith(host)}  # in the menu, and above the cells
            assert len(links) == 1, (name, host)
            (link,) = links
            assert owner_and_name in link
            assert Path(f"{name}.ipynb").name in link


def test_the_reference_covers_every_module(site: Path) -> None:
    package = ROOT / "rnnlit"
    modules = [
        path.relative_to(ROOT).with_suffix("") for path in package.rglob("*.py") if path.stem != "__init__"
    ]
    assert modules
    names = [".".join(module.parts) for module in modules]
    listed = read_page(site / "book" / "api.html").links
    pages = {name: f"api/{name.removeprefix('rnnlit.')}.html" for name in names}
    assert [name for name, page in pages.items() if f"{page}#module-{name}" not in listed] == []
    read = {name: read_page(site / "book" / page) for name, page in pages.items()}
    assert [name for name, page in read.items() if f"module-{name}" not in page.anchors] == []


def test_formulas_are_finished_in_the_page(site: Path) -> None:
    formulas = 0
    for path in (site / "book").rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        starts = [match.end() for match in re.finditer(r'<(?:div|span) class="math[^"]*"[^>]*>', page)]
        formulas += len(starts)
        assert [
            page[k : k + 60] for k in starts if not page[k:].lstrip().startswith('<span class="katex')
        ] == []
        assert "<annotation" not in page
    assert formulas
