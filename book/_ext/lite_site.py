"""Sphinx extension `lite_site`: JupyterLite in the site, with the notebooks that run without torch.

What `make live` has fetched is put together in `_static/lite/` after the build: JupyterLite's notebook
application, its kernel, a wheel of the book's package, and the notebooks. Python itself is the one of the
pages, in `_static/pyodide/`. The launch menu of a page that has a notebook there leads to it. Where the files
are not there, the site is built without, and the menu has no such entry.

The official command, `jupyter lite build`, does the same with thirty more packages: unpack the application,
list the kernel's extension and the notebooks, say where Python is. `jupyter-lite.json` says here too that
nothing comes from elsewhere; a policy on each page of JupyterLite has the browser hold it.

A notebook there is the page's own, blank. Imports of torch are left out, and a cell that needs torch stands
as text, with its stored result: all others run from the first to the last.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import json
import re
import shutil
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from live_pages import (
    ROOT,
    code_cells,
    files_of_package,
    live,
    modules,
    needs_torch,
    torch_cells,
    torch_lines,
)
from sphinx.application import Sphinx

import rnnlit
from scripts import pyodide

FOLDER = "_static/lite"
APPLICATION = "notebooks"
PYODIDE = "../pyodide/"  # from FOLDER: the Python of the pages
WHEELS = "python/"  # in FOLDER: what it needs beside that
LOCK = WHEELS + "lite-lock.json"
DIGEST = ".made-from"
KERNEL = "@jupyterlite/pyodide-kernel-extension"
PYTHON = {"display_name": "Python (Pyodide)", "language": "python", "name": "python"}
REST = "-rest"  # ends the id of what is left of a cell
COLAB = "# On Colab:"  # begins the cell that fetches the repository there
DRAWING = re.compile(r"[\w./-]*\bfigures/[\w./-]+\.svg")  # that a page shows
EMPTY = {  # what JupyterLite looks for and does without
    "build/schemas/all_federated.json": [],
    "api/translations/all.json": {
        "data": {"en": {"displayName": "English", "nativeName": "English"}},
        "message": "",
    },
    "api/translations/en.json": {"data": {}, "message": ""},
}
# JupyterLab runs scripts of its pages' own and compiles its settings' schemas; it loads from here alone.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; frame-src 'none'; object-src 'none'; base-uri 'none'; form-action 'self'"
)


# ---------------------------------------------------------------- the notebooks


def runs(notebook: Path) -> bool:
    """Tell whether most of a notebook's cells run without torch: its page has a button then."""
    sources = code_cells(notebook)
    return bool(sources) and 2 * len(torch_cells(sources)) <= len(sources)


def notebooks() -> list[Path]:
    """Return the notebooks of the book that run without torch."""
    found = (
        path for path in sorted((ROOT / "book").rglob("*.ipynb")) if ".ipynb_checkpoints" not in path.parts
    )
    return [path for path in found if runs(path)]


def without_torch(source: str) -> str:
    """Return the code of a cell without its imports of what needs torch."""
    lines = source.splitlines()
    for statement in reversed(ast.parse(source).body):
        if not isinstance(statement, ast.Import | ast.ImportFrom):
            continue
        parts = list(live.single_imports(ast.Module([statement], [])))
        kept = [part for part in parts if not any(map(needs_torch, modules(part)))]
        if len(kept) < len(parts):
            new = [ast.unparse(part) for part in kept]
            lines[statement.lineno - 1 : statement.end_lineno] = new
    return "\n".join(lines)


