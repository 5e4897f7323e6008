"""What the extensions for search and for a page's head make of a small book, and of words."""

import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from PIL import ImageChops

from tests.programs import run
from tests.site.test_extensions import EXTENSIONS

CONFIG = f"""
import sys
sys.path.insert(0, {str(EXTENSIONS)!r})
extensions = ["myst_parser", "site_search", "site_head"]
html_theme = "basic"
html_title = "A small book"
html_baseurl = "{{address}}"
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
site_search_reference = ["ref*"]
"""
INDEX = """---
myst:
  html_meta:
    description: The front page.
    keywords: start, 开始; padding, W_ih
---
# A small book

```{toctree}
cell
reference
```

Padding $\\\\sigma(x)$, padding.

:::{container} rl-glossary
| 中文 | English | Symbol | Shape | Explained in |
|---|---|---|---|---|
| 遗忘门 ★ | forget gate | $f$ | – | [Cell](cell.md#gates-门) |
| 双向网络 / 双向（的） | two ways / both ways | BRNN, BiRNN | – | [this page](#words) |
:::

## Words

Behaviour.
"""
CELL = """# The cell

## Gates 门

Self-attention, self-attention.

```python
gate = gate(gate)
```

### Deeper

Deep.
"""


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    return import_module("site_search")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("initialise initialising initialisation", "initialize initializing initialization"),
        ("analyse behaviour centre", "analyze behavior center"),
        ("noise noises", "noise noise"),
        ("gates", "gate"),
        ("Schrödinger", "schrodinger"),
        ("σ Σ ς φ", "sigma sigma sigma phi"),
        ("what is an LSTM", "lstm"),
        ("pack_padded_sequence", "pack padded sequence"),
    ],
)
def test_what_is_typed_in_two_ways_is_the_same_words(search: ModuleType, one: str, other: str) -> None:
    cut = [list(search.engine().call("siteSearch.words", text)) for text in (one, other)]
    assert cut[0] == cut[1] != []


def test_chinese_is_cut_into_pairs_of_characters(search: ModuleType) -> None:
    assert search.words("双向网络") == ["双", "向", "网", "络", "双向", "向网", "网络"]
    assert list(search.engine().call("siteSearch.words", "双向LSTM网络、门")) == [
        "双向",
        "lstm",
        "网络",
        "门",
    ]


def test_a_word_with_a_hyphen_is_found_in_both_forms(search: ModuleType) -> None:
    assert search.words("Self-attention, 12, x.") == ["self", "attent", "selfattent"]


def build(folder: Path, address: str = "", **pages: str) -> tuple[Path, dict]:
    """Build a small book, with `pages` written first; return its folder and the book's part of the index."""
    (folder / "conf.py").write_text(CONFIG.format(address=address), encoding="utf-8")
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    out = folder / "out"
    run([sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", str(folder), str(out)], check=True)
    text = (out / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text[len("Search.setIndex(") : -1])
    assert index["terms"] == index["titleterms"] == index["indexentries"] == {}
    return out, {"docnames": index["docnames"], **index["book"]}


def times(index: dict, word: str) -> dict[str, int]:
    """Return how often a word stands under each heading."""
    flat, place, found = index["words"].get(word, []), 0, {}
    for step, count in zip(flat[::2], flat[1::2], strict=True):
        place += step
        found[index["entries"][place][2]] = count
    return found


def test_the_index_of_a_small_book(tmp_path: Path) -> None:
    out, index = build(tmp_path, index=INDEX, cell=CELL, reference="# Reference\n\nGate.\n")
    assert index["docnames"] == ["cell", "index", "reference"]
    assert [entry[:3] for entry in index["entries"]] == [
        [0, "", "The cell"],
        [0, "gates", "Gates 门"],
        [0, "deeper", "Deeper"],
        [1, "", "A small book"],
        [1, "words", "Words"],
        [2, "", "Reference"],
    ]
    assert times(index, "pad") == {"A small book": 2}
    assert times(index, "sigma") == {"A small book": 1}
    assert times(index, "behavior") == {"Words": 1}
    assert times(index, "selfattent") == {"Gates 门": 2}
    assert times(index, "gate") == {"Gates 门": 1, "A small book": 1, "Reference": 1}  # code: once
    assert index["keywords"] == [[1, "start", 1], [1, "开始", 1], [1, "padding", 0], [1, "W_ih", 0]]
    assert index["glossary"] == [
        [0, "gates", "遗忘门"],
        [0, "gates", "forget gate"],
        [1, "words", "双向网络"],
        [1, "words", "双向"],
        [1, "words", "two ways"],
        [1, "words", "both ways"],
        [1, "words", "BRNN"],
        [1, "words", "BiRNN"],
    ]
    assert index["reference"] == [2]
    # Without an address nothing is said that needs one.
    assert not (out / "sitemap.xml").exists() and not (out / "404.html").exists()
    assert "og:" not in (out / "cell.html").read_text(encoding="utf-8")
    # A second build reads one page again and keeps the words of the others; now there is an address.
    out, index = build(tmp_path, "https://example.org/b", cell=CELL.replace("Deep.", "Shallow."))
    assert times(index, "deep") == {} and times(index, "shallow") == {"Deeper": 1}
    assert times(index, "pad") == {"A small book": 2}
    page = (out / "cell.html").read_text(encoding="utf-8")
    assert '<link rel="canonical" href="https://example.org/b/cell.html"' in page
    assert '<meta property="og:title" content="The cell">' in page
    assert '<base href="https://example.org/b/">' in (out / "404.html").read_text(encoding="utf-8")
    assert "https://example.org/b/cell.html" in (out / "sitemap.xml").read_text(encoding="utf-8")
    assert len(list((out / "_static" / "cards").iterdir())) == 3


def test_the_site_of_a_repository_is_where_github_pages_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    head = import_module("site_head")
    assert head.pages_address("https://github.com/Some-Body/a-book/") == "https://some-body.github.io/a-book/"


@pytest.mark.parametrize(
    "title", ["GRU", "A title of so many words that it takes several lines on any card at all"]
)
def test_a_card_shows_the_whole_title(monkeypatch: pytest.MonkeyPatch, title: str) -> None:
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    card = import_module("site_card")
    size = next(s for s in (92, 78, 64, 52) if len(card.lines(title, card.font(s, 600))) <= 2)
    set_in = card.lines(title, card.font(size, 600))
    assert " ".join(set_in) == title
    assert all(card.LEFT + card.font(size, 600).getlength(line) <= card.SIZE[0] - 60 for line in set_in)
    plain, drawn = card.ground().convert("L"), card.draw(title, "A book").convert("L")
    assert drawn.size == plain.size == card.SIZE
    changed = ImageChops.difference(plain, drawn).point(lambda v: 255 * (v > 60)).getbbox()
    assert changed[0] >= card.LEFT and changed[3] < 450  # the letters stay above the chain of cells
