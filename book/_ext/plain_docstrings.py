"""Sphinx extension `plain_docstrings`: docstrings are plain text, and the reference prints them well.

No docstring needs reStructuredText, and none can break the build by accident. What is recognised:
- a paragraph whose lines begin with `name: ...`, or with `name` and two or more spaces, or with `- `, is a
  list; lines that begin otherwise continue the item before them;
- an indented paragraph, and one that begins with `>>>`, keeps its layout;
- `name` in backticks is code.

The fields of a NamedTuple or a dataclass are listed with the comments that stand beside them in the source.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from itertools import groupby
from typing import Any

from sphinx.application import Sphinx

NAMED = re.compile(r"^(?P<name>\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*)(?:: +| {2,})(?P<text>\S.*)$")
BULLET = re.compile(r"^- +(?P<text>\S.*)$")
FIELD = re.compile(r"^    (?P<name>[a-z]\w*): [^#\n]*#\s*(?P<text>.+)$", re.MULTILINE)
CODE = re.compile(r"``(.+?)``|`([^`\n]+)`")
SPECIAL = re.compile(r"([\\*`|]|_(?!\w))")
PRIME = re.compile(r"(?<=\b[A-Za-z])'(?=[\s,;.)=])")  # h' is the next h
SIGNS = {"->": "→", "<=": "≤", ">=": "≥"}
WIDE_SPACE = re.compile(r"(?<=\S) {2,}(?=\S)")


def typeset(text: str) -> str:
    """Return plain text that holds no code: markup escaped, typed signs replaced by those that they mean."""
    text = WIDE_SPACE.sub("\N{EM SPACE}", PRIME.sub("\N{PRIME}", text))
    for typed, sign in SIGNS.items():
        text = text.replace(typed, sign)
    return SPECIAL.sub(r"\\\1", text)


def escaped(text: str) -> str:
    """Return plain text as one line of reStructuredText; `code` in backticks becomes a literal."""
    pieces, end = [], 0
    for code in CODE.finditer(text):
        pieces += [typeset(text[end : code.start()]), f"\\ ``{code[1] or code[2]}``\\ "]
        end = code.end()
    line = "".join([*pieces, typeset(text[end:])])
    # At the start, "1. " or "B. " would be an enumeration, ".. " a directive, "- " a list.
    return re.sub(r"^(?=(?:\w+[.)]|\.\.|[-+•:]) )", r"\\", line)


def items(lines: list[str]) -> list[str]:
    """Return the list items of a paragraph, each as one line of reStructuredText; empty if it is no list."""
    if not (NAMED.match(lines[0]) or BULLET.match(lines[0])):
        return []
    found: list[str] = []
    for line in lines:
        if bullet := BULLET.match(line):
            found.append(f"* {escaped(bullet['text'])}")
        elif named := NAMED.match(line):
            found.append(f"* ``{named['name']}``: {escaped(named['text'])}")
        else:
            found[-1] += f" {escaped(line.strip())}"
    return found


def as_rst(lines: list[str]) -> list[str]:
    """Return a plain-text docstring as lines of reStructuredText."""
    result: list[str] = []
    for blank, group in groupby(lines, key=lambda line: not line.strip()):
        paragraph = list(group)
        if blank:
            continue
        if paragraph[0].startswith(">>>") or all(line.startswith(" ") for line in paragraph):
            result += [".. code-block:: text", "", *(f"    {line}" for line in paragraph), ""]
        elif listed := items(paragraph):
            result += [*listed, ""]
        else:
            result += [escaped(" ".join(line.strip() for line in paragraph)), ""]
    return result


def is_record(thing: object) -> bool:
    """Tell whether the thing is a class whose fields are its interface."""
    return inspect.isclass(thing) and (
        dataclasses.is_dataclass(thing) or (issubclass(thing, tuple) and hasattr(thing, "_fields"))
    )


def field_list(thing: object) -> list[str]:
    """Return one line `name: comment` for each field that has a comment beside it in the source."""
    return [f"{match['name']}: {match['text']}" for match in FIELD.finditer(inspect.getsource(thing))]  # type: ignore[arg-type]


def process(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Rewrite one docstring in place, before autodoc parses it."""
    if is_record(thing):
        lines += ["", *field_list(thing)]
    lines[:] = as_rst(lines)


def skip(app: Sphinx, what: str, name: str, thing: object, skipped: bool, options: object) -> bool | None:
    """Leave out the accessors of NamedTuple fields: their docstring is "Alias for field number 0"."""
    return True if type(thing).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the two steps with autodoc."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-skip-member", skip)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
