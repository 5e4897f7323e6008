"""Sphinx extension `live_pages`: a bar on each notebook's page, by which its cells run in the browser.

The scripts stand in `_static/live/`. Python itself and the book's package are put into `_static/pyodide/`
here, after the build. Python comes from a folder that `make live` has filled; without it the bar says so,
and the site is otherwise the same.

Whether a page can run is read off its imports: what needs torch can't. A page most of whose cells need it
gets no button; its bar leads to Binder and Colab. How long a page runs is what benchmarks/live_pages.py has
measured.
"""

from __future__ import annotations

import ast
import hashlib
import html
import io
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.fileutil import copy_asset_file

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from rnnlit.pages import live  # noqa: E402
from scripts import pyodide  # noqa: E402

PACKAGE = ROOT / "rnnlit"
LIVE = ROOT / "book" / "_static" / "live"
TIMES = ROOT / "book" / "data" / "live_pages.json"
WORTH_SAYING = 10  # seconds
BACKEND = "rnnlit_canvas.py"  # matplotlib's, which the worker names
FIRST = re.compile(r'<div class="cell |<section ')
# Functions that need torch or what comes with it when they are called, of modules that don't.
LOADS_TORCH = {"records.beside", "weights.load"}
GENERATOR, CONTAINER = "generator", "container"
CONTAINERS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
MAKES_CONTAINER = {"list", "dict", "set", "array", "zeros", "ones", "empty", "full"}
UNSHOWN = {"remove-input", "remove-cell"}  # the site doesn't have the code of these cells


# ---------------------------------------------------------------- what a page needs


def code_cells(notebook: Path) -> list[str]:
    """Return the sources of the cells whose code the page shows, in order."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    shown = (cell for cell in cells if not UNSHOWN & set(cell["metadata"].get("tags", [])))
    return ["".join(cell["source"]) for cell in shown if cell["cell_type"] == "code"]


def top_imports(nodes: list[Any]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that run with the module: none in functions, none for type checkers alone."""
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from top_imports(node.orelse)
        elif not isinstance(node, live.INNER):
            yield from top_imports(list(ast.iter_child_nodes(node)))


