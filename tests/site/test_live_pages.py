"""The extension that puts the bar on a page: what needs torch is read off its imports, what lacks is said."""

import io
import json
import re
import sys
import zipfile
from importlib import import_module

import pytest

from scripts import pyodide
from tests.site.conftest import ROOT

LINKS = {"Binder": "https://binder.example/?a=1&b=2", "Colab": "https://colab.example/"}


@pytest.fixture
def extension(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    monkeypatch.setattr(sys, "path", list(sys.path))  # the extension appends to it
    return import_module("live_pages")


@pytest.mark.parametrize(
    ("module", "needs"),
    [
        ("torch", True),
        ("torch.nn", True),
        ("rnnlit.lstm", False),
        ("rnnlit.lstm_torch", True),
        ("rnnlit.nn", True),
        ("rnnlit.tasks.closing", False),
        ("rnnlit.tasks.reader_torch", True),
        ("rnnlit.tools.interop", False),  # imports torch where it is asked for
        ("numpy", False),
        ("rnnlit.practice", False),
        ("rnnlit.practice.counts", True),  # from rnnlit.practice.counting, when it is asked for
        ("rnnlit.practice.records", False),
        ("rnnlit.practice.nothing", False),
    ],
)
def test_modules_that_import_torch(extension, module, needs):
    assert extension.needs_torch(module) is needs


def test_cells_that_need_torch(extension):
    cells = [
        "import numpy as np, torch\nfrom rnnlit import rnn, nn",
        "a = np.ones(3)",
        "b = torch.tensor(a)",
        "b.sum()",
        "b = 3",
        "b + 1",
        "layer = nn.LSTM(3, 4)",
        "[layer for layer in range(3)]",
        "def f():\n    return layer",
    ]
    assert extension.torch_cells(cells) == [2, 3, 6, 8]
    assert extension.torch_cells(["from rnnlit.practice import records", "records.beside()", "1"]) == [1]
    decorated = "import torch\nx = 1\n@torch.no_grad()\ndef f():\n    return x"
    assert extension.torch_lines([decorated, "y = 1\n\nf()"]) == {0: 2, 1: 2}


def test_a_page_that_can_run_has_a_bar_for_the_script(extension):
    markup = extension.bar(
        ["import numpy as np", "from rnnlit.pages import figures"], "book", "../", LINKS, 29
    )
    assert 'data-python="../_static/pyodide/"' in markup and 'data-packages="numpy matplotlib"' in markup
    assert "29 MB to load, once" in markup and " hidden" in markup  # until the script is there
    assert "PyTorch" not in markup
    plain = extension.bar(["import numpy as np", "np.ones(3)"], "book", "../", LINKS, 29)
    assert 'data-packages="numpy"' in plain


def test_a_page_with_some_cells_of_torch_says_so(extension):
    markup = extension.bar(["import torch", "1 + 1", "torch.ones(3)"], "book/practice", "../../", LINKS, 29)
    assert "Cells that need PyTorch keep the results" in markup
    assert '<a href="https://binder.example/?a=1&amp;b=2">Binder</a> or' in markup
    assert 'data-folder="book/practice"' in markup and 'data-python="../../_static/' in markup


def test_a_page_of_torch_leads_elsewhere(extension):
    markup = extension.bar(["import torch", "torch.ones(3)", "torch.ones(4)"], "book", "../", LINKS, 29)
    assert "computes with PyTorch" in markup and "Colab</a>" in markup
    assert "data-worker" not in markup and "hidden" not in markup


@pytest.mark.parametrize(
    ("run", "slow", "said"),
    [
        (9.9, {}, ""),
        (14.0, {"3": 9.0}, " All cells take about 10 s."),
        (47.2, {"3": 31.0, "9": 12.0}, " All cells take about 50 s, cell 3 alone 30 s, cell 9 alone 10 s."),
        (134.0, {"4": 100.0}, " All cells take about 2 minutes, cell 4 alone 2 minutes."),
    ],
)
def test_the_bar_says_how_long_the_cells_take(extension, monkeypatch, tmp_path, run, slow, said):
    record = tmp_path / "times.json"
    record.write_text(json.dumps({"pages": {"lstm": {"run": run, "slow": slow}}}))
    monkeypatch.setattr(extension, "TIMES", record)
    assert extension.times_said("lstm") == said
    assert extension.times_said("another") == ""
    markup = extension.bar(["import numpy as np"], "book", "../", LINKS, 29, extension.times_said("lstm"))
    assert f"29 MB to load, once.{said} You can change" in markup


def test_every_page_that_can_run_has_its_time(extension):
    pages = json.loads(extension.TIMES.read_text(encoding="utf-8"))["pages"]
    can = {
        path.relative_to(ROOT / "book").with_suffix("").as_posix(): extension.torch_cells(sources)
        for path in (ROOT / "book").rglob("*.ipynb")
        if (sources := extension.code_cells(path)) and 2 * len(extension.torch_cells(sources)) <= len(sources)
    }
    assert set(pages) == set(can), "run benchmarks/live_pages.py"
    for name, places in can.items():
        assert "cells ran in" in pages[name]["said"], name
        assert pages[name]["torch"] == [place + 1 for place in places], name


def test_a_page_of_torch_leads_to_its_notebook_on_binder_and_colab(extension, site):
    checked = 0
    for path in (ROOT / "book").rglob("*.ipynb"):
        sources = extension.code_cells(path)
        if not sources or 2 * len(extension.torch_cells(sources)) <= len(sources):
            continue
        name = path.relative_to(ROOT).with_suffix("").as_posix()
        page = (site / f"{name}.html").read_text(encoding="utf-8")
        note = re.search(r'<div class="rl-live"><p>(.*?)</p>', page)[1]
        assert note.startswith("This page computes with PyTorch")
        links = dict(re.findall(r'<a href="([^"]+)">(\w+)</a>', note))
        binder, colab = (url for url in links if links[url] in ("Binder", "Colab"))
        assert binder.startswith("https://mybinder.org/v2/gh/") and binder.endswith(f"{name}.ipynb")
        assert colab.startswith("https://colab.research.google.com/github/")
        assert colab.endswith(f"/blob/main/{name}.ipynb")
        checked += 1
    assert checked >= 3


def test_without_the_files_the_bar_says_so(extension, monkeypatch, tmp_path):
    monkeypatch.setenv("RNNLIT_PYODIDE", str(tmp_path))
    assert extension.megabytes() == 0
    markup = extension.bar(["import numpy as np"], "book", "../", LINKS, 0)
    assert "built without the Python" in markup and "make live" in markup
    assert "data-worker" not in markup and "hidden" not in markup


def test_the_archive_has_what_the_pages_read_and_is_the_same_each_time(extension):
    data = extension.archive()
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert {"rnnlit/lstm.py", "rnnlit/data/alice.txt", "rnnlit_canvas.py"} <= set(names)
    assert {"rnnlit/pages/records/closing.json", "rnnlit/data/errata.json"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests", "scripts"))]
    assert extension.archive() == data
    assert len(data) < 4e6


def test_the_site_has_what_the_lock_names_and_no_more(site):
    folder = site / "_static" / "pyodide"
    if not folder.is_dir() or not any(folder.iterdir()):
        pytest.skip("the site was built without the Python that runs in pages: make live, then make site")
    names = {path.name for path in folder.iterdir()}
    assert names == {*pyodide.RUNTIME, *pyodide.wheels(folder), "book.zip"}
    for name, digest in pyodide.wheels(folder).items():
        assert pyodide.sha256((folder / name).read_bytes()) == digest
