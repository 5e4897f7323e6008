"""The site in a real browser: every page, at two widths, in light and in dark.

The pages' policy holds here too: `wait_for_function` is refused, for it waits by `eval`; wait for a selector.

The browser is the system's Chromium. Where there is none the tests skip; with CI=true they fail instead.
"""

import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest

from scripts.chromium import HOW_TO, QUIET, find_browser
from scripts.serve import make_server
from tests.programs import LIMIT

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
MODES = ("light", "dark")
SPECIAL = ("index.html", "404.html")  # leads to the first page; is shown elsewhere: see test_site_head.py
LINES, LETTERS = 3.0, 4.5  # contrast that WCAG 2.1 (1.4.11, 1.4.3, level AA) asks of graphics and of text

VISIBLE_TEXT = """() => {
    const texts = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const parent = walker.currentNode.parentElement;
        if (!parent.closest('code, pre, script, style, template, .katex') && parent.checkVisibility())
            texts.push(walker.currentNode.data);
    }
    return texts.join('\\n');
}"""
TOO_WIDE = """() => {
    const width = document.documentElement.clientWidth, found = [];
    if (document.documentElement.scrollWidth > width) found.push('the page itself');
    const scrolls = element => {
        for (let e = element.parentElement; e && e !== document.body; e = e.parentElement)
            if (e.matches('.bd-article, .bd-article-container')) return false;
            else if (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX)) return true;
        return false;
    };
    for (const element of document.querySelectorAll('.bd-article *')) {
        const box = element.getBoundingClientRect();
        if (box.right > width + 1 && box.width && box.height && !scrolls(element)
            && element.checkVisibility({opacityProperty: true})
            && !element.closest('.katex-mathml, .visually-hidden'))
            found.push(element.tagName + '.' + element.getAttribute('class') + ' ends at ' + box.right);
    }
    return found.slice(0, 5);
}"""
NUMBERS_OVER_FORMULAS = """() => [...document.querySelectorAll('div.math > .eqno')].filter(number =>
    number.parentElement.querySelector('.katex-display').getBoundingClientRect().right
        > number.getBoundingClientRect().left + 1).map(number => number.textContent)"""
# A plot is loaded when the reader comes near; here all are asked for.
BAD_PICTURES = """async () => {
    const pictures = [...document.images]
        .filter(i => i.loading !== 'lazy' || i.checkVisibility() || i.closest('.bd-article'));
    for (const picture of pictures) picture.loading = 'eager';
    await Promise.allSettled(pictures.map(picture => picture.decode()));
    return pictures.filter(i => !i.complete || !i.naturalWidth || !(i.alt || i.matches('.logo__image')))
        .map(i => i.src);
}"""
# Relative luminance and contrast as WCAG 2.1 defines them. `over` lays a colour with alpha on another.
CONTRAST = """
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const rgba = colour => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data]; };
    const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const luminance = c => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
    const contrast = (a, b) => {
        const [x, y] = [luminance(rgba(a)), luminance(rgba(b))].sort((p, q) => q - p);
        return (x + 0.05) / (y + 0.05); };
    const ground = element => { for (let e = element; e; e = e.parentElement) {
        const colour = getComputedStyle(e).backgroundColor; if (rgba(colour)[3] === 255) return colour; }
        return 'white'; };
"""


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Yield a running browser."""
    path = find_browser()
    if path is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(HOW_TO, pytrace=False)
        pytest.skip(HOW_TO)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(QUIET), timeout=1000 * LIMIT)
        yield running
        running.close()


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Yield the address of a server of the site, the one that `make book` uses."""
    with make_server(site) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join(LIMIT)


