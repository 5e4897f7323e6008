"""The glossary of book/terminology.ipynb: both languages in each row, and a link to where it is explained."""

import json
import re
from pathlib import Path

import pytest
from mdit_py_plugins.anchors.index import slugify

from tests.book_checks import notebook

BOOK = Path(__file__).resolve().parents[1] / "book"
HERE = "terminology.ipynb"

CHINESE = re.compile(r"[\u4e00-\u9fff]")
LATIN = re.compile(r"[A-Za-z]")
LINK = re.compile(r"\[[^]]+\]\(([^)#]*)(?:#([^)]+))?\)")

# What the article's list of terms names.
STARRED = {"数据序列", "状态向量", "输入矩阵", "激活函数", "输出", "时序误差"}

# The field's whole name, and what a page that speaks of nothing else may call it.
SHORT = {
    "additive attention": "additive",
    "attention score": "score",
    "attention weight": "weights",
    "bidirectional recurrent neural network": "bidirectional",
    "calibration": "calibrated",
    "candidate cell state": "candidate",
    "candidate hidden state": "candidate",
    "connectionist temporal classification": "ctc",
    "context vector": "context",
    "convex combination": "mean",
    "dot-product attention": "dot",
    "dropout mask": "mask",
    "fused kernel": "fused",
    "global attention": "global",
    "gradient clipping": "clipping",
    "greedy search": "greedy",
    "hard attention": "hard",
    "inverted dropout": "inverted",
    "local attention": "local",
    "multi-head attention": "heads",
    "orthogonal initialisation": "orthogonal",
    "packed sequence": "packed",
    "peephole connection": "peephole",
    "scaled dot-product attention": "sqrt d",
    "soft attention": "soft",
    "variational dropout": "variational",
}


def page_text(page: str) -> str:
    """Return the Markdown of a page, of the glossary's own page what stands before the glossary."""
    content = (BOOK / page).read_text(encoding="utf-8")
    prose = notebook.prose(json.loads(content)) if page.endswith(".ipynb") else content
    return prose.split("(glossary)=")[0] if page == HERE else prose


def rows() -> list[tuple[str, list[str]]]:
    """Return the glossary's rows: the topic, and the cells zh, en, symbol, shape, link."""
    content = notebook.prose(json.loads((BOOK / HERE).read_text(encoding="utf-8")))
    found, topic = [], ""
    for line in content.split("(glossary)=")[1].splitlines():
        if heading := re.fullmatch(r"\*\*(.+)\*\*", line):
            topic = heading[1]
        elif line.startswith("|") and not line.startswith(("| 中文 |", "|---")):
            found.append((topic, [cell.strip() for cell in line.strip("|").split("|")]))
    return found


def anchors(page: str) -> set[str]:
    """Return what a link into a page can name: its headings, down to the third level, as MyST writes them."""
    return {slugify(heading) for heading in re.findall(r"^#{1,3} (.+)$", page_text(page), flags=re.M)}


ROWS = rows()
row = pytest.mark.parametrize("cells", [cells for _, cells in ROWS], ids=[cells[1] for _, cells in ROWS])


def test_the_glossary_is_read_whole():
    topics = list(dict.fromkeys(topic for topic, _ in ROWS))
    assert len(ROWS) > 90 and len(topics) == 11 and "" not in topics


@row
def test_row_has_five_cells_and_both_languages(cells):
    assert len(cells) == 5 and all(cells)
    zh, en = cells[:2]
    assert CHINESE.search(zh) and LATIN.search(en) and not CHINESE.search(en)


def test_no_english_term_stands_twice_in_a_topic():
    terms = [(topic, term.lower()) for topic, cells in ROWS for term in cells[1].split(" / ")]
    assert sorted(terms) == sorted(set(terms))


def test_the_six_terms_of_the_article_have_a_star():
    starred = [cells[0].split()[0] for _, cells in ROWS if "★" in cells[0]]
    assert sorted(starred) == sorted(STARRED)


@row
def test_link_leads_to_a_place_that_uses_the_term(cells):
    page, anchor = LINK.fullmatch(cells[4]).groups()
    page = page or HERE
    assert (BOOK / page).is_file()
    assert anchor is None or anchor in anchors(page)
    text = re.sub(r"\s+", " ", page_text(page)).lower()
    terms = [term for term in cells[1].split(" / ") if term.lower() not in text]
    assert [term for term in terms if SHORT.get(term, term) not in text] == []


def test_short_names_belong_to_terms_of_the_glossary():
    terms = {term for _, cells in ROWS for term in cells[1].split(" / ")}
    assert set(SHORT) <= terms
