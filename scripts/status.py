"""Put the last run of all tests on record: how many of each kind, each page's time, versions and machine.

python scripts/status.py [report]       the default is _build/tests.xml, which `make test` leaves

The record, book/data/status.json, stands on the page "How this book is checked". A run that was not whole, or
in which a test failed, is not put on record; the test of the record itself aside, which an old record fails.
"""

import argparse
import json
import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from rnnlit.tools.machine import describe  # noqa: E402
from scripts.run_notebooks import find  # noqa: E402

REPORT = ROOT / "_build" / "tests.xml"
RECORD = ROOT / "book" / "data" / "status.json"
COMMAND = "make test && make status"
OWN = "tests.test_status"  # the record's own test
PACKAGES = ("numpy", "torch")  # whose versions a reader wants to know

# What a test is about, by the beginning of its file's path; the first that fits.
KINDS = {
    "book/": "cells of the pages, run again and compared",
    "tests/site/": "the built site, most of them in a browser",
    "tests/exercises/": "exercises, and the mistakes that they recognise",
    "tests/nn/": "layers in torch: values, gradients, options, errors",
    "tests/practice/": "applications, and their records",
    "tests/tasks/": "data and tasks",
    "tests/tools/": "tools: training, weights, checks of arguments",
    "tests/pages/": "tools: training, weights, checks of arguments",
    **dict.fromkeys(
        [
            f"tests/test_{name}"
            for name in (
                "book",
                "examples",
                "figures",
                "glossary",
                "house",
                "loops_and_lengths",
                "nbval",
                "nn_gpu",
                "nn_variants",
                "pyodide",
                "readme",
                "records",
                "safe",
                "scripts",
                "status",
            )
        ],
        "the book itself: text, links, sums, records, set-up",
    ),
    "tests/": "the chapters' cells: values, gradients, NumPy against torch",
}


def kind_of(path: str) -> str:
    """Return what the tests of a file are about, by its path from the top, such as tests/test_lstm.py."""
    return next(kind for start, kind in KINDS.items() if path.startswith(start))


def path_of(classname: str) -> str:
    """Return the path of a test's file: book.practice.index.ipynb -> book/practice/index.ipynb."""
    stem, dot, _ = classname.rpartition(".ipynb")
    if dot:
        return f"{stem.replace('.', '/')}.ipynb"
    parts = classname.split(".")
    module = next(k for k, part in enumerate(parts) if part.startswith("test_"))
    return "/".join(parts[: module + 1]) + ".py"


def record_of(report: ET.Element, notebooks: list[str]) -> dict[str, Any]:
    """Return the record of a report of pytest (JUnit's XML).

    notebooks: paths of all pages that have to be in it, such as book/lstm.ipynb.
    Raises ValueError for a run that was not whole or not clean.
    """
    tests: dict[str, Counter[str]] = {kind: Counter() for kind in dict.fromkeys(KINDS.values())}
    pages = {name: {"cells": 0, "seconds": 0.0} for name in notebooks}
    failed = []
    for case in report.iter("testcase"):
        name = case.get("classname", "")
        outcome = next((one for one in ("failure", "error", "skipped") if case.find(one) is not None), "")
        if outcome in ("failure", "error"):
            failed += [] if name.startswith(OWN) else [f"{name}: {case.get('name')}"]
            outcome = ""
        path = path_of(name)
        tests[kind_of(path)][outcome or "passed"] += 1
        if path in pages:
            pages[path]["cells"] += 1
            pages[path]["seconds"] += float(case.get("time", 0))
    lacking = [kind for kind, found in tests.items() if not found]
    lacking += [page for page, found in pages.items() if not found["cells"]]
    if failed:
        raise ValueError(f"tests have failed, and nothing is put on record: {', '.join(failed[:5])}")
    if lacking:
        raise ValueError(f"the run was not whole; it lacks {', '.join(lacking[:5])}")
    suite = next(report.iter("testsuite"))
    machine = describe()
    machine["packages"] = {name: machine["packages"][name] for name in PACKAGES}
    stamp = datetime.fromisoformat(suite.get("timestamp", ""))
    return {
        "command": COMMAND,
        "machine": machine | {"date": stamp.astimezone(UTC).date().isoformat()},
        "seconds": round(float(suite.get("time", 0))),
        "tests": {kind: dict(sorted(found.items())) for kind, found in tests.items()},
        "pages": {
            re.sub(r"\.ipynb$", "", name): {"cells": found["cells"], "seconds": round(found["seconds"], 1)}
            for name, found in pages.items()
        },
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the record; return the exit status."""
    parser = argparse.ArgumentParser(description="Put the last run of all tests on record.")
    parser.add_argument("report", nargs="?", type=Path, default=REPORT)
    report = parser.parse_args(arguments).report
    notebooks = [path.relative_to(ROOT).as_posix() for path in find(ROOT / "book")]
    try:
        record = record_of(ET.parse(report).getroot(), notebooks)
    except FileNotFoundError:
        print(f"status: there is no {report}; make test leaves one", file=sys.stderr)
        return 1
    except (ET.ParseError, ValueError) as error:
        print(f"status: {error}", file=sys.stderr)
        return 1
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    RECORD.write_text(text, encoding="utf-8")
    print(
        f"{RECORD.relative_to(ROOT)}: {sum(sum(found.values()) for found in record['tests'].values())} tests"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
