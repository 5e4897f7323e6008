"""Checks of the package: who imports torch, and who imports whom."""

import ast
import re
from collections.abc import Mapping, Set


def imports(source: str, module: str = "") -> list[tuple[str, bool]]:
    """Return (dotted name, at import time) of all that a module imports, relative imports resolved.

    `from a import b` counts as a.b, because b may be a module. What stands under TYPE_CHECKING is left out.
    """
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, now: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.orelse:
                visit(child, now)
            return
        if isinstance(node, ast.Import):
            found.extend((alias.name, now) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found.extend((f"{stem}.{alias.name}", now) for alias in node.names)
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, now and not inside)

    visit(ast.parse(source), True)
    return found


def is_torch_module(module: str) -> bool:
    """Tell whether a module of the package may be built on torch."""
    inside = module.startswith(("rnnlit.nn.", "rnnlit.practice."))
    return inside or module in ("rnnlit.nn", "rnnlit.practice") or module.endswith(("_torch", "_triton"))


# Built on kernels of Triton: imported inside functions, as the kernels themselves are.
ON_TRITON = "rnnlit.nn.gpu.lstm"


def needs_triton(module: str) -> bool:
    """Tell whether importing a module of the package imports triton."""
    return module == ON_TRITON or module.endswith("_triton")


def torch_imports(sources: Mapping[str, str]) -> list[str]:
    """Torch is for what `is_torch_module` names; a tool imports it inside a function and says so."""
    wrong = []
    for module, source in sources.items():
        when = [now for name, now in imports(source, module) if name.split(".")[0] == "torch"]
        if not when or is_torch_module(module):
            continue
        says_so = re.search(r"\btorch\b", ast.get_docstring(ast.parse(source)) or "")
        if not module.startswith(("rnnlit.tools.", "rnnlit.tasks.", "rnnlit.pages.")):
            wrong.append(f"{module}: imports torch; only its twin {module}_torch may")
        elif any(when):
            wrong.append(
                f"{module}: imports torch when it is imported; do so inside the function that needs it"
            )
        elif not says_so:
            wrong.append(f"{module}: imports torch, and its docstring does not say so")
    return wrong


def triton_imports(sources: Mapping[str, str]) -> list[str]:
    """Triton, which torch for the CPU lacks, is for `*_triton`; those are imported inside functions."""
    wrong = []
    for module, source in sources.items():
        if module.endswith("_triton"):
            continue
        for name, now in imports(source, module):
            if name.split(".")[0] == "triton":
                wrong.append(f"{module}: imports triton; only a module *_triton may")
            elif now and module != ON_TRITON and any(needs_triton(one) for one in parents(name)):
                wrong.append(f"{module}: imports {name} when it is imported; do so inside a function")
    return wrong


def parents(name: str) -> list[str]:
    """Return a dotted name and all that it begins with: a.b gives a.b and a."""
    parts = name.split(".")
    return [".".join(parts[:k]) for k in range(len(parts), 0, -1)]


LAYERS = ("tools", "tasks", "NumPy", "torch", "nn", "practice", "exercises", "pages")
FOLDERS = {name: LAYERS.index(name) for name in ("tools", "tasks", "nn", "practice", "exercises", "pages")}


# From the ground up; a folder stands for all in it, and rnnlit.nn itself is on top.
INSIDE_NN = (
    {"types", "variants", "fused", "dropin"},
    {"scan"},
    {"gpu"},
    {"direction"},
    {"layer", "cell"},
    {"lstm", "gru", "rnn", "stepwise"},
    {"bidirectional", "decoder"},
    {"seq2seq"},
)


def floor(module: str) -> int:
    """Return how far up a module of rnnlit.nn stands in it, as an index of INSIDE_NN."""
    if module == "rnnlit.nn":
        return len(INSIDE_NN)
    name = module.split(".")[2]
    floors = [number for number, names in enumerate(INSIDE_NN) if name in names]
    if not floors:
        raise KeyError(f"{module}: not in INSIDE_NN of tests/book_checks/package.py")
    return floors[0]


def layer(module: str) -> int:
    """Return how far up a module stands, as an index of LAYERS: a folder's own, NumPy, or *_torch."""
    if module == "rnnlit":
        return 0
    folder = module.split(".")[1]
    return FOLDERS.get(folder, LAYERS.index("torch" if module.endswith("_torch") else "NumPy"))


def edges(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Return which module of the package imports which, `__init__` files under their folder's name."""

    def target(name: str) -> str | None:
        while name and name not in sources:
            name = name.rpartition(".")[0]
        return name or None

    return {
        module: {to for name, _ in imports(source, module) if (to := target(name)) and to != module}
        for module, source in sources.items()
    }


def kin(module: str, other: str) -> bool:
    """Tell whether one of two twins is a variant of the other: lstm_1997_torch of lstm_torch."""
    one, two = module.removesuffix("_torch") + "_", other.removesuffix("_torch") + "_"
    return one.startswith(two) or two.startswith(one)


def import_direction(sources: Mapping[str, str]) -> list[str]:
    """Imports go down, from pages to tools in the order of LAYERS; twins never meet; no circles."""
    graph = edges(sources)
    wrong = []
    for module, targets in graph.items():
        for to in sorted(targets):
            if layer(to) > layer(module):
                wrong.append(
                    f"{module} ({LAYERS[layer(module)]}) imports {to} ({LAYERS[layer(to)]}): that is up"
                )
            inside = layer(module) == layer(to) == LAYERS.index("nn")
            if inside and floor(to) > floor(module):
                wrong.append(f"{module} imports {to}: that is up, inside rnnlit.nn")
            twins = layer(module) == layer(to) == LAYERS.index("torch")
            if twins and not kin(module, to):
                wrong.append(f"{module} imports {to}: twins share a module under them, not each other")
    return wrong + circles(graph)


def circles(graph: Mapping[str, Set[str]]) -> list[str]:
    """Return a line for each circle that a walk along the imports runs into."""
    wrong: list[str] = []
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> None:
        if module in path:
            wrong.append("a circle of imports: " + " -> ".join([*path[path.index(module) :], module]))
        elif module not in done:
            for to in sorted(graph.get(module, ())):
                walk(to, [*path, module])
            done.add(module)

    for module in sorted(graph):
        walk(module, [])
    return wrong
