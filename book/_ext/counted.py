"""What is counted for the page "How this book is checked", each from the files of the repository.

python book/_ext/counted.py        prints all counts
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

DEFINED = re.compile(r"^def |^    def (?=test_)|^class ", re.MULTILINE)
NUMERICALLY = re.compile(r"\b(?:central_differences|gradcheck|gradgradcheck|check_gradients)\b")


def notebooks() -> list[Path]:
    """Return the pages that are notebooks."""
    found = sorted((ROOT / "book").rglob("*.ipynb"))
    return [path for path in found if ".ipynb_checkpoints" not in path.parts]


@cache
def cells() -> list[Mapping[str, Any]]:
    """Return the code cells of all pages that a test runs again; that for Colab aside, which does nothing."""
    found = []
    for path in notebooks():
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "code" and not source.startswith("# On Colab:"):
                tags = frozenset(cell["metadata"].get("tags", ()))
                found.append({"source": source, "tags": tags})
    return found


def tagged(tag: str) -> int:
    return sum(tag in cell["tags"] for cell in cells())


def asserts() -> int:
    """Return how many conditions the pages' cells hold by `assert`."""
    return sum(len(re.findall(r"^\s*assert ", cell["source"], flags=re.M)) for cell in cells())


def sentences() -> int:
    """Return how many plots have a sentence printed under them."""
    return sum("figures.finish(" in cell["source"] for cell in cells())


def markdown() -> Iterator[str]:
    """Yield the text of each page."""
    for path in notebooks():
        found = json.loads(path.read_text(encoding="utf-8"))["cells"]
        yield "\n\n".join("".join(cell["source"]) for cell in found if cell["cell_type"] == "markdown")
    for path in sorted((ROOT / "book").glob("*.md")):
        yield path.read_text(encoding="utf-8")


def sums() -> int:
    """Return how many equations between numbers the tests work out again."""
    from tests.book_checks import arithmetic

    return sum(1 for text in markdown() for _ in arithmetic.equalities(text))


@cache
def exercises() -> list[Any]:
    """Return the exercises that answer, puzzles among them."""
    from rnnlit.exercises.check import Check
    from rnnlit.exercises.puzzle import Puzzle

    found: dict[int, Any] = {}
    for module in pkgutil.iter_modules([str(ROOT / "rnnlit" / "exercises")]):
        names = vars(importlib.import_module(f"rnnlit.exercises.{module.name}"))
        found |= {id(one): one for one in names.values() if isinstance(one, Check | Puzzle)}
    return list(found.values())


def mistakes() -> int:
    """Return how many mistakes of readers the exercises recognise by name."""
    return sum(len(getattr(one, "mistakes", ())) for one in exercises())


def claims(verdict: str = "") -> int:
    """Return how many sentences of the article got a verdict, or this one."""
    from rnnlit.pages import ledger

    found = ledger.read(ROOT / "book" / "errata.ipynb")
    return sum(not verdict or claim.verdict == verdict for claim in found)


@cache
def functions() -> list[tuple[str, str]]:
    """Return the tests as functions, each with its file; one of them may be run on many cases."""
    return [
        (path.name, body)
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for body in DEFINED.split(path.read_text(encoding="utf-8"))
        if body.startswith("test_")
    ]


def numerical() -> int:
    """Return how many tests compare gradients with differences taken numerically, in their own lines."""
    return sum(bool(NUMERICALLY.search(body)) for _, body in functions())


def refusals() -> int:
    """Return how many tests show that a check of the book refuses a bad example."""
    return sum(name == "test_book_checks.py" for name, _ in functions())


def records() -> int:
    """Return how many records of measurements and long trainings there are: each names its command."""
    paths = (ROOT / "rnnlit").rglob("*.json")
    return sum('"command"' in path.read_text(encoding="utf-8") for path in paths)


def papers() -> int:
    """Return how many papers the bibliography has."""
    bibliography = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    return len(re.findall(r"^@(?!comment|string|preamble)\w+\{", bibliography, flags=re.M))


COUNTS: dict[str, Callable[[], int]] = {
    "pages": lambda: len(notebooks()),
    "cells": lambda: len(cells()),
    "uncompared": lambda: tagged("nbval-ignore-output"),
    "asserts": asserts,
    "sentences": sentences,
    "sums": sums,
    "exercises": lambda: len(exercises()),
    "mistakes": mistakes,
    "claims": claims,
    "wrong": lambda: claims("wrong"),
    "functions": lambda: len(functions()),
    "numerical": numerical,
    "refusals": refusals,
    "records": records,
    "papers": papers,
}


def counts() -> dict[str, int]:
    """Return all counts by name."""
    return {name: count() for name, count in COUNTS.items()}


if __name__ == "__main__":
    for name, number in counts().items():
        print(f"{number:6,}  {name}")
