"""The record of the last full run, and the counts on the page "How this book is checked"."""

import ast
import importlib
import json
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import nbformat
import pytest
import yaml

from scripts import run_notebooks, status
from tests.book_checks import counts, order, text

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = [path.relative_to(ROOT).as_posix() for path in run_notebooks.find(ROOT / "book")]
ROOM, SHARE = 40, 0.25  # by how much a record may be behind: tests of a kind


@pytest.fixture
def extension(monkeypatch, request):
    """The module of the site's extensions that the test's parameter names."""
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    return importlib.import_module(request.param)


def of(name):
    return pytest.mark.parametrize("extension", [name], indirect=True)


# ---------------------------------------------------------------- from a report to a record


def report(*cases, leave_out=""):
    """A report of pytest with one clean test of each kind and of each page, and some further cases."""
    names = [path.removesuffix(".ipynb").replace("/", ".") + ".ipynb" for path in NOTEBOOKS]
    starts = {kind: start for start, kind in status.KINDS.items() if start != "book/"}
    for start in starts.values():
        path = start if start.startswith("tests/test_") else f"{start}test_x"
        names.append(path.replace("/", "."))
    lines = [f'<testcase classname="{name}" name="a" time="1.5" />' for name in names if name != leave_out]
    head = '<testsuite name="pytest" time="90.4" timestamp="2026-11-28T01:34:28.139397+02:00">'
    return ET.fromstring(f"<testsuites>{head}{''.join([*lines, *cases])}</testsuite></testsuites>")


def case(name, inside=""):
    return f'<testcase classname="{name}" name="b" time="2.25">{inside}</testcase>'


def test_a_record_counts_tests_by_kind_and_adds_up_the_times_of_a_page():
    more = [
        case("book.lstm.ipynb"),
        case("book.lstm.ipynb", "<skipped />"),
        case("tests.nn.gpu.test_graph", "<skipped />"),
        case("tests.test_lstm.TestCell"),
    ]
    record = status.record_of(report(*more), NOTEBOOKS)
    assert record["pages"]["book/lstm"] == {"cells": 3, "seconds": 6.0}
    assert record["pages"]["book/gru"] == {"cells": 1, "seconds": 1.5}
    assert record["tests"][status.KINDS["tests/nn/"]] == {"passed": 1, "skipped": 1}
    assert record["tests"][status.KINDS["tests/"]] == {"passed": 2}
    assert (record["seconds"], record["machine"]["date"]) == (
        90,
        "2026-11-27",
    )  # 23:34 of the day before, UTC
    assert set(record["machine"]["packages"]) == {"numpy", "torch"}


def test_a_run_that_failed_is_not_put_on_record():
    with pytest.raises(ValueError, match=r"tests have failed.*tests\.test_lstm: b"):
        status.record_of(report(case("tests.test_lstm", "<failure />")), NOTEBOOKS)
    with pytest.raises(ValueError, match="tests have failed"):
        status.record_of(report(case("book.gru.ipynb", "<error />")), NOTEBOOKS)


def test_an_old_record_does_not_forbid_a_new_one():
    record = status.record_of(report(case("tests.test_status", "<failure />")), NOTEBOOKS)
    assert record["tests"][status.KINDS["tests/test_status"]] == {"passed": 2}


@pytest.mark.parametrize("missing", ["book.lstm.ipynb", "tests.nn.test_x"])
def test_a_run_that_was_not_whole_is_not_put_on_record(missing):
    with pytest.raises(ValueError, match=r"the run was not whole; it lacks (book/lstm|layers)"):
        status.record_of(report(leave_out=missing), NOTEBOOKS)


def test_a_report_that_is_not_there_is_one_clear_line(tmp_path, capsys):
    assert status.main([str(tmp_path / "tests.xml")]) == 1
    assert capsys.readouterr().err == f"status: there is no {tmp_path / 'tests.xml'}; make test leaves one\n"


def test_each_file_of_tests_is_of_one_kind():
    found = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    kinds = Counter(status.kind_of(path) for path in found)
    assert set(kinds) == set(status.KINDS.values()) - {status.KINDS["book/"]}
    named = {start for start in status.KINDS if start.startswith("tests/test_")}
    assert [start for start in named if not any(path.startswith(start) for path in found)] == []


# ---------------------------------------------------------------- the record that stands on the page


@pytest.fixture
def record():
    """The record in the repository; a first run of all tests has to do without one."""
    if not status.RECORD.is_file():
        pytest.skip("no full run is on record: make test, then make status")
    return json.loads(status.RECORD.read_text(encoding="utf-8"))


def test_the_record_has_every_page_and_was_whole(record):
    assert set(record["pages"]) == {path.removesuffix(".ipynb") for path in NOTEBOOKS}
    assert list(record["tests"]) == list(dict.fromkeys(status.KINDS.values()))
    assert all(page["cells"] and page["seconds"] > 0 for page in record["pages"].values())
    assert set(record["machine"]) >= {"date", "cpu", "cores", "memory_gib", "python", "packages"}


