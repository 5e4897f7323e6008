"""What a page loads and may do: one style sheet, the scripts that it needs, a policy; how that is made."""

# ruff: noqa: F811
import base64
import gzip
import hashlib
import re
from functools import cache
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pytest
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from pygments.styles import get_style_by_name

from scripts.serve import policy_of
from tests.site.conftest import ROOT
from tests.site.page import Page, pages
from tests.site.test_browser import DESKTOP, PHONE, address, browser, visit, window  # noqa: F401

EXTENSIONS = ROOT / "book" / "_ext"
HEAVIEST = 400_000  # bytes of a page and all that it loads at once, compressed where a server compresses
ELEMENTS = 12_000
STEADY = 0.01  # cumulative layout shift; 0.1 is what the Web Vitals call good


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ModuleType:
    """Return the extension that the test's parameter names."""
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    return import_module(request.param)


def of(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("extension", [name], indirect=True)


# ---------------------------------------------------------------- style_sheet


@of("style_sheet")
@pytest.mark.parametrize(
    ("css", "kept"),
    [
        (".a { color : red; } .b { top: 0 }", ".a{color : red}"),
        (".a .b, .a > p, #c { top: 0 }", ".a > p{top: 0}"),
        ("p:not(.b) { top: 0 } .a:is(.b, .a) { top: 0 }", "p:not(.b){top: 0}.a:is(.b, .a){top: 0}"),
        ("[class*='b'] { top: 0 } a[href='x{y'] { top: 0 }", "[class*='b']{top: 0}a[href='x{y']{top: 0}"),
        ("@media print { .b { top: 0 } } @media print { .a { top: 0 } }", "@media print{.a{top: 0}}"),
        ("/* a */ /*! licence */ .a { content: '}' }", "/*! licence */.a{content: '}'}"),
        (".a\\:x { top: 0 } .x\\:a { top: 0 }", ".a\\:x{top: 0}"),
        (".bs-tooltip-end .a { top: 0 }", ".bs-tooltip-end .a{top: 0}"),
        (".a { background: url(x;y.png) }", ".a{background: url(x;y.png)}"),
    ],
)
def test_rules_stay_whose_names_are_used(extension: ModuleType, css: str, kept: str) -> None:
    assert extension.needed(extension.compact(css), {"a", "a:x"}) == kept


@of("style_sheet")
@pytest.mark.parametrize("css", [".a { top: 0", ".a { top: 0 } }", ".a"])
def test_a_broken_sheet_is_refused(extension: ModuleType, css: str) -> None:
    with pytest.raises(ValueError, match="style sheet"):
        extension.needed(css, {"a"})


@of("light_pages")
def test_comments_go_from_a_script_but_for_notices_of_rights(extension: ModuleType) -> None:
    script = (
        "/* of ours */\n  let a = 1; // stays\n// goes\n\n/*\n * Copyright: them\n */\nlet b = '/* c */';\n"
    )
    wanted = "let a = 1; // stays\n/*\n* Copyright: them\n*/\nlet b = '/* c */';\n"
    assert extension.without_comments(script) == wanted
    assert extension.without_comments(wanted) == wanted


@of("style_sheet")
def test_what_nothing_reads_goes(extension: ModuleType) -> None:
    css = (
        ":root{--a:1;--b:var(--a);--c:0;--d:2;--rl-e:3}p{top:var(--b);animation:f 1s}"
        "@keyframes f{from{top:0}to{top:1px}}@keyframes g{from{top:0}}"
    )
    assert extension.without_idle(css, 'getPropertyValue("--d")') == (
        ":root{--a:1;--b:var(--a);--d:2;--rl-e:3}p{top:var(--b);animation:f 1s}"
        "@keyframes f{from{top:0}to{top:1px}}"
    )


@of("style_sheet")
def test_joined_sheets_find_their_files(extension: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "a.css").write_text('@charset "utf-8"; .a { background: url(a.png) }', encoding="utf-8")
    (tmp_path / "x" / "b.css").write_text(
        "@import \"../a.css\"; .b { background: url('y/b.png'), url(data:x), url(#c) }", encoding="utf-8"
    )
    assert extension.joined([tmp_path / "x" / "b.css"], tmp_path) == (
        '.a{background: url("a.png")}.b{background: url("x/y/b.png"), url(data:x), url(#c)}'
    )


# ---------------------------------------------------------------- code_spans


class Colours(HTMLParser):
    """Reads each letter of highlighted code with its colour."""

    def __init__(self, style: str) -> None:
        super().__init__()
        self.style = HtmlFormatter(style=style)
        self.plain = self.style.class2style[""][0] if "" in self.style.class2style else ""
        self.open: list[str] = []
        self.letters: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(dict(attrs).get("class") or "" if tag == "span" else "")

    def handle_endtag(self, tag: str) -> None:
        self.open.pop()

    def handle_data(self, data: str) -> None:
        name = next((name for name in reversed(self.open) if name), "")
        colour = re.search(r"color: (#\w+)", self.style.class2style.get(name, ("",))[0])
        self.letters += [(letter, colour[1].upper() if colour else "#080808") for letter in data]


@of("code_spans")
def test_code_keeps_its_letters_and_its_colours_with_fewer_elements(extension: ModuleType) -> None:
    light, dark = "a11y-high-contrast-light", "github-dark-high-contrast"
    few = extension.formatter(get_style_by_name(light), get_style_by_name(dark))
    code = (ROOT / "rnnlit" / "lstm.py").read_text(encoding="utf-8")
    seen, spans = [], []
    for formatter in (HtmlFormatter, few):
        markup = highlight(code, PythonLexer(), formatter(nowrap=True))
        reader = Colours(light)
        reader.feed(markup)
        seen.append([(letter, colour) for letter, colour in reader.letters if letter.isalnum()])
        spans.append(markup.count("<span"))
    assert len({colour for _, colour in seen[0]}) > 4
    assert seen[0] == seen[1]
    assert spans[1] < spans[0] / 3


# ---------------------------------------------------------------- lean_formulas


MORD, VLIST = '<span class="mord">{}</span>', '<span class="vlist"><span class="mord">{}</span></span>'


@of("lean_formulas")
@pytest.mark.parametrize(
    ("formula", "lean"),
    [
        ('<span class="mord">1</span><span class="mrel">&lt;</span>', "1&lt;"),
        ('<span class="mord mathnormal">x</span>', '<span class="mord mathnormal">x</span>'),
        ('<span class="mord" style="top:1em">x</span>', '<span class="mord" style="top:1em">x</span>'),
        ('<span class="vlist"><span></span></span>', '<span class="vlist"></span>'),
        (VLIST.format(MORD.format(MORD.format("1"))), VLIST.format(MORD.format("1"))),
        ("<mrow><mi>x</mi></mrow>", "<mi>x</mi>"),
        ("<mrow><mi>x</mi><mi>y</mi></mrow>", "<mrow><mi>x</mi><mi>y</mi></mrow>"),
        ('<svg><path d="M0"/></svg>', '<svg><path d="M0"/></svg>'),
    ],
)
def test_a_formula_loses_the_elements_that_no_rule_asks_for(
    extension: ModuleType, formula: str, lean: str
) -> None:
    assert extension.lean(formula) == lean


@of("lean_formulas")
@pytest.mark.parametrize("formula", ["<span><b></span></b>", "<span>"])
def test_a_broken_formula_is_refused(extension: ModuleType, formula: str) -> None:
    with pytest.raises(ValueError, match="in a formula"):
        extension.lean(formula)


# ---------------------------------------------------------------- module_pages


@of("module_pages")
def test_a_wrong_list_of_modules_is_refused(extension: ModuleType) -> None:
    block = "```{{modules}}\n{}\n```\n".format
    first, second = "lstm\nnn.gru", "lstm\nnone"
    text = f"## Cells\n\n{block(first)}\n```python\nrnn\n```\n## More\n{block(second)}"
    found = extension.entries(text)
    assert [tuple(entry) for entry in found] == [
        ("lstm", "Cells"), ("nn.gru", "Cells"), ("lstm", "More"), ("none", "More"),
    ]  # fmt: skip
    assert extension.wrong([entry.name for entry in found], {"lstm", "nn.gru", "rnn"}, {"nn"}) == [
        "rnn is not in the list of modules",
        "none is listed, but there is no such module",
        "lstm is listed twice",
    ]
    assert extension.wrong(["lstm", "nn"], {"lstm"}, {"nn"}) == []


# ---------------------------------------------------------------- light_pages

PAGE = """<!DOCTYPE html>
<html lang="en" data-content_root="../" ><head><meta charset="utf-8" />
<script data-cfasync="false">theme()</script>
<link rel="stylesheet" href="../_static/a.css?v=1" /><link rel="stylesheet" href="../_static/x/b.css" />
<link rel="preload" as="script" href="../_static/p.js" />
<script defer src="../_static/documentation_options.js?v=1"></script><script>let hint = 'x';</script>
<script type="application/ld+json">{}</script><script defer src="../_static/glossary.js?v=1"></script>
<script type="module">DOCUMENTATION_OPTIONS.pagename = 'a';</script></head>
<body class="a"><button onclick="window.print()"></button></body></html>"""


@of("light_pages")
def test_inline_scripts_leave_the_page(extension: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    page = extension.light(PAGE, "../", tmp_path)
    (settings,) = (tmp_path / "scripts").iterdir()
    assert settings.read_text(encoding="utf-8") == "let hint = 'x';\n"
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", page, flags=re.DOTALL)
    assert scripts == [
        ("", extension.MODE),
        (' defer src="../_static/documentation_options.js?v=1"', ""),
        (f' defer src="../_static/scripts/{settings.name}"', ""),
        (' type="application/ld+json"', "{}"),
    ]
    assert '<button data-rl-click="print">' in page and 'as="script"' not in page
    assert extension.read_head(page) == (("a.css", "x/b.css"), {"a"})
    assert re.findall(r'rel="stylesheet" href="([^"]*)"', extension.with_one_sheet(page, "../", "s.css")) == [
        "../_static/s.css"
    ]


@of("light_pages")
def test_a_page_names_the_fonts_that_it_needs(extension: ModuleType) -> None:
    both = extension.with_fonts_named('<html lang="en"><p>words, <em>stressed</em></p></html>')
    assert both.startswith(
        '<html data-fonts="source-serif-4-latin-wght-normal.woff2 source-serif-4-latin-wght-'
    )
    assert extension.with_fonts_named(both) == both
    assert "italic" not in extension.with_fonts_named("<html><p>words</p></html>")
    assert all((ROOT / "book" / "_static" / "fonts" / name).is_file() for name in extension.FONTS)


@of("light_pages")
@pytest.mark.parametrize(
    "bad", ['<p onload="f()">', "<a href='javascript:f()'>", "<img alt='' onerror='f()'>"]
)
def test_what_would_run_from_within_a_page_is_refused(
    extension: ModuleType, tmp_path: Path, bad: str
) -> None:
    with pytest.raises(ValueError, match="policy forbids"):
        extension.light(PAGE.replace("<body", f"{bad}<body"), "../", tmp_path)


# ---------------------------------------------------------------- the built pages


@pytest.fixture(scope="module")
def built(site: Path) -> list[Page]:
    top = {site / "index.html", site / "404.html"}  # which load nothing
    return [page for page in pages(site) if page.path not in top]


@cache
def weight(path: Path) -> int:
    """Return a file's bytes as a server sends them: text compressed, fonts and pictures as they are."""
    content = path.read_bytes()
    text = path.suffix in (".html", ".css", ".js", ".svg", ".json")
    return len(gzip.compress(content, 6)) if text else len(content)


def test_every_page_has_one_style_sheet(built: list[Page]) -> None:
    sheets = {}
    for page in built:
        within = re.findall(r'<style data-sheet="([^"]+)">', page.path.read_text(encoding="utf-8"))
        files = [Path(urlsplit(url).path).name for url in page.loads if urlsplit(url).path.endswith(".css")]
        sheets[page.path] = within + files
    assert {path: names for path, names in sheets.items() if len(names) != 1} == {}
    assert len({name for names in sheets.values() for name in names}) <= 3


def test_every_page_has_the_policy_and_no_inline_script_that_it_forbids(built: list[Page]) -> None:
    for page in built:
        text = page.path.read_text(encoding="utf-8")
        policy = policy_of(page.path)
        allowed = re.findall(r"'sha256-([^']+)'", policy)
        scripts = re.search(r"script-src ([^;]*)", policy)
        assert scripts and "unsafe" not in scripts[1].replace("'wasm-unsafe-eval'", ""), page.path
        found = re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*json)[^>]*>(.*?)</script>", text, flags=re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in found]
        assert digests and set(digests) <= set(allowed), page.path
        head = text[: text.index("</head>")]
        assert head.index("Content-Security-Policy") < min(head.index("<script"), head.index("<link"))


def test_no_page_has_more_elements_than_a_phone_bears(built: list[Page]) -> None:
    found = {
        page.path.name: len(re.findall(r"<[a-z]", page.path.read_text(encoding="utf-8"))) for page in built
    }
    assert max(found.values()) > 1000
    assert {name: count for name, count in found.items() if count > ELEMENTS} == {}


# ---------------------------------------------------------------- in the browser

SHEET = "link[rel=stylesheet], style[data-sheet]"
# What has come to be laid out only now asks for its fonts now.
ALL_FONTS = "() => { document.body.getBoundingClientRect(); return document.fonts.ready.then(() => true); }"
STYLES = """() => [...document.querySelectorAll('body, body *')].map(e => {
    const s = getComputedStyle(e);
    const names = ['display', 'color', 'backgroundColor', 'font', 'margin', 'padding',
        'border', 'position', 'width', 'visibility', 'opacity', 'overflowX', 'textAlign'];
    return [e.tagName, e.getAttribute('class'), ...names.map(name => s[name])].join('; ');
})"""


def heavy(opened, site: Path) -> dict[str, int]:
    """Load a page anew and return the weight of each file of the site that it asks for."""
    asked: set[str] = set()
    opened.page.on("request", lambda request: asked.add(request.url.split("?")[0]))
    opened.page.reload(wait_until="load")
    opened.page.evaluate("document.fonts.ready.then(() => true)")
    paths = [url.removeprefix(opened.home) for url in asked if url.startswith(opened.home)]
    return {path: weight(site / path) for path in paths}


@pytest.mark.parametrize("name", ["intro", "lstm", "attention", "api"])
def test_a_page_is_light(visit, site: Path, name: str) -> None:
    found = heavy(visit(f"book/{name}.html", PHONE), site)
    assert len(found) > 5
    assert sum(found.values()) <= HEAVIEST, sorted(found.items(), key=lambda item: item[1])
    assert not [path for path in found if "searchindex" in path]


@pytest.mark.parametrize(
    ("path", "size"),
    [("book/lstm.html", DESKTOP), ("book/terminology.html", PHONE), ("search.html", DESKTOP)],
)
def test_the_rules_that_are_left_out_change_nothing(
    visit, site: Path, path: str, size: dict[str, int]
) -> None:
    opened = visit(path, size)
    page = opened.page
    page.route("**/fonts/source-serif*", lambda route: route.abort())  # a font may be late, or not
    page.reload(wait_until="networkidle")  # what scripts add to the page is there
    page.add_style_tag(content="* { transition: none !important; content-visibility: visible !important }")
    page.evaluate(ALL_FONTS)
    sheet = page.eval_on_selector(SHEET, "e => e.dataset.sheet || e.getAttribute('href').split('/').at(-1)")
    slim = page.evaluate(STYLES)
    whole = (site.parent / ".doctrees" / sheet).read_text(encoding="utf-8")
    icons = re.compile(r"@font-face\{[^}]*Awesome[^}]*\}")  # whose fonts hold fewer icons
    ours = "".join(icons.findall((site / "_static" / sheet).read_text(encoding="utf-8")))
    whole = icons.sub("", whole) + ours
    # A font of a sheet that comes now is late, and would wait for the next page.
    whole = re.sub(r"font-display:\s*optional", "font-display: swap", whole)
    page.evaluate(
        """([css, sheet]) => { const style = document.createElement('style');
            style.textContent = css; document.querySelector(sheet).replaceWith(style); }""",
        [re.sub(r'url\("(?!data:|#)', 'url("' + opened.home + "_static/", whole), SHEET],
    )
    page.evaluate(ALL_FONTS)
    both = list(zip(slim, page.evaluate(STYLES), strict=True))
    assert len(both) > 100
    assert [pair for pair in both if pair[0] != pair[1]][:3] == []


def test_a_script_that_was_put_into_a_page_does_not_run(visit) -> None:
    opened = visit("book/intro.html")
    with opened.page.expect_console_message(lambda message: "event handler" in message.text):
        opened.page.evaluate(
            """() => { const script = document.createElement('script');
                script.textContent = 'window.ran = true';
                document.body.append(script);
                const picture = '<img alt="" src="x" onerror="window.ran = true">';
                document.body.insertAdjacentHTML('beforeend', picture);
            }"""
        )
    assert opened.page.evaluate("window.ran") is None
    assert [text for text in opened.complaints if "Content Security Policy" in text]


def test_the_buttons_of_the_header_work(visit) -> None:
    opened = visit("book/lstm.html")
    page = opened.page
    page.evaluate("window.print = () => { window.printed = true }")
    page.eval_on_selector("[data-rl-click=print]", "button => button.click()")
    assert page.evaluate("window.printed")
    page.locator("[data-rl-click=fullscreen]:visible").first.click()
    page.wait_for_selector(":fullscreen", state="attached")
    assert opened.complaints == []


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("rnnlit.nn.lstm.LSTM", "nn.lstm"),
        ("module-rnnlit.lstm", "lstm"),
        ("rnnlit.lstm.step", "lstm"),
    ],
)
def test_an_address_of_the_reference_s_former_page_leads_on(visit, name: str, page: str) -> None:
    opened = visit(f"book/api.html#{name}")
    opened.page.wait_for_url(f"{opened.home}book/api/{page}.html#{name}")
    assert opened.page.locator(f"[id='{name}']").count() == 1


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_link_to_a_far_section_leads_there(visit, size: dict[str, int]) -> None:
    """Though the sections before it are not laid out yet."""
    opened = visit("book/lstm.html", size)
    far = opened.page.evaluate(
        "document.querySelector('.bd-article > section > section:nth-last-of-type(4)').id"
    )
    opened.page.goto("about:blank")
    opened.open(f"book/lstm.html#{far}")
    opened.page.wait_for_load_state("networkidle")
    top = opened.page.evaluate("id => document.getElementById(id).getBoundingClientRect().top", far)
    assert -1 <= top < 200


