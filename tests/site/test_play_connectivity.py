"""The figure "which letters does it look back at": its numbers against torch's, and how one uses it."""

# ruff: noqa: F811
import re
from collections.abc import Iterator

import numpy as np
import pytest

from rnnlit.pages import connectivity
from rnnlit.pages.connectivity import ALPHABET, CELLS
from tests.pages.test_connectivity import by_autograd
from tests.site.conftest import ROOT
from tests.site.test_browser import (  # noqa: F401
    CONTRAST,
    DESKTOP,
    LETTERS,
    MODES,
    PHONE,
    TOO_WIDE,
    address,
    browser,
    visit,
    window,
)
from tests.site.test_play import come_near
from tests.tolerances import TOLERANCE

PAGE, FIGURE = "book/gru.html", "#play-connectivity"
SCRIPTS = ROOT / "book" / "_static" / "play"
STORY = "so (she [was considering in her own mind] as well as she could"  # and then a round bracket closes

# ---------------------------------------------------------------- the arithmetic

COMPUTE = """([kind, numbers, asked]) => {
    const net = rlNets.network(kind, rlConnectivity.models[kind].arrays), steps = rlNets.read(net, numbers);
    return [[...rlNets.expected(net, steps.at(-1))], [...rlNets.connections(net, steps, asked)]];
}"""


@pytest.fixture(scope="module")
def computer(browser) -> Iterator:
    """Yield an empty page with the networks."""
    page = browser.new_page()
    for name in ("connectivity-nets", "connectivity-data"):
        page.add_script_tag(path=SCRIPTS / f"{name}.js")
    yield page
    page.close()


@pytest.mark.parametrize("kind", CELLS)
def test_the_browser_computes_what_torch_does(computer, kind: str) -> None:
    model = connectivity.models()[kind]
    for text, asked in ((STORY, ")"), (STORY[:40], "]"), (STORY[:7], "e"), ("", "t"), ("z{q" * 66, "}")):
        numbers = connectivity.encode(" " + text).tolist()
        p, norms = computer.evaluate(COMPUTE, [kind, numbers, ALPHABET.index(asked)])
        p_torch, norms_torch = by_autograd(model, text, asked)
        np.testing.assert_allclose(p, p_torch, **TOLERANCE[np.float64])
        np.testing.assert_allclose(norms, norms_torch, **TOLERANCE[np.float64])
        assert max(norms_torch) > 1e-6


# ---------------------------------------------------------------- on the page

SHARES = """row => [...row.querySelectorAll('.rl-play-connectivity-text span')]
    .map(cell => Number(cell.style.getPropertyValue('--share')))"""


def opened(visited) -> object:
    """The page, scrolled to the figure, when its networks are there."""
    page = visited.page
    come_near(page, "connectivity")
    page.wait_for_selector(f"{FIGURE}.rl-play-connectivity-open")
    return page


def state(page) -> list[tuple[str, str]]:
    """What each row says, and the letter that is framed in it."""
    return page.eval_on_selector_all(
        ".rl-play-connectivity-row",
        """rows => rows.map(row => [row.querySelector('.rl-play-connectivity-facts').textContent,
            row.querySelector('.rl-play-connectivity-asked').textContent])""",
    )


def test_the_weights_come_when_the_reader_does(visit) -> None:
    visited, asked = visit("book/notation.html"), []
    visited.page.on("request", lambda request: asked.append(request.url))
    visited.open(PAGE)
    assert any("play/play.js" in url for url in asked)
    assert not any("play/connectivity" in url for url in asked)
    page = opened(visited)
    assert sum("connectivity-data.js" in url for url in asked) == 1
    assert not page.locator(f"{FIGURE} svg").is_visible()
    assert visited.complaints == []


def test_each_network_shades_what_it_looks_back_at(visit) -> None:
    page = opened(visit(PAGE))
    for row, (kind, model) in zip(
        page.locator(".rl-play-connectivity-row").all(), connectivity.models().items(), strict=True
    ):
        p, norms = connectivity.connection(model, STORY, ")")
        facts = row.inner_text()
        assert f"{connectivity.record()['networks'][kind]['bits']:.2f} bits" in facts
        assert f"{100 * p[ALPHABET.index(')')]:.0f} %" in facts
        best = ALPHABET[p.argmax()]
        assert re.search(rf"expects\s+{'space' if best == ' ' else re.escape(best)}\s", facts)
        shares = row.evaluate(SHARES)
        np.testing.assert_allclose(shares[: len(norms)], norms / norms.max(), rtol=1e-6, atol=1e-6)
        assert not any(shares[len(norms) :])


