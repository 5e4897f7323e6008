"""Sphinx extension `inline_svg`: drawings become part of the page and follow its light or dark mode.

An `.svg` inside an `<img>` can't see the page's custom properties. So each image that points into the folder
`inline_svg_folder` is replaced by the drawing itself. Elsewhere (GitHub, Jupyter) it stays the plain image
that it is. On the way into the page a drawing
- gets `role="img"` and its alternative text as `aria-label`; its own title and description go;
- gets ids that no other drawing on the page has;
- keeps its style rules to itself, and leaves the custom properties `--rl-*` to the page.

A drawing that can't be read, has no `viewBox` or no alternative text, or would load or run anything, is a
warning.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
ET.register_namespace("", SVG)
ET.register_namespace("xlink", XLINK)

DROPPED = {"title", "desc", "metadata"}
FORBIDDEN = {"script", "foreignObject", "image", "a", "animate", "set"}
SMALLEST = 0.8  # of the natural width; a drawing that has less room scrolls, so that its letters stay legible
REFERENCE = re.compile(r"url\(\s*['\"]?(?!['\"]?#)")  # url(...) to anything but a part of the drawing
RULE = re.compile(r"([^{}@]+)\{([^{}]*)\}")  # one CSS rule, inside @media or not
PROPERTY = re.compile(r"--rl-[\w-]+\s*:[^;}]*;?")


class UnfitDrawing(ValueError):
    """A drawing that can't go into a page; the message says why."""


def local_name(element: ET.Element) -> str:
    """Return an element's tag without its namespace."""
    return str(element.tag).rpartition("}")[2]


def check(root: ET.Element) -> None:
    """Raise `UnfitDrawing` for whatever loads, runs or has no size."""
    if local_name(root) != "svg" or len(root.get("viewBox", "").split()) != 4:
        raise UnfitDrawing("expected an <svg> with a viewBox of four numbers")
    for element in root.iter():
        if local_name(element) in FORBIDDEN:
            raise UnfitDrawing(f"<{local_name(element)}> has no place in a drawing")
        for name, value in element.attrib.items():
            plain = name.rpartition("}")[2]
            if plain.startswith("on"):
                raise UnfitDrawing(f"the attribute {plain} runs a script")
            if (plain == "href" and not value.startswith("#")) or REFERENCE.search(value):
                raise UnfitDrawing(f"{plain}={value!r} loads something from outside the drawing")
        css = (element.text or "") if local_name(element) == "style" else ""
        if "@import" in css or REFERENCE.search(css):
            raise UnfitDrawing("its style sheet loads something from outside the drawing")


def scoped(css: str, frame: str) -> str:
    """Return style rules that hold only inside the element `#frame`, without definitions of `--rl-*`."""

    def scope(rule: re.Match[str]) -> str:
        body = PROPERTY.sub("", rule[2]).strip()
        selectors = ", ".join(f"#{frame} {selector.strip()}" for selector in rule[1].split(","))
        return f"{selectors} {{ {body} }}" if body else ""

    return RULE.sub(scope, re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL))


def make_ids_unique(root: ET.Element, prefix: str) -> None:
    """Put `prefix` before each id of the drawing and before each reference to one, in place."""
    ids = {element.get("id") for element in root.iter()} - {None}

    def renamed(text: str) -> str:
        return re.sub(r"#([\w-]+)", lambda m: f"#{prefix}{m[1]}" if m[1] in ids else m[0], text)

    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, prefix + value)
            elif name.rpartition("}")[2] == "href" or "url(" in value:
                element.set(name, renamed(value))
        if local_name(element) == "style":
            element.text = renamed(element.text or "")


def drawing(source: str, alt: str, frame: str) -> str:
    """Return the HTML for the SVG text `source`: a frame with the id `frame`, and the drawing in it."""
    try:
        root = ET.fromstring(source)
    except ET.ParseError as error:
        raise UnfitDrawing(f"not well-formed XML: {error}") from error
    check(root)
    for parent in list(root.iter()):
        for child in [child for child in parent if local_name(child) in DROPPED]:
            parent.remove(child)
    make_ids_unique(root, f"{frame}-")
    for element in root.iter(f"{{{SVG}}}style"):
        element.text = scoped(element.text or "", frame)
    for name in ("width", "height", "aria-labelledby", "aria-describedby"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", alt)
    width = float(root.get("viewBox", "").split()[2])
    root.set("style", f"max-width: {width:g}px; min-width: {SMALLEST * width:g}px")
    return f'<span class="rl-diagram" id="{frame}">{ET.tostring(root, encoding="unicode")}</span>'


class InlineSvg(SphinxPostTransform):
    """Replace the images of drawings by the drawings themselves."""

    default_priority = 7
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        folder = self.config.inline_svg_folder.rstrip("/") + "/"
        images = [node for node in self.document.findall(nodes.image) if node["uri"].startswith(folder)]
        for number, node in enumerate((node for node in images if node["uri"].endswith(".svg")), start=1):
            try:
                if not node.get("alt"):
                    raise UnfitDrawing("it has no alternative text")
                source = Path(self.env.srcdir, node["uri"]).read_text(encoding="utf-8")
                markup = drawing(source, node["alt"], f"rl-diagram-{number}")
            except (OSError, UnfitDrawing) as error:
                logger.warning("%s: %s", node["uri"], error, location=node, type="inline_svg")
            else:
                node.replace_self(nodes.raw("", markup, format="html"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform and the folder it looks at, relative to the top of the book's sources."""
    app.add_config_value("inline_svg_folder", "book/figures", "env", types=[str])
    app.add_post_transform(InlineSvg)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
