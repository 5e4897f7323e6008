"""Sphinx extension `light_pages`: a page loads what it uses, and a policy says that it may do nothing else.

After the build each page is rewritten once more, after `offline_site`:
- its style sheets become one, without rules and icons that no page uses (`style_sheet`); a page of the book
  has those of its rules in itself, and the reference loads them;
- a script stays if what it works on stands on the page;
- inline scripts go into a file of their own, and attributes such as `onclick` into `data-rl-click`, which
  `page.js` reads. One script stays inline, since it has to run before the first paint: it sets light or dark;
- a Content-Security-Policy allows scripts from the site alone, and of the inline ones that one, by its hash.

Formulas and drawings come with inline styles; so the policy allows these, and they can load nothing from
elsewhere. `scripts/serve.py` sends each page's policy as a header too.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import style_sheet
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

# The chosen mode, or the system's; without scripts, and where nothing may be stored, a page is light. Then
# the fonts that the page names are asked for, before the browser has laid it out and finds it needs them:
# they are there for the first paint, and no line moves. A page that was opened as a file may not ask so.
MODE = """\
{const root=document.documentElement,dark=matchMedia("(prefers-color-scheme: dark)").matches;let mode="auto";
try{mode=localStorage.getItem("mode")||mode}catch{}
root.dataset.mode=mode;root.dataset.theme=mode==="auto"?dark?"dark":"light":mode;
if(location.protocol!=="file:")for(const name of(root.dataset.fonts||"").split(" ").filter(Boolean))
document.head.append(Object.assign(document.createElement("link"),{rel:"preload",as:"font",type:"font/woff2",
crossOrigin:"anonymous",href:`${root.dataset.content_root}_static/fonts/${name}`}))}"""
FONTS = {  # what has to stand on a page for the page to name the font
    "source-serif-4-latin-wght-normal.woff2": r"<p>",
    "source-serif-4-latin-wght-italic.woff2": r"<em>",
}
POLICY = {
    "default-src": "'self'",
    "script-src": f"'self' 'sha256-{base64.b64encode(hashlib.sha256(MODE.encode()).digest()).decode()}'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "worker-src": "'self'",
    "frame-src": "'none'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
}
# A script, and what has to stand on a page for the page to load it.
WORKS_ON = {
    "api-anchors.js": r'href="api/[\w.]+\.html',
    "clipboard.min.js": r'class="highlight\b',
    "copybutton.js": r'class="highlight\b',
    "design-tabs.js": r'class="sd-tab-set\b',
    "glossary.js": r'class="[^"]*\brl-glossary\b',
    "language_data.js": r'id="search-results"',
    "searchindex.js": r'id="search-results"',
    "searchtools.js": r'id="search-results"',
    "togglebutton.js": r'class="(?:[^"]* )?toggle[ "]|class="(?=[^"]*\badmonition\b)[^"]*\bdropdown\b',
}
CLICKS = {"toggleFullScreen()": "fullscreen", "window.print()": "print"}
# The theme measures each box of a page at its start, to learn which can be scrolled: a whole layout of a long
# page. page.js does it when a box comes near the window.
MEASURES = '"complete"===document.readyState?I():window.addEventListener("load",I)'
LEAVES_IT = "0/* page.js measures */"

# Scripts that come with their comments; none of them has a line within a string that looks like one.
COMMENTED = (
    "copybutton.js",
    "doctools.js",
    "from-file.js",
    "live/live.js",
    "page.js",
    "play/*.js",
    "sphinx_highlight.js",
    "togglebutton.js",
)
BLOCK = re.compile(r"^[ \t]*/\*.*?\*/[ \t]*\n", flags=re.S | re.M)
RIGHTS = re.compile(r"copyright|licen[cs]e", flags=re.I)
DONE = '<meta http-equiv="Content-Security-Policy"'

SHEET = re.compile(
    r'\s*(?:<link\b(?=[^>]*rel="stylesheet")[^>]*?href="(?P<url>[^"?]*)[^"]*"[^>]*>'
    r'|<style data-sheet="(?P<name>[^"]*)">.*?</style>)',
    re.DOTALL,
)
CHARSET = '@charset "utf-8";'
CHAPTER = re.compile(r"book/(?!api/).*")  # what is read first and longest has its rules in itself
SCRIPT = re.compile(r"\s*<script\b(?P<attributes>[^>]*)>(?P<text>.*?)</script>", re.DOTALL)
SOURCE = re.compile(r'\bsrc="(?P<url>[^"?]*)')
CLICK = re.compile(r'\bonclick="([^"]*)"')
RUNS = re.compile(r"""<[a-z][^<>]*?\s(on[a-z]+)=["']|\bhref=["']\s*(javascript:)""", re.IGNORECASE)
USED = re.compile(r'\b(?:class|id)="([^"]*)"')


class Head(NamedTuple):
    """What of a page the sheet of the site depends on."""

    sheets: tuple[str, ...]  # below _static; of a page with rules in itself, the sheet that they are from
    names: frozenset[str]  # classes and ids


def policy(extra: dict[str, str] | None = None) -> str:
    """Return the policy as one line."""
    return "; ".join(f"{name} {value}" for name, value in {**POLICY, **(extra or {})}.items())


def with_policy(page: str) -> str:
    """Return a page with the policy as the first thing after its encoding."""
    meta = f'{DONE} content="{policy()}" />'
    return re.sub(r"(<meta charset=[^>]*>)", lambda match: f"{match[1]}\n    {meta}", page, count=1)


def with_mode_at_once(page: str) -> str:
    """Return a page whose mode is set before its first paint, and which is light where no script runs."""
    page = re.sub(
        r"<script data-cfasync=[^>]*>.*?</script>",
        lambda _: f"<script>{MODE}</script>",
        page,
        count=1,
        flags=re.DOTALL,
    )
    return re.sub(r"<html(?![^>]*data-theme)", '<html data-mode="auto" data-theme="light"', page, count=1)


def with_fonts_named(page: str) -> str:
    """Return a page that names the fonts it needs at once."""
    names = " ".join(name for name, used in FONTS.items() if re.search(used, page))
    return re.sub(r"<html(?![^>]*data-fonts)", f'<html data-fonts="{names}"', page, count=1)


def with_clicks_named(page: str) -> str:
    """Return a page without `onclick`; what else would run a script from within the page is an error."""
    page = CLICK.sub(
        lambda match: f'data-rl-click="{CLICKS[match[1]]}"' if match[1] in CLICKS else match[0], page
    )
    if found := RUNS.search(re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)):
        raise ValueError(f"{found[1] or found[2]} runs a script that the policy forbids: {found[0][-80:]!r}")
    return page


