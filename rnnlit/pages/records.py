"""The records that chapters show: what a program of `benchmarks/` has measured, with machine and date.

They stand in the package, so that a page finds them wherever it runs; the program that measures writes to
`HERE`. Those of the pages of practice have a place of their own, `rnnlit.practice.records`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).with_name("records")


def load(name: str) -> dict[str, Any]:
    """The record of a benchmark, named as its program. ValueError: there is none."""
    file = HERE / f"{name}.json"
    if not file.is_file():
        known = ", ".join(sorted(one.stem for one in HERE.glob("*.json")))
        raise ValueError(f"name: expected one of {known}, got {name!r}")
    return json.loads(file.read_text(encoding="utf-8"))
