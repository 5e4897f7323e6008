"""Runs the cells of a page in the reader's browser, where Python is there and torch is not.

A cell gives outputs in order, each a dictionary with its `kind`:

    text    `text`, printed to `stream`, "stdout" or "stderr"
    image   `data`, a PNG in base64, and its `width` and `height` on the page, in pixels
    result  `text`, the repr of the last line's value
    table   `rows` of cells, the first its head, where that value is a table in Markdown
    error   `name`, `value` and `text`, the traceback from the cell on

The worker of the site, book/_static/live/worker.mjs, calls this; the tests call it too, with no browser.
"""

from __future__ import annotations

import ast
import base64
import builtins
import functools
import io
import linecache
import sys
import time
import traceback
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import numpy as np

Emit = Callable[[dict[str, Any]], None]

# Packages that the browser's Python does not have.
ELSEWHERE = ("torch", "safetensors", "accelerate", "sacrebleu")
DONE, FAILED, NEEDS_TORCH = "done", "failed", "needs torch"
CHANGEABLE = (list, dict, set, np.ndarray)
INNER = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)  # these have names of their own
LINES = (ast.stmt, ast.excepthandler, ast.match_case)
MOST = 100_000  # characters that one cell may print; an endless loop would else fill the page's memory
PAUSE = 0.1  # seconds between two pieces of what a cell prints


class NeedsTorch(BaseException):
    """A cell uses what torch would have given. Not an Exception, which a cell or a check might catch."""


class Absent:
    """Stands for what torch would have given."""

    def __getattr__(self, name: str) -> Any:
        raise NeedsTorch

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        raise NeedsTorch


class Page:
    """The names of one page, and the cells that have run."""

    def __init__(self, emit: Emit) -> None:
        """Start with no names; `emit` takes each output when it is there."""
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.outputs = Outputs(emit)
        self.runs = 0
        self.log: list[tuple[int, str]] = []  # number and source of each cell that has run, in that order

    def run(self, source: str, number: int) -> str:
        """Run one cell: DONE, FAILED or NEEDS_TORCH. `number` is its place on the page, the first being 1."""
        global _outputs
        self.runs += 1
        file = f"<cell {number}, run {self.runs}>"
        # Where inspect finds the source of a reader's function: the exercises read it.
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        _outputs = outputs = self.outputs
        outputs.begin()
        with redirect_stdout(outputs.stream("stdout")), redirect_stderr(outputs.stream("stderr")):
            try:
                outcome = self._run(source, file)
                show_figures(sent=outcome == DONE)
            except BaseException as error:  # SystemExit too: the page goes on
                outputs.send({"kind": "error", **described(error, file)})
                show_figures(sent=False)
                outcome = FAILED
        outputs.flush()
        self.log.append((number, source))
        return outcome

    def before(self, sources: Sequence[str], number: int) -> list[int]:
        """The cells that have to run before one, so that it finds what it would find in a run from the top.

        sources: all cells as they are now.  Cells that it doesn't depend on are left out, and so are those
        that have run, unchanged and in order, with none since that binds one of their names otherwise.
        """
        wanted, names = needed(sources, number - 1)
        cells = [place + 1 for place in wanted]
        last = {entry: when for when, entry in enumerate(self.log)}
        others = [k for k, (n, text) in enumerate(self.log) if n not in cells and names & bindings(text)]
        since = others[-1] if others else -1
        for place, cell in enumerate(cells):
            when = last.get((cell, sources[cell - 1]), -1)
            shared = touches(sources[cell - 1]) & names
            if when < 0 or (shared and when < since):
                return cells[place:]
            if shared:
                since = when
        return []

    def _run(self, source: str, file: str) -> str:
        statements = list(single_imports(ast.parse(source, file)))
        value = None
        for place, statement in enumerate(statements):
            try:
                value = self._execute(statement, file)
            except BaseException as error:
                if not lacks_torch(error):
                    raise
                if not isinstance(statement, ast.Import | ast.ImportFrom):
                    self._give_up(statements[place:])
                    return NEEDS_TORCH
                self._give_up([statement])
        if value is not None and not source.rstrip().endswith(";"):
            rows = table(value)
            self.outputs.send(
                {"kind": "table", "rows": rows} if rows else {"kind": "result", "text": repr(value)}
            )
        return DONE

    def _give_up(self, statements: list[ast.stmt]) -> None:
        """Take from the page what statements that can't run would bind or change."""
        gone = bound(statements)
        for name, how in used(statements):
            value = self.names.get(name)
            if isinstance(value, np.random.Generator) or (how == "changed" and isinstance(value, CHANGEABLE)):
                gone.add(name)
        self.names.update(dict.fromkeys(gone, Absent()))

    def _execute(self, statement: ast.stmt, file: str) -> Any:
        """Execute one statement; the value of an expression, else None."""
        if any(isinstance(self.names.get(name), Absent) for name, _ in used([statement])):
            raise NeedsTorch
        if isinstance(statement, ast.Expr):
            return eval(compile(ast.Expression(statement.value), file, "eval"), self.names)
        exec(compile(ast.Module([statement], []), file, "exec"), self.names)
        return None


