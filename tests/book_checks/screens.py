"""What a browser measures of a built page: its height, how much of it explains, what has to be scrolled."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from scripts.chromium import HOW_TO, QUIET, find_browser

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}

# The height of each kind of block that a reader sees before anything is opened. What a cell draws explains,
# and so do the table and the formula that it returns; what it prints does not. A closed fold is its line.
HEIGHTS = r"""() => {
  const heights = {prose: 0, formula: 0, figure: 0, code: 0, output: 0, fold: 0};
  const put = (kind, element) => { heights[kind] += element.getBoundingClientRect().height; };
  const inside = 'section, div.cell, div.output, div.solution, div.proof, .admonition, div.container, ' +
    'div.pst-scrollable-table-container';
  const walk = (element, output) => {
    for (const e of element.children) {
      if (!e.checkVisibility() || e.matches('script, style, nav, .headerlink')) continue;
      if (e.matches('details')) { if (e.open) walk(e, output); else put('fold', e); }
      else if (e.matches('.toggle-hidden')) put('fold', e);
      else if (e.matches('div.cell_input')) put('code', e);
      else if (e.matches('div.cell_output')) walk(e, true);
      else if (e.matches('figure, svg, img, .rl-sentence')) put('figure', e);
      else if (e.querySelector(':scope > img') && !e.matches('section')) put('figure', e);
      else if (e.matches('div[class*=highlight-], pre'))
        put(output && !e.matches('[class*=python]') ? 'output' : 'code', e);
      else if (e.matches('div.math')) put('formula', e);
      else if (e.matches(inside)) walk(e, output);
      else put('prose', e);
    }
  };
  walk(document.querySelector('article.bd-article'), false);
  return heights;
}"""
# Blocks of code and output that a reader sees: how many there are, and how many have to be scrolled sideways.
SIDEWAYS = r"""() => {
  const blocks = [...document.querySelectorAll('.bd-article pre')].filter(p => p.checkVisibility());
  return [blocks.length, blocks.filter(p => p.scrollWidth > p.clientWidth + 1).length];
}"""
# Characters of code that fit the column.
COLUMNS = r"""() => {
  const pre = document.querySelector('div.cell_input pre'), probe = document.createElement('span');
  if (!pre) return 0;
  probe.textContent = '0'.repeat(100);
  pre.appendChild(probe);
  const letter = probe.getBoundingClientRect().width / 100, style = getComputedStyle(pre);
  probe.remove();
  const room = pre.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  return Math.floor(room / letter);
}"""

# Boxes to be scrolled sideways: how many; without a shadow at the edge; that a keyboard can't reach, or
# that have no name. A box within another one that scrolls counts too.
BOXES = r"""() => {
  const scrolls = [...document.querySelectorAll('.bd-article, .bd-article *')].filter(e =>
    e.checkVisibility() && /auto|scroll/.test(getComputedStyle(e).overflowX)
    && !e.closest('.katex-mathml, .rl-filter') && e.scrollWidth > e.clientWidth + 1);
  const say = e => `${e.tagName}.${e.getAttribute('class')} ${e.textContent.trim().slice(0, 30)}`;
  const hinted = e => /gradient/.test(getComputedStyle(e).backgroundImage)
    && /local/.test(getComputedStyle(e).backgroundAttachment);
  return {
    scroll: scrolls.length,
    unhinted: scrolls.filter(e => !hinted(e)).map(say),
    unreached: scrolls.filter(e => e.tabIndex < 0 || !e.getAttribute('role')
      || !e.getAttribute('aria-label')).map(say),
  };
}"""
# Plots, and those of which a part lies beyond the edge of the screen or of a box that scrolls. Outputs, and
# those that scroll, and those with a printed number of which a part lies there and no shadow says so.
CUT = r"""() => {
  const edge = element => {
    let right = document.documentElement.clientWidth;
    for (let e = element; e; e = e.parentElement)
      if (getComputedStyle(e).overflowX !== 'visible')
        right = Math.min(right, e.getBoundingClientRect().left + e.clientLeft + e.clientWidth);
    return right + 1;
  };
  const plots = [...document.querySelectorAll('.cell_output img')].filter(e => e.checkVisibility());
  const outputs = [...document.querySelectorAll('.cell_output .output pre')].filter(e => e.checkVisibility());
  const numberCut = pre => {
    if (/gradient/.test(getComputedStyle(pre).backgroundImage)) return false;
    const right = edge(pre), walker = document.createTreeWalker(pre, NodeFilter.SHOW_TEXT);
    while (walker.nextNode())
      for (const found of walker.currentNode.data.matchAll(/[-+−]?\d[\d.,]*(e[-+]?\d+)?/g)) {
        const range = document.createRange();
        range.setStart(walker.currentNode, found.index);
        range.setEnd(walker.currentNode, found.index + found[0].length);
        if (range.getBoundingClientRect().right > right) return true;
      }
    return false;
  };
  const beyond = pre => pre.scrollWidth > pre.clientWidth + 1;
  return {
    plots: [plots.filter(e => e.getBoundingClientRect().right > edge(e.parentElement)).length, plots.length],
    outputs: [outputs.filter(beyond).length, outputs.length],
    numbers: [outputs.filter(numberCut).length, outputs.length],
  };
}"""
# On paper: blocks of code and output with a line whose end is beyond the block; formulas, tables, drawings.
LOST = r"""() => {
  const seen = names => [...document.querySelectorAll(names)].filter(e => e.checkVisibility());
  const lost = boxes => [boxes.filter(e => e.scrollWidth > e.clientWidth + 1).length, boxes.length];
  const others = ['.katex-display', '.pst-scrollable-table-container', '.rl-diagram'];
  return {code: lost(seen('.bd-article pre')),
          others: lost(seen(others.map(name => `.bd-article ${name}`).join()))};
}"""
OPEN = "() => document.querySelectorAll('details').forEach(fold => { fold.open = true; })"
UNFOLD = "() => document.querySelectorAll('.toggle-hidden').forEach(e => e.classList.remove('toggle-hidden'))"
LOADED = """async () => {
    const pictures = [...document.images].filter(picture => picture.checkVisibility());
    for (const picture of pictures) picture.loading = 'eager';
    await Promise.allSettled(pictures.map(picture => picture.decode()));
}"""
SHEET = {"width": 680, "height": 1000}  # what A4 leaves between margins of 15 mm, at 96 pixels an inch
WHITE = 0.5  # the mean luminance of a picture above which it is a light box


class Cut(NamedTuple):
    """What of a page a reader doesn't see whole; each pair is how many, and of how many."""

    plots: tuple[int, int]  # at 390 pixels
    outputs: tuple[int, int]  # that have to be scrolled at 390
    numbers: tuple[int, int]  # outputs with a number of which a part is cut at 390
    scroll: int  # boxes that scroll at 390, of code, tables, formulas, drawings
    unhinted: int  # of them, without a shadow
    unreached: int  # of them, that a keyboard doesn't reach, or without a role and a name
    lost: tuple[int, int]  # blocks of code and output on paper with a line that loses its end
    others: tuple[int, int]  # formulas, tables and drawings on paper that lose their end
    white: tuple[int, int]  # plots that are light boxes in the dark


