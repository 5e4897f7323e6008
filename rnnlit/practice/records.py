"""The records of the full runs: what came out, of which command, on which machine, and what others published.

    python -m rnnlit.practice.records counting one.json two.json

gathers the files that runs with `--record` have written into the one that stands in the package. A record is
a dictionary with `runs`; each run holds what its module writes, `command` and `machine` among it.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from rnnlit.tools.machine import describe

HERE = Path(__file__).parent / "records"

# The modules whose results stand beside published ones, in the order of their pages in book/practice.
PAGES = ("pronunciation", "translation", "language_model", "execution", "counting")
SPELLED = {"elnaggar": "El-Naggar"}  # names that a key can't spell


class Beside(NamedTuple):
    """A result of ours beside a published one: a row of the table that gathers them."""

    what: str  # the task, the measure and its unit: "pronunciation, words wrong, %"
    ours: str
    theirs: str
    work: str  # the key in book/references.bib
    differs: str  # how the two settings differ


class Table:
    """Rows of `Beside`, which a notebook shows as a table."""

    def __init__(self, rows: Sequence[Beside]) -> None:
        self.rows = list(rows)

    def __repr__(self) -> str:
        return "\n".join(f"{row.what}: {row.ours}; {work(row.work)}: {row.theirs}" for row in self.rows)

    def _repr_markdown_(self) -> str:
        lines = ["| Task and measure | Ours | Theirs | Work | How they differ |", "|---|---|---|---|---|"]
        lines += [
            "| " + " | ".join((row.what, row.ours, row.theirs, work(row.work), row.differs)) + " |"
            for row in self.rows
        ]
        return "\n".join(lines)


def work(key: str) -> str:
    """A work as a table names it: the first author and the year, of the key in the bibliography.

    ValueError: not a key of that form.
    """
    found = re.fullmatch(r"([a-z]+)(\d{4})[a-z]*", key)
    if not found:
        raise ValueError(f"work: expected a key such as cho2014learning, got {key!r}")
    name, year = found.groups()
    return f"{SPELLED.get(name, name.capitalize())} {year}"


def beside() -> list[Beside]:
    """The rows of all pages, in their order: what `beside` of each module of PAGES gives."""
    rows: list[Beside] = []
    for name in PAGES:
        if find_spec(f"rnnlit.practice.{name}"):
            module = import_module(f"rnnlit.practice.{name}")
            rows += module.beside() if hasattr(module, "beside") else []
    return rows


def load(name: str) -> dict[str, Any]:
    """The record of a module's full runs, or of a benchmark that a page shows. ValueError: there is none."""
    path = files("rnnlit").joinpath("practice", "records", f"{name}.json")
    if not path.is_file():
        known = sorted(one.stem for one in HERE.glob("*.json"))
        raise ValueError(f"name: expected one of {', '.join(known)}, got {name!r}")
    return json.loads(path.read_text(encoding="utf-8"))


def stamp(module: str, arguments: Sequence[str] | None = None, gpu: str | None = None) -> dict[str, Any]:
    """The command, as one types it, and the machine: what every run says of itself.

    `arguments` are those of the command line, `sys.argv` if None. A file has its name and no folder.
    """
    typed = sys.argv[1:] if arguments is None else arguments
    shown = (re.sub(r"^(--[\w-]+=)?.*[/\\]", r"\1", one) for one in typed)
    return {"command": shlex.join(["python", "-m", module, *shown]), "machine": describe(gpu)}


def gather(name: str, paths: Sequence[Path]) -> Path:
    """Write the runs of several files into the package's record, in the order given."""
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    written = HERE / f"{name}.json"
    written.parent.mkdir(exist_ok=True)
    written.write_text(json.dumps({"runs": runs}, indent=1) + "\n", encoding="utf-8")
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    """Gather what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="of the module of rnnlit.practice")
    parser.add_argument("paths", type=Path, nargs="+", help="what runs with --record have written")
    options = parser.parse_args(arguments)
    gather(options.name, options.paths)


if __name__ == "__main__":
    main()