def without_idle_scripts(page: str) -> str:
    """Return a page without the scripts that have no work there, and without hints to load one early."""
    page = re.sub(r'\s*<link rel="preload" as="script"[^>]*>', "", page)

    def keep(match: re.Match[str]) -> str:
        source = SOURCE.search(match["attributes"])
        name = source["url"].rpartition("/")[2] if source else ""
        return match[0] if name not in WORKS_ON or re.search(WORKS_ON[name], page) else ""

    return SCRIPT.sub(keep, page)


def inline_scripts(page: str) -> tuple[str, str]:
    """Return a page without the inline scripts that may wait, and their text.

    The page's name and whether it searches as one types are for parts of the theme that the book has not.
    """
    found: list[str] = []

    def take(match: re.Match[str]) -> str:
        attributes, text = match["attributes"], match["text"].strip()
        if (
            SOURCE.search(attributes)
            or text == MODE
            or re.search(r'type="(?!module|text/javascript)', attributes)
        ):
            return match[0]
        if not text.startswith(
            ("DOCUMENTATION_OPTIONS.pagename", "DOCUMENTATION_OPTIONS.search_as_you_type")
        ):
            found.append(text)
        return ""

    page = SCRIPT.sub(take, page)
    return page, "\n".join(dict.fromkeys(found)) + "\n" if found else ""


