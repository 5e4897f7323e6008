"""Which of a notebook's figures and printed lines depend on which record of rnnlit/pages/records."""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.book_checks.notebook import Notebook, code_cells


class Cell(NamedTuple):
    """What a code cell does with records, each by its file's name."""

    printed: set[str]
    drawn: set[str]  # in its figure
    sentence: str  # that is printed under the figure; "" where there is none


def _names(node: ast.AST) -> set[str]:
    """The names that an expression reads, but for those that it binds itself, as a comprehension does."""
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
    arguments = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    return {n.id for n in names if isinstance(n.ctx, ast.Load)} - arguments - _stored(node)


def _stored(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _owner(node: ast.AST) -> str:
    """x of x.setdefault(key, []).append(value), or of x[k]."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


class _Page:
    """Follows the records through a page: a name depends on what the right-hand sides before it depend on."""

    def __init__(self) -> None:
        self.holds: dict[str, set[str]] = {}
        self.loads: set[str] = set()  # names of rnnlit.pages.records

    def of(self, node: ast.AST) -> set[str]:
        """The records that an expression depends on."""
        names = _names(node)
        calls = [n for n in ast.walk(node) if isinstance(n, ast.Call) and n.args]
        found = {
            f"{call.args[0].value}.json"
            for call in calls
            if ast.unparse(call.func) in self.loads and isinstance(call.args[0], ast.Constant)
        }
        return found.union(*(self.holds.get(name, set()) for name in names))

    def bind(self, target: ast.AST, value: ast.AST) -> None:
        for name in _stored(target):
            self.holds[name] = self.of(value)
        if not isinstance(target, ast.Name | ast.Tuple | ast.List) and (name := _owner(target)):
            self.holds[name] = self.holds.get(name, set()) | self.of(value)

    def read(self, statements: list[ast.stmt]) -> None:
        """Follow statements in order. A loop's body is read once: what it needs was bound before."""
        for node in statements:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self.bind(target, node.value)
            elif isinstance(node, ast.ImportFrom) and node.module == "rnnlit.pages":
                self.loads |= {f"{n.asname or n.name}.load" for n in node.names if n.name == "records"}
            elif isinstance(node, ast.AugAssign):
                name = _owner(node.target)
                self.holds[name] = self.holds.get(name, set()) | self.of(node.value)
            elif isinstance(node, ast.For):
                self.bind(node.target, node.iter)
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                name = _owner(node.value.func)  # such as x.append(...)
                if name in self.holds:
                    self.holds[name] = self.holds[name] | self.of(node.value)
            for inner in ("body", "orelse", "finalbody"):
                self.read(getattr(node, inner, []))


def cells(notebook: Notebook, figure: str = "figures.finish") -> Iterator[Cell]:
    """Go through the code cells of a page."""
    page = _Page()
    for _, _, source in code_cells(notebook):
        tree = ast.parse(re.sub(r"^([ \t]*)[%!].*$", r"\1pass", source, flags=re.M))
        page.read(tree.body)
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        printed = [page.of(call) for call in calls if ast.unparse(call.func) == "print"]
        ends = [call.args[1] for call in calls if ast.unparse(call.func) == figure and len(call.args) > 1]
        sentence = "".join(end.value for end in ends if isinstance(end, ast.Constant))
        yield Cell(set().union(*printed), page.of(tree) if ends else set(), sentence)
