"""Run notebooks from top to bottom, each in its own folder, and store what they print.

python scripts/run_notebooks.py [notebook ...]        the default is every notebook under book/

A notebook is written only when all of it ran. It then holds no times and no versions, so that an edit of one
line is a diff of a few.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parents[1]
COLAB = "# On Colab: install the package, and what it needs. Elsewhere this does nothing."
CELL_TIMEOUT = 300  # seconds; the tests allow a cell the same
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "pygments_lexer": "ipython3"}


def find(folder: Path) -> list[Path]:
    """Return the notebooks under `folder`, sorted, without those in hidden or built folders."""
    return sorted(
        path
        for path in folder.rglob("*.ipynb")
        if not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    )


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Remove, in place, what differs between runs or machines: times, versions, the state of widgets."""
    notebook.metadata["kernelspec"] = dict(KERNELSPEC)
    notebook.metadata["language_info"] = dict(LANGUAGE)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        cell.metadata.pop("ExecuteTime", None)


def public_address() -> str:
    """Return the repository's public address; it stands in _config.yml and nowhere else."""
    return yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]


def package(address: str) -> str:
    """What pip installs for a notebook that was downloaded alone: the package, with all that pages import."""
    return f"rnnlit[notebooks] @ git+{address}"


def colab_source(address: str) -> str:
    """The first code cell of a page: Colab opens a notebook alone, so it fetches all else."""
    return f"""{COLAB}
import sys

if "google.colab" in sys.modules:
    %pip install -q "{package(address)}\""""


def prepare_for_colab(notebook: nbformat.NotebookNode, address: str) -> None:
    """Put that cell, hidden on the site, before the notebook's first code cell, or renew it, in place."""
    source = colab_source(address)
    first = next(k for k, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    if not notebook.cells[first].source.startswith("# On Colab:"):
        cell = nbformat.v4.new_code_cell(id="on-colab", metadata={"tags": ["remove-input"]})
        notebook.cells.insert(first, cell)
    notebook.cells[first].source = source


def run(path: Path) -> nbformat.NotebookNode:
    """Run the notebook at `path` in its folder and return it with its outputs; the file stays as it is.

    Raises CellExecutionError where a cell fails without the tag raises-exception, CellTimeoutError where one
    takes more than 300 s.
    """
    notebook = nbformat.read(path, as_version=4)
    if (ROOT / "book") in path.resolve().parents:
        prepare_for_colab(notebook, public_address())
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        startup_timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    tidy(notebook)
    nbformat.validate(notebook)
    return notebook


def write(path: Path, notebook: nbformat.NotebookNode) -> None:
    """Replace the file at `path` in one step: a reader meets the old notebook or the new one, whole."""
    text = nbformat.writes(notebook).rstrip("\n") + "\n"
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        temporary.chmod(path.stat().st_mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the notebooks that are named, or all; return 0 when each of them ran."""
    parser = argparse.ArgumentParser(description="Run notebooks from top to bottom and store their outputs.")
    parser.add_argument("notebooks", nargs="*", type=Path)
    paths = parser.parse_args(arguments).notebooks or find(ROOT / "book")
    # One thread, as in the tests: sums are then rounded in the same order on every machine.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    failed = []
    for path in paths:
        start = time.perf_counter()
        try:
            write(path, run(path))
        except FileNotFoundError:
            print(f"{path}: no such notebook", file=sys.stderr)
            failed.append(path)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            print(f"{path}: left as it was, because a cell failed\n{error}", file=sys.stderr)
            failed.append(path)
        else:
            print(f"{path}: ran in {time.perf_counter() - start:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