@dataclass
class Visit:
    """An open page, and all that went wrong while it was open."""

    page: object
    home: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Write down each request that leaves the site or fails, and each error on a page."""
        self.page.on("request", self.on_request)
        self.page.on("response", lambda r: self.note(f"{r.status} {r.url}") if r.status >= 400 else None)
        self.page.on("requestfailed", self.on_failure)
        self.page.on("console", lambda m: self.note(f"console: {m.text}") if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.note(f"error: {error}"))

    def on_failure(self, request) -> None:
        """What is still on its way when the next page is opened has not failed."""
        if "ERR_ABORTED" not in (request.failure or ""):
            self.note(f"failed: {request.url}")

    def open(self, path: str) -> None:
        """Open a page, and wait until all of it is there."""
        self.page.goto(self.home + path, wait_until="load")
        self.page.evaluate("document.fonts.ready.then(() => true)")

    def on_request(self, request) -> None:
        if not request.url.startswith((self.home, "data:", "blob:")):
            self.note(f"leaves the site: {request.url}")

    def note(self, complaint: str) -> None:
        self.complaints.append(complaint)


@pytest.fixture
def window(browser) -> Iterator:
    """Yield a function that opens a window of a size and a mode; its pages share what the browser keeps."""
    contexts = []

    def open_window(size: dict[str, int] = DESKTOP, mode: str = "light"):
        contexts.append(browser.new_context(viewport=size, color_scheme=mode))
        contexts[-1].set_default_timeout(1000 * LIMIT)
        return contexts[-1]

    yield open_window
    for context in contexts:
        context.close()


@pytest.fixture
def visit(window, address: str) -> Callable[..., Visit]:
    """Return a function that opens a page of the site and returns the `Visit`."""

    def open_page(
        path: str, size: dict[str, int] = DESKTOP, mode: str = "light", home: str = address
    ) -> Visit:
        opened = Visit(window(size, mode).new_page(), home)
        opened.open(path)
        return opened

    return open_page


def raw_tex(text: str) -> list[str]:
    """Return what looks like TeX in visible text."""
    return re.findall(
        r"\$\$|\\(?:begin|end|frac|sqrt|sum|mathbf|mathbb|mathrm|odot|sigma|tanh|text|left|right)\b", text
    )


def all_pages(site: Path) -> list[str]:
    """Return the addresses of all pages, relative to the site."""
    paths = (path.relative_to(site).as_posix() for path in sorted(site.rglob("*.html")))
    return [path for path in paths if not path.startswith("_static/") and path not in SPECIAL]


def is_chapter(path: str) -> bool:
    """Tell whether a page is one of the book, and not of the package's reference."""
    return path.startswith("book/") and not path.startswith("book/api/")


def faults(page) -> list[str]:
    """Return what is wrong with a page as it is shown now."""
    return [
        *(f"raw TeX: {tex}" for tex in raw_tex(page.evaluate(VISIBLE_TEXT))),
        *(f"too wide: {element}" for element in page.evaluate(TOO_WIDE)),
        *(f"number over formula: {number}" for number in page.evaluate(NUMBERS_OVER_FORMULAS)),
        *(f"no picture or no alternative text: {source}" for source in page.evaluate(BAD_PICTURES)),
    ]


def wrong_on(paths: list[str], visited: Visit, *ways: tuple[dict[str, int], str]) -> dict[str, list[str]]:
    """Load each page once and show it in some ways, each a size and a mode; return what is wrong, by page."""
    assert paths
    found, page = {}, visited.page
    for path in paths:
        visited.complaints.clear()
        visited.open(path)
        wrong = []
        for size, mode in ways:
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=mode)
            page.wait_for_selector(f"html[data-theme={mode}]", state="attached")
            wrong += [f"{size['width']} wide, {mode}: {fault}" for fault in faults(page)]
        found[path] = visited.complaints + wrong
    return {path: wrong for path, wrong in found.items() if wrong}


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_of_the_book(window, site: Path, address: str, size: dict[str, int]) -> None:
    pages = [path for path in all_pages(site) if is_chapter(path)]
    visited = Visit(window(size).new_page(), address)
    assert wrong_on(pages, visited, *((size, mode) for mode in MODES)) == {}


def test_every_other_page(window, site: Path, address: str) -> None:
    """The indices, the search, and one in three of the modules' pages and sources, which are alike."""
    others = [path for path in all_pages(site) if not is_chapter(path)]
    alike = [path for path in others if path.startswith(("book/api/", "_modules/"))]
    pages = [path for path in others if path not in alike] + alike[::3]
    visited = Visit(window().new_page(), address)
    assert wrong_on(pages, visited, (DESKTOP, "light"), (PHONE, "dark")) == {}


