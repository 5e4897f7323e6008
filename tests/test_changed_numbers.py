"""A reader who changes one number and runs all gets a page that works, or says why not."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

BOOK = Path(__file__).parents[1] / "book"
LIMIT = 300  # seconds a cell, only to end a hang
CHANGES = [
    # page, what stands there, what the reader writes, what the page then says if it can't go on
    ("terminology", "H, rng = 8, ", "H, rng = 11, ", None),
    ("terminology", "for k in (0, 1, 4)]", "for k in (0, 2, 3, 5)]", None),
    ("moving", "H = 32\n", "H = 24\n", None),
    ("lstm", "H = 32\n", "H = 40\n", "the sentence is about 32 units"),
    ("gru", "H = 32\n", "H = 40\n", "another network has other units"),
]


@pytest.mark.parametrize(("page", "old", "new", "says"), CHANGES)
def test_a_page_runs_with_another_number(page, old, new, says):
    notebook = nbformat.read(BOOK / f"{page}.ipynb", as_version=4)
    first = next(c for c in notebook.cells if c.cell_type == "code" and old in c.source)
    assert first.source.count(old) == 1
    first.source = first.source.replace(old, new)
    before = [c.source for c in notebook.cells]
    client = NotebookClient(
        notebook, timeout=LIMIT, kernel_name="python3", resources={"metadata": {"path": str(BOOK)}}
    )
    if says:
        with pytest.raises(CellExecutionError, match=says):
            client.execute()
    else:
        client.execute()  # raises what a cell raises
    assert [c.source for c in notebook.cells] == before
    printed = "".join(o.get("text", "") for c in notebook.cells for o in c.get("outputs", ()))
    assert printed, f"{page}: nothing was printed"
