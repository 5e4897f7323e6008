"""JupyterLite in the site: the notebooks without torch, a wheel of the package, and nothing from elsewhere.

Without the files of `make live` the tests of the site skip. RNNLIT_LITE="lstm gru" opens other notebooks than
the one, RNNLIT_LITE=all every one, which takes some ten minutes.
"""

import hashlib
import io
import json
import os
import re
import sys
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

from tests.site import test_browser, test_live
from tests.site.conftest import ROOT
from tests.site.test_browser import DESKTOP, Visit

address, browser, visit, window = (
    getattr(test_browser, name) for name in ("address", "browser", "visit", "window")
)
LONG = test_live.LONG
NOTEBOOKS = os.environ.get("RNNLIT_LITE", "terminology").split()
if NOTEBOOKS == ["all"]:
    files = [path for path in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
    NOTEBOOKS = sorted(path.relative_to(ROOT / "book").with_suffix("").as_posix() for path in files)

OUTPUTS = """cells => cells.map(cell => ({
    id: cell.querySelector('.jp-InputPrompt').textContent,
    text: [...cell.querySelectorAll('.jp-OutputArea-output:not(.jp-RenderedMarkdown, .jp-RenderedImage)')]
        .map(o => o.querySelector('pre')?.textContent ?? '').join(''),
    pictures: cell.querySelectorAll('.jp-OutputArea-output img').length}))"""


@pytest.fixture
def extension(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    monkeypatch.setattr(sys, "path", list(sys.path))  # the extension appends to it
    return import_module("lite_site")


@pytest.fixture(scope="module")
def lite(site: Path) -> Path:
    """Skip where the site was built without JupyterLite; return its folder."""
    folder = site / "_static" / "lite"
    if not folder.is_dir():
        pytest.skip("the site was built without JupyterLite: make live, then make site")
    return folder


# ---------------------------------------------------------------- what is put in


def test_imports_of_torch_are_left_out(extension):
    source = "import numpy as np, torch\nfrom rnnlit import (\n    lstm,\n    nn,\n)\nx = np.ones(3)  # kept"
    assert (
        extension.without_torch(source)
        == "import numpy as np\nfrom rnnlit import lstm\nx = np.ones(3)  # kept"
    )
    assert extension.without_torch("from rnnlit import nn, lstm_torch") == ""
    untouched = "import numpy as np\n\nnp.ones( 3)"
    assert extension.without_torch(untouched) == untouched


def test_a_notebook_is_blank_and_has_no_cell_of_torch(extension):
    for path in extension.notebooks():
        made = extension.blank(path)
        code = [cell for cell in made["cells"] if cell["cell_type"] == "code"]
        assert code and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
        sources = [cell["source"] for cell in code]
        assert extension.torch_cells(sources) == []
        assert not re.search(r"^\s*(import|from) torch|google\.colab", "\n".join(sources), flags=re.M)
        before = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert {cell["id"].removesuffix(extension.REST) for cell in made["cells"]} <= {
            cell["id"] for cell in before
        }
        for cell in made["cells"]:
            if cell["cell_type"] == "markdown" and "needs PyTorch" in cell["source"]:
                assert "```python\n" in cell["source"]
    names = {path.stem for path in extension.notebooks()}
    assert {"lstm", "gru", "terminology"} <= names and "moving" not in names


def test_a_cell_of_torch_shows_what_it_printed(extension):
    cell = {
        "id": "a",
        "source": ["import torch\n", "print(1)"],
        "outputs": [{"output_type": "stream", "name": "stdout", "text": ["1\n"]}],
    }
    (whole,) = extension.as_text(cell, 1)
    text = whole["source"]
    assert "This cell needs PyTorch" in text and "```python\nimport torch\nprint(1)\n```" in text
    assert text.endswith("It printed:\n\n```text\n1\n```")
    (silent,) = extension.as_text(cell | {"outputs": []}, 1)
    assert "printed" not in silent["source"]


def test_a_cell_runs_up_to_its_first_line_of_torch(extension):
    source = "import torch\nx = {}\n# as a tensor\ny = torch.tensor([1])"
    (line,) = extension.torch_lines([source]).values()
    printed = {"output_type": "stream", "name": "stdout", "text": ["{1}\n"]}
    cell = {"cell_type": "code", "id": "a", "source": source, "outputs": [printed], "metadata": {}}
    code, text = extension.as_text(cell, line)
    assert code["source"] == "x = {}\n# as a tensor" and code["outputs"] == [] and code["id"] == "a"
    assert text["source"].startswith("*The rest of this cell needs PyTorch")
    assert "```python\ny = torch.tensor([1])\n```" in text["source"] and "{1}" in text["source"]
    assert text["cell_type"] == "markdown" and text["id"] == "a-rest"


def test_each_folder_lists_what_is_in_it(extension):
    files = {"book/lstm.ipynb": b"{}", "book/figures/lstm_cell.svg": b"<svg/>"}
    made = extension.listings(files)
    assert set(made) == {".", "book", "book/figures"}
    assert [(e["path"], e["type"]) for e in made["."]["content"]] == [("book", "directory")]
    assert [(e["path"], e["type"], e["size"]) for e in made["book"]["content"]] == [
        ("book/figures", "directory", None),
        ("book/lstm.ipynb", "notebook", 2),
    ]
    assert made["."]["path"] == "" and made["book/figures"]["content"][0]["name"] == "lstm_cell.svg"


def test_the_wheel_is_whole_and_the_same_each_time(extension):
    name, data = extension.wheel()
    assert (name, data) == extension.wheel()
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        names = wheel.namelist()
        assert {"rnnlit/lstm.py", "rnnlit/py.typed", "rnnlit/data/alice.txt"} <= set(names)
        assert not [one for one in names if "__pycache__" in one or "practice/weights" in one]
        assert "rnnlit/pages/weights/connectivity.npz" in names
        about = next(one.partition("/")[0] for one in names if one.endswith("/RECORD"))
        assert name == f"{about.removesuffix('.dist-info')}-py3-none-any.whl"
        rows = [row.split(",") for row in wheel.read(f"{about}/RECORD").decode().splitlines()]
        assert {row[0] for row in rows} == set(names)
        for file, digest, size in rows[:-1]:
            assert digest == f"sha256={extension.urlsafe(wheel.read(file))}" and int(size) == len(
                wheel.read(file)
            )
    assert extension.urlsafe(b"") == "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"  # of nothing, as published


def test_what_the_site_has_is_what_the_lock_names(lite: Path):
    settings = json.loads((lite / "jupyter-lite.json").read_text())["jupyter-config-data"]
    (kernel,) = settings["litePluginSettings"].values()
    assert kernel["disablePyPIFallback"] is True
    assert (lite / kernel["pyodideUrl"]).is_file()
    options = kernel["loadPyodideOptions"]
    python = (lite / options["indexURL"]).resolve()
    assert python == lite.parent / "pyodide"  # the pages' Python, so that it is there once
    lock = json.loads((lite / options["lockFileURL"]).read_text(encoding="utf-8"))
    packages = {entry["name"]: entry for entry in lock["packages"].values()}
    assert {"numpy", "matplotlib", "ipython", "rnnlit", "comm", "piplite", "ipykernel"} <= set(packages)
    for entry in packages.values():
        assert hashlib.sha256((python / entry["file_name"]).read_bytes()).hexdigest() == entry["sha256"]
    # Its kernel would ask an index for these by itself; each is loaded from the lock file instead.
    wanted = {
        "ssl",
        "sqlite3",
        "ipykernel",
        "comm",
        "pyodide_kernel",
        "jedi",
        "ipython",
        "micropip",
        "piplite",
    }
    assert wanted <= set(options["packages"])
    pages = list(lite.rglob("*.html"))
    assert pages
    for page in pages:
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page.read_text(encoding="utf-8"))[1]
        assert "default-src 'self'" in policy and "http" not in policy
    assert not list(lite.rglob("*.map"))


def test_the_launch_menu_leads_to_a_notebook_that_is_there(extension, lite: Path, site: Path):
    with_entry = 0
    for path in (ROOT / "book").rglob("*.ipynb"):
        name = path.relative_to(ROOT).with_suffix("").as_posix()
        page = site / f"{name}.html"
        if ".ipynb_checkpoints" in path.parts or not page.is_file():
            continue
        found = re.findall(
            r'href="([^"]*_static/lite/[^"?]*)\?path=([^"]*)"', page.read_text(encoding="utf-8")
        )
        assert len(found) == extension.runs(path), name
        for url, notebook in found:
            assert (page.parent / url).resolve() == (lite / "notebooks" / "index.html").resolve()
            assert json.loads((lite / "files" / notebook).read_text(encoding="utf-8"))["cells"]
            with_entry += 1
    assert with_entry > 8


# ---------------------------------------------------------------- in the browser


def stored(cell: dict) -> tuple[str, int]:
    """Return what a cell printed and returned, but for what is set as a table or as text, and its figures."""
    plain = [output for output in cell["outputs"] if "text/markdown" not in output.get("data", {})]
    return test_live.stored({"outputs": plain})


def shown(name: str, extension) -> list[tuple[str, int, bool, list[str]]]:
    """Return what each code cell printed, how many figures it drew, whether it is whole, and its tags."""
    path = ROOT / f"book/{name}.ipynb"
    made = {cell["id"]: cell["cell_type"] for cell in extension.blank(path)["cells"]}
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [
        (*stored(c), c["id"] + extension.REST not in made, c["metadata"].get("tags", []))
        for c in cells
        if made.get(c["id"]) == "code"
    ]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_and_prints_what_is_stored(window, address: str, lite: Path, extension, name: str):
    if not extension.runs(ROOT / f"book/{name}.ipynb"):
        pytest.skip("most of its cells need torch: the menu of its page has no such entry")
    context = window(DESKTOP)
    left: list[str] = []
    context.on(
        "request", lambda r: None if r.url.startswith((address, "data:", "blob:")) else left.append(r.url)
    )
    start = context.new_page()
    start.goto(f"{address}book/{name}.html", wait_until="load")
    start.locator(".dropdown-launch-buttons button").click()
    with context.expect_page() as opens:
        start.locator("a[href*='_static/lite/']").click()
    opened = Visit(opens.value, address)
    page = opened.page
    page.set_default_timeout(LONG)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    # Cells out of sight are there, and not shown.
    first = ".jp-Notebook .jp-InputPrompt:text-matches('^\\\\[1\\\\]')"
    page.wait_for_selector(first, state="attached")
    page.wait_for_selector(".jp-Notebook:not(:has(.jp-InputPrompt:text('[*]')))", state="attached")
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    found, wanted = cells.evaluate_all(OUTPUTS), shown(name, extension)
    assert len(found) == len(wanted)
    for output, (text, figures, whole, tags) in zip(found, wanted, strict=True):
        assert re.fullmatch(r"\[\d+\]:?", output["id"].strip()), output
        assert output["pictures"] == figures if whole else output["pictures"] <= figures
        if "nbval-ignore-output" not in tags:
            said = re.sub("Matplotlib is building the font cache.*\n", "", output["text"])
            assert said == text if whole else text.startswith(said)
    assert left == []
    # JupyterLab looks for some files in vain, a drawing's among them before it knows the notebook's folder.
    assert [one for one in opened.complaints if one.startswith(("error:", "leaves the site"))] == []


def test_without_a_server_the_menu_has_no_such_entry(lite: Path, site: Path, window):
    opened = Visit(window().new_page(), site.as_uri())
    opened.open("/book/terminology.html")
    assert opened.page.locator(".dropdown-launch-buttons a").count() >= 2
    assert opened.page.locator("a[href*='_static/lite/']").count() == 0
    assert opened.complaints == []