def test_the_top_of_the_site_leads_to_the_first_page(window, address: str) -> None:
    page = window().new_page()
    page.goto(address)
    page.wait_for_url(f"{address}book/intro.html")


def test_raw_tex_is_recognised() -> None:
    assert raw_tex("a $$ b \\frac{1}{2} \\begin{aligned}") == ["$$", "\\frac", "\\begin"]
    assert raw_tex("it costs $5, see C:\\fractal") == []


def test_the_site_works_from_a_file(visit, site: Path) -> None:
    opened = visit("book/intro.html", home=f"{site.as_uri()}/")
    page = opened.page
    assert page.evaluate("document.fonts.check('1em \"Source Serif 4\"')")
    page.click("a.next-page, .prev-next-area a.right-next")
    page.wait_for_load_state("load")
    assert page.locator(".katex-html").count() > 0
    page.goto(f"{site.as_uri()}/search.html?q=forget")
    page.wait_for_selector("#search-results li a")
    assert opened.complaints == []


def test_search_finds_a_word(visit) -> None:
    opened = visit(f"search.html?q={quote('forget')}")
    page = opened.page
    page.wait_for_selector("#search-results ul.search li a")
    targets = page.eval_on_selector_all(
        "#search-results li a", "links => links.map(a => a.getAttribute('href'))"
    )
    assert any(target.startswith("book/lstm.html") for target in targets), targets
    page.wait_for_selector("#search-results li p, #search-results li .context", state="attached")
    assert raw_tex(page.evaluate(VISIBLE_TEXT)) == []
    assert opened.complaints == []


def test_search_says_when_there_is_nothing(visit) -> None:
    page = visit("search.html?q=zyzzyvax").page
    page.wait_for_selector("#search-results p.search-summary:has-text('did not match')")
    assert page.locator("#search-results ul.search li").count() == 0


def stroke(page) -> str:
    """Return the colour of the first line of the page's first drawing, as the browser computes it."""
    return page.evaluate(
        """() => [...document.querySelectorAll('.rl-diagram svg *')]
            .map(e => getComputedStyle(e).stroke).find(colour => colour !== 'none')"""
    )


def test_the_button_changes_the_mode_and_a_drawing_follows(visit) -> None:
    page = visit("book/intro.html").page
    seen = {}
    for _ in range(3):
        page.locator("button.theme-switch-button:visible").first.click()
        seen[page.evaluate("document.documentElement.dataset.mode")] = (
            page.evaluate("document.documentElement.dataset.theme"),
            stroke(page),
        )
    assert {mode: theme for mode, (theme, _) in seen.items()} == {
        "auto": "light",
        "light": "light",
        "dark": "dark",
    }
    assert seen["light"][1] == seen["auto"][1]
    assert seen["light"][1] != seen["dark"][1]


def test_the_chosen_mode_stays(visit) -> None:
    page = visit("book/intro.html").page
    while page.evaluate("document.documentElement.dataset.mode") != "dark":
        page.locator("button.theme-switch-button:visible").first.click()
    page.goto(page.url.replace("intro", "api"))
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("mode", MODES)
def test_colours_of_drawings_stand_out(visit, mode: str) -> None:
    page = visit("book/intro.html", mode=mode).page
    names = ("ink", "muted", "blue", "orange", "green", "red", "purple")
    found = page.evaluate(
        "names => {"
        + CONTRAST
        + """
        const style = getComputedStyle(document.documentElement);
        const colour = name => style.getPropertyValue('--rl-' + name).trim();
        return Object.fromEntries(names.map(name =>
            [name, Math.min(...['paper', 'fill'].map(g => contrast(colour(name), colour(g))))]));
        }""",
        names,
    )
    need = {name: LETTERS if name in ("ink", "muted") else LINES for name in names}
    assert {name: ratio for name, ratio in found.items() if ratio < need[name]} == {}
    assert page.evaluate(
        "(() => {" + CONTRAST + "return rgba(ground(document.querySelector('.bd-article')))})()"
    ) == (
        page.evaluate(
            "(() => {" + CONTRAST + "return rgba(getComputedStyle(document.documentElement)"
            ".getPropertyValue('--rl-paper'))})()"
        )
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "path", ["book/lstm.html", "book/api/nn.lstm.html", "book/intro.html", "book/bibliography.html"]
)
def test_every_letter_can_be_read(visit, path: str, mode: str) -> None:
    """Text and code of a page, each on its own ground; signs that hide until a pointer comes near aside."""
    page = visit(path, mode=mode).page
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    found = page.evaluate(
        "() => {"
        + CONTRAST
        + """
        const worst = {};
        const walker = document.createTreeWalker(document.querySelector('.bd-article'), NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const e = walker.currentNode.parentElement;
            const hidden = e.closest('svg, script, style, .katex-mathml, .headerlink');
            if (!walker.currentNode.data.trim() || hidden) continue;
            const colour = getComputedStyle(e).color;
            worst[`${colour} on ${ground(e)} in ${e.tagName}.${e.className}`] = contrast(colour, ground(e));
        }
        return worst;
        }"""
    )
    assert found
    assert {what: ratio for what, ratio in found.items() if ratio < LETTERS} == {}


