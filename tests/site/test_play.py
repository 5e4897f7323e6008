"""Figures to play with: how one comes into a page, and in a browser what it shows while one plays."""

# ruff: noqa: F811
import gzip
import json
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlit import lstm
from tests.programs import run
from tests.site.conftest import ROOT
from tests.site.test_browser import (  # noqa: F401
    DESKTOP,
    PHONE,
    TOO_WIDE,
    Visit,
    address,
    browser,
    visit,
    window,
)

# ---------------------------------------------------------------- the directive

WORD = re.compile(r"[A-Za-z_][\w-]*")
SMALL = """
import sys
from pathlib import Path
sys.path.insert(0, {extensions!r})
import play
play.SCRIPTS, play.DATA = Path("_static/play").absolute(), Path("data").absolute()
extensions = ["myst_nb", "inline_svg", "play"]
html_theme, html_static_path = "basic", ["_static"]
inline_svg_folder = "figures"
myst_enable_extensions = ["colon_fence"]
numfig = True
"""
PAGE = """# Page

:::{play} ball
![A ball that rolls.](figures/ball.svg)

Push **the ball**.
:::
"""


def small_book(folder: Path, page: str) -> tuple[dict[str, str], str]:
    """Build a book of two pages, one of them with a figure; return their HTML by name, and the warnings."""
    texts = {
        "conf.py": SMALL.format(extensions=str(ROOT / "book" / "_ext")),
        "index.md": page + "\n```{toctree}\nother\n```\n",
        "other.md": "# Other\n",
        "figures/ball.svg": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle r="3"/></svg>',
        "data/ball.json": '{"words": ["</script>", "é"],\n "x": 1.50}',
        "_static/play/ball.js": "rlPlay.begin();",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    done = run([sys.executable, "-m", "sphinx", "-q", ".", "out"], cwd=folder, check=True)
    read = {path.stem: path.read_text(encoding="utf-8") for path in (folder / "out").glob("*.html")}
    return read, done.stderr


def test_a_figure_is_whole_without_its_script_and_no_other_page_loads_that(tmp_path: Path) -> None:
    pages, warnings = small_book(tmp_path, PAGE)
    assert warnings == ""
    figure = re.search(r'<figure class="[^"]*rl-play[^"]*" id="play-ball">.*?</figure>', pages["index"], re.S)
    assert figure is not None
    assert figure[0].count("<svg") == 1 and 'aria-label="A ball that rolls."' in figure[0]
    assert "Push <strong>the ball</strong>." in figure[0].partition("<figcaption")[2]
    data = re.search(r'<script type="application/json">(.*?)</script>', figure[0])
    assert data and data[1] == r'{"words":["\u003c/script>","é"],"x":1.5}'
    assert re.findall(r'<script defer="defer" src="_static/play/(\w+)\.js', pages["index"]) == ["play"]
    assert "play/play.css" in pages["index"]
    assert "play/" not in pages["other"]


def test_a_figure_without_script_drawing_or_caption_is_refused(tmp_path: Path) -> None:
    page = PAGE + PAGE.replace("# Page", "").replace("ball\n", "bell\n") + ":::{play} ball\nWords.\n:::\n"
    _, warnings = small_book(tmp_path, page)
    assert "there is no script book/_static/play/bell.js" in warnings
    assert "content should be one image" in warnings
    assert warnings.count("ERROR") == 2


def test_the_scripts_name_each_class_of_the_sheet_as_a_word() -> None:
    """Else `light_pages` takes its rules out of the page."""
    folder = ROOT / "book" / "_static" / "play"
    words = {word for path in folder.glob("*.js") for word in WORD.findall(path.read_text(encoding="utf-8"))}
    classes = set(re.findall(r"\.(rl-play[\w-]*)", (folder / "play.css").read_text(encoding="utf-8")))
    assert len(classes) > 20
    assert classes - words - {"rl-play"} == set()


# ---------------------------------------------------------------- in a browser

HOSTS = {"lstm-cell": "book/lstm.html", "alignments": "book/attention.html"}
SHOWN = """figure => Object.fromEntries([...figure.querySelectorAll('[data-part$="-number"]')]
    .map(text => [text.dataset.part.replace('-number', ''), text.textContent]))"""
DRAG = "(input, value) => { input.value = value; input.dispatchEvent(new Event('input', {bubbles: true})); }"


def come_near(page: Any, name: str) -> Any:
    """Go to a figure until it has its controls, and return it; sections get their heights on the way."""
    figure = page.locator(f"#play-{name}")
    for _ in range(20):
        figure.evaluate("e => e.scrollIntoView({block: 'center'})")
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_selector(f"#play-{name}.rl-play-live")
    return figure


@pytest.fixture
def play(visit) -> Callable[..., tuple[Visit, Any]]:
    """Return a function that opens a page, goes to its figure, and returns the visit and the figure."""

    def go(name: str, *args: Any, **settings: Any) -> tuple[Visit, Any]:
        opened = visit(HOSTS[name], *args, **settings)
        return opened, come_near(opened.page, name)

    return go


@pytest.fixture(scope="module")
def opened_cell(browser, address: str) -> Iterator[Visit]:
    """Yield the page of the cell, opened once; it has no complaints at the end."""
    page = browser.new_page(viewport=DESKTOP)
    opened = Visit(page, address)
    opened.open(HOSTS["lstm-cell"])
    come_near(page, "lstm-cell")
    yield opened
    assert opened.complaints == []
    page.close()


@pytest.fixture
def figure(opened_cell: Visit) -> Any:
    """Return the figure of the cell as it begins."""
    found = opened_cell.page.locator("#play-lstm-cell")
    press(found, "Start again")
    return found


def decimal(text: str) -> float:
    return float(text.replace("\u2212", "-"))


def numbers(figure: Any) -> dict[str, float]:
    """Return the numbers in the drawing of the cell, by part."""
    return {name: decimal(text) for name, text in figure.evaluate(SHOWN).items()}


def press(figure: Any, *names: str) -> None:
    for name in names:
        figure.get_by_role("button", name=name, exact=True).click()


def drag(figure: Any, values: dict[str, float]) -> None:
    """Move sliders; their names begin with x, h, c, or end with the name of a gate."""
    for name, value in values.items():
        figure.get_by_label(name).evaluate(DRAG, str(value))


NAMES = {"x": "x, the input", "h": "h, the hidden state before", "c": "c, the cell state before"}
NAMES |= {
    part: f"bias of the {gate}"
    for part, gate in zip("ifo", ("input gate", "forget gate", "output gate"), strict=True)
}
NAMES["g"] = "bias of the candidate"


def cell(i: float, f: float, g: float, o: float) -> lstm.Params:
    """Return the package's cell of one unit with these biases, and the weights that the page names."""
    weight_ih, weight_hh = np.array([[2.0], [0], [1], [0]]), np.array([[0.0], [0], [1], [0]])
    return lstm.Params(weight_ih, weight_hh, np.array([i, f, g, o]), np.zeros(4))


def reference(x: float, h: float, c: float, steps: int = 1, **biases: float) -> tuple[float, float]:
    """Return h and c after so many steps of the package's cell."""
    state = np.array([[h]]), np.array([[c]])
    for _ in range(steps):
        state = lstm.step(cell(**biases), np.array([[x]]), *state)
    return float(state[0][0, 0]), float(state[1][0, 0])


def test_a_figure_stays_whole_where_no_script_runs(browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    for name, path in HOSTS.items():
        page = context.new_page()
        page.goto(address + path)
        figure = page.locator(f"#play-{name}")
        assert figure.locator("svg").is_visible() and figure.locator("figcaption").is_visible()
        assert figure.locator("svg text").count() > 20
        assert figure.locator("button, input, select").count() == 0
    context.close()


def test_a_script_is_loaded_when_its_figure_comes_near(window, address: str) -> None:
    asked: list[str] = []
    opened = Visit(window(PHONE).new_page(), address)
    opened.page.on("request", lambda request: asked.append(request.url))
    opened.open("book/lstm.html")
    assert any("play/play.js" in url for url in asked)
    assert not any("lstm-cell.js" in url for url in asked)
    come_near(opened.page, "lstm-cell")
    assert sum("lstm-cell.js" in url for url in asked) == 1
    assert opened.complaints == []


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"x": -1.7, "h": 0.85, "c": -2.9, "i": 2.5, "f": -0.8, "g": -1.4, "o": 0.7},
        {"x": 0.4, "h": -0.36, "c": 0.3, "i": -3.1, "f": 5.2, "g": 2.2, "o": -4.6},
    ],
)
def test_the_numbers_of_the_cell_are_those_of_the_package(figure, values: dict[str, float]) -> None:
    drag(figure, {NAMES[name]: value for name, value in values.items()})
    now = {"x": 1.0, "h": -0.5, "c": 2.0, "i": 0.0, "f": 1.0, "g": 0.0, "o": 0.0} | values
    x, h, c = np.array([[now["x"]]]), np.array([[now["h"]]]), np.array([[now["c"]]])
    run = lstm.forward(cell(*(now[name] for name in "ifgo")), x[None], h, c)
    gates = dict(zip("ifgo", run.gates.ravel(), strict=True))
    wanted = {"x": now["x"], "h-before": now["h"], "c-before": now["c"], **gates}
    wanted |= {"kept": gates["f"] * now["c"], "written": gates["i"] * gates["g"]}
    wanted |= {"c": run.c.item(), "tanh": np.tanh(run.c.item()), "h": run.h.item()}
    assert numbers(figure) == pytest.approx(wanted, abs=5.1e-4)  # three decimals are shown
    for steps in (1, 11):  # and once more, ten
        press(figure, "Step" if steps == 1 else "10 steps")
        h_new, c_new = reference(steps=steps, **now)
        shown = numbers(figure)
        assert (shown["h-before"], shown["c-before"]) == pytest.approx((h_new, c_new), abs=5.1e-4)


