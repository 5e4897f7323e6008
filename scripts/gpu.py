"""What `make gpu` runs: the GPU's tests, then the benchmark, in at most 8 minutes altogether.

The exit code is 0 if all tests pass and the benchmark has written its record, 3 if torch sees no GPU, and 1
otherwise.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 8 * 60.0  # seconds
NO_GPU = (
    "make gpu: torch sees no GPU, so nothing was tested or measured. It needs one, and a build of torch for "
    "CUDA, as `pip install torch` brings it on Linux."
)
LONGEST_TESTS = 0.6 * LIMIT
LAST = 30.0  # seconds that the benchmark may take beyond what it is told


def run(command: Sequence[str], seconds: float) -> int:
    """Run a Python program in the repository; its exit code, or 1 with a word if it takes longer."""
    try:
        return subprocess.run([sys.executable, *command], cwd=ROOT, check=False, timeout=seconds).returncode
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
    if run(["-m", "pytest", "-m", "gpu", "-q", "-n", "2", "--dist", "load", "tests"], LONGEST_TESTS):
        print("make gpu: the tests failed, so nothing is measured", file=sys.stderr)
        return 1
    left = end - time.monotonic()
    return 1 if run(["benchmarks/nn_gpu.py", "--within", str(round(left - LAST))], left) else 0


if __name__ == "__main__":
    sys.exit(main())
