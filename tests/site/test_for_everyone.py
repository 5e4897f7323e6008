"""Pages for everyone: what the build mends, and what stands on the pages. `test_axe.py` asks a browser."""

import re
from collections import Counter
from html import unescape
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from tests.site.conftest import ROOT

MATH = '<span><span class="katex-mathml"><math>{}</math></span><span class="katex-html">x</span></span>'
FEWEST = 5  # words of an alternative that is a sentence


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    return import_module("for_everyone")


# ---------------------------------------------------------------- a page's text


@pytest.mark.parametrize(
    ("header", "mended"),
    [
        ('<th class="head"><p></p></th>', '<td class="head"><p></p></td>'),
        ("<th> \n</th><th>Gate</th>", "<td> \n</td><th>Gate</th>"),
        (f"<th>{MATH.format('<mi>i</mi>')}</th>", MATH.format("i").join(("<th>", "</th>"))),
        (f"<th><p>Gate {MATH.format('<mi>i</mi>')}</p></th>", ...),
        ("<thead><tr></tr></thead>", ...),
    ],
)
def test_headers_can_be_read_out(extension: ModuleType, header: str, mended: str) -> None:
    expected = header if mended is ... else mended
    assert extension.with_headers(header).replace("<math>", "").replace("</math>", "") == expected.replace(
        "<math>", ""
    ).replace("</math>", "")


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("<mi>i</mi>", "i"),
        ("<msub><mi>x</mi><mi>t</mi></msub>", "xₜ"),
        ("<msub><mi>h</mi><mrow><mi>t</mi><mo>+</mo><mn>10</mn></mrow></msub>", "hₜ₊₁₀"),
        ("<mi>r</mi><mo>=</mo><mn>1</mn>", "r = 1"),
        (
            "<msub><mi>k</mi><mn>1</mn></msub><mo>=</mo><mo>(</mo><mn>2</mn><mo>,</mo><mn>0</mn><mo>)</mo>",
            "k₁ = (2, 0)",
        ),
    ],
)
def test_a_short_formula_has_a_text(extension: ModuleType, formula: str, text: str) -> None:
    assert extension.spoken(extension.parsed(f"<math>{formula}</math>")) == text


@pytest.mark.parametrize(
    "formula", ["<msub><mi>x</mi><mi>W</mi></msub>", "<mfrac><mn>1</mn><mn>2</mn></mfrac>"]
)
def test_a_formula_without_a_text_is_refused(extension: ModuleType, formula: str) -> None:
    with pytest.raises(ValueError, match="no "):
        extension.spoken(extension.parsed(f"<math>{formula}</math>"))


def test_a_long_signature_is_lines(extension: ModuleType) -> None:
    lines = "<dl>\n<dd>a,</dd>\n<dd>b</dd>\n</dl>"
    text = f'<dl class="py"><dt class="sig py" id="f">f({lines})</dt><dd>What it does.</dd></dl>'
    mended = extension.readable(text)
    assert re.sub(r"<[^>]*>", "", mended) == re.sub(r"<[^>]*>", "", text)
    assert re.findall(r"<(d\w)", mended) == ["dl", "dt", "dd"]
    assert mended.count('<span class="rl-parameter">') == 2


def test_works_folds_and_ids(extension: ModuleType) -> None:
    text = (
        '<div role="list"><div role="doc-biblioentry"></div></div><section id="solution-content"></section>'
        '<details><summary aria-label="Toggle hidden content"><p>The answer</p></summary></details>'
    )
    assert extension.readable(text) == (
        '<div role="list"><div role="listitem"></div></div><section></section>'
        "<details><summary><p>The answer</p></summary></details>"
    )


@pytest.mark.parametrize(
    ("text", "chinese"),
    [
        ("<p>遗忘门</p>", True),
        ("<p>2017年，Hinton团队公布一项研究“Learning to Execute”，利用RNN进行图像分类</p>", True),
        ("<strong>时序差分误差</strong>", True),
        ("<p>additive (加性)</p>", False),
        ("<p>Mind the name. 时序误差, “error over time”, is not an established term.</p>", False),
        ("<p>forget gate</p>", False),
    ],
)
def test_chinese_says_that_it_is(extension: ModuleType, text: str, chinese: bool) -> None:
    mended = extension.with_languages(text)
    assert mended.replace(' lang="zh"', "") == text
    assert ('lang="zh"' in mended) == chinese