def test_the_cell_begins_with_the_step_that_the_page_works_by_hand(figure) -> None:
    page = json.loads((ROOT / "book" / "lstm.ipynb").read_text(encoding="utf-8"))
    text = "".join("".join(c["source"]) for c in page["cells"] if c["cell_type"] == "markdown")
    row = re.search(r"\| new \$c\$ \| \$(.+?) = (.+?)\$ \|.*\n\| new \$h\$ \| \$.+? = (.+?)\$", text)
    shown = numbers(figure)
    assert row and (decimal(row[2]), decimal(row[3])) == (shown["c"], shown["h"])
    static = ET.parse(ROOT / "book" / "figures" / "play_lstm_cell.svg").getroot()
    drawn = {
        e.get("data-part"): "".join(e.itertext())
        for e in static.iter()
        if "number" in (e.get("data-part") or "")
    }
    assert {name.removesuffix("-number"): decimal(number) for name, number in drawn.items()} == shown


def test_what_is_said_of_each_setting_is_so(figure) -> None:
    see = figure.locator(".rl-play-see")

    def chosen(name: str) -> dict[str, float]:
        press(figure, name)
        pressed = figure.locator("button[aria-pressed=true]").all_text_contents()
        assert pressed == [name]
        return numbers(figure)

    now = chosen("By hand")
    said = re.findall(r"\d+\.\d+", see.text_content())
    assert [float(number) for number in said] == [now["kept"], now["written"]] == [1.462, 0.407]
    assert now["h"] == pytest.approx(now["tanh"] / 2, abs=1e-3)

    now = chosen("Write")
    assert now["i"] > 0.99 and now["f"] < 0.01
    assert now["c"] == pytest.approx(now["g"], abs=0.01) and abs(now["c"] - now["c-before"]) > 0.9
    press(figure, "Step")

    now = chosen("Keep")
    assert now["f"] > 0.99 and now["i"] < 0.01 and abs(now["h"]) < 0.01
    press(figure, "10 steps")
    kept = numbers(figure)
    assert 0.95 < kept["c"] / now["c"] < 1 and abs(kept["h"]) < 0.01

    now = chosen("Read")
    assert now["o"] > 0.99 and now["h"] == pytest.approx(np.tanh(now["c"]), abs=0.01)
    assert now["c"] == pytest.approx(now["c-before"], abs=0.01)

    now = chosen("Clear")
    assert now["f"] < 0.01 and abs(now["c"]) < 0.01 < 0.9 < now["c-before"]
    press(figure, "Step")
    chosen("Keep")
    assert "The cell is empty now" in see.text_content()

    drag(figure, {NAMES["c"]: 2})
    now = chosen("Fade")
    assert (now["f"], now["c-before"]) == (0.731, 2)
    assert (
        np.log(0.5) / np.log(now["f"]) == pytest.approx(2.2, abs=0.05) and "2.2 steps" in see.text_content()
    )
    press(figure, "10 steps")
    share = numbers(figure)["c-before"] / 2
    assert f"{100 * share:.0f} % after 10" in see.text_content()
    left = re.search(r"left of the first c: ([\d.]+) %", figure.locator(".rl-play-count").text_content())
    assert left and float(left[1]) == pytest.approx(100 * 0.7310586**10, abs=0.05)