def modules(statement: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Yield the full names of the modules that an import may load, parents included."""
    names = [alias.name for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        names = [f"{statement.module}.{name}" for name in names]
    for name in names:
        steps = name.split(".")
        yield from (".".join(steps[: k + 1]) for k in range(len(steps)))


def source_of(module: str) -> Path | None:
    """Return the file of a module of the package; None for a name that is none."""
    path = ROOT.joinpath(*module.split("."))
    files = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in files if PACKAGE in file.parents and file.is_file()), None)


@cache
def needs_torch(module: str) -> bool:
    """Tell whether to import a module is to import torch."""
    if live.root(module) in live.ELSEWHERE:
        return True
    file = source_of(module)
    if file is None:
        return needs_torch(home) if (home := home_of(module)) else False
    found = top_imports(ast.parse(file.read_text(encoding="utf-8")).body)
    return any(needs_torch(name) for one in found for name in modules(one) if not module.startswith(name))


@cache
def home_of(name: str) -> str:
    """Return the module that a package imports a name from when it is asked for; "" if it is no such name.

    The package says so to type checkers.
    """
    package, _, last = name.rpartition(".")
    file = source_of(package) if package else None
    if file is None or file.name != "__init__.py":
        return ""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for one in node.body:
                if isinstance(one, ast.ImportFrom) and last in {alias.name for alias in one.names}:
                    return one.module or ""
    return ""


def draws(sources: list[str]) -> bool:
    """Tell whether a page uses matplotlib, or a module of the package that does."""
    found = top_imports([ast.parse(source) for source in sources])
    names = {name for one in found for name in modules(one)}
    files = [file for file in map(source_of, names) if file is not None]
    return "matplotlib" in names or any("import matplotlib" in file.read_text("utf-8") for file in files)


def loads_torch(statement: ast.stmt) -> bool:
    """Tell whether a statement names a function that imports torch when it is called."""
    return any(isinstance(n, ast.Attribute) and ast.unparse(n) in LOADS_TORCH for n in ast.walk(statement))


def torch_cells(sources: list[str]) -> list[int]:
    """Return the places of the cells that need torch, the first cell being 0, as far as the names tell."""
    return list(torch_lines(sources))


def torch_lines(sources: list[str]) -> dict[int, int]:
    """Return of each cell that needs torch, by its place, the first line, counted from 0, that does.

    It does what `live.Page` does, the kinds of values read off the code: a cell runs up to this line, and the
    rest takes from the page what it would bind or change.
    """
    gone: set[str] = set()
    kinds: dict[str, str] = {}
    found = {}
    for place, source in enumerate(sources):
        statements = list(live.single_imports(ast.parse(source)))
        for line, statement in enumerate(statements):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                absent = any(map(needs_torch, modules(statement)))
                gone = gone | live.bound([statement]) if absent else gone - live.bound([statement])
            elif any(name in gone for name, _ in live.used([statement])) or loads_torch(statement):
                rest = statements[line:]
                gone |= live.bound(rest)
                for name, how in live.used(rest):
                    if kinds.get(name) == GENERATOR or (how == "changed" and name in kinds):
                        gone.add(name)
                decorators = getattr(statement, "decorator_list", [])  # which stand above it
                found[place] = min(node.lineno for node in [statement, *decorators]) - 1
                break
            else:
                bound = live.bound([statement])
                gone -= bound
                kinds = {name: kind for name, kind in kinds.items() if name not in bound} | kinds_of(
                    statement
                )
    return found


def kinds_of(statement: ast.stmt) -> dict[str, str]:
    """Return the kind of each name that a statement binds to a generator of random numbers or a container."""
    found = {}
    for node in ast.walk(statement):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                both = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                pairs = zip(target.elts, node.value.elts, strict=False) if both else [(target, node.value)]
                found |= {ast.unparse(to): kind for to, value in pairs if (kind := kind_of(value))}
    return found


def kind_of(value: ast.expr) -> str:
    """Return what an expression makes, a GENERATOR or a CONTAINER; "" for all else."""
    if isinstance(value, CONTAINERS):
        return CONTAINER
    called = ast.unparse(value.func).rpartition(".")[2] if isinstance(value, ast.Call) else ""
    return GENERATOR if called == "default_rng" else CONTAINER if called in MAKES_CONTAINER else ""


# ---------------------------------------------------------------- the bar


def outside(links: dict[str, str]) -> str:
    """Return links to the services that run the page with torch."""
    return " or ".join(f'<a href="{html.escape(url)}">{name}</a>' for name, url in links.items())


def duration(seconds: float) -> str:
    """Return a time as one says it."""
    if seconds < 90:
        return f"{max(round(seconds, -1), WORTH_SAYING):.0f} s"
    return f"{max(round(seconds / 60), 2)} minutes"


def times_said(name: str) -> str:
    """Return what the bar of a page says of the time that its cells take, by the page's name below book/."""
    pages = json.loads(TIMES.read_text(encoding="utf-8"))["pages"] if TIMES.is_file() else {}
    found = pages.get(name, {"run": 0, "slow": {}})
    if found["run"] < WORTH_SAYING:
        return ""
    slow = {cell: seconds for cell, seconds in found["slow"].items() if seconds >= WORTH_SAYING}
    alone = ", ".join(f"cell {cell} alone {duration(seconds)}" for cell, seconds in slow.items())
    return f" All cells take about {duration(found['run'])}{', ' + alone if alone else ''}."


def bar(
    sources: list[str], folder: str, top: str, links: dict[str, str], megabytes: int, times: str = ""
) -> str:
    """Return the HTML of the bar.

    sources: of the page's cells.  folder: of its notebook, from the top of the repository.  top: how the
    page's address leads to the site's top, such as "../".  links: addresses of the page elsewhere, by name.
    megabytes: what a browser loads, once; 0 if the site was built without.  times: what is said of the time
    that the cells take.
    """
    there = outside(links)
    torch = torch_cells(sources)
    if 2 * len(torch) > len(sources):
        text = f"This page computes with PyTorch, which doesn’t run in a browser. You can run it on {there}."
        return f'<div class="rl-live"><p>{text}</p></div>\n'
    if not megabytes:
        text = (
            "This copy of the site was built without the Python that runs in a page (<code>make live</code> "
            f"fetches it). You can run this page on {there}."
        )
        return f'<div class="rl-live"><p>{text}</p></div>\n'
    rest = ""
    if torch:
        rest = f" Cells that need PyTorch keep the results that stand here; those too run on {there}."
    version = hashlib.sha256((LIVE / "worker.mjs").read_bytes()).hexdigest()[:8]
    packages = "numpy matplotlib" if draws(sources) else "numpy"
    data = {
        "worker": f"{top}_static/live/worker.mjs?v={version}",
        "python": f"{top}_static/pyodide/",
        "packages": packages,
        "folder": folder,
    }
    attributes = " ".join(f'data-{name}="{html.escape(value)}"' for name, value in data.items())
    return (
        f'<div class="rl-live" {attributes} hidden>\n'
        f'<p class="rl-live-note">Python runs in your browser: {megabytes} MB to load, once.{times} '
        f"You can change the code; Shift+Enter runs a cell.{rest}</p>\n</div>\n"
    )


def launch_links(context: dict[str, Any]) -> dict[str, str]:
    """Return the addresses in the theme's launch menu, by name."""
    groups = [button.get("buttons", []) for button in context.get("header_buttons", [])]
    buttons = [button for group in groups for button in group]
    return {b["text"]: b["url"] for b in buttons if b.get("text") in ("Binder", "Colab")}


def add_bar(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Put the bar on a notebook's page, before its first cell or section, and load what it needs."""
    if doctree is None or not context.get("body") or app.env.doc2path(page)[-6:] != ".ipynb":
        return
    notebook = Path(app.env.doc2path(page))
    sources = code_cells(notebook)
    if not sources:
        return
    start = context["body"].find("</h1>")
    place = FIRST.search(context["body"], start)
    if start < 0 or place is None:
        return
    folder = notebook.parent.relative_to(app.srcdir).as_posix()
    top = context["pathto"]("", resource=True).rstrip("#/")
    links, times = launch_links(context), times_said(page.removeprefix("book/"))
    markup = bar(sources, folder, f"{top}/" if top else "", links, app.config.live_megabytes, times)
    at = place.start()
    context["body"] = context["body"][:at] + markup + context["body"][at:]
    app.add_css_file("live/live.css")
    if "data-worker" in markup:  # else there is nothing to run
        app.add_js_file("live/live.js", loading_method="defer")


# ---------------------------------------------------------------- the files


def files_of_package() -> list[Path]:
    """Return the files of the package but for the weights that torch alone reads."""
    torch_alone = PACKAGE / "practice" / "weights"
    return [
        path
        for path in sorted(PACKAGE.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and torch_alone not in path.parents
    ]


def archive() -> bytes:
    """Return a zip of the package, which holds all that pages read; the same files, the same bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written:
        names = {path.relative_to(ROOT).as_posix(): path for path in files_of_package()}
        names[BACKEND] = LIVE / BACKEND
        for name, path in sorted(names.items()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            written.writestr(info, path.read_bytes())
    return file.getvalue()


def megabytes() -> int:
    """Return how much a page loads for a run, rounded; 0 if the files are not there."""
    folder = pyodide.cache()
    if pyodide.lacking(folder):
        return 0
    sizes = [(folder / name).stat().st_size for name in [*pyodide.RUNTIME, *pyodide.wheels(folder)]]
    return round((sum(sizes) + len(archive())) / 1e6)


def put_files(app: Sphinx, exception: Exception | None) -> None:
    """Put Python and the archive into the site; take them out if they are no longer there."""
    if exception is not None or app.builder.format != "html":
        return
    target = Path(app.outdir, "_static", "pyodide")
    wanted: dict[str, bytes] = {}
    if app.config.live_megabytes:
        source = pyodide.cache()
        lock = json.dumps(pyodide.trimmed_lock(source), sort_keys=True).encode()
        wanted = {pyodide.LOCK: lock, "book.zip": archive()}
        names = [name for name in [*pyodide.RUNTIME, *pyodide.wheels(source)] if name != pyodide.LOCK]
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            copy_asset_file(source / name, target)
        wanted |= dict.fromkeys(names, b"")
    for path in target.glob("*"):
        if path.name not in wanted:
            path.unlink()
    for name, data in wanted.items():
        if data:
            (target / name).write_bytes(data)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the steps. Whether Python is there is a setting: all pages are written anew with it."""
    times = hashlib.sha256(TIMES.read_bytes()).hexdigest() if TIMES.is_file() else ""
    app.add_config_value("live_megabytes", megabytes(), "html", types=[int])
    app.add_config_value("live_times", times, "html", types=[str])  # a page is written anew with its time
    app.connect("html-page-context", add_bar, priority=900)
    app.connect("build-finished", put_files, priority=800)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
