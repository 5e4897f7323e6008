"""The drawn figures: made by their scripts, byte for byte, and fit to be put into a page of either theme."""

import importlib
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "book" / "figures"
SVG = "{http://www.w3.org/2000/svg}"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "diagram")
DRAWINGS = sorted(path.stem for path in FOLDER.glob("*.svg"))
PROPERTIES = {
    f"--rl-{tone}" for tone in ("ink", "muted", "paper", "fill", "blue", "orange", "green", "red", "purple")
}


@pytest.fixture(autouse=True)
def figures_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in ("diagram", *SCRIPTS):
        sys.modules.pop(name, None)


@pytest.fixture(params=DRAWINGS)
def drawing(request):
    text = (FOLDER / f"{request.param}.svg").read_text(encoding="utf-8")
    return request.param, text, ET.fromstring(text)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_every_script_gives_its_committed_bytes():
    made = {}
    for script in SCRIPTS:
        for file_name, text in importlib.import_module(script).figures().items():
            assert file_name not in made, f"two scripts write {file_name}"
            made[file_name] = text.encode("utf-8")
    assert set(made) == {f"{stem}.svg" for stem in DRAWINGS}
    stale = [file_name for file_name, data in made.items() if (FOLDER / file_name).read_bytes() != data]
    assert not stale, f"not what their scripts draw: {stale}; run python book/figures/diagram.py"


def test_drawing_says_what_it_shows(drawing):
    _, _, root = drawing
    words = {tag: root.find(f"{SVG}{tag}") for tag in ("title", "desc")}
    for tag, least in (("title", 10), ("desc", 100)):
        assert words[tag] is not None and len(words[tag].text) >= least
    assert root.get("role") == "img"
    assert root.get("aria-labelledby").split() == [words["title"].get("id"), words["desc"].get("id")]


def test_drawing_is_small_and_scales(drawing):
    name, text, root = drawing
    small = name.startswith("small_")  # the front page's, which stand in columns
    assert len(text.encode("utf-8")) < (8_000 if small else 60_000)
    left, top, width, height = map(float, root.get("viewBox").split())
    assert (left, top, root.get("width"), root.get("height")) == (0, 0, "100%", None)
    low, high = (176, 176) if small else (340, 900)  # from a phone's width; side by side where there is room
    assert low <= width <= high and height > 0


def test_drawing_loads_and_runs_nothing(drawing):
    _, text, root = drawing
    assert not re.search(r"https?://", text.replace('xmlns="http://www.w3.org/2000/svg"', ""))
    assert not re.search(r"url\(|@import|@font-face|<!|<\?", text)
    assert {element.tag for element in root.iter()} <= {
        SVG + tag for tag in ("svg", "title", "desc", "style", "rect", "circle", "path", "text", "tspan")
    }
    for element in root.iter():
        assert not [key for key in element.attrib if key.startswith("on") or key.endswith("href")]


def test_drawing_names_only_what_is_its_own(drawing):
    name, _, root = drawing
    names = [
        word for element in root.iter() for key in ("id", "class") for word in element.get(key, "").split()
    ]
    assert names and all(word.startswith(f"{name}-") for word in names)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    style = root.find(f"{SVG}style").text
    selectors = [s.strip() for s in re.findall(r"([^{}]+)\{", re.sub(r"@media[^{]*\{", "", style))]
    assert selectors and all(re.fullmatch(rf"\.{name}-[\w-]+", selector) for selector in selectors)
    assert {selector[1:] for selector in selectors} == {word for word in names if word not in ids}, (
        "a class without a rule, or a rule without use"
    )


def test_drawing_takes_its_colours_from_the_page(drawing):
    _, text, root = drawing
    for element in root.iter():
        assert not {"fill", "stroke", "color", "style", "opacity"} & set(element.attrib)
    style = root.find(f"{SVG}style").text
    values = re.findall(r"(?:fill|stroke|color):([^;}]+)", re.sub(r"prefers-color-scheme:\w+", "", style))
    assert len(values) > 2
    for value in values:
        colour = re.fullmatch(r"var\((--rl-\w+),var\((--rl-\w+)-own\)\)", value)
        assert value == "none" or (colour and colour[1] == colour[2] and colour[1] in PROPERTIES), value
    # the page's own properties are read, never set
    assert {key.removesuffix("-own") for key in re.findall(r"(--rl-[\w-]+):", style)} == PROPERTIES
    assert all(key.endswith("-own") for key in re.findall(r"(--rl-[\w-]+):", style))
    outside = re.sub(r"--rl-\w+-own:#[0-9a-f]{6}", "", text)
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b", outside)


