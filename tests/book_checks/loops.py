"""A check of the tests: assertions in a loop are no test where there may be nothing to loop over."""

import ast
from collections.abc import Iterator

# What may find nothing: calls by their last name, and the operations between sets.
SEEKERS = frozenset(
    {"filter", "findall", "finditer", "glob", "rglob", "iterdir", "intersection", "difference"}
)

ONE_VALUE = frozenset({"next", "len", "max", "min", "sum", "any", "all"})  # what they give is no collection


def _may_be_empty(node: ast.AST, found: dict[str, ast.AST]) -> str:
    """Return the search in an expression, which may find nothing, or ""; `found` has the names of such."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ONE_VALUE:
        return ""
    for part in ast.walk(node):
        if isinstance(part, ast.comprehension) and part.ifs:
            return "a comprehension with a condition"
        if isinstance(part, ast.Call):
            name = part.func.attr if isinstance(part.func, ast.Attribute) else getattr(part.func, "id", "")
            if name in SEEKERS:
                return f"{name}()"
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Sub | ast.BitAnd):
            sides = [
                isinstance(side, ast.Call) and ast.unparse(side.func) == "set"
                for side in (part.left, part.right)
            ]
            if any(sides):
                return "a difference of sets"
        if isinstance(part, ast.Name) and part.id in found:
            return f"{part.id}, from a search"
    return ""


def _asserts(node: ast.AST) -> bool:
    """Whether a statement checks something."""
    return any(
        isinstance(part, ast.Assert)
        or (isinstance(part, ast.Call) and ast.unparse(part.func).rpartition(".")[2].startswith("assert_"))
        for part in ast.walk(node)
    )


def _guarded(function: ast.AST, loop: ast.AST, iterable: ast.AST, found: dict[str, ast.AST]) -> bool:
    """Whether an assertion of the same function, outside the loop, speaks of what is looped over."""
    inside = set(ast.walk(loop))
    checks = [
        part for node in ast.walk(function) if isinstance(node, ast.Assert) for part in ast.walk(node.test)
    ]
    spoken = [part for part in checks if part not in inside]
    sums = {
        part.target.id
        for part in inside
        if isinstance(part, ast.AugAssign) and isinstance(part.target, ast.Name)
    }
    names = sums | {part.id for part in ast.walk(iterable) if isinstance(part, ast.Name) and part.id in found}
    return any(
        (isinstance(part, ast.Name) and part.id in names)
        or (isinstance(part, ast.expr) and ast.dump(part) == ast.dump(iterable))
        for part in spoken
    )


def _loops(function: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Each loop of assertions, and each all(...) that is asserted, with what it goes over."""
    for node in ast.walk(function):
        if isinstance(node, ast.For) and any(map(_asserts, node.body)):
            yield node, node.iter
        if isinstance(node, ast.Assert):
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "all" and call.args:
                    generator = call.args[0]
                    whole = generator if not isinstance(generator, ast.GeneratorExp) else None
                    for part in getattr(generator, "generators", []):
                        whole = part if part.ifs else whole or part.iter
                    if whole is not None:
                        yield call, whole


def _at_every_turn(body: list[ast.stmt]) -> bool:
    """Whether each turn of a loop with this body comes to an assertion."""
    for node in body:
        if isinstance(node, ast.Assert) or (isinstance(node, ast.Expr) and _asserts(node)):
            return True
        inner = [node.body] if isinstance(node, ast.With | ast.For) else []
        if isinstance(node, ast.With) and "raises" in ast.unparse(node.items[0]):
            return True
        if isinstance(node, ast.If):
            if any(isinstance(part, ast.Continue | ast.Break) for part in ast.walk(node)):
                return False
            inner = [node.body, node.orelse]
        if inner and all(map(_at_every_turn, inner)):
            return True
    return False


def idle(name: str, source: str) -> list[str]:
    """Return each loop of assertions that a test may pass without one: over a search, and unguarded."""
    wrong = []
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        found = {
            target.id: node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and _may_be_empty(node.value, {})
        }
        for loop, iterable in _loops(function):
            why = _may_be_empty(iterable, found)
            if isinstance(loop, ast.For) and not _at_every_turn(loop.body):
                why = "turns of which none need check anything"
            if why and not _guarded(function, loop, iterable, found):
                wrong.append(f"{name}: {function.name} loops over {why}, and no assertion counts them")
    return wrong
