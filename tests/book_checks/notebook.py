"""Checks of one notebook, given as its JSON."""

import ast
import re
from collections.abc import Mapping
from typing import Any

TAGS = frozenset(
    {
        *("remove-input", "hide-input", "hide-output", "hide-cell"),
        *("nbval-ignore-output", "raises-exception"),
        *("exercise", "solution"),
    }
)
ANSWERS = {
    "exercise": "Not tried yet: ",
    "solution": "Right: ",
}  # what a check prints in a cell with this tag
LONGEST_CELL = 15  # lines
SHORTEST_SENTENCE = 10  # characters

Notebook = Mapping[str, Any]


def code_cells(notebook: Notebook) -> list[tuple[int, Mapping[str, Any], str]]:
    """Return (number from 1, cell, source) of each code cell."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [(number, cell, "".join(cell["source"])) for number, cell in enumerate(cells, 1)]


def tags(cell: Mapping[str, Any]) -> list[str]:
    """Return a cell's tags."""
    return list(cell.get("metadata", {}).get("tags", []))


def unrun(notebook: Notebook) -> list[str]:
    """Every code cell has been run, from top to bottom: nbval compares nothing for a cell without a count."""
    return [
        f"code cell {number} has count {cell['execution_count']}"
        for number, cell, _ in code_cells(notebook)
        if cell["execution_count"] != number
    ]


def stored_errors(notebook: Notebook) -> list[str]:
    """An error is stored only under the tag raises-exception, and that tag stands only where one is."""
    wrong = []
    for number, cell, _ in code_cells(notebook):
        failed = any(output["output_type"] == "error" for output in cell["outputs"])
        allowed = "raises-exception" in tags(cell)
        if failed and not allowed:
            wrong.append(f"code cell {number} stores an error without the tag raises-exception")
        if allowed and not failed:
            wrong.append(f"code cell {number} has the tag raises-exception and stores no error")
    return wrong


def stored_stderr(notebook: Notebook) -> list[str]:
    """No cell wrote to stderr: warnings hold paths and process numbers, and a page has none."""
    return [
        f"code cell {number} stores stderr: {''.join(output['text'])[:80]!r}"
        for number, cell, _ in code_cells(notebook)
        for output in cell["outputs"]
        if output.get("name") == "stderr"
    ]


def foreign_tags(notebook: Notebook) -> list[str]:
    """Tags come from TAGS; nothing is skipped, whether by a tag or by nbval's comments."""
    wrong = [
        f"cell {number} has the tag {tag!r}"
        for number, cell in enumerate(notebook["cells"], 1)
        for tag in tags(cell)
        if tag not in TAGS
    ]
    wrong += [
        f"code cell {number} steers nbval by a comment; only tags do that"
        for number, _, source in code_cells(notebook)
        if re.search(r"#\s*(NBVAL|PYTEST_VALIDATE)_", source, flags=re.I)
    ]
    return wrong


def long_cells(notebook: Notebook, longest: int = LONGEST_CELL) -> list[str]:
    """A code cell has something in it, and at most 15 lines."""
    wrong = []
    for number, _, source in code_cells(notebook):
        lines = len(source.splitlines())
        if lines > longest:
            wrong.append(f"code cell {number} has {lines} lines")
        if not source.strip():
            wrong.append(f"code cell {number} is empty")
    return wrong


def defined(source: str) -> list[str]:
    """Return the names that a cell defines with `def` or `class`, at any depth, whatever else is in it."""
    try:
        tree = ast.parse(re.sub(r"^\s*[%!].*$", "pass", source, flags=re.M))
    except SyntaxError:
        return re.findall(r"^\s*(?:async\s+)?(?:def|class)\s+(\w+)", source, flags=re.M)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node.name for node in ast.walk(tree) if isinstance(node, kinds)]


