"""Sphinx extension `for_everyone`: the pages can be read by ear and used by keyboard.

What Sphinx, the theme and other extensions write is mended here, once, when the site is built:

- in a page's text: headers of tables that are empty or a formula alone, parameters that claim to be a list
  of definitions, works of the bibliography with a role that is no longer one, ids that a page has twice,
  folds that are all called "Toggle hidden content"; and Chinese says that it is Chinese, so that no English
  voice reads it;
- around it: the logo and the list of pages stand in the banner, the dialogs have names and a button that
  closes them, what is empty is no landmark, and the link that skips all that leads to the text itself;
- in the scripts: a button that folds or copies has the name of what it folds or copies, says that it has
  copied, and keeps the focus when it is pressed by keyboard.

`tests/site/test_axe.py` asks axe-core about all pages, `test_keyboard.py` goes through them by keyboard. A
layout or a script that is no longer what it was is a warning.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lean_formulas import Element, Tree
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

FINISHED = '<meta http-equiv="Content-Security-Policy"'  # light_pages, which comes next, writes it

# ---------------------------------------------------------------- a page's text

HEADER = re.compile(r"<th(?P<attributes>\b[^>]*)>(?P<inner>.*?)</th>", re.DOTALL)
MATHML = re.compile(r"<math\b.*?</math>", re.DOTALL)
SIGNATURE = re.compile(r'<dt class="sig\b[^>]*>.*?</dt>', re.DOTALL)
TWICE = re.compile(r'<section id="(?:exercise|solution)-content">')
PIECE = re.compile(r"<(?P<tag>p|strong)>(?P<text>[^<]*[\u3400-\u9fff][^<]*)")
LOW = dict(zip("0123456789aehijklmnoprstuvx+−", "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ₊₋", strict=True))
SPACED = {"=": " = ", ",": ", ", "+": " + ", "−": " − "}


def parsed(markup: str) -> Element:
    """Return a piece of a page as a tree."""
    tree = Tree()
    tree.feed(markup)
    tree.close()
    return tree.root


def words(element: Element, *without: str) -> str:
    """Return the text in an element, that of the tags `without` aside."""
    parts = (
        part if isinstance(part, str) else words(part, *without)
        for part in element.children
        if isinstance(part, str) or part.tag not in without
    )
    return "".join(parts)


def spoken(element: Element | str) -> str:
    """Return a short formula, given as MathML, as text: x with a small t for an index.

    ValueError: an index that has no small signs, or more than letters, signs and indices.
    """
    if isinstance(element, str):
        return "".join(SPACED.get(sign, sign) for sign in element)
    parts = [spoken(part) for part in element.children]
    if element.tag == "msub":
        index = parts[1].replace(" ", "")
        if not set(index) <= set(LOW):
            raise ValueError(f"no small signs for the index {index!r}")
        return parts[0] + "".join(LOW[sign] for sign in index)
    if element.tag not in ("", "math", "mrow", "mi", "mn", "mo", "mtext"):
        raise ValueError(f"no plain text for <{element.tag}>")
    return "".join(parts)


def with_headers(body: str) -> str:
    """Return a page whose tables have headers that can be read out.

    An empty header heads nothing: it is a cell. One that is a formula alone is announced as nothing by what
    reads tables, which takes the text of a header and not its MathML; so it has its formula as text.
    """

    def mended(header: re.Match[str]) -> str:
        inner = header["inner"]
        if not re.sub(r"<[^>]*>|\s", "", inner):
            return f"<td{header['attributes']}>{inner}</td>"
        if not MATHML.search(inner) or words(parsed(inner), "span").strip():
            return header[0]
        said = MATHML.sub(lambda formula: spoken(parsed(formula[0])).strip(), inner)
        return f"<th{header['attributes']}>{said}</th>"

    return HEADER.sub(mended, body)


def with_plain_signatures(body: str) -> str:
    """Return a page whose long signatures are lines, and not lists of definitions without terms."""

    def mended(signature: re.Match[str]) -> str:
        text = re.sub(r"<dl>", '<span class="rl-parameters">', signature[0])
        text = re.sub(r"<dd>", '<span class="rl-parameter">', text)
        return re.sub(r"</d[ld]>", "</span>", text)

    return SIGNATURE.sub(mended, body)


def with_languages(body: str) -> str:
    """Return a page whose Chinese paragraphs say so: more than three Chinese signs for each Latin word."""

    def mended(piece: re.Match[str]) -> str:
        signs = len(re.findall(r"[\u3400-\u9fff]", piece["text"]))
        latin = len(re.findall(r"[A-Za-z]+", piece["text"]))
        return f'<{piece["tag"]} lang="zh">{piece["text"]}' if signs > 3 * latin else piece[0]

    return PIECE.sub(mended, body)


def readable(body: str) -> str:
    """Return a page's text with all mended that this extension mends."""
    body = with_languages(with_plain_signatures(with_headers(body)))
    body = body.replace('role="doc-biblioentry"', 'role="listitem"')
    body = body.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    return TWICE.sub("<section>", body)


