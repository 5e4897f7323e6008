"""axe-core on the built site: what it finds, by rule, in both modes and at two widths.

    python -m tests.site.axe [book/lstm.html ...]     counts for these pages, or for all of the site;
                                                      --nodes prints each element that is found,
                                                      --whole asks for the contrast of each element by itself,
                                                      and leaves all formulas as they are

Each page is loaded once, as a file; its folds are opened. All rules run at both widths. Contrast is asked in
both modes at both widths, for one element of each *look*: its colours and grounds, its own and those of all
that it stands in, and whether its letters are large. Two elements of one look have one contrast, on whichever
page they stand.
"""

import argparse
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

CONTRAST = "color-contrast"
# What the width or the mode changes. What a phone alone shows, such as its buttons, is the same on all pages.
LAYOUT = (CONTRAST, "link-in-text-block", "scrollable-region-focusable", "target-size")
MORE = ("label-content-name-mismatch", "target-size")  # rules that axe runs only when asked
# Sections that are not laid out yet count as hidden, what moves is caught on its way; and of text on a
# picture, such as the shadow at the edge of a box that scrolls, axe says nothing.
STILL = """
    *, *::before, *::after { transition: none !important; animation: none !important; }
    * { content-visibility: visible !important; }
    .rl-diagram, .katex-display, .pst-scrollable-table-container, pre { background-image: none !important; }
    html { scroll-behavior: auto !important; }
"""
OPEN_FOLDS = """() => {
    for (const fold of document.querySelectorAll("details")) fold.open = true;
    const closed = "button.toggle-button[aria-expanded=false]";
    for (const button of document.querySelectorAll(closed)) button.click();
}"""
# page.js measures the boxes that scroll once they are laid out.
LAID_OUT = """async () => {
    for (const _ of [1, 2]) await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}"""
# What two elements of one look have in common: `look`.
LOOK = """
    const memo = new Map();
    const around = (e) => {
        if (!e) return "";
        if (!memo.has(e)) {
            const s = getComputedStyle(e);
            const own = [s.backgroundColor, s.backgroundImage, s.opacity, s.filter, s.mixBlendMode]
                .join().replace("rgba(0, 0, 0, 0),none,1,none,normal", "");
            memo.set(e, around(e.parentElement) + (own && `/${own}`));
        }
        return memo.get(e);
    };
    const look = (e) => {
        const s = getComputedStyle(e);
        const large = parseFloat(s.fontSize) >= (s.fontWeight >= 700 ? 18.66 : 24);
        return [s.color, large, s.textShadow, s.webkitTextStroke, around(e)].join("|");
    };
"""
# What draws a formula is hidden from all but the eyes, and half of a page's elements are such. A formula
# stays that has a look which none before it has, in its kind of place, or what takes the focus; of others the
# box stays, as large as it was.
LESS = f"""() => {{
    {LOOK}
    const places = "td, th, figure, details, .cell_output, .admonition, .bd-article";
    const seen = new Set(), rest = [];
    for (const e of document.querySelectorAll(".katex-html")) {{
        const place = e.parentElement.closest(places), at = `${{place?.tagName}} ${{place?.className}}`;
        const walker = document.createTreeWalker(e, NodeFilter.SHOW_TEXT);
        let stays = e.querySelector("a, button, [tabindex]");
        while (walker.nextNode()) {{
            const kind = `${{look(walker.currentNode.parentElement)}} ${{at}}`;
            if (!seen.has(kind)) stays = seen.add(kind);
        }}
        if (!stays) rest.push([e, e.getBoundingClientRect()]);
    }}
    for (const [e, {{ width, height }}] of rest) {{
        e.replaceChildren();
        Object.assign(e.style, {{ display: "inline-block", width: `${{width}}px`, height: `${{height}}px` }});
    }}
}}"""
# Marks one element of each look that is new, and returns these looks.
LOOKS = f"""([known, whole]) => {{
    {LOOK}
    const seen = new Set(known), found = [];
    for (const e of document.querySelectorAll("[data-rl-look]")) delete e.dataset.rlLook;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const elements = [...document.querySelectorAll("input, select, textarea")];
    while (walker.nextNode())
        if (walker.currentNode.data.trim()) elements.push(walker.currentNode.parentElement);
    for (const e of new Set(elements)) {{
        if (!e.checkVisibility({{ visibilityProperty: true }}) || e.closest("svg, math")) continue;
        const one = look(e);
        if (!whole && seen.has(one)) continue;
        seen.add(one);
        found.push(one);
        e.dataset.rlLook = "";
    }}
    return found;
}}"""
# axe remembers of each box whether it scrolls, and forgets how far: contrast asks from the first pixel on,
# the rule on boxes that scroll from the fourteenth. So that rule goes first.
SETTINGS = """(contrast) => {
    axe.configure({ rules: [{ id: contrast, selector: "[data-rl-look]" }] });
    const first = "scrollable-region-focusable";
    axe._audit.rules.sort((a, b) => (b.id === first) - (a.id === first));
}"""
RUN = """async ([rules, more]) => {
    const asked = Object.fromEntries(more.map((id) => [id, { enabled: true }]));
    const which = rules.length ? { runOnly: rules } : { rules: asked };
    const found = await axe.run({ resultTypes: ["violations"], ...which });
    return found.violations.flatMap((rule) => rule.nodes.map((node) => ({
        rule: rule.id, element: node.html, at: node.target.flat().join(" "), why: node.failureSummary,
    })));
}"""