class Outputs:
    """What a cell gives, in order; what it prints in pieces, not each word by itself, and not without end."""

    def __init__(self, emit: Emit) -> None:
        self.emit = emit
        self.begin()

    def begin(self) -> None:
        """A cell begins."""
        self.pieces: list[str] = []
        self.name = "stdout"
        self.left = MOST
        self.last = time.monotonic()

    def stream(self, name: str) -> io.TextIOBase:
        """A file to print to."""
        return _Stream(self, name)

    def write(self, name: str, text: str) -> None:
        """Keep the text, and send what there is when enough time has passed."""
        if name != self.name:
            self.flush()
            self.name = name
        if len(text) > self.left:
            rest = f"\n[more than {MOST:,} characters: the rest is not shown]\n"
            text = text[: self.left] + rest if self.left >= 0 else ""
            self.left = -1
        else:
            self.left -= len(text)
        self.pieces.append(text)
        if time.monotonic() - self.last > PAUSE:
            self.flush()

    def flush(self) -> None:
        """Send what was printed."""
        text = "".join(self.pieces)
        self.pieces.clear()
        if text:
            self.emit({"kind": "text", "stream": self.name, "text": text})
            self.last = time.monotonic()

    def send(self, output: dict[str, Any]) -> None:
        """Send an output, after all that was printed before it."""
        self.flush()
        self.emit(output)


class _Stream(io.TextIOBase):
    def __init__(self, outputs: Outputs, name: str) -> None:
        self.outputs, self.name = outputs, name

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.outputs.write(self.name, text)
        return len(text)


_outputs: Outputs | None = None  # of the cell that runs


def show_figures(*, sent: bool = True) -> None:
    """Send each open figure as a PNG of twice the size on the page, and close it; sent=False closes only."""
    if "matplotlib.pyplot" not in sys.modules:
        return
    import matplotlib.pyplot as plt

    for number in plt.get_fignums():
        figure, file = plt.figure(number), io.BytesIO()
        if sent and _outputs is not None:
            figure.savefig(file, format="png", dpi=2 * figure.dpi, bbox_inches="tight", pad_inches=0.05)
            png = file.getvalue()
            width, height = (int.from_bytes(png[k : k + 4]) // 2 for k in (16, 20))  # in its first chunk
            data = base64.b64encode(png).decode()
            _outputs.send({"kind": "image", "data": data, "width": width, "height": height})
        plt.close(figure)


def table(value: Any) -> list[list[str]]:
    """The rows of a value that is a table in Markdown; none for another value."""
    text = value._repr_markdown_() if hasattr(value, "_repr_markdown_") else ""
    lines = text.strip().splitlines()
    if not all(line.startswith("|") for line in lines):
        return []
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if not set("".join(row)) <= set("-:")]


class Markdown:
    """Text in Markdown, as `IPython.display.Markdown`."""

    def __init__(self, data: str) -> None:
        self.data = data

    def _repr_markdown_(self) -> str:
        return self.data


def stand_in_for_ipython() -> None:
    """Let a page import the one part of IPython that pages use."""
    ipython, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    content = {"display": display, "get_ipython": lambda: None, "version_info": (9, 0)}  # as matplotlib asks
    ipython.__dict__.update(content)
    display.__dict__["Markdown"] = Markdown
    sys.modules.update({"IPython": ipython, "IPython.display": display})


def narrowed(function: Callable[..., Any], pointer: Any = np.intp) -> Callable[..., Any]:
    """The function, with arguments of int64 as integers of a pointer's size, `pointer`."""

    def fits(value: Any) -> Any:
        return value.astype(pointer) if getattr(value, "dtype", None) == np.int64 else value

    @functools.wraps(function)
    def narrow(*arguments: Any, **keywords: Any) -> Any:
        return function(*map(fits, arguments), **{name: fits(value) for name, value in keywords.items()})

    return narrow


def count_with_long_integers() -> None:
    """Let `np.bincount` take int64 in the browser too, where NumPy counts in 32 bits and refuses it."""
    if np.dtype(np.intp).itemsize < 8:
        np.bincount = narrowed(np.bincount)