def test_own_colours_are_legible_in_both_modes():
    tones = importlib.import_module("diagram").TONES
    assert {f"--rl-{tone}" for tone in tones} == PROPERTIES
    for mode in (0, 1):
        assert len(tones) > 2
        for tone in tones.keys() - {"paper", "fill"}:
            for ground in ("paper", "fill"):
                assert contrast(tones[tone][mode], tones[ground][mode]) >= 4.5, (tone, ground, mode)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_growing_moves_no_box(number):
    """Boxes and operators of one step stand at the same places in the next, and in the finished cell."""

    def places(stem):
        root = ET.parse(FOLDER / f"{stem}.svg").getroot()
        keys = ("x", "y", "width", "height", "cx", "cy")
        return {tuple(e.get(k) for k in keys) for e in root.iter() if e.tag in (f"{SVG}rect", f"{SVG}circle")}

    before, after = places(f"lstm_grow_{number}"), places(f"lstm_grow_{number + 1}")
    assert before < after
    assert places("lstm_grow_4") <= places("lstm_cell")


def rendered(formula):
    """A formula's text as the canvas writes it, and the baseline's total shift."""
    diagram = importlib.import_module("diagram")
    canvas = diagram.Canvas("trial", 100, 100, title="Trial", desc="A trial.")
    canvas.math(0, 0, formula, size=10)
    text = ET.fromstring(canvas.svg()).find(f"{SVG}text")
    return [(s.text, s.get("class").removeprefix("trial-"), float(s.get("dy", 0))) for s in text]


def test_mathematics_sets_letters_scripts_and_names():
    assert rendered("c_{t-1}") == [("c", "italic", 0), ("t", "italic", 2.4), ("−1", "roman", 0)]
    transposed = [("W", "italic", 0), ("hh", "italic", 2.4), ("T", "roman", -6), (" ", "roman", 3.6)]
    assert rendered("W_{hh}^T x") == [*transposed, ("x", "italic", 0)]
    brackets = [("tanh", "roman", 0), ("(", "roman", 0), ("σ", "italic", 0), (")", "roman", 0)]
    assert rendered("tanh(σ)") == brackets


def wire(points, **options):
    diagram = importlib.import_module("diagram")
    canvas = diagram.Canvas("trial", 100, 100, title="Trial", desc="A trial.")
    canvas.wire(points, **options)
    return [path.get("d") for path in ET.fromstring(canvas.svg()).iter(f"{SVG}path")]


def test_wire_ends_in_an_arrowhead_that_points_along_it():
    head, line = wire([(10, 20), (60, 20)], weight=2)
    numbers = [tuple(map(float, pair)) for pair in re.findall(r"(-?[\d.]+) (-?[\d.]+)", head)]
    tip, low, notch, high = numbers
    assert tip == (60, 20) and low[0] == high[0] < notch[0] < 60
    assert (
        low[1] - 20 == pytest.approx(20 - high[1], abs=0.02) and low[1] != 20
    )  # coordinates have two decimals
    assert float(re.findall(r"L([\d.]+) 20", line)[-1]) < 60, "the line must end under the head"


def test_wire_rounds_corners_and_hops_where_told():
    (line,) = wire([(0, 0), (40, 0), (40, 50)], head=False, radius=9, hops=[(40, 30), (20, 70)])
    assert line == "M0 0L31 0Q40 0 40 9L40 23A7 7 0 0 1 40 37L40 50"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d, c: d.Canvas("Trial", 1, 1, title="", desc=""), "name: expected lower-case"),
        (lambda d, c: c.operator(0, 0, "-"), "sign: expected '×' or '\\+', got '-'"),
        (lambda d, c: c.wire([(0, 0)]), "points: expected at least 2, got 1"),
        (lambda d, c: c.box(0, 0, 1, 1, tone="pink"), "tone: expected one of ink, .*, got 'pink'"),
        (lambda d, c: c.box(0, 0, 1, 1, dash="dots"), "dash: expected one of gate, .*, got 'dots'"),
        (lambda d, c: c.text(0, 0, "state $h_t"), "runs: expected dollar signs in pairs, got 'state"),
    ],
)
def test_bad_input_is_named(call, message):
    diagram = importlib.import_module("diagram")
    canvas = diagram.Canvas("trial", 100, 100, title="Trial", desc="A trial.")
    with pytest.raises(ValueError, match=message):
        call(diagram, canvas)
