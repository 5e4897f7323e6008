"""A progress bar where somebody can see it, which leaves nothing behind in an executed notebook."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def progress_bar(total: int, done: int = 0, wanted: bool = True) -> Any:
    """A tqdm bar on stderr in a terminal, or under the cell of a notebook; else an object that shows nothing.

    It is a context manager with `update()` and `set_postfix(metrics)`. Without tqdm nothing is shown.
    """
    where: dict[str, Any] = {}
    if wanted and kernel_is_watched():
        where = {"file": _CellLine, "ncols": 100}
    elif wanted and sys.stderr is not None and sys.stderr.isatty():
        where = {"file": lambda: sys.stderr, "dynamic_ncols": True}
    try:
        tqdm = importlib.import_module("tqdm").tqdm
    except ImportError:
        return _NoBar()
    if not where:
        return _NoBar()
    return tqdm(total=total, initial=done, leave=False, unit="step", **(where | {"file": where["file"]()}))


def kernel_is_watched() -> bool:
    """Whether we run in a Jupyter kernel for a person, told by the front end's offer to answer `input()`.

    nbclient, nbconvert and nbval make no such offer: what they execute gets no bar, and stores none.
    """
    ipython = sys.modules.get("IPython")
    kernel = getattr(ipython.get_ipython(), "kernel", None) if ipython else None
    return bool(getattr(kernel, "_allow_stdin", False))


class _NoBar:
    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self) -> None:
        pass

    def set_postfix(self, metrics: dict[str, str]) -> None:
        pass


class _CellLine:
    """A file for tqdm that shows the last line written to it under the notebook cell, and nothing in the end.

    An IPython display is updated in its place. At the end it is emptied: `clear_output` would remove it, but
    with it all that the cell has printed. A widget would stay in the saved notebook.
    """

    encoding = "utf-8"

    def __init__(self) -> None:
        from IPython.display import display

        self._handle = display({"text/plain": ""}, raw=True, display_id=True)

    def write(self, text: str) -> None:
        self._handle.update({"text/plain": text.strip()}, raw=True)

    def flush(self) -> None:
        pass
