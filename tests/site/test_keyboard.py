"""The site by keyboard alone: all is reached, the focus is seen, what opens closes, and the focus returns."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.site import test_browser
from tests.site.axe import STILL
from tests.site.test_browser import DESKTOP, LINES, PHONE

# The browser, the server and the windows of the other tests.
address, browser, visit, window = (
    getattr(test_browser, name) for name in ("address", "browser", "visit", "window")
)
MOST = 400  # presses of Tab on one page
AROUND = 16  # pixels around an element, for a ring; that of a fold is around its title

# All that takes the focus by Tab, in the order of the page.
OPERABLE = """() => {
    const all = "a[href], button, input, select, textarea, summary, [tabindex], [contenteditable]";
    return [...document.querySelectorAll(all)].filter((e) => e.tabIndex >= 0 && !e.disabled
        && !e.closest("[inert]") && e.checkVisibility({ visibilityProperty: true }));
}"""
COUNT = f"() => {{ window.rlAll = ({OPERABLE})(); return window.rlAll.length; }}"
WHICH = "() => window.rlAll.indexOf(document.activeElement)"
NAME = """(place) => { const e = window.rlAll[place];
    return `${e.tagName}.${e.className} ${(e.ariaLabel ?? e.textContent).trim().slice(0, 40)}`; }"""
# One element of each kind: of a tag, with certain classes, in a part of the page.
KINDS = f"""() => {{
    const kinds = new Map();
    for (const e of ({OPERABLE})()) {{
        const parts = "nav, header, footer, dialog, table, li, p, figure, .cell, .bd-header-article, body";
        const part = e.closest(parts);
        const kind = `${{e.tagName}}.${{e.className}} in ${{part.tagName}}.${{part.className}}`;
        if (!kinds.has(kind)) kinds.set(kind, e);
    }}
    window.rlKinds = [...kinds.values()];
    return [...kinds.keys()];
}}"""
SHOW = """(place) => {
    const e = window.rlKinds[place];
    e.focus({ focusVisible: true, preventScroll: true });
    e.scrollIntoView({ block: "center", inline: "nearest" });
    const { x, y, width, height } = e.getBoundingClientRect();
    return { x, y, width, height };
}"""


def active(page, what: str = "e => e.ariaLabel ?? e.textContent.trim()") -> str:
    """Return what is asked of the element that has the focus; its name, if nothing is said."""
    return page.evaluate(f"({what})(document.activeElement)")


def has_focus(page, selector: str) -> bool:
    """Tell whether the first element of a selector has the focus."""
    return page.locator(selector).first.evaluate("e => e === document.activeElement")


# ---------------------------------------------------------------- all is reached


@pytest.mark.parametrize(
    ("path", "size"),
    [("book/lstm.html", DESKTOP), ("book/terminology.html", PHONE), ("book/api/nn.lstm.html", PHONE)],
)
def test_tab_goes_through_the_whole_page_in_order(visit, path: str, size: dict[str, int]) -> None:
    page = visit(path, size).page
    page.add_style_tag(content=STILL)
    page.keyboard.press("Tab")  # boxes that scroll are found by now
    every = page.evaluate(COUNT)
    assert every > 10
    reached = [page.evaluate(WHICH)]
    while reached[-1] < every - 1 and len(reached) < MOST:
        page.keyboard.press("Tab")
        reached.append(page.evaluate(WHICH))
    missed = sorted(set(range(every)) - set(reached))
    assert [page.evaluate(NAME, place) for place in missed] == []
    # A box that scrolls takes the focus in Chromium even where nothing says so; it has no place in the list.
    assert [place for place in reached if place >= 0] == list(range(every))


# ---------------------------------------------------------------- the focus is seen


def luminance(picture: bytes) -> np.ndarray:
    """Return the relative luminance of each pixel, as WCAG 2.1 defines it."""
    v = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")) / 255
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize(
    ("path", "size", "mode"),
    [
        ("book/lstm.html", DESKTOP, "light"),
        ("book/lstm.html", PHONE, "dark"),
        ("book/api/nn.lstm.html", DESKTOP, "dark"),
        ("search.html?q=forget+gate", PHONE, "light"),
    ],
)
def test_the_focus_is_seen_on_each_kind_of_element(visit, path: str, size: dict[str, int], mode: str) -> None:
    """The ring has, all around or beside the element, pixels that stand out from what they were."""
    page = visit(path, size, mode).page
    if path.startswith("search"):
        page.wait_for_selector("#search-results li a")
    page.add_style_tag(content=STILL + "* { caret-color: transparent !important }")
    page.keyboard.press("Tab")
    faint = {}
    for place, kind in enumerate(page.evaluate(KINDS)):
        box = page.evaluate(SHOW, place)
        left, top = max(0, box["x"] - AROUND), max(0, box["y"] - AROUND)
        right = min(size["width"], box["x"] + box["width"] + AROUND)
        bottom = min(size["height"], box["y"] + box["height"] + AROUND)
        clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
        seen = luminance(page.screenshot(clip=clip))
        page.evaluate("document.activeElement.blur()")
        before = luminance(page.screenshot(clip=clip))
        contrast = (np.maximum(seen, before) + 0.05) / (np.minimum(seen, before) + 0.05)
        pixels = int((contrast >= LINES).sum())
        shorter = min(box["width"], box["height"], clip["width"], clip["height"])
        if pixels < 4 * shorter:  # an area as long as its shorter side and 4 pixels thick: WCAG 2.2, 2.4.11
            faint[kind] = (pixels, shorter)
    assert faint == {}


# ---------------------------------------------------------------- what opens is closed


def test_the_skip_link_leads_past_all_buttons(visit) -> None:
    page = visit("book/lstm.html").page
    page.keyboard.press("Tab")
    assert active(page) == "Skip to main content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert active(page, "e => !!e.closest('article')")


@pytest.mark.parametrize(
    ("size", "button"), [(DESKTOP, ".search-button-field"), (PHONE, ".bd-header-article .search-button")]
)
def test_the_search_opens_and_closes(visit, size: dict[str, int], button: str) -> None:
    page = visit("book/intro.html", size).page
    dialog = page.locator("#pst-search-dialog")
    for opens in ("Enter", "Control+k"):
        page.locator(button).focus()
        page.keyboard.press(opens)
        dialog.wait_for(state="visible")
        assert has_focus(page, "#pst-search-dialog input")
        page.keyboard.press("Escape")
        dialog.wait_for(state="hidden")
        assert has_focus(page, button)
    page.keyboard.press("Enter")
    page.keyboard.type("forget gate")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a")
    for _ in range(MOST):
        page.keyboard.press("Tab")
        if active(page, "e => !!e.closest('#search-results')"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/book/lstm.html**")


@pytest.mark.parametrize("menu", ["launch", "source", "download"])
def test_a_menu_opens_and_closes(visit, menu: str) -> None:
    page = visit("book/lstm.html").page
    button, item = f".dropdown-{menu}-buttons > button", f".dropdown-{menu}-buttons .dropdown-item"
    for opens in ("Enter", "Space"):
        page.locator(button).focus()
        page.keyboard.press(opens)
        page.locator(item).first.wait_for(state="visible")
        assert page.get_attribute(button, "aria-expanded") == "true"
        page.keyboard.press("ArrowDown")
        assert has_focus(page, item)
        page.keyboard.press("Escape")
        page.locator(item).first.wait_for(state="hidden")
        assert page.get_attribute(button, "aria-expanded") == "false"
        assert has_focus(page, button)


@pytest.mark.parametrize(("which", "other"), [("primary", "secondary"), ("secondary", "primary")])
def test_a_list_opens_over_the_page_and_closes(visit, which: str, other: str) -> None:
    page = visit("book/lstm.html", PHONE).page
    dialog = page.locator(f"#pst-{which}-sidebar-modal")
    for closes in ("Escape", "Enter"):
        page.locator(f".{which}-toggle").focus()
        page.keyboard.press("Enter")
        dialog.wait_for(state="visible")
        assert active(page) == "Close"
        page.keyboard.press("Tab")
        assert active(page, "e => !!e.closest('dialog')")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press(closes)  # Enter: the button Close has the focus
        dialog.wait_for(state="hidden")
        assert has_focus(page, f".{which}-toggle")
    assert not page.locator(f"#pst-{other}-sidebar-modal").is_visible()
    assert page.locator(".rl-close").filter(visible=True).count() == 0


def test_folds_open_and_close(visit) -> None:
    page = visit("book/lstm.html").page
    for fold in ("details.hide > summary", "details.sd-dropdown > summary"):
        opened = page.locator(f"{fold} >> xpath=..").first
        page.locator(fold).first.focus()
        for now in (True, False):
            page.keyboard.press("Enter")
            assert opened.evaluate("e => e.open") == now
            assert has_focus(page, fold)
    names = page.eval_on_selector_all("button.toggle-button", "all => all.map(e => e.ariaLabel)")
    assert len(set(names)) == len(names) > 3
    assert all(name.startswith("Solution to") for name in names)
    button = page.locator("button.toggle-button").first
    button.focus()
    for key, now in (("Enter", "true"), ("Space", "false")):
        page.keyboard.press(key)
        assert button.get_attribute("aria-expanded") == now
        assert has_focus(page, "button.toggle-button")


def test_the_buttons_that_change_the_page_keep_the_focus(visit) -> None:
    page = visit("book/lstm.html").page
    mode = page.evaluate("document.documentElement.dataset.mode")
    page.locator(".theme-switch-button").first.focus()
    names = {"auto": "Colours: as the system has them", "light": "Colours: light", "dark": "Colours: dark"}
    assert active(page, "e => e.ariaLabel") == names[mode]
    page.keyboard.press("Enter")
    now = page.evaluate("document.documentElement.dataset.mode")
    assert now != mode
    page.wait_for_selector(f".theme-switch-button[aria-label='{names[now]}']")
    assert has_focus(page, ".theme-switch-button")
    sidebar = page.locator("#pst-primary-sidebar")
    page.locator(".primary-toggle").focus()
    for state in ("hidden", "visible"):
        page.keyboard.press("Enter")
        sidebar.wait_for(state=state)
        assert has_focus(page, ".primary-toggle")


def test_a_button_that_copies_says_so(visit) -> None:
    page = visit("book/lstm.html").page
    page.add_style_tag(content=STILL)
    page.wait_for_selector("button.copybtn", state="attached")
    names = page.eval_on_selector_all("button.copybtn", "all => all.map(e => e.ariaLabel)")
    assert len(set(names)) == len(names) > 10
    button = page.locator("div.cell_input button.copybtn").filter(visible=True).first
    name = button.get_attribute("aria-label")
    button.focus()
    assert button.evaluate("e => getComputedStyle(e).opacity") == "1"
    page.keyboard.press("Enter")
    page.wait_for_selector(
        "button.copybtn[aria-label='Copied!'], button.copybtn[aria-label='Failed to copy']"
    )
    page.wait_for_selector(f"button.copybtn[aria-label='{name}']")
