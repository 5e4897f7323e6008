"""What runs a page's cells in the browser, here without one: outputs, sources, and where torch is absent."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnnlit.exercises import rnn
from rnnlit.pages import live
from tests.programs import run

ROOT = Path(__file__).resolve().parents[2]


def merged(outputs):
    """The outputs, with what was printed to one stream in one piece: how it is cut depends on the clock."""
    result = []
    for output in outputs:
        if (
            result
            and output["kind"] == result[-1]["kind"] == "text"
            and output["stream"] == result[-1]["stream"]
        ):
            result[-1]["text"] += output["text"]
        else:
            result.append(dict(output))
    return result


@pytest.fixture
def cell():
    """A function that runs a cell of one page and returns its outcome and its outputs."""
    outputs = []
    page = live.Page(outputs.append)

    def run_cell(*lines):
        outputs.clear()
        return page.run("\n".join(lines), 7), merged(outputs)

    return run_cell


@pytest.fixture
def without_torch(monkeypatch):
    """As in the browser: torch can't be imported, and none of ours that needs it has been before."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "rnnlit.rnn_torch", raising=False)
    monkeypatch.delattr("rnnlit.rnn_torch", raising=False)


def shown_cells(page):
    """The code cells of a notebook of the book whose code the site shows."""
    cells = json.loads((ROOT / f"book/{page}.ipynb").read_text(encoding="utf-8"))["cells"]
    shown = [cell for cell in cells if "remove-input" not in cell["metadata"].get("tags", [])]
    return [cell for cell in shown if cell["cell_type"] == "code"]


def printed_before(cell):
    """What a cell has printed, as it is stored."""
    return "".join("".join(o["text"]) for o in cell["outputs"] if o["output_type"] == "stream")


def text(outputs):
    return "".join(output["text"] for output in outputs if output["kind"] == "text")


def test_a_cell_prints_and_its_last_line_has_a_value(cell):
    outcome, outputs = cell("x = 6", "print('six', end=' ')", "print(x)", "x * 7")
    assert outcome == live.DONE
    assert outputs == [
        {"kind": "text", "stream": "stdout", "text": "six 6\n"},
        {"kind": "result", "text": "42"},
    ]


@pytest.mark.parametrize("line", ["x = 6", "None", "6;", "print"[:0]])
def test_a_cell_without_a_value_gives_none(cell, line):
    assert cell(line) == (live.DONE, [])


def test_names_stay_from_cell_to_cell(cell):
    cell("def f(x):", "    return scale * x", "scale = 3")
    assert cell("f(5)")[1] == [{"kind": "result", "text": "15"}]


def test_streams_stay_in_order(cell):
    _, outputs = cell("import sys", "print(1)", "print(2, file=sys.stderr)", "print(3)")
    assert [(o["stream"], o["text"]) for o in outputs] == [
        ("stdout", "1\n"),
        ("stderr", "2\n"),
        ("stdout", "3\n"),
    ]


def test_an_endless_print_does_not_fill_the_page(cell):
    _, outputs = cell(f"for k in range({live.MOST}):", "    print('more')")
    printed = text(outputs)
    assert printed.endswith("characters: the rest is not shown]\n")
    assert printed.count("\n") < len(printed) < live.MOST + 100
    assert text(cell("print('next')")[1]) == "next\n"


def test_an_error_shows_the_cell_and_not_what_runs_it(cell):
    outcome, [before, error] = cell(
        "print('so far')", "def f(x):", "    return 1 / x", "f(0)", "print('never')"
    )
    assert (outcome, before["text"]) == (live.FAILED, "so far\n")
    assert (error["name"], error["value"]) == ("ZeroDivisionError", "division by zero")
    assert error["text"].count("<cell 7") == 2 and "return 1 / x" in error["text"]
    assert "live.py" not in error["text"]


@pytest.mark.parametrize(
    ("line", "name"), [("1 +", "SyntaxError"), ("exit()", "SystemExit"), ("y", "NameError")]
)
def test_whatever_ends_a_cell_the_page_goes_on(cell, line, name):
    outcome, outputs = cell("import sys", line.replace("exit", "sys.exit"))
    assert (outcome, outputs[-1]["name"]) == (live.FAILED, name)
    assert cell("1 + 1")[0] == live.DONE


