"""Show on a page the source that the tests have proved, instead of a copy of it."""

from __future__ import annotations

import ast
import inspect
import io
import re
import textwrap
import tokenize
from typing import Any

# Comments that speak to a linter, a type checker or a formatter, and not to a reader.
_TO_TOOLS = re.compile(r"#\s*(noqa|type:\s*ignore|fmt:|ruff:|mypy:|pragma:|pylint:)")
_WIDTH = 88


class Source:
    """The source of an object, which a notebook shows as highlighted Markdown."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.text}\n```"


def show(*objects: Any, brief: bool = False) -> Source:
    """The source of functions or classes, under a line with the file that they stand in.

    Comments for tools (`noqa`, `type: ignore`, `fmt: skip`) are left out. brief=True shows a function
    as it would stand in a text: without annotations, without the lines that call a `check_...`, and
    with its docstring down to the last equation. Where a check returns the function's own arguments in
    one form (`lengths` as an array, a missing state as zeros), the rest reads on without it; a check
    whose result has a name of its own stays.

    TypeError: an object that was not written in a Python file, such as a NumPy function; with brief,
    one that is no function.
    """
    parts = []
    for thing in objects:
        try:
            text, module = inspect.getsource(thing).rstrip(), inspect.getmodule(thing)
        except (OSError, TypeError):
            raise TypeError(f"show: expected functions or classes written in Python, got {thing!r}") from None
        if module is None:
            raise TypeError(f"show: {thing!r} belongs to no module")
        if brief and not inspect.isfunction(thing):
            raise TypeError(f"show: expected functions for brief=True, got {thing!r}")
        text = _for_readers(text)
        text = _shorten(textwrap.dedent(text)) if brief else text
        parts.append(f"# {module.__name__.replace('.', '/')}.py\n{text}")
    return Source("\n\n\n".join(parts))


def _for_readers(text: str) -> str:
    """Source text without the comments that speak to tools."""
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text + "\n").readline):
        found = _TO_TOOLS.search(token.string) if token.type == tokenize.COMMENT else None
        if found:
            row, column = token.start
            lines[row - 1] = lines[row - 1][: column + found.start()].rstrip() or "\0"
    return "\n".join(line for line in lines if line != "\0")


def _shorten(text: str) -> str:
    """A function's source, `brief` as in `show`."""
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    lines, body = text.splitlines(), function.body
    head = [lines[decorator.lineno - 1] for decorator in function.decorator_list]
    head += _signature(function)
    first = function.body[0]
    docstring = ast.get_docstring(function)
    if docstring is not None:
        quoted = f'"""{_equations(docstring)}"""'
        head += textwrap.indent(quoted, "    ").splitlines()
        body = body[1:]
        start = first.end_lineno or first.lineno
    else:
        start = first.lineno - 1
    arguments = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
    checks = [line for line in body if _is_check(line, arguments)]
    hidden = {row for line in checks for row in range(line.lineno, (line.end_lineno or 0) + 1)}
    rest = [line for row, line in enumerate(lines[start:], start + 1) if row not in hidden]
    while rest and not rest[0].strip():
        rest.pop(0)
    return "\n".join([*head, *rest])


def _signature(function: ast.FunctionDef) -> list[str]:
    """The line `def name(...):` without annotations, or one line for each argument where it is too long."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    for argument in (*named, arguments.vararg, arguments.kwarg):
        if argument is not None:
            argument.annotation = None
    line = f"def {function.name}({ast.unparse(arguments)}):"
    if len(line) <= _WIDTH:
        return [line]
    return textwrap.wrap(line, _WIDTH, subsequent_indent=" " * (len(function.name) + 5))


def _equations(docstring: str) -> str:
    """A docstring down to its last equation, which is what stands indented; else its first paragraph."""
    paragraphs = docstring.split("\n\n")
    indented = [k for k, paragraph in enumerate(paragraphs) if paragraph.startswith("    ")]
    kept = "\n\n".join(paragraphs[: indented[-1] + 1] if indented else paragraphs[:1])
    return f"{kept}\n" if "\n" in kept else kept


def _is_check(statement: ast.stmt, arguments: set[str]) -> bool:
    """Tell whether a statement calls a function check_..., and gives its result no name but arguments'."""
    value = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    named = {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    function = value.func if isinstance(value, ast.Call) else None
    name = getattr(function, "id", getattr(function, "attr", ""))
    return name.lstrip("_").startswith("check_") and named <= arguments
