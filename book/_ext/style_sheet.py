"""Style sheets as text: joined into one, without the rules that no page needs. `light_pages` calls this.

A rule stays if each class and each id of its selector stands on some page, or as a word in some script: a
script may give a class to an element later. What stands in brackets, as in `:not(.a)` or `:is(.a, .b)`, is
not looked at, so such a rule stays. Animations, and custom properties that nothing reads, go with the rules
that named them. Of the icons' font, the letters of the icons stay.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

TOKEN = re.compile(
    r"""(?P<comment>/\*.*?\*/)|(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<url>url\((?:[^"')]|\\.)*\))"""
    r"""|(?P<escape>\\.)|(?P<space>\s+)|(?P<sign>[{};])|(?P<other>[^\\"'/\s{};u]+|.)""",
    re.DOTALL,
)
URL = re.compile(r"""url\(\s*(["']?)([^"')]*)\1\s*\)""")
IMPORT = re.compile(r"""^@import\s+(?:url\()?["']?([^"')]+)["']?\)?\s*$""")
NAME = re.compile(r"[.#]((?:\\[0-9a-fA-F]{1,6}\s?|\\.|[\w\u0080-\uffff-])+)")
BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
WORD = re.compile(r"[A-Za-z_][\w-]*")
READ = re.compile(r"var\(\s*(--[\w-]+)")
ICON = re.compile(r"""content:\s*["']\\([0-9a-fA-F]{2,6})["']""")
NESTED = ("@media", "@supports", "@layer", "@container")
MADE_UP = ("bs-tooltip", "--rl-")  # names that a script puts together, and the drawings' colours


class Block(NamedTuple):
    """A rule or an at-rule: what stands before its braces, and in them (None where there are none)."""

    head: str
    body: str | None


def compact(css: str) -> str:
    """Return a sheet without comments, licences aside, and with single spaces outside of strings."""

    def shorter(match: re.Match[str]) -> str:
        if match["comment"]:
            return match[0] if match[0].startswith("/*!") else ""
        return " " if match["space"] else match[0]

    return TOKEN.sub(shorter, css)


def blocks(css: str) -> Iterator[Block]:
    """Yield the blocks of a compact sheet, outermost ones."""
    depth, start, head = 0, 0, ""
    for token in TOKEN.finditer(css):
        if token["comment"] and not depth:
            yield Block(token[0], None)
            start = token.end()
        elif token[0] == "{":
            if not depth:
                head, start = css[start : token.start()].strip(), token.end()
            depth += 1
        elif token[0] == "}":
            depth -= 1
            if depth < 0:
                before = css[max(0, token.end() - 60) : token.end()]
                raise ValueError(f"a brace too many in a style sheet, after {before!r}")
            if not depth:
                yield Block(head, css[start : token.start()].strip())
                start = token.end()
        elif token[0] == ";" and not depth:
            yield Block(css[start : token.start()].strip(), None)
            start = token.end()
    if depth or css[start:].strip():
        raise ValueError(f"a style sheet ends within {head!r}")


def parts(text: str, sign: str) -> list[str]:
    """Split at a sign that stands in no brackets and no string."""
    found, depth, start = [], 0, 0
    for match in re.finditer(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|\\.|[()\[\]]|" + re.escape(sign), text):
        if match[0] in "([":
            depth += 1
        elif match[0] in ")]":
            depth -= 1
        elif match[0] == sign and not depth:
            found.append(text[start : match.start()])
            start = match.end()
    return [*found, text[start:]]


def is_used(selector: str, names: set[str]) -> bool:
    """Tell whether each class and id that a selector asks for is among the names."""
    before = None
    while before != selector:
        before, selector = selector, BRACKETS.sub("", selector)
    wanted = (re.sub(r"\\(.)", r"\1", name) for name in NAME.findall(selector))
    return all(name in names or name.startswith(MADE_UP) for name in wanted)


def needed(css: str, names: set[str]) -> str:
    """Return a compact sheet without the rules that ask for a class or id that is not among the names."""
    kept = []
    for head, body in blocks(css):
        if body is None:
            kept.append(head if head.startswith("/*") else f"{head};")
        elif head.startswith(NESTED):
            if inside := needed(body, names):
                kept.append(f"{head}{{{inside}}}")
        elif head.startswith("@"):
            kept.append(f"{head}{{{tidy(body)}}}")
        elif (selectors := [s.strip() for s in parts(head, ",") if is_used(s, names)]) and body:
            kept.append(f"{','.join(selectors)}{{{tidy(body)}}}")
    return "".join(kept)


def tidy(body: str) -> str:
    """Return declarations, or the frames of an animation, without the spaces that mean nothing."""
    return ";".join(part.strip() for part in parts(body, ";") if part.strip()) if "{" not in body else body


def without_idle(css: str, elsewhere: str) -> str:
    """Return a sheet without the animations and custom properties that neither it nor another text names."""
    words = set(WORD.findall(elsewhere)) | set(re.findall(r"--[\w-]+", elsewhere))
    before = ""
    while before != css:
        before = css
        read = set(READ.findall(css)) | words

        def keep(match: re.Match[str], read: set[str] = read) -> str:
            return match[0] if match[2] in read or match[2].startswith(MADE_UP) else match[1]

        css = re.sub(r"([{;])\s*(--[\w-]+)\s*:[^;{}\"']*(?:;|(?=\}))", keep, css)
        css = re.sub(r"(?<=[};])[^{};@]+\{\}", "", css)
    for name in set(re.findall(r"@(?:-webkit-)?keyframes ([\w-]+)", css)):
        if not re.search(rf"animation[^;}}]*\b{re.escape(name)}\b", css):
            css = re.sub(
                rf"@(?:-webkit-)?keyframes {re.escape(name)}\{{(?:[^{{}}]*\{{[^{{}}]*\}})*[^{{}}]*\}}",
                "",
                css,
            )
    return css


def joined(sheets: Iterable[Path], folder: Path) -> str:
    """Return several sheets, and what they import, as the text of one sheet that stands in `folder`."""
    text = []
    for sheet in sheets:

        def moved(match: re.Match[str], home: Path = sheet.parent) -> str:
            url = match[2].strip()
            if url.startswith(("data:", "#")) or urlsplit(url).scheme:
                return match[0]
            return (
                f'url("{posixpath.relpath((home / url).resolve().as_posix(), folder.resolve().as_posix())}")'
            )

        for head, body in blocks(compact(sheet.read_text(encoding="utf-8"))):
            if head.startswith("@charset"):
                continue
            if found := IMPORT.match(head):
                text.append(joined([sheet.parent / found[1]], folder))
            elif body is None:
                text.append(head if head.startswith("/*") else f"{head};")
            else:
                text.append(f"{head}{{{URL.sub(moved, body)}}}")
    return "".join(text)


def with_small_icons(css: str, folder: Path, target: Path) -> str:
    """Return a sheet in `folder` whose fonts of icons hold its own icons alone; they go to `target`."""
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    logging.getLogger("fontTools").setLevel(logging.ERROR)  # it reports each table
    letters = {int(code, 16) for code in ICON.findall(css)}
    target.mkdir(parents=True, exist_ok=True)

    def smaller(match: re.Match[str]) -> str:
        urls = [url for _, url in URL.findall(match[0]) if url.endswith(".ttf")]
        if not urls or "fontawesome" not in urls[0]:
            return match[0]
        with TTFont(folder / urls[0]) as font:
            if not letters & set(font.getBestCmap()):
                return ""
            options = Options(layout_features=[], name_IDs=[], notdef_outline=False, glyph_names=False)
            subsetter = Subsetter(options)
            subsetter.populate(unicodes=letters)
            subsetter.subset(font)
            font.flavor = "woff"
            path = target / f"{Path(urls[0]).stem}.woff"
            font.save(path, reorderTables=False)
        source = f'src:url("{posixpath.relpath(path.as_posix(), folder.as_posix())}") format("woff")'
        return re.sub(r"src:[^;}]*", source, match[0])

    return re.sub(r"@font-face\{[^}]*\}", smaller, css)
