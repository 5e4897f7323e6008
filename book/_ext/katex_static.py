"""Sphinx mathematics renderer `katex_static`: KaTeX runs at build time, inside Python.

The pages carry finished HTML and MathML. A reader's browser needs KaTeX's style sheet and fonts, which stand
in `_static/katex/`, and no JavaScript at all. KaTeX itself runs in an embedded V8 (mini-racer), so the build
needs no Node.

TeX that KaTeX can't set, or that LaTeX would refuse, becomes a Sphinx warning at its line; `-W` makes it an
error.
"""

from __future__ import annotations

import html
import re
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from lean_formulas import lean
from py_mini_racer import MiniRacer
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)

SCRIPT = Path(__file__).parent.parent / "_static" / "katex" / "katex.min.js"
RENDER = """
function render(tex, options) {
    try { return {html: katex.renderToString(tex, options)}; }
    catch (error) { return {error: String(error.message)}; }
}
"""
# The page numbers equations by itself; KaTeX would number the unstarred environments a second time.
NUMBERED = re.compile(r"\\(begin|end)\{(align|alignat|equation|gather)\}")
# The TeX source that KaTeX keeps beside its MathML: nothing on the site reads it, and it would stand in
# search results.
ANNOTATION = re.compile(r"<annotation\b.*?</annotation>", re.DOTALL)
# Two elements around all of a formula, which mean nothing once the source is gone: <math> is a row itself.
WRAPPED = re.compile(r"<semantics><mrow>(.*)</mrow></semantics>", re.DOTALL)


@cache
def engine() -> MiniRacer:
    """Return the one V8 of this process, with KaTeX loaded."""
    racer = MiniRacer()
    racer.eval(SCRIPT.read_text(encoding="utf-8"))
    racer.eval(RENDER)
    return racer


def prepare(tex: str, display: bool) -> str:
    """Return `tex` as KaTeX wants it: several lines get an environment, environments lose their numbers."""
    if display and r"\\" in tex and r"\begin" not in tex:
        environment = "aligned" if "&" in tex else "gathered"
        return rf"\begin{{{environment}}}{tex}\end{{{environment}}}"
    return NUMBERED.sub(r"\\\1{\2*}", tex)


def render(node: nodes.Element, display: bool, macros: dict[str, str]) -> str:
    """Return the HTML of a formula. On a TeX error: a warning at its line, and the source as code."""
    options = {"displayMode": display, "throwOnError": True, "strict": "error", "macros": macros}
    result = dict(engine().call("render", prepare(node.astext(), display), options))
    if "html" in result:
        return lean(WRAPPED.sub(r"\1", ANNOTATION.sub("", result["html"])))
    logger.warning("KaTeX: %s", result["error"], location=node, type="katex")
    return f"<code>{html.escape(node.astext())}</code>"


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """Write an inline formula."""
    rendered = render(node, False, self.config.katex_macros)
    self.body.append(self.starttag(node, "span", "", CLASS="math notranslate nohighlight"))
    self.body.append(f"{rendered}</span>")
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a display formula, and its number where it has one."""
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    self.body.append(render(node, True, self.config.katex_macros))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer and its style sheet."""
    app.add_config_value("katex_macros", {}, "html", types=[dict])
    app.add_html_math_renderer("katex_static", (visit_math, None), (visit_math_block, None))
    app.add_css_file("katex/katex.min.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