class View(NamedTuple):
    """A width in pixels and a mode."""

    width: int
    mode: str

    def __str__(self) -> str:
        return f"{self.width} px, {self.mode}"


# Neighbours differ in one thing. All rules run in the first and in the third: both widths, both modes.
VIEWS = (View(1280, "light"), View(1280, "dark"), View(390, "dark"), View(390, "light"))
WHOLE = (VIEWS[0], VIEWS[2])
HEIGHTS = {1280: 900, 390: 844}


class Fault(NamedTuple):
    """An element that breaks a rule in a view of a page."""

    rule: str
    path: str
    view: View
    at: str
    element: str
    why: str

    def __str__(self) -> str:
        why = " ".join(self.why.partition(":")[2].split())
        return f"{self.rule}, {self.path}, {self.view}: {self.at}: {self.element[:160]!r}: {why}"


def script() -> str:
    """Return axe-core's text. It comes with the package axe-playwright-python."""
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@dataclass
class Asker:
    """Asks axe about pages in one window, and remembers the looks whose contrast it knows."""

    page: Any
    whole: bool = False
    known: dict[str, set[str]] = field(default_factory=dict)  # by mode

    def show(self, view: View) -> None:
        """Give the window a width and a mode."""
        self.page.set_viewport_size({"width": view.width, "height": HEIGHTS[view.width]})
        self.page.emulate_media(color_scheme=view.mode)

    def prepare(self) -> None:
        """Open the folds of the page that is shown, and bring axe."""
        self.page.add_style_tag(content=STILL)
        self.page.evaluate(OPEN_FOLDS)
        if not self.whole:
            self.page.evaluate(LESS)
        self.page.evaluate(script())
        self.page.evaluate(SETTINGS, CONTRAST)

    def now(self, path: str, view: View, *rules: str) -> list[Fault]:
        """Return the faults of the page as it is now, by some rules or by all; contrast of new looks."""
        known = self.known.setdefault(view.mode, set())
        looks = self.page.evaluate(LOOKS, [sorted(known), self.whole])
        known.update(looks)
        if rules == (CONTRAST,) and not looks:
            return []
        return [Fault(path=path, view=view, **one) for one in self.page.evaluate(RUN, [rules, MORE])]

    def ask(self, site: Path, path: str, whole: bool = True) -> list[Fault]:
        """Load a page of a site and return its faults in all views.

        whole: with all rules on a phone, too; else with those of `LAYOUT`.
        """
        found: list[Fault] = []
        self.show(VIEWS[0])
        if path == "index.html":  # which leads on at once
            text = (site / path).read_text(encoding="utf-8")
            self.page.set_content(re.sub(r"<meta http-equiv=.refresh[^>]*>", "", text))
        else:
            self.page.goto(f"{site.as_uri()}/{path}", wait_until="load")
        self.prepare()
        for view in VIEWS:
            self.show(view)
            rules: tuple[str, ...] = (CONTRAST,)
            if view in WHOLE:
                self.page.evaluate(LAID_OUT)
                rules = () if whole or view == WHOLE[0] else LAYOUT
            found += self.now(path, view, *rules)
        return found


def main() -> None:
    """Ask about pages of the site, and print what is found."""
    from playwright.sync_api import sync_playwright

    from tests.site.conftest import SITE
    from tests.site.test_browser import QUIET, find_browser

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pages", nargs="*", help="addresses below the site's top; all pages if left out")
    parser.add_argument("--site", type=Path, default=SITE, help="folder of the built site")
    parser.add_argument("--nodes", action="store_true", help="print each element")
    parser.add_argument("--whole", action="store_true", help="each element, not one of each look")
    chosen = parser.parse_args()
    paths = chosen.pages or [
        path.relative_to(chosen.site).as_posix()
        for path in sorted(chosen.site.rglob("*.html"))
        if "_static" not in path.parts
    ]
    found: list[Fault] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(QUIET))
        asker = Asker(browser.new_page(), chosen.whole)
        for path in paths:
            found += asker.ask(chosen.site.resolve(), path)
            if chosen.nodes:
                for fault in found:
                    if fault.path == path:
                        print(fault, flush=True)
        browser.close()
    print(f"{len(paths)} pages, {len(found)} faults")
    for rule, nodes in Counter(fault.rule for fault in found).most_common():
        where = {fault.path for fault in found if fault.rule == rule}
        views = Counter(str(fault.view) for fault in found if fault.rule == rule)
        print(f"{rule:30} {nodes:6} elements on {len(where):4} pages   ", dict(views))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
