"""Nothing that a reader runs, or the build, runs code that came with data; and no failure is let through."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("rnnlit", "book", "scripts", "benchmarks", "examples")
UNPICKLE = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
COMMAND = re.compile(r"^( *)[%!].*$", re.MULTILINE)  # of Jupyter's own, in a cell
HIDES_FAILURES = re.compile(r"allow_errors['\"]?\s*[=:]\s*['\"]?(?:true|yes|on)\b", re.IGNORECASE)


def unsafe(code: str) -> Iterator[str]:
    """Yield what in a program would run code that stands in a file of data."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in UNPICKLE)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNPICKLE:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            options = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if options.get("allow_pickle", "False") != "False":
                yield f"{name}(allow_pickle=...)"
            if name == "torch.load" and options.get("weights_only") != "True":
                yield name
            if name in ("yaml.load", "yaml.unsafe_load", "pd.read_pickle"):
                yield name


def programs() -> Iterator[tuple[str, str]]:
    """Yield each program of the repository, a cell of a notebook too, with its place."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        for path in sorted((ROOT / folder).rglob("*.ipynb")):
            if ".ipynb_checkpoints" in path.parts:
                continue
            for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
                if cell["cell_type"] == "code":
                    code = COMMAND.sub(r"\1pass", "".join(cell["source"]))
                    yield f"{path.relative_to(ROOT)}, cell {number}", code


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "yaml.load(text)",
    ],
)
def test_what_unpickles_is_recognised(code: str) -> None:
    assert len(list(unsafe(code))) == 1


def test_nothing_unpickles() -> None:
    assert [(place, what) for place, code in programs() for what in unsafe(code)] == []


def test_no_failure_of_a_cell_is_let_through() -> None:
    assert HIDES_FAILURES.search("  allow_errors: true") and HIDES_FAILURES.search(
        "NotebookClient(x, allow_errors=True)"
    )
    files = [
        ROOT / "_config.yml",
        ROOT / "pyproject.toml",
        ROOT / "conftest.py",
        *(ROOT / "scripts").glob("*"),
    ]
    texts = [(path.name, path.read_text(encoding="utf-8")) for path in files if path.is_file()]
    assert [name for name, text in texts if HIDES_FAILURES.search(text)] == []
