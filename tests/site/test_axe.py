"""axe-core finds nothing on any page, in light and in dark, at 1280 and at 390 pixels; nor in what opens."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.site import test_browser
from tests.site.axe import CONTRAST, LOOKS, VIEWS, Asker, View

# The browser, the server and the windows of the other tests.
address, browser, visit, window = (
    getattr(test_browser, name) for name in ("address", "browser", "visit", "window")
)
DESKTOP, PHONE = VIEWS[0], VIEWS[2]
SOURCES, REFERENCE = "_modules/", "book/api/"
TAG = re.compile(r"<(?P<end>/?)(?P<name>[a-z][a-z0-9]*)\b(?P<attributes>[^>]*)>")
MARKS = re.compile(r'\b(?:class|role|type)="[^"]*"')
ALONE = {"br", "col", "hr", "img", "input", "link", "meta", "path", "source", "wbr"}


def parts(site: Path) -> dict[str, list[str]]:
    """Return the addresses of all pages, by what they are."""
    every = [path.relative_to(site).as_posix() for path in sorted(site.rglob("*.html"))]
    found: dict[str, list[str]] = {"book": [], "reference": [], "sources": [], "others": []}
    for path in every:
        if path.startswith(SOURCES):
            found["sources"].append(path)
        elif path.startswith(REFERENCE):
            found["reference"].append(path)
        elif not path.startswith("_static/"):
            found["book" if path.startswith("book/") else "others"].append(path)
    return found


def shapes(page: str) -> set[tuple[str, str]]:
    """Return what stands in what in a page's main part: elements with their classes, roles and types."""
    found, open_ = set(), ["main"]
    for tag in TAG.finditer(page, page.find("<main"), page.rfind("</main>")):
        name = tag["name"]
        if tag["end"]:
            while len(open_) > 1 and open_.pop().partition(" ")[0] != name:
                pass
            continue
        shape = " ".join([name, *MARKS.findall(tag["attributes"])])
        found.add((open_[-1], shape))
        if name not in ALONE and not tag["attributes"].endswith("/"):
            open_.append(shape)
    return found


def of_all_shapes(site: Path, paths: list[str]) -> list[str]:
    """Return some of these pages, on which all stands that stands on any of them.

    The pages of the reference and of the source code are made by a program, hundreds of one kind.
    """
    by_path = {path: shapes((site / path).read_text(encoding="utf-8")) for path in paths}
    left, chosen = set().union(*by_path.values()), []
    while left:
        chosen.append(max(by_path, key=lambda path: len(by_path[path] & left)))
        left -= by_path[chosen[-1]]
    return chosen


@pytest.fixture(scope="module")
def asker(browser) -> Asker:
    """Return what asks axe, in a window of its own. The contrasts that one test has seen, the others know."""
    return Asker(browser.new_page())


@pytest.mark.parametrize("part", ["book", "reference", "sources", "others"])
def test_axe_finds_nothing(asker: Asker, site: Path, part: str) -> None:
    """On each page of the book; of what a program writes, on some with all shapes. RNNLIT_AXE=all: on all."""
    paths = parts(site)[part]
    if part in ("reference", "sources") and os.environ.get("RNNLIT_AXE") != "all":
        paths = of_all_shapes(site, paths)
    assert paths
    found = [fault for place, path in enumerate(paths) for fault in asker.ask(site, path, whole=not place)]
    assert [str(fault) for fault in found] == []


