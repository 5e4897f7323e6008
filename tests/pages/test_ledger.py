"""Oracles: pages of a few lines, written here, whose ledger can be said in advance; and the book itself."""

import json
import re
from pathlib import Path

import pytest

from rnnlit.pages import ledger

BOOK = Path(__file__).resolve().parents[2] / "book"
PAGE = BOOK / "errata.ipynb"
GATES = """## LSTM

**L5: wrong.** *The input gate sees the input alone.*

> 通过sigmoid函数

**L10: partly.** *The forget gate sees the state.*

> 将状态向量 …… 计算得到

Every gate sees $x$ *and* $h$ {cite:p}`b2000,a1990`.

It was {cite:t}`a1990` who said so.

### Next

Text that belongs to nobody.

**R6: left out.** *That it waits.* It is not causal.
"""


def write(folder, *texts, printed=""):
    """An errata page of these Markdown cells and one cell of code."""
    cells = [{"cell_type": "markdown", "source": text.splitlines(keepends=True)} for text in texts]
    outputs = [{"text": printed.splitlines(keepends=True)}]
    cells.append({"cell_type": "code", "source": [], "outputs": outputs})
    page = folder / "errata.ipynb"
    page.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    return page


def test_claims_are_read_with_quotation_answer_and_sources(tmp_path):
    right = "**T1: right.** *A sequence.*\n\n> 数据序列\n\nRight.\n"
    claims = ledger.read(write(tmp_path, "# Errata\n\nNo claim.", GATES, right))
    answer = "Every gate sees $x$ *and* $h$ {cite:p}`b2000,a1990`.\n\nIt was {cite:t}`a1990` who said so."
    both = answer, ("b2000", "a1990")
    assert claims == [
        ledger.Claim("L5", "wrong", "The input gate sees the input alone.", "通过sigmoid函数", *both),
        ledger.Claim("L10", "partly", "The forget gate sees the state.", "将状态向量 …… 计算得到", *both),
        ledger.Claim("R6", "left out", "That it waits.", "", "It is not causal.", ()),
        ledger.Claim("T1", "right", "A sequence.", "数据序列", "Right.", ()),
    ]
    assert ledger.count(claims) == {"right": 1, "partly": 1, "wrong": 1, "left out": 1, "not kept": 0}


def test_evidence_is_what_begins_with_a_name(tmp_path):
    printed = "L5   it moves by 0.4\nother  line\nL6, L7  0.993\nL8 one space\n  L9   not at the left\n"
    page = json.loads(write(tmp_path, printed=printed).read_text(encoding="utf-8"))
    assert list(ledger.evidence(page)) == [(("L5",), "it moves by 0.4"), (("L6", "L7"), "0.993")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("**L1: bad.** *a*\n\n> b\n\nc\n", "L1: expected one verdict"),
        ("**L1: wrong.** *a*\n\nc\n", "L1: expected the article's sentence"),
        ("**L1: wrong.** *a*\n\n> b\n\n## Next\n", "L1: expected what is so"),
        ("**L1: wrong.** *a*\n\n> b\n\nc\n\n**L1: right.** *d*\n\n> e\n\nf\n", "L1: expected one claim"),
    ],
)
def test_a_claim_that_is_not_whole_is_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        ledger.read(write(tmp_path, text))


def test_every_claim_of_the_article_is_there_with_evidence_or_a_source():
    claims = ledger.read(PAGE)
    expected = {"B": 5, "T": 6, "L": 18, "G": 10, "R": 6, "A": 5, "D": 5}
    names = [f"{letter}{k}" for letter, n in expected.items() for k in range(1, n + 1)]
    assert sorted(claim.name for claim in claims) == sorted(names)
    shown = {name for names, _ in ledger.evidence(json.loads(PAGE.read_text("utf-8"))) for name in names}
    assert shown <= set(names) and len(shown) > 45
    bare = [claim.name for claim in claims if claim.name not in shown and not claim.sources]
    # B5 is the promise of an application: the whole book is the answer.
    assert bare == ["B5"]


def test_what_is_quoted_is_chinese_and_what_is_so_is_not():
    claims = ledger.read(PAGE)
    chinese = re.compile(r"[\u4e00-\u9fff]")
    assert [claim.name for claim in claims if not claim.quote] == ["L18", "R6"]
    assert not [claim.name for claim in claims if claim.quote and not chinese.search(claim.quote)]


def test_evidence_stands_below_its_claim():
    seen: set[str] = set()
    early: list[set[str]] = []
    for cell in json.loads(PAGE.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            seen |= {match["name"] for match in ledger.CLAIM.finditer("".join(cell["source"]))}
        else:
            early.append({name for names, _ in ledger.evidence({"cells": [cell]}) for name in names} - seen)
    assert len(early) > 15 and not set().union(*early)


def test_evidence_is_numbers_and_not_verdicts():
    lines = [line for _, line in ledger.evidence(json.loads(PAGE.read_text(encoding="utf-8")))]
    assert len(lines) > 60
    assert not [line for line in lines if re.search(r"\b(True|False)\b", line)]


def test_the_package_has_the_verdicts_of_the_page():
    """The page counts them wherever it runs, without a look at its own file."""
    assert ledger.verdicts() == {claim.name: claim.verdict for claim in ledger.read(PAGE)}, (
        "see rnnlit.pages.ledger"
    )


def test_the_verdicts_are_written_into_the_package(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(ledger, "files", lambda package: tmp_path)
    ledger.main(write(tmp_path, GATES))
    assert ledger.verdicts() == {"L5": "wrong", "L10": "partly", "R6": "left out"}