def test_the_record_is_of_these_tests(request, record):
    """Of each kind there were about as many as there are. Only a run of all tests can tell."""
    config = request.config
    if list(config.args) != config.getini("testpaths") or config.option.keyword or config.option.markexpr:
        pytest.skip("compares the record with all tests, when all are run")
    kinds = Counter(status.kind_of(item.nodeid.partition("::")[0]) for item in request.session.items)
    recorded = {kind: sum(found.values()) for kind, found in record["tests"].items()}
    far = {
        kind: (number, recorded.get(kind))
        for kind, number in kinds.items()
        if abs(number - recorded.get(kind, 0)) > max(ROOM, SHARE * number)
    }
    assert far == {}, "make test && make status puts a new run on record"


# ---------------------------------------------------------------- what is counted


@of("counted")
def test_counts_are_those_of_another_way_to_count(extension):
    notebooks = [nbformat.read(ROOT / path, as_version=4) for path in NOTEBOOKS]
    cells = [cell for notebook in notebooks for cell in notebook.cells if cell.cell_type == "code"]
    found = extension.counts()
    assert found["pages"] == len(notebooks)
    assert found["cells"] == len(cells) - len(notebooks)  # each has the cell for Colab
    ignored = [cell for cell in cells if "nbval-ignore-output" in cell.metadata.get("tags", [])]
    assert found["uncompared"] == len(ignored)
    trees = [ast.parse("\n".join(plain(cell.source))) for cell in cells]
    assert found["asserts"] == sum(isinstance(node, ast.Assert) for tree in trees for node in ast.walk(tree))
    assert found["exercises"] == len(counts.exercises())
    assert found["papers"] == len(text.bibliography_keys((ROOT / "book/references.bib").read_text("utf-8")))


def plain(source):
    """A cell's lines without IPython's own commands."""
    return [
        line if not line.lstrip().startswith(("!", "%")) else line[: -len(line.lstrip())] + "pass"
        for line in source.splitlines()
    ]


@of("counted")
def test_tests_are_counted_as_python_reads_them(extension):
    trees = {path: ast.parse(path.read_text("utf-8")) for path in (ROOT / "tests").rglob("test_*.py")}
    names = [
        (path.name, node)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    found = extension.counts()
    assert found["functions"] == len(names)
    assert found["refusals"] == sum(name == "test_book_checks.py" for name, _ in names)
    assert 10 < found["numerical"] < found["functions"] / 10


@of("counted")
def test_mistakes_are_those_that_the_exercises_know(extension):
    """Each is a test of its own, by its name: those are counted here from the modules' text."""
    sources = [path.read_text("utf-8") for path in (ROOT / "rnnlit" / "exercises").glob("*.py")]
    written = sum(
        isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Mistake"
        for source in sources
        for node in ast.walk(ast.parse(source))
    )
    assert written / 2 < extension.counts()["mistakes"] < 2 * written  # some are made in loops, some shared


@of("checked_page")
def test_a_count_that_has_changed_has_its_page_read_again(extension, monkeypatch):
    class Environment:
        found_docs = ("book/checked", "book/lstm")

    class App:
        class config:
            checked_page = "book/checked"

    environment = Environment()
    monkeypatch.setattr(extension.counted, "counts", lambda: {"cells": 3})
    assert extension.changed(App, environment) == ["book/checked"]
    assert extension.changed(App, environment) == []
    monkeypatch.setattr(extension.counted, "counts", lambda: {"cells": 4})
    assert extension.changed(App, environment) == ["book/checked"]


@of("checked_page")
def test_tables_say_what_the_record_says(extension):
    run = {
        "command": "make it",
        "seconds": 150,
        "tests": {"a kind": {"passed": 1234, "skipped": 5}, "another": {"passed": 6}},
        "pages": {"book/lstm": {"cells": 3, "seconds": 12.4}},
        "machine": {
            "date": "2026-11-28",
            "cpu": "A processor",
            "cores": 2,
            "memory_gib": 7.8,
            "system": "Linux x86_64",
            "python": "CPython 3.11.7",
            "packages": {"numpy": "2.4.6"},
        },
    }
    lines = extension.run_table(run)
    assert lines[0].startswith("On 2026-11-28, in 2 minutes, by `make it`, with CPython 3.11.7, numpy 2.4.6;")
    assert lines[-3:] == ["| a kind | 1,234 | 5 |", "| another | 6 | 0 |", "| **all** | **1,240** | **5** |"]
    assert extension.passed(run) == 1245
    *_, lstm, notation = extension.page_table(run, {"book/lstm": "LSTM", "book/notation": "Notation"})
    assert lstm.startswith("| [LSTM](/book/lstm) | ") and lstm.endswith(" | 12 s |")
    assert notation.endswith(" | – | – |")


def test_the_page_has_a_line_for_each_page_of_the_book():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    page = (ROOT / "book" / "checked.md").read_text(encoding="utf-8")
    listed = [line.partition(":")[0] for line in page.splitlines() if line.startswith("book/")]
    aside = {"book/intro", "book/checked", "book/changes", "book/api", "book/bibliography"}
    assert listed == [name for name in order.pages(toc) if name not in aside]