def mend_body(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Mend a page's text before it is put into the layout."""
    try:
        context["body"] = readable(context.get("body") or "")
    except ValueError as error:
        logger.warning("a header that is a formula alone: %s", error, location=page, type="for_everyone")


# ---------------------------------------------------------------- around the text

CLOSE = '<form method="dialog" class="rl-close"><button>Close</button></form>'
# What stands there, what shall stand there, and whether a page may lack it: some have no list of sections.
LAYOUT = (
    # Past the buttons of the page's header, too.
    (r'<a href="#main-content">', '<a href="#article">', False),
    (r'(<article class="bd-article"|<div class="bd-search-container")', r'\1 id="article"', False),
    (r"<header (id=\"pst-header\"[^>]*)>\s*</header>", r"<div \1></div>", False),
    (r"<footer (class=\"bd-footer\")>\s*</footer>", r"<div \1></div>", False),
    (r'<div (class="sidebar-primary-items__start[^>]*)>', r'<div role="banner" \1>', False),
    (r'(<div id="pst-primary-sidebar"[^>]*>)', rf"\1{CLOSE}", False),
    (r'(<div id="pst-secondary-sidebar"[^>]*>)', rf"\1{CLOSE}", True),
    (r'(<dialog id="pst-search-dialog")', r'\1 aria-label="Search"', False),
    (r'(<dialog id="pst-primary-sidebar-modal")', r'\1 aria-label="All pages"', False),
    (r'(<dialog id="pst-secondary-sidebar-modal")', r'\1 aria-label="On this page"', True),
    (r'title="Toggle primary sidebar"', 'title="All pages"', False),
    (r'title="Toggle secondary sidebar"', 'title="On this page"', True),
    (r'\s*(<button [^>]*id="pst-back-to-top">.*?</button>)(.*)(?=\s*</main>)', r"\2\1", False),
    # Its name is what stands on it: "Search", and the keys.
    (r'(<button class="btn search-button-field[^>]*) aria-label="Search"', r"\1", False),
    # It opens at a click alone, and the index is open anyway.
    (r'<img [^>]*class="toggler"[^>]*>', "", True),
)


def with_landmarks(page: str) -> str:
    """Return a page whose layout can be gone through by landmarks, and left by keyboard.

    ValueError: the layout is another one.
    """
    for pattern, replacement, may_lack in LAYOUT:
        page, count = re.subn(pattern, replacement, page, flags=re.DOTALL)
        if not count and not may_lack:
            raise ValueError(f"the layout has no {pattern}")
    return page


# ---------------------------------------------------------------- scripts

SCRIPTS = {
    "togglebutton.js": (
        ('aria-label="Toggle hidden content"', ""),
        (
            'title.insertAdjacentHTML("beforeend", collapseButton);',
            'title.insertAdjacentHTML("beforeend", collapseButton); '
            'title.lastElementChild.setAttribute("aria-label", title.textContent.trim());',
        ),
    ),
    "copybutton.js": (
        (
            'data-clipboard-target="#${id}"',
            'data-clipboard-target="#${id}" aria-label="Copy block ${index + 1}"',
        ),
        ("clipboardButton = id =>", "clipboardButton = (id, index) =>"),
        ("clipboardButton(id))", "clipboardButton(id, index))"),
        (
            "el.setAttribute('data-tooltip', newText)",
            "el.setAttribute('data-tooltip', newText); "
            "el.dataset.name ||= el.getAttribute('aria-label'); el.setAttribute('aria-label', newText); "
            "setTimeout(() => el.setAttribute('aria-label', el.dataset.name), timeoutIcon)",
        ),
    ),
    # The theme takes the focus off a button that was pressed. A press of a key has no count of clicks.
    "scripts/sphinx-book-theme.js": (('"click",(()=>{t.blur()})', '"click",(e=>{e.detail&&t.blur()})'),),
}


def mend_scripts(static: Path) -> None:
    """Mend the scripts of the site in place, unless that was done before."""
    for name, changes in SCRIPTS.items():
        path = static / name
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        mended = text
        for former, new in changes:
            if new and new in mended:
                continue
            if former not in mended and new:
                logger.warning("%s has no %s any more: SCRIPTS", name, former, type="for_everyone")
            mended = mended.replace(former, new)
        if mended != text:
            path.write_text(mended, encoding="utf-8")


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Mend the layout of the new pages, and the scripts."""
    if exception is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    for path in site.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        if FINISHED in page or "data-content_root=" not in page:
            continue
        try:
            path.write_text(with_landmarks(page), encoding="utf-8")
        except ValueError as error:
            logger.warning("%s: %s", path.relative_to(site), error, type="for_everyone")
    mend_scripts(site / "_static")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the steps; that on the layout stands between `offline_site` and `light_pages`."""
    app.add_css_file("for_everyone.css", priority=850)  # after those that _config.yml names
    app.connect("html-page-context", mend_body, priority=990)
    app.connect("build-finished", finish, priority=910)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