def test_a_wide_drawing_scrolls_in_its_frame_on_a_phone(visit) -> None:
    page = visit("book/intro.html", PHONE).page
    frame = page.evaluate(
        """() => { const frame = document.querySelector('.rl-diagram'), svg = frame.firstElementChild;
            return {frame: frame.clientWidth, inside: frame.scrollWidth, natural: svg.viewBox.baseVal.width,
                    drawn: svg.getBoundingClientRect().width, how: getComputedStyle(frame).overflowX}; }"""
    )
    assert frame["frame"] <= PHONE["width"]
    assert frame["drawn"] >= 0.79 * frame["natural"]
    assert frame["inside"] <= frame["frame"] or frame["how"] == "auto"


def test_solutions_are_folded_and_open_at_a_click(visit) -> None:
    page = visit("book/lstm.html").page
    solution = page.locator("div.solution.dropdown").first
    body = solution.locator(".section, section, #solution-content").first
    assert not body.is_visible()
    solution.locator(".admonition-title").click()
    body.wait_for(state="visible")


def test_the_answer_to_a_prediction_is_printed_and_folded_code_is_not(visit) -> None:
    page = visit("book/lstm.html").page
    fold = """<div class="cell"><details class="admonition hide {0}-input">
        <summary>Show</summary><p id="{0}">0.005</p></details></div>"""
    page.evaluate(
        "html => document.querySelector('.bd-article').insertAdjacentHTML('beforeend', html)",
        fold.format("below") + fold.format("above"),
    )
    seen = "() => ['below', 'above'].map(id => document.getElementById(id).checkVisibility())"
    assert page.evaluate(seen) == [False, False]
    page.emulate_media(media="print")
    assert page.evaluate(seen) == [True, False]


def test_code_can_be_copied(visit) -> None:
    page = visit("book/lstm.html").page
    page.wait_for_selector("button.copybtn", state="attached")
    inputs = page.locator("div.cell_input div.highlight").count()
    assert page.locator("div.cell_input button.copybtn").count() == inputs > 0


def test_glossary_is_searched_in_both_languages(visit) -> None:
    page = visit("book/terminology.html").page
    rows = page.locator(".rl-glossary tbody tr")
    every = rows.count()
    assert every > 60
    field = page.get_by_label("Find a term")
    for wanted, term in (("forget", "遗忘门"), ("遗忘", "forget gate")):
        field.fill(wanted)
        shown = rows.filter(visible=True)
        assert 1 <= shown.count() < every / 10
        assert term in shown.first.inner_text()
    field.fill("no such term")
    assert rows.filter(visible=True).count() == 0
    field.fill("")
    assert rows.filter(visible=True).count() == every


def test_errata_quote_the_article_and_show_what_is_so(visit) -> None:
    article = visit("book/errata.html").page.locator(".bd-article")
    assert article.locator("blockquote").count() > 45
    quoted = article.locator("blockquote", has_text="得到新的细胞状态Ct").bounding_box()
    shown = article.locator(".output", has_text="gradient, input 0 to 4 steps back").first
    assert shown.is_visible() and shown.bounding_box()["y"] > quoted["y"]
