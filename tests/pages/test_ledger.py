"""Oracles: books of a few lines, written here, whose ledger can be said in advance; and the book itself."""

import json
from pathlib import Path

import pytest

from rnnlit.pages import ledger

BOOK = Path(__file__).resolve().parents[2] / "book"
RIGHT = "| | The article says | What is so |\n|---|---|---|\n"


def write(folder, pages, errata):
    """A book: pages {stem: (Markdown, what its cell prints)}, errata [(section, page, claims)]."""
    (folder / "data").mkdir()
    for stem, (text, printed) in pages.items():
        cells = [
            {"cell_type": "markdown", "source": text.splitlines(keepends=True)},
            {"cell_type": "code", "source": [], "outputs": [{"text": printed.splitlines(keepends=True)}]},
        ]
        (folder / f"{stem}.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    parts = [dict(section=section, page=page, claims=claims) for section, page, claims in errata]
    (folder / "data" / "errata.json").write_text(json.dumps(parts), encoding="utf-8")
    return folder


def test_ledger_collects_rows_and_evidence(tmp_path):
    pages = {
        "one": (
            RIGHT + "| L2, L1 | a gate | no gate |\n| L3 | $x$ | $y$ |\n",
            "L1   it is so: True\nother  line\n",
        ),
        "two": (RIGHT + "| G1 | two | one |\n", "G1, L3  both are shown\n"),
        "errata": ("| F1 | a figure | its place |\n", "right  1\n"),
    }
    claims = {"L1": ["wrong", "b2000"], "L2": ["wrong", "a1990"], "L3": ["right"]}
    book = ledger.read(write(tmp_path, pages, [("A", "one", claims), ("B", "two", {"G1": ["partly"]})]))
    assert list(book.sections) == ["A", "B"]
    both, third, fourth = book.claims()
    assert both == ledger.Claim(
        ("L2", "L1"), "wrong", "a gate", "no gate", "one", ("L1",), ("a1990", "b2000")
    )
    assert third == ledger.Claim(("L3",), "right", "$x$", "$y$", "one", ("L3",), ())
    assert (fourth.verdict, fourth.page, fourth.evidence) == ("partly", "two", ("G1",))
    assert ledger.count(book) == {"right": 1, "partly": 1, "wrong": 2, "left out": 0, "not kept": 0}


def test_rows_may_stand_in_the_data(tmp_path):
    folder = write(tmp_path, {"one": ("Text.\n", "")}, [("A", "one", {"L1": ["right"], "L2": ["right"]})])
    path = folder / "data" / "errata.json"
    (part,) = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps([part | {"rows": {"L1, L2": ["a", "b"]}}]), encoding="utf-8")
    (claim,) = ledger.read(folder).claims()
    assert (claim.names, claim.article, claim.so, claim.page) == (("L1", "L2"), "a", "b", "one")
    text = (RIGHT + "| L1, L2 | a | b |\n").splitlines(keepends=True)
    page = {"cells": [{"cell_type": "markdown", "source": text}]}
    (folder / "one.ipynb").write_text(json.dumps(page), encoding="utf-8")
    with pytest.raises(ValueError, match=r"L1, L2: expected one row, got one in errata\.json and in one"):
        ledger.read(folder)


def test_table_links_to_the_evidence(tmp_path):
    pages = {"one": (RIGHT + "| L1 | a | b {cite:t}`x1` |\n| L2 | c | d |\n", "L1   shown\n")}
    errata = [("A", "one", {"L1": ["wrong", "x1"], "L2": ["right", "y2"]})]
    text = ledger.table(ledger.read(write(tmp_path, pages, errata)).claims()).data.splitlines()
    assert text[2] == "| L1: **wrong** | a | b {cite:t}`x1` *Shown in* [one, L1](#claim-l1). |"
    assert text[3] == "| L2: **right** | c | d *Shown in* [one](one.ipynb). *Source:* {cite:t}`y2`. |"


@pytest.mark.parametrize(
    ("rows", "claims", "message"),
    [
        ("| L1 | a | b |\n", {"L1": ["wrong"], "L2": ["right"]}, "L2: expected a row"),
        ("| L1 | a | b |\n| L1 | c | d |\n", {"L1": ["wrong"]}, "L1: expected one row"),
        ("| L1 | a | b |\n| L2 | c | d |\n", {"L1": ["wrong"]}, "L2: expected an entry"),
        ("| L1 | a | b |\n", {"L1": ["bad"]}, "L1: expected one verdict"),
        ("| L1, L2 | a | b |\n", {"L1": ["right"], "L2": ["wrong"]}, "L1, L2: expected one verdict"),
    ],
)
def test_ledger_refuses_a_book_that_does_not_agree(tmp_path, rows, claims, message):
    with pytest.raises(ValueError, match=message):
        ledger.read(write(tmp_path, {"one": (RIGHT + rows, "")}, [("A", "one", claims)]))


def test_every_claim_of_the_article_is_answered_with_evidence_or_a_source():
    book = ledger.read(BOOK)
    names = [name for claim in book.claims() for name in claim.names]
    expected = {"B": 5, "T": 6, "L": 17, "G": 10, "R": 6, "A": 5, "D": 6}
    assert sorted(names) == sorted(f"{letter}{k}" for letter, n in expected.items() for k in range(1, n + 1))
    bare = [claim.names for claim in book.claims() if not (claim.evidence or claim.sources)]
    # B5 is the promise of an application: the whole book is the answer.
    assert bare == [("B5",)]


def test_every_source_is_in_the_bibliography():
    bibliography = (BOOK / "references.bib").read_text(encoding="utf-8")
    keys = {key for claim in ledger.read(BOOK).claims() for key in claim.sources}
    assert not [key for key in sorted(keys) if f"{{{key}," not in bibliography]


def test_no_evidence_says_that_it_fails():
    lines = [
        (path.stem, *line)
        for path in BOOK.glob("*.ipynb")
        for line in ledger.evidence(json.loads(path.read_text(encoding="utf-8")))
    ]
    assert len(lines) > 40
    assert not [line for line in lines if line[2].rstrip().endswith("False")]