def test_some_pages_have_all_shapes(tmp_path: Path) -> None:
    page = "<main><p>{}</p></main>".format
    texts = {
        "a": page("<b>x</b>"),
        "b": page("<i>x</i>"),
        "c": page('<b>y</b><i>y</i><br><b class="z">y</b>'),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert shapes(texts["c"]) == {
        ("main", "main"), ("main", "p"), ("p", "b"), ("p", "i"), ("p", "br"), ("p", 'b class="z"'),
    }  # fmt: skip
    assert of_all_shapes(tmp_path, ["a", "b"]) == ["a", "b"]
    assert of_all_shapes(tmp_path, ["a", "b", "c"]) == ["c"]


# ---------------------------------------------------------------- what opens

UP = """async () => {
    for (const y of [1500, 1000]) {
        const there = new Promise((done) => addEventListener("scrollend", done, { once: true }));
        scrollTo(0, y);
        await there;
    }
}"""
WAYS: dict[str, tuple[str, View, Callable]] = {
    "the dialog of the search": (
        "book/intro.html", DESKTOP, lambda page: page.keyboard.press("Control+k"),
    ),
    "the list of pages": ("book/moving.html", PHONE, lambda page: page.click(".primary-toggle")),
    "the list of sections": ("book/moving.html", PHONE, lambda page: page.click(".secondary-toggle")),
    "a menu": ("book/moving.html", DESKTOP, lambda page: page.click(".dropdown-launch-buttons > button")),
    "a menu on a phone": (
        "book/moving.html", PHONE, lambda page: page.click(".dropdown-download-buttons > button"),
    ),
    "what the search finds": (
        "search.html?q=forget+gate", DESKTOP, lambda page: page.wait_for_selector("#search-results li a"),
    ),
    "the way back to the top": (
        "book/intro.html", PHONE,
        lambda page: (page.evaluate(UP), page.wait_for_selector("#pst-back-to-top", state="visible")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WAYS)
def test_axe_finds_nothing_in(visit, what: str) -> None:
    path, view, do = WAYS[what]
    opened = visit(path, {"width": view.width, "height": 844}, view.mode)
    asker = Asker(opened.page)
    do(opened.page)
    asker.prepare()
    found = asker.now(path, view)
    asker.show(view._replace(mode="dark" if view.mode == "light" else "light"))
    found += asker.now(path, view._replace(mode="dark" if view.mode == "light" else "light"), CONTRAST)
    assert [str(fault) for fault in found] == []
    assert opened.complaints == []


# ---------------------------------------------------------------- axe itself


@pytest.mark.parametrize("path", ["book/lstm.html", "book/notation.html"])
def test_with_fewer_formulas_no_look_is_lost(browser, site: Path, path: str) -> None:
    looks: dict[bool, list[set[str]]] = {True: [], False: []}
    count = {}
    for whole, seen in looks.items():
        asker = Asker(browser.new_page(), whole)
        asker.page.goto(f"{site.as_uri()}/{path}")
        asker.prepare()
        for view in VIEWS:
            asker.show(view)
            seen.append(set(asker.page.evaluate(LOOKS, [[], whole])))
        count[whole] = asker.page.locator(".katex-html > *").count()
        asker.page.close()
    assert looks[False] == looks[True]
    assert 0 < count[False] < count[True] / 4


BAD = """() => {
    document.querySelector(".bd-article").insertAdjacentHTML("beforeend", `
        <button></button><img src="../_static/logo.svg"><button aria-label="Go on">Read the next page</button>
        <p style="color: #999; background: #fff">Grey on white</p>
        <details><summary>More</summary><ul><p>No item</p></ul></details>`);
}"""


def test_axe_finds_what_is_wrong(visit) -> None:
    opened = visit("book/intro.html")
    asker = Asker(opened.page)
    opened.page.evaluate(BAD)
    asker.prepare()
    found = asker.now("book/intro.html", DESKTOP)
    assert {fault.rule for fault in found} == {
        "button-name", "image-alt", "label-content-name-mismatch", "list", CONTRAST,
    }  # fmt: skip
    # The contrast of a look is known from then on, and that of another is asked.
    assert asker.now("book/intro.html", DESKTOP, CONTRAST) == []
    opened.page.evaluate("document.querySelector('.bd-article > p:last-of-type').style.color = '#aaa'")
    assert [fault.rule for fault in asker.now("book/intro.html", DESKTOP, CONTRAST)] == [CONTRAST]
