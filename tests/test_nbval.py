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


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with this project's settings and one notebook, run and stored as `make notebooks` does."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / "tests").mkdir()
    (folder / "book").mkdir()
    cells = [nbformat.v4.new_code_cell(source) for source in ("print('loss 0.25')", DRAW, "6 * 7")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "book/page.ipynb")
    assert run_notebooks.main([str(folder / "book/page.ipynb")]) == 0
    return folder


def counts(folder: Path) -> dict[str, int]:
    """Run a plain pytest in a folder and return its closing counts."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    answer = run(command, cwd=folder, env=environment)
    found = re.findall(r"(\d+) (passed|failed|error|skipped)", answer.stdout.splitlines()[-1])
    assert found, answer.stdout + answer.stderr
    return {word: int(number) for number, word in found}


def test_nbval_compares_text_and_not_the_bytes_of_pictures(project):
    path = project / "book/page.ipynb"
    stored = nbformat.read(path, as_version=4)
    assert counts(project) == {"passed": 3}

    stored.cells[1].outputs[0].data["image/svg+xml"] = "<svg><!-- drawn on another day --></svg>"
    nbformat.write(stored, path)
    assert counts(project) == {"passed": 3}

    stored.cells[0].outputs[0].text = "loss 0.26\n"
    stored.cells[2].outputs[0].data["text/plain"] = "43"
    nbformat.write(stored, path)
    assert counts(project) == {"failed": 2, "passed": 1}