def test_exercises_read_the_source_of_a_cell(cell):
    """A blank is told from a mistake by the function's source."""
    stub = ("def step(params, x, h):", "    W, U, b, c = params", "    return ... + x @ W.T", "")
    check = "exercises.rnn.step.check(step)"
    assert text(cell("from rnnlit import exercises", *stub, check)[1]).startswith("Not tried yet: fill in")
    right = (
        "def step(params, x, h):",
        "    W, U, b, c = params",
        "    return np.tanh(x @ W.T + b + h @ U.T + c)",
    )
    assert text(cell("import numpy as np", *right, check)[1]).startswith("Right:")
    wrong = ("def step(params, x, h):", "    W, U, b, c = params", "    return np.tanh(x @ W.T + b + h @ U)")
    assert text(cell(*wrong, check)[1]).startswith("Not yet:")
    assert rnn.step  # the exercise that is asked


# ---------------------------------------------------------------- figures

DRAW = """
from rnnlit.pages import figures
fig, ax = figures.new(height=2.0, width=3.0)
figures.line(ax, range(3), [0, 1, 4], "blue")
print("before")
figures.finish(fig, "A curve that rises.")
"""


def test_a_figure_comes_in_its_place_at_twice_the_resolution():
    program = (
        "import json, sys; from rnnlit.pages import live; live.stand_in_for_ipython(); out = []\n"
        f"print(live.Page(out.append).run({DRAW!r}, 1), json.dumps(out))"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "book/_static/live")])
    environment = os.environ | {"MPLBACKEND": "module://rnnlit_canvas", "PYTHONPATH": path}
    answer = run([sys.executable, "-c", program], env=environment, stderr=subprocess.STDOUT, check=True)
    outcome, _, outputs = answer.stdout.partition(" ")
    first, image, sentence = merged(json.loads(outputs))
    assert outcome == live.DONE
    assert (first["text"], sentence["text"]) == ("before\n", "A curve that rises.\n")
    png = base64.b64decode(image["data"])
    assert png.startswith(b"\x89PNG")
    assert 200 < image["width"] < 320 and 130 < image["height"] < 230  # 3 by 2 inches of 96 pixels, cut tight
    assert int.from_bytes(png[16:20]) // 2 == image["width"]


# ---------------------------------------------------------------- without torch


def test_what_is_there_of_an_import_is_imported(cell, without_torch):
    outcome, _ = cell("import numpy as np, torch", "from rnnlit import rnn, rnn_torch")
    assert outcome == live.DONE
    assert cell("rnn.Params(np.ones(2), 3, 4, 5).weight_ih.shape")[1][-1]["text"] == "(2,)"
    assert cell("rnn_torch.RNN(3, 4)") == (live.NEEDS_TORCH, [])


def test_what_torch_would_have_made_is_absent_until_it_is_made_anew(cell, without_torch):
    cell("import torch, numpy as np", "scale, seen, rng = 2, {}, np.random.default_rng(0)")
    assert cell("a = torch.ones(3)", "b = 1", "seen['a'] = rng.random()")[0] == live.NEEDS_TORCH
    for line in ("a", "b + 1", "seen", "rng.random()", "[x for x in seen]", "for k in range(2):\n    b += 1"):
        assert cell(line) == (live.NEEDS_TORCH, []), line
    assert cell("scale")[0] == live.DONE
    assert cell("b = 5", "for k in range(2):", "    a = 3", "    b += a", "b")[1][-1]["text"] == "11"
    assert cell("sum(a for a in range(4))")[1][-1]["text"] == "6"


def test_torch_that_is_asked_for_inside_a_function_is_missed_too(cell, without_torch):
    assert cell("from rnnlit.tools import modules", "modules.to_torch([])")[0] in (
        live.NEEDS_TORCH,
        live.FAILED,
    )
    assert cell("def f():", "    import torch", "f()") == (live.NEEDS_TORCH, [])


def test_a_package_that_is_nowhere_is_an_error(cell):
    outcome, [error] = cell("import nosuchpackage")
    assert (outcome, error["name"]) == (live.FAILED, "ModuleNotFoundError")
    assert cell("nosuchpackage")[0] == live.FAILED


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("a = b", {("b", "read")}),
        ("a = 1\nc = a + b", {("b", "read")}),
        ("a = a + 1", {("a", "read")}),
        ("a[0] = 1", {("a", "changed")}),
        ("a += b", {("a", "changed"), ("b", "read")}),
        ("a.append(b)", {("a", "changed"), ("b", "read")}),
        ("[x + y for x in z]", {("y", "read"), ("z", "read")}),
        ("f = lambda x: x + y", {("y", "read")}),
        ("def f(x):\n    t = x\n    return t + y", {("y", "read")}),
        ("for k in m:\n    h = k\n    print(h)", {("m", "read"), ("print", "read")}),
        ("with open(p) as f:\n    t = f", {("open", "read"), ("p", "read")}),
        ("try:\n    a = 1\nexcept E:\n    a = b", {("E", "read"), ("b", "read")}),
    ],
)
def test_names_that_statements_take_from_before(source, names):
    assert set(live.used(live.ast.parse(source).body)) == names


