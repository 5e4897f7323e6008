"""Show on a page the source that the tests have proved, instead of a copy of it."""

from __future__ import annotations

import inspect
from typing import Any


class Source:
    """The source of an object, which a notebook shows as highlighted Markdown."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.text}\n```"


def show(*objects: Any) -> Source:
    """The source of functions or classes, under a line with the file that they stand in.

    TypeError: an object that was not written in a Python file, such as a NumPy function.
    """
    parts = []
    for thing in objects:
        try:
            text, module = inspect.getsource(thing).rstrip(), inspect.getmodule(thing)
        except (OSError, TypeError):
            raise TypeError(f"show: expected functions or classes written in Python, got {thing!r}") from None
        if module is None:
            raise TypeError(f"show: {thing!r} belongs to no module")
        parts.append(f"# {module.__name__.replace('.', '/')}.py\n{text}")
    return Source("\n\n\n".join(parts))
