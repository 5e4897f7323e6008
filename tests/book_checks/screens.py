"""What a browser measures of a built page: its height, how much of it explains, what has to be scrolled."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
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


class Screens(NamedTuple):
    """What a browser measures of one page."""

    screens: float  # of 900 pixels, at 1280 pixels' width
    explains: float  # the share of prose, formulas and figures in the height of all blocks
    heights: dict[str, float]  # pixels by kind
    sideways: tuple[int, int]  # blocks to scroll sideways at 1280, and all blocks
    sideways_phone: tuple[int, int]  # the same at 390
    columns: tuple[int, int]  # characters that fit at 1280 and at 390


def find_browser() -> str | None:
    """Return the path of a Chromium: the one in CHROMIUM, or the first that the system has."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


def measure(pages: Iterable[Path]) -> Iterator[Screens]:
    """Yield what a browser measures of each built page, an HTML file."""
    path = find_browser()
    if path is None:
        raise FileNotFoundError(
            "no Chromium found: install it, or name it in the environment variable CHROMIUM"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for page in pages:
            yield _measure(browser, page)
        browser.close()


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