def definitions(notebook: Notebook, allowed: Mapping[str, str]) -> list[str]:
    """A page defines only what is wrong on purpose: `allowed` (name: reason), and the prose above says so.

    What a reader is to write, and its solution, have tags of their own (`unanswered`).
    """
    wrong, seen, above = [], set(), ""
    number = 0
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            above = source
        if cell["cell_type"] != "code":
            continue
        number += 1
        if set(tags(cell)) & set(ANSWERS):
            continue
        for name in defined(source):
            seen.add(name)
            if name not in allowed:
                wrong.append(f"code cell {number} defines {name}; the package should own it")
            elif "on purpose" not in above:
                wrong.append(
                    f'code cell {number} defines {name}; the text above lacks the words "on purpose"'
                )
    wrong += [
        f"{name} is allowed on the page, which does not define it" for name in allowed if name not in seen
    ]
    return wrong


def printed(cell: Mapping[str, Any]) -> str:
    """Return what a cell has printed."""
    return "".join("".join(output["text"]) for output in cell["outputs"] if output.get("name") == "stdout")


def unanswered(notebook: Notebook) -> list[str]:
    """A cell for the reader holds a check that says "Not tried yet", its solution one that says "Right"."""
    wrong = []
    for number, cell, source in code_cells(notebook):
        for tag in set(tags(cell)) & set(ANSWERS):
            if not re.search(r"^[\w.]+\.check\(.*\)", source, flags=re.M | re.S):
                wrong.append(f"code cell {number} is tagged {tag} and calls no check")
            elif not printed(cell).startswith(ANSWERS[tag]):
                said = printed(cell)[:40]
                wrong.append(f"code cell {number} is tagged {tag} and prints {said!r}, not {ANSWERS[tag]!r}")
    return wrong


def predictions(notebook: Notebook) -> list[str]:
    """A folded output answers a question: the text above it asks one, and the cell has something to say."""
    wrong, above, number = [], "", 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            above = "".join(cell["source"])
            continue
        number += 1
        if "hide-output" in tags(cell):
            if "?" not in above:
                wrong.append(f"code cell {number} folds its output, and the text above asks nothing")
            if not cell["outputs"]:
                wrong.append(f"code cell {number} folds an output that is not there")
    return wrong


def is_image(output: Mapping[str, Any]) -> bool:
    """Tell whether an output shows a picture."""
    return any(kind.startswith("image/") for kind in output.get("data", {}))


def is_sentence(output: Mapping[str, Any] | None) -> bool:
    """Tell whether an output is printed text whose first line is a sentence."""
    if output is None or output.get("name") != "stdout":
        return False
    first = "".join(output["text"]).strip().partition("\n")[0].rstrip()
    return len(first) >= SHORTEST_SENTENCE and first[0].isupper() and first.endswith((".", "!", "?"))


def unspoken_figures(notebook: Notebook) -> list[str]:
    """Under each plot stands one printed sentence: the site makes it the alternative text."""
    wrong = []
    for number, cell, _ in code_cells(notebook):
        outputs = cell["outputs"]
        for place, output in enumerate(outputs, 1):
            if is_image(output) and not is_sentence(outputs[place] if place < len(outputs) else None):
                wrong.append(f"code cell {number} shows a figure and prints no sentence under it")
    return wrong


def missing_figures(notebook: Notebook) -> list[str]:
    """A cell that says it shows a figure stores its picture."""
    return [
        f"code cell {number} names a figure and stores no picture"
        for number, cell, _ in code_cells(notebook)
        for output in cell["outputs"]
        if "<Figure size" in "".join(output.get("data", {}).get("text/plain", "")) and not is_image(output)
    ]


def volatile(notebook: Notebook) -> list[str]:
    """No times, no widgets, no scripts: what differs at each run or needs a server."""
    wrong = ["the notebook stores the state of widgets"] if "widgets" in notebook.get("metadata", {}) else []
    for number, cell, _ in code_cells(notebook):
        if {"execution", "ExecuteTime"} & set(cell.get("metadata", {})):
            wrong.append(f"code cell {number} stores when it ran")
        for output in cell["outputs"]:
            for kind in output.get("data", {}):
                if "widget" in kind or "javascript" in kind or "vnd.plotly" in kind:
                    wrong.append(f"code cell {number} stores {kind}")
    return wrong


def prose(notebook: Notebook) -> str:
    """Return the Markdown of a notebook."""
    return "\n\n".join(
        "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"
    )
