"""Notebooks are really compared, with this project's settings: a changed output fails, a picture does not."""

import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest

from scripts import run_notebooks
from tests.programs import run

ROOT = Path(__file__).resolve().parents[1]
DRAW = "from IPython.display import SVG, display\ndisplay(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>'))"


@pytest.fixture
def project(tmp_path):
    """A folder with this project's settings and one notebook, run and stored as `make notebooks` does."""
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "book").mkdir()
    cells = [nbformat.v4.new_code_cell(source) for source in ("print('loss 0.25')", DRAW, "6 * 7")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "book/page.ipynb")
    assert run_notebooks.main([str(tmp_path / "book/page.ipynb")]) == 0
    return tmp_path


def outcomes(folder: Path) -> dict[str, list[str]]:
    """Run a plain pytest in a folder and return the outcome of each cell, by notebook."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider"]
    answer = run(command, cwd=folder, env=environment)
    found = re.findall(r"^book/(\w+)::.*Cell \d+ ([A-Z]+) ", answer.stdout, flags=re.M)
    assert found, answer.stdout + answer.stderr
    return {name: [outcome for one, outcome in found if one == name] for name, _ in found}


def test_nbval_compares_text_and_not_the_bytes_of_pictures(project):
    stored = nbformat.read(project / "book/page.ipynb", as_version=4)

    stored.cells[1].outputs[0].data["image/svg+xml"] = "<svg><!-- drawn on another day --></svg>"
    nbformat.write(stored, project / "book/picture.ipynb")

    stored.cells[0].outputs[0].text = "loss 0.26\n"
    stored.cells[2].outputs[0].data["text/plain"] = "43"
    nbformat.write(stored, project / "book/text.ipynb")

    same = ["PASSED"] * 3
    changed = ["FAILED", "PASSED", "FAILED"]
    assert outcomes(project) == {"page": same, "picture": same, "text": changed}