def test_wires_grow_with_what_they_carry(figure) -> None:

    def width(part: str) -> float:
        return figure.locator(f'[data-part="{part}"][stroke-width]').first.evaluate(
            "e => parseFloat(getComputedStyle(e).strokeWidth)"
        )

    press(figure, "Keep")
    kept, written = width("kept"), width("i")
    press(figure, "Clear")
    assert width("kept") < 1.1 < 4 < kept
    press(figure, "Write")
    assert written < 1.1 < 4 < width("i")


@pytest.mark.parametrize(("size", "mode"), [(DESKTOP, "dark"), (PHONE, "light")])
def test_the_cell_is_moved_by_keyboard_and_fits(play, size: dict[str, int], mode: str) -> None:
    opened, figure = play("lstm-cell", size, mode)
    bias = figure.get_by_label("bias of the forget gate")
    status = figure.evaluate(
        """figure => {
            for (const input of figure.querySelectorAll('input')) input.dispatchEvent(new Event('input'));
            return figure.querySelector('[role=status]').textContent; }"""
    )
    assert status == ""  # it speaks neither by itself nor with each move
    bias.focus()
    for _ in range(3):
        opened.page.keyboard.press("ArrowRight")
    assert numbers(figure)["f"] == pytest.approx(1 / (1 + np.exp(-1.3)), abs=5.1e-4)
    assert bias.get_attribute("aria-valuetext") == "1.300"
    colour = "(e, name) => getComputedStyle(e)[name]"
    blue, green = (
        figure.get_by_label(f"bias of the {gate} gate").evaluate(colour, "accentColor")
        for gate in ("forget", "input")
    )
    assert blue != green and "auto" not in (blue, green)
    assert figure.locator("polyline").last.evaluate(colour, "stroke") != "none"
    opened.page.wait_for_selector("#play-lstm-cell [role=status]:has-text('f 0.786')", state="attached")
    assert figure.get_by_role("status").count() == 1 and figure.locator("[aria-live], output").count() == 0
    assert opened.page.evaluate(TOO_WIDE) == []
    small = "e => [...e.querySelectorAll('button, input, select')].filter(c => c.offsetHeight < 24).length"
    assert figure.evaluate(small) == 0
    assert opened.complaints == []


