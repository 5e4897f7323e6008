"""A check of the package: how often the LSTM's new cell state c' = f c + i g is written."""

import ast
from collections.abc import Iterator, Mapping

INPUT = frozenset({"i", "input_gate"})  # names of the gates, and of the state that f keeps
FORGET = frozenset({"f", "forget", "forget_gate"})
STATE = frozenset({"c", "c0", "c_before", "c_prev", "old_c", "cell", "cell_state"})
PRODUCTS = frozenset({"mul", "mul_", "multiply", "addcmul", "addcmul_"})


def cell_updates(sources: Mapping[str, str]) -> list[str]:
    """The functions, as module.function, that multiply the old cell state by f, and something by i.

    These two products no LSTM's step can be without, however the rest is written:  f * c,  f[t] * c[t],
    c *= f,  torch.sigmoid(a_f) * c,  np.multiply(f, c, out=new),  new.addcmul_(s.f, old_c).
    The gradients multiply dc, or three factors; the LSTM of 1997 has no f, that of the article another one.
    """
    found = []
    for module, source in sources.items():
        for name, function in functions(ast.parse(source)):
            both = [one for pair in pairs(function) for one in (pair, pair[::-1])]
            keeps = any(_is_gate(gate, FORGET) and _name(state) in STATE for gate, state in both)
            if keeps and any(_is_gate(gate, INPUT) for gate, _ in both):
                found.append(f"{module}.{name}")
    return sorted(found)


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """The functions of a module and its methods, with names; functions inside belong to the one around."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")


def pairs(function: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """All that is multiplied with each other, by the operator, in place, or by a call."""
    for node in ast.walk(function):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            yield node.left, node.right
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Mult):
            yield node.target, node.value
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            factors = node.args
            if name in ("mul", "mul_") and len(factors) == 1 and isinstance(node.func, ast.Attribute):
                factors = [node.func.value, *factors]
            if name in PRODUCTS and len(factors) > 1:
                yield factors[-2], factors[-1]


def _is_gate(node: ast.expr, names: frozenset[str]) -> bool:
    """Whether it is a gate by one of its names, or sigma(...) of its sum, which may hold a peephole's too."""
    if isinstance(node, ast.Call) and _name(node.func).endswith("sigmoid"):
        inside = {_name(part) for argument in node.args for part in ast.walk(argument)}
        return bool(inside & (names | {f"a_{name}" for name in names}))
    return _name(node) in names


def _name(node: ast.AST) -> str:
    """The name of a variable, an attribute or an item, such as f of f, s.f, f[t] and f_t."""
    while isinstance(node, ast.Subscript):
        node = node.value
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name.removesuffix("_t")
