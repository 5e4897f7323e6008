"""The HTML and MathML of KaTeX with fewer elements, which look and mean the same. `katex_static` calls this.

KaTeX puts each sign into a `<span>` whose class says what the sign is: an operand, a relation, a bracket. The
distances are set by then, and no rule of its style sheet asks for most of these classes. Such a span is
replaced by what is in it, unless a rule counts on its place: `.vlist > span > span`. An empty span below an
index is there for text that one edits; a page has none. In MathML a row of one element is that element.
"""

from __future__ import annotations

import re
from functools import cache
from html import escape
from html.parser import HTMLParser
from pathlib import Path

STYLE = Path(__file__).parent.parent / "_static" / "katex" / "katex.min.css"
# Rules speak of the children and grandchildren of these, whatever their class.
PARENTS = {"vlist", "mfrac", "inner", "delim-size1", "delim-size4"}
GRANDPARENTS = {"vlist", "mfrac", "inner"}


@cache
def styled() -> frozenset[str]:
    """Return the classes that KaTeX's style sheet asks for."""
    selectors = re.sub(r"\{[^{}]*\}", " ", STYLE.read_text(encoding="utf-8"))
    return frozenset(re.findall(r"\.([a-z][\w-]*)", selectors, flags=re.IGNORECASE))


class Element:
    """An element, or text: `start` is its tag as it stood there."""

    def __init__(self, tag: str, start: str, classes: frozenset[str], bare: bool) -> None:
        self.tag, self.start, self.classes, self.bare = tag, start, classes, bare
        self.children: list[Element | str] = []


class Tree(HTMLParser):
    """Reads a formula."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", "", frozenset(), False)
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        classes = frozenset((dict(attrs).get("class") or "").split())
        element = Element(tag, self.get_starttag_text() or "", classes, names <= {"class"})
        self.open[-1].children.append(element)
        self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element("", self.get_starttag_text() or "", frozenset(), False))

    def handle_endtag(self, tag: str) -> None:
        if self.open.pop().tag != tag:
            raise ValueError(f"</{tag}> closes another element in a formula")

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def is_idle(element: Element, parent: Element, grandparent: Element | None) -> bool:
    """Tell whether an element changes nothing: no rule asks for its class, and none for its place."""
    if element.tag == "mrow":
        return element.bare and len([c for c in element.children if isinstance(c, Element)]) == 1
    if element.start == "<span>" and not element.children and len(parent.children) == 1:
        return "vlist" in parent.classes
    return (
        element.tag == "span"
        and element.bare
        and bool(element.classes)
        and not element.classes & styled()
        and not parent.classes & PARENTS
        and not (grandparent and grandparent.classes & GRANDPARENTS)
    )


def write(element: Element, parent: Element | None, out: list[str]) -> None:
    """Write what is in an element, without the idle ones among it."""
    for child in element.children:
        if isinstance(child, str):
            out.append(escape(child, quote=False))
        elif not child.tag:
            out.append(child.start)
        elif is_idle(child, element, parent):
            write(child, element, out)
        else:
            out.append(child.start)
            write(child, element, out)
            out.append(f"</{child.tag}>")


def lean(formula: str) -> str:
    """Return a formula with fewer elements."""
    tree = Tree()
    tree.feed(formula)
    tree.close()
    if len(tree.open) > 1:
        raise ValueError(f"<{tree.open[-1].tag}> is not closed in a formula")
    out: list[str] = []
    write(tree.root, None, out)
    return "".join(out)
