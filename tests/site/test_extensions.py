"""The book's own Sphinx extensions, one by one: what they make, and what they refuse."""

import re
import sys
import xml.etree.ElementTree as ET
from importlib import import_module
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

from tests.programs import run
from tests.site.conftest import ROOT

EXTENSIONS = ROOT / "book" / "_ext"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 300">{}</svg>'
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ModuleType:
    """Return the extension that the test's parameter names."""
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    return import_module(request.param)


inline_svg = pytest.mark.parametrize("extension", ["inline_svg"], indirect=True)
katex_static = pytest.mark.parametrize("extension", ["katex_static"], indirect=True)
offline_site = pytest.mark.parametrize("extension", ["offline_site"], indirect=True)
plain_docstrings = pytest.mark.parametrize("extension", ["plain_docstrings"], indirect=True)


# --- inline_svg ---


@inline_svg
def test_a_drawing_gets_role_label_and_ids_of_its_own(extension: ModuleType) -> None:
    source = SVG.format(
        '<title id="t">old</title><style>.a { fill: url(#g) }</style>'
        '<defs><linearGradient id="g"/></defs><path class="a" marker-end="url(#g)"/><use href="#g"/>'
    )
    markup = extension.drawing(source, "Two < three", "d1")
    root = ET.fromstring(markup)
    svg = root[0]
    assert (root.get("class"), root.get("id")) == ("rl-diagram", "d1")
    assert (svg.get("role"), svg.get("aria-label")) == ("img", "Two < three")
    assert "old" not in markup
    assert [element.get("id") for element in svg.iter() if element.get("id")] == ["d1-g"]
    assert markup.count("#d1-g") == 3
    assert "#g" not in markup


@inline_svg
def test_styles_of_a_drawing_stay_inside_it_and_leave_the_colours_to_the_page(extension: ModuleType) -> None:
    css = (
        ":root { --rl-ink: #000 } /* { */ .a, .b { fill: red; --rl-blue: #00f; } @media print { .c { r: 2 } }"
    )
    scoped = extension.scoped(css, "d1")
    assert "--rl-" not in scoped
    assert "#d1 .a, #d1 .b { fill: red; }" in scoped
    assert "@media print {#d1 .c { r: 2 } }" in scoped
    assert "root" not in scoped


@inline_svg
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("<svg", "well-formed"),
        ('<svg xmlns="http://www.w3.org/2000/svg"/>', "viewBox"),
        (SVG.format("<script>1</script>"), "script"),
        (SVG.format('<image href="a.png"/>'), "image"),
        (SVG.format('<rect onclick="f()"/>'), "onclick"),
        (SVG.format('<use href="https://example.org/a.svg#b"/>'), "outside"),
        (SVG.format('<rect fill="url(https://example.org/a.svg#b)"/>'), "outside"),
        (SVG.format("<style>@import 'a.css';</style>"), "outside"),
        (SVG.format("<style>.a { fill: url('a.svg#b') }</style>"), "outside"),
    ],
)
def test_a_drawing_that_loads_or_runs_something_is_refused(
    extension: ModuleType, source: str, reason: str
) -> None:
    with pytest.raises(extension.UnfitDrawing, match=reason):
        extension.drawing(source, "A drawing", "d1")


# --- katex_static ---


@katex_static
@pytest.mark.parametrize(
    ("tex", "prepared"),
    [
        (r"a \\ b", r"\begin{gathered}a \\ b\end{gathered}"),
        (r"a &= b \\ c &= d", r"\begin{aligned}a &= b \\ c &= d\end{aligned}"),
        (r"\begin{align}a\end{align}", r"\begin{align*}a\end{align*}"),
        (r"\begin{aligned}a\end{aligned}", r"\begin{aligned}a\end{aligned}"),
        (r"\begin{pmatrix}a \\ b\end{pmatrix}", r"\begin{pmatrix}a \\ b\end{pmatrix}"),
    ],
)
def test_display_formulas_are_prepared_for_katex(extension: ModuleType, tex: str, prepared: str) -> None:
    assert extension.prepare(tex, display=True) == prepared


def test_script_and_style_sheet_of_katex_are_of_one_version() -> None:
    folder = ROOT / "book" / "_static" / "katex"
    script = re.findall(r'\bversion:"([\d.]+)"', (folder / "katex.min.js").read_text(encoding="utf-8"))
    style = re.findall(r'content:"(\d[\d.]+)"', (folder / "katex.min.css").read_text(encoding="utf-8"))
    assert script == style
    assert f"katex@{script[0]}" in (folder.parent / "VENDORED.txt").read_text(encoding="utf-8")


# --- offline_site ---


@offline_site
def test_scripts_of_third_parties_leave_the_page_and_the_others_wait(extension: ModuleType) -> None:
    page = (
        '<html><head><script src="a.js"></script><script async src="b.js"></script>\n'
        '<script src="../_static/scripts/fontawesome.js?digest=1"></script>'
        '<script>const THEBE_JS_URL = "https://unpkg.com/thebe"; const x = 1</script>'
        '<script async="async" src="../_static/sphinx-thebe.js?v=1"></script>'
        "<script>DOCUMENTATION_OPTIONS.x = 1;</script></head>"
        '<body><script src="c.js"></script></body></html>'
    )
    assert extension.with_deferred_scripts(extension.without_third_parties(page)) == (
        '<html><head><script defer src="a.js"></script><script async src="b.js"></script>'
        '<script type="module">DOCUMENTATION_OPTIONS.x = 1;</script></head>'
        '<body><script src="c.js"></script></body></html>'
    )


# --- plain_docstrings ---