SHIFTS = """() => new Promise(done => {
    let sum = 0;
    const add = list => list.forEach(entry => { sum += entry.value; });
    const observer = new PerformanceObserver(list => add(list.getEntries()));
    observer.observe({type: 'layout-shift', buffered: true});
    const end = () => { add(observer.takeRecords()); done(sum); };
    const frames = n => n ? requestAnimationFrame(() => frames(n - 1)) : end();
    frames(5);
})"""
SERIFS = """() => [...document.fonts].filter(f => f.family.includes('Source Serif') && f.status === 'loaded')
    .map(font => font.style).sort()"""


@pytest.mark.parametrize("name", ["intro", "lstm"])
def test_no_line_moves_when_the_font_comes_at_once_or_late(window, address: str, name: str) -> None:
    page = window(PHONE).new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "source-serif" in request.url else None)
    page.goto(f"{address}book/{name}.html", wait_until="load")
    page.evaluate("document.fonts.ready.then(() => true)")
    assert page.evaluate(SERIFS) == ["italic", "normal"]
    assert len(asked) == len(set(asked)) == 2  # what is asked for early is what is used
    assert page.evaluate(SHIFTS) < STEADY

    late = window(PHONE).new_page()
    waiting: list = []
    late.route("**/fonts/source-serif*", lambda route: waiting.append(route))
    late.goto(f"{address}book/{name}.html", wait_until="domcontentloaded")
    late.wait_for_selector(".bd-article p")
    late.evaluate(SHIFTS)  # some frames are painted, with the reader's own font
    assert len(waiting) == 2
    for route in waiting:
        route.continue_()
    late.wait_for_load_state("load")
    late.evaluate("document.fonts.ready.then(() => true)")
    assert late.evaluate(SHIFTS) < STEADY