def with_settings(page: str, root: str, name: str) -> str:
    """Return a page that loads a file of former inline scripts before the scripts that need it."""
    script = f'<script defer src="{root}_static/scripts/{name}"></script>'
    place = re.compile(r"(<script\b[^>]*documentation_options\.js[^>]*></script>)")
    if place.search(page):
        return place.sub(lambda match: f"{match[1]}\n    {script}", page, count=1)
    return page.replace("</head>", f"{script}\n  </head>", 1)


def read_head(page: str) -> Head:
    """Return what a page asks of the style sheet."""
    found = (match["url"] or match["name"] for match in SHEET.finditer(page))
    sheets = tuple(url.rpartition("_static/")[2] for url in found)
    names = {name for value in USED.findall(page) for name in value.split()}
    return Head(sheets, frozenset(names))


def with_one_sheet(page: str, root: str, name: str, css: str = "") -> str:
    """Return a page with one style sheet, where its first one stood: a file, or its text if that is given."""
    sheet = f'<link rel="stylesheet" href="{root}_static/{name}" />'
    if css:
        there = re.sub(r'url\("(?!data:|#)', f'url("{root}_static/', css)
        sheet = f'<style data-sheet="{name}">{there}</style>'
    first = iter([f"\n    {sheet}"])
    return SHEET.sub(lambda _: next(first, ""), page)


def without_idle_spans(page: str) -> str:
    """Return a page without an element around each word of code in a line, and one that begins each block."""
    page = re.sub(r'<span class="pre">([^<]*)</span>', r"\1", page)
    return re.sub(r"<pre><span></span>(?!\n)", "<pre>", page)


def with_idle_logos(page: str) -> str:
    """Return a page that loads the logos of a menu when the menu opens."""
    return re.sub(
        r'<img (?=[^>]*src="[^"]*_static/images/logo_)(?![^>]*loading=)', '<img loading="lazy" ', page
    )


def light(page: str, root: str, static: Path) -> str:
    """Return a page with its scripts in files, a policy, and all else as it was; `root` leads to the top."""
    page = with_idle_logos(without_idle_spans(page))
    page = with_clicks_named(without_idle_scripts(with_fonts_named(with_mode_at_once(page))))
    page, settings = inline_scripts(page)
    if settings:
        name = f"settings-{hashlib.sha256(settings.encode()).hexdigest()[:8]}.js"
        (static / "scripts" / name).write_text(settings, encoding="utf-8")
        page = with_settings(page, root, name)
    return with_policy(page)


def rewritten(site: Path) -> dict[Path, tuple[str, str, str]]:
    """Return of each page of the site its text as it stands there, its new text, and the way to the top."""
    found = {}
    for path in sorted(site.rglob("*.html")):
        page = path.read_text(encoding="utf-8")
        if not re.match(r"\s*<!DOCTYPE html>\s*<html\b[^>]*data-content_root=", page):
            continue  # no page of Sphinx
        root = "../" * (len(path.relative_to(site).parts) - 1)
        try:
            new = page if DONE in page else light(page, root, site / "_static")
        except ValueError as error:
            logger.warning("%s: %s", path.relative_to(site), error, type="light_pages")
        else:
            found[path] = page, new, root
    return found


