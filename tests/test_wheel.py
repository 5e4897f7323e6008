"""The wheel, and the book's notebooks with it alone: nothing that a page reads lies outside the package.

That no page reads a file beside it is tested with every page: `conftest.py` has each run in an empty folder.
Here two quick ones, as one downloads them, run with an unpacked wheel in place of the repository. All of
them do with `RNNLIT_ALONE=all`, which takes some ten minutes.
"""

import ast
import json
import os
import re
import shutil
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import rnnlit
from scripts import plain_notebooks, run_notebooks
from tests.programs import LIMIT, run

ROOT = Path(__file__).resolve().parents[1]
BOOK = plain_notebooks.read_book()
PAGES = plain_notebooks.notebooks(BOOK)
QUICK = ("book/background", "book/practice/index")
RUN = PAGES if os.environ.get("RNNLIT_ALONE") == "all" else QUICK


def sources(folder: Path) -> set[str]:
    """The files of the package that belong into a wheel."""
    paths = [path.relative_to(folder) for path in (folder / "rnnlit").rglob("*") if path.is_file()]
    return {p.as_posix() for p in paths if "__pycache__" not in p.parts and p.name != "ruff.toml"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy without the network."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("rnnlit", "tests", "scripts"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-CONTENT"):
        shutil.copy(ROOT / name, source)
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--wheel-dir", str(target)]
    answer = run([sys.executable, "-m", "pip", "wheel", str(source), *options])
    assert answer.returncode == 0, answer.stderr
    (path,) = target.glob("rnnlit-*.whl")
    return path


