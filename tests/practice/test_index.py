"""The front page of the part on language: it names each page, and its table holds each page's rows."""

import importlib
import json
from pathlib import Path

import pytest
import yaml

from rnnlit import practice
from rnnlit.practice import records
from tests.book_checks import order, text
from tests.book_checks.notebook import prose

ROOT = Path(__file__).resolve().parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGE = json.loads((ROOT / "book/practice/index.ipynb").read_text(encoding="utf-8"))
STEMS = [
    page.removeprefix("book/practice/") for page in order.concepts(TOC) if page.startswith("book/practice/")
]


def table():
    """The lines of the table that the page shows."""
    (shown,) = [
        "".join(output["data"]["text/markdown"])
        for cell in PAGE["cells"]
        if cell["cell_type"] == "code"
        for output in cell["outputs"]
        if "text/markdown" in output.get("data", {})
    ]
    return shown.splitlines()


def test_the_pages_are_listed_in_one_place_and_in_the_order_of_reading():
    assert STEMS == [name for name in records.PAGES if name in STEMS] != []


def test_the_front_page_leads_to_each_page_and_names_what_it_lets_one_call():
    said = prose(PAGE)
    calls = {module: name for name, module in practice.HELPERS.items()}
    for stem in STEMS:
        assert f"]({stem}.ipynb)" in said
        assert f"`{calls[stem]}(" in said


@pytest.mark.parametrize("stem", STEMS)
def test_a_page_has_rows_beside_published_results(stem):
    """Each row is whole, and its work is in the bibliography."""
    known = text.bibliography_keys((ROOT / "book/references.bib").read_text(encoding="utf-8"))
    rows = importlib.import_module(f"rnnlit.practice.{stem}").beside()
    assert rows
    for row in rows:
        assert all(isinstance(part, str) and part.strip() and "|" not in part for part in row)
        assert row.work in known and records.work(row.work)


def test_the_table_holds_the_rows_of_today():
    head, line, *rows = table()
    assert head.count("|") == line.count("|") == 6
    assert len(rows) == len(records.beside()) > 0
    for shown, row in zip(rows, records.beside(), strict=True):
        cells = [cell.strip() for cell in shown.strip("|").split(" | ")]
        assert cells == [row.what, row.ours, row.theirs, records.work(row.work), row.differs]