@plain_docstrings
@pytest.mark.parametrize(
    ("docstring", "rst"),
    [
        (
            ["Advance one step:  h' = f(x)", "and more."],
            ["Advance one step:\u2003h\u2032 = f(x) and more.", ""],
        ),
        (["A *star*, `code` and W_ih, b_."], [r"A \*star\*, \ ``code``\  and W_ih, b\_.", ""]),
        (
            ["x: the input,", "(T, B, I)", "h   the state"],
            ["* ``x``: the input, (T, B, I)", "* ``h``: the state", ""],
        ),
        (["- one", "  more", "- two"], ["* one more", "* two", ""]),
        (["    a = b", "    c"], [".. code-block:: text", "", "        a = b", "        c", ""]),
        (["1. is no list"], [r"\1. is no list", ""]),
        (["One.", "", "Two <= 3 -> 4"], ["One.", "", "Two \u2264 3 \u2192 4", ""]),
    ],
)
def test_plain_docstrings_become_restructured_text(
    extension: ModuleType, docstring: list[str], rst: list[str]
) -> None:
    assert extension.as_rst(docstring) == rst


@plain_docstrings
def test_fields_of_a_record_come_with_the_comments_beside_them(extension: ModuleType) -> None:
    from rnnlit.rnn import Params

    assert extension.is_record(Params)
    assert "weight_ih: (H, I)" in extension.field_list(Params)


# --- A small book: what is wrong with it is said, at the place where it is ---

CONFIG = f"""
import sys
sys.path.insert(0, {str(EXTENSIONS)!r})
extensions = [
    "myst_nb", "katex_static", "inline_svg", "figure_sentence", "fold_labels", "plots", "printed_lines",
]
html_math_renderer = "katex_static"
html_theme = "basic"
inline_svg_folder = "figures"
myst_enable_extensions = ["dollarmath", "colon_fence"]
nb_execution_mode = "off"
"""
GOOD = r"""
# Page

$$
a = \frac{b}{c}
$$ (eq-a)

:::{figure-md} fig-a
![A drawing](figures/a.svg)

Caption.
:::
"""


def plot_cell(*printed: str) -> nbformat.NotebookNode:
    """Return a cell that shows a plot and then prints these texts, one stream each."""
    plot = nbformat.v4.new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure>"})
    texts = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in printed]
    return nbformat.v4.new_code_cell("draw()", execution_count=1, outputs=[plot, *texts])


def build(folder: Path, index: str, cell: nbformat.NotebookNode) -> tuple[str, str, str]:
    """Build a book of a Markdown page and a notebook; return both pages and the warnings."""
    (folder / "figures").mkdir()
    (folder / "conf.py").write_text(CONFIG, encoding="utf-8")
    (folder / "figures" / "a.svg").write_text(
        SVG.format('<path stroke="var(--rl-ink, #000)"/>'), encoding="utf-8"
    )
    (folder / "index.md").write_text(f"{index}\n```{{toctree}}\nplot\n```\n", encoding="utf-8")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Plot"), cell])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "plot.ipynb")
    out = folder / "out"
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(folder), str(out)]
    done = run(command, check=True)
    read = [(out / f"{name}.html").read_text(encoding="utf-8") for name in ("index", "plot")]
    return read[0], read[1], done.stderr


def test_a_sound_book_builds_without_a_warning(tmp_path: Path) -> None:
    index, plot, warnings = build(tmp_path, GOOD, plot_cell("The line rises.\nloss 0.00\n"))
    assert warnings == ""
    assert '<svg xmlns="http://www.w3.org/2000/svg"' in index
    assert 'aria-label="A drawing"' in index
    assert 'class="katex-display"' in index
    assert re.search(
        r'<a class="rl-plot" href="(_images/\w+\.png)"[^>]*><img alt="The line rises\." src="\1"', plot
    )
    assert plot.count('<filter id="rl-dark"') == 1 and "<filter" not in index
    assert '<p class="rl-sentence">The line rises.</p>' in plot
    assert "loss 0.00" in plot.partition("</p>")[2]


def test_a_folded_cell_says_what_is_under_it(tmp_path: Path) -> None:
    cell = nbformat.v4.new_code_cell("print(0.9**50)", execution_count=1)
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="0.005\n")]
    cell.metadata = {"tags": ["hide-output"]}
    _, page, warnings = build(tmp_path, GOOD, cell)
    assert warnings == ""
    code, summary, answer = (page.index(words) for words in ("0.9", "<summary", "0.005"))
    assert code < summary < answer < page.index("</details>")
    assert "Show the answer" in page and "Hide the answer" in page


def test_a_folded_cell_may_have_a_line_of_its_own(tmp_path: Path) -> None:
    cell = plot_cell("The line rises.")
    cell.metadata = {"tags": ["hide-cell"], "mystnb": {"code_prompt_show": "Checked: the line rises"}}
    _, page, warnings = build(tmp_path, GOOD, cell)
    assert warnings == ""
    assert re.findall(r'admonition-title">(.+?)</p>', page) == 2 * ["Checked: the line rises"]
    assert page.index("<summary") < page.index(">draw<") < page.index("</details>")


def test_each_mistake_is_a_warning(tmp_path: Path) -> None:
    index = GOOD.replace(r"\frac{b}{c}", r"\frac{b").replace("![A drawing]", "![]")
    _, _, warnings = build(tmp_path, index, plot_cell())
    assert [line for line in warnings.splitlines() if "index.md" in line and "KaTeX" in line]
    assert [line for line in warnings.splitlines() if "figures/a.svg" in line and "alternative text" in line]
    assert [line for line in warnings.splitlines() if "plot.ipynb" in line and "without a sentence" in line]
    assert len([line for line in warnings.splitlines() if "WARNING" in line]) == 3
