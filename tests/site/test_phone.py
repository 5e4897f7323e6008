"""Small screens, the dark and paper: plots are whole, no printed number is cut, what scrolls says so."""

# ruff: noqa: F811
import io
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from rnnlit.pages import figures
from tests.book_checks import screens
from tests.site.axe import STILL
from tests.site.conftest import ROOT
from tests.site.test_browser import (  # noqa: F401
    DESKTOP,
    LETTERS,
    LINES,
    PHONE,
    Visit,
    address,
    all_pages,
    browser,
    is_chapter,
    visit,
    window,
)

EXTENSIONS = ROOT / "book" / "_ext"
CSS = ROOT / "book" / "_static" / "rnnlit.css"


@pytest.fixture
def plots(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    return import_module("plots")


@pytest.fixture
def printed_lines(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    return import_module("printed_lines")


# ---------------------------------------------------------------- printed lines

LONG = "0.005 of a cell state is left after 50 steps with f = 0.9, and 1 is left with f = 1"
MARKS = f"so (she [was thinking of {'a' * 30}\n{' ' * 49}]     )"
OUTPUT = (
    '<div class="output stream highlight-x"><div class="highlight"><pre><span></span>{}</pre></div></div>'
)


def test_a_long_line_is_an_element_and_the_text_stays(printed_lines: ModuleType) -> None:
    text = f"short &lt; 1\n{LONG}\n<b>{LONG}</b>\n"
    found = printed_lines.with_lines(OUTPUT.format(text))
    assert re.findall(r'<span class="rl-line">(.*?)</span>\n', found) == [LONG, f"<b>{LONG}</b>"]
    assert re.sub(r"</?span[^>]*>", "", found) == re.sub(r"</?span[^>]*>", "", OUTPUT.format(text))


def test_a_line_that_an_element_crosses_stays(printed_lines: ModuleType) -> None:
    crossed = OUTPUT.format(f'<span class="r">{LONG}\n{LONG}</span>')
    assert printed_lines.with_lines(crossed) == crossed


@pytest.mark.parametrize(
    ("text", "is_table"),
    [
        (MARKS, True),
        (LONG, False),
        ("a" + 60 * " " + "b", True),
        ("1     2     3", False),
        ("重" * 25, False),
    ],
)
def test_what_stands_below_something_else_is_not_broken(
    printed_lines: ModuleType, text: str, is_table: bool
) -> None:
    found = printed_lines.with_lines(OUTPUT.format(text))
    assert ('<pre class="rl-columns">' in found, "rl-line" in found) == (
        is_table,
        not is_table and len(text) > 20,
    )


def test_code_is_not_broken(printed_lines: ModuleType) -> None:
    code = f'<div class="cell_input"><div class="highlight"><pre>{LONG}</pre></div></div>'
    assert printed_lines.with_lines(code) == code


# ---------------------------------------------------------------- colours in the dark


def luminance(colour: np.ndarray) -> float:
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(a: np.ndarray, b: np.ndarray) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_the_book_s_colours_stand_out_in_the_dark(plots: ModuleType) -> None:
    ground = plots.in_the_dark(plots.rgb("#ffffff"))
    of = {name: contrast(plots.in_the_dark(plots.rgb(c)), ground) for name, c in figures.COLOURS.items()}
    assert {name: ratio for name, ratio in of.items() if ratio < LETTERS} == {}
    assert contrast(plots.in_the_dark(plots.rgb(figures.STYLE["xtick.color"])), ground) > LETTERS
    assert 1.1 < contrast(plots.in_the_dark(plots.rgb(figures.STYLE["grid.color"])), ground) < LINES
    colours = [plots.in_the_dark(plots.rgb(c)) for c in figures.COLOURS.values()]
    apart = [abs(a - b).sum() for k, a in enumerate(colours) for b in colours[:k]]
    assert min(apart) > 0.25


def test_white_and_black_become_the_page_s_ground_and_ink(plots: ModuleType) -> None:
    dark = CSS.read_text(encoding="utf-8").partition('html[data-theme="dark"] {')[2].partition("}")[0]
    named = dict(re.findall(r"--rl-(\w+): (#\w+);", dark))
    for colour, name in (("#ffffff", "paper"), ("#000000", "ink")):
        assert np.abs(plots.in_the_dark(plots.rgb(colour)) - plots.rgb(named[name])).max() < 1e-6
    assert set(plots.DARK) <= set(figures.COLOURS.values())


def test_the_filter_does_the_same(plots: ModuleType) -> None:
    values = re.search(r'feColorMatrix values="([^"]*)"', plots.filter_markup())
    matrix = np.array(values[1].split(), dtype=float).reshape(4, 5)
    for colour in (*figures.COLOURS.values(), "#ffffff", "#000000", "#e4e6ea"):
        x = plots.rgb(colour)
        seen = np.clip(matrix @ [*x, 1, 1], 0, 1)
        assert seen[3] == 1
        assert np.abs(seen[:3] - plots.in_the_dark(x)).max() < 1 / 255


@pytest.mark.parametrize("ticks", [True, False])
def test_a_map_keeps_its_colours_and_a_line_does_not(plots: ModuleType, ticks: bool) -> None:
    """Matplotlib says where it has drawn the map."""
    import matplotlib.pyplot as plt

    fig, (top, bottom) = figures.new(2, 1, height=4, width=5)
    top.imshow(np.arange(1, 7).reshape(2, 3) / 7, aspect="auto")
    top.grid(False)
    top.tick_params(left=ticks, bottom=ticks)
    top.text(1, 0.5, "white", color="white")
    figures.line(bottom, [0, 1, 2], [0, 2, 1], "blue")
    bottom.axvspan(0.5, 1.5, color="#e4e6ea")
    drawn = io.BytesIO()
    fig.savefig(drawn, format="png", dpi=100)
    box = top.get_window_extent()
    plt.close(fig)
    with Image.open(drawn) as image:
        width, height = image.size
        found = plots.maps(np.asarray(image.convert("RGB")))
    scale = 100 / figures.STYLE["figure.dpi"]
    expected = [box.x0 * scale, height - box.y1 * scale, box.x1 * scale, height - box.y0 * scale]
    near = [one for one in found if np.abs(np.subtract(one, expected)).max() < 4]
    assert len(near) == 1, (found, expected)
    sides = [float(side) for side in re.findall(r"([\d.]+)%", plots.kept(near[0], (width, height)))]
    assert np.allclose(
        sides, [100 * near[0].top / height, 100 - 100 * near[0].right / width,
                100 - 100 * near[0].bottom / height, 100 * near[0].left / width], atol=0.05
    )  # fmt: skip


# ---------------------------------------------------------------- every page

FILTERS = """() => [...document.querySelectorAll('.rl-plot > img')]
    .map(e => getComputedStyle(e).filter + !!document.querySelector('filter#rl-dark'))"""
FILTERED = 'url("#rl-dark")true'
WHOLE = """() => [...document.querySelectorAll('figure, .rl-plot, .rl-diagram, tr, div.math')]
    .filter(e => getComputedStyle(e).breakInside !== 'avoid').length"""
NAVIGATION = """() => [...document.querySelectorAll('nav, header.bd-header, .bd-header-article, .bd-sidebar,'
    + ' .prev-next-area, footer, .headerlink, .toggle-button, .copybtn, .rl-live')]
    .filter(e => e.checkVisibility() && e.getBoundingClientRect().height && e.textContent.trim())
    .map(e => e.tagName + '.' + e.className)"""


def not_whole(page) -> tuple[int, dict[str, object]]:
    """Return how many plots an open page has, and what is wrong: at 390 pixels, in the dark, on paper."""
    screens.lay_out(page)
    cut, boxes = page.evaluate(screens.CUT), page.evaluate(screens.BOXES)
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("html[data-theme=dark]", state="attached")
    filters = page.evaluate(FILTERS)
    page.emulate_media(media="print")
    page.set_viewport_size(screens.SHEET)
    page.wait_for_selector("html[data-theme=light]", state="attached")
    lost = page.evaluate(screens.LOST)
    found = {
        "plots cut": cut["plots"][0],
        "numbers cut without a hint": cut["numbers"][0],
        "scrolls without a shadow": boxes["unhinted"],
        "scrolls without a name or out of the keyboard's reach": boxes["unreached"],
        "white in the dark": cut["plots"][1] - filters.count(FILTERED),
        "cut on paper": lost["code"][0] + lost["others"][0],
        "dark on paper": page.evaluate(FILTERS).count(FILTERED),
        "may break on paper": page.evaluate(WHOLE),
        "navigation on paper": page.evaluate(NAVIGATION),
    }
    page.emulate_media(color_scheme="light", media="screen")
    page.set_viewport_size(PHONE)
    return cut["plots"][1], {what: value for what, value in found.items() if value}


def test_no_page_is_cut_on_a_phone_nor_on_paper(window, site: Path, address: str) -> None:
    """All pages of the book, and some of the reference's, which are alike."""
    visited = Visit(window(PHONE).new_page(), address)
    pages, wrong, plots = all_pages(site), {}, 0
    others = [path for path in pages if not is_chapter(path)]
    for path in [*filter(is_chapter, pages), *others[::40]]:
        visited.open(path)
        drawn, found = not_whole(visited.page)
        plots += drawn
        if found:
            wrong[path] = found
    assert plots > 50
    assert wrong == {}


# ---------------------------------------------------------------- plots


def pixels(locator) -> np.ndarray:
    """Return what is seen of a plot, (height, width, 3), from 0 to 1."""
    locator.evaluate("""async plot => {
        const images = plot.querySelectorAll('img');
        for (const image of images) { image.loading = 'eager'; await image.decode(); }
        const width = `${plot.clientWidth}px`;  // over the page, at whole pixels: none is mixed of two
        Object.assign(plot.style, {position: 'fixed', left: 0, top: 0, width, zIndex: 9999});
        await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    }""")
    with Image.open(io.BytesIO(locator.screenshot())) as image:
        return np.asarray(image.convert("RGB")) / 255


def test_a_plot_is_drawn_for_the_dark_and_a_map_in_it_is_not(visit) -> None:
    page = visit("book/attention.html").page
    page.add_style_tag(content=STILL)  # no section holds what is fixed in it
    curve, chart = (
        page.locator("a.rl-plot:not(:has(.rl-kept))").first,
        page.locator("a.rl-plot:has(.rl-kept)").first,
    )
    seen = {}
    for mode in ("light", "dark"):
        page.emulate_media(color_scheme=mode)
        page.wait_for_selector(f"html[data-theme={mode}]", state="attached")
        seen[mode] = pixels(curve), pixels(chart)
    share = [np.mean([luminance(p) > 0.5 for p in seen[m][0].reshape(-1, 3)[::7]]) for m in ("light", "dark")]
    assert share[0] > 0.8 and share[1] < 0.1
    light, dark = (seen[mode][1] for mode in ("light", "dark"))
    middle = tuple(slice(int(0.3 * n), int(0.6 * n)) for n in light.shape[:2])
    assert np.abs(light[middle] - dark[middle]).max() < 0.05  # the same map
    assert luminance(light[3, 3]) > 0.9 and luminance(dark[3, 3]) < 0.05  # on another ground


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_plot_opens_large_and_escape_closes_it(visit, size: dict[str, int]) -> None:
    opened = visit("book/gru.html", size, "dark")
    page = opened.page
    plot = page.locator("a.rl-plot").nth(1)
    natural = plot.locator("img").evaluate("image => +image.getAttribute('width')")
    plot.focus()
    page.keyboard.press("Enter")
    large = page.locator("dialog[open] .rl-plot > img")
    large.wait_for()
    assert large.bounding_box()["width"] >= natural
    assert "rl-dark" in large.evaluate("image => getComputedStyle(image).filter")
    box = page.locator("dialog[open] .rl-large-plot")
    assert box.evaluate("box => box === document.activeElement")
    if box.evaluate("box => box.scrollWidth > box.clientWidth"):
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("dialog[open]")
        box.evaluate("box => new Promise(done => box.scrollLeft ? done(1) : box.onscroll = () => done(1))")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog.rl-large", state="detached")
    assert plot.evaluate("plot => plot === document.activeElement")
    plot.click()
    page.get_by_role("button", name="Close").click()
    page.wait_for_selector("dialog.rl-large", state="detached")
    assert opened.complaints == []


def test_without_scripts_a_plot_is_whole_and_leads_to_its_picture(browser, site: Path, address: str) -> None:
    context = browser.new_context(viewport=PHONE, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}book/gru.html")
    plot = page.locator("a.rl-plot").first
    box = plot.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
    picture = (site / "book" / plot.get_attribute("href")).resolve()
    assert picture.is_file() and picture.suffix == ".png"
    context.close()


def test_a_wide_box_is_scrolled_by_the_keyboard(visit) -> None:
    page = visit("book/lstm.html", PHONE).page
    page.keyboard.press("Tab")
    boxes = page.locator(".bd-article [role=group][aria-label='Code, scrolls sideways']")
    box = boxes.filter(visible=True).first.element_handle()
    box.focus()
    page.keyboard.press("ArrowRight")
    box.evaluate("box => new Promise(done => box.scrollLeft ? done(1) : box.onscroll = () => done(1))")
    assert box.evaluate("box => box.scrollLeft") > 0
    page.set_viewport_size(DESKTOP)  # there is room now
    assert box.evaluate(
        """box => new Promise(done => {
            const ask = () => box.hasAttribute('role') ? requestAnimationFrame(ask) : done(box.tabIndex < 0);
            ask(); })"""
    )