def test_wheel_holds_the_package_and_its_data(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
    assert names == sources(ROOT)
    assert {"rnnlit/py.typed", "rnnlit/data/japanese_vowels.npz", "rnnlit/tools/checks.py"} <= names
    assert {"rnnlit/pages/records/closing.json", "rnnlit/data/timeline.json"} <= names


def test_sdist_holds_what_a_wheel_is_made_of(tmp_path):
    copy = tmp_path / "copy"
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-CONTENT"):
        copy.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "rnnlit", copy / "rnnlit", ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--no-isolation", "--sdist", "--outdir", str(tmp_path)]
    answer = run([sys.executable, "-m", "build", *options, str(copy)])
    assert answer.returncode == 0, answer.stderr
    (path,) = tmp_path.glob("rnnlit-*.tar.gz")
    with tarfile.open(path) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert sources(ROOT) | {"README.md", "LICENSE", "LICENSE-CONTENT", "pyproject.toml"} <= names


def test_wheel_runs_anywhere_and_says_what_it_needs(wheel):
    assert wheel.name == f"rnnlit-{rnnlit.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as file:
        name = next(name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(file.read(name).decode())
    hard = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert hard == ["numpy>=2.0"]
    extras = ["book", "dev", "notebooks", "practice", "torch", "weights"]
    assert sorted(metadata.get_all("Provides-Extra")) == extras
    assert metadata["License-Expression"] == "BSD-3-Clause AND CC-BY-4.0"


# ---------------------------------------------------------------- what leads out of the package


def code(page) -> list[str]:
    """The code of a page, cell by cell; what Colab runs is another matter."""
    cells = ["".join(cell["source"]) for cell in page["cells"] if cell["cell_type"] == "code"]
    return [source for source in cells if not source.startswith(run_notebooks.COLAB)]


def files_named(source: str, folder: Path) -> list[str]:
    """What in some code names a file of the repository, or a place above the folder that it runs in."""
    strings = [n.value for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant)]
    paths = [text for text in strings if isinstance(text, str) and re.fullmatch(r"[\w./-]+", text)]
    places = {path: (folder / path, ROOT / path) for path in paths}
    there = (p for p in paths if any(x.is_file() or ("/" in p.strip("/") and x.is_dir()) for x in places[p]))
    return list(dict.fromkeys([*(p for p in paths if re.match("/.", p) or ".." in p.split("/")), *there]))


def leads_out(source: str) -> list[str]:
    """Where a module of the package looks for files, if not in its own folder or by `importlib.resources`."""
    uses = re.findall(r".*__file__.*", source)
    return [
        line.strip() for line in uses if not re.search(r"Path\(__file__\)\.(?:parent / |with_name\()\"", line)
    ]


def test_code_that_names_a_file_of_the_repository_is_found():
    folder = ROOT / "book"
    for path in ("../benchmarks/x.json", "references.bib", "figures/lstm_cell.svg", "/etc/hosts", ".."):
        assert files_named(f"f = open({path!r})", folder) == [path]
    assert files_named("f = open('net.safetensors'); print('a / b', 'GFLOP/s')", folder) == []
    assert leads_out("HERE = Path(__file__).parents[1]") and leads_out("os.path.dirname(__file__)")
    assert leads_out('HERE = Path(__file__).parent / "records"') == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_no_file_of_the_repository(name):
    assert [f for source in code(PAGES[name]) for f in files_named(source, (ROOT / name).parent)] == []


def test_no_module_looks_for_files_outside_the_package():
    modules = {path: path.read_text(encoding="utf-8") for path in (ROOT / "rnnlit").rglob("*.py")}
    assert {str(path): found for path, text in modules.items() if (found := leads_out(text))} == {}


# ---------------------------------------------------------------- a notebook, a wheel, and nothing else

# Before the page's first cell: the package is that of the wheel, and what the tests import can't be found.
FIRST = """
import sys
sys.path = [path for path in sys.path if path != {root!r}]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
import os, rnnlit
assert rnnlit.__file__ == {package!r}, rnnlit.__file__
assert os.listdir() == [], os.listdir()
"""


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    return folder


def printed(cell) -> str:
    """What a cell printed; nothing of one whose output differs between runs."""
    streams = [output.text for output in cell.outputs if output.output_type == "stream"]
    return "" if "nbval-ignore-output" in cell.metadata.get("tags", []) else "".join(streams)


def run_alone(page, unpacked: Path, folder: Path, monkeypatch) -> nbformat.NotebookNode:
    """Run a notebook in an empty folder with an unpacked wheel on the path."""
    monkeypatch.setenv("PYTHONPATH", str(unpacked))
    notebook = nbformat.reads(json.dumps(page), as_version=4)
    first = FIRST.format(root=str(ROOT), package=str(unpacked / "rnnlit" / "__init__.py"))
    notebook.cells.insert(0, nbformat.v4.new_code_cell(first))
    resources = {"metadata": {"path": str(folder)}}
    options = dict(timeout=LIMIT, startup_timeout=LIMIT, kernel_name="python3", coalesce_streams=True)
    NotebookClient(notebook, resources=resources, **options).execute()
    del notebook.cells[0]
    return notebook


@pytest.mark.parametrize("name", RUN)
def test_a_notebook_runs_with_the_wheel_alone(name, unpacked, tmp_path, monkeypatch):
    page = plain_notebooks.plain(PAGES[name], name, BOOK, together=False)
    notebook = run_alone(page, unpacked, tmp_path, monkeypatch)
    stored = nbformat.reads(json.dumps(page), as_version=4)
    assert [printed(cell) for cell in notebook.cells if cell.cell_type == "code"] == [
        printed(cell) for cell in stored.cells if cell.cell_type == "code"
    ]
    assert list(tmp_path.iterdir()) == [], "a page leaves a file behind"


@pytest.mark.parametrize("name", RUN if len(RUN) > len(QUICK) else QUICK[:1])
def test_a_blank_notebook_runs_as_well(name, unpacked, tmp_path, monkeypatch):
    """An exercise that nobody has tried says so; nothing after it needs its solution."""
    page = plain_notebooks.plain(PAGES[name], name, BOOK, together=False, blank=True)
    notebook = run_alone(page, unpacked, tmp_path, monkeypatch)
    stubs = [cell for cell in notebook.cells if "exercise" in cell.metadata.get("tags", [])]
    assert [cell for cell in stubs if not printed(cell).startswith("Not tried yet: ")] == []