class Screens(NamedTuple):
    """What a browser measures of one page."""

    screens: float  # of 900 pixels, at 1280 pixels' width
    explains: float  # the share of prose, formulas and figures in the height of all blocks
    heights: dict[str, float]  # pixels by kind
    sideways: tuple[int, int]  # blocks to scroll sideways at 1280, and all blocks
    sideways_phone: tuple[int, int]  # the same at 390
    columns: tuple[int, int]  # characters that fit at 1280 and at 390


@contextmanager
def started() -> Iterator[Any]:
    """A Chromium. FileNotFoundError: there is none."""
    path = find_browser()
    if path is None:
        raise FileNotFoundError(HOW_TO)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


def measure(pages: Iterable[Path]) -> Iterator[Screens]:
    """Yield what a browser measures of each built page, an HTML file."""
    with started() as browser:
        for page in pages:
            yield _measure(browser, page)


def _measure(browser: Any, page: Path) -> Screens:
    found = []
    for viewport in (DESKTOP, PHONE):
        tab = browser.new_page(viewport=viewport)
        tab.goto(page.as_uri())
        # Sections that are far from the window count as well.
        tab.add_style_tag(content="* { content-visibility: visible !important }")
        tab.evaluate("document.fonts.ready")
        heights, sideways, columns = (tab.evaluate(script) for script in (HEIGHTS, SIDEWAYS, COLUMNS))
        height = tab.evaluate("document.querySelector('article.bd-article').getBoundingClientRect().height")
        found.append((heights, sideways, columns, height))
        tab.close()
    (heights, wide, columns, height), (_, wide_phone, columns_phone, _) = found
    explains = heights["prose"] + heights["formula"] + heights["figure"]
    return Screens(
        screens=height / DESKTOP["height"],
        explains=explains / sum(heights.values()),
        heights={kind: round(value) for kind, value in heights.items()},
        sideways=(wide[1], wide[0]),
        sideways_phone=(wide_phone[1], wide_phone[0]),
        columns=(columns, columns_phone),
    )


def cut(pages: Iterable[Path]) -> Iterator[Cut]:
    """Yield what of each built page a reader doesn't see whole, with all folds open."""
    with started() as browser:
        for page in pages:
            tab = browser.new_page(viewport=PHONE)
            tab.goto(page.as_uri())
            yield cut_on(tab)
            tab.close()


def cut_on(tab: Any) -> Cut:
    """Return what of an open page a reader doesn't see whole, with all folds open."""
    lay_out(tab)
    phone, boxes = tab.evaluate(CUT), tab.evaluate(BOXES)
    tab.emulate_media(color_scheme="dark")
    tab.wait_for_selector("html[data-theme=dark]", state="attached")
    plots = tab.locator(".cell_output img").filter(visible=True).all()
    white = sum(luminance(plot.screenshot()) > WHITE for plot in plots)
    tab.emulate_media(color_scheme="light", media="print")
    tab.set_viewport_size(SHEET)
    paper = tab.evaluate(LOST)
    return Cut(
        plots=tuple(phone["plots"]),
        outputs=tuple(phone["outputs"]),
        numbers=tuple(phone["numbers"]),
        scroll=boxes["scroll"],
        unhinted=len(boxes["unhinted"]),
        unreached=len(boxes["unreached"]),
        lost=tuple(paper["code"]),
        others=tuple(paper["others"]),
        white=(white, len(plots)),
    )


def lay_out(tab: Any) -> None:
    """Have an open page lay out all of itself, folds included, and wait until its script knows its boxes."""
    tab.add_style_tag(content="* { content-visibility: visible !important }")
    tab.evaluate("document.fonts.ready.then(() => true)")
    tab.evaluate(OPEN)
    tab.evaluate(UNFOLD)
    tab.evaluate(LOADED)
    tab.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")


def luminance(screenshot: bytes) -> float:
    """Return the mean relative luminance of a picture: 0 for black, 1 for white (WCAG 2.1)."""
    import io

    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(screenshot)) as image:
        values = np.asarray(image.convert("RGB")) / 255.0
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float((linear @ [0.2126, 0.7152, 0.0722]).mean())
