"""axe-core finds nothing on any page, in light and in dark, at 1280 and at 390 pixels; nor in what opens."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.site import test_browser
from tests.site.axe import VIEWS, Asker, View

# The browser, the server and the windows of the other tests.
address, browser, visit, window = (
    getattr(test_browser, name) for name in ("address", "browser", "visit", "window")
)
DESKTOP, PHONE = VIEWS[0], VIEWS[2]
SOURCES = "_modules/"
PAGES = {  # by the beginnings of their addresses
    "book": lambda path: path.startswith("book/") and not path.startswith("book/api/"),
    "reference": lambda path: path.startswith("book/api/"),
    "others": lambda path: not path.startswith(("book/", SOURCES)),
    "sources": lambda path: path.startswith(SOURCES),
}


@pytest.fixture(scope="module")
def asker(browser) -> Asker:
    """Return what asks axe, in a window of its own. The contrasts that one test has seen, the others know."""
    return Asker(browser.new_page())


@pytest.mark.parametrize("part", PAGES)
def test_axe_finds_nothing(asker: Asker, site: Path, address: str, part: str) -> None:
    every = (path.relative_to(site).as_posix() for path in sorted(site.rglob("*.html")))
    paths = [path for path in every if not path.startswith("_static/") and PAGES[part](path)]
    assert paths
    found = [str(fault) for path in paths for fault in asker.ask(address, path)]
    assert found == []


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
    "the list of pages": ("book/lstm.html", PHONE, lambda page: page.click(".primary-toggle")),
    "the list of sections": ("book/lstm.html", PHONE, lambda page: page.click(".secondary-toggle")),
    "a menu": ("book/lstm.html", DESKTOP, lambda page: page.click(".dropdown-launch-buttons > button")),
    "a menu on a phone": (
        "book/lstm.html", PHONE, lambda page: page.click(".dropdown-download-buttons > button"),
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
    opened.page.emulate_media(color_scheme="dark" if view.mode == "light" else "light")
    found += asker.contrast(path, view)
    assert [str(fault) for fault in found] == []
    assert opened.complaints == []


# ---------------------------------------------------------------- axe itself

BAD = """() => {
    document.querySelector(".bd-article").insertAdjacentHTML("beforeend", `
        <button></button><img src="../_static/logo.svg">
        <p style="color: #999; background: #fff">Grey on white</p>
        <details><summary>More</summary><ul><p>No item</p></ul></details>`);
}"""


def test_axe_finds_what_is_wrong(visit) -> None:
    opened = visit("book/intro.html")
    asker = Asker(opened.page)
    opened.page.evaluate(BAD)
    asker.prepare()
    found = asker.now("book/intro.html", DESKTOP)
    assert {fault.rule for fault in found} == {"button-name", "image-alt", "list", "color-contrast"}
    # The contrast of a look is known from then on, and that of another is asked.
    assert asker.contrast("book/intro.html", DESKTOP) == []
    opened.page.evaluate("document.querySelector('.bd-article > p:last-of-type').style.color = '#aaa'")
    assert [fault.rule for fault in asker.contrast("book/intro.html", DESKTOP)] == ["color-contrast"]