def as_text(cell: dict[str, Any], line: int) -> list[dict[str, Any]]:
    """Return a cell that needs torch from a line on, counted from 0: what runs as code, the rest as text.

    The text has the code, and what the whole cell printed.
    """
    printed = ["".join(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream"]
    result = f"\n\nIt printed:\n\n```text\n{''.join(printed).rstrip()}\n```" if printed else ""
    lines = "".join(cell["source"]).splitlines()

    def text(what: str, code: list[str], name: str) -> dict[str, Any]:
        note = f"*{what} needs PyTorch, which a browser doesn’t have.*"
        source = "\n".join([note, "", "```python", *code, "```"]) + result
        return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source}

    head = without_torch("\n".join(lines[:line])).strip()
    if not ast.parse(head).body:
        return [text("This cell", lines, cell["id"])]
    runs = cell | {"source": head, "outputs": [], "execution_count": None}
    return [runs, text("The rest of this cell", lines[line:], cell["id"] + REST)]


def blank(notebook: Path) -> dict[str, Any]:
    """Return a notebook as it is opened in JupyterLite."""
    book: dict[str, Any] = json.loads(notebook.read_text(encoding="utf-8"))
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    code = [cell for cell in code if not "".join(cell["source"]).startswith(COLAB)]
    sources = ["".join(cell["source"]) for cell in code]
    torch = {code[place]["id"]: line for place, line in torch_lines(sources).items()}
    cells = []
    for cell in book["cells"]:
        if cell["cell_type"] != "code":
            cells.append(cell)
        elif cell["id"] in torch:
            cells += as_text(cell, torch[cell["id"]])
        elif source := without_torch("".join(cell["source"])) if cell in code else "":
            cells.append(cell | {"source": source, "outputs": [], "execution_count": None})
    metadata = book["metadata"] | {"kernelspec": PYTHON}
    return book | {"cells": cells, "metadata": metadata}


def contents() -> dict[str, bytes]:
    """Return the files that JupyterLite shows, by their paths from the top of the repository.

    Beside the notebooks these are the drawings that they show; what they read is in the package.
    """
    found = {}
    for path in notebooks():
        text = json.dumps(blank(path), ensure_ascii=False, indent=1)
        found[path.relative_to(ROOT).as_posix()] = text.encode()
        drawings = {(path.parent / name).resolve() for name in DRAWING.findall(text)}
        files = (file for file in drawings if ROOT in file.parents and file.is_file())
        found |= {file.relative_to(ROOT).as_posix(): file.read_bytes() for file in files}
    return dict(sorted(found.items()))


def entry(path: PurePosixPath, size: int | None, content: list[dict[str, Any]] | None) -> dict[str, Any]:
    """Return what JupyterLite is told of a file, or of a folder and what is in it."""
    changed = datetime.fromtimestamp((ROOT / path).stat().st_mtime, UTC).isoformat()
    kind = "directory" if size is None else "notebook" if path.suffix == ".ipynb" else "file"
    return {
        "name": path.name,
        "path": "" if path.name == "" else path.as_posix(),
        "type": kind,
        "format": "json" if kind == "directory" else None,
        "mimetype": None,
        "content": content,
        "size": size,
        "writable": True,
        "created": changed,
        "last_modified": changed,
    }


def listings(files: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    """Return the listing of each folder that files are in, by the folder's path; "." is the top."""
    within: dict[PurePosixPath, dict[PurePosixPath, int | None]] = {}
    for name, data in files.items():
        path, size = PurePosixPath(name), len(data)
        within.setdefault(path.parent, {})[path] = size
        for folder in path.parents[:-1]:
            within.setdefault(folder.parent, {})[folder] = None
    return {
        str(folder): entry(folder, None, [entry(path, size, None) for path, size in sorted(there.items())])
        for folder, there in within.items()
    }


# ---------------------------------------------------------------- the wheel


def wheel() -> tuple[str, bytes]:
    """Return the file name and the bytes of a wheel of the package; the same files, the same bytes.

    It is for a browser: the weights that torch alone reads are not in it.
    """
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in files_of_package()}
    about = f"rnnlit-{rnnlit.__version__}.dist-info"
    files[f"{about}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: rnnlit\nVersion: {rnnlit.__version__}\n".encode()
    )
    files[f"{about}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: rnnlit\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = [f"{name},sha256={urlsafe(data)},{len(data)}" for name, data in files.items()]
    files[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,", ""]).encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            written.writestr(info, data)
    return f"rnnlit-{rnnlit.__version__}-py3-none-any.whl", file.getvalue()


def urlsafe(data: bytes) -> str:
    """Return the SHA-256 of a file as a wheel's RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


# ---------------------------------------------------------------- the files


def kernel_wheels(source: Path) -> dict[str, bytes]:
    """Return the wheels that the kernel asks a package index for, by file name; and comm, which it needs."""
    found = {}
    for name in pyodide.LITE:
        if name.startswith("comm-"):
            found[name] = (source / name).read_bytes()
        elif name.startswith("jupyterlite_pyodide_kernel"):
            with zipfile.ZipFile(source / name) as archive:
                for path in map(PurePosixPath, archive.namelist()):
                    if path.parent.name == "pypi" and path.name.startswith(
                        ("ipykernel", "piplite", "pyodide_")
                    ):
                        found[path.name] = archive.read(str(path))
    return found


def lock(source: Path, added: dict[str, bytes]) -> dict[str, Any]:
    """Return the lock file for JupyterLite: packages of the pages and of its kernel, and wheels of ours."""
    made = pyodide.trimmed_lock(source, pyodide.PACKAGES + pyodide.LITE_PACKAGES)
    there = pyodide.wheels(source)
    for entry in made["packages"].values():  # file names count from where the pages' are
        if entry["file_name"] not in there:
            entry["file_name"] = f"../lite/{WHEELS}{entry['file_name']}"
    for file, data in added.items():
        name, version = file.split("-")[:2]
        made["packages"][name.replace("_", "-")] = {
            "name": name.replace("_", "-"),
            "version": version,
            "file_name": f"../lite/{WHEELS}{file}",
            "install_dir": "site",
            "sha256": pyodide.sha256(data),
            "package_type": "package",
            "imports": [name],
            "depends": ["numpy", "matplotlib"] if name == "rnnlit" else [],
            "unvendored_tests": False,
        }
    return made


def application(source: Path) -> dict[str, bytes]:
    """Return the files of JupyterLite and of its kernel's extension, without maps for debugging."""
    core, kernel = (source / name for name in pyodide.LITE if name.startswith("jupyterlite"))
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(core) as archive:
        packed = next(name for name in archive.namelist() if name.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(archive.read(packed))) as inner:
            for member in inner:
                path = PurePosixPath(member.name).relative_to("package")
                if not member.isfile() or path.suffix == ".map":
                    continue
                # Of its applications one is needed; of the folders, what all share.
                if len(path.parts) == 1 or path.parts[0] in (APPLICATION, "build", "static", "api"):
                    file = inner.extractfile(member)
                    found[str(path)] = file.read() if file else b""
    with zipfile.ZipFile(kernel) as archive:
        for name in archive.namelist():
            if "/labextensions/" in name and not name.endswith((".map", ".whl", "all.json")):
                found[f"extensions/{name.partition('/labextensions/')[2]}"] = archive.read(name)
    for name in [name for name in found if name.endswith(".html")]:
        page = found[name].decode()
        meta = f'<head>\n    <meta http-equiv="Content-Security-Policy" content="{POLICY}" />'
        found[name] = page.replace("<head>", meta, 1).encode()
    return found


def settings(files: dict[str, bytes], packages: list[str]) -> dict[str, Any]:
    """Return jupyter-lite.json: where Python is, what it loads at once, that nothing is from elsewhere."""
    made: dict[str, Any] = json.loads(files["jupyter-lite.json"])
    kernel = json.loads(files[f"extensions/{KERNEL}/package.json"])["jupyterlab"]["_build"]
    made["jupyter-config-data"] |= {
        "appUrl": f"./{APPLICATION}",
        "faviconUrl": f"./{APPLICATION}/favicon.ico",
        # All cells are in the page, and the browser finds words in them.
        "settingsOverrides": {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}},
        "federated_extensions": [{"name": KERNEL, **kernel}],
        "litePluginSettings": {
            f"{KERNEL}:kernel": {
                "pyodideUrl": f"./{WHEELS}pyodide.js",
                "loadPyodideOptions": {"indexURL": PYODIDE, "lockFileURL": LOCK, "packages": packages},
                "disablePyPIFallback": True,
            }
        },
    }
    return made


def loaded_first(lite_lock: dict[str, Any]) -> list[str]:
    """Return the packages that the kernel has from its start, as it spells them; it asks no index then."""
    entries = lite_lock["packages"].values()
    names = [entry["name"] for entry in entries if entry["package_type"] != "shared_library"]
    return [{"pyodide-kernel": "pyodide_kernel"}.get(name, name) for name in names if name != "rnnlit"]


def digest(files: dict[str, bytes]) -> str:
    """Return a hash over what JupyterLite is made from: files, this extension, and the pins of the others."""
    seen = hashlib.sha256(Path(__file__).read_bytes() + Path(pyodide.__file__).read_bytes())
    for name, data in sorted(files.items()):
        seen.update(f"{name} {pyodide.sha256(data)}\n".encode())
    return seen.hexdigest()


def is_there() -> bool:
    """Tell whether `make live` has fetched all that JupyterLite needs."""
    folder = pyodide.cache()
    return not pyodide.lacking(folder) and not pyodide.lacking_lite(folder)


def put_files(app: Sphinx, exception: Exception | None) -> None:
    """Put JupyterLite into the site, unless it is there already; take it out if its files are gone."""
    if exception is not None or app.builder.format != "html":
        return
    target = Path(app.outdir, FOLDER)
    if not app.config.lite_there:
        shutil.rmtree(target, ignore_errors=True)
        return
    source, (name, data), files = pyodide.cache(), wheel(), contents()
    made_from = digest(files | {name: data})
    if (target / DIGEST).is_file() and (target / DIGEST).read_text() == made_from:
        return
    ours = kernel_wheels(source) | {name: data}
    lite_lock = lock(source, ours)
    written = application(source)
    written |= {path: json.dumps(value).encode() for path, value in EMPTY.items()}
    written["jupyter-lite.json"] = json.dumps(settings(written, loaded_first(lite_lock)), indent=1).encode()
    for folder, listing in listings(files).items():
        written[str(PurePosixPath("api/contents", folder, "all.json"))] = json.dumps(listing).encode()
    written |= {f"files/{path}": content for path, content in files.items()}
    written |= {f"{WHEELS}{file}": content for file, content in ours.items()}
    theirs = pyodide.wheels(source, pyodide.LITE_PACKAGES).keys() - pyodide.wheels(source).keys()
    written |= {
        f"{WHEELS}{file}": (source / file).read_bytes() for file in theirs | pyodide.LITE_LOADER.keys()
    }
    written |= {LOCK: json.dumps(lite_lock, sort_keys=True).encode(), DIGEST: made_from.encode()}
    shutil.rmtree(target, ignore_errors=True)
    for path, content in written.items():
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


# ---------------------------------------------------------------- the launch menu


def add_entry(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Lead from the launch menu to the page's notebook in JupyterLite, first: it needs no other host."""
    notebook = Path(app.env.doc2path(page)) if doctree is not None else Path()
    if not app.config.lite_there or notebook.suffix != ".ipynb" or not runs(notebook):
        return
    for group in context.get("header_buttons", []):
        if group.get("label") == "launch-buttons":
            path = notebook.relative_to(app.srcdir).as_posix()
            url = context["pathto"](f"{FOLDER}/{APPLICATION}/index.html", resource=True)
            group["buttons"].insert(
                0,
                {
                    "type": "link",
                    "text": "JupyterLite",
                    "tooltip": "Open as a notebook in this browser",
                    "icon": "_static/images/logo_jupyterlite.svg",
                    "url": f"{url}?path={path}",
                },
            )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the steps; whether the files are there is a setting: all pages are written anew with it."""
    app.setup_extension("live_pages")
    app.add_config_value("lite_there", is_there(), "html", types=[bool])
    app.connect("html-page-context", add_entry, priority=880)  # after the theme's buttons
    app.connect("build-finished", put_files, priority=810)  # after live_pages
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