# ---------------------------------------------------------------- the layout and the scripts


def test_another_layout_is_refused(extension: ModuleType) -> None:
    with pytest.raises(ValueError, match="the layout has no"):
        extension.with_landmarks("<body><main></main></body>")


def test_scripts_are_mended_once_and_others_are_refused(
    extension: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(extension.logger, "warning", lambda text, *args, **_: said.append(text % args))
    (tmp_path / "scripts").mkdir()
    for name, changes in extension.SCRIPTS.items():
        (tmp_path / name).write_text("; ".join(former for former, _ in changes), encoding="utf-8")
    extension.mend_scripts(tmp_path)
    first = {name: (tmp_path / name).read_text(encoding="utf-8") for name in extension.SCRIPTS}
    extension.mend_scripts(tmp_path)
    assert first == {name: (tmp_path / name).read_text(encoding="utf-8") for name in extension.SCRIPTS}
    assert said == []
    for name, changes in extension.SCRIPTS.items():
        assert all(new in first[name] for _, new in changes)
        (tmp_path / name).write_text("another script", encoding="utf-8")
    extension.mend_scripts(tmp_path)
    assert {text.split()[0] for text in said} == set(extension.SCRIPTS)


# ---------------------------------------------------------------- the built pages


class Pictures(HTMLParser):
    """Reads off a page its ids, and the alternatives of its pictures and drawings; `alone` have none."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.said: list[str] = []
        self.alone: list[str] = []
        self.hidden: list[str] = []  # the open elements below one that no one hears
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.update([values["id"]] if "id" in values else [])
        if self.hidden or values.get("aria-hidden") == "true":
            self.hidden += [] if tag in ("img", "br", "hr", "input") else [tag]
        elif tag == "svg" and values.get("role") == "img":
            self.said.append(values.get("aria-label", ""))
        elif tag == "img" and "logo" not in values.get("src", ""):
            self.said.append(values.get("alt", ""))
        elif tag == "svg":
            self.alone.append(self.get_starttag_text() or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("img", "svg"):
            self.handle_starttag(tag, attrs)
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.hidden and tag in self.hidden:
            while self.hidden.pop() != tag:
                pass


@pytest.fixture(scope="module")
def built(site: Path) -> dict[str, Pictures]:
    paths = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]
    return {p.relative_to(site).as_posix(): Pictures(p.read_text(encoding="utf-8")) for p in paths}


def test_no_page_has_an_id_twice(built: dict[str, Pictures]) -> None:
    assert sum(len(page.ids) for page in built.values()) > 1000
    twice = {path: [name for name, count in page.ids.items() if count > 1] for path, page in built.items()}
    assert {path: names for path, names in twice.items() if names} == {}


def test_every_picture_and_drawing_says_what_it_shows(built: dict[str, Pictures]) -> None:
    assert sum(len(page.said) for page in built.values()) > 50
    wrong = {
        path: page.alone + [said for said in page.said if len(said.split()) < FEWEST]
        for path, page in built.items()
    }
    assert {path: found for path, found in wrong.items() if found} == {}


def test_the_sentence_under_a_plot_is_its_alternative(site: Path) -> None:
    pairs = []
    for path in sorted((site / "book").rglob("*.html")):
        page = path.read_text(encoding="utf-8")
        for sentence in re.finditer(r'<p class="rl-sentence">(.*?)</p>', page, flags=re.DOTALL):
            alternatives = re.findall(
                r'<img\b[^>]*?\balt="([^"]*)"', page[: sentence.start()], flags=re.DOTALL
            )
            pairs.append((path.name, unescape(alternatives[-1]), unescape(sentence[1])))
    assert len(pairs) > 20
    assert [pair for pair in pairs if pair[1].split() != pair[2].split()] == []