def test_the_alignments_are_those_of_the_weights_in_the_package() -> None:
    from rnnlit.practice import translation
    from scripts.alignments import COMMAND, PATH, SENTENCES, alignments

    stored = json.loads(PATH.read_text(encoding="utf-8"))
    assert stored["command"] == COMMAND
    made = alignments()
    for old, new, sentence in zip(stored["sentences"], made, SENTENCES, strict=True):
        weights = np.array(old.pop("weights")), np.array(new.pop("weights"))
        assert old == new, f"run {COMMAND}"
        assert np.abs(weights[0] - weights[1]).max() <= 1  # percent: a processor may round the other way
        assert (sentence.wanted == new["found"]) == ("wanted" not in new)
    strings = translation.parts()
    known = {text for text in strings.train.en}
    assert not known & {one.text for one in SENTENCES}
    tested = dict(zip(strings.test.en, zip(strings.test.fr, strings.test.zh, strict=True), strict=True))
    for one in SENTENCES[1:]:  # the first is ours
        assert tested[one.text][one.to == "zh"] == one.wanted
    assert len(strings.train.en) == 2360
    assert sum("wanted" in one for one in made) == 2


def looked(number: int) -> tuple[list[str], list[str], np.ndarray]:
    from scripts.alignments import PATH

    one = json.loads(PATH.read_text(encoding="utf-8"))["sentences"][number]
    return [p.strip() for p in one["read"]], [p.strip() for p in one["written"]], np.array(one["weights"])