def test_by_keyboard_alone(visit) -> None:
    page = opened(visit(PAGE))
    text = page.get_by_label("Your text")
    text.fill("it is")
    assert [letter for _, letter in state(page)] == ["\u00a0"] * 3  # what comes next
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.type") == "range":
            break
    page.keyboard.press("ArrowLeft")
    before = state(page)
    page.keyboard.press("ArrowLeft")
    assert [letter for _, letter in before] == ["s"] * 3 and [x for _, x in state(page)] == ["i"] * 3
    assert before != state(page)
    page.keyboard.press("Home")
    assert [letter for _, letter in state(page)] == ["i"] * 3
    page.wait_for_selector(f"{FIGURE} [role=status]:has-text('% for i;')", state="attached")


def test_by_touch(visit) -> None:
    page = opened(visit(PAGE, PHONE))
    page.get_by_label("Your text").fill("so tall")
    page.locator(".rl-play-connectivity-text").nth(1).locator("span", has_text="t").click()
    assert [letter for _, letter in state(page)] == ["t"] * 3
    page.get_by_role("button", name="one letter on").click()
    assert [letter for _, letter in state(page)] == ["a"] * 3
    page.get_by_role("button", name="No bracket").click()
    assert page.get_by_label("Your text").input_value().startswith("she was")


def test_letters_that_no_network_knows(visit) -> None:
    visited = visit(PAGE)
    page = opened(visited)
    text, note = page.get_by_label("Your text"), page.locator(".rl-play-connectivity-note")
    text.fill("Über 7 IT's")
    assert note.inner_text().startswith("Left out: ü 7 '. The networks know")
    assert page.locator(".rl-play-connectivity-text").first.inner_text().startswith(" ber  its")
    text.fill("")
    assert note.inner_text() == "" and [letter for _, letter in state(page)] == ["\u00a0"] * 3
    text.fill("<b>" + "x" * 400)
    assert len(page.locator(".rl-play-connectivity-text").first.inner_text().strip()) <= 202
    assert page.locator(f"{FIGURE} .rl-play-connectivity-text b").count() == 0
    assert visited.complaints == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_fits_and_is_legible(visit, size: dict[str, int], mode: str) -> None:
    page = opened(visit(PAGE, size, mode))
    page.get_by_label("Your text").fill("w" * 60 + " and (so on) " * 10)
    assert page.evaluate(TOO_WIDE) == []
    contrasts = page.evaluate(
        "() => {" + CONTRAST + """
        return [...document.querySelectorAll('.rl-play-connectivity-text span')].map(cell => {
            const own = rgba(getComputedStyle(cell).backgroundColor), alpha = own[3] / 255;
            const under = rgba(ground(cell.parentElement)).map(v => v * (1 - alpha));
            const mixed = own.slice(0, 3).map((v, i) => v * alpha + under[i]);
            return contrast(getComputedStyle(cell).color, `rgb(${mixed.join(' ')})`); }); }"""
    )  # fmt: skip
    assert min(contrasts) >= LETTERS and max(contrasts) > 1.5 * min(contrasts)


def test_without_scripts_it_is_a_drawing(browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + PAGE)
    assert page.locator(f"{FIGURE} svg").is_visible()
    assert page.locator(f"{FIGURE} input").count() == 0
    context.close()


def test_from_a_file_too(visit, site) -> None:
    visited = visit(PAGE, home=f"{site.as_uri()}/")
    assert len(state(opened(visited))) == 3
    assert visited.complaints == []


def test_where_the_weights_are_missing_it_says_so(window, address: str) -> None:
    page = window().new_page()
    page.route("**/connectivity-data.js", lambda route: route.abort())
    page.goto(address + PAGE)
    come_near(page, "connectivity")
    page.wait_for_selector(f"{FIGURE} :text('could not be loaded')")
    assert page.locator(f"{FIGURE} svg").is_visible()
