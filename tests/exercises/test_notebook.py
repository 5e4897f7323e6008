"""The exercises in a kernel, as a reader meets them in a notebook: their source stands in cells."""

import nbformat
import pytest
from nbclient import NotebookClient

from tests.programs import LIMIT

STUB = """def my_step(params, x, h):
    W_ih, W_hh, b_ih, b_hh = params
    ...

exercises.rnn.step.check(my_step)"""
FADED = """def my_step(params, x, h):
    W_ih, W_hh, b_ih, b_hh = params
    return np.tanh(x @ W_ih.T + b_ih + ...)

exercises.rnn.step.check(my_step)"""
BROKEN = """def my_step(params, x, h):
    W_ih, W_hh, b_ih, b_hh = params
    return np.tanh(x @ W_ih)

exercises.rnn.step.check(my_step)"""
SWAPPED = """def my_step(params, x, h):
    W_ih, W_hh, b_ih, b_hh = params
    return np.tanh(x @ W_ih.T + b_ih + h @ W_hh + b_hh)

exercises.rnn.step.check(my_step)"""
CELLS = {
    "import numpy as np\nfrom rnnlit import exercises": "",
    STUB: "Not tried yet: fill in the blanks",
    FADED: "Not tried yet: fill in the blanks",
    BROKEN: "in the line: return np.tanh(x @ W_ih)",
    SWAPPED: "Not yet: this looks like a known mistake: W_hh is turned round.",
    SWAPPED.replace("@ W_hh ", "@ W_hh.T "): "Right: h agrees with the package's",
    "exercises.rnn.latch.check(w_x=..., w_h=..., b=...)": "Not tried yet: put numbers",
    "exercises.rnn.latch.check(w_x=10, w_h=5, b=0)": "Right: it switches on",
}


@pytest.fixture(scope="module")
def outputs() -> list[list[dict]]:
    """What each cell shows, after all were run from top to bottom."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    NotebookClient(notebook, timeout=LIMIT, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells]


@pytest.mark.parametrize("number", range(len(CELLS)))
def test_a_cell_answers_in_one_printed_text(outputs, number):
    wanted = list(CELLS.values())[number]
    shown = outputs[number]
    assert len(shown) == bool(wanted)
    assert all(output["output_type"] == "stream" and output["name"] == "stdout" for output in shown)
    assert wanted in " ".join("".join(output["text"] for output in shown).split())