def root(module: str | None) -> str:
    """The package of a module's full name."""
    return (module or "").partition(".")[0]


def single_imports(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements of a cell, an import of several names as several imports: some may be there."""
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            for name in statement.names:
                yield ast.copy_location(ast.Import([name]), statement)
        elif isinstance(statement, ast.ImportFrom):
            for name in statement.names:
                one = ast.ImportFrom(statement.module, [name], statement.level)
                yield ast.copy_location(one, statement)
        else:
            yield statement


def bound(statements: Iterable[ast.AST]) -> set[str]:
    """The names that statements bind, those inside functions and comprehensions aside."""
    names: set[str] = set()
    waiting: list[ast.AST] = list(statements)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or root(node.name))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif not isinstance(node, INNER):
            waiting += ast.iter_child_nodes(node)
    return names


def used(statements: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """The names that statements take from before them, each "read", or "changed": `a[0] = 1`, `a.append(1)`.

    A name is no longer from before below a line that binds it.
    """
    done: set[str] = set()
    for part in parts(statements):
        nodes = [node for top in part for node in ast.walk(top)]
        around = {child: node for node in nodes for child in ast.iter_child_nodes(node)}
        inner = {node.arg for node in nodes if isinstance(node, ast.arg)}
        inner |= bound([node for top in part for node in inside(top)])
        for node in nodes:
            outer = around.get(node)
            added = isinstance(outer, ast.AugAssign) and node is outer.target
            if not isinstance(node, ast.Name) or not (added or isinstance(node.ctx, ast.Load)):
                continue
            if node.id not in inner | done:
                called = isinstance(outer, ast.Attribute) and isinstance(around.get(outer), ast.Call)
                stored = isinstance(getattr(outer, "ctx", None), ast.Store)
                yield node.id, "changed" if added or called or stored else "read"
        done |= bound(part)


def imported(sources: Iterable[str]) -> set[str]:
    """The names that imports bind."""
    nodes = [node for source in sources for node in ast.walk(parsed(source))]
    return bound([node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)])


def parsed(source: str) -> ast.Module:
    """A cell's statements; none while it can't be read."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module([], [])


def bindings(source: str) -> set[str]:
    """The names that a cell binds."""
    return bound(parsed(source).body)


def touches(source: str) -> set[str]:
    """The names that a cell takes from before it or binds."""
    return {name for name, _ in used(parsed(source).body)} | bindings(source)


def needed(sources: Sequence[str], place: int) -> tuple[list[int], set[str]]:
    """The places of the cells before one that it depends on, in order, and the names that pass between them.

    A cell that only reads a name may have changed what it stands for: optimisers change weights, drawing
    changes a generator. So whatever touches a needed name is needed; a cell that binds it anew ends the
    search for it. Imports are needed where they bind a name, and change nothing.
    """
    modules = imported(sources[:place])
    shared = modules | set(dir(builtins))
    wanted = {name for name, _ in used(parsed(sources[place]).body)}
    names, found = wanted - shared, []
    for k in reversed(range(place)):
        takes = {name for name, _ in used(parsed(sources[k]).body)}
        binds = bindings(sources[k])
        if (takes | binds) & (wanted - shared) or binds & wanted & modules:
            found.append(k)
            wanted = (wanted - (binds - takes)) | takes
            names |= wanted - shared
    return found[::-1], names


def parts(nodes: Iterable[ast.AST]) -> Iterator[list[ast.AST]]:
    """Statements in the order of their lines, each without those inside it: a loop's head, then its body."""
    for node in nodes:
        if isinstance(node, INNER):
            yield [node]
            continue
        children = list(ast.iter_child_nodes(node))
        lines = [child for child in children if isinstance(child, LINES)]
        if isinstance(node, ast.stmt) and not lines:
            yield [node]
        else:
            yield [child for child in children if child not in lines]
            yield from parts(lines)


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """What stands inside the functions and comprehensions of a statement, where names are their own."""
    for child in ast.walk(node):
        if isinstance(child, INNER):
            yield from ast.iter_child_nodes(child)


def lacks_torch(error: BaseException | None) -> bool:
    """Whether an error comes from a package that the browser does not have."""
    while error is not None:
        if isinstance(error, NeedsTorch):
            return True
        if isinstance(error, ModuleNotFoundError) and root(error.name) in ELSEWHERE:
            return True
        error = error.__cause__
    return False


def described(error: BaseException, file: str) -> dict[str, str]:
    """An error's name, its value, and its traceback from the cell on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != file:
        trace = trace.tb_next
    lines = traceback.format_exception(type(error), error, trace)
    return {"name": type(error).__name__, "value": str(error), "text": "".join(lines)}