def texts_of_scripts(static: Path) -> str:
    """Return all scripts of the site, one after the other; those that name no class of a page aside."""
    aside = {"katex", "locales", "pyodide", "lite"}
    paths = [path for path in sorted(static.rglob("*")) if path.suffix in (".js", ".mjs")]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths if not aside & set(path.parts))


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Rewrite the pages in place: the new ones whole, and of the others the sheet where it has changed."""
    if exception is not None or app.builder.format != "html":
        return
    static, notes = Path(app.outdir, "_static"), Path(app.doctreedir)
    for path in (path for name in COMMENTED for path in static.glob(name)):
        path.write_text(without_comments(path.read_text(encoding="utf-8")), encoding="utf-8")
    record = notes / "style_sheets.json"  # which sheets each sheet of the site was made from
    made = json.loads(record.read_text()) if record.is_file() else {}
    pages = rewritten(Path(app.outdir))
    if all(old == new for old, new, _ in pages.values()):
        return
    heads = {path: read_head(new) for path, (_, new, _) in pages.items()}
    scripts = texts_of_scripts(static)
    words = set(style_sheet.WORD.findall(scripts))
    names = words.union(*(head.names for head in heads.values()))
    written: dict[tuple[str, ...], str] = {}
    for path, (old, new, root) in pages.items():
        before = heads[path].sheets
        sheets = tuple(made.get(before[0], before)) if before else ()
        if sheets and sheets not in written:
            written[sheets] = write_sheet(sheets, before[0], static, names, scripts, notes)
        if sheets and before != (written[sheets],):
            css = (static / written[sheets]).read_text(encoding="utf-8").removeprefix(CHARSET)
            own = (
                style_sheet.needed(css, words | heads[path].names)
                if CHAPTER.match(path.relative_to(app.outdir).as_posix())
                else ""
            )
            new = with_one_sheet(new, root, written[sheets], own)
        if new != old:
            path.write_text(new, encoding="utf-8")
    record.write_text(json.dumps({name: sheets for sheets, name in written.items()}))
    forget(static, {sheet for sheets in written for sheet in sheets}, set(written.values()))
    calm_theme(static / "scripts" / "pydata-sphinx-theme.js")


def without_comments(script: str) -> str:
    """Return a script without the comments that stand in lines of their own, but for notices of rights."""
    bare = BLOCK.sub(lambda comment: comment[0] if RIGHTS.search(comment[0]) else "", script)
    lines = (line.strip() for line in bare.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//")) + "\n"


def calm_theme(script: Path) -> None:
    """Take the measuring of all boxes out of the theme's script."""
    text = script.read_text(encoding="utf-8") if script.is_file() else LEAVES_IT
    if MEASURES not in text and LEAVES_IT not in text:
        logger.warning("the theme's script has changed: light_pages.MEASURES", type="light_pages")
    elif MEASURES in text:
        script.write_text(text.replace(MEASURES, LEAVES_IT), encoding="utf-8")


def write_sheet(
    sheets: tuple[str, ...], former: str, static: Path, names: set[str], scripts: str, notes: Path
) -> str:
    """Write the one sheet that stands for several, named by its content, and return its name.

    The whole of them stands under the same name in the folder of notes: for a test, and for the next build,
    where one of them is not copied again.
    """
    if all((static / sheet).is_file() for sheet in sheets):
        whole = style_sheet.joined((static / sheet for sheet in sheets), static)
    else:
        whole = (notes / former).read_text(encoding="utf-8")
    css = style_sheet.needed(whole, names)
    css = style_sheet.with_small_icons(style_sheet.without_idle(css, scripts), static, static / "icons")
    name = f"site-{hashlib.sha256(css.encode()).hexdigest()[:8]}.css"
    (static / name).write_text(CHARSET + css, encoding="utf-8")
    (notes / name).write_text(whole, encoding="utf-8")
    return name


def forget(static: Path, sources: set[str], written: set[str]) -> None:
    """Delete what no page loads any more: sheets that were joined, former ones, the fonts of all icons.

    The next build copies the sources again.
    """
    former = {path.name for path in static.glob("site-*.css")} - written
    for name in sources | former | {"basic.css"}:
        (static / name).unlink(missing_ok=True)
    for path in (static / "vendor" / "fontawesome").rglob("*.*"):
        path.unlink()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the step after the build, between `offline_site`'s two."""
    app.connect("build-finished", finish, priority=920)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
