"""Sphinx extension `code_spans`: highlighted code has an element only where a colour changes.

Pygments puts each word into a `<span>` of its own, though most look like plain text. Here a kind of token
that looks like text in the light style gets no element, and so looks like text in the dark one too; kinds
that look alike in both get one name, and neighbours of one name one element. Signs such as = and the dot of
`np.tanh` are punctuation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pygments.formatters import HtmlFormatter
from pygments.style import Style
from pygments.styles import get_style_by_name
from pygments.token import STANDARD_TYPES, Operator, Punctuation, Text, Token
from sphinx.application import Sphinx


def names(light: type[Style], dark: type[Style]) -> dict[str, str]:
    """Return for each class of Pygments the one that stands for all that look like it; "" for plain text."""
    plain = (light.style_for_token(Text), light.style_for_token(Token))
    first: dict[str, str] = {}
    found = {}
    for token, name in STANDARD_TYPES.items():
        look = light.style_for_token(token)
        found[name] = "" if look in plain else first.setdefault(f"{look} {dark.style_for_token(token)}", name)
    return found


def formatter(light: type[Style], dark: type[Style]) -> type[HtmlFormatter]:
    """Return a formatter that writes as few elements as the styles allow."""
    short = names(light, dark)

    class FewSpans(HtmlFormatter):
        def _get_css_classes(self, ttype: Any) -> str:
            while ttype not in STANDARD_TYPES:
                ttype = ttype.parent
            return short[STANDARD_TYPES[ttype]]

        def _format_lines(self, tokensource: Iterable[tuple[Any, str]]) -> Iterator[tuple[int, str]]:
            signs = ((Punctuation if ttype is Operator else ttype, value) for ttype, value in tokensource)
            return super()._format_lines(signs)

    return FewSpans


def install(app: Sphinx) -> None:
    """Have the builder highlight by it."""
    highlighter = getattr(app.builder, "highlighter", None)
    options = app.config.html_theme_options
    chosen = [options.get(f"pygments_{mode}_style") for mode in ("light", "dark")]
    if app.builder.format == "html" and highlighter is not None and all(chosen):
        highlighter.formatter = formatter(*map(get_style_by_name, chosen))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the step."""
    app.connect("builder-inited", install)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
