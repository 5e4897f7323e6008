"""What `make gpu` runs: the GPU's tests, then the benchmark, in at most 8 minutes altogether.

It also runs by itself, `python scripts/gpu.py`, where the package is not installed. Such a machine needs
torch, triton, safetensors, pytest, pytest-xdist, and psutil and hypothesis for some of the tests. A file of
tests that lacks a package is left out, with a word.

The exit code is 0 if all tests pass and the benchmark has written its record, 3 if torch sees no GPU, and 1
otherwise.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 8 * 60.0  # seconds
NO_GPU = (
    "make gpu: torch sees no GPU, so nothing was tested or measured. It needs one, and a build of torch for "
    "CUDA, as `pip install torch` brings it on Linux."
)
LONGEST_TESTS = 0.6 * LIMIT
LAST = 30.0  # seconds that the benchmark may take beyond what it is told
# addopts of pyproject.toml are for notebooks too; pytest-benchmark, where it is installed, warns beside xdist
PYTEST = ["-m", "pytest", "-m", "gpu", "-q", "-n", "2", "--dist", "load", "-p", "no:benchmark"]
OPTIONS = ["-o", "addopts=-rfE --import-mode=importlib --strict-markers"]


def missing(path: Path) -> set[str]:
    """The packages that are not installed, of those that a file of tests imports at its top."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [one.name for one in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{name}" for name in names)]
        for name in names:
            package, other = name.split(".")[0], (ROOT / name.replace(".", "/")).with_suffix(".py")
            if package == "tests":
                found |= missing(other) if other.is_file() else set()
            elif not (ROOT / package).is_dir() and find_spec(package) is None:
                found.add(package)
    return found


def tests() -> list[str]:
    """The files with tests for a GPU, but for those that lack a package."""
    files = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        name, lacks = path.relative_to(ROOT).as_posix(), set[str]()
        if "mark.gpu" in path.read_text(encoding="utf-8"):
            lacks = missing(path)
            files += [] if lacks else [name]
        if lacks:
            print(f"make gpu: {name} is left out, for {', '.join(sorted(lacks))} is not installed")
    return files


def run(command: Sequence[str], seconds: float) -> int:
    """Run a Python program in the repository; its exit code, or 1 with a word if it takes longer."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    there = os.environ | {"PYTHONPATH": path}
    try:
        done = subprocess.run([sys.executable, *command], cwd=ROOT, env=there, check=False, timeout=seconds)
        return done.returncode
    except subprocess.TimeoutExpired:
        print(f"make gpu: stopped after {seconds:.0f} seconds: {' '.join(command)}", file=sys.stderr)
        return 1


def main() -> int:
    """Test, then measure."""
    import torch

    if not torch.cuda.is_available():
        print(NO_GPU, file=sys.stderr)
        return 3
    end = time.monotonic() + LIMIT
    if run([*PYTEST, *OPTIONS, *tests()], LONGEST_TESTS):
        print("make gpu: the tests failed, so nothing is measured", file=sys.stderr)
        return 1
    left = end - time.monotonic()
    return 1 if run(["benchmarks/nn_gpu.py", "--within", str(round(left - LAST))], left) else 0


if __name__ == "__main__":
    sys.exit(main())