def test_a_table_in_markdown_has_rows():
    assert live.table(live.Markdown("| a | b |\n| --- | --- |\n| 1 | 2 |")) == [["a", "b"], ["1", "2"]]
    assert live.table(live.Markdown("plain")) == live.table(3.5) == []


# ---------------------------------------------------------------- what a cell needs

CELLS = [
    "import math",  # 1
    "a, b = [1], 2",  # 2
    "print(math.pi)",  # 3
    "math.fsum(a)",  # 4, which only reads a, as far as one can see
    "b = 5",  # 5
    "def f(x):\n    a = x\n    return a + b",  # 6
    "f(3)",  # 7
]


@pytest.mark.parametrize(
    ("number", "cells"), [(1, []), (2, []), (3, [1]), (4, [1, 2]), (5, []), (6, [5]), (7, [5, 6])]
)
def test_a_cell_needs_those_that_touch_its_names(number, cells):
    assert live.Page(print).before(CELLS, number) == cells


def test_every_cell_of_a_page_has_in_a_page_of_its_own_what_it_needs(monkeypatch):
    """Each cell alone, after those that it needs, prints what it prints in a run of all."""
    monkeypatch.chdir(ROOT / "book")
    shown = shown_cells("terminology")
    sources = ["".join(cell["source"]) for cell in shown]
    left_out = 0
    for number in range(1, len(sources) + 1, 6):
        outputs = []
        page = live.Page(outputs.append)
        before = page.before(sources, number)
        left_out += number - 1 - len(before)
        for one in [*before, number]:
            outputs.clear()
            assert page.run(sources[one - 1], one) == live.DONE
        assert text(outputs) == printed_before(shown[number - 1])
        assert page.before(sources, number) == []
    assert left_out > len(sources) / 2


def test_what_has_run_unchanged_does_not_run_again():
    page = live.Page(lambda output: None)
    for number in (1, 2, 5, 6):
        page.run(CELLS[number - 1], number)
    assert page.before(CELLS, 7) == []
    changed = [*CELLS[:4], "b = 6", *CELLS[5:]]
    assert page.before(changed, 7) == [5, 6]
    page.run(CELLS[1], 2)  # b is 2 again
    assert page.before(CELLS, 7) == [5, 6]
    assert page.before([*CELLS[:5], "def f(", CELLS[6]], 7) == []  # who writes f anew has not finished


def test_long_integers_are_narrowed_where_a_pointer_is_short():
    def kinds(*arguments, **keywords):
        return [getattr(one, "dtype", one) for one in (*arguments, *keywords.values())]

    given = (np.arange(3), np.ones(2), 5)
    assert live.narrowed(kinds, np.int32)(*given, weights=np.arange(2)) == [np.int32, np.float64, 5, np.int32]
    assert live.narrowed(np.bincount)(np.array([0, 2, 2])).tolist() == [1, 0, 2]


# ---------------------------------------------------------------- a page as it stands


@pytest.mark.parametrize("page", ["terminology", "errata"])
def test_a_page_without_torch_prints_what_it_has_stored(page, without_torch, monkeypatch):
    monkeypatch.chdir(ROOT / "book")
    for name in [name for name in sys.modules if name.startswith("rnnlit.nn") or name.endswith("_torch")]:
        monkeypatch.delitem(sys.modules, name)
    outputs, outcomes = [], []
    runner = live.Page(outputs.append)
    cells = shown_cells(page)
    assert len(cells) > 10
    for number, cell in enumerate(cells, start=1):
        outputs.clear()
        outcomes.append(runner.run("".join(cell["source"]), number))
        printed = text(outputs) if outcomes[-1] == live.DONE else printed_before(cell)
        assert printed == printed_before(cell)
    assert live.FAILED not in outcomes
    assert len(outcomes) / 2 < outcomes.count(live.DONE) < len(outcomes)