def test_what_is_said_of_each_alignment_is_so() -> None:
    from rnnlit.practice import translation

    read, written, weights = looked(0)
    most = [read[k] for k in weights.argmax(axis=1)]
    assert (most[written.index("fichiers")], most[written.index("sélectionn")]) == ("files", "selected")
    read, written, weights = looked(1)
    most = [read[k] for k in weights.argmax(axis=1)]
    assert (most[written.index("type")], most[written.index("cellule")]) == ("type", "cell")
    row = weights[written.index("de")]
    assert row[read.index("type")] + row[read.index("cell")] > 80
    read, written, weights = looked(2)
    most = dict(zip(written, (read[k] for k in weights.argmax(axis=1)), strict=True))
    assert [most[c] for c in "单元格类"] == ["cell", "cell", "cell", "type"]
    read, written, weights = looked(3)
    assert read[weights[written.index("上")].argmax()] == "pre"
    pieces = translation.pieces("en")
    assert pieces.cut("preview")[:3] == pieces.cut("previous")[:3] == [" pre", "v", "i"]
    read, written, weights = looked(4)
    assert read[3:] == ["wid", "th"] and weights[written.index("高"), 3:].sum() > 90


@pytest.mark.parametrize(("size", "mode"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_a_piece_shows_what_it_was_written_from(play, size: dict[str, int], mode: str) -> None:
    opened, figure = play("alignments", size, mode)
    read, written, weights = looked(0)
    pressed = figure.locator("button[aria-pressed=true]")
    assert pressed.text_content() == "sélectionn"
    figure.locator("button", has_text="fichiers").hover()
    shown = figure.locator(".rl-play-board .rl-play-number").all_text_contents()
    assert shown == [f"{k} %" for k in weights[written.index("fichiers")]]
    assert figure.locator(".rl-play-line").count() == (weights[written.index("fichiers")] > 0).sum()
    pressed.focus()
    opened.page.keyboard.press("ArrowDown")
    assert pressed.text_content() == "sélectionn" and pressed.get_attribute("tabindex") == "0"
    assert figure.locator("button[tabindex='0']").count() == 1
    share = weights[written.index("sélectionn")]
    said = ", ".join(f"{read[k]} {share[k]} %" for k in np.argsort(-share) if share[k] >= 5)
    assert pressed.get_attribute("aria-label") == f"sélectionn, from {said}"
    last = json.loads((ROOT / "book" / "data" / "play" / "alignments.json").read_text("utf-8"))["sentences"][
        -1
    ]
    figure.locator("select").select_option(label=f"{last['text']} (a mistake)")
    assert f"right would be {last['wanted']}" in figure.locator(".rl-play-found").text_content()
    shown = figure.locator(".rl-play-board .rl-play-number").all_text_contents()
    assert shown == [f"{k} %" for k in last["weights"][last["at"]]]
    assert opened.page.evaluate(TOO_WIDE) == []
    assert opened.complaints == []


@pytest.mark.parametrize("name", list(HOSTS))
def test_a_figure_is_light_and_works_from_a_file(site: Path, window, name: str) -> None:
    page = window().new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((site / HOSTS[name]).as_uri())
    come_near(page, name)
    html = (site / HOSTS[name]).read_text(encoding="utf-8")
    figure = re.search(rf'<figure[^>]*id="play-{name}".*?</figure>', html, flags=re.S)
    scripts = [site / "_static" / "play" / f"{one}.js" for one in ("play", name)]
    sheet = (ROOT / "book" / "_static" / "play" / "play.css").read_bytes()
    parts = [figure[0].encode(), sheet, *(path.read_bytes() for path in scripts)]
    assert sum(len(gzip.compress(part, 6)) for part in parts) < 12 * 1024
    assert errors == []
